//! Links to other states of the page: every choice is one.

use sekisho_bench::Catalog;
use sekisho_domain::evaluation::TaskRun;

use super::super::parts::{self, Choice};
use super::asked::Asked;
use super::board::Key;
use super::cells::Words;
use super::columns::{self, Chosen};
use super::rows::Row;
use crate::web::frame::Frame;

/// The same rows as CSV or JSON. Language, theme and tab are the reader's, not the data's.
pub(super) fn data_link(frame: &Frame, kind: &str) -> String {
    Frame { path: format!("/leaderboard.{kind}"), ..frame.clone() }.with("view", "")
}

/// This page after another change of its query.
fn edited(frame: &Frame, edit: impl FnOnce(&mut Vec<(String, String)>)) -> String {
    let mut changed = parts::unpaged(frame);
    edit(&mut changed.query);
    changed.with("", "")
}

/// This page ordered by that column, and in the other direction when it is so already.
pub(super) fn sort_link(frame: &Frame, key: Key, ascending: bool) -> String {
    edited(frame, |query| {
        query.retain(|(name, _)| !["order", "sort"].contains(&name.as_str()));
        if ascending {
            query.push(("order".to_owned(), "asc".to_owned()));
        }
        query.push(("sort".to_owned(), key.code()));
    })
}

pub(super) fn axes(frame: &Frame, asked: &Asked) -> Vec<Choice> {
    let axis = |value: &str, key: &str, current| Choice {
        label: frame.t(key).to_owned(),
        href: parts::unpaged(frame).with("x", value),
        current,
    };
    vec![
        axis("", "board.scatter_size", !asked.by_tokens),
        axis("tokens", "board.scatter_tokens", asked.by_tokens),
    ]
}

/// Each column with a link that shows or hides it.
pub(super) fn chooser(catalog: &Catalog, frame: &Frame, asked: &Asked, chosen: &Chosen) -> Vec<Choice> {
    let first = parts::unpaged(frame);
    let choice = |run: &TaskRun| {
        let is_shown = chosen.shown.contains(run);
        let mut hidden: Vec<&str> = asked.hidden.iter().map(String::as_str).collect();
        hidden.retain(|name| *name != run.task && chosen.all.iter().any(|run| run.task == **name));
        if is_shown {
            hidden.push(&run.task);
        }
        Choice {
            label: columns::title(catalog, frame.lang, run),
            href: first.with("hide", &hidden.join(",")),
            current: is_shown,
        }
    };
    chosen.all.iter().map(choice).collect()
}

/// Every known column, to be chosen one by one: code, name, and whether it is there now.
pub(super) fn own(catalog: &Catalog, frame: &Frame, chosen: &Chosen) -> Vec<(String, String, bool)> {
    let option = |run: TaskRun| {
        let is_there = chosen.shown.iter().any(|shown| catalog.same_run(shown, &run));
        let name = format!(
            "{} ({})",
            columns::title(catalog, frame.lang, &run),
            columns::note(catalog, frame, &run)
        );
        (columns::code(&run), name, is_there)
    };
    columns::known(catalog).into_iter().map(option).collect()
}

/// Puts a row above the others, or back among them.
pub(super) fn pin(words: &Words<'_>, row: &Row) -> Choice {
    let key = row.line.key();
    let is_pinned = words.asked.pins.contains(&key);
    let href = edited(words.frame, |query| {
        query.retain(|(name, value)| !(name == "pin" && *value == key));
        if !is_pinned {
            query.push(("pin".to_owned(), key.clone()));
        }
    });
    let label = words.frame.t(if is_pinned { "board.unpin" } else { "board.pin" }).to_owned();
    Choice { label, href, current: is_pinned }
}

/// Compares the others with a row, or no longer.
pub(super) fn base(words: &Words<'_>, row: &Row) -> Choice {
    let key = row.line.key();
    let is_base = words.asked.base.as_ref() == Some(&key);
    let href = parts::unpaged(words.frame).with("base", if is_base { "" } else { &key });
    let label = words.frame.t(if is_base { "board.no_base" } else { "board.base" }).to_owned();
    Choice { label, href, current: is_base }
}

#[cfg(test)]
mod tests {
    use sekisho_domain::Language;

    use super::super::fixtures;
    use super::*;

    #[test]
    fn a_column_head_sorts_and_then_turns_round() {
        let mut frame = fixtures::frame(Language::En, "/leaderboard");
        assert_eq!(sort_link(&frame, Key::Tokens, false), "/leaderboard?sort=tokens");
        frame.query = vec![("sort".to_owned(), "tokens".to_owned()), ("all".to_owned(), "1".to_owned())];
        assert_eq!(sort_link(&frame, Key::Tokens, true), "/leaderboard?all=1&order=asc&sort=tokens");
        frame.query.push(("lang".to_owned(), "ja".to_owned()));
        frame.query.push(("view".to_owned(), "bars".to_owned()));
        assert_eq!(data_link(&frame, "json"), "/leaderboard.json?sort=tokens&all=1");
    }

    #[test]
    fn a_hidden_column_is_in_the_url_and_comes_back_by_its_link() {
        let catalog = Catalog::builtin();
        let mut frame = fixtures::frame(Language::Ja, "/leaderboard");
        let chosen = |shown: &[TaskRun]| Chosen {
            all: fixtures::board_tasks(),
            shown: shown.to_vec(),
            ..Chosen::default()
        };
        let tasks = fixtures::board_tasks();
        let whole = chooser(&catalog, &frame, &Asked::of(&frame), &chosen(&tasks));
        assert_eq!(whole[1].href, "/leaderboard?hide=niilc");
        frame.query = vec![("hide".to_owned(), "niilc".to_owned())];
        let asked = Asked::of(&frame);
        let narrowed = chosen(&tasks[..1]);
        let choices = chooser(&catalog, &frame, &asked, &narrowed);
        let hrefs: Vec<&str> = choices.iter().map(|choice| choice.href.as_str()).collect();
        assert_eq!(hrefs, ["/leaderboard?hide=niilc%2Cjcommonsenseqa", "/leaderboard"]);
    }

    #[test]
    fn a_row_is_pinned_beside_others_and_taken_down_alone() {
        let catalog = Catalog::builtin();
        let mut frame = fixtures::frame(Language::En, "/leaderboard");
        let (board, rows) = fixtures::board_rows();
        let (first, second) = (&rows[0], &rows[1]);
        frame.query = vec![("pin".to_owned(), first.line.key())];
        let asked = Asked::of(&frame);
        let words = Words::new(&frame, &catalog, &asked, &board, &rows);
        let both = format!("/leaderboard?pin={}&pin={}", first.line.key(), second.line.key());
        assert_eq!((pin(&words, second).href, pin(&words, second).current), (both, false));
        assert_eq!((pin(&words, first).href, pin(&words, first).current), ("/leaderboard".to_owned(), true));
        assert_eq!(
            base(&words, second).href,
            format!("/leaderboard?pin={}&base={}", first.line.key(), second.line.key())
        );
    }
}
