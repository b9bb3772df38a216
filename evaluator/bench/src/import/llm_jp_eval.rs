use std::collections::BTreeMap;

use regex::Regex;
use sekisho_domain::Sha256;
use serde_json::{Value, json};
use unicode_normalization::UnicodeNormalization as _;

use super::fields::{json as parse, number, object, text, wrong};
use super::{File, ImportError, Imported, Line, Origin, ReportedScore, base};
use crate::char_f1::char_f1;
use crate::correlation::{pearson, spearman};
use crate::python_text::strip;
use crate::stats::mean;

/// Half of the last of the four decimals to which 1.x rounds its scores.
const ROUNDING: f64 = 0.000_051;

/// What llm-jp-eval's files do not always say, from the caller.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings<'a> {
    /// Versioned profile, e.g. `llm-jp-eval@1.3`; otherwise the version in the path of the data set, or of the harness.
    pub profile: Option<&'a str>,
    /// `dev` or `test`; otherwise the one in the file.
    pub split: Option<&'a str>,
}

/// Results of llm-jp-eval: the JSON of 1.x with `scores`, `outputs` and `config`; `result.json` of 2.x, whose `records` are
/// taken when all items of a data set are among them; and the `<data set>.eval-generated.json` of 1.4 and 2.x, whose answers
/// are extracted and scored here. Metrics that have no value per item here become reported scores.
///
/// # Errors
/// [`ImportError::Format`] for other files and where profile or split are not to be found, [`ImportError::Mismatch`] when
/// the items do not give the score that the file states.
pub fn llm_jp_eval(file: File<'_>, settings: Settings<'_>) -> Result<Imported, ImportError> {
    let json = parse(file)?;
    let source = Source::new(file, &json, settings)?;
    if json["outputs"].is_object() {
        source.outputs(&json)
    } else if json["samples"].is_array() && json["target_dataset"].is_string() {
        source.generated(&json)
    } else if json["scores"].is_object() {
        source.records(&json)
    } else {
        let message = "not a result of llm-jp-eval: \"scores\" with \"outputs\" or \"records\" is expected, or the \
                       \"samples\" of one data set";
        Err(wrong(file.name, message))
    }
}

/// The file, and what holds for all of its items.
struct Source<'a> {
    file: File<'a>,
    profile: String,
    split: String,
    shots: Option<u64>,
    origin: Origin,
}

/// One item, whatever the version calls its fields.
struct Item<'v> {
    prompt: Option<String>,
    output: String,
    prediction: String,
    gold: String,
    fields: &'v Value,
}

impl<'a> Source<'a> {
    fn new(file: File<'a>, json: &Value, settings: Settings<'_>) -> Result<Self, ImportError> {
        let config = &json["config"];
        let path = config["dataset_dir"].as_str().unwrap_or_default();
        let in_path = Regex::new(r"(\d+\.\d+)\.\d+(?:/evaluation/(dev|test))?")
            .expect("a literal pattern")
            .captures(path);
        let named =
            [&json["version"], &json["metadata"]["version"], &config["version"]].into_iter().find_map(text);
        let version = named.or_else(|| in_path.as_ref().map(|found| found[1].to_owned()));
        let minor = version.as_ref().map(|version| version.split('.').take(2).collect::<Vec<_>>().join("."));
        let Some(profile) =
            settings.profile.map(ToOwned::to_owned).or_else(|| minor.map(|v| format!("llm-jp-eval@{v}")))
        else {
            return Err(wrong(
                file.name,
                "it does not say the version of llm-jp-eval; name it, e.g. --profile llm-jp-eval@1.3",
            ));
        };
        let split = [&config["target_split"], &config["metainfo"]["data_type"], &json["target_split"]]
            .into_iter()
            .find_map(text)
            .or_else(|| in_path.as_ref()?.get(2).map(|split| split.as_str().to_owned()));
        let Some(split) = settings.split.map(ToOwned::to_owned).or(split) else {
            return Err(wrong(file.name, "it does not say the split; name it: --split dev or --split test"));
        };
        let model = [
            &config["metainfo"]["basemodel_name"],
            &config["model"]["pretrained_model_name_or_path"],
            &json["metadata"]["basemodel_name"],
        ];
        let origin = Origin {
            harness: "llm-jp-eval".to_owned(),
            version,
            backend: [&config["lib_type"], &json["metadata"]["lib_type"]].into_iter().find_map(text),
            model: model.into_iter().find_map(text),
            file: base(file.name).to_owned(),
            sha256: Sha256::of(file.bytes),
            run: None,
            step: None,
        };
        let shots = config["metainfo"]["num_few_shots"].as_u64().or_else(|| config["num_few_shots"].as_u64());
        Ok(Self { file, profile, split, shots, origin })
    }

    /// 1.x: every item, by data set.
    fn outputs(&self, json: &Value) -> Result<Imported, ImportError> {
        let mut imported = Imported::default();
        let mut done = Vec::new();
        for (task, items) in object(&json["outputs"]) {
            let items = self.items(items.as_array().map(Vec::as_slice).unwrap_or_default(), task)?;
            let stated = stated(&json["scores"], task);
            let (lines, scored) = self.lines(task, &items, &stated)?;
            self.check(task, &items, &stated)?;
            imported.lines.extend(lines);
            done.extend(scored);
        }
        imported.reported = self.reported(&json["scores"], &done);
        Ok(imported)
    }

    /// 2.x: examples in one list, unless it was told to write them all.
    fn records(&self, json: &Value) -> Result<Imported, ImportError> {
        let mut by_task: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for record in json["records"].as_array().map(Vec::as_slice).unwrap_or_default() {
            let Some(task) = record["target_dataset"].as_str() else { continue };
            by_task.entry(task).or_default().push(record.clone());
        }
        let mut imported = Imported::default();
        let mut done = Vec::new();
        for (task, records) in by_task {
            let items = self.items(&records, task)?;
            let stated = stated(&json["scores"], task);
            if !proves(&items, &stated) || self.check(task, &items, &stated).is_err() {
                imported.notes.push(format!(
                    "{}: its {} records of {task} are not all items; import {task}.eval-generated.json for these",
                    base(self.file.name),
                    items.len()
                ));
                continue;
            }
            let (lines, scored) = self.lines(task, &items, &stated)?;
            imported.lines.extend(lines);
            done.extend(scored);
        }
        imported.reported = self.reported(&json["scores"], &done);
        Ok(imported)
    }

    /// 1.4 and 2.x: the raw answers to one data set.
    fn generated(&self, json: &Value) -> Result<Imported, ImportError> {
        let task = json["target_dataset"].as_str().unwrap_or_default();
        let extract = Extract::new(&json["answer_extract_pattern"])
            .ok_or_else(|| wrong(self.file.name, "its \"answer_extract_pattern\" is not understood"))?;
        let samples = json["samples"].as_array().map(Vec::as_slice).unwrap_or_default();
        let item = |sample: &'_ Value| {
            let gold = sample["gold"].as_str().or_else(|| sample["output"].as_str())?.nfkc().collect();
            let output = text(&sample["generated"]).unwrap_or_default();
            Some((text(&sample["prompt"]), output, gold))
        };
        let items: Vec<Item<'_>> = samples
            .iter()
            .map(|sample| {
                let (prompt, output, gold) = item(sample)?;
                let prediction = extract.answer(&output);
                Some(Item { prompt, output, prediction, gold, fields: sample })
            })
            .collect::<Option<_>>()
            .ok_or_else(|| wrong(self.file.name, "a sample has no gold answer"))?;
        let named = json["metrics"].as_array().map(Vec::as_slice).unwrap_or_default();
        let metrics: Vec<(String, Option<f64>)> =
            named.iter().filter_map(Value::as_str).map(|metric| (metric.to_owned(), None)).collect();
        let (lines, _) = self.lines(task, &items, &metrics)?;
        Ok(Imported { lines, ..Imported::default() })
    }

    fn items<'v>(&self, items: &'v [Value], task: &str) -> Result<Vec<Item<'v>>, ImportError> {
        let item = |(index, item): (usize, &'v Value)| {
            let gold = item["gold"].as_str().or_else(|| item["true"].as_str());
            let (Some(prediction), Some(gold)) = (item["pred"].as_str(), gold) else {
                let place = format!("{}, item {index} of {task}", self.file.name);
                return Err(wrong(&place, "\"pred\" and \"gold\" (or \"true\") are expected"));
            };
            let input = item["input"].as_str().unwrap_or_default();
            Ok(Item {
                // 1.x logs the template, with the place of the input in it.
                prompt: text(&item["prompt"]).map(|prompt| prompt.replace("{input}", input)),
                output: ["generated", "output"]
                    .into_iter()
                    .find_map(|key| text(&item[key]))
                    .unwrap_or_else(|| prediction.to_owned()),
                prediction: prediction.to_owned(),
                gold: gold.to_owned(),
                fields: item,
            })
        };
        items.iter().enumerate().map(item).collect()
    }

    /// Records, and the names of the scores that they hold.
    fn lines(
        &self,
        task: &str,
        items: &[Item<'_>],
        metrics: &[(String, Option<f64>)],
    ) -> Result<(Vec<Line>, Vec<String>), ImportError> {
        let correlates = metrics.iter().any(|(metric, _)| metric == "pearson" || metric == "spearman");
        let line = |(index, item): (usize, &Item<'_>)| {
            let score: BTreeMap<&str, f64> = metrics
                .iter()
                .filter_map(|(metric, _)| Some((metric.as_str(), item.score(metric)?)))
                .collect();
            let prompt =
                item.prompt.as_ref().map_or_else(|| json!([]), |prompt| json!(Sha256::of(prompt).hex()));
            let record = json!({
                "profile": self.profile,
                "task": task,
                "split": self.split,
                "item": index,
                "prompt_sha256": prompt,
                "prompt_tokens": 0,
                "truncated": 0,
                "output": item.output,
                "stop": null,
                "prediction": if correlates { json!(parsed(&item.prediction)) } else { json!(item.prediction) },
                "gold": item.gold,
                "score": score,
            });
            let record =
                serde_json::from_value(record).map_err(|error| wrong(self.file.name, &error.to_string()))?;
            Ok(Line { record, origin: Some(self.origin.clone()) })
        };
        let lines: Vec<Line> = items.iter().enumerate().map(line).collect::<Result<_, _>>()?;
        let held = |metric: &String| {
            matches!(metric.as_str(), "pearson" | "spearman")
                || lines.iter().all(|line| line.record.score.contains_key(metric))
        };
        let scored = metrics.iter().map(|(metric, _)| metric).filter(|metric| held(metric));
        Ok((lines.clone(), scored.map(|metric| format!("{task}_{metric}")).collect()))
    }

    /// The items give the scores that the file states.
    fn check(
        &self,
        task: &str,
        items: &[Item<'_>],
        stated: &[(String, Option<f64>)],
    ) -> Result<(), ImportError> {
        for (metric, stated) in stated {
            let (Some(computed), Some(stated)) = (computed(metric, items), stated) else { continue };
            if (computed - stated).abs() > ROUNDING {
                return Err(ImportError::Mismatch {
                    file: self.file.name.to_owned(),
                    task: task.to_owned(),
                    metric: metric.clone(),
                    n: items.len(),
                    items: computed,
                    stated: *stated,
                });
            }
        }
        Ok(())
    }

    /// Everything else in `scores`: data sets without items, categories, averages.
    fn reported(&self, scores: &Value, done: &[String]) -> Vec<ReportedScore> {
        let row = |(name, value): (&String, &Value)| {
            let (task, metric) = METRICS
                .iter()
                .find_map(|metric| Some((name.strip_suffix(metric)?.strip_suffix('_')?, *metric)))
                .unwrap_or((name, "score"));
            Some(ReportedScore {
                profile: self.profile.clone(),
                task: task.to_owned(),
                metric: metric.to_owned(),
                value: number(value)?,
                stderr: None,
                n: None,
                shots: self.shots,
                origin: self.origin.clone(),
            })
        };
        object(scores).filter(|(name, _)| !done.contains(name)).filter_map(row).collect()
    }
}

/// Names of metrics, by which the keys of `scores` end.
const METRICS: [&str; 23] = [
    "hle_exact_match",
    "mifeval_strict",
    "polymath_weighted_accuracy",
    "triviaqa_f1",
    "drop_f1",
    "exact_match",
    "char_f1",
    "set_f1",
    "pearson",
    "spearman",
    "comet_wmt22",
    "bert_score_en_f1",
    "bert_score_ja_f1",
    "bleu_en",
    "bleu_ja",
    "rouge1",
    "rouge2",
    "rougeLsum",
    "rouge2_scaling",
    "mathematical_equivalence",
    "code_exec_sandbox",
    "code_exec",
    "ool",
];

impl Item<'_> {
    /// The value of an item: computed, or as the file has it.
    fn score(&self, metric: &str) -> Option<f64> {
        match metric {
            "exact_match" => Some(f64::from(u8::from(self.prediction == self.gold))),
            "char_f1" => Some(char_f1(&self.prediction, &self.gold)),
            _ => number(&self.fields[metric]),
        }
    }
}

/// Whether a score that agrees with these items says that they are all there: it is computed here, and it is not 0 or 1, which
/// a few examples give by chance.
fn proves(items: &[Item<'_>], stated: &[(String, Option<f64>)]) -> bool {
    let tells = |stated: &f64| *stated > ROUNDING && *stated < 1.0 - ROUNDING;
    stated.iter().any(|(metric, stated)| stated.filter(tells).is_some() && computed(metric, items).is_some())
}

/// `<task>_<metric>` of `scores`, for the metrics that are known.
fn stated(scores: &Value, task: &str) -> Vec<(String, Option<f64>)> {
    object(scores)
        .filter_map(|(name, value)| {
            let metric = name.strip_prefix(task)?.strip_prefix('_')?;
            METRICS.contains(&metric).then(|| (metric.to_owned(), number(value)))
        })
        .collect()
}

/// The score of a metric that is computed here.
fn computed(metric: &str, items: &[Item<'_>]) -> Option<f64> {
    let correlation = |coefficient: fn(&[f64], &[f64]) -> Option<f64>| {
        let (x, y): (Vec<f64>, Vec<f64>) =
            items.iter().map(|item| (parsed(&item.gold), parsed(&item.prediction))).unzip();
        // A correlation that is not defined is shown as 0 there.
        Some(coefficient(&x, &y).unwrap_or(0.0))
    };
    match metric {
        "pearson" => correlation(pearson),
        "spearman" => correlation(spearman),
        "exact_match" | "char_f1" => {
            mean(&items.iter().map(|item| item.score(metric)).collect::<Option<Vec<_>>>()?)
        }
        _ => None,
    }
}

/// llm-jp-eval's number in a text: what is neither digit nor full stop is dropped; −2 where nothing is left to read.
fn parsed(text: &str) -> f64 {
    let digits: String = text.chars().filter(|c| c.is_ascii_digit() || *c == '.').collect();
    digits.parse().unwrap_or(-2.0)
}

/// How the answer is cut out of what was generated.
enum Extract {
    /// What stands before this text.
    Until(&'static str),
    /// The groups of a pattern, joined.
    Pattern(Regex),
}

impl Extract {
    /// The two patterns that llm-jp-eval itself uses look ahead, which our expressions cannot.
    fn new(pattern: &Value) -> Option<Self> {
        match pattern.as_str() {
            None | Some("" | r"(?s)^(.*?)(?=\n\n|\Z)") => Some(Self::Until("\n\n")),
            Some(r"(?s)^(.*?)(?=\n|\Z)") => Some(Self::Until("\n")),
            Some(pattern) => Regex::new(&format!("(?s){pattern}")).ok().map(Self::Pattern),
        }
    }

    fn answer(&self, output: &str) -> String {
        let answer = match self {
            Self::Until(end) => output.split(end).next().unwrap_or_default().to_owned(),
            Self::Pattern(pattern) => pattern.captures(output).map_or_else(String::new, |found| {
                found.iter().skip(1).flatten().map(|group| group.as_str()).collect()
            }),
        };
        strip(&answer).nfkc().collect()
    }
}
