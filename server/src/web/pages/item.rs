//! One item of an evaluation as people read it: question, gold, output, and why it counts as right or wrong.

use std::collections::BTreeMap;

use sekisho_bench::{Answer, Gold, Item, PerContext, Record};
use sekisho_domain::Language;

use crate::web::format;
use crate::web::frame::Frame;
use crate::web::i18n::Words as _;

/// Lines of a prompt that are shown without unfolding.
const OPEN_LINES: usize = 8;

/// An item with its answer.
pub(super) struct ItemView {
    pub(super) number: u64,
    pub(super) outcome: Outcome,
    /// The end of the prompt: the question itself.
    pub(super) question: String,
    /// What stands before it: instruction and shots. Empty when the whole prompt is short.
    pub(super) before: String,
    /// Why there is no text.
    pub(super) no_text: Option<&'static str>,
    /// Of each context, for whoever may not see it: the contract allows ids, digests and scores.
    pub(super) prompt_sha256: Vec<String>,
    /// Gold and prediction; none where the reader may not see the benchmark's content.
    pub(super) answer: Option<AnswerView>,
    pub(super) scores: Vec<(String, String)>,
    pub(super) prompt_tokens: u64,
    pub(super) truncated: u64,
    /// Whether it was found in the training text.
    pub(super) is_contaminated: bool,
}

/// What was right and what the model answered.
pub(super) struct AnswerView {
    pub(super) gold: String,
    pub(super) prediction: String,
    pub(super) output: Option<String>,
    pub(super) stop: Option<String>,
    pub(super) choices: Vec<ChoiceRow>,
}

/// Why there is no text of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoText {
    /// The benchmark may not be handed on and the reader is nobody known: neither text nor answer is shown.
    MembersOnly,
    /// The task's definition is not on this server.
    NoDefinition,
    /// The task's files are not on this server.
    NoData,
    /// The files have changed since the item was asked.
    DataChanged,
}

impl NoText {
    fn reason(self, lang: Language) -> &'static str {
        match self {
            Self::MembersOnly => lang.t("samples.members_only"),
            Self::NoDefinition => lang.t("samples.no_definition"),
            Self::NoData => lang.t("samples.no_data"),
            Self::DataChanged => lang.t("samples.data_changed"),
        }
    }
}

/// A choice with its log-likelihood.
pub(super) struct ChoiceRow {
    /// `B` and the choice itself.
    pub(super) text: String,
    /// Context and continuation, where every choice has its own context (XWinograd): what was compared.
    pub(super) pair: Option<(String, String)>,
    pub(super) loglikelihood: String,
    pub(super) tokens: u64,
    pub(super) is_chosen: bool,
    pub(super) is_gold: bool,
}

/// How an item counts under the primary metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    /// Full score.
    Right,
    /// Some of it: an F1 between 0 and 1.
    Partial,
    /// Nothing.
    Wrong,
}

impl Outcome {
    pub(super) const ALL: [Self; 3] = [Self::Right, Self::Partial, Self::Wrong];

    /// For URLs, classes and keys.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Partial => "partial",
            Self::Wrong => "wrong",
        }
    }

    /// Of a record under a metric.
    pub(super) fn of(record: &Record, metric: &str) -> Self {
        match record.score.get(metric).copied().unwrap_or(0.0) {
            value if value >= 1.0 => Self::Right,
            value if value > 0.0 => Self::Partial,
            _ => Self::Wrong,
        }
    }
}

/// The item with its text, if the reader may see it and the data on disk are still those that were asked.
pub(super) fn view(frame: &Frame, record: &Record, metric: &str, text: Result<&Item, NoText>) -> ItemView {
    let same = |item: &&Item| item.request.sha256() == record.prompt_sha256;
    let text = text.and_then(|item| Some(item).filter(same).ok_or(NoText::DataChanged));
    let contexts = text.map_or(&[][..], |item| item.request.contexts());
    // With a context of its own for every choice the choices show them.
    let prompt = if let [prompt] = contexts { readable(prompt) } else { String::new() };
    let (before, question) = folded(&prompt);
    ItemView {
        number: record.item,
        outcome: Outcome::of(record, metric),
        question,
        before,
        no_text: text.err().map(|why| why.reason(frame.lang)),
        prompt_sha256: each(&record.prompt_sha256),
        answer: (text != Err(NoText::MembersOnly)).then(|| answer(record, text.ok())),
        scores: scores(&record.score),
        prompt_tokens: each(&record.prompt_tokens).iter().sum(),
        truncated: record.truncated,
        is_contaminated: false,
    }
}

fn each<T: Clone>(values: &PerContext<T>) -> Vec<T> {
    match values {
        PerContext::One(value) => vec![value.clone()],
        PerContext::Each(values) => values.clone(),
    }
}

fn answer(record: &Record, item: Option<&Item>) -> AnswerView {
    let (output, stop) = match &record.answer {
        Answer::Text { output, stop } => (Some(visible(output)), stop.as_deref().map(visible)),
        Answer::Choices { .. } => (None, None),
    };
    AnswerView {
        gold: value_text(&record.gold, item),
        prediction: value_text(&record.prediction, item),
        output,
        stop,
        choices: choices(record, item),
    }
}

/// Splits a long prompt into what is folded away and its last lines; these begin with a paragraph where one begins among them, so that
/// no end of an example stands before the question.
fn folded(prompt: &str) -> (String, String) {
    let lines: Vec<&str> = prompt.lines().collect();
    if lines.len() <= OPEN_LINES + 2 {
        return (String::new(), prompt.to_owned());
    }
    let last = &lines[lines.len() - OPEN_LINES..];
    // A question and the words that ask for its answer are often two paragraphs: the first break is the one that counts.
    let paragraph = last.iter().position(|line| line.trim().is_empty()).filter(|at| at + 1 < OPEN_LINES / 2);
    let cut = lines.len() - OPEN_LINES + paragraph.map_or(0, |at| at + 1);
    (lines[..cut].join("\n"), lines[cut..].join("\n"))
}

/// Line ends and control characters made visible: what a model wrote is read, not interpreted.
fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("⏎\n"),
            '\t' => out.push('⇥'),
            c => push_seen(&mut out, c),
        }
    }
    out
}

/// A text that is laid out as it is, with what would not be seen made visible.
fn readable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\n' | '\t') { out.push(c) } else { push_seen(&mut out, c) }
    }
    out
}

/// Control characters, and those that turn the direction of what stands behind them (Unicode Annex 9, explicit formatting), as their
/// numbers: a text could otherwise look like another, and move what stands beside it.
fn push_seen(out: &mut String, c: char) {
    if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
        out.push_str(&format!("\\u{{{:x}}}", u32::from(c)));
    } else {
        out.push(c);
    }
}

/// A gold or a prediction: a text, or the text of a choice after its letter.
fn value_text(value: &serde_json::Value, item: Option<&Item>) -> String {
    let index = value.as_u64().and_then(|i| usize::try_from(i).ok());
    match (value, index, item.map(|item| &item.gold)) {
        (serde_json::Value::String(text), ..) => visible(text),
        (_, Some(i), Some(Gold::Choice { texts, .. })) => {
            format!("{} {}", letter(i), texts.get(i).map(|text| readable(text)).unwrap_or_default())
        }
        (_, Some(i), _) => letter(i),
        (other, ..) => other.to_string(),
    }
}

/// A, B, C …
fn letter(index: usize) -> String {
    u8::try_from(index)
        .ok()
        .filter(|i| *i < 26)
        .map_or_else(|| format!("#{index}"), |i| char::from(b'A' + i).to_string())
}

fn choices(record: &Record, item: Option<&Item>) -> Vec<ChoiceRow> {
    let Answer::Choices { loglikelihoods, choice_tokens, .. } = &record.answer else { return Vec::new() };
    let texts = match item.map(|item| &item.gold) {
        Some(Gold::Choice { texts, .. }) => texts.as_slice(),
        _ => &[],
    };
    let own_contexts = item.filter(|item| item.request.contexts().len() > 1);
    let pairs = own_contexts.map(|item| item.request.pairs()).unwrap_or_default();
    let pair =
        |i: usize| pairs.get(i).map(|(context, continuation)| (visible(context), visible(continuation)));
    let text = |i: usize| match texts.get(i) {
        Some(text) if pairs.is_empty() => format!("{} {}", letter(i), readable(text)),
        _ => letter(i),
    };
    let is = |value: &serde_json::Value, i: usize| value.as_u64() == Some(i as u64);
    let row = |(i, value): (usize, &f64)| ChoiceRow {
        text: text(i),
        pair: pair(i),
        loglikelihood: format!("{value:.3}").replace('-', "\u{2212}"),
        tokens: choice_tokens.get(i).copied().unwrap_or(0),
        is_chosen: is(&record.prediction, i),
        is_gold: is(&record.gold, i),
    };
    loglikelihoods.iter().enumerate().map(row).collect()
}

fn scores(found: &BTreeMap<String, f64>) -> Vec<(String, String)> {
    found.iter().map(|(metric, value)| (metric.clone(), format::score(*value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_and_control_characters_are_seen() {
        assert_eq!(visible("答え\n\t<b>\u{1b}"), "答え⏎\n⇥<b>\\u{1b}");
        assert_eq!(readable("問\n\t\u{1b}"), "問\n\t\\u{1b}");
    }

    #[test]
    fn no_text_turns_the_direction_of_what_stands_beside_it() {
        let turning = ('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}');
        for c in turning {
            let shown = format!("a\\u{{{:x}}}b", u32::from(c));
            assert_eq!([visible(&format!("a{c}b")), readable(&format!("a{c}b"))], [shown.clone(), shown]);
        }
        // Letters of such scripts have their direction by themselves.
        assert_eq!(visible("مرحبا"), "مرحبا");
    }

    #[test]
    fn choices_with_contexts_of_their_own_show_what_was_compared() {
        let contexts =
            ["花瓶が台に当たったので花瓶が", "花瓶が台に当たったので台が"].map(ToOwned::to_owned).to_vec();
        let request = sekisho_bench::Request::Choices {
            contexts: contexts.clone(),
            continuations: vec![" 割れた。".to_owned()],
        };
        let item = Item {
            index: 3,
            group: None,
            examples: Vec::new(),
            gold: Gold::Choice { index: 0, texts: contexts.clone() },
            request,
        };
        let record = Record {
            group: None,
            words: None,
            bytes: None,
            profile: "lm-eval@0.4".to_owned(),
            task: "xwinograd_jp".to_owned(),
            split: "test".to_owned(),
            item: 3,
            prompt_sha256: item.request.sha256(),
            prompt_tokens: vec![8, 9].into(),
            truncated: 0,
            answer: Answer::Choices {
                loglikelihoods: vec![-2.0, -3.0],
                choice_tokens: vec![4, 4],
                greedy: None,
            },
            prediction: 0.into(),
            gold: 0.into(),
            score: BTreeMap::from([("acc".to_owned(), 1.0)]),
        };
        let frame = crate::web::pages::fixtures::frame(Language::Ja, "/");
        let shown = view(&frame, &record, "acc", Ok(&item));
        assert_eq!((shown.question.as_str(), shown.no_text, shown.prompt_tokens), ("", None, 17));
        let choices = shown.answer.expect("redistributable").choices;
        let pairs: Vec<_> = choices.iter().filter_map(|choice| choice.pair.clone()).collect();
        let expected = contexts.into_iter().map(|context| (context, " 割れた。".to_owned()));
        assert_eq!(pairs, expected.collect::<Vec<_>>());
        assert_eq!(choices[1].text, "B");
        let closed = view(&frame, &record, "acc", Err(NoText::MembersOnly));
        assert!(closed.answer.is_none() && closed.prompt_sha256.len() == 2);
        assert!(closed.no_text.is_some_and(|reason| reason.contains("ログイン")));
    }

    #[test]
    fn a_long_prompt_is_folded_before_its_last_lines() {
        let prompt: Vec<String> = (0..30).map(|i| format!("line {i}")).collect();
        let (before, question) = folded(&prompt.join("\n"));
        assert_eq!((before.lines().count(), question.lines().count()), (22, 8));
        let shots = format!("{}### 応答:\n2\n\n### 入力:\n質問\n選択肢\n\n### 応答:\n", "x\n".repeat(20));
        assert!(folded(&shots).1.starts_with("### 入力:\n質問"), "{:?}", folded(&shots));
        assert_eq!(folded("short").0, "");
    }
}
