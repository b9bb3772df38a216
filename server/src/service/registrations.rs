//! A run before it begins: a configuration that was pasted, read and looked at. Nothing of it is kept until it is registered.

use jiff::civil::Date;
use sekisho_domain::run::remove_changeable;
use sekisho_domain::wire::RegisterRun;
use sekisho_domain::{Text, Tokens};
use sekisho_foreign::configuration::{tokens, tokens_per_step};
use sekisho_foreign::{Configuration, Source, Warning, configuration, warnings};
use sekisho_store::Run;
use serde_json::{Value, json};

use super::plans::end_of;
use super::runs;
use crate::{App, WebError};

/// Seconds of a day.
const DAY: f64 = 86_400.0;

/// What somebody asks to register.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Arguments, a launch script, or a configuration file.
    pub text: String,
    /// Whose it is; told by the text when absent.
    pub source: Option<Source>,
    /// The run's name; the specification's own when absent.
    pub name: Option<String>,
    /// Project; the default one when absent.
    pub project: Option<String>,
    /// Suite that examines its checkpoints.
    pub suite: Option<String>,
    /// The run that it is held against, and that it goes on from when a step is given.
    pub parent: Option<String>,
    /// The update of the parent that it goes on from.
    pub parent_step: Option<u64>,
    /// Where the experiment is talked about.
    pub issue: Option<String>,
    /// Accelerators.
    pub gpus: Option<u32>,
    /// Speed of one of them [tokens/s].
    pub speed: Option<f64>,
    /// Last day of training.
    pub end: Option<Date>,
}

/// The same, read and looked at.
#[derive(Clone, Debug)]
pub struct Draft {
    /// What would be registered.
    pub request: RegisterRun,
    /// Whose configuration it is.
    pub source: Source,
    /// What could not be made out.
    pub notes: Vec<String>,
    /// What to look at first.
    pub warnings: Vec<Warning>,
    /// The run that it is held against.
    pub parent: Option<Run>,
    /// How it will go, as far as that can be told.
    pub pace: Pace,
}

impl Draft {
    /// The specification.
    #[must_use]
    pub fn spec(&self) -> &Value {
        self.request.spec.as_ref().unwrap_or(&Value::Null)
    }
}

/// How fast a run goes, or has to go.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pace {
    /// Updates of a day.
    pub steps_per_day: Option<f64>,
    /// Targets of a day.
    pub tokens_per_day: Option<f64>,
    /// Last day: as planned, else as the speed says.
    pub end: Option<Date>,
    /// The speed was reckoned from the planned end rather than given.
    pub is_needed: bool,
}

/// Reads what was pasted, and holds it against the registry, the names that are taken and the parent. Keeps nothing.
///
/// # Errors
/// 422 for what cannot be read or contradicts the registry, 404 for an unknown parent, project or suite, 409 for a name that is taken.
pub async fn draft(app: &App, asked: &Asked) -> Result<Draft, WebError> {
    let Configuration { source, mut spec, notes } = configuration("pasted", &asked.text, asked.source)
        .map_err(|error| {
            let ja = format!("設定を読み取れません。該当箇所を修正してください（{error}）。");
            WebError::refused(
                "configuration",
                capital(&error.to_string().replacen("pasted", "what was pasted", 1)),
            )
            .or_ja(ja)
        })?;
    let parent = match asked.parent.as_deref().or_else(|| spec["parent"]["run"].as_str()) {
        Some(key) => Some(runs::find(app, key).await?),
        None => None,
    };
    if let (Some(parent), Some(step), true) = (&parent, asked.parent_step, spec["parent"].is_null()) {
        spec["parent"] = json!({ "run": parent.name, "step": step, "state": "full", "data": "continue", "reset_steps": false });
    }
    let name = asked.name.clone().or_else(|| spec["name"].as_str().map(ToOwned::to_owned));
    let Some(name) = name else {
        let detail = "The configuration does not name the run. Give a name; it cannot be changed later.";
        let ja = "設定に実験名がありません。実験名を入力してください（登録後は変更できません）。";
        return Err(WebError::refused("run-name", detail).or_ja(ja));
    };
    let planned = tokens(&spec);
    let request = RegisterRun {
        name,
        planned_tokens: planned.map(Tokens),
        suite: asked.suite.clone(),
        project: asked.project.clone(),
        issue: asked.issue.clone(),
        spec: Some(spec),
    };
    runs::check(app, &request).await?;
    let spec = request.spec.as_ref().unwrap_or(&Value::Null);
    let warnings = warnings_of(app, Some(spec), None).await?;
    let pace = pace(app, asked, spec, planned);
    Ok(Draft { source, notes, warnings, parent, pace, request })
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}

/// Steps and tokens of a day by the speed that is given, else those that the planned end needs.
fn pace(app: &App, asked: &Asked, spec: &Value, planned: Option<u64>) -> Pace {
    let per_step = tokens_per_step(spec).filter(|tokens| *tokens > 0);
    let speed = asked.speed.zip(asked.gpus).map(|(speed, gpus)| speed * f64::from(gpus) * DAY);
    let given = speed.filter(|tokens| tokens.is_finite() && *tokens > 0.0);
    let left =
        asked.end.and_then(end_of).map(|end| end.seconds_since(app.now()) / DAY).filter(|days| *days > 0.0);
    let needed = planned.zip(left).map(|(planned, days)| planned as f64 / days);
    let tokens_per_day = given.or(needed);
    let by_speed = given.zip(planned).map(|(speed, planned)| {
        #[expect(clippy::cast_possible_truncation, reason = "seconds of a forecast")]
        let seconds = (planned as f64 / speed * DAY) as i64;
        app.now().plus_seconds(seconds).to_jiff().to_zoned(jiff::tz::TimeZone::system()).date()
    });
    Pace {
        steps_per_day: tokens_per_day.zip(per_step).map(|(tokens, per_step)| tokens / per_step as f64),
        tokens_per_day,
        end: asked.end.or(by_speed),
        is_needed: given.is_none() && needed.is_some(),
    }
}

/// What to look at in a specification: the warnings for any configuration, with the levels that the registry has, and the subsets that
/// nobody registered. A specification does not change, so its warnings stay with its run.
///
/// # Errors
/// When the store fails.
pub async fn warnings_of(
    app: &App,
    spec: Option<&Value>,
    planned: Option<Tokens>,
) -> Result<Vec<Warning>, WebError> {
    let Some(spec) = spec else { return Ok(Vec::new()) };
    let mut levelled = spec.clone();
    let mut unknown = Vec::new();
    let mix = levelled.pointer_mut("/data/mix").and_then(Value::as_array_mut);
    for entry in mix.into_iter().flatten().filter(|entry| entry.is_object()) {
        let Some(name) = entry["name"].as_str().map(ToOwned::to_owned) else { continue };
        match app.store.subset(&name).await?.and_then(|found| found.subset.level) {
            Some(level) => entry["level"] = level.as_str().into(),
            None => unknown.push(name),
        }
    }
    let mut found = warnings(&levelled, planned.map(|tokens| tokens.0));
    if !unknown.is_empty() {
        let names = unknown.join(", ");
        let en = format!(
            "{names}: not in the registry of corpora, or without a release level. What is trained on it cannot be published before it is registered."
        );
        let ja = format!(
            "{}はコーパスに登録されていないか、リリースレベルが未設定です。登録するまで、このデータで学習したモデルは公開できません。",
            unknown.join("、")
        );
        found.push(Warning { code: "level-unknown", text: Text { en, ja } });
    }
    Ok(found)
}

/// What a registered specification holds its trainer to: what changes no update may change, a folder of the parent says nothing here, and what
/// names a value instead of saying it (a preset of the model, the parent's learning rate) is resolved when training begins.
#[must_use]
pub fn lasting(spec: &Value) -> Value {
    let mut spec = spec.clone();
    remove_changeable(&mut spec);
    let is_folder = spec.pointer("/parent/run").and_then(Value::as_str).is_some_and(|run| run.contains('/'));
    if let Some(parent) = spec.get_mut("parent").and_then(Value::as_object_mut).filter(|_| is_folder) {
        parent.remove("run");
    }
    if let Some(model) = spec.get_mut("model").and_then(Value::as_object_mut) {
        model.remove("preset");
    }
    let by_name = spec.pointer("/schedule/warmup_init").is_some_and(Value::is_string);
    if let Some(schedule) = spec.get_mut("schedule").and_then(Value::as_object_mut).filter(|_| by_name) {
        schedule.remove("warmup_init");
    }
    spec
}

/// Whether a specification that is told again says what the registered one says. Whoever trains resolves it further: values that the
/// registered one left open are added, paths become absolute; nothing that it said is another.
#[must_use]
pub fn agrees(registered: &Value, told: &Value) -> bool {
    match (registered, told) {
        (Value::Object(one), Value::Object(other)) => one
            .iter()
            .all(|(key, value)| value.is_null() || other.get(key).is_some_and(|told| agrees(value, told))),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| agrees(a, b))
        }
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::String(a), Value::String(b)) => {
            let relative = a.trim_start_matches("./");
            a == b
                || b.strip_suffix(relative)
                    .is_some_and(|folder| folder.starts_with('/') && folder.ends_with('/'))
        }
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolved_specification_agrees_with_the_registered_one_and_another_does_not() {
        let registered = json!({ "name": "a", "optimizer": { "eps": 1e-8, "clip": 1.0 },
            "data": { "mix": [{ "name": "x", "path": "corpora/x.jsonl" }] } });
        let mut told = json!({ "name": "a", "seed": 42, "optimizer": { "eps": 1e-8, "clip": 1, "lr": 3e-4 },
            "data": { "mix": [{ "name": "x", "path": "/work/run/corpora/x.jsonl", "level": "L1" }] } });
        assert!(agrees(&registered, &told));
        assert!(!agrees(&told, &registered), "what it says more was not told");
        told["optimizer"]["eps"] = 1e-5.into();
        assert!(!agrees(&registered, &told));
        told["optimizer"]["eps"] = 1e-8.into();
        told["data"]["mix"][0]["path"] = "/work/other/x.jsonl".into();
        assert!(!agrees(&registered, &told));
        told["data"]["mix"] = json!([]);
        assert!(!agrees(&registered, &told));
        let child = json!({ "parent": { "run": "../base", "step": 8 }, "stop": { "steps": 9 } });
        assert_eq!(lasting(&child), json!({ "parent": { "step": 8 } }));
        let resolved = json!({ "model": { "preset": "smoke", "vocab_size": 8 }, "schedule": { "warmup_init": "parent" } });
        assert_eq!(lasting(&resolved), json!({ "model": { "vocab_size": 8 }, "schedule": {} }));
        let named = json!({ "parent": { "run": "base", "step": 8 } });
        assert_eq!(lasting(&named), named);
        assert_eq!(lasting(&json!("flat")), json!("flat"));
    }
}
