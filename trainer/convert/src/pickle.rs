//! A reader of Python's pickles that executes nothing. Opcodes build data; a name outside [`globals`] ends the reading, and so
//! does anything beyond the bounds below. Opcodes: `Lib/pickletools.py` of CPython, protocols 2 to 5.

mod document;
mod globals;
mod rebuild;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use document::Storage;
pub(crate) use document::{Document, Strided, View};

use crate::ConvertError;
use document::{Node, Value};

/// Most bytes of one pickle. The metadata of a checkpoint of thousands of ranks has tens of megabytes.
pub(crate) const LONGEST: u64 = 512 << 20;
/// Most opcodes.
const MOST_STEPS: u64 = 100_000_000;
/// Most values that are no plain numbers, and most entries of the memo.
const MOST_NODES: usize = 20_000_000;
/// Deepest nesting of what is being built.
const DEEPEST: usize = 1_000;
/// Most values on the stack at a time: one batch of items of a list or a dictionary is 1,000.
const MOST_WAITING: usize = 1_000_000;
/// Longest text.
const LONGEST_TEXT: usize = 1 << 20;
/// Longest row of bytes.
const LONGEST_BYTES: usize = 256 << 20;

/// Reads a pickle; `file` is its name in messages.
pub(crate) fn read(file: &str, bytes: &[u8]) -> Result<Document, ConvertError> {
    let mut machine =
        Machine { bytes, at: 0, stack: Vec::new(), marks: Vec::new(), memo: Vec::new(), nodes: Vec::new() };
    match machine.run() {
        Ok(root) => Ok(Document { nodes: machine.nodes, root }),
        Err(Wrong::Global(global)) => Err(ConvertError::Global { file: file.to_owned(), global }),
        Err(Wrong::Rule(rule)) => {
            let rule = format!("{rule} (at byte {})", machine.at);
            Err(ConvertError::Pickle { file: file.to_owned(), rule })
        }
    }
}

enum Wrong {
    /// A name that is not on the list.
    Global(String),
    /// A rule of the format, or a bound.
    Rule(String),
}

fn rule<T>(text: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong::Rule(text.into()))
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    /// Where on the stack each open row begins.
    marks: Vec<usize>,
    memo: Vec<Option<Value>>,
    nodes: Vec<Node>,
}

impl<'a> Machine<'a> {
    fn run(&mut self) -> Result<Value, Wrong> {
        for _ in 0..MOST_STEPS {
            let code = self.byte()?;
            if code == b'.' {
                let root = self.pop()?;
                if !self.stack.is_empty() || !self.marks.is_empty() {
                    return rule("it ends with values left over");
                }
                return Ok(root);
            }
            self.step(code)?;
            if self.stack.len() > MOST_WAITING {
                return rule(format!("more than {MOST_WAITING} values wait at a time"));
            }
        }
        rule(format!("it has more than {MOST_STEPS} steps"))
    }

    /// One opcode, by what kind of thing it does.
    fn step(&mut self, code: u8) -> Result<(), Wrong> {
        match code {
            b'N' => self.push(Value::None),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            b'J' => {
                let number = i32::from_le_bytes(self.array()?);
                self.push(Value::Int(number.into()))
            }
            b'K' => {
                let number = self.byte()?;
                self.push(Value::Int(number.into()))
            }
            b'M' => {
                let number = u16::from_le_bytes(self.array()?);
                self.push(Value::Int(number.into()))
            }
            b'G' => {
                let number = f64::from_be_bytes(self.array()?);
                self.push(Value::Float(number))
            }
            0x8a | 0x8b => self.long(code),
            b'X' | 0x8c | 0x8d => self.text(code),
            b'B' | b'C' | 0x8e | 0x96 | b'T' | b'U' => self.raw(code),
            b']' | b'}' | b')' | 0x8f | b'(' | b't' | 0x85..=0x87 | 0x91 => self.row(code),
            b'a' | b'e' | b's' | b'u' | 0x90 => self.fill(code),
            b'q' | b'r' | 0x94 | b'h' | b'j' => self.remember(code),
            b'c' | 0x93 | b'R' | 0x81 | 0x92 | b'b' | b'Q' => self.build(code),
            b'0' => self.pop().map(drop),
            b'1' => self.since_mark().map(drop),
            b'2' => {
                let top = self.pop()?;
                self.push(top)?;
                self.push(top)
            }
            0x80 => match self.byte()? {
                2..=5 => Ok(()),
                other => rule(format!("protocol {other} is not one of 2 to 5")),
            },
            // A frame is a hint for readers of streams.
            0x95 => self.array::<8>().map(drop),
            other => rule(format!("opcode 0x{other:02x} is not one that PyTorch writes")),
        }
    }

    fn long(&mut self, code: u8) -> Result<(), Wrong> {
        let length = if code == 0x8a { self.byte()?.into() } else { self.length4()? };
        let bytes = self.take(length, LONGEST_TEXT)?;
        if bytes.len() > 8 {
            return self.add(Node::Unread);
        }
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut full = [if negative { 0xff } else { 0 }; 8];
        full[..bytes.len()].copy_from_slice(bytes);
        self.push(Value::Int(i64::from_le_bytes(full)))
    }

    fn text(&mut self, code: u8) -> Result<(), Wrong> {
        let length = match code {
            0x8c => self.byte()?.into(),
            b'X' => self.length4()?,
            _ => self.length8()?,
        };
        let bytes = self.take(length, LONGEST_TEXT)?;
        // Python writes lone surrogates too; a name that has one is no name of a tensor.
        let text = String::from_utf8_lossy(bytes).into();
        self.add(Node::Text(text))
    }

    fn raw(&mut self, code: u8) -> Result<(), Wrong> {
        let length = match code {
            b'C' | b'U' => self.byte()?.into(),
            b'B' | b'T' => self.length4()?,
            _ => self.length8()?,
        };
        self.take(length, LONGEST_BYTES)?;
        self.add(Node::Unread)
    }

    fn row(&mut self, code: u8) -> Result<(), Wrong> {
        match code {
            b']' | 0x8f => self.add(Node::List(Vec::new())),
            b'}' => self.add(Node::Dict(Vec::new())),
            b')' => self.add(Node::Tuple(Vec::new())),
            b'(' if self.marks.len() >= DEEPEST => rule(format!("it is nested deeper than {DEEPEST}")),
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            b't' => {
                let values = self.since_mark()?;
                self.add(Node::Tuple(values))
            }
            0x91 => {
                let values = self.since_mark()?;
                self.add(Node::List(values))
            }
            // One, two or three values.
            _ => {
                let count = usize::from(code - 0x84);
                let values = (0..count).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
                self.add(Node::Tuple(values.into_iter().rev().collect()))
            }
        }
    }

    /// Puts values into a list or a dictionary.
    fn fill(&mut self, code: u8) -> Result<(), Wrong> {
        let values = match code {
            b'a' => vec![self.pop()?],
            b's' => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            _ => self.since_mark()?,
        };
        let Some(Value::At(at)) = self.stack.last().copied() else {
            return rule("items without a list or dictionary to put them in");
        };
        match (&mut self.nodes[at as usize], code) {
            (Node::List(list), b'a' | b'e' | 0x90) => list.extend(values),
            (Node::Dict(entries), b's' | b'u') if values.len().is_multiple_of(2) => {
                entries.extend(values.chunks_exact(2).map(|pair| (pair[0], pair[1])));
            }
            _ => return rule("items for something that is no list or dictionary"),
        }
        Ok(())
    }

    fn remember(&mut self, code: u8) -> Result<(), Wrong> {
        let key = match code {
            b'q' | b'h' => self.byte()?.into(),
            b'r' | b'j' => self.length4()?,
            _ => self.memo.len(),
        };
        if matches!(code, b'h' | b'j') {
            let value = self.memo.get(key).copied().flatten();
            return match value {
                Some(value) => self.push(value),
                None => rule(format!("entry {key} of the memo is not there")),
            };
        }
        let Some(value) = self.stack.last().copied() else { return rule("nothing to remember") };
        // Python numbers them one after the other.
        if key > self.memo.len() || key >= MOST_NODES {
            return rule(format!("entry {key} of the memo, after {} of them", self.memo.len()));
        }
        if key == self.memo.len() {
            self.memo.push(Some(value));
        } else {
            self.memo[key] = Some(value);
        }
        Ok(())
    }

    fn since_mark(&mut self) -> Result<Vec<Value>, Wrong> {
        match self.marks.pop() {
            Some(mark) if mark <= self.stack.len() => Ok(self.stack.split_off(mark)),
            _ => rule("a row ends that did not begin"),
        }
    }

    fn push(&mut self, value: Value) -> Result<(), Wrong> {
        self.stack.push(value);
        Ok(())
    }

    fn pop(&mut self) -> Result<Value, Wrong> {
        // What lies below a mark belongs to the row outside.
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.pop() {
            Some(value) if self.stack.len() >= floor => Ok(value),
            _ => rule("a value is taken that is not there"),
        }
    }

    fn add(&mut self, node: Node) -> Result<(), Wrong> {
        let at = u32::try_from(self.nodes.len()).ok().filter(|_| self.nodes.len() < MOST_NODES);
        let Some(at) = at else { return rule(format!("it has more than {MOST_NODES} values")) };
        self.nodes.push(node);
        self.push(Value::At(at))
    }

    fn byte(&mut self) -> Result<u8, Wrong> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Wrong> {
        let Some(array) = self.bytes[self.at..].first_chunk() else { return rule("it ends too early") };
        self.at += N;
        Ok(*array)
    }

    fn length4(&mut self) -> Result<usize, Wrong> {
        let length = u32::from_le_bytes(self.array()?);
        usize::try_from(length).or_else(|_| rule("a length is too large"))
    }

    fn length8(&mut self) -> Result<usize, Wrong> {
        let length = u64::from_le_bytes(self.array()?);
        usize::try_from(length).or_else(|_| rule("a length is too large"))
    }

    fn take(&mut self, length: usize, most: usize) -> Result<&'a [u8], Wrong> {
        if length > most {
            return rule(format!("a text or number of {length} bytes, more than {most}"));
        }
        match self.bytes[self.at..].get(..length) {
            Some(bytes) => {
                self.at += length;
                Ok(bytes)
            }
            None => rule("it ends too early"),
        }
    }
}
