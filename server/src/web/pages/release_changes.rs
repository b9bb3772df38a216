//! What changed since the release that is out: what an approver reads before anything else.

use std::collections::BTreeMap;

use sekisho_domain::Language;
use sekisho_domain::lineage::{InputKind, LineageFile, ReleaseSection};
use sekisho_domain::manifest::FileEntry;
use sekisho_domain::release::ReleaseState;
use sekisho_hub::card::Section;
use sekisho_hub::signature::{PUBLIC_KEY_FILE, SIGNATURE_FILE};
use sekisho_policy::LineageGraph;
use sekisho_store::Release;

use crate::service::releases;
use crate::web::frame::Frame;

/// A release as it is compared.
#[derive(Clone)]
pub(super) struct Compared {
    pub(super) release: Release,
    /// What is or would be published.
    pub(super) files: Vec<FileEntry>,
    /// Subset → release level.
    pub(super) subsets: BTreeMap<String, Option<String>>,
}

impl Compared {
    pub(super) fn new(release: Release, files: Vec<FileEntry>, graph: &LineageGraph) -> Self {
        Self { subsets: subsets(&release, graph), release, files }
    }
}

/// The section of the page.
pub(super) struct ChangesView {
    pub(super) title: String,
    pub(super) href: Option<String>,
    /// What is compared, and how it differs.
    pub(super) rows: Vec<(&'static str, Vec<String>)>,
    /// Said instead of rows.
    pub(super) nothing: &'static str,
}

/// The texts of a lineage with their levels: those that the release's own file states, as the level was then, else the registry's.
fn subsets(release: &Release, graph: &LineageGraph) -> BTreeMap<String, Option<String>> {
    let is_text =
        |kind| matches!(kind, Some(InputKind::Corpus | InputKind::Synthetic | InputKind::Preference));
    let nodes = graph.nodes.iter().filter(|node| is_text(node.kind));
    let mut subsets: BTreeMap<String, Option<String>> =
        nodes.map(|node| (node.name.clone(), node.level.clone())).collect();
    let file = sekisho_domain::parse_toml::<LineageFile>("lineage.toml", &release.lineage).ok();
    for input in file.into_iter().flat_map(|file| file.inputs) {
        if let (Some(id), Some(level)) = (input.id, input.level) {
            subsets.entry(id).and_modify(|known| *known = Some(level));
        }
    }
    subsets
}

/// Nothing for a release that is out itself, or will never be.
pub(super) fn view(
    frame: &Frame,
    ours: &Release,
    files: &[FileEntry],
    graph: Option<&LineageGraph>,
    theirs: Option<&Compared>,
) -> Option<ChangesView> {
    use ReleaseState as S;
    if matches!(ours.state, S::Published | S::Superseded | S::Yanked | S::Rejected | S::Withdrawn) {
        return None;
    }
    let Some(theirs) = theirs else {
        return Some(ChangesView {
            title: frame.t("release.changes").to_owned(),
            href: None,
            rows: Vec::new(),
            nothing: frame.t("release.first_here"),
        });
    };
    let none = LineageGraph::default();
    let ours = Compared::new(ours.clone(), files.to_vec(), graph.unwrap_or(&none));
    Some(ChangesView {
        title: frame.fill("release.changes_since", "name", &theirs.release.name),
        href: Some(format!("/releases/{}", theirs.release.id)),
        rows: rows(frame, theirs, &ours),
        nothing: frame.t("release.unchanged"),
    })
}

fn rows(frame: &Frame, old: &Compared, new: &Compared) -> Vec<(&'static str, Vec<String>)> {
    let (before, after) = (releases::target(&old.release), releases::target(&new.release));
    let setting = |show: &dyn Fn(&ReleaseSection) -> String| {
        let shown = |target: &Option<ReleaseSection>| target.as_ref().map(show).unwrap_or_default();
        let (before, after) = (shown(&before), shown(&after));
        if before == after { Vec::new() } else { vec![format!("{before} → {after}")] }
    };
    let all = [
        ("release.license", setting(&|target| target.license.join(", "))),
        ("release.visibility", setting(&|target| frame.word("visibility", target.visibility).to_owned())),
        ("release.gating", setting(&|target| frame.word("gating", target.gating).to_owned())),
        ("nav.corpora", subset_changes(frame, &old.subsets, &new.subsets)),
        ("release.files", file_changes(old, new)),
        ("release.card", card_changes(frame.lang, &old.release, &new.release)),
    ];
    all.into_iter().filter(|(_, lines)| !lines.is_empty()).map(|(key, lines)| (frame.t(key), lines)).collect()
}

type Levels = BTreeMap<String, Option<String>>;

fn subset_changes(frame: &Frame, old: &Levels, new: &Levels) -> Vec<String> {
    let level =
        |level: &Option<String>| level.clone().unwrap_or_else(|| frame.t("corpora.no_level").to_owned());
    let named = |sign: &str, name: &str, of: &Option<String>| {
        let level = level(of);
        if frame.lang == Language::Ja {
            format!("{sign} {name}（{level}）")
        } else {
            format!("{sign} {name} ({level})")
        }
    };
    let gone = old.iter().filter(|(name, _)| !new.contains_key(*name));
    let mut lines: Vec<String> = gone.map(|(name, level)| named("−", name, level)).collect();
    for (name, now) in new {
        match old.get(name) {
            None => lines.push(named("+", name, now)),
            Some(then) if then != now => {
                lines.push(format!("~ {name}: {} → {}", level(then), level(now)));
            }
            Some(_) => {}
        }
    }
    lines
}

/// Paths that are new or gone, and texts that people gave whose content is another. What is computed is another every time; a draft
/// does not have it yet, and the signature comes last.
fn file_changes(old: &Compared, new: &Compared) -> Vec<String> {
    let is_draft = matches!(new.release.state, ReleaseState::Draft | ReleaseState::Frozen);
    let looked_at = |file: &&FileEntry| {
        let path = file.path.as_str();
        let computed = is_draft && old.release.generated.contains_key(path);
        path != SIGNATURE_FILE && path != PUBLIC_KEY_FILE && !computed
    };
    let by_path = |of: &Compared| -> BTreeMap<String, FileEntry> {
        of.files.iter().filter(looked_at).map(|file| (file.path.clone(), file.clone())).collect()
    };
    let (before, after) = (by_path(old), by_path(new));
    let gone = before.keys().filter(|path| !after.contains_key(*path)).map(|path| format!("− {path}"));
    let others = after.iter().filter_map(|(path, file)| match before.get(path) {
        None => Some(format!("+ {path}")),
        Some(then) if new.release.files.contains_key(path) && then.sha256 != file.sha256 => {
            Some(format!("~ {path}"))
        }
        Some(_) => None,
    });
    gone.chain(others).collect()
}

/// Sections that people wrote, by language.
fn card_changes(lang: Language, old: &Release, new: &Release) -> Vec<String> {
    let mut lines = Vec::new();
    for card in Language::ALL {
        for section in Section::editable() {
            let text = |release: &Release| {
                let texts = release.card_edits.get(card.as_str());
                texts.and_then(|texts| texts.get(section.as_str())).cloned().filter(|text| !text.is_empty())
            };
            let sign = match (text(old), text(new)) {
                (None, Some(_)) => "+",
                (Some(_), None) => "−",
                (Some(then), Some(now)) if then != now => "~",
                _ => continue,
            };
            lines.push(format!("{sign} {} ({card})", section.title(lang)));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use sekisho_domain::Sha256;

    use super::*;
    use crate::web::pages::fixtures;

    fn file(path: &str, text: &str) -> FileEntry {
        FileEntry { path: path.to_owned(), size: 1, sha256: Sha256::of(text) }
    }

    fn lines(changes: &ChangesView, label: &str) -> Vec<String> {
        changes.rows.iter().find(|(at, _)| *at == label).map(|(_, lines)| lines.clone()).unwrap_or_default()
    }

    #[test]
    fn everything_that_an_approver_decides_about_is_compared() {
        let frame = fixtures::frame(Language::En, "/");
        let new = Release {
            lineage: fixtures::release().lineage.replace("gating = \"manual\"", "visibility = \"private\""),
            files: [("NOTICE".to_owned(), "key".to_owned())].into(),
            card_edits: [("en".to_owned(), [("intro".to_owned(), "We made it.".to_owned())].into())].into(),
            ..fixtures::release()
        };
        let old = Release { name: "v3".to_owned(), id: fixtures::id("v3"), ..fixtures::release() };
        let files =
            [file("config.json", "b"), file("NOTICE", "b"), file("code.json", "c"), file("model.sig", "d")];
        let graph = fixtures::lineage_graph();
        let mut then =
            Compared::new(old, vec![file("config.json", "a"), file("NOTICE", "a"), file("OLD", "a")], &graph);
        then.subsets.insert("web-ja".to_owned(), Some("L3".to_owned()));
        then.subsets.remove("新聞 <ja>");
        let changes = view(&frame, &new, &files, Some(&graph), Some(&then)).expect("in review");
        assert_eq!(changes.title, "Changes since v3");
        let hidden = format!("{} → {}", frame.t("visibility.public"), frame.t("visibility.private"));
        assert_eq!(lines(&changes, frame.t("release.visibility")), [hidden]);
        assert_eq!(lines(&changes, frame.t("release.gating")).len(), 1);
        assert!(lines(&changes, frame.t("release.license")).is_empty());
        let unknown = format!("+ 新聞 <ja> ({})", frame.t("corpora.no_level"));
        assert_eq!(lines(&changes, frame.t("nav.corpora")), ["~ web-ja: L3 → LX", unknown.as_str()]);
        assert_eq!(lines(&changes, frame.t("release.files")), ["− OLD", "~ NOTICE", "+ code.json"]);
        assert_eq!(lines(&changes, frame.t("release.card")).len(), 1);
    }

    #[test]
    fn a_first_release_and_one_that_is_out_are_told_apart() {
        let frame = fixtures::frame(Language::Ja, "/");
        let mut release = fixtures::release();
        let first = view(&frame, &release, &[], None, None).expect("in review");
        assert_eq!(first.nothing, "この公開先では初めてのリリースです");
        let same = Compared::new(release.clone(), Vec::new(), &LineageGraph::default());
        let unchanged = view(&frame, &release, &[], None, Some(&same)).expect("in review");
        assert!(unchanged.rows.is_empty() && unchanged.nothing == "変更はありません");
        release.state = ReleaseState::Published;
        assert!(view(&frame, &release, &[], None, None).is_none());
    }
}
