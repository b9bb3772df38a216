//! What the page of a release shows beside its content and its approvals: the published model, history, people's texts in the card, and
//! the ends of a publication.

use sekisho_domain::audit::ChainedEntry;
use sekisho_domain::lineage::{Visibility, Waiver};
use sekisho_domain::release::{ReleaseAction, ReleaseState, YankExtent};
use sekisho_domain::user::Role;
use sekisho_domain::{Language, Timestamp};
use sekisho_hub::card::{Editing, Section};
use sekisho_policy::LineageGraph;
use sekisho_store::{Approval, Comment, Release, User};

use super::lineage_view::{self, LineageView};
use super::release_changes::{self, ChangesView, Compared};
use super::release_form::{Fields, Told};
use super::release_history::{self, HistoryRow};
use super::release_view::{Facts, shown_card};
use crate::service::comparisons::Comparison;
use crate::service::releases::{self, AgainstPublished, TaskDifference};
use crate::web::format;
use crate::web::frame::Frame;
use crate::web::i18n::Words as _;

/// Differences below it are told as such.
const ALPHA: f64 = 0.05;

/// What the page is made from, besides the rest.
#[derive(Default)]
pub(super) struct MoreFacts {
    pub(super) against: Option<AgainstPublished>,
    pub(super) history: Vec<ChainedEntry>,
    pub(super) waivers: Vec<Waiver>,
    pub(super) lineage: Option<LineageGraph>,
    /// Sections that take a text, with what stands in each, in the language of the shown card.
    pub(super) sections: Vec<(Section, String)>,
    pub(super) broken_glass: Option<Approval>,
    /// Id and name of the release that took its place.
    pub(super) successor: Option<(String, String)>,
    /// Id and name of the channel whose blanket approval carries it.
    pub(super) channel: Option<(String, String)>,
    pub(super) progress: Option<(u64, u64)>,
    pub(super) may_break_glass: bool,
    /// How the mean stands to the published one.
    pub(super) mean_change: Option<Comparison>,
    /// What is out.
    pub(super) previous: Option<Compared>,
    /// How many approvals it needs.
    pub(super) needed: u32,
    /// p below which a fall refuses.
    pub(super) significance: f64,
    /// Who approved does not publish.
    pub(super) separate: bool,
    /// There is no token to publish with.
    pub(super) no_hub: bool,
    /// The Hub does not show yet what was decided.
    pub(super) is_pending: bool,
}

pub(super) struct More {
    pub(super) changes: Option<ChangesView>,
    /// Who returned the draft, when, and why.
    pub(super) returned: Option<String>,
    /// The Hub does not show yet what was decided, and whether this person may carry it out again.
    pub(super) pending: Option<bool>,
    pub(super) against: Option<AgainstView>,
    pub(super) history: Vec<HistoryRow>,
    pub(super) waivers: Vec<WaiverRow>,
    pub(super) lineage: Option<LineageView>,
    pub(super) card_form: Vec<SectionField>,
    pub(super) card_is_open: bool,
    pub(super) glass: Option<String>,
    pub(super) can_break_glass: bool,
    pub(super) glass_form: ReasonForm,
    pub(super) successor: Option<(String, String)>,
    pub(super) yanked: Option<String>,
    pub(super) yank_extents: Vec<(&'static str, bool)>,
    pub(super) yank_form: ReasonForm,
    pub(super) can_revise: bool,
    pub(super) channel: Option<(String, String)>,
    /// Others may go out by themselves like this one.
    pub(super) can_be_model: bool,
    pub(super) can_schedule: bool,
    pub(super) scheduled: Option<String>,
    /// Label of the field, with the zone, and what stands in it.
    pub(super) schedule_form: (String, String),
    pub(super) progress: Option<(String, f64)>,
}

/// A form whose box holds a reason.
#[derive(Default)]
pub(super) struct ReasonForm {
    pub(super) reason: String,
    /// It holds what was typed and refused.
    pub(super) is_open: bool,
}

impl ReasonForm {
    fn of(typed: Option<&Fields>) -> Self {
        let reason = typed.map_or_else(String::new, |typed| typed.get("comment").to_owned());
        Self { reason, is_open: typed.is_some() }
    }
}

pub(super) struct AgainstView {
    /// Worse, better and neither, in one sentence.
    pub(super) sentence: String,
    pub(super) caption: String,
    pub(super) href: String,
    pub(super) name: String,
    pub(super) rows: Vec<AgainstRow>,
}

pub(super) struct AgainstRow {
    pub(super) task: String,
    pub(super) theirs: String,
    pub(super) ours: String,
    pub(super) delta: String,
    pub(super) interval: String,
    pub(super) p: String,
    pub(super) verdict: &'static str,
    pub(super) is_worse: bool,
}

pub(super) struct WaiverRow {
    pub(super) code: String,
    pub(super) input: String,
    pub(super) reason: String,
    pub(super) by: String,
    pub(super) until: String,
}

pub(super) struct SectionField {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) text: String,
    /// The text stands below what is computed.
    pub(super) adds: bool,
}

pub(super) fn view(frame: &Frame, all: &Facts, told: &Told, can_edit: bool) -> More {
    let (release, facts) = (&all.release, &all.more);
    let user = frame.user.as_ref();
    let has =
        |role| user.is_some_and(|user: &User| user.has_in(&release.project, role) || user.has(Role::Admin));
    let is_out = matches!(release.state, ReleaseState::Published | ReleaseState::Superseded);
    let is_private = releases::target(release).is_some_and(|target| target.visibility == Visibility::Private);
    let waiting = release.state == ReleaseState::InReview && facts.may_break_glass;
    let (card, yank) = (told.typed("card"), told.typed("yank"));
    let approved = user.is_some_and(|user| all.valid.iter().any(|approval| approval.user == user.id));
    let may_publish = has(Role::Publisher) && !facts.no_hub && !(facts.separate && approved);
    More {
        changes: release_changes::view(
            frame,
            release,
            &all.files,
            facts.lineage.as_ref(),
            facts.previous.as_ref(),
        ),
        returned: returned(frame, release, &all.comments),
        pending: facts.is_pending.then(|| has(Role::Publisher)),
        against: facts.against.as_ref().map(|against| against_view(frame, against, facts.significance)),
        history: release_history::rows(frame, &facts.history, &all.comments),
        waivers: facts.waivers.iter().map(|waiver| waiver_row(frame, waiver)).collect(),
        lineage: facts.lineage.as_ref().map(|graph| lineage_view::view(frame.lang, graph)),
        card_form: if can_edit { fields(frame, &facts.sections, card) } else { Vec::new() },
        card_is_open: card.is_some(),
        glass: facts.broken_glass.as_ref().map(|approval| {
            let values: [(&str, &dyn std::fmt::Display); 2] =
                [("who", &approval.user_name), ("reason", &approval.comment)];
            frame.lang.fill("release.glass_broken", &values)
        }),
        can_break_glass: waiting && user.is_some_and(|user| user.has(Role::Admin)),
        glass_form: ReasonForm::of(told.typed("break_glass")),
        successor: facts.successor.clone(),
        yanked: yanked(frame, release),
        yank_extents: if is_out && has(Role::Publisher) { extents(yank) } else { Vec::new() },
        yank_form: ReasonForm::of(yank),
        can_revise: release.state == ReleaseState::Published && has(Role::Contributor),
        channel: facts.channel.clone(),
        can_be_model: release.state == ReleaseState::Published && is_private && has(Role::Contributor),
        can_schedule: release.state == ReleaseState::Approved && may_publish,
        scheduled: release.publish_at.map(|at| frame.fill("release.scheduled", "at", frame.stamp(&at))),
        schedule_form: schedule_form(frame, release, told.typed("schedule")),
        progress: facts.progress.map(|(done, total)| progress(frame, done, total)),
    }
}

/// How far a yank may go, and which of that was chosen.
fn extents(typed: Option<&Fields>) -> Vec<(&'static str, bool)> {
    let chosen = typed.map_or("", |typed| typed.get("extent"));
    YankExtent::ALL.iter().map(|extent| (extent.as_str(), extent.as_str() == chosen)).collect()
}

/// The field for a time, in the zone of the page: with what was typed, the time that is set, or the next full hour.
fn schedule_form(frame: &Frame, release: &Release, typed: Option<&Fields>) -> (String, String) {
    let local = |at: Timestamp| at.to_jiff().to_zoned(frame.zone.clone());
    let next_hour = local(frame.now.plus_seconds(3600)).strftime("%Y-%m-%dT%H:00").to_string();
    let set = release.publish_at.map(|at| local(at).strftime("%Y-%m-%dT%H:%M").to_string());
    let zone = local(frame.now).strftime("%Z").to_string();
    let typed = typed.map(|typed| typed.get("at").to_owned());
    (frame.fill("release.schedule", "zone", zone), typed.or(set).unwrap_or(next_hour))
}

/// Why a draft is one again, as long as nobody has taken another step with it.
fn returned(frame: &Frame, release: &Release, comments: &[Comment]) -> Option<String> {
    let newest = last_step(comments).filter(|_| release.state == ReleaseState::Draft)?;
    let values: [(&str, &dyn std::fmt::Display); 3] =
        [("who", &newest.user_name), ("when", &frame.stamp(&newest.at)), ("comment", &newest.text)];
    Some(frame.lang.fill("release.returned", &values))
}

/// The comment of a return that nothing but plain comments came after.
pub(super) fn last_step(comments: &[Comment]) -> Option<&Comment> {
    let newest = comments.iter().rev().find(|comment| comment.action != "comment")?;
    (newest.action == ReleaseAction::Return.as_str()).then_some(newest)
}

/// `Difference from the published model: +0.006 (not significant, p = 0.210)`.
pub(super) fn mean_change(frame: &Frame, change: &Comparison) -> String {
    let key = if change.p < ALPHA { "score.significant" } else { "score.not_significant" };
    let verdict = frame.fill(key, "p", format::p_value(change.p));
    let difference = format::difference(change.difference);
    frame.lang.fill("release.mean_change", &[("change", &difference), ("verdict", &verdict)])
}

#[expect(clippy::cast_precision_loss, reason = "a bar of a hundred pixels")]
fn progress(frame: &Frame, done: u64, total: u64) -> (String, f64) {
    let (so_far, all) = (format::bytes(done), format::bytes(total));
    let text = frame.lang.fill("release.progress", &[("done", &so_far), ("total", &all)]);
    (text, done as f64 / total.max(1) as f64)
}

fn yanked(frame: &Frame, release: &Release) -> Option<String> {
    let yank = release.yank.as_ref()?;
    let when = frame.stamp(&yank.at);
    let values: [(&str, &dyn std::fmt::Display); 3] =
        [("who", &yank.by), ("when", &when), ("reason", &yank.reason)];
    Some(frame.lang.fill("release.yanked", &values))
}

fn against_view(frame: &Frame, against: &AgainstPublished, gate: f64) -> AgainstView {
    AgainstView {
        href: format!("/releases/{}", against.current.id),
        name: against.current.name.clone(),
        sentence: sentence(frame, &against.tasks),
        caption: frame.fill("release.significance", "p", gate),
        rows: against.tasks.iter().map(|task| against_row(frame, task)).collect(),
    }
}

/// Tasks that are worse, then those that are better, then how many are neither.
fn sentence(frame: &Frame, tasks: &[TaskDifference]) -> String {
    let named = |worse: bool| {
        let tasks = tasks.iter().filter(|task| task.p < ALPHA && (task.delta < 0.0) == worse);
        tasks.map(|task| task.task.as_str()).collect::<Vec<_>>().join(frame.t("common.comma"))
    };
    let (worse, better) = (named(true), named(false));
    let same = tasks.iter().filter(|task| task.p >= ALPHA).count();
    let mut parts = Vec::new();
    if !worse.is_empty() {
        parts.push(frame.fill("release.worse_tasks", "tasks", worse));
    }
    if !better.is_empty() {
        parts.push(frame.fill("release.better_tasks", "tasks", better));
    }
    if same > 0 {
        parts.push(frame.fill("release.same_tasks", "n", same));
    }
    parts.join(if frame.lang == Language::Ja { "" } else { " " })
}

fn against_row(frame: &Frame, task: &TaskDifference) -> AgainstRow {
    let (key, is_worse) = match (task.p < ALPHA, task.delta < 0.0) {
        (true, true) => ("release.worse", true),
        (true, false) => ("release.better", false),
        (false, _) => ("release.same", false),
    };
    AgainstRow {
        task: format!("{} {}", task.profile, task.task),
        theirs: format::score(task.theirs),
        ours: format::score(task.ours),
        delta: format::difference(task.delta),
        interval: format::interval(task.low, task.high),
        p: format::p_value(task.p),
        verdict: frame.t(key),
        is_worse,
    }
}

fn waiver_row(frame: &Frame, waiver: &Waiver) -> WaiverRow {
    WaiverRow {
        code: waiver.code.clone(),
        input: waiver.input.clone().unwrap_or_default(),
        reason: waiver.reason.clone(),
        by: waiver.by.clone(),
        until: waiver
            .until
            .map_or_else(String::new, |until| frame.fill("release.waiver_until", "until", until)),
    }
}

fn fields(frame: &Frame, sections: &[(Section, String)], typed: Option<&Fields>) -> Vec<SectionField> {
    let lang = shown_card(frame);
    let field = |(section, text): &(Section, String)| SectionField {
        name: section.as_str(),
        title: section.title(lang),
        adds: section.editing() == Editing::Adds,
        text: typed.map_or_else(|| text.clone(), |typed| typed.get(&format!("card.{section}")).to_owned()),
    };
    sections.iter().map(field).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::pages::fixtures;

    #[test]
    fn a_returned_draft_says_by_whom_until_another_step_is_taken() {
        let frame = fixtures::frame(Language::En, "/");
        let mut release = fixtures::release();
        let mut comments = fixtures::comments();
        assert!(returned(&frame, &release, &comments).is_none(), "it is in review again");
        release.state = ReleaseState::Draft;
        comments.push(Comment {
            action: "comment".to_owned(),
            text: "Which one?".to_owned(),
            ..comments[0].clone()
        });
        let text = returned(&frame, &release, &comments).expect("returned");
        assert!(text.starts_with("Returned by ueda (2026-11-21 13:23 +09): \"NOTICE"), "{text}");
        comments.push(Comment { action: "freeze".to_owned(), ..comments[0].clone() });
        assert!(returned(&frame, &release, &comments).is_none());
    }

    #[test]
    fn the_comparison_is_one_sentence_with_the_bad_news_first() {
        let facts = fixtures::release_facts(fixtures::release());
        let mut tasks = facts.more.against.expect("compared").tasks;
        let told = |lang, tasks: &[TaskDifference]| sentence(&fixtures::frame(lang, "/"), tasks);
        assert_eq!(told(Language::Ja, &tasks), "有意に低下：niilc。有意に向上：niilc。有意差なし：1タスク。");
        assert_eq!(told(Language::En, &tasks), "Worse: niilc. Better: niilc. Not significant: 1.");
        tasks.truncate(1);
        assert_eq!(told(Language::En, &tasks), "Better: niilc.");
    }

    #[test]
    fn the_time_is_asked_for_in_a_named_zone() {
        let frame = fixtures::frame(Language::En, "/");
        let mut release = fixtures::release();
        let form = schedule_form(&frame, &release, None);
        assert_eq!(form, ("Publish at (+09)".to_owned(), "2026-11-21T15:00".to_owned()));
        release.publish_at = Some(frame.now.plus_seconds(86_400));
        assert_eq!(schedule_form(&frame, &release, None).1, "2026-11-22T14:03");
        let soon = Told::form("no", "schedule", &[("at", "soon")]);
        assert_eq!(schedule_form(&frame, &release, soon.typed("schedule")).1, "soon");
    }
}
