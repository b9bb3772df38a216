//! The announcement of a release, and a form that looks at any text as if it were that: what it claims that the release is not.

use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use sekisho_domain::Language;
use sekisho_policy::{Claim, Weight};
use serde::Deserialize;

use super::release_form::Told;
use super::{parts, release};
use crate::service::releases;
use crate::web::format;
use crate::web::frame::Frame;
use crate::{App, WebError};

/// Letters of a text that is checked; whoever may read may ask, and far more than any announcement has takes long.
const LONGEST: usize = 20_000;

/// The two boxes.
#[derive(Clone, Default, Deserialize)]
pub(crate) struct Typed {
    #[serde(default)]
    ja: String,
    #[serde(default)]
    en: String,
}

/// What was typed, and what the rules say of it.
#[derive(Clone, Default)]
pub(super) struct Checked {
    typed: Typed,
    claims: Vec<(Language, Claim)>,
}

/// The section of the page.
#[derive(Default)]
pub(super) struct AnnouncementView {
    /// As its author gave it.
    pub(super) text: Option<String>,
    /// The boxes: language, its name, and what was typed.
    pub(super) boxes: Vec<(&'static str, &'static str, String)>,
    /// Nothing before something was checked.
    pub(super) claims: Option<Vec<ClaimRow>>,
    /// `violations`, or `warnings` when there is nothing worse among them.
    pub(super) kind: &'static str,
}

/// One finding, with its sentence around the phrase.
pub(super) struct ClaimRow {
    pub(super) code: &'static str,
    /// Language of the box.
    pub(super) lang: &'static str,
    pub(super) box_name: &'static str,
    pub(super) is_warning: bool,
    pub(super) before: String,
    pub(super) phrase: String,
    pub(super) after: String,
}

/// `POST /releases/{id}/announcement`: the page with what the typed text claims. Nothing is saved, so whoever may read may ask.
pub(crate) async fn check(
    State(app): State<App>,
    frame: Frame,
    Path(key): Path<String>,
    Form(typed): Form<Typed>,
) -> Result<Response, WebError> {
    let found = releases::find(&app, &key).await?;
    let frame = Frame { path: format!("/releases/{}", found.id), ..frame };
    if [&typed.ja, &typed.en].iter().any(|text| text.chars().count() > LONGEST) {
        let notice = frame.fill("release.check_long", "n", format::count(LONGEST as u64));
        return release::refused(&app, frame, &key, StatusCode::PAYLOAD_TOO_LARGE, notice).await;
    }
    let mut claims = Vec::new();
    for (lang, text) in [(Language::Ja, &typed.ja), (Language::En, &typed.en)] {
        let of_text = releases::check_announcement(&app, &found, text).await?;
        claims.extend(of_text.into_iter().map(|claim| (lang, claim)));
    }
    let page = release::page(&app, frame, &key, &Told::default(), Some(Checked { typed, claims })).await?;
    parts::page(&page)
}

const fn name(lang: Language) -> &'static str {
    match lang {
        Language::Ja => "日本語",
        Language::En => "English",
    }
}

pub(super) fn view(frame: &Frame, text: Option<&String>, checked: Option<Checked>) -> AnnouncementView {
    let (typed, claims) = checked.map(|checked| (checked.typed, checked.claims)).unzip();
    let typed: Typed = typed.unwrap_or_default();
    let row = |(lang, claim): &(Language, Claim)| {
        let sentence = claim.finding.text.get(frame.lang);
        let (before, after) = sentence.split_once(&claim.phrase).unwrap_or(("", sentence));
        ClaimRow {
            code: claim.finding.code.as_str(),
            lang: lang.as_str(),
            box_name: name(*lang),
            is_warning: claim.weight == Weight::Warning,
            before: before.to_owned(),
            phrase: claim.phrase.clone(),
            after: after.to_owned(),
        }
    };
    let mut all = claims.iter().flatten();
    let is_mild = all.all(|(_, claim)| claim.weight == Weight::Warning);
    AnnouncementView {
        text: text.cloned(),
        boxes: vec![
            (Language::Ja.as_str(), name(Language::Ja), typed.ja),
            (Language::En.as_str(), name(Language::En), typed.en),
        ],
        kind: if is_mild { "warnings" } else { "violations" },
        claims: claims.map(|claims| claims.iter().map(row).collect()),
    }
}

#[cfg(test)]
pub(super) fn checked(claims: Vec<(Language, Claim)>) -> Checked {
    Checked { typed: Typed { ja: "<完全オープン>".to_owned(), en: "a < b".to_owned() }, claims }
}

#[cfg(test)]
mod tests {
    use sekisho_policy::{Facts, PolicySet};

    use super::*;
    use crate::web::pages::fixtures;

    #[test]
    fn the_phrase_is_marked_in_the_sentence_that_says_why_and_what_may_be_said() {
        let file = sekisho_domain::parse_toml("lineage.toml", &fixtures::release().lineage).expect("lineage");
        let (facts, set) = (Facts::of("lineage.toml", file), PolicySet::builtin("base").expect("base"));
        let text = "世界最大のフルオープンモデル";
        let found = sekisho_policy::check_announcement(&facts, &set, text);
        let claims = found.into_iter().map(|claim| (Language::Ja, claim)).collect();
        let frame = fixtures::frame(Language::Ja, "/");
        let view = view(&frame, None, Some(checked(claims)));
        let rows = view.claims.expect("checked");
        assert!(!rows.is_empty());
        for row in rows {
            assert_eq!(
                (row.code, row.phrase.as_str(), row.is_warning),
                ("open-claim", "フルオープン", false)
            );
            assert_eq!(row.before, "告知文に「");
            assert!(
                row.after.contains("のため使用できません。使用できる表現：「申請制で重みを提供」"),
                "{}",
                row.after
            );
        }
    }
}
