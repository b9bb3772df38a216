use std::collections::BTreeMap;

use sekisho_domain::evaluation::{Bos, TaskRun};
use sekisho_domain::score::{Interval, ResultEntry, TokenCounts};
use sekisho_domain::wire::SourceFile;
use sekisho_domain::{Sha256, canonical_json};
use serde_json::{Value, json};

use crate::definition::{SourceRef, StandardError, TaskDefinition};
use crate::metric::{Metric, Reported};
use crate::record::Record;
use crate::stats;

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
    let entry = |reported: &Reported| {
        let name = reported.to_string();
        let values: Vec<f64> = by_item.values().filter_map(|record| record.score.get(&name).copied()).collect();
        let interval = interval(reported.metric, &values)?;
        let entry = ResultEntry {
            profile: definition.profile.clone(),
            task: definition.task.clone(),
            split: run.split.clone(),
            metric: name,
            value: interval.value,
            stderr: match definition.stderr {
                StandardError::None => None,
                StandardError::Sample | StandardError::Pooled => stats::standard_error(&values),
            },
            low: interval.low,
            high: interval.high,
            n: values.len() as u64,
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

fn interval(metric: Metric, values: &[f64]) -> Option<Interval> {
    if metric.is_proportion() { stats::wilson(values) } else { stats::bootstrap_mean(values) }
}

/// Parts of a definition that change no score: they describe, name files by place, or say how sure a score is.
const DESCRIPTIVE: [&str; 12] = [
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
    }
    Sha256::of(canonical_json(&settings))
}
