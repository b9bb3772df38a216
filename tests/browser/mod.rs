//! What a person sees and does, in a real browser.

mod accessible;
mod approves;
mod boards;
mod branches;
mod charts;
mod compares;
mod ends;
mod evaluations;
mod keys;
mod live;
mod pictures;
mod policies;
mod policy;
mod prints;
mod reader;
mod registers;
mod reviews;
mod runs;
mod saves;
mod signs_in;
mod site;
mod stage;
mod subsets;
mod walks;
mod webhooks;
mod without_scripts;
