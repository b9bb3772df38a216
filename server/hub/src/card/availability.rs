//! What is published of the work. Every claim is computed: nothing is called public that the repository's visibility and
//! gating or the levels of the text do not bear out.

use sekisho_domain::Language;
use sekisho_domain::lineage::{Gating, ReleaseSection, Visibility};

use super::data::Leveled;
use super::figures::exact;
use super::markdown::{Cell, or_dash, table};
use super::{Card, CardComponent, CardComponentKind as Kind, CardComponentState as State};

impl Card<'_> {
    /// Who may have the weights, and how much of everything else. Nothing is said about what Sekisho does not know.
    pub(super) fn availability(&self) -> Option<String> {
        let release = self.release()?;
        let components = &self.facts.extras.components;
        if components.is_empty() {
            return Some(self.weights_and_text(release));
        }
        let mut components: Vec<&CardComponent> =
            components.iter().filter(|component| component.kind != Kind::Weights).collect();
        components.sort_by_key(|component| component.kind);
        let header = [
            self.say("Component", "対象"),
            self.say("Availability", "範囲"),
            self.say("Where", "場所"),
            self.say("Note", "備考"),
        ];
        let mut rows = vec![vec![
            self.component_name(Kind::Weights).into(),
            self.weights(release).into(),
            Cell::none(),
            Cell::none(),
        ]];
        rows.extend(components.into_iter().map(|component| self.component(component, release)));
        Some(table(&header, &rows))
    }

    fn component(&self, component: &CardComponent, release: &ReleaseSection) -> Vec<Cell> {
        let mut notes: Vec<String> =
            component.reason.iter().map(|text| text.get(self.language).to_owned()).collect();
        if component.kind == Kind::TrainingData {
            notes.extend(self.text_shares().into_iter().map(|(_, share)| share));
        }
        let path = component.path.as_ref().filter(|_| component.state != State::Closed);
        let notes = (!notes.is_empty()).then(|| notes.join(self.say("; ", "、")));
        vec![
            self.component_name(component.kind).into(),
            self.extent(component, release).into(),
            path.map_or_else(Cell::none, |path| Cell::code(path)),
            or_dash(notes),
        ]
    }

    /// What a component is worth where it lies: in a private repository nothing is public, and text of which some may not
    /// be redistributed is at most partly so.
    fn extent(&self, component: &CardComponent, release: &ReleaseSection) -> &'static str {
        let elsewhere = component.path.as_ref().is_some_and(|path| path.starts_with("https://"));
        let kept = self.leveled().iter().any(|text| text.level != Some("L1"));
        let state = match component.state {
            _ if release.visibility == Visibility::Private && !elsewhere => State::Closed,
            State::Open if component.kind == Kind::TrainingData && kept => State::Partly,
            state => state,
        };
        let gating = if elsewhere { Gating::None } else { release.gating };
        match (state, gating) {
            (State::Closed, _) => self.say("not published", "非公開"),
            (State::Open, Gating::None) => self.say("public", "公開"),
            (State::Open, Gating::Auto) => self.say("public after registration", "登録後に公開"),
            (State::Partly, Gating::None) => self.say("partly public", "一部公開"),
            (State::Partly, Gating::Auto) => self.say("partly public after registration", "登録後に一部公開"),
            (State::Open, Gating::Manual) => self.say("on request", "申請制"),
            (State::Partly, Gating::Manual) => self.say("partly, on request", "一部、申請制"),
        }
    }

    fn weights(&self, release: &ReleaseSection) -> &'static str {
        match (release.visibility, release.gating) {
            (Visibility::Private, _) => self.say("private", "非公開"),
            (Visibility::Public, Gating::None) => {
                self.say("public (open weights)", "公開（オープンウェイト）")
            }
            (Visibility::Public, Gating::Auto) => {
                self.say("public after registration (open weights)", "登録後に公開（オープンウェイト）")
            }
            (Visibility::Public, Gating::Manual) => {
                self.say("on request, granted one by one", "申請制（個別承認）")
            }
        }
    }

    /// Without a list of components: the weights, and the text by level.
    fn weights_and_text(&self, release: &ReleaseSection) -> String {
        let header = [self.say("Component", "対象"), self.say("Availability", "範囲")];
        let mut rows: Vec<Vec<Cell>> =
            vec![vec![self.component_name(Kind::Weights).into(), self.weights(release).into()]];
        for (label, share) in self.text_shares() {
            rows.push(vec![label.into(), share.into()]);
        }
        table(&header, &rows)
    }

    /// Subsets and tokens that may and may not be redistributed.
    fn text_shares(&self) -> Vec<(&'static str, String)> {
        let (free, kept): (Vec<Leveled<'_>>, Vec<Leveled<'_>>) =
            self.leveled().into_iter().partition(|text| text.level == Some("L1"));
        let mut shares = Vec::new();
        for (texts, en, ja) in
            [(free, "may be redistributed", "再頒布可"), (kept, "may not be redistributed", "再頒布不可")]
        {
            if texts.is_empty() {
                continue;
            }
            let count = texts.len();
            // A sum over some of them only would be a wrong number.
            let tokens = texts.iter().map(|text| text.tokens).sum::<Option<u64>>().map(exact);
            let tokens = match (tokens, self.language) {
                (None, _) => String::new(),
                (Some(tokens), Language::En) => format!(", {tokens} tokens"),
                (Some(tokens), Language::Ja) => format!("、{tokens}トークン"),
            };
            let share = match self.language {
                Language::En => {
                    format!("{en}: {count} {}{tokens}", if count == 1 { "subset" } else { "subsets" })
                }
                Language::Ja => format!("{ja}：{count}サブセット{tokens}"),
            };
            shares.push((self.say("Training text", "学習テキスト"), share));
        }
        shares
    }

    fn component_name(&self, kind: Kind) -> &'static str {
        match kind {
            Kind::Weights => self.say("Weights", "重み"),
            Kind::Code => self.say("Code", "コード"),
            Kind::TrainingData => self.say("Training data", "学習データ"),
            Kind::TrainingLogs => self.say("Training logs", "学習ログ"),
            Kind::EvaluationRecords => self.say("Evaluation records", "評価記録"),
            Kind::RunSpecification => self.say("Run specification", "実験設定"),
            Kind::DataOrder => self.say("Data order", "データ順序"),
        }
    }
}
