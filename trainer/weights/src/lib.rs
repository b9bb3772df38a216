//! Checkpoints as files: a strict reader that refuses by content, digests that do not depend on sharding, and a writer
//! that leaves nothing half-written.
//!
//! Architecture invariant: no tensor library and no arithmetic on weights beyond looking at them, so the server can
//! link this crate. Refusals change nothing on disk.

mod checkpoint;
pub mod config;
mod content;
mod dtype;
mod fit;
mod folder;
mod header;
mod inspect;
mod lock;
mod manifest;
mod moments;
mod new_folder;
mod open;
mod refusal;
mod reshard;
mod shards;
mod stamps;
mod strict_json;
mod write;

pub use checkpoint::{Checkpoint, Safetensors};
pub use config::{ConfigError, Family, ModelConfig, RopeScaling};
pub use dtype::{Dtype, to_bf16_bytes, to_f32_bytes};
pub use folder::is_allowed as is_checkpoint_file;
pub use inspect::{
    Inspected, TensorInfo, hash_file, inspect, inspect_plainly, list_files, manifest_digest, weights_digest,
};
pub use lock::{FolderLock, LockError};
pub use manifest::{hash_folder, read_manifest, write_manifest};
pub use moments::Moments;
pub use new_folder::NewFolder;
pub use open::open_file;
pub use refusal::Refusal;
pub use reshard::{Reshard, ReshardError, Resharded, WeightDtype, reshard};
pub use stamps::{stamp, stamps};
pub use write::{
    TensorData, header as safetensors_header, in_file as order_in_file, write_atomic, write_safetensors,
};

#[cfg(test)]
mod tests;
