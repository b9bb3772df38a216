//! `/webhooks`: where it is told what happens.

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use sekisho_domain::Tokens;
use sekisho_domain::webhook::{MessageLanguage, PayloadFormat};
use sekisho_store::{Endpoint, User};
use serde::Deserialize;

use super::parts::Cell;
use super::{error, parts};
use crate::service::webhooks::{self as service, Settings};
use crate::web::format;
use crate::web::frame::Frame;
use crate::{App, Viewer, WebError};

#[derive(Template)]
#[template(path = "webhooks/webhooks.html")]
struct WebhooksPage {
    frame: Frame,
    how: Vec<String>,
    rows: Vec<EndpointRow>,
    form: SettingsForm,
    projects: Vec<String>,
    notice: Option<String>,
}

struct EndpointRow {
    href: String,
    name: String,
    project: String,
    url: String,
    events: String,
    format: &'static str,
    state: &'static str,
    failures: u32,
    undelivered: u64,
}

/// The fields of an endpoint's form, as typed or as they are.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct SettingsForm {
    #[serde(default)]
    pub(super) csrf: String,
    #[serde(default)]
    pub(super) project: Option<String>,
    pub(super) name: String,
    pub(super) url: String,
    pub(super) events: String,
    pub(super) language: MessageLanguage,
    pub(super) format: PayloadFormat,
    #[serde(default)]
    pub(super) every: String,
}

impl SettingsForm {
    fn empty() -> Self {
        Self {
            csrf: String::new(),
            project: None,
            name: String::new(),
            url: String::new(),
            events: "*".to_owned(),
            language: MessageLanguage::Both,
            format: PayloadFormat::Standard,
            every: String::new(),
        }
    }

    /// Those of an endpoint; its address is typed anew where it is to change, for that of a chat is a secret.
    pub(super) fn of(endpoint: &Endpoint) -> Self {
        Self {
            csrf: String::new(),
            project: None,
            name: endpoint.name.clone(),
            url: String::new(),
            events: endpoint.events.join(", "),
            language: endpoint.language,
            format: endpoint.format,
            every: endpoint.every_tokens.map_or_else(String::new, |tokens| tokens.0.to_string()),
        }
    }

    /// What they say; an address that was left empty is the one before.
    pub(super) fn settings(&self, before: Option<&Endpoint>) -> Result<Settings, WebError> {
        let every = self.every.trim().replace([',', '_'], "");
        let every_tokens = match every.as_str() {
            "" => None,
            number => Some(Tokens(number.parse().map_err(|_| {
                let ja = format!("「{number}」はトークン数として読み取れません。");
                WebError::refused("webhook-every", format!("\"{number}\" is no number of tokens.")).or_ja(ja)
            })?)),
        };
        let url = match before.filter(|_| self.url.trim().is_empty()) {
            Some(before) => before.url.clone(),
            None => self.url.clone(),
        };
        Ok(Settings {
            name: self.name.clone(),
            url,
            events: self.events.split(',').map(ToOwned::to_owned).collect(),
            language: self.language,
            format: self.format,
            every_tokens,
        })
    }
}

/// `GET /webhooks`.
pub(crate) async fn show(State(app): State<App>, frame: Frame) -> Result<Response, WebError> {
    parts::page(&load(&app, frame, SettingsForm::empty(), None).await?)
}

/// `POST /webhooks`: answers the new endpoint's page with its secret, this once.
pub(crate) async fn add(
    State(app): State<App>,
    viewer: Viewer,
    frame: Frame,
    Form(form): Form<SettingsForm>,
) -> Result<Response, WebError> {
    let actor = viewer.form_actor(&form.csrf)?;
    let done = match form.settings(None) {
        Ok(settings) => service::add(&app, actor, form.project.as_deref(), &settings).await,
        Err(error) => Err(error),
    };
    match done {
        Ok((endpoint, secret)) => super::webhook::fresh(&app, frame, &endpoint, secret).await,
        Err(refused) => {
            let notice = error::told(frame.lang, &refused);
            let page = load(&app, frame, form, Some(notice)).await?;
            Ok((refused.status, parts::page(&page)?).into_response())
        }
    }
}

async fn load(
    app: &App,
    frame: Frame,
    form: SettingsForm,
    notice: Option<String>,
) -> Result<WebhooksPage, WebError> {
    let mut rows = Vec::new();
    // A stranger is told neither where messages go nor that there are any.
    if frame.user.is_some() {
        for endpoint in app.store.endpoints().await? {
            let undelivered = app.store.dead_messages(endpoint.id).await?;
            rows.push(row(&frame, &endpoint, undelivered));
        }
    }
    let projects = app.store.projects().await?.into_iter().map(|project| project.name);
    let projects =
        projects.filter(|project| frame.user.as_ref().is_some_and(|user| keeps(user, project))).collect();
    Ok(page(frame, rows, form, projects, notice))
}

/// Whether somebody is offered the forms of a project's webhooks.
pub(super) fn keeps(user: &User, project: &str) -> bool {
    user.has(sekisho_domain::user::Role::Admin)
        || service::KEEPERS.iter().any(|role| user.has_in(project, *role))
}

fn page(
    frame: Frame,
    rows: Vec<EndpointRow>,
    form: SettingsForm,
    projects: Vec<String>,
    notice: Option<String>,
) -> WebhooksPage {
    let how = ["sekisho webhook list", "GET /api/v1/webhooks"].map(ToOwned::to_owned).to_vec();
    WebhooksPage { frame, how, rows, form, projects, notice }
}

fn row(frame: &Frame, endpoint: &Endpoint, undelivered: u64) -> EndpointRow {
    EndpointRow {
        href: format!("/webhooks/{}", endpoint.id),
        name: endpoint.name.clone(),
        project: endpoint.project.clone(),
        url: service::shown_url(endpoint),
        events: endpoint.events.join(", "),
        format: frame.word("webhook_format", endpoint.format),
        state: endpoint.state.as_str(),
        failures: endpoint.failures,
        undelivered,
    }
}

/// Tokens between two messages, or that there are none.
pub(super) fn every(frame: &Frame, endpoint: &Endpoint) -> Cell {
    Cell::of(endpoint.every_tokens.map(|tokens| format::short(tokens.0)), frame.t("webhooks.no_every"))
}

#[cfg(test)]
pub(super) fn samples(frame: &Frame) -> Vec<String> {
    use super::fixtures;
    let endpoint = super::webhook::tests::endpoint();
    let keeper = fixtures::user("mori", fixtures::id("mori"), &[sekisho_domain::user::Role::Contributor]);
    assert!(keeps(&keeper, "default"));
    let signed_in = Frame { user: Some(keeper), csrf: "csrf_x".to_owned(), ..frame.clone() };
    let rows = vec![row(frame, &endpoint, 3)];
    let projects = vec!["default".to_owned(), "v4".to_owned()];
    let typed = SettingsForm { every: "1,000".to_owned(), ..SettingsForm::of(&endpoint) };
    assert_eq!(
        typed.settings(Some(&endpoint)).expect("settings").url,
        endpoint.url,
        "an empty address stays"
    );
    assert!(SettingsForm { every: "many".to_owned(), ..typed.clone() }.settings(None).is_err());
    [
        page(signed_in, rows, typed, projects, Some("no < yes".to_owned())),
        page(frame.clone(), Vec::new(), SettingsForm::empty(), Vec::new(), None),
    ]
    .map(|page| page.render().expect("renders"))
    .to_vec()
}
