//! Rows of metrics as columns: what a chunk holds, compressed. A run of weeks has hundreds of thousands of rows with a handful of columns;
//! as rows of a table they take six times the room, and a curve reads ten times as long.
//!
//! Layout before compression, little endian: version (u8), n (u32), n steps and n tokens (u64, each the difference to the one before),
//! columns (u16), then of each column its name (u16 length, UTF-8), n bits that say which rows have it, and n values (f64).

use std::collections::BTreeSet;

use sekisho_domain::run::MetricRow;
use sekisho_domain::{Step, Tokens};

const VERSION: u8 = 1;
/// A chunk is read at once.
const LARGEST: usize = 256 << 20;

/// The rows in the order given.
pub(crate) fn encode(rows: &[MetricRow]) -> std::io::Result<Vec<u8>> {
    compress(&layout(rows)?)
}

pub(crate) fn compress(layout: &[u8]) -> std::io::Result<Vec<u8>> {
    zstd::bulk::compress(layout, 1)
}

/// The same before compression: equal for equal rows, whichever version of zstd packs them.
pub(crate) fn layout(rows: &[MetricRow]) -> std::io::Result<Vec<u8>> {
    let names: BTreeSet<&str> = rows.iter().flat_map(names).collect();
    let mut out = Vec::with_capacity(16 + rows.len() * (16 + 8 * names.len()));
    out.push(VERSION);
    out.extend(u32::try_from(rows.len()).map_err(std::io::Error::other)?.to_le_bytes());
    for value in [|row: &MetricRow| row.step.0, |row: &MetricRow| row.tokens.0] {
        let mut before = 0_u64;
        for row in rows {
            out.extend(value(row).wrapping_sub(before).to_le_bytes());
            before = value(row);
        }
    }
    out.extend(u16::try_from(names.len()).map_err(std::io::Error::other)?.to_le_bytes());
    for name in names {
        out.extend(u16::try_from(name.len()).map_err(std::io::Error::other)?.to_le_bytes());
        out.extend(name.as_bytes());
        let values: Vec<Option<f64>> = rows.iter().map(|row| row.get(name)).collect();
        for eight in values.chunks(8) {
            out.push(
                eight.iter().enumerate().fold(0, |bits, (i, value)| bits | u8::from(value.is_some()) << i),
            );
        }
        out.extend(values.iter().flat_map(|value| value.unwrap_or(0.0).to_le_bytes()));
    }
    Ok(out)
}

fn names(row: &MetricRow) -> impl Iterator<Item = &str> {
    let own = row.values().into_iter().filter(|(_, value)| value.is_some()).map(|(name, _)| name);
    own.chain(row.more.keys().map(String::as_str))
}

/// The rows of a chunk, or what is wrong with it.
pub(crate) fn decode(body: &[u8]) -> Result<Vec<MetricRow>, String> {
    let bytes = zstd::bulk::decompress(body, LARGEST).map_err(|error| error.to_string())?;
    let mut rest = Bytes(&bytes);
    let [version] = rest.array()?;
    if version != VERSION {
        return Err(format!("the chunk is of version {version}; this one reads {VERSION}"));
    }
    let n = u32::from_le_bytes(rest.array()?) as usize;
    let mut rows = vec![MetricRow::default(); n.min(bytes.len() / 16)];
    if rows.len() != n {
        return Err("the chunk is cut short".to_owned());
    }
    rest.numbers(&mut rows, |row, step| row.step = Step(step))?;
    rest.numbers(&mut rows, |row, tokens| row.tokens = Tokens(tokens))?;
    for _ in 0..u16::from_le_bytes(rest.array()?) {
        let length = u16::from_le_bytes(rest.array()?);
        let name = std::str::from_utf8(rest.take(length.into())?).map_err(|error| error.to_string())?;
        let bits = rest.take(n.div_ceil(8))?;
        let values = rest.take(8 * n)?;
        for (i, (row, value)) in rows.iter_mut().zip(values.as_chunks::<8>().0).enumerate() {
            if bits[i / 8] >> (i % 8) & 1 == 1 {
                row.set(name, f64::from_le_bytes(*value));
            }
        }
    }
    Ok(rows)
}

struct Bytes<'b>(&'b [u8]);

impl<'b> Bytes<'b> {
    fn take(&mut self, n: usize) -> Result<&'b [u8], String> {
        let (taken, rest) = self.0.split_at_checked(n).ok_or("the chunk is cut short")?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        self.take(N)?.try_into().map_err(|_| "the chunk is cut short".to_owned())
    }

    fn numbers(&mut self, rows: &mut [MetricRow], set: fn(&mut MetricRow, u64)) -> Result<(), String> {
        let mut before = 0_u64;
        let differences = self.take(8 * rows.len())?.as_chunks::<8>().0;
        for (row, difference) in rows.iter_mut().zip(differences) {
            before = before.wrapping_add(u64::from_le_bytes(*difference));
            set(row, before);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(step: u64) -> MetricRow {
        let mut row = MetricRow { step: Step(step), tokens: Tokens(step * 512), ..MetricRow::default() };
        row.set("loss", 4.0 - step as f64 * 1e-3);
        if !step.is_multiple_of(3) {
            row.set("tflops", 400.0 + step as f64);
        }
        if step == 7 {
            row.set("loss", f64::NAN);
            row.set("grad_norm", f64::INFINITY);
        }
        row
    }

    fn text(rows: &[MetricRow]) -> String {
        serde_json::to_string(rows).expect("text")
    }

    #[test]
    fn rows_come_back_as_they_were() {
        for rows in [vec![], vec![row(1)], (1..=9).map(row).collect(), [5, 3, 900, 4].map(row).to_vec()] {
            let body = encode(&rows).expect("a body");
            assert_eq!(text(&decode(&body).expect("rows")), text(&rows), "NaN and all");
        }
        let many: Vec<MetricRow> = (1..=4096).map(row).collect();
        let body = encode(&many).expect("a body");
        assert!(body.len() < 4096 * 24, "{} bytes", body.len());
        assert_eq!(text(&decode(&body).expect("rows")), text(&many));
    }

    #[test]
    fn what_is_no_chunk_is_said() {
        let whole = encode(&[row(1), row(2)]).expect("a body");
        let bytes = zstd::bulk::decompress(&whole, LARGEST).expect("bytes");
        for end in 0..bytes.len() {
            let cut = zstd::bulk::compress(&bytes[..end], 1).expect("bytes");
            assert!(decode(&cut).is_err(), "{end} of {}", bytes.len());
        }
        assert!(decode(b"nothing").is_err());
        let other = zstd::bulk::compress(&[9], 1).expect("bytes");
        assert_eq!(
            decode(&other).expect_err("another version"),
            "the chunk is of version 9; this one reads 1"
        );
    }
}
