//! What each code is about, for readers who meet it for the first time.

use super::Template;
use crate::decision::Code;

macro_rules! meanings {
    ($($code:ident { $en:literal, $ja:literal })+) => {
        /// One sentence: what the rule looks at.
        pub(crate) const fn meaning(code: Code) -> Template {
            match code { $(Code::$code => Template { en: $en, ja: $ja }),+ }
        }
    };
}

meanings! {
    LevelForbidsTraining {
        "Text of a level that bars training was trained on, by this model or one it descends from.",
        "学習を認めないリリースレベルのデータが、このモデルまたは祖先のモデルの学習に使用されています。"
    }
    LevelForbidsUse {
        "Text of a level that bars every use went into this model or one it descends from, at any stage.",
        "一切の利用を認めないリリースレベルのデータが、いずれかの段階でこのモデルまたは祖先のモデルに使用されています。"
    }
    LevelUnknown { "A text has no release level that the set knows.", "有効なリリースレベルのないデータがあります。" }
    LevelMismatch {
        "Lineage, run and registry disagree about the level of a subset; the registry holds.",
        "系譜・実験の設定・登録内容の間で、サブセットのリリースレベルが一致しません（登録内容が優先します）。"
    }
    LicenseUnknown { "A licence has no rule in the set, or none is stated.", "規則のないライセンス、またはライセンスの記載漏れがあります。" }
    LicenseConflict {
        "An input's licence must be declared for the release, or one that meets its terms.",
        "入力のライセンス、またはその条件を満たすライセンスを、リリースで宣言する必要があります。"
    }
    LicenseContradiction {
        "Two licences or two generators are stated for one subset, or another than the registry's.",
        "同じサブセットに異なるライセンスまたは生成モデルが記載されているか、登録内容と一致しません。"
    }
    NoncommercialInput { "An input may not be used commercially without permission.", "許諾なしに商用利用できない入力があります。" }
    OutputsForbidden {
        "A licence forbids using outputs to improve models other than its own descendants.",
        "出力を他のLLM（自らの派生モデルを除く）の改善に用いることを禁じるライセンスがあります。"
    }
    NamePrefix {
        "A licence asks that model name, repository and card title begin with its name.",
        "モデル名・リポジトリ名・モデルカードの見出しを、ライセンスが定める語で始める必要があります。"
    }
    BuiltWithMissing { "A licence asks that the card shows its \"Built with …\".", "ライセンスが「Built with …」の表示を求めています。" }
    NoticeMissing { "A licence asks for a line in NOTICE, byte for byte.", "ライセンスがNOTICEへの所定の文の記載を求めています（一字一句同じもの）。" }
    LicenseFileMissing { "The full text of a licence must come along, unabridged.", "ライセンスの全文を省略なしに同梱する必要があります。" }
    UsePolicyMissing { "An acceptable use policy must come along, unabridged.", "利用規定を省略なしに同梱する必要があります。" }
    CardLicenseMismatch { "The card's metadata and the release name different licences.", "モデルカードのメタデータとリリースで、ライセンスが異なります。" }
    OpenClaim {
        "Card, announcement or description claims an openness that the release does not have.",
        "モデルカード・告知文・リポジトリの説明に、リリースの実態と合わない「オープン」の表現があります。"
    }
    DataClaim { "The training data is said to be out while some of it may not be handed on.", "再頒布できない学習データがあるのに、公開していると記載されています。" }
    GateScore { "A score is below its gate, or missing.", "スコアが基準を下回っているか、まだありません。" }
    GateRegression { "A task fell significantly against the published model.", "公開中のモデルと比べて有意に低下したタスクがあります。" }
    LineageCycle { "The lineage leads back to itself.", "系譜が循環しています。" }
    LineageMissing { "Something that went in has no known inputs.", "入力の分からないモデルまたはデータがあります。" }
    Attribution { "Credit must be given.", "帰属表示が必要です。" }
    StateChanges { "It must be said that something was changed.", "変更した旨の明示が必要です。" }
    ShareAlike {
        "Text under a share-alike licence was trained on; whether that reaches weights is unsettled.",
        "継承条件のあるデータを学習に使用しています（重みに及ぶかどうかは定まっていません）。"
    }
    UseRestrictions { "Restrictions of use must be passed on as a term.", "利用制限を拘束力のある条項として引き継ぐ必要があります。" }
    UserLimit { "A licence ends at a number of monthly active users.", "月間アクティブユーザー数の上限を定めたライセンスがあります。" }
    WaiverVoid { "A waiver lifts nothing: expired, idle, or not permitted.", "効力のない免除があります（期限切れ、該当なし、または免除できない項目）。" }
    FileMissing { "[release] names a file that is not there.", "[release] に記載されたファイルがありません。" }
    GateContamination {
        "Too many items of a benchmark were in the training text, or nobody looked.",
        "評価データの項目が学習データに上限を超えて含まれているか、まだ調べられていません。"
    }
    RestrictiveLicense {
        "The house publishes under open licences unless an input asks for another.",
        "入力が求める場合を除き、制限のあるライセンスでは公開しない方針です。"
    }
    LicenseNotDefault { "The house has a licence of its own choice for releases.", "標準のライセンスが定められています。" }
    RequiredMissing { "The house requires something of every release that is not there.", "すべてのリリースに求められる項目が欠けています。" }
    BaseModelMissing { "The card's base_model does not name every base of the lineage.", "モデルカードのbase_modelに、系譜のベースモデルがすべて記載されていません。" }
    CardContradiction {
        "A text of the release restricts what its open licence does not.",
        "オープンなライセンスと矛盾する制限が、モデルカード等に記載されています。"
    }
}
