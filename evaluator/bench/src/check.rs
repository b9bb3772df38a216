use std::collections::BTreeSet;

use crate::definition::{
    Choices, Input, RequestKind, RequestRule, Role, Sampler, SplitRule, StandardError, TaskDefinition,
    Truncation,
};
use crate::metric::Metric;
use crate::reader::Reader;
use crate::template::Template;

impl TaskDefinition {
    /// The first rule across its parts that the definition breaks, as a sentence.
    pub(crate) fn contradiction(&self) -> Option<String> {
        self.sources_contradict()
            .or_else(|| self.roles_contradict())
            .or_else(|| self.filters_contradict())
            .or_else(|| self.metrics_contradict())
            .or_else(|| self.groups_contradict())
            .or_else(|| self.shots_contradict())
            .or_else(|| self.prompt_contradicts())
            .or_else(|| self.request_contradicts())
    }

    fn sources_contradict(&self) -> Option<String> {
        if self.profile.split_once('@').is_none_or(|(name, version)| name.is_empty() || version.is_empty()) {
            return Some(format!("profile \"{}\" has no version; write name@version", self.profile));
        }
        if self.sources.is_empty() {
            return Some("there is no source; name at least one data file".to_owned());
        }
        let mut seen = BTreeSet::new();
        let again = self.sources.iter().find(|s| !seen.insert((s.role, &s.source, &s.file, &s.only)))?;
        Some(format!("{} is there twice with the role \"{}\"", again.name(), again.role.as_str()))
    }

    fn roles_contradict(&self) -> Option<String> {
        let (rule, fit): (&str, &[Role]) = match self.splits {
            SplitRule::Files => ("files", &[Role::Train, Role::Dev, Role::Test]),
            SplitRule::LlmJpEval => ("llm-jp-eval", &[Role::Train, Role::Test]),
            SplitRule::LlmJpEvalPool => ("llm-jp-eval-pool", &[Role::All]),
            SplitRule::LlmJpEvalHalves => ("llm-jp-eval-halves", &[Role::Train, Role::All]),
            SplitRule::LlmJpEvalByFile => ("llm-jp-eval-by-file", &[Role::All]),
        };
        if let Some(unfit) = self.sources.iter().find(|source| !fit.contains(&source.role)) {
            let fit: Vec<&str> = fit.iter().map(|role| role.as_str()).collect();
            return Some(format!(
                "{} has the role \"{}\"; splits = \"{rule}\" knows {}",
                unfit.name(),
                unfit.role.as_str(),
                fit.join(" and ")
            ));
        }
        let mut fields = BTreeSet::new();
        for source in &self.sources {
            let reader = source.reader.as_ref().unwrap_or(&self.reader);
            let Reader::Lines { field } = reader else { continue };
            if !fields.insert((source.role, field)) {
                return Some(format!(
                    "two files of the role \"{}\" give the field \"{field}\"; files of lines are read side by side, each with a field of its own",
                    source.role.as_str()
                ));
            }
        }
        None
    }

    fn filters_contradict(&self) -> Option<String> {
        if self.filters.is_empty() {
            return None;
        }
        if self.request.kind() != RequestKind::Generate {
            return Some(format!(
                "a filter reads generated text; the request is of kind \"{}\"",
                self.request.kind().as_str()
            ));
        }
        let mut names = BTreeSet::new();
        let again = self.filters.iter().find(|filter| !names.insert(&filter.name));
        if again.is_some() || (self.filters.len() > 1 && names.contains(&None)) {
            return Some("several filters need names, each its own".to_owned());
        }
        let whole = |metric: &&Metric| !metric.is_proportion() && **metric != Metric::CharF1;
        let unfit = self.metrics.iter().find(whole).filter(|_| self.filters.len() > 1)?;
        Some(format!("metric {unfit} is made of all answers at once, so there can be one filter only"))
    }

    fn metrics_contradict(&self) -> Option<String> {
        if !self.reported().contains(&self.primary) {
            let known: Vec<String> = self.reported().iter().map(ToString::to_string).collect();
            return Some(format!(
                "the primary metric {} is not among metrics; reported are {}",
                self.primary,
                known.join(" and ")
            ));
        }
        let kind = self.request.kind();
        let unfit = self.metrics.iter().find(|metric| !metric.judges(kind))?;
        Some(format!("metric {unfit} cannot judge a request of kind \"{}\"", kind.as_str()))
    }

    fn groups_contradict(&self) -> Option<String> {
        if self.subtask.is_some() && self.cluster.is_some() {
            return Some("a task has sub-tasks or clusters, not both".to_owned());
        }
        (self.stderr == StandardError::Pooled && self.subtask.is_none())
            .then(|| "stderr = \"pooled\" needs subtask, the field that names the sub-tasks".to_owned())
    }

    fn shots_contradict(&self) -> Option<String> {
        let shots = &self.shots;
        let literal = shots.literal.len();
        if shots.from.is_some() && literal > 0 {
            return Some("shots.from and shots.literal exclude each other".to_owned());
        }
        if shots.per.is_some() && (shots.from.is_none() || shots.sampler == Sampler::JpHarness) {
            return Some("shots.per needs shots.from and a sampler with a stream for each group".to_owned());
        }
        match shots.from {
            None if literal == 0 => {
                return (shots.default > 0)
                    .then(|| "shots.default needs shots.from or shots.literal".to_owned());
            }
            None if shots.default as usize > literal => {
                return Some(format!("shots.default is {}, but shots.literal has {literal}", shots.default));
            }
            Some(from) if !self.splits().contains(&from) => {
                return Some(format!("shots.from is \"{from}\", but no source gives that split"));
            }
            _ => {}
        }
        let of = if literal > 0 { "shots.literal" } else { "shots.from" };
        if self.request.kind() == RequestKind::Rolling {
            return Some(format!("{of} has no place before a rolling text"));
        }
        self.prompt.shot.is_none().then(|| format!("{of} needs prompt.shot"))
    }

    fn prompt_contradicts(&self) -> Option<String> {
        let shot = self.prompt.shot.as_ref();
        foreign("shot", shot, &["input", "output"])
            .or_else(|| foreign("query", Some(&self.prompt.query), &["input"]))
    }

    fn request_contradicts(&self) -> Option<String> {
        let kind = self.request.kind();
        if self.truncation == Truncation::DropShots && kind != RequestKind::Generate {
            return Some(format!(
                "truncation = \"drop-shots\" is for generation; the request is of kind \"{}\"",
                kind.as_str()
            ));
        }
        match (&self.prompt.input, &self.request) {
            (Input::One(_), RequestRule::Choices { .. } | RequestRule::Continuation { .. }) => None,
            (Input::One(_), RequestRule::Rolling) => (!self.prompt.is_only_input())
                .then(|| "the prompt of a rolling text is prompt.input alone".to_owned()),
            (Input::One(_), RequestRule::Generate { stop, .. }) => stop
                .iter()
                .any(String::is_empty)
                .then(|| "an empty stop string would stop before the first token; leave it out".to_owned()),
            (Input::PerChoice(contexts), RequestRule::Choices { choices: Choices::Each(each), .. })
                if contexts.len() > 1 && each.len() == 1 =>
            {
                (self.metrics != [Metric::Acc]).then(|| {
                    "with a context per choice there is no choice length to divide by; use acc alone"
                        .to_owned()
                })
            }
            (Input::PerChoice(_), _) => {
                Some("prompt.input with several templates needs request.choices with exactly one".to_owned())
            }
        }
    }
}

/// A placeholder that this part of the prompt does not know.
fn foreign(part: &str, template: Option<&Template>, known: &[&str]) -> Option<String> {
    let field = template?.fields().find(|field| !known.contains(field))?;
    let known: Vec<String> = known.iter().map(|name| format!("{{{name}}}")).collect();
    Some(format!("prompt.{part} knows {}, not {{{field}}}", known.join(" and ")))
}
