//! The tries of an evaluation's tasks: who worked on what, from which item to which, and why it ended early.

use sekisho_store::{Try, WorkRow};

use super::parts::{Cell, When};
use super::scored;
use crate::web::format;
use crate::web::frame::Frame;

/// One try of a task.
pub(super) struct TryRow {
    pub(super) task: String,
    /// Which of the task's tries, from 1.
    pub(super) number: usize,
    pub(super) worker: String,
    /// `1–812`; nothing where it answered none.
    pub(super) items: Cell,
    pub(super) began: When,
    pub(super) seconds: Cell,
    /// Why it ended early, in words.
    pub(super) cause: Option<String>,
    /// Neither ended nor over.
    pub(super) is_open: bool,
}

pub(super) fn rows(
    frame: &Frame,
    catalog: &sekisho_bench::Catalog,
    work: &[WorkRow],
    tries: &[Try],
) -> Vec<TryRow> {
    let of_item = |item: &WorkRow| {
        let own: Vec<&Try> = tries.iter().filter(|one| one.work == item.work.id).collect();
        let title = scored::title(frame.lang, catalog, &item.work.run);
        let row = |(place, one): (usize, &Try)| row(frame, item, &title, place + 1, one);
        own.into_iter().enumerate().map(row).collect::<Vec<_>>()
    };
    work.iter().flat_map(of_item).collect()
}

fn row(frame: &Frame, item: &WorkRow, title: &str, number: usize, one: &Try) -> TryRow {
    let last = one.last.unwrap_or(item.finished);
    let items =
        (last > one.first).then(|| format!("{}–{}", format::count(one.first + 1), format::count(last)));
    TryRow {
        task: title.to_owned(),
        number,
        worker: one.worker.clone(),
        items: Cell::of(items, frame.t("evaluation.no_items")),
        began: frame.when(one.began),
        seconds: Cell::of(
            one.ended.map(|ended| format::duration(frame.lang, ended.seconds_since(one.began))),
            frame.t("evaluation.at_work"),
        ),
        cause: one.cause.as_deref().map(|cause| said(frame, cause)),
        is_open: one.ended.is_none(),
    }
}

fn said(frame: &Frame, cause: &str) -> String {
    match cause {
        Try::SILENT | Try::FREED | Try::GIVEN_BACK => frame.word("try_end", cause).to_owned(),
        sentence => sentence.to_owned(),
    }
}
