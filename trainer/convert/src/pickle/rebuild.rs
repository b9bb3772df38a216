//! Names and what stands behind them: read as data, never called.

use sekisho_weights::Dtype;

use super::document::{Node, Storage, Strided, Value};
use super::globals::{self, Global, Kind};
use super::{Machine, Wrong, rule};

/// Most dimensions of a tensor.
const MOST_DIMENSIONS: usize = 8;
/// Longest line of a name.
const LONGEST_NAME: usize = 256;

impl Machine<'_> {
    pub(super) fn build(&mut self, code: u8) -> Result<(), Wrong> {
        match code {
            b'c' => {
                let module = self.line()?;
                let name = self.line()?;
                self.global(&module, &name)
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let [module, name] = [module, name].map(|value| self.text_of(value).map(ToOwned::to_owned));
                let (Some(module), Some(name)) = (module, name) else {
                    return rule("a name that is no text");
                };
                self.global(&module, &name)
            }
            b'R' | 0x81 => {
                let (arguments, callee) = (self.pop()?, self.pop()?);
                self.call(callee, arguments)
            }
            0x92 => {
                let (_keywords, arguments, callee) = (self.pop()?, self.pop()?, self.pop()?);
                self.call(callee, arguments)
            }
            b'Q' => self.storage(),
            _ => self.set_state(),
        }
    }

    fn line(&mut self) -> Result<String, Wrong> {
        let rest = &self.bytes[self.at..];
        let Some(end) = rest.iter().take(LONGEST_NAME).position(|byte| *byte == b'\n') else {
            return rule(format!("a name without an end within {LONGEST_NAME} bytes"));
        };
        self.at += end + 1;
        Ok(String::from_utf8_lossy(&rest[..end]).into_owned())
    }

    fn global(&mut self, module: &str, name: &str) -> Result<(), Wrong> {
        match globals::find(module, name) {
            Some(global) => self.add(Node::Global(global)),
            None => {
                // It is shown to people: no escape sequences, no novel.
                let shown: String =
                    format!("{module}.{name}").chars().filter(|c| !c.is_control()).take(200).collect();
                Err(Wrong::Global(shown))
            }
        }
    }

    fn call(&mut self, callee: Value, arguments: Value) -> Result<(), Wrong> {
        let Some(Node::Global(class)) = self.node(callee) else {
            return rule("something is called that is no name");
        };
        let class: &'static Global = class;
        let Some(Node::Tuple(values)) = self.node(arguments) else {
            return rule(format!("{} is given something that is no tuple", class.name));
        };
        let values = values.clone();
        match class.kind {
            Kind::Dict => self.dictionary(&values),
            Kind::List | Kind::Tuple => self.copy_row(class, &values),
            Kind::Tensor => {
                let tensor = self.tensor(&values, None)?;
                self.add(Node::Tensor(tensor))
            }
            Kind::TensorWithDtype => {
                let dtype = values.get(6).and_then(|value| self.dtype_of(*value));
                let Some(dtype) = dtype else { return rule("a tensor without an element type") };
                let tensor = self.tensor(&values, Some(dtype))?;
                self.add(Node::Tensor(tensor))
            }
            Kind::Parameter => match values.first() {
                Some(data) => self.push(*data),
                None => rule("a parameter without a tensor"),
            },
            Kind::Object => self.add(Node::Object { class, state: Value::None }),
            Kind::Storage(_) | Kind::Dtype(_) => rule(format!("{} is called", class.name)),
        }
    }

    /// An `OrderedDict`, which older Pythons give their items as a list of pairs.
    fn dictionary(&mut self, arguments: &[Value]) -> Result<(), Wrong> {
        let mut entries = Vec::new();
        if let Some(first) = arguments.first() {
            let Some(Node::List(items)) = self.node(*first) else {
                return rule("a dictionary of something that is no list");
            };
            for item in items {
                match self.node(*item) {
                    Some(Node::List(pair) | Node::Tuple(pair)) if pair.len() == 2 => {
                        entries.push((pair[0], pair[1]));
                    }
                    _ => return rule("a dictionary of something that is no pair"),
                }
            }
        }
        self.add(Node::Dict(entries))
    }

    fn copy_row(&mut self, class: &Global, arguments: &[Value]) -> Result<(), Wrong> {
        let values = match arguments.first().map(|first| self.node(*first)) {
            None => Vec::new(),
            // A bomb of copies would have copies of copies: their sum is bounded by the bytes of one batch.
            Some(Some(Node::List(values) | Node::Tuple(values))) if values.len() <= 1000 => values.clone(),
            _ => return rule(format!("{} of something that is no short row of values", class.name)),
        };
        self.add(if class.kind == Kind::Tuple { Node::Tuple(values) } else { Node::List(values) })
    }

    /// `(storage, offset, shape, strides, …)`.
    fn tensor(&self, arguments: &[Value], dtype: Option<Option<Dtype>>) -> Result<Strided, Wrong> {
        let [storage, offset, shape, strides, ..] = arguments else {
            return rule("a tensor without its storage, offset, shape and strides");
        };
        let Some(Node::Storage(storage)) = self.node(*storage) else {
            return rule("a tensor whose storage is something else");
        };
        let (Some(offset), Some(shape), Some(strides)) =
            (whole(*offset), self.sizes(*shape), self.sizes(*strides))
        else {
            return rule("a tensor whose offset, shape or strides are no whole numbers");
        };
        if shape.len() != strides.len() || shape.len() > MOST_DIMENSIONS {
            return rule(format!("a tensor of shape {shape:?} and strides {strides:?}"));
        }
        let dtype = dtype.unwrap_or(storage.dtype);
        Ok(Strided { storage: storage.clone(), dtype, offset, shape, strides })
    }

    /// `("storage", type, key, device, elements)`, the only thing that `torch.save` keeps outside of the pickle.
    fn storage(&mut self) -> Result<(), Wrong> {
        let id = self.pop()?;
        let Some(Node::Tuple(parts)) = self.node(id) else { return rule("a reference that is no tuple") };
        let [tag, class, key, _device, elements] = parts.as_slice() else {
            return rule("a reference that is no storage");
        };
        let Some(Node::Global(Global { kind: Kind::Storage(dtype), .. })) = self.node(*class) else {
            return rule("a storage of no known type");
        };
        let (Some("storage"), Some(key), Some(elements)) =
            (self.text_of(*tag), self.text_of(*key), whole(*elements))
        else {
            return rule("a reference that is no storage");
        };
        if key.is_empty() || key.len() > 64 || !key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return rule("a storage whose key is no plain name");
        }
        let storage = Storage { key: key.to_owned(), dtype: *dtype, elements };
        self.add(Node::Storage(storage))
    }

    /// The attributes of an object. What a dictionary or a tensor carries besides its content is left.
    fn set_state(&mut self) -> Result<(), Wrong> {
        let new = self.pop()?;
        match self.stack.last().copied() {
            Some(Value::At(at)) => match &mut self.nodes[at as usize] {
                Node::Object { state, .. } => *state = new,
                Node::Dict(_) | Node::Tensor(_) | Node::List(_) => {}
                _ => return rule("a state for something that has none"),
            },
            _ => return rule("a state for something that has none"),
        }
        Ok(())
    }

    fn node(&self, value: Value) -> Option<&Node> {
        match value {
            Value::At(at) => self.nodes.get(at as usize),
            _ => None,
        }
    }

    fn text_of(&self, value: Value) -> Option<&str> {
        match self.node(value)? {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    fn dtype_of(&self, value: Value) -> Option<Option<Dtype>> {
        match self.node(value)? {
            Node::Global(Global { kind: Kind::Dtype(dtype), .. }) => Some(*dtype),
            _ => None,
        }
    }

    fn sizes(&self, value: Value) -> Option<Vec<u64>> {
        match self.node(value)? {
            Node::Tuple(values) | Node::List(values) => values.iter().map(|value| whole(*value)).collect(),
            _ => None,
        }
    }
}

fn whole(value: Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(number).ok(),
        _ => None,
    }
}
