use crate::definition::TaskDefinition;
use crate::step::apply;

impl TaskDefinition {
    /// The answer in a generated text by every filter, in the order of the definition, in the form in which answers are
    /// compared.
    ///
    /// Where a filter begins with `until`, or with `nfkc` and then `until` a line break (NFKC makes none), and that text is a stop string, the answer of the whole text and the answer of the
    /// text cut before the first stop string are the same, so stopping early cannot change a score: both keep what stands
    /// before the first occurrence, which is nothing when the text begins with it.
    #[must_use]
    pub fn answers(&self, output: &str) -> Vec<String> {
        if self.filters.is_empty() {
            return vec![apply(&self.normalize, output)];
        }
        self.filters.iter().map(|filter| apply(&self.normalize, &apply(&filter.steps, output))).collect()
    }

    /// The filter that the primary metric judges, by its place.
    pub(crate) fn primary_filter(&self) -> usize {
        self.filters.iter().position(|filter| filter.name == self.primary.filter).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::Catalog;

    proptest! {
        /// What an engine keeps when it stops at the stop string gives the answer of the whole text.
        #[test]
        fn stopping_early_changes_nothing(output in "[\n a東。１]{0,12}") {
            let catalog = Catalog::builtin();
            for (profile, stop) in [("llm-jp-eval@1.3", "\n\n"), ("llm-jp-eval@1.1", "\n")] {
                let definition = catalog.find(profile, "niilc").expect("built in");
                let stopped = output.find(stop).map_or(output.as_str(), |at| &output[..at]);
                prop_assert_eq!(definition.answers(stopped), definition.answers(&output));
            }
        }
    }
}
