//! The sentences in Japanese.

use super::Refusal;
use crate::ConfigError;

impl Refusal {
    /// The sentence in Japanese; [`std::fmt::Display`] gives the English one.
    #[must_use]
    pub fn ja(&self) -> String {
        match self {
            Self::Config(error) => error.ja(),
            Self::ShapeMismatch { file, tensor, have, need, key } => format!(
                "{file} の {tensor} の形状 {have} が config.json から求めた {need} と一致しません。{key} の値を確認してください。"
            ),
            Self::TensorMissing { file, tensor, key } => format!(
                "config.json が求めるテンソル {tensor} が {file} にありません。{key} の値を確認してください。"
            ),
            Self::TensorUnknown { file, tensor, key } => format!(
                "{file} のテンソル {tensor} は config.json の構成に含まれません。{key} の値を確認してください。"
            ),
            Self::TiedDiffers => "config.json は tie_word_embeddings を指定していますが、lm_head.weight が model.embed_tokens.weight と異なります。tie_word_embeddings の値を確認してください。".to_owned(),
            Self::Nan { file, tensor, count } => format!(
                "{file} のテンソル {tensor} にNaNまたはInfが{count}個あります。このチェックポイントは評価・公開の対象外です。NaNを含まない重みを書き出し直すか、以前のチェックポイントを使用してください。"
            ),
            Self::Tokenizer { file, .. } => {
                format!("{file} をトークナイザーとして読めません。学習時のトークナイザーを指定してください。")
            }
            Self::TokenizerMismatch { have, need } => format!(
                "トークナイザーの語彙数 {have} がモデルの {need} を超えています。学習時のトークナイザーを指定してください。"
            ),
            _ => self.ja_of_file(),
        }
    }

    /// Refusals of a whole file: its format, its place, its completeness.
    fn ja_of_file(&self) -> String {
        match self {
            Self::Unreadable { path, reason } => format!(
                "{path} を読み込めません（{reason}）。ファイルの有無と読み取り権限を確認してください。"
            ),
            Self::Pickle { file } => format!(
                "{file} の中身はsafetensorsではなくpickleです。コードを実行できる形式は受け入れません。safetensors形式で書き出し（Megatronの場合は `sekisho convert`）、再度登録してください。"
            ),
            Self::Archive { file, kind } => {
                format!(
                    "{file} は{kind}アーカイブです。アーカイブは開きません。展開したフォルダーを登録してください。"
                )
            }
            Self::NotSafetensors { file } => {
                format!(
                    "{file} の中身はsafetensorsではありません。safetensors形式で書き出し、再度登録してください。"
                )
            }
            Self::Truncated { file, have, need } => format!(
                "{file} が途中で切れています（{have}/{need}バイト）。書き込みの完了後に再度登録してください。登録内容は変更していません。"
            ),
            Self::Link { file } => format!(
                "{file} はフォルダー内のファイルを指さないリンクです。実体を置いてください（`cp -L`）。"
            ),
            Self::NoWeights { dir } => format!(
                "{dir} に model.safetensors も model.safetensors.index.json もありません。書き出し先のフォルダーを登録してください。"
            ),
            Self::FileMissing { file } => {
                format!("{file} がありません。すべてのファイルの書き込み後に再度登録してください。")
            }
            Self::Changed { file } => format!(
                "{file} が読み込み中に変更されました。書き込みの完了後に再度登録してください。登録内容は変更していません。"
            ),
            Self::Manifest { file, want, have } => format!(
                "{file} が manifest.json の記載と異なります（期待値 {want}、実際 {have}）。チェックポイントをコピーし直してください。"
            ),
            _ => self.ja_of_header(),
        }
    }

    /// Refusals of what a safetensors header or the index says.
    fn ja_of_header(&self) -> String {
        let mend = "safetensorsライブラリで書き直してください。";
        match self {
            Self::HeaderTooLong { file, length, limit } => {
                format!("{file} のヘッダー長が{length}バイトです（上限 {limit}）。{mend}")
            }
            Self::DuplicateKey { file, .. } => {
                format!("{file} に同じキーが2回あります。どちらが有効かは読み手により異なります。{mend}")
            }
            Self::TensorName { file, name } => format!(
                "{file} のテンソル名 {name:?} は使用できません（512バイト以内、制御文字・「..」・先頭の「/」は不可）。名前を変更してください。"
            ),
            Self::Dtype { file, tensor, dtype } => format!(
                "{file} のテンソル {tensor} の型は {dtype} です。重みの型はF32、F16、BF16のいずれかです。書き出し直してください。"
            ),
            Self::TensorSize { file, tensor, have, need } => format!(
                "{file} のテンソル {tensor} は{have}バイトですが、形状と型からは{need}バイト必要です。{mend}"
            ),
            Self::Overlap { file, first, second } => {
                format!("{file} のテンソル {first} と {second} の領域が重なっています。{mend}")
            }
            Self::Hole { file, bytes, tensor } => format!(
                "{file} のテンソル {tensor} の前に、どのテンソルにも属さない領域が{bytes}バイトあります。{mend}"
            ),
            Self::Trailing { file, bytes } => {
                format!("{file} の最後のテンソルの後に{bytes}バイトの余分なデータがあります。{mend}")
            }
            Self::Index { file, .. } => {
                format!(
                    "{file} とシャードの内容が一致しません。同じツールで索引とシャードを書き出し直してください。"
                )
            }
            Self::Header { file, reason } => {
                format!("{file} のヘッダーが規則に反しています（{reason}）。{mend}")
            }
            // Every refusal has its sentence above; a test breaks on one that has not.
            _ => self.to_string(),
        }
    }
}

impl ConfigError {
    /// The sentence in Japanese.
    #[must_use]
    pub fn ja(&self) -> String {
        match self {
            Self::Json { file, reason } => {
                format!("{file} をJSONとして読めません（{reason}）。書き出し直してください。")
            }
            Self::Missing { file, key } => format!(
                "{file} に \"{key}\" がありません。値を推測すると結果が変わるため、明記してください。"
            ),
            Self::Invalid { file, key, value, .. } => {
                format!("{file} の \"{key}\" の値 {value} は使用できません。値を確認してください。")
            }
            Self::Differs { file, key, old, new } => format!(
                "{file} に異なる{key}が2つあります（\"{key}\" は {old}、\"rope_parameters\" は {new}）。学習時の値だけを残してください。"
            ),
            Self::Unsupported { file, key, value, .. } => {
                format!("{file} の \"{key}\" の値 {value} には対応していません。")
            }
        }
    }
}
