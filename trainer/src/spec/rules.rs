use sekisho_weights::config::ModelConfig;

use super::{Forward, Order, Parent, ScheduleKind, Spec, SpecError, WarmupInit};

/// Refuses what the format has and this build has not.
pub(super) fn supported(file: &str, spec: &Spec) -> Result<(), SpecError> {
    let refuse = |key: &str, instead| {
        Err(SpecError::NotSupported { file: file.to_owned(), key: key.to_owned(), instead })
    };
    if spec.model.num_local_experts.is_some() || spec.model.num_experts_per_tok.is_some() {
        return refuse("model.num_local_experts", "leave it out to train a dense model");
    }
    if spec.precision.forward == Forward::Fp8 {
        return refuse("precision.forward = \"fp8\"", "use \"f32\" or \"bf16\"");
    }
    Ok(())
}

/// Checks the values against each other. The model is resolved by now.
pub(super) fn check(file: &str, spec: &Spec) -> Result<(), SpecError> {
    let config = spec.model_config()?;
    let broken = broken_basics(spec)
        .or_else(|| broken_model(spec, &config))
        .or_else(|| broken_data(spec))
        .or_else(|| broken_optimizer(spec))
        .or_else(|| broken_schedule(spec));
    match broken {
        None => Ok(()),
        Some((key, rule)) => Err(SpecError::Rule { file: file.to_owned(), key, rule }),
    }
}

/// Refuses a name for a value where the value would do nothing. Later the name is no longer there.
pub(super) fn named(file: &str, spec: &Spec) -> Result<(), SpecError> {
    let behind = |parent: &Parent| !parent.reset_steps && parent.step >= spec.schedule.warmup_steps;
    if spec.schedule.warmup_init != WarmupInit::Parent || !spec.parent.as_ref().is_some_and(behind) {
        return Ok(());
    }
    Err(SpecError::Rule {
        file: file.to_owned(),
        key: "schedule.warmup_init",
        rule: "is the rate of a warm-up that lies behind the parent's update; set parent.reset_steps = true"
            .to_owned(),
    })
}

type Broken = Option<(&'static str, String)>;

/// The first of some rules that does not hold.
fn first(rules: impl IntoIterator<Item = (bool, &'static str, String)>) -> Broken {
    rules.into_iter().find(|(holds, _, _)| !holds).map(|(_, key, rule)| (key, rule))
}

fn broken_basics(spec: &Spec) -> Broken {
    let (sequences, micro) = (spec.batch.sequences, spec.micro());
    let parent = spec.parent.as_ref();
    first([
        (
            parent.is_none_or(|parent| parent.step > 0),
            "parent.step",
            "is 0; a run has its first checkpoint after an update".to_owned(),
        ),
        (
            parent.is_none_or(|parent| parent.reset_steps || parent.step < spec.stop.steps),
            "stop.steps",
            format!(
                "is {}, where the parent is already; a child counts on from parent.step unless reset_steps = true",
                spec.stop.steps
            ),
        ),
        (!spec.name.trim().is_empty(), "name", "is empty; give the run a name".to_owned()),
        (sequences > 0, "batch.sequences", "is 0; it must be at least 1".to_owned()),
        (
            micro > 0 && sequences.is_multiple_of(micro),
            "batch.micro",
            format!("is {micro}; it must divide batch.sequences, {sequences}"),
        ),
        (spec.stop.steps > 0, "stop.steps", "is 0; it must be at least 1".to_owned()),
        (spec.checkpoint.every > 0, "checkpoint.every", "is 0; it must be at least 1".to_owned()),
        (spec.stability.window >= 2, "stability.window", "must be at least 2".to_owned()),
        (
            spec.stability.skip_sigma.is_none_or(|sigma| sigma > 0.0 && sigma.is_finite()),
            "stability.skip_sigma",
            "must be above 0".to_owned(),
        ),
        (
            spec.evaluate
                .as_ref()
                .and_then(|e| e.every)
                .is_none_or(|n| n > 0 && n.is_multiple_of(spec.checkpoint.every)),
            "evaluate.every",
            format!(
                "must be a multiple of checkpoint.every, {}: only checkpoints are examined",
                spec.checkpoint.every
            ),
        ),
    ])
}

fn broken_model(spec: &Spec, config: &ModelConfig) -> Broken {
    let (length, longest) = (spec.data.sequence_length, config.max_position_embeddings);
    first([
        (
            spec.init.from.is_none() || spec.parent.is_none(),
            "init.from",
            "and [parent] exclude each other; keep one".to_owned(),
        ),
        (
            spec.init.from.is_none() || spec.init.std.is_none(),
            "init.std",
            "and init.from exclude each other; keep one".to_owned(),
        ),
        (
            spec.init.from.is_none() && spec.parent.is_none() || !spec.init.scaled_residual,
            "init.scaled_residual",
            "is about first weights of one's own; leave it out with init.from and [parent]".to_owned(),
        ),
        (
            spec.init.from.is_some() || (spec.init.id.is_none() && spec.init.license.is_none()),
            "init.id",
            "and init.license say what init.from is; leave them out without it".to_owned(),
        ),
        (
            spec.init.std.is_none_or(|std| std > 0.0 && std.is_finite()),
            "init.std",
            "must be above 0".to_owned(),
        ),
        (
            length <= longest,
            "data.sequence_length",
            format!("is {length}; model.max_position_embeddings is only {longest}"),
        ),
    ])
}

fn broken_data(spec: &Spec) -> Broken {
    let mix = &spec.data.mix;
    let needed = spec.stop.steps.saturating_mul(spec.batch.sequences as u64);
    let repeats = mix.iter().filter(|m| m.repeat.is_some()).count();
    let weights = mix.iter().filter(|m| m.weight.is_some()).count();
    let mut names: Vec<_> = mix.iter().map(|m| &m.name).collect();
    names.sort();
    names.dedup();
    let positive = |share: Option<f64>| share.is_none_or(|s| s > 0.0 && s.is_finite());
    first([
        (spec.data.sequence_length > 0, "data.sequence_length", "is 0; it must be at least 1".to_owned()),
        (!mix.is_empty(), "data.mix", "is missing; name at least one corpus".to_owned()),
        (
            names.len() == mix.len(),
            "data.mix",
            "uses one name twice; names of corpora must differ".to_owned(),
        ),
        (
            mix.iter().all(|m| m.repeat.is_none() || m.weight.is_none()),
            "data.mix",
            "gives a corpus both repeat and weight; keep one".to_owned(),
        ),
        (
            repeats == 0 && (weights == mix.len() || mix.len() == 1) || repeats == mix.len(),
            "data.mix",
            "must give every corpus a repeat, or every corpus a weight".to_owned(),
        ),
        (
            mix.iter().all(|m| positive(m.repeat) && positive(m.weight)),
            "data.mix",
            "has a repeat or weight that is not above 0; leave the corpus out instead".to_owned(),
        ),
        (
            spec.data.order != Order::Megatron || u32::try_from(spec.seed).is_ok(),
            "seed",
            format!("is {}; order = \"megatron\" takes seeds below 2^32, as NumPy does", spec.seed),
        ),
        (
            spec.data.order != Order::Megatron || u32::try_from(spec.total_samples()).is_ok(),
            "data.total_samples",
            "is too many for the index of order = \"megatron\"; use order = \"permutation\"".to_owned(),
        ),
        (
            spec.data.order != Order::Megatron || spec.total_samples() >= needed,
            "data.total_samples",
            format!(
                "is {}, but stop.steps × batch.sequences is {needed}; set it to {needed} before the run starts",
                spec.total_samples()
            ),
        ),
    ])
}

fn broken_optimizer(spec: &Spec) -> Broken {
    let o = &spec.optimizer;
    let fraction = |beta: f64| (0.0..1.0).contains(&beta);
    first([
        (o.lr > 0.0 && o.lr.is_finite(), "optimizer.lr", "must be above 0".to_owned()),
        (
            (0.0..=o.lr).contains(&o.min_lr),
            "optimizer.min_lr",
            format!("must lie between 0 and lr, {}", o.lr),
        ),
        (o.betas.into_iter().all(fraction), "optimizer.betas", "must be at least 0 and below 1".to_owned()),
        (o.eps > 0.0 && o.eps.is_finite(), "optimizer.eps", "must be above 0".to_owned()),
        (
            o.weight_decay >= 0.0 && o.weight_decay.is_finite(),
            "optimizer.weight_decay",
            "must not be negative".to_owned(),
        ),
        (o.clip > 0.0, "optimizer.clip", "must be above 0".to_owned()),
        (
            o.telemetry_every.is_none_or(|every| every > 0),
            "optimizer.telemetry_every",
            "is 0; it must be at least 1, or left out".to_owned(),
        ),
        (o.z_loss >= 0.0 && o.z_loss.is_finite(), "optimizer.z_loss", "must not be negative".to_owned()),
    ])
}

fn broken_schedule(spec: &Spec) -> Broken {
    let s = &spec.schedule;
    let total = spec.total_steps();
    let wsd = s.kind == ScheduleKind::Wsd;
    let decay = s.decay_steps.unwrap_or(0);
    first([
        (
            !wsd || s.decay_steps.is_some(),
            "schedule.decay_steps",
            "is missing; kind = \"wsd\" needs it".to_owned(),
        ),
        (
            wsd || s.decay_steps.is_none() && s.decay_shape.is_none(),
            "schedule.decay_steps",
            "and decay_shape belong to kind = \"wsd\"; the other kinds decay until total_steps".to_owned(),
        ),
        (
            s.warmup_steps.saturating_add(decay) <= total,
            "schedule.warmup_steps",
            format!("+ decay_steps is more than total_steps, {total}"),
        ),
        (
            s.warmup_init.rate().is_none_or(|rate| (0.0..=spec.optimizer.lr).contains(&rate)),
            "schedule.warmup_init",
            format!("must lie between 0 and lr, {}", spec.optimizer.lr),
        ),
        (
            s.warmup_init != WarmupInit::Parent || spec.parent.is_some(),
            "schedule.warmup_init",
            "is \"parent\", and there is no [parent]; give a learning rate".to_owned(),
        ),
    ])
}
