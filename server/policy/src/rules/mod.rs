//! One file per family of rules. Each looks at the same case and adds what it finds.

pub(crate) mod claims;
pub(crate) mod files;
pub(crate) mod gates;
pub(crate) mod house;
pub(crate) mod levels;
pub(crate) mod licenses;
pub(crate) mod lineage;
pub(crate) mod phrases;
pub(crate) mod registry;
pub(crate) mod waivers;

use crate::facts::Facts;
use crate::lineage::{Usage, Walked};
use crate::set::PolicySet;

/// What is judged, by which rules.
pub(crate) struct Case<'a> {
    pub(crate) facts: &'a Facts,
    pub(crate) set: &'a PolicySet,
    pub(crate) walked: &'a Walked<'a>,
}

impl<'a> Case<'a> {
    /// The texts of that id, anywhere in the lineage.
    pub(crate) fn usages_of(&self, id: &str) -> impl Iterator<Item = &'a Usage<'a>> {
        let walked = self.walked;
        walked.usages.iter().filter(move |usage| usage.is_text() && usage.input.id.as_deref() == Some(id))
    }
}
