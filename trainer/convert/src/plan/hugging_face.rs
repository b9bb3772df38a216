//! transformers' own names: nothing but the vocabulary's padding can differ.

use super::{EMBEDDING, OUTPUT, Output, Planner};
use crate::ConvertError;

impl<'a> Planner<'a, '_> {
    pub(super) fn hugging_face(&self, name: &str, shape: &[u64]) -> Result<Output<'a>, ConvertError> {
        let found = self.find(&[name.to_owned()], None).ok_or_else(|| self.missing(name, name))?;
        match name {
            EMBEDDING | OUTPUT => self.vocabulary(name, shape, &found),
            _ => self.copied(name, shape, &found),
        }
    }
}
