//! 森 branches off a checkpoint, and sees the child's curve leave its parent's.

use serde_json::{Value, json};
use tests::checkpoints::Recipe;
use tests::service::{Service, text};
use tests::webdriver::{Browser, Window};

use super::stage::sign_in;

/// Targets of an update.
const STEP: u64 = 8_388_608;

fn rows(steps: std::ops::RangeInclusive<u64>, own: u64) -> Value {
    let row = |step: u64| json!({ "step": step, "tokens": (step - own) * STEP, "loss": 1.8 + 9.0 / step as f64, "lr": 3e-4, "seconds": 14.5 });
    json!({ "writer": "a", "seq": 0, "rows": steps.map(row).collect::<Vec<_>>() })
}

fn parent(service: &Service) -> Value {
    let spec = json!({
        "name": "v4-8b", "optimizer": { "lr": 3e-4, "min_lr": 0.0, "eps": 1e-8 }, "batch": { "sequences": 1024 },
        "data": { "sequence_length": 8192 }, "stop": { "steps": 1000 },
        "schedule": { "kind": "wsd", "warmup_steps": 10, "decay_steps": 200, "total_steps": 1000, "decay_shape": "minus_sqrt" },
    });
    let api = service.api();
    let _ = api
        .post("/api/v1/runs", &json!({ "name": "v4-8b", "spec": spec, "planned_tokens": 1000 * STEP }))
        .has(201);
    let _ = api.post("/api/v1/runs/v4-8b/metrics", &rows(1..=300, 0)).has(200);
    let folder = tempfile::tempdir().expect("a temporary folder");
    Recipe::default().write(folder.path());
    service.ingest(folder.path(), "v4-8b", 200, 200 * STEP)
}

#[test]
fn a_branch_leaves_its_parent_at_its_token_count_with_parent_and_difference_named() {
    let Some(browser) = Browser::open(Window { language: "ja", ..Window::default() }) else { return };
    let service = Service::start();
    service.add_user("mori", &["contributor"]);
    let checkpoint = parent(&service);
    sign_in(&browser, &service, "mori");
    browser.goto(&format!("{}/checkpoints/{}", service.url(), text(&checkpoint["id"])));
    browser.click("a[href$='/branch']");
    browser.wait_for_text("h1", "ここから分岐");
    browser.fill("input[name=name]", "v4-8b-decay");
    browser.fill("input[name=steps]", "50");
    browser.click("#schedule button");
    browser.wait_for_text("#rate figcaption", "50ステップで3e-4から0になります");
    browser.wait_for_text("#kept ~ dl", "スケジュールだけが変わります");
    browser.wait_for_text("#differences ~ .scroll", "schedule.decay_steps");
    let link = browser.attribute("a[download]", "href").expect("a link");
    let downloaded = service.visitor().get(&link).has(200).text;
    for line in ["[parent]", "run = \"v4-8b\"", "step = 200", "decay_steps = 50", "total_steps = 250"] {
        assert!(downloaded.contains(line), "{line}: {downloaded}");
    }

    browser.click("form[action$='/branch'] button.primary");
    browser.wait_for_text("h1", "v4-8b-decay");
    let run = service.visitor().get("/api/v1/runs/v4-8b-decay").has(200).json();
    assert_eq!(json!([run["state"], run["planned_tokens"]]), json!(["registered", 50 * STEP]));
    let _ = service.api().post("/api/v1/runs/v4-8b-decay/metrics", &rows(201..=240, 200)).has(200);
    browser.goto(&format!("{}/runs/v4-8b-decay", service.url()));
    browser.wait_for_text(".tree", "v4-8b ステップ 200（1.68Bトークン）から分岐");
    browser.wait_for_text(".tree", "schedule.decay_steps 200 → 50");
    let whole = "/runs/v4-8b-decay?tab=metrics&stage=all&x=tokens";
    browser.goto(&format!("{}{whole}", service.url()));
    browser.wait_for_text("#loss .drawing", "v4-8b");
    let drawn = service.visitor().get("/runs/v4-8b-decay/loss.json?stage=all&x=tokens").has(200).json();
    let ends = |number: usize| {
        let x = drawn[0]["series"][number]["x"].as_array().expect("places");
        (x[0].as_f64(), x[x.len() - 1].as_f64())
    };
    let tokens = |step: u64| Some((step * STEP) as f64);
    assert_eq!((ends(0).1, ends(1).0, ends(1).1), (tokens(200), tokens(201), tokens(240)), "{drawn}");
    browser.goto(&format!("{}/runs/v4-8b", service.url()));
    browser.wait_for_text(".tree", "v4-8b-decay ステップ200 · 減衰分岐");
}
