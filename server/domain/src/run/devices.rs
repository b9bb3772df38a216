use std::fmt;
use std::str::FromStr;

/// What computes, as the note of [`EventKind::Devices`] writes it: `64 × NVIDIA H200`, `2 × CPU thread`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Devices {
    /// How many.
    pub count: u64,
    /// Name of one of them.
    pub name: String,
}

impl Devices {
    /// The name of a device that is no accelerator.
    pub const CPU_THREAD: &'static str = "CPU thread";

    /// Whether the processor of the machine computes.
    #[must_use]
    pub fn is_cpu(&self) -> bool {
        self.name == Self::CPU_THREAD
    }
}

impl fmt::Display for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} × {}", self.count, self.name)
    }
}

impl FromStr for Devices {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once(" × ").and_then(|(count, name)| Some((count.parse().ok()?, name.trim())));
        let parts = parts.filter(|(count, name)| *count > 0_u64 && !name.is_empty());
        let (count, name) = parts.ok_or_else(|| {
            format!("\"{text}\" does not say what computes: write a number, × and a name, as in \"64 × NVIDIA H200\" or \"2 × CPU thread\"")
        })?;
        Ok(Self { count, name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::Devices;

    #[test]
    fn what_computes_is_read_as_it_is_written() {
        for text in ["64 × NVIDIA H200", "2 × CPU thread", "1 × a × b"] {
            let devices: Devices = text.parse().expect(text);
            assert_eq!((devices.to_string(), devices.is_cpu()), (text.to_owned(), text.contains("CPU")));
        }
        for bad in ["", "H200", "64 x H200", "0 × H200", "-1 × H200", "64 × ", "many × H200"] {
            let error = bad.parse::<Devices>().expect_err(bad);
            assert!(error.contains("64 × NVIDIA H200"), "{error}");
        }
    }
}
