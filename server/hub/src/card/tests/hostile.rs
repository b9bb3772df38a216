//! Names from outside that are Markdown, YAML, HTML or a shell's.

use sekisho_domain::Language::{En, Ja};
use sekisho_domain::Text;
use serde_json::Value;

use super::{card, full};
use crate::card::{CardCredit, CardFacts};

const NAMES: [&str; 9] = [
    "a|b",
    "a`b``c",
    "a\n# b\n---\nc",
    "---",
    "# a",
    "<script>alert(1)</script>",
    "[a](javascript:b)",
    "key: [x, {y}] #z & *w !t %v @u",
    "$(touch x); 'y' \"z\" \\",
];

/// Every text of the facts that comes from outside.
fn named(name: &str) -> CardFacts {
    let mut facts = full();
    let text = || name.to_owned();
    facts.lineage.model.name = text();
    facts.languages = vec![text()];
    for input in &mut facts.lineage.inputs {
        (input.id, input.license, input.generator) = (Some(text()), Some(text()), Some(text()));
        input.level = Some(text());
    }
    for waiver in &mut facts.lineage.waivers {
        (waiver.code, waiver.input) = (text(), Some(text()));
    }
    if let Some(release) = &mut facts.lineage.release {
        (release.repo, release.revision, release.license) = (format!("lab/{name}"), text(), vec![text()]);
    }
    (facts.checkpoint.run, facts.checkpoint.dtype) = (text(), text());
    facts.config["architectures"][0] = Value::from(name);
    facts.config["transformers_version"] = Value::from(name);
    if let Some(spec) = &mut facts.spec {
        spec["schedule"]["kind"] = Value::from(name);
        spec["parent"]["run"] = Value::from(name);
    }
    for score in &mut facts.scores {
        (score.title_en, score.title_ja) = (text(), text());
        (score.entry.task, score.entry.profile, score.entry.split) = (text(), text(), text());
    }
    if let Some(mean) = &mut facts.mean {
        mean.suite = text();
    }
    (facts.built_with, facts.notices) = (vec![text()], vec![text()]);
    extras(&mut facts, name);
    facts
}

fn extras(facts: &mut CardFacts, name: &str) {
    let text = || name.to_owned();
    let both = || Text { en: text(), ja: text() };
    let extras = &mut facts.extras;
    for (at, member) in extras.family.iter_mut().enumerate() {
        (member.name, member.repo, member.revision) = (format!("{name}{at}"), text(), text());
        member.published = Some(text());
    }
    if let Some(tokenizer) = &mut extras.tokenizer {
        (tokenizer.kind, tokenizer.counted_with) = (Some(text()), Some(text()));
    }
    for subset in &mut extras.subsets {
        (subset.id, subset.language, subset.level) = (text(), Some(text()), Some(text()));
        (subset.license, subset.generator) = (Some(text()), Some(text()));
    }
    for compute in &mut extras.compute {
        compute.devices.name = text();
    }
    if let Some(curve) = &mut extras.curve {
        (curve.suite, curve.figure) = (text(), Some(text()));
    }
    for other in [&mut extras.base, &mut extras.previous].into_iter().flatten() {
        (other.name, other.repo) = (text(), Some(text()));
    }
    if let Some(environment) = &mut extras.environment {
        (environment.engine, environment.device, environment.dtype) = (text(), text(), text());
    }
    if let Some(contamination) = &mut extras.contamination {
        contamination.method = both();
    }
    for component in &mut extras.components {
        (component.reason, component.path) = (Some(both()), Some(text()));
    }
    extras.credits = vec![CardCredit { name: text(), license: text() }];
    extras.restrictions = vec![both()];
    if let Some(signature) = &mut extras.signature {
        (signature.signer, signature.key_fingerprint) = (text(), text());
        signature.public_key = Some(format!("https://{name}"));
    }
    extras.authors = vec![text()];
    (extras.contact, extras.doi, extras.new_version) = (Some(text()), Some(text()), Some(text()));
    extras.results_url = Some(format!("https://{name}"));
}

/// Lines outside code blocks.
fn shown(card: &str) -> Vec<&str> {
    let mut fenced = false;
    let is_shown = |line: &&str| {
        let is_fence = line.starts_with("```");
        fenced ^= is_fence;
        !fenced && !is_fence
    };
    card.lines().filter(is_shown).collect()
}

/// A line without its code spans, whose content is text to Markdown.
fn without_code(line: &str) -> String {
    let (mut out, mut rest) = (String::new(), line);
    while let Some(start) = rest.find('`') {
        if rest[..start].ends_with('\\') {
            out.push_str(&rest[..=start]);
            rest = &rest[start + 1..];
            continue;
        }
        let run = rest[start..].len() - rest[start..].trim_start_matches('`').len();
        let fence = "`".repeat(run);
        let (before, inside) = (&rest[..start], &rest[start + run..]);
        let end = inside
            .match_indices(&fence)
            .map(|(at, _)| at)
            .find(|at| !inside[..*at].ends_with('`') && !inside[at + run..].starts_with('`'))
            .expect("a span that is closed");
        out.push_str(before);
        rest = &inside[end + run..];
    }
    out + rest
}

#[test]
fn names_from_outside_do_not_shape_the_card() {
    let expected =
        |language| shown(&card(&full(), language)).iter().filter(|line| line.starts_with('#')).count();
    for name in NAMES {
        for language in [En, Ja] {
            let card = card(&named(name), language);
            let body = super::without_front_matter(&card);
            let lines = shown(body);
            let headings = lines.iter().filter(|line| line.starts_with('#')).count();
            assert_eq!(headings, expected(language), "{name}\n{card}");
            let mut columns = 0;
            for line in &lines {
                let inner = line.trim_start_matches("> ").trim_start_matches("- ");
                let is_marked = inner.starts_with(['>', '-']) || (inner != *line && inner.starts_with('#'));
                assert!(!is_marked, "{name}\n{line}");
                let bare = without_code(line);
                assert!(!bare.contains("<script") && !bare.contains("[a](java"), "{name}\n{line}");
                let bars = line.replace("\\|", "").matches('|').count();
                assert!(columns == 0 || bars == 0 || bars == columns, "{name}\n{line}");
                columns = bars;
            }
        }
    }
}

#[test]
fn names_from_outside_do_not_shape_the_front_matter() {
    for name in NAMES {
        let card = card(&named(name), En);
        let front =
            card.strip_prefix("---\n").and_then(|rest| rest.split_once("\n---\n\n")).expect("front matter").0;
        let read: Value = serde_saphyr::from_str(front).expect(front);
        assert_eq!(read["license"], name, "{front}");
        assert_eq!(read["language"], name, "{front}");
        assert_eq!(read["model-index"][0]["name"], name);
        assert_eq!(read["model-index"][0]["results"][2]["dataset"]["type"], name);
        assert_eq!(read["library_name"], "transformers");
    }
}

#[test]
fn names_from_outside_do_not_shape_commands() {
    let card = card(&named("$(touch x); 'y' \"z\" \\"), En);
    let command = "sekisho verify '$(touch x); '\\''y'\\'' \"z\" \\'\n";
    assert!(card.contains(command), "{card}");
    assert!(card.contains(r#"from_pretrained("lab/$(touch x); 'y' \"z\" \\", revision="#), "{card}");
}
