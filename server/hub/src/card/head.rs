//! Title, first sentences, and the family.

use sekisho_domain::Language;
use sekisho_domain::lineage::{InputKind, ReleaseStage};
use sekisho_domain::release::ReleaseState;

use super::figures::{about, day, exact};
use super::markdown::{Cell, escape, or_dash, prose, table};
use super::{Card, CardFamilyMember, Section};

impl Card<'_> {
    /// Link to the other language, title with what licences want shown, what kind of release this is, and its description.
    pub(super) fn head(&self) -> String {
        let facts = self.facts;
        let link = self.say("[日本語](README_ja.md)", "[English](README.md)");
        let shown: String = facts.built_with.iter().map(|text| format!(" - {}", escape(text))).collect();
        let mut parts = vec![link.to_owned(), format!("# {}{shown}", escape(&facts.lineage.model.name))];
        if let Some(successor) = &facts.extras.new_version {
            parts.push(super::later::successor_line(successor, self.language));
        }
        if self.release().is_some_and(|release| release.stage == ReleaseStage::Beta) {
            parts.push(self.say("> This is a beta release.", "> ベータ版です。").to_owned());
        }
        // The Hub has no field for a description of a model: what it shows is the card.
        let description = self.release().and_then(|release| release.description.as_deref());
        parts.extend(description.map(prose).filter(|text| !text.is_empty()));
        parts.join("\n\n")
    }

    /// Two sentences: what, from what.
    pub(super) fn default_intro(&self) -> String {
        let facts = self.facts;
        let parameters = about(facts.checkpoint.parameters, self.language);
        let tokens = about(facts.checkpoint.tokens.0, self.language);
        let origin = self.origin();
        let name = prose(&facts.lineage.model.name);
        let languages = self.languages();
        let languages = match (languages.is_empty(), self.language) {
            (true, _) => String::new(),
            (false, Language::En) => format!(" for {languages}"),
            (false, Language::Ja) => format!("{languages}を対象とする"),
        };
        match self.language {
            Language::En => format!(
                "{name} is a language model{languages} with {parameters} parameters. {origin} on {tokens} tokens."
            ),
            Language::Ja => format!(
                "{name}は、{languages}{parameters}パラメータの言語モデルです。{origin}、{tokens}トークンで学習しました。"
            ),
        }
    }

    fn origin(&self) -> String {
        let inputs = self.facts.lineage.inputs.iter();
        let bases = inputs.filter(|input| matches!(input.kind, InputKind::BaseModel | InputKind::Merge));
        let names: Vec<String> = bases.map(|input| escape(super::data::name(input))).collect();
        match (names.is_empty(), self.language) {
            (true, Language::En) => "It was trained from scratch".to_owned(),
            (true, Language::Ja) => "フルスクラッチで".to_owned(),
            (false, Language::En) => format!("It was trained from {}", self.list(&names)),
            (false, Language::Ja) => format!("{}を元に", self.list(&names)),
        }
    }

    fn languages(&self) -> String {
        let named: Vec<String> =
            self.facts.languages.iter().map(|code| escape(&self.language_name(code))).collect();
        named.join(self.say(" and ", "と"))
    }

    /// The name of a language; the code where there is none here.
    pub(super) fn language_name(&self, code: &str) -> String {
        match code {
            "ja" => self.say("Japanese", "日本語").to_owned(),
            "en" => self.say("English", "英語").to_owned(),
            "zh" => self.say("Chinese", "中国語").to_owned(),
            "ko" => self.say("Korean", "韓国語").to_owned(),
            "code" => self.say("Code", "プログラムコード").to_owned(),
            other => other.to_owned(),
        }
    }

    /// That the run failed, and how.
    pub(super) fn failure_story(&self) -> Option<String> {
        let warning = self.say(
            "This is the checkpoint of a failed run. It is published for research on what failed, and is not meant for use.",
            "失敗した学習のチェックポイントです。失敗の原因を研究するために公開しており、利用を目的としたモデルではありません。",
        );
        if self.is_failed() { self.with_edit(Section::FailureStory, vec![warning.to_owned()]) } else { None }
    }

    /// Variants and sizes, one line for each name and repository.
    pub(super) fn models(&self) -> Option<String> {
        let mut shown: Vec<&CardFamilyMember> = Vec::new();
        for member in self.family() {
            if !shown.iter().any(|other| (&other.name, &other.repo) == (&member.name, &member.repo)) {
                shown.push(member);
            }
        }
        if shown.len() < 2 {
            return None;
        }
        shown.sort_by_key(|member| (member.parameters, &member.name, &member.repo));
        let header = [
            self.say("Model", "モデル"),
            self.say("Parameters", "パラメータ数"),
            self.say("Trained tokens", "学習トークン数"),
            self.say("Kind", "種別"),
            self.say("State", "状態"),
        ];
        let rows: Vec<Vec<Cell>> = shown
            .into_iter()
            .map(|member| {
                vec![
                    Cell::repository(&member.name, &member.repo, "main"),
                    or_dash(member.parameters.map(exact)),
                    or_dash(member.tokens.map(|tokens| exact(tokens.0))),
                    self.release_stage(member.stage).into(),
                    self.state(member).into(),
                ]
            })
            .collect();
        Some(table(&header, &rows))
    }

    /// Releases that are or were out, newest first.
    pub(super) fn history(&self) -> Option<String> {
        let members: Vec<&CardFamilyMember> = self.family();
        if !members.iter().any(|member| member.published.is_some() && !member.is_this) {
            return None;
        }
        let header = [
            self.say("Day", "公開日"),
            self.say("Model", "モデル"),
            self.say("Revision", "版"),
            self.say("Kind", "種別"),
            self.say("State", "状態"),
        ];
        let rows: Vec<Vec<Cell>> = members
            .into_iter()
            .map(|member| {
                vec![
                    or_dash(member.published.as_ref().map(|date| day(date, self.language))),
                    Cell::repository(&member.name, &member.repo, &member.revision),
                    Cell::code(&member.revision),
                    self.release_stage(member.stage).into(),
                    self.state(member).into(),
                ]
            })
            .collect();
        Some(table(&header, &rows))
    }

    /// This release, and those that are or were out: newest first, what is not out yet before them.
    fn family(&self) -> Vec<&CardFamilyMember> {
        let out = |state| {
            matches!(state, ReleaseState::Published | ReleaseState::Superseded | ReleaseState::Yanked)
        };
        let members = self.facts.extras.family.iter();
        let mut members: Vec<&CardFamilyMember> =
            members.filter(|member| member.is_this || out(member.state)).collect();
        members.sort_by(|a, b| {
            let newness = |member: &CardFamilyMember| (member.published.is_none(), member.published.clone());
            newness(b).cmp(&newness(a)).then_with(|| (&a.name, &a.revision).cmp(&(&b.name, &b.revision)))
        });
        members
    }

    fn release_stage(&self, stage: ReleaseStage) -> &'static str {
        match stage {
            ReleaseStage::Final => self.say("Final", "正式版"),
            ReleaseStage::Beta => self.say("Beta", "ベータ版"),
            ReleaseStage::Failed => self.say("Failed run", "失敗した学習"),
        }
    }

    fn state(&self, member: &CardFamilyMember) -> &'static str {
        match member.state {
            ReleaseState::Superseded => self.say("Superseded", "後継版あり"),
            ReleaseState::Yanked => self.say("Yanked", "公開停止"),
            _ if member.is_this => self.say("This release", "このリリース"),
            _ => self.say("Published", "公開済み"),
        }
    }
}
