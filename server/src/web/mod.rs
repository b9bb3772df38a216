//! What the service shows: pages for people (`pages`), the API for programs (`api`), and what lies around both.
//!
//! Architecture invariants: every state of a page is in its URL; every page works without JavaScript; nothing is fetched from
//! elsewhere, and the content security policy says so.

pub(crate) mod api;
pub(crate) mod assets;
pub(crate) mod charts;
pub(crate) mod format;
pub(crate) mod frame;
pub(crate) mod i18n;
mod layers;
pub(crate) mod pages;
pub(crate) mod site;

pub use layers::layers;
pub use pages::leaderboard::Boards;

use axum::Router;
use axum::routing::{get, post};

use crate::{App, Noun, WebError};

/// The pages and the static files. The fallback answers every path that is neither theirs nor the API's.
pub fn router() -> Router<App> {
    use pages::{
        api_docs, audit, launch, login, login_command, overview, queue, queue_launches, search, settings,
        webhook, webhook_events, webhooks,
    };
    Router::new()
        .route("/", get(overview::show))
        .route("/queue", get(queue::show))
        .route("/queue/launchers/{name}/{action}", post(queue_launches::act))
        .route("/queue/launches/{id}", get(launch::show))
        .route("/queue/launches/{id}/{action}", post(launch::act))
        .route("/search", get(search::show))
        .route("/api/docs", get(api_docs::show))
        .route("/audit", get(audit::show))
        .route("/audit.csv", get(audit::csv))
        .route("/audit.ndjson", get(audit::ndjson))
        .route("/audit/head.json", get(audit::head))
        .route("/settings", get(settings::show))
        .route("/settings/password", post(settings::password))
        .route("/settings/tokens", post(settings::add_token))
        .route("/settings/tokens/revoke", post(settings::revoke_token))
        .route("/webhooks", get(webhooks::show).post(webhooks::add))
        .route("/webhooks/events", get(webhook_events::show))
        .route("/webhooks/{id}", get(webhook::show).post(webhook::change))
        .route("/webhooks/{id}/{action}", post(webhook::act))
        .route("/login", get(login::show).post(login::sign_in))
        .route("/login/password", post(login::with_password))
        .route("/login/command", get(login_command::show).post(login_command::answer))
        .route("/logout", post(login::sign_out))
        .route("/static/{digest}/{name}", get(assets::serve))
        .merge(experiments())
        .merge(releases())
        .fallback(nowhere)
}

/// Runs, their checkpoints and what came of them.
fn experiments() -> Router<App> {
    use pages::{
        checkpoint, checkpoint_branch, checkpoint_standing, compare, compare_samples, evaluation,
        leaderboard, run, run_cleanup, run_event, run_new, run_plan, runs, samples,
    };
    Router::new()
        .route("/runs", get(runs::show))
        .route("/runs/new", get(run_new::show).post(run_new::act))
        .route("/runs/{run}", get(run::show))
        .route("/runs/{run}/{file}", get(run::file))
        .route("/runs/{run}/metrics.csv", get(run::metrics_csv))
        .route("/runs/{run}/plan", post(run_plan::change))
        .route("/runs/{run}/cleanup", get(run_cleanup::show).post(run_cleanup::clean))
        .route("/runs/{run}/cleanup.csv", get(run_cleanup::csv))
        .route("/runs/{run}/events/{event}", get(run_event::show))
        .route("/runs/{run}/events/{event}/{action}", post(run_event::decide))
        .route("/leaderboard", get(leaderboard::show))
        .route("/leaderboard/reported", get(leaderboard::reported::show).post(leaderboard::reported::import))
        .route("/leaderboard.csv", get(leaderboard::csv))
        .route("/leaderboard.json", get(leaderboard::json))
        .route("/checkpoints/{id}", get(checkpoint::show))
        .route("/checkpoints/{id}/branch", get(checkpoint_branch::show).post(checkpoint_branch::register))
        .route("/checkpoints/{id}/branch.toml", get(checkpoint_branch::file))
        .route("/checkpoints/{id}/propose", post(checkpoint::propose))
        .route("/checkpoints/{id}/check", post(checkpoint_standing::check))
        .route("/checkpoints/{id}/withdraw", post(checkpoint_standing::withdraw))
        .route("/evals/{id}", get(evaluation::show))
        .route("/evals/{id}/retry", post(evaluation::retry))
        .route("/evals/{id}/samples", get(samples::show))
        .route("/compare", get(compare::show))
        .route("/compare/{file}", get(compare::file))
        .route("/compare/samples", get(compare_samples::show))
}

/// What leaves, and by which rules.
fn releases() -> Router<App> {
    use pages::{channel, channels, corpora, corpus, policies, release, release_claims, releases};
    Router::new()
        .route("/releases", get(releases::show))
        .route("/releases.csv", get(releases::csv))
        .route("/releases.json", get(releases::json))
        .route("/releases/{id}", get(release::show))
        .route("/releases/{id}/announcement", post(release_claims::check))
        .route("/releases/{id}/{action}", post(release::act))
        .route("/channels", get(channels::show).post(channels::propose))
        .route("/channels/{id}", get(channel::show))
        .route("/channels/{id}/{action}", post(channel::act))
        .route("/corpora", get(corpora::show).post(corpora::import))
        .route("/corpora.csv", get(corpora::csv))
        .route("/corpora.json", get(corpora::json))
        .route("/corpora/{subset}", get(corpus::show))
        .route("/corpora/{subset}/level", post(corpus::change_level))
        .route("/policies", get(policies::show).post(policies::simulate))
        .route("/policies/try", post(policies::try_lineage))
}

async fn nowhere(uri: axum::http::Uri) -> WebError {
    WebError::not_found(Noun::Page, uri.path())
}
