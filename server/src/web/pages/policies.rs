//! `/policies`: the rules in force, in words; what other rules would have said about past releases; and a lineage file tried without
//! saving anything.

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use sekisho_domain::Timestamp;
use sekisho_policy::{Code, Duty, Facts, LevelUse, LicenseRule, PolicySet, SetError, Use, run_cases};
use sekisho_store::KeptPolicy;
use serde::Deserialize;

use super::findings::{self, FindingGroup};
use super::parts;
use crate::service::policies::{self, Simulated};
use crate::service::{corpora, releases};
use crate::web::frame::Frame;
use crate::{App, WebError};

#[derive(Template)]
#[template(path = "policies/policies.html")]
struct PoliciesPage {
    frame: Frame,
    how: Vec<String>,
    name: String,
    version: String,
    digest: String,
    title: Option<String>,
    sources: Vec<String>,
    since: Option<String>,
    before: Vec<(String, String)>,
    /// How many of the cases beside the set hold.
    cases: Option<(usize, usize)>,
    level_heads: Vec<String>,
    levels: Vec<(String, Vec<(&'static str, String)>)>,
    licenses: Vec<LicenseRow>,
    naming: Vec<(String, String)>,
    files: Vec<(String, String, String)>,
    claims: Vec<ClaimRow>,
    house: Vec<(String, String)>,
    gates: Vec<String>,
    /// Code, what it looks at, and whether a waiver may lift it.
    codes: Vec<(&'static str, String, &'static str)>,
    builtin: Vec<&'static str>,
    chosen: String,
    typed: String,
    simulated: Option<Vec<SimulatedRow>>,
    tried: Option<Vec<FindingGroup>>,
    tried_verdict: &'static str,
    lineage: String,
    notice: Option<String>,
}

struct LicenseRow {
    id: String,
    class: String,
    is_osi: bool,
    /// Use, and what it asks for.
    duties: Vec<(String, String)>,
    source: String,
}

struct ClaimRow {
    id: String,
    phrases: String,
    requires: String,
}

struct SimulatedRow {
    href: String,
    name: String,
    state: &'static str,
    then: &'static str,
    now: &'static str,
    changes: String,
}

/// What the simulation form sends; built-in sets are named in the address of the page.
#[derive(Deserialize)]
pub(crate) struct Simulate {
    #[serde(default)]
    text: String,
}

/// What the trial form sends.
#[derive(Deserialize)]
pub(crate) struct Trial {
    lineage: String,
}

/// `GET /policies?set=strict`: with what a built-in set says of past releases.
pub(crate) async fn show(State(app): State<App>, frame: Frame) -> Result<Response, WebError> {
    let set = frame.param("set").filter(|set| !set.is_empty()).map(ToOwned::to_owned);
    let known = frame.user.is_some();
    let mut page = load(&app, frame).await?;
    match set {
        // It judges hundreds of releases, which is not for strangers.
        Some(name) if known => {
            let set = PolicySet::builtin(&name);
            page.chosen = name;
            simulated(&app, page, set).await
        }
        _ => parts::page(&page),
    }
}

/// `POST /policies`: what another set says of past releases. It reads only, but judges hundreds of releases, which is not for strangers.
pub(crate) async fn simulate(
    State(app): State<App>,
    frame: Frame,
    Form(form): Form<Simulate>,
) -> Result<Response, WebError> {
    if frame.user.is_none() {
        return Err(WebError::unauthorized());
    }
    let mut page = load(&app, at_home(frame)).await?;
    page.typed = form.text.replace("\r\n", "\n");
    let set = PolicySet::from_toml("policy.toml", &page.typed);
    simulated(&app, page, set).await
}

/// The page with what the set says of past releases, or why it is none.
async fn simulated(
    app: &App,
    mut page: PoliciesPage,
    set: Result<PolicySet, SetError>,
) -> Result<Response, WebError> {
    match set {
        Ok(set) => {
            let simulated = policies::simulate(app, &set).await?;
            page.simulated = Some(simulated.iter().map(simulated_row).collect());
            parts::page(&page)
        }
        Err(error) => refused(page, &WebError::refused("policy", format!("{error}."))),
    }
}

/// `POST /policies/try`: the decision on a lineage file, without saving anything.
pub(crate) async fn try_lineage(
    State(app): State<App>,
    frame: Frame,
    Form(form): Form<Trial>,
) -> Result<Response, WebError> {
    let mut page = load(&app, at_home(frame)).await?;
    page.lineage = form.lineage.replace("\r\n", "\n");
    let file = match sekisho_domain::parse_toml("lineage.toml", &page.lineage) {
        Ok(file) => file,
        Err(error) => return refused(page, &WebError::refused("lineage", format!("{error}."))),
    };
    let mut facts = Facts::of("lineage.toml", file);
    facts.registry = Some(corpora::registry(&app).await?);
    let decision = releases::judge_facts(&app, &facts);
    page.tried_verdict = if decision.allowed() { "allowed" } else { "refused" };
    page.tried = Some(findings::groups(page.frame.lang, &decision));
    parts::page(&page)
}

fn at_home(frame: Frame) -> Frame {
    Frame { path: "/policies".to_owned(), ..frame }
}

fn refused(page: PoliciesPage, error: &WebError) -> Result<Response, WebError> {
    let notice = Some(super::error::told(page.frame.lang, error));
    Ok((error.status, parts::page(&PoliciesPage { notice, ..page })?).into_response())
}

async fn load(app: &App, frame: Frame) -> Result<PoliciesPage, WebError> {
    let history = app.store.policies_in_force().await?;
    let cases = PolicySet::cases(app.policy.name())
        .and_then(|text| run_cases(&app.policy, "tests.toml", text, releases::today(app)).ok());
    let cases = cases.map(|cases| (cases.iter().filter(|case| case.holds()).count(), cases.len()));
    Ok(page(frame, &app.policy, &history, cases))
}

fn page(
    frame: Frame,
    set: &PolicySet,
    history: &[(KeptPolicy, Timestamp)],
    cases: Option<(usize, usize)>,
) -> PoliciesPage {
    let lang = frame.lang;
    let label = |text: sekisho_domain::Text| text.get(lang).to_owned();
    let level = |rule: &sekisho_policy::LevelRule| {
        let cell = |used: &LevelUse| {
            let permit = used.permit(rule);
            (if permit.allows() { "allowed" } else { "refused" }, label(permit.label()))
        };
        (rule.id.clone(), LevelUse::ALL.iter().map(cell).collect())
    };
    let mut past =
        history.iter().map(|(kept, at)| (format!("{} {}", kept.name, kept.version), frame.stamp(at)));
    let since = past.next().map(|(_, at)| at);
    PoliciesPage {
        how: vec![
            format!("sekisho policy check LINEAGE.toml --policy {}", set.name()),
            "GET /api/v1/policies".to_owned(),
        ],
        name: set.name().to_owned(),
        version: set.version().to_owned(),
        digest: set.digest().to_string(),
        title: set.title().map(|title| title.get(lang).to_owned()),
        sources: set.sources().to_vec(),
        since,
        before: past.collect(),
        cases,
        level_heads: LevelUse::ALL.iter().map(|used| label(used.label())).collect(),
        levels: set.levels().iter().map(level).collect(),
        licenses: set.licenses().iter().map(|rule| license_row(&frame, rule)).collect(),
        naming: set.naming().map(|rule| (rule.prefix.to_owned(), rule.license.id.clone())).collect(),
        files: set
            .required_files()
            .map(|file| {
                let line = file.line.unwrap_or_default().to_owned();
                (file.file.to_owned(), file.license.id.clone(), line)
            })
            .collect(),
        claims: set.claims().iter().map(|claim| claim_row(&frame, claim)).collect(),
        house: house_rows(&frame, set),
        gates: gate_rows(&frame, set),
        codes: code_rows(&frame, set),
        builtin: PolicySet::builtin_names().collect(),
        chosen: String::new(),
        typed: String::new(),
        simulated: None,
        tried: None,
        tried_verdict: "open",
        lineage: String::new(),
        notice: None,
        frame,
    }
}

fn license_row(frame: &Frame, rule: &LicenseRule) -> LicenseRow {
    let duty = |duty: &Duty| {
        let (name, clause) = (duty.label().get(frame.lang).to_owned(), rule.clause(*duty));
        if clause.is_empty() { name } else { format!("{name} ({clause})") }
    };
    let of = |used: &Use| {
        let duties: Vec<String> = rule.duties(*used).iter().map(duty).collect();
        let words = duties.join(frame.t("common.comma"));
        (!duties.is_empty()).then(|| (used.label().get(frame.lang).to_owned(), words))
    };
    LicenseRow {
        id: rule.id.clone(),
        class: rule.class.label().get(frame.lang).to_owned(),
        is_osi: rule.osi,
        duties: Use::ALL.iter().filter_map(of).collect(),
        source: rule.source.clone(),
    }
}

fn claim_row(frame: &Frame, claim: &sekisho_policy::ClaimRule) -> ClaimRow {
    let requires = claim.requires.iter().map(|what| what.label().get(frame.lang).to_owned());
    ClaimRow {
        id: claim.id.clone(),
        phrases: claim.phrases.join(frame.t("common.comma")),
        requires: requires.collect::<Vec<_>>().join(frame.t("common.comma")),
    }
}

fn house_rows(frame: &Frame, set: &PolicySet) -> Vec<(String, String)> {
    let house = set.house();
    let label = |text: sekisho_domain::Text| text.get(frame.lang).to_owned();
    let strict =
        [("policies.restrictive", house.restrictive_license), ("policies.share_alike", house.share_alike)];
    let mut rows: Vec<(String, String)> = strict
        .into_iter()
        .filter_map(|(key, strictness)| Some((frame.t(key).to_owned(), label(strictness?.label()))))
        .collect();
    rows.extend(house.default_license.iter().map(|id| (frame.t("policies.default").to_owned(), id.clone())));
    if let Some(require) = house.require.as_ref().filter(|require| !require.is_empty()) {
        let required: Vec<String> = require.iter().map(|what| label(what.label())).collect();
        rows.push((frame.t("policies.require").to_owned(), required.join(frame.t("common.comma"))));
    }
    let never: Vec<&str> = house.never_waived().collect();
    if !never.is_empty() {
        rows.push((frame.t("policies.never_waived").to_owned(), never.join(", ")));
    }
    rows
}

fn gate_rows(frame: &Frame, set: &PolicySet) -> Vec<String> {
    let mut rows: Vec<String> = set
        .task_gates()
        .iter()
        .filter_map(|gate| Some((gate, gate.at_least?)))
        .map(|(gate, least)| format!("{} {} ≥ {least}", gate.profile, gate.task))
        .collect();
    let gates = set.gates();
    rows.push(frame.fill("policies.significance", "p", gates.significance()));
    if let Some(limit) = gates.contamination {
        rows.push(frame.fill("policies.contamination", "limit", limit));
    }
    rows
}

fn code_rows(frame: &Frame, set: &PolicySet) -> Vec<(&'static str, String, &'static str)> {
    let never: Vec<&str> = set.house().never_waived().collect();
    let row = |code: &Code| {
        let possible = code.waivable() && !never.contains(&code.as_str());
        let waiver = if possible { "policies.can_waive" } else { "policies.cannot_waive" };
        (code.as_str(), code.meaning().get(frame.lang).to_owned(), frame.t(waiver))
    };
    Code::ALL.iter().map(row).collect()
}

fn simulated_row(simulated: &Simulated) -> SimulatedRow {
    let verdict = |allowed: bool| if allowed { "allowed" } else { "refused" };
    SimulatedRow {
        href: format!("/releases/{}", simulated.release.id),
        name: simulated.release.name.clone(),
        state: simulated.release.state.as_str(),
        then: simulated.then.as_ref().map_or("open", |decision| verdict(decision.allowed())),
        now: verdict(simulated.now.allowed()),
        changes: policies::changed_codes(simulated).join(", "),
    }
}

#[cfg(test)]
pub(super) fn samples(frame: &Frame) -> Vec<String> {
    use super::fixtures;
    let sets = ["base", "strict", "swallow", "llm-jp-2025"];
    let mut pages: Vec<PoliciesPage> = sets
        .iter()
        .map(|name| {
            let set = PolicySet::builtin(name).expect("built in");
            let kept = |version: &str| KeptPolicy {
                digest: set.digest(),
                name: (*name).to_owned(),
                version: version.to_owned(),
                text: String::new(),
            };
            let history = [(kept("2"), frame.now), (kept("1"), frame.now)];
            page(frame.clone(), &set, &history, Some((11, 12)))
        })
        .collect();
    let then = fixtures::release().decision.and_then(|json| serde_json::from_value(json).ok());
    let now: sekisho_policy::Decision =
        serde_json::from_value(fixtures::refused_release().decision.expect("judged")).expect("a decision");
    let simulated = Simulated { release: fixtures::release(), then, now };
    pages[0].simulated = Some(vec![simulated_row(&simulated)]);
    pages[1].tried = Some(findings::groups(frame.lang, &simulated.now));
    assert_eq!(pages[0].codes.len(), Code::ALL.len());
    pages[2].notice = Some("no < yes".to_owned());
    pages.iter().map(|page| page.render().expect("renders")).collect()
}
