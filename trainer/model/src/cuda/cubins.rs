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
use super::compile::{Architecture, Compiled, Nvrtc, OPTIONS};
use super::kernels::{HEADERS, SOURCES, Source};
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
        let Compiled { cubin, log } = nvrtc.compile(source, architecture, &[])?;
        if !log.is_empty() {
            tracing::debug!("{}.cu: {log}", source.file);
        }
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
    let (name, version) = (architecture.name(), version.to_string());
    let mut all = vec![source.file, source.text, &options, &name, &version];
    all.extend(HEADERS.iter().map(|(_, text)| *text));
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

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::path::{Path, PathBuf};

    use super::{Cubin, Origin, Shelf, folder_of, keep, kept, key};
    use crate::cuda::compile::{Architecture, Nvrtc};
    use crate::cuda::kernels::{SOURCES, Source};
    use crate::cuda::libraries::{Absent, Kind, Places, Version};
    use crate::cuda::stand_in::compile;

    const AMPERE: (u32, u32) = (8, 6);
    const HOPPER: (u32, u32) = (9, 0);

    fn nvrtc(folder: &Path) -> Nvrtc {
        compile(&["nvrtc.c"], &[], &folder.join("libnvrtc.so.12"));
        Nvrtc::open(&Places::only(vec![folder.to_owned()]), None).expect("NVRTC")
    }

    fn source(text: &'static str) -> Source {
        Source { file: "some", text }
    }

    fn made(shelf: &Shelf<'_>, source: &Source, capability: (u32, u32)) -> Cubin {
        shelf.one(source, capability).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn code_is_compiled_once_for_each_architecture() {
        let folder = tempfile::tempdir().expect("a folder");
        let nvrtc = nvrtc(folder.path());
        let shelf = Shelf { nvrtc: Ok(&nvrtc), cache: Some(folder.path().join("a/cubins")) };
        let first = made(&shelf, &source("text"), HOPPER);
        assert_eq!(first.origin, Origin::Compiled);
        let options = "\x7fELF--gpu-architecture=sm_90a\n--std=c++17\n--fmad=false\ntext";
        assert_eq!(std::str::from_utf8(&first.code), Ok(options));
        let second = made(&shelf, &source("text"), HOPPER);
        assert_eq!((second.origin, &second.code), (Origin::Cache, &first.code));
        assert_eq!(made(&shelf, &source("other"), HOPPER).origin, Origin::Compiled);
        let names = || {
            let mut names: Vec<String> = fs_err::read_dir(folder.path().join("a/cubins"))
                .expect("a folder")
                .map(|entry| entry.expect("a file").file_name().into_string().expect("a name"))
                .collect();
            names.sort();
            names
        };
        assert_eq!(names().len(), 2);
        assert!(names().iter().all(|name| name.starts_with("some-sm_90a-") && name.ends_with(".cubin")));
        // What this one does not know it does not try.
        let error = shelf.one(&source("text"), (12, 0)).expect_err("not known").to_string();
        assert!(error.contains("is of CUDA 12.3 and does not know sm_120a. Install a newer one"), "{error}");
        assert!(shelf.can_serve((12, 0)).is_err());
        assert_eq!(shelf.can_serve(HOPPER), Ok(()));
        let outlook = shelf.outlook(HOPPER);
        assert!(outlook.starts_with("kernels for sm_90a: compiled when they are needed; 0 of "), "{outlook}");
    }

    #[test]
    fn everything_that_the_code_depends_on_is_in_its_name() {
        let (hopper, ampere) = (Architecture::of(HOPPER), Architecture::of((8, 0)));
        let version = Version { major: 12, minor: 0 };
        let keys = [
            key(&source("a"), hopper, version),
            key(&source("b"), hopper, version),
            key(&Source { file: "other", text: "a" }, hopper, version),
            key(&source("a"), ampere, version),
            key(&source("a"), hopper, Version { major: 12, minor: 1 }),
        ];
        for (i, key) in keys.iter().enumerate() {
            assert!(!keys[..i].contains(key), "{i}");
        }
    }

    #[test]
    fn a_damaged_file_is_made_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let nvrtc = nvrtc(folder.path());
        let cache = folder.path().join("cubins");
        let shelf = Shelf { nvrtc: Ok(&nvrtc), cache: Some(cache.clone()) };
        let code = made(&shelf, &source("text"), HOPPER).code;
        let file = fs_err::read_dir(&cache).expect("a folder").next().expect("one").expect("a file").path();
        let whole = fs_err::read(&file).expect("a file");
        let mut damaged: Vec<Vec<u8>> = (0..whole.len()).map(|length| whole[..length].to_vec()).collect();
        damaged.extend((0..whole.len()).map(|at| {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x20;
            bytes
        }));
        damaged.push([&*whole, b"and more"].concat());
        for bytes in damaged {
            fs_err::write(&file, &bytes).expect("written");
            assert_eq!(kept(&file), None);
        }
        let again = made(&shelf, &source("text"), HOPPER);
        assert_eq!((again.origin, &again.code), (Origin::Compiled, &code));
        assert_eq!(fs_err::read(&file).expect("a file"), whole);
    }

    #[test]
    fn a_folder_that_cannot_be_written_to_costs_only_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let nvrtc = nvrtc(folder.path());
        fs_err::write(folder.path().join("file"), "").expect("written");
        for cache in [Some(folder.path().join("file/cubins")), None] {
            let shelf = Shelf { nvrtc: Ok(&nvrtc), cache };
            for _ in 0..2 {
                assert_eq!(made(&shelf, &source("text"), HOPPER).origin, Origin::Compiled);
            }
        }
    }

    #[test]
    fn whoever_reads_while_others_write_sees_a_whole_file_or_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("cubins/some.cubin");
        let code = vec![7; 300_000];
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..25).for_each(|_| keep(&place, &code).expect("kept")));
            }
            scope.spawn(|| {
                let mut seen = false;
                for _ in 0..200 {
                    match kept(&place) {
                        Some(read) => {
                            assert!(read == code);
                            seen = true;
                        }
                        None => assert!(!seen, "it was there"),
                    }
                }
            });
        });
        assert_eq!(fs_err::read_dir(folder.path().join("cubins")).expect("a folder").count(), 1);
    }

    #[test]
    fn a_source_that_does_not_compile_says_where() {
        let folder = tempfile::tempdir().expect("a folder");
        let nvrtc = nvrtc(folder.path());
        let shelf = Shelf { nvrtc: Ok(&nvrtc), cache: None };
        let said = |text| shelf.one(&source(text), AMPERE).expect_err("broken").to_string();
        assert_eq!(
            said("broken"),
            "the kernel some does not compile for sm_86 with NVRTC 12.3: broken.cu(1): error: this is broken"
        );
        assert!(said("without a word").ends_with("NVRTC 12.3: NVRTC_ERROR_INVALID_OPTION"));
        assert!(said("a zero \0 byte").ends_with("the source has a zero byte"));
    }

    #[test]
    fn without_nvrtc_and_shipped_code_it_says_what_to_install() {
        let absent = Absent { kind: Kind::Nvrtc, refused: Vec::new() };
        let shelf = Shelf { nvrtc: Err(&absent), cache: None };
        let error = shelf.all((12, 0)).expect_err("there is none").to_string();
        assert!(
            error.starts_with(
                "NVRTC: libnvrtc is not there, and no machine code for sm_120a is shipped. Install "
            ),
            "{error}"
        );
        let shipped = SOURCES.iter().all(|source| Cubin::shipped(source.file, AMPERE).is_some());
        assert_eq!(shelf.can_serve(AMPERE).is_ok(), shipped);
    }

    #[test]
    fn the_cache_is_the_other_commands() {
        let folder = |variables: &[(&str, &str)]| {
            folder_of(|name| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
            })
        };
        let path = |text| Some(PathBuf::from(text));
        assert_eq!(folder(&[]), None);
        assert_eq!(folder(&[("HOME", "/u")]), path("/u/.cache/sekisho/cubins"));
        assert_eq!(folder(&[("HOME", "/u"), ("XDG_CACHE_HOME", "/c")]), path("/c/sekisho/cubins"));
        assert_eq!(folder(&[("HOME", "/u"), ("XDG_CACHE_HOME", "c")]), path("/u/.cache/sekisho/cubins"));
        assert_eq!(folder(&[("HOME", "/u"), ("SEKISHO_CACHE", "/s")]), path("/s/cubins"));
        assert_eq!(folder(&[("HOME", "/u"), ("SEKISHO_CACHE", "")]), None);
    }
}
