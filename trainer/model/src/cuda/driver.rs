//! The driver: whether there is one, which GPUs it sees, and what its answers mean.

use std::ffi::{CStr, c_char, c_int};
use std::path::PathBuf;
use std::sync::OnceLock;

use cudarc::driver::sys as cu;

use super::functions::DriverFunctions;
use super::libraries::{self, Kind, Places, Version};

/// A driver that was asked to begin, and did.
pub(crate) struct Driver {
    pub(super) functions: DriverFunctions,
    /// The newest CUDA that it runs.
    pub(crate) version: Version,
    /// Its library.
    pub(crate) path: PathBuf,
}

/// What a GPU is, before anything of it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Properties {
    pub(crate) name: String,
    /// All of it [bytes].
    pub(crate) memory: usize,
    /// Compute capability, 9 and 0 for Hopper.
    pub(crate) capability: (u32, u32),
}

impl Driver {
    /// This machine's.
    ///
    /// # Errors
    /// Why there is none that can be used, in a few words.
    pub(crate) fn of_system() -> Result<&'static Self, &'static str> {
        static DRIVER: OnceLock<Result<Driver, String>> = OnceLock::new();
        DRIVER.get_or_init(|| Self::open(&Places::of_environment())).as_ref().map_err(String::as_str)
    }

    /// One from these places.
    pub(crate) fn open(places: &Places) -> Result<Self, String> {
        let found = libraries::open(Kind::Driver, places, |library| {
            let functions = DriverFunctions::of(library)
                .map_err(|name| format!("has no function {name}: it is too old"))?;
            let mut number: c_int = 0;
            #[expect(unsafe_code, reason = "a function of the driver")]
            // SAFETY: may be called before anything else; the pointer is to a local of its type.
            let answer = unsafe { (functions.cuDriverGetVersion)(&raw mut number) };
            let version = Version::of_number(number.unsigned_abs());
            if answer != 0 {
                return Err(format!("answers {answer} when it is asked for its version"));
            }
            version.suits(None).map_err(|_| {
                format!(
                    "is of a driver for CUDA {version}; 525.60.13, for CUDA 12.0, is the oldest that will do"
                )
            })?;
            Ok((functions, version))
        })
        .map_err(|absent| absent.to_string())?;
        let driver = Self { functions: found.functions, version: found.version, path: found.path };
        #[expect(unsafe_code, reason = "a function of the driver")]
        // SAFETY: 0 is the only flag.
        let answer = unsafe { (driver.functions.cuInit)(0) };
        match answer {
            0 => Ok(driver),
            100 => Err("the NVIDIA driver sees no GPU".to_owned()),
            answer => Err(format!("the NVIDIA driver does not start: {}", driver.meaning(answer))),
        }
    }

    /// Its name for an answer.
    pub(crate) fn meaning(&self, answer: u32) -> String {
        let mut name: *const c_char = std::ptr::null();
        #[expect(unsafe_code, reason = "a function of the driver")]
        // SAFETY: the pointer is to a local of its type; a name is a string of the library, and null for what it does not know.
        let name = unsafe {
            (self.functions.cuGetErrorName)(answer, &raw mut name);
            (!name.is_null()).then(|| CStr::from_ptr(name))
        };
        name.map_or_else(|| format!("CUDA error {answer}"), |name| name.to_string_lossy().into_owned())
    }

    /// The GPUs in its order.
    ///
    /// # Errors
    /// What the driver answers.
    pub(crate) fn gpus(&self) -> Result<Vec<Properties>, String> {
        let mut count = 0;
        #[expect(unsafe_code, reason = "a function of the driver")]
        // SAFETY: the driver has begun; the pointer is to a local of its type.
        self.said(unsafe { (self.functions.cuDeviceGetCount)(&raw mut count) })?;
        (0..count).map(|ordinal| self.properties(self.device(ordinal)?)).collect()
    }

    /// The handle of a GPU.
    pub(super) fn device(&self, ordinal: c_int) -> Result<cu::CUdevice, String> {
        let mut device = 0;
        #[expect(unsafe_code, reason = "a function of the driver")]
        // SAFETY: as above; a number that is too large is an answer.
        self.said(unsafe { (self.functions.cuDeviceGet)(&raw mut device, ordinal) })?;
        Ok(device)
    }

    /// What a GPU is.
    pub(super) fn properties(&self, device: cu::CUdevice) -> Result<Properties, String> {
        use cu::CUdevice_attribute::{
            CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR as MAJOR,
            CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR as MINOR,
        };
        let mut name = [0_u8; 256];
        let mut memory = 0;
        #[expect(unsafe_code, reason = "functions of the driver")]
        // SAFETY: the device is the driver's; the pointers are to locals, and the length is that of the name's.
        unsafe {
            self.said((self.functions.cuDeviceGetName)(name.as_mut_ptr().cast(), 255, device))?;
            self.said((self.functions.cuDeviceTotalMem_v2)(&raw mut memory, device))?;
        }
        let name = CStr::from_bytes_until_nul(&name).unwrap_or_default().to_string_lossy().into_owned();
        let capability =
            (self.attribute(MAJOR, device)?.unsigned_abs(), self.attribute(MINOR, device)?.unsigned_abs());
        Ok(Properties { name, memory, capability })
    }

    /// A number that a GPU has.
    pub(super) fn attribute(
        &self,
        attribute: cu::CUdevice_attribute,
        device: cu::CUdevice,
    ) -> Result<c_int, String> {
        let mut value = 0;
        #[expect(unsafe_code, reason = "a function of the driver")]
        // SAFETY: the device is the driver's; the pointer is to a local of its type.
        self.said(unsafe { (self.functions.cuDeviceGetAttribute)(&raw mut value, attribute, device) })?;
        Ok(value)
    }

    fn said(&self, answer: u32) -> Result<(), String> {
        match answer {
            0 => Ok(()),
            answer => Err(format!("the NVIDIA driver answers {}", self.meaning(answer))),
        }
    }
}
