//! The machine code of the kernels for one GPU: from the cache, from NVRTC, or shipped.
//!
//! A file of the cache is the magic, the SHA-256 of the code, the code. Its name has the SHA-256 of everything that the code depends
//! on, so a file is never stale, and all of them may be removed at any time.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;
use sekisho_domain::Sha256;

use super::CudaError;
use super::compile::{Architecture, Nvrtc, OPTIONS};
use super::kernels::{HEADER, SOURCES, Source};
use super::libraries::{Absent, Kind, Version};
use super::prebuilt;

const MAGIC: &[u8; 16] = b"sekisho cubin 1\n";

/// Where code came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Cache,
    Compiled,
    Shipped,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cache => "from the cache",
            Self::Compiled => "compiled",
            Self::Shipped => "shipped",
        })
    }
}

/// The machine code of a source.
#[derive(Debug)]
pub(crate) struct Cubin {
    /// The source, without `.cu`.
    pub(crate) file: &'static str,
    pub(crate) code: Cow<'static, [u8]>,
    pub(crate) origin: Origin,
}

impl Cubin {
    /// The shipped code of one source, if it runs on a GPU with this compute capability.
    pub(crate) fn shipped(file: &'static str, capability: (u32, u32)) -> Option<Self> {
        let code = prebuilt::for_gpu(file, capability)?;
        Some(Self { file, code: Cow::Borrowed(code), origin: Origin::Shipped })
    }
}

/// Makes or finds machine code.
pub(crate) struct Shelf<'a> {
    pub(crate) nvrtc: Result<&'a Nvrtc, &'a Absent>,
    /// A folder, which need not be there; none where nothing is kept.
    pub(crate) cache: Option<PathBuf>,
}

impl Shelf<'static> {
    /// This machine's.
    pub(crate) fn of_system() -> Self {
        Self { nvrtc: Nvrtc::of_system(), cache: folder_of(|name| std::env::var_os(name)) }
    }
}

/// `cubins` in `SEKISHO_CACHE`, which is empty for none, else in `$XDG_CACHE_HOME/sekisho` or `~/.cache/sekisho`: the folder that the other
/// commands keep what they learned in.
fn folder_of(variable: impl Fn(&str) -> Option<std::ffi::OsString>) -> Option<PathBuf> {
    let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = match variable("SEKISHO_CACHE") {
        Some(named) => Some(PathBuf::from(named)).filter(|folder| !folder.as_os_str().is_empty()),
        None => absolute("XDG_CACHE_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
            .map(|base| base.join("sekisho")),
    };
    base.map(|base| base.join("cubins"))
}

impl Shelf<'_> {
    /// The code of every source for a GPU with this compute capability.
    ///
    /// # Errors
    /// [`CudaError::Compile`]; [`CudaError::Library`] if there is neither NVRTC nor shipped code.
    pub(crate) fn all(&self, capability: (u32, u32)) -> Result<Vec<Cubin>, CudaError> {
        SOURCES.par_iter().map(|source| self.one(source, capability)).collect()
    }

    /// Whether there can be code for a GPU with this compute capability, or why not.
    pub(crate) fn can_serve(&self, capability: (u32, u32)) -> Result<(), String> {
        if SOURCES.iter().all(|source| Cubin::shipped(source.file, capability).is_some()) {
            return Ok(());
        }
        let architecture = Architecture::of(capability);
        match self.nvrtc {
            Ok(nvrtc) => nvrtc.knows(architecture),
            Err(absent) => Err(no_code(absent, architecture)),
        }
    }

    /// Where code for such a GPU comes from, in a line.
    pub(crate) fn outlook(&self, capability: (u32, u32)) -> String {
        let architecture = Architecture::of(capability);
        let kept = |nvrtc: &Nvrtc, source: &Source| {
            self.place(nvrtc, source, architecture).as_deref().and_then(kept).is_some()
        };
        let said = match (self.can_serve(capability), self.nvrtc) {
            (Err(reason), _) => format!("none: {reason}"),
            (Ok(()), Ok(nvrtc)) if nvrtc.knows(architecture).is_ok() => {
                let there = SOURCES.iter().filter(|source| kept(nvrtc, source)).count();
                let folder = self.cache.as_ref().map_or_else(
                    || "nothing is kept".to_owned(),
                    |folder| format!("{there} of {} are in {}", SOURCES.len(), folder.display()),
                );
                format!("compiled when they are needed; {folder}")
            }
            (Ok(()), _) => "as they are shipped".to_owned(),
        };
        format!("kernels for {}: {said}", architecture.name())
    }

    /// The code of one source.
    fn one(&self, source: &Source, capability: (u32, u32)) -> Result<Cubin, CudaError> {
        let made = match self.nvrtc {
            Ok(nvrtc) => self.kept_or_compiled(nvrtc, source, capability),
            Err(absent) => Err(CudaError::Library {
                library: Kind::Nvrtc.name(),
                reason: no_code(absent, Architecture::of(capability)),
                way_on: Kind::Nvrtc.way_on(),
            }),
        };
        made.or_else(|error| {
            let shipped = Cubin::shipped(source.file, capability).ok_or(error);
            shipped.inspect_err(|error| tracing::debug!("{}: {error}", source.file))
        })
    }

    /// The file of the cache for a source.
    fn place(&self, nvrtc: &Nvrtc, source: &Source, architecture: Architecture) -> Option<PathBuf> {
        let key = key(source, architecture, nvrtc.version).hex();
        let name = format!("{}-{}-{}.cubin", source.file, architecture.name(), &key[..32]);
        self.cache.as_ref().map(|folder| folder.join(name))
    }

    fn kept_or_compiled(
        &self,
        nvrtc: &Nvrtc,
        source: &Source,
        capability: (u32, u32),
    ) -> Result<Cubin, CudaError> {
        let architecture = Architecture::of(capability);
        let place = self.place(nvrtc, source, architecture);
        if let Some(code) = place.as_deref().and_then(kept) {
            return Ok(Cubin { file: source.file, code: Cow::Owned(code), origin: Origin::Cache });
        }
        let cubin = nvrtc.compile(source, architecture, &[])?.cubin;
        if let Some(place) = place
            && let Err(error) = keep(&place, &cubin)
        {
            tracing::debug!("{} is not kept: {error}", place.display());
        }
        Ok(Cubin { file: source.file, code: Cow::Owned(cubin), origin: Origin::Compiled })
    }
}

fn no_code(absent: &Absent, architecture: Architecture) -> String {
    format!("{absent}, and no machine code for {} is shipped", architecture.name())
}

/// Of everything that the code depends on.
fn key(source: &Source, architecture: Architecture, version: Version) -> Sha256 {
    let options = OPTIONS.join(" ");
    let all = [source.file, source.text, HEADER, &options, &architecture.name(), &version.to_string()];
    // Each part's length keeps two lists apart that read the same.
    let parts: Vec<String> = all.iter().map(|part| format!("{}\n{part}\n", part.len())).collect();
    Sha256::of(parts.concat())
}

/// The code in a file of the cache, if it is whole.
fn kept(place: &Path) -> Option<Vec<u8>> {
    let mut bytes = fs_err::read(place).ok()?;
    let whole = bytes
        .strip_prefix(MAGIC)
        .and_then(|rest| rest.split_at_checked(32))
        .is_some_and(|(sha256, code)| Sha256::of(code).as_bytes() == sha256);
    if !whole {
        tracing::debug!("{} is damaged and made anew", place.display());
        return None;
    }
    Some(bytes.split_off(MAGIC.len() + 32))
}

/// Puts code into the cache. Whoever reads sees the whole file or none, also with several that write.
fn keep(place: &Path, code: &[u8]) -> io::Result<()> {
    static PARTIAL: AtomicU64 = AtomicU64::new(0);
    let folder = place.parent().unwrap_or(Path::new("."));
    fs_err::create_dir_all(folder)?;
    let number = PARTIAL.fetch_add(1, Ordering::Relaxed);
    let partial = folder.join(format!(".partial-{}-{number}", std::process::id()));
    let bytes = [MAGIC.as_slice(), Sha256::of(code).as_bytes(), code].concat();
    let written = fs_err::write(&partial, bytes).and_then(|()| fs_err::rename(&partial, place));
    if written.is_err() {
        let _ = fs_err::remove_file(&partial);
    }
    written
}
