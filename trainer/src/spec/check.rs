use sekisho_domain::Tokens;
use serde::Serialize;
use serde_json::json;

use super::cost::{self, Machine};
use super::decay;
use super::{Init, Parent, ParentData, ParentState, ScheduleKind, Share, Spec, WarmupInit};

/// What will be trained, on what, how, and at what cost: the lines of `--check`.
pub(super) fn summary(spec: &Spec, machine: Option<Machine>) -> String {
    let mut out = String::new();
    let mut line = |label: &str, text: String| out.push_str(&format!("{label:<14}{text}\n"));
    line("run", format!("{}, seed {}", spec.name, spec.seed));
    let costs = spec.model_config().map(|config| cost::lines(spec, &config, machine)).unwrap_or_default();
    for (label, text) in model(spec).into_iter().chain(data(spec)).chain(training(spec)).chain(costs) {
        line(label, text);
    }
    out
}

/// A choice as a specification says it.
fn word(choice: &impl Serialize) -> String {
    json!(choice).as_str().unwrap_or_default().to_owned()
}

/// `1,867,614,208`.
fn count(number: u64) -> Tokens {
    Tokens(number)
}

type Lines = Vec<(&'static str, String)>;

fn model(spec: &Spec) -> Lines {
    let Ok(config) = spec.model_config() else { return Vec::new() };
    let groups = decay::Groups::of(&spec.optimizer, &config);
    let init = match (&spec.init.from, &spec.parent) {
        (_, Some(parent)) => child(parent),
        (Some(from), _) => format!("from {}", from.display()),
        (None, None) => first_weights(&spec.init, config.num_hidden_layers),
    };
    let head = if config.tie_word_embeddings { "tied" } else { "untied" };
    let scaled = if config.scaled_embedding { ", scaled embedding" } else { "" };
    let mut lines = vec![
        (
            "model",
            format!(
                "{}, {} parameters ({} in embeddings, {head}{scaled})",
                config.family.architecture().trim_end_matches("ForCausalLM"),
                count(config.parameters()),
                count(config.embedding_parameters())
            ),
        ),
        (
            "",
            format!(
                "{} layers, hidden {}, {} heads, {} key heads of {}, feed-forward {}, vocabulary {}",
                config.num_hidden_layers,
                config.hidden_size,
                config.num_attention_heads,
                config.num_key_value_heads,
                config.head_dim,
                config.intermediate_size,
                config.vocab_size
            ),
        ),
        ("", format!("rope theta {}, norm eps {:e}", config.rope_theta, config.rms_norm_eps)),
        ("init", init),
    ];
    lines.extend(labelled("weight decay", &format!("{} on ", spec.optimizer.weight_decay), &groups.decayed));
    lines.extend(labelled("", "none on ", &groups.excluded));
    lines
}

/// A group of parameters, with what is said of them in front.
fn labelled(label: &'static str, text: &str, group: &[(String, usize)]) -> Lines {
    let line = |(number, names): (usize, String)| match number {
        0 => (label, format!("{text}{names}")),
        _ => ("", format!("{}{names}", " ".repeat(text.len()))),
    };
    decay::told(group).into_iter().enumerate().map(line).collect()
}

/// `normal, standard deviation 0.02, 0.00289 for o_proj and down_proj`.
fn first_weights(init: &Init, layers: usize) -> String {
    let std = init.std.unwrap_or(0.02);
    if !init.scaled_residual {
        return format!("normal, standard deviation {std}");
    }
    format!(
        "normal, standard deviation {std}, {:.3e} for o_proj and down_proj",
        std / (2.0 * layers as f64).sqrt()
    )
}

/// `checkpoint 900000 of mini-ja-en with its moments, its data going on, updates counted on`.
fn child(parent: &Parent) -> String {
    let state = match parent.state {
        ParentState::Full => "with its moments",
        ParentState::Weights => "its weights alone",
    };
    let data = match parent.data {
        ParentData::Continue => "its data going on",
        ParentData::Restart => "data from the beginning",
    };
    let count = if parent.reset_steps { "updates counted from 1" } else { "updates counted on" };
    format!("checkpoint {} of {} {state}, {data}, {count}", parent.step, parent.run)
}

/// ` from 3e-5`; nothing for a warm-up from 0.
fn warmup_init(init: WarmupInit) -> String {
    match init {
        WarmupInit::Parent => " from the parent's rate".to_owned(),
        WarmupInit::Rate(rate) if rate > 0.0 => format!(" from {rate:e}"),
        WarmupInit::Rate(_) => String::new(),
    }
}

fn data(spec: &Spec) -> Lines {
    let section = &spec.data;
    let mask = if section.document_mask { ", document mask" } else { "" };
    let shape = format!(
        "{} order of {} sequences, {} packing, {} tokens each{mask}",
        word(&section.order),
        count(spec.total_samples()),
        word(&section.packing),
        section.sequence_length
    );
    let mix = section.mix.iter().map(|mix| {
        let share = match mix.share() {
            Share::Repeat(repeat) => format!("repeat {repeat}"),
            Share::Weight(weight) => format!("weight {weight}"),
        };
        let level = mix.level.map_or_else(|| "no level".to_owned(), |level| format!("level {level}"));
        let license = mix.license.as_deref().unwrap_or("no licence");
        ("corpus", format!("{}: {share}, {level}, {license}, {}", mix.name, mix.path.display()))
    });
    std::iter::once(("data", shape)).chain(mix).collect()
}

fn training(spec: &Spec) -> Lines {
    let (o, s) = (&spec.optimizer, &spec.schedule);
    let tokens = spec.batch.sequences * spec.data.sequence_length;
    let decay = match s.kind {
        ScheduleKind::Wsd => format!(
            ", the last {} decaying ({})",
            count(s.decay_steps.unwrap_or(0)),
            word(&s.decay_shape.unwrap_or_default())
        ),
        _ => String::new(),
    };
    let keep: Vec<String> = spec.checkpoint.keep.iter().map(ToString::to_string).collect();
    let keep = if keep.is_empty() { String::new() } else { format!(", kept by {}", keep.join(", ")) };
    vec![
        (
            "batch",
            format!(
                "{} sequences, {} at a time: {} tokens",
                spec.batch.sequences,
                spec.micro(),
                count(tokens as u64)
            ),
        ),
        (
            "optimizer",
            format!(
                "AdamW, lr {:e} to {:e}, betas {:?}, eps {:e}, clip {}, z-loss {:e}",
                o.lr, o.min_lr, o.betas, o.eps, o.clip, o.z_loss
            ),
        ),
        (
            "schedule",
            format!(
                "{}: warm-up {}{}, {} updates{decay}, lr_index {}",
                word(&s.kind),
                count(s.warmup_steps),
                warmup_init(s.warmup_init),
                count(spec.total_steps()),
                word(&s.lr_index)
            ),
        ),
        ("", cost::picture(spec)),
        (
            "stop",
            format!(
                "after update {}: {} tokens",
                count(spec.stop.steps),
                count(spec.stop.steps.saturating_mul(tokens as u64))
            ),
        ),
        (
            "checkpoints",
            format!(
                "every {} updates, as {}{keep}",
                spec.checkpoint.every,
                spec.checkpoint.dtype.torch_name()
            ),
        ),
    ]
}
