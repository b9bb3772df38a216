//! Channels: what goes out by itself to a private repository, under a blanket approval that several people gave for a time.

use crate::state::named;

named! {
    /// Where a channel stands.
    ChannelState {
        /// Waiting for approvals.
        Proposed = "proposed",
        /// Approved: what it takes goes out by itself until its day comes.
        Active = "active",
        /// Somebody ended it.
        Ended = "ended",
    }
}

named! {
    /// Which checkpoints of its runs a channel takes.
    ChannelTakes {
        /// The last checkpoint of a finished run that branched off another one: the end of a decay branch.
        BranchEnds = "branch_ends",
        /// The last checkpoint of every finished run.
        RunEnds = "run_ends",
        /// Every checkpoint.
        Every = "every",
    }
}
