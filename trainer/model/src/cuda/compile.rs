//! Kernels become machine code of one architecture, by NVRTC.

use std::ffi::{CStr, CString, c_char, c_int};
use std::path::PathBuf;
use std::sync::OnceLock;

use super::CudaError;
use super::driver::Driver;
use super::functions::NvrtcFunctions;
use super::kernels::{HEADERS, Source};
use super::libraries::{self, Absent, Kind, Places, Version};

/// The machine language of a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Architecture {
    /// Compute capability.
    capability: (u32, u32),
}

impl Architecture {
    /// Of a GPU with this compute capability.
    pub(crate) const fn of(capability: (u32, u32)) -> Self {
        Self { capability }
    }

    /// `sm_80`; from Hopper on `sm_90a`, whose own instructions are for this one alone.
    pub(crate) fn name(self) -> String {
        let (major, minor) = self.capability;
        format!("sm_{major}{minor}{}", if major >= 9 { "a" } else { "" })
    }

    /// As NVRTC counts them: 90.
    fn number(self) -> c_int {
        let (major, minor) = self.capability;
        c_int::try_from(major * 10 + minor).unwrap_or(c_int::MAX)
    }
}

/// How every source is compiled, beside its architecture. What a kernel computes is what its source says: a product and a sum become one
/// rounded operation where it writes `fmaf`, and nowhere else, so that no version of the compiler changes a score.
pub(crate) const OPTIONS: [&str; 2] = ["--std=c++17", "--fmad=false"];

/// NVIDIA's compiler.
pub(crate) struct Nvrtc {
    functions: NvrtcFunctions,
    /// The CUDA that it is of.
    pub(crate) version: Version,
    /// Its library.
    pub(crate) path: PathBuf,
    /// The architectures that it knows, as [`Architecture::number`]; empty where it does not tell.
    known: Vec<c_int>,
}

/// What came of a source.
pub(crate) struct Compiled {
    /// The machine code, an ELF file.
    pub(crate) cubin: Vec<u8>,
    /// What the compiler says of it.
    pub(crate) log: String,
}

impl Nvrtc {
    /// This machine's: one whose code its driver takes, where there is a driver.
    ///
    /// # Errors
    /// [`Absent`].
    pub(crate) fn of_system() -> Result<&'static Self, &'static Absent> {
        static NVRTC: OnceLock<Result<Nvrtc, Absent>> = OnceLock::new();
        let open = || {
            let driver = Driver::of_system().ok().map(|driver| driver.version);
            Self::open(&Places::of_environment(), driver)
        };
        NVRTC.get_or_init(open).as_ref()
    }

    /// One from these places that is no CUDA newer than a driver of this version runs. Code of the same major version runs.
    pub(crate) fn open(places: &Places, driver: Option<Version>) -> Result<Self, Absent> {
        let found = libraries::open(Kind::Nvrtc, places, |library| {
            let functions = NvrtcFunctions::of(library).map_err(|name| format!("has no function {name}"))?;
            let (mut major, mut minor) = (0, 0);
            #[expect(unsafe_code, reason = "a function of NVRTC")]
            // SAFETY: the pointers are to locals of their type.
            unsafe {
                (functions.nvrtcVersion)(&raw mut major, &raw mut minor)
            };
            let version = Version { major: c_int::unsigned_abs(major), minor: c_int::unsigned_abs(minor) };
            version.suits(driver)?;
            Ok((functions, version))
        })?;
        let known = known_architectures(&found.functions);
        Ok(Self { functions: found.functions, version: found.version, path: found.path, known })
    }

    /// Whether it compiles for an architecture, or why not.
    pub(crate) fn knows(&self, architecture: Architecture) -> Result<(), String> {
        if self.known.is_empty() || self.known.contains(&architecture.number()) {
            return Ok(());
        }
        let (path, version) = (self.path.display(), self.version);
        Err(format!("{path} is of CUDA {version} and does not know {}", architecture.name()))
    }

    /// Compiles one source, with `more` options beside [`OPTIONS`].
    ///
    /// # Errors
    /// [`CudaError::Compile`] with the compiler's words; [`CudaError::Library`] if it does not know the architecture.
    pub(crate) fn compile(
        &self,
        source: &Source,
        architecture: Architecture,
        more: &[&str],
    ) -> Result<Compiled, CudaError> {
        self.knows(architecture).map_err(|reason| CudaError::Library {
            library: Kind::Nvrtc.name(),
            reason,
            way_on: "Install a newer one and name its folder in SEKISHO_CUDA_LIBS",
        })?;
        let failed = |log: String| CudaError::Compile {
            kernel: source.file,
            architecture: architecture.name(),
            version: self.version.to_string(),
            log,
        };
        let mut options = vec![format!("--gpu-architecture={}", architecture.name())];
        options.extend(OPTIONS.iter().chain(more).map(|&option| option.to_owned()));
        let program = Program::of(self, source).map_err(failed)?;
        let answer = program.compile(&options);
        let log = program.log();
        if answer != 0 {
            return Err(failed(if log.is_empty() { self.meaning(answer) } else { log }));
        }
        program.cubin().map(|cubin| Compiled { cubin, log }).map_err(|answer| failed(self.meaning(answer)))
    }

    fn meaning(&self, answer: u32) -> String {
        #[expect(unsafe_code, reason = "a function of NVRTC")]
        // SAFETY: any number has a string of the library's own.
        let text = unsafe { CStr::from_ptr((self.functions.nvrtcGetErrorString)(answer)) };
        text.to_string_lossy().into_owned()
    }
}

fn known_architectures(functions: &NvrtcFunctions) -> Vec<c_int> {
    let mut count: c_int = 0;
    #[expect(unsafe_code, reason = "functions of NVRTC")]
    // SAFETY: the first pointer is to a local; the second to as many numbers as the library said that it has.
    unsafe {
        if (functions.nvrtcGetNumSupportedArchs)(&raw mut count) != 0 {
            return Vec::new();
        }
        let mut known = vec![0; usize::try_from(count).unwrap_or(0)];
        let answer = (functions.nvrtcGetSupportedArchs)(known.as_mut_ptr());
        if answer == 0 { known } else { Vec::new() }
    }
}

/// A source that NVRTC holds.
struct Program<'a> {
    nvrtc: &'a Nvrtc,
    handle: cudarc::nvrtc::sys::nvrtcProgram,
}

#[expect(unsafe_code, reason = "functions of NVRTC")]
impl<'a> Program<'a> {
    fn of(nvrtc: &'a Nvrtc, source: &Source) -> Result<Self, String> {
        let string = |text: &str| CString::new(text).map_err(|_| "the source has a zero byte".to_owned());
        let (text, name) = (string(source.text)?, string(&format!("{}.cu", source.file))?);
        let headers = HEADERS.map(|(name, text)| string(name).and_then(|name| Ok((name, string(text)?))));
        let headers: Vec<(CString, CString)> = headers.into_iter().collect::<Result<_, _>>()?;
        let count = c_int::try_from(headers.len()).expect("a few");
        let names: Vec<*const c_char> = headers.iter().map(|(name, _)| name.as_ptr()).collect();
        let texts: Vec<*const c_char> = headers.iter().map(|(_, text)| text.as_ptr()).collect();
        let mut handle = std::ptr::null_mut();
        // SAFETY: strings end with zero and are copied; there are as many headers, and names of them, as are told.
        let answer = unsafe {
            (nvrtc.functions.nvrtcCreateProgram)(
                &raw mut handle,
                text.as_ptr(),
                name.as_ptr(),
                count,
                texts.as_ptr(),
                names.as_ptr(),
            )
        };
        if answer == 0 { Ok(Self { nvrtc, handle }) } else { Err(nvrtc.meaning(answer)) }
    }

    fn compile(&self, options: &[String]) -> u32 {
        let options: Vec<CString> =
            options.iter().map(|option| CString::new(option.as_str()).expect("no zero byte")).collect();
        let pointers: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
        let count = c_int::try_from(pointers.len()).expect("a few");
        // SAFETY: the program is there until it is dropped; as many strings as are told.
        unsafe { (self.nvrtc.functions.nvrtcCompileProgram)(self.handle, count, pointers.as_ptr()) }
    }

    /// What the compiler says, which is nothing for most.
    fn log(&self) -> String {
        let mut size = 0;
        // SAFETY: the buffer is as large as the library says that the log is, its last zero included.
        let log = unsafe {
            if (self.nvrtc.functions.nvrtcGetProgramLogSize)(self.handle, &raw mut size) != 0 {
                return String::new();
            }
            let mut log = vec![0_u8; size];
            let answer = (self.nvrtc.functions.nvrtcGetProgramLog)(self.handle, log.as_mut_ptr().cast());
            if answer == 0 { log } else { Vec::new() }
        };
        String::from_utf8_lossy(&log).trim_end_matches(['\0', '\n']).to_owned()
    }

    fn cubin(&self) -> Result<Vec<u8>, u32> {
        let mut size = 0;
        // SAFETY: as for the log.
        unsafe {
            match (self.nvrtc.functions.nvrtcGetCUBINSize)(self.handle, &raw mut size) {
                0 => {}
                answer => return Err(answer),
            }
            let mut cubin = vec![0_u8; size];
            match (self.nvrtc.functions.nvrtcGetCUBIN)(self.handle, cubin.as_mut_ptr().cast()) {
                0 => Ok(cubin),
                answer => Err(answer),
            }
        }
    }
}

#[expect(unsafe_code, reason = "a function of NVRTC")]
impl Drop for Program<'_> {
    fn drop(&mut self) {
        // SAFETY: made by this library and given back once.
        unsafe { (self.nvrtc.functions.nvrtcDestroyProgram)(&raw mut self.handle) };
    }
}

#[cfg(test)]
mod tests {
    use super::Architecture;

    #[test]
    fn from_hopper_on_an_architecture_has_its_own_instructions() {
        let name = |major, minor| Architecture::of((major, minor)).name();
        assert_eq!([name(8, 0), name(8, 6), name(8, 9)], ["sm_80", "sm_86", "sm_89"]);
        assert_eq!([name(9, 0), name(10, 3), name(12, 0)], ["sm_90a", "sm_103a", "sm_120a"]);
        assert_eq!([Architecture::of((8, 9)).number(), Architecture::of((12, 1)).number()], [89, 121]);
    }
}
