use std::borrow::Cow;

/// A parameter of a statement, in one of the five types that columns have. An absent value has a type as well: PostgreSQL asks.
#[derive(Clone, Debug)]
pub(in crate::sql) enum Value<'q> {
    Integer(Option<i64>),
    Real(Option<f64>),
    Text(Option<Cow<'q, str>>),
    Bytes(Option<Cow<'q, [u8]>>),
    Truth(Option<bool>),
}

macro_rules! values {
    ($($from:ty => |$value:ident| $as:expr),+ $(,)?) => {
        $(impl<'q> From<$from> for Value<'q> {
            fn from($value: $from) -> Self {
                $as
            }
        })+
    };
}

values! {
    i64 => |value| Self::Integer(Some(value)),
    Option<i64> => |value| Self::Integer(value),
    u32 => |value| Self::Integer(Some(value.into())),
    Option<u16> => |value| Self::Integer(value.map(i64::from)),
    f64 => |value| Self::Real(Some(value)),
    Option<f64> => |value| Self::Real(value),
    bool => |value| Self::Truth(Some(value)),
    &'q str => |value| Self::Text(Some(Cow::Borrowed(value))),
    Option<&'q str> => |value| Self::Text(value.map(Cow::Borrowed)),
    String => |value| Self::Text(Some(Cow::Owned(value))),
    Option<String> => |value| Self::Text(value.map(Cow::Owned)),
    &'q String => |value| Self::Text(Some(Cow::Borrowed(value))),
    &'q Option<String> => |value| Self::Text(value.as_deref().map(Cow::Borrowed)),
    Option<&'q String> => |value| Self::Text(value.map(|value| Cow::Borrowed(value.as_str()))),
    &'q [u8] => |value| Self::Bytes(Some(Cow::Borrowed(value))),
    &'q Vec<u8> => |value| Self::Bytes(Some(Cow::Borrowed(value))),
    Vec<u8> => |value| Self::Bytes(Some(Cow::Owned(value))),
    Option<Vec<u8>> => |value| Self::Bytes(value.map(Cow::Owned)),
    Option<&'q [u8]> => |value| Self::Bytes(value.map(Cow::Borrowed)),
}
