use std::collections::BTreeMap;

use sekisho_domain::evaluation::{Bos, TaskRun};
use sekisho_domain::score::{ResultEntry, TokenCounts};
use sekisho_domain::wire::SourceFile;
use sekisho_domain::{Sha256, canonical_json};
use serde_json::{Value, json};

use crate::definition::{SourceRef, StandardError, TaskDefinition};
use crate::metric::Reported;
use crate::record::Record;
use crate::statistic::Statistic;
use crate::stats;
use crate::task_items::TaskItems;

/// Replicates of a bootstrapped standard error: what the JP harness takes for BLEU; lm-eval takes up to 100,000.
const REPLICATES: usize = 1_000;

/// The score of every metric over these records, each with the mark of the primary metric.
///
/// Records are taken in the order of their items and one per item, so neither the order of arrival nor a repeated
/// delivery changes a digit. `seconds` and `tokens` are left 0 for the caller. Without records there is no score.
#[must_use]
pub fn aggregate(
    definition: &TaskDefinition,
    run: &TaskRun,
    sources: &[SourceFile],
    bos: Bos,
    records: &[Record],
) -> Vec<(ResultEntry, bool)> {
    let by_item: BTreeMap<u64, &Record> = records.iter().map(|record| (record.item, record)).collect();
    let truncated = by_item.values().filter(|record| record.truncated > 0).count() as u64;
    let fingerprint = fingerprint(definition, run, sources, bos);
    let records: Vec<&Record> = by_item.into_values().collect();
    let entry = |reported: &Reported| {
        let items =
            TaskItems::new(&reported.to_string(), definition.cluster.is_some(), records.iter().copied());
        let interval = items.interval()?;
        let entry = ResultEntry {
            profile: definition.profile.clone(),
            task: definition.task.clone(),
            split: run.split.clone(),
            metric: reported.to_string(),
            value: interval.value,
            stderr: standard_error(definition.stderr, items.statistic(), &records),
            low: interval.low,
            high: interval.high,
            n: items.len() as u64,
            shots: definition.shots_of(run),
            truncated,
            fingerprint,
            seconds: 0.0,
            tokens: TokenCounts::default(),
        };
        Some((entry, *reported == definition.primary))
    };
    definition.reported().iter().filter_map(entry).collect()
}

/// The harness's own standard error.
fn standard_error(rule: StandardError, statistic: &Statistic, records: &[&Record]) -> Option<f64> {
    match (rule, statistic) {
        (StandardError::None, _) | (_, Statistic::Weighted(..) | Statistic::Correlation(..)) => None,
        (StandardError::Sample, Statistic::Mean(values)) => stats::standard_error(values),
        (StandardError::Pooled, Statistic::Mean(values)) => pooled(values, &groups(records)),
        (_, Statistic::Perplexity(_) | Statistic::Bleu(_) | Statistic::Chrf(_)) => {
            let score = |drawn: &[usize]| statistic.over(drawn).unwrap_or(0.0);
            stats::bootstrap_standard_error(statistic.len(), REPLICATES, score)
        }
    }
}

/// lm-eval's error of a group: over its tasks, each with its own.
fn pooled(values: &[f64], groups: &[Option<&str>]) -> Option<f64> {
    let mut tasks: BTreeMap<Option<&str>, Vec<f64>> = BTreeMap::new();
    for (value, group) in values.iter().zip(groups) {
        tasks.entry(*group).or_default().push(*value);
    }
    let errors: Vec<f64> =
        tasks.values().map(|values| stats::standard_error(values).unwrap_or_default()).collect();
    let sizes: Vec<usize> = tasks.values().map(Vec::len).collect();
    stats::pooled_standard_error(&errors, &sizes)
}

fn groups<'r>(records: &[&'r Record]) -> Vec<Option<&'r str>> {
    records.iter().map(|record| record.group.as_deref()).collect()
}

/// Parts of a definition that change no score: they describe, name files by place, or say how sure a score is.
const DESCRIPTIVE: [&str; 13] = [
    "published",
    "title_en",
    "title_ja",
    "language",
    "license",
    "redistributable",
    "citation",
    "chance",
    "primary",
    "stderr",
    "subtask",
    "cluster",
    "source",
];

/// Identity of the settings of a score: everything that could change it save the model and the numerics.
///
/// Of `sources` only the files that the run needs count, whatever else is listed; a file that is not listed counts with
/// the digest of its definition. Titles, licence, citation and chance level are left out: they describe, they do not ask.
#[must_use]
pub fn fingerprint(definition: &TaskDefinition, run: &TaskRun, sources: &[SourceFile], bos: Bos) -> Sha256 {
    let digest = |needed: &&SourceRef| {
        let found = sources.iter().find(|have| have.source == needed.source && have.file == needed.file);
        let sha256 = found.map(|found| found.sha256).or(needed.sha256);
        json!([needed.role, sha256, needed.reader, needed.set, needed.only])
    };
    let data: Vec<Value> = definition.sources_for(run).unwrap_or_default().iter().map(digest).collect();
    let shots = definition.shots_of(run);
    let mut settings = serde_json::to_value(definition).expect("a definition is JSON");
    if let Value::Object(parts) = &mut settings {
        for part in DESCRIPTIVE {
            parts.remove(part);
        }
        if shots == 0 {
            // The order of the items hangs on the sampler even without examples.
            parts.insert("shots".to_owned(), json!({ "sampler": definition.shots.sampler }));
        } else {
            parts.insert("shots".to_owned(), json!([shots, definition.shots.without_default()]));
        }
        parts.insert("data".to_owned(), data.into());
        parts.insert("bos".to_owned(), json!(definition.bos_rule(bos)));
        parts.insert("run".to_owned(), json!([run.split, run.limit]));
        if run.limit.is_some() && definition.subtask.is_some() {
            // The limit holds for each sub-task, so this is another choice of items.
            parts.insert("subtask".to_owned(), json!(definition.subtask));
        }
    }
    Sha256::of(canonical_json(&settings))
}
