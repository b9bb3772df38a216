//! A model card as HTML. Only what Markdown itself makes: HTML in the card is shown as text, links lead to the web or nowhere.

use pulldown_cmark::{Alignment, CowStr, Event, Options, Parser, Tag, html};

/// Renders a card. Its front matter is shown as it stands.
pub(super) fn render(text: &str) -> String {
    let options = Options::ENABLE_TABLES;
    let (front, body) = front_matter(text);
    let mut out = String::new();
    if let Some(front) = front {
        let block = [
            Event::Start(Tag::CodeBlock(pulldown_cmark::CodeBlockKind::Indented)),
            Event::Text(front.into()),
            Event::End(pulldown_cmark::TagEnd::CodeBlock),
        ];
        html::push_html(&mut out, block.into_iter());
    }
    html::push_html(&mut out, Parser::new_ext(body, options).map(harmless));
    out.replace("<th>", "<th scope=\"col\">")
}

/// `---`, YAML, `---`, and the rest.
fn front_matter(text: &str) -> (Option<&str>, &str) {
    let found = text.strip_prefix("---\n").and_then(|rest| rest.split_once("\n---\n"));
    found.map_or((None, text), |(front, body)| (Some(front), body))
}

fn harmless(event: Event<'_>) -> Event<'_> {
    match event {
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            Event::Start(Tag::Link { link_type, dest_url: web_only(dest_url), title, id })
        }
        // Alignment would be an inline style, which the content security policy forbids.
        Event::Start(Tag::Table(columns)) => Event::Start(Tag::Table(vec![Alignment::None; columns.len()])),
        // A picture would be fetched from elsewhere; its description stays.
        Event::Start(Tag::Image { .. }) => Event::Start(Tag::Emphasis),
        Event::End(pulldown_cmark::TagEnd::Image) => Event::End(pulldown_cmark::TagEnd::Emphasis),
        other => other,
    }
}

/// The two cards lead to each other, here as on the Hub.
fn web_only(url: CowStr<'_>) -> CowStr<'_> {
    match &*url {
        "README.md" => return CowStr::Borrowed("?card=en#card"),
        "README_ja.md" => return CowStr::Borrowed("?card=ja#card"),
        _ => {}
    }
    let is_web = ["https://", "http://", "#"].iter().any(|begin| url.starts_with(begin));
    if is_web { url } else { CowStr::Borrowed("#") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cards_lead_to_each_other() {
        let html = render("[日本語](README_ja.md) [English](README.md) [x](README_ja.md.exe)");
        assert!(
            html.contains(r##"href="?card=ja#card""##) && html.contains(r##"href="?card=en#card""##),
            "{html}"
        );
        assert!(html.contains(r##"href="#""##), "{html}");
    }

    #[test]
    fn a_card_cannot_bring_scripts_pictures_or_script_links() {
        let text = "---\nlicense: llama3.1\n---\n# Built with Llama\n\n<script>x</script> <b onclick=x>b</b>\n\n[a](javascript:x) [b](https://e.org) ![p](https://e.org/p.png)\n\n| t | s |\n|---|--:|\n| NIILC | 0.4 |\n";
        let html = render(text);
        assert!(html.contains("<h1>Built with Llama</h1>") && html.contains("<td>NIILC</td>"), "{html}");
        assert!(html.contains("license: llama3.1") && html.contains(r#"href="https://e.org""#), "{html}");
        for forbidden in ["<script", "<b ", "javascript:", "<img", "style="] {
            assert!(!html.contains(forbidden), "{forbidden} in {html}");
        }
    }
}
