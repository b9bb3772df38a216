//! Which files of a release folder are texts of the release. One rule for whoever gathers a folder and whoever takes its texts.

/// Bytes of the largest text: a licence, a notice or a use policy is far below.
pub const LARGEST_TEXT: u64 = 2_000_000;

/// The model card in both languages. In a folder it is judged; what is published is the one that the service writes.
const CARDS: [&str; 2] = ["README.md", "README_ja.md"];

/// How the names of texts begin that need no extension.
const BARE: [&str; 4] = ["LICENSE", "LICENCE", "NOTICE", "USE_POLICY"];

/// A file of the folder that is no text of the release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its name.
    pub path: String,
    /// The rule.
    pub why: &'static str,
}

/// Whether a file is the model card, in whatever case its name is written.
#[must_use]
pub fn is_card(name: &str) -> bool {
    CARDS.iter().any(|card| card.eq_ignore_ascii_case(name))
}

/// Whether a name is that of a text: a licence, a notice, a use policy, or `*.md` and `*.txt`. Another one could stand for a file of
/// the model, or bring code along.
#[must_use]
pub fn is_text(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    match upper.rsplit_once('.') {
        None => BARE.iter().any(|bare| upper.starts_with(bare)),
        Some((stem, extension)) => {
            !stem.is_empty() && !upper.starts_with('.') && ["MD", "TXT"].contains(&extension)
        }
    }
}

/// Why a file of the folder is none of the release's texts.
pub(crate) fn why_left_out(name: &str, bytes: u64) -> Option<&'static str> {
    if !is_text(name) {
        return Some("the texts of a release are named LICENSE*, NOTICE*, USE_POLICY*, *.md and *.txt");
    }
    (bytes > LARGEST_TEXT).then_some("a text of a release has at most 2 MB")
}

#[cfg(test)]
mod tests {
    use super::{is_card, why_left_out};

    #[test]
    fn what_is_no_text_is_left_out_with_a_reason() {
        for name in ["LICENSE", "LICENSE_ja", "Notice.TXT", "USE_POLICY.md", "README_ja.md"] {
            assert_eq!(why_left_out(name, 10), None, "{name}");
        }
        for name in
            ["model.safetensors", ".gitattributes", ".hidden.md", "Makefile", "modeling.py", "LICENSE.pdf"]
        {
            assert!(why_left_out(name, 10).is_some_and(|why| why.contains("LICENSE*")), "{name}");
        }
        assert!(why_left_out("LICENSE", 2_000_001).is_some_and(|why| why.contains("2 MB")));
        assert!(is_card("readme.md") && is_card("README_JA.md") && !is_card("README"));
    }
}
