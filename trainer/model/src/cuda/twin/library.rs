//! The kernels compiled for the CPU: every source in one library, kept beside the tests under a name that is its content's digest.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};

use libloading::os::unix::Library as Loaded;
use sekisho_domain::Sha256;

use crate::cuda::kernels::{HEADERS, Kernel, SOURCES};
use crate::cuda::machine::Arg;

/// What stands in for CUDA.
const TWIN: &str = include_str!("twin.h");
const FIBRES: &str = include_str!("fibres.h");
/// Kernels for the twin's own tests.
const FAULTS: &str = include_str!("faults.cu");

type Run = unsafe extern "C" fn(
    entry: u32,
    arguments: *const *const c_void,
    blocks: *const u32,
    threads: u32,
    shared: u32,
    pieces: *const [u64; 2],
    piece_count: usize,
    backwards: c_int,
    message: *mut c_char,
    room: usize,
) -> c_int;
type Kinds = unsafe extern "C" fn(entry: u32) -> *const c_char;

/// The kernels, which run one launch at a time.
pub(super) struct Library {
    run: Run,
    kinds: Kinds,
    one_at_a_time: Mutex<()>,
}

/// The order in which the threads of a block, and the blocks, begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Forwards,
    Backwards,
}

impl Library {
    /// The library of this process; the reason why there is none.
    pub(super) fn get() -> Result<&'static Self, String> {
        static LIBRARY: OnceLock<Result<Library, String>> = OnceLock::new();
        LIBRARY.get_or_init(|| Self::load(&built()?)).as_ref().map_err(Clone::clone)
    }

    fn load(path: &Path) -> Result<Self, String> {
        #[expect(unsafe_code, reason = "a library is loaded")]
        // SAFETY: it is what `built` made of our own sources; loading it runs nothing. It is never closed.
        unsafe {
            let library = std::mem::ManuallyDrop::new(Loaded::new(path).map_err(|error| error.to_string())?);
            let run: Run = *library.get(b"twin_run").map_err(|error| error.to_string())?;
            let kinds: Kinds = *library.get(b"twin_kinds").map_err(|error| error.to_string())?;
            Ok(Self { run, kinds, one_at_a_time: Mutex::new(()) })
        }
    }

    /// Runs an entry by the name it has in its source, on blocks of so many threads and bytes of dynamic shared memory. `pieces` are the first address and the bytes of all
    /// memory there is.
    ///
    /// # Errors
    /// What the kernel did wrong.
    pub(super) fn run(
        &self,
        name: &str,
        blocks: [u32; 3],
        [threads, shared]: [u32; 2],
        args: &[Arg],
        (pieces, order): (&[[u64; 2]], Order),
    ) -> Result<(), String> {
        let entry = entries().iter().position(|(_, entry)| entry == name);
        let entry = entry.ok_or_else(|| format!("there is no {name}"))? as u32;
        let given: String = args.iter().map(kind).collect();
        let arguments: Vec<*const c_void> = args.iter().map(address).collect();
        let mut message = [0_u8; 512];
        let _running = self.one_at_a_time.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        #[expect(unsafe_code, reason = "compiled code is called")]
        // SAFETY: the kinds of the arguments are the kernel's, each lives until after the call, and what the pointers among
        // them point to is the caller's business, as with any machine.
        unsafe {
            let wanted = CStr::from_ptr((self.kinds)(entry)).to_string_lossy();
            if given != wanted {
                return Err(format!("the parameters are {wanted} and not {given}"));
            }
            let (arguments, room) = (arguments.as_ptr(), message.len());
            let message = message.as_mut_ptr().cast();
            let backwards = c_int::from(order == Order::Backwards);
            let (first, count) = (pieces.as_ptr(), pieces.len());
            let blocks = blocks.as_ptr();
            let run = self.run;
            if run(entry, arguments, blocks, threads, shared, first, count, backwards, message, room) == 0 {
                return Ok(());
            }
        }
        Err(CStr::from_bytes_until_nul(&message)
            .map_or_else(|_| String::new(), |m| m.to_string_lossy().into_owned()))
    }
}

/// As `twin::Call::kinds` writes it.
fn kind(arg: &Arg) -> char {
    match arg {
        Arg::Ptr(_) => 'p',
        Arg::Int(_) => 'i',
        Arg::Float(_) => 'f',
    }
}

fn address(arg: &Arg) -> *const c_void {
    match arg {
        Arg::Ptr(ptr) => (&raw const ptr.0).cast(),
        Arg::Int(value) => (&raw const *value).cast(),
        Arg::Float(value) => (&raw const *value).cast(),
    }
}

/// What can be called: its file, and its name there. Every instance of every kernel, then all of `faults.cu`.
fn entries() -> Vec<(&'static str, String)> {
    let instances = Kernel::ALL.iter().copied().flat_map(|kernel| {
        let about = kernel.about();
        about.dtypes.iter().map(move |dtype| (about.file, kernel.symbol(*dtype)))
    });
    let faults = FAULTS.lines().filter_map(|line| line.strip_prefix("extern \"C\" __global__ void "));
    let faults = faults.filter_map(|line| line.split('(').next()).map(|name| ("faults", name.to_owned()));
    instances.chain(faults).collect()
}

/// The source that holds everything: each file in a namespace of its own, and the table of entries.
fn whole() -> String {
    let mut text = "#define SEKISHO_TWIN\n".to_owned();
    // Before a source's namespace begins.
    for (name, _) in HEADERS {
        text += &format!("#include \"{name}\"\n");
    }
    for file in SOURCES.iter().map(|source| source.file).chain(["faults"]) {
        text += &format!("namespace {file}_file {{\n#include \"{file}.cu\"\n}}\n");
    }
    text += "static const twin::Entry ENTRIES[] = {\n";
    for (file, name) in entries() {
        let call = format!("twin::Call<&{file}_file::{name}>");
        text += &format!("    {{{call}::run, {call}::kinds}},\n");
    }
    text + "};\n\
        extern \"C\" const char* twin_kinds(unsigned entry) { return ENTRIES[entry].kinds; }\n\
        extern \"C\" int twin_run(unsigned entry, void** arguments, const unsigned* blocks, unsigned threads,\n\
        \x20                       unsigned shared, const twin::Piece* pieces, size_t piece_count, int backwards,\n\
        \x20                       char* message, size_t room) {\n\
        \x20   return twin::launch(ENTRIES[entry].run, arguments, blocks, threads, shared, pieces, piece_count,\n\
        \x20                       backwards, message, room);\n\
        }\n"
}

/// Every file that is compiled, by name.
fn files() -> Vec<(String, String)> {
    let kernels = SOURCES.iter().map(|source| (format!("{}.cu", source.file), source.text.to_owned()));
    let whole = whole();
    let rest = [("twin.cpp", &*whole), ("twin.h", TWIN), ("fibres.h", FIBRES), ("faults.cu", FAULTS)];
    let rest = rest.into_iter().chain(HEADERS);
    kernels.chain(rest.map(|(name, text)| (name.to_owned(), text.to_owned()))).collect()
}

/// Options of the compiler. A multiply-add is fused where the source says so and nowhere else.
fn options() -> Vec<&'static str> {
    let mut options =
        vec!["-std=c++17", "-O2", "-fPIC", "-shared", "-ffp-contract=off", "-Wall", "-Wno-unknown-pragmas"];
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("fma") {
        options.push("-mfma");
    }
    options
}

/// Where the compiled library is; made if it is not there. Tests that run in processes of their own wait for the first of them.
fn built() -> Result<PathBuf, String> {
    let (files, options) = (files(), options());
    let content =
        files.iter().map(|(name, text)| format!("{name}\n{text}\n")).collect::<String>() + &options.join(" ");
    let digest = Sha256::of(content.as_bytes()).to_string();
    let folder = std::env::current_exe().map_err(|error| error.to_string())?.with_file_name("twin");
    let said = |error: std::io::Error| format!("{}: {error}", folder.display());
    fs_err::create_dir_all(&folder).map_err(said)?;
    let library = folder.join(format!("{digest}.so"));
    let lock = File::create(folder.join("lock")).map_err(said)?;
    lock.lock().map_err(said)?;
    if library.exists() {
        return Ok(library);
    }
    let work = tempfile::tempdir_in(&folder).map_err(said)?;
    for (name, text) in &files {
        fs_err::write(work.path().join(name), text).map_err(said)?;
    }
    let compiler = Command::new("g++")
        .current_dir(work.path())
        .args(&options)
        .args(["twin.cpp", "-o", "twin.so"])
        .output();
    let output = compiler.map_err(|error| format!("g++ compiles the kernels for the CPU: {error}"))?;
    assert!(
        output.status.success(),
        "g++ does not compile the kernels:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    fs_err::rename(work.path().join("twin.so"), &library).map_err(said)?;
    Ok(library)
}
