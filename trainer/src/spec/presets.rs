//! Published sizes and how they were trained, as a place to begin. Figures come from the sources that each entry names; a size of
//! which a dimension is not public is not here.

use sekisho_domain::nearest;
use serde_json::{Value, json};

use super::{ModelSection, SpecError};

/// A published model: `[model] preset = "NAME"` takes its dimensions, [`Preset::specification`] all of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preset {
    /// Its name in a specification.
    pub name: &'static str,
    /// Layers.
    pub layers: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Width of the feed-forward part.
    pub feed_forward: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub key_heads: usize,
    /// Most tokens of a sequence.
    pub context: usize,
    /// Rows of the embedding.
    pub vocabulary: usize,
    rope_theta: f64,
    norm_eps: f64,
    tied: bool,
    /// How it was trained.
    pub recipe: Recipe,
    /// Where the figures come from.
    pub source: &'static str,
}

/// How a model was trained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recipe {
    /// Whether what follows was published with the model; else it is LLM-jp-3's for about that size, or ours.
    pub published: bool,
    /// Peak learning rate.
    pub lr: f64,
    /// Sequences of an update.
    pub sequences: usize,
    min_lr: f64,
    eps: f64,
    z_loss: f64,
    length: usize,
    kind: &'static str,
    warmup: u64,
    /// Where the schedule ends, and where the run does.
    total: u64,
    steps: u64,
    /// Megatron-LM's ways: output layers begin at std/√(2L), update k takes lr(k-1).
    megatron: bool,
}

/// LLM-jp-3, all sizes but the 172B: 2.07 T tokens, cosine to a tenth, 2,000 updates of warm-up and as many after the cosine's end.
const fn llm_jp_3(lr: f64, min_lr: f64, sequences: usize, total: u64) -> Recipe {
    Recipe {
        published: true,
        lr,
        sequences,
        min_lr,
        eps: 1e-8,
        z_loss: 1e-4,
        length: 4096,
        kind: "cosine",
        warmup: 2000,
        total,
        steps: total + 2000,
        megatron: true,
    }
}

/// Llama 2: 2 T tokens in updates of 4 M, cosine to a tenth, epsilon 1e-5.
const fn llama_2(lr: f64, min_lr: f64) -> Recipe {
    let steps = 2_000_000_000_000_u64.div_ceil(1024 * 4096);
    Recipe {
        published: true,
        eps: 1e-5,
        z_loss: 0.0,
        steps,
        megatron: false,
        ..llm_jp_3(lr, min_lr, 1024, steps)
    }
}

const fn unpublished(like: Recipe, length: usize) -> Recipe {
    Recipe { published: false, length, ..like }
}

const V3: &str = "LLM-jp's launch scripts (llm-jp/scripts, v3)";
const V4: &str = "LLM-jp's launch scripts (llm-jp/scripts, v4)";
const LLAMA_2: &str = "arXiv 2307.09288";
const OURS: &str = "ours";

const SMALL: Recipe = llm_jp_3(3e-4, 3e-5, 512, 986_240);

const LLM_JP_3: Preset = Preset {
    name: "",
    layers: 0,
    hidden: 0,
    feed_forward: 0,
    heads: 0,
    key_heads: 0,
    context: 4096,
    vocabulary: 99_584,
    rope_theta: 10_000.0,
    norm_eps: 1e-5,
    tied: false,
    recipe: SMALL,
    source: V3,
};

/// Layers, hidden and feed-forward width, query and key heads.
type Shape = (usize, usize, usize, usize, usize);

const fn of(like: Preset, name: &'static str, shape: Shape, recipe: Recipe) -> Preset {
    let (layers, hidden, feed_forward, heads, key_heads) = shape;
    Preset { name, layers, hidden, feed_forward, heads, key_heads, recipe, ..like }
}

const LLAMA: Preset = Preset { vocabulary: 32_000, source: LLAMA_2, ..LLM_JP_3 };
const SARASHINA_2: Preset =
    Preset { vocabulary: 102_400, source: "config.json of sbintuitions/sarashina2", ..LLM_JP_3 };
const SARASHINA_2_2: Preset = Preset {
    context: 8192,
    rope_theta: 500_000.0,
    source: "config.json of sbintuitions/sarashina2.1 and 2.2",
    ..SARASHINA_2
};

/// Ours: a thousand updates, warm-up, stable, decay.
const MINI: Recipe = Recipe {
    published: false,
    min_lr: 0.0,
    length: 512,
    kind: "wsd",
    warmup: 100,
    total: 1000,
    steps: 1000,
    megatron: false,
    ..llm_jp_3(3e-4, 3e-5, 32, 1000)
};

/// All, families together and small before large.
pub const PRESETS: &[Preset] = &[
    of(LLM_JP_3, "llm-jp-3-152m", (12, 512, 2048, 8, 8), SMALL),
    of(LLM_JP_3, "llm-jp-3-980m", (20, 1536, 5376, 8, 8), SMALL),
    of(LLM_JP_3, "llm-jp-3-1.8b", (24, 2048, 7168, 16, 16), SMALL),
    of(LLM_JP_3, "llm-jp-3-3.7b", (28, 3072, 8192, 24, 24), llm_jp_3(3e-4, 3e-5, 1024, 492_120)),
    of(LLM_JP_3, "llm-jp-3-7.2b", (32, 4096, 11_008, 32, 32), llm_jp_3(2.5e-4, 2.5e-5, 1024, 492_120)),
    of(LLM_JP_3, "llm-jp-3-13b", (40, 5120, 13_824, 40, 40), llm_jp_3(2e-4, 2e-5, 1024, 492_120)),
    Preset {
        // Padded for tensor parallelism of four.
        vocabulary: 99_840,
        source: "LLM-jp's launch scripts (v3); vocabulary: config.json of llm-jp-3-172b-alpha2",
        ..of(LLM_JP_3, "llm-jp-3-172b", (96, 12_288, 38_464, 96, 16), llm_jp_3(8e-5, 8e-6, 1728, 290_812))
    },
    Preset {
        context: 8192,
        rope_theta: 500_000.0,
        source: V4,
        ..of(LLM_JP_3, "llm-jp-4-1.3b", (16, 2048, 7168, 16, 8), LLM_JP_4_SMALL)
    },
    Preset {
        vocabulary: 196_608,
        rope_theta: 500_000.0,
        norm_eps: 1e-6,
        source: V4,
        ..of(LLM_JP_3, "llm-jp-4-8b", (32, 4096, 14_336, 32, 8), LLM_JP_4)
    },
    of(LLAMA, "llama-2-7b", (32, 4096, 11_008, 32, 32), llama_2(3e-4, 3e-5)),
    of(LLAMA, "llama-2-13b", (40, 5120, 13_824, 40, 40), llama_2(3e-4, 3e-5)),
    of(LLAMA, "llama-2-70b", (80, 8192, 28_672, 64, 8), llama_2(1.5e-4, 1.5e-5)),
    of(
        SARASHINA_2,
        "sarashina2-7b",
        (32, 4096, 11_008, 32, 32),
        unpublished(llm_jp_3(2.5e-4, 2.5e-5, 1024, 492_120), 4096),
    ),
    of(
        SARASHINA_2,
        "sarashina2-13b",
        (40, 5120, 13_824, 40, 40),
        unpublished(llm_jp_3(2e-4, 2e-5, 1024, 492_120), 4096),
    ),
    of(
        SARASHINA_2_2,
        "sarashina2.1-1b",
        (24, 1792, 6272, 16, 8),
        unpublished(llm_jp_3(3e-4, 3e-5, 256, 986_240), 8192),
    ),
    of(
        SARASHINA_2_2,
        "sarashina2.2-3b",
        (32, 2560, 8960, 16, 8),
        unpublished(llm_jp_3(3e-4, 3e-5, 512, 492_120), 8192),
    ),
    Preset {
        vocabulary: 8000,
        context: 512,
        tied: true,
        source: OURS,
        ..of(LLM_JP_3, "mini-ja-en", (6, 256, 704, 8, 4), MINI)
    },
    Preset {
        vocabulary: 8000,
        context: 128,
        tied: true,
        source: OURS,
        ..of(LLM_JP_3, "smoke", (2, 64, 176, 4, 2), SMOKE)
    },
];

const LLM_JP_4_SMALL: Recipe =
    Recipe { z_loss: 0.0, length: 8192, steps: 1_859_665, ..llm_jp_3(3e-4, 3e-5, 1024, 1_859_665) };

/// The 8B's first phase: a stable rate whose end is never reached; decays are branches of it.
const LLM_JP_4: Recipe = Recipe {
    z_loss: 0.0,
    kind: "wsd",
    total: 12_000_000,
    steps: 10_526_120,
    ..llm_jp_3(3e-4, 3e-5, 512, 12_000_000)
};

const SMOKE: Recipe = Recipe { length: 128, warmup: 2, total: 20, steps: 20, sequences: 4, lr: 1e-3, ..MINI };

impl Preset {
    /// Its dimensions under Hugging Face's names.
    #[must_use]
    pub fn model(&self) -> ModelSection {
        ModelSection {
            vocab_size: Some(self.vocabulary),
            hidden_size: Some(self.hidden),
            num_hidden_layers: Some(self.layers),
            num_attention_heads: Some(self.heads),
            num_key_value_heads: Some(self.key_heads),
            intermediate_size: Some(self.feed_forward),
            max_position_embeddings: Some(self.context),
            rope_theta: Some(self.rope_theta),
            rms_norm_eps: Some(self.norm_eps),
            tie_word_embeddings: Some(self.tied),
            ..ModelSection::default()
        }
    }

    /// Parameters, embeddings with them.
    #[must_use]
    pub fn parameters(&self) -> u64 {
        self.model().config(self.name).map_or(0, |config| config.parameters())
    }

    /// A whole specification with the recipe, to be edited: names, paths and shares of the corpora are examples.
    #[must_use]
    pub fn specification(&self) -> String {
        let Recipe { lr, min_lr, eps, z_loss, kind, warmup, total, steps, .. } = self.recipe;
        let model = toml::to_string(&self.model()).expect("dimensions are plain values");
        let (wsd, order) = (self.decay(), self.order());
        let [min_lr, z_loss] = [min_lr, z_loss].map(written);
        let init = if self.recipe.megatron { "scaled_residual = true\n" } else { "" };
        let index = if self.recipe.megatron { "megatron" } else { "one_based" };
        let model = model.trim_end();
        format!(
            "{head}
name = \"{name}\"
seed = 42

[model]                      # or preset = \"{name}\", and no other key
{model}

[init]
std = 0.02
{init}
[tokenizer]
path = \"tokenizer.json\"      # not needed when every mix is .bin/.idx

[data]
sequence_length = {length}
{order}

[[data.mix]]                 # level and license as your registry of corpora has them
name = \"web-ja\"
path = \"corpora/web-ja.jsonl\"
weight = 0.5
level = \"L3\"
license = \"LicenseRef-crawl\"

[[data.mix]]
name = \"web-en\"
path = \"corpora/web-en.jsonl\"
weight = 0.5
level = \"L3\"
license = \"ODC-By-1.0\"

[batch]
sequences = {sequences}
micro = 1                    # as many as memory holds; it must divide sequences

[optimizer]
lr = {lr:e}
min_lr = {min_lr}
betas = [0.9, 0.95]
eps = {eps:e}
weight_decay = 0.1
clip = 1.0
z_loss = {z_loss}

[schedule]
kind = \"{kind}\"
warmup_steps = {warmup}
{wsd}total_steps = {total}
lr_index = \"{index}\"

[stop]
steps = {steps}

[checkpoint]
every = {every}
",
            head = self.head(),
            name = self.name,
            length = self.recipe.length,
            sequences = self.recipe.sequences,
            every = 1000.min(steps / 5),
        )
    }

    /// `decay_steps` and `decay_shape`, where the schedule has them.
    fn decay(&self) -> String {
        if self.recipe.kind != "wsd" {
            return String::new();
        }
        let steps = if self.recipe.megatron { 1 } else { self.recipe.total / 5 };
        format!("decay_steps = {steps}\ndecay_shape = \"minus_sqrt\"\n")
    }

    /// `order` and `total_samples`. Megatron-LM's index counts samples in 32 bits.
    fn order(&self) -> String {
        let samples = self.recipe.steps.max(self.recipe.total) * self.recipe.sequences as u64;
        match u32::try_from(samples) {
            Ok(samples) => format!("order = \"megatron\"\ntotal_samples = {samples}"),
            Err(_) => "order = \"permutation\"".to_owned(),
        }
    }

    /// What it is, and whose figures it has.
    fn head(&self) -> String {
        let recipe = match (self.recipe.published, self.source == OURS) {
            (true, _) => "optimizer, schedule and batch as published",
            (false, true) => "a size to try things out with",
            (false, false) => "optimizer, schedule and batch are not public: LLM-jp-3's for about that size",
        };
        format!("# {}: {recipe}. Source: {}.", self.name, self.source)
    }
}

/// `3e-5`, and 0 as `0.0`.
fn written(number: f64) -> String {
    if number > 0.0 { format!("{number:e}") } else { "0.0".to_owned() }
}

/// The preset of this name; an error says the nearest one.
///
/// # Errors
/// The rest of a sentence after the name of the key.
pub fn preset(name: &str) -> Result<&'static Preset, String> {
    PRESETS.iter().find(|preset| preset.name == name).ok_or_else(|| {
        let near = nearest(name, PRESETS.iter().map(|preset| preset.name));
        let hint = near.map_or_else(String::new, |near| format!(", did you mean \"{near}\"?"));
        format!("is \"{name}\", and there is no such preset{hint}; `sekisho presets` lists them")
    })
}

/// `[model]` with the dimensions of its preset, which it may repeat and not contradict, and without the preset's name: a record must
/// mean the same when the list above has changed.
pub(super) fn applied(file: &str, given: &ModelSection) -> Result<ModelSection, SpecError> {
    let Some(name) = &given.preset else { return Ok(given.clone()) };
    let rule = |key, rule| SpecError::Rule { file: file.to_owned(), key, rule };
    let theirs = preset(name).map_err(|text| rule("model.preset", text))?.model();
    let mut keys: Value = json!(ModelSection::of(&theirs.config(name)?));
    // What a published size does not have, so that nobody adds it to one; `scaled_embedding`, a switch of ours, may be.
    for absent in ["sliding_window", "rope_scaling", "rope_parameters"] {
        keys[absent] = Value::Null;
    }
    if let Some(keys) = keys.as_object_mut() {
        keys.remove("scaled_embedding");
    }
    if let Some((key, here, there)) = given.conflict(&keys) {
        let text = format!(
            "says {key} = {here}, the preset {name} says {there}; leave the key out, or leave preset out and give every dimension"
        );
        return Err(rule("[model]", text));
    }
    Ok(ModelSection { preset: None, ..theirs.with(given) })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{PRESETS, preset};
    use crate::Spec;

    fn parse(text: &str) -> Result<Spec, String> {
        Spec::parse("spec.toml", text, Path::new("/specs")).map_err(|error| error.to_string())
    }

    #[test]
    fn parameters_are_the_published_ones() {
        for (name, published) in
            [("llama-2-7b", 6_738_415_616), ("llama-2-13b", 13_015_864_320), ("llama-2-70b", 68_976_648_192)]
        {
            assert_eq!(preset(name).expect("a preset").parameters(), published, "{name}");
        }
        for (name, billions) in [
            ("llm-jp-3-152m", 0.152),
            ("llm-jp-3-980m", 0.990),
            ("llm-jp-3-1.8b", 1.868),
            ("llm-jp-3-3.7b", 3.783),
            ("llm-jp-3-7.2b", 7.292),
            ("llm-jp-3-13b", 13.708),
            ("llm-jp-4-1.3b", 1.314),
            ("llm-jp-4-8b", 8.59),
        ] {
            let parameters = preset(name).expect("a preset").parameters() as f64 / 1e9;
            // Counts are published to three places, the 8B's to two.
            assert!(
                (parameters - billions).abs() <= 0.000_51_f64.max(billions * 6e-4),
                "{name}: {parameters}"
            );
        }
    }

    #[test]
    fn every_preset_prints_a_specification_that_is_taken() {
        for preset in PRESETS {
            let text = preset.specification();
            let spec = parse(&text).unwrap_or_else(|error| panic!("{}: {error}\n{text}", preset.name));
            let config = spec.model_config().expect("a model");
            assert_eq!(config.parameters(), preset.parameters(), "{}", preset.name);
            let short = text.replacen(
                text.split("[model]").nth(1).and_then(|rest| rest.split("[init]").next()).expect("a model"),
                &format!("\npreset = \"{}\"\n", preset.name),
                1,
            );
            let by_name = parse(&short).expect("the preset by its name");
            assert_eq!(by_name, spec, "{}: nothing of the name is left in the record", preset.name);
        }
    }

    /// Tokens of LLM-jp-3: 2,072,488,058,295 were planned; an update more is how they are rounded.
    #[test]
    fn the_runs_are_as_long_as_they_were() {
        for (name, tokens) in [
            ("llm-jp-3-1.8b", 2_072_488_058_295_u64),
            ("llm-jp-3-13b", 2_072_488_058_295),
            ("llm-jp-3-172b", 2_072_488_058_295),
            ("llama-2-7b", 2_000_000_000_000),
        ] {
            let spec = parse(&preset(name).expect("a preset").specification()).expect("a specification");
            let update = (spec.batch.sequences * spec.data.sequence_length) as u64;
            let made = spec.stop.steps * update;
            assert!(made.abs_diff(tokens) <= update, "{name}: {made}");
        }
    }

    #[test]
    fn a_preset_is_repeated_and_not_contradicted() {
        let text = preset("smoke").expect("a preset").specification();
        let with = |keys: &str| {
            let model = text.split("[model]").nth(1).and_then(|rest| rest.split("[init]").next());
            parse(&text.replacen(model.expect("a model"), keys, 1))
        };
        with("\npreset = \"smoke\"\nhidden_size = 64\nscaled_embedding = true\n")
            .expect("the same hidden size");
        let error = with("\npreset = \"smoke\"\nhidden_size = 65\n").expect_err("a contradiction");
        assert!(
            error.contains("[model] says hidden_size = 65, the preset smoke says 64; leave the key out"),
            "{error}"
        );
        for key in ["head_dim = 32", "model_type = \"qwen2\"", "attention_bias = true", "sliding_window = 64"]
        {
            let error = with(&format!("\npreset = \"smoke\"\n{key}\n")).expect_err(key);
            assert!(error.contains(&format!("[model] says {key}, the preset smoke says ")), "{key}: {error}");
        }
        let error = with("\npreset = \"llm-jp-3-1.8\"\n").expect_err("no preset");
        assert!(error.contains("no such preset, did you mean \"llm-jp-3-1.8b\"?"), "{error}");
    }
}
