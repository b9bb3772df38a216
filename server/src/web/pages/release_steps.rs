//! The steps of a publication, or of what is done on the Hub after it.

use sekisho_hub::Step;
use sekisho_store::{PublishStep, StepState};

use super::release_view::Facts;
use crate::web::format;
use crate::web::frame::Frame;

pub(super) struct StepRow {
    pub(super) name: String,
    pub(super) state: &'static str,
    pub(super) detail: String,
    /// Of the step that carries the files: how many bytes.
    pub(super) bytes: Option<String>,
    pub(super) at: String,
}

/// In the order in which they began.
pub(super) fn rows(frame: &Frame, facts: &Facts) -> Vec<StepRow> {
    facts.steps.iter().map(|step| row(frame, step, facts)).collect()
}

fn row(frame: &Frame, step: &PublishStep, facts: &Facts) -> StepRow {
    let all: u64 = facts.files.iter().map(|file| file.size).sum();
    let bytes = (step.name == Step::Upload.as_str()).then(|| match (step.state, facts.more.progress) {
        (StepState::Intended, Some((done, total))) => {
            format!("{} / {}", format::bytes(done), format::bytes(total))
        }
        _ => frame.fill("release.bytes_all", "n", format::bytes(all)),
    });
    StepRow {
        bytes,
        name: step.name.clone(),
        state: match step.state {
            StepState::Intended if step.is_stop() => "unknown",
            StepState::Intended => "running",
            StepState::Done => "finished",
            StepState::Failed => "failed",
        },
        detail: step.detail.get(frame.lang).to_owned(),
        at: frame.stamp(&step.at),
    }
}

#[cfg(test)]
mod tests {
    use sekisho_domain::Language;

    use super::*;
    use crate::web::pages::fixtures;

    #[test]
    fn an_upload_says_how_far_it_is_and_how_much_there_was() {
        let frame = fixtures::frame(Language::Ja, "/");
        let mut facts = fixtures::release_facts(fixtures::release());
        let bytes = |facts: &Facts| {
            let rows = rows(&frame, facts);
            rows.into_iter().find(|row| row.name == "upload").and_then(|row| row.bytes)
        };
        assert_eq!(bytes(&facts).as_deref(), Some("ファイル合計 5.0 GB"));
        for step in &mut facts.steps {
            step.state = StepState::Intended;
        }
        assert_eq!(bytes(&facts).as_deref(), Some("1.1 GB / 3.2 GB"));
        assert!(rows(&frame, &facts).iter().all(|row| row.name == "upload" || row.bytes.is_none()));
    }
}
