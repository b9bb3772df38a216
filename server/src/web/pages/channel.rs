//! `/channels/{id}`: what exactly goes out by itself until when, who has approved that, and what it has taken.

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use sekisho_domain::channel::ChannelState;
use sekisho_domain::user::Role;
use sekisho_store::{Approval, Channel, Checkpoint, Release, User};
use serde::Deserialize;

use super::parts::{self, Cell, When};
use super::{channels, error};
use crate::service::channels::Waits;
use crate::service::{channels as service, checkpoints, releases};
use crate::web::frame::Frame;
use crate::web::i18n::Words as _;
use crate::{App, Noun, Viewer, WebError};

#[derive(Template)]
#[template(path = "channels/channel.html")]
struct ChannelPage {
    frame: Frame,
    how: Vec<String>,
    path: String,
    name: String,
    state: &'static str,
    /// What it does, in one sentence.
    sentence: String,
    facts: Vec<(&'static str, Cell)>,
    reference: (String, String),
    digest: String,
    count: String,
    approvals: Vec<ApprovalRow>,
    waiting: Vec<Row>,
    taken: Vec<Row>,
    can_approve: bool,
    can_end: bool,
    /// Why this person is offered no approval.
    why_not: Option<&'static str>,
    alarm: Option<String>,
    notice: Option<String>,
    typed: String,
    version: u64,
}

struct ApprovalRow {
    who: String,
    when: When,
    comment: String,
    counts: bool,
}

struct Row {
    href: String,
    run: String,
    step: String,
    revision: String,
    state: &'static str,
    why: &'static str,
    when: When,
}

/// What the page is made from.
struct Facts {
    channel: Channel,
    author: String,
    reference: Release,
    given: Vec<Approval>,
    valid: Vec<Approval>,
    waiting: Vec<(Checkpoint, Waits)>,
    taken: Vec<(Checkpoint, Release)>,
    needed: u32,
    waits_for_approval: bool,
    has_hub: bool,
}

/// What its forms send.
#[derive(Deserialize)]
pub(crate) struct Fields {
    csrf: String,
    #[serde(default)]
    version: u64,
    #[serde(default)]
    comment: String,
}

/// `GET /channels/{id}`.
pub(crate) async fn show(
    State(app): State<App>,
    frame: Frame,
    Path(key): Path<String>,
) -> Result<Response, WebError> {
    parts::page(&page(frame, &load(&app, &key).await?, None, String::new()))
}

/// `POST /channels/{id}/approve` and `…/end`.
pub(crate) async fn act(
    State(app): State<App>,
    frame: Frame,
    viewer: Viewer,
    Path((key, action)): Path<(String, String)>,
    Form(fields): Form<Fields>,
) -> Result<Response, WebError> {
    let actor = viewer.form_actor(&fields.csrf)?;
    let done = match action.as_str() {
        "approve" => service::approve(&app, actor, &key, fields.version, &fields.comment).await,
        "end" => service::end(&app, actor, &key, fields.version, &fields.comment).await,
        other => return Err(WebError::not_found(Noun::Action, other)),
    };
    match done {
        Ok(channel) => Ok(Redirect::to(&format!("/channels/{}", channel.id)).into_response()),
        Err(error) => {
            let notice = error::told(frame.lang, &error);
            let frame = Frame { path: format!("/channels/{key}"), ..frame };
            let page = page(frame, &load(&app, &key).await?, Some(notice), fields.comment);
            Ok((error.status, parts::page(&page)?).into_response())
        }
    }
}

async fn load(app: &App, key: &str) -> Result<Facts, WebError> {
    let channel = service::find(app, key).await?;
    let mut taken = Vec::new();
    for (checkpoint, release) in app.store.channel_releases(channel.id).await? {
        let checkpoint = checkpoints::find(app, &checkpoint.to_string()).await?;
        taken.push((checkpoint, releases::find(app, &release.to_string()).await?));
    }
    let author = app.store.user(channel.author).await?;
    let valid = service::valid_approvals(app, &channel).await?;
    Ok(Facts {
        needed: service::needed(app, &channel),
        waits_for_approval: service::waits_for_approval(app, &channel, valid.len()),
        author: author.map_or_else(|| channel.author.to_string(), |user| user.name),
        reference: releases::find(app, &channel.reference.to_string()).await?,
        given: app.store.channel_approvals(channel.id).await?,
        valid,
        waiting: service::waiting(app, &channel).await?,
        taken,
        has_hub: releases::has_hub(app).is_ok(),
        channel,
    })
}

fn page(frame: Frame, facts: &Facts, notice: Option<String>, typed: String) -> ChannelPage {
    let channel = &facts.channel;
    let user = frame.user.as_ref();
    let state = channels::state(&frame, channel);
    let waits_for_approval = facts.waits_for_approval && state != "expired";
    let hindrance = hindrance(user, facts).filter(|_| waits_for_approval);
    let is_over = state == ChannelState::Ended.as_str();
    let counts = |approval: &Approval| facts.valid.contains(approval);
    ChannelPage {
        how: vec![
            format!("sekisho channel show {}", channel.id),
            format!("GET /api/v1/channels/{}", channel.id),
        ],
        path: format!("/channels/{}", channel.id),
        name: channel.name.clone(),
        state,
        sentence: sentence(&frame, facts),
        facts: list(&frame, facts),
        reference: (format!("/releases/{}", facts.reference.id), facts.reference.name.clone()),
        digest: channel.digest.to_string(),
        count: format!("{} / {}", facts.valid.len(), facts.needed),
        approvals: facts
            .given
            .iter()
            .map(|approval| ApprovalRow {
                who: approval.user_name.clone(),
                when: frame.when(approval.at),
                comment: approval.comment.clone(),
                counts: counts(approval),
            })
            .collect(),
        waiting: facts
            .waiting
            .iter()
            .map(|(checkpoint, waits)| waiting(&frame, checkpoint, *waits))
            .collect(),
        taken: facts.taken.iter().map(|(checkpoint, release)| taken(&frame, checkpoint, release)).collect(),
        can_approve: waits_for_approval && hindrance.is_none(),
        can_end: !is_over
            && user.is_some_and(|user| {
                let has = |role| user.has_in(&channel.project, role);
                user.id == channel.author
                    || has(Role::Approver)
                    || has(Role::Publisher)
                    || user.has(Role::Admin)
            }),
        why_not: hindrance.map(|key| frame.t(key)),
        alarm: alarm(&frame, facts),
        notice,
        typed,
        version: channel.version,
        frame,
    }
}

/// Why an active channel lets nothing out.
fn alarm(frame: &Frame, facts: &Facts) -> Option<String> {
    let key = match facts.channel.state {
        ChannelState::Active if facts.waits_for_approval => "channels.too_few",
        ChannelState::Active if !facts.has_hub => "channels.no_hub",
        _ => return None,
    };
    Some(frame.t(key).to_owned())
}

/// The catalogue key of what stands between this person and an approval.
fn hindrance(user: Option<&User>, facts: &Facts) -> Option<&'static str> {
    let Some(user) = user else { return Some("action.sign_in") };
    if user.id == facts.channel.author {
        return Some("channels.own");
    }
    if facts.given.iter().any(|approval| approval.user == user.id) {
        return Some("action.approved_already");
    }
    (!user.has_in(&facts.channel.project, Role::Approver)).then_some("action.needs_approver")
}

fn sentence(frame: &Frame, facts: &Facts) -> String {
    let channel = &facts.channel;
    let takes = frame.word("channel_takes", channel.takes);
    let repo = releases::target(&facts.reference).map_or_else(String::new, |target| target.repo);
    let until = frame.stamp(&channel.until);
    let values: [(&str, &dyn std::fmt::Display); 5] = [
        ("runs", &channel.runs),
        ("takes", &takes),
        ("repo", &repo),
        ("until", &until),
        ("reference", &facts.reference.name),
    ];
    frame.lang.fill("channels.sentence", &values)
}

fn list(frame: &Frame, facts: &Facts) -> Vec<(&'static str, Cell)> {
    let channel = &facts.channel;
    let since = channel.active_since.map(|at| frame.stamp(&at));
    vec![
        (frame.t("channels.runs"), Cell::from(channel.runs.clone())),
        (frame.t("channels.takes"), Cell::from(frame.word("channel_takes", channel.takes).to_owned())),
        (frame.t("channels.revision"), Cell::from(channel.revision.clone())),
        (frame.t("channels.since"), Cell::of(since, frame.t("channels.not_active"))),
        (frame.t("channels.until"), Cell::from(frame.stamp(&channel.until))),
        (frame.t("channels.author"), Cell::from(facts.author.clone())),
    ]
}

fn waiting(frame: &Frame, checkpoint: &Checkpoint, waits: Waits) -> Row {
    Row {
        href: format!("/checkpoints/{}", checkpoint.id),
        run: checkpoint.run_name.clone(),
        step: checkpoint.step.to_string(),
        revision: String::new(),
        state: "",
        why: frame.t(match waits {
            Waits::Ready => "channels.ready",
            Waits::Evaluation => "channels.waits_evaluation",
            Waits::FailedEvaluation => "channels.failed_evaluation",
        }),
        when: frame.when(checkpoint.updated),
    }
}

fn taken(frame: &Frame, checkpoint: &Checkpoint, release: &Release) -> Row {
    Row {
        href: format!("/releases/{}", release.id),
        run: checkpoint.run_name.clone(),
        step: checkpoint.step.to_string(),
        revision: releases::target(release).map_or_else(String::new, |target| target.revision),
        state: release.state.as_str(),
        why: "",
        when: frame.when(release.updated),
    }
}

#[cfg(test)]
pub(super) fn samples(frame: &Frame) -> Vec<String> {
    tests::samples(frame)
}

#[cfg(test)]
pub(super) mod tests {
    use sekisho_domain::Sha256;
    use sekisho_domain::channel::ChannelTakes;
    use sekisho_domain::checkpoint::CheckpointState;
    use sekisho_store::ApprovalKind;

    use super::super::fixtures;
    use super::*;

    pub(crate) fn channel() -> Channel {
        let reference = fixtures::release();
        Channel {
            id: fixtures::id("channel"),
            project: "default".to_owned(),
            name: "減衰ブランチ <8B>".to_owned(),
            state: ChannelState::Proposed,
            author: fixtures::id("mori"),
            reference: reference.id,
            runs: "v4-8b-decay-*".to_owned(),
            takes: ChannelTakes::BranchEnds,
            revision: "{run}".to_owned(),
            until: fixtures::now().plus_seconds(86_400),
            digest: Sha256::of("channel"),
            approvals_needed: 2,
            active_since: None,
            version: 2,
            created: fixtures::now(),
            updated: fixtures::now(),
        }
    }

    fn facts() -> Facts {
        let checkpoint = fixtures::checkpoint("v4-8b-decay-1", 60_000, CheckpointState::Verified);
        let approval = Approval {
            user: fixtures::id("ueda"),
            user_name: "ueda".to_owned(),
            kind: ApprovalKind::Approval,
            digest: Sha256::of("channel"),
            comment: "3月まで".to_owned(),
            at: fixtures::now(),
        };
        Facts {
            channel: channel(),
            author: "mori".to_owned(),
            reference: fixtures::release(),
            given: vec![approval.clone()],
            valid: vec![approval],
            waiting: vec![(checkpoint.clone(), Waits::Evaluation)],
            taken: vec![(checkpoint, fixtures::release())],
            needed: 2,
            waits_for_approval: true,
            has_hub: false,
        }
    }

    pub(super) fn samples(frame: &Frame) -> Vec<String> {
        let approver = fixtures::user("hayashi", fixtures::id("hayashi"), &[Role::Approver]);
        let signed_in = Frame { user: Some(approver), csrf: "csrf_x".to_owned(), ..frame.clone() };
        let mut active = facts();
        active.channel.state = ChannelState::Active;
        active.channel.active_since = Some(fixtures::now());
        active.given.clear();
        (active.waiting, active.taken) = (Vec::new(), Vec::new());
        [
            page(signed_in, &facts(), Some("no < yes".to_owned()), "<text>".to_owned()),
            page(frame.clone(), &active, None, String::new()),
        ]
        .map(|page| page.render().expect("renders"))
        .to_vec()
    }

    #[test]
    fn nobody_is_offered_to_approve_what_they_proposed_or_have_approved() {
        let why = |name: &str, roles: &[Role]| {
            hindrance(Some(&fixtures::user(name, fixtures::id(name), roles)), &facts())
        };
        assert_eq!(why("mori", &[Role::Approver]), Some("channels.own"));
        assert_eq!(why("ueda", &[Role::Approver]), Some("action.approved_already"));
        assert_eq!(why("ikeda", &[Role::Contributor]), Some("action.needs_approver"));
        assert_eq!(why("hayashi", &[Role::Approver]), None);
        assert_eq!(hindrance(None, &facts()), Some("action.sign_in"));
    }
}
