use std::collections::{BTreeMap, BTreeSet};

use sekisho_domain::Sha256;
use serde_json::{Map, Value, json};

use super::fields::{json as parse, number, object, text, truth, wrong};
use super::{File, ImportError, Imported, Line, Origin, ReportedScore, base};
use crate::record::Record;
use crate::score::likeliest;

/// Metrics whose score is the mean of the items' values in every task of lm-eval.
const MEANS: [&str; 4] = ["acc", "acc_norm", "acc_bytes", "exact_match"];

/// Results of lm-eval 0.4: `results_*.json` with the `samples_<task>_*.jsonl` that `--log_samples` writes beside it (in the
/// first versions `<task>.jsonl`); of several runs in a folder those of the same date. Tasks without samples, and groups, become reported scores.
///
/// # Errors
/// [`ImportError::Format`] for files of another format, [`ImportError::Mismatch`] when samples do not give the score that
/// the results state.
pub fn lm_eval(results: File<'_>, samples: &[File<'_>]) -> Result<Imported, ImportError> {
    let report = Report::read(results)?;
    let date = base(results.name).strip_prefix("results").and_then(|name| name.strip_suffix(".json"));
    let of_run = |file: &&File<'_>| date.is_none_or(|date| file.name.ends_with(&format!("{date}.jsonl")));
    let samples: Vec<&File<'_>> = samples.iter().filter(of_run).collect();
    let mut imported = Imported::default();
    for (task, scores) in object(&report.json["results"]) {
        let files: Vec<&&File<'_>> =
            samples.iter().filter(|file| report.task_of(file.name) == Some(task)).collect();
        match files.as_slice() {
            [] => imported.reported.extend(report.reported(task, scores)),
            [file] => {
                let kind = Kind::of(&report.json["configs"][task]["output_type"]);
                let kind =
                    kind.ok_or_else(|| wrong(results.name, &format!("{task} has no known \"output_type\"")))?;
                let lines = Samples::read(***file, kind)?.lines(&report, task)?;
                check(file.name, task, scores, &lines)?;
                imported.lines.extend(lines);
            }
            _ => {
                return Err(wrong(
                    results.name,
                    &format!("several files hold samples of {task}; name one folder"),
                ));
            }
        }
    }
    for (group, scores) in object(&report.json["groups"]) {
        if report.json["results"][group].is_null() {
            imported.reported.extend(report.reported(group, scores));
        }
    }
    Ok(imported)
}

/// `results_*.json`.
struct Report<'a> {
    file: File<'a>,
    json: Value,
    profile: String,
    origin: Origin,
}

impl<'a> Report<'a> {
    fn read(file: File<'a>) -> Result<Self, ImportError> {
        let json = parse(file)?;
        if !json["results"].is_object() || !json["configs"].is_object() {
            let message = "not results of lm-eval 0.4: \"results\" and \"configs\" are expected";
            return Err(wrong(file.name, message));
        }
        let version = text(&json["lm_eval_version"]);
        let minor =
            version.as_deref().map(|version| version.split('.').take(2).collect::<Vec<_>>().join("."));
        let config = &json["config"];
        let origin = Origin {
            harness: "lm-eval".to_owned(),
            version,
            backend: text(&config["model"]).or_else(|| text(&json["model_source"])),
            model: text(&json["model_name"]).or_else(|| text(&config["model_args"])),
            file: base(file.name).to_owned(),
            sha256: Sha256::of(file.bytes),
            run: None,
            step: None,
        };
        Ok(Self { file, profile: format!("lm-eval@{}", minor.as_deref().unwrap_or("0.4")), json, origin })
    }

    /// The task whose samples a file holds, by its name; the longest that fits.
    fn task_of(&self, name: &str) -> Option<&String> {
        let name = base(name).strip_suffix(".jsonl")?;
        let fits = |task: &&String| {
            let dated = name.strip_prefix("samples_").and_then(|rest| rest.strip_prefix(task.as_str()));
            dated.is_some_and(is_date) || name == task.as_str() || name.ends_with(&format!("_{task}"))
        };
        object(&self.json["results"]).map(|(task, _)| task).filter(fits).max_by_key(|task| task.len())
    }

    fn reported(&self, task: &str, scores: &Value) -> Vec<ReportedScore> {
        let filters: BTreeSet<&str> =
            object(scores).filter_map(|(key, _)| key.split_once(',')).map(|(_, filter)| filter).collect();
        let row = |(key, value): (&String, &Value)| {
            let (metric, filter) = key.split_once(',')?;
            if metric.ends_with("_stderr") {
                return None;
            }
            Some(ReportedScore {
                profile: self.profile.clone(),
                task: task.to_owned(),
                metric: name(metric, filter, filters.len() > 1),
                value: number(value)?,
                stderr: number(&scores[format!("{metric}_stderr,{filter}")]),
                n: self.json["n-samples"][task]["effective"]
                    .as_u64()
                    .or_else(|| scores["sample_len"].as_u64()),
                shots: self.json["n-shot"][task].as_u64(),
                origin: self.origin.clone(),
            })
        };
        object(scores).filter_map(row).collect()
    }
}

/// `_2026-11-25T15-08-42.402823`, as lm-eval ends the names of its files.
fn is_date(end: &str) -> bool {
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).count();
    end.strip_prefix('_')
        .and_then(|end| end.split_once('T'))
        .is_some_and(|(day, time)| day.len() == 10 && digits(day) == 8 && digits(time) >= 6)
}

/// The metric as we name it: with the filter where a task has several.
fn name(metric: &str, filter: &str, several: bool) -> String {
    if several { format!("{metric},{filter}") } else { metric.to_owned() }
}

/// What a task asks for: `output_type`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Choices,
    Continuation,
    Rolling,
    Text,
}

impl Kind {
    fn of(output_type: &Value) -> Option<Self> {
        match output_type.as_str()? {
            "multiple_choice" => Some(Self::Choices),
            "loglikelihood" => Some(Self::Continuation),
            "loglikelihood_rolling" => Some(Self::Rolling),
            "generate_until" => Some(Self::Text),
            _ => None,
        }
    }
}

/// Lines of a samples file, by document; each has one line per filter.
struct Samples<'a> {
    file: File<'a>,
    kind: Kind,
    documents: BTreeMap<u64, Vec<Value>>,
    filters: BTreeSet<String>,
}

impl<'a> Samples<'a> {
    fn read(file: File<'a>, kind: Kind) -> Result<Self, ImportError> {
        let mut samples = Self { file, kind, documents: BTreeMap::new(), filters: BTreeSet::new() };
        for (index, line) in file.bytes.split(|byte| *byte == b'\n').enumerate() {
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let place = format!("{}, line {}", file.name, index + 1);
            let sample: Value =
                serde_json::from_slice(line).map_err(|error| wrong(&place, &error.to_string()))?;
            let Some(document) = sample["doc_id"].as_u64() else {
                return Err(wrong(&place, "not a sample of lm-eval: \"doc_id\" is expected"));
            };
            samples.filters.insert(filter(&sample).to_owned());
            samples.documents.entry(document).or_default().push(sample);
        }
        Ok(samples)
    }

    fn lines(&self, report: &Report<'_>, task: &str) -> Result<Vec<Line>, ImportError> {
        let stated = report.json["n-samples"][task]["effective"].as_u64();
        if let Some(n) = stated.filter(|n| *n != self.documents.len() as u64) {
            let found = self.documents.len();
            return Err(wrong(
                self.file.name,
                &format!("{found} documents, {} says {n}", base(report.file.name)),
            ));
        }
        let origin = Origin {
            file: base(self.file.name).to_owned(),
            sha256: Sha256::of(self.file.bytes),
            ..report.origin.clone()
        };
        self.documents
            .iter()
            .map(|(document, samples)| {
                let record = self.record(&report.profile, task, *document, samples)?;
                Ok(Line { record, origin: Some(origin.clone()) })
            })
            .collect()
    }

    fn record(
        &self,
        profile: &str,
        task: &str,
        document: u64,
        samples: &[Value],
    ) -> Result<Record, ImportError> {
        let wrong = |message: &str| wrong(&format!("{}, document {document}", self.file.name), message);
        let sample = &samples[0];
        let contexts = contexts(sample).ok_or_else(|| wrong("\"arguments\" has no contexts"))?;
        let mut line =
            answer(self.kind, sample).ok_or_else(|| wrong("\"filtered_resps\" holds no answer"))?;
        let mut score = Map::new();
        for sample in samples {
            for metric in metrics(sample) {
                let name = name(metric, filter(sample), self.filters.len() > 1);
                // The perplexity of a long text without spaces overflows.
                if let Some(value) =
                    item_value(metric, &sample[metric], &mut line).filter(|value| value.is_finite())
                {
                    score.insert(name, json!(value));
                }
            }
        }
        let digests: Vec<String> = contexts.iter().map(|context| Sha256::of(context).hex()).collect();
        for (key, value) in [
            ("profile", json!(profile)),
            ("task", json!(task)),
            ("split", json!("test")),
            ("item", json!(document)),
            ("prompt_sha256", if digests.len() == 1 { json!(digests[0]) } else { json!(digests) }),
            ("prompt_tokens", json!(0)),
            ("truncated", json!(0)),
            ("score", Value::Object(score)),
        ] {
            line.insert(key.to_owned(), value);
        }
        serde_json::from_value(Value::Object(line)).map_err(|error| wrong(&error.to_string()))
    }
}

fn filter(sample: &Value) -> &str {
    sample["filter"].as_str().unwrap_or("none")
}

/// Names of the metrics of a sample; before `metrics` was written, all that is neither text nor known for something else.
fn metrics(sample: &Value) -> Vec<&str> {
    if let Some(names) = sample["metrics"].as_array() {
        return names.iter().filter_map(Value::as_str).collect();
    }
    let known = ["doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter"];
    object(sample)
        .filter(|(key, value)| !known.contains(&key.as_str()) && !value.is_string())
        .map(|(key, _)| key.as_str())
        .collect()
}

/// The value of an item as our records have it. lm-eval keeps the log-likelihood itself for `perplexity`, and with it the
/// words or bytes of the text for rolling metrics; values of corpus metrics (texts) are left out.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "lengths of texts")]
fn item_value(metric: &str, value: &Value, line: &mut Map<String, Value>) -> Option<f64> {
    if let Some(pair) = value.as_array() {
        // Pairs of other metrics (f1, mcc) are gold and prediction.
        let rolling = ["word_perplexity", "byte_perplexity", "bits_per_byte"].contains(&metric);
        let [likelihood, length] = pair.as_slice() else { return None };
        if !rolling {
            return None;
        }
        let (likelihood, length) = (number(likelihood)?, number(length)?);
        let unit = if metric == "word_perplexity" { "words" } else { "bytes" };
        line.insert(unit.to_owned(), json!(length as u64));
        let per_unit = -likelihood / length;
        return Some(if metric == "bits_per_byte" {
            per_unit / std::f64::consts::LN_2
        } else {
            per_unit.exp()
        });
    }
    let value = number(value)?;
    Some(if metric == "perplexity" { (-value).exp() } else { value })
}

/// The log-likelihoods of the choices: with `acc_mutual_info` lm-eval logs as many again, without the context, behind them.
fn conditional<'v>(values: &'v [f64], sample: &Value) -> impl Iterator<Item = f64> + use<'v> {
    let twice = metrics(sample).contains(&"acc_mutual_info");
    values[..if twice { values.len() / 2 } else { values.len() }].iter().copied()
}

/// The texts before the answers: one, or one per choice where they differ.
fn contexts(sample: &Value) -> Option<Vec<String>> {
    let arguments: Vec<&Value> = match &sample["arguments"] {
        Value::Array(list) => list.iter().map(|pair| &pair[0]).collect(),
        Value::Object(_) => {
            // gen_args_10 comes after gen_args_9.
            let mut named: Vec<_> = object(&sample["arguments"]).collect();
            named.sort_by_key(|(name, _)| (name.len(), name.as_str()));
            named.into_iter().map(|(_, pair)| &pair["arg_0"]).collect()
        }
        _ => return None,
    };
    let mut contexts: Vec<String> = arguments
        .into_iter()
        .map(|context| context.as_str().map(ToOwned::to_owned))
        .collect::<Option<_>>()?;
    if contexts.windows(2).all(|pair| pair[0] == pair[1]) {
        contexts.truncate(1);
    }
    (!contexts.is_empty()).then_some(contexts)
}

/// The part of a record that is the answer: log-likelihoods or a text, with prediction and gold.
fn answer(kind: Kind, sample: &Value) -> Option<Map<String, Value>> {
    let (responses, target) = (sample["filtered_resps"].as_array()?, &sample["target"]);
    let fields = if kind == Kind::Text {
        let extracted = if responses.first()?.is_array() { &responses[0][0] } else { &responses[0] };
        let output = text(&sample["resps"][0][0]).unwrap_or_default();
        vec![
            ("output", json!(output)),
            ("stop", Value::Null),
            ("prediction", extracted.clone()),
            ("gold", target.as_str().map_or_else(|| json!(target.to_string()), |target| json!(target))),
        ]
    } else {
        // [log-likelihood, is greedy], or the log-likelihood alone when it is rolling.
        let value = |response: &Value| number(if response.is_array() { &response[0] } else { response });
        let values: Vec<f64> = responses.iter().map(value).collect::<Option<_>>()?;
        let mut fields = vec![("loglikelihoods", json!(values)), ("choice_tokens", json!([]))];
        let (prediction, gold) = match kind {
            Kind::Choices => (
                json!(likeliest(conditional(&values, sample))),
                number(target).map_or_else(|| target.clone(), index),
            ),
            Kind::Continuation => {
                let greedy = truth(&responses.first()?[1])?;
                fields.push(("greedy", json!([greedy])));
                (json!(greedy), target.clone())
            }
            Kind::Rolling | Kind::Text => (Value::Null, Value::Null),
        };
        fields.extend([("prediction", prediction), ("gold", gold)]);
        fields
    };
    Some(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index, written as text")]
fn index(number: f64) -> Value {
    json!(number as u64)
}

/// The items' means are the scores that the results state.
fn check(file: &str, task: &str, scores: &Value, lines: &[Line]) -> Result<(), ImportError> {
    for (key, stated) in object(scores) {
        let Some((metric, filter)) = key.split_once(',') else { continue };
        if !MEANS.contains(&metric) {
            continue;
        }
        let value = |line: &Line| {
            let score = &line.record.score;
            score.get(metric).or_else(|| score.get(&name(metric, filter, true))).copied()
        };
        let values: Vec<f64> = lines.iter().filter_map(value).collect();
        let (Some(items), Some(stated)) = (crate::stats::mean(&values), number(stated)) else { continue };
        if (items - stated).abs() > 1e-9 {
            let (file, task, metric) = (file.to_owned(), task.to_owned(), metric.to_owned());
            return Err(ImportError::Mismatch { file, task, metric, n: values.len(), items, stated });
        }
    }
    Ok(())
}
