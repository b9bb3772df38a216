//! `/webhooks/events`: what can be told, by the names that filters use.

use askama::Template;
use axum::response::Response;
use sekisho_domain::Language;
use sekisho_domain::webhook::EventType;

use super::parts;
use crate::WebError;
use crate::web::frame::Frame;
use crate::web::i18n::Words as _;

#[derive(Template)]
#[template(path = "webhooks/events.html")]
struct EventsPage {
    frame: Frame,
    how: Vec<String>,
    rows: Vec<EventRow>,
}

struct EventRow {
    name: &'static str,
    when: &'static str,
    example: String,
}

/// `GET /webhooks/events`.
pub(crate) async fn show(frame: Frame) -> Result<Response, WebError> {
    parts::page(&page(frame))
}

fn page(frame: Frame) -> EventsPage {
    let row = |kind: &EventType| EventRow {
        name: kind.as_str(),
        when: frame.word("webhook_event", kind.key()),
        example: example(frame.lang, *kind),
    };
    EventsPage {
        how: vec!["sekisho webhook events".to_owned(), "GET /api/v1/webhooks/events".to_owned()],
        rows: EventType::ALL.iter().map(row).collect(),
        frame,
    }
}

/// A sentence about one made-up run and its release, without the facts that are told where they are known.
fn example(lang: Language, kind: EventType) -> String {
    let done =
        lang.fill("webhook_text.done_of", &[("done", &"500B"), ("planned", &"3.50T"), ("percent", &"14.3%")]);
    let reason = lang.t("webhooks.reason");
    let (private, card) = (lang.t("visibility.private"), lang.t("webhook_part.card"));
    let (from, to) = match kind {
        EventType::CorpusLevelChanged => ("L3", "LX"),
        _ => ("0.412", "0.371"),
    };
    let text = lang.fill(
        &format!("webhook_text.{}", kind.key()),
        &[
            ("run", &"v4-8b-exp2"),
            ("release", &"v4-8b"),
            ("subset", &"web-ja"),
            ("endpoint", &"slack-v4"),
            ("task", &"jsquad"),
            ("step", &"60,000"),
            ("done", &done),
            ("facts", &""),
            ("minutes", &45),
            ("days", &3),
            ("from", &from),
            ("to", &to),
            ("p", &"p < 0.001"),
            ("n", &2),
            ("m", &1),
            ("who", &"mori"),
            ("repo", &"lab/v4-8b"),
            ("visibility", &private),
            ("approved", &1),
            ("needed", &2),
            ("what", &card),
            ("k", &5),
            ("url", &"https://huggingface.co/lab/v4-8b"),
            ("new", &"v4-8b-2"),
            ("reason", &reason),
            ("comment", &reason),
        ],
    );
    text.trim_end().to_owned()
}

#[cfg(test)]
pub(super) fn samples(frame: &Frame) -> Vec<String> {
    let page = page(frame.clone());
    assert!(page.rows.iter().all(|row| !row.example.contains('{')), "every placeholder has a value");
    vec![page.render().expect("renders")]
}
