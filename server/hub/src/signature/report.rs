use sekisho_domain::Text;
use serde::Serialize;

/// Where the key came from that a signature was judged by.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeySource {
    /// Given by who asks: says who signed.
    Given,
    /// Found beside the files: says only that nothing changed since somebody signed.
    Folder,
}

/// What came of a verification.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Verification {
    /// Where the key came from.
    pub key: KeySource,
    /// The key, as a signature names it: SHA-256 of its PEM text, in hex.
    pub hint: String,
    /// Files that the signature lists; 0 when it is not valid, since its list means nothing then.
    pub listed: usize,
    /// Those that are as they were signed.
    pub good: usize,
    /// Paths that were not looked at because the signature leaves them out.
    pub ignored: Vec<String>,
    /// Everything that is wrong; none when all is well.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum Problem {
    /// The signature file is not one.
    Malformed {
        /// The broken rule.
        reason: String,
    },
    /// Another key signed.
    OtherKey {
        /// The key that the signature names.
        named: String,
    },
    /// The key did not sign this list.
    Invalid,
    /// A listed file has other bytes.
    Changed {
        /// Its path.
        path: String,
    },
    /// A listed file is not there.
    Missing {
        /// Its path.
        path: String,
    },
    /// A file that the signature does not list.
    Extra {
        /// Its path.
        path: String,
        /// The missing file with the same bytes: it was renamed.
        renamed_from: Option<String>,
    },
    /// A link: what it leads to may change without the folder changing.
    Link {
        /// Its path.
        path: String,
        /// Whether it leads out of the folder, or to nothing.
        leaves: bool,
    },
    /// Neither a file nor a folder.
    Special {
        /// Its path.
        path: String,
    },
    /// A file that the system would not read.
    Unreadable {
        /// Its path.
        path: String,
        /// The system's words.
        reason: String,
    },
}

impl Verification {
    /// Whether every listed file is there as it was signed, and nothing else is.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.problems.is_empty()
    }

    /// The result in one sentence.
    #[must_use]
    pub fn summary(&self) -> Text {
        let Self { listed, good, hint, problems, .. } = self;
        let short = hint.get(..16).unwrap_or(hint);
        if self.is_good() {
            return match self.key {
                KeySource::Given => Text {
                    en: format!(
                        "The signature is valid: {good} of {listed} files are as the key {short} signed them."
                    ),
                    ja: format!(
                        "署名は有効です。{listed}件中{good}件のファイルが、鍵 {short} の署名時と一致します。"
                    ),
                },
                KeySource::Folder => Text {
                    en: format!(
                        "{good} of {listed} files are as the key {short} signed them. The key came with the files: compare it with the publisher's to know who signed."
                    ),
                    ja: format!(
                        "{listed}件中{good}件のファイルが、鍵 {short} の署名時と一致します。鍵はファイルに同梱されていたものです。署名者を確認するには、公開元の鍵と照合してください。"
                    ),
                },
            };
        }
        let count = problems.len();
        Text {
            en: format!("Not verified: {good} of {listed} files are as signed, {count} problems."),
            ja: format!(
                "検証できませんでした。署名時と一致するファイルは{listed}件中{good}件、問題は{count}件です。"
            ),
        }
    }
}

impl Problem {
    /// The sentence in both languages.
    #[must_use]
    pub fn text(&self) -> Text {
        match self {
            Self::Malformed { reason } => Text {
                en: format!("The signature cannot be read: {reason}. Download the release again."),
                ja: format!("署名を解釈できません（{reason}）。リリースをダウンロードし直してください。"),
            },
            Self::OtherKey { named } => Text {
                en: format!("The signature is of another key, {named}. Give the key of who published this release."),
                ja: format!("別の鍵 {named} による署名です。公開元の公開鍵を指定してください。"),
            },
            Self::Invalid => Text {
                en: "The signature is not valid: it was changed, or the list of files was. Trust none of the files, and download the release again.".to_owned(),
                ja: "署名が無効です。署名またはファイル一覧が改変されています。ファイルを使用せず、リリースをダウンロードし直してください。".to_owned(),
            },
            of_file => of_file.text_of_file(),
        }
    }

    fn text_of_file(&self) -> Text {
        let say = |en: String, ja: String| Text { en, ja };
        match self {
            Self::Changed { path } => say(
                format!("{path} was changed after it was signed. Download it again."),
                format!("{path} が署名後に変更されています。ダウンロードし直してください。"),
            ),
            Self::Missing { path } => say(
                format!("{path} is missing. Download it again."),
                format!("{path} がありません。ダウンロードし直してください。"),
            ),
            Self::Extra { path, renamed_from: None } => say(
                format!("{path} is not part of the signed release. Remove it."),
                format!("{path} は署名されたリリースに含まれていません。削除してください。"),
            ),
            Self::Extra { path, renamed_from: Some(old) } => say(
                format!("{path} has the bytes of {old}, under another name. Rename it back."),
                format!("{path} は {old} の名前が変更されたものです。元の名前に戻してください。"),
            ),
            Self::Link { path, leaves: true } => say(
                format!(
                    "{path} is a link that leads out of the folder or to nothing. Put the file itself there (`cp -L`)."
                ),
                format!(
                    "{path} はフォルダーの外を指すリンク、またはリンク切れです。実体を置いてください（`cp -L`）。"
                ),
            ),
            Self::Link { path, .. } => say(
                format!(
                    "{path} is a link; the release was signed without links. Put the file itself there (`cp -L`)."
                ),
                format!(
                    "{path} はリンクです。リリースはリンクなしで署名されています。実体を置いてください（`cp -L`）。"
                ),
            ),
            Self::Special { path } => say(
                format!("{path} is neither a file nor a folder. Remove it."),
                format!("{path} はファイルでもフォルダーでもありません。削除してください。"),
            ),
            Self::Unreadable { path, reason } => say(
                format!("{path} cannot be read: {reason}. Check the permissions."),
                format!("{path} を読み込めません（{reason}）。読み取り権限を確認してください。"),
            ),
            Self::Malformed { .. } | Self::OtherKey { .. } | Self::Invalid => self.text(),
        }
    }
}
