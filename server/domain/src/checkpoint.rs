//! A checkpoint on its way in.

use crate::state::named;

named! {
    /// Where a checkpoint stands at the gate.
    CheckpointState {
        /// Announced; its bytes have not been looked at.
        Received = "received",
        /// Being scanned and hashed.
        Verifying = "verifying",
        /// Scanned, hashed, finite: may be evaluated and released.
        Verified = "verified",
        /// Refused; the reason is kept with it, its bytes are not.
        Refused = "refused",
        /// Verified once; its files are others by now. Neither evaluated nor released until they are back.
        Changed = "changed",
        /// Verified once; its files are removed. Scores and records stay.
        Gone = "gone",
    }
}

impl CheckpointState {
    /// Whether the bytes were found sound at some time: what was computed from them then holds.
    #[must_use]
    pub const fn was_verified(self) -> bool {
        matches!(self, Self::Verified | Self::Changed | Self::Gone)
    }
}
