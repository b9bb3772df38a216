//! `/channels`: what goes out by itself, and under whose blanket approval.

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use jiff::civil::Date;
use sekisho_domain::channel::ChannelState;
use sekisho_store::Channel;
use serde::Deserialize;

use super::{error, parts};
use crate::service::channels::{self, Proposed};
use crate::web::frame::Frame;
use crate::{App, Viewer, WebError};

#[derive(Template)]
#[template(path = "channels/channels.html")]
struct ChannelsPage {
    frame: Frame,
    how: Vec<String>,
    rows: Vec<ChannelRow>,
}

struct ChannelRow {
    href: String,
    name: String,
    state: &'static str,
    runs: String,
    takes: &'static str,
    approvals: String,
    until: String,
    releases: usize,
}

/// What the form on the page of a published release sends.
#[derive(Deserialize)]
pub(crate) struct Fields {
    csrf: String,
    reference: String,
    name: String,
    runs: String,
    takes: String,
    revision: String,
    until: String,
}

/// `GET /channels`.
pub(crate) async fn show(State(app): State<App>, frame: Frame) -> Result<Response, WebError> {
    let mut rows = Vec::new();
    for channel in app.store.channels().await? {
        let valid = channels::valid_approvals(&app, &channel).await?.len();
        let taken = app.store.channel_releases(channel.id).await?.len();
        let approvals = format!("{valid} / {}", channels::needed(&app, &channel));
        rows.push(row(&frame, &channel, approvals, taken));
    }
    parts::page(&page(frame, rows))
}

/// `POST /channels`.
pub(crate) async fn propose(
    State(app): State<App>,
    viewer: Viewer,
    frame: Frame,
    Form(fields): Form<Fields>,
) -> Result<Response, WebError> {
    let actor = viewer.form_actor(&fields.csrf)?;
    let done = match proposed(&fields) {
        Ok(proposed) => channels::propose(&app, actor, &proposed).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(channel) => Ok(Redirect::to(&format!("/channels/{}", channel.id)).into_response()),
        // The page that the form stands on, with what was wrong.
        Err(refused) => {
            let told = error::told(frame.lang, &refused);
            super::release::refused(&app, frame, &fields.reference, refused.status, told).await
        }
    }
}

fn proposed(fields: &Fields) -> Result<Proposed, WebError> {
    let wrong = |what: &str, text: &str| {
        let ja = format!("「{text}」は正しい値ではありません。");
        WebError::refused("channel-form", format!("\"{text}\" is no {what}.")).or_ja(ja)
    };
    let until: Date = fields.until.parse().map_err(|_| wrong("date (YYYY-MM-DD)", &fields.until))?;
    Ok(Proposed {
        name: fields.name.clone(),
        reference: fields.reference.parse().map_err(|_| wrong("release", &fields.reference))?,
        runs: fields.runs.clone(),
        takes: fields.takes.parse().map_err(|_| wrong("choice of checkpoints", &fields.takes))?,
        revision: fields.revision.clone(),
        until: channels::end_of(until)?,
    })
}

fn page(frame: Frame, rows: Vec<ChannelRow>) -> ChannelsPage {
    let how = ["sekisho channel list", "GET /api/v1/channels"].map(ToOwned::to_owned).to_vec();
    ChannelsPage { frame, how, rows }
}

fn row(frame: &Frame, channel: &Channel, approvals: String, taken: usize) -> ChannelRow {
    ChannelRow {
        href: format!("/channels/{}", channel.id),
        name: channel.name.clone(),
        state: state(frame, channel),
        runs: channel.runs.clone(),
        takes: frame.word("channel_takes", channel.takes),
        approvals,
        until: frame.stamp(&channel.until),
        releases: taken,
    }
}

/// As people see it: a blanket approval whose day has passed is over.
pub(super) fn state(frame: &Frame, channel: &Channel) -> &'static str {
    match channel.state {
        ChannelState::Active | ChannelState::Proposed if channel.until <= frame.now => "expired",
        other => other.as_str(),
    }
}

#[cfg(test)]
pub(super) fn samples(frame: &Frame) -> Vec<String> {
    let rows = vec![row(frame, &super::channel::tests::channel(), "1 / 2".to_owned(), 3)];
    [page(frame.clone(), rows), page(frame.clone(), Vec::new())]
        .map(|page| page.render().expect("renders"))
        .to_vec()
}
