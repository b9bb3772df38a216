//! Every sentence of a decision, in both languages. Those of the contract's codes are fixed.

use sekisho_domain::Language;
use sekisho_domain::lineage::InputStage;

use crate::decision::{Decision, Finding};
use sekisho_domain::Text;

/// A sentence with `{placeholders}`.
pub(crate) struct Template {
    en: &'static str,
    ja: &'static str,
}

impl Template {
    /// Fills the placeholders with the same values in both languages.
    pub(crate) fn fill(&self, values: &[(&str, &str)]) -> Text {
        self.fill_each(values, values)
    }

    /// Fills the placeholders with values of their own language.
    pub(crate) fn fill_each(&self, en: &[(&str, &str)], ja: &[(&str, &str)]) -> Text {
        Text { en: fill(self.en, en), ja: fill(self.ja, ja) }
    }
}

/// One pass from left to right, so that a value with braces in it stays as it is.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let Some((key, tail)) = after.split_once('}') else {
            return out + "{" + after;
        };
        match values.iter().find(|(name, _)| *name == key) {
            Some((_, value)) => out.push_str(value),
            None => out.extend(["{", key, "}"]),
        }
        rest = tail;
    }
    out + rest
}

macro_rules! templates {
    ($($name:ident { en: $en:literal, ja: $ja:literal })+) => {
        $(pub(crate) const $name: Template = Template { en: $en, ja: $ja };)+

        #[cfg(test)]
        pub(super) const EVERY: &[Template] = &[$($name),+];
    };
}

mod house;
mod labels;
mod meanings;

pub(crate) use house::*;
pub(crate) use meanings::meaning;

templates! {
    LEVEL_FORBIDS_TRAINING {
        en: "Subset \"{subset}\" is level {level}: not for training models to be published ({tokens} tokens used in {stage}).",
        ja: "サブセット「{subset}」はリリースレベル{level}です。公開予定モデルの学習には使用できません（{stage}で{tokens}トークン使用）。"
    }
    LEVEL_FORBIDS_TRAINING_UNCOUNTED {
        en: "Subset \"{subset}\" is level {level}: not for training models to be published (used in {stage}, tokens not recorded).",
        ja: "サブセット「{subset}」はリリースレベル{level}です。公開予定モデルの学習には使用できません（{stage}で使用、トークン数の記録なし）。"
    }
    LEVEL_FORBIDS_USE {
        en: "Subset \"{subset}\" is LZ (no use): nothing derived from it may be published.",
        ja: "サブセット「{subset}」はLZ（no-use）です。派生物はいかなる形でも公開できません。"
    }
    LEVEL_UNKNOWN {
        en: "Subset \"{subset}\" has no release level. Ask the corpus group to register one.",
        ja: "サブセット「{subset}」のリリースレベルが未登録です。コーパスWGに登録を依頼してください。"
    }
    LEVEL_MISMATCH {
        en: "Subset \"{subset}\" is said to be {claimed}, but the registry says {registered}. Correct the lineage, or ask the corpus group.",
        ja: "サブセット「{subset}」は{claimed}と記載されていますが、登録されているリリースレベルは{registered}です。系譜を修正するか、コーパスWGに確認してください。"
    }
    LEVEL_TWICE {
        en: "Subset \"{subset}\" is said to be both {a} and {b}. Settle which level holds.",
        ja: "サブセット「{subset}」のリリースレベルが{a}と{b}の両方で記載されています。どちらが正しいか確定してください。"
    }
    LEVEL_OF_RUN {
        en: "Subset \"{subset}\" is said to be {claimed}, but run \"{run}\" was registered with {level}. Settle which level holds.",
        ja: "サブセット「{subset}」は{claimed}と記載されていますが、実験「{run}」の設定では{level}です。どちらが正しいか確定してください。"
    }
    LICENSE_UNKNOWN {
        en: "No rule covers licence \"{license}\" of \"{input}\". It cannot be released until one is added.",
        ja: "「{input}」のライセンス「{license}」に対応する規則がありません。規則を追加するまで公開できません。"
    }
    LICENSE_NONE {
        en: "\"{input}\" states no licence. It cannot be released until one is recorded.",
        ja: "「{input}」のライセンスが記載されていません。記載するまで公開できません。"
    }
    LICENSE_CONFLICT {
        en: "Declared licence {declared} cannot meet the terms of \"{input}\" ({license}). Declare {required}.",
        ja: "宣言したライセンス {declared} では「{input}」（{license}）の条件を満たせません。{required} を宣言してください。"
    }
    LICENSE_CONFLICT_ALWAYS {
        en: "No declared licence can meet the terms of \"{input}\" ({license}), which forbids derivatives. Add evidence of permission, or train without it.",
        ja: "「{input}」（{license}）は改変物の頒布を禁じているため、どのライセンスを宣言しても条件を満たせません。利用許諾の根拠資料、または学習データからの除外が必要です。"
    }
    DECLARE {
        en: "Declare {required}: the terms of \"{input}\" ({terms}) reach this model.",
        ja: "{required} を宣言してください。「{input}」（{terms}）の条件がこのモデルに及びます。"
    }
    LICENSE_CONTRADICTION {
        en: "\"{input}\" is said to be both under {a} and under {b}. Settle which licence holds.",
        ja: "「{input}」のライセンスが{a}と{b}の両方で記載されています。どちらが正しいか確定してください。"
    }
    NONCOMMERCIAL_INPUT {
        en: "\"{input}\" is non-commercial ({license}). Add evidence of permission, or train without it.",
        ja: "「{input}」は非商用ライセンス（{license}）です。利用許諾の根拠資料、または学習データからの除外が必要です。"
    }
    OUTPUTS_FORBIDDEN {
        en: "\"{input}\" is output of {generator}. {license} ({clause}) forbids using outputs to improve other LLMs.",
        ja: "「{input}」は {generator} の出力です。{license}（{clause}）は、出力を他のLLMの改善に用いることを禁じています。"
    }
    JUDGE_FORBIDDEN {
        en: "\"{input}\" judged during training. Whether {license} ({clause}), which forbids using outputs to improve other LLMs, covers that is unsettled.",
        ja: "「{input}」を学習中の評価に用いています。出力を他のLLMの改善に用いることを禁じる {license}（{clause}）に触れるかどうかは定まっていません。"
    }
    NAME_PREFIX {
        en: "The model name must begin with \"{prefix}\" ({terms}). It is {name}.",
        ja: "モデル名は「{prefix}」で始める必要があります（{terms}）。現在の名称：{name}"
    }
    NAME_PREFIX_DUTY {
        en: "The model name must begin with \"{prefix}\" ({terms}).",
        ja: "モデル名は「{prefix}」で始める必要があります（{terms}）。"
    }
    BUILT_WITH_MISSING {
        en: "The card does not show \"{text}\" ({terms}).",
        ja: "モデルカードに「{text}」の表示がありません（{terms}）。"
    }
    BUILT_WITH_DUTY {
        en: "The card must show \"{text}\" ({terms}).",
        ja: "モデルカードに「{text}」を表示してください（{terms}）。"
    }
    NOTICE {
        en: "NOTICE must hold this line exactly: {text}",
        ja: "NOTICEに次の文が一字一句そのまま必要です：{text}"
    }
    LICENSE_FILE_MISSING {
        en: "The full text of {license} ({file}) is not included.",
        ja: "{license} の全文（{file}）が同梱されていません。"
    }
    LICENSE_FILE_DUTY {
        en: "Include the full text of {license} ({file}).",
        ja: "{license} の全文（{file}）を同梱してください。"
    }
    USE_POLICY_MISSING {
        en: "The acceptable use policy of {license} (USE_POLICY.md) is not included.",
        ja: "{license} の利用規定（USE_POLICY.md）が同梱されていません。"
    }
    USE_POLICY_DUTY {
        en: "Include the acceptable use policy of {license} (USE_POLICY.md).",
        ja: "{license} の利用規定（USE_POLICY.md）を同梱してください。"
    }
    CARD_LICENSE_MISMATCH {
        en: "The card says {card}, the release says {release}.",
        ja: "モデルカードのlicense（{card}）と公開設定（{release}）が一致しません。"
    }
    OPEN_CLAIM {
        en: "{where} says \"{phrase}\", but this release is {reason}. You may say \"{allowed}\".",
        ja: "{where}に「{phrase}」とありますが、このリリースは{reason}のため使用できません。使用できる表現：「{allowed}」"
    }
    DATA_CLAIM {
        en: "\"{phrase}\" is claimed, but {count} subsets of L2/L3 may not be redistributed. State what is.",
        ja: "「{phrase}」とありますが、L2・L3のサブセット{count}件は再頒布できません。公開できる範囲を記載してください。"
    }
    GATE_SCORE {
        en: "{task} {value} is below the gate {threshold} (95% CI [{low}, {high}], n = {n}).",
        ja: "{task} {value} が基準 {threshold} を下回っています（95%CI [{low}, {high}]、n = {n}）。"
    }
    GATE_SCORE_NONE {
        en: "{task} has no score; the gate is {threshold}. Evaluate it first.",
        ja: "{task} のスコアがありません（基準 {threshold}）。先に評価してください。"
    }
    GATE_REGRESSION {
        en: "{task} is significantly worse than the published {current} ({delta}, p = {p}).",
        ja: "公開中の {current} と比べて {task} が有意に低下しています（{delta}、p = {p}）。"
    }
    LINEAGE_CYCLE {
        en: "The lineage has a cycle: {path}",
        ja: "系譜が循環しています：{path}"
    }
    LINEAGE_MISSING {
        en: "\"{input}\" has no registered lineage. A model with unknown inputs cannot be released.",
        ja: "「{input}」の系譜が登録されていません。入力が不明なモデルは公開できません。"
    }
    LINEAGE_LEFT_OUT {
        en: "Run \"{run}\" was trained on \"{input}\", which the lineage leaves out. A model with unknown inputs cannot be released; add it as an input of this id.",
        ja: "実験「{run}」の学習に使用した「{input}」が系譜に記載されていません。入力が不明なモデルは公開できません。このIDの入力として追記してください。"
    }
    ATTRIBUTION {
        en: "Credit \"{input}\" ({terms}) in the model card.",
        ja: "「{input}」（{terms}）の帰属表示をモデルカードに記載してください。"
    }
    ATTRIBUTION_SENTENCE {
        en: "The model card must say ({terms}): {sentence}",
        ja: "モデルカードに次の文を記載してください（{terms}）：{sentence}"
    }
    ATTRIBUTION_MISSING {
        en: "The card does not credit \"{input}\" ({terms}). Name it in README.md, NOTICE or ATTRIBUTION.md.",
        ja: "「{input}」（{terms}）の帰属表示が見つかりません。README.md、NOTICE、ATTRIBUTION.md のいずれかに記載してください。"
    }
    ATTRIBUTION_SENTENCE_MISSING {
        en: "README.md, NOTICE and ATTRIBUTION.md lack the sentence that {terms} asks for. Add to one of them: {sentence}",
        ja: "{terms} が求める次の文が、README.md、NOTICE、ATTRIBUTION.md のいずれにもありません。いずれかに追記してください：{sentence}"
    }
    STATE_CHANGES {
        en: "Say prominently that \"{input}\" was modified ({terms}).",
        ja: "「{input}」を変更したことを明示してください（{terms}）。"
    }
    SHARE_ALIKE {
        en: "Whether weights trained on \"{input}\" ({license}) must be shared alike is unsettled. Decide and record it.",
        ja: "「{input}」（{license}）で学習した重みに継承条件が及ぶかどうかは定まっていません。扱いを決めて記録してください。"
    }
    USE_RESTRICTIONS {
        en: "Pass on the use restrictions of {terms} as an enforceable term, and tell those who receive the model.",
        ja: "{terms} の利用制限を拘束力のある条項として引き継ぎ、利用者に明示してください。"
    }
    PASSED_ON_RESTRICTIONS {
        en: "Restrictions of use of {terms}. Its text lies beside this card: {file}",
        ja: "{terms} の利用制限。本文は同梱の {file} を参照してください。"
    }
    PASSED_ON_POLICY {
        en: "The acceptable use policy of {terms}. Its text lies beside this card.",
        ja: "{terms} の利用ポリシー（Acceptable Use Policy）。本文は同梱のファイルを参照してください。"
    }
    USER_LIMIT {
        en: "{terms} ends at a number of monthly active users. Say so in the card.",
        ja: "{terms} は、月間アクティブユーザー数が一定数を超える事業者の利用を認めていません。モデルカードに記載してください。"
    }
    WAIVER_UNKNOWN_CODE {
        en: "A waiver by {by} names the code \"{code}\", which does not exist.",
        ja: "{by}による免除が、存在しないコード「{code}」を指定しています。"
    }
    WAIVER_NOT_ALLOWED {
        en: "{code} cannot be waived (waiver by {by}).",
        ja: "{code} は免除できません（{by}による免除）。"
    }
    WAIVER_EXPIRED {
        en: "The waiver of {code} by {by} ended on {until}.",
        ja: "{by}による {code} の免除は{until}に期限が切れています。"
    }
    WAIVER_IDLE {
        en: "The waiver of {code} by {by} lifts nothing.",
        ja: "{by}による {code} の免除に該当する違反はありません。"
    }
    FILE_MISSING {
        en: "[release] names {file}, which is not there. Add it, or take it out of [release].",
        ja: "[release] に記載された {file} がありません。追加するか、[release] の記載を削除してください。"
    }
    WHERE_ANNOUNCEMENT { en: "The announcement", ja: "告知文" }
    WHERE_CARD { en: "The card ({file})", ja: "モデルカード（{file}）" }
    REASON_PRIVATE { en: "in a private repository", ja: "非公開リポジトリ" }
    REASON_GATED { en: "gated", ja: "利用申請制" }
    REASON_MANUAL { en: "gated, with permission given one by one", ja: "利用申請制（個別承認）" }
    REASON_RESTRICTED { en: "under a restrictive licence ({license})", ja: "制限付きライセンス（{license}）" }
    REASON_NOT_OSI { en: "under a licence that is not OSI-approved ({license})", ja: "OSI未承認のライセンス（{license}）" }
    REASON_NO_LICENSE { en: "without a declared licence", ja: "ライセンス未宣言" }
    REASON_DATA_UNKNOWN { en: "without full information on its training data", ja: "学習データの情報が不完全" }
    REASON_DATA_CLOSED { en: "made from training data that may not be redistributed", ja: "学習データの一部が再頒布不可" }
    ALLOWED_OPEN_WEIGHTS { en: "open weights", ja: "オープンウェイト" }
    ALLOWED_ON_REQUEST { en: "weights available on request", ja: "申請制で重みを提供" }
    ALLOWED_NOTHING { en: "not published", ja: "非公開" }
}

/// A stage in a sentence.
pub(crate) const fn stage(stage: Option<InputStage>) -> (&'static str, &'static str) {
    match stage {
        None => ("training", "学習"),
        Some(InputStage::Pretrain) => ("pre-training", "事前学習"),
        Some(InputStage::Continual) => ("continual pre-training", "継続事前学習"),
        Some(InputStage::Midtrain) => ("mid-training", "中間学習"),
        Some(InputStage::Sft) => ("supervised fine-tuning", "教師ありファインチューニング"),
        Some(InputStage::Preference) => ("preference tuning", "選好チューニング"),
        Some(InputStage::Tokenizer) => ("tokenizer training", "トークナイザーの学習"),
        Some(InputStage::Init) => ("initialisation", "初期化"),
        Some(InputStage::Merge) => ("merging", "マージ"),
        Some(InputStage::Reward) => ("reward modelling", "報酬モデルの学習"),
        Some(InputStage::Upcycle) => ("upcycling", "MoEへのアップサイクル"),
        Some(InputStage::Synthetic) => ("text generation", "データの生成"),
    }
}

/// A decision as plain text.
pub(crate) fn render(decision: &Decision, language: Language) -> Vec<String> {
    let pick = |en, ja| if language == Language::En { en } else { ja };
    let verdict =
        if decision.allowed() { pick("Allowed", "公開可") } else { pick("Refused", "公開不可") };
    let mut lines = vec![
        format!("{}: {verdict}", pick("Verdict", "判定")),
        format!(
            "{}: {} {} ({})",
            pick("Policy", "ポリシー"),
            decision.policy.name,
            decision.policy.version,
            decision.policy.digest.short()
        ),
    ];
    for (title, findings) in [
        (pick("Violations", "違反"), &decision.violations),
        (pick("Warnings", "警告"), &decision.warnings),
        (pick("Obligations", "義務"), &decision.obligations),
    ] {
        lines.push(String::new());
        lines.push(format!("{title}: {}", findings.len()));
        lines.extend(findings.iter().flat_map(|finding| render_finding(finding, language)));
    }
    lines
}

fn render_finding(finding: &Finding, language: Language) -> impl Iterator<Item = String> {
    let head = format!("- {}: {}", finding.code.as_str(), finding.text.get(language));
    std::iter::once(head).chain(finding.derivation.iter().map(|line| format!("    {line}")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{EVERY, Template, fill, house};
    use crate::Code;

    /// The names between braces.
    fn placeholders(template: &str) -> BTreeSet<&str> {
        template.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
    }

    #[test]
    fn both_languages_say_the_same_of_the_same_things() {
        let japanese = |text: &str| text.chars().any(|letter| ('\u{3040}'..='\u{9fff}').contains(&letter));
        for Template { en, ja } in EVERY.iter().chain(house::EVERY) {
            assert_eq!(placeholders(en), placeholders(ja), "{en} / {ja}");
            assert!(japanese(ja) && !japanese(en), "{en} / {ja}");
        }
    }

    #[test]
    fn every_code_has_a_meaning() {
        let meanings: BTreeSet<_> = Code::ALL.iter().map(|code| code.meaning()).collect();
        assert_eq!(meanings.len(), Code::ALL.len(), "two codes mean the same");
        for code in Code::ALL {
            assert_eq!(Code::named(code.as_str()), Some(*code));
        }
    }

    #[test]
    fn values_with_braces_stay_as_they_are() {
        assert_eq!(fill("{a} and {b}", &[("a", "{b}"), ("b", "x")]), "{b} and x");
    }
}
