//! `.eval_results/*.yaml`: scores that the Hub shows on the leaderboard of a Benchmark dataset
//! (<https://huggingface.co/docs/hub/eval-results>, a work in progress there). Pure: texts out of values.
//!
//! Only a score over the whole of a split that the Hub knows, by the metric that its leaderboard shows, becomes a file. Japanese
//! benchmarks are hardly listed there; the card's `model-index` holds every score.

use sekisho_domain::score::ResultEntry;

/// A task of ours whose data is a Benchmark dataset of the Hub: one with an `eval.yaml` on the Hub's allow-list.
struct Benchmark {
    profile: &'static str,
    task: &'static str,
    metric: &'static str,
    split: &'static str,
    /// Items of the whole split: with `--limit` a score is another one.
    items: u64,
    dataset: &'static str,
    task_id: &'static str,
    /// The stem of the file's name.
    file: &'static str,
}

/// What could be established. `openai/gsm8k` bears the Hub's "Benchmark" mark, and its task is `gsm8k`: that is how the Hub's own
/// article on results from elsewhere ("Every Eval Ever") writes it. MMLU-Pro, GPQA and HLE are Benchmarks too
/// (<https://huggingface.co/blog/community-evals>), but no task here computes them; MMLU itself is none.
const BENCHMARKS: &[Benchmark] = &[Benchmark {
    profile: "lm-eval@0.4",
    task: "gsm8k",
    metric: "exact_match,strict-match",
    split: "test",
    items: 1319,
    dataset: "openai/gsm8k",
    task_id: "gsm8k",
    file: "gsm8k",
}];

/// Where a reader finds how the scores came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvalSource {
    /// An address that everybody can open: the release's or the repository's page. Without one no source is named.
    pub url: Option<String>,
    /// What the link is called.
    pub name: String,
    /// Day of the evaluation, `2026-11-30`.
    pub date: Option<String>,
}

/// Path in the repository and text of each file, one for each known benchmark among the scores.
#[must_use]
pub fn eval_results(scores: &[ResultEntry], source: &EvalSource) -> Vec<(String, String)> {
    let of = |benchmark: &Benchmark| {
        let score = scores.iter().find(|score| benchmark.is(score))?;
        Some((format!(".eval_results/{}.yaml", benchmark.file), benchmark.yaml(score, source)))
    };
    BENCHMARKS.iter().filter_map(of).collect()
}

impl Benchmark {
    fn is(&self, score: &ResultEntry) -> bool {
        (score.profile.as_str(), score.task.as_str()) == (self.profile, self.task)
            && (score.metric.as_str(), score.split.as_str()) == (self.metric, self.split)
            && score.n == self.items
            && score.truncated == 0
    }

    /// The leaderboards count in percent.
    fn yaml(&self, score: &ResultEntry, source: &EvalSource) -> String {
        let mut lines = vec![
            "- dataset:".to_owned(),
            format!("    id: {}", self.dataset),
            format!("    task_id: {}", self.task_id),
            format!("  value: {:.2}", score.value * 100.0),
        ];
        lines.extend(source.date.iter().map(|date| format!("  date: {}", quoted(date))));
        if let Some(url) = &source.url {
            lines.push("  source:".to_owned());
            lines.push(format!("    url: {}", quoted(url)));
            lines.push(format!("    name: {}", quoted(&source.name)));
        }
        let notes = format!(
            "{}-shot, {} {}, n = {}, settings {}",
            score.shots,
            score.profile,
            score.metric,
            score.n,
            score.fingerprint.short()
        );
        lines.push(format!("  notes: {}\n", quoted(&notes)));
        lines.join("\n")
    }
}

/// JSON strings are YAML strings.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use sekisho_domain::Sha256;
    use sekisho_domain::score::ResultEntry;

    use super::{EvalSource, eval_results};

    fn gsm8k() -> ResultEntry {
        ResultEntry {
            profile: "lm-eval@0.4".to_owned(),
            task: "gsm8k".to_owned(),
            split: "test".to_owned(),
            metric: "exact_match,strict-match".to_owned(),
            value: 0.412_34,
            stderr: None,
            low: 0.38,
            high: 0.44,
            n: 1319,
            shots: 5,
            truncated: 0,
            fingerprint: Sha256::of("settings"),
            seconds: 0.0,
            tokens: sekisho_domain::score::TokenCounts::default(),
        }
    }

    #[test]
    fn a_known_benchmark_becomes_the_hubs_form() {
        let source = EvalSource {
            url: Some("https://huggingface.co/lab/m".to_owned()),
            name: "Model \"card\"".to_owned(),
            date: Some("2026-11-30".to_owned()),
        };
        let mut unknown = gsm8k();
        unknown.task = "jcommonsenseqa".to_owned();
        let short = Sha256::of("settings").short();
        let want = format!(
            "- dataset:\n    id: openai/gsm8k\n    task_id: gsm8k\n  value: 41.23\n  date: \"2026-11-30\"\n  source:\n    url: \"https://huggingface.co/lab/m\"\n    name: \"Model \\\"card\\\"\"\n  notes: \"5-shot, lm-eval@0.4 exact_match,strict-match, n = 1319, settings {short}\"\n"
        );
        let files = eval_results(&[unknown, gsm8k()], &source);
        assert_eq!(files, [(".eval_results/gsm8k.yaml".to_owned(), want)]);
        let bare = eval_results(&[gsm8k()], &EvalSource { url: None, date: None, ..source });
        assert!(!bare[0].1.contains("source") && !bare[0].1.contains("date:"), "{}", bare[0].1);
    }

    #[test]
    fn a_score_of_something_else_is_left_out() {
        let source = EvalSource { url: None, name: String::new(), date: None };
        let edits: [fn(&mut ResultEntry); 5] = [
            |score| score.n = 100,
            |score| score.metric = "exact_match,flexible-extract".to_owned(),
            |score| score.profile = "flexeval@1".to_owned(),
            |score| score.split = "dev".to_owned(),
            |score| score.truncated = 1,
        ];
        for edit in edits {
            let mut score = gsm8k();
            edit(&mut score);
            assert!(eval_results(&[score], &source).is_empty());
        }
    }
}
