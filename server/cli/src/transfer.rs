//! Bytes on their way: hashed while they come, with a bar.

use std::io::Read;

use indicatif::ProgressBar;
use sekisho_domain::Sha256;
use sha2::Digest as _;

/// Bytes at once.
const CHUNK: usize = 1 << 20;

/// How a transfer looks on a terminal.
pub(crate) const BAR: &str = "{msg}  {bar:30} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left";

/// What came.
pub(crate) struct Came {
    pub(crate) size: u64,
    pub(crate) sha256: Sha256,
}

/// Reads to the end and hands on each piece; `None` when `each` wants no more.
pub(crate) fn read(
    from: &mut dyn Read,
    bar: &ProgressBar,
    mut each: impl FnMut(&[u8]) -> std::io::Result<bool>,
) -> std::io::Result<Option<Came>> {
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; CHUNK];
    let mut size = 0;
    loop {
        let length = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let piece = &buffer[..length];
        hasher.update(piece);
        if !each(piece)? {
            return Ok(None);
        }
        size += length as u64;
        bar.inc(length as u64);
    }
    Ok(Some(Came { size, sha256: Sha256::from_bytes(hasher.finalize().into()) }))
}

#[cfg(test)]
mod tests {
    use indicatif::ProgressBar;
    use sekisho_domain::Sha256;

    use super::read;

    #[test]
    fn what_came_is_handed_on_and_hashed() {
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let (bar, mut kept) = (ProgressBar::hidden(), Vec::new());
        let came = read(&mut &*bytes, &bar, |piece| {
            kept.extend_from_slice(piece);
            Ok(true)
        });
        let came = came.expect("read").expect("to the end");
        assert_eq!((came.size, came.sha256), (3_000_000, Sha256::of(&bytes)));
        assert!(kept == bytes && bar.position() == 3_000_000);
        assert!(read(&mut &*bytes, &bar, |_| Ok(false)).expect("read").is_none(), "stopped");
    }
}
