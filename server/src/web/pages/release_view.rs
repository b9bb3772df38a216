//! The view of `/releases/{id}`, made from what the store knows about the release.

use std::collections::BTreeMap;

use askama::Template;
use sekisho_bench::Catalog;
use sekisho_domain::Language;
use sekisho_domain::lineage::ReleaseSection;
use sekisho_domain::manifest::FileEntry;
use sekisho_domain::release::{ReleaseAction, ReleaseState};
use sekisho_policy::Decision;
use sekisho_store::{Approval, Comment, PublishStep, Release, ScoreRow, User};

use super::card;
use super::findings::{self, FindingGroup};
use super::parts::{Choice, Readout, ScoreCell};
use super::release_claims::{self, AnnouncementView, Checked};
use super::release_form::{Fields, Told};
use super::release_more::{self, More, MoreFacts};
use super::release_steps::{self, StepRow};
use super::review::{self, Ground, Offer};
use super::scored::Scored;
use super::task_rows::{self, Standings, TaskRow};
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
    comment: String,
    topics: String,
    road: Vec<Milestone>,
    verdict: &'static str,
    readouts: Vec<Readout>,
    offers: Vec<Offer>,
    can_comment: bool,
    findings: Vec<FindingGroup>,
    policy: String,
    files: Vec<FileRow>,
    /// More files and the signature come later.
    is_open: bool,
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
    announcement: AnnouncementView,
    more: More,
}

/// The part that is fetched again when something changes.
#[derive(Template)]
#[template(path = "releases/release.html", block = "live")]
pub(super) struct ReleaseLive {
    frame: Frame,
    topics: String,
    road: Vec<Milestone>,
    verdict: &'static str,
    readouts: Vec<Readout>,
    release: Release,
    url: Option<String>,
    steps: Vec<StepRow>,
    more: More,
}

impl ReleaseLive {
    pub(super) fn of(page: ReleasePage) -> Self {
        let ReleasePage { frame, topics, road, verdict, readouts, release, url, steps, more, .. } = page;
        Self { frame, topics, road, verdict, readouts, release, url, steps, more }
    }
}

/// One state of the road.
struct Milestone {
    state: ReleaseState,
    is_passed: bool,
    is_current: bool,
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

/// The author's form: the same fields as when it was proposed.
struct EditForm {
    lineage: String,
    license: String,
    notice: String,
    use_policy: String,
    announcement: String,
    /// Approvals that saving would void.
    voids: usize,
    /// It holds what was typed and refused.
    is_open: bool,
}

/// Everything that the page is made from.
pub(super) struct Facts {
    pub(super) release: Release,
    pub(super) author: String,
    pub(super) target: Option<ReleaseSection>,
    pub(super) model: Scored,
    pub(super) scores: Vec<ScoreRow>,
    pub(super) standings: Standings,
    /// What is or would be published.
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
    facts: Facts,
    told: &Told,
    checked: Option<Checked>,
) -> ReleasePage {
    let lang = frame.lang;
    let (release, more) = (&facts.release, &facts.more);
    let decision: Option<Decision> =
        release.decision.clone().and_then(|json| serde_json::from_value(json).ok());
    let card = shown_card(&frame);
    let edit = edit_form(&frame, &facts, told.typed("edit"));
    let ground =
        Ground { valid: &facts.valid, leave: facts.leave, separate: more.separate, no_hub: more.no_hub };
    let offers = review::offers(lang, frame.user.as_ref(), release, &ground);
    ReleasePage {
        more: release_more::view(&frame, &facts, told, edit.is_some()),
        card_language: card.as_str(),
        how: how(release, &offers),
        topics: format!("release:{}", release.id),
        proposed: lang
            .fill("release.by", &[("who", &facts.author), ("when", &frame.stamp(&release.created))]),
        notice: told.notice.clone(),
        comment: told.comment().to_owned(),
        road: road(release.state),
        verdict: decision.as_ref().map_or("open", |d| if d.allowed() { "allowed" } else { "refused" }),
        readouts: readouts(&frame, &facts, decision.as_ref()),
        can_comment: frame.user.as_ref().is_some_and(|user| may_comment(user, release)),
        findings: decision.as_ref().map(|d| findings::groups(lang, d)).unwrap_or_default(),
        policy: decision.as_ref().map_or_else(String::new, |d| {
            format!("{} {} ({})", d.policy.name, d.policy.version, d.policy.digest.short())
        }),
        files: file_rows(&facts.files),
        is_open: matches!(release.state, ReleaseState::Draft | ReleaseState::Frozen),
        model_href: format!("/checkpoints/{}", release.checkpoint),
        model: format!(
            "{} · {}",
            facts.model.checkpoint.run_name,
            lang.fill("run.at_step", &[("step", &facts.model.checkpoint.step)])
        ),
        evaluation: evaluation(&frame, catalog, &facts),
        approvals: approval_rows(&frame, &facts),
        comments: comment_rows(&frame, &facts.comments),
        steps: release_steps::rows(&frame, &facts),
        announcement: release_claims::view(&frame, facts.texts.get(ANNOUNCEMENT), checked),
        cards: card_choices(&frame, card),
        card: card::render(if card == Language::Ja { &release.card_ja } else { &release.card_en }),
        offers,
        edit,
        url: release.url.clone(),
        release: facts.release,
        frame,
    }
}

/// Who may comment: with one of the roles everywhere, or in the release's project.
fn may_comment(user: &User, release: &Release) -> bool {
    COMMENTERS.iter().any(|role| user.has_in(&release.project, *role))
}

/// The commands of the page: one for each action that is offered.
fn how(release: &Release, offers: &[Offer]) -> Vec<String> {
    let possible = offers.iter().filter(|offer| offer.reason.is_none());
    let act = |offer: &Offer| match offer.action {
        ReleaseAction::Return | ReleaseAction::Reject => {
            format!("sekisho release {} {} --message \"…\"", offer.action, release.id)
        }
        action => format!("sekisho release {action} {}", release.id),
    };
    let show = format!("sekisho release show {}", release.id);
    std::iter::once(show)
        .chain(possible.map(act))
        .chain([format!("GET /api/v1/releases/{}", release.id)])
        .collect()
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

/// In the order in which an approver reads them: where to, who will see it, under which licence, what stands in the way.
fn readouts(frame: &Frame, facts: &Facts, decision: Option<&Decision>) -> Vec<Readout> {
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
        let mut sub = interval.unwrap_or_else(tasks);
        if let Some(change) = &facts.more.mean_change {
            sub = format!("{sub} {}", release_more::mean_change(frame, change));
        }
        (format::score(mean.value), sub)
    });
    let found = decision.map(|d| plain(format!("{} / {}", d.violations.len(), d.warnings.len())));
    let approvals = format!("{} / {}", facts.valid.len(), facts.more.needed);
    vec![
        Readout::of(lang.t("release.repo"), target.map(|t| (t.repo.clone(), t.revision.clone())), no_target),
        Readout::of(lang.t("release.visibility"), target.map(visible), no_target),
        Readout::of(lang.t("release.license"), target.map(|t| plain(t.license.join(", "))), no_target),
        Readout::of(lang.t("run.mean_short"), mean, lang.t("missing.not_evaluated")),
        Readout::of(lang.t("release.violations_warnings"), found, lang.t("missing.not_judged")),
        Readout::new(lang.t("release.approvals"), approvals, ""),
    ]
}

fn file_rows(files: &[FileEntry]) -> Vec<FileRow> {
    let row = |file: &FileEntry| FileRow {
        path: file.path.clone(),
        size: format::bytes(file.size),
        sha256: file.sha256.hex(),
    };
    let mut rows: Vec<FileRow> = files.iter().map(row).collect();
    rows.sort_by(|a, b| a.path.cmp(&b.path));
    rows
}

fn evaluation(frame: &Frame, catalog: &Catalog, facts: &Facts) -> Option<EvaluationView> {
    let evaluation = facts.model.evaluation.as_ref()?;
    Some(EvaluationView {
        href: format!("/evals/{}", evaluation.id),
        suite: evaluation.suite.clone(),
        mean: facts.model.mean_cell(frame.lang),
        rows: task_rows::rows(frame, catalog, &facts.model.found.work, &facts.scores, &facts.standings),
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

fn card_choices(frame: &Frame, current: Language) -> Vec<Choice> {
    [(Language::En, "README.md"), (Language::Ja, "README_ja.md")]
        .map(|(lang, file)| Choice {
            label: file.to_owned(),
            href: format!("{}#card", frame.with("card", lang.as_str())),
            current: lang == current,
        })
        .to_vec()
}

/// With what was typed, when that was refused.
fn edit_form(frame: &Frame, facts: &Facts, typed: Option<&Fields>) -> Option<EditForm> {
    let is_author = frame.user.as_ref().is_some_and(|user| user.id == facts.release.author);
    let possible = facts.leave.allows(ReleaseAction::Edit)
        && ReleaseState::sources(ReleaseAction::Edit).contains(&facts.release.state);
    let text = |path: &str| facts.texts.get(path).cloned().unwrap_or_default();
    let given = |path: &str| {
        if facts.release.given.iter().any(|name| name == path) { text(path) } else { String::new() }
    };
    let field = |name: &str, kept: String| typed.map_or(kept, |typed| typed.get(name).to_owned());
    (is_author && possible).then(|| EditForm {
        lineage: field("lineage", facts.release.lineage.clone()),
        license: field("license", given("LICENSE")),
        notice: field("notice", given("NOTICE")),
        use_policy: field("use_policy", given("USE_POLICY.md")),
        announcement: field("announcement", text(ANNOUNCEMENT)),
        voids: facts.valid.len(),
        is_open: typed.is_some(),
    })
}

#[cfg(test)]
pub(super) fn samples(frame: &Frame) -> Vec<String> {
    use sekisho_domain::user::Role;

    use super::fixtures;
    use super::release_changes::Compared;
    let catalog = Catalog::builtin();
    let of = |facts: Facts, user: Option<User>, told: &Told, checked: Option<Checked>| {
        let frame = Frame { user, csrf: "csrf_x".to_owned(), ..frame.clone() };
        view(frame, &catalog, facts, told, checked)
    };
    let page = |release: Release, user: Option<User>, told: &Told| {
        of(fixtures::release_facts(release), user, told, None).render().expect("renders")
    };
    let everybody = [Role::Contributor, Role::Approver, Role::Publisher, Role::Admin];
    let author = |release: &Release| Some(fixtures::user("mori", release.author, &everybody));
    let in_state = |state| Release { state, ..fixtures::release() };
    let none = Told::default();
    let review = fixtures::release();
    let draft = Release { decision: None, digest: None, ..in_state(ReleaseState::Draft) };
    let refused = Release { state: ReleaseState::PolicyChecked, ..fixtures::refused_release() };
    let stopped = in_state(ReleaseState::Publishing);
    let typed = Told::form("changed", "edit", &[("lineage", "typed <here>"), ("notice", "mine")]);
    let edit = page(review.clone(), author(&review), &typed);
    assert!(edit.contains("typed &#60;here&#62;") && edit.contains("<details open>"), "an edit is kept");
    let live = ReleaseLive::of(of(fixtures::release_facts(stopped.clone()), None, &none, None));
    let live = live.render().expect("renders");
    assert!(live.trim_start().starts_with("<div id=\"live\" data-topics=\"release:"), "{}", &live[..200]);
    let first = |mut facts: Facts| {
        (facts.more.against, facts.texts) = (None, BTreeMap::new());
        of(facts, None, &none, Some(release_claims::checked(Vec::new()))).render().expect("renders")
    };
    let yanked = Release { yank: Some(fixtures::yank()), ..in_state(ReleaseState::Yanked) };
    let mut pending = fixtures::release_facts(yanked);
    pending.more.is_pending = true;
    let yank = Told::form("no", "yank", &[("comment", "leaked"), ("extent", "gate")]);
    let glass = Told::form("no", "break_glass", &[("comment", "an hour")]);
    let mut compared = fixtures::release_facts(review.clone());
    let old = Release { name: "v3-8b".to_owned(), card_edits: BTreeMap::new(), ..review.clone() };
    compared.more.previous = Some(Compared::new(old, Vec::new(), &fixtures::lineage_graph()));
    let approved = in_state(ReleaseState::Approved);
    let published = in_state(ReleaseState::Published);
    vec![
        page(review.clone(), None, &none),
        page(review.clone(), author(&review), &Told::of("changed".to_owned())),
        edit,
        page(review.clone(), author(&review), &glass),
        page(draft.clone(), author(&draft), &Told::form("no", "card", &[("card.intro", "<i>")])),
        page(refused, None, &none),
        page(in_state(ReleaseState::Rejected), None, &none),
        page(stopped.clone(), author(&stopped), &none),
        page(approved.clone(), author(&approved), &Told::form("no", "schedule", &[("at", "soon")])),
        page(published.clone(), author(&published), &yank),
        of(pending, author(&published), &none, None).render().expect("renders"),
        of(compared, None, &none, None).render().expect("renders"),
        first(fixtures::release_facts(review)),
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
