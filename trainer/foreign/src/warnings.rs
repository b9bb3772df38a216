//! What to look at before a run costs weeks: the same for our trainer's specification and for anybody's.

use sekisho_domain::Text;
use serde::Serialize;
use serde_json::Value;

use crate::number;

mod published;
mod size;

/// A remark on a configuration. It forbids nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Warning {
    /// `adam-epsilon`, `peak-learning-rate`, `level-lx`, `level-lz`, `tokens-mismatch`, `lineage-unknown`.
    pub code: &'static str,
    /// What it is, against what, and the way on.
    pub text: Text,
}

/// What published runs use, and the largest that is no cause for a warning.
const EPSILON: f64 = 1e-8;

/// Where a specification of the contract has a value, and where other trainers' configurations have it.
const EPSILONS: &[&str] =
    &["/optimizer/eps", "/adam_eps", "/adam_epsilon", "/optimizer/adam_eps", "/optimizer/kwargs/eps", "/eps"];
const RATES: &[&str] = &["/optimizer/lr", "/learning_rate", "/lr", "/optimizer/learning_rate", "/max_lr"];

/// Every warning for a specification in the contract's shape, or for a flat configuration with the usual names; `planned_tokens` is the
/// planned end where it is known.
#[must_use]
pub fn warnings(spec: &Value, planned_tokens: Option<u64>) -> Vec<Warning> {
    let mut found: Vec<Warning> = Vec::new();
    found.extend(epsilon(spec));
    found.extend(peak_rate(spec));
    found.extend(levels(spec));
    found.extend(tokens(spec, planned_tokens));
    found
}

/// The peak learning rates of published runs of about the size that a specification describes: `LLM-jp-4 8B 3e-4`. None where its size is
/// not known.
#[must_use]
pub fn published_rates(spec: &Value) -> Vec<String> {
    let size = size::of(spec);
    let beside = size.map(|size| published::near(size.parameters, size.experts)).unwrap_or_default();
    beside.iter().map(|run| format!("{} {} {}", run.family, run.size, short(run.rate))).collect()
}

/// Parameters of the model that a specification describes; none where a dimension is missing.
#[must_use]
pub fn parameters(spec: &Value) -> Option<u64> {
    size::of(spec).map(|size| size.parameters)
}

fn first(spec: &Value, places: &[&str]) -> Option<f64> {
    places.iter().find_map(|place| {
        let value = spec.pointer(place)?;
        value.as_f64().or_else(|| number::plain(value.as_str()?)).filter(|value| value.is_finite())
    })
}

/// LLM-jp's 172B was trained with 1e-5, which Llama 2 uses: two models failed, and the third, with 1e-8, did not (LLM-jp-3 172B, exp1 and
/// exp2).
fn epsilon(spec: &Value) -> Option<Warning> {
    let eps = first(spec, EPSILONS).filter(|eps| *eps > EPSILON * (1.0 + 1e-9))?;
    let eps = short(eps);
    let en = format!(
        "AdamW's epsilon is {eps}, above 1e-8. LLM-jp-3 172B failed with 1e-5 and was trained again with 1e-8: where the root of the second moment is near epsilon, the update shrinks. Set optimizer.eps (Megatron-LM: --adam-eps) to 1e-8 unless you mean it."
    );
    let ja = format!(
        "AdamWのεが{eps}で、1e-8を上回っています。LLM-jp-3 172Bは1e-5での学習に失敗し、1e-8で学習をやり直しました。二次モーメントの平方根がεに近いパラメータでは更新量が小さくなります。意図した値でなければ、optimizer.eps（Megatron-LMでは--adam-eps）を1e-8にしてください。"
    );
    Some(Warning { code: "adam-epsilon", text: Text { en, ja } })
}

/// A peak above every published run of about that size.
fn peak_rate(spec: &Value) -> Option<Warning> {
    let rate = first(spec, RATES)?;
    let size = size::of(spec)?;
    let beside = published::near(size.parameters, size.experts);
    let highest = beside.iter().map(|run| run.rate).reduce(f64::max)?;
    if rate <= highest * (1.0 + 1e-9) {
        return None;
    }
    let parameters = size::billions(size.parameters);
    let list = published_rates(spec);
    let rate = short(rate);
    let en = format!(
        "The peak learning rate is {rate} at {parameters} parameters; published runs of about that size used at most {}: {}. Lower optimizer.lr, or try it on a smaller model first.",
        short(highest),
        list.join(", ")
    );
    let ja = format!(
        "最大学習率が{rate}です（パラメータ数 {parameters}）。同程度の規模の公開された学習では、最大でも{}です：{}。optimizer.lr を下げるか、先に小さいモデルで確認してください。",
        short(highest),
        list.join("、")
    );
    Some(Warning { code: "peak-learning-rate", text: Text { en, ja } })
}

/// Subsets whose claimed level bars publishing what is trained on them.
fn levels(spec: &Value) -> impl Iterator<Item = Warning> {
    let mix = spec["data"]["mix"].as_array();
    let names = |level: &str| -> Vec<String> {
        let of_level = mix.into_iter().flatten().filter(|subset| subset["level"] == level);
        of_level.filter_map(|subset| subset["name"].as_str().map(ToOwned::to_owned)).collect()
    };
    let forbidden = [
        (
            "level-lx",
            names("LX"),
            "LX: what is trained on it, and everything that descends from it, cannot be published",
            "LX：これで学習したモデルと、その派生物はすべて公開できません",
        ),
        (
            "level-lz",
            names("LZ"),
            "LZ: nothing derived from it may be shown outside, scores and samples included",
            "LZ：スコアや事例を含め、あらゆる派生物を公開できません",
        ),
    ];
    forbidden.into_iter().filter(|(_, names, _, _)| !names.is_empty()).map(|(code, names, en, ja)| Warning {
        code,
        text: Text {
            en: format!(
                "{} has the release level {en}. Leave it out of data.mix if the model is to go out.",
                names.join(", ")
            ),
            ja: format!(
                "{}のリリースレベルは{ja}。モデルを公開する予定がある場合は、data.mix から外してください。",
                names.join("、")
            ),
        },
    })
}

/// What the lineage file of a run will not know: subsets without a level or a licence, and the licence of weights that it begins at.
/// Apart from [`warnings()`]: other trainers' configurations say none of it, and a registry may.
#[must_use]
pub fn unlabelled(spec: &Value) -> Option<Warning> {
    let mix = spec["data"]["mix"].as_array();
    let without = |key: &str| -> Vec<&str> {
        mix.into_iter().flatten().filter(|m| m[key].is_null()).filter_map(|m| m["name"].as_str()).collect()
    };
    let base = (spec["init"]["from"].is_string() && spec["init"]["license"].is_null()).then_some("init.from");
    let (levels, mut licenses) = (without("level"), without("license"));
    licenses.extend(base);
    let parts = [("level", "リリースレベル", levels), ("license", "ライセンス", licenses)];
    let parts: Vec<_> = parts.into_iter().filter(|(_, _, names)| !names.is_empty()).collect();
    if parts.is_empty() {
        return None;
    }
    let en: Vec<String> =
        parts.iter().map(|(key, _, names)| format!("no {key} for {}", names.join(", "))).collect();
    let ja: Vec<String> =
        parts.iter().map(|(_, key, names)| format!("{}の{key}", names.join("、"))).collect();
    let en = format!(
        "{}: lineage.toml leaves it out, and what is not known bars a release. Write it into the specification.",
        en.join(", ")
    );
    let ja = format!(
        "{}が指定されていません。lineage.toml にも記載されず、不明な項目があるモデルは公開できません。実行前に指定してください。",
        ja.join("、")
    );
    Some(Warning { code: "lineage-unknown", text: Text { en, ja } })
}

/// The tokens that were planned against what steps, batch and sequence length make.
fn tokens(spec: &Value, planned_tokens: Option<u64>) -> Option<Warning> {
    let count = |section: &str, key: &str| spec[section][key].as_u64();
    let (steps, sequences) = (count("stop", "steps")?, count("batch", "sequences")?);
    let length = count("data", "sequence_length")?;
    // The index is laid out from the parent's first sample on; the planned end is that of this stage.
    let whole = steps.checked_mul(sequences)?.checked_mul(length)?;
    let made = crate::configuration::tokens(spec)?;
    let samples = count("data", "total_samples").and_then(|samples| samples.checked_mul(length));
    // A step more or less is how steps are rounded; an index laid out for more than is trained is no mistake.
    let step = sequences.saturating_mul(length);
    let planned = planned_tokens.filter(|planned| planned.abs_diff(made) > step);
    let short_of = samples.filter(|samples| whole.saturating_sub(*samples) > step);
    let (said, source) = match (planned, short_of) {
        (Some(planned), _) => (planned, ("the planned end is", "完了予定は")),
        (None, Some(samples)) => (samples, ("data.total_samples makes", "data.total_samples は")),
        (None, None) => return None,
    };
    let tokens = |count: u64| sekisho_domain::Tokens(count).to_string();
    let (made, said) = (tokens(made), tokens(said));
    let (of_en, of_ja) = source;
    let en = format!(
        "{steps} steps of {sequences} sequences of {length} tokens are {made} tokens, but {of_en} {said}. Correct one of them; a batch that grows at the start explains a difference."
    );
    let ja = format!(
        "{steps}ステップ × {sequences}系列 × 系列長{length}は{made}トークンですが、{of_ja}{said}トークンです。いずれかを修正してください。開始時にバッチサイズを徐々に増やす場合は、差が生じます。"
    );
    Some(Warning { code: "tokens-mismatch", text: Text { en, ja } })
}

/// `1e-5`, `2.5e-4`: never 0.00025.
fn short(value: f64) -> String {
    format!("{value:e}")
}
