//! What a person sees and does, in a real browser.

mod approves;
mod keys;
mod live;
mod pictures;
mod policy;
mod stage;
mod walks;
mod without_scripts;
