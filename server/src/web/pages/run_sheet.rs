//! A specification as the field's spec sheet has it: model, dataset, training, environment, in this order.

use sekisho_domain::Language;
use sekisho_foreign::Warning;
use serde_json::Value;

use crate::service::comparisons::specs;
use crate::web::format;
use crate::web::frame::Frame;
use crate::web::i18n::Words as _;

/// One part of the sheet.
pub(super) struct Part {
    /// For anchors: `model`.
    pub(super) code: &'static str,
    pub(super) title: &'static str,
    pub(super) rows: Vec<Row>,
    /// Values that the contract has no name for; folded.
    pub(super) other: Vec<Row>,
}

/// A value with its path and, where it has one, its name in words.
pub(super) struct Row {
    pub(super) label: Option<&'static str>,
    pub(super) path: String,
    pub(super) value: String,
}

/// The parts, and the sections of a specification that belong to each.
const PARTS: [(&str, &[&str]); 4] = [
    ("model", &["model", "init", "tokenizer"]),
    ("dataset", &["data"]),
    (
        "training",
        &[
            "parent",
            "batch",
            "optimizer",
            "schedule",
            "stop",
            "precision",
            "stability",
            "checkpoint",
            "evaluate",
            "seed",
        ],
    ),
    ("environment", &["trainer", "other"]),
];

/// The sheet of a specification; parts that say nothing are left out.
pub(super) fn sheet(frame: &Frame, spec: &Value) -> Vec<Part> {
    let leaves = specs::leaves(spec);
    let section = |path: &str| path.split(['.', '[']).next().unwrap_or(path).to_owned();
    let part = |(code, sections): (&'static str, &[&str])| {
        let rows_of = |wanted: &str| {
            // An entry of the mix goes by its name in its path.
            let own =
                leaves.iter().filter(move |(path, _)| section(path) == wanted && !path.ends_with("].name"));
            own.map(|(path, value)| row(frame.lang, path, value)).collect::<Vec<_>>()
        };
        let mut rows: Vec<Row> = Vec::new();
        let mut other = Vec::new();
        for one in sections {
            if *one == "other" { other.extend(rows_of(one)) } else { rows.extend(rows_of(one)) }
        }
        // What has a name in words is read first.
        rows.sort_by_key(|row| row.label.is_none());
        Part { code, title: frame.word("sheet", code), rows, other }
    };
    let parts = PARTS.into_iter().map(part);
    parts.filter(|part| !part.rows.is_empty() || !part.other.is_empty()).collect()
}

fn row(lang: Language, path: &str, value: &str) -> Row {
    let count = value.parse::<u64>().ok().filter(|_| path != "seed" && !path.ends_with("vocab_size"));
    Row {
        label: lang.find(&format!("spec_key.{}", path.replace('.', "_"))),
        path: path.to_owned(),
        value: count.map_or_else(|| value.to_owned(), format::count),
    }
}

/// A warning in the reader's language.
pub(super) fn warnings(lang: Language, found: &[Warning]) -> Vec<(&'static str, String)> {
    found.iter().map(|warning| (warning.code, warning.text.get(lang).to_owned())).collect()
}

/// A setting that differs.
pub(super) struct Difference {
    pub(super) path: String,
    /// In the other specification, and in the own one; none where it is not said.
    pub(super) values: [Option<String>; 2],
}

/// Only what differs from another specification.
pub(super) fn differences(theirs: Option<&Value>, ours: Option<&Value>) -> Vec<Difference> {
    let value = |values: &[Option<String>], at: usize| values.get(at).cloned().flatten();
    specs::differing(&[theirs, ours])
        .into_iter()
        .map(|one| Difference { values: [value(&one.values, 0), value(&one.values, 1)], path: one.path })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::web::pages::fixtures;

    #[test]
    fn the_sheet_has_the_order_of_the_field_and_names_what_it_can() {
        let spec = json!({ "trainer": "megatron", "other": { "tensor_model_parallel_size": 8 },
            "optimizer": { "eps": 1e-5, "lr": 3e-4 }, "data": { "sequence_length": 8192 }, "model": { "hidden_size": 4096 } });
        let frame = fixtures::frame(Language::Ja, "/");
        let parts = sheet(&frame, &spec);
        assert_eq!(
            parts.iter().map(|part| part.code).collect::<Vec<_>>(),
            ["model", "dataset", "training", "environment"]
        );
        let epsilon = &parts[2].rows[0];
        assert_eq!((epsilon.label, epsilon.value.as_str()), (Some("AdamWのε"), "1e-5"));
        assert_eq!(parts[1].rows[0].value, "8,192");
        assert_eq!(parts[3].other[0].path, "other.tensor_model_parallel_size");
        let found = differences(Some(&json!({ "a": 1, "b": 2 })), Some(&json!({ "a": 1, "c": 3 })));
        let found: Vec<_> =
            found.iter().map(|d| (d.path.as_str(), d.values.each_ref().map(Option::as_deref))).collect();
        assert_eq!(found, [("b", [Some("2"), None]), ("c", [None, Some("3")])]);
    }
}
