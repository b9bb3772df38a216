//! Which device computes, and what a machine has to offer.

use std::fmt;

use pulp::Arch;

use crate::cuda;

/// What computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Device {
    /// The operations of [`crate::ops`].
    Cpu,
    /// The NVIDIA GPU with this number, as the driver counts.
    Cuda(usize),
}

/// A device and why it was taken.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// The device.
    pub device: Device,
    /// One line for the log.
    pub reason: String,
}

/// A request that cannot be met.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// Neither `auto`, `cpu` nor `cuda:N`.
    #[error("device \"{0}\" is not known. Use auto, cpu or cuda:N, for example cuda:0.")]
    Unknown(String),
    /// A type of weights that the CPU does not compute in.
    #[error(
        "the CPU computes in f32 alone ({reason}). Leave --dtype out, or name a GPU with --device cuda:N."
    )]
    Dtype {
        /// Why it is the CPU.
        reason: String,
    },
    /// No such GPU, or one that cannot be used.
    #[error("{request} cannot be used: {reason}. Use auto or cpu.")]
    Missing {
        /// The request.
        request: String,
        /// What the driver says, or what is missing.
        reason: String,
    },
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

/// Resolves `auto`, `cpu` or `cuda:N`. `auto` is the GPU that has the most free memory of those that can be used, else the CPU.
///
/// # Errors
/// [`DeviceError`] for any other request and for a GPU that is not there or that cannot be used.
pub fn choose(request: &str) -> Result<Chosen, DeviceError> {
    choose_among(request, || Gpus { all: cuda::gpus(), free: cuda::free_bytes })
}

fn choose_among(request: &str, gpus: impl FnOnce() -> Gpus) -> Result<Chosen, DeviceError> {
    match request {
        "cpu" => return Ok(cpu("CPU, as asked".to_owned())),
        "auto" => return Ok(automatic(&gpus())),
        _ => {}
    }
    let number: Option<usize> = request.strip_prefix("cuda:").and_then(|n| n.parse().ok());
    let number = number.ok_or_else(|| DeviceError::Unknown(request.to_owned()))?;
    let missing = |reason| DeviceError::Missing { request: request.to_owned(), reason };
    let all = gpus().all.map_err(missing)?;
    let gpu = all
        .get(number)
        .ok_or_else(|| missing(format!("this machine's last GPU is cuda:{}", all.len().saturating_sub(1))))?;
    gpu.usable().map_err(missing)?;
    Ok(Chosen { device: Device::Cuda(number), reason: format!("{gpu}, as asked") })
}

fn cpu(reason: String) -> Chosen {
    Chosen { device: Device::Cpu, reason }
}

fn automatic(gpus: &Gpus) -> Chosen {
    let all = match &gpus.all {
        Ok(all) => all,
        Err(reason) => return cpu(format!("CPU: {reason}")),
    };
    let usable: Vec<(usize, &Gpu)> = all.iter().enumerate().filter(|(_, gpu)| gpu.usable().is_ok()).collect();
    let Some(&(first, gpu)) = usable.first() else {
        let reason = all.first().map_or_else(|| Err("no GPU".to_owned()), Gpu::usable);
        return cpu(format!("CPU: {}", reason.err().unwrap_or_default()));
    };
    if usable.len() == 1 {
        let only = if all.len() == 1 { "the only GPU" } else { "the only GPU that can be used" };
        let device = Device::Cuda(first);
        return Chosen { device, reason: format!("{device}: {gpu}, {only}") };
    }
    // One that another process has for itself does not tell.
    let free = |number: usize| (gpus.free)(number).unwrap_or(0);
    let most = usable.iter().map(|&(number, gpu)| (free(number), number, gpu));
    // Of equals the first.
    let (free, number, gpu) =
        most.reduce(|most, next| if next.0 > most.0 { next } else { most }).expect("there are two");
    let device = Device::Cuda(number);
    let reason = format!("{device}: {gpu}, with {} free the most of {} GPUs", gib(free), usable.len());
    Chosen { device, reason }
}

/// The machine in a few lines, for `sekisho doctor`.
#[must_use]
pub fn report() -> Vec<String> {
    let vectors = match Arch::new() {
        #[cfg(target_arch = "x86_64")]
        Arch::V4(_) => "AVX-512",
        #[cfg(target_arch = "x86_64")]
        Arch::V3(_) => "AVX2",
        #[cfg(target_arch = "aarch64")]
        Arch::Neon(_) => "NEON",
        _ => "no vector instructions that are used: slow",
    };
    let mut lines = vec![format!("CPU: {} threads, {vectors}", rayon::current_num_threads())];
    lines.extend(cuda::report());
    lines
}

/// The GPUs of a machine.
struct Gpus {
    /// In the driver's order, or why there are none.
    all: Result<Vec<Gpu>, String>,
    /// Free memory of one [bytes], asked for where it matters: it takes a while.
    free: fn(usize) -> Option<usize>,
}

/// A GPU that the driver sees.
#[derive(Clone, Debug)]
pub(crate) struct Gpu {
    pub(crate) name: String,
    /// Bytes.
    pub(crate) memory: usize,
    /// Compute capability, (9, 0) for Hopper.
    pub(crate) capability: (u32, u32),
    /// Whether there is machine code for it, or why not.
    pub(crate) code: Result<(), String>,
}

/// The oldest GPUs whose instructions the kernels use: Ampere.
const OLDEST: (u32, u32) = (8, 0);

impl Gpu {
    /// Whether it can be used, or why not.
    pub(crate) fn usable(&self) -> Result<(), String> {
        let (major, minor) = self.capability;
        if self.capability < OLDEST {
            let (oldest, zero) = OLDEST;
            return Err(format!(
                "{self} has compute capability {major}.{minor}, and {oldest}.{zero} is the oldest that will do"
            ));
        }
        self.code.clone()
    }
}

impl fmt::Display for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, gib(self.memory))
    }
}

fn gib(bytes: usize) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

#[cfg(test)]
mod tests {
    use super::{Device, Gpu, Gpus, choose, choose_among, report};

    fn gpu(name: &str, gib: usize, capability: (u32, u32)) -> Gpu {
        Gpu { name: name.to_owned(), memory: gib << 30, capability, code: Ok(()) }
    }

    fn h200() -> Gpu {
        Gpu { memory: 150_109_880_320, ..gpu("NVIDIA H200", 0, (9, 0)) }
    }

    fn none() -> Gpus {
        Gpus { all: Err("no NVIDIA driver (libcuda is not there)".to_owned()), free: |_| None }
    }

    fn these(all: Vec<Gpu>) -> Gpus {
        Gpus { all: Ok(all), free: |number| [Some(3 << 30), Some(70 << 30), None, Some(70 << 30)][number] }
    }

    fn check(request: &str, gpus: Gpus, expected: &str) {
        let said = match choose_among(request, || gpus) {
            Ok(chosen) => format!("{} because {}", chosen.device, chosen.reason),
            Err(error) => error.to_string(),
        };
        assert_eq!(said, expected);
    }

    #[test]
    fn requests_are_met_or_refused_in_a_sentence() {
        check("cpu", these(vec![h200()]), "cpu because CPU, as asked");
        check("auto", none(), "cpu because CPU: no NVIDIA driver (libcuda is not there)");
        check(
            "cuda:0",
            none(),
            "cuda:0 cannot be used: no NVIDIA driver (libcuda is not there). Use auto or cpu.",
        );
        check(
            "cuda:1",
            these(vec![h200()]),
            "cuda:1 cannot be used: this machine's last GPU is cuda:0. Use auto or cpu.",
        );
        for odd in ["gpu", "cuda", "cuda:", "cuda:-1", "CPU", ""] {
            let expected =
                format!("device \"{odd}\" is not known. Use auto, cpu or cuda:N, for example cuda:0.");
            check(odd, these(vec![h200()]), &expected);
        }
        check("cuda:0", these(vec![h200()]), "cuda:0 because NVIDIA H200 (139.8 GiB), as asked");
        check("auto", these(vec![h200()]), "cuda:0 because cuda:0: NVIDIA H200 (139.8 GiB), the only GPU");
    }

    #[test]
    fn a_gpu_that_cannot_be_used_says_why() {
        let old = || gpu("NVIDIA V100", 32, (7, 0));
        let reason = "NVIDIA V100 (32.0 GiB) has compute capability 7.0, and 8.0 is the oldest that will do";
        check("auto", these(vec![old()]), &format!("cpu because CPU: {reason}"));
        check("cuda:0", these(vec![old()]), &format!("cuda:0 cannot be used: {reason}. Use auto or cpu."));
        let bare = Gpu { code: Err("there is no code for it".to_owned()), ..h200() };
        check("auto", these(vec![bare.clone()]), "cpu because CPU: there is no code for it");
        check(
            "auto",
            these(vec![bare, old(), gpu("NVIDIA A100", 80, (8, 0))]),
            "cuda:2 because cuda:2: NVIDIA A100 (80.0 GiB), the only GPU that can be used",
        );
    }

    #[test]
    fn of_several_the_one_with_the_most_free_memory_is_taken() {
        let a100 = || gpu("NVIDIA A100", 80, (8, 0));
        check(
            "auto",
            these(vec![h200(), a100(), h200(), a100()]),
            "cuda:1 because cuda:1: NVIDIA A100 (80.0 GiB), with 70.0 GiB free the most of 4 GPUs",
        );
        // One of which is too old for its free memory to count.
        check(
            "auto",
            these(vec![a100(), gpu("NVIDIA V100", 80, (7, 0)), a100()]),
            "cuda:0 because cuda:0: NVIDIA A100 (80.0 GiB), with 3.0 GiB free the most of 2 GPUs",
        );
    }

    #[test]
    fn any_machine_has_a_device_and_a_report() {
        eprintln!("{}", choose("auto").expect("auto never fails").reason);
        assert_eq!(choose("cpu").expect("the CPU is there").device, Device::Cpu);
        let lines = report();
        eprintln!("{}", lines.join("\n"));
        assert!(lines.len() >= 2 && lines[0].starts_with("CPU: "), "{lines:?}");
    }
}
