//! Duties that show in the release itself: its name, its card, its licence texts and notices.

use sekisho_domain::Sha256;

use crate::decision::{Code, Findings, Weight};
use crate::facts::ReleasedFile;
use crate::messages;
use crate::rules::Case;
use crate::set::{Duty, KnownText, LicenseRule};
use sekisho_domain::Text;

/// The card that the Hub shows.
const CARD: &str = "README.md";

/// One file duty of one licence: the obligation, and violations where the files or names at hand do not meet it.
pub(crate) fn duty(
    case: &Case<'_>,
    rule: &LicenseRule,
    duty: Duty,
    terms: &str,
) -> Vec<(Weight, Code, Text)> {
    let license = ("license", rule.id.as_str());
    let text_of = |text: &Option<String>| text.clone().unwrap_or_default();
    let (code, owed, broken, met): (Code, Text, Text, Option<bool>) = match duty {
        Duty::LicenseFile => {
            let file = text_of(&rule.file);
            let values = [license, ("file", file.as_str())];
            let met = files(case).map(|files| holds_text(files, &rule.text));
            (
                Code::LicenseFileMissing,
                messages::LICENSE_FILE_DUTY.fill(&values),
                messages::LICENSE_FILE_MISSING.fill(&values),
                met,
            )
        }
        Duty::UsePolicy => {
            let met = files(case).map(|files| holds_text(files, &rule.use_policy));
            (
                Code::UsePolicyMissing,
                messages::USE_POLICY_DUTY.fill(&[license]),
                messages::USE_POLICY_MISSING.fill(&[license]),
                met,
            )
        }
        Duty::Notice => {
            let line = text_of(&rule.notice);
            let text = messages::NOTICE.fill(&[("text", &line)]);
            (Code::NoticeMissing, text.clone(), text, files(case).map(|files| notice_holds(files, &line)))
        }
        Duty::BuiltWith => {
            let shown = text_of(&rule.built_with);
            let values = [("text", shown.as_str()), ("terms", terms)];
            let met =
                files(case).map(|files| card(files).is_some_and(|card| visible(body(card)).contains(&shown)));
            (
                Code::BuiltWithMissing,
                messages::BUILT_WITH_DUTY.fill(&values),
                messages::BUILT_WITH_MISSING.fill(&values),
                met,
            )
        }
        _ => return name_prefix(case, &text_of(&rule.name_prefix), terms),
    };
    let mut all = vec![(Weight::Obligation, code, owed)];
    if met == Some(false) {
        all.push((Weight::Violation, code, broken));
    }
    all
}

/// Whether a reader of the card, NOTICE or ATTRIBUTION finds these words: a name to be credited, or a licence's own sentence. None
/// without a card: the one that is published is written with every credit.
pub(crate) fn gives_credit(case: &Case<'_>, text: &str) -> Option<bool> {
    let files = files(case)?;
    card(files)?;
    let wanted = words(text);
    let shows = |file: &ReleasedFile| {
        let shown = visible(body(file.text()));
        wanted.is_empty() || words(&shown).windows(wanted.len()).any(|window| window == wanted)
    };
    Some(files.iter().filter(|file| is_credit(&file.path)).any(shows))
}

/// Where credit is looked for.
fn is_credit(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    name.eq_ignore_ascii_case(CARD) || upper.starts_with("NOTICE") || upper.starts_with("ATTRIBUTION")
}

/// Display name, repository and the card's title must all begin with the prefix.
fn name_prefix(case: &Case<'_>, prefix: &str, terms: &str) -> Vec<(Weight, Code, Text)> {
    let owed = messages::NAME_PREFIX_DUTY.fill(&[("prefix", prefix), ("terms", terms)]);
    let mut all = vec![(Weight::Obligation, Code::NamePrefix, owed)];
    let Some(release) = &case.facts.lineage.release else { return all };
    let repository = release.repo.rsplit('/').next().unwrap_or_default();
    let title = files(case).and_then(card).and_then(title);
    let names = [Some(case.facts.lineage.model.name.as_str()), Some(repository), title];
    for name in names.into_iter().flatten().filter(|name| !begins_with(name, prefix)) {
        let text = messages::NAME_PREFIX.fill(&[("prefix", prefix), ("terms", terms), ("name", name)]);
        all.push((Weight::Violation, Code::NamePrefix, text));
    }
    all
}

/// Byte for byte from the first letter, with space, hyphen and underscore as one; `Llama 3` begins no `Llama 30B`.
fn begins_with(name: &str, prefix: &str) -> bool {
    let same = |a: char, b: char| a == b || ([' ', '-', '_'].contains(&a) && [' ', '-', '_'].contains(&b));
    let mut letters = name.chars();
    let begins = prefix.chars().all(|expected| letters.next().is_some_and(|letter| same(letter, expected)));
    let runs_on = match (prefix.chars().last(), letters.next()) {
        (Some(last), Some(next)) => {
            (last.is_alphabetic() && next.is_alphabetic()) || (last.is_numeric() && next.is_numeric())
        }
        _ => false,
    };
    begins && !runs_on
}

/// The licences in the card's front matter must be those of the release.
pub(crate) fn judge(case: &Case<'_>, findings: &mut Findings) {
    let (Some(release), Some(files)) = (&case.facts.lineage.release, files(case)) else { return };
    let mut stated = card(files).map(|card| front_matter(card, "license")).unwrap_or_default();
    let mut declared = release.license.clone();
    for list in [&mut stated, &mut declared] {
        list.iter_mut()
            .for_each(|id| *id = case.set.license(id).map_or_else(|| id.clone(), |rule| rule.id.clone()));
        list.sort();
        list.dedup();
    }
    if stated != declared {
        let shown = |list: &[String]| if list.is_empty() { "—".to_owned() } else { list.join(", ") };
        let text = messages::CARD_LICENSE_MISMATCH
            .fill(&[("card", &shown(&stated)), ("release", &shown(&declared))]);
        let model = &case.facts.lineage.model.name;
        findings.add(
            Weight::Violation,
            Code::CardLicenseMismatch,
            text,
            model,
            format!("\"{model}\" → release → {CARD}: license"),
        );
    }
}

fn files<'a>(case: &'a Case<'_>) -> Option<&'a [ReleasedFile]> {
    case.facts.files.as_deref()
}

/// Whether a file of this name is there, in whatever case.
pub(crate) fn has(files: &[ReleasedFile], name: &str) -> bool {
    files.iter().any(|file| file.path.eq_ignore_ascii_case(name))
}

/// The base models that the card names.
pub(crate) fn base_models(files: &[ReleasedFile]) -> Vec<String> {
    card(files).map(|card| front_matter(card, "base_model")).unwrap_or_default()
}

/// Whether the card names its licence and links to it: to a file that is there, or to a URL.
pub(crate) fn links_license(files: &[ReleasedFile]) -> bool {
    let of = |key| card(files).map(|card| front_matter(card, key)).unwrap_or_default();
    let resolves = |link: &String| {
        link.starts_with("https://")
            || link.starts_with("http://")
            || has(files, link.trim_start_matches("./"))
    };
    !of("license_name").is_empty() && of("license_link").first().is_some_and(resolves)
}

fn card(files: &[ReleasedFile]) -> Option<&str> {
    files.iter().find(|file| file.path.eq_ignore_ascii_case(CARD)).map(ReleasedFile::text)
}

/// A line of a NOTICE file equals the text, byte for byte.
fn notice_holds(files: &[ReleasedFile], line: &str) -> bool {
    let is_notice = |name: &str| {
        ["notice", "notice.txt", "notice.md"].iter().any(|known| name.eq_ignore_ascii_case(known))
    };
    files.iter().filter(|file| is_notice(&file.path)).any(|file| file.text().lines().any(|text| text == line))
}

pub(crate) fn holds_text(files: &[ReleasedFile], editions: &[KnownText]) -> bool {
    files.iter().any(|file| {
        let words = words(file.text());
        editions.iter().any(|known| holds_words(&words, known))
    })
}

fn holds_words(have: &[&str], known: &KnownText) -> bool {
    let start = words(&known.start);
    have.windows(known.words.max(1))
        .any(|window| window.starts_with(&start) && Sha256::of(window.join(" ")) == known.sha256)
}

/// Runs of letters and digits: what remains of a text when white space, punctuation and mark-up do not count.
fn words(text: &str) -> Vec<&str> {
    text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).collect()
}

/// The card without its front matter.
fn body(card: &str) -> &str {
    split_front_matter(card).map_or(card, |(_, body)| body)
}

fn split_front_matter(card: &str) -> Option<(&str, &str)> {
    let rest = card.strip_prefix("---\n").or_else(|| card.strip_prefix("---\r\n"))?;
    let end = rest.find("\n---")?;
    let after = &rest[end + 4..];
    Some((&rest[..end], after.split_once('\n').map_or("", |(_, body)| body)))
}

/// The first heading of the first level.
fn title(card: &str) -> Option<&str> {
    body(card).lines().find_map(|line| line.strip_prefix("# ")).map(str::trim)
}

/// What a reader of the rendered card sees: without code blocks and HTML comments.
pub(crate) fn visible(markdown: &str) -> String {
    let mut out = String::new();
    let mut fenced = false;
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            out.push_str(line);
            out.push('\n');
        }
    }
    while let Some(start) = out.find("<!--") {
        let end = out[start..].find("-->").map_or(out.len(), |end| start + end + 3);
        out.replace_range(start..end, "");
    }
    out
}

/// `key: x`, `key: [x, y]` or a block list. The rest of the YAML does not matter here.
fn front_matter(card: &str, key: &str) -> Vec<String> {
    let Some((yaml, _)) = split_front_matter(card) else { return Vec::new() };
    let mut lines = yaml.lines();
    let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    let Some(value) = value else { return Vec::new() };
    let value = value.split(" #").next().unwrap_or_default().trim();
    let items: Vec<&str> = match value.strip_prefix('[').and_then(|list| list.strip_suffix(']')) {
        Some(list) => list.split(',').collect(),
        None if value.is_empty() => lines.map_while(|line| line.trim_start().strip_prefix("- ")).collect(),
        None => vec![value],
    };
    let unquoted = items.into_iter().map(|item| item.trim().trim_matches(['"', '\'']).to_owned());
    unquoted.filter(|item| !item.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::{begins_with, front_matter, title, visible};

    #[test]
    fn a_name_begins_with_its_prefix() {
        for (name, prefix, expected) in [
            ("Llama-3-Swallow-8B", "Llama 3", true),
            ("Llama 3.1 Swallow", "Llama 3", true),
            ("Llama_3_x", "Llama 3", true),
            ("Llama-3.1-Lab-8B", "Llama", true),
            ("Llama3-Lab", "Llama", true),
            ("Llama", "Llama", true),
            ("Swallow-Llama-3", "Llama 3", false),
            ("llama-3-lab", "Llama 3", false),
            ("Llama-30B", "Llama 3", false),
            ("Llamantino", "Llama", false),
            ("Ｌｌａｍａ-3", "Llama", false),
            ("", "Llama", false),
        ] {
            assert_eq!(begins_with(name, prefix), expected, "{name} / {prefix}");
        }
    }

    #[test]
    fn the_cards_licences_are_read_in_each_form() {
        for (yaml, expected) in [
            ("license: apache-2.0", vec!["apache-2.0"]),
            ("language: ja\nlicense: [llama3.1, \"gemma\"] # both", vec!["llama3.1", "gemma"]),
            ("license:\n- llama3.1\n- gemma\ntags:\n- x", vec!["llama3.1", "gemma"]),
            ("license:\n  - 'mit'\nlanguage: ja", vec!["mit"]),
            ("language: ja", vec![]),
        ] {
            assert_eq!(front_matter(&format!("---\n{yaml}\n---\n# T\n"), "license"), expected, "{yaml}");
        }
        assert!(front_matter("# no front matter\nlicense: mit\n", "license").is_empty());
        let card = "---\nlicense: mit\nbase_model: a/b\nbase_model_relation: finetune\n---\n";
        assert_eq!(front_matter(card, "base_model"), ["a/b"]);
    }

    #[test]
    fn only_what_a_reader_sees_counts() {
        let card = "---\nlicense: mit\n---\nBuilt\n```\n# code\nBuilt with Llama\n```\n<!-- Built with Llama -->\n# Title\n";
        assert!(!visible(card).contains("Built with Llama"));
        assert_eq!(title("---\na: b\n---\n# Title \n"), Some("Title"));
    }
}
