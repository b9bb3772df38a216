//! The view of `/releases/{id}`, made from what the store knows about the release.

use std::collections::BTreeMap;

use askama::Template;
use sekisho_bench::Catalog;
use sekisho_domain::lineage::ReleaseSection;
use sekisho_domain::manifest::FileEntry;
use sekisho_domain::release::{ReleaseAction, ReleaseState};
use sekisho_domain::{Language, Sha256};
use sekisho_policy::{Decision, Finding};
use sekisho_store::{Approval, Comment, PublishStep, Release, ScoreRow, StepState};

use super::card;
use super::parts::{Choice, Readout, ScoreCell};
use super::quotes;
use super::release_more::{self, More, MoreFacts};
use super::review::{self, Offer};
use super::scored::Scored;
use super::task_rows::{self, TaskRow};
use crate::service::releases::{ANNOUNCEMENT, COMMENTERS, Leave};
use crate::web::format;
use crate::web::frame::Frame;
use crate::web::i18n::Words as _;

#[derive(Template)]
#[template(path = "releases/release.html")]
pub(super) struct ReleasePage {
    frame: Frame,
    how: Vec<String>,
    release: Release,
    /// Who proposed it, and when.
    proposed: String,
    notice: Option<String>,
    /// Who returned the draft, and why.
    returned: Option<String>,
    comment: String,
    road: Vec<Milestone>,
    verdict: &'static str,
    readouts: Vec<Readout>,
    offers: Vec<Offer>,
    can_comment: bool,
    findings: Vec<FindingGroup>,
    policy: String,
    /// What is announced, in pieces; those are marked that a finding quotes.
    announcement: Vec<(bool, String)>,
    files: Vec<FileRow>,
    model_href: String,
    model: String,
    evaluation: Option<EvaluationView>,
    approvals: Vec<ApprovalRow>,
    comments: Vec<CommentRow>,
    steps: Vec<StepRow>,
    cards: Vec<Choice>,
    card: String,
    edit: Option<EditForm>,
    url: Option<String>,
    card_language: &'static str,
    more: More,
}

/// One state of the road.
struct Milestone {
    state: ReleaseState,
    is_passed: bool,
    is_current: bool,
}

struct FindingGroup {
    kind: &'static str,
    findings: Vec<FindingRow>,
}

struct FindingRow {
    code: &'static str,
    /// Its words, with those that somebody wrote and must take back apart: before, inside and behind.
    text: (String, String, String),
    /// Of an obligation: the text that it asks for is among the files.
    is_included: bool,
    derivation: Vec<String>,
}

struct FileRow {
    path: String,
    size: String,
    sha256: String,
}

struct EvaluationView {
    href: String,
    suite: String,
    mean: ScoreCell,
    rows: Vec<TaskRow>,
}

struct ApprovalRow {
    who: String,
    at: String,
    digest: String,
    /// Why it counts no longer.
    void: Option<&'static str>,
    comment: String,
}

struct CommentRow {
    who: String,
    at: String,
    action: &'static str,
    text: String,
}

struct StepRow {
    name: String,
    state: &'static str,
    detail: String,
    at: String,
}

/// The author's form: the same fields as when it was proposed.
struct EditForm {
    lineage: String,
    license: String,
    notice: String,
    use_policy: String,
    announcement: String,
    /// Approvals that saving would void.
    voids: usize,
}

/// Everything that the page is made from.
pub(super) struct Facts {
    pub(super) release: Release,
    pub(super) author: String,
    pub(super) target: Option<ReleaseSection>,
    pub(super) model: Scored,
    pub(super) scores: Vec<ScoreRow>,
    pub(super) files: Vec<FileEntry>,
    pub(super) texts: BTreeMap<String, String>,
    pub(super) parents: BTreeMap<String, String>,
    /// How it may leave its place.
    pub(super) leave: Leave,
    pub(super) approvals: Vec<Approval>,
    /// Those of exactly this content, whatever has become of the approvers.
    pub(super) of_content: Vec<Approval>,
    /// Those that count.
    pub(super) valid: Vec<Approval>,
    pub(super) comments: Vec<Comment>,
    pub(super) steps: Vec<PublishStep>,
    pub(super) more: MoreFacts,
}

pub(super) fn view(
    frame: Frame,
    catalog: &Catalog,
    mut facts: Facts,
    notice: Option<String>,
    comment: &str,
) -> ReleasePage {
    let more = std::mem::take(&mut facts.more);
    let changes = release_more::changes(frame.lang, &facts.release, more.against.as_ref());
    let lang = frame.lang;
    let release = &facts.release;
    let decision: Option<Decision> =
        release.decision.clone().and_then(|json| serde_json::from_value(json).ok());
    let card = shown_card(&frame);
    let edit = edit_form(&frame, &facts);
    ReleasePage {
        more: release_more::view(&frame, release, more, edit.is_some()),
        card_language: card.as_str(),
        how: vec![
            format!("sekisho release show {}", release.id),
            format!("GET /api/v1/releases/{}", release.id),
        ],
        proposed: lang
            .fill("release.by", &[("who", &facts.author), ("when", &frame.stamp(&release.created))]),
        notice,
        returned: returned(&frame, release.state, &facts.comments),
        comment: comment.to_owned(),
        road: road(release.state),
        verdict: decision.as_ref().map_or("open", |d| if d.allowed() { "allowed" } else { "refused" }),
        readouts: readouts(&frame, &facts, changes, decision.as_ref()),
        offers: review::offers(lang, frame.user.as_ref(), release, &facts.valid, facts.leave),
        can_comment: frame.user.as_ref().is_some_and(|user| COMMENTERS.iter().any(|role| user.has(*role))),
        findings: decision.as_ref().map(|d| finding_groups(lang, d)).unwrap_or_default(),
        policy: decision.as_ref().map_or_else(String::new, |d| {
            format!("{} {} ({})", d.policy.name, d.policy.version, d.policy.digest.short())
        }),
        announcement: facts
            .texts
            .get(ANNOUNCEMENT)
            .map(|text| quotes::announcement(lang, text, decision.as_ref()))
            .unwrap_or_default(),
        files: file_rows(&facts),
        model_href: format!("/checkpoints/{}", release.checkpoint),
        model: format!(
            "{} · {}",
            facts.model.checkpoint.run_name,
            lang.fill("run.at_step", &[("step", &facts.model.checkpoint.step)])
        ),
        evaluation: evaluation(&frame, catalog, &facts),
        approvals: approval_rows(&frame, &facts),
        comments: comment_rows(&frame, &facts.comments),
        steps: facts.steps.iter().map(|step| step_row(&frame, step)).collect(),
        cards: card_choices(&frame, card),
        card: card::render(if card == Language::Ja { &release.card_ja } else { &release.card_en }),
        edit,
        url: release.url.clone(),
        release: facts.release,
        frame,
    }
}

/// The language of the card that is shown: the one asked for, else the reader's.
pub(super) fn shown_card(frame: &Frame) -> Language {
    match frame.param("card") {
        Some("ja") => Language::Ja,
        Some("en") => Language::En,
        _ => frame.lang,
    }
}

fn road(state: ReleaseState) -> Vec<Milestone> {
    // A release that left the road stands beside its end.
    let at = review::ROAD.iter().position(|s| *s == state);
    let after = matches!(state, ReleaseState::Superseded | ReleaseState::Yanked);
    let mut road: Vec<Milestone> = review::ROAD
        .into_iter()
        .enumerate()
        .map(|(i, s)| Milestone {
            state: s,
            is_passed: after || at.is_some_and(|at| i < at),
            is_current: at == Some(i),
        })
        .collect();
    if at.is_none() {
        road.push(Milestone { state, is_passed: false, is_current: true });
    }
    road
}

/// In the order in which an approver reads them: where to, who will see it, under which licence, what is new, what stands in the way.
fn readouts(frame: &Frame, facts: &Facts, changes: Readout, decision: Option<&Decision>) -> Vec<Readout> {
    let lang = frame.lang;
    let target = facts.target.as_ref();
    let no_target = lang.t("missing.no_target");
    let plain = |value: String| (value, String::new());
    let visible = |t: &ReleaseSection| {
        let visibility = lang.t(&format!("visibility.{}", t.visibility)).to_owned();
        (visibility, lang.t(&format!("gating.{}", t.gating)).to_owned())
    };
    let mean = facts.model.mean().map(|mean| {
        let interval = mean.interval.map(|(low, high)| format::interval(low, high));
        let tasks = || lang.fill("score.tasks_done", &[("done", &mean.done), ("of", &mean.of)]);
        (format::score(mean.value), interval.unwrap_or_else(tasks))
    });
    let found = decision.map(|d| plain(format!("{} / {}", d.violations.len(), d.warnings.len())));
    let approvals = format!("{} / {}", facts.valid.len(), facts.release.approvals_needed);
    vec![
        Readout::of(lang.t("release.repo"), target.map(|t| (t.repo.clone(), t.revision.clone())), no_target),
        Readout::of(lang.t("release.visibility"), target.map(visible), no_target),
        Readout::of(lang.t("release.license"), target.map(|t| plain(t.license.join(", "))), no_target),
        changes,
        Readout::of(lang.t("run.mean_short"), mean, lang.t("missing.not_evaluated")),
        Readout::of(lang.t("release.violations_warnings"), found, lang.t("missing.not_judged")),
        Readout::new(lang.t("release.approvals"), approvals, ""),
    ]
}

fn finding_groups(lang: Language, decision: &Decision) -> Vec<FindingGroup> {
    let row = |finding: &Finding| FindingRow {
        code: finding.code.as_str(),
        text: quotes::marked(finding, lang),
        is_included: decision.includes(finding),
        derivation: finding.derivation.clone(),
    };
    [
        ("violations", &decision.violations),
        ("warnings", &decision.warnings),
        ("obligations", &decision.obligations),
    ]
    .map(|(kind, findings)| FindingGroup { kind, findings: findings.iter().map(row).collect() })
    .into_iter()
    .collect()
}

fn file_rows(facts: &Facts) -> Vec<FileRow> {
    let release = &facts.release;
    let cards = [("README.md", &release.card_en), ("README_ja.md", &release.card_ja)];
    let texts = facts
        .texts
        .iter()
        .filter(|(path, _)| *path != ANNOUNCEMENT)
        .map(|(path, text)| (path.as_str(), text));
    let text_row = |(path, text): (&str, &String)| FileRow {
        path: path.to_owned(),
        size: format::bytes(text.len() as u64),
        sha256: Sha256::of(text).hex(),
    };
    let model_row = |file: &FileEntry| FileRow {
        path: file.path.clone(),
        size: format::bytes(file.size),
        sha256: file.sha256.hex(),
    };
    let mut rows: Vec<FileRow> =
        cards.into_iter().chain(texts).map(text_row).chain(facts.files.iter().map(model_row)).collect();
    rows.sort_by(|a, b| a.path.cmp(&b.path));
    rows
}

fn evaluation(frame: &Frame, catalog: &Catalog, facts: &Facts) -> Option<EvaluationView> {
    let evaluation = facts.model.evaluation.as_ref()?;
    Some(EvaluationView {
        href: format!("/evals/{}", evaluation.id),
        suite: evaluation.suite.clone(),
        mean: facts.model.mean_cell(frame.lang),
        rows: task_rows::rows(frame, catalog, &facts.model.work, &facts.scores),
    })
}

fn approval_rows(frame: &Frame, facts: &Facts) -> Vec<ApprovalRow> {
    let row = |approval: &Approval| ApprovalRow {
        who: approval.user_name.clone(),
        at: frame.stamp(&approval.at),
        digest: approval.digest.short(),
        void: void(frame.lang, facts, approval),
        comment: approval.comment.clone(),
    };
    facts.approvals.iter().map(row).collect()
}

/// Why an approval does not count: it is of another content, or was before the content came back; or the approver is one no longer.
fn void(lang: Language, facts: &Facts, approval: &Approval) -> Option<&'static str> {
    if facts.valid.contains(approval) {
        return None;
    }
    Some(lang.t(if facts.of_content.contains(approval) { "release.void_role" } else { "release.void" }))
}

/// The last word on a draft that was returned.
fn returned(frame: &Frame, state: ReleaseState, comments: &[Comment]) -> Option<String> {
    let why = comments.iter().rev().find(|comment| comment.action == ReleaseAction::Return.as_str())?;
    let (who, when) = (&why.user_name, frame.stamp(&why.at));
    let values: [(&str, &dyn std::fmt::Display); 3] = [("who", who), ("when", &when), ("why", &why.text)];
    (state == ReleaseState::Draft).then(|| frame.lang.fill("release.returned", &values))
}

/// Newest first: what an author of a returned draft must read stands on top.
fn comment_rows(frame: &Frame, comments: &[Comment]) -> Vec<CommentRow> {
    let row = |comment: &Comment| CommentRow {
        who: comment.user_name.clone(),
        at: frame.stamp(&comment.at),
        action: frame.lang.find(&format!("release_action.{}", comment.action)).unwrap_or(""),
        text: comment.text.clone(),
    };
    comments.iter().rev().map(row).collect()
}

fn step_row(frame: &Frame, step: &PublishStep) -> StepRow {
    StepRow {
        name: step.name.clone(),
        state: match step.state {
            StepState::Intended if step.is_stop() => "unknown",
            StepState::Intended => "running",
            StepState::Done => "finished",
            StepState::Failed => "failed",
        },
        detail: step.detail.get(frame.lang).to_owned(),
        at: frame.stamp(&step.at),
    }
}

fn card_choices(frame: &Frame, current: Language) -> Vec<Choice> {
    [(Language::En, "README.md"), (Language::Ja, "README_ja.md")]
        .map(|(lang, file)| Choice {
            label: file.to_owned(),
            href: format!("{}#card", frame.with("card", lang.as_str())),
            current: lang == current,
        })
        .to_vec()
}

fn edit_form(frame: &Frame, facts: &Facts) -> Option<EditForm> {
    let is_author = frame.user.as_ref().is_some_and(|user| user.id == facts.release.author);
    let possible = facts.leave.allows(ReleaseAction::Edit)
        && ReleaseState::sources(ReleaseAction::Edit).contains(&facts.release.state);
    let text = |path: &str| facts.texts.get(path).cloned().unwrap_or_default();
    let given = |path: &str| {
        if facts.release.given.iter().any(|name| name == path) { text(path) } else { String::new() }
    };
    (is_author && possible).then(|| EditForm {
        lineage: facts.release.lineage.clone(),
        license: given("LICENSE"),
        notice: given("NOTICE"),
        use_policy: given("USE_POLICY.md"),
        announcement: text(ANNOUNCEMENT),
        voids: facts.valid.len(),
    })
}

#[cfg(test)]
pub(super) fn samples(frame: &Frame) -> Vec<String> {
    use super::fixtures;
    let catalog = Catalog::builtin();
    let page = |release: Release, user: Option<sekisho_store::User>, notice: Option<&str>| {
        let facts = fixtures::release_facts(release);
        let frame = Frame { user, csrf: "csrf_x".to_owned(), ..frame.clone() };
        let notice = notice.map(ToOwned::to_owned);
        view(frame, &catalog, facts, notice, "a < b").render().expect("renders")
    };
    let author = |release: &Release| {
        Some(fixtures::user("mori", release.author, &[sekisho_domain::user::Role::Contributor]))
    };
    let review = fixtures::release();
    let mut draft = fixtures::release();
    (draft.state, draft.decision, draft.digest) = (ReleaseState::Draft, None, None);
    let mut refused = fixtures::refused_release();
    refused.state = ReleaseState::PolicyChecked;
    let mut rejected = fixtures::release();
    rejected.state = ReleaseState::Rejected;
    let mut stopped = fixtures::release();
    stopped.state = ReleaseState::Publishing;
    vec![
        page(review.clone(), None, None),
        page(review.clone(), author(&review), Some("changed")),
        page(draft.clone(), author(&draft), None),
        page(refused, None, None),
        page(rejected, None, None),
        page(stopped.clone(), author(&stopped), None),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_road_shows_where_a_release_stands_also_when_it_has_left_it() {
        let review = road(ReleaseState::InReview);
        assert_eq!(review.iter().filter(|m| m.is_passed).count(), 3);
        let yanked = road(ReleaseState::Yanked);
        assert_eq!((yanked.len(), yanked.iter().filter(|m| m.is_passed).count()), (8, 7));
        assert_eq!(road(ReleaseState::Rejected).iter().filter(|m| m.is_passed).count(), 0);
    }
}
