use std::path::Path;

use sekisho_weights::Checkpoint;

use crate::families::Candle;
use crate::{Inference, Llama, ModelError};

/// Opens a Hugging Face folder and reads its weights into the program that computes its family: our own where there is one,
/// else candle's.
///
/// # Errors
/// [`ModelError::Checkpoint`] when the folder is refused or cannot be read, also for a family that nobody here computes;
/// [`ModelError::Candle`].
pub fn load(dir: &Path) -> Result<Box<dyn Inference>, ModelError> {
    let checkpoint = Checkpoint::open(dir)?;
    if checkpoint.config().family.is_own() {
        Ok(Box::new(Llama::from_checkpoint(&checkpoint)?))
    } else {
        Ok(Box::new(Candle::from_checkpoint(&checkpoint)?))
    }
}
