use sekisho_domain::is_disk_full;

use crate::{Dtype, Refusal};

/// Why a checkpoint was not written again. Nothing is left of the new folder.
#[derive(Debug, thiserror::Error)]
pub enum ReshardError {
    /// The checkpoint breaks a rule.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A value that the new type cannot hold.
    #[error(
        "{file}: tensor {tensor} holds {count} values that are beyond {dtype} and would become infinite. Nothing was written. Keep the type of the weights, or look at this tensor."
    )]
    Overflow {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
        /// The type asked for.
        dtype: Dtype,
        /// How many, in the first piece that has any.
        count: u64,
    },
    /// The new folder is there.
    #[error("{path} exists already. Nothing was written. Name a folder that does not exist.")]
    Exists {
        /// The folder.
        path: String,
    },
    /// A size of nothing.
    #[error("A shard must have room for at least one byte. Give a size above 0, for example 5 GB.")]
    ShardSize,
    /// More files than their names can count.
    #[error("{count} shards would be needed, and their names count to 99,999. Give a larger size.")]
    TooManyShards {
        /// How many.
        count: usize,
    },
    /// The system would not write.
    #[error("{}", not_written(path, error))]
    Write {
        /// The file.
        path: String,
        /// The system's words.
        error: std::io::Error,
    },
}

fn not_written(path: &str, error: &std::io::Error) -> String {
    if is_disk_full(error) {
        return format!(
            "Not enough space on the disk for {path} ({error}). Nothing was kept. Free some space and start again."
        );
    }
    format!("{path} cannot be written: {error}. Nothing was kept. Check the permissions of the folder.")
}

impl ReshardError {
    /// Stable kebab-case code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.code(),
            Self::Overflow { .. } => "reshard-overflow",
            Self::Exists { .. } => "reshard-exists",
            Self::ShardSize => "reshard-size",
            Self::TooManyShards { .. } => "reshard-too-many",
            Self::Write { .. } => "reshard-write",
        }
    }

    /// Whether there was no room on the disk for it.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Write { error, .. } if is_disk_full(error))
    }

    /// The sentence in Japanese; [`std::fmt::Display`] gives the English one.
    #[must_use]
    pub fn ja(&self) -> String {
        match self {
            Self::Refused(refusal) => refusal.ja(),
            Self::Overflow { file, tensor, dtype, count } => format!(
                "{file} のテンソル {tensor} に{dtype}で表せない値が{count}個あり、変換すると無限大になります。何も書き込んでいません。型を変更せずに出力するか、このテンソルを確認してください。"
            ),
            Self::Exists { path } => format!(
                "{path} はすでに存在します。何も書き込んでいません。存在しないフォルダーを指定してください。"
            ),
            Self::ShardSize => "シャードのサイズは1バイト以上を指定してください（例：5 GB）。".to_owned(),
            Self::TooManyShards { count } => format!(
                "シャード数が{count}になり、上限の99,999を超えます。より大きいサイズを指定してください。"
            ),
            Self::Write { path, error } if is_disk_full(error) => format!(
                "ディスクの空き容量が不足しているため {path} を書き込めません（{error}）。途中の出力は削除しました。空き容量を確保してから再実行してください。"
            ),
            Self::Write { path, error } => format!(
                "{path} を書き込めません（{error}）。途中の出力は削除しました。フォルダーの権限を確認してください。"
            ),
        }
    }
}
