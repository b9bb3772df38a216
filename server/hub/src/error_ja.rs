use crate::PublishError;
use crate::error::bare;

impl PublishError {
    /// The sentence in Japanese; [`Display`](std::fmt::Display) is the English one.
    #[must_use]
    pub fn ja(&self) -> String {
        match self {
            Self::EndpointRefused { endpoint, .. } => format!(
                "Hubのエンドポイント {endpoint} は使用できません。httpsで、かつ [hub] allow に登録済みである必要があります。何も送信していません。設定を確認してください。"
            ),
            Self::TokenMissing => "Hubのトークンが設定されていません。何も送信していません。[hub] token_file に書き込み権限のあるトークンのファイルを指定してください。".to_owned(),
            Self::TokenRefused { endpoint } => format!(
                "{endpoint} がトークンを受け付けません。アップロードは開始していません。[hub] token_file に有効なトークンを設定してください。"
            ),
            Self::Forbidden { repo, owner } => format!(
                "Hubのトークンに {repo} への書き込み権限がありません。アップロードは開始していません。{owner} のwrite権限を持つトークンを設定してください。"
            ),
            Self::BundleInvalid { what, .. } => {
                format!(
                    "「{what}」はHubで使用できない名前です。何も送信していません。名前を修正してください。"
                )
            }
            Self::FileChanged { path, .. } => format!(
                "{path} が承認後に変更されています。コミットは作成していません。元のファイルに戻すか、リリースを凍結し直してください。"
            ),
            Self::Io(error) => format!("ファイルを読み込めません：{error}"),
            Self::CardRefused { reason } => format!(
                "README.mdのメタデータがHubの検査で拒否されました（{reason}）。アップロードは開始していません。モデルカードを修正してください。"
            ),
            Self::NotPrivate { repo } => format!(
                "{repo} は非公開で作成しましたが、Hub上で公開状態になっています。アップロードは開始していません。非公開に変更するか削除してから再開してください。"
            ),
            Self::AlreadyPublic { repo } => format!(
                "{repo} はすでに公開リポジトリとして存在します。アップロードは開始していません。別の名前にするか、既存リポジトリの更新として公開してください。"
            ),
            Self::ForeignFiles { repo, revision, files } => format!(
                "{repo}（{revision}）にはこのリリース以外のファイルがあります：{files}。アップロードは開始していません。別の名前にするか、既存リポジトリの更新として公開してください。"
            ),
            Self::Ignored { repo, path } => format!(
                "{repo} の .gitignore により {path} が除外されます。コミットは作成していません。Hub上で修正してから再開してください。"
            ),
            Self::InlineTooLarge { repo, bytes, limit, path } => format!(
                "{repo} のコミット本体に{bytes}バイトを含めるようHubから指定されましたが、上限は{limit}バイトです。コミットは作成していません。最大のファイルは {path} です。"
            ),
            later => later.ja_on_the_way(),
        }
    }

    /// What can go wrong once bytes are on their way.
    fn ja_on_the_way(&self) -> String {
        match self {
            Self::ObjectRefused { path, reason } => {
                format!("{path} の内容をHubが受け付けません（{reason}）。コミットは作成していません。")
            }
            Self::UnsafeAddress { address, .. } => format!(
                "Hubが送信先として {address} を返しましたが、httpsでないか、Hub自身ではないため使用しません。この宛先には何も送信していません。"
            ),
            Self::Overtaken { repo, revision, parent, head } => format!(
                "{repo}（{revision}）に {parent} より後の別のコミット {head} があります。上書きはしていません。Hubで内容を確認してから再開してください。"
            ),
            Self::OutcomeUnknown { repo, revision, error, unread } => format!(
                "{repo}（{revision}）にコミットが反映されたか確認できません（{}）。続くブランチの確認にも失敗しました（{}）。再開すると、送信の前にHubの状態を確認します。",
                bare(&error.ja),
                bare(&unread.ja)
            ),
            Self::RemoteDiffers { repo, commit, differences } => format!(
                "{repo} の {commit} の内容がリリースと一致しません：{differences}。公開範囲は変更していません。Hub上のリポジトリを削除し、公開をやり直してください。"
            ),
            Self::TagElsewhere { repo, tag, have, want } => format!(
                "{repo} のタグ {tag} は {want} ではなく {have} を指しています。タグは移動していません。別のタグを指定してください。"
            ),
            Self::SettingIgnored { repo, want, have, .. } => format!(
                "{repo} の設定「{want}」がHubに反映されていません（現在「{have}」）。Hub上で設定してから再開してください。"
            ),
            Self::NotPublic { repo, path, status } => format!(
                "{repo} は公開設定ですが、トークンなしで {path} を取得できません（{status}）。公開処理は完了しています。Hub上で設定を確認してから再開してください。"
            ),
            Self::ServedDiffers { repo, path } => format!(
                "{repo} の {path} として、承認時と異なる内容がトークンなしの利用者に配信されています。Hub上でリポジトリを非公開に変更し、原因を確認してください。"
            ),
            Self::Absent { repo, revision } => format!(
                "{repo}（{revision}）がHub上にないか、トークンに閲覧権限がありません。何も変更していません。名前の変更や削除の有無を確認してください。"
            ),
            Self::Answer { call, status, message } => format!(
                "Hubが {status} を返しました（{call}）：{message}。時間をおいて再開するか、Hubの稼働状況を確認してください。"
            ),
            Self::Unreachable { call, reason } => {
                format!(
                    "Hubに接続できません（{call}）：{reason}。ネットワークを確認してから再開してください。"
                )
            }
            Self::Malformed { call, reason } => format!(
                "Hubの応答を解釈できません（{call}）：{reason}。エンドポイントがHugging Face Hubであるか確認してください。"
            ),
            Self::Service { reason } => format!("公開を続行できません：{}", reason.ja),
            Self::Journal { step, reason } => {
                format!("手順「{step}」の前後で公開を中断しました：{}", reason.0.ja)
            }
            earlier => earlier.to_string(),
        }
    }
}
