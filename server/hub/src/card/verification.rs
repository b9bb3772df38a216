//! How a reader checks that a download is what was released.

use sekisho_domain::Language;

use super::markdown::{code, escape, shell};
use super::{Card, CardSignature};

impl Card<'_> {
    pub(super) fn verification(&self) -> String {
        let digest = self.facts.checkpoint.digest;
        let said = self.say(
            "Digest of weights and configuration; `sekisho verify` computes it from a downloaded folder:",
            "重みと設定のダイジェストです。ダウンロードしたフォルダーに対して`sekisho verify`で確認できます。",
        );
        let folder = shell(self.folder());
        let mut parts = vec![format!("{said}\n\n```bash\nsekisho verify {folder}\n# {digest}\n```")];
        parts.extend(self.facts.extras.signature.as_ref().map(|signature| self.signature(signature)));
        parts.join("\n\n")
    }

    /// Who signed, and the official command that says whether it holds.
    fn signature(&self, signature: &CardSignature) -> String {
        let (signer, key) = (escape(&signature.signer), code(&signature.key_fingerprint));
        let source = signature.public_key.as_deref().filter(|address| is_web(address));
        let source = source.map(|address| match self.language {
            Language::En => format!(" The public key: <{address}>."),
            Language::Ja => format!("公開鍵：<{address}>"),
        });
        let source = source.unwrap_or_default();
        let said = match self.language {
            Language::En => format!(
                "`model.sig` is a signature of {signer} over the files of this release (OpenSSF Model Signing). Fingerprint of the key: {key}.{source}"
            ),
            Language::Ja => format!(
                "`model.sig`は、{signer}によるこのリリースのファイルの署名です（OpenSSF Model Signing形式）。鍵の指紋：{key}。{source}"
            ),
        };
        // A download keeps notes of its own in `.cache`, which nobody signed.
        let folder = self.folder();
        let at = |file: &str| shell(&format!("{folder}/{file}"));
        let command = format!(
            "model_signing verify key {} --signature {} --public_key KEY.pem --ignore-paths {}",
            shell(folder),
            at("model.sig"),
            at(".cache"),
        );
        let ask = self.say(
            "It can be checked with the official tool (`pip install model-signing`) too:",
            "公式のツール（`pip install model-signing`）でも確認できます。",
        );
        format!("{said}\n\n{ask}\n\n```bash\n{command}\n```")
    }

    /// The folder that a download of the repository gives.
    pub(super) fn folder(&self) -> &str {
        let repo = self.release().map(|release| release.repo.as_str());
        repo.and_then(|repo| repo.rsplit('/').next()).unwrap_or("MODEL")
    }
}

/// An address that can stand in a link as it is.
pub(super) fn is_web(address: &str) -> bool {
    let plain = |c: char| c.is_ascii_graphic() && !"<>()`\\|\"".contains(c);
    address.starts_with("https://") && address.chars().all(plain)
}
