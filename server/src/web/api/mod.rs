//! `/api/v1`: one file per endpoint.

mod audit;
mod body;
mod channels;
mod checkpoint;
mod checkpoint_action;
mod checkpoints;
mod compare;
mod corpora;
mod evaluation;
mod health;
mod login_link;
mod login_requests;
mod policies;
mod projects;
mod records;
mod release;
mod release_action;
mod release_files;
mod releases;
mod reported;
mod run;
mod run_cleanup;
mod run_contamination;
mod run_events;
mod run_metrics;
mod run_plan;
mod run_segments;
mod runs;
mod token;
mod tokens;
mod upload;
mod upload_file;
mod uploads;
mod user_roles;
mod users;
mod webhook_deliveries;
mod webhooks;
mod work;

pub(crate) use run_cleanup::RuleQuery;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, patch, post};

use crate::App;

/// A metrics batch or a batch of records is far below this.
const JSON_LIMIT: usize = 16 << 20;

/// What belongs to one run.
fn of_runs() -> Router<App> {
    // A checkpoint is as large as it is; the disk is the limit, and a full one is answered with 507.
    let upload = post(checkpoints::hand_over).layer(DefaultBodyLimit::disable());
    let piece = patch(upload_file::append).layer(DefaultBodyLimit::max(upload_file::LONGEST));
    Router::new()
        .route("/runs", get(runs::list).post(runs::register))
        .route("/runs/{run}", get(run::show))
        .route("/runs/{run}/metrics", get(run_metrics::list).post(run_metrics::append))
        .route("/runs/{run}/events", get(run_events::list).post(run_events::add))
        .route("/runs/{run}/events/{event}", post(run_events::decide))
        .route("/runs/{run}/segments", get(run_segments::list))
        .route("/runs/{run}/plan", get(run_plan::show).post(run_plan::change))
        .route("/runs/{run}/contamination", get(run_contamination::list).post(run_contamination::send))
        .route("/runs/{run}/checkpoints", get(checkpoints::list).merge(upload))
        .route("/runs/{run}/uploads", get(uploads::list).post(uploads::begin))
        .route("/runs/{run}/uploads/{id}", get(upload::show).delete(upload::abandon))
        .route("/runs/{run}/uploads/{id}/complete", post(upload::complete))
        .route("/runs/{run}/uploads/{id}/files/{path}", get(upload_file::show).merge(piece))
        .route("/runs/{run}/cleanup", get(run_cleanup::show).post(run_cleanup::clean))
}

pub(crate) fn router() -> Router<App> {
    let v1 = Router::new()
        .merge(of_runs())
        .route("/checkpoints/{id}", get(checkpoint::show))
        .route("/checkpoints/{id}/{action}", post(checkpoint_action::act))
        .route("/checkpoints/{id}/evaluations", get(evaluation::of_checkpoint).post(evaluation::start))
        .route("/evals/{id}", get(evaluation::show))
        .route("/evals/{id}/records", get(records::list))
        .route("/compare", get(compare::show))
        .route("/releases", get(releases::list).post(releases::propose))
        .route("/releases/{id}", get(release::show))
        .route("/releases/{id}/bundle", get(release_files::bundle))
        .route("/releases/{id}/files/{*path}", get(release_files::file))
        .route("/releases/{id}/plan", get(release_files::plan))
        .route("/releases/{id}/card", get(release_files::card).post(release_action::edit_card))
        .route("/releases/{id}/{action}", post(release_action::act))
        .route("/channels", get(channels::list).post(channels::propose))
        .route("/channels/{id}", get(channels::show))
        .route("/channels/{id}/approve", post(channels::approve))
        .route("/channels/{id}/end", post(channels::end))
        .route("/corpora", get(corpora::list).post(corpora::import))
        .route("/corpora/{subset}", get(corpora::show))
        .route("/corpora/{subset}/effects", get(corpora::effects))
        .route("/corpora/{subset}/level", post(corpora::change_level))
        .route("/reported", get(reported::list).post(reported::import))
        .route("/policies", get(policies::list))
        .route("/policies/{digest}", get(policies::show))
        .route("/policies/simulate", post(policies::simulate))
        .route("/projects", get(projects::list).post(projects::add))
        .route("/projects/{project}/roles", post(projects::set_roles))
        .route("/audit", get(audit::export))
        .route("/audit/head", get(audit::head))
        .route("/signing-key", get(audit::key))
        .route(
            "/login-requests",
            get(login_requests::standing).post(login_requests::ask).delete(login_requests::end),
        )
        .route("/users", get(users::list).post(users::add))
        .route("/users/{name}/login-link", post(login_link::make))
        .route("/users/{name}/roles", post(user_roles::set))
        .route("/users/{name}/tokens", get(tokens::list).post(tokens::add))
        .route("/users/{name}/tokens/{id}", delete(token::revoke))
        .route("/webhooks", get(webhooks::list).post(webhooks::add))
        .route("/webhooks/events", get(webhooks::events))
        .route("/webhooks/{id}", get(webhooks::show).post(webhooks::change).delete(webhooks::delete))
        .route("/webhooks/{id}/resend", post(webhooks::resend))
        .route("/webhooks/{id}/deliveries", get(webhook_deliveries::list))
        .route("/webhooks/{id}/deliveries/{message}", get(webhook_deliveries::show))
        .route("/webhooks/{id}/{action}", post(webhooks::act))
        .route("/work/claim", post(work::claim))
        .route("/work/heartbeat", post(work::heartbeat))
        .route("/work/results", post(work::results))
        .route("/work/sources/{sha256}", get(work::source))
        .layer(DefaultBodyLimit::max(JSON_LIMIT));
    Router::new()
        .nest("/api/v1", v1)
        .route("/events", get(crate::events::stream))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
}
