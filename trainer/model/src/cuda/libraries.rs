//! Where CUDA's libraries are: the driver, the run-time compiler and the library for matrix products. None of them needs to be
//! there. Each is opened by the path or name that is known to work, once for the process, and never closed.

use std::ffi::{CStr, OsStr, OsString, c_void};
use std::fmt;
use std::path::{Path, PathBuf};

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

/// A variable that names folders in which to look first, separated by colons.
pub(crate) const FOLDERS: &str = "SEKISHO_CUDA_LIBS";

/// One of the libraries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The driver.
    Driver,
    /// The compiler of kernels.
    Nvrtc,
    /// Matrix products.
    BlasLt,
}

impl Kind {
    /// As people know it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Driver => "NVIDIA's driver",
            Self::Nvrtc => "NVRTC",
            Self::BlasLt => "cuBLASLt",
        }
    }

    /// Its file, without the version.
    pub(crate) const fn file(self) -> &'static str {
        match self {
            Self::Driver => "libcuda",
            Self::Nvrtc => "libnvrtc",
            Self::BlasLt => "libcublasLt",
        }
    }

    /// What somebody without it can do.
    pub(crate) const fn way_on(self) -> &'static str {
        match self {
            Self::Driver => "Install NVIDIA's driver 525.60.13 or newer",
            Self::Nvrtc => {
                "Install the CUDA toolkit, or the Python package nvidia-cuda-nvrtc (nvidia-cuda-nvrtc-cu12 for a driver of CUDA 12), and name the folder of libnvrtc in SEKISHO_CUDA_LIBS"
            }
            Self::BlasLt => {
                "Install the CUDA toolkit, or the Python package nvidia-cublas (nvidia-cublas-cu12 for a driver of CUDA 12), and name the folder of libcublasLt in SEKISHO_CUDA_LIBS"
            }
        }
    }

    /// File names, the newest version that is known first.
    const fn files(self) -> &'static [&'static str] {
        match self {
            Self::Driver => &["libcuda.so.1", "libcuda.so"],
            Self::Nvrtc => &["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"],
            Self::BlasLt => &["libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so"],
        }
    }
}

/// A version of CUDA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    pub(crate) major: u32,
    pub(crate) minor: u32,
}

impl Version {
    /// The oldest that has what we call and knows what we compile for.
    pub(crate) const OLDEST: Self = Self { major: 12, minor: 0 };

    /// From 12040 for 12.4, as the driver and the runtime count.
    pub(crate) const fn of_number(number: u32) -> Self {
        Self { major: number / 1000, minor: number % 1000 / 10 }
    }

    /// Whether a library of it can be used, and with a driver of that version if there is one: of the same major version everything
    /// runs, of a newer one nothing.
    ///
    /// # Errors
    /// Why not, to follow a file's name.
    pub(crate) fn suits(self, driver: Option<Self>) -> Result<(), String> {
        match driver {
            _ if self < Self::OLDEST => {
                Err(format!("is of CUDA {self}, and {} is the oldest that will do", Self::OLDEST))
            }
            Some(driver) if self.major > driver.major => {
                Err(format!("is of CUDA {self}, newer than the driver's {driver}"))
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A library that was found.
pub(crate) struct Found<T> {
    /// Its functions.
    pub(crate) functions: T,
    /// The CUDA that it is of.
    pub(crate) version: Version,
    /// Its file, as the system tells.
    pub(crate) path: PathBuf,
}

/// A library that was not found, or whose files are of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Absent {
    pub(crate) kind: Kind,
    /// What is wrong with each file that there is.
    pub(crate) refused: Vec<String>,
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.refused {
            [] if self.kind == Kind::Driver => {
                write!(f, "no NVIDIA driver ({} is not there)", self.kind.file())
            }
            [] => write!(f, "{} is not there", self.kind.file()),
            refused => f.write_str(&refused.join("; ")),
        }
    }
}

/// Where to look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Places {
    /// Before all else.
    named: Vec<PathBuf>,
    /// Whether the loader is asked for bare names.
    loader: bool,
    /// After that.
    usual: Vec<PathBuf>,
}

impl Places {
    /// Those of this process.
    pub(crate) fn of_environment() -> Self {
        Self::of(|name| std::env::var_os(name))
    }

    /// As these variables say.
    fn of(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        // Python packages have their libraries in folders of their own below one called nvidia, which may be named as a whole.
        const WITHIN: [&str; 5] = ["", "lib", "cuda_nvrtc/lib", "cublas/lib", "cu13/lib"];
        // A toolkit, an environment of conda.
        const OF_TOOLKIT: [&str; 2] = ["lib64", "lib"];
        let below = |folders: Vec<PathBuf>, within: &[&str]| -> Vec<PathBuf> {
            folders.iter().flat_map(|folder| within.iter().map(move |name| folder.join(name))).collect()
        };
        let named = variable(FOLDERS).map_or_else(Vec::new, |all| std::env::split_paths(&all).collect());
        let mut toolkits: Vec<PathBuf> =
            ["CUDA_HOME", "CUDA_PATH"].into_iter().filter_map(&variable).map(PathBuf::from).collect();
        toolkits.push(PathBuf::from("/usr/local/cuda"));
        // A relative folder would be another one after each change of the working folder.
        let absolute = |mut folders: Vec<PathBuf>| {
            folders.retain(|folder| folder.is_absolute());
            folders
        };
        Self {
            named: below(absolute(named), &WITHIN),
            loader: true,
            usual: below(absolute(toolkits), &OF_TOOLKIT),
        }
    }

    /// Only these folders.
    #[cfg(test)]
    pub(crate) fn only(named: Vec<PathBuf>) -> Self {
        Self { named, ..Self::default() }
    }

    /// What to open, in this order: files that are there, and bare names for the loader.
    fn candidates(&self, kind: Kind) -> Vec<PathBuf> {
        let within = |folders: &[PathBuf]| -> Vec<PathBuf> {
            let files =
                folders.iter().flat_map(|folder| kind.files().iter().map(move |file| folder.join(file)));
            files.filter(|file| file.is_file()).collect()
        };
        let mut all = within(&self.named);
        if self.loader {
            all.extend(kind.files().iter().map(PathBuf::from));
        }
        all.extend(within(&self.usual));
        all
    }
}

/// The first library that opens and that `accept` takes, which is then never closed. `accept` gives its functions and version, or
/// says in a few words what is wrong with it.
///
/// # Errors
/// [`Absent`] with what is wrong with each file that there is.
pub(crate) fn open<T>(
    kind: Kind,
    places: &Places,
    accept: impl Fn(&Library) -> Result<(T, Version), String>,
) -> Result<Found<T>, Absent> {
    let mut refused: Vec<String> = Vec::new();
    for candidate in places.candidates(kind) {
        let library = match load(&candidate) {
            Ok(library) => library,
            Err(Some(reason)) => {
                refused.push(reason);
                continue;
            }
            Err(None) => continue,
        };
        let path = path_of(&library, kind).unwrap_or(candidate);
        match accept(&library) {
            Ok((functions, version)) => {
                keep(library);
                if kind == Kind::Nvrtc {
                    keep_builtins(&path);
                }
                return Ok(Found { functions, version, path });
            }
            Err(reason) => {
                let reason = format!("{} {reason}", path.display());
                // The same file under two names.
                if !refused.contains(&reason) {
                    refused.push(reason);
                }
            }
        }
    }
    Err(Absent { kind, refused })
}

/// An opened library; else why not, or nothing if there simply is none.
fn load(file: &Path) -> Result<Library, Option<String>> {
    #[expect(unsafe_code, reason = "the initialisers of a library run when it is opened")]
    // SAFETY: it is a library of NVIDIA's by its name, from where the system or the user keeps such; its initialisers need nothing.
    let opened = unsafe { Library::open(Some(file), RTLD_NOW | RTLD_LOCAL) };
    opened.map_err(|error| {
        let said = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        let nowhere = format!("{}: cannot open shared object file: No such file", file.display());
        (!said.starts_with(&nowhere)).then_some(said)
    })
}

/// Never closes it: CUDA's libraries do not stand that, and addresses of their functions are kept.
fn keep(library: Library) {
    let _ = library.into_raw();
}

/// NVRTC opens a second library by its bare name, which the loader only finds where it looks anyway, or if it is open already.
fn keep_builtins(nvrtc: &Path) {
    let Some(files) = nvrtc.parent().and_then(|folder| fs_err::read_dir(folder).ok()) else { return };
    for file in files.flatten().map(|entry| entry.path()) {
        let name = file.file_name().and_then(OsStr::to_str).unwrap_or_default();
        if name.starts_with("libnvrtc-builtins.so.") {
            let _ = load(&file).map(keep);
        }
    }
}

/// The file that a library was loaded from.
fn path_of(library: &Library, kind: Kind) -> Option<PathBuf> {
    let function: &[u8] = match kind {
        Kind::Driver => b"cuInit\0",
        Kind::Nvrtc => b"nvrtcVersion\0",
        Kind::BlasLt => b"cublasLtGetVersion\0",
    };
    #[expect(unsafe_code, reason = "the loader has no safe interface")]
    // SAFETY: the symbol is only taken as an address; `dladdr` fills a structure of ours, whose name lives as long as the library.
    unsafe {
        let address: *mut c_void = library.get::<*mut c_void>(function).ok()?.as_raw_ptr();
        let mut info = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
        if libc::dladdr(address, info.as_mut_ptr()) == 0 {
            return None;
        }
        let name = info.assume_init().dli_fname;
        if name.is_null() {
            return None;
        }
        let name = CStr::from_ptr(name).to_str().ok()?;
        // The newest name of a chain of links says most.
        fs_err::canonicalize(name).ok().or_else(|| Some(PathBuf::from(name)))
    }
}
