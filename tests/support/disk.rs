//! A disk so small that it fills up.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system in memory, unmounted when this is dropped.
pub struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// One of this size, or none and a line that says so where this account may not mount.
    ///
    /// # Panics
    /// When there is no temporary folder.
    #[must_use]
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    pub fn mount(kilobytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let size = format!("size={kilobytes}k");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(folder)),
            Ok(output) => {
                eprintln!("skipped: no small disk: {}", String::from_utf8_lossy(&output.stderr).trim());
                None
            }
            Err(error) => {
                eprintln!("skipped: no small disk: {error}");
                None
            }
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Leaves no room; answers the file that takes it.
    ///
    /// # Panics
    /// When that fails.
    #[must_use]
    pub fn fill(&self) -> PathBuf {
        use std::io::Write as _;
        let path = self.path().join("filler");
        let mut file = fs_err::File::create(&path).expect("a file");
        for length in [1 << 16, 1 << 12, 1] {
            while file.write_all(&vec![0; length]).is_ok() {}
        }
        path
    }

    /// Makes room.
    ///
    /// # Panics
    /// When that fails.
    pub fn grow(&self, kilobytes: u32) {
        let size = format!("remount,size={kilobytes}k");
        let grown = Command::new("mount").args(["-o", &size]).arg(self.path()).status().expect("mount runs");
        assert!(grown.success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // What is left goes with the machine.
        let _ = Command::new("umount").arg(self.path()).status();
    }
}
