//! What the forms of a release's page send, and what they hold when the page is shown again because that was refused.

use std::collections::BTreeMap;

use sekisho_domain::Timestamp;
use sekisho_store::CardEdits;

use super::release_view::Facts;
use crate::WebError;
use crate::service::releases::Proposal;
use crate::web::frame::Frame;

/// The fields of a form. `version` is the one that the reader has seen.
#[derive(Clone, Default)]
pub(super) struct Fields(BTreeMap<String, String>);

impl Fields {
    pub(super) fn new(pairs: Vec<(String, String)>) -> Self {
        Self(pairs.into_iter().collect())
    }

    pub(super) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    pub(super) fn version(&self) -> u64 {
        // Without a number nothing matches, and the page is shown again as it is now.
        self.get("version").parse().unwrap_or_default()
    }

    /// People's texts of the card form, in the language that it was shown in.
    pub(super) fn card(&self) -> CardEdits {
        let texts = self.0.iter().filter_map(|(name, text)| {
            Some((name.strip_prefix("card.")?.to_owned(), text.replace("\r\n", "\n")))
        });
        BTreeMap::from([(self.get("card_language").to_owned(), texts.collect())])
    }

    /// The time of the schedule form, in the zone of the service, as the page shows times; none takes it back.
    pub(super) fn at(&self, frame: &Frame) -> Result<Option<Timestamp>, WebError> {
        let text = self.get("at");
        if !self.get("clear").is_empty() || text.is_empty() {
            return Ok(None);
        }
        let read =
            text.parse::<jiff::civil::DateTime>().ok().and_then(|at| at.to_zoned(frame.zone.clone()).ok());
        let at = read.map(|at| Timestamp::from_unix_ms(at.timestamp().as_millisecond()));
        at.map(Some).ok_or_else(|| {
            let ja =
                format!("「{text}」は日時として読み取れません。2026-12-01T09:00 のように指定してください。");
            let detail = format!("\"{text}\" is no date and time. Write it like 2026-12-01T09:00.");
            WebError::bad_request("publish-at", detail).or_ja(ja)
        })
    }
}

/// Why something that a form asked for was refused, and what the form held. Nothing, when the page was only opened.
#[derive(Clone, Default)]
pub(super) struct Told {
    pub(super) notice: Option<String>,
    /// The form's action.
    pub(super) action: String,
    pub(super) fields: Fields,
}

impl Told {
    /// A sentence alone.
    pub(super) fn of(notice: String) -> Self {
        Self { notice: Some(notice), ..Self::default() }
    }

    /// What was typed into the form with that action, if it was that one.
    pub(super) fn typed(&self, action: &str) -> Option<&Fields> {
        (self.action == action).then_some(&self.fields)
    }

    /// What was typed into the comment box; forms with a box of their own for their reason keep it there.
    pub(super) fn comment(&self) -> &str {
        let elsewhere = ["yank", "break_glass"].contains(&self.action.as_str());
        if elsewhere { "" } else { self.fields.get("comment") }
    }
}

/// What its author gave, with what the form changed; what was added by itself follows the new lineage file. Browsers send line ends
/// as CR LF; files have LF.
pub(super) fn edited(facts: &Facts, fields: &Fields) -> Proposal {
    let text = |field: &str| field.replace("\r\n", "\n");
    let given = |field: &str| (!field.trim().is_empty()).then(|| text(field));
    let kept = |path: &&String| facts.release.given.contains(path);
    let mut files: BTreeMap<String, String> =
        facts.texts.keys().filter(kept).map(|path| (path.clone(), facts.texts[path].clone())).collect();
    for (path, field) in [
        ("LICENSE", fields.get("license")),
        ("NOTICE", fields.get("notice")),
        ("USE_POLICY.md", fields.get("use_policy")),
    ] {
        match given(field) {
            Some(text) => drop(files.insert(path.to_owned(), text)),
            None => drop(files.remove(path)),
        }
    }
    Proposal {
        lineage: text(fields.get("lineage")),
        path: facts.release.path.clone(),
        parents: facts.parents.clone(),
        files,
        announcement: given(fields.get("announcement")),
        missing: None,
    }
}

#[cfg(test)]
impl Told {
    /// A form that was refused.
    pub(super) fn form(notice: &str, action: &str, fields: &[(&str, &str)]) -> Self {
        let fields = fields.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        Self { notice: Some(notice.to_owned()), action: action.to_owned(), fields: Fields(fields) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::releases;
    use crate::web::pages::fixtures;

    #[test]
    fn an_edit_keeps_the_texts_that_the_form_does_not_show_and_drops_what_was_added_by_itself() {
        let mut facts = fixtures::release_facts(fixtures::release());
        let text = |path: &str| (path.to_owned(), "x".to_owned());
        facts.texts = ["LICENSE", "NOTICE", "CITATION.md", releases::ANNOUNCEMENT].map(text).into();
        facts.parents = [text("p.toml")].into();
        facts.release.given = vec!["CITATION.md".to_owned()];
        let sent = [("lineage", "a\r\nb"), ("use_policy", "be good"), ("announcement", "new")];
        let told = Told::form("", "edit", &sent);
        let proposal = edited(&facts, told.typed("edit").expect("of that form"));
        assert_eq!(proposal.lineage, "a\nb");
        assert_eq!(proposal.files.into_keys().collect::<Vec<_>>(), ["CITATION.md", "USE_POLICY.md"]);
        assert_eq!(proposal.announcement.as_deref(), Some("new"));
        assert_eq!(proposal.parents, facts.parents);
    }

    #[test]
    fn what_was_typed_stays_in_its_own_form() {
        let yank = Told::form("no", "yank", &[("comment", "leaked")]);
        assert_eq!(yank.typed("yank").map(|fields| fields.get("comment")), Some("leaked"));
        assert!(yank.typed("break_glass").is_none() && yank.comment().is_empty());
        assert_eq!(Told::form("no", "return", &[("comment", "mend it")]).comment(), "mend it");
    }

    #[test]
    fn a_time_is_read_in_the_zone_of_the_page_and_nonsense_is_named() {
        let frame = fixtures::frame(sekisho_domain::Language::Ja, "/");
        let at = |text: &str| Told::form("", "schedule", &[("at", text)]).fields.at(&frame);
        let read = at("2026-11-21T14:03").expect("a time").expect("one");
        assert_eq!(read, frame.now);
        assert_eq!(at("").expect("none"), None);
        let error = at("soon").expect_err("no time");
        assert!(error.ja.is_some_and(|ja| ja.contains("soon")));
    }
}
