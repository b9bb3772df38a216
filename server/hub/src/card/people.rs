//! What people are asked for, with a default where one can be had without inventing anything.

use sekisho_domain::Language;

use super::figures::exact;
use super::markdown::{HUB, escape, is_repository, prose};
use super::verification::is_web;
use super::{Card, Section};

impl Card<'_> {
    /// The default of a section that a person's text replaces; nothing where there is none.
    pub(super) fn default_text(&self, section: Section) -> Option<String> {
        match section {
            Section::Intro => Some(self.default_intro()),
            Section::Limitations => Some(self.default_limitations().to_owned()),
            Section::Citation => self.default_citation(),
            Section::Contact => self.default_contact(),
            Section::Authors => self.default_authors(),
            _ => None,
        }
    }

    /// A person's text or the default, and what the evaluation is known to leave out.
    pub(super) fn limitations(&self) -> Option<String> {
        let mut parts: Vec<String> = self.text(Section::Limitations).into_iter().collect();
        let truncated: u64 = self.facts.scores.iter().map(|row| row.entry.truncated).sum();
        if truncated > 0 {
            let count = exact(truncated);
            parts.push(match self.language {
                Language::En => format!("{count} evaluation inputs were longer than the model's sequence and were cut at their beginning."),
                Language::Ja => format!("評価の入力のうち{count}件は系列長を超えたため、先頭を切り詰めています。"),
            });
        }
        let contamination = self.facts.extras.contamination.iter().flat_map(|found| &found.rows);
        let found: u64 = contamination.map(|row| row.found).sum();
        if found > 0 {
            let count = exact(found);
            parts.push(match self.language {
                Language::En => format!(
                    "{count} evaluation items were found in the training data; see the table of contamination above."
                ),
                Language::Ja => format!("学習データに同じ内容を確認した設問が{count}件あります。上記のデータ汚染の表を参照してください。"),
            });
        }
        (!parts.is_empty()).then(|| parts.join("\n\n"))
    }

    const fn default_limitations(&self) -> &'static str {
        match self.language {
            Language::En => {
                "Output may be wrong or biased. Where it bears on decisions that matter, such as medical or legal ones, have an expert check it."
            }
            Language::Ja => {
                "出力には誤りや偏りが含まれる場合があります。医療・法律などの重要な判断に用いる場合は、専門家による確認を行ってください。"
            }
        }
    }

    /// BibTeX, once there are authors to name.
    fn default_citation(&self) -> Option<String> {
        let extras = &self.facts.extras;
        let authors = self.authors();
        if authors.is_empty() {
            return None;
        }
        let name = &self.facts.lineage.model.name;
        let mut lines = vec![
            format!("@misc{{{},", bibtex_key(name)),
            format!("  title = {{{{{}}}}},", bibtex(name)),
            format!(
                "  author = {{{}}},",
                authors.iter().map(|author| bibtex(author)).collect::<Vec<_>>().join(" and ")
            ),
        ];
        lines.extend(extras.year.map(|year| format!("  year = {{{year}}},")));
        lines.extend(extras.doi.as_ref().map(|doi| format!("  doi = {{{}}},", bibtex(doi))));
        let repo = self.release().map(|release| release.repo.as_str()).filter(|repo| is_repository(repo));
        lines.extend(repo.map(|repo| format!("  howpublished = {{\\url{{{HUB}/{repo}}}}},")));
        Some(format!("```bibtex\n{}\n}}\n```", lines.join("\n")))
    }

    fn default_contact(&self) -> Option<String> {
        let contact = self.facts.extras.contact.as_deref()?.trim();
        Some(match contact {
            "" => return None,
            address if is_web(address) => format!("[{}]({address})", escape(address)),
            address if is_mail(address) => format!("[{}](mailto:{address})", escape(address)),
            text => prose(text),
        })
    }

    fn default_authors(&self) -> Option<String> {
        let authors = self.authors();
        let lines: Vec<String> = authors.iter().map(|author| format!("- {}", prose(author))).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    /// In the order of their letters.
    fn authors(&self) -> Vec<&str> {
        let authors = self.facts.extras.authors.iter().map(|author| author.trim());
        let mut authors: Vec<&str> = authors.filter(|author| !author.is_empty()).collect();
        authors.sort_unstable();
        authors.dedup();
        authors
    }
}

fn is_mail(address: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    let parts = address.split_once('@');
    parts.is_some_and(|(name, host)| {
        !name.is_empty() && host.contains('.') && name.chars().chain(host.chars()).all(plain)
    })
}

/// Text inside braces of BibTeX.
fn bibtex(text: &str) -> String {
    let text: String = text.chars().filter(|c| !"{}\\`\"".contains(*c)).collect();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    ["&", "%", "#", "_", "$"].iter().fold(text, |text, sign| text.replace(sign, &format!("\\{sign}")))
}

fn bibtex_key(name: &str) -> String {
    let key: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let parts: Vec<&str> = key.split('-').filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { "model".to_owned() } else { parts.join("-") }
}
