//! What a pickle said, as data.

use sekisho_weights::Dtype;

use super::globals::{Global, Kind};

/// A value. What does not fit lies among the document's nodes, so that values are copied, shared and nested freely and nothing
/// here ever recurses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    At(u32),
}

/// What a value points to.
#[derive(Debug)]
pub(crate) enum Node {
    Text(Box<str>),
    /// Bytes, and whole numbers beyond 64 bits: nothing here needs them.
    Unread,
    List(Vec<Value>),
    Tuple(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    Global(&'static Global),
    Object {
        class: &'static Global,
        state: Value,
    },
    Storage(Storage),
    Tensor(Strided),
}

/// The bytes that one or more tensors lie in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Storage {
    /// Name of the member `data/<key>`.
    pub(crate) key: String,
    /// None: a type that safetensors does not have.
    pub(crate) dtype: Option<Dtype>,
    /// Elements.
    pub(crate) elements: u64,
}

/// A tensor as a view of a storage.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Strided {
    pub(crate) storage: Storage,
    pub(crate) dtype: Option<Dtype>,
    /// First element.
    pub(crate) offset: u64,
    pub(crate) shape: Vec<u64>,
    /// Elements from one index to the next.
    pub(crate) strides: Vec<u64>,
}

/// All of one pickle.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) nodes: Vec<Node>,
    pub(crate) root: Value,
}

/// A value of a document, to look into.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    document: &'a Document,
    value: Value,
}

impl Document {
    pub(crate) fn root(&self) -> View<'_> {
        View { document: self, value: self.root }
    }
}

impl<'a> View<'a> {
    fn at(self, value: Value) -> Self {
        Self { value, ..self }
    }

    fn node(self) -> Option<&'a Node> {
        match self.value {
            Value::At(at) => self.document.nodes.get(at as usize),
            _ => None,
        }
    }

    pub(crate) fn is_none(self) -> bool {
        self.value == Value::None
    }

    pub(crate) fn text(self) -> Option<&'a str> {
        match self.node()? {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn flag(self) -> Option<bool> {
        match self.value {
            Value::Bool(flag) => Some(flag),
            _ => None,
        }
    }

    pub(crate) fn whole(self) -> Option<u64> {
        match self.value {
            Value::Int(number) => u64::try_from(number).ok(),
            _ => None,
        }
    }

    /// A number, also a whole one.
    #[expect(
        clippy::cast_precision_loss,
        reason = "settings such as the base of the rotary frequencies are small"
    )]
    pub(crate) fn number(self) -> Option<f64> {
        match self.value {
            Value::Float(number) => Some(number),
            Value::Int(number) => Some(number as f64),
            _ => None,
        }
    }

    /// The values of a list or a tuple.
    pub(crate) fn list(self) -> Option<impl ExactSizeIterator<Item = Self>> {
        match self.node()? {
            Node::List(values) | Node::Tuple(values) => Some(values.iter().map(move |value| self.at(*value))),
            _ => None,
        }
    }

    /// A list or tuple of sizes.
    pub(crate) fn sizes(self) -> Option<Vec<u64>> {
        self.list()?.map(Self::whole).collect()
    }

    /// The entries of a dictionary.
    pub(crate) fn entries(self) -> Option<impl Iterator<Item = (Self, Self)>> {
        match self.node()? {
            Node::Dict(entries) => {
                Some(entries.iter().map(move |(key, value)| (self.at(*key), self.at(*value))))
            }
            _ => None,
        }
    }

    /// A dictionary's value under a text. As in Python, the last one counts.
    pub(crate) fn get(self, key: &str) -> Option<Self> {
        self.entries()?.filter(|(name, _)| name.text() == Some(key)).last().map(|(_, value)| value)
    }

    /// An attribute of an object.
    pub(crate) fn attribute(self, name: &str) -> Option<Self> {
        match self.node()? {
            Node::Object { state, .. } => self.at(*state).get(name),
            _ => None,
        }
    }

    /// The state of an object that is not a dictionary of attributes.
    pub(crate) fn state(self) -> Option<Self> {
        match self.node()? {
            Node::Object { state, .. } => Some(self.at(*state)),
            _ => None,
        }
    }

    /// The name of an object's class.
    pub(crate) fn class(self) -> Option<&'static str> {
        match self.node()? {
            Node::Object { class, .. } => Some(class.name),
            _ => None,
        }
    }

    pub(crate) fn tensor(self) -> Option<&'a Strided> {
        match self.node()? {
            Node::Tensor(tensor) => Some(tensor),
            _ => None,
        }
    }

    /// An element type; none within where safetensors has none for it.
    pub(crate) fn dtype(self) -> Option<Option<Dtype>> {
        match self.node()? {
            Node::Global(Global { kind: Kind::Dtype(dtype), .. }) => Some(*dtype),
            _ => None,
        }
    }
}
