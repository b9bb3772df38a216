//! torchtitan's names, which are Meta's. Its rotary embedding turns neighbouring rows of a head, transformers' turns rows half a head
//! apart, so the rows of query and key change their order (torchtitan, `models/llama3/model/state_dict_adapter.py`).

use super::{EMBEDDING, OUTPUT, Output, Planner, Rows, layer_of};
use crate::ConvertError;

impl<'a> Planner<'a, '_> {
    pub(super) fn titan(&self, name: &str, shape: &[u64]) -> Result<Output<'a>, ConvertError> {
        let Some((layer, rest)) = layer_of(name) else { return self.titan_end(name, shape) };
        let stem = rest.strip_suffix(".weight").unwrap_or_default();
        let source = match stem {
            "input_layernorm" => "attention_norm",
            "post_attention_layernorm" => "ffn_norm",
            "self_attn.q_proj" => "attention.wq",
            "self_attn.k_proj" => "attention.wk",
            "self_attn.v_proj" => "attention.wv",
            "self_attn.o_proj" => "attention.wo",
            "mlp.gate_proj" => "feed_forward.w1",
            "mlp.up_proj" => "feed_forward.w3",
            "mlp.down_proj" => "feed_forward.w2",
            _ => return Err(self.missing("of any name", name)),
        };
        let source = format!("layers.{layer}.{source}.weight");
        let found = self.find(std::slice::from_ref(&source), None);
        let found = found.ok_or_else(|| self.missing(&source, name))?;
        if !matches!(stem, "self_attn.q_proj" | "self_attn.k_proj") {
            return self.copied(name, shape, &found);
        }
        self.fits(&found, shape)?;
        let width = self.config.head_dim as u64;
        let row = |row: u64| {
            let (head, within) = (row / width, row % width);
            let (half, pair) = (within / (width / 2), within % (width / 2));
            found.rows(head * width + 2 * pair + half, 1)
        };
        let rows: Vec<Rows<'a>> = (0..shape[0]).map(row).collect();
        Ok(self.output(name, shape, &found, rows, &["rows put into transformers' rotary order"]))
    }

    fn titan_end(&self, name: &str, shape: &[u64]) -> Result<Output<'a>, ConvertError> {
        let source = match name {
            EMBEDDING => "tok_embeddings.weight",
            OUTPUT => "output.weight",
            "model.norm.weight" => "norm.weight",
            _ => return Err(self.missing("of any name", name)),
        };
        let found = self.find(&[source.to_owned()], None).ok_or_else(|| self.missing(source, name))?;
        match name {
            EMBEDDING | OUTPUT => self.vocabulary(name, shape, &found),
            _ => self.copied(name, shape, &found),
        }
    }
}
