//! `/checkpoints/{id}`: what a checkpoint is, what the examination of its bytes found, its scores, and the way to a release.

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use sekisho_bench::Catalog;
use sekisho_domain::Tokens;
use sekisho_domain::checkpoint::CheckpointState;
use sekisho_domain::release::ReleaseState;
use sekisho_domain::user::Role;
use sekisho_policy::LineageGraph;
use sekisho_store::{Checkpoint, Release, Verification};
use serde::Deserialize;

use super::error;
use super::lineage_view::{self, LineageView};
use super::parts::{self, Readout, ScoreCell, When};
use super::scored::Scored;
use super::task_rows::{self, Standings, TaskRow};
use crate::service::releases::{self, Proposal};
use crate::service::{checkpoints, contamination, copies, lineage, runs};
use crate::web::format;
use crate::web::frame::Frame;
use crate::web::i18n::Words as _;
use crate::{App, Viewer, WebError};

#[derive(Template)]
#[template(path = "checkpoints/checkpoint.html")]
struct CheckpointPage {
    frame: Frame,
    how: Vec<String>,
    checkpoint: Checkpoint,
    refusal: Option<String>,
    /// Whether this reader may have the files looked at.
    can_check: bool,
    readouts: Vec<Readout>,
    facts: Vec<Fact>,
    files: Vec<FileRow>,
    config: Option<String>,
    evaluations: Vec<EvaluationView>,
    releases: Vec<ReleaseRow>,
    lineage: LineageView,
    form: ProposeForm,
    /// Why the last proposal was not taken.
    notice: Option<String>,
}

/// A row of the list of facts.
struct Fact {
    label: &'static str,
    value: String,
    /// A value to copy: a digest, an id, a path.
    is_code: bool,
}

struct FileRow {
    path: String,
    size: String,
    sha256: String,
}

struct EvaluationView {
    href: String,
    suite: String,
    state: &'static str,
    mean: ScoreCell,
    rows: Vec<TaskRow>,
}

struct ReleaseRow {
    href: String,
    name: String,
    state: &'static str,
    when: When,
}

/// The form that proposes a release.
#[derive(Default)]
struct ProposeForm {
    /// Why it is not offered.
    reason: Option<&'static str>,
    lineage: String,
    license: String,
    notice: String,
    use_policy: String,
    announcement: String,
}

/// What the form sends.
#[derive(Deserialize)]
pub(crate) struct ProposeFields {
    csrf: String,
    lineage: String,
    #[serde(default)]
    license: String,
    #[serde(default)]
    notice: String,
    #[serde(default)]
    use_policy: String,
    #[serde(default)]
    announcement: String,
}

/// Everything that the page is made from.
struct Facts {
    /// Its path is where its files lie by now.
    checkpoint: Checkpoint,
    scored: Vec<(Scored, Vec<sekisho_store::ScoreRow>)>,
    standings: Standings,
    releases: Vec<Release>,
    lineage: LineageGraph,
    /// Tokens of this stage and all before it, where every stage is known.
    cumulative: Option<Tokens>,
    /// Of its run.
    project: String,
}

/// `GET /checkpoints/{id}`.
pub(crate) async fn show(
    State(app): State<App>,
    frame: Frame,
    Path(key): Path<String>,
) -> Result<Response, WebError> {
    let facts = load(&app, &frame, &key).await?;
    let form = ProposeForm { lineage: lineage_example(&facts.checkpoint), ..ProposeForm::default() };
    parts::page(&view(frame, &app.catalog, facts, form, None))
}

/// `POST /checkpoints/{id}/propose`: drafts a release, or shows the page again with the reason why not and what was typed.
pub(crate) async fn propose(
    State(app): State<App>,
    frame: Frame,
    viewer: Viewer,
    Path(key): Path<String>,
    Form(fields): Form<ProposeFields>,
) -> Result<Response, WebError> {
    let actor = viewer.form_actor(&fields.csrf)?;
    let facts = load(&app, &frame, &key).await?;
    match releases::propose(&app, actor, &facts.checkpoint, &proposal(&fields)).await {
        Ok(release) => Ok(Redirect::to(&format!("/releases/{}", release.id)).into_response()),
        Err(error) => {
            let form = ProposeForm {
                reason: None,
                lineage: fields.lineage,
                license: fields.license,
                notice: fields.notice,
                use_policy: fields.use_policy,
                announcement: fields.announcement,
            };
            let notice = error::told(frame.lang, &error);
            // The links of the page lead to the page, not to the form's address, which cannot be opened.
            let path = format!("/checkpoints/{}", facts.checkpoint.id);
            let frame = Frame { path, query: Vec::new(), ..frame };
            let page = view(frame, &app.catalog, facts, form, Some(notice));
            Ok((error.status, parts::page(&page)?).into_response())
        }
    }
}

/// Browsers send line ends as CR LF; files have LF.
fn proposal(fields: &ProposeFields) -> Proposal {
    let text = |field: &str| field.replace("\r\n", "\n");
    let given = |field: &str| (!field.trim().is_empty()).then(|| text(field));
    let files =
        [("LICENSE", &fields.license), ("NOTICE", &fields.notice), ("USE_POLICY.md", &fields.use_policy)];
    Proposal {
        lineage: text(&fields.lineage),
        files: files.into_iter().filter_map(|(path, field)| Some((path.to_owned(), given(field)?))).collect(),
        announcement: given(&fields.announcement),
        ..Proposal::default()
    }
}

async fn load(app: &App, frame: &Frame, key: &str) -> Result<Facts, WebError> {
    let mut checkpoint = checkpoints::find(app, key).await?;
    let run = frame.shown(app, runs::find(app, &checkpoint.run.to_string()).await?).await?;
    checkpoint.path = copies::present(app, &checkpoint).display().to_string();
    let evaluations = app.store.evaluations_of(checkpoint.id).await?;
    let all = app.store.scores_of_checkpoints(&[checkpoint.id]).await?;
    let pairs = evaluations.into_iter().map(|evaluation| (checkpoint.clone(), Some(evaluation)));
    let scored = Scored::of_evaluations(app, pairs.collect()).await?.into_iter().map(|scored| {
        let id = scored.evaluation.as_ref().map(|evaluation| evaluation.id);
        let rows = all.iter().filter(|row| Some(row.evaluation) == id).cloned().collect();
        (scored, rows)
    });
    let scored: Vec<(Scored, Vec<sekisho_store::ScoreRow>)> = scored.collect();
    let work: Vec<&sekisho_store::WorkRow> =
        scored.iter().flat_map(|(scored, _)| &*scored.found.work).collect();
    let standings = contamination::standings(app, &checkpoint, work).await?;
    let mut releases = app.store.releases_of(checkpoint.id).await?;
    // What is not out yet is nobody's business outside of the lab.
    releases.retain(|release| !frame.is_frozen() || release.state == ReleaseState::Published);
    let lineage = lineage::of_checkpoint(app, &checkpoint).await?;
    let cumulative = lineage::cumulative_tokens(app, &checkpoint).await?;
    Ok(Facts { checkpoint, scored, standings, releases, lineage, cumulative, project: run.project })
}

fn view(
    frame: Frame,
    catalog: &Catalog,
    facts: Facts,
    form: ProposeForm,
    notice: Option<String>,
) -> CheckpointPage {
    let checkpoint = facts.checkpoint;
    let found = checkpoint.verification.as_ref();
    let reason = propose_reason(&frame, &checkpoint, &facts.project);
    let is_lost = matches!(checkpoint.state, CheckpointState::Changed | CheckpointState::Gone);
    let can_check = is_lost && may_change(&frame, &facts.project).is_none();
    let evaluation = |(scored, rows): &(Scored, Vec<sekisho_store::ScoreRow>)| EvaluationView {
        href: scored.evaluation.as_ref().map_or_else(String::new, |e| format!("/evals/{}", e.id)),
        suite: scored.evaluation.as_ref().map_or_else(String::new, |e| e.suite.clone()),
        state: scored.evaluation.as_ref().map_or("", |e| e.state.as_str()),
        mean: scored.mean_cell(frame.lang),
        rows: task_rows::rows(&frame, catalog, &scored.found.work, rows, &facts.standings),
    };
    CheckpointPage {
        how: vec![
            format!("sekisho checkpoint show {}", checkpoint.id),
            format!("GET /api/v1/checkpoints/{}", checkpoint.id),
            format!("sekisho release propose --checkpoint {} --lineage LINEAGE.toml", checkpoint.id),
        ],
        refusal: checkpoint.refusal.as_ref().map(|refusal| refusal.get(frame.lang).to_owned()),
        can_check,
        readouts: readouts(&frame, &checkpoint, &facts.scored),
        facts: fact_rows(&frame, &checkpoint, facts.cumulative),
        files: found.map(file_rows).unwrap_or_default(),
        config: found.and_then(|v| serde_json::to_string_pretty(&v.config).ok()),
        evaluations: facts.scored.iter().map(evaluation).collect(),
        releases: facts.releases.iter().map(|release| release_row(&frame, release)).collect(),
        lineage: lineage_view::view(frame.lang, &facts.lineage),
        form: ProposeForm { reason, ..form },
        notice,
        checkpoint,
        frame,
    }
}

fn propose_reason(frame: &Frame, checkpoint: &Checkpoint, project: &str) -> Option<&'static str> {
    if checkpoint.state != CheckpointState::Verified {
        return Some(frame.t("checkpoint.propose_unverified"));
    }
    may_change(frame, project)
}

/// Why this reader changes nothing here.
fn may_change(frame: &Frame, project: &str) -> Option<&'static str> {
    match &frame.user {
        None => Some(frame.t("action.sign_in")),
        Some(user) if !user.has_in(project, Role::Contributor) && !user.has(Role::Admin) => {
            Some(frame.t("action.needs_contributor"))
        }
        Some(_) => None,
    }
}

fn readouts(
    frame: &Frame,
    checkpoint: &Checkpoint,
    scored: &[(Scored, Vec<sekisho_store::ScoreRow>)],
) -> Vec<Readout> {
    let lang = frame.lang;
    let mut readouts = vec![
        Readout::new(lang.t("run.step"), checkpoint.step.to_string(), ""),
        Readout::new(lang.t("run.tokens"), checkpoint.tokens.short(), checkpoint.tokens.to_string()),
    ];
    if let Some(found) = &checkpoint.verification {
        let without = found.parameters.saturating_sub(found.embedding_parameters);
        let sub = lang.fill("checkpoint.without_embeddings", &[("n", &format::short(without))]);
        readouts.push(Readout::new(lang.t("board.parameters"), format::short(found.parameters), sub));
    }
    if let Some((s, mean)) = scored.iter().find_map(|(s, _)| Some((s, s.mean()?))) {
        let suite = s.evaluation.as_ref().map_or_else(String::new, |e| e.suite.clone());
        let interval = mean.interval.map_or_else(
            || lang.fill("score.tasks_done", &[("done", &mean.done), ("of", &mean.of)]),
            |(low, high)| format::interval(low, high),
        );
        let label = lang.fill("run.mean_title", &[("suite", &suite)]);
        readouts.push(Readout::new(&label, format::score(mean.value), interval));
    }
    readouts
}

fn fact_rows(frame: &Frame, checkpoint: &Checkpoint, cumulative: Option<Tokens>) -> Vec<Fact> {
    let fact = |key: &str, value: String| Fact { label: frame.t(key), value, is_code: false };
    let code = |key: &str, value: String| Fact { label: frame.t(key), value, is_code: true };
    let mut facts = Vec::new();
    if let Some(found) = &checkpoint.verification {
        facts.push(code("checkpoint.digest", found.digest.to_string()));
        facts.push(code("checkpoint.weights", found.weights.to_string()));
        facts.push(match found.tokenizer {
            Some(tokenizer) => code("checkpoint.tokenizer", tokenizer.to_string()),
            None => fact("checkpoint.tokenizer", frame.t("checkpoint.no_tokenizer").to_owned()),
        });
        facts.push(fact("checkpoint.parameters_exact", format::count(found.parameters)));
        facts.push(fact("checkpoint.embedding_parameters", format::count(found.embedding_parameters)));
        facts.push(fact("checkpoint.tensors", format!("{} ({})", format::count(found.tensors), found.dtype)));
        facts.push(fact("checkpoint.vocabulary", format::count(found.vocab_size)));
        facts.push(fact("checkpoint.nan", "0".to_owned()));
        if let Some((tensor, value)) = &found.largest {
            facts.push(fact("checkpoint.largest", format!("{value:.4} ({tensor})")));
        }
    }
    facts.push(fact("checkpoint.tokens_stage", checkpoint.tokens.to_string()));
    facts.extend(cumulative.map(|tokens| fact("checkpoint.tokens_all", tokens.to_string())));
    if !frame.is_frozen() {
        facts.push(code("checkpoint.path", checkpoint.path.clone()));
        let kept = if checkpoint.owned { "checkpoint.owned" } else { "checkpoint.referred" };
        facts.push(fact("checkpoint.kept", frame.t(kept).to_owned()));
    }
    facts.push(fact("common.created", frame.stamp(&checkpoint.created)));
    facts
}

fn file_rows(found: &Verification) -> Vec<FileRow> {
    let row = |file: &sekisho_domain::manifest::FileEntry| FileRow {
        path: file.path.clone(),
        size: format::bytes(file.size),
        sha256: file.sha256.hex(),
    };
    found.files.iter().map(row).collect()
}

fn release_row(frame: &Frame, release: &Release) -> ReleaseRow {
    ReleaseRow {
        href: format!("/releases/{}", release.id),
        name: release.name.clone(),
        state: release.state.as_str(),
        when: frame.when(release.updated),
    }
}

/// What the form begins with: the smallest lineage file for this model, to be completed.
fn lineage_example(checkpoint: &Checkpoint) -> String {
    let name = &checkpoint.run_name;
    format!(
        "[model]\nname = \"{name}\"\n\n[[input]]\nkind = \"corpus\"\nid = \"…\"\nlevel = \"L1\"\nlicense = \"CC0-1.0\"\nstage = \"pretrain\"\n\n\
         [release]\nrepo = \"lab/{name}\"\nlicense = [\"apache-2.0\"]\nvisibility = \"private\"\n"
    )
}

#[cfg(test)]
pub(super) fn samples(frame: &Frame) -> Vec<String> {
    use super::fixtures;
    let catalog = Catalog::builtin();
    let page = |facts: Facts, notice: Option<&str>| {
        let form = ProposeForm { lineage: lineage_example(&facts.checkpoint), ..ProposeForm::default() };
        let page = view(frame.clone(), &catalog, facts, form, notice.map(ToOwned::to_owned));
        page.render().expect("renders")
    };
    let scored = fixtures::run_facts(5).scored.pop().expect("a checkpoint");
    let rows = scored.found.scores.tasks.iter().flatten().cloned().collect();
    let full = Facts {
        checkpoint: scored.checkpoint.clone(),
        standings: fixtures::standings(&scored.found.work),
        scored: vec![(scored, rows)],
        releases: vec![fixtures::release()],
        lineage: fixtures::lineage_graph(),
        cumulative: Some(Tokens(15_691_234_567_890)),
        project: "default".to_owned(),
    };
    let refused = Facts {
        checkpoint: fixtures::refused_checkpoint(),
        scored: Vec::new(),
        standings: Standings::new(),
        releases: Vec::new(),
        lineage: fixtures::lineage_graph(),
        cumulative: None,
        project: "default".to_owned(),
    };
    let lost = Facts {
        checkpoint: fixtures::changed_checkpoint(),
        scored: Vec::new(),
        releases: Vec::new(),
        standings: Standings::new(),
        lineage: fixtures::lineage_graph(),
        cumulative: None,
        project: "default".to_owned(),
    };
    vec![page(lost, None), page(full, Some("lineage.toml:3:1: unknown field `lable`")), page(refused, None)]
}

#[cfg(test)]
mod tests {
    use sekisho_domain::lineage::LineageFile;

    use super::*;
    use crate::web::pages::fixtures;

    #[test]
    fn the_form_begins_with_a_lineage_file_that_can_be_read() {
        let text = lineage_example(&fixtures::refused_checkpoint());
        let file: LineageFile = sekisho_domain::parse_toml("lineage.toml", &text).expect("readable");
        assert!(file.release.is_some());
    }

    #[test]
    fn who_contributes_to_the_project_of_the_run_may_propose() {
        let facts = fixtures::run_facts(1);
        let checkpoint = &facts.scored[0].checkpoint;
        let mut user = fixtures::user("mori", fixtures::id("mori"), &[]);
        user.projects.insert("v4".to_owned(), vec![Role::Contributor]);
        let frame = Frame { user: Some(user), ..fixtures::frame(sekisho_domain::Language::En, "/") };
        assert_eq!(propose_reason(&frame, checkpoint, "v4"), None);
        assert_eq!(propose_reason(&frame, checkpoint, "v5"), Some(frame.t("action.needs_contributor")));
    }
}
