//! Which names of others are ours. Everything else keeps its own.

/// Ours, and what others call it in lower case, likeliest first. `(ms)` and the like are units that the readers convert.
const NAMES: &[(&str, &[&str])] = &[
    (
        "loss",
        &[
            "loss",
            "train/loss",
            "train_loss",
            "train/lm_loss",
            "lm loss",
            "lm_loss",
            "lm-loss",
            "loss_metrics/global_avg_loss",
            "loss/train",
            "training_loss",
            "lm-loss-training/lm loss",
            "train/cross_entropy_loss",
        ],
    ),
    ("ce", &["ce", "ce_loss", "train/ce_loss", "ce loss", "cross_entropy"]),
    ("z_loss", &["z_loss", "z loss", "train/z_loss", "z-loss"]),
    (
        "lr",
        &[
            "lr",
            "learning rate",
            "learning-rate",
            "learning_rate",
            "train/learning_rate",
            "train/lr",
            "learning-rate/learning-rate",
            "optim/learning_rate_group0",
            "lr-adamw",
        ],
    ),
    (
        "grad_norm",
        &[
            "grad_norm",
            "grad norm",
            "grad-norm",
            "train/grad_norm",
            "gradient_norm",
            "train/gradient_norm",
            "grad-norm/grad-norm",
            "optim/total_grad_norm",
        ],
    ),
    ("seconds", &["seconds", "iteration-time", "step_time", "time_metrics/end_to_end(s)"]),
    (
        "tokens",
        &[
            "tokens",
            "consumed tokens",
            "consumed_tokens",
            "train/num_input_tokens_seen",
            "num_input_tokens_seen",
            "tokens_seen",
            "n_tokens_seen",
            "ntokens_seen",
            "train/tokens",
            "total_tokens",
            "throughput/total_tokens",
        ],
    ),
];

/// What others call the number of the update, in lower case, likeliest first.
pub(crate) const STEPS: &[&str] =
    &["train/global_step", "trainer/global_step", "global_step", "iteration", "step", "_step"];

/// Longest name of a metric, in bytes.
const LONGEST: usize = 64;

/// Further names of one run that the service takes.
pub(crate) const MOST: usize = 200;

/// Our name for a metric and how likely it is meant, 0 best; none for one that is not ours.
pub(crate) fn ours(name: &str) -> Option<(&'static str, usize)> {
    let name = name.trim().to_lowercase();
    NAMES.iter().find_map(|(ours, theirs)| Some((*ours, theirs.iter().position(|known| *known == name)?)))
}

/// A name as a field of a row: blanks, commas, quotes and what cannot be seen become `_`; a name of ours is not given away.
pub(crate) fn own(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for letter in name.trim().chars() {
        let letter = if fits(letter) { letter } else { '_' };
        if letter == '_' && out.ends_with('_') {
            continue;
        }
        if out.len() + letter.len_utf8() > LONGEST {
            break;
        }
        out.push(letter);
    }
    let out = out.trim_matches('_');
    let taken = out.is_empty() || out == "step" || NAMES.iter().any(|(ours, _)| *ours == out);
    if taken { format!("own_{out}") } else { out.to_owned() }
}

fn fits(letter: char) -> bool {
    // The marks that turn the direction of writing would rearrange what stands beside the name.
    let turns = matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !(letter.is_control() || letter.is_whitespace() || turns || matches!(letter, ',' | '"'))
}

/// Picks our names among the names of a source: of several that mean the same, the likeliest. The others keep their own.
pub(crate) fn choose<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<(String, String)> {
    let names: Vec<&str> = names.into_iter().collect();
    let mut best: std::collections::BTreeMap<&str, (usize, &str)> = std::collections::BTreeMap::new();
    for name in &names {
        let Some((ours, rank)) = ours(name) else { continue };
        let held = best.entry(ours).or_insert((rank, name));
        if rank < held.0 {
            *held = (rank, name);
        }
    }
    let target = |name: &str| match ours(name) {
        Some((ours, _)) if best.get(ours).is_some_and(|(_, chosen)| *chosen == name) => ours.to_owned(),
        _ => own(name),
    };
    names.iter().map(|name| ((*name).to_owned(), target(name))).collect()
}

#[cfg(test)]
mod tests {
    use super::{choose, own};

    #[test]
    fn the_likeliest_name_is_ours_and_the_others_keep_their_own() {
        let chosen = choose(["eval/loss", "lm loss", "train/loss", "Learning Rate", "num zeros", "step"]);
        let chosen: Vec<(&str, &str)> = chosen.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(
            chosen,
            [
                ("eval/loss", "eval/loss"),
                ("lm loss", "lm_loss"),
                ("train/loss", "loss"),
                ("Learning Rate", "lr"),
                ("num zeros", "num_zeros"),
                ("step", "own_step"),
            ]
        );
    }

    #[test]
    fn any_name_becomes_a_field() {
        for (name, field) in [
            ("throughput per GPU (TFLOP/s/GPU)", "throughput_per_GPU_(TFLOP/s/GPU)"),
            ("損失 訓練", "損失_訓練"),
            ("a\u{202e}b\n", "a_b"),
            (" , ", "own_"),
            ("tokens", "own_tokens"),
        ] {
            assert_eq!(own(name), field);
        }
        assert!(own(&"森".repeat(100)).len() <= 64);
    }
}
