use sekisho_domain::evaluation::TaskRun;
use sekisho_domain::{nearest, parse_toml};
use serde::Deserialize;

use crate::definition::{TaskDefinition, join};
use crate::error::TaskError;
use crate::means::MeanDefinition;
use crate::preset::{Preset, PresetFile};

/// The files below `tasks/`: `<profile>/<task>.toml`, `suites/<name>.toml` and `presets/<name>.toml`. The build script lists them.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/tasks.rs"));

/// A named list of tasks, for example what is run on every checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// Its name.
    pub name: String,
    /// Name shown to people, English.
    pub title_en: String,
    /// Name shown to people, Japanese.
    pub title_ja: String,
    /// What it runs, in order.
    #[serde(rename = "task")]
    pub tasks: Vec<TaskRun>,
    /// The means that its harness reports.
    #[serde(default, rename = "mean")]
    pub means: Vec<MeanDefinition>,
}

/// Every task definition, suite and preset that is known.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    tasks: Vec<TaskDefinition>,
    suites: Vec<Suite>,
    presets: Vec<Preset>,
}

impl Catalog {
    /// Without any task: for tests and for a worker that is told its definitions.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// The tasks and suites of this build.
    #[must_use]
    pub fn builtin() -> Self {
        let mut catalog = Self::empty();
        let in_folder = |folder: &'static str| FILES.iter().filter(move |(file, _)| file.starts_with(folder));
        for (file, text) in FILES.iter().filter(|(file, _)| file.contains('@')) {
            catalog.add(file, text).expect("a test reads every definition of the build");
        }
        for (file, text) in in_folder("suites/") {
            catalog.add_suite(file, text).expect("a test reads every suite of the build");
        }
        for (file, text) in in_folder("presets/") {
            catalog.add_preset(file, text).expect("a test reads every preset of the build");
        }
        catalog
    }

    /// Adds a definition; `file` is its name in errors.
    ///
    /// # Errors
    /// What [`TaskDefinition::from_toml`] refuses, and a task that is there already.
    pub fn add(&mut self, file: &str, text: &str) -> Result<(), TaskError> {
        let definition = TaskDefinition::from_toml(file, text)?;
        if self.tasks.iter().any(|task| task.profile == definition.profile && task.task == definition.task) {
            return Err(TaskError::Definition {
                file: file.to_owned(),
                message: format!(
                    "{} is defined already; give the task or the profile another name",
                    definition.name()
                ),
            });
        }
        self.tasks.push(definition);
        Ok(())
    }

    /// Adds a suite of tasks that are known; `file` is its name in errors.
    ///
    /// # Errors
    /// Unknown keys, a name that is there already, a task that is unknown.
    pub fn add_suite(&mut self, file: &str, text: &str) -> Result<(), TaskError> {
        let mut suite: Suite = parse_toml(file, text)?;
        if self.suites.iter().any(|other| other.name == suite.name) {
            let message = format!("suite \"{}\" is defined already; give it another name", suite.name);
            return Err(TaskError::Definition { file: file.to_owned(), message });
        }
        if let Some(message) = suite.means.iter().find_map(|mean| mean.contradiction(&suite)) {
            return Err(TaskError::Definition { file: file.to_owned(), message });
        }
        for run in &mut suite.tasks {
            let definition = self.find(&run.profile, &run.task)?;
            definition.sources_for(run)?;
            run.profile.clone_from(&definition.profile);
        }
        self.suites.push(suite);
        Ok(())
    }

    /// Adds a preset of tasks that are known or named as absent; `file` is its name in errors.
    ///
    /// # Errors
    /// Unknown keys, a name that is there already, a task that is unknown and not named as absent, a suite or mean that is not there.
    pub fn add_preset(&mut self, file: &str, text: &str) -> Result<(), TaskError> {
        let read: PresetFile = parse_toml(file, text)?;
        let refused = |message: String| TaskError::Definition { file: file.to_owned(), message };
        let preset = read.resolve(self).map_err(refused)?;
        if self.presets.iter().any(|other| other.name == preset.name) {
            return Err(refused(format!(
                "preset \"{}\" is defined already; give it another name",
                preset.name
            )));
        }
        self.presets.push(preset);
        Ok(())
    }

    /// The definition of a task; a profile without version means its newest one.
    ///
    /// # Errors
    /// [`TaskError::Unknown`] with the nearest name.
    pub fn find(&self, profile: &str, task: &str) -> Result<&TaskDefinition, TaskError> {
        let profile = self.profile(profile)?;
        let of_profile = || self.tasks.iter().filter(|definition| definition.profile == profile);
        of_profile().find(|definition| definition.task == task).ok_or_else(|| {
            let known: Vec<&str> = of_profile().map(|definition| definition.task.as_str()).collect();
            unknown("task", task, format!(" in {profile}"), &known)
        })
    }

    /// The versioned name of a profile; without version its newest one.
    ///
    /// # Errors
    /// [`TaskError::Unknown`] with the nearest name.
    pub fn profile(&self, name: &str) -> Result<&str, TaskError> {
        let known = self.profiles();
        let bare = |full: &'_ str| full.split_once('@').map_or(full.to_owned(), |(bare, _)| bare.to_owned());
        known
            .iter()
            .copied()
            .filter(|full| *full == name || bare(full) == name)
            .max_by_key(|full| version_numbers(full))
            .ok_or_else(|| {
                let mut error = unknown("profile", name, String::new(), &known);
                // A slip in the name is more likely than one in the version, which need not be written.
                if let (TaskError::Unknown { hint, .. }, false) = (&mut error, name.contains('@')) {
                    let names: Vec<String> = known.iter().map(|full| bare(full)).collect();
                    *hint = near(name, names.iter().map(String::as_str));
                }
                error
            })
    }

    /// The versioned names of all profiles, in the order in which they were added.
    #[must_use]
    pub fn profiles(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for definition in &self.tasks {
            if !names.contains(&definition.profile.as_str()) {
                names.push(&definition.profile);
            }
        }
        names
    }

    /// Every definition, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &TaskDefinition> {
        self.tasks.iter()
    }

    /// A suite by name.
    ///
    /// # Errors
    /// [`TaskError::Unknown`] with the nearest name.
    pub fn suite(&self, name: &str) -> Result<&Suite, TaskError> {
        self.suites.iter().find(|suite| suite.name == name).ok_or_else(|| {
            let known: Vec<&str> = self.suites.iter().map(|suite| suite.name.as_str()).collect();
            unknown("suite", name, String::new(), &known)
        })
    }

    /// Every preset, in the order of their files.
    #[must_use]
    pub fn presets(&self) -> &[Preset] {
        &self.presets
    }

    /// Every suite.
    #[must_use]
    pub fn suites(&self) -> &[Suite] {
        &self.suites
    }
}

/// `lm-eval@0.10` is newer than `lm-eval@0.4`.
fn version_numbers(profile: &str) -> Vec<u64> {
    let version = profile.split_once('@').map_or("", |(_, version)| version);
    version.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

fn unknown(kind: &'static str, name: &str, place: String, known: &[&str]) -> TaskError {
    TaskError::Unknown {
        kind,
        name: name.to_owned(),
        place,
        hint: near(name, known.iter().copied()),
        known: join(known.iter().copied()),
    }
}

fn near<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, known).map_or_else(String::new, |near| format!(", did you mean \"{near}\"?"))
}
