//! Text from outside as Markdown, and tables.

/// Text of one cell, as Markdown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell(String);

impl Cell {
    /// What is not there.
    pub(super) fn none() -> Self {
        Self("—".to_owned())
    }

    /// Markdown of ours.
    pub(super) fn plain(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Text in the type of code.
    pub(super) fn code(text: &str) -> Self {
        Self(code(text).replace('|', "\\|"))
    }

    /// A link to a repository of the Hub, or its bare name where that is no repository's.
    pub(super) fn repository(name: &str, repo: &str, revision: &str) -> Self {
        Self(repository(name, repo, revision))
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self(escape(text))
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&String> for Cell {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

/// The cell of something that may be unknown.
pub(super) fn or_dash<T: Into<Cell>>(text: Option<T>) -> Cell {
    text.map_or_else(Cell::none, Into::into)
}

/// A table with a header; numbers stay as text.
pub(super) fn table(header: &[&str], rows: &[Vec<Cell>]) -> String {
    let line = |cells: &[Cell]| {
        let cells: Vec<&str> = cells.iter().map(|cell| cell.0.as_str()).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let head: Vec<Cell> = header.iter().map(|&cell| Cell::from(cell)).collect();
    let mut out = line(&head);
    out.push_str(&format!("|{}\n", "---|".repeat(header.len())));
    rows.iter().for_each(|row| out.push_str(&line(row)));
    out.trim_end().to_owned()
}

/// Items and values, without those that are not known.
pub(super) fn list_of_values(header: [&str; 2], rows: Vec<(&str, Option<Cell>)>) -> String {
    let rows: Vec<Vec<Cell>> =
        rows.into_iter().filter_map(|(label, value)| Some(vec![Cell::from(label), value?])).collect();
    table(&header, &rows)
}

/// Text from outside within a line: one line, and nothing in it is Markdown or HTML.
pub(super) fn escape(text: &str) -> String {
    let line = one_line(text);
    let letters: Vec<char> = line.chars().collect();
    let is_word = |at: Option<usize>| at.and_then(|at| letters.get(at)).is_some_and(|c| c.is_alphanumeric());
    let mut out = String::with_capacity(line.len());
    for (at, &letter) in letters.iter().enumerate() {
        match letter {
            '<' if letters.get(at + 1).is_some_and(|c| !c.is_whitespace()) => out.push_str("&lt;"),
            '&' if letters.get(at + 1).is_some_and(|c| c.is_ascii_alphabetic() || *c == '#') => {
                out.push_str("&amp;");
            }
            '\\' | '|' | '`' | '*' | '[' | ']' | '~' => out.extend(['\\', letter]),
            '_' if !(is_word(at.checked_sub(1)) && is_word(Some(at + 1))) => out.push_str("\\_"),
            _ => out.push(letter),
        }
    }
    out
}

/// Text from outside at the beginning of a line, where it could be a heading, a list or a rule as well.
pub(super) fn prose(text: &str) -> String {
    let text = escape(text);
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    if text.starts_with(['#', '+', '-', '>', '=', ':']) {
        format!("\\{text}")
    } else if digits > 0 && is_list_mark(&text[digits..]) {
        format!("{}\\{}", &text[..digits], &text[digits..])
    } else {
        text
    }
}

/// `. ` or `) ` after digits begins a list.
fn is_list_mark(rest: &str) -> bool {
    rest.strip_prefix(['.', ')']).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

/// A code span; backticks inside are held by longer ones outside.
pub(super) fn code(text: &str) -> String {
    let text = one_line(text);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// A word of a shell command: as it is where that is safe, else quoted.
pub(super) fn shell(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._/@:,=+-".contains(c);
    let text = one_line(text);
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// `[name](address)` where `repo` is a repository's name on the Hub, else the name alone.
pub(super) fn repository(name: &str, repo: &str, revision: &str) -> String {
    let at_tree = if ["", "main"].contains(&revision) { String::new() } else { format!("/tree/{revision}") };
    let shown = escape(name);
    if is_repository(repo) && revision.chars().all(is_plain) {
        format!("[{shown}]({HUB}/{repo}{at_tree})")
    } else {
        shown
    }
}

/// Where repositories are linked to.
pub(super) const HUB: &str = "https://huggingface.co";

/// `owner/name` as the Hub takes it.
pub(super) fn is_repository(id: &str) -> bool {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.len() <= 96
            && part.chars().all(is_plain)
    };
    id.split_once('/').is_some_and(|(owner, name)| part(owner) && part(name))
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

fn one_line(text: &str) -> String {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    let text: String = text.chars().map(visible).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::{Cell, code, escape, is_repository, prose, repository, shell, table};

    #[test]
    fn a_cell_cannot_leave_its_table() {
        let cells = vec![Cell::from("x | y\n| z"), Cell::from("<script>"), Cell::code("a|b`c")];
        let out = table(&["a", "b", "c"], &[cells]);
        assert_eq!(out, "| a | b | c |\n|---|---|---|\n| x \\| y \\| z | &lt;script> | ``a\\|b`c`` |");
    }

    #[test]
    fn text_from_outside_is_no_markdown() {
        for (text, expected) in [
            ("char_f1", "char_f1"),
            ("_x_ *y* `z`", "\\_x\\_ \\*y\\* \\`z\\`"),
            ("[a](javascript:b)", "\\[a\\](javascript:b)"),
            ("a\r\n---\nb", "a --- b"),
            ("&lt; & b", "&amp;lt; & b"),
            ("a\u{0}b", "a b"),
        ] {
            assert_eq!(escape(text), expected);
        }
        for (text, expected) in
            [("# a", "\\# a"), ("---", "\\---"), ("1. a", "1\\. a"), ("1.8B", "1.8B"), ("a # b", "a # b")]
        {
            assert_eq!(prose(text), expected);
        }
    }

    #[test]
    fn code_and_shell_words_stay_in_one_piece() {
        assert_eq!([code("a"), code("`"), code("a``b\nc")], ["`a`", "`` ` ``", "```a``b c```"]);
        assert_eq!(
            [shell("Llama-3.1"), shell("a b'c"), shell("$(x)"), shell("-x"), shell("")],
            ["Llama-3.1", "'a b'\\''c'", "'$(x)'", "'-x'", "''"]
        );
    }

    #[test]
    fn only_a_repository_is_linked_to() {
        for (id, expected) in [
            ("lab/v4-8b", true),
            ("lab", false),
            ("a/b/c", false),
            ("../x", false),
            ("a/b)c", false),
            ("/b", false),
        ] {
            assert_eq!(is_repository(id), expected, "{id}");
        }
        assert_eq!(repository("A", "lab/a", "main"), "[A](https://huggingface.co/lab/a)");
        assert_eq!(repository("A", "lab/a", "step-1"), "[A](https://huggingface.co/lab/a/tree/step-1)");
        assert_eq!(repository("A|", "lab/a) x", "main"), "A\\|");
    }
}
