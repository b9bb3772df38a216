//! 林 reads the leaderboard: what the mean is of, ties, reported rows; hides a column; puts other settings beside a row.

use serde_json::{Value, json};
use tests::data::oracle;
use tests::service::{Options, Service, evaluating, text};
use tests::webdriver::{Browser, Window};

/// The same tasks on another split.
fn suite(name: &str, split: &str) -> String {
    let task = |task: &str| {
        format!(
            "[[task]]\nprofile = \"llm-jp-eval@1.3\"\ntask = \"{task}\"\nsplit = \"{split}\"\nlimit = 4\n"
        )
    };
    let tasks = ["jcommonsenseqa", "jemhopqa", "niilc"].map(task).concat();
    format!("name = \"{name}\"\ntitle_en = \"Board, {split}\"\ntitle_ja = \"掲示板（{split}）\"\n{tasks}")
}

struct Board {
    service: Service,
    /// Examined on dev; the others on test.
    dev: Value,
    _folder: tempfile::TempDir,
}

impl Board {
    /// Two runs with the same weights and one with others, all on test; a fourth on dev.
    fn set() -> Option<Self> {
        let model = oracle()?.join("mini-ja-en");
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs_err::create_dir(folder.path().join("suites")).expect("a folder");
        for split in ["test", "dev"] {
            let file = folder.path().join(format!("suites/board-{split}.toml"));
            fs_err::write(file, suite(&format!("board-{split}"), split)).expect("written");
        }
        let config = evaluating("board-test", folder.path());
        let service = Service::with(Options { config, local_worker: true, ..Options::default() });
        let on_dev = json!({ "name": "on-dev", "suite": "board-dev" });
        let _ = service.api().post("/api/v1/runs", &on_dev).has(201);
        let runs = [("first", 800), ("second", 800), ("early", 96), ("on-dev", 800)];
        let checkpoints = runs.map(|(run, step)| {
            service.ingest(&model.join(format!("step-{step:04}")), run, step, step * 4096)
        });
        for checkpoint in &checkpoints {
            let _ = service.finished_evaluation(checkpoint, 180);
        }
        let [.., dev] = checkpoints;
        Some(Self { service, dev, _folder: folder })
    }

    fn url(&self, query: &str) -> String {
        format!("{}/leaderboard?lang=ja&{query}", self.service.url())
    }
}

/// The cells of a row, by the text of its head.
fn row(browser: &Browser, name: &str) -> String {
    let script = format!(
        "return [...document.querySelectorAll('table.board tbody tr')].filter((row) => row.querySelector('th').textContent.includes('{name}')).map((row) => row.textContent).join('\\n')"
    );
    text(&browser.evaluate(&script)).to_owned()
}

#[test]
fn the_board_says_what_the_mean_is_of_and_hatches_what_was_reported() {
    let Some(browser) = Browser::open(Window { language: "ja", ..Window::default() }) else { return };
    let Some(board) = Board::set() else { return };
    browser.goto(&board.url("suite=board-test"));
    let definition = browser.text("#board ~ .definition");
    for words in ["3タスク", "JCommonsenseQA", "NIILC", "test", "4-shot"] {
        assert!(definition.contains(words), "no {words}: {definition}");
    }
    let ranks =
        browser.evaluate("return [...document.querySelectorAll('td.rank')].map((cell) => cell.textContent)");
    let ranks: Vec<&str> = ranks.as_array().expect("cells").iter().map(text).collect();
    assert!(
        ranks.iter().filter(|rank| rank.contains('–')).count() >= 2,
        "ties share their places: {ranks:?}"
    );
    browser.click("details.tests summary");
    browser.wait_for_text("details.tests table", "有意差なし（同順位）");

    browser.goto(&board.url("preset=ja-4"));
    browser.wait_for_text("#board", "日本語4タスク");
    let gpt = row(&browser, "GPT-4");
    assert!(gpt.contains("報告値") && gpt.contains("0.790"), "{gpt}");
    for words in ["Swallow LLM Leaderboard, commit 2728fee", "2025-04-14", "CC-BY-4.0"] {
        assert!(gpt.contains(words), "no {words}: {gpt}");
    }
    assert!(gpt.contains("順位を付けません"), "{gpt}");
    assert!(browser.style("tr.reported td", "background-image").contains("repeating-linear-gradient"));
    assert_eq!(browser.count("tr.reported td.rank .missing"), browser.count("tr.reported"));
}

#[test]
fn a_hidden_column_changes_the_mean_and_stays_in_the_url() {
    let Some(browser) = Browser::open(Window { language: "ja", ..Window::default() }) else { return };
    let Some(board) = Board::set() else { return };
    browser.goto(&board.url("suite=board-test"));
    let columns = browser.count("table.board thead th");
    browser.click(".chooser > details summary");
    browser.click(".chooser a.chip[href*='hide=jemhopqa']");
    browser.wait_for_text("#board ~ .definition", "再計算");
    browser.wait_for_text("#board ~ .definition", "JEMHopQA");
    browser.wait_for_text("table.board thead", "選択した2タスクの平均");
    assert_eq!(browser.count("table.board thead th"), columns - 1);
    let url = browser.url();
    assert!(url.contains("hide=jemhopqa"), "{url}");
    let means =
        "return [...document.querySelectorAll('table.board td.mean')].map((cell) => cell.textContent.trim())";
    let narrowed = browser.evaluate(means);
    assert!(
        narrowed.as_array().is_some_and(|cells| cells.iter().all(|cell| text(cell).contains('±'))),
        "{narrowed}"
    );
    // Another person's browser knows nothing but the address.
    let Some(other) = Browser::open(Window { language: "ja", ..Window::default() }) else { return };
    other.goto(&url);
    assert_eq!(other.evaluate(means), narrowed);
    assert_eq!(other.text("table.board thead"), browser.text("table.board thead"));
}

#[test]
fn a_row_of_another_split_stands_beside_the_others_and_is_not_compared() {
    let Some(browser) = Browser::open(Window { language: "ja", ..Window::default() }) else { return };
    let Some(board) = Board::set() else { return };
    browser.goto(&board.url(&format!("suite=board-test&pin={}", text(&board.dev["id"]))));
    let pinned = row(&browser, "on-dev");
    assert!(pinned.contains("比較不可：splitはdev（列はtest）"), "{pinned}");
    assert_eq!(browser.count("tr.pinned td.rank .missing"), 1);
    assert_eq!(browser.count("tr.pinned td.mean .missing"), 1, "no mean over both");
    assert_eq!(browser.count("tr.pinned .differs"), 3);
    assert!(row(&browser, "first").contains('±'));
    // A key pins the row that has the focus.
    browser.goto(&board.url("suite=board-test"));
    browser.wait_for_text("table.board", "first");
    browser.press("j");
    let href = browser.attribute("table.board tbody tr a[data-pin]", "href").expect("an address");
    browser.press("p");
    browser.wait_until("the row to be pinned", "return document.querySelector('tr.pinned') !== null");
    assert!(browser.url().ends_with(&href), "{} is not {href}", browser.url());
}

#[test]
fn every_tab_has_a_drawing_a_sentence_and_a_table_and_fits_a_phone() {
    let Some(board) = Board::set() else { return };
    for width in [1440, 390] {
        let window = Window { language: "ja", width, ..Window::default() };
        let Some(browser) = Browser::open(window) else { return };
        for view in ["bars", "radar", "scatter"] {
            browser.goto(&board.url(&format!("suite=board-test&view={view}")));
            // The table is folded away.
            let tables = browser
                .evaluate(&format!("return document.querySelectorAll('figure#{view} details table').length"));
            assert_eq!(tables, 1, "{view}");
            assert!(
                browser.count(&format!("figure#{view} svg text.title")) >= 2,
                "{view} has no axis titles"
            );
            assert!(browser.text(&format!("figure#{view} figcaption p")).contains('行'), "{view}");
        }
        for query in ["suite=board-test&view=bars", "preset=ja-4", "preset=swallow-ja", "family=gpt"] {
            browser.goto(&board.url(query));
            let wide = browser.evaluate("return document.documentElement.scrollWidth");
            assert!(wide.as_u64() <= Some(u64::from(width)), "{query} is {wide} wide at {width}");
        }
        browser.goto(&board.url("preset=ja-4"));
        let is_card = browser.style("table.board tbody tr", "display") == "grid";
        assert_eq!(is_card, width == 390, "rows are cards on a phone");
    }
}
