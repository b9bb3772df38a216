//! As much of ELF as it takes to list the kernels of a cubin.

/// The names of the global functions of a 64-bit little-endian file; nothing if it is none, or damaged.
pub(super) fn functions(file: &[u8]) -> Option<Vec<String>> {
    const SYMBOLS: u64 = 2;
    if file.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let sections = usize::try_from(number(file, 0x28, 8)?).ok()?;
    let size = usize::try_from(number(file, 0x3a, 2)?).ok()?;
    let count = usize::try_from(number(file, 0x3c, 2)?).ok()?;
    let section = |index: usize| file.get(sections + index * size..)?.get(..size);
    let content = |section: &[u8]| {
        let start = usize::try_from(number(section, 0x18, 8)?).ok()?;
        let length = usize::try_from(number(section, 0x20, 8)?).ok()?;
        file.get(start..)?.get(..length)
    };
    let table = (0..count).filter_map(section).find(|section| number(section, 4, 4) == Some(SYMBOLS))?;
    let names = content(section(usize::try_from(number(table, 0x28, 4)?).ok()?)?)?;
    let functions = content(table)?.chunks_exact(24).filter(|symbol| {
        // Bound globally, and a function.
        symbol[4] == 0x12
    });
    functions
        .map(|symbol| {
            let name = names.get(usize::try_from(number(symbol, 0, 4)?).ok()?..)?;
            let name = name.split(|&byte| byte == 0).next()?;
            String::from_utf8(name.to_vec()).ok()
        })
        .collect()
}

fn number(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + size)?;
    Some(bytes.iter().rev().fold(0, |all, &byte| all << 8 | u64::from(byte)))
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_no_elf_file_has_no_functions() {
        assert_eq!(super::functions(b""), None);
        assert_eq!(super::functions(b"\x7fELF\x02\x01 and no more"), None);
        assert_eq!(super::functions(&[0; 4096]), None);
    }
}
