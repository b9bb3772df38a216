//! Takes the checkpoints whose turn has come for a channel, and lets their releases out, or hands them to people.

use std::time::Duration;

use sekisho_domain::channel::ChannelState;
use sekisho_domain::release::ReleaseState;

use crate::service::{channels, releases};
use crate::{App, WebError};

/// Nobody waits for it at a page.
const EVERY: Duration = Duration::from_secs(5);

/// Looks every few seconds; what came while the service was down is found at the first look.
pub async fn run(app: App) {
    loop {
        if let Err(error) = tick(&app).await {
            tracing::error!(%error, "the channels could not be looked at");
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// What is judged goes on first, also when its channel has ended since: people take it over then. One that fails does not keep the
/// others waiting.
async fn tick(app: &App) -> Result<(), WebError> {
    for release in app.store.releases_in(&[ReleaseState::PolicyChecked]).await? {
        let (id, carried) = (release.id, release.channel.is_some());
        if carried && let Err(error) = channels::admit(app, release).await {
            tracing::error!(release = %id, %error, "a release of a channel could not go on");
        }
    }
    if releases::has_hub(app).is_err() {
        return Ok(());
    }
    let now = app.now();
    for channel in app.store.channels().await? {
        let takes = channel.state == ChannelState::Active && channel.until > now;
        if takes && let Err(error) = channels::take(app, &channel).await {
            tracing::error!(channel = %channel.id, %error, "a channel could not be looked at");
        }
    }
    Ok(())
}
