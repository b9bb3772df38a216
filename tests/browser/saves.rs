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
    report(&service, "v4");
    service
}

/// A run with the reports of 5,000 steps.
fn report(service: &Service, name: &str) {
    let row = |step: u64| json!({ "step": step, "tokens": step * 1_000_000, "loss": 2.0 + 9.0 / step as f64, "lr": 3e-4, "grad_norm": 0.5, "seconds": 14.5 });
    let _ = service.api().post("/api/v1/runs", &json!({ "name": name })).has(201);
    let rows: Vec<Value> = (1..=5000).map(row).collect();
    let _ = service
        .api()
        .post(&format!("/api/v1/runs/{name}/metrics"), &json!({ "seq": 0, "rows": rows }))
        .has(200);
}

/// Brings the pointer over a figure, which then is drawn by the script.
fn close_up(browser: &Browser, figure: &str) {
    let over = format!(
        "document.querySelector('#{figure} .drawing').dispatchEvent(new PointerEvent('pointerover', {{ bubbles: true }}))"
    );
    let _ = browser.evaluate(&format!("{over}; return true"));
    let is_drawn = format!("return Boolean(document.querySelector('#{figure} .close-up canvas'))");
    browser.wait_until("the curve close up", &is_drawn);
}

/// Drags over the fifth of a figure in its middle.
fn drag(browser: &Browser, figure: &str) {
    let _ = browser.evaluate(&format!(
        "const over = document.querySelector('#{figure} .u-over');
         const box = over.getBoundingClientRect();
         const at = (share) => ({{ bubbles: true, movementX: 9, button: 0, clientX: box.left + share * box.width, clientY: box.top + 20 }});
         over.dispatchEvent(new MouseEvent('mouseenter', at(0.4)));
         over.dispatchEvent(new MouseEvent('mousemove', at(0.4)));
         over.dispatchEvent(new MouseEvent('mousedown', at(0.4)));
         over.dispatchEvent(new MouseEvent('mousemove', at(0.6)));
         document.dispatchEvent(new MouseEvent('mouseup', at(0.6)));
         return true"
    ));
}

#[test]
fn a_part_of_a_curve_is_chosen_by_dragging_and_kept_in_the_address() {
    let Some(browser) = Browser::open(Window::default()) else { return };
    let service = run();
    browser.goto(&format!("{}/runs/v4?tab=metrics&x=steps", service.url()));
    browser.wait_for_text("#live-curves .hint", "Drag over a figure");
    close_up(&browser, "loss");
    assert_eq!(
        browser.attribute("#loss .on-wide svg", "role").as_deref(),
        Some("img"),
        "the drawing stays for others"
    );
    browser.picture(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/artifacts/run-close-up.png")));
    drag(&browser, "loss");
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
    let places = drawn[0]["series"][0]["x"].as_array().map_or(0, Vec::len);
    assert_eq!(places as f64, to.floor() - from.ceil() + 1.0);
    let whole = service.visitor().get("/runs/v4/loss.json?x=steps").has(200).json();
    assert!(whole[0]["series"][0]["x"].as_array().map(Vec::len) <= Some(2000));

    // The server draws the same part, with and without scripts.
    let address = browser.url();
    browser.goto(&address);
    browser.wait_for_text("#live-curves .bar", "Show all of it");
    let first = browser
        .evaluate("return document.querySelector('#loss details tbody th').textContent.replaceAll(',', '')");
    let first: f64 = first.as_str().and_then(|step| step.parse().ok()).expect("a step");
    assert!(first >= from && first < from + 100.0, "{first}");
    close_up(&browser, "loss");
    let _ = browser.evaluate(
        "document.querySelector('#loss .u-over').dispatchEvent(new MouseEvent('dblclick', { bubbles: true })); return true",
    );
    browser.wait_until("all of it", "return !location.search.includes('from=')");
}

#[test]
fn compared_curves_are_looked_at_close_up_each_over_its_own_axis() {
    let Some(browser) = Browser::open(Window::default()) else { return };
    let service = run();
    report(&service, "v5");
    browser.goto(&format!("{}/compare?ids=v4,v5&tab=curves&x=tokens", service.url()));
    browser.wait_for_text(".hint", "Drag over a figure");
    close_up(&browser, "schedule");
    let panels = browser.evaluate("return document.querySelectorAll('#schedule .close-up canvas').length");
    assert_eq!(panels, 2, "learning rate and loss");
    drag(&browser, "schedule");
    browser.wait_until("the address", "return /[?&]step_from=\\d/.test(location.search)");
    close_up(&browser, "difference");
    drag(&browser, "difference");
    browser.wait_until("the address", "return /[?&]from=\\d/.test(location.search)");
    browser.picture(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/artifacts/compare-close-up.png")));
    let ends = "const page = new URL(location.href).searchParams; return ['step_from', 'step_to', 'from', 'to'].map((end) => Number(page.get(end)))";
    let ends = browser.evaluate(ends);
    let end = |at: usize| ends[at].as_f64().expect("a number");
    assert!((1900.0..2100.0).contains(&end(0)) && (2900.0..3100.0).contains(&end(1)), "steps: {ends}");
    assert!((1.9e9..2.1e9).contains(&end(2)) && (2.9e9..3.1e9).contains(&end(3)), "tokens: {ends}");
    // The server draws the same parts.
    let query = browser.url().split_once('?').map(|(_, query)| query.to_owned()).expect("a query");
    let drawn =
        |figure: &str| service.visitor().get(&format!("/compare/{figure}.json?{query}")).has(200).json();
    let schedule = drawn("schedule");
    assert_eq!(schedule.as_array().map(Vec::len), Some(2));
    let steps = &schedule[1]["series"][0]["x"];
    assert!(steps[0].as_f64() >= Some(end(0)) && steps[0].as_f64() < Some(end(0) + 2.0), "{}", steps[0]);
    let tokens = &drawn("difference")[0]["x"];
    assert_eq!([tokens["from"].as_f64(), tokens["to"].as_f64()], [Some(end(2)), Some(end(3))]);
    browser.goto(&browser.url());
    browser.click(".bar-tools > a");
    browser.wait_until("all of it", "return !location.search.includes('from=')");
}
