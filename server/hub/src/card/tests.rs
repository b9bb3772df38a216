use sekisho_domain::lineage::LineageFile;
use sekisho_domain::score::{Interval, ResultEntry};
use sekisho_domain::{Language, Sha256, Step, Tokens, parse_toml};
use serde_json::json;

use super::{CardCheckpoint, CardFacts, CardMean, CardScore, render};

const LINEAGE: &str = r#"
model.name = "Llama-3.1-Lab-8B"
input = [
  { kind = "base_model", id = "meta-llama/Llama-3.1-8B", license = "llama3.1", stage = "continual" },
  { kind = "corpus", id = "wiki-ja", level = "L1", license = "CC-BY-SA-4.0", tokens = 1234567890, stage = "continual" },
  { kind = "corpus", id = "web-ja", level = "L3", license = "LicenseRef-crawl", tokens = 90000000000, stage = "continual" },
  { kind = "synthetic", id = "lab/sft-ja", level = "L1", license = "CC-BY-4.0", generator = "google/gemma-2-27b-it", generator_license = "gemma", stage = "sft" },
]
release = { repo = "lab/Llama-3.1-Lab-8B", license = ["llama3.1", "gemma"] }
"#;

fn entry(task: &str, metric: &str, value: f64, n: u64) -> ResultEntry {
    serde_json::from_value(json!({
        "profile": "llm-jp-eval@1.3", "task": task, "split": "test", "metric": metric, "value": value, "stderr": null,
        "low": value - 0.02, "high": value + 0.02, "n": n, "shots": 4, "truncated": 3, "fingerprint": Sha256::of(task),
    }))
    .expect("a result entry")
}

fn facts() -> CardFacts {
    let score = |task: &str, title: &str, language: &str, metric, value, n| CardScore {
        entry: entry(task, metric, value, n),
        title_en: title.to_owned(),
        title_ja: format!("{title}（日本語名）"),
        language: language.to_owned(),
        limit: None,
    };
    CardFacts {
        lineage: parse_toml::<LineageFile>("lineage.toml", LINEAGE).expect("valid"),
        languages: vec!["ja".to_owned(), "en".to_owned()],
        checkpoint: CardCheckpoint {
            run: "v4-8b-exp2".to_owned(),
            step: Step(417_233),
            tokens: Tokens(91_234_567_890),
            digest: Sha256::of("checkpoint"),
            parameters: 8_030_261_248,
            embedding_parameters: 1_050_673_152,
            dtype: "bfloat16".to_owned(),
        },
        config: json!({"architectures": ["MistralForCausalLM"], "model_type": "mistral", "num_hidden_layers": 32, "hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": 8,
            "intermediate_size": 14336, "max_position_embeddings": 8192, "vocab_size": 128256}),
        spec: Some(json!({"batch": {"sequences": 1024}, "data": {"sequence_length": 8192}, "schedule": {"kind": "wsd"},
            "optimizer": {"lr": 3e-4, "betas": [0.9, 0.95], "eps": 1e-8, "weight_decay": 0.1}, "precision": {"forward": "bf16"}})),
        scores: vec![
            score("niilc", "NIILC", "ja", "char_f1", 0.4123, 198),
            score("jemhopqa", "JEMHopQA", "ja", "char_f1", 0.5, 120),
            score("openbookqa", "OpenBookQA", "en", "acc", 0.3219, 500),
        ],
        mean: Some(CardMean {
            suite: "release".to_owned(),
            interval: Interval { value: 0.4114, low: 0.39, high: 0.43 },
        }),
        built_with: vec!["Built with Llama".to_owned()],
        notices: vec!["Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms".to_owned()],
    }
}

/// Every number of a text with its unit, sorted: 900億 is 90 billion.
fn figures(text: &str) -> Vec<String> {
    const UNITS: [(&str, f64); 6] =
        [(" trillion", 1e12), (" billion", 1e9), (" million", 1e6), ("兆", 1e12), ("億", 1e8), ("万", 1e4)];
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        rest = &rest[start..];
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ',')).unwrap_or(rest.len());
        let number = rest[..end].trim_end_matches(['.', ',']).replace(',', "");
        rest = &rest[end..];
        let unit = UNITS.iter().find(|(name, _)| rest.starts_with(name)).map_or(1.0, |(_, unit)| *unit);
        found.push(number.parse::<f64>().map_or(number, |value| format!("{:.6e}", value * unit)));
    }
    found.sort();
    found
}

fn without_front_matter(card: &str) -> &str {
    card.split_once("\n---\n\n").map_or(card, |(_, body)| body)
}

#[test]
fn both_languages_hold_the_same_figures() {
    let (en, ja) = (render(&facts(), Language::En), render(&facts(), Language::Ja));
    let (in_en, in_ja) = (figures(without_front_matter(&en)), figures(&ja));
    assert!(in_en.len() > 80, "{}", in_en.len());
    assert_eq!(in_en, in_ja);
    for figure in [
        "0.412",
        "[0.392, 0.432]",
        "198",
        "91,234,567,890",
        "90,000,000,000",
        "8,388,608",
        "3e-4",
        "1e-8",
        "6,979,588,096",
    ] {
        assert!(en.contains(figure) && ja.contains(figure), "{figure}\n{en}");
    }
    assert!(
        en.contains("| Architecture | MistralForCausalLM |") && ja.contains("| 種別 | MistralForCausalLM |")
    );
    assert!(en.contains("about 91.2 billion tokens") && ja.contains("約912億トークン"), "{ja}");
}

#[test]
fn sections_come_in_order_in_both_languages() {
    for (language, expected) in [
        (
            Language::En,
            "Usage, Model details, Training data, Training, Evaluation, Risks and limitations, What is available, License, Verification",
        ),
        (
            Language::Ja,
            "使い方, モデルの詳細, 学習データ, 学習, 評価, リスクと制限事項, 公開の範囲, ライセンス, 検証方法",
        ),
    ] {
        let card = render(&facts(), language);
        let sections: Vec<&str> = card.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(sections.join(", "), expected);
    }
}

#[test]
fn the_front_matter_is_the_hubs() {
    let card = render(&facts(), Language::En);
    let front = card.split_once("\n---\n\n").expect("front matter").0;
    assert_eq!(
        front.lines().take(10).collect::<Vec<_>>(),
        [
            "---",
            "language: [ja, en]",
            "license: [llama3.1, gemma]",
            "base_model: meta-llama/Llama-3.1-8B",
            "base_model_relation: finetune",
            "datasets: lab/sft-ja",
            "library_name: transformers",
            "pipeline_tag: text-generation",
            "model-index:",
            "- name: Llama-3.1-Lab-8B",
        ]
    );
    assert!(
        front.contains("    metrics: [{type: char_f1, value: 0.4123, name: \"4-shot char_f1, n = 198\"}]"),
        "{front}"
    );
    let mut other = facts();
    if let Some(release) = &mut other.lineage.release {
        release.license = vec!["other".to_owned()];
    }
    let card = render(&other, Language::En);
    let named = "license: other\nlicense_name: llama-3.1-lab-8b-license\nlicense_link: LICENSE\n";
    assert!(card.contains(named), "{card}");
    assert!(
        render(&facts(), Language::Ja)
            .starts_with("[English](README.md)\n\n# Llama-3.1-Lab-8B - Built with Llama\n")
    );
}

#[test]
fn the_command_repeats_the_score() {
    for language in [Language::En, Language::Ja] {
        let card = render(&facts(), language);
        let command = "sekisho eval --model Llama-3.1-Lab-8B --profile llm-jp-eval@1.3 --task niilc,jemhopqa,openbookqa --data DATA --split test --shots 4\n";
        assert!(card.contains(command), "{card}");
    }
}

#[test]
fn what_is_not_known_is_left_out() {
    let bare = CardFacts {
        scores: Vec::new(),
        mean: None,
        spec: None,
        built_with: Vec::new(),
        notices: Vec::new(),
        config: json!({}),
        ..facts()
    };
    let card = render(&bare, Language::En);
    for absent in [
        "model-index",
        "## Evaluation",
        "Peak learning rate",
        "Layers",
        "Built with",
        "Architecture",
        "| 0 |",
    ] {
        assert!(!card.contains(absent), "{absent}\n{card}");
    }
}
