//! A child run that goes on from a checkpoint: its specification, made from the parent's.

use sekisho_domain::Step;
use sekisho_domain::schedule::{LearningRate, Schedule};
use sekisho_store::{Checkpoint, Run};
use serde_json::{Value, json};

use crate::WebError;
use crate::web::format;

/// Points of a learning rate that is drawn.
const PLACES: u64 = 200;
/// How much of the parent is drawn on either side, in lengths of the child.
const AROUND: u64 = 3;

/// What a child is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// The learning rate falls to its end; everything else goes on as it was.
    #[default]
    Decay,
    /// Another mix of data under a learning rate that falls; the moments are kept.
    MidTraining,
    /// The weights alone, under a schedule of their own.
    Continual,
}

impl Kind {
    /// All, in the order in which they are offered.
    pub const ALL: [Self; 3] = [Self::Decay, Self::MidTraining, Self::Continual];

    /// For addresses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Decay => "decay",
            Self::MidTraining => "midtrain",
            Self::Continual => "continual",
        }
    }

    /// By its name; the default for anything else.
    #[must_use]
    pub fn of(name: Option<&str>) -> Self {
        Self::ALL.into_iter().find(|kind| Some(kind.as_str()) == name).unwrap_or_default()
    }
}

/// What somebody asks for; what is absent follows from the parent.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// What it is for.
    pub kind: Kind,
    /// Name of the child.
    pub name: Option<String>,
    /// Its own updates.
    pub steps: Option<u64>,
    /// Updates of warm-up; [`Kind::Continual`] only.
    pub warmup: Option<u64>,
    /// Shape of the decay, as the specification names it; [`Kind::Decay`] only.
    pub shape: Option<String>,
    /// Highest learning rate; [`Kind::Continual`] only.
    pub rate: Option<f64>,
}

/// A child, before it is registered.
#[derive(Clone, Debug, PartialEq)]
pub struct Branch {
    /// Its name.
    pub name: String,
    /// Its own updates.
    pub steps: u64,
    /// Its specification.
    pub spec: Value,
    /// The same as TOML.
    pub text: String,
    /// Learning rates of the parent up to the checkpoint, what the parent would have gone on with, and those of the child: by updates from the
    /// parent's beginning.
    pub rates: [Vec<(f64, f64)>; 3],
}

/// The child of a run at one of its checkpoints.
///
/// # Errors
/// 422 for a parent without a specification, and for numbers that make no schedule.
pub fn branch(parent: &Run, checkpoint: &Checkpoint, asked: &Asked) -> Result<Branch, WebError> {
    let Some(before) = &parent.spec else {
        let detail = format!(
            "Run \"{}\" was registered without a specification, so none can be made for a child. Register the child with what its trainer is started with, and name parent and step.",
            parent.name
        );
        let ja = format!(
            "実験「{}」には設定が登録されていないため、分岐の設定を作成できません。子の実験を「実験 › 登録」で登録し、分岐元とステップを指定してください。",
            parent.name
        );
        return Err(WebError::refused("branch-spec", detail).or_ja(ja));
    };
    is_in_sections(parent, before)?;
    let Step(at) = checkpoint.step;
    let room = room(asked.kind, before, at);
    let usual = || usual_steps(asked.kind, before, at).min(room.unwrap_or(u64::MAX).max(1));
    let steps = asked.steps.unwrap_or_else(usual);
    check(asked, steps, before)?;
    if let Some(room) = room.filter(|room| *room < steps) {
        return Err(out_of_data(parent, at, room));
    }
    has_room(parent, before, at, asked.kind)?;
    let name = asked.name.clone().unwrap_or_else(|| format!("{}-{}-{at}", parent.name, asked.kind.as_str()));
    let spec = specification(parent, before, at, steps, &name, asked);
    let text = toml_of(&spec)?;
    let begin = if asked.kind == Kind::Decay { 0 } else { at };
    let own = |range: std::ops::RangeInclusive<u64>| rates(&spec, range, begin);
    let child = if asked.kind == Kind::Decay { own(at..=at + steps) } else { own(1..=steps) };
    // As much of the parent as the child's part is still seen beside.
    let around = steps.saturating_mul(AROUND);
    let (first, whole) =
        (at.saturating_sub(around).max(1), total(before).unwrap_or(at).min(at + around).max(at));
    Ok(Branch {
        rates: [rates(before, first..=at, 0), rates(before, at..=whole, 0), child],
        name,
        steps,
        spec,
        text,
    })
}

/// A decay of a tenth of the way so far, as LLM-jp's branches have it; a start of its own is as long as the parent.
fn usual_steps(kind: Kind, before: &Value, at: u64) -> u64 {
    match kind {
        Kind::Decay | Kind::MidTraining => (at / 10).max(1),
        Kind::Continual => total(before).unwrap_or(at).max(1),
    }
}

/// A configuration that is not laid out in sections, as trainers of other makes have them.
fn is_in_sections(parent: &Run, before: &Value) -> Result<(), WebError> {
    let sections = ["schedule", "optimizer", "stop", "data", "parent"];
    let is_table = |value: Option<&Value>| value.is_none_or(|value| value.is_object() || value.is_null());
    if before.is_object() && sections.into_iter().all(|section| is_table(before.get(section))) {
        return Ok(());
    }
    let detail = format!(
        "The specification of run \"{}\" has no sections as ours has (schedule, optimizer, stop, data), so none can be made for a child. Register the child with what its trainer is started with, and name parent and step.",
        parent.name
    );
    let ja = format!(
        "実験「{}」の設定はSekishoの形式（schedule、optimizer、stop、data）ではないため、分岐の設定を作成できません。子の実験を「実験 › 登録」で登録し、分岐元とステップを指定してください。",
        parent.name
    );
    Err(WebError::refused("branch-spec", detail).or_ja(ja))
}

/// Updates that are left in an order of data that is laid out for so many samples and goes on; none where it has no end.
fn room(kind: Kind, before: &Value, at: u64) -> Option<u64> {
    let is_ours = before["trainer"].is_null() && before["data"]["order"] == "megatron";
    let samples = before["data"]["total_samples"].as_u64().filter(|_| is_ours && kind == Kind::Decay)?;
    Some((samples / before["batch"]["sequences"].as_u64().filter(|n| *n > 0)?).saturating_sub(at))
}

fn out_of_data(parent: &Run, at: u64, room: u64) -> WebError {
    let name = &parent.name;
    let detail = format!(
        "The data order of run \"{name}\" is laid out for data.total_samples and ends {room} updates after step {at}. A child that goes on in it makes no more; choose fewer steps, an earlier checkpoint, or mid-training with data of its own."
    );
    let ja = format!(
        "実験「{name}」のデータの並びは data.total_samples までで、ステップ{at}から先は{room}ステップ分です。ステップ数を減らすか、より前のチェックポイント、または独自のデータで始める中間学習を選んでください。"
    );
    WebError::refused("branch-schedule", detail).or_ja(ja)
}

fn check(asked: &Asked, steps: u64, before: &Value) -> Result<(), WebError> {
    let refused = |detail: &str, ja: &str| Err(WebError::refused("branch-schedule", detail).or_ja(ja));
    if steps == 0 || steps > 1_000_000_000 {
        return refused(
            "A child makes 1 to 1,000,000,000 steps.",
            "ステップ数は1〜1,000,000,000の範囲で入力してください。",
        );
    }
    if asked.warmup.is_some_and(|warmup| warmup > steps) {
        return refused(
            "The warm-up is longer than the child.",
            "ウォームアップがステップ数を超えています。",
        );
    }
    if asked.rate.is_some_and(|rate| !rate.is_finite() || rate <= 0.0) {
        return refused(
            "The learning rate is a number above zero.",
            "学習率には0より大きい数値を入力してください。",
        );
    }
    let least = before["optimizer"]["min_lr"].as_f64().unwrap_or(0.0);
    if asked.kind == Kind::Continual && asked.rate.is_some_and(|rate| rate < least) {
        return refused(
            &format!("The learning rate is below the one that the schedule ends at (min_lr, {least:e})."),
            &format!("学習率が最終値（min_lr、{least:e}）を下回っています。"),
        );
    }
    Ok(())
}

/// A decay, and the linear descent of mid-training, need a learning rate above the one that they end at.
fn has_room(parent: &Run, before: &Value, at: u64, kind: Kind) -> Result<(), WebError> {
    let end = match kind {
        Kind::Decay => before["optimizer"]["min_lr"].as_f64().unwrap_or(0.0),
        Kind::MidTraining => 0.0,
        Kind::Continual => return Ok(()),
    };
    match learning_rate(before).map(|rate| rate.of_update(at)) {
        Some(now) if now <= end => {
            let (now, name) = (format::scientific(now), &parent.name);
            let detail = format!(
                "The learning rate of run \"{name}\" is {now} at step {at}, where this schedule would end. Choose an earlier checkpoint, or a continual pre-training with a warm-up of its own."
            );
            let ja = format!(
                "実験「{name}」の学習率はステップ{at}で{now}です。この分岐の最終値まで下がっているため、これ以上減衰できません。より前のチェックポイントを選ぶか、ウォームアップから始める継続事前学習を選んでください。"
            );
            Err(WebError::refused("branch-schedule", detail).or_ja(ja))
        }
        _ => Ok(()),
    }
}

fn specification(parent: &Run, before: &Value, at: u64, steps: u64, name: &str, asked: &Asked) -> Value {
    let mut spec = before.clone();
    let continues = asked.kind == Kind::Decay;
    spec["name"] = name.into();
    spec["parent"] = json!({
        "run": parent.name, "step": at,
        "state": if asked.kind == Kind::Continual { "weights" } else { "full" },
        "data": if continues { "continue" } else { "restart" },
        "reset_steps": !continues,
    });
    let of_parent =
        [("", "init"), ("schedule", "decay_steps"), ("schedule", "decay_shape"), ("schedule", "warmup_init")];
    for (section, key) in of_parent {
        let fields = if section.is_empty() { Some(&mut spec) } else { spec.get_mut(section) };
        if let Some(fields) = fields.and_then(Value::as_object_mut) {
            fields.remove(key);
        }
    }
    let now = learning_rate(before).map(|rate| rate.of_update(at));
    match asked.kind {
        Kind::Decay => {
            spec["schedule"]["kind"] = "wsd".into();
            spec["schedule"]["decay_steps"] = steps.into();
            spec["schedule"]["decay_shape"] = asked.shape.as_deref().unwrap_or("minus_sqrt").into();
            // The parent may be past its plateau, or still before it: the child begins where it is.
            put_rate(&mut spec, now);
            if spec["schedule"]["warmup_steps"].as_u64().is_some_and(|warmup| warmup > at) {
                spec["schedule"]["warmup_steps"] = at.into();
            }
        }
        Kind::MidTraining => {
            spec["schedule"]["kind"] = "linear".into();
            spec["schedule"]["warmup_steps"] = 0.into();
            spec["optimizer"]["min_lr"] = 0.0.into();
            put_rate(&mut spec, now);
        }
        Kind::Continual => {
            spec["schedule"]["kind"] = "cosine".into();
            spec["schedule"]["warmup_steps"] = asked.warmup.unwrap_or(steps / 100).into();
            put_rate(&mut spec, asked.rate);
        }
    }
    let end = if continues { at + steps } else { steps };
    (spec["schedule"]["total_steps"], spec["stop"]["steps"]) = (end.into(), end.into());
    if !continues && let Some(data) = spec["data"].as_object_mut() {
        // Another order of data is laid out for another number of samples.
        data.remove("total_samples");
    }
    spec
}

/// Writes a learning rate down where it is another one.
fn put_rate(spec: &mut Value, rate: Option<f64>) {
    let there = spec["optimizer"]["lr"].as_f64();
    if let Some(rate) = rate.filter(|rate| there.is_none_or(|there| (rate / there - 1.0).abs() > 1e-9)) {
        spec["optimizer"]["lr"] = rate.into();
    }
}

fn total(spec: &Value) -> Option<u64> {
    spec["schedule"]["total_steps"].as_u64().or_else(|| spec["stop"]["steps"].as_u64())
}

/// The learning rate of a specification; none where it does not say all of it.
fn learning_rate(spec: &Value) -> Option<LearningRate> {
    let schedule: Schedule = serde_json::from_value(spec["schedule"].clone()).ok()?;
    let (rate, least) =
        (spec["optimizer"]["lr"].as_f64()?, spec["optimizer"]["min_lr"].as_f64().unwrap_or(0.0));
    Some(LearningRate::new(&schedule, rate, least, total(spec)?))
}

/// Learning rates between two updates, counted on from `begin`.
fn rates(spec: &Value, range: std::ops::RangeInclusive<u64>, begin: u64) -> Vec<(f64, f64)> {
    let Some(rate) = learning_rate(spec) else { return Vec::new() };
    let (first, last) = range.into_inner();
    let every = (last.saturating_sub(first) / PLACES).max(1);
    let mut places: Vec<u64> = (first..=last).step_by(usize::try_from(every).unwrap_or(usize::MAX)).collect();
    if places.last() != Some(&last) && first <= last {
        places.push(last);
    }
    places.into_iter().map(|k| ((begin + k) as f64, rate.of_update(k))).collect()
}

fn toml_of(spec: &Value) -> Result<String, WebError> {
    let table = toml::Value::try_from(without_null(spec)).map_err(WebError::internal)?;
    toml::to_string_pretty(&table).map_err(WebError::internal)
}

/// TOML has no null.
fn without_null(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(_, value)| !value.is_null());
            kept.map(|(name, value)| (name.clone(), without_null(value))).collect()
        }
        Value::Array(values) => values.iter().filter(|value| !value.is_null()).map(without_null).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::pages::fixtures;

    fn parent() -> Run {
        let spec = json!({
            "name": "v4-8b", "seed": 42, "init": { "std": 0.02 }, "optimizer": { "lr": 3e-4, "min_lr": 3e-5, "eps": 1e-8 },
            "schedule": { "kind": "wsd", "warmup_steps": 2000, "decay_steps": 100_000, "total_steps": 2_000_000, "decay_shape": "linear" },
            "stop": { "steps": 2_000_000 }, "batch": { "sequences": 1024 }, "data": { "sequence_length": 8192, "total_samples": 7, "mix": [{ "name": "ja", "weight": 1.0 }] },
        });
        Run { name: "v4-8b".to_owned(), spec: Some(spec), ..fixtures::run() }
    }

    fn of(kind: Kind, at: u64) -> Branch {
        let checkpoint = Checkpoint { step: Step(at), ..fixtures::verified_checkpoint() };
        branch(&parent(), &checkpoint, &Asked { kind, ..Asked::default() }).expect("a child")
    }

    #[test]
    fn a_decay_changes_the_schedule_and_nothing_else() {
        let child = of(Kind::Decay, 1_000_000);
        let mut expected = parent().spec.expect("one");
        expected.as_object_mut().expect("fields").remove("init");
        expected["name"] = "v4-8b-decay-1000000".into();
        expected["parent"] = json!({ "run": "v4-8b", "step": 1_000_000, "state": "full", "data": "continue", "reset_steps": false });
        expected["schedule"] = json!({ "kind": "wsd", "warmup_steps": 2000, "decay_steps": 100_000, "total_steps": 1_100_000, "decay_shape": "minus_sqrt" });
        expected["stop"]["steps"] = 1_100_000.into();
        assert_eq!(child.spec, expected);
        let [before, rest, own] = &child.rates;
        assert_eq!(
            (before.last(), own.first()),
            (Some(&(1e6, 3e-4)), Some(&(1e6, 3e-4))),
            "it leaves where the parent is"
        );
        assert_eq!((rest.last(), own.last()), (Some(&(1.3e6, 3e-4)), Some(&(1.1e6, 3e-5))));
        let again: Value = toml::from_str(&child.text).expect("TOML");
        assert_eq!(again, child.spec, "the file says the same");
    }

    #[test]
    fn a_decay_from_within_a_decay_begins_where_the_parent_is() {
        let child = of(Kind::Decay, 1_950_000);
        let rate = child.spec["optimizer"]["lr"].as_f64().expect("a rate");
        assert!((rate - 1.65e-4).abs() < 1e-9, "{rate}");
    }

    #[test]
    fn other_children_count_from_their_own_beginning() {
        let middle = of(Kind::MidTraining, 1_000_000);
        assert_eq!(
            middle.spec["parent"],
            json!({ "run": "v4-8b", "step": 1_000_000, "state": "full", "data": "restart", "reset_steps": true })
        );
        assert_eq!(
            middle.spec["schedule"],
            json!({ "kind": "linear", "warmup_steps": 0, "total_steps": 100_000 })
        );
        assert_eq!(middle.spec["data"]["total_samples"], Value::Null);
        assert_eq!(middle.rates[2].last(), Some(&(1.1e6, 0.0)));
        let start = of(Kind::Continual, 1_000_000);
        assert_eq!(
            (&start.spec["parent"]["state"], &start.spec["schedule"]["warmup_steps"]),
            (&json!("weights"), &json!(20_000))
        );
    }

    #[test]
    fn what_makes_no_schedule_is_refused() {
        let checkpoint = fixtures::verified_checkpoint();
        let code =
            |parent: &Run, asked: Asked| branch(parent, &checkpoint, &asked).expect_err("refused").code;
        assert_eq!(code(&Run { spec: None, ..parent() }, Asked::default()), "branch-spec");
        assert_eq!(code(&parent(), Asked { steps: Some(0), ..Asked::default() }), "branch-schedule");
        assert_eq!(
            code(&parent(), Asked { steps: Some(5), warmup: Some(6), ..Asked::default() }),
            "branch-schedule"
        );
        assert_eq!(code(&parent(), Asked { rate: Some(f64::NAN), ..Asked::default() }), "branch-schedule");
    }

    #[test]
    fn a_decay_begins_where_a_warm_up_has_come_to_and_ends_with_the_data() {
        let early = of(Kind::Decay, 1000);
        assert_eq!(
            (&early.spec["schedule"]["warmup_steps"], &early.spec["optimizer"]["lr"]),
            (&json!(1000), &json!(1.5e-4))
        );
        assert_eq!(early.rates[2].first(), Some(&(1000.0, 1.5e-4)));
        let mut finite = parent();
        let spec = finite.spec.as_mut().expect("one");
        (spec["data"]["order"], spec["data"]["total_samples"]) =
            ("megatron".into(), (1_010_000 * 1024).into());
        let checkpoint = Checkpoint { step: Step(1_000_000), ..fixtures::verified_checkpoint() };
        assert_eq!(branch(&finite, &checkpoint, &Asked::default()).expect("shorter").steps, 10_000);
        let long = Asked { steps: Some(10_001), ..Asked::default() };
        let error = branch(&finite, &checkpoint, &long).expect_err("no data");
        assert!(
            error.code == "branch-schedule" && error.detail.contains("ends 10000 updates after"),
            "{}",
            error.detail
        );
    }

    #[test]
    fn a_configuration_without_sections_makes_no_child_and_no_fault() {
        let checkpoint = fixtures::verified_checkpoint();
        for spec in [
            json!("flat"),
            json!({ "schedule": "cosine" }),
            json!({ "optimizer": "adamw" }),
            json!({ "data": "c4" }),
        ] {
            for kind in Kind::ALL {
                let flat = Run { spec: Some(spec.clone()), ..parent() };
                let error =
                    branch(&flat, &checkpoint, &Asked { kind, ..Asked::default() }).expect_err("no sections");
                assert_eq!(error.code, "branch-spec");
            }
        }
        let low = Asked { kind: Kind::Continual, rate: Some(1e-5), ..Asked::default() };
        assert_eq!(branch(&parent(), &checkpoint, &low).expect_err("below min_lr").code, "branch-schedule");
    }

    #[test]
    fn what_has_decayed_decays_no_further() {
        let ended = Checkpoint { step: Step(2_000_000), ..fixtures::verified_checkpoint() };
        let asked = |kind| Asked { kind, ..Asked::default() };
        let error = branch(&parent(), &ended, &asked(Kind::Decay)).expect_err("3e-5 is where it ends");
        assert!(error.code == "branch-schedule" && error.detail.contains("3e-5"), "{}", error.detail);
        branch(&parent(), &ended, &asked(Kind::Continual)).expect("it warms up");
        branch(&parent(), &ended, &asked(Kind::MidTraining)).expect("from 3e-5 to zero");
        let mut to_zero = parent();
        to_zero.spec.as_mut().expect("one")["optimizer"]["min_lr"] = 0.0.into();
        branch(&to_zero, &ended, &asked(Kind::MidTraining)).expect_err("zero is where it ends");
    }
}
