//! Every licence rule, every duty: met it passes, and every change of a letter that matters is caught under its own code.

use std::collections::BTreeSet;

use super::duties::licenses;
use super::{Files, base, judge};
use crate::rules::files::holds_text;
use crate::set::KnownText;
use crate::{Duty, LicenseRule, ReleasedFile, Use};
use sekisho_domain::Sha256;

/// The conditions of the BSD licences, which lie in no file of the test data.
const BSD: &str = "Redistributions of source code must retain the above copyright notice, this list of conditions and the following disclaimer.\n\n\
                   2. Redistributions in binary form must reproduce the above copyright notice, this list of conditions and the following disclaimer in the documentation and/or other materials provided with the distribution.\n";

/// A release that meets every duty of one licence, in parts that can be changed one at a time.
#[derive(Clone)]
struct Release {
    id: String,
    r#use: Use,
    declared: String,
    name: String,
    repository: String,
    title: String,
    shown: String,
    notice: String,
    license: String,
    policy: String,
    credit: String,
}

/// The licence itself out of a file that may hold more.
fn part(text: &str, known: &KnownText) -> Option<String> {
    let file = ReleasedFile { path: "x".to_owned(), bytes: text.as_bytes().to_vec() };
    if !holds_text(&[file], std::slice::from_ref(known)) {
        return None;
    }
    let offset = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
    let all: Vec<&str> =
        text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let window = all.windows(known.words).find(|window| Sha256::of(window.join(" ")) == known.sha256)?;
    let (first, last) = (window.first()?, window.last()?);
    Some(text[offset(first)..offset(last) + last.len()].to_owned())
}

impl Release {
    fn new(rule: &LicenseRule, r#use: Use, texts: &[String]) -> Self {
        let text = |known: &[KnownText]| {
            texts.iter().find_map(|text| known.iter().find_map(|edition| part(text, edition)))
        };
        let name = format!("{}-Lab-8B", rule.name_prefix.as_deref().unwrap_or("Lab").replace(' ', "-"));
        let wants = |duty| rule.duties(r#use).contains(&duty);
        let found = |duty, known: &[KnownText]| match text(known) {
            Some(text) => text,
            None => {
                assert!(!wants(duty), "no text of {} at hand for {}", rule.id, duty.name());
                String::new()
            }
        };
        Self {
            id: rule.id.clone(),
            r#use,
            declared: rule.id.clone(),
            repository: name.clone(),
            title: name.clone(),
            name,
            shown: rule.built_with.clone().unwrap_or_default(),
            notice: rule.notice.clone().unwrap_or_default(),
            license: found(Duty::LicenseFile, &rule.text),
            policy: found(Duty::UsePolicy, &rule.use_policy),
            credit: rule.attribution.clone().unwrap_or_default().replace("{input}", "x"),
        }
    }

    fn input(&self) -> String {
        match self.r#use {
            Use::Base => format!("{{ kind = \"base_model\", id = \"x\", license = \"{}\" }}", self.id),
            Use::Corpus => {
                format!("{{ kind = \"corpus\", id = \"x\", level = \"L1\", license = \"{}\" }}", self.id)
            }
            Use::Outputs => format!(
                "{{ kind = \"synthetic\", id = \"x\", level = \"L1\", license = \"CC0-1.0\", generator = \"g\", generator_license = \"{}\" }}",
                self.id
            ),
            Use::Judge => format!("{{ kind = \"reward\", id = \"x\", license = \"{}\" }}", self.id),
            Use::Declared => {
                "{ kind = \"corpus\", id = \"x\", level = \"L1\", license = \"CC0-1.0\" }".to_owned()
            }
        }
    }

    fn codes(&self) -> BTreeSet<&'static str> {
        let Self { name, repository, declared, title, shown, credit, .. } = self;
        let lineage = format!(
            "model.name = \"{name}\"\ninput = [{}]\nrelease = {{ repo = \"lab/{repository}\", license = [\"{declared}\"], files = \"r\" }}\n",
            self.input()
        );
        let card = format!("---\nlicense: {declared}\n---\n# {title}\n\n{shown}\n\n{credit}\n");
        let mut files = Files::default().with("/lab/lineage.toml", &lineage).with("/lab/r/README.md", &card);
        for (file, text) in
            [("NOTICE", &self.notice), ("LICENSE", &self.license), ("USE_POLICY.md", &self.policy)]
        {
            if !text.is_empty() {
                files = files.with(&format!("/lab/r/{file}"), text);
            }
        }
        judge(&files).violations.iter().map(|finding| finding.code.as_str()).collect()
    }

    fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut changed = self.clone();
        change(&mut changed);
        changed
    }
}

/// Each way of breaking a duty, with the code that must tell it.
fn mutations(good: &Release, duty: Duty) -> (&'static str, Vec<Release>) {
    match duty {
        Duty::Notice => ("notice-missing", notices(good)),
        Duty::BuiltWith => {
            let hidden = format!("<!-- {} -->", good.shown);
            let fenced = format!("```\n{}\n```", good.shown);
            let lower = good.shown.to_lowercase();
            let changed = [String::new(), hidden, fenced, lower, good.shown.replace("Built", "Build")];
            ("built-with-missing", changed.map(|shown| good.with(|r| r.shown = shown)).into())
        }
        Duty::NamePrefix => ("name-prefix", names(good)),
        Duty::LicenseFile => (
            "license-file-missing",
            cuts(&good.license).map(|text| good.with(|r| r.license = text)).collect(),
        ),
        Duty::UsePolicy => {
            ("use-policy-missing", cuts(&good.policy).map(|text| good.with(|r| r.policy = text)).collect())
        }
        Duty::Declare => ("license-conflict", vec![good.with(|r| r.declared = "cc-by-4.0".to_owned())]),
        _ => ("", Vec::new()),
    }
}

/// Every letter of the line changed, left out, the mark of copyright in its other spelling, a blank at either end, and no line.
fn notices(good: &Release) -> Vec<Release> {
    let letters: Vec<char> = good.notice.chars().collect();
    let swapped = |letter: char| match letter {
        '©' => "(c)".to_owned(),
        letter if letter.is_lowercase() => letter.to_uppercase().collect(),
        letter if letter.is_uppercase() => letter.to_lowercase().collect(),
        _ => "_".to_owned(),
    };
    let mut lines = vec![String::new(), format!(" {}", good.notice), format!("{} ", good.notice)];
    lines.push(if good.notice.contains("(c)") {
        good.notice.replace("(c)", "©")
    } else {
        good.notice.repeat(2)
    });
    for at in 0..letters.len() {
        let (before, after): (String, String) =
            (letters[..at].iter().collect(), letters[at + 1..].iter().collect());
        lines.push(format!("{before}{}{after}", swapped(letters[at])));
        lines.push(format!("{before}{after}"));
    }
    lines.into_iter().map(|line| good.with(|r| r.notice = line)).collect()
}

/// The prefix in lower case, in the middle, run on, cut short and left out, in each of the three names.
fn names(good: &Release) -> Vec<Release> {
    let name = &good.name;
    let changed = [
        name.to_lowercase(),
        format!("Lab-{name}"),
        name.replacen('-', "x", 1),
        name[1..].to_owned(),
        "Lab".to_owned(),
    ];
    let each = changed.iter().flat_map(|name| {
        [
            good.with(|r| r.name.clone_from(name)),
            good.with(|r| r.repository.clone_from(name)),
            good.with(|r| r.title.clone_from(name)),
        ]
    });
    each.collect()
}

/// The text left out, cut to half, without its last word, and with one word in twenty places changed or gone.
fn cuts(text: &str) -> impl Iterator<Item = String> {
    let words: Vec<&str> = text.split_inclusive(char::is_whitespace).collect();
    let (half, last) = (words.len() / 2, words.len() - 1);
    let mut all = vec![String::new(), words[..half].concat(), words[half..].concat(), words[..last].concat()];
    for place in 0..20 {
        let wordy = |at: &usize| words[*at].chars().any(char::is_alphanumeric);
        let at = (words.len() * place / 20..words.len()).find(wordy).expect("a word");
        let mut changed = words.clone();
        changed[at] = "replaced ";
        all.push(changed.concat());
        changed[at] = " ";
        all.push(changed.concat());
    }
    all.into_iter()
}

/// Duties that no file can show to be met: what they must give.
fn unconditional(duty: Duty, r#use: Use) -> Option<&'static str> {
    match duty {
        Duty::Noncommercial => Some("noncommercial-input"),
        Duty::NoDerivatives => Some("license-conflict"),
        Duty::Forbidden if r#use == Use::Outputs => Some("outputs-forbidden"),
        _ => None,
    }
}

#[test]
fn every_mutation_of_every_licence_rule_is_caught() {
    let Some(folder) = licenses() else { return };
    let files = fs_err::read_dir(&folder).expect("folders").flat_map(|entry| {
        let path = entry.expect("an entry").path();
        let inner = path.is_dir().then(|| fs_err::read_dir(path).expect("files"));
        inner.into_iter().flatten().map(|file| file.expect("a file").path())
    });
    let texts = files.map(|file| fs_err::read_to_string(file).expect("UTF-8")).chain([BSD.to_owned()]);
    let texts: Vec<String> = texts.collect();
    let (mut made, mut caught, mut missed) = (0, 0, Vec::new());
    for rule in base().licenses() {
        for r#use in Use::ALL.iter().copied().filter(|r#use| !rule.duties(*r#use).is_empty()) {
            let good = Release::new(rule, r#use, &texts);
            let duties = rule.duties(r#use);
            let expected: BTreeSet<_> =
                duties.iter().filter_map(|duty| unconditional(*duty, r#use)).collect();
            assert_eq!(good.codes(), expected, "{} as {}", rule.id, r#use.name());
            for duty in duties {
                let (code, broken) = mutations(&good, *duty);
                for release in broken {
                    made += 1;
                    if release.codes().difference(&expected).any(|found| *found == code) {
                        caught += 1;
                    } else {
                        missed.push((rule.id.clone(), r#use.name(), duty.name()));
                    }
                }
            }
        }
    }
    assert!(made > 4_000, "{made} mutations");
    eprintln!("{caught} of {made} mutations caught");
    assert_eq!(caught, made, "mutation score {caught}/{made}: {missed:#?}");
}
