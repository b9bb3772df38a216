use sekisho_domain::run::RunState;
use sekisho_domain::wire::{RegisterRun, RunView};
use sekisho_domain::{RunId, Sha256, Step, Tokens, canonical_json};
use sekisho_store::Run;
use serde_json::Value;

use super::{corpora, registrations};
use crate::{App, Noun, WebError};

/// A run and those that it descends from, as their specifications name them (`[parent] run`, a name or an id), nearest first. It ends
/// at a run that nobody registered, and goes no circle.
///
/// # Errors
/// When the store fails.
pub async fn line(app: &App, run: Run) -> Result<Vec<Run>, WebError> {
    let mut line = vec![run];
    while let Some(spec) = line.last().and_then(|run| run.spec.as_ref()) {
        match parent_of(app, spec).await? {
            Some(parent) if line.iter().all(|run| run.id != parent.id) => line.push(parent),
            _ => break,
        }
    }
    Ok(line)
}

/// The run that a specification names as its parent; none where it names none, or one that is not registered here.
///
/// # Errors
/// When the store fails.
pub async fn parent_of(app: &App, spec: &Value) -> Result<Option<Run>, WebError> {
    let Some(key) = spec["parent"]["run"].as_str() else { return Ok(None) };
    match app.store.run_by_name(key).await? {
        Some(run) => Ok(Some(run)),
        None => match key.parse() {
            Ok(id) => Ok(app.store.run(id).await?),
            Err(_) => Ok(None),
        },
    }
}

/// A run by id or by name.
///
/// # Errors
/// 404.
pub async fn find(app: &App, key: &str) -> Result<Run, WebError> {
    let by_id = match key.parse::<RunId>() {
        Ok(id) => app.store.run(id).await?,
        Err(_) => None,
    };
    let found = match by_id {
        Some(run) => Some(run),
        None => app.store.run_by_name(key).await?,
    };
    found.ok_or_else(|| WebError::not_found(Noun::Run, key))
}

/// What a registration comes to before anything is kept.
pub struct Checked {
    project: String,
    digest: Option<Sha256>,
    /// The run that is there under this name already, and says the same.
    pub existing: Option<Run>,
}

/// Looks whether a run can be registered.
///
/// # Errors
/// 400 for a name that cannot be used, 409 for a name taken by another specification, 422 for a claim that contradicts the registry.
pub async fn check(app: &App, request: &RegisterRun) -> Result<Checked, WebError> {
    check_name(&request.name)?;
    check_issue(request.issue.as_deref())?;
    if let Some(suite) = &request.suite {
        super::evaluations::suite(app, suite)?;
    }
    let project = super::projects::of_request(app, request.project.as_deref()).await?;
    let digest = request.spec.as_ref().map(|spec| Sha256::of(canonical_json(spec)));
    if let Some(run) = app.store.run_by_name(&request.name).await? {
        let existing = Some(same_run(run, request.spec.as_ref(), digest)?);
        return Ok(Checked { project, digest, existing });
    }
    if let Some(spec) = &request.spec {
        claims_hold(app, spec).await?;
    }
    Ok(Checked { project, digest, existing: None })
}

/// Registers a run for who asks. The same name with the same specification (or none) answers the run that exists; its specification is immutable.
///
/// # Errors
/// As [`check`].
pub async fn register(app: &App, request: &RegisterRun, owner: &str) -> Result<(Run, bool), WebError> {
    let Checked { project, digest, existing } = check(app, request).await?;
    if let Some(run) = existing {
        return Ok((run, false));
    }
    let now = app.now();
    let run = Run {
        id: RunId::new(&*app.clock, &*app.entropy),
        project,
        name: request.name.clone(),
        state: RunState::Registered,
        spec: request.spec.clone(),
        spec_digest: digest,
        planned_tokens: request.planned_tokens,
        suite: request.suite.clone(),
        step: Step(0),
        tokens: Tokens(0),
        loss: None,
        owner: Some(owner.to_owned()),
        issue: request.issue.clone(),
        created: now,
        updated: now,
    };
    match app.store.add_run(&run).await {
        Ok(()) => Ok((run, true)),
        // Two trainers registered at once: the second gets the first's run, under the same rule.
        Err(sekisho_store::StoreError::Conflict(_)) => {
            let first = find(app, &request.name).await?;
            same_run(first, request.spec.as_ref(), digest).map(|run| (run, false))
        }
        Err(other) => Err(other.into()),
    }
}

/// A link on a page leads where its reader expects.
fn check_issue(issue: Option<&str>) -> Result<(), WebError> {
    const LONGEST: usize = 2000;
    let is_address = |text: &str| {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        rest.is_some_and(|rest| !rest.is_empty())
            && text.len() <= LONGEST
            && !text.contains(|c: char| c.is_whitespace() || c.is_control())
    };
    if issue.is_none_or(is_address) {
        return Ok(());
    }
    let detail = "The issue of a run is an address that begins with https:// or http:// and has no spaces.";
    let ja = "実験のIssueには、https://またはhttp://で始まる、空白を含まないURLを指定してください。";
    Err(WebError::refused("run-issue", detail).or_ja(ja))
}

/// The registry is the truth: a specification that claims another level or licence for a subset is refused. What is not registered is
/// shown as such, and bars publishing.
async fn claims_hold(app: &App, spec: &Value) -> Result<(), WebError> {
    for claim in corpora::claims(spec) {
        let Some(there) = app.store.subset(&claim.subset).await?.map(|found| found.subset) else { continue };
        let registered = there.level.map_or("none", |level| level.as_str());
        if let Some(claimed) = claim.level.filter(|claimed| claimed != registered) {
            let subset = &claim.subset;
            let detail = format!(
                "Subset \"{subset}\" is said to be {claimed}, but the registry says {registered}. Correct [[data.mix]] level, or ask the corpus group."
            );
            let ja = format!(
                "サブセット「{subset}」は{claimed}と記載されていますが、登録されているリリースレベルは{registered}です。[[data.mix]] の level を修正するか、コーパスWGに確認してください。"
            );
            return Err(WebError::refused("level-mismatch", detail).or_ja(ja));
        }
        let Some((claimed, registered)) = claim.license.zip(there.license) else { continue };
        if !app.policy.same_license(&claimed, &registered) {
            let subset = &claim.subset;
            let detail = format!(
                "Subset \"{subset}\" is said to be under {claimed}, but is registered under {registered}. Correct [[data.mix]] license, or ask the corpus group."
            );
            let ja = format!(
                "サブセット「{subset}」のライセンスは{claimed}と記載されていますが、登録されているライセンスは{registered}です。[[data.mix]] の license を修正するか、コーパスWGに確認してください。"
            );
            return Err(WebError::refused("license-contradiction", detail).or_ja(ja));
        }
    }
    Ok(())
}

fn same_run(run: Run, spec: Option<&Value>, digest: Option<Sha256>) -> Result<Run, WebError> {
    let says_the_same = run
        .spec
        .as_ref()
        .zip(spec)
        .is_some_and(|(there, told)| registrations::agrees(&registrations::lasting(there), told));
    if digest.is_none() || digest == run.spec_digest || says_the_same {
        return Ok(run);
    }
    let detail = format!(
        "Run \"{}\" is registered with another specification, and a registered specification does not change. Give the new one another name, or make it a child run ([parent]).",
        run.name
    );
    let ja = format!(
        "実験「{}」は別の設定で登録済みです。登録した設定は変更できません。別の名前を付けるか、子の実験（[parent]）として登録してください。",
        run.name
    );
    Err(WebError::conflict("run-registered", detail).or_ja(ja))
}

fn check_name(name: &str) -> Result<(), WebError> {
    let fits = !name.is_empty()
        && name.len() <= 100
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        && !name.starts_with(['.', '-'])
        // The address of the page that registers one.
        && name != "new";
    if fits {
        return Ok(());
    }
    let detail = format!(
        "\"{name}\" cannot be a run's name: use up to 100 letters, digits, '.', '_' and '-', beginning with a letter or a digit; \"new\" is taken."
    );
    let ja = format!(
        "「{name}」は実験名に使えません。英数字と「.」「_」「-」を100文字以内で、先頭は英数字にしてください（「new」は使えません）。"
    );
    Err(WebError::bad_request("run-name", detail).or_ja(ja))
}

/// The API's view of a run.
#[must_use]
pub fn view(run: &Run) -> RunView {
    RunView {
        id: run.id,
        project: run.project.clone(),
        name: run.name.clone(),
        owner: run.owner.clone(),
        issue: run.issue.clone(),
        state: run.state,
        step: run.step,
        tokens: run.tokens,
        planned_tokens: run.planned_tokens,
        suite: run.suite.clone(),
        created: run.created,
    }
}
