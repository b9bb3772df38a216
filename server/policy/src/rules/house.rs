//! Rules of the house: which licences it publishes under, and what every release must bring.

use sekisho_domain::Text;
use sekisho_domain::lineage::{InputKind, ReleaseSection, Visibility};

use crate::decision::{Citation, Code, Findings, Weight};
use crate::expression::resolve;
use crate::messages;
use crate::rules::claims::lacking;
use crate::rules::files::{base_models, has, links_license};
use crate::rules::{Case, licenses};
use crate::set::{Duty, LicenseClass, LicenseRule, Required, Strictness};

pub(crate) fn judge(case: &Case<'_>, findings: &mut Findings) {
    let Some(release) = &case.facts.lineage.release else { return };
    for rule in release.license.iter().filter_map(|license| case.set.license(license)) {
        if !brought(case, rule) {
            license(case, rule, findings);
        }
    }
    for required in Required::ALL.iter().copied().filter(|required| case.set.house().requires(*required)) {
        require(case, release, required, findings);
    }
}

/// Whether an input asks for this licence: it must be declared, or it bars what another licence would permit.
fn brought(case: &Case<'_>, declared: &LicenseRule) -> bool {
    case.walked.usages.iter().flat_map(licenses::licensed).any(|(expression, r#use, _)| {
        let rules = expression.and_then(|text| resolve(text, case.set)).unwrap_or_default();
        rules.into_iter().any(|rule| {
            let duties = rule.duties(r#use);
            let met = rule.id == declared.id || rule.covered_by.contains(&declared.id);
            let asks = duties.contains(&Duty::Declare) || duties.contains(&Duty::ShareAlike);
            let noncommercial =
                declared.class == LicenseClass::Noncommercial && duties.contains(&Duty::Noncommercial);
            (met && asks) || noncommercial
        })
    })
}

/// A declared licence that no input brings: open ones are welcome, the default is usual.
fn license(case: &Case<'_>, rule: &LicenseRule, findings: &mut Findings) {
    let house = case.set.house();
    let default = house.default_license.as_deref();
    let (weight, code, template, key) = if rule.class.is_open() {
        if default.is_none_or(|default| rule.is_called(default)) {
            return;
        }
        (Weight::Warning, Code::LicenseNotDefault, &messages::LICENSE_NOT_DEFAULT, "default_license")
    } else {
        let weight = match house.restrictive_license {
            Some(Strictness::Warn) => Weight::Warning,
            Some(Strictness::Refuse) => Weight::Violation,
            Some(Strictness::Allow) | None => return,
        };
        (weight, Code::RestrictiveLicense, &messages::RESTRICTIVE_LICENSE, "restrictive_license")
    };
    let (en, ja) = default.map_or(("an open licence", "オープンなライセンス"), |id| (id, id));
    let values = |default| [("license", rule.id.as_str()), ("default", default)];
    let text = template.fill_each(&values(en), &values(ja));
    add(case, findings, (weight, code, text), key);
}

/// An obligation always; a violation too where it can be told that it is not met.
fn require(case: &Case<'_>, release: &ReleaseSection, required: Required, findings: &mut Findings) {
    let facts = case.facts;
    let key = format!("require {}", required.name());
    let (text, met) = match required {
        Required::Files => (messages::REQUIRED_FILES.fill(&[]), Some(facts.files.is_some())),
        Required::CardEn => card(case, "README.md"),
        Required::CardJa => card(case, "README_ja.md"),
        Required::Announcement => {
            let owed = release.visibility == Visibility::Public;
            let there = facts.announcement.as_ref().is_some_and(|text| !text.trim().is_empty());
            (messages::REQUIRED_ANNOUNCEMENT.fill(&[]), Some(there || !owed))
        }
        Required::Description => {
            let there = release.description.as_ref().is_some_and(|text| !text.trim().is_empty());
            (messages::REQUIRED_DESCRIPTION.fill(&[]), Some(there))
        }
        Required::LicenseLink
            if !release.license.iter().any(|license| license.eq_ignore_ascii_case("other")) =>
        {
            return;
        }
        Required::LicenseLink => {
            (messages::REQUIRED_LINK.fill(&[]), facts.files.as_ref().map(|files| links_license(files)))
        }
        Required::BaseModel => return base_model(case, &key, findings),
        Required::DataInformation => return data_information(case, &key, findings),
    };
    if met == Some(false) {
        add(case, findings, (Weight::Violation, Code::RequiredMissing, text.clone()), &key);
    }
    add(case, findings, (Weight::Obligation, Code::RequiredMissing, text), &key);
}

fn card(case: &Case<'_>, file: &str) -> (Text, Option<bool>) {
    let met = case.facts.files.as_ref().map(|files| has(files, file));
    (messages::REQUIRED_CARD.fill(&[("file", file)]), met)
}

/// The bases that the lineage file itself names must stand in the card. One with a lineage file of its own has a name in the lab
/// alone, so for it only that there is some base counts.
fn base_model(case: &Case<'_>, key: &str, findings: &mut Findings) {
    let stated = case.facts.files.as_ref().map(|files| base_models(files));
    for usage in case.walked.usages.iter().filter(|usage| usage.input.kind == InputKind::BaseModel) {
        let own = case.facts.lineage.inputs.iter().any(|input| std::ptr::eq(input, usage.input));
        if !own {
            continue;
        }
        let (text, met) = match &usage.input.id {
            Some(id) => {
                let named = |stated: &Vec<String>| stated.iter().any(|base| base.eq_ignore_ascii_case(id));
                (messages::BASE_MODEL.fill(&[("model", id)]), stated.as_ref().map(named))
            }
            None => {
                let text = messages::BASE_MODEL_OURS.fill(&[("model", usage.name)]);
                (text, stated.as_ref().map(|stated| !stated.is_empty()))
            }
        };
        let mut found = |weight, text: Text| {
            let rule = Some(Citation::new(format!("house {key}"), "", case.set.name()));
            let of = (usage.name, usage.derivation("README.md: base_model"));
            findings.add_by(weight, Code::BaseModelMissing, text, of, rule);
        };
        if met == Some(false) {
            found(Weight::Violation, text.clone());
        }
        found(Weight::Obligation, text);
    }
}

fn data_information(case: &Case<'_>, key: &str, findings: &mut Findings) {
    for usage in &case.walked.usages {
        for what in lacking(case, usage) {
            let what = what.fill(&[]);
            let values = |what| [("input", usage.name), ("what", what)];
            let text = messages::REQUIRED_DATA_MISSING.fill_each(&values(&what.en), &values(&what.ja));
            let of = (usage.name, usage.derivation(key));
            let rule = Some(Citation::new(format!("house {key}"), "", case.set.name()));
            findings.add_by(Weight::Violation, Code::RequiredMissing, text, of, rule);
        }
    }
    let owed = messages::REQUIRED_DATA.fill(&[]);
    add(case, findings, (Weight::Obligation, Code::RequiredMissing, owed), key);
}

/// A finding about the release itself.
fn add(case: &Case<'_>, findings: &mut Findings, (weight, code, text): (Weight, Code, Text), key: &str) {
    let model = &case.facts.lineage.model.name;
    let derivation = format!("\"{model}\" → release → house: {key}");
    let rule = Some(Citation::new(format!("house {key}"), "", case.set.name()));
    findings.add_by(weight, code, text, (model, derivation), rule);
}
