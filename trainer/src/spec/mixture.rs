//! What each subset gives to a run, for `--check`: its share of the samples, the tokens of this run, and how often it is repeated.

use std::path::Path;

use sekisho_domain::Tokens;
use sekisho_model::Tokenizer;

use super::{Packing, Share, Spec};
use crate::data::{self, Cache, Size};

/// The lines of all subsets.
pub(super) fn lines(spec: &Spec, cache: Option<&Path>) -> String {
    let tokenizer = spec.tokenizer.as_ref().map(|section| Tokenizer::load(&section.path)).transpose();
    let cache = Cache::at(cache);
    let sizes = spec.data.mix.iter().map(|mix| match &tokenizer {
        Ok(tokenizer) => data::size(mix, tokenizer.as_ref(), &cache).map_err(|error| error.to_string()),
        // An index needs none.
        Err(error) => data::size(mix, None, &cache).map_err(|_| error.to_string()),
    });
    told(spec, &sizes.collect::<Vec<_>>()).iter().map(|text| format!("{:<14}{text}\n", "mixture")).collect()
}

/// Samples that are taken of a subset.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Taken {
    samples: f64,
    /// Of all samples of the run.
    share: f64,
}

fn told(spec: &Spec, sizes: &[Result<Size, String>]) -> Vec<String> {
    let begin = spec.parent.as_ref().filter(|parent| !parent.reset_steps).map_or(0, |parent| parent.step);
    let updates = spec.stop.steps.saturating_sub(begin);
    let all = updates as f64 * spec.batch.sequences as f64;
    let taken = weights(spec, sizes).map(|weights| {
        let limits: Vec<f64> =
            spec.data.mix.iter().zip(sizes).map(|(m, s)| limit(spec, m.share(), s)).collect();
        shares(&weights, &limits, all)
    });
    let mut lines: Vec<String> = (0..sizes.len())
        .map(|i| {
            let name = &spec.data.mix[i].name;
            let taken = taken.as_ref().map(|taken| taken[i]);
            format!("{name}: {}", subset(spec, taken, &sizes[i]))
        })
        .collect();
    let given: f64 = taken.iter().flatten().map(|taken| taken.samples).sum();
    if taken.is_some() && given + 0.5 < all {
        let last = begin as f64 + (given / spec.batch.sequences as f64).floor();
        let exactly = if sizes.iter().flatten().all(|size| size.is_exact) { "" } else { "about " };
        lines.push(format!(
            "every subset has reached its repeat after update {exactly}{last} of {}; the run ends there",
            spec.stop.steps
        ));
    }
    lines
}

/// `66.7 % of the samples, 8,192,000 tokens: 2.00 epochs of 4,096,123 tokens`.
fn subset(spec: &Spec, taken: Option<Taken>, size: &Result<Size, String>) -> String {
    let given = taken.map(|Taken { samples, share }| {
        let (tokens, about) = match (spec.data.packing, size) {
            (Packing::Contiguous, _) => (samples * spec.data.sequence_length as f64, ""),
            // What is padded is not learned from.
            (Packing::PerDocument, Ok(size)) => {
                let mean = (size.tokens / size.documents.max(1.0) - 1.0).max(0.0);
                (samples * mean.min(spec.data.sequence_length as f64), "about ")
            }
            (Packing::PerDocument, Err(_)) => (samples * spec.data.sequence_length as f64, "at most "),
        };
        format!("{:.1} % of the samples, {about}{} tokens", 100.0 * share, whole(tokens))
    });
    let size = match size {
        Ok(size) => size,
        Err(why) => {
            let given = given.map_or_else(String::new, |given| format!("{given}: "));
            return format!("{given}how often it is repeated is not known ({why})");
        }
    };
    let about = if size.is_exact { "" } else { "about " };
    let Some(Taken { samples, .. }) = taken else {
        return format!("{about}{} tokens; its share depends on the others", whole(size.tokens));
    };
    let epochs = samples / per_epoch(spec, size);
    let estimated = if size.is_exact { "" } else { ", estimated from its beginning" };
    let given = given.unwrap_or_default();
    format!("{given}: {about}{epochs:.2} epochs of {about}{} tokens{estimated}", whole(size.tokens))
}

fn whole(tokens: f64) -> Tokens {
    Tokens(tokens.round() as u64)
}

/// Samples of an epoch.
fn per_epoch(spec: &Spec, size: &Size) -> f64 {
    match spec.data.packing {
        Packing::Contiguous => ((size.tokens - 1.0) / spec.data.sequence_length as f64).floor().max(1.0),
        Packing::PerDocument => size.documents.max(1.0),
    }
}

/// As training weighs them; none while a size that decides is not known.
fn weights(spec: &Spec, sizes: &[Result<Size, String>]) -> Option<Vec<f64>> {
    let weight = |share, size: &Result<Size, String>| match (share, size, spec.data.packing) {
        (Share::Weight(weight), _, _) => Some(weight),
        (Share::Repeat(repeat), Ok(size), Packing::Contiguous) => Some(repeat * size.tokens),
        (Share::Repeat(repeat), Ok(size), Packing::PerDocument) => Some(repeat * size.documents),
        (Share::Repeat(_), Err(_), _) => None,
    };
    spec.data.mix.iter().zip(sizes).map(|(mix, size)| weight(mix.share(), size)).collect()
}

fn limit(spec: &Spec, share: Share, size: &Result<Size, String>) -> f64 {
    match (share, size) {
        (Share::Repeat(repeat), Ok(size)) => (repeat * per_epoch(spec, size)).floor(),
        _ => f64::INFINITY,
    }
}

/// How the greedy blend deals `all` samples: by weight, and what a used-up subset would have had goes to the others in equal parts.
fn shares(weights: &[f64], limits: &[f64], all: f64) -> Vec<Taken> {
    let sum: f64 = weights.iter().sum();
    let mut taken = vec![0.0; weights.len()];
    let mut left = all;
    let mut active: Vec<usize> = (0..weights.len()).collect();
    while left > 0.0 && !active.is_empty() {
        let of_active: f64 = active.iter().map(|i| weights[*i] / sum).sum();
        let rate = |i: usize| weights[i] / sum + (1.0 - of_active).max(0.0) / active.len() as f64;
        let until_full = active.iter().map(|i| (limits[*i] - taken[*i]) / rate(*i)).fold(left, f64::min);
        let (part, full) = (until_full.max(0.0), until_full < left);
        active.iter().for_each(|i| taken[*i] += part * rate(*i));
        left -= part;
        if !full {
            break;
        }
        active.retain(|i| limits[*i] - taken[*i] > 0.5);
    }
    let given: f64 = taken.iter().sum();
    taken.into_iter().map(|samples| Taken { samples, share: samples / given.max(1.0) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(mixes: &str) -> Spec {
        let text = format!(
            "name = \"m\"\n[model]\nvocab_size = 100\nhidden_size = 8\nnum_hidden_layers = 1\nnum_attention_heads = 1
intermediate_size = 8\nrope_theta = 1e4\nrms_norm_eps = 1e-5\n[data]\nsequence_length = 10\n{mixes}
[batch]\nsequences = 2\n[optimizer]\nlr = 1e-3\n[schedule]\nkind = \"constant\"\n[stop]\nsteps = 40\n"
        );
        Spec::parse("spec.toml", &text, Path::new("/")).expect("a valid specification")
    }

    fn size(tokens: f64, is_exact: bool) -> Result<Size, String> {
        Ok(Size { documents: 1.0, tokens, is_exact })
    }

    #[test]
    fn epochs_are_told_of_weights() {
        let spec = spec(
            "[[data.mix]]\nname = \"a\"\npath = \"a\"\nweight = 3.0\n[[data.mix]]\nname = \"b\"\npath = \"b\"\nweight = 1.0",
        );
        assert_eq!(
            told(&spec, &[size(301.0, true), size(1001.0, false)]),
            [
                "a: 75.0 % of the samples, 600 tokens: 2.00 epochs of 301 tokens",
                "b: 25.0 % of the samples, 200 tokens: about 0.20 epochs of about 1,001 tokens, estimated from its beginning",
            ]
        );
        let unknown = Err("b.jsonl is not there".to_owned());
        assert_eq!(
            told(&spec, &[size(301.0, true), unknown])[1],
            "b: 25.0 % of the samples, 200 tokens: how often it is repeated is not known (b.jsonl is not there)"
        );
    }

    #[test]
    fn the_end_of_the_data_is_told_of_repeats() {
        let spec = spec(
            "[[data.mix]]\nname = \"a\"\npath = \"a\"\nrepeat = 2.0\n[[data.mix]]\nname = \"b\"\npath = \"b\"\nrepeat = 1.0",
        );
        assert_eq!(
            told(&spec, &[size(201.0, true), size(201.0, true)]),
            [
                "a: 66.7 % of the samples, 400 tokens: 2.00 epochs of 201 tokens",
                "b: 33.3 % of the samples, 200 tokens: 1.00 epochs of 201 tokens",
                "every subset has reached its repeat after update 30 of 40; the run ends there",
            ]
        );
        let unknown = Err("why".to_owned());
        assert_eq!(
            told(&spec, &[size(201.0, true), unknown]),
            [
                "a: 201 tokens; its share depends on the others",
                "b: how often it is repeated is not known (why)",
            ]
        );
    }

    #[test]
    fn a_subset_that_is_used_up_leaves_its_part_to_the_others() {
        let taken = shares(&[1.0, 1.0, 2.0], &[10.0, f64::INFINITY, f64::INFINITY], 100.0);
        // 10, 10 and 20 until it is used up; 60 more as 1/4 + 1/8 and 1/2 + 1/8 of each.
        let samples: Vec<f64> = taken.iter().map(|taken| taken.samples).collect();
        assert_eq!(samples, [10.0, 32.5, 57.5]);
    }

    #[test]
    fn a_subset_of_nearly_no_weight_is_no_trap() {
        // The others' parts add up to a little more than one.
        let weights = [0.1, 0.9, 0.05, 1.0, 0.05, 1e-17];
        let taken = shares(&weights, &[f64::INFINITY; 6], 1000.0);
        assert!((taken.iter().map(|taken| taken.samples).sum::<f64>() - 1000.0).abs() < 1e-6, "{taken:?}");
    }
}
