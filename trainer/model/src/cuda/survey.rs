//! What a machine has of CUDA, for whoever chooses a device or asks what is missing.

use super::blaslt::BlasLt;
use super::compile::Nvrtc;
use super::context::Context;
use super::cubins::Shelf;
use super::driver::Driver;
use super::libraries::Kind;
use crate::device::Gpu;

/// The GPUs that the driver sees.
///
/// # Errors
/// Why there are none, in a few words.
pub(crate) fn gpus() -> Result<Vec<Gpu>, String> {
    let driver = Driver::of_system()?;
    let gpus = driver.gpus()?;
    if gpus.is_empty() {
        return Err("the NVIDIA driver sees no GPU".to_owned());
    }
    let shelf = Shelf::of_system();
    let gpu = |properties: super::driver::Properties| {
        let code = shelf.can_serve(properties.capability);
        let super::driver::Properties { name, memory, capability } = properties;
        Gpu { name, memory, capability, code }
    };
    Ok(gpus.into_iter().map(gpu).collect())
}

/// Free memory of a GPU [bytes]. The first question takes some tenths of a second.
pub(crate) fn free_bytes(ordinal: usize) -> Option<usize> {
    Context::open(Driver::of_system().ok()?, ordinal).ok()?.free_bytes().ok()
}

/// Driver, GPUs and libraries, each in a line, and what to do about what is missing.
pub(crate) fn report() -> Vec<String> {
    let driver = match Driver::of_system() {
        Ok(driver) => driver,
        Err(reason) => return vec![format!("GPU: {reason}. {}", Kind::Driver.way_on())],
    };
    let mut lines = vec![format!("GPU driver: CUDA {} ({})", driver.version, driver.path.display())];
    let gpus = match gpus() {
        Ok(gpus) => gpus,
        Err(reason) => {
            lines.push(format!("GPU: {reason}"));
            return lines;
        }
    };
    for (number, gpu) in gpus.iter().enumerate() {
        let (major, minor) = gpu.capability;
        let usable = gpu.usable().map_or_else(|reason| format!("; not used: {reason}"), |()| String::new());
        lines.push(format!("cuda:{number}: {gpu}, compute capability {major}.{minor}{usable}"));
    }
    let mut seen = Vec::new();
    for capability in gpus.iter().map(|gpu| gpu.capability) {
        if !seen.contains(&capability) {
            seen.push(capability);
            lines.push(Shelf::of_system().outlook(capability));
        }
    }
    lines.push(match Nvrtc::of_system() {
        Ok(nvrtc) => format!("NVRTC: {} ({})", nvrtc.version, nvrtc.path.display()),
        Err(absent) => format!("NVRTC: {absent}. {}", Kind::Nvrtc.way_on()),
    });
    lines.push(match BlasLt::of_system() {
        Ok(blaslt) => format!("cuBLASLt: {} ({})", blaslt.version(), blaslt.path().display()),
        Err(absent) => format!(
            "cuBLASLt: {absent}; products are computed by our own kernel, which is slower. {}",
            Kind::BlasLt.way_on()
        ),
    });
    lines
}
