//! A run between the run that it goes on from and those that go on from it.

use sekisho_store::Run;

use super::compare_figures::stage;
use super::run_load::Facts;
use super::run_sheet;
use crate::service::lineage::Fork;
use crate::web::frame::Frame;
use crate::web::i18n::Words as _;

/// Settings that are named at a fork; the part with the settings has them all.
const NAMED: usize = 4;

/// The tree; empty parts where it stands alone.
pub(super) struct Tree {
    pub(super) parent: Option<Node>,
    /// What this run changes, in words.
    pub(super) changes: Option<String>,
    pub(super) branches: Vec<Node>,
}

/// Another run.
pub(super) struct Node {
    pub(super) href: String,
    pub(super) name: String,
    /// Where the two part, and how.
    pub(super) words: String,
}

impl Tree {
    pub(super) fn of(frame: &Frame, facts: &Facts) -> Self {
        let fork = facts.fork.as_ref().map(|(fork, _)| fork);
        Self {
            parent: fork.map(|fork| parent(frame, fork)),
            changes: fork.map(|fork| changes(frame, &fork.parent, &facts.run)),
            branches: facts.branches.iter().map(|child| branch(frame, child)).collect(),
        }
    }

    pub(super) fn is_alone(&self) -> bool {
        self.parent.is_none() && self.branches.is_empty()
    }
}

fn parent(frame: &Frame, fork: &Fork) -> Node {
    Node {
        href: format!("/runs/{}", fork.parent.name),
        name: fork.parent.name.clone(),
        words: frame.lang.fill("run.leaves", &[("step", &fork.step), ("tokens", &fork.tokens.short())]),
    }
}

fn branch(frame: &Frame, child: &Run) -> Node {
    let step = child.spec.as_ref().and_then(|spec| spec["parent"]["step"].as_u64());
    let at =
        step.map(|step| frame.fill("run.at_step", "step", sekisho_domain::Step(step))).unwrap_or_default();
    let kind = frame.t(stage(child));
    Node {
        href: format!("/runs/{}", child.name),
        name: child.name.clone(),
        words: [at.as_str(), kind]
            .iter()
            .filter(|word| !word.is_empty())
            .copied()
            .collect::<Vec<_>>()
            .join(" · "),
    }
}

/// `schedule.decay_steps 200 → 100`: the first of what differs from the parent, and how much there is more.
fn changes(frame: &Frame, parent: &Run, run: &Run) -> String {
    let differing: Vec<_> = run_sheet::differences(parent.spec.as_ref(), run.spec.as_ref())
        .into_iter()
        .filter(|one| !one.path.starts_with("parent"))
        .collect();
    if differing.is_empty() {
        return frame.t("sheet.same").to_owned();
    }
    let text =
        |value: &Option<String>| value.clone().unwrap_or_else(|| frame.t("compare.not_said").to_owned());
    let named = differing
        .iter()
        .take(NAMED)
        .map(|one| format!("{} {} → {}", one.path, text(&one.values[0]), text(&one.values[1])));
    let mut words = named.collect::<Vec<_>>().join(frame.t("common.comma"));
    if differing.len() > NAMED {
        words.push_str(&frame.fill("run.and_more", "n", differing.len() - NAMED));
    }
    frame.fill("run.changes", "what", words)
}
