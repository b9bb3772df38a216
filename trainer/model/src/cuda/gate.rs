//! The gate: every kernel compiles for every architecture that code is shipped for, with the oldest and the newest NVRTC that we care for,
//! within its registers and without spilling any.
//!
//! `SEKISHO_TEST_NVRTC` names the folders of the libraries, separated by colons; `tests/run.sh` installs them from the Python package
//! index and sets it. `SEKISHO_PREBUILD=1` renews the code that is shipped.

mod elf;

use std::path::PathBuf;
use std::time::Instant;

use rayon::prelude::*;
use sekisho_domain::Sha256;

use super::compile::{Architecture, Compiled, Nvrtc, OPTIONS};
use super::kernels::{HEADERS, Kernel, SOURCES, Source};
use super::libraries::{Places, Version};
use super::prebuilt::{ARCHITECTURES, PREBUILT};

/// Static shared memory of a block, the most that any GPU gives [bytes].
const SHARED: u32 = 48 << 10;
/// With what a launch asks for, the most that every GPU from Ampere on gives [bytes].
const ALL_SHARED: u32 = 99 << 10;

/// The library of this version, or nothing where the tools of the tests are not installed.
fn nvrtc(wanted: Version) -> Option<Nvrtc> {
    let folders = std::env::var_os("SEKISHO_TEST_NVRTC").unwrap_or_default();
    let found = std::env::split_paths(&folders)
        .filter_map(|folder| Nvrtc::open(&Places::only(vec![folder]), None).ok())
        .find(|nvrtc| nvrtc.version == wanted);
    let installed = std::env::var("SEKISHO_TOOLS_INSTALLED").is_ok_and(|said| said == "1");
    assert!(found.is_some() || !installed, "no NVRTC {wanted} in SEKISHO_TEST_NVRTC={}", folders.display());
    if found.is_none() {
        eprintln!("skipped: no NVRTC {wanted} in SEKISHO_TEST_NVRTC");
    }
    found
}

/// What the assembler says of a kernel.
#[derive(Debug, Default, PartialEq, Eq)]
struct Usage {
    symbol: String,
    registers: u32,
    /// Of a thread, apart from registers [bytes].
    stack: u32,
    /// Stored and loaded because there were too few registers [bytes].
    spills: u32,
    /// Static [bytes].
    shared: u32,
}

/// Reads `--ptxas-options=-v`.
fn usages(log: &str) -> Vec<Usage> {
    let mut all: Vec<Usage> = Vec::new();
    for line in log.lines() {
        if let Some((_, rest)) = line.split_once("Compiling entry function '") {
            let symbol = rest.split('\'').next().unwrap_or_default().to_owned();
            all.push(Usage { symbol, ..Usage::default() });
        }
        // A function that is no kernel comes with a line of its own; its numbers are the kernel's that calls it.
        let Some(usage) = all.last_mut() else { continue };
        usage.stack = usage.stack.max(before(line, " bytes stack frame"));
        usage.spills =
            usage.spills.max(before(line, " bytes spill stores") + before(line, " bytes spill loads"));
        usage.registers = usage.registers.max(before(line, " registers"));
        usage.shared = usage.shared.max(before(line, " bytes smem"));
    }
    all
}

/// The number before some words, or 0 where they are not.
fn before(line: &str, words: &str) -> u32 {
    let Some((head, _)) = line.split_once(words) else { return 0 };
    head.rsplit([' ', ',']).next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Whether the code that is shipped of a source is another one than the oldest NVRTC makes of it. Of other sources, which another test
/// tells, it must be; and an NVRTC for another processor may choose differently.
fn is_foreign(source: &Source, architecture: &str, made: &[u8]) -> bool {
    let renewed = std::env::var_os("SEKISHO_PREBUILD").is_some();
    let shipped = PREBUILT.iter().find(|code| (code.architecture, code.file) == (architecture, source.file));
    cfg!(target_arch = "x86_64")
        && !renewed
        && recorded() == made_from()
        && shipped.is_some_and(|code| code.cubin != made)
}

/// What is wrong with one file's code.
fn faults(source: &Source, compiled: &Compiled) -> Vec<String> {
    let usages = usages(&compiled.log);
    let symbols = elf::functions(&compiled.cubin).expect("an ELF file");
    let mut faults: Vec<String> =
        compiled.log.lines().filter(|line| line.contains("warning")).map(str::to_owned).collect();
    for kernel in Kernel::ALL.iter().copied().filter(|kernel| kernel.about().file == source.file) {
        let about = kernel.about();
        for symbol in about.dtypes.iter().map(|&dtype| kernel.symbol(dtype)) {
            if !symbols.contains(&symbol) {
                faults.push(format!("{symbol} is not in the code, which has {symbols:?}"));
            }
            let Some(usage) = usages.iter().find(|usage| usage.symbol == symbol) else {
                faults.push(format!("the assembler says nothing of {symbol}"));
                continue;
            };
            if usage.registers == 0 || usage.registers > about.registers {
                faults.push(format!("{symbol}: {} registers, {} allowed", usage.registers, about.registers));
            }
            if usage.spills > 0 || usage.stack > 0 {
                faults.push(format!("{symbol}: {} bytes spilled, {} of stack", usage.spills, usage.stack));
            }
            if usage.shared > SHARED || usage.shared + kernel.shared_bytes() > ALL_SHARED {
                faults.push(format!("{symbol}: {} bytes of shared memory", usage.shared));
            }
        }
    }
    faults
}

/// Every kernel with this NVRTC.
fn check(version: Version) {
    let Some(nvrtc) = nvrtc(version) else { return };
    let began = Instant::now();
    let jobs: Vec<(&Source, Architecture)> = SOURCES
        .iter()
        .flat_map(|source| ARCHITECTURES.map(|capability| (source, Architecture::of(capability))))
        .collect();
    let faults: Vec<String> = jobs
        .par_iter()
        .flat_map_iter(|&(source, architecture)| {
            let (name, file) = (architecture.name(), source.file);
            let faults = match nvrtc.compile(source, architecture, &["--ptxas-options=-v"]) {
                Ok(compiled) if version == OLD && is_foreign(source, &name, &compiled.cubin) => {
                    vec!["the shipped code is not what NVRTC makes of this source".to_owned()]
                }
                Ok(compiled) => faults(source, &compiled),
                Err(error) => vec![error.to_string()],
            };
            faults.into_iter().map(move |fault| format!("{file}.cu for {name}: {fault}"))
        })
        .collect();
    eprintln!("{} files with NVRTC {version} in {:.1} s", jobs.len(), began.elapsed().as_secs_f64());
    assert!(faults.is_empty(), "with NVRTC {version}:\n{}", faults.join("\n"));
    let broken =
        Source { file: "broken", text: "#include \"device.cuh\"\n__global__ void k() { nothing(); }" };
    let error = nvrtc.compile(&broken, jobs[0].1, &[]).err().expect("broken").to_string();
    assert!(error.contains("broken.cu(2): error: identifier \"nothing\" is undefined"), "{error}");
}

const OLD: Version = Version { major: 12, minor: 0 };
const NEW: Version = Version { major: 13, minor: 0 };

#[test]
fn every_kernel_compiles_within_its_registers_with_the_oldest_nvrtc() {
    check(OLD);
}

#[test]
fn every_kernel_compiles_within_its_registers_with_a_new_nvrtc() {
    check(NEW);
}

/// What the shipped code is made from, in the form of `sha256sum`.
fn made_from() -> String {
    let line = |name: &str, text: &str| format!("{}  {name}\n", Sha256::of(text).hex());
    let options = OPTIONS.join(" ");
    let head = [line("options", &options), line("nvrtc", &OLD.to_string())];
    let headers = HEADERS.iter().map(|(name, text)| line(name, text));
    let sources = SOURCES.iter().map(|source| line(&format!("{}.cu", source.file), source.text));
    head.into_iter().chain(headers).chain(sources).collect()
}

/// What it was made from.
fn recorded() -> String {
    fs_err::read_to_string(folder().join("SOURCES.sha256")).unwrap_or_default()
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/cuda/prebuilt")
}

#[test]
fn shipped_code_is_of_these_sources() {
    if std::env::var("SEKISHO_PREBUILD").is_ok_and(|said| said == "1") {
        // What is compiled into this program is what there was before.
        return prebuild();
    }
    let recorded = recorded();
    if PREBUILT.is_empty() && recorded.is_empty() {
        eprintln!("no code is shipped");
        return;
    }
    assert_eq!(recorded, made_from(), "the shipped code is of other sources: see prebuilt.rs");
    let names = ARCHITECTURES.map(|capability| Architecture::of(capability).name());
    let mut expected: Vec<_> = names
        .iter()
        .flat_map(|name| SOURCES.iter().map(move |source| (name.as_str(), source.file)))
        .collect();
    let mut there: Vec<_> = PREBUILT.iter().map(|code| (code.architecture, code.file)).collect();
    expected.sort_unstable();
    there.sort_unstable();
    assert_eq!(there, expected, "the list of the shipped code is another one");
    for code in PREBUILT {
        let symbols = elf::functions(code.cubin).expect("an ELF file");
        let kernels = Kernel::ALL.iter().copied().filter(|kernel| kernel.about().file == code.file);
        for symbol in kernels.flat_map(|kernel| kernel.about().dtypes.iter().map(move |&d| kernel.symbol(d)))
        {
            assert!(symbols.contains(&symbol), "{symbol} is not in {}/{}", code.architecture, code.file);
        }
    }
}

/// Writes the code that is shipped.
fn prebuild() {
    let nvrtc = nvrtc(OLD).expect("SEKISHO_PREBUILD needs the oldest NVRTC");
    for architecture in ARCHITECTURES.map(Architecture::of) {
        let place = folder().join(architecture.name());
        fs_err::create_dir_all(&place).expect("a folder");
        SOURCES.par_iter().for_each(|source| {
            let compiled = nvrtc.compile(source, architecture, &[]).unwrap_or_else(|error| panic!("{error}"));
            let file = place.join(format!("{}.cubin", source.file));
            fs_err::write(file, compiled.cubin).expect("written");
        });
    }
    fs_err::write(folder().join("SOURCES.sha256"), made_from()).expect("written");
    let names = ARCHITECTURES.map(|capability| Architecture::of(capability).name());
    let line = |name: &str, file: &str| {
        let code = format!("include_bytes!(\"{name}/{file}.cubin\")");
        format!("    Prebuilt {{ architecture: \"{name}\", file: \"{file}\", cubin: {code} }},\n")
    };
    let lines = names.iter().flat_map(|name| SOURCES.iter().map(move |source| line(name, source.file)));
    let table = format!("// The gate writes this: see prebuilt.rs.\n&[\n{}]\n", lines.collect::<String>());
    fs_err::write(folder().join("table.rs"), table).expect("written");
}

#[test]
fn what_the_assembler_says_is_read() {
    let log = "\
ptxas info    : 304 bytes gmem
ptxas info    : Compiling entry function 'a_f16' for 'sm_80'
ptxas info    : Function properties for a_f16
ptxas         .     16 bytes stack frame, 24 bytes spill stores, 8 bytes spill loads
ptxas info    : Used 8 registers, used 1 barriers, 1024 bytes smem, 372 bytes cmem[0]
ptxas info    : Compiling entry function 'b_f32' for 'sm_80'
ptxas info    : Function properties for b_f32
ptxas         .     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 255 registers, 380 bytes cmem[0]";
    let usage = |symbol: &str, registers, stack, spills, shared| Usage {
        symbol: symbol.to_owned(),
        registers,
        stack,
        spills,
        shared,
    };
    assert_eq!(usages(log), [usage("a_f16", 8, 16, 32, 1024), usage("b_f32", 255, 0, 0, 0)]);
}
