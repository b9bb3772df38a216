use sekisho_domain::Text;

/// Why a key cannot be used. A key's content is never part of the sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The system would not read or write the file.
    #[error(
        "The key file {path} cannot be used: {reason}. Check that it is there and that this account may read it."
    )]
    File {
        /// The file.
        path: String,
        /// The system's words.
        reason: String,
    },
    /// Others on this machine may read a private key.
    #[error(
        "The signing key {path} can be read by other accounts (mode {mode:03o}). Nothing was signed. Run `chmod 600 {path}`; if others could have read it, make a new key."
    )]
    Open {
        /// The file.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
    /// Not a private key of a kind that signs.
    #[error(
        "{path} is no signing key: {why}. A signing key is an unencrypted PEM file (PKCS#8 or SEC1) of the curve P-256 or P-384."
    )]
    Private {
        /// The file, or where the text came from.
        path: String,
        /// The rule.
        why: &'static str,
    },
    /// Not a public key of a kind that verifies.
    #[error(
        "{path} is no public key: {why}. Give the signer's key as PEM (\"BEGIN PUBLIC KEY\") of the curve P-256 or P-384."
    )]
    Public {
        /// The file, or where the text came from.
        path: String,
        /// The rule.
        why: &'static str,
    },
    /// A folder without a signature.
    #[error(
        "{path} is missing, so nothing says who published these files. Download the release again, or name the folder that holds it."
    )]
    Unsigned {
        /// The signature's path.
        path: String,
    },
    /// A signature and no key to judge it by.
    #[error("{path} is missing, and no key was given. Give the signer's public key.")]
    NoKey {
        /// The key's path.
        path: String,
    },
}

impl SignatureError {
    /// Stable code, kebab-case.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::File { .. } => "signature-file",
            Self::Open { .. } => "signature-key-open",
            Self::Private { .. } => "signature-private-key",
            Self::Public { .. } => "signature-public-key",
            Self::Unsigned { .. } => "signature-missing",
            Self::NoKey { .. } => "signature-no-key",
        }
    }

    /// The sentence in both languages.
    #[must_use]
    pub fn text(&self) -> Text {
        Text { en: self.to_string(), ja: self.ja() }
    }

    /// The sentence in Japanese; [`Display`](std::fmt::Display) is the English one.
    #[must_use]
    pub fn ja(&self) -> String {
        match self {
            Self::File { path, reason } => format!(
                "鍵ファイル {path} を使用できません（{reason}）。ファイルの有無と読み取り権限を確認してください。"
            ),
            Self::Open { path, mode } => format!(
                "署名鍵 {path} を他のアカウントが読み取れます（モード {mode:03o}）。署名は行っていません。`chmod 600 {path}` を実行してください。他者が読み取った可能性がある場合は、鍵を作り直してください。"
            ),
            Self::Private { path, .. } => format!(
                "{path} は署名鍵として使用できません。暗号化されていないPEM形式（PKCS#8またはSEC1）のP-256またはP-384の秘密鍵を指定してください。"
            ),
            Self::Public { path, .. } => format!(
                "{path} は公開鍵として使用できません。署名者のP-256またはP-384の公開鍵をPEM形式（「BEGIN PUBLIC KEY」）で指定してください。"
            ),
            Self::Unsigned { path } => format!(
                "{path} がないため、公開者を確認できません。リリースをダウンロードし直すか、リリースのフォルダーを指定してください。"
            ),
            Self::NoKey { path } => {
                format!("{path} がなく、公開鍵も指定されていません。署名者の公開鍵を指定してください。")
            }
        }
    }

    pub(super) fn file(path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::File { path: path.display().to_string(), reason: error.to_string() }
    }
}
