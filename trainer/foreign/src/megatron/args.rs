use std::collections::BTreeMap;

use shlex::Shlex;

use crate::ForeignError;

/// Arguments by their name in Python, `adam_eps`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Args {
    values: BTreeMap<String, Vec<String>>,
    /// What could not be made out, in sentences.
    pub notes: Vec<String>,
    /// Whether it is a dump, which has every argument with its default.
    pub complete: bool,
}

/// What all variables together may grow a text by, in bytes: one that doubles itself line by line would have no end.
const BUDGET: usize = 4 << 20;

impl Args {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The words after an argument; none for one that is absent or `None`.
    #[must_use]
    pub fn words(&self, name: &str) -> Option<&[String]> {
        let words = self.values.get(name)?.as_slice();
        (words != ["None"]).then_some(words)
    }

    /// All, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.values.iter().map(|(name, words)| (name.as_str(), words.as_slice()))
    }

    fn put(&mut self, name: &str, words: Vec<String>) {
        self.values.insert(name.replace('-', "_"), words);
    }
}

/// Reads a command line, or the launch script that holds it: continuations, comments, arrays and quoted lists of arguments, and variables
/// that the text itself sets. A variable that it does not set stays as it is written, and is named in the notes.
///
/// # Errors
/// [`ForeignError`] for a text without arguments, or with a quotation mark that is not closed.
pub fn arguments(file: &str, text: &str) -> Result<Args, ForeignError> {
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    let mut dump = Dump::default();
    if let Some(args) = text.lines().find_map(|line| dump.line(line)) {
        return Ok(args);
    }
    let mut words = Shlex::new(&text);
    let mut script = Script::default();
    for word in &mut words {
        script.word(&word, true);
    }
    if words.had_error {
        let rule = "a quotation mark opened on or before this line is not closed; paste the whole command, from the program's name to its last argument";
        return Err(ForeignError::at_line(file, words.line_no as u64, rule));
    }
    let args = script.finish();
    if args.is_empty() {
        let rule = "holds no argument of Megatron-LM (--num-layers 32 …), and no dump of them (\"---- arguments ----\"); paste the launch command, or the beginning of the log";
        return Err(ForeignError::whole(file, rule));
    }
    Ok(args)
}

/// A script on its way through the words.
#[derive(Default)]
struct Script {
    args: Args,
    /// Bytes that variables have put in.
    grown: usize,
    variables: BTreeMap<String, String>,
    /// The argument that the next words belong to.
    open: Option<(String, Vec<String>)>,
}

impl Script {
    /// Takes a word; a `fresh` one may hold variables.
    fn word(&mut self, word: &str, fresh: bool) {
        if let Some((name, value)) = assignment(word).filter(|_| fresh) {
            // `ARGS=(` opens an array, whose words follow.
            let value = value.trim_start_matches('(');
            self.close();
            let value = self.expand(value);
            if value.split_whitespace().any(is_option) {
                self.several(&value);
                self.close();
            }
            self.variables.insert(name.to_owned(), value);
            return;
        }
        let quoted = word.contains(char::is_whitespace);
        let word = if fresh { self.expand(word) } else { word.to_owned() };
        let several = word.split_whitespace().count() != 1;
        if fresh && several && (!quoted || word.split_whitespace().any(is_option)) {
            return self.several(&word);
        }
        if is_option(&word) {
            self.close();
            let option = word.trim_start_matches('-');
            let (name, value) = match option.split_once('=') {
                Some((name, value)) => (name, vec![value.to_owned()]),
                None => (option, Vec::new()),
            };
            self.open = Some((name.to_owned(), value));
        } else if word == ")" || word == "\\" || matches!(&*word, "|" | "&&" | ";" | "2>&1" | ">") {
            self.close();
        } else if let Some((_, words)) = &mut self.open {
            let word = word.trim_end_matches([')', ';']);
            // `"${TRAINING_ARGS[@]}"` and `$GPT_ARGS` stand where arguments do, and were read where they were set.
            let left_out =
                word.is_empty() || word.contains("[@]") || words_of_args(word) && !words.is_empty();
            if !left_out {
                words.push(word.to_owned());
            }
        }
    }

    /// Words that one quoted word holds.
    fn several(&mut self, words: &str) {
        for word in Shlex::new(words) {
            self.word(&word, false);
        }
    }

    /// Puts in what the text itself set: `$NAME`, `${NAME}`, `${NAME:-default}`. What a variable holds was expanded when it was set.
    fn expand(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            let (name, after) = variable(&rest[at..]);
            let written = &rest[at..rest.len() - after.len()];
            let (name, default) = name.split_once(":-").map_or((name, None), |(name, d)| (name, Some(d)));
            let value = self.variables.get(name).map(String::as_str).or(default);
            let value = value.filter(|value| self.grown + value.len() <= BUDGET);
            self.grown += value.map_or(0, str::len);
            out.push_str(value.unwrap_or(written));
            rest = after;
        }
        out + rest
    }

    fn close(&mut self) {
        if let Some((name, words)) = self.open.take() {
            self.args.put(&name, words);
        }
    }

    fn finish(mut self) -> Args {
        self.close();
        let unknown =
            self.args.values.iter().filter(|(_, words)| words.iter().any(|word| word.contains('$')));
        let notes = unknown.map(|(name, words)| {
            format!(
                "--{} is {}, which this text does not set; its value is not known",
                name.replace('_', "-"),
                words.join(" ")
            )
        });
        self.args.notes = notes.collect();
        self.args
    }
}

/// The name of the variable at the beginning, and what follows it.
fn variable(text: &str) -> (&str, &str) {
    if let Some((name, after)) = text.strip_prefix("${").and_then(|inner| inner.split_once('}')) {
        return (name, after);
    }
    let text = &text[1..];
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    text.split_at(end.unwrap_or(text.len()))
}

fn is_option(word: &str) -> bool {
    word.strip_prefix("--").is_some_and(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()))
}

/// A variable that by its name holds arguments rather than a value.
fn words_of_args(word: &str) -> bool {
    let name = word.trim_start_matches(['$', '{', '"']).trim_end_matches(['}', '"']);
    word.starts_with('$') && (name.ends_with("ARGS") || name.ends_with("OPTIONS") || name.ends_with("OPTS"))
}

/// `NAME=value`, `NAME+=value`.
fn assignment(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let name = name.strip_suffix('+').unwrap_or(name);
    let mut letters = name.chars();
    let first = letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    (first && letters.all(|c| c.is_ascii_alphanumeric() || c == '_')).then_some((name, value))
}

/// The dump at the top of a log, `------------------------ arguments ------------------------` to `end of arguments`, one argument a
/// line: a name, dots, a value as Python prints it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dump(Option<Args>);

impl Dump {
    /// Takes a line; gives the arguments at the end of the dump.
    pub(crate) fn line(&mut self, line: &str) -> Option<Args> {
        // torchrun puts `[default0]:` before every line.
        let line = match line.split_once("]:") {
            Some((head, rest)) if head.starts_with('[') && !head.contains(' ') => rest,
            _ => line,
        };
        let ruled = line.trim().trim_matches('-');
        if line.contains("----") && ruled.trim() == "arguments" {
            self.0 = Some(Args { complete: true, ..Args::default() });
            return None;
        }
        if line.contains("----") && ruled.trim() == "end of arguments" {
            return self.0.take().filter(|args| !args.is_empty());
        }
        let args = self.0.as_mut()?;
        let line = line.trim();
        let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
        let fits = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.is_empty();
        if fits {
            args.put(name, python(rest.trim_start().trim_start_matches('.').trim()));
        }
        None
    }
}

/// A value as Python prints it: a list has its elements, an empty one is nothing, everything else is one word.
fn python(value: &str) -> Vec<String> {
    let Some(list) = value.strip_prefix('[').and_then(|value| value.strip_suffix(']')) else {
        return vec![value.to_owned()];
    };
    let elements = list.split(", ").map(|element| element.trim().trim_matches(['\'', '"']).to_owned());
    let elements: Vec<String> = elements.filter(|element| !element.is_empty()).collect();
    if elements.is_empty() { vec!["None".to_owned()] } else { elements }
}
