//! 森 looks after a run: on the phone in the morning, at a spike, after a restart, and at the schedule.

use serde_json::{Value, json};
use tests::checkpoints::Recipe;
use tests::database::Database;
use tests::service::{Service, text};
use tests::webdriver::{Browser, Window};

use super::stage::sign_in;

/// The height of a phone's screen that is as wide as the window of these tests.
const SCREEN: f64 = 844.0;
const RUN: &str = "/api/v1/runs/v4-8b-exp2";

fn japanese(width: u32) -> Option<Browser> {
    Browser::open(Window { language: "ja", width, ..Window::default() })
}

/// A run of so many steps by one process, a spike at the last of them.
fn run(spike: bool) -> Service {
    let service = Service::start();
    service.add_user("mori", &["contributor"]);
    let api = service.api();
    let register = json!({ "name": "v4-8b-exp2", "planned_tokens": 3_500_000_000_000_u64 });
    let _ = api.post("/api/v1/runs", &register).has(201);
    let _ = api.post(&format!("{RUN}/metrics"), &batch("a", 0, 1..401)).has(200);
    if spike {
        let row = json!({ "step": 401, "tokens": 401 * 8_388_608_u64, "loss": 6.5, "lr": 3e-4, "grad_norm": 9.0, "seconds": 14.5 });
        let _ =
            api.post(&format!("{RUN}/metrics"), &json!({ "writer": "a", "seq": 1, "rows": [row] })).has(200);
    }
    service
}

fn batch(writer: &str, seq: u64, steps: std::ops::Range<u64>) -> Value {
    let row = |step: u64| {
        json!({ "step": step, "tokens": step * 8_388_608, "loss": 1.8 + 9.0 / step as f64 + 0.01 * (step % 7) as f64,
            "lr": 3e-4, "grad_norm": 0.5 + 0.01 * (step % 5) as f64, "seconds": 14.5 })
    };
    json!({ "writer": writer, "host": "node-7", "seq": seq, "rows": steps.map(row).collect::<Vec<_>>() })
}

#[test]
fn the_first_screen_of_a_phone_says_how_a_run_stands() {
    let Some(browser) = japanese(390) else { return };
    let service = run(false);
    let folder = tempfile::tempdir().expect("a temporary folder");
    Recipe::default().write(folder.path());
    let _ = service.ingest(folder.path(), "v4-8b-exp2", 400, 400 * 8_388_608);
    let plan = json!({ "end": "2020-01-31", "gpus": 64, "budget_gpu_days": 4480.0 });
    let _ = service.api().post(&format!("{RUN}/plan"), &plan).has(200);
    browser.goto(&format!("{}/runs/v4-8b-exp2", service.url()));
    let seen = browser.evaluate(
        "return [...document.querySelectorAll('.readouts > div')].map((e) => [e.textContent.trim(), e.getBoundingClientRect().bottom])",
    );
    let seen = seen.as_array().expect("readouts");
    for words in [
        &["学習トークン数", "3.36B / 3.5T", "0.1%"][..],
        &["学習損失", "1.8"],
        &["処理速度", "50B", "トークン/日"],
        &["最終チェックポイント", "たった今"],
        &["完了見込み", "予定比 +"],
        &["未確認のイベント", "0"],
    ] {
        let found = seen.iter().find(|shown| words.iter().all(|word| text(&shown[0]).contains(word)));
        let shown = found.unwrap_or_else(|| panic!("{words:?} in {seen:?}"));
        assert!(shown[1].as_f64() < Some(SCREEN), "without scrolling: {shown}");
    }
}

#[test]
fn a_spike_is_looked_at_close_up_and_confirmed_with_a_note_that_every_panel_carries() {
    let Some(browser) = japanese(1440) else { return };
    let service = run(true);
    let events = service.api().get(&format!("{RUN}/events")).has(200).items();
    let id = text(&events[0]["id"]);
    sign_in(&browser, &service, "mori");
    browser.goto(&format!("{}/runs/v4-8b-exp2/events/{id}", service.url()));
    for (panel, title) in
        [("#loss", "学習損失"), ("#gradient-norm", "勾配ノルム"), ("#learning-rate", "学習率")]
    {
        browser.wait_for_text(&format!("{panel} figcaption"), title);
        assert_eq!(browser.count(&format!("{panel} .on-wide .flag")), 1, "{panel}");
    }
    let lefts = browser.evaluate(
        "return [...document.querySelectorAll('.on-wide .flag path:first-of-type')].map((e) => Math.round(e.getBoundingClientRect().left))",
    );
    let lefts = lefts.as_array().expect("three flags");
    assert!(lefts.len() == 3 && lefts.iter().all(|left| *left == lefts[0]), "one below the other: {lefts:?}");
    browser.wait_for_text("main", "σ");

    browser.fill("textarea[name=remark]", "学習率を下げて再開");
    browser.click("button[formaction$='/confirm']");
    browser.wait_for_text("h1 .pill", "確定");
    browser.goto(&format!("{}/runs/v4-8b-exp2?tab=metrics", service.url()));
    let notes = browser.evaluate(
        "return ['#loss .on-wide', '#gradient-norm', '#learning-rate'].map((panel) => [...document.querySelectorAll(panel + ' .flag title')].map((title) => title.textContent).join(' / '))",
    );
    for note in notes.as_array().expect("titles") {
        let note = note.as_str().unwrap_or_else(|| panic!("a flag on every panel: {notes}"));
        assert!(
            note.contains("mori") && note.contains("学習率を下げて再開") && note.contains("確定"),
            "{note}"
        );
    }
    browser.click("nav.tabs a[href$='?tab=events']");
    browser.wait_for_text("#live-events tbody tr", "mori");
}

#[test]
fn a_restart_is_a_break_in_one_line_with_the_time_that_it_lost() {
    let Some(browser) = japanese(1440) else { return };
    let service = run(false);
    Database::open(&service.dir())
        .execute("UPDATE run_segments SET last_at = last_at - 6120000, first_at = first_at - 6120000");
    let _ = service.api().post(&format!("{RUN}/metrics"), &batch("b", 0, 381..501)).has(200);
    browser.goto(&format!("{}/runs/v4-8b-exp2?tab=metrics&x=steps", service.url()));
    let parts = browser.evaluate("return document.querySelectorAll('#loss .on-wide path.line').length");
    assert_eq!(parts, 2, "one line in two parts");
    let rows = service.visitor().get(&format!("{RUN}/metrics")).has(200).items();
    assert_eq!(rows.as_array().map(Vec::len), Some(500), "no step is doubled");
    browser.goto(&format!("{}/runs/v4-8b-exp2", service.url()));
    browser.wait_for_text("#live-events tbody tr", "停止時間 1時間42分");
}

#[test]
fn the_schedule_shows_plan_and_progress_by_month_and_a_second_try_in_a_row_of_its_own() {
    let Some(browser) = japanese(1440) else { return };
    let service = run(false);
    let api = service.api();
    let plan = json!({ "end": "2020-01-31", "gpus": 64 });
    let _ = api.post(&format!("{RUN}/plan"), &plan).has(200);
    let _ = api.post("/api/v1/runs", &json!({ "name": "v4-8b-exp2-retry" })).has(201);
    browser.goto(service.url());
    browser.click("a[href='/?tab=schedule']");
    browser.wait_for_text("h2", "工程表");
    let names = browser
        .evaluate("return [...document.querySelectorAll('.gantt-row .name')].map((e) => e.textContent)");
    assert_eq!(names, json!(["v4-8b-exp2", "v4-8b-exp2-retry"]));
    for (mark, n) in [(".planned", 2), (".done", 1), (".forecast", 1), (".today", 1)] {
        assert_eq!(browser.count(&format!("svg.gantt {mark}")), n, "{mark}");
    }
    browser.wait_for_text("tbody tr", "予定比 +");
    browser.click("svg.gantt a[href='/runs/v4-8b-exp2']");
    browser.wait_for_text("h1", "v4-8b-exp2");
}
