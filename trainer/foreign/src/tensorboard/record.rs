//! TFRecord: length, its checksum, data, its checksum; little endian.

use crc::{CRC_32_ISCSI, Crc};

const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// Why the records end before the file does: at which byte, and what is there.
pub(super) struct Broken {
    pub(super) at: usize,
    pub(super) what: &'static str,
}

/// The records of a file up to its end, or up to the first that is cut off or damaged: behind it no frame can be found.
pub(super) fn records(bytes: &[u8]) -> (Vec<&[u8]>, Option<Broken>) {
    let mut found = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let at = bytes.len() - rest.len();
        match record(rest) {
            Ok((data, after)) => {
                found.push(data);
                rest = after;
            }
            Err(what) => return (found, Some(Broken { at, what })),
        }
    }
    (found, None)
}

fn record(bytes: &[u8]) -> Result<(&[u8], &[u8]), &'static str> {
    const CUT: &str = "the record that begins here is cut off, as a killed process leaves it";
    const DAMAGED: &str = "the record that begins here does not have its checksum";
    let (length, rest) = bytes.split_first_chunk::<8>().ok_or(CUT)?;
    let (sum, rest) = rest.split_first_chunk::<4>().ok_or(CUT)?;
    if masked(length) != u32::from_le_bytes(*sum) {
        return Err(DAMAGED);
    }
    let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| CUT)?;
    let (data, rest) = rest.split_at_checked(length).ok_or(CUT)?;
    let (sum, rest) = rest.split_first_chunk::<4>().ok_or(CUT)?;
    if masked(data) != u32::from_le_bytes(*sum) {
        return Err(DAMAGED);
    }
    Ok((data, rest))
}

/// A checksum of data that holds checksums of the same kind is weak; so it is rotated and shifted.
pub(super) fn masked(bytes: &[u8]) -> u32 {
    CRC32C.checksum(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}
