//! Arguments as a specification in the contract's shape.

use serde_json::{Map, Value, json};

use super::Args;
use crate::log::Setup;
use crate::number;

/// What the arguments say for reading the log.
#[must_use]
pub fn setup(args: &Args) -> Setup {
    Setup {
        sequence_length: count(args, "seq_length").or_else(|| count(args, "encoder_seq_length")),
        sequences: count(args, "global_batch_size"),
        spec: Some(specification(args)),
    }
}

/// The specification: `model`, `data`, `batch`, `optimizer`, `schedule`, `stop`, `checkpoint` and `precision` as far as the arguments have
/// them, under the contract's names; every other argument under `other`. Of a command line, which leaves out what it does not change, the
/// defaults of Megatron-LM that matter for a comparison are filled in.
#[must_use]
pub fn specification(args: &Args) -> Value {
    let mut spec = Map::new();
    spec.insert("trainer".to_owned(), "megatron".into());
    let mut used = Used { args, names: Vec::new() };
    if let Some(seed) = used.count("seed") {
        spec.insert("seed".to_owned(), seed.into());
    }
    for (name, section) in [
        ("model", model(&mut used)),
        ("init", init(&mut used)),
        ("tokenizer", tokenizer(&mut used)),
        ("data", data(&mut used)),
        ("batch", batch(&mut used)),
        ("optimizer", optimizer(&mut used)),
        ("schedule", schedule(&mut used)),
        ("precision", precision(&mut used)),
        ("stop", stop(&mut used)),
        ("checkpoint", checkpoint(&mut used)),
    ] {
        if !section.is_empty() {
            spec.insert(name.to_owned(), section.into());
        }
    }
    let other: Map<String, Value> = args
        .iter()
        .filter(|(name, words)| !used.names.iter().any(|used| used == name) && *words != ["None"])
        .map(|(name, words)| (name.to_owned(), value(words)))
        .collect();
    spec.insert("other".to_owned(), other.into());
    spec.into()
}

/// The arguments, and which of them have found their place.
struct Used<'a> {
    args: &'a Args,
    names: Vec<String>,
}

impl Used<'_> {
    fn words(&mut self, name: &str) -> Option<Vec<String>> {
        let words = self.args.words(name)?.to_vec();
        self.names.push(name.to_owned());
        Some(words)
    }

    /// The number, or, where it is a variable, its name.
    fn number(&mut self, name: &str) -> Option<Value> {
        let words = self.words(name)?;
        Some(value(&words))
    }

    fn count(&mut self, name: &str) -> Option<u64> {
        let found = count(self.args, name)?;
        self.names.push(name.to_owned());
        Some(found)
    }

    /// A flag: there without a value, or `True` in a dump.
    fn flag(&mut self, name: &str) -> bool {
        let found = self.args.words(name).is_some_and(|words| words.is_empty() || words == ["True"]);
        if self.args.words(name).is_some() {
            self.names.push(name.to_owned());
        }
        found
    }
}

type Section = Map<String, Value>;

fn put(section: &mut Section, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        section.insert(key.to_owned(), value);
    }
}

fn model(used: &mut Used<'_>) -> Section {
    let mut model = Section::new();
    let hidden = count(used.args, "hidden_size");
    let heads = count(used.args, "num_attention_heads");
    for (key, name) in [
        ("num_hidden_layers", "num_layers"),
        ("hidden_size", "hidden_size"),
        ("num_attention_heads", "num_attention_heads"),
        ("intermediate_size", "ffn_hidden_size"),
        ("head_dim", "kv_channels"),
        ("max_position_embeddings", "max_position_embeddings"),
        ("rms_norm_eps", "norm_epsilon"),
        ("num_local_experts", "num_experts"),
        ("num_experts_per_tok", "moe_router_topk"),
    ] {
        put(&mut model, key, used.number(name));
    }
    if !model.contains_key("num_local_experts") && model.remove("num_experts_per_tok").is_some() {
        used.names.retain(|name| name != "moe_router_topk");
    }
    put(&mut model, "rope_theta", used.number("rotary_base"));
    let vocabulary = used.number("padded_vocab_size").or_else(|| used.number("vocab_size"));
    put(&mut model, "vocab_size", vocabulary);
    let grouped = used.flag("group_query_attention");
    // Grouped without a number is one group, Megatron-LM's default.
    let groups = used.number("num_query_groups").or_else(|| heads.map(|_| 1.into())).filter(|_| grouped);
    put(&mut model, "num_key_value_heads", groups.or_else(|| heads.map(Value::from)));
    if hidden.is_some() {
        let untied = used.flag("untie_embeddings_and_output_weights");
        put(&mut model, "tie_word_embeddings", Some((!untied).into()));
    }
    // Without --ffn-hidden-size a layer is four times as wide, or two thirds of that, rounded down to 64, with a gate.
    if let Some(hidden) = hidden.filter(|_| !model.contains_key("intermediate_size")) {
        let gated = used.args.words("swiglu").is_some_and(|words| words != ["False"]);
        let wide = if gated { hidden.saturating_mul(8) / 3 / 64 * 64 } else { hidden.saturating_mul(4) };
        put(&mut model, "intermediate_size", Some(wide.into()));
    }
    model
}

fn init(used: &mut Used<'_>) -> Section {
    let mut init = Section::new();
    put(&mut init, "std", used.number("init_method_std"));
    init
}

fn tokenizer(used: &mut Used<'_>) -> Section {
    let mut tokenizer = Section::new();
    put(&mut tokenizer, "path", used.words("tokenizer_model").map(|words| words.join(" ").into()));
    tokenizer
}

fn data(used: &mut Used<'_>) -> Section {
    let mut data = Section::new();
    let length = used.number("seq_length").or_else(|| used.number("encoder_seq_length"));
    put(&mut data, "sequence_length", length);
    put(&mut data, "total_samples", used.number("train_samples"));
    let paths = used.words("train_data_path").or_else(|| used.words("data_path"));
    // The mixture may stand in quotation marks, as one word.
    let split = |paths: Vec<String>| -> Vec<String> {
        paths.iter().flat_map(|word| word.split_whitespace()).map(ToOwned::to_owned).collect()
    };
    if let Some(paths) = paths.map(split).filter(|paths| !paths.is_empty()) {
        put(&mut data, "order", Some("megatron".into()));
        put(&mut data, "mix", Some(mix(&paths)));
    }
    data
}

/// `weight prefix weight prefix …`, or prefixes alone.
fn mix(words: &[String]) -> Value {
    let weighted = words.len().is_multiple_of(2)
        && words.iter().step_by(2).all(|word| number::plain(word).is_some_and(f64::is_finite));
    let entry = |path: &String, weight: Option<f64>| {
        let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or(path);
        let name = name.strip_suffix("_text_document").unwrap_or(name);
        let mut entry = json!({ "name": name, "path": path });
        if let Some(weight) = weight {
            entry["weight"] = weight.into();
        }
        entry
    };
    if weighted {
        return words.chunks_exact(2).map(|pair| entry(&pair[1], number::plain(&pair[0]))).collect();
    }
    words.iter().map(|path| entry(path, None)).collect()
}

fn batch(used: &mut Used<'_>) -> Section {
    let mut batch = Section::new();
    put(&mut batch, "sequences", used.number("global_batch_size"));
    put(&mut batch, "micro", used.number("micro_batch_size"));
    batch
}

fn optimizer(used: &mut Used<'_>) -> Section {
    let mut optimizer = Section::new();
    for (key, name, default) in [
        ("lr", "lr", None),
        ("min_lr", "min_lr", Some(0.0)),
        ("eps", "adam_eps", Some(1e-8)),
        ("weight_decay", "weight_decay", Some(0.01)),
        ("clip", "clip_grad", Some(1.0)),
        ("z_loss", "z_loss_strength", None),
    ] {
        put(&mut optimizer, key, used.number(name).or_else(|| default.map(Value::from)));
    }
    let beta = |used: &mut Used<'_>, name, default: f64| used.number(name).unwrap_or_else(|| default.into());
    let betas = vec![beta(used, "adam_beta1", 0.9), beta(used, "adam_beta2", 0.999)];
    put(&mut optimizer, "betas", Some(betas.into()));
    let trains = optimizer.contains_key("lr") || used.args.words("optimizer").is_some();
    if trains || used.args.words("adam_eps").is_some() { optimizer } else { Section::new() }
}

/// The updates of the run, by iterations or by samples.
fn steps(args: &Args) -> Option<u64> {
    count(args, "train_iters").or_else(|| of_samples(args, "train_samples"))
}

fn of_samples(args: &Args, name: &str) -> Option<u64> {
    let samples = count(args, name).filter(|samples| *samples > 0)?;
    samples.checked_div(count(args, "global_batch_size")?)
}

fn schedule(used: &mut Used<'_>) -> Section {
    let mut schedule = Section::new();
    let style = used.args.words("lr_decay_style").and_then(|words| words.first().cloned());
    // Megatron-LM's own default is linear.
    let style = style.or_else(|| used.args.words("lr").map(|_| "linear".to_owned()));
    let Some(style) = style else { return schedule };
    let kind = match &*style {
        "WSD" => "wsd",
        "cosine" | "linear" | "constant" => &style,
        _ => return schedule,
    };
    used.names.push("lr_decay_style".to_owned());
    put(&mut schedule, "kind", Some(kind.into()));
    let total = used.count("lr_decay_iters").or_else(|| of_samples(used.args, "lr_decay_samples"));
    let total = total.or_else(|| steps(used.args));
    put(&mut schedule, "total_steps", total.map(Value::from));
    let share = used.args.words("lr_warmup_fraction").and_then(|words| number::plain(words.first()?));
    let by_share = share.zip(total).and_then(|(share, total)| number::count(share * number::float(total)));
    let warmup = match by_share {
        Some(steps) => Some(steps),
        // A dump of all arguments has zero iterations beside the samples that count.
        None => {
            let iterations = used.count("lr_warmup_iters").filter(|iterations| *iterations > 0);
            iterations.or_else(|| of_samples(used.args, "lr_warmup_samples"))
        }
    };
    put(&mut schedule, "warmup_steps", Some(warmup.unwrap_or(0).into()));
    put(
        &mut schedule,
        "warmup_init",
        used.number("lr_warmup_init").filter(|init| init.as_f64() != Some(0.0)),
    );
    if kind == "wsd" {
        let decay =
            used.count("lr_wsd_decay_iters").or_else(|| of_samples(used.args, "lr_wsd_decay_samples"));
        put(&mut schedule, "decay_steps", decay.map(Value::from));
        let shape = used.words("lr_wsd_decay_style").and_then(|words| words.first().cloned());
        let shape = shape.unwrap_or_else(|| "exponential".to_owned());
        // Forks write it as a formula.
        let shape = if shape == "1-sqrt" { "minus_sqrt".to_owned() } else { shape };
        put(&mut schedule, "decay_shape", Some(shape.into()));
    }
    // It steps the optimizer before the schedule: update k takes lr(k - 1), and the log of k shows lr(k).
    put(&mut schedule, "lr_index", Some("megatron".into()));
    schedule
}

fn precision(used: &mut Used<'_>) -> Section {
    let mut precision = Section::new();
    let fp8 =
        used.args.words("fp8").or_else(|| used.args.words("fp8_format")).is_some_and(|w| w != ["False"]);
    let is = |name: &str| used.args.words(name).is_some_and(|words| words.is_empty() || words == ["True"]);
    let forward = [(fp8, "fp8"), (is("bf16"), "bf16"), (is("fp16"), "fp16")];
    let forward = forward.iter().find(|(on, _)| *on).map(|(_, name)| Value::from(*name));
    put(&mut precision, "forward", forward);
    precision
}

fn stop(used: &mut Used<'_>) -> Section {
    let mut stop = Section::new();
    put(&mut stop, "steps", used.number("train_iters").or_else(|| steps(used.args).map(Value::from)));
    stop
}

fn checkpoint(used: &mut Used<'_>) -> Section {
    let mut checkpoint = Section::new();
    put(&mut checkpoint, "every", used.number("save_interval"));
    checkpoint
}

fn count(args: &Args, name: &str) -> Option<u64> {
    let word = args.words(name)?.first()?;
    number::count(number::plain(word)?)
}

/// Words as JSON: none is a flag, one is a number, a truth or a text, several are a list.
fn value(words: &[String]) -> Value {
    match words {
        [] => true.into(),
        [word] => one(word),
        words => words.iter().map(|word| one(word)).collect(),
    }
}

fn one(word: &str) -> Value {
    match word {
        "True" | "true" => return true.into(),
        "False" | "false" => return false.into(),
        _ => {}
    }
    if let Ok(count) = word.parse::<u64>() {
        return count.into();
    }
    match number::plain(word) {
        Some(number) if number.is_finite() && !word.contains(',') => number.into(),
        _ => word.into(),
    }
}
