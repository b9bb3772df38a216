//! What of a service an export has: which pages and files, in which states, and under which names.

use sekisho_domain::{Language, Sha256};

use super::Wanted;

/// A page or a file of the service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Address {
    pub(super) kind: Kind,
    path: String,
    /// As it is written, by name; what a reader chooses for themselves (language, theme) is not in it.
    query: Vec<(String, String)>,
    /// Of a page.
    lang: Option<Language>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Page,
    /// The same numbers as CSV or JSON.
    Data,
    /// Style sheet, script, icon.
    Asset,
}

/// The values of a page's address that make a page of their own in an export; an address with others has none.
const STATES: [(&str, Kind, &[&str]); 11] = [
    ("/", Kind::Page, &[]),
    ("/leaderboard", Kind::Page, &["page", "preset", "suite", "view"]),
    ("/leaderboard/reported", Kind::Page, &[]),
    ("/leaderboard.csv", Kind::Data, &["page", "preset", "suite"]),
    ("/leaderboard.json", Kind::Data, &["page", "preset", "suite"]),
    ("/runs", Kind::Page, &[]),
    ("/runs/*", Kind::Page, &["stage", "tab", "x"]),
    ("/runs/*/*.csv", Kind::Data, &["stage", "tab", "x"]),
    ("/runs/*/*.json", Kind::Data, &["stage", "tab", "x"]),
    ("/runs/*/*.svg", Kind::Data, &["stage", "tab", "x"]),
    ("/checkpoints/*", Kind::Page, &[]),
];

/// The parts of a run's page that stay in the service: what it was trained on, document by document, and the output of its processes.
const INSIDE: [&str; 2] = ["data", "log"];

impl Address {
    /// What a link on a page leads to, if the export has it, and the fragment. `lang` is the page's own language.
    pub(super) fn of(href: &str, lang: Language, wanted: &Wanted) -> Option<(Self, String)> {
        let (rest, fragment) = href.split_once('#').unwrap_or((href, ""));
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        if !path.starts_with('/') || path.starts_with("//") {
            return None;
        }
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let mut query: Vec<(String, String)> = pairs
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let said = query.iter().find(|(name, _)| name == "lang").and_then(|(_, code)| code.parse().ok());
        query.retain(|(name, _)| !["lang", "theme", "site"].contains(&name.as_str()));
        query.sort();
        let kind = kind(path, &query)?;
        if path.starts_with("/leaderboard") && path != "/leaderboard/reported" {
            wanted.choose_board(&mut query)?;
        }
        if let Some(run) = path.strip_prefix("/runs/").and_then(|rest| rest.split('/').next()) {
            wanted.takes(run).then_some(())?;
        }
        let lang = match kind {
            Kind::Page => Some(said.unwrap_or(lang)).filter(|lang| wanted.langs.contains(lang)).map(Some)?,
            Kind::Data | Kind::Asset => None,
        };
        Some((Self { kind, path: path.to_owned(), query, lang }, fragment.to_owned()))
    }

    /// Where the service has it, for an export of this `site`.
    pub(super) fn at(&self, site: &str, lang: Language) -> String {
        let mut query = self.query.clone();
        query.push(("lang".to_owned(), self.lang.unwrap_or(lang).to_string()));
        query.push(("site".to_owned(), site.to_owned()));
        let pairs: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{}?{}", self.path, pairs.join("&"))
    }

    /// The language of a page; that of the export's first page for what has none.
    pub(super) fn lang(&self, wanted: &Wanted) -> Language {
        self.lang.unwrap_or(wanted.langs[0])
    }

    /// Where the export has it.
    pub(super) fn file(&self, wanted: &Wanted) -> String {
        let inside = self.path.trim_start_matches('/');
        match (self.kind, self.lang) {
            (Kind::Asset, _) => format!("assets/{}", self.path.rsplit('/').next().unwrap_or_default()),
            (Kind::Page, lang) if inside.is_empty() => match lang.filter(|lang| *lang != wanted.langs[0]) {
                Some(lang) => format!("{lang}/index.html"),
                None => "index.html".to_owned(),
            },
            (Kind::Page, lang) => {
                format!("{}/{}.html", lang.unwrap_or(wanted.langs[0]), self.name(inside))
            }
            (Kind::Data, _) => {
                let (stem, end) = inside.rsplit_once('.').unwrap_or((inside, ""));
                format!("data/{}.{end}", self.name(stem))
            }
        }
    }

    /// A file's name for a path with its query: what every file system takes, told apart where two would be alike.
    fn name(&self, path: &str) -> String {
        let states: String = self.query.iter().map(|(name, value)| format!("-{name}-{value}")).collect();
        let whole = format!("{path}{states}");
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._/".contains(c);
        if whole.chars().all(is_plain) {
            return whole;
        }
        let safe: String =
            whole.chars().map(|c| if is_plain(c) || c.is_ascii_uppercase() { c } else { '_' }).collect();
        format!("{safe}-{}", Sha256::of(&whole).short())
    }
}

fn kind(path: &str, query: &[(String, String)]) -> Option<Kind> {
    if path.starts_with("/static/") {
        return Some(Kind::Asset);
    }
    if query.iter().any(|(name, value)| name == "tab" && INSIDE.contains(&value.as_str())) {
        return None;
    }
    let (_, kind, states) = STATES.iter().find(|(pattern, ..)| fits(pattern, path))?;
    query.iter().all(|(name, _)| states.contains(&name.as_str())).then_some(*kind)
}

/// Whether a path is of that pattern, in which `*` is a part of it or its beginning.
fn fits(pattern: &str, path: &str) -> bool {
    let (patterns, parts) = (pattern.split('/'), path.split('/'));
    patterns.clone().count() == parts.clone().count()
        && patterns.zip(parts).all(|(pattern, part)| match pattern.strip_prefix('*') {
            Some(end) => part.len() > end.len() && part.ends_with(end),
            None => part == pattern,
        })
}

/// The way from one file of the export to another.
pub(super) fn relative(from: &str, to: &str) -> String {
    let up = "../".repeat(from.matches('/').count());
    format!("{up}{to}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(langs: &[Language], runs: &[&str], presets: &[&str]) -> Wanted {
        let all = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Wanted { langs: langs.to_vec(), runs: all(runs), presets: all(presets) }
    }

    fn file(href: &str, wanted: &Wanted) -> Option<String> {
        Address::of(href, Language::Ja, wanted).map(|(address, _)| address.file(wanted))
    }

    #[test]
    fn states_that_an_export_has_are_files_and_others_are_not() {
        let both = wanted(&[Language::Ja, Language::En], &[], &[]);
        for (href, found) in [
            ("/", Some("index.html")),
            ("/?lang=en", Some("en/index.html")),
            (
                "/leaderboard?view=bars&preset=ja-4&theme=dark",
                Some("ja/leaderboard-preset-ja-4-view-bars.html"),
            ),
            ("/leaderboard?lang=en&preset=ja-4", Some("en/leaderboard-preset-ja-4.html")),
            ("/leaderboard?preset=ja-4&sort=mean", None),
            ("/leaderboard.csv?preset=ja-4", Some("data/leaderboard-preset-ja-4.csv")),
            ("/runs/v4-8b_exp2", Some("ja/runs/v4-8b_exp2.html")),
            ("/runs/v4/events/01", None),
            ("/runs/v4?tab=curves&x=steps", Some("ja/runs/v4-tab-curves-x-steps.html")),
            ("/runs/v4?tab=log", None),
            ("/runs/v4?with=v5", None),
            ("/runs/v4/mean.svg?x=steps", Some("data/runs/v4/mean-x-steps.svg")),
            ("/runs/", None),
            ("/runs/v4/metrics.csv", Some("data/runs/v4/metrics.csv")),
            ("/checkpoints/01kc#files", Some("ja/checkpoints/01kc.html")),
            ("/evals/01kc", None),
            ("/login?next=%2F", None),
            ("//evil.example/", None),
            ("https://example.org/", None),
            ("/static/abc/app.css", Some("assets/app.css")),
        ] {
            let name = file(href, &both);
            assert_eq!(name.as_deref(), found, "{href}");
        }
        assert_ne!(file("/runs/V4", &both), file("/runs/v4", &both));
        assert_ne!(file("/runs/%E6%A3%AE", &both), file("/runs/%E6%9E%97", &both));
        assert_eq!(
            file("/?lang=en", &wanted(&[Language::Ja], &[], &[])),
            None,
            "no link to what is not there"
        );
    }

    #[test]
    fn a_choice_of_runs_and_presets_narrows_what_links_lead_to() {
        let few = wanted(&[Language::Ja], &["v4"], &["ja-4", "early"]);
        assert!(file("/runs/v4", &few).is_some());
        assert_eq!(file("/runs/v5", &few), None);
        assert_eq!(file("/runs/v5/metrics.csv", &few), None);
        assert_eq!(file("/leaderboard", &few).as_deref(), Some("ja/leaderboard-preset-ja-4.html"));
        assert_eq!(
            file("/leaderboard?preset=early", &few).as_deref(),
            Some("ja/leaderboard-preset-early.html")
        );
        assert_eq!(file("/leaderboard?preset=swallow-ja", &few), None);
        assert_eq!(file("/leaderboard?suite=mine", &few), None);
        assert!(file("/leaderboard/reported", &few).is_some());
    }

    #[test]
    fn a_link_is_relative_to_the_file_that_it_is_on() {
        assert_eq!(relative("index.html", "ja/runs.html"), "ja/runs.html");
        assert_eq!(relative("ja/runs/v4.html", "assets/app.css"), "../../assets/app.css");
    }
}
