//! The words of the pages: one catalogue per language, from key to text with `{placeholders}`.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::LazyLock;

use sekisho_domain::Language;

type Catalogue = BTreeMap<String, String>;

static JA: LazyLock<Catalogue> = LazyLock::new(|| read(include_str!("../../../templates/locales/ja.toml")));
static EN: LazyLock<Catalogue> = LazyLock::new(|| read(include_str!("../../../templates/locales/en.toml")));

/// What a language says on the pages.
pub(crate) trait Words: Copy {
    /// The text of a key. A test holds every key that pages use to be in both catalogues.
    fn t(self, key: &str) -> &'static str;

    /// The text of a key, if there is one.
    fn find(self, key: &str) -> Option<&'static str>;

    /// The text of a key with its placeholders filled in.
    fn fill(self, key: &str, values: &[(&str, &dyn Display)]) -> String {
        values.iter().fold(self.t(key).to_owned(), |text, (name, value)| {
            text.replace(&format!("{{{name}}}"), &value.to_string())
        })
    }
}

impl Words for Language {
    fn t(self, key: &str) -> &'static str {
        self.find(key).unwrap_or("⟦?⟧")
    }

    fn find(self, key: &str) -> Option<&'static str> {
        catalogue(self).get(key).map(String::as_str)
    }
}

fn catalogue(lang: Language) -> &'static Catalogue {
    match lang {
        Language::Ja => &JA,
        Language::En => &EN,
    }
}

/// The language of an `Accept-Language` header: the first of ours in order of preference.
pub(crate) fn accepted(header: &str) -> Option<Language> {
    let mut wanted: Vec<(f64, &str)> = header
        .split(',')
        .map(|part| {
            let (tag, quality) = part.split_once(";q=").unwrap_or((part, "1"));
            (quality.trim().parse().unwrap_or(0.0), tag.trim())
        })
        .collect();
    wanted.sort_by(|a, b| b.0.total_cmp(&a.0));
    wanted.into_iter().find_map(|(_, tag)| tag.split('-').next()?.parse().ok())
}

/// Sections and keys of the file become `section.key`.
fn read(text: &str) -> Catalogue {
    let sections: BTreeMap<String, BTreeMap<String, String>> =
        toml::from_str(text).expect("the catalogues are compiled in, and a test reads them");
    sections
        .into_iter()
        .flat_map(|(section, texts)| {
            texts.into_iter().map(move |(key, text)| (format!("{section}.{key}"), text))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn placeholders(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect()
    }

    #[test]
    fn both_catalogues_have_the_same_keys_and_placeholders() {
        let keys = |lang: Language| catalogue(lang).keys().collect::<BTreeSet<_>>();
        assert_eq!(keys(Language::Ja), keys(Language::En));
        for (key, text) in catalogue(Language::Ja) {
            assert_eq!(placeholders(text), placeholders(Language::En.t(key)), "{key}");
        }
    }

    #[test]
    fn every_key_in_templates_and_pages_is_in_the_catalogues_and_every_text_is_used() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut sources = String::new();
        for folder in [root.join("../templates"), root.join("src/web"), root.join("src/jobs/webhooks")] {
            collect(&folder, &mut sources);
        }
        // Errors find their sentences by code.
        for file in ["src/error.rs", "src/error_ja.rs"] {
            sources.push_str(&fs_err::read_to_string(root.join(file)).expect("text"));
        }
        let begins = [r#".t(""#, r#".fill(""#, r#".find(""#];
        let used: BTreeSet<&str> = begins
            .iter()
            .flat_map(|begin| sources.split(begin).skip(1))
            .filter_map(|rest| rest.split('"').next())
            .filter(|key| key.contains('.'))
            .collect();
        assert!(used.len() > 100, "found only {} keys", used.len());
        for key in &used {
            assert!(Language::En.find(key).is_some(), "{key} is not in the catalogues");
        }
        // Keys made from the names of states are found by their section: `format!("run_state.{state}")`, `"run_state"`.
        for key in catalogue(Language::En).keys() {
            let section = key.split('.').next().unwrap_or(key);
            let forms = [format!("\"{key}\""), format!("\"{section}.{{"), format!("\"{section}\"")];
            assert!(forms.iter().any(|form| sources.contains(form)), "{key} is not used");
        }
    }

    fn collect(folder: &std::path::Path, into: &mut String) {
        for entry in fs_err::read_dir(folder).expect("folder") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                collect(&path, into);
            } else if path.extension().is_some_and(|e| e == "html" || e == "rs") {
                into.push_str(&fs_err::read_to_string(path).expect("text"));
            }
        }
    }

    #[test]
    fn the_language_is_negotiated() {
        assert_eq!(accepted("fr, en;q=0.5, ja;q=0.8"), Some(Language::Ja));
        assert_eq!(accepted("ja-JP,en-US;q=0.9"), Some(Language::Ja));
        assert_eq!(accepted("de"), None);
        assert_eq!(Language::En.fill("score.tasks_done", &[("done", &1), ("of", &"2")]), "1 of 2 tasks");
    }
}
