//! BLEU and chrF of real translations against sacreBLEU's own counts.

use sekisho_bench::bleu::{self, Counts, Tokenize};
use sekisho_bench::chrf;
use serde_json::{Value, json};

use crate::support::{assert_close, data, goldens, scores};

fn column(items: &[Value], name: &str) -> Vec<String> {
    items.iter().map(|item| item[name].as_str().expect("a text").to_owned()).collect()
}

fn texts(column: &[String]) -> Vec<&str> {
    column.iter().map(String::as_str).collect()
}

#[test]
fn wmt20_scores_as_in_sacrebleu() {
    let Some(_) = data() else { return };
    let of_task = |item: &Value| item["id"].as_str().is_some_and(|id| id.starts_with("wmt20_en_ja/"));
    let items: Vec<Value> = goldens("jp_harness.jsonl").into_iter().filter(of_task).collect();
    let golden = &scores("jp_harness.scores.json")["scores"]["wmt20_en_ja/nobos"];
    assert_eq!(items.len(), 50);
    let (predictions, references) = (column(&items, "pred"), column(&items, "gold"));
    let (predictions, references) = (texts(&predictions), texts(&references));
    for (tokenize, name) in [
        (Tokenize::V13a, "sacrebleu[13a]"),
        (Tokenize::International, "sacrebleu[intl]"),
        (Tokenize::Char, "sacrebleu[char]"),
    ] {
        let golden = &golden[name];
        let each: Vec<Counts> =
            predictions.iter().zip(&references).map(|(p, r)| Counts::of(p, r, tokenize)).collect();
        let counts: Counts = each.iter().sum();
        assert_eq!(json!(counts.matches), golden["counts"], "{name}");
        assert_eq!(json!(counts.totals), golden["totals"], "{name}");
        assert_eq!(
            json!([counts.hypothesis, counts.reference]),
            json!([golden["sys_len"], golden["ref_len"]])
        );
        assert_close(counts.brevity_penalty(), &golden["bp"], name);
        assert_close(counts.score(), &golden["score"], name);
        assert_close(bleu::corpus(&predictions, &references, tokenize), &golden["score"], name);
    }
    assert_close(chrf::corpus(&predictions, &references, 0), &golden["chrf2"], "chrF2");
    assert_close(chrf::corpus(&predictions, &references, 2), &golden["chrf2pp"], "chrF2++");
    // The harness's own score: 13a over words that nagisa cut.
    let (predictions, references) = (column(&items, "pred_nagisa"), column(&items, "gold_nagisa"));
    let score = bleu::corpus(&texts(&predictions), &texts(&references), Tokenize::V13a);
    assert_close(score, &golden["bleu_jp_harness_nagisa_13a"], "nagisa");
}
