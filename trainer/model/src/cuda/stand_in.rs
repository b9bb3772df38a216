//! A driver and a cuBLASLt without a GPU (`stand_in/*.c`): what is asked of it is checked, and two kernels and the products are computed.
//! The stream is as late as one may be: nothing is done before somebody waits for it.

mod tests;

use std::borrow::Cow;
use std::ffi::{CStr, CString, c_char, c_int, c_long, c_uint};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use libloading::os::unix::Library;

use super::blaslt::{BlasLt, Products};
use super::context::Context;
use super::cubins::{Cubin, Origin};
use super::driver::Driver;
use super::gpu::Gpu;
use super::kernels::SOURCES;
use super::libraries::Places;

/// The libraries in a folder of their own, so that each has a state of its own.
pub(super) struct StandIn {
    folder: tempfile::TempDir,
    library: Library,
}

impl StandIn {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("libcuda.so.1");
        compile(&["driver.c", "blaslt.c"], &file);
        std::os::unix::fs::symlink(&file, folder.path().join("libcublasLt.so.12")).expect("a link");
        #[expect(unsafe_code, reason = "opening a library")]
        // SAFETY: made from our own sources, which have no initialisers.
        let library = unsafe { Library::new(&file) }.expect("a library");
        Self { folder, library }
    }

    pub(super) fn places(&self) -> Places {
        Places::only(vec![self.folder.path().to_owned()])
    }

    pub(super) fn driver(&self) -> Result<&'static Driver, String> {
        Driver::open(&self.places()).map(|driver| &*Box::leak(Box::new(driver)))
    }

    pub(super) fn context(&self) -> Arc<Context> {
        Context::open(self.driver().expect("a driver"), 0).expect("a context")
    }

    /// A GPU whose products our own kernel computes.
    pub(super) fn gpu(&self) -> Gpu {
        Gpu::with(self.context(), &cubins(), None).expect("a GPU")
    }

    /// A GPU whose products cuBLASLt computes.
    pub(super) fn gpu_with_blaslt(&self, fast: bool) -> Gpu {
        let library = Box::leak(Box::new(BlasLt::open(&self.places(), None).expect("cuBLASLt")));
        let context = self.context();
        let products = Products::with(library, &context, fast).expect("products");
        Gpu::with(context, &cubins(), Some(products)).expect("a GPU")
    }

    /// The next call of this function gives this answer; after 700 all do.
    pub(super) fn fail(&self, function: &str, answer: c_int) {
        let function = CString::new(function).expect("a name");
        self.call::<extern "C" fn(*const c_char, c_int), _>("stand_in_fail", |fail| {
            fail(function.as_ptr(), answer);
        });
    }

    pub(super) fn set_capacity(&self, bytes: usize) {
        self.call::<extern "C" fn(usize), _>("stand_in_capacity", |set| set(bytes));
    }

    pub(super) fn set_gpu(&self, version: c_int, capability: (c_int, c_int), pools: bool) {
        self.call::<extern "C" fn(c_int, c_int, c_int, c_int), _>("stand_in_gpu", |set| {
            set(version, capability.0, capability.1, c_int::from(pools));
        });
    }

    /// cuBLASLt has no algorithm for anything.
    pub(super) fn refuse_products(&self) {
        self.call::<extern "C" fn(c_int), _>("stand_in_refuse", |set| set(1));
    }

    /// What was made and not given back.
    pub(super) fn live(&self) -> c_long {
        self.call::<extern "C" fn() -> c_long, _>("stand_in_live", |live| live())
    }

    pub(super) fn calls(&self, function: &str) -> c_long {
        let function = CString::new(function).expect("a name");
        self.call::<extern "C" fn(*const c_char) -> c_long, _>("stand_in_calls", |calls| {
            calls(function.as_ptr())
        })
    }

    /// Name, blocks, threads and shared memory of the kernel that ran last.
    pub(super) fn last(&self) -> (String, [c_uint; 5]) {
        let mut numbers = [0; 5];
        let name = self.call::<extern "C" fn(*mut c_uint) -> *const c_char, _>("stand_in_last", |last| {
            last(numbers.as_mut_ptr())
        });
        #[expect(unsafe_code, reason = "a string of a library")]
        // SAFETY: it ends with zero and stays where it is.
        let name = unsafe { CStr::from_ptr(name) };
        (name.to_str().expect("a name").to_owned(), numbers)
    }

    /// Number and workspace of the algorithm that computed last.
    pub(super) fn algorithm(&self) -> [u64; 2] {
        let mut numbers = [0; 2];
        self.call::<extern "C" fn(*mut u64), _>("stand_in_algorithm", |ask| ask(numbers.as_mut_ptr()));
        numbers
    }

    #[expect(unsafe_code, reason = "functions of a library")]
    fn call<F: Copy, T>(&self, name: &str, ask: impl FnOnce(F) -> T) -> T {
        // SAFETY: the types are those of the sources beside this.
        ask(*unsafe { self.library.get::<F>(name.as_bytes()) }.expect(name))
    }
}

/// Makes a library of files in `stand_in/`.
pub(super) fn compile(sources: &[&str], library: &Path) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/cuda/stand_in");
    let mut compiler = Command::new("cc");
    compiler.args(["-std=gnu11", "-O1", "-shared", "-fPIC", "-pthread", "-o"]).arg(library);
    let made = compiler.args(sources.iter().map(|source| folder.join(source))).status();
    assert!(made.expect("the C compiler that links Rust").success());
}

/// What looks like code.
fn cubins() -> Vec<Cubin> {
    let code = Cow::Borrowed(b"\x7fELF".as_slice());
    SOURCES.iter().map(|source| Cubin { file: source.file, code: code.clone(), origin: Origin::Cache }).collect()
}
