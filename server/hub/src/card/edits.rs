//! What people write into a card, and what they may not.
//!
//! Edits are an input of the card like every fact: a card that is made again has them again.

use std::collections::BTreeMap;
use std::fmt;

use sekisho_domain::{Language, Text};
use serde::{Deserialize, Serialize};

use super::Section;

/// Letters of one edit.
pub const LARGEST_EDIT: usize = 20_000;

/// People's texts, by language and section. They are Markdown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CardEdits {
    /// Of `README.md`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub en: BTreeMap<Section, String>,
    /// Of `README_ja.md`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ja: BTreeMap<Section, String>,
}

impl CardEdits {
    /// The texts of one language.
    #[must_use]
    pub const fn of(&self, language: Language) -> &BTreeMap<Section, String> {
        match language {
            Language::En => &self.en,
            Language::Ja => &self.ja,
        }
    }

    /// Sections that have a text in one language only, so that the two cards say different things.
    #[must_use]
    pub fn one_sided(&self) -> Vec<Section> {
        let has = |texts: &BTreeMap<Section, String>, section: Section| {
            texts.get(&section).is_some_and(|text| !text.trim().is_empty())
        };
        let differs = |section: &Section| has(&self.en, *section) != has(&self.ja, *section);
        Section::ALL.iter().copied().filter(differs).collect()
    }

    /// The first text that the card would not take, with its language and section.
    ///
    /// # Errors
    /// See [`check_edit`].
    pub fn check(&self) -> Result<(), (Language, Section, CardEditError)> {
        for language in Language::ALL {
            for (section, text) in self.of(*language) {
                check_edit(*section, text).map_err(|error| (*language, *section, error))?;
            }
        }
        Ok(())
    }
}

/// Why a text cannot stand in a card. Displayed in English; [`text`](Self::text) has both languages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CardEditError {
    /// The section is computed.
    Computed(Section),
    /// More letters than [`LARGEST_EDIT`].
    TooLong(usize),
    /// A line of hyphens or equals signs: a rule, a heading or front matter.
    Rule(usize),
    /// A heading of the first or second level.
    Heading(usize),
    /// HTML.
    Html(usize),
    /// A link that runs code.
    Link(usize),
    /// A letter that is not seen.
    Hidden(usize),
    /// A code block that is indented or never closed.
    CodeBlock(usize),
}

impl std::error::Error for CardEditError {}

impl fmt::Display for CardEditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text().en)
    }
}

impl CardEditError {
    /// The sentence in both languages. Lines count from 1.
    #[must_use]
    pub fn text(&self) -> Text {
        let (en, ja) = match self {
            Self::Computed(section) => {
                let names = |language| Section::editable().map(|s| s.title(language)).collect::<Vec<_>>();
                let (en, ja) = (section.title(Language::En), section.title(Language::Ja));
                (
                    format!(
                        "\"{en}\" is computed and takes no text. Sections that do: {}.",
                        names(Language::En).join(", ")
                    ),
                    format!(
                        "「{ja}」は自動的に作成される節のため、編集できません。編集できる節：{}。",
                        names(Language::Ja).join("、")
                    ),
                )
            }
            Self::TooLong(letters) => (
                format!("The text has {letters} letters; a section takes {LARGEST_EDIT}."),
                format!("文章が長すぎます（{letters}文字）。1つの節は{LARGEST_EDIT}文字までです。"),
            ),
            Self::Rule(line) => (
                format!(
                    "Line {line} holds only \"-\" or \"=\": it would be a heading or metadata. Use *** for a rule."
                ),
                format!(
                    "{line}行目が「-」または「=」だけのため、見出しまたはメタデータになります。区切り線には *** を使用してください。"
                ),
            ),
            Self::Heading(line) => (
                format!(
                    "Line {line} is a heading of level 1 or 2; these belong to the card. Begin it with ### or more."
                ),
                format!(
                    "{line}行目の見出しは使用できません。レベル1と2の見出しはモデルカードの構成に使用します。### 以下にしてください。"
                ),
            ),
            Self::Html(line) => (
                format!("Line {line} holds HTML. Use Markdown; put a literal < in backticks."),
                format!(
                    "{line}行目にHTMLがあります。Markdownで記述してください。文字としての < はバッククォートで囲んでください。"
                ),
            ),
            Self::Link(line) => (
                format!("Line {line} has a link that is no web or mail address."),
                format!("{line}行目のリンクは使用できません。Webまたはメールのアドレスにしてください。"),
            ),
            Self::Hidden(line) => (
                format!("Line {line} holds a control character."),
                format!("{line}行目に制御文字があります。削除してください。"),
            ),
            Self::CodeBlock(line) => (
                format!(
                    "The code block of line {line} is indented or not closed. Begin and end it with ``` at the start of a line."
                ),
                format!(
                    "{line}行目のコードブロックが字下げされているか、閉じられていません。行頭の ``` で始め、行頭の ``` で終えてください。"
                ),
            ),
        };
        Text { en, ja }
    }
}

/// Whether a text may stand in a section: plain Markdown that leaves the structure of the card as it is.
///
/// An empty text is allowed; it means the default. [`render`](super::render) leaves out what this refuses.
///
/// # Errors
/// The first thing in the text that is not allowed.
pub fn check_edit(section: Section, text: &str) -> Result<(), CardEditError> {
    if section.is_computed() {
        return Err(CardEditError::Computed(section));
    }
    let letters = text.chars().count();
    if letters > LARGEST_EDIT {
        return Err(CardEditError::TooLong(letters));
    }
    let mut block: Option<(usize, &str)> = None;
    // A span that may go on in the next line: from there on no backtick is trusted.
    let mut unpaired = false;
    for (at, line) in text.lines().enumerate() {
        let number = at + 1;
        if line.chars().any(is_hidden) {
            return Err(CardEditError::Hidden(number));
        }
        match (block, fence(line)) {
            (Some((_, open)), _) if closes(line, open) => block = None,
            (None, Some(open)) if line.starts_with(open) && !info_of(line, open).contains('`') => {
                block = Some((number, open));
            }
            (None, Some(_)) => return Err(CardEditError::CodeBlock(number)),
            (Some(_), _) => {}
            (None, None) => {
                let bare = without_code(line).filter(|_| !unpaired);
                unpaired |= bare.is_none();
                check_line(line, bare.as_deref().unwrap_or(line), number)?;
            }
        }
    }
    block.map_or(Ok(()), |(number, _)| Err(CardEditError::CodeBlock(number)))
}

/// `bare` is the line without its code spans.
fn check_line(line: &str, bare: &str, number: usize) -> Result<(), CardEditError> {
    let inner = inside(line).trim_end();
    if !inner.is_empty() && (inner.chars().all(|c| c == '-') || inner.chars().all(|c| c == '=')) {
        return Err(CardEditError::Rule(number));
    }
    let level = inner.len() - inner.trim_start_matches('#').len();
    if (1..=2).contains(&level) && inner[level..].chars().next().is_none_or(char::is_whitespace) {
        return Err(CardEditError::Heading(number));
    }
    let mut tags = bare.match_indices('<').map(|(at, _)| &bare[at + 1..]);
    if tags.any(|rest| is_tag(rest) && !is_autolink(rest)) {
        return Err(CardEditError::Html(number));
    }
    let squeezed: String = bare.to_lowercase().chars().filter(|c| !c.is_whitespace()).collect();
    if ["javascript:", "vbscript:", "data:text", "](&", "]:&"].iter().any(|bad| squeezed.contains(bad)) {
        return Err(CardEditError::Link(number));
    }
    Ok(())
}

/// What follows a `<` makes it HTML.
fn is_tag(rest: &str) -> bool {
    rest.starts_with(|c: char| c.is_ascii_alphabetic() || "/!?".contains(c))
}

/// `https://example.org>`: an address in angle brackets.
fn is_autolink(rest: &str) -> bool {
    let is_address = |inside: &str| {
        ["https://", "http://", "mailto:"].iter().any(|begin| inside.starts_with(begin))
            && !inside.contains(|c: char| c.is_whitespace() || "<\"".contains(c))
    };
    rest.split_once('>').is_some_and(|(inside, _)| is_address(inside))
}

/// The fence that a line opens or closes, wherever it stands: "```" or longer, or of tildes.
fn fence(line: &str) -> Option<&str> {
    let inner = inside(line);
    let run = |mark: char| &inner[..inner.len() - inner.trim_start_matches(mark).len()];
    [run('`'), run('~')].into_iter().find(|run| run.len() >= 3)
}

fn info_of<'a>(line: &'a str, open: &str) -> &'a str {
    if open.starts_with('`') { &line[open.len()..] } else { "" }
}

fn closes(line: &str, open: &str) -> bool {
    let indent = line.len() - line.trim_start_matches(' ').len();
    let rest = line.trim();
    indent <= 3 && rest.len() >= open.len() && rest.chars().all(|c| open.starts_with(c))
}

/// A line without the marks of quotes and lists before it.
fn inside(line: &str) -> &str {
    let mut rest = line.trim_start();
    loop {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let next = match rest.chars().next() {
            Some('>') => &rest[1..],
            Some('-' | '*' | '+') if rest[1..].starts_with([' ', '\t']) => &rest[1..],
            Some(_) if digits > 0 && is_item(&rest[digits..]) => &rest[digits + 1..],
            _ => return rest,
        };
        rest = next.trim_start();
    }
}

fn is_item(rest: &str) -> bool {
    rest.strip_prefix(['.', ')']).is_some_and(|rest| rest.starts_with([' ', '\t']))
}

/// A line without its code spans; nothing where a backtick has no partner in the line.
fn without_code(line: &str) -> Option<String> {
    let (mut out, mut rest) = (String::new(), line);
    if line.contains("\\`") {
        return None;
    }
    while let Some(start) = rest.find('`') {
        let run = rest[start..].len() - rest[start..].trim_start_matches('`').len();
        let end = closing(&rest[start + run..], run)?;
        out.push_str(&rest[..start]);
        rest = &rest[start + run + end + run..];
    }
    Some(out + rest)
}

/// Where a run of exactly `run` backticks begins.
fn closing(text: &str, run: usize) -> Option<usize> {
    let mut at = 0;
    while let Some(start) = text[at..].find('`') {
        let here = at + start;
        let length = text[here..].len() - text[here..].trim_start_matches('`').len();
        if length == run {
            return Some(here);
        }
        at = here + length;
    }
    None
}

/// Control characters, and those that turn the direction of the text.
fn is_hidden(c: char) -> bool {
    (c.is_control() && c != '\t')
        || matches!(c, '\u{200b}' | '\u{202a}'..='\u{202e}' | '\u{2028}' | '\u{2029}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}
