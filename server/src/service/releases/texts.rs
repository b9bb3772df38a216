use std::collections::BTreeMap;

use sekisho_policy::{LARGEST_TEXT, Owed, PolicySet, is_card, is_text};

use super::content::MODEL_FILES;
use crate::{App, WebError};

/// Where the announcement is kept among a release's texts. It is judged, and not published.
pub const ANNOUNCEMENT: &str = ".announcement";

/// Refuses what is not a text of a release: another name could stand for a file of the model, or bring code along.
///
/// # Errors
/// 422 naming the file and the rule.
pub(super) fn check(path: &str, text: &str) -> Result<(), WebError> {
    let refused = |rule: &str, ja: &str| {
        let shown = path.escape_debug();
        let error =
            WebError::refused("release-file", format!("\"{shown}\" is not a text of a release: {rule}."));
        Err(error.or_ja(format!("「{shown}」はリリースに同梱できません。{ja}")))
    };
    if path.len() > 100 || path.contains(['/', '\\']) || path.chars().any(char::is_control) {
        return refused(
            "a text has a plain name of at most 100 bytes and lies in the root folder",
            "名前は100バイト以内とし、最上位のフォルダーに置いてください。",
        );
    }
    if is_card(path) {
        return refused(
            "the service writes the model card itself; leave it out",
            "モデルカードはサーバーが作成します。含めないでください。",
        );
    }
    if MODEL_FILES.iter().any(|file| file.eq_ignore_ascii_case(path)) {
        return refused(
            "that name belongs to a file of the model",
            "モデルのファイルの名前です。別の名前にしてください。",
        );
    }
    if !is_text(path) {
        return refused(
            "the names are LICENSE*, NOTICE*, USE_POLICY*, *.md and *.txt",
            "使用できる名前は LICENSE*、NOTICE*、USE_POLICY*、*.md、*.txt です。",
        );
    }
    if text.len() as u64 > LARGEST_TEXT {
        return refused("a text has at most 2 MB", "テキストは2MBまでです。");
    }
    Ok(())
}

/// What licences ask for and the author did not give: the lines of NOTICE, and the text of a declared licence that Sekisho carries.
pub(super) fn automatic(
    given: &BTreeMap<String, String>,
    declared: &[String],
    set: &PolicySet,
    owed: &Owed,
) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    let lines = credits(owed);
    if !lines.is_empty() {
        texts.insert("NOTICE".to_owned(), lines.join("\n") + "\n");
    }
    for rule in declared.iter().filter_map(|id| set.license(id)) {
        if let (Some(file), Some(text)) = (&rule.file, sekisho_policy::license_text(&rule.id)) {
            texts.insert(file.clone(), text.to_owned());
        }
    }
    texts.retain(|path, _| !given.keys().any(|name| name.eq_ignore_ascii_case(path)));
    texts
}

/// The lines that NOTICE must hold, and the sentences that give credit.
pub(super) fn credits(owed: &Owed) -> Vec<String> {
    owed.notices.union(&owed.attributions).cloned().collect()
}

/// Keeps texts as blobs; answers path → key.
pub(super) async fn keep(
    app: &App,
    texts: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, WebError> {
    let mut kept = BTreeMap::new();
    for (path, text) in texts {
        let key = app.blobs.put_addressed(text.into_bytes()).await?;
        kept.insert(path, key.to_string());
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::{ANNOUNCEMENT, check};

    #[test]
    fn only_texts_are_texts() {
        for good in [
            "LICENSE",
            "LICENSE_ja",
            "Notice",
            "NOTICE.txt",
            "USE_POLICY.md",
            "GEMMA_TERMS_OF_USE.md",
            "CITATION.txt",
        ] {
            assert!(check(good, "x").is_ok(), "{good}");
        }
        for bad in [
            "README.md",
            "readme.md",
            "README_ja.md",
            "config.json",
            "model.safetensors",
            "model-00001-of-00002.safetensors",
            "merges.txt",
            "tokenizer.model",
            "chat_template.jinja",
            "modeling_lab.py",
            "LICENSE.py",
            "LICENSE.safetensors",
            ".gitattributes",
            ".md",
            ".hidden.md",
            ANNOUNCEMENT,
            "a/b.md",
            "..\\x.md",
            "Makefile",
            "x\n.md",
            "",
        ] {
            let error = check(bad, "x").expect_err(bad);
            assert_eq!((error.status.as_u16(), error.code), (422, "release-file"), "{bad}");
        }
        let large = "x".repeat(2_000_001);
        assert!(check("LICENSE", &large).is_err_and(|error| error.detail.contains("2 MB")));
    }
}
