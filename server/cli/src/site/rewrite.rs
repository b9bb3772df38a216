//! Pages of the service as files: links lead to other files, and what needs a service is gone. What it reads are our own pages, in which
//! every attribute has double quotes and every other `<`, `>` and `"` is escaped.

/// Where a link of the page leads in its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// As it is: within the page, or on another site.
    Same,
    /// To another file.
    File(String),
    /// Nowhere; its text stays.
    Gone,
}

/// The page with every link as `find` says, without forms and without scripts that `find` knows no file for.
pub(super) fn rewritten(page: &str, find: impl Fn(&str) -> Link) -> String {
    let mut out = String::with_capacity(page.len());
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.find('>').map_or(rest.len(), |end| end + 1);
        let tag = &rest[..end];
        rest = &rest[end..];
        match name(tag) {
            "form" => rest = after(rest, "</form>"),
            "script" => {
                if let Some(Link::File(file)) = attribute(tag, "src").map(|src| find(&unescaped(src))) {
                    // Modules are not read from files: browsers take each file for a site of its own.
                    out.push_str(&format!("<script defer src=\"{file}\"></script>"));
                }
                rest = after(rest, "</script>");
            }
            _ => out.push_str(&linked(tag, &find)),
        }
    }
    out.push_str(rest);
    out
}

/// Where the links of a page lead, each as it is written.
pub(super) fn links(page: &str) -> Vec<String> {
    let tags = page.split('<').skip(1).filter_map(|rest| rest.split('>').next());
    let found = |tag: &str| [attribute(tag, "href"), attribute(tag, "src")].map(|value| value.map(unescaped));
    tags.flat_map(found).flatten().collect()
}

/// A script as a file of its own: what it declares stays its own, as in a module.
pub(super) fn script(text: &str) -> String {
    format!("(() => {{\n{text}}})();\n")
}

fn linked(tag: &str, find: &impl Fn(&str) -> Link) -> String {
    let mut tag = tag.to_owned();
    for name in ["href", "src"] {
        let Some(value) = attribute(&tag, name).map(ToOwned::to_owned) else { continue };
        let written = format!("{name}=\"{value}\"");
        match find(&unescaped(&value)) {
            Link::Same => {}
            Link::File(file) => tag = tag.replacen(&written, &format!("{name}=\"{file}\""), 1),
            Link::Gone => tag = tag.replacen(&format!(" {written}"), "", 1),
        }
    }
    tag
}

fn name(tag: &str) -> &str {
    tag[1..].split(|c: char| c.is_whitespace() || c == '>').next().unwrap_or_default()
}

/// The value of an attribute, as it is written.
fn attribute<'t>(tag: &'t str, name: &str) -> Option<&'t str> {
    let begin = format!(" {name}=\"");
    let (_, rest) = tag.split_once(begin.as_str())?;
    rest.split('"').next()
}

fn after<'t>(text: &'t str, end: &str) -> &'t str {
    text.split_once(end).map_or("", |(_, rest)| rest)
}

fn unescaped(text: &str) -> String {
    let plain = |text: String, (written, meant): &(&str, &str)| text.replace(written, meant);
    [("&#38;", "&"), ("&#34;", "\""), ("&#39;", "'"), ("&#60;", "<"), ("&#62;", ">"), ("&amp;", "&")]
        .iter()
        .fold(text.to_owned(), plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(href: &str) -> Link {
        match href {
            "/runs/v4?x=steps&tab=a" => Link::File("../runs/v4-x.html#top".to_owned()),
            "/static/1/app.js" => Link::File("assets/app.js".to_owned()),
            href if href.starts_with('#') || href.starts_with("https://") => Link::Same,
            _ => Link::Gone,
        }
    }

    #[test]
    fn a_link_leads_to_a_file_or_is_its_text() {
        let page = "<p class=\"a\"><a href=\"/runs/v4?x=steps&#38;tab=a\" rel=\"x\">森 <b>1</b> &#60;a href=\"</a> \
                    <a href=\"/evals/1\" title=\"t\">2</a><a class=\"b\" href=\"#id\">3</a><a href=\"https://example.org/\">4</a></p>";
        assert_eq!(
            rewritten(page, find),
            "<p class=\"a\"><a href=\"../runs/v4-x.html#top\" rel=\"x\">森 <b>1</b> &#60;a href=\"</a> \
             <a title=\"t\">2</a><a class=\"b\" href=\"#id\">3</a><a href=\"https://example.org/\">4</a></p>"
        );
        assert_eq!(links(page), ["/runs/v4?x=steps&tab=a", "/evals/1", "#id", "https://example.org/"]);
    }

    #[test]
    fn what_needs_a_service_is_gone() {
        let page = "<form method=\"post\" action=\"/logout\"><button>x</button></form>\
                    <script type=\"module\" nonce=\"n\" src=\"/static/1/app.js\"></script>\
                    <script type=\"module\" nonce=\"n\" src=\"/static/1/live.js\"></script><data href2=\"/x\">";
        assert_eq!(rewritten(page, find), "<script defer src=\"assets/app.js\"></script><data href2=\"/x\">");
        assert_eq!(rewritten("no tag, a & b", find), "no tag, a & b");
    }

    #[test]
    fn two_scripts_may_use_the_same_names() {
        assert_eq!(script("const a = 1;\n"), "(() => {\nconst a = 1;\n})();\n");
    }
}
