//! Words of a set in both languages, for tables on pages and in the terminal.

use sekisho_domain::Text;

use super::Template;
use crate::set::{Duty, LevelUse, LicenseClass, Permit, Required, Requirement, Strictness, Use};

macro_rules! labels {
    ($($kind:ident { $($variant:ident: $en:literal, $ja:literal;)+ })+) => {
        $(impl $kind {
            /// What it is called in tables.
            #[must_use]
            pub fn label(self) -> Text {
                match self { $(Self::$variant => Template { en: $en, ja: $ja }),+ }.fill(&[])
            }
        })+
    };
}

labels! {
    LevelUse {
        Train: "publish what was trained on it", "学習したモデルの公開";
        Search: "search, quote", "検索・引用";
        Redistribute: "redistribute", "再頒布";
        Evaluate: "evaluate only", "評価のみ";
        Use: "publish other derivatives", "その他の派生物の公開";
    }
    Permit {
        Yes: "yes", "可";
        No: "no", "不可";
        Ask: "ask (no until decided)", "要確認（決定まで不可）";
    }
    LicenseClass {
        PublicDomain: "public domain", "パブリックドメイン";
        Permissive: "permissive", "寛容型";
        ShareAlike: "share-alike", "継承";
        Internal: "no licence of its own", "独自のライセンスなし";
        Restricted: "restricted", "制限付き";
        Noncommercial: "non-commercial", "非商用";
        NoDerivatives: "no derivatives", "改変禁止";
    }
    Use {
        Base: "base model, tokenizer", "ベースモデル・トークナイザー";
        Corpus: "training text", "学習データ";
        Outputs: "outputs trained on", "出力の学習利用";
        Judge: "reward or judge model", "報酬・評価モデル";
        Declared: "declared for the release", "リリースでの宣言";
    }
    Duty {
        LicenseFile: "include the licence text", "ライセンス全文の同梱";
        Notice: "line in NOTICE", "NOTICEへの記載";
        UsePolicy: "include the use policy", "利用規定の同梱";
        BuiltWith: "show \"Built with …\"", "「Built with …」の表示";
        NamePrefix: "name begins with its prefix", "名称の接頭辞";
        Declare: "declare the licence", "ライセンスの宣言";
        Attribution: "give credit", "帰属表示";
        StateChanges: "state changes", "変更の明示";
        ShareAlike: "share alike (unsettled)", "継承（未確定）";
        UseRestrictions: "pass on restrictions of use", "利用制限の引き継ぎ";
        UserLimit: "state the limit of users", "利用者数上限の明示";
        Noncommercial: "no commercial use without permission", "許諾なき商用利用の禁止";
        NoDerivatives: "no adaptation without permission", "許諾なき改変の禁止";
        Forbidden: "outputs improve no other model", "出力による他モデル改善の禁止";
    }
    Requirement {
        Public: "public repository", "公開リポジトリ";
        Ungated: "no request for access", "利用申請なし";
        NotManual: "no permission given one by one", "個別承認なし";
        OpenLicense: "open licences only", "オープンなライセンスのみ";
        OsiLicense: "OSI-approved licences only", "OSI承認ライセンスのみ";
        DataInformation: "full information on the training data", "学習データの情報がすべてある";
        DataPublished: "all training data may be handed on", "学習データがすべて再頒布可";
    }
    Strictness {
        Allow: "allowed", "許容";
        Warn: "warns", "警告";
        Refuse: "refuses", "公開不可";
    }
    Required {
        Files: "folder of texts named", "公開テキストのフォルダー";
        CardEn: "card README.md", "モデルカード README.md";
        CardJa: "card README_ja.md", "モデルカード README_ja.md";
        Announcement: "announcement (public releases)", "告知文（公開リリース）";
        Description: "repository description", "リポジトリの説明";
        LicenseLink: "link to a licence of the lab's own", "独自ライセンスへのリンク";
        BaseModel: "base_model in the card", "モデルカードの base_model";
        DataInformation: "full information on the training data", "学習データの情報";
    }
}
