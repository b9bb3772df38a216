use std::collections::BTreeMap;
use std::path::PathBuf;

use sekisho_domain::Language;
use serde_json::{Value, json};

use super::{Options, act, path};
use crate::client::Client;
use crate::exit::ExitStatus;
use crate::fields::words;
use crate::files;
use crate::printer::Printer;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Id of the release
    id: String,
    /// Language of the card: ja or en
    #[arg(long, default_value = "en", value_name = "LANG")]
    lang: Language,
    /// Take a section's text from a Markdown file; an empty one brings the default back
    #[arg(long, value_name = "SECTION=FILE", value_parser = assignment)]
    set: Vec<(String, PathBuf)>,
    /// Print the card after a change too
    #[arg(long)]
    show: bool,
    #[command(flatten)]
    options: Options,
}

fn assignment(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((section, file)) if !section.is_empty() && !file.is_empty() => {
            Ok((section.to_owned(), PathBuf::from(file)))
        }
        _ => Err("write the section and the file that has its text, as in limitations=limits.md".to_owned()),
    }
}

pub(super) fn run(args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let client = Client::new(&args.options.server)?;
    if !args.set.is_empty() {
        let mut texts = BTreeMap::new();
        for (section, file) in &args.set {
            texts.insert(section, files::read(file)?);
        }
        let lang = args.lang.as_str();
        let sections = json!({ lang: texts });
        let release = act(&client, &args.id, "card", &json!({ "sections": sections }))?;
        let names: Vec<&str> = texts.keys().map(|section| section.as_str()).collect();
        printer.say(&format!(
            "Written ({}): {}. The release is {}.",
            args.lang,
            names.join(", "),
            words(&release, "/state")
        ));
    }
    if args.set.is_empty() || args.show || args.options.json {
        let card: Value = client.get(&format!("{}/card?lang={}", path(&args.id), args.lang))?;
        if args.options.json {
            printer.json(&card)?;
        } else {
            printer.data(words(&card, "/text").trim_end())?;
        }
    }
    Ok(ExitStatus::Ok)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::assignment;

    #[test]
    fn a_section_is_given_with_its_file() {
        assert_eq!(assignment("usage=a=b.md"), Ok(("usage".to_owned(), PathBuf::from("a=b.md"))));
        for wrong in ["usage", "=a.md", "usage="] {
            assert!(assignment(wrong).is_err_and(|error| error.contains("limitations=limits.md")), "{wrong}");
        }
    }
}
