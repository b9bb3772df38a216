//! Licences of everything that went in, and the duties they bring.

use std::collections::{BTreeMap, BTreeSet};

use sekisho_domain::lineage::InputKind;

use crate::decision::{Citation, Code, Findings, Weight};
use crate::expression::resolve;
use crate::lineage::{Through, Usage};
use crate::messages;
use crate::rules::{Case, files};
use crate::set::{Duty, LicenseRule, PolicySet, Strictness, Use};
use sekisho_domain::Text;

/// One licence that reaches the release: through an input, or because the release declares it.
struct Reach<'a> {
    rule: &'a LicenseRule,
    r#use: Use,
    /// What bears the licence, in sentences.
    name: &'a str,
    /// The model that wrote it, for outputs.
    generator: &'a str,
    way: Box<dyn Fn(&str) -> String + 'a>,
}

impl Reach<'_> {
    /// `llama3.1 §1.b.i`, or the licence alone where no clause is named.
    fn terms(&self, duty: Duty) -> String {
        format!("{} {}", self.rule.id, self.rule.clause(duty)).trim_end().to_owned()
    }

    fn derivation(&self, duty: Duty) -> String {
        (self.way)(&format!("{}, as {}: {}", self.terms(duty), self.r#use.name(), duty.name()))
    }

    fn add(&self, findings: &mut Findings, weight: Weight, code: Code, duty: Duty, text: Text) {
        let rule = self.rule;
        let citation = Citation::new(format!("license {}", rule.id), rule.clause(duty), &rule.source);
        findings.add_by(weight, code, text, (self.name, self.derivation(duty)), Some(citation));
    }
}

pub(crate) fn judge(case: &Case<'_>, findings: &mut Findings) {
    let bases = bases(case);
    for usage in &case.walked.usages {
        for (expression, r#use, name) in licensed(usage) {
            let Some(rules) = expression.and_then(|text| resolve(text, case.set)) else {
                unknown(usage, expression, name, findings);
                continue;
            };
            let generator = if usage.output.is_some() { name } else { usage.generator.unwrap_or(name) };
            for rule in rules {
                let name = usage.output.unwrap_or(usage.name);
                let way = Box::new(|rule: &str| usage.derivation(rule));
                let reach = Reach { rule, r#use, name, generator, way };
                rule.duties(r#use).iter().for_each(|duty| apply(case, &reach, *duty, &bases, findings));
            }
        }
    }
    declared(case, &bases, findings);
    contradictions(case, findings);
}

/// Which licences an input carries into the model, as what, and on what. `None` is a licence that should be there and is not;
/// a base or reward model without one is a matter of its lineage.
pub(crate) fn licensed<'a>(usage: &'a Usage<'_>) -> Vec<(Option<&'a str>, Use, &'a str)> {
    let input = usage.input;
    let own = usage.license;
    let model = match usage.through {
        Through::Weights => Use::Base,
        Through::Outputs => Use::Outputs,
        Through::Judge => Use::Judge,
    };
    match input.kind {
        InputKind::Tokenizer if own.is_none() && input.lineage.is_none() => vec![(None, model, usage.name)],
        InputKind::BaseModel | InputKind::Merge | InputKind::Tokenizer => {
            own.map(|license| (Some(license), model, usage.name)).into_iter().collect()
        }
        InputKind::Reward => own.map(|license| (Some(license), Use::Judge, usage.name)).into_iter().collect(),
        // Text that a model wrote is its output, by whatever name the lineage calls it.
        InputKind::Corpus | InputKind::Synthetic | InputKind::Preference => {
            let written = usage.generator.map(|generator| {
                let r#use = if usage.through == Through::Judge { Use::Judge } else { Use::Outputs };
                (usage.generator_license, r#use, generator)
            });
            // The licence of a generator of ours is in its own lineage file.
            let written = written.filter(|(license, ..)| license.is_some() || input.lineage.is_none());
            std::iter::once((own, Use::Corpus, usage.name)).chain(written).collect()
        }
    }
}

/// What the licences that reach a model want to be shown, for writing its card and its NOTICE.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owed {
    /// Texts for the card, such as "Built with Llama".
    pub built_with: BTreeSet<String>,
    /// Lines of NOTICE.
    pub notices: BTreeSet<String>,
    /// Sentences that give credit in the licence's own words.
    pub attributions: BTreeSet<String>,
    /// What must be credited by its name, with its licence.
    pub credits: BTreeSet<(String, String)>,
    /// Restrictions on use that are passed on, each with where its text is.
    pub restrictions: BTreeSet<Text>,
}

pub(crate) fn owed(case: &Case<'_>) -> Owed {
    let mut owed = Owed::default();
    for usage in &case.walked.usages {
        // The lineage of a generator is credited under the text that it wrote, as the finding names it.
        let name = usage.output.unwrap_or(usage.name);
        for (expression, r#use, _) in licensed(usage) {
            let Some(expression) = expression else { continue };
            for rule in resolve(expression, case.set).unwrap_or_default() {
                owed.add(rule, r#use, (name, expression));
            }
        }
    }
    owed
}

impl Owed {
    fn add(&mut self, rule: &LicenseRule, r#use: Use, (name, license): (&str, &str)) {
        let duties = rule.duties(r#use);
        let when = |duty| duties.contains(&duty);
        let terms = |duty| format!("{} {}", rule.id, rule.clause(duty)).trim_end().to_owned();
        self.built_with.extend(rule.built_with.clone().filter(|_| when(Duty::BuiltWith)));
        self.notices.extend(rule.notice.clone().filter(|_| when(Duty::Notice)));
        if when(Duty::Attribution) {
            match &rule.attribution {
                Some(sentence) => drop(self.attributions.insert(sentence.replace("{input}", name))),
                None => drop(self.credits.insert((name.to_owned(), license.to_owned()))),
            }
        }
        if when(Duty::UseRestrictions) {
            let (terms, file) = (terms(Duty::UseRestrictions), rule.file.as_deref().unwrap_or("LICENSE"));
            let values = [("terms", terms.as_str()), ("file", file)];
            self.restrictions.insert(messages::PASSED_ON_RESTRICTIONS.fill(&values));
        }
        if when(Duty::UsePolicy) {
            let terms = terms(Duty::UsePolicy);
            self.restrictions.insert(messages::PASSED_ON_POLICY.fill(&[("terms", &terms)]));
        }
    }
}

/// The licences of the bases that the model's own weights descend from.
fn bases<'a>(case: &'a Case<'_>) -> BTreeSet<&'a str> {
    case.walked
        .usages
        .iter()
        .flat_map(licensed)
        .filter(|(_, r#use, _)| *r#use == Use::Base)
        .filter_map(|(expression, _, _)| resolve(expression?, case.set))
        .flatten()
        .map(|rule| rule.id.as_str())
        .collect()
}

fn unknown(usage: &Usage<'_>, expression: Option<&str>, name: &str, findings: &mut Findings) {
    let (text, rule) = match expression {
        Some(license) => (
            messages::LICENSE_UNKNOWN.fill(&[("license", license), ("input", name)]),
            format!("license {license}"),
        ),
        None => (messages::LICENSE_NONE.fill(&[("input", name)]), "license: none".to_owned()),
    };
    findings.add(Weight::Violation, Code::LicenseUnknown, text, usage.name, usage.derivation(&rule));
}

/// One duty: always an obligation, a violation too where it is not met.
fn apply(case: &Case<'_>, reach: &Reach<'_>, duty: Duty, bases: &BTreeSet<&str>, findings: &mut Findings) {
    let terms = reach.terms(duty);
    let rule = reach.rule;
    let named = [("input", reach.name), ("license", rule.id.as_str()), ("terms", &terms)];
    let mut owe = |code, text| reach.add(findings, Weight::Obligation, code, duty, text);
    match duty {
        Duty::Attribution => credit(case, reach, findings),
        Duty::StateChanges => owe(Code::StateChanges, messages::STATE_CHANGES.fill(&named)),
        Duty::UseRestrictions => owe(Code::UseRestrictions, messages::USE_RESTRICTIONS.fill(&named)),
        Duty::UserLimit => owe(Code::UserLimit, messages::USER_LIMIT.fill(&named)),
        Duty::ShareAlike if covered(case, rule) => {}
        Duty::ShareAlike => {
            let (weight, template) = match case.set.house().share_alike {
                Some(Strictness::Allow) => return,
                Some(Strictness::Refuse) => (Weight::Violation, &messages::SHARE_ALIKE_REFUSED),
                Some(Strictness::Warn) | None => (Weight::Warning, &messages::SHARE_ALIKE),
            };
            reach.add(findings, weight, Code::ShareAlike, duty, template.fill(&named));
        }
        Duty::Noncommercial => {
            reach.add(
                findings,
                Weight::Violation,
                Code::NoncommercialInput,
                duty,
                messages::NONCOMMERCIAL_INPUT.fill(&named),
            );
        }
        Duty::NoDerivatives => {
            reach.add(
                findings,
                Weight::Violation,
                Code::LicenseConflict,
                duty,
                messages::LICENSE_CONFLICT_ALWAYS.fill(&named),
            );
        }
        Duty::Forbidden => forbidden(reach, bases, findings),
        Duty::Declare => declare(case, reach, findings),
        Duty::LicenseFile | Duty::Notice | Duty::UsePolicy | Duty::BuiltWith | Duty::NamePrefix => {
            for (weight, code, text) in files::duty(case, rule, duty, &terms) {
                reach.add(findings, weight, code, duty, text);
            }
        }
    }
}

/// Credit is owed, in the licence's own words where it has some. That a card lacks them a person should look at: they may be there in
/// another form, and the card that the service writes has them.
fn credit(case: &Case<'_>, reach: &Reach<'_>, findings: &mut Findings) {
    let terms = reach.terms(Duty::Attribution);
    let sentence = reach.rule.attribution.as_ref().map(|text| text.replace("{input}", reach.name));
    let (owed, missing) = match &sentence {
        Some(sentence) => {
            let values = [("sentence", sentence.as_str()), ("terms", &terms)];
            let missing = messages::ATTRIBUTION_SENTENCE_MISSING.fill(&values);
            (messages::ATTRIBUTION_SENTENCE.fill(&values), missing)
        }
        None => {
            let values = [("input", reach.name), ("terms", &terms)];
            (messages::ATTRIBUTION.fill(&values), messages::ATTRIBUTION_MISSING.fill(&values))
        }
    };
    reach.add(findings, Weight::Obligation, Code::Attribution, Duty::Attribution, owed);
    if files::gives_credit(case, sentence.as_deref().unwrap_or(reach.name)) == Some(false) {
        reach.add(findings, Weight::Warning, Code::Attribution, Duty::Attribution, missing);
    }
}

/// Outputs may improve a model that descends from a base of the same licence, and no other.
fn forbidden(reach: &Reach<'_>, bases: &BTreeSet<&str>, findings: &mut Findings) {
    if bases.contains(reach.rule.id.as_str()) {
        return;
    }
    let values = [
        ("input", reach.name),
        ("generator", reach.generator),
        ("license", reach.rule.id.as_str()),
        ("clause", reach.rule.clause(Duty::Forbidden)),
    ];
    let (weight, text) = if reach.r#use == Use::Judge {
        (Weight::Warning, messages::JUDGE_FORBIDDEN.fill(&values))
    } else {
        (Weight::Violation, messages::OUTPUTS_FORBIDDEN.fill(&values))
    };
    reach.add(findings, weight, Code::OutputsForbidden, Duty::Forbidden, text);
}

fn declare(case: &Case<'_>, reach: &Reach<'_>, findings: &mut Findings) {
    let terms = reach.terms(Duty::Declare);
    let required = reach.rule.id.as_str();
    let values = [("required", required), ("input", reach.name), ("terms", &terms)];
    reach.add(
        findings,
        Weight::Obligation,
        Code::LicenseConflict,
        Duty::Declare,
        messages::DECLARE.fill(&values),
    );
    if let Some(release) = &case.facts.lineage.release
        && !covered(case, reach.rule)
    {
        let declared = if release.license.is_empty() { "—".to_owned() } else { release.license.join(", ") };
        let values = [
            ("declared", declared.as_str()),
            ("input", reach.name),
            ("license", required),
            ("required", required),
        ];
        reach.add(
            findings,
            Weight::Violation,
            Code::LicenseConflict,
            Duty::Declare,
            messages::LICENSE_CONFLICT.fill(&values),
        );
    }
}

/// Whether the release declares this licence, or one that meets its terms.
pub(crate) fn covered(case: &Case<'_>, rule: &LicenseRule) -> bool {
    let declared = case.facts.lineage.release.iter().flat_map(|release| &release.license);
    declared
        .filter_map(|name| case.set.license(name))
        .any(|known| known.id == rule.id || rule.covered_by.contains(&known.id))
}

/// The licences that the release itself declares.
fn declared(case: &Case<'_>, bases: &BTreeSet<&str>, findings: &mut Findings) {
    let model = case.facts.lineage.model.name.as_str();
    let Some(release) = &case.facts.lineage.release else { return };
    let way = |rule: &str| format!("\"{model}\" → release → {rule}");
    if release.license.is_empty() {
        let text = messages::LICENSE_NONE.fill(&[("input", model)]);
        findings.add(Weight::Violation, Code::LicenseUnknown, text, model, way("license: none"));
    }
    for license in &release.license {
        let Some(rule) = case.set.license(license) else {
            let text = messages::LICENSE_UNKNOWN.fill(&[("license", license), ("input", model)]);
            findings.add(
                Weight::Violation,
                Code::LicenseUnknown,
                text,
                model,
                way(&format!("license {license}")),
            );
            continue;
        };
        let reach = Reach { rule, r#use: Use::Declared, name: model, generator: model, way: Box::new(way) };
        rule.duties(Use::Declared).iter().for_each(|duty| apply(case, &reach, *duty, bases, findings));
    }
}

/// One subset, two licences: somebody is wrong, and nobody knows who.
fn contradictions(case: &Case<'_>, findings: &mut Findings) {
    let mut claims: BTreeMap<&str, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for usage in case.walked.usages.iter().filter(|usage| usage.is_text()) {
        if let (Some(id), Some(license)) = (&usage.input.id, &usage.input.license) {
            let settled = settled(license, case.set);
            let way = usage.derivation(&format!("license {license}"));
            claims.entry(id).or_default().entry(settled).or_default().insert(way);
        }
    }
    for (subset, licenses) in claims {
        let licenses: Vec<_> = licenses.into_iter().collect();
        for (i, (a, ways_a)) in licenses.iter().enumerate() {
            for (b, ways_b) in &licenses[i + 1..] {
                for way in ways_a.iter().chain(ways_b) {
                    let text = messages::LICENSE_CONTRADICTION.fill(&[("input", subset), ("a", a), ("b", b)]);
                    findings.add(Weight::Violation, Code::LicenseContradiction, text, subset, way.clone());
                }
            }
        }
    }
}

/// An expression by the rules that it comes to, so that two spellings of one licence are one; as it is written where no rule covers it.
pub(crate) fn settled(expression: &str, set: &PolicySet) -> String {
    resolve(expression, set).map_or_else(
        || expression.trim().to_owned(),
        |rules| rules.iter().map(|rule| rule.id.as_str()).collect::<Vec<_>>().join(" AND "),
    )
}
