//! Megatron-Core's names. Query, key and value lie in one matrix, group by group: the queries of the group, its key, its value
//! (`megatron/core/transformer/attention.py`, `get_query_key_value_tensors`). Gate and up lie one behind the other, in every rank of the
//! legacy layout and once in the whole matrix of `torch_dist` (`mlp.py`, `apply_swiglu_sharded_factory`). The rotary order is
//! transformers'.

use super::{EMBEDDING, Found, OUTPUT, Output, Planner, Rows, layer_of};
use crate::ConvertError;

/// Which of the three a row of the matrix belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Head {
    Query,
    Key,
    Value,
}

impl<'a> Planner<'a, '_> {
    pub(super) fn megatron(&self, name: &str, shape: &[u64]) -> Result<Output<'a>, ConvertError> {
        if let Some((layer, rest)) = layer_of(name) {
            return self.megatron_layer(name, shape, layer, rest);
        }
        let source = match name {
            EMBEDDING => "embedding.word_embeddings.weight",
            OUTPUT => "output_layer.weight",
            "model.norm.weight" => "decoder.final_layernorm.weight",
            _ => return Err(self.missing("of any name", name)),
        };
        let found = self.find(&[source.to_owned()], None).ok_or_else(|| self.missing(source, name))?;
        match name {
            EMBEDDING | OUTPUT => self.vocabulary(name, shape, &found),
            _ => self.copied(name, shape, &found),
        }
    }

    fn megatron_layer(
        &self,
        name: &str,
        shape: &[u64],
        layer: u64,
        rest: &str,
    ) -> Result<Output<'a>, ConvertError> {
        let kind = rest.rsplit('.').next().unwrap_or_default();
        let qkv = format!("self_attention.linear_qkv.{kind}");
        let is_up = rest.starts_with("mlp.up_proj.");
        match rest.rsplit_once('.').map_or(rest, |(stem, _)| stem) {
            "self_attn.q_proj" => self.qkv(name, shape, layer, &qkv, Head::Query),
            "self_attn.k_proj" => self.qkv(name, shape, layer, &qkv, Head::Key),
            "self_attn.v_proj" => self.qkv(name, shape, layer, &qkv, Head::Value),
            "mlp.gate_proj" | "mlp.up_proj" => self.gated(name, shape, layer, kind, is_up),
            stem => {
                let names: &[&str] = match stem {
                    "input_layernorm" => {
                        &["self_attention.linear_qkv.layer_norm_weight", "input_layernorm.weight"]
                    }
                    "post_attention_layernorm" => {
                        &["mlp.linear_fc1.layer_norm_weight", "pre_mlp_layernorm.weight"]
                    }
                    "self_attn.o_proj" => &["self_attention.linear_proj.weight"],
                    "mlp.down_proj" => &["mlp.linear_fc2.weight"],
                    "self_attn.q_norm" => &["self_attention.q_layernorm.weight"],
                    "self_attn.k_norm" => &["self_attention.k_layernorm.weight"],
                    _ => return Err(self.missing("of any name", name)),
                };
                let names: Vec<String> =
                    names.iter().map(|name| name.replace(".weight", &format!(".{kind}"))).collect();
                self.copied(name, shape, &self.of_layer(layer, &names, name)?)
            }
        }
    }

    /// A tensor of a layer, which has a name of its own or is a row of the tensor of all layers.
    fn of_layer(&self, layer: u64, names: &[String], wanted: &str) -> Result<Found<'a>, ConvertError> {
        let own: Vec<String> = names.iter().map(|name| format!("decoder.layers.{layer}.{name}")).collect();
        let all: Vec<String> = names.iter().map(|name| format!("decoder.layers.{name}")).collect();
        let found = self.find(&own, None).or_else(|| self.find(&all, Some(layer)));
        found.ok_or_else(|| self.missing(&own[0], wanted))
    }

    fn qkv(
        &self,
        name: &str,
        shape: &[u64],
        layer: u64,
        source: &str,
        head: Head,
    ) -> Result<Output<'a>, ConvertError> {
        let found = self.of_layer(layer, &[source.to_owned()], name)?;
        let config = self.config;
        let (heads, groups) = (config.num_attention_heads as u64, config.num_key_value_heads as u64);
        let width = config.head_dim as u64;
        let queries = heads / groups;
        let mut need = shape.to_vec();
        need[0] = (heads + 2 * groups) * width;
        self.fits(&found, &need)?;
        let rows = (0..groups).map(|group| {
            let begin = group * (queries + 2) * width;
            match head {
                Head::Query => found.rows(begin, queries * width),
                Head::Key => found.rows(begin + queries * width, width),
                Head::Value => found.rows(begin + (queries + 1) * width, width),
            }
        });
        Ok(self.output(name, shape, &found, rows.collect(), &["split by query group"]))
    }

    fn gated(
        &self,
        name: &str,
        shape: &[u64],
        layer: u64,
        kind: &str,
        is_up: bool,
    ) -> Result<Output<'a>, ConvertError> {
        // `singleton_local_shards` saves the two halves by themselves.
        let half = format!("mlp.linear_fc1.{kind}_{}", if is_up { "v" } else { "w" });
        if let Ok(found) = self.of_layer(layer, &[half], name) {
            return self.copied(name, shape, &found);
        }
        let found = self.of_layer(layer, &[format!("mlp.linear_fc1.{kind}")], name)?;
        let (ranks, count) = (self.source.gated_ranks, shape[0]);
        let mut need = shape.to_vec();
        need[0] = 2 * count;
        self.fits(&found, &need)?;
        if !count.is_multiple_of(ranks) {
            let rule = format!("{count} rows of {} do not divide among {ranks} tensor ranks", found.name);
            return Err(ConvertError::content(&self.source.name, rule));
        }
        let part = count / ranks;
        let rows: Vec<Rows<'a>> =
            (0..ranks).map(|rank| found.rows((2 * rank + u64::from(is_up)) * part, part)).collect();
        let note = match ranks {
            1 => "split into gate and up".to_owned(),
            _ => format!("split into gate and up in each of {ranks} tensor ranks"),
        };
        Ok(self.output(name, shape, &found, rows, &[&note]))
    }
}
