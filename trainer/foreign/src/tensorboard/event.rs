//! `Event` and the scalars in it.

use super::File;
use super::protobuf::{Value, fields, varint};
use super::record::records;

pub(super) struct Event {
    /// Seconds since 1970.
    pub(super) wall_time: f64,
    pub(super) step: u64,
    pub(super) what: What,
}

pub(super) enum What {
    Scalars(Vec<(String, f64)>),
    /// `SessionLog.START`, or the head of a file, whose step is 0.
    Start,
}

/// The events of a file, and why they end before it does.
pub(super) fn read(file: &File<'_>) -> (Vec<Event>, Option<String>) {
    let (records, broken) = records(file.bytes);
    let note = broken.map(|broken| {
        format!("{}, byte {}: {}; what is before it was read", file.name, broken.at, broken.what)
    });
    (records.into_iter().filter_map(event).collect(), note)
}

fn event(message: &[u8]) -> Option<Event> {
    let (mut wall_time, mut step, mut what) = (0.0, 0, None);
    for field in fields(message) {
        match field {
            (1, Value::Fixed64(bytes)) => wall_time = f64::from_le_bytes(bytes),
            (2, Value::Varint(number)) => step = number,
            (3, Value::Bytes(_)) => what = Some(What::Start),
            (5, Value::Bytes(summary)) => what = Some(What::Scalars(scalars(summary))),
            (7, Value::Bytes(log)) if fields(log).any(|field| field == (1, Value::Varint(1))) => {
                what = Some(What::Start);
            }
            _ => {}
        }
    }
    // A step is an int64; a negative one counts no updates.
    (step <= i64::MAX.unsigned_abs()).then_some(Event { wall_time, step, what: what? })
}

fn scalars(summary: &[u8]) -> Vec<(String, f64)> {
    let values = fields(summary).filter_map(|field| match field {
        (1, Value::Bytes(value)) => scalar(value),
        _ => None,
    });
    values.collect()
}

fn scalar(message: &[u8]) -> Option<(String, f64)> {
    let (mut tag, mut number) = (None, None);
    for field in fields(message) {
        match field {
            (1, Value::Bytes(name)) => tag = Some(String::from_utf8_lossy(name).into_owned()),
            (2, Value::Fixed32(bytes)) => number = Some(f64::from(f32::from_le_bytes(bytes))),
            (8, Value::Bytes(tensor)) => number = single(tensor),
            _ => {}
        }
    }
    Some((tag?, number?))
}

/// The value of a tensor with one element: in a list of its type, or as bytes.
fn single(tensor: &[u8]) -> Option<f64> {
    let mut dtype = 0;
    let mut content: &[u8] = &[];
    let mut listed = None;
    for field in fields(tensor) {
        match field {
            (1, Value::Varint(number)) => dtype = number,
            // A dimension that is not 1 makes it no scalar.
            (2, Value::Bytes(shape)) if !is_single(shape) => return None,
            (4, Value::Bytes(bytes)) => content = bytes,
            (5, Value::Fixed32(bytes)) => listed = Some(f64::from(f32::from_le_bytes(bytes))),
            (5, Value::Bytes(bytes)) => {
                listed = bytes.try_into().ok().map(|b| f64::from(f32::from_le_bytes(b)));
            }
            (6, Value::Fixed64(bytes)) => listed = Some(f64::from_le_bytes(bytes)),
            (6, Value::Bytes(bytes)) => listed = bytes.try_into().ok().map(f64::from_le_bytes),
            (7 | 10, Value::Varint(number)) => listed = Some(whole(number)),
            (7 | 10, Value::Bytes(mut bytes)) => {
                listed = varint(&mut bytes).filter(|_| bytes.is_empty()).map(whole);
            }
            (13, Value::Varint(bits)) => listed = half(dtype, bits),
            (13, Value::Bytes(mut bytes)) => listed = varint(&mut bytes).and_then(|bits| half(dtype, bits)),
            _ => {}
        }
    }
    listed.or_else(|| of_bytes(dtype, content))
}

fn is_single(shape: &[u8]) -> bool {
    fields(shape).all(|field| match field {
        (2, Value::Bytes(dimension)) => {
            fields(dimension).all(|f| !matches!(f, (1, Value::Varint(n)) if n != 1))
        }
        _ => true,
    })
}

/// `DT_FLOAT`, `DT_DOUBLE`, `DT_INT32`, `DT_INT64` of `types.proto`.
fn of_bytes(dtype: u64, content: &[u8]) -> Option<f64> {
    match dtype {
        1 => content.try_into().ok().map(|bytes| f64::from(f32::from_le_bytes(bytes))),
        2 => content.try_into().ok().map(f64::from_le_bytes),
        3 => content.try_into().ok().map(|bytes| f64::from(i32::from_le_bytes(bytes))),
        9 => content.try_into().ok().map(|bytes| whole(u64::from_le_bytes(bytes))),
        14 => content.try_into().ok().and_then(|bytes| half(dtype, u64::from(u16::from_le_bytes(bytes)))),
        _ => None,
    }
}

/// An int64 on the wire.
#[expect(clippy::cast_precision_loss, reason = "a scalar is drawn, not counted with")]
const fn whole(bits: u64) -> f64 {
    bits.cast_signed() as f64
}

/// `DT_BFLOAT16`: the upper half of a float.
fn half(dtype: u64, bits: u64) -> Option<f64> {
    let bits = u32::try_from(bits).ok().filter(|_| dtype == 14)?;
    Some(f64::from(f32::from_bits(bits << 16)))
}
