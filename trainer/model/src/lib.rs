//! The Llama program on the CPU: tokenizer, operations, inference and the training step; and other families through candle.
//!
//! Architecture invariant: in the Llama program a token's keys, values, hidden state and logits depend only on the tokens before it. Batch size,
//! edge splits, neighbours, the number of threads and the machine's vector width never change a bit. The operations
//! ([`ops`]) are the definition every other device's kernels are held against.

pub mod backend;
pub mod cuda;
pub mod device;
mod error;
mod families;
mod inference;
mod kv;
mod llama;
mod load;
pub mod ops;
mod random;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod testing;
mod tokenizer;
pub mod train;

pub use error::ModelError;
pub use inference::{Ask, AtOnce, Hidden, Inference, Place, Seen, likeliest};
pub use kv::{DecodeRow, Edge, Extended, Kv, Tail};
pub use llama::Llama;
pub use load::{Compute, load};
pub use tokenizer::{Tokenizer, TokenizerError};
