//! Words of a release that a finding quotes, marked in the finding and where they stand.

use sekisho_domain::Language;
use sekisho_policy::{Code, Decision, Finding};

/// The sentence of a finding around the words of the release that it is about.
pub(super) fn marked(finding: &Finding, lang: Language) -> (String, String, String) {
    let text = finding.text.get(lang);
    let whole = || (text.to_owned(), String::new(), String::new());
    let Some(phrase) = quoted(finding, lang) else { return whole() };
    match text.split_once(phrase) {
        Some((before, after)) => (before.to_owned(), phrase.to_owned(), after.to_owned()),
        None => whole(),
    }
}

/// What a finding quotes from a text of the release.
fn quoted(finding: &Finding, lang: Language) -> Option<&str> {
    if !matches!(finding.code, Code::OpenClaim | Code::DataClaim | Code::CardContradiction) {
        return None;
    }
    let (open, close) = if lang == Language::Ja { ('「', '」') } else { ('"', '"') };
    let (_, rest) = finding.text.get(lang).split_once(open)?;
    rest.split_once(close).map(|(phrase, _)| phrase).filter(|phrase| !phrase.is_empty())
}

/// The announcement in pieces, those marked that a finding quotes.
pub(super) fn announcement(lang: Language, text: &str, decision: Option<&Decision>) -> Vec<(bool, String)> {
    let findings = decision.into_iter().flat_map(|d| d.violations.iter().chain(&d.warnings));
    let phrases: Vec<&str> = findings.filter_map(|finding| quoted(finding, lang)).collect();
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some((at, phrase)) = phrases
        .iter()
        .filter_map(|phrase| Some((rest.find(phrase)?, *phrase)))
        .min_by_key(|(at, phrase)| (*at, std::cmp::Reverse(phrase.len())))
    {
        pieces.push((false, rest[..at].to_owned()));
        pieces.push((true, phrase.to_owned()));
        rest = &rest[at + phrase.len()..];
    }
    pieces.push((false, rest.to_owned()));
    pieces
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;

    #[test]
    fn words_that_a_finding_quotes_are_marked_where_they_stand() {
        let finding = Finding {
            code: Code::OpenClaim,
            text: sekisho_domain::Text {
                en: "The announcement says \"open source\", but no. You may say \"weights\".".to_owned(),
                ja: "告知文に「オープンソース」とあります。使用できる表現：「重み」".to_owned(),
            },
            derivation: Vec::new(),
        };
        let (before, phrase, after) = marked(&finding, Language::Ja);
        assert_eq!((&*before, &*phrase), ("告知文に「", "オープンソース"));
        assert!(after.ends_with("使用できる表現：「重み」"), "{after}");
        let json = fixtures::release().decision.expect("judged");
        let mut decision: Decision = serde_json::from_value(json).expect("a decision");
        decision.violations = vec![finding];
        let text = "an open source model, open source";
        let pieces = announcement(Language::En, text, Some(&decision));
        let marks: Vec<bool> = pieces.iter().map(|(is_marked, _)| *is_marked).collect();
        assert_eq!(marks, [false, true, false, true, false]);
        assert_eq!(pieces.iter().map(|(_, piece)| piece.as_str()).collect::<String>(), text);
        assert_eq!(announcement(Language::En, "x", None), [(false, "x".to_owned())]);
    }
}
