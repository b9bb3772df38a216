//! Cards from made-up facts: the present ones of every caller, and all there are.

mod edits;
mod figures;
mod front_matter;
mod hostile;
mod sections;
mod snapshots;

use sekisho_domain::lineage::{InputStage, LineageFile, ReleaseStage};
use sekisho_domain::release::ReleaseState;
use sekisho_domain::run::Devices;
use sekisho_domain::score::{Interval, ResultEntry};
use sekisho_domain::{Language, Sha256, Step, Text, Tokens, parse_toml};
use serde_json::json;

use super::*;

const LINEAGE: &str = r#"
model.name = "Llama-3.1-Lab-8B"
input = [
  { kind = "base_model", id = "meta-llama/Llama-3.1-8B", license = "llama3.1", stage = "continual" },
  { kind = "corpus", id = "wiki-ja", level = "L1", license = "CC-BY-SA-4.0", tokens = 1234567890, stage = "continual" },
  { kind = "corpus", id = "web-ja", level = "L3", license = "LicenseRef-crawl", tokens = 90000000000, stage = "continual" },
  { kind = "synthetic", id = "lab/sft-ja", level = "L1", license = "CC-BY-4.0", generator = "google/gemma-2-27b-it", generator_license = "gemma", stage = "sft" },
]
waiver = [
  { code = "noncommercial-input", input = "web-ja", reason = "A letter of the holder, Mr. Secret.", evidence = "letter.pdf", by = "ueda", until = 2027-03-31 },
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

/// What every caller knows.
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
        extras: CardExtras::default(),
    }
}

fn text(en: &str, ja: &str) -> Text {
    Text { en: en.to_owned(), ja: ja.to_owned() }
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// The facts with everything that is optional.
fn full() -> CardFacts {
    let mut facts = facts();
    facts.config["transformers_version"] = json!("4.57.1");
    if let Some(spec) = &mut facts.spec {
        spec["parent"] = json!({"run": "v4-8b-exp1", "step": 400_000});
    }
    facts.extras = CardExtras {
        family: family(),
        cumulative_tokens: Some(Tokens(15_691_234_567_890)),
        tokenizer: Some(CardTokenizer {
            vocabulary: 128_256,
            added: Some(16_000),
            kind: some("BPE"),
            digest: Some(Sha256::of("tokenizer")),
            counted_with: some("llm-jp-tokenizer-v3.0"),
        }),
        subsets: subsets(),
        compute: vec![computed(64, "H200", 1_680.075)],
        curve: Some(CardCurve {
            suite: "llm-jp-eval-dev100".to_owned(),
            points: (1..=3_u32).map(point).collect(),
            figure: some("learning_curve.svg"),
        }),
        base: Some(comparison("Llama-3.1-8B", "meta-llama/Llama-3.1-8B", 0.352)),
        previous: Some(comparison("Llama-3.1-Lab-8B-v0", "lab/Llama-3.1-Lab-8B-v0", 0.401)),
        environment: Some(CardEnvironment {
            engine: "sekisho 0.1.0".to_owned(),
            device: "cpu".to_owned(),
            dtype: "f32".to_owned(),
            bos: Some(false),
        }),
        contamination: Some(CardContamination {
            method: text(
                "Items of which 13 tokens in a row stand in the training text were counted.",
                "13トークンの連続が学習テキストに現れる設問を数えています。",
            ),
            rows: vec![CardContaminatedTask {
                fingerprint: Sha256::of("niilc"),
                metric: "char_f1".to_owned(),
                found: 7,
                without: Some(0.4012),
            }],
        }),
        data_digests: BTreeMap::from([(Sha256::of("niilc"), Sha256::of("niilc data"))]),
        results_url: some("https://sekisho.example.org/releases/01J"),
        components: components(),
        credits: vec![CardCredit { name: "wiki-ja".to_owned(), license: "cc-by-sa-4.0".to_owned() }],
        restrictions: vec![text(
            "Do not use it as §3.2 of the Gemma terms forbids.",
            "Gemmaの利用規約3.2条が禁じる用途に使用しないこと。",
        )],
        signature: Some(CardSignature {
            key_fingerprint: "SHA256:4f1d".to_owned(),
            signer: "Lab".to_owned(),
            public_key: some("https://lab.example.org/key.pem"),
        }),
        authors: vec!["Mori".to_owned(), "Hayashi".to_owned()],
        year: Some(2026),
        contact: some("llm@lab.example.org"),
        doi: some("10.57967/hf/1234"),
        new_version: None,
    };
    facts
}

fn computed(count: u64, name: &str, hours: f64) -> CardCompute {
    CardCompute { devices: Devices { count, name: name.to_owned() }, hours }
}

fn point(at: u32) -> CardCurvePoint {
    let mean = 0.2 + 0.05 * f64::from(at);
    let tokens = Tokens(u64::from(at) * 30_000_000_000);
    CardCurvePoint { tokens, mean, low: mean - 0.03, high: mean + 0.03, n: 380 }
}

fn family() -> Vec<CardFamilyMember> {
    let member = |name: &str, revision: &str, parameters, state, published: Option<&str>| CardFamilyMember {
        name: name.to_owned(),
        repo: format!("lab/{name}"),
        revision: revision.to_owned(),
        parameters: Some(parameters),
        tokens: Some(Tokens(91_234_567_890)),
        stage: ReleaseStage::Final,
        state,
        is_this: false,
        published: published.map(ToOwned::to_owned),
    };
    let small =
        member("Llama-3.1-Lab-1B", "main", 1_235_814_400, ReleaseState::Published, Some("2026-11-02"));
    let beta = CardFamilyMember {
        stage: ReleaseStage::Beta,
        ..member("Llama-3.1-Lab-8B", "beta", 8_030_261_248, ReleaseState::Superseded, Some("2026-10-01"))
    };
    let draft = member("Llama-3.1-Lab-70B", "main", 70_553_706_496, ReleaseState::Draft, None);
    let this = CardFamilyMember {
        is_this: true,
        ..member("Llama-3.1-Lab-8B", "main", 8_030_261_248, ReleaseState::InReview, None)
    };
    vec![beta, small, draft, this]
}

fn subsets() -> Vec<CardSubset> {
    let subset = |id: &str, language: &str, tokens, repeats, level: &str, license: &str| CardSubset {
        id: id.to_owned(),
        language: some(language),
        stage: Some(InputStage::Continual),
        tokens: Some(Tokens(tokens)),
        repeats: Some(repeats),
        level: some(level),
        license: some(license),
        generator: None,
        generator_license: None,
        counted_with: None,
    };
    let synthetic = CardSubset {
        stage: Some(InputStage::Sft),
        generator: some("google/gemma-2-27b-it"),
        generator_license: some("gemma"),
        ..subset("lab/sft-ja", "ja", 5_000_000_000, 1.0, "L1", "CC-BY-4.0")
    };
    vec![
        subset("wiki-ja", "ja", 2_469_135_780, 2.0, "L1", "CC-BY-SA-4.0"),
        subset("ndl-ja", "ja", 10_000_000_000, 1.0, "L2", "LicenseRef-ndl"),
        subset("web-en", "en", 73_765_432_110, 0.5, "L3", "LicenseRef-crawl"),
        synthetic,
    ]
}

fn comparison(name: &str, repo: &str, mean: f64) -> CardComparison {
    let row = |task: &str, metric: &str, value: f64, delta, p| CardComparisonRow {
        fingerprint: Sha256::of(task),
        metric: metric.to_owned(),
        value,
        range: Some((value - 0.02, value + 0.02)),
        reported: false,
        difference: Some(CardDifference { delta, p, significant: p < 0.05 }),
    };
    let mut rows = vec![
        row("niilc", "char_f1", 0.3472, 0.0651, 0.0002),
        row("jemhopqa", "char_f1", 0.518, -0.018, 0.031),
        row("openbookqa", "acc", 0.3159, 0.006, 0.21),
        row("another task", "acc", 0.999, 0.006, 0.21),
    ];
    if name == "Llama-3.1-8B" {
        rows[2] = CardComparisonRow { reported: true, range: None, difference: None, ..rows[2].clone() };
    }
    CardComparison {
        name: name.to_owned(),
        repo: some(repo),
        rows,
        mean: Some((mean, CardDifference { delta: 0.4114 - mean, p: 0.0004, significant: true })),
        corrected: true,
    }
}

fn components() -> Vec<CardComponent> {
    let component = |kind, state, reason: Option<Text>, path: Option<&str>| CardComponent {
        kind,
        state,
        reason,
        path: path.map(ToOwned::to_owned),
    };
    vec![
        component(
            CardComponentKind::EvaluationRecords,
            CardComponentState::Open,
            None,
            Some("bundle/records/"),
        ),
        component(CardComponentKind::Weights, CardComponentState::Open, None, None),
        component(
            CardComponentKind::Code,
            CardComponentState::Open,
            None,
            Some("https://github.com/lab/code"),
        ),
        component(CardComponentKind::TrainingData, CardComponentState::Open, None, Some("bundle/data/")),
        component(
            CardComponentKind::DataOrder,
            CardComponentState::Closed,
            Some(text("It names documents of L3.", "L3の文書名を含むため。")),
            Some("bundle/order.json"),
        ),
    ]
}

/// Every number of a text with its unit, sorted: 900億 is 90 billion.
pub(super) fn figures(text: &str) -> Vec<String> {
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

pub(super) fn without_front_matter(card: &str) -> &str {
    card.split_once("\n---\n\n").map_or(card, |(_, body)| body)
}

/// The card without people's edits.
fn card(facts: &CardFacts, language: Language) -> String {
    render(facts, &CardEdits::default(), language)
}
