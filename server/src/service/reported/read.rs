use jiff::civil::Date;
use sekisho_bench::Catalog;
use sekisho_domain::reported::{ReportedModel, ReportedScore};
use sekisho_domain::{Text, Tokens};
use serde::{Deserialize, Serialize};

/// The head line: one line a score, so a model takes as many lines as it has tasks.
pub const COLUMNS: &str = "model,source,date,license,profile,task,split,shots,value,scale and any of family, parameters, active, tokens, model_license, remark";

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Read {
    /// Models whose lines could all be read, in the order of their first lines.
    pub models: Vec<ReportedModel>,
    /// Lines that could not.
    pub refused: Vec<Refused>,
}

/// A line that is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = RefusedLine)]
pub struct Refused {
    /// Its number in the file, from 1.
    pub line: u64,
    /// Why.
    pub reason: Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    model: String,
    source: String,
    date: Date,
    license: String,
    profile: String,
    task: String,
    split: String,
    shots: u32,
    value: f64,
    /// What the value runs to: 1, or 100.
    scale: u32,
    family: Option<String>,
    parameters: Option<u64>,
    active: Option<u64>,
    tokens: Option<u64>,
    model_license: Option<String>,
    remark: Option<String>,
}

/// Reads a CSV file of reported scores. `scale` says whether a value runs to 1 or to 100: sources differ, and BLEU divided by 100 cannot
/// be told from a very low one. A line that is refused takes the other lines of its model with it, so that no model is kept in part.
#[must_use]
pub fn read(catalog: &Catalog, text: &str) -> Read {
    let text = text.trim_start_matches('\u{feff}');
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(false).from_reader(text.as_bytes());
    let mut found = Read::default();
    let mut broken: Vec<(String, String)> = Vec::new();
    let heads = reader.headers().cloned().unwrap_or_default();
    for record in reader.records() {
        let (number, line) = match record {
            Ok(record) => {
                let number = record.position().map_or(1, csv::Position::line);
                (
                    number,
                    record.deserialize::<Line>(Some(&heads)).map_err(|error| (named(&record, &heads), error)),
                )
            }
            Err(error) => (error.position().map_or(1, csv::Position::line), Err((None, error))),
        };
        match line {
            Ok(line) => {
                if let Some(reason) = fault(catalog, &found, &line) {
                    broken.push((line.model, line.source));
                    found.refused.push(Refused { line: number, reason });
                } else {
                    add(&mut found.models, line);
                }
            }
            Err((name, error)) => {
                broken.extend(name);
                found.refused.push(Refused { line: number, reason: unreadable(&error) });
            }
        }
    }
    found
        .models
        .retain(|row| !broken.iter().any(|(model, source)| (model, source) == (&row.model, &row.source)));
    found
}

/// Model and source of a line that is otherwise unreadable.
fn named(record: &csv::StringRecord, heads: &csv::StringRecord) -> Option<(String, String)> {
    let cell = |name: &str| record.get(heads.iter().position(|head| head == name)?).map(ToOwned::to_owned);
    Some((cell("model")?, cell("source")?))
}

fn unreadable(error: &csv::Error) -> Text {
    let words = match error.kind() {
        csv::ErrorKind::Deserialize { err, .. } => err.to_string(),
        _ => error.to_string(),
    };
    Text {
        en: format!("{words}. The head line has {COLUMNS}."),
        ja: format!("読み取れません（{words}）。見出し行の列名：{COLUMNS}"),
    }
}

/// The first rule that a line breaks.
fn fault(catalog: &Catalog, before: &Read, line: &Line) -> Option<Text> {
    let Line { model, source, profile, task, split, value, scale, .. } = line;
    if model.is_empty() || source.is_empty() || line.license.is_empty() {
        return Some(Text {
            en: "model, source and license may not be empty.".to_owned(),
            ja: "model、source、licenseは省略できません。".to_owned(),
        });
    }
    if ![1, 100].contains(scale) {
        return Some(Text {
            en: format!(
                "scale is {scale}; say 1 when values run from 0 to 1, and 100 when they run from 0 to 100."
            ),
            ja: format!("scaleが{scale}です。値の範囲が0〜1なら1、0〜100なら100を指定してください。"),
        });
    }
    if !(0.0..=f64::from(*scale)).contains(value) {
        return Some(Text {
            en: format!(
                "value {value} is outside 0 to {scale}; give what was published, and the scale it has."
            ),
            ja: format!(
                "値{value}が0〜{scale}の範囲にありません。公表された値と、その尺度を指定してください。"
            ),
        });
    }
    if !["dev", "test"].contains(&split.as_str()) {
        return Some(Text {
            en: format!("split \"{split}\" is neither dev nor test."),
            ja: format!("split「{split}」はdevでもtestでもありません。"),
        });
    }
    if catalog.published_metric(profile, task).is_none() {
        let near = catalog.find(profile, task).err().map(|error| error.to_string()).unwrap_or_default();
        return Some(Text {
            en: format!("task \"{task}\" of {profile} is not known here: {near}."),
            ja: format!("{profile}のタスク「{task}」は登録されていません（{near}）。"),
        });
    }
    let same = |row: &&ReportedModel| (&row.model, &row.source) == (model, source);
    let row = before.models.iter().find(same)?;
    if row
        .scores
        .iter()
        .any(|s| (&s.profile, &s.task, &s.split, s.shots) == (profile, task, split, line.shots))
    {
        return Some(Text {
            en: format!("{profile}/{task} of \"{model}\" is there twice; keep one of the lines."),
            ja: format!("「{model}」の{profile}/{task}が2回記載されています。一方を削除してください。"),
        });
    }
    (row.day != line.date).then(|| Text {
        en: format!("\"{model}\" is dated {} and {}; one source has one date.", row.day, line.date),
        ja: format!(
            "「{model}」の日付が{}と{}です。1つの出典には1つの日付を指定してください。",
            row.day, line.date
        ),
    })
}

fn add(models: &mut Vec<ReportedModel>, line: Line) {
    let score = ReportedScore {
        profile: line.profile,
        task: line.task,
        split: line.split,
        shots: line.shots,
        share: line.value / f64::from(line.scale),
    };
    let same = |row: &&mut ReportedModel| (&row.model, &row.source) == (&line.model, &line.source);
    if let Some(row) = models.iter_mut().find(same) {
        row.scores.push(score);
        return;
    }
    let text = |text: Option<String>| text.filter(|text| !text.is_empty());
    models.push(ReportedModel {
        model: line.model,
        source: line.source,
        day: line.date,
        license: line.license,
        family: text(line.family),
        parameters: line.parameters,
        active: line.active,
        tokens: line.tokens.map(Tokens),
        model_license: text(line.model_license),
        remark: text(line.remark),
        scores: vec![score],
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "model,source,date,license,profile,task,split,shots,value,scale\n";

    fn one(cells: &str) -> Read {
        read(&Catalog::builtin(), &format!("{HEAD}{cells}\n"))
    }

    #[test]
    fn bleu_is_the_same_whether_it_was_published_to_1_or_to_100() {
        let line = |value: &str, scale: &str| {
            one(&format!("A,a board,2025-04-14,CC-BY-4.0,jp-harness@1,wmt20-en-ja,test,4,{value},{scale}"))
        };
        let (small, large) = (line("0.286", "1"), line("28.6", "100"));
        assert_eq!(small.refused, []);
        assert!((small.models[0].scores[0].share - large.models[0].scores[0].share).abs() < 1e-12);
        let wrong = line("28.6", "1");
        assert!(wrong.models.is_empty() && wrong.refused[0].reason.en.contains("outside 0 to 1"));
    }

    #[test]
    fn a_refused_line_is_named_and_takes_its_model_with_it() {
        let good = "A,a board,2025-04-14,CC-BY-4.0,llm-jp-eval@1.3,niilc,test,4,0.5,1";
        let other = good.replace("A,a", "B,a");
        for (bad, says) in [
            ("A,a board,2025-04-14,CC-BY-4.0,llm-jp-eval@1.3,nilc,test,4,0.5,1", "did you mean \"niilc\"?"),
            (
                "A,a board,2025-04-14,CC-BY-4.0,llm-jp-eval@1.3,jsquad,validation,4,0.5,1",
                "neither dev nor test",
            ),
            ("A,a board,2025-04-14,CC-BY-4.0,llm-jp-eval@1.3,jsquad,test,4,0.5,10", "scale is 10"),
            ("A,a board,2025-04-14,CC-BY-4.0,llm-jp-eval@1.3,jsquad,test,4,-0.1,1", "outside"),
            ("A,a board,2025-04-14,CC-BY-4.0,llm-jp-eval@1.3,jsquad,test,4,NaN,1", "outside"),
            ("A,a board,2025-04-14,CC-BY-4.0,llm-jp-eval@1.3,niilc,test,4,0.6,1", "there twice"),
            ("A,a board,2025-05-14,CC-BY-4.0,llm-jp-eval@1.3,jsquad,test,4,0.6,1", "one date"),
            ("A,a board,yesterday,CC-BY-4.0,llm-jp-eval@1.3,jsquad,test,4,0.6,1", "head line"),
            ("A,a board,2025-04-14,,llm-jp-eval@1.3,jsquad,test,4,0.6,1", "may not be empty"),
        ] {
            let found = one(&format!("{good}\n{bad}\n{other}"));
            let kept: Vec<&str> = found.models.iter().map(|row| row.model.as_str()).collect();
            // A line without its licence belongs to that model too.
            assert_eq!(kept, ["B"], "{bad}");
            assert_eq!(found.refused.len(), 1, "{bad}");
            let Refused { line, reason } = &found.refused[0];
            assert_eq!(*line, 3, "{bad}");
            assert!(reason.en.contains(says) && !reason.ja.is_empty(), "{}", reason.en);
        }
    }

    #[test]
    fn a_file_of_another_kind_is_refused_line_by_line() {
        let found = read(&Catalog::builtin(), "id,corpus\nweb-ja,v3\n");
        assert!(found.models.is_empty() && found.refused.len() == 1, "{found:?}");
        assert_eq!(read(&Catalog::builtin(), ""), Read::default());
    }
}
