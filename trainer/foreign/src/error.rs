/// Something that cannot be read. Each sentence names the file, the place, the rule and the way on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}{place}: {rule}")]
pub struct ForeignError {
    /// The file's name.
    pub file: String,
    /// `, line 12` or `, byte 4096`; empty for the whole file.
    pub place: String,
    /// What is wrong and the way on.
    pub rule: String,
}

impl ForeignError {
    pub(crate) fn whole(file: &str, rule: impl Into<String>) -> Self {
        Self { file: file.to_owned(), place: String::new(), rule: rule.into() }
    }

    pub(crate) fn at_line(file: &str, line: u64, rule: impl Into<String>) -> Self {
        Self { file: file.to_owned(), place: format!(", line {line}"), rule: rule.into() }
    }
}
