//! 森 takes Monday's figure along as a file, and looks at a curve close up.

use std::path::Path;

use serde_json::{Value, json};
use tests::service::Service;
use tests::webdriver::{Browser, Window};

use super::stage::{RUN, Stage};

#[test]
fn the_learning_curve_leaves_as_a_file_with_the_titles_and_the_numbers_of_the_page() {
    let Some(browser) = Browser::open(Window::default()) else { return };
    let Some(stage) = Stage::set() else { return };
    for (lang, mean, tokens) in [
        ("ja", "サブタスクスコアの平均", "学習トークン数 [M]（対数）"),
        ("en", "Average of subtask scores", "Trained tokens [million, log]"),
    ] {
        browser.goto(&format!("{}/runs/{RUN}?tab=curves&lang={lang}", stage.service.url()));
        let link = |kind: &str| {
            browser.attribute(&format!("#mean .links a[href*='.{kind}']"), "href").expect("a link")
        };
        let get = |path: &str| stage.service.visitor().get(path).has(200).text;
        let svg = get(&link("svg"));
        assert!(svg.starts_with("<svg xmlns") && svg.contains(mean) && svg.contains(tokens), "{svg}");
        assert!(svg.contains(">monitor") && svg.contains("n = 12"), "suite, items and day: {svg}");
        let csv = get(&link("csv"));
        let mut lines = csv.lines().map(fields);
        let heads = lines.next().expect("heads");
        assert!(heads.contains(&mean.to_owned()), "{heads:?}");
        let twin = browser.evaluate(
            "return [...document.querySelectorAll('#mean details tbody tr')].map((row) => [...row.children].map((cell) => cell.textContent.trim()))",
        );
        assert_eq!(json!(lines.collect::<Vec<_>>()), twin, "the same numbers");
        assert_eq!(twin.as_array().map(Vec::len), Some(4));
    }
    // The picture is made from the drawing in the browser.
    let _ = browser.evaluate(
        "const make = URL.createObjectURL;
         URL.createObjectURL = (blob) => { window.picture = [blob.type, blob.size > 5000]; return make.call(URL, blob); };
         HTMLAnchorElement.prototype.click = function () { window.saved = this.download; };
         return true",
    );
    browser.click("#mean .links button");
    browser.wait_until("the picture", "return Boolean(window.saved)");
    let saved = browser.evaluate("return [window.saved, ...window.picture]");
    assert_eq!(saved, json!(["mean.png", "image/png", true]));
}

/// The fields of a line of CSV.
fn fields(line: &str) -> Vec<String> {
    let (mut found, mut quoted) = (vec![String::new()], false);
    for letter in line.chars() {
        match letter {
            '"' => quoted = !quoted,
            ',' if !quoted => found.push(String::new()),
            other => found.last_mut().expect("one at least").push(other),
        }
    }
    found
}

fn run() -> Service {
    let service = Service::start();
    let row = |step: u64| json!({ "step": step, "tokens": step * 1_000_000, "loss": 2.0 + 9.0 / step as f64, "lr": 3e-4, "grad_norm": 0.5, "seconds": 14.5 });
    let _ = service.api().post("/api/v1/runs", &json!({ "name": "v4" })).has(201);
    let rows: Vec<Value> = (1..=5000).map(row).collect();
    let _ = service.api().post("/api/v1/runs/v4/metrics", &json!({ "seq": 0, "rows": rows })).has(200);
    service
}

#[test]
fn a_part_of_a_curve_is_chosen_by_dragging_and_kept_in_the_address() {
    let Some(browser) = Browser::open(Window::default()) else { return };
    let service = run();
    browser.goto(&format!("{}/runs/v4?tab=metrics&x=steps", service.url()));
    browser.wait_for_text("#live-curves .hint", "Drag over a figure");
    let _ = browser.evaluate(
        "document.querySelector('#loss .drawing').dispatchEvent(new PointerEvent('pointerover', { bubbles: true })); return true",
    );
    browser
        .wait_until("the curve close up", "return Boolean(document.querySelector('#loss .close-up canvas'))");
    assert_eq!(
        browser.attribute("#loss .on-wide svg", "role").as_deref(),
        Some("img"),
        "the drawing stays for others"
    );
    browser.picture(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/artifacts/run-close-up.png")));
    let _ = browser.evaluate(
        "const over = document.querySelector('#loss .u-over');
         const box = over.getBoundingClientRect();
         const at = (share) => ({ bubbles: true, movementX: 9, button: 0, clientX: box.left + share * box.width, clientY: box.top + 20 });
         over.dispatchEvent(new MouseEvent('mouseenter', at(0.4)));
         over.dispatchEvent(new MouseEvent('mousemove', at(0.4)));
         over.dispatchEvent(new MouseEvent('mousedown', at(0.4)));
         over.dispatchEvent(new MouseEvent('mousemove', at(0.6)));
         document.dispatchEvent(new MouseEvent('mouseup', at(0.6)));
         return true",
    );
    browser.wait_until(
        "the address",
        "return /[?&]from=\\d/.test(location.search) && /[?&]to=\\d/.test(location.search)",
    );
    let ends = browser.evaluate(
        "const page = new URL(location.href).searchParams; return [Number(page.get('from')), Number(page.get('to'))]",
    );
    let (from, to) = (ends[0].as_f64().expect("a number"), ends[1].as_f64().expect("a number"));
    assert!((1900.0..2100.0).contains(&from) && (2900.0..3100.0).contains(&to), "{ends}");
    // All rows of the part are drawn, where the whole has no more than 2,000 points.
    let path = format!("/runs/v4/loss.json?x=steps&from={from}&to={to}");
    let drawn = service.visitor().get(&path).has(200).json();
    let places = drawn["series"][0]["x"].as_array().map_or(0, Vec::len);
    assert_eq!(places as f64, to.floor() - from.ceil() + 1.0);
    let whole = service.visitor().get("/runs/v4/loss.json?x=steps").has(200).json();
    assert!(whole["series"][0]["x"].as_array().map(Vec::len) <= Some(2000));

    // The server draws the same part, with and without scripts.
    let address = browser.url();
    browser.goto(&address);
    browser.wait_for_text("#live-curves .bar", "Show all of it");
    let first = browser
        .evaluate("return document.querySelector('#loss details tbody th').textContent.replaceAll(',', '')");
    let first: f64 = first.as_str().and_then(|step| step.parse().ok()).expect("a step");
    assert!(first >= from && first < from + 100.0, "{first}");
    let _ = browser.evaluate(
        "document.querySelector('#loss .drawing').dispatchEvent(new PointerEvent('pointerover', { bubbles: true })); return true",
    );
    browser
        .wait_until("the curve close up", "return Boolean(document.querySelector('#loss .close-up canvas'))");
    let _ = browser.evaluate(
        "document.querySelector('#loss .u-over').dispatchEvent(new MouseEvent('dblclick', { bubbles: true })); return true",
    );
    browser.wait_until("all of it", "return !location.search.includes('from=')");
}
