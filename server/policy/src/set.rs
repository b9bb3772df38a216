//! A policy set: the rules as data.

mod builtin;
mod check;
mod file;
mod license;
mod rules;
mod views;

use sekisho_domain::{Sha256, Text, TomlError, nearest, parse_toml};

use builtin::BUILT_IN;
pub use builtin::license_text;
use file::SetFile;
pub(crate) use license::KnownText;
pub use license::{Duty, LicenseClass, LicenseRule, Use};
pub use rules::{
    ClaimRule, Gate, Gates, House, LevelRule, NoRegression, Permit, Required, Requirement, Strictness,
    Waivers,
};
pub(crate) use rules::{Rules, Softened};
pub use views::{LevelUse, NamingRule, RequiredFile};

/// A versioned set of rules, identified by the SHA-256 of its text.
#[derive(Clone, Debug)]
pub struct PolicySet {
    rules: Rules,
    text: String,
    digest: Sha256,
}

/// A policy set that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// No built-in set of this name.
    #[error("there is no policy set \"{name}\"{hint}; built in: {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// `; did you mean …?`, or empty.
        hint: String,
        /// The names there are.
        known: String,
    },
    /// The text is not valid TOML of a policy set.
    #[error(transparent)]
    Toml(#[from] TomlError),
    /// A rule contradicts another.
    #[error("{file}: {message}")]
    Rule {
        /// The file.
        file: String,
        /// What is wrong, and what is expected.
        message: String,
    },
}

impl PolicySet {
    /// A set that comes with Sekisho; `base` holds licences, levels, names and claims and no house rules.
    ///
    /// # Errors
    /// [`SetError::Unknown`] with the names there are.
    pub fn builtin(name: &str) -> Result<Self, SetError> {
        let Some((name, text, _)) = BUILT_IN.iter().find(|(known, ..)| *known == name) else {
            let known: Vec<&str> = Self::builtin_names().collect();
            let hint = nearest(name, known.iter().copied())
                .map_or_else(String::new, |near| format!("; did you mean \"{near}\"?"));
            return Err(SetError::Unknown { name: name.to_owned(), hint, known: known.join(", ") });
        };
        Self::from_toml(&format!("{name}.toml"), text)
    }

    /// The names of the sets that come with Sekisho, `base` first.
    pub fn builtin_names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, ..)| *name)
    }

    /// The text of a set that comes with Sekisho as it is written, with its comments; it may extend another.
    #[must_use]
    pub fn builtin_text(name: &str) -> Option<&'static str> {
        BUILT_IN.iter().find(|(known, ..)| *known == name).map(|(_, text, _)| *text)
    }

    /// The text of the cases beside a set that comes with Sekisho.
    #[must_use]
    pub fn cases(name: &str) -> Option<&'static str> {
        BUILT_IN.iter().find(|(known, ..)| *known == name).map(|(.., cases)| *cases)
    }

    /// Reads a set. With `extends` it is laid over that built-in set.
    ///
    /// # Errors
    /// [`SetError`] with file, place and rule.
    pub fn from_toml(file: &str, text: &str) -> Result<Self, SetError> {
        let rule = |message: String| SetError::Rule { file: file.to_owned(), message };
        let parsed: SetFile = parse_toml(file, text)?;
        let (rules, text) = match &parsed.extends {
            None => (parsed.complete().map_err(rule)?, text.to_owned()),
            Some(name) => {
                let below = Self::builtin(name).map_err(|error| rule(error.to_string()))?;
                let rules = parsed.over(&below.rules);
                let text = toml::to_string(&rules).map_err(|error| rule(error.to_string()))?;
                (rules, text)
            }
        };
        check::check(&rules).map_err(rule)?;
        Ok(Self { rules, digest: Sha256::of(&text), text })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.rules.name
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.rules.version
    }

    /// What it is, in both languages.
    #[must_use]
    pub const fn title(&self) -> Option<&Text> {
        self.rules.title.as_ref()
    }

    /// What its rules follow, one source a line.
    #[must_use]
    pub fn sources(&self) -> &[String] {
        &self.rules.source
    }

    /// Name and version of the set that it was laid over.
    #[must_use]
    pub fn based_on(&self) -> Option<&str> {
        self.rules.based_on.as_deref()
    }

    /// A text that holds all of its rules and needs no other set: as written, or, for a set that extends another, what came of both.
    /// Read again it is the same set under the same digest, whatever became of the other.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// SHA-256 of [`Self::text`].
    #[must_use]
    pub const fn digest(&self) -> Sha256 {
        self.digest
    }

    pub(crate) const fn rules(&self) -> &Rules {
        &self.rules
    }
}

#[cfg(test)]
mod tests {
    use super::{LevelUse, Permit, PolicySet, Required, SetError, Strictness};
    use crate::Duty;

    const HOUSE: &str = "extends = \"base\"\nname = \"house\"\nversion = \"1\"\n";

    fn refused(text: &str) -> String {
        PolicySet::from_toml("mine.toml", text).expect_err("not a set").to_string()
    }

    #[test]
    fn every_built_in_set_can_be_read_and_says_whose_it_is_not() {
        for name in PolicySet::builtin_names() {
            let set = PolicySet::builtin(name).expect("a built-in set is valid");
            assert_eq!(set.name(), name);
            assert!(!set.sources().is_empty() && set.title().is_some(), "{name}");
            assert_eq!(set.based_on().is_none(), name == "base");
            if let Some(title) = set.title().filter(|_| name != "base") {
                assert!(title.ja.ends_with("に基づく設定例"), "{}", title.ja);
                assert!(title.en.starts_with("Example after "), "{}", title.en);
                assert!(title.en.ends_with(" organisation's own"), "{}", title.en);
            }
        }
    }

    #[test]
    fn the_text_of_a_set_is_the_set() {
        for name in PolicySet::builtin_names() {
            let set = PolicySet::builtin(name).expect("built in");
            let again = PolicySet::from_toml("stored.toml", set.text()).expect("its own text");
            assert_eq!(again.rules(), set.rules(), "{name}");
            assert_eq!(again.digest(), set.digest(), "{name}");
        }
    }

    #[test]
    fn an_overlay_replaces_what_it_names_and_keeps_the_rest() {
        let base = PolicySet::builtin("base").expect("built in");
        let plain = PolicySet::from_toml("mine.toml", HOUSE).expect("an overlay of nothing");
        assert_eq!(plain.licenses(), base.licenses());
        assert_ne!(plain.digest(), base.digest(), "another name is another set");
        let text = format!(
            "{HOUSE}
[house]
share_alike = \"refuse\"
require = [\"card-ja\"]
[[level]]
id = \"L1\"
use = true
train = true
redistribute = \"ask\"
[[license]]
id = \"gemma\"
class = \"restricted\"
source = \"mine\"
[[license]]
id = \"lab-1.0\"
class = \"permissive\"
source = \"mine\"
"
        );
        let set = PolicySet::from_toml("mine.toml", &text).expect("valid");
        assert_eq!(set.licenses().len(), base.licenses().len() + 1);
        assert_eq!(set.license("gemma").map(|rule| rule.uses(Duty::Declare)), Some(Vec::new()));
        assert_eq!(set.license("llama3"), base.license("llama3"));
        let level = set.level("L1").expect("L1");
        assert_eq!(LevelUse::Redistribute.permit(level), Permit::Ask);
        assert!(
            !level.redistribute.allows() && !level.search.allows(),
            "what is not written is not permitted"
        );
        assert_eq!(set.house().share_alike, Some(Strictness::Refuse));
        assert!(set.house().requires(Required::CardJa) && !set.house().requires(Required::CardEn));
        assert_ne!(set.digest(), plain.digest());
        assert_eq!(set.based_on(), Some(format!("base {}", base.version()).as_str()));
    }

    #[test]
    fn a_set_that_cannot_be_meant_is_refused_with_the_way_on() {
        for (text, says) in [
            (format!("{HOUSE}[house]\nshare_alik = \"warn\"\n"), "mine.toml:5:1: unknown field `share_alik`"),
            (format!("{HOUSE}[house]\nshare_alik = \"warn\"\n"), "did you mean \"share_alike\"?"),
            (format!("{HOUSE}[house]\nshare_alike = \"refuze\"\n"), "did you mean \"refuse\"?"),
            (HOUSE.replace("\"base\"", "\"bas\""), "did you mean \"base\"?"),
            (HOUSE.replace("extends = \"base\"", ""), "extends = \"base\""),
            (
                format!("{HOUSE}[house]\nwaivers.never = [\"noncommercial\"]\n"),
                "did you mean \"noncommercial-input\"?",
            ),
            (format!("{HOUSE}[house]\ndefault_license = \"llama3\"\n"), "is not an open licence"),
            (format!("{HOUSE}[house]\ndefault_license = \"apache\"\n"), "no licence of this set"),
            (format!("{HOUSE}[gates]\ncontamination = 5\n"), "from 0 to 1"),
            (format!("{HOUSE}[gates]\nno_regression = \"some\"\n"), "a list of tasks"),
            (
                format!("{HOUSE}[[gate]]\nprofile = \"p\"\ntask = \"t\"\n"),
                "neither at_least nor contamination",
            ),
            (
                format!("{HOUSE}[[level]]\nid = \"L1\"\nuse = true\ntrain = \"no\"\nredistribute = true\n"),
                "expected true, false or \"ask\"",
            ),
        ] {
            let error = refused(&text);
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn an_unknown_set_is_answered_with_the_nearest() {
        let error = PolicySet::builtin("bas").expect_err("no such set");
        assert_eq!(
            error.to_string(),
            "there is no policy set \"bas\"; did you mean \"base\"?; built in: base, llm-jp-2025, swallow, strict"
        );
    }

    #[test]
    fn a_duty_without_its_text_is_refused() {
        let base = include_str!("../sets/base.toml");
        let broken = base.replacen("notice = \"Llama 2 is", "# notice = \"Llama 2 is", 1);
        let error = PolicySet::from_toml("mine.toml", &broken).expect_err("notice duty without line");
        assert!(matches!(error, SetError::Rule { .. }), "{error}");
        assert_eq!(
            error.to_string(),
            "mine.toml: licence llama2 has the duty notice but not the text that it needs"
        );
    }

    #[test]
    fn pages_find_names_files_and_levels() {
        let base = &PolicySet::builtin("base").expect("built in");
        let prefixes: Vec<(&str, &str)> =
            base.naming().map(|rule| (rule.license.id.as_str(), rule.prefix)).collect();
        assert_eq!(prefixes[0], ("llama3", "Llama 3"));
        assert_eq!(prefixes.len(), 5, "Llama 2 has no prefix: {prefixes:?}");
        let notice = base.required_files().find(|file| file.duty == Duty::Notice).expect("a notice");
        assert_eq!((notice.file, notice.license.id.as_str()), ("NOTICE", "llama2"));
        assert!(notice.line.is_some_and(|line| line.starts_with("Llama 2 is licensed")));
        let row = |id| LevelUse::ALL.iter().map(move |r#use| r#use.permit(base.level(id).expect("a level")));
        use Permit::{Ask, No, Yes};
        assert_eq!(row("L1").collect::<Vec<_>>(), [Yes, Yes, Yes, Yes, Yes]);
        assert_eq!(row("L2").collect::<Vec<_>>(), [Yes, Yes, No, Yes, Yes]);
        assert_eq!(row("L3").collect::<Vec<_>>(), [Yes, No, No, Ask, Yes]);
        assert_eq!(row("LX").collect::<Vec<_>>(), [No, Ask, Ask, Ask, Yes]);
        assert_eq!(row("LZ").collect::<Vec<_>>(), [No, No, No, No, No]);
    }
}
