//! What the page of a release shows beside its content and its approvals: the published model, history, people's texts in the card, and
//! the ends of a publication.

use sekisho_bench::compare::p_value;
use sekisho_domain::Language;
use sekisho_domain::audit::{AuditEntry, ChainedEntry};
use sekisho_domain::lineage::{ReleaseSection, Waiver};
use sekisho_domain::release::{ReleaseState, YankExtent};
use sekisho_domain::user::Role;
use sekisho_hub::card::{Editing, Section};
use sekisho_policy::LineageGraph;
use sekisho_store::{Approval, Release, User};

use super::lineage_view::{self, LineageView};
use super::parts::{Readout, When};
use super::release_view::shown_card;
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
    pub(super) progress: Option<(u64, u64)>,
    pub(super) may_break_glass: bool,
}

pub(super) struct More {
    pub(super) against: Option<AgainstView>,
    pub(super) history: Vec<HistoryRow>,
    pub(super) waivers: Vec<WaiverRow>,
    pub(super) lineage: Option<LineageView>,
    pub(super) card_form: Vec<SectionField>,
    pub(super) glass: Option<String>,
    pub(super) can_break_glass: bool,
    pub(super) successor: Option<(String, String)>,
    /// Sentence, and whether it can be asked for again.
    pub(super) yanked: Option<(String, bool)>,
    pub(super) yank_extents: &'static [YankExtent],
    pub(super) can_revise: bool,
    pub(super) can_schedule: bool,
    pub(super) scheduled: Option<String>,
    pub(super) progress: Option<(String, f64)>,
}

pub(super) struct AgainstView {
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

pub(super) struct HistoryRow {
    pub(super) when: When,
    pub(super) who: String,
    pub(super) by: &'static str,
    pub(super) action: String,
    pub(super) result: &'static str,
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

pub(super) fn view(frame: &Frame, release: &Release, facts: MoreFacts, can_edit: bool) -> More {
    let user = frame.user.as_ref();
    let has =
        |role| user.is_some_and(|user: &User| user.has_in(&release.project, role) || user.has(Role::Admin));
    let is_out = matches!(release.state, ReleaseState::Published | ReleaseState::Superseded);
    let waiting = release.state == ReleaseState::InReview && facts.may_break_glass;
    More {
        against: facts.against.map(|against| against_view(frame, against)),
        history: facts.history.iter().filter_map(|line| history_row(frame, line)).collect(),
        waivers: facts.waivers.iter().map(|waiver| waiver_row(frame, waiver)).collect(),
        lineage: facts.lineage.as_ref().map(|graph| lineage_view::view(frame.lang, graph)),
        card_form: if can_edit { fields(frame, facts.sections) } else { Vec::new() },
        glass: facts.broken_glass.map(|approval| {
            let values: [(&str, &dyn std::fmt::Display); 2] =
                [("who", &approval.user_name), ("reason", &approval.comment)];
            frame.lang.fill("release.glass_broken", &values)
        }),
        can_break_glass: waiting && user.is_some_and(|user| user.has(Role::Admin)),
        successor: facts.successor,
        yanked: yanked(frame, release),
        yank_extents: if is_out && has(Role::Publisher) { YankExtent::ALL } else { &[] },
        can_revise: release.state == ReleaseState::Published && has(Role::Contributor),
        can_schedule: release.state == ReleaseState::Approved && has(Role::Publisher),
        scheduled: release.publish_at.map(|at| frame.fill("release.scheduled", "at", frame.stamp(&at))),
        progress: facts.progress.map(|(done, total)| progress(frame, done, total)),
    }
}

/// What differs from the release that is out in the same place.
pub(super) fn changes(lang: Language, release: &Release, against: Option<&AgainstPublished>) -> Readout {
    let label = lang.t("release.changes");
    let Some(AgainstPublished { current, .. }) = against else {
        return Readout::missing(label, lang.t("missing.first_release"));
    };
    let (old, new) = (releases::target(current), releases::target(release));
    let license = |section: &ReleaseSection| section.license.clone();
    let access = |section: &ReleaseSection| (section.visibility, section.gating);
    let texts = |release: &Release| {
        let mut files = release.files.clone();
        files.remove(releases::ANNOUNCEMENT);
        files
    };
    let announced = |release: &Release| release.files.get(releases::ANNOUNCEMENT).cloned();
    let weights =
        |release: &Release| (release.checkpoint, release.prepared.as_ref().map(|made| made.weights));
    let changed = [
        ("release.changed_weights", weights(current) != weights(release)),
        ("release.license", old.as_ref().map(license) != new.as_ref().map(license)),
        ("release.visibility", old.as_ref().map(access) != new.as_ref().map(access)),
        ("release.card", (&current.card_en, &current.card_ja) != (&release.card_en, &release.card_ja)),
        ("release.changed_texts", texts(current) != texts(release)),
        ("release.announcement", announced(current) != announced(release)),
        ("release.changed_lineage", current.lineage != release.lineage || current.parents != release.parents),
    ];
    let names: Vec<&str> = changed.iter().filter(|(_, is)| *is).map(|(key, _)| lang.t(key)).collect();
    let value = if names.is_empty() {
        lang.t("release.unchanged").to_owned()
    } else {
        names.join(lang.t("common.comma"))
    };
    Readout::new(label, value, lang.fill("release.against_of", &[("name", &current.name)]))
}

#[expect(clippy::cast_precision_loss, reason = "a bar of a hundred pixels")]
fn progress(frame: &Frame, done: u64, total: u64) -> (String, f64) {
    let (so_far, all) = (format::bytes(done), format::bytes(total));
    let text = frame.lang.fill("release.progress", &[("done", &so_far), ("total", &all)]);
    (text, done as f64 / total.max(1) as f64)
}

fn yanked(frame: &Frame, release: &Release) -> Option<(String, bool)> {
    let yank = release.yank.as_ref()?;
    let when = frame.stamp(&yank.at);
    let text =
        frame.lang.fill("release.yanked", &[("who", &yank.by), ("when", &when), ("reason", &yank.reason)]);
    Some((text, !yank.done))
}

fn against_view(frame: &Frame, against: AgainstPublished) -> AgainstView {
    AgainstView {
        href: format!("/releases/{}", against.current.id),
        name: against.current.name,
        rows: against.tasks.iter().map(|task| against_row(frame, task)).collect(),
    }
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
        p: p_value(task.p),
        verdict: frame.t(key),
        is_worse,
    }
}

fn history_row(frame: &Frame, line: &ChainedEntry) -> Option<HistoryRow> {
    let entry: AuditEntry = serde_json::from_value(line.entry.clone()).ok()?;
    let verb = entry.action.rsplit('.').next().unwrap_or_default();
    let proof = entry.by.split(':').next().unwrap_or_default();
    Some(HistoryRow {
        when: frame.when(entry.at),
        by: frame.lang.find(&format!("proof.{proof}")).unwrap_or(""),
        action: frame
            .lang
            .find(&format!("release_action.{verb}"))
            .map_or_else(|| entry.action.clone(), ToOwned::to_owned),
        result: match entry.result.as_str() {
            "done" => "done",
            "refused" => "refused",
            _ => "failed",
        },
        who: entry.actor,
    })
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

fn fields(frame: &Frame, sections: Vec<(Section, String)>) -> Vec<SectionField> {
    let lang = shown_card(frame);
    let field = |(section, text): (Section, String)| SectionField {
        name: section.as_str(),
        title: section.title(lang),
        adds: section.editing() == Editing::Adds,
        text,
    };
    sections.into_iter().map(field).collect()
}
