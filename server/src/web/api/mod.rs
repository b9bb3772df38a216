//! `/api/v1`: one file per endpoint.

mod audit;
mod body;
mod bundles;
mod channels;
mod checkpoint;
mod checkpoint_action;
mod checkpoints;
mod compare;
mod conditional;
mod corpora;
mod evaluation;
mod health;
mod idempotency;
mod launchers;
mod launches;
mod login_link;
mod login_requests;
mod openapi;
mod paging;
mod policies;
mod projects;
mod query;
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
mod webhook_actions;
mod webhook_deliveries;
mod webhooks;
mod work;

pub(crate) use openapi::document;
pub(crate) use query::Query;
pub(crate) use run_cleanup::RuleQuery;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt as _};
use utoipa_axum::routes;

use crate::App;

/// A metrics batch or a batch of records is far below this.
pub(super) const JSON_LIMIT: usize = 16 << 20;

/// Every endpoint. Each is added with its description, so that `/api/openapi.json` has what the router has.
pub(crate) fn router(app: &App) -> Router<App> {
    let keyed = keyed().layer(from_fn_with_state(app.clone(), idempotency::once));
    let secret = secret().layer(from_fn(idempotency::never));
    let v1 = keyed.merge(secret).layer(DefaultBodyLimit::max(JSON_LIMIT)).layer(from_fn(conditional::answer));
    OpenApiRouter::default().nest("/api/v1", v1).merge(beside()).into()
}

/// What a request under an `Idempotency-Key` is carried out by once.
fn keyed() -> OpenApiRouter<App> {
    runs().merge(models()).merge(governance()).merge(service())
}

fn runs() -> OpenApiRouter<App> {
    // A checkpoint is as large as it is; the disk is the limit, and a full one is answered with 507.
    let checkpoints = routes!(checkpoints::list, checkpoints::hand_over).layer(DefaultBodyLimit::disable());
    OpenApiRouter::default()
        .routes(routes!(runs::list, runs::register))
        .routes(routes!(run::show))
        .routes(routes!(run_metrics::list, run_metrics::append))
        .routes(routes!(run_events::list, run_events::add))
        .routes(routes!(run_events::decide))
        .routes(routes!(run_segments::list))
        .routes(routes!(run_plan::show, run_plan::change))
        .routes(routes!(run_contamination::list, run_contamination::send))
        .routes(routes!(run_cleanup::show, run_cleanup::clean))
        .routes(checkpoints)
        .merge(uploads())
}

/// Checkpoints that come in pieces.
fn uploads() -> OpenApiRouter<App> {
    let pieces =
        routes!(upload_file::show, upload_file::append).layer(DefaultBodyLimit::max(upload_file::LONGEST));
    OpenApiRouter::default()
        .routes(routes!(uploads::list, uploads::begin))
        .routes(routes!(upload::show, upload::abandon))
        .routes(routes!(upload::complete))
        .routes(pieces)
}

fn models() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(checkpoint::show))
        .routes(routes!(checkpoint_action::check))
        .routes(routes!(checkpoint_action::withdraw))
        .routes(routes!(evaluation::of_checkpoint, evaluation::start))
        .routes(routes!(evaluation::show))
        .routes(routes!(records::list))
        .routes(routes!(compare::show))
        .routes(routes!(reported::list, reported::import))
        .routes(routes!(work::claim))
        .routes(routes!(work::heartbeat))
        .routes(routes!(work::results))
        .routes(routes!(work::source))
        .routes(routes!(bundles::make))
        .merge(launching())
}

/// What starts workers.
fn launching() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(launchers::list))
        .routes(routes!(launchers::pause))
        .routes(routes!(launchers::resume))
        .routes(routes!(launches::list))
        .routes(routes!(launches::show))
        .routes(routes!(launches::papers))
        .routes(routes!(launches::cancel))
        .routes(routes!(launches::requeue))
}

fn governance() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(releases::list, releases::propose))
        .routes(routes!(release::show))
        .routes(routes!(release_files::bundle))
        .routes(routes!(release_files::file))
        .routes(routes!(release_files::plan))
        .routes(routes!(release_files::card, release_action::edit_card))
        .routes(routes!(release_action::act))
        .routes(routes!(channels::list, channels::propose))
        .routes(routes!(channels::show))
        .routes(routes!(channels::approve))
        .routes(routes!(channels::end))
        .routes(routes!(corpora::list, corpora::import))
        .routes(routes!(corpora::show))
        .routes(routes!(corpora::effects))
        .routes(routes!(corpora::change_level))
        .routes(routes!(policies::list))
        .routes(routes!(policies::show))
        .routes(routes!(policies::simulate))
}

fn service() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(projects::list, projects::add))
        .routes(routes!(projects::set_roles))
        .routes(routes!(users::list, users::add))
        .routes(routes!(user_roles::set))
        .routes(routes!(token::revoke))
        .routes(routes!(audit::export))
        .routes(routes!(audit::head))
        .routes(routes!(audit::key))
        .routes(routes!(webhooks::events))
        .routes(routes!(webhooks::show, webhooks::change, webhooks::delete))
        .routes(routes!(webhook_actions::pause))
        .routes(routes!(webhook_actions::resume))
        .routes(routes!(webhook_actions::ping))
        .routes(routes!(webhooks::resend))
        .routes(routes!(webhook_deliveries::list))
        .routes(routes!(webhook_deliveries::show))
}

/// Endpoints whose answers hold a secret, and those that share an address with them.
fn secret() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(login_requests::standing, login_requests::ask, login_requests::end))
        .routes(routes!(login_link::make))
        .routes(routes!(tokens::list, tokens::add))
        .routes(routes!(webhooks::list, webhooks::add))
        .routes(routes!(webhook_actions::rotate))
}

/// What lies beside the versioned API.
fn beside() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(openapi::show))
        .routes(routes!(crate::events::stream))
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
}
