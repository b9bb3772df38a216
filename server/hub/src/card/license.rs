//! Licence, credits, restrictions that are passed on, and decisions of the lab on what a lab may decide.

use sekisho_domain::lineage::Waiver;

use super::Card;
use super::data::name;
use super::figures::day;
use super::markdown::{Cell, escape, or_dash, prose, table};

impl Card<'_> {
    pub(super) fn license(&self) -> String {
        let extras = &self.facts.extras;
        let declared = self.release().map(|release| release.license.join(", "));
        let mut parts: Vec<String> =
            declared.filter(|ids| !ids.is_empty()).map(|ids| prose(&ids)).into_iter().collect();
        let credits = self.credits();
        if !credits.is_empty() {
            let intro = self.say(
                "The model was made from the following, under these licences:",
                "次の素材を、それぞれのライセンスに基づいて使用しています。",
            );
            parts.push(format!("{intro}\n\n{}", credits.join("\n")));
        }
        if !self.facts.notices.is_empty() {
            let lines: Vec<String> =
                self.facts.notices.iter().map(|line| format!("> {}", prose(line))).collect();
            parts.push(lines.join("\n>\n"));
        }
        if !extras.restrictions.is_empty() {
            let intro = self.say(
                "These restrictions on use are passed on. They hold for this model and for models made from it:",
                "次の利用制限を引き継いでいます。このモデル、およびこのモデルから作成したモデルの利用者に適用されます。",
            );
            let lines: Vec<String> =
                extras.restrictions.iter().map(|text| format!("- {}", self.said(text))).collect();
            parts.push(format!("{intro}\n\n{}", lines.join("\n")));
        }
        parts.extend(self.waivers());
        parts.join("\n\n")
    }

    /// One line for everything that has a licence of its own: inputs and subsets, and what models before this one owe credit for.
    fn credits(&self) -> Vec<String> {
        let extras = &self.facts.extras;
        let inputs = self.facts.lineage.inputs.iter().filter(|input| !self.is_subset(input));
        let inputs = inputs.map(|input| (name(input), input.license.as_deref()));
        let subsets = extras.subsets.iter().map(|subset| (subset.id.as_str(), subset.license.as_deref()));
        let own: Vec<(&str, &str)> =
            inputs.chain(subsets).filter_map(|(name, license)| Some((name, license?))).collect();
        // A name that is there already may have its licence in another spelling.
        let owed = extras.credits.iter().map(|credit| (credit.name.as_str(), credit.license.as_str()));
        let owed = owed.filter(|(name, _)| !own.iter().any(|(known, _)| known == name));
        let line = |(name, license): (&str, &str)| format!("- {}: {}", prose(name), escape(license));
        let mut lines: Vec<String> = own.iter().copied().chain(owed).map(line).collect();
        lines.sort();
        lines.dedup();
        lines
    }

    /// Rule, input and term of each decision. Reasons, evidence and names stay with the release: they are the lab's own.
    fn waivers(&self) -> Option<String> {
        let waivers = &self.facts.lineage.waivers;
        if waivers.is_empty() {
            return None;
        }
        let intro = self.say(
            "For these points the publisher recorded a decision of its own; its grounds are kept with the release:",
            "次の項目については、公開者の判断を記録しています。判断の根拠はリリースの記録として保管しています。",
        );
        let header = [self.say("Rule", "規則"), self.say("Input", "入力"), self.say("Until", "期限")];
        let row = |waiver: &Waiver| {
            vec![
                Cell::code(&waiver.code),
                or_dash(waiver.input.as_ref()),
                or_dash(waiver.until.as_ref().map(|date| day(&date.to_string(), self.language))),
            ]
        };
        let rows: Vec<Vec<Cell>> = waivers.iter().map(row).collect();
        Some(format!("{intro}\n\n{}", table(&header, &rows)))
    }
}
