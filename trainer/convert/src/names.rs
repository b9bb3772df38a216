//! Whose names the tensors have.

use crate::ConvertError;

/// A trainer's way of naming a Llama's tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// Megatron-Core's `GPTModel`.
    Megatron,
    /// transformers'.
    HuggingFace,
    /// torchtitan's and Meta's own.
    Titan,
}

/// The embedding, which every model has, under each scheme's name.
const EMBEDDINGS: [(Scheme, &str); 3] = [
    (Scheme::Megatron, "embedding.word_embeddings.weight"),
    (Scheme::HuggingFace, "model.embed_tokens.weight"),
    (Scheme::Titan, "tok_embeddings.weight"),
];

impl Scheme {
    /// Whether a name below the model's prefix is one of the model's tensors.
    pub(crate) fn holds(self, name: &str) -> bool {
        let roots: &[&str] = match self {
            Self::Megatron => &["embedding.", "decoder.", "output_layer."],
            Self::HuggingFace => &["model.", "lm_head."],
            Self::Titan => &["tok_embeddings.", "layers.", "norm.", "output."],
        };
        roots.iter().any(|root| name.starts_with(root))
    }
}

/// The scheme of these names, and what stands before the model's own names.
pub(crate) fn scheme<'a>(
    source: &str,
    names: impl Iterator<Item = &'a str>,
) -> Result<(Scheme, String), ConvertError> {
    let mut found = Vec::new();
    for name in names.map(plain) {
        for (scheme, end) in EMBEDDINGS {
            let prefix = name.strip_suffix(end).filter(|p| p.is_empty() || p.ends_with('.'));
            if let Some(prefix) = prefix.filter(|prefix| !prefix.contains("optim")) {
                found.push((scheme, prefix.to_owned()));
            }
        }
    }
    match (found.pop(), found.is_empty()) {
        (Some(found), true) => Ok(found),
        (None, _) => Err(ConvertError::content(
            source,
            "it holds no embedding under the names of Megatron-Core, transformers or torchtitan, so it is no Llama that is known here",
        )),
        (Some(_), false) => Err(ConvertError::content(
            source,
            "it holds several models. Save the one that is meant by itself",
        )),
    }
}

/// A name without what wrappers of PyTorch put into it.
pub(crate) fn plain(name: &str) -> String {
    ["_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module."]
        .iter()
        .fold(name.to_owned(), |name, wrapper| name.replace(wrapper, ""))
}

/// What stands among a model's weights and is none: states of Transformer Engine, and tables that are computed from the configuration.
pub(crate) fn is_no_weight(name: &str) -> bool {
    name.contains("_extra_state")
        || ["inv_freq", "freqs_cis", ".rope.cache"].iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::{Scheme, scheme};

    #[test]
    fn the_model_is_found_beside_its_optimiser_and_inside_wrappers() {
        let found = |names: &[&str]| scheme("s", names.iter().copied()).map_err(|error| error.to_string());
        let titan = found(&["tok_embeddings.weight", "optimizer.state.tok_embeddings.weight.exp_avg"]);
        assert_eq!(titan, Ok((Scheme::Titan, String::new())));
        let wrapped =
            found(&["model.model._orig_mod.embed_tokens.weight", "optim.model.embed_tokens.weight"]);
        assert_eq!(wrapped, Ok((Scheme::HuggingFace, "model.".to_owned())));
        for bad in [&["a.weight"][..], &["x.tok_embeddings.weight", "y.tok_embeddings.weight"]] {
            assert!(found(bad).is_err(), "{bad:?}");
        }
    }
}
