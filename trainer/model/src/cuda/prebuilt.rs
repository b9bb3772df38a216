//! Machine code that is shipped, for machines that have a driver and no NVRTC.
//!
//! NVRTC 12.0 makes it, so that every driver that will do takes it. `SEKISHO_PREBUILD=1 tests/run.sh cuda::gate` renews the files, the
//! list of them and `SOURCES.sha256`, which says what they were made from; without the variable the same tests say whether they are
//! current.

/// A file of machine code.
pub(super) struct Prebuilt {
    /// `sm_80`.
    pub(super) architecture: &'static str,
    /// Its source, without `.cu`.
    pub(super) file: &'static str,
    pub(super) cubin: &'static [u8],
}

/// All of it, as the gate writes the list.
pub(super) const PREBUILT: &[Prebuilt] = include!("prebuilt/table.rs");

/// For which architectures there is some: the lowest of Ampere's, whose code Ada runs too, and Hopper's.
#[cfg(test)]
pub(super) const ARCHITECTURES: [(u32, u32); 2] = [(8, 0), (9, 0)];

/// The machine code of a source that a GPU with this compute capability runs.
pub(super) fn for_gpu(file: &str, capability: (u32, u32)) -> Option<&'static [u8]> {
    let architecture = match capability {
        (8, _) => "sm_80",
        (9, 0) => "sm_90a",
        _ => return None,
    };
    PREBUILT
        .iter()
        .find(|prebuilt| prebuilt.file == file && prebuilt.architecture == architecture)
        .map(|prebuilt| prebuilt.cubin)
}
