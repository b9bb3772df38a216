//! The crate from outside.

mod converts;
mod hostile;
mod support;
