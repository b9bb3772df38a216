//! What a person sees and does, in a real browser.

mod approves;
mod compares;
mod ends;
mod keys;
mod live;
mod pictures;
mod policies;
mod policy;
mod reader;
mod reviews;
mod signs_in;
mod stage;
mod subsets;
mod walks;
mod without_scripts;
