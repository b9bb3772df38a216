//! What a person sees and does, in a real browser.

mod accessible;
mod approves;
mod boards;
mod charts;
mod compares;
mod ends;
mod keys;
mod live;
mod pictures;
mod policies;
mod policy;
mod reader;
mod reviews;
mod runs;
mod signs_in;
mod site;
mod stage;
mod subsets;
mod walks;
mod webhooks;
mod without_scripts;
