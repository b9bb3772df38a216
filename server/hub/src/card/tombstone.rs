//! The card of a model that was withdrawn: since when, why, and what a withdrawal cannot do.

use sekisho_domain::lineage::Gating;
use sekisho_domain::{Language, Text};

use super::figures::day;
use super::front_matter::{TAG, gate, license};
use super::markdown::{code, escape, is_repository, repository};
use super::yaml::FrontMatter;

/// What a tombstone is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TombstoneFacts {
    /// Display name of the model.
    pub name: String,
    /// `owner/name` on the Hub.
    pub repo: String,
    /// Day on which it was withdrawn, `YYYY-MM-DD` in the zone of the service.
    pub date: String,
    /// Why, in a sentence or two.
    pub reason: Text,
    /// The release that takes its place, `owner/name`.
    pub successor: Option<String>,
    /// Declared licences, Hub ids; they go on holding for copies.
    pub licenses: Vec<String>,
    /// Texts that licences want to be shown, such as "Built with Llama".
    pub built_with: Vec<String>,
    /// Languages of the model, ISO 639-1.
    pub languages: Vec<String>,
    /// What became of the repository.
    pub access: TombstoneAccess,
    /// DOI of the repository.
    pub doi: Option<String>,
}

/// What became of the repository of a withdrawn model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TombstoneAccess {
    /// Made private.
    Hidden,
    /// Access on request from now on.
    Gated,
    /// As it was: only the card says that the model is withdrawn.
    Left,
}

/// The card in one language; the English one has the front matter.
#[must_use]
pub fn tombstone(facts: &TombstoneFacts, language: Language) -> String {
    let say = |en: &'static str, ja: &'static str| if language == Language::En { en } else { ja };
    let shown: String = facts.built_with.iter().map(|text| format!(" - {}", escape(text))).collect();
    let mut parts = vec![
        say("[日本語](README_ja.md)", "[English](README.md)").to_owned(),
        format!("# {}{shown}", escape(&facts.name)),
        stopped(facts, language),
    ];
    if let Some(successor) = &facts.successor {
        let link = repository(successor, successor, "main");
        parts.push(format!("{}{link}", say("Successor: ", "後継版：")));
    }
    parts.push(say("## What was done", "## 実施した内容").to_owned());
    let repo = code(&facts.repo);
    parts.push(match language {
        Language::En => format!("Repository: {repo}. {}", done(facts.access, language)),
        Language::Ja => format!("リポジトリ：{repo}。{}", done(facts.access, language)),
    });
    parts.push(say("## What cannot be undone", "## 取り消せないこと").to_owned());
    parts.push(lasting(facts, language).join("\n"));
    let front = if language == Language::En { front_matter(facts) } else { String::new() };
    format!("{front}{}\n", parts.join("\n\n"))
}

fn front_matter(facts: &TombstoneFacts) -> String {
    let mut front = FrontMatter::new();
    front.list("language", &facts.languages);
    license(&mut front, &facts.licenses, &facts.name);
    if let Some(successor) = facts.successor.as_ref().filter(|repo| is_repository(repo)) {
        front.value("new_version", successor);
    }
    front.sequence("tags", &[TAG, "yanked"]);
    let gating = if facts.access == TombstoneAccess::Gated { Gating::Manual } else { Gating::None };
    gate(&mut front, gating, &facts.licenses);
    front.finish()
}

fn stopped(facts: &TombstoneFacts, language: Language) -> String {
    let date = escape(&day(&facts.date, language));
    let reason = escape(facts.reason.get(language));
    let reason = reason.trim_end_matches(['。', '.']);
    match language {
        Language::En => format!("This model was withdrawn on {date}. Reason: {reason}."),
        Language::Ja => format!(
            "このモデルは{date}に公開を停止しました。理由：{reason}。既に取得された複製の利用を制限するものではありません。"
        ),
    }
}

const fn done(access: TombstoneAccess, language: Language) -> &'static str {
    match (access, language) {
        (TombstoneAccess::Hidden, Language::En) => {
            "It was made private. Its files and their history can no longer be downloaded from it."
        }
        (TombstoneAccess::Hidden, Language::Ja) => {
            "非公開にしました。ファイルとその履歴は、このリポジトリからは取得できません。"
        }
        (TombstoneAccess::Gated, Language::En) => {
            "Downloads need a permission for each person from now on. Files and history stay in the repository; those who were granted access before keep it unless it is taken from them."
        }
        (TombstoneAccess::Gated, Language::Ja) => {
            "以後の取得には、個別の承認が必要です。ファイルとその履歴はリポジトリに残っています。以前に承認された利用者は、承認を取り消されない限り取得できます。"
        }
        (TombstoneAccess::Left, Language::En) => {
            "Only this card was replaced. Files and history stay in the repository and can be downloaded as before."
        }
        (TombstoneAccess::Left, Language::Ja) => {
            "このモデルカードのみを差し替えました。ファイルとその履歴はリポジトリに残っており、これまでと同様に取得できます。"
        }
    }
}

/// What no withdrawal takes back, as a list.
fn lasting(facts: &TombstoneFacts, language: Language) -> Vec<String> {
    let say = |en: &str, ja: &str| format!("- {}", if language == Language::En { en } else { ja });
    let mut lines = vec![say(
        "Copies that were downloaded, and models made from them, remain where they are. This withdrawal does not restrict their use.",
        "既に取得された複製、およびそこから作成されたモデルは、取得した人の手元に残ります。公開の停止は、その利用を制限しません。",
    )];
    let (irrevocable, others): (Vec<&String>, Vec<&String>) =
        facts.licenses.iter().partition(|id| is_irrevocable(id));
    let join = |ids: &[&String]| {
        let ids: Vec<String> = ids.iter().map(|id| code(id)).collect();
        ids.join(if language == Language::En { ", " } else { "、" })
    };
    if !irrevocable.is_empty() {
        let ids = join(&irrevocable);
        lines.push(say(
            &format!("Rights granted under {ids} are irrevocable: whoever received the model keeps them."),
            &format!("{ids}に基づいて与えられた許諾は取り消せません。既に受け取った人は、引き続きその権利を有します。"),
        ));
    }
    if !others.is_empty() {
        let ids = join(&others);
        lines.push(say(
            &format!("The terms of {ids} go on holding for copies that are out."),
            &format!("既に取得された複製には、{ids}の条件が引き続き適用されます。"),
        ));
    }
    if facts.access != TombstoneAccess::Hidden {
        lines.push(say(
            "Earlier commits of this repository still hold the released files, and the model card as it was.",
            "このリポジトリの過去のコミットには、公開したファイルと当時のモデルカードが残っています。",
        ));
    }
    lines.push(say(
        "Copies in mirrors and caches of others are out of the publisher's reach.",
        "第三者のミラーやキャッシュにある複製は、公開者の手が及びません。",
    ));
    if let Some(doi) = &facts.doi {
        let doi = code(doi);
        lines.push(say(
            &format!("The DOI {doi} remains registered and leads here."),
            &format!("DOI {doi} は登録されたままで、このページを指します。"),
        ));
    }
    lines
}

/// Licences whose text calls the grant irrevocable: Apache-2.0 §2 and §3, Creative Commons 4.0 §2(a)(1), CC0 1.0 §2 and §3.
fn is_irrevocable(id: &str) -> bool {
    let id = id.to_lowercase();
    id == "apache-2.0" || id == "cc0-1.0" || (id.starts_with("cc-by") && id.ends_with("-4.0"))
}

#[cfg(test)]
mod tests {
    use sekisho_domain::Language::{En, Ja};
    use sekisho_domain::Text;

    use super::{TombstoneAccess, TombstoneFacts, tombstone};
    use crate::card::tests::{figures, without_front_matter};

    fn facts() -> TombstoneFacts {
        TombstoneFacts {
            name: "v4-8b".to_owned(),
            repo: "lab/v4-8b".to_owned(),
            date: "2026-12-01".to_owned(),
            reason: Text {
                en: "A rights holder asked for removal of a subset.".to_owned(),
                ja: "権利者からサブセットの除外の申し出がありました。".to_owned(),
            },
            successor: Some("lab/v4.1-8b".to_owned()),
            licenses: vec!["apache-2.0".to_owned(), "gemma".to_owned()],
            built_with: Vec::new(),
            languages: vec!["ja".to_owned(), "en".to_owned()],
            access: TombstoneAccess::Gated,
            doi: None,
        }
    }

    #[test]
    fn a_tombstone_says_when_why_and_what_it_cannot_do() {
        let ja = tombstone(&facts(), Ja);
        for sentence in [
            "[English](README.md)\n\n# v4-8b\n\nこのモデルは2026年12月1日に公開を停止しました。理由：権利者からサブセットの除外の申し出がありました。既に取得された複製の利用を制限するものではありません。\n",
            "後継版：[lab/v4.1-8b](https://huggingface.co/lab/v4.1-8b)\n",
            "以後の取得には、個別の承認が必要です。",
            "- `apache-2.0`に基づいて与えられた許諾は取り消せません。",
            "- 既に取得された複製には、`gemma`の条件が引き続き適用されます。",
            "過去のコミット",
        ] {
            assert!(ja.contains(sentence), "{sentence}\n{ja}");
        }
        let en = tombstone(&facts(), En);
        let front = "---\nlanguage: [ja, en]\nlicense: [apache-2.0, gemma]\nnew_version: lab/v4.1-8b\ntags: [sekisho, yanked]\nextra_gated_heading: ";
        assert!(en.starts_with(front), "{en}");
        assert!(
            en.contains("withdrawn on 2026-12-01. Reason: A rights holder asked for removal of a subset.\n"),
            "{en}"
        );
    }

    #[test]
    fn both_languages_hold_the_same_figures() {
        for access in [TombstoneAccess::Hidden, TombstoneAccess::Gated, TombstoneAccess::Left] {
            let facts = TombstoneFacts { access, doi: Some("10.57967/hf/1".to_owned()), ..facts() };
            let (en, ja) = (tombstone(&facts, En), tombstone(&facts, Ja));
            assert_eq!(figures(without_front_matter(&en)), figures(&ja), "{en}\n{ja}");
        }
    }

    #[test]
    fn a_tombstone_says_only_what_holds() {
        let hidden = TombstoneFacts {
            access: TombstoneAccess::Hidden,
            successor: None,
            licenses: Vec::new(),
            doi: Some("10.57967/hf/1".to_owned()),
            ..facts()
        };
        let en = tombstone(&hidden, En);
        for absent in
            ["extra_gated", "new_version", "Successor", "Earlier commits", "irrevocable", "license:"]
        {
            assert!(!en.contains(absent), "{absent}\n{en}");
        }
        assert!(en.contains("made private") && en.contains("DOI `10.57967/hf/1`"), "{en}");
        let left = tombstone(&TombstoneFacts { access: TombstoneAccess::Left, ..facts() }, En);
        assert!(left.contains("Only this card was replaced") && left.contains("Earlier commits"), "{left}");
    }

    #[test]
    fn text_from_outside_cannot_shape_a_tombstone() {
        let text = "# x\n---\n<script>|`".to_owned();
        let odd = TombstoneFacts {
            name: text.clone(),
            reason: Text { en: text.clone(), ja: text.clone() },
            successor: Some(text.clone()),
            licenses: vec![text.clone()],
            date: text.clone(),
            doi: Some(text.clone()),
            ..facts()
        };
        for card in [tombstone(&odd, En), tombstone(&odd, Ja)] {
            let body = card.rsplit_once("\n---\n\n").map_or(card.as_str(), |(_, body)| body);
            assert!(!body.lines().any(|line| line == "---" || line.starts_with("<")), "{card}");
            assert_eq!(body.lines().filter(|line| line.starts_with("# ")).count(), 1, "{card}");
        }
    }
}
