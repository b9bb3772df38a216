use sekisho_domain::corpus::{Subset, SubsetFile};
use sekisho_domain::parse_toml;

use crate::WebError;

/// How a list of subsets is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `[[subset]]` tables.
    Toml,
    /// A head line with the same names, one subset a line.
    Csv,
}

/// Reads a list of subsets.
///
/// # Errors
/// 422 with line and rule.
pub fn read(format: Format, name: &str, text: &str) -> Result<Vec<Subset>, WebError> {
    match format {
        Format::Toml => {
            let file: SubsetFile =
                parse_toml(name, text).map_err(|error| WebError::refused("subset", format!("{error}.")))?;
            Ok(file.subsets)
        }
        Format::Csv => csv(name, text),
    }
}

fn csv(name: &str, text: &str) -> Result<Vec<Subset>, WebError> {
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let refused = |error: &csv::Error| {
        let line = error.position().map_or(1, csv::Position::line);
        let words = match error.kind() {
            csv::ErrorKind::Deserialize { err, .. } => err.to_string(),
            _ => error.to_string(),
        };
        let detail = format!(
            "{name}:{line}: {words}. The head line has id, corpus and any of language, tokens, tokenizer, level, license, evidence, evidence_sha256, generator, generator_license."
        );
        WebError::refused("subset", detail)
    };
    reader.deserialize().map(|row| row.map_err(|error| refused(&error))).collect()
}

#[cfg(test)]
mod tests {
    use super::{Format, read};

    #[test]
    fn toml_and_csv_say_the_same() {
        let toml = "[[subset]]\nid = \"web-ja\"\ncorpus = \"v3\"\ntokens = 90\nlevel = \"L3\"\nlicense = \"LicenseRef-crawl\"\n";
        let csv = "\u{feff}id,corpus,language,tokens,level,license\nweb-ja, v3,,90,L3,LicenseRef-crawl\n";
        let a = read(Format::Toml, "a.toml", toml).expect("TOML");
        assert_eq!(a, read(Format::Csv, "a.csv", csv).expect("CSV"));
        assert_eq!((a.len(), a[0].tokens.map(|t| t.0), a[0].language.as_deref()), (1, Some(90), None));
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_line() {
        for (format, text, says) in [
            (Format::Csv, "id,corpus,level\na,v3,L1\nb,v3,L4\n", "x:3: "),
            (Format::Csv, "id,corpus,levle\na,v3,L1\n", "levle"),
            (Format::Csv, "corpus\nv3\n", "missing field `id`"),
            (
                Format::Toml,
                "[[subset]]\nid = \"a\"\ncorpus = \"v3\"\nlevle = \"L1\"\n",
                "did you mean \"level\"?",
            ),
            (Format::Toml, "[[subset]]\nid = \"a\"\ncorpus = \"v3\"\nlevel = \"L4\"\n", "x:4:"),
        ] {
            let error = read(format, "x", text).expect_err(text);
            assert_eq!(error.status.as_u16(), 422);
            assert!(error.detail.contains(says), "{}", error.detail);
        }
    }
}
