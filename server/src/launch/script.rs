//! The script that starts a worker: it stays on disk, and people can run it by hand.

use std::path::{Path, PathBuf};

use super::{Common, LaunchError, LauncherSettings, Order};

/// Writes scripts for one launcher.
pub(super) struct Script {
    pub(super) settings: LauncherSettings,
    pub(super) common: Common,
}

impl Script {
    /// Writes `worker.sh` into the order's folder. `head` is what the batch system reads in it; `number` and `again` are shell that say
    /// which worker of the order this is, and how often it was begun before.
    pub(super) fn write(
        &self,
        order: &Order<'_>,
        head: &str,
        number: &str,
        again: &str,
    ) -> Result<PathBuf, LaunchError> {
        let mut text = format!("#!/bin/bash\n{head}");
        text.push_str("# Starts one worker of Sekisho. It asks the service for work and ends when there is none.\nset -eu\n");
        text.push_str(&format!(
            "SEKISHO_TOKEN=\"$(cat {})\"\nexport SEKISHO_TOKEN\n",
            quote(&self.common.token_file.display().to_string())
        ));
        for line in &self.settings.prologue {
            text.push_str(line);
            text.push('\n');
        }
        let command: Vec<String> = self.command().iter().map(|word| quote(word)).collect();
        text.push_str(&format!("exec {} --name \"{}-{number}-{again}\"\n", command.join(" "), order.id));
        let path = order.folder.join("worker.sh");
        put(&path, &text)?;
        Ok(path)
    }

    /// The worker's command line without its name.
    pub(super) fn command(&self) -> Vec<String> {
        let settings = &self.settings;
        let mut words = settings.command.clone();
        if words.is_empty() {
            words.push(self.common.program.display().to_string());
        }
        let server = settings.server.as_ref().unwrap_or(&self.common.server);
        words.extend(["worker", "--server", server].map(ToOwned::to_owned));
        if !settings.pool.is_empty() {
            words.extend(["--pool".to_owned(), settings.pool.clone()]);
        }
        words.extend(["--max-idle".to_owned(), format!("{}s", settings.idle)]);
        words.extend(settings.worker.iter().cloned());
        words
    }
}

/// Writes a file that only its owner changes.
pub(super) fn put(path: &Path, text: &str) -> Result<(), LaunchError> {
    use std::os::unix::fs::PermissionsExt as _;
    let written = fs_err::write(path, text)
        .and_then(|()| fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o755)));
    written.map_err(|error| LaunchError::Refused(sekisho_domain::disk_sentence(&error)))
}

/// A word of shell, whatever it holds.
pub(super) fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn a_word_of_shell_stays_one_word() {
        assert_eq!(quote("--gres=gpu:1"), "--gres=gpu:1");
        assert_eq!(quote("a b"), "'a b'");
        assert_eq!(quote("it's $HOME"), "'it'\\''s $HOME'");
        assert_eq!(quote(""), "''");
    }
}
