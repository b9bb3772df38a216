use serde::Serialize;

use super::super::parts::quoted;
use super::best::best;
use super::{Column, Facts, Standing};

/// A run of `/corpora.json?tab=mix`.
#[derive(Serialize)]
pub(in crate::web::pages) struct RunView {
    run: String,
    step: Option<u64>,
    tokens: u64,
    loss: Option<f64>,
    ja: Option<MeanView>,
    en: Option<MeanView>,
    /// Whether tests cannot tell its Japanese mean from the highest; null where they cannot be asked.
    keeps_japanese: Option<bool>,
    best: bool,
    mix: Vec<PortionView>,
}

/// A mean over the tasks of a language.
#[derive(Serialize)]
struct MeanView {
    value: f64,
    low: f64,
    high: f64,
    tasks: usize,
}

/// What a run takes of a subset.
#[derive(Serialize)]
struct PortionView {
    subset: String,
    language: Option<String>,
    share: Option<f64>,
    tokens: Option<u64>,
    repeats: Option<f64>,
}

/// The runs as `/corpora.json?tab=mix` has them.
pub(in crate::web::pages) fn json(facts: &Facts) -> Vec<RunView> {
    let best = best(&facts.columns, &facts.standings);
    let columns = facts.columns.iter().zip(&facts.standings).enumerate();
    columns.map(|(i, (column, standing))| run_view(facts, column, *standing, best == Some(i))).collect()
}

fn run_view(facts: &Facts, column: &Column, standing: Standing, best: bool) -> RunView {
    let mean = |language: usize| {
        column.mean(language).map(|mean| MeanView {
            value: mean.value,
            low: mean.low,
            high: mean.high,
            tasks: column.scores[language].of,
        })
    };
    let portion = |portion: &super::Portion| PortionView {
        subset: portion.subset.clone(),
        language: facts.languages.get(&portion.subset).cloned(),
        share: portion.share,
        tokens: portion.tokens.map(|tokens| tokens.0),
        repeats: portion.repeats,
    };
    RunView {
        run: column.run.name.clone(),
        step: column.checkpoint.as_ref().map(|checkpoint| checkpoint.step.0),
        tokens: column.total.0,
        loss: column.loss,
        ja: mean(0),
        en: mean(1),
        keeps_japanese: match standing {
            Standing::Keeps => Some(true),
            Standing::Below => Some(false),
            Standing::Apart | Standing::Unknown => None,
        },
        best,
        mix: column.portions.iter().map(portion).collect(),
    }
}

/// The runs as `/corpora.csv?tab=mix` has them: one line for each run and subset, with what belongs to the run in each.
pub(in crate::web::pages) fn csv(facts: &Facts) -> String {
    let head = "run,step,run_tokens,subset,language,share,tokens,repeats,ja_mean,ja_low,ja_high,en_mean,en_low,en_high,loss,keeps_japanese,best";
    let number = |value: Option<f64>| value.map_or_else(String::new, |v| v.to_string());
    let whole = |value: Option<u64>| value.map_or_else(String::new, |v| v.to_string());
    let mut lines = vec![head.to_owned()];
    for run in json(facts) {
        let of = |mean: &Option<MeanView>| {
            let mean = mean.as_ref();
            [mean.map(|m| m.value), mean.map(|m| m.low), mean.map(|m| m.high)].map(number).join(",")
        };
        let keeps = run.keeps_japanese.map_or_else(String::new, |keeps| keeps.to_string());
        for portion in &run.mix {
            let fields = [
                quoted(&run.run),
                whole(run.step),
                run.tokens.to_string(),
                quoted(&portion.subset),
                quoted(portion.language.as_deref().unwrap_or_default()),
                number(portion.share),
                whole(portion.tokens),
                number(portion.repeats),
                of(&run.ja),
                of(&run.en),
                number(run.loss),
                keeps.clone(),
                run.best.to_string(),
            ];
            lines.push(fields.join(","));
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::super::super::fixtures;
    use super::*;

    #[test]
    fn csv_and_json_say_the_same() {
        let facts = fixtures::mixes();
        let runs = serde_json::to_value(json(&facts)).expect("JSON");
        assert_eq!(runs[0]["mix"][0]["subset"], "web-ja");
        assert_eq!(runs[0]["mix"][0]["share"], 0.25);
        assert_eq!(
            serde_json::json!([
                runs[0]["keeps_japanese"],
                runs[0]["best"],
                runs[2]["keeps_japanese"],
                runs[2]["ja"]
            ]),
            serde_json::json!([true, true, null, null])
        );
        let text = csv(&facts);
        let portions: usize = facts.columns.iter().map(|column| column.portions.len()).sum();
        assert_eq!(text.lines().count(), portions + 1);
        let fields = text.lines().next().map(|line| line.split(',').count());
        assert!(text.lines().all(|line| Some(line.split(',').count()) == fields), "{text}");
        assert!(text.contains("mix-1,1000,100000000000,web-ja,ja,0.25,25000000000,"), "{text}");
    }
}
