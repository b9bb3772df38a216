//! `--device` and what goes with it: what computes a model.

use sekisho_model::Compute;
use sekisho_model::cuda::{Dtype, Options};

use crate::exit::Failed;

#[derive(clap::Args)]
pub(crate) struct ComputeArgs {
    /// auto (a GPU where there is one), cpu or cuda:N
    #[arg(long, env = "SEKISHO_DEVICE", hide_env_values = true, default_value = "auto", value_name = "D")]
    device: String,
    /// Type of weights and activations on a GPU: f32, bf16 or f16 [default: the checkpoint's]. The CPU computes in f32
    #[arg(long, value_name = "T", value_parser = dtype)]
    dtype: Option<Dtype>,
    /// Let the last digits depend on how questions are batched, where that is faster; recorded with the scores
    #[arg(long)]
    fast: bool,
}

impl ComputeArgs {
    /// As it was asked for.
    pub(crate) fn device(&self) -> &str {
        &self.device
    }

    /// The type that was asked for.
    pub(crate) fn dtype(&self) -> Option<Dtype> {
        self.dtype
    }

    /// The device, and how it computes.
    ///
    /// # Errors
    /// A device that is not there or cannot be used.
    pub(crate) fn choose(&self) -> anyhow::Result<Compute> {
        let options = Options { dtype: self.dtype, kv_bytes: None, fast: self.fast };
        Compute::on(&self.device, options).map_err(Failed::user)
    }
}

fn dtype(text: &str) -> Result<Dtype, String> {
    [Dtype::F32, Dtype::Bf16, Dtype::F16]
        .into_iter()
        .find(|dtype| dtype.as_str() == text)
        .ok_or_else(|| "expected f32, bf16 or f16".to_owned())
}
