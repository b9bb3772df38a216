//! The page: which board, its table or figure, what may be chosen, and the links that lead to each state.

use askama::Template;
use sekisho_bench::Catalog;
use sekisho_domain::evaluation::TaskRun;
use sekisho_domain::user::Role;
use sekisho_store::ScoreRow;

use super::super::parts::{self, Cell, Choice, Figure, Pager, ScoreCell, SortHead, When};
use super::asked::{Asked, View};
use super::board::{Board, Key, Pick};
use super::cells::{self, Mark, Words};
use super::columns::{self, Chosen};
use super::filters::{self, Form};
use super::links;
use super::rows::Row;
use super::{Found, Shown, figures};
use crate::service::comparisons::TieTest;
use crate::service::reported;
use crate::web::charts;
use crate::web::format;
use crate::web::frame::Frame;
use crate::web::i18n::Words as _;

#[derive(Template)]
#[template(path = "leaderboard/leaderboard.html")]
pub(super) struct LeaderboardPage {
    frame: Frame,
    how: Vec<String>,
    presets: Vec<Choice>,
    suites: Vec<Choice>,
    which: Vec<Choice>,
    scales: Vec<Choice>,
    notices: Vec<String>,
    board: Option<BoardView>,
    can_import: bool,
}

struct BoardView {
    title: String,
    definition: String,
    views: Vec<Choice>,
    /// What lies on the scatter's horizontal axis.
    axes: Vec<Choice>,
    figure: Option<Figure>,
    /// Above and under the table's columns of facts and the mean.
    heads: Vec<SortHead>,
    settings: &'static str,
    rows: Vec<RowView>,
    base: Option<(String, String)>,
    tests: Vec<TestView>,
    /// Each column with where it is shown or hidden.
    chooser: Vec<Choice>,
    all_columns: Option<String>,
    own: Vec<(String, String, bool)>,
    form: Form,
    pager: Pager,
    csv: String,
    json: String,
}

struct RowView {
    class: &'static str,
    /// `1`, `2–4`.
    rank: Option<String>,
    /// Why there is none.
    reason: String,
    name: String,
    href: Option<String>,
    /// Of the checkpoint; a reported model has none.
    id: Option<String>,
    step: Option<(String, String)>,
    marks: Vec<Mark>,
    pin: Choice,
    base: Choice,
    stage: Cell,
    parameters: Cell,
    tokens: Cell,
    tokens_exact: String,
    mean: ScoreCell,
    whisker: String,
    /// Each with the name of its column, for screens where a row is a card.
    scores: Vec<(String, ScoreCell)>,
    missing: usize,
    settings: Cell,
    settings_full: String,
    when: When,
}

/// One test behind the ranks.
struct TestView {
    leader: String,
    row: String,
    difference: String,
    interval: String,
    p: String,
    corrected: String,
    told: &'static str,
}

pub(super) fn page(catalog: &Catalog, frame: Frame, shown: Shown) -> LeaderboardPage {
    let Shown { asked, suites, found, notices, .. } = shown;
    let chosen = found.as_ref().map(|found| &found.chosen);
    // Another board has other columns, and its lines other keys.
    let bare = Frame { query: Vec::new(), ..frame.clone() };
    let suite = |name: &String| Choice {
        label: columns::suite_title(catalog, frame.lang, name),
        href: bare.with("suite", name),
        current: chosen.and_then(|chosen| chosen.suite.as_ref()) == Some(name),
    };
    let preset = |name: &str, label: String| Choice {
        label,
        href: bare.with("preset", name),
        current: chosen.and_then(|chosen| chosen.preset.as_deref()) == Some(name),
    };
    let presets = catalog.presets().iter().map(|p| preset(&p.name, columns::preset_title(frame.lang, p)));
    let first = parts::unpaged(&frame);
    let choice = |name: &'static str, value: &'static str, key: &str, current| Choice {
        label: frame.t(key).to_owned(),
        href: first.with(name, value),
        current,
    };
    let is_keeper = |user: &sekisho_store::User| {
        user.has(Role::Admin) || reported::KEEPERS.iter().any(|role| user.has(*role))
    };
    LeaderboardPage {
        how: vec![
            format!("GET {}", links::data_link(&frame, "json")),
            format!("GET {}", links::data_link(&frame, "csv")),
        ],
        presets: presets.collect(),
        suites: suites.iter().map(suite).collect(),
        which: vec![
            choice("all", "", "board.latest", !asked.all),
            choice("all", "1", "board.all", asked.all),
        ],
        scales: vec![
            choice("scale", "", "board.scale_1", !asked.hundred),
            choice("scale", "100", "board.scale_100", asked.hundred),
        ],
        notices,
        can_import: frame.user.as_ref().is_some_and(is_keeper),
        board: found.map(|found| board_view(catalog, &frame, &asked, found)),
        frame,
    }
}

fn board_view(catalog: &Catalog, frame: &Frame, asked: &Asked, found: Found) -> BoardView {
    let Found { chosen, board, rows, pager, base, offered } = found;
    let words = Words::new(frame, catalog, asked, &board, &rows.rows);
    let first = parts::unpaged(frame);
    let view = |view: View| Choice {
        label: frame.word("board_view", view.code()).to_owned(),
        href: first.with("view", if view == View::Table { "" } else { view.code() }),
        current: asked.view == view,
    };
    BoardView {
        title: chosen.title.clone(),
        definition: definition(catalog, frame, &chosen, &board),
        views: View::ALL.map(view).to_vec(),
        axes: if asked.view == View::Scatter { links::axes(frame, asked) } else { Vec::new() },
        figure: figures::figure(&words, &rows.rows),
        heads: heads(catalog, frame, asked, &chosen, &board, &rows.rows),
        settings: frame.t("score.fingerprint"),
        base: base.map(|name| (name, first.with("base", ""))),
        tests: rows.tests.iter().map(|(leader, row, test)| test_view(&words, leader, row, test)).collect(),
        chooser: links::chooser(catalog, frame, asked, &chosen),
        all_columns: chosen.is_narrowed().then(|| first.with("hide", "")),
        own: links::own(catalog, frame, &chosen),
        form: filters::form(frame, asked, &offered),
        csv: links::data_link(frame, "csv"),
        json: links::data_link(frame, "json"),
        rows: rows.rows.iter().map(|row| row_view(&words, row)).collect(),
        pager,
    }
}

/// What the mean is of, and under which settings.
fn definition(catalog: &Catalog, frame: &Frame, chosen: &Chosen, board: &Board) -> String {
    let name = |run: &TaskRun| columns::title(catalog, frame.lang, run);
    let tasks: Vec<String> = board.columns.iter().map(name).collect();
    let notes: Vec<String> = board.columns.iter().map(|run| columns::note(catalog, frame, run)).collect();
    let same = notes.iter().all(|note| Some(note) == notes.first());
    let how =
        if same { notes.first().cloned().unwrap_or_default() } else { frame.t("board.mixed").to_owned() };
    let hidden: Vec<String> = chosen.all.iter().filter(|run| !chosen.shown.contains(run)).map(name).collect();
    let (tasks, hidden) = (tasks.join(", "), hidden.join(", "));
    let key = match (&board.categories, chosen.is_narrowed()) {
        (Some(_), _) => "board.definition_categories",
        (None, true) => "board.definition_narrowed",
        (None, false) => "board.definition",
    };
    let mean = board.categories.as_ref().map_or("", |categories| categories.name.as_str());
    frame.lang.fill(
        key,
        &[
            ("n", &board.columns.len()),
            ("tasks", &tasks),
            ("how", &how),
            ("hidden", &hidden),
            ("name", &mean),
        ],
    )
}

/// The columns that sort.
fn heads(
    catalog: &Catalog,
    frame: &Frame,
    asked: &Asked,
    chosen: &Chosen,
    board: &Board,
    rows: &[Row],
) -> Vec<SortHead> {
    let current =
        asked.sort.as_deref().and_then(|code| Key::of(code, board.columns.len())).unwrap_or(Key::Mean);
    let head = |key: Key, label: &str, sub: String, title: String| SortHead {
        label: label.to_owned(),
        sub,
        title,
        href: links::sort_link(frame, key, key == current && !asked.ascending),
        sorted: match (key == current, asked.ascending) {
            (false, _) => "",
            (true, false) => "descending",
            (true, true) => "ascending",
        },
    };
    let plain = |key: Key, label: &str| head(key, frame.t(label), String::new(), String::new());
    let mean = match &board.categories {
        Some(_) => frame.t("board.category_mean_head").to_owned(),
        None if chosen.is_narrowed() => frame.fill("board.narrowed_mean", "n", board.columns.len()),
        None => frame.t("run.mean_short").to_owned(),
    };
    let mut heads = vec![
        plain(Key::Model, "board.model"),
        plain(Key::Stage, "board.stage"),
        plain(Key::Parameters, "board.parameters"),
        plain(Key::Tokens, "run.tokens"),
        head(Key::Mean, &mean, frame.t("score.interval").to_owned(), String::new()),
    ];
    for (i, run) in board.columns.iter().enumerate() {
        let scores = || rows.iter().map(|row| &row.line.picks[i]);
        let same = scores().find(|pick| matches!(pick, Pick::Same(_)));
        let entry = same.and_then(Pick::score).or_else(|| scores().find_map(Pick::score));
        let sub = entry
            .map_or_else(|| without_scores(catalog, run), |ScoreRow { entry, .. }| parts::head_note(entry));
        let title =
            format!("{} ({})", columns::title(catalog, frame.lang, run), columns::note(catalog, frame, run));
        heads.push(head(Key::Task(i), &run.task, sub, title));
    }
    heads.push(plain(Key::Missing, "board.missing"));
    heads.push(plain(Key::Updated, "board.updated"));
    heads
}

/// `rouge2, 1-shot`: under the head of a column that no row of ours has.
fn without_scores(catalog: &Catalog, run: &TaskRun) -> String {
    let metric =
        catalog.published_metric(&run.profile, &run.task).map_or_else(String::new, |metric| metric.0);
    let of_task = catalog.find(&run.profile, &run.task).ok().map(|definition| definition.shots_of(run));
    match run.shots.or(of_task) {
        Some(shots) => format!("{metric}, {shots}-shot"),
        None => metric,
    }
}

fn row_view(words: &Words<'_>, row: &Row) -> RowView {
    let (frame, line, facts) = (words.frame, &row.line, &row.line.facts);
    let ours = line.standing();
    let rank = line.rank.map(
        |(first, last)| {
            if first == last { first.to_string() } else { format!("{first}–{last}") }
        },
    );
    let unknown = if ours.is_some() { frame.t("missing.unverified") } else { frame.t("board.not_published") };
    let active = facts.active.map(|active| frame.fill("board.active", "n", format::short(active)));
    let parameters = facts.parameters.map(|all| {
        active.map_or_else(|| format::short(all), |active| format!("{} {active}", format::short(all)))
    });
    let settings = cells::settings_id(line);
    RowView {
        class: match (row.is_pinned, line.is_reported(), line.rank.is_some()) {
            (true, ..) => "pinned",
            (_, true, _) => "reported",
            (_, _, false) => "unranked",
            (_, _, true) => "",
        },
        reason: words.unranked(row),
        rank,
        name: facts.name.clone(),
        href: ours.map(|standing| format!("/runs/{}", standing.run_name)),
        id: ours.map(|standing| standing.checkpoint.to_string()),
        step: ours.map(|s| (frame.fill("board.step", "n", s.step), format!("/checkpoints/{}", s.checkpoint))),
        marks: words.marks(row),
        pin: links::pin(words, row),
        base: links::base(words, row),
        stage: Cell::of(
            facts.stage.map(|stage| frame.word("lineage_stage", stage.as_str())),
            frame.t("missing.not_recorded"),
        ),
        parameters: Cell::of(parameters, unknown),
        tokens: Cell::of(facts.tokens.map(format::short), frame.t("board.not_published")),
        tokens_exact: facts.tokens.map_or_else(String::new, format::count),
        mean: words.mean(row),
        whisker: whisker(row),
        scores: words
            .board
            .columns
            .iter()
            .enumerate()
            .map(|(i, run)| (run.task.clone(), words.score(row, i)))
            .collect(),
        missing: line.missing(),
        settings: Cell::of(settings.map(|id| id.hex()[..8].to_owned()), frame.t("missing.not_evaluated")),
        settings_full: settings.map_or_else(String::new, |id| id.to_string()),
        when: frame.when(facts.day),
    }
}

fn whisker(row: &Row) -> String {
    let interval = row.mean.and_then(|mean| Some((mean.value, mean.interval?)));
    interval.map_or_else(String::new, |(value, (low, high))| charts::whisker(low, value, high))
}

fn test_view(words: &Words<'_>, leader: &str, row: &str, test: &TieTest) -> TestView {
    let frame = words.frame;
    let found = test.found;
    let is_significant = test.corrected.is_some_and(|p| p < sekisho_bench::stats::ALPHA);
    TestView {
        leader: leader.to_owned(),
        row: row.to_owned(),
        difference: found.map_or_else(String::new, |found| format::difference(found.difference)),
        interval: found.map_or_else(String::new, |found| format::interval(found.low, found.high)),
        p: found.map_or_else(String::new, |found| format::p_value(found.p)),
        corrected: test.corrected.map_or_else(String::new, format::p_value),
        told: match (found, is_significant) {
            (None, _) => frame.t("board.no_shared_items"),
            (_, true) => frame.t("board.another_rank"),
            (_, false) => frame.t("board.same_rank"),
        },
    }
}

#[cfg(test)]
pub(in crate::web::pages) fn samples(frame: &Frame) -> Vec<String> {
    use super::fixtures;

    let catalog = Catalog::builtin();
    let render =
        |frame: &Frame, shown: Shown| page(&catalog, frame.clone(), shown).render().expect("renders");
    let mut pages = Vec::new();
    for view in View::ALL {
        let mut frame = frame.clone();
        frame.query =
            vec![("view".to_owned(), view.code().to_owned()), ("size".to_owned(), "small".to_owned())];
        let mut shown = fixtures::shown_board(&frame);
        shown.notices = vec!["sort".to_owned()];
        pages.push(render(&frame, shown));
    }
    assert!(pages[0].contains("<td class=\"n rank\">2–3</td>"), "{}", pages[0]);
    pages.push(render(frame, Shown::default()));
    // Filtered to nothing.
    let mut nothing = frame.clone();
    nothing.query = vec![("family".to_owned(), "gpt".to_owned())];
    let mut shown = fixtures::shown_board(&nothing);
    shown.found.iter_mut().for_each(|found| found.rows = super::rows::Rows::default());
    pages.push(render(&nothing, shown));
    pages.extend(super::reported::samples(frame));
    pages
}

#[cfg(test)]
mod tests {
    use sekisho_domain::Language;

    use super::super::fixtures;
    use super::*;

    #[test]
    fn the_mean_over_a_choice_says_that_it_is_another_one() {
        let catalog = Catalog::builtin();
        let frame = fixtures::frame(Language::Ja, "/leaderboard");
        let (board, rows) = fixtures::board_rows();
        let all = fixtures::board_tasks();
        let narrowed = Chosen { shown: all[..1].to_vec(), all, ..Chosen::default() };
        let definition = definition(&catalog, &frame, &narrowed, &board);
        assert!(definition.contains("再計算") && definition.contains("NIILC"), "{definition}");
        let heads = heads(&catalog, &frame, &Asked::default(), &narrowed, &board, &rows);
        assert!(heads[4].label.contains("選択した"), "{}", heads[4].label);
    }
}
