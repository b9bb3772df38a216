use sekisho_domain::Sha256;
use sekisho_domain::evaluation::TaskRun;
use serde::Serialize;
use serde_json::ser::PrettyFormatter;

use crate::definition::{RequestRule, SourceRef, Split, SplitRule, TaskDefinition};
use crate::error::TaskError;
use crate::metric::Metric;
use crate::prompt::Question;
use crate::splits::Files;

/// `evaluation/<split>/<task>.json`; the order of the keys is part of the format.
#[derive(Serialize)]
struct Dataset<'a> {
    instruction: &'a str,
    output_length: u32,
    metrics: &'a [Metric],
    few_shots: [(); 0],
    samples: Vec<Sample>,
}

#[derive(Serialize)]
struct Sample {
    input: String,
    output: String,
}

/// The file `evaluation/<split>/<task>.json` that llm-jp-eval 1.3.0 builds from the same data, byte for byte: what Python's
/// `json.dump(…, ensure_ascii=False, indent=4)` writes. `accept` and `read` as in [`load`](crate::load).
///
/// # Errors
/// [`TaskError::Dataset`] for a task of another harness, and what [`load`](crate::load) refuses.
pub fn dataset_json(
    definition: &TaskDefinition,
    split: Split,
    accept: &[Sha256],
    read: &dyn Fn(&SourceRef) -> Result<Vec<u8>, String>,
) -> Result<String, TaskError> {
    let RequestRule::Generate { max_new_tokens, .. } = definition.request else {
        return Err(unfit(
            definition,
            split,
            "it does not generate, and the format holds inputs and outputs",
        ));
    };
    if definition.splits == SplitRule::Files {
        return Err(unfit(definition, split, "none of llm-jp-eval's processors splits its files"));
    }
    if !definition.shots.literal.is_empty() {
        return Err(unfit(definition, split, "its examples are written out, as before release 1.3"));
    }
    let run = TaskRun {
        profile: definition.profile.clone(),
        task: definition.task.clone(),
        split: split.to_string(),
        limit: None,
        shots: Some(0),
    };
    let files = Files::read(definition, &definition.sources_for(&run)?, accept, read)?;
    let sample = |row: &&crate::reader::Row| {
        let mut question = Question::new(definition, row)?;
        Ok(Sample { input: question.inputs.swap_remove(0), output: question.output })
    };
    Ok(python_json(&Dataset {
        instruction: &definition.prompt.instruction,
        output_length: max_new_tokens,
        metrics: &definition.metrics,
        few_shots: [],
        samples: files.rows(definition, split).iter().map(sample).collect::<Result<_, TaskError>>()?,
    }))
}

fn unfit(definition: &TaskDefinition, split: Split, reason: &'static str) -> TaskError {
    TaskError::Dataset { task: definition.name(), split, reason }
}

/// Four spaces of indentation, no newline at the end; strings are escaped by the same rules in both languages.
fn python_json(value: &impl Serialize) -> String {
    let mut bytes = Vec::new();
    let mut serializer =
        serde_json::Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(b"    "));
    value.serialize(&mut serializer).expect("strings, numbers and lists, written to memory");
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

#[cfg(test)]
mod tests {
    use super::{Dataset, Sample, python_json};
    use crate::metric::Metric;

    #[test]
    fn the_text_is_pythons() {
        let text = python_json(&Dataset {
            instruction: "改行\n",
            output_length: 1,
            metrics: &[Metric::CharF1],
            few_shots: [],
            samples: vec![Sample { input: "\"\\\u{1}\u{7f}/\u{2028}".to_owned(), output: String::new() }],
        });
        // json.dumps({...}, ensure_ascii=False, indent=4) of CPython 3.11.
        let expected = "{\n    \"instruction\": \"改行\\n\",\n    \"output_length\": 1,\n    \"metrics\": [\n        \"char_f1\"\n    ],\n    \
                        \"few_shots\": [],\n    \"samples\": [\n        {\n            \"input\": \"\\\"\\\\\\u0001\u{7f}/\u{2028}\",\n            \
                        \"output\": \"\"\n        }\n    ]\n}";
        assert_eq!(text, expected);
    }
}
