//! Commands of other systems, asked once and in bounded time.

use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;

use super::LaunchError;

/// Longest time that a command may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of an error that are kept.
const WORDS: usize = 2000;

/// Runs a command to its end.
pub(super) async fn output(command: &mut Command) -> Result<Output, LaunchError> {
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    let child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn();
    let child = child.map_err(|error| {
        LaunchError::Refused(format!("{name} cannot be started: {error}. Install it, or say where it is in [launchers] of the configuration."))
    })?;
    match tokio::time::timeout(PATIENCE, child.wait_with_output()).await {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(error)) => Err(LaunchError::Away(format!("{name}: {error}"))),
        Err(_) => Err(LaunchError::Away(format!("{name} did not answer within {} s", PATIENCE.as_secs()))),
    }
}

/// What a command said to people: its errors, else its output.
pub(super) fn words(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    let said = if errors.trim().is_empty() { String::from_utf8_lossy(&output.stdout) } else { errors };
    let said = said.trim();
    if said.is_empty() {
        return format!("{}", output.status);
    }
    said.chars().take(WORDS).collect()
}

/// What a command printed.
pub(super) fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
