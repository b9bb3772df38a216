//! A tokenizer as `tokenizers` defines it, with the questions that decide scores answered from its files: which token begins
//! and ends a text, and which of them are added by themselves.

use std::path::{Path, PathBuf};

use sekisho_domain::Sha256;
use serde_json::Value;

/// A loaded `tokenizer.json`.
#[derive(Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    digest: Sha256,
    bos: Option<u32>,
    eos: Option<u32>,
    adds_bos: bool,
    adds_eos: bool,
}

/// A tokenizer that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// No `tokenizer.json`.
    #[error(
        "{} is not there. A tokenizer is read from tokenizer.json (tokenizer.model alone is not); copy the one the model was trained with.",
        .0.display()
    )]
    Missing(PathBuf),
    /// A file that cannot be read.
    #[error(transparent)]
    Unreadable(#[from] std::io::Error),
    /// A file that is not what its name says.
    #[error("{} is not a usable tokenizer file: {reason}. Save it again with the tokenizers library.", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A token that is named as special but is not in the vocabulary.
    #[error("{} names {key} {token:?}, which is not in the vocabulary. Correct the name or the vocabulary.", file.display())]
    UnknownSpecial {
        /// The file that names it.
        file: PathBuf,
        /// `bos_token` or `eos_token`.
        key: &'static str,
        /// The name.
        token: String,
    },
    /// A text or a list of ids that this vocabulary cannot express.
    #[error("the tokenizer failed: {0}. Check that it has byte fallback or an unknown token.")]
    Failed(String),
}

impl Tokenizer {
    /// Reads a folder's `tokenizer.json`, or that file itself, and the files beside it that name special tokens.
    ///
    /// # Errors
    /// [`TokenizerError`] for a missing or malformed file, or a special token outside the vocabulary.
    pub fn load(path: &Path) -> Result<Self, TokenizerError> {
        let file = if path.is_dir() { path.join("tokenizer.json") } else { path.to_owned() };
        if !file.is_file() {
            return Err(TokenizerError::Missing(file));
        }
        let bytes = fs_err::read(&file)?;
        let mut inner = tokenizers::Tokenizer::from_bytes(&bytes)
            .map_err(|error| TokenizerError::Malformed { file: file.clone(), reason: error.to_string() })?;
        // Some files carry the truncation and padding of the last training batch.
        inner.with_padding(None);
        inner
            .with_truncation(None)
            .map_err(|error| TokenizerError::Malformed { file: file.clone(), reason: error.to_string() })?;
        let folder = file.parent().unwrap_or(Path::new("."));
        let added = Added::by(&inner)?;
        let bos = special(&inner, folder, "bos_token")?.or_else(|| single(&added.before));
        let eos = special(&inner, folder, "eos_token")?.or_else(|| single(&added.after));
        Ok(Self {
            digest: Sha256::of(&bytes),
            adds_bos: bos.is_some_and(|bos| added.before.contains(&bos)),
            adds_eos: eos.is_some_and(|eos| added.after.contains(&eos)),
            inner,
            bos,
            eos,
        })
    }

    /// Token ids of a text; with `special`, the tokens that the tokenizer itself puts around it too.
    ///
    /// # Errors
    /// [`TokenizerError::Failed`] when the vocabulary cannot express the text.
    pub fn encode(&self, text: &str, special: bool) -> Result<Vec<u32>, TokenizerError> {
        ids(&self.inner, text, special)
    }

    /// The text of token ids; `skip_special` leaves special tokens out.
    ///
    /// # Errors
    /// [`TokenizerError::Failed`].
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String, TokenizerError> {
        self.inner.decode(ids, skip_special).map_err(|error| TokenizerError::Failed(error.to_string()))
    }

    /// The token that begins a text: from `tokenizer_config.json`, `special_tokens_map.json` or `config.json`, else the one
    /// that the tokenizer itself puts in front.
    #[must_use]
    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// The token that ends a text, found like [`Self::bos`].
    #[must_use]
    pub fn eos(&self) -> Option<u32> {
        self.eos
    }

    /// Whether `encode(text, true)` puts [`Self::bos`] in front.
    #[must_use]
    pub fn adds_bos(&self) -> bool {
        self.adds_bos
    }

    /// Whether `encode(text, true)` puts [`Self::eos`] behind, as LLM-jp's v2 tokenizers do.
    #[must_use]
    pub fn adds_eos(&self) -> bool {
        self.adds_eos
    }

    /// Tokens, added ones included.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// How the vocabulary writes a token.
    #[must_use]
    pub fn piece(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// SHA-256 of `tokenizer.json`.
    #[must_use]
    pub fn digest(&self) -> Sha256 {
        self.digest
    }
}

/// The tokens that the post-processor puts around a text.
struct Added {
    before: Vec<u32>,
    after: Vec<u32>,
}

impl Added {
    fn by(inner: &tokenizers::Tokenizer) -> Result<Self, TokenizerError> {
        const TEXT: &str = "a";
        let (bare, whole) = (ids(inner, TEXT, false)?, ids(inner, TEXT, true)?);
        let start = whole.windows(bare.len().max(1)).position(|window| window == bare).unwrap_or(0);
        let (before, rest) = whole.split_at(start);
        Ok(Self { before: before.to_vec(), after: rest[bare.len().min(rest.len())..].to_vec() })
    }
}

fn ids(inner: &tokenizers::Tokenizer, text: &str, special: bool) -> Result<Vec<u32>, TokenizerError> {
    let encoding =
        inner.encode_fast(text, special).map_err(|error| TokenizerError::Failed(error.to_string()))?;
    Ok(encoding.get_ids().to_vec())
}

fn single(ids: &[u32]) -> Option<u32> {
    match ids {
        [id] => Some(*id),
        _ => None,
    }
}

/// The special token of this role, from the first file that names it.
fn special(
    inner: &tokenizers::Tokenizer,
    folder: &Path,
    key: &'static str,
) -> Result<Option<u32>, TokenizerError> {
    for name in ["tokenizer_config.json", "special_tokens_map.json"] {
        let file = folder.join(name);
        let Some(settings) = read_json(&file)? else { continue };
        // Either the text itself or an object of an added token.
        let token = match &settings[key] {
            Value::Object(token) => token.get("content").and_then(Value::as_str),
            other => other.as_str(),
        };
        if let Some(token) = token {
            let unknown = || TokenizerError::UnknownSpecial { file, key, token: token.to_owned() };
            return inner.token_to_id(token).ok_or_else(unknown).map(Some);
        }
    }
    let id = |id: &Value| id.as_u64().and_then(|id| u32::try_from(id).ok());
    let Some(config) = read_json(&folder.join("config.json"))? else { return Ok(None) };
    // Llama 3.1 lists several ends of text; the first is the one that ends a document.
    let value = &config[format!("{key}_id").as_str()];
    Ok(value.as_array().and_then(|ids| ids.first()).map_or_else(|| id(value), id))
}

fn read_json(file: &Path) -> Result<Option<Value>, TokenizerError> {
    if !file.is_file() {
        return Ok(None);
    }
    serde_json::from_slice(&fs_err::read(file)?)
        .map(Some)
        .map_err(|error| TokenizerError::Malformed { file: file.to_owned(), reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::{Tokenizer, TokenizerError};
    use crate::testing::{data, oracle};

    const TEXTS: [&str; 6] = [
        "吾輩は猫である。名前はまだ無い。",
        "関所を通るには手形が要る。\n\n12,345円と½、𠮷野家、🍣。",
        "The quick brown fox (1882) — naïve café.",
        "def f(x):\n    return x ** 2  # コメント",
        "  先頭と末尾の空白  ",
        "",
    ];

    struct Expected {
        folder: &'static str,
        vocabulary: usize,
        bos: Option<&'static str>,
        eos: Option<&'static str>,
        adds: (bool, bool),
    }

    #[test]
    fn the_tokenizers_of_the_field_load_and_give_japanese_back() {
        for expected in [
            Expected {
                folder: "tokenizers/llm-jp-v2.1",
                vocabulary: 50_570,
                bos: Some("<s|LLM-jp>"),
                eos: Some("<EOD|LLM-jp>"),
                adds: (false, true),
            },
            Expected {
                folder: "tokenizers/llm-jp-v3.0b2",
                vocabulary: 99_574,
                bos: Some("<s>"),
                eos: Some("</s>"),
                adds: (true, false),
            },
            // Only tokenizer.json: the post-processor tells the beginning, nothing tells the end.
            Expected {
                folder: "tokenizers/mistral-7b-v0.1",
                vocabulary: 32_000,
                bos: Some("<s>"),
                eos: None,
                adds: (true, false),
            },
            Expected {
                folder: "tokenizers/gpt2",
                vocabulary: 50_257,
                bos: None,
                eos: None,
                adds: (false, false),
            },
            Expected {
                folder: "models/stories260K/hf",
                vocabulary: 512,
                bos: Some("<s>"),
                eos: Some("</s>"),
                adds: (true, false),
            },
        ] {
            let Some(folder) = data(expected.folder) else { return };
            let tokenizer = Tokenizer::load(&folder).unwrap_or_else(|error| panic!("{error}"));
            let id =
                |token: Option<&str>| token.map(|token| tokenizer.inner.token_to_id(token).expect("a token"));
            let found = (
                tokenizer.vocab_size(),
                tokenizer.bos(),
                tokenizer.eos(),
                tokenizer.adds_bos(),
                tokenizer.adds_eos(),
            );
            let (adds_bos, adds_eos) = expected.adds;
            assert_eq!(
                found,
                (expected.vocabulary, id(expected.bos), id(expected.eos), adds_bos, adds_eos),
                "{}",
                expected.folder
            );
            for text in TEXTS {
                let ids = tokenizer.encode(text, false).expect("any text can be encoded");
                assert_eq!(
                    tokenizer.decode(&ids, false).expect("any ids can be decoded"),
                    text,
                    "{}",
                    expected.folder
                );
                let with_special = tokenizer.encode(text, true).expect("any text can be encoded");
                let first = with_special.first() == tokenizer.bos.as_ref() && adds_bos;
                let bare = &with_special[usize::from(first)..with_special.len() - usize::from(adds_eos)];
                assert_eq!(bare, ids, "{}", expected.folder);
                assert_eq!(tokenizer.decode(&with_special, true).expect("ids"), text, "{}", expected.folder);
            }
        }
    }

    #[test]
    fn a_tokenizer_is_known_by_its_file() {
        let (Some(a), Some(b)) = (oracle("mini-ja-en/step-0096"), oracle("mini-ja-en/step-0800")) else {
            return;
        };
        let (a, b) = (
            Tokenizer::load(&a).expect("a tokenizer"),
            Tokenizer::load(&b.join("tokenizer.json")).expect("the same"),
        );
        assert_eq!(a.digest(), b.digest());
        assert_eq!((a.bos(), a.eos(), a.vocab_size()), (Some(1), Some(2), 8_000));
    }

    #[test]
    fn bad_folders_are_refused_in_a_sentence() {
        let folder = tempfile::tempdir().expect("a folder");
        let refused = Tokenizer::load(folder.path()).expect_err("there is no tokenizer.json");
        assert!(matches!(refused, TokenizerError::Missing(_)));
        assert!(
            refused
                .to_string()
                .contains("tokenizer.json is not there. A tokenizer is read from tokenizer.json")
        );

        fs_err::write(folder.path().join("tokenizer.json"), "{\"version\": 1").expect("a file");
        let refused = Tokenizer::load(folder.path()).expect_err("cut off");
        assert!(refused.to_string().contains("tokenizer.json is not a usable tokenizer file"), "{refused}");

        let Some(stories) = data("models/stories260K/hf/tokenizer.json") else { return };
        fs_err::copy(stories, folder.path().join("tokenizer.json")).expect("a copy");
        let settings = folder.path().join("tokenizer_config.json");
        fs_err::write(&settings, "{\"eos_token\": {\"content\": \"<end>\"}}").expect("a file");
        let refused = Tokenizer::load(folder.path()).expect_err("<end> is no token");
        assert!(
            refused.to_string().contains("names eos_token \"<end>\", which is not in the vocabulary"),
            "{refused}"
        );
        fs_err::write(&settings, "[").expect("a file");
        assert!(matches!(Tokenizer::load(folder.path()), Err(TokenizerError::Malformed { .. })));

        fs_err::remove_file(&settings).expect("removed");
        fs_err::write(folder.path().join("config.json"), "{\"bos_token_id\": 1, \"eos_token_id\": [2, 3]}")
            .expect("a file");
        let tokenizer = Tokenizer::load(folder.path()).expect("a tokenizer");
        assert_eq!((tokenizer.bos(), tokenizer.eos()), (Some(1), Some(2)));
    }
}
