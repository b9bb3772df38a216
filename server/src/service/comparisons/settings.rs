//! Why two scores of a task may not be compared: which of their settings differ.

use std::collections::BTreeMap;

use sekisho_domain::evaluation::TaskRun;

/// A part of a score's settings, in the order in which people ask for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setting {
    /// Another harness, or another version of it.
    Profile,
    /// `dev` or `test`.
    Split,
    /// How many items.
    Limit,
    /// Examples in the prompt.
    Shots,
    /// Whether a prompt begins with BOS.
    Bos,
    /// Which metric judges.
    Metric,
    /// The definition of the task, or its data: prompt, extraction, files.
    Definition,
}

impl Setting {
    /// For keys of the catalogue and for programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::Split => "split",
            Self::Limit => "limit",
            Self::Shots => "shots",
            Self::Bos => "bos",
            Self::Metric => "metric",
            Self::Definition => "definition",
        }
    }
}

/// What is known of a score's settings.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// What was run.
    pub run: &'a TaskRun,
    /// Shots, the task's own where the run names none.
    pub shots: u32,
    /// Metric.
    pub metric: &'a str,
    /// What the workers reported.
    pub environment: &'a BTreeMap<String, String>,
}

/// The settings in which two scores with different fingerprints differ. Where all that is known of them agrees, it is the definition
/// or its data.
#[must_use]
pub fn differing(a: Settings<'_>, b: Settings<'_>) -> Vec<Setting> {
    let bos = |side: Settings<'_>| side.environment.get("bos").cloned();
    let differs = [
        (Setting::Profile, a.run.profile != b.run.profile),
        (Setting::Split, a.run.split != b.run.split),
        (Setting::Limit, a.run.limit != b.run.limit),
        (Setting::Shots, a.shots != b.shots),
        (Setting::Bos, bos(a).zip(bos(b)).is_some_and(|(a, b)| a != b)),
        (Setting::Metric, a.metric != b.metric),
    ];
    let found: Vec<Setting> =
        differs.into_iter().filter(|(_, differs)| *differs).map(|(part, _)| part).collect();
    if found.is_empty() { vec![Setting::Definition] } else { found }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named() {
        let run = TaskRun {
            profile: "llm-jp-eval@1.3".to_owned(),
            task: "niilc".to_owned(),
            split: "dev".to_owned(),
            limit: Some(100),
            shots: None,
        };
        let test = TaskRun { split: "test".to_owned(), limit: None, ..run.clone() };
        let bos = |value: &str| BTreeMap::from([("bos".to_owned(), value.to_owned())]);
        let (off, on, none) = (bos("off"), bos("on"), BTreeMap::new());
        let side = |run, environment| Settings { run, shots: 4, metric: "char_f1", environment };
        assert_eq!(differing(side(&run, &off), side(&test, &off)), [Setting::Split, Setting::Limit]);
        assert_eq!(differing(side(&run, &off), side(&run, &on)), [Setting::Bos]);
        // What was not reported is not said to differ.
        assert_eq!(differing(side(&run, &off), side(&run, &none)), [Setting::Definition]);
        let other = Settings { shots: 0, metric: "exact_match", ..side(&run, &off) };
        assert_eq!(differing(side(&run, &off), other), [Setting::Shots, Setting::Metric]);
    }
}
