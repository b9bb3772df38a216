//! What is written into a card that already is: a successor, or that nobody has approved it. Everything else stays as it
//! was, byte for byte, and doing it twice changes nothing more.

use sekisho_domain::Language;

use super::markdown::repository;
use super::yaml::scalar;

const SUCCESSOR: [&str; 2] = ["> Superseded by: ", "> 後継版："];

const NOT_APPROVED: &str = "> **Not approved.** This model card belongs to a release that has not been approved. Do not publish it.\n>\n\
     > **未承認** このモデルカードは未承認のリリースのものです。公開しないでください。\n";

/// The line under the title that names the successor.
pub(super) fn successor_line(successor: &str, language: Language) -> String {
    let [en, ja] = SUCCESSOR;
    let begin = if language == Language::En { en } else { ja };
    format!("{begin}{}", repository(successor, successor, "main"))
}

/// The card of a release that `successor` (`owner/name`) took the place of: `new_version` in its front matter, when it has
/// one, and a line under its title.
#[must_use]
pub fn superseded(card: &str, successor: &str, language: Language) -> String {
    let (front, body) = split(card);
    let ending = if card.contains("\r\n") { "\r\n" } else { "\n" };
    let front = front.map(|front| with_new_version(front, successor, ending)).unwrap_or_default();
    let line = format!("{}{ending}", successor_line(successor, language));
    format!("{front}{}", under_title(body, &line, ending))
}

/// The card for an export before the release is approved: a banner in both languages above everything that is shown.
#[must_use]
pub fn not_approved(card: &str) -> String {
    let (front, body) = split(card);
    let blank = body.len() - body.trim_start_matches(['\n', '\r']).len();
    let (blank, body) = body.split_at(blank);
    if body.starts_with(NOT_APPROVED) {
        return card.to_owned();
    }
    format!("{}{blank}{NOT_APPROVED}\n{body}", front.unwrap_or_default())
}

/// Front matter with its delimiters, and the rest.
fn split(card: &str) -> (Option<&str>, &str) {
    let is_rule = |line: &str| line.trim_end_matches(['\n', '\r']) == "---";
    let mut at = 0;
    for (number, line) in card.split_inclusive('\n').enumerate() {
        at += line.len();
        match (number, is_rule(line)) {
            (0, false) => return (None, card),
            (0, true) | (_, false) => {}
            (_, true) => return (Some(&card[..at]), &card[at..]),
        }
    }
    (None, card)
}

/// The key in place of the one that is there, else as the last.
fn with_new_version(front: &str, successor: &str, ending: &str) -> String {
    const KEY: &str = "new_version:";
    let line = format!("{KEY} {}{ending}", scalar(successor));
    let lines: Vec<&str> = front.split_inclusive('\n').collect();
    let mut out = String::with_capacity(front.len() + line.len());
    let (mut written, mut inside) = (false, false);
    for (number, old) in lines.iter().enumerate() {
        let is_last = number + 1 == lines.len();
        // A value may go on in lines that are indented.
        inside = inside && old.starts_with([' ', '\t']) && !is_last;
        if inside {
            continue;
        }
        inside = old.starts_with(KEY);
        if (inside || is_last) && !written {
            out.push_str(&line);
            written = true;
        }
        if !inside {
            out.push_str(old);
        }
    }
    out
}

/// The line after the title, or in place of the one that is there; at the beginning of a card without title.
fn under_title(body: &str, line: &str, ending: &str) -> String {
    let lines: Vec<&str> = body.split_inclusive('\n').collect();
    let mut fenced = false;
    let title = lines.iter().position(|line| {
        fenced ^= line.starts_with("```");
        !fenced && line.starts_with("# ")
    });
    let Some(title) = title else {
        let stands = lines.first().is_some_and(|first| is_successor(first));
        let rest = if stands { lines[1..].concat() } else { format!("{ending}{body}") };
        return format!("{line}{rest}");
    };
    let (before, after) = lines.split_at(title + 1);
    let mut out = before.concat();
    if !out.ends_with('\n') {
        out.push_str(ending);
    }
    let blank = after.iter().take_while(|line| line.trim().is_empty()).count();
    let rest = match after.get(blank) {
        Some(old) if is_successor(old) => {
            out.push_str(&after[..blank].concat());
            after[blank + 1..].concat()
        }
        _ => {
            out.push_str(ending);
            after.concat()
        }
    };
    format!("{out}{line}{rest}")
}

fn is_successor(line: &str) -> bool {
    SUCCESSOR.iter().any(|begin| line.starts_with(begin))
}

#[cfg(test)]
mod tests {
    use sekisho_domain::Language::{En, Ja};

    use super::{not_approved, superseded};

    const CARD: &str = "---\nlicense: apache-2.0\nmodel-index:\n- name: A\n---\n\n[日本語](README_ja.md)\n\n# A\n\nText.\n\n---\n";

    #[test]
    fn a_successor_is_named_once_and_nothing_else_changes() {
        let once = superseded(CARD, "lab/b", En);
        assert_eq!(
            once,
            "---\nlicense: apache-2.0\nmodel-index:\n- name: A\nnew_version: lab/b\n---\n\n[日本語](README_ja.md)\n\n# A\n\n\
             > Superseded by: [lab/b](https://huggingface.co/lab/b)\n\nText.\n\n---\n"
        );
        assert_eq!(superseded(&once, "lab/b", En), once);
        assert_eq!(superseded(&once, "lab/c", En), once.replace("lab/b", "lab/c"));
        let ja = superseded("[English](README.md)\n\n# A\n\n本文\n", "lab/b", Ja);
        assert_eq!(
            ja,
            "[English](README.md)\n\n# A\n\n> 後継版：[lab/b](https://huggingface.co/lab/b)\n\n本文\n"
        );
        assert_eq!(superseded(&ja, "lab/b", Ja), ja);
    }

    #[test]
    fn odd_cards_take_a_successor_too() {
        for (card, expected) in [
            ("", "> Superseded by: [l/b](https://huggingface.co/l/b)\n\n"),
            ("# A", "# A\n\n> Superseded by: [l/b](https://huggingface.co/l/b)\n"),
            ("---\nno end\n", "> Superseded by: [l/b](https://huggingface.co/l/b)\n\n---\nno end\n"),
            (
                "```\n# a\n```\n# T\n",
                "```\n# a\n```\n# T\n\n> Superseded by: [l/b](https://huggingface.co/l/b)\n",
            ),
            (
                "---\r\nnew_version: >\r\n  l/a\r\nx: 1\r\n---\r\n# T\r\n",
                "---\r\nnew_version: l/b\r\nx: 1\r\n---\r\n# T\r\n\r\n> Superseded by: [l/b](https://huggingface.co/l/b)\r\n",
            ),
        ] {
            let once = superseded(card, "l/b", En);
            assert_eq!(once, expected);
            assert_eq!(superseded(&once, "l/b", En), once);
        }
    }

    #[test]
    fn a_successor_from_outside_stays_in_its_line() {
        let card = superseded(CARD, "x](y)\n---\n# z: [", En);
        assert!(card.contains("new_version: \"x](y)\\n---\\n# z: [\"\n---\n"), "{card}");
        assert!(card.contains("\n> Superseded by: x\\](y) --- # z: \\[\n"), "{card}");
    }

    #[test]
    fn a_card_that_is_not_approved_says_so_on_top() {
        let once = not_approved(CARD);
        assert!(
            once.starts_with(
                "---\nlicense: apache-2.0\nmodel-index:\n- name: A\n---\n\n> **Not approved.** "
            ),
            "{once}"
        );
        assert!(once.contains("このモデルカードは未承認のリリースのものです。"), "{once}");
        assert!(once.ends_with("\n\n[日本語](README_ja.md)\n\n# A\n\nText.\n\n---\n"), "{once}");
        assert_eq!(not_approved(&once), once);
        assert!(not_approved("# A\n").ends_with("。\n\n# A\n"));
    }
}
