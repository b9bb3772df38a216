//! Workers by any command: PBS, Kubernetes, or what a site has of its own.

use async_trait::async_trait;
use sekisho_domain::wire::{LaunchTask, TaskState};
use tokio::process::Command;

use super::script::{Script, put};
use super::{LaunchError, Launcher, Order, TemplateSettings, ask};

/// Workers of one start where a command is for many.
const MOST: u32 = 1000;

/// Fills in what the configuration says.
pub(super) struct Template {
    script: Script,
}

impl Template {
    pub(super) fn new(script: Script) -> Self {
        Self { script }
    }

    fn settings(&self) -> &TemplateSettings {
        &self.script.settings.template
    }

    async fn ask(
        &self,
        words: &[String],
        values: &[(&str, &str)],
    ) -> Result<std::process::Output, LaunchError> {
        let filled: Vec<String> = words.iter().map(|word| fill(word, values)).collect();
        ask::output(Command::new(&filled[0]).args(&filled[1..])).await
    }
}

#[async_trait]
impl Launcher for Template {
    async fn most(&self) -> Result<u32, LaunchError> {
        Ok(if self.settings().together { MOST } else { 1 })
    }

    async fn start(&self, order: &Order<'_>) -> Result<String, LaunchError> {
        let number = "${PBS_ARRAY_INDEX:-${JOB_COMPLETION_INDEX:-0}}";
        let script = self.script.write(order, "", number, "0")?.display().to_string();
        let (name, id, folder) = (order.name(), order.id.to_string(), order.folder.display().to_string());
        let (count, last) = (order.tasks.to_string(), order.tasks.saturating_sub(1).to_string());
        let file = order.folder.join("job.yaml").display().to_string();
        let command: Vec<String> =
            self.script.command().iter().map(|word| serde_json::json!(word).to_string()).collect();
        let command = format!("[{}]", command.join(", "));
        let values = [
            ("id", id.as_str()),
            ("name", &name),
            ("script", &script),
            ("folder", &folder),
            ("count", &count),
            ("last", &last),
            ("file", &file),
            ("command", &command),
        ];
        if let Some(template) = &self.settings().file {
            let text =
                fs_err::read_to_string(template).map_err(|error| LaunchError::Refused(error.to_string()))?;
            put(file.as_ref(), &fill(&text, &values))?;
        }
        let output = self.ask(&self.settings().start, &values).await?;
        if !output.status.success() {
            return Err(LaunchError::Refused(ask::words(&output)));
        }
        match ask::printed(&output).split_whitespace().next() {
            Some(job) => Ok(job.to_owned()),
            None => Err(LaunchError::Refused(format!("{} printed no id", self.settings().start[0]))),
        }
    }

    async fn find(&self, _: &Order<'_>) -> Result<Option<String>, LaunchError> {
        Ok(None)
    }

    async fn look(&self, job: &str, before: &[LaunchTask]) -> Result<Vec<LaunchTask>, LaunchError> {
        let settings = self.settings();
        let output = self.ask(&settings.look, &[("job", job)]).await?;
        let (printed, words) = (ask::printed(&output), ask::words(&output));
        let all = |state, note: &str| {
            vec![LaunchTask { state, note: note.trim().chars().take(200).collect() }; before.len()]
        };
        if !output.status.success() {
            if settings.gone.iter().any(|gone| words.contains(gone)) {
                return Ok(all(TaskState::Ended, &words));
            }
            return Err(LaunchError::Away(words));
        }
        let is_alive = match settings.alive.as_slice() {
            [] => !printed.trim().is_empty(),
            alive => alive.iter().any(|word| printed.contains(word)),
        };
        Ok(all(if is_alive { TaskState::Running } else { TaskState::Ended }, &printed))
    }

    async fn cancel(&self, job: &str) -> Result<(), LaunchError> {
        self.act(&self.settings().cancel, "cancel", &[("job", job)]).await
    }

    async fn requeue(&self, job: &str, task: u32) -> Result<(), LaunchError> {
        self.act(&self.settings().requeue, "requeue", &[("job", job), ("task", &task.to_string())]).await
    }
}

impl Template {
    async fn act(&self, words: &[String], key: &str, values: &[(&str, &str)]) -> Result<(), LaunchError> {
        if words.is_empty() {
            let name = &self.script.settings.name;
            return Err(LaunchError::Refused(format!(
                "The configuration names no command for it: add {key} to [launchers.{name}]."
            )));
        }
        let output = self.ask(words, values).await?;
        let is_gone = |said: &str| self.settings().gone.iter().any(|gone| said.contains(gone));
        match ask::words(&output) {
            _ if output.status.success() => Ok(()),
            said if is_gone(&said) => Ok(()),
            said => Err(LaunchError::Refused(said)),
        }
    }
}

/// Puts values in place of `{their name}`.
fn fill(text: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}
