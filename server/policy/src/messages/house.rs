//! Sentences of house rules, gates and the registry.

use super::Template;

templates! {
    LICENSE_REGISTERED {
        en: "\"{input}\" is said to be under {claimed}, but the registry says {registered}. Correct the lineage, or ask the corpus group.",
        ja: "「{input}」のライセンスは{claimed}と記載されていますが、登録されているライセンスは{registered}です。系譜を修正するか、コーパスWGに確認してください。"
    }
    GENERATOR_REGISTERED {
        en: "\"{input}\" is said to be written by {claimed}, but the registry says {registered}. The licence of its generator depends on that; correct the lineage, or ask the corpus group.",
        ja: "「{input}」の生成モデルは{claimed}と記載されていますが、登録されている生成モデルは{registered}です。生成モデルのライセンスに関わるため、系譜を修正するか、コーパスWGに確認してください。"
    }
    GENERATOR_LICENSE_REGISTERED {
        en: "The generator of \"{input}\" is said to be under {claimed}, but the registry says {registered}. Correct the lineage, or ask the corpus group.",
        ja: "「{input}」の生成モデルのライセンスは{claimed}と記載されていますが、登録では{registered}です。系譜を修正するか、コーパスWGに確認してください。"
    }
    LEVEL_OF_RUN_REGISTERED {
        en: "Run \"{run}\" was registered with {level} for subset \"{subset}\", but the registry says {registered}. Settle which level holds.",
        ja: "実験「{run}」の設定ではサブセット「{subset}」は{level}ですが、登録されているリリースレベルは{registered}です。どちらが正しいか確定してください。"
    }
    GATE_CONTAMINATION {
        en: "{contaminated} of {items} items of {task} ({share}) were found in the training text; the limit is {limit}. Train without them, or leave the score out.",
        ja: "{task} の{items}件のうち{contaminated}件（{share}）が学習データから見つかりました（上限 {limit}）。学習データから除外するか、このスコアを掲載しないでください。"
    }
    GATE_CONTAMINATION_NONE {
        en: "Nobody looked for the items of {task} in the training text; the limit is {limit}. Make a contamination report of this model's training text for {task} first.",
        ja: "{task} のデータ汚染が調べられていません（上限 {limit}）。先に、このモデルの学習データと {task} の項目を照合してください。"
    }
    GATE_CONTAMINATION_UNREPORTED {
        en: "The items of {task} were not looked for in all of the training text: {reason}. The limit is {limit}. Send a report with `sekisho contamination` first.",
        ja: "{task} のデータ汚染を判定できません：{reason}（上限 {limit}）。先に `sekisho contamination` でレポートを登録してください。"
    }
    RESTRICTIVE_LICENSE {
        en: "Declared licence {license} restricts use, and no input asks for it. Declare {default}, or record why not.",
        ja: "宣言したライセンス {license} は利用を制限しますが、それを求める入力はありません。{default} を宣言するか、理由を記録してください。"
    }
    LICENSE_NOT_DEFAULT {
        en: "Declared licence {license} is not {default}, the licence of the house, and no input asks for it. Say why in the request.",
        ja: "宣言したライセンス {license} は標準の {default} と異なり、それを求める入力もありません。承認依頼に理由を記載してください。"
    }
    SHARE_ALIKE_REFUSED {
        en: "\"{input}\" ({license}) is to be shared alike, and the release does not continue its licence. Declare {license}, or train without it.",
        ja: "「{input}」（{license}）の継承条件は学習した重みにも及ぶものとして扱います。{license} を宣言するか、学習データから除外してください。"
    }
    CARD_CONTRADICTION {
        en: "{where} says \"{phrase}\", but {license} restricts nothing of the kind. Take out the sentence, or declare a licence that says so.",
        ja: "{where}に「{phrase}」とありますが、{license} にそのような制限はありません。記載を削除するか、制限のあるライセンスを宣言してください。"
    }
    BASE_MODEL {
        en: "The card must name its base model: base_model: {model}",
        ja: "モデルカードのbase_modelにベースモデルを記載してください：{model}"
    }
    BASE_MODEL_OURS {
        en: "The card must name its base model (base_model:), here \"{model}\" by its repository on the Hub.",
        ja: "モデルカードのbase_modelにベースモデルを記載してください（「{model}」のHub上のリポジトリ名）。"
    }
    REQUIRED_FILES {
        en: "A release names the folder of its texts: [release] files.",
        ja: "[release] の files に、公開するテキストのフォルダーを記載してください。"
    }
    REQUIRED_CARD {
        en: "A release has the card {file}.",
        ja: "モデルカード {file} を同梱してください。"
    }
    REQUIRED_ANNOUNCEMENT {
        en: "A public release has an announcement: [release] announcement.",
        ja: "公開リリースには告知文が必要です。[release] の announcement に記載してください。"
    }
    REQUIRED_DESCRIPTION {
        en: "A release has a description of its repository: [release] description.",
        ja: "リポジトリの説明が必要です。[release] の description に記載してください。"
    }
    REQUIRED_LINK {
        en: "Under license: other the card has license_name, and license_link to a file of the release or a URL.",
        ja: "license: other の場合は、license_nameとlicense_link（同梱するファイルまたはURL）をモデルカードに記載してください。"
    }
    REQUIRED_DATA {
        en: "Level, licence and tokens of every text must be known.",
        ja: "すべての学習データについて、リリースレベル・ライセンス・トークン数の記載が必要です。"
    }
    REQUIRED_DATA_MISSING {
        en: "\"{input}\" lacks {what}. Level, licence and tokens of every text must be known, and the lineage of every model.",
        ja: "「{input}」には{what}がありません。すべての学習データのリリースレベル・ライセンス・トークン数と、すべてのモデルの系譜が必要です。"
    }
    WHAT_LEVEL { en: "a known release level", ja: "有効なリリースレベル" }
    WHAT_LICENSE { en: "a known licence", ja: "規則のあるライセンス" }
    WHAT_TOKENS { en: "a number of tokens", ja: "トークン数" }
    WHAT_LINEAGE { en: "a lineage file", ja: "系譜ファイル" }
    WAIVER_NO_EVIDENCE {
        en: "The waiver of {code} by {by} names no evidence, which this policy set asks for.",
        ja: "{by}による {code} の免除に根拠資料がありません。このポリシーでは根拠資料が必要です。"
    }
    WAIVER_HOUSE {
        en: "{code} cannot be waived under this policy set (waiver by {by}).",
        ja: "このポリシーでは {code} を免除できません（{by}による免除）。"
    }
    WHERE_DESCRIPTION { en: "The repository description", ja: "リポジトリの説明" }
}
