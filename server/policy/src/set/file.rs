//! The TOML of a set, and how it is laid over the set that it extends.

use sekisho_domain::Text;
use serde::Deserialize;

use super::license::LicenseRule;
use super::rules::{ClaimRule, Gate, Gates, House, LevelRule, PhraseList, Rules, Softened};

/// A set as it is written: complete, or an overlay of another.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetFile {
    name: String,
    version: String,
    #[serde(default)]
    pub(crate) extends: Option<String>,
    /// Written by [`super::PolicySet::text`] in place of `extends`.
    #[serde(default)]
    based_on: Option<String>,
    #[serde(default)]
    source: Vec<String>,
    #[serde(default)]
    title: Option<Text>,
    #[serde(default)]
    house: House,
    #[serde(default)]
    gates: Gates,
    #[serde(default, rename = "level")]
    levels: Vec<LevelRule>,
    #[serde(default, rename = "license")]
    licenses: Vec<LicenseRule>,
    #[serde(default, rename = "claim")]
    claims: Vec<ClaimRule>,
    #[serde(default)]
    data_claim: Option<PhraseList>,
    #[serde(default)]
    restrictive: Option<PhraseList>,
    #[serde(default)]
    softened: Option<Softened>,
    #[serde(default, rename = "gate")]
    gate: Vec<Gate>,
}

impl SetFile {
    /// The rules of a set that extends no other.
    pub(crate) fn complete(self) -> Result<Rules, String> {
        let missing = |what: &str| {
            format!("[{what}] is missing. Add it, or take it over from another set with extends = \"base\"")
        };
        if self.levels.is_empty() {
            return Err(missing("[level]"));
        }
        if self.licenses.is_empty() {
            return Err(missing("[license]"));
        }
        Ok(Rules {
            data_claim: self.data_claim.ok_or_else(|| missing("data_claim"))?,
            softened: self.softened.ok_or_else(|| missing("softened"))?,
            restrictive: self.restrictive.unwrap_or_default(),
            name: self.name,
            version: self.version,
            based_on: self.based_on,
            source: self.source,
            title: self.title,
            house: self.house,
            gates: self.gates,
            levels: self.levels,
            licenses: self.licenses,
            claims: self.claims,
            gate: self.gate,
        })
    }

    /// The rules of a set that extends another: a table of the same id takes the place of the one below, another is added; a
    /// single table or key takes the place of its like.
    pub(crate) fn over(self, below: &Rules) -> Rules {
        let mut rules = below.clone();
        rules.based_on = Some(format!("{} {}", below.name, below.version));
        rules.name = self.name;
        rules.version = self.version;
        rules.source = self.source;
        rules.title = self.title;
        rules.house = below.house.overlaid(self.house);
        rules.gates = below.gates.overlaid(self.gates);
        overlay(&mut rules.levels, self.levels, |a, b| a.id == b.id);
        overlay(&mut rules.licenses, self.licenses, |a, b| a.id.eq_ignore_ascii_case(&b.id));
        overlay(&mut rules.claims, self.claims, |a, b| a.id == b.id);
        overlay(&mut rules.gate, self.gate, Gate::same_score);
        rules.data_claim = self.data_claim.unwrap_or(rules.data_claim);
        rules.restrictive = self.restrictive.unwrap_or(rules.restrictive);
        rules.softened = self.softened.unwrap_or(rules.softened);
        rules
    }
}

fn overlay<T>(below: &mut Vec<T>, over: Vec<T>, same: impl Fn(&T, &T) -> bool) {
    for rule in over {
        match below.iter_mut().find(|known| same(known, &rule)) {
            Some(known) => *known = rule,
            None => below.push(rule),
        }
    }
}
