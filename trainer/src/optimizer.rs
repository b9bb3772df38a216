//! AdamW's settings, decay groups and bias correction. The arithmetic (`sekisho_model::ops::adamw`) and the moments are the device's.

use std::collections::BTreeMap;

use sekisho_domain::fits_glob;
use sekisho_model::cuda::CudaError;
use sekisho_model::ops::adamw::Constants;
use sekisho_model::ops::moments::Statistics;
use sekisho_model::train::{Layout, TrainingStep};

use crate::spec::Optimizer;

/// The optimiser's host side.
pub(crate) struct AdamW {
    settings: Optimizer,
    /// Of every tensor of the layout.
    decayed: Vec<bool>,
    /// Updates made, which the bias correction counts; skipped ones are not among them.
    pub(crate) updates: u64,
    seed: u64,
}

impl AdamW {
    pub(crate) fn new(settings: &Optimizer, seed: u64, layout: &Layout) -> Self {
        let decayed = layout.tensors().iter().map(|t| is_decayed(settings, &t.name, t.shape.len())).collect();
        Self { settings: settings.clone(), decayed, updates: 0, seed }
    }

    /// Counts an update and gives what it needs for every tensor of the layout: gradients are taken times the factor that
    /// clips them to `settings.clip`.
    pub(crate) fn next(&mut self, lr: f64, grad_norm: f64) -> Vec<Constants> {
        self.updates += 1;
        let [beta1, beta2] = self.settings.betas;
        let correction = |beta: f64| 1.0 - beta.powf(self.updates as f64);
        // Odd numbers apart, so that no two updates of one seed have the same key.
        let key = self.seed ^ self.updates.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let of = |decayed: &bool| {
            let decay = if *decayed { lr * self.settings.weight_decay } else { 0.0 };
            Constants {
                scale: (self.settings.clip / (grad_norm + 1e-6)).min(1.0) as f32,
                beta1: beta1 as f32,
                rest1: (1.0 - beta1) as f32,
                beta2: beta2 as f32,
                rest2: (1.0 - beta2) as f32,
                keep: (1.0 - decay) as f32,
                step: (lr / correction(beta1)) as f32,
                root: correction(beta2).sqrt() as f32,
                eps: self.settings.eps as f32,
                key,
            }
        };
        self.decayed.iter().map(of).collect()
    }
}

/// What `telemetry_every` adds to a row of the log, by [`AdamW::next`]'s constants for the update that was made: the share of
/// values with `√v̂ < ε` and the L2 norms of moments, parameters and of the update without its decay, of the whole model, and
/// that share of each kind of tensor, over all layers.
pub(crate) fn telemetry(
    program: &mut dyn TrainingStep,
    constants: &[Constants],
) -> Result<BTreeMap<String, f64>, CudaError> {
    let statistics = program.moment_statistics(constants)?;
    let mut all = Statistics::default();
    let mut kinds: BTreeMap<String, Statistics> = BTreeMap::new();
    for (tensor, statistics) in program.layout().tensors().iter().zip(statistics) {
        all += statistics;
        *kinds.entry(kind(&tensor.name)).or_default() += statistics;
    }
    let share = |of: &Statistics| of.below_eps as f64 / of.values as f64;
    let kinds = kinds.iter().map(|(kind, of)| (format!("sqrt_v_below_eps/{kind}"), share(of)));
    let whole = [
        ("sqrt_v_below_eps", share(&all)),
        ("exp_avg_norm", all.exp_avg.sqrt()),
        ("exp_avg_sq_norm", all.exp_avg_sq.sqrt()),
        ("parameter_norm", all.parameters.sqrt()),
        ("update_norm", all.update.sqrt()),
    ];
    Ok(kinds.chain(whole.map(|(name, value)| (name.to_owned(), value))).collect())
}

/// `q_proj` of `model.layers.3.self_attn.q_proj.weight`; a bias is a kind of its own.
fn kind(name: &str) -> String {
    let short = name.strip_suffix(".weight").unwrap_or(name);
    let bias = short.ends_with(".bias");
    let module = short.trim_end_matches(".bias").rsplit('.').next().unwrap_or(short);
    if bias { format!("{module}.bias") } else { module.to_owned() }
}

/// Whether a parameter is decayed: by the globs of `weight_decay_exclude`, or unless it has one dimension.
pub(crate) fn is_decayed(settings: &Optimizer, name: &str, dimensions: usize) -> bool {
    match &settings.weight_decay_exclude {
        None => dimensions > 1,
        Some(globs) => !globs.iter().any(|glob| fits_glob(glob, name)),
    }
}
