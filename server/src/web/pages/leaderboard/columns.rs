//! Which columns the board has: those of a suite, of a preset, or chosen one by one.

use sekisho_bench::{Catalog, MeanDefinition, Preset};
use sekisho_domain::evaluation::TaskRun;
use sekisho_domain::{EvaluationId, Language};

use super::asked::Asked;
use crate::web::frame::Frame;
use crate::{App, WebError};

/// Most columns that are chosen one by one.
const MOST: usize = 40;
/// The name of a choice of one's own, where presets have theirs.
pub(super) const OWN: &str = "own";

/// The columns, and where they come from.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Chosen {
    /// Only evaluations on this suite count; those of all where it is a preset or a choice of one's own.
    pub(super) suite: Option<String>,
    pub(super) preset: Option<String>,
    pub(super) title: String,
    /// All, those that are hidden too.
    pub(super) all: Vec<TaskRun>,
    /// Those that are shown.
    pub(super) shown: Vec<TaskRun>,
    pub(super) categories: Option<MeanDefinition>,
}

impl Chosen {
    /// Whether columns are hidden: the mean is then one over a choice, and no longer that of the suite or preset.
    pub(super) fn is_narrowed(&self) -> bool {
        self.shown.len() < self.all.len()
    }

    /// Hides columns by the names of their tasks; answers the names that none has. The last column is never hidden.
    fn hide(&mut self, names: &[String]) -> Vec<String> {
        let all = &self.all;
        let unknown =
            names.iter().filter(|name| !all.iter().any(|run| run.task == **name)).cloned().collect();
        let shown: Vec<TaskRun> = all.iter().filter(|run| !names.contains(&run.task)).cloned().collect();
        self.shown = if shown.is_empty() { all.clone() } else { shown };
        unknown
    }
}

/// The board that is asked for; the suite with the newest evaluation when none is. None when there is none at all.
pub(super) async fn choose(
    app: &App,
    frame: &Frame,
    suites: &[(String, EvaluationId)],
    asked: &mut Asked,
) -> Result<Option<Chosen>, WebError> {
    let mut found = own(&app.catalog, frame, asked);
    if found.is_none() {
        found = preset(&app.catalog, frame, asked);
    }
    if found.is_none() {
        found = of_suite(app, frame, suites, asked).await?;
    }
    let Some(mut chosen) = found else { return Ok(None) };
    let unknown = chosen.hide(&asked.hidden);
    asked.ignored.extend(unknown.into_iter().map(|name| ("hide".to_owned(), name)));
    Ok(Some(chosen))
}

fn preset(catalog: &Catalog, frame: &Frame, asked: &mut Asked) -> Option<Chosen> {
    let wanted = frame.param("preset").filter(|wanted| !wanted.is_empty())?;
    let found = catalog.presets().iter().find(|preset| preset.name == wanted);
    if found.is_none() && wanted != OWN {
        asked.ignored.push(("preset".to_owned(), wanted.to_owned()));
    }
    found.map(|preset| of_preset(frame, preset))
}

fn of_preset(frame: &Frame, preset: &Preset) -> Chosen {
    Chosen {
        suite: None,
        preset: Some(preset.name.clone()),
        title: preset_title(frame.lang, preset),
        all: preset.tasks.clone(),
        shown: Vec::new(),
        categories: preset.mean.clone(),
    }
}

/// The columns in `task=…&task=…`; none when no one of them can be understood.
fn own(catalog: &Catalog, frame: &Frame, asked: &mut Asked) -> Option<Chosen> {
    if frame.param("preset") != Some(OWN) {
        return None;
    }
    let mut all: Vec<TaskRun> = Vec::new();
    for (_, value) in frame.query.iter().filter(|(name, _)| name == "task") {
        match of_code(catalog, value) {
            Some(run) if all.len() < MOST => {
                if !all.contains(&run) {
                    all.push(run);
                }
            }
            _ => asked.ignored.push(("task".to_owned(), value.clone())),
        }
    }
    let title = frame.t("board.own").to_owned();
    let chosen = Chosen { preset: Some(OWN.to_owned()), title, all, ..Chosen::default() };
    (!chosen.all.is_empty()).then_some(chosen)
}

async fn of_suite(
    app: &App,
    frame: &Frame,
    suites: &[(String, EvaluationId)],
    asked: &mut Asked,
) -> Result<Option<Chosen>, WebError> {
    let wanted = frame.param("suite").filter(|wanted| !wanted.is_empty());
    let known = wanted.and_then(|wanted| suites.iter().find(|(suite, _)| suite == wanted));
    if let (Some(wanted), None) = (wanted, known) {
        asked.ignored.push(("suite".to_owned(), wanted.to_owned()));
    }
    let Some((suite, newest)) = known.or_else(|| suites.first()) else { return Ok(None) };
    // The tasks of the suite as this server knows it, or as its newest evaluation was run. An older evaluation with other tasks has no
    // say: it would make every newer row incomplete.
    let all = match app.catalog.suite(suite) {
        Ok(suite) => suite.tasks.clone(),
        Err(_) => app.store.work_of(*newest).await?.into_iter().map(|row| row.work.run).collect(),
    };
    let title = suite_title(&app.catalog, frame.lang, suite);
    Ok(Some(Chosen { suite: Some(suite.clone()), title, all, ..Chosen::default() }))
}

pub(super) fn suite_title(catalog: &Catalog, lang: Language, name: &str) -> String {
    match (catalog.suite(name), lang) {
        (Ok(suite), Language::Ja) => suite.title_ja.clone(),
        (Ok(suite), Language::En) => suite.title_en.clone(),
        (Err(_), _) => name.to_owned(),
    }
}

pub(super) fn preset_title(lang: Language, preset: &Preset) -> String {
    if lang == Language::Ja { preset.title_ja.clone() } else { preset.title_en.clone() }
}

/// Every column that suites and presets have: what a choice of one's own is made from.
pub(super) fn known(catalog: &Catalog) -> Vec<TaskRun> {
    let suites = catalog.suites().iter().flat_map(|suite| &suite.tasks);
    let presets = catalog.presets().iter().flat_map(|preset| &preset.tasks);
    let mut known: Vec<TaskRun> = Vec::new();
    for run in suites.chain(presets) {
        if !known.iter().any(|seen| catalog.same_run(seen, run)) {
            known.push(run.clone());
        }
    }
    known
}

/// `llm-jp-eval@1.3/niilc:dev:100:4-shot`, limit and shots where they are named.
pub(super) fn code(run: &TaskRun) -> String {
    let mut code = format!("{}/{}:{}", run.profile, run.task, run.split);
    if let Some(limit) = run.limit {
        code.push_str(&format!(":{limit}"));
    }
    if let Some(shots) = run.shots {
        code.push_str(&format!(":{shots}-shot"));
    }
    code
}

/// Reads [`code`]; none of a task that is not known here.
fn of_code(catalog: &Catalog, code: &str) -> Option<TaskRun> {
    let mut parts = code.split(':');
    let (profile, task) = parts.next()?.split_once('/')?;
    let mut run = TaskRun {
        profile: profile.to_owned(),
        task: task.to_owned(),
        split: parts.next()?.to_owned(),
        limit: None,
        shots: None,
    };
    for part in parts {
        match part.strip_suffix("-shot") {
            Some(shots) => run.shots = Some(shots.parse().ok()?),
            None => run.limit = Some(part.parse().ok()?),
        }
    }
    let _ = catalog.published_metric(profile, task)?;
    ["dev", "test"].contains(&run.split.as_str()).then_some(run)
}

/// A column's title in the language of the page; of a task that cannot be run here, that of the preset that names it.
pub(super) fn title(catalog: &Catalog, lang: Language, run: &TaskRun) -> String {
    let found = catalog.presets().iter().flat_map(|preset| &preset.absent);
    let absent = found.into_iter().find(|a| (&a.profile, &a.task) == (&run.profile, &run.task));
    match (absent, lang) {
        (Some(absent), Language::Ja) => absent.title_ja.clone(),
        (Some(absent), Language::En) => absent.title_en.clone(),
        (None, _) => super::super::scored::title(lang, catalog, run),
    }
}

/// `llm-jp-eval@1.3, test, 4-shot`, with the number of shots where it is the task's own too.
pub(super) fn note(catalog: &Catalog, frame: &Frame, run: &TaskRun) -> String {
    let shots = catalog.find(&run.profile, &run.task).ok().map(|definition| definition.shots_of(run));
    super::super::parts::run_note(frame.lang, &TaskRun { shots: run.shots.or(shots), ..run.clone() })
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;

    #[test]
    fn every_known_column_can_be_written_into_a_url_and_read_again() {
        let catalog = Catalog::builtin();
        let known = known(&catalog);
        assert!(known.len() > 30, "{}", known.len());
        for run in known {
            assert_eq!(of_code(&catalog, &code(&run)), Some(run));
        }
        for wrong in
            ["niilc", "llm-jp-eval@1.3/niilc", "llm-jp-eval@1.3/nilc:test", "llm-jp-eval@1.3/niilc:test:x"]
        {
            assert_eq!(of_code(&catalog, wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_choice_of_ones_own_names_what_it_cannot_read() {
        let catalog = Catalog::builtin();
        let mut frame = fixtures::frame(Language::En, "/leaderboard");
        let query = [
            ("preset", OWN),
            ("task", "llm-jp-eval@1.3/niilc:test"),
            ("task", "nonsense"),
            ("task", "llm-jp-eval@1.3/niilc:test"),
        ];
        frame.query = query.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec();
        let mut asked = Asked::of(&frame);
        let mut chosen = own(&catalog, &frame, &mut asked).expect("one can be read");
        assert_eq!(chosen.all.len(), 1);
        assert_eq!(asked.ignored, [("task".to_owned(), "nonsense".to_owned())]);
        assert_eq!(chosen.hide(&["niilc".to_owned(), "jsquad".to_owned()]), ["jsquad"]);
        assert!(!chosen.is_narrowed(), "the last column stays");
        frame.query.truncate(1);
        assert_eq!(own(&catalog, &frame, &mut asked), None);
    }
}
