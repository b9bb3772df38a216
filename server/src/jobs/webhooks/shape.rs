//! The bodies of messages: Standard Webhooks, or what a chat takes.

use sekisho_domain::webhook::{EventType, MessageLanguage, PayloadFormat};
use sekisho_domain::{Language, Text, Timestamp};
use sekisho_store::Endpoint;
use serde_json::{Map, Value, json};

use super::told::Told;
use crate::App;
use crate::web::i18n::Words as _;

/// The body of a message, byte for byte as it is signed and sent.
pub(super) fn body(endpoint: &Endpoint, kind: EventType, at: Timestamp, told: &Told) -> String {
    match endpoint.format {
        PayloadFormat::Standard => standard(endpoint, kind, at, told).to_string(),
        PayloadFormat::Slack => slack(endpoint, told).to_string(),
        PayloadFormat::Discord => discord(endpoint, told).to_string(),
    }
}

/// The body of a ping.
#[must_use]
pub fn ping(app: &App, endpoint: &Endpoint) -> String {
    let fill = |lang: Language| lang.fill("webhook_text.webhook_ping", &[("endpoint", &endpoint.name)]);
    let told = Told {
        project: Some(endpoint.project.clone()),
        text: Text { en: fill(Language::En), ja: fill(Language::Ja) },
        data: Map::from_iter([("endpoint".to_owned(), json!(endpoint.id))]),
        page: format!("{}/webhooks/{}", app.config.public_url, endpoint.id),
        api: format!("{}/api/v1/webhooks/{}", app.config.public_url, endpoint.id),
    };
    body(endpoint, EventType::WebhookPing, app.now(), &told)
}

/// The languages in which an endpoint wants its sentences.
fn languages(endpoint: &Endpoint) -> &'static [Language] {
    match endpoint.language {
        MessageLanguage::Ja => &[Language::Ja],
        MessageLanguage::En => &[Language::En],
        MessageLanguage::Both => &[Language::Ja, Language::En],
    }
}

fn standard(endpoint: &Endpoint, kind: EventType, at: Timestamp, told: &Told) -> Value {
    let sentence = |lang: &Language| (lang.as_str().to_owned(), json!(told.text.get(*lang)));
    let mut data = told.data.clone();
    data.insert("project".to_owned(), json!(told.project));
    data.insert("links".to_owned(), json!({ "page": told.page, "api": told.api }));
    data.insert("text".to_owned(), languages(endpoint).iter().map(sentence).collect::<Map<_, _>>().into());
    json!({ "type": kind, "timestamp": at, "data": data })
}

/// What Slack's incoming webhooks take (<https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>). They answer no
/// time stamp of the message, so there is nothing that a later one could be threaded to; each line begins with its run or release.
fn slack(endpoint: &Endpoint, told: &Told) -> Value {
    let lines = lines(endpoint, told, slack_text, |label| format!("<{}|{label}>", told.page));
    json!({ "text": lines, "unfurl_links": false })
}

/// What Discord's webhooks take (<https://discord.com/developers/docs/resources/webhook#execute-webhook>): nobody is mentioned by what
/// a name or a comment holds. A thread is chosen by `?thread_id=` in the endpoint's URL.
fn discord(endpoint: &Endpoint, told: &Told) -> Value {
    let lines = lines(endpoint, told, discord_text, |_| format!("<{}>", told.page));
    json!({ "content": lines.chars().take(2000).collect::<String>(), "allowed_mentions": { "parse": [] } })
}

fn lines(
    endpoint: &Endpoint,
    told: &Told,
    escaped: fn(&str) -> String,
    link: impl Fn(&str) -> String,
) -> String {
    let languages = languages(endpoint);
    let mut lines: Vec<String> = languages.iter().map(|lang| escaped(told.text.get(*lang))).collect();
    lines.extend(languages.first().map(|lang| link(lang.t("webhook_text.open"))));
    lines.join("\n")
}

/// Slack reads `<…>` as links and mentions (<https://docs.slack.dev/messaging/formatting-message-text#escaping>).
fn slack_text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Discord reads Markdown.
fn discord_text(text: &str) -> String {
    let escape = |c: char| if "\\*_~`|<>[]#".contains(c) { format!("\\{c}") } else { c.to_string() };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use sekisho_domain::Tokens;
    use sekisho_domain::webhook::EndpointState;

    use super::*;

    fn endpoint(format: PayloadFormat, language: MessageLanguage) -> Endpoint {
        let now = Timestamp::from_unix_ms(1_795_000_000_000);
        Endpoint {
            id: "01kc0000000000000000000000".parse().expect("an id"),
            project: "v4".to_owned(),
            name: "lab".to_owned(),
            url: "https://example.org/".to_owned(),
            events: vec!["*".to_owned()],
            language,
            format,
            every_tokens: Some(Tokens(1)),
            state: EndpointState::Active,
            generation: 1,
            rotated: None,
            failures: 0,
            failing_since: None,
            not_before: now,
            created: now,
            updated: now,
        }
    }

    fn told() -> Told {
        Told {
            project: Some("v4".to_owned()),
            text: Text {
                en: "[Action] v4: *no* <!channel> & @everyone".to_owned(),
                ja: "【要対応】v4".to_owned(),
            },
            data: Map::from_iter([("step".to_owned(), json!(7))]),
            page: "https://sekisho.example/runs/v4".to_owned(),
            api: "https://sekisho.example/api/v1/runs/v4".to_owned(),
        }
    }

    fn of(format: PayloadFormat, language: MessageLanguage) -> Value {
        let at = Timestamp::from_unix_ms(1_795_000_000_000);
        let body = body(&endpoint(format, language), EventType::RunFailed, at, &told());
        serde_json::from_str(&body).expect("JSON")
    }

    #[test]
    fn a_message_is_what_the_standard_says() {
        assert_eq!(
            of(PayloadFormat::Standard, MessageLanguage::Both),
            json!({
                "type": "run.failed", "timestamp": "2026-11-18T11:06:40Z",
                "data": {
                    "step": 7, "project": "v4",
                    "links": { "page": "https://sekisho.example/runs/v4", "api": "https://sekisho.example/api/v1/runs/v4" },
                    "text": { "ja": "【要対応】v4", "en": "[Action] v4: *no* <!channel> & @everyone" },
                },
            })
        );
        assert_eq!(
            of(PayloadFormat::Standard, MessageLanguage::Ja)["data"]["text"],
            json!({ "ja": "【要対応】v4" })
        );
    }

    #[test]
    fn chats_get_their_own_shape_and_nobody_is_mentioned_by_a_name() {
        assert_eq!(
            of(PayloadFormat::Slack, MessageLanguage::Both)["text"],
            "【要対応】v4\n[Action] v4: *no* &lt;!channel&gt; &amp; @everyone\n<https://sekisho.example/runs/v4|Sekishoで開く>"
        );
        let discord = of(PayloadFormat::Discord, MessageLanguage::En);
        assert_eq!(
            discord["content"],
            "\\[Action\\] v4: \\*no\\* \\<!channel\\> & @everyone\n<https://sekisho.example/runs/v4>"
        );
        assert_eq!(discord["allowed_mentions"], json!({ "parse": [] }));
    }
}
