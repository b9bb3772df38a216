use std::collections::{BTreeSet, HashMap};

use sekisho_bench::{SourceRef, TaskDefinition};
use sekisho_domain::evaluation::{TaskRun, WorkState};
use sekisho_domain::wire::{ContaminationMethod, KeptContamination, SourceFile, data_digest};
use sekisho_domain::{Sha256, Text, WorkItemId};
use sekisho_store::{Checkpoint, Run, WorkRow};

use crate::service::runs;
use crate::{App, WebError};

/// The items behind a score, as the training text was looked through for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// Items that were looked for: those that are not too short.
    pub looked_for: u64,
    /// Items (line in the split) that were found.
    pub found: BTreeSet<u64>,
    /// How: the shortest runs of any report.
    pub method: ContaminationMethod,
}

/// A run and those that it descends from, each with its reports. What any of them was trained on, the model was trained on.
pub struct Chain {
    runs: Vec<(Run, Vec<KeptContamination>)>,
    /// Why the beginning of the chain is not known.
    broken: Option<Text>,
}

impl Chain {
    /// Of the run of a checkpoint.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn of(app: &App, checkpoint: &Checkpoint) -> Result<Self, WebError> {
        let mut chain = Self { runs: Vec::new(), broken: None };
        let Some(run) = app.store.run(checkpoint.run).await? else { return Ok(chain) };
        for run in runs::line(app, run).await? {
            let reports = app.store.contamination(run.id).await?;
            chain.runs.push((run, reports));
        }
        if let Some((first, _)) = chain.runs.last()
            && let Some(spec) = &first.spec
            && let Some(parent) = spec["parent"]["run"].as_str()
            && runs::parent_of(app, spec).await?.is_none()
        {
            chain.broken = Some(unknown_parent(&first.name, parent));
        }
        Ok(chain)
    }

    /// The tasks that there is a report of on the run itself.
    pub fn reported(&self) -> impl Iterator<Item = &str> {
        let own = self.runs.first().map(|(_, reports)| reports.as_slice()).unwrap_or_default();
        own.iter().map(|kept| kept.task.task.as_str())
    }

    /// What the reports say of the items that a work item asks; or why they say nothing. Every run of the chain must have a report on
    /// the same split of the same data.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn of_work(&self, app: &App, row: &WorkRow) -> Result<Result<Looked, Text>, WebError> {
        let run = &row.work.run;
        let data = match app.catalog.find(&run.profile, &run.task) {
            Ok(definition) => data_of(app, definition, run),
            Err(error) => Err(error.to_string()),
        };
        let data = match data {
            Ok(data) => data,
            Err(why) => return Ok(Err(no_data(&why))),
        };
        let mut reports = Vec::with_capacity(self.runs.len());
        for (of, kept) in &self.runs {
            match report(of, kept, run, data) {
                Ok(kept) => reports.push(kept),
                Err(why) => return Ok(Err(why)),
            }
        }
        if let Some(why) = &self.broken {
            return Ok(Err(why.clone()));
        }
        let mut items = BTreeSet::new();
        for chunk in app.store.chunks(row.work.id).await? {
            items.extend(chunk.items);
        }
        Ok(Ok(together(&items, &reports)))
    }
}

/// Found is what was found in the text of any run; looked for is what was looked for in that of every run.
fn together(items: &BTreeSet<u64>, reports: &[&KeptContamination]) -> Looked {
    let among = |choose: fn(&KeptContamination) -> &BTreeSet<u64>| -> BTreeSet<u64> {
        reports.iter().flat_map(|kept| choose(kept)).filter(|item| items.contains(item)).copied().collect()
    };
    let found = among(|kept| &kept.task.found);
    let too_short = among(|kept| &kept.task.too_short);
    Looked {
        looked_for: (items.len() - too_short.difference(&found).count()) as u64,
        found,
        method: reports
            .iter()
            .fold(ContaminationMethod::default(), |method, kept| method.shorter(kept.method)),
    }
}

/// The report of one run on a task's split and data, if it reaches as far as the score.
fn report<'k>(
    of: &Run,
    kept: &'k [KeptContamination],
    run: &TaskRun,
    data: Sha256,
) -> Result<&'k KeptContamination, Text> {
    let name = &of.name;
    let TaskRun { profile, task, split, limit, .. } = run;
    let of_split: Vec<&KeptContamination> = kept
        .iter()
        .filter(|kept| (&kept.task.profile, &kept.task.task, &kept.task.split) == (profile, task, split))
        .collect();
    let Some(found) = of_split.iter().copied().find(|kept| kept.data == data) else {
        return Err(if of_split.is_empty() {
            Text {
                en: format!("run \"{name}\" has no report on {profile}/{task}, {split}"),
                ja: format!("実験「{name}」に{profile}/{task}（{split}）のレポートがありません"),
            }
        } else {
            Text {
                en: format!("the report on run \"{name}\" is on other data files of {task} than the score"),
                ja: format!("実験「{name}」のレポートは、スコアとは別の{task}のデータに対するものです"),
            }
        });
    };
    match found.task.limit {
        Some(most) if limit.is_none_or(|limit| limit > most) => Err(Text {
            en: format!("the report on run \"{name}\" looks for the first {most} items of {task} alone"),
            ja: format!("実験「{name}」のレポートは{task}の先頭{most}件だけを照合しています"),
        }),
        _ => Ok(found),
    }
}

/// Identity of the data files behind the items of a run: those that the definition names, and where it names no digest, those in
/// place, as its scores are made with them.
fn data_of(app: &App, definition: &TaskDefinition, run: &TaskRun) -> Result<Sha256, String> {
    let without_shots = TaskRun { shots: Some(0), ..run.clone() };
    let file = |source: &SourceRef| {
        let sha256 = match source.sha256 {
            Some(sha256) => sha256,
            None => app.sources.locate(&definition.name(), source)?.1,
        };
        Ok(SourceFile { source: source.source.clone(), file: source.file.clone(), sha256 })
    };
    let sources = definition.sources_for(&without_shots).map_err(|error| error.to_string())?;
    let files: Vec<SourceFile> = sources.into_iter().map(file).collect::<Result<_, String>>()?;
    Ok(data_digest(&files))
}

fn unknown_parent(run: &str, parent: &str) -> Text {
    Text {
        en: format!("run \"{run}\" descends from \"{parent}\", which is not known here"),
        ja: format!("実験「{run}」の親「{parent}」が登録されていません"),
    }
}

fn no_data(why: &str) -> Text {
    Text {
        en: format!("it is not known which data files the score is of ({})", why.trim_end_matches('.')),
        ja: format!("スコアの評価データを特定できません（{}）", why.trim_end_matches('.')),
    }
}

/// What is known of the items behind each finished task of a checkpoint's evaluations, or why nothing is.
///
/// # Errors
/// When the store fails.
pub async fn standings(
    app: &App,
    checkpoint: &Checkpoint,
    work: impl IntoIterator<Item = &WorkRow>,
) -> Result<HashMap<WorkItemId, Result<Looked, Text>>, WebError> {
    let chain = Chain::of(app, checkpoint).await?;
    let mut standings = HashMap::new();
    for row in work.into_iter().filter(|row| row.state == WorkState::Finished) {
        standings.insert(row.work.id, chain.of_work(app, row).await?);
    }
    Ok(standings)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sekisho_domain::wire::TaskContamination;
    use sekisho_domain::{RunId, Step, Timestamp, Tokens, run::RunState};

    use super::*;

    fn kept(split: &str, limit: Option<u64>, too_short: &[u64], found: &[u64]) -> KeptContamination {
        let task = TaskContamination {
            profile: "llm-jp-eval@1.3".to_owned(),
            task: "niilc".to_owned(),
            split: split.to_owned(),
            limit,
            sources: Vec::new(),
            items: 100,
            looked_for: 100 - too_short.len() as u64,
            too_short: too_short.iter().copied().collect(),
            found: found.iter().copied().collect(),
            found_in: BTreeMap::new(),
        };
        KeptContamination {
            data: task.data(),
            task,
            method: ContaminationMethod::default(),
            subsets: Vec::new(),
            by: "池田".to_owned(),
            at: Timestamp::from_unix_ms(0),
        }
    }

    fn base() -> Run {
        Run {
            id: format!("{:026}", 1).parse::<RunId>().expect("an id"),
            project: "default".to_owned(),
            name: "base".to_owned(),
            state: RunState::Finished,
            spec: None,
            spec_digest: None,
            planned_tokens: None,
            suite: None,
            step: Step(0),
            tokens: Tokens(0),
            loss: None,
            owner: None,
            issue: None,
            created: Timestamp::from_unix_ms(0),
            updated: Timestamp::from_unix_ms(0),
        }
    }

    #[test]
    fn what_any_run_was_trained_on_counts_and_only_the_items_of_the_score() {
        let items: BTreeSet<u64> = (0..10).collect();
        let (child, base) = (kept("test", None, &[1, 2, 50], &[3, 60]), kept("test", None, &[2], &[1, 4]));
        let looked = together(&items, &[&child, &base]);
        let method = ContaminationMethod::default();
        let expected = Looked { looked_for: 9, found: [1, 3, 4].into(), method };
        assert_eq!(looked, expected, "2 is too short, 1 was found");
        assert_eq!(together(&items, &[&child]), Looked { looked_for: 8, found: [3].into(), method });
        let closer = ContaminationMethod { characters: 16, ..method };
        let base = KeptContamination { method: closer, ..base };
        assert_eq!(together(&items, &[&child, &base]).method, closer);
    }

    #[test]
    fn a_report_counts_for_its_own_split_data_and_limit() {
        let asked = |split: &str, limit: Option<u64>| TaskRun {
            profile: "llm-jp-eval@1.3".to_owned(),
            task: "niilc".to_owned(),
            split: split.to_owned(),
            limit,
            shots: Some(4),
        };
        let (whole, first) = (kept("test", None, &[], &[]), kept("dev", Some(50), &[], &[]));
        let data = whole.data;
        let reports = [whole.clone(), first.clone()];
        let told = |run: TaskRun, data| report(&base(), &reports, &run, data).map_err(|why| why.en);
        assert_eq!(told(asked("test", None), data), Ok(&whole));
        assert_eq!(told(asked("test", Some(10)), data), Ok(&whole));
        assert_eq!(told(asked("dev", Some(50)), data), Ok(&first));
        for (run, data, words) in [
            (asked("dev", None), data, "the first 50 items of niilc alone"),
            (asked("dev", Some(51)), data, "the first 50 items"),
            (asked("train", None), data, "run \"base\" has no report on llm-jp-eval@1.3/niilc, train"),
            (asked("test", None), Sha256::of("other"), "on other data files of niilc than the score"),
        ] {
            let why = told(run, data).expect_err("no report");
            assert!(why.contains(words), "{why}");
        }
    }
}
