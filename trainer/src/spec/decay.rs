//! Which parameters are decayed, told by patterns: one for all layers.

use sekisho_domain::fits_glob;
use sekisho_model::train::Layout;
use sekisho_weights::config::ModelConfig;

use super::Optimizer;
use crate::optimizer::is_decayed;

/// Patterns over the names of parameters with how many fit each, in the order of the layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Groups {
    pub(crate) decayed: Vec<(String, usize)>,
    pub(crate) excluded: Vec<(String, usize)>,
}

impl Groups {
    pub(crate) fn of(settings: &Optimizer, config: &ModelConfig) -> Self {
        let mut groups = Self { decayed: Vec::new(), excluded: Vec::new() };
        for tensor in Layout::new(config).tensors() {
            let decayed = is_decayed(settings, &tensor.name, tensor.shape.len());
            let group = if decayed { &mut groups.decayed } else { &mut groups.excluded };
            let pattern = pattern(&tensor.name);
            match group.iter_mut().find(|(known, _)| *known == pattern) {
                Some((_, count)) => *count += 1,
                None => group.push((pattern, 1)),
            }
        }
        groups
    }

    /// Globs for `weight_decay_exclude` that mean these groups; none where a pattern is on both sides.
    pub(crate) fn globs(&self) -> Option<Vec<String>> {
        let apart = |glob: &str| !self.decayed.iter().any(|(decayed, _)| fits_glob(glob, decayed));
        self.excluded.iter().map(|(glob, _)| apart(glob).then(|| glob.clone())).collect()
    }
}

/// `model.layers.*.mlp.up_proj.weight` for that matrix of any layer.
fn pattern(name: &str) -> String {
    let part = |part: &str| {
        let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { "*".to_owned() } else { part.to_owned() }
    };
    name.split('.').map(part).collect::<Vec<_>>().join(".")
}

/// Lines of `model.norm, model.layers.*.input_layernorm (24)`, without the `.weight` that all names end with.
pub(crate) fn told(group: &[(String, usize)]) -> Vec<String> {
    const A_LINE: usize = 3;
    let one = |(pattern, count): &(String, usize)| match (pattern.trim_end_matches(".weight"), count) {
        (name, 1) => name.to_owned(),
        (name, count) => format!("{name} ({count})"),
    };
    let names: Vec<String> = group.iter().map(one).collect();
    names.chunks(A_LINE).map(|names| names.join(", ")).collect()
}
