//! The ZIP archives of `torch.save`: members that are stored, not compressed, so that a tensor is read where it lies. PKWARE's
//! APPNOTE 6.3, the parts that `caffe2/serialize/inline_container.cc` writes.

use std::collections::BTreeMap;

use crate::ConvertError;
use crate::file::DataFile;

const END: usize = 22;
const END64: usize = 56;
const LOCATOR: usize = 20;
const ENTRY: usize = 46;
const LOCAL: usize = 30;
/// Largest directory.
const LONGEST_DIRECTORY: u64 = 256 << 20;
/// Most members.
const MOST_MEMBERS: u64 = 1_000_000;

/// Where a member's bytes lie in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) begin: u64,
    pub(crate) size: u64,
}

/// The members of the archive in `length` bytes of a file from `start` on, by name.
pub(crate) fn members(
    file: &DataFile,
    start: u64,
    length: u64,
) -> Result<BTreeMap<String, Member>, ConvertError> {
    let archive = Archive { file, start, length };
    let (at, size, count) = archive.directory()?;
    let directory = archive.read(at, size)?;
    let mut members = BTreeMap::new();
    let mut rest = directory.as_slice();
    for _ in 0..count {
        let (name, member, used) = archive.entry(rest)?;
        rest = &rest[used..];
        if members.insert(name.clone(), member).is_some() {
            return archive.wrong(format!("the archive holds {name} twice"));
        }
    }
    archive.apart(&members)?;
    Ok(members)
}

struct Archive<'a> {
    file: &'a DataFile,
    start: u64,
    length: u64,
}

impl Archive<'_> {
    fn wrong<T>(&self, rule: impl Into<String>) -> Result<T, ConvertError> {
        Err(ConvertError::Container { file: self.file.name().to_owned(), rule: rule.into() })
    }

    /// Bytes of the archive; all offsets in it count from its start.
    fn read(&self, at: u64, size: u64) -> Result<Vec<u8>, ConvertError> {
        let inside = at.checked_add(size).is_some_and(|end| end <= self.length);
        let Some(length) = usize::try_from(size).ok().filter(|_| inside) else {
            return self.wrong("the archive is cut off");
        };
        let mut bytes = vec![0; length];
        self.file.read_at(self.start + at, &mut bytes)?;
        Ok(bytes)
    }

    /// Offset, size and number of entries of the directory.
    fn directory(&self) -> Result<(u64, u64, u64), ConvertError> {
        let Some(at) = self.length.checked_sub(END as u64) else {
            return self.wrong("it is too short to be an archive of torch.save");
        };
        let end = self.read(at, END as u64)?;
        if !end.starts_with(b"PK\x05\x06") {
            return self.wrong("it does not end as an archive of torch.save does; it may be cut off");
        }
        let mut found = (u32_at(&end, 16).into(), u32_at(&end, 12).into(), u64::from(u16_at(&end, 10)));
        if let Some(at) = at.checked_sub(LOCATOR as u64) {
            let locator = self.read(at, LOCATOR as u64)?;
            if locator.starts_with(b"PK\x06\x07") {
                let end64 = self.read(u64_at(&locator, 8), END64 as u64)?;
                if !end64.starts_with(b"PK\x06\x06") {
                    return self.wrong("the archive's 64-bit end is not where it says");
                }
                found = (u64_at(&end64, 48), u64_at(&end64, 40), u64_at(&end64, 32));
            }
        }
        if found.1 > LONGEST_DIRECTORY || found.2 > MOST_MEMBERS {
            return self.wrong(format!("the archive says that it has {} members", found.2));
        }
        Ok(found)
    }

    /// Name and place of the next member, and the bytes of its entry.
    fn entry(&self, rest: &[u8]) -> Result<(String, Member, usize), ConvertError> {
        let Some(head) = rest.get(..ENTRY).filter(|head| head.starts_with(b"PK\x01\x02")) else {
            return self.wrong("the archive's directory is cut off");
        };
        let [name, extra, comment] = [28, 30, 32].map(|at| usize::from(u16_at(head, at)));
        let used = ENTRY + name + extra + comment;
        let Some(tail) = rest.get(ENTRY..used) else {
            return self.wrong("the archive's directory is cut off");
        };
        let name = self.name(&tail[..name])?;
        if u16_at(head, 10) != 0 || u16_at(head, 8) & 1 != 0 {
            return self.wrong(format!("{name} is compressed or encrypted, which torch.save never does"));
        }
        let extra = &tail[name.len()..name.len() + extra];
        let mut fields = wide(extra);
        let mut full = |at: usize| match u32_at(head, at) {
            u32::MAX => fields.next().unwrap_or(u64::MAX),
            value => value.into(),
        };
        let (size, stored, local) = (full(24), full(20), full(42));
        if size != stored {
            return self.wrong(format!("{name} has two sizes"));
        }
        let member = self.locate(&name, local, size)?;
        Ok((name, member, used))
    }

    /// Names are kept to those that could be written anywhere without harm, although nothing is.
    fn name(&self, bytes: &[u8]) -> Result<String, ConvertError> {
        let text = String::from_utf8_lossy(bytes);
        let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
        if text.len() != bytes.len()
            || text.contains(['\\', ':', '\u{fffd}'])
            || text.chars().any(char::is_control)
            || !text.split('/').all(plain)
        {
            let shown: String = text.chars().filter(|c| !c.is_control()).take(100).collect();
            return self.wrong(format!("the archive holds a member with the name {shown:?}"));
        }
        Ok(text.into_owned())
    }

    fn locate(&self, name: &str, local: u64, size: u64) -> Result<Member, ConvertError> {
        let head = self.read(local, LOCAL as u64)?;
        if !head.starts_with(b"PK\x03\x04") || usize::from(u16_at(&head, 26)) != name.len() {
            return self.wrong(format!("{name} is not where the archive's directory says"));
        }
        let begin = local + (LOCAL + name.len()) as u64 + u64::from(u16_at(&head, 28));
        if begin.checked_add(size).is_none_or(|end| end > self.length) {
            return self.wrong(format!("{name} is cut off"));
        }
        Ok(Member { begin: self.start + begin, size })
    }

    /// No two members share bytes.
    fn apart(&self, members: &BTreeMap<String, Member>) -> Result<(), ConvertError> {
        let mut places: Vec<_> = members.iter().filter(|(_, member)| member.size > 0).collect();
        places.sort_by_key(|(_, member)| member.begin);
        for pair in places.windows(2) {
            if pair[0].1.begin + pair[0].1.size > pair[1].1.begin {
                return self.wrong(format!("{} and {} overlap", pair[0].0, pair[1].0));
            }
        }
        Ok(())
    }
}

/// The 64-bit values of an extra field, in their order.
fn wide(mut extra: &[u8]) -> impl Iterator<Item = u64> {
    let mut values = Vec::new();
    while extra.len() >= 4 {
        let (id, size) = (u16_at(extra, 0), usize::from(u16_at(extra, 2)));
        let Some(body) = extra.get(4..4 + size) else { break };
        if id == 1 {
            values = body.chunks_exact(8).map(|value| u64_at(value, 0)).collect();
        }
        extra = &extra[4 + size..];
    }
    values.into_iter()
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
