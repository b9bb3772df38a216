//! 森 registers a run before it starts, and 池田 one whose mix says another level than the registry.

use serde_json::json;
use tests::service::Service;
use tests::webdriver::{Browser, Window};

use super::stage::sign_in;

const ARGUMENTS: &str = "python pretrain_gpt.py --num-layers 32 --hidden-size 4096 --ffn-hidden-size 14336 --swiglu \
    --num-attention-heads 32 --seq-length 8192 --global-batch-size 1024 --train-iters 417233 --lr 3e-4 --adam-eps 1e-5 \
    --tensor-model-parallel-size 8";

const MIX: &str = "name = \"mix\"\n[data]\nsequence_length = 512\n[[data.mix]]\nname = \"web-ja\"\npath = \"web.jsonl\"\nlevel = \"L1\"\n\
    [batch]\nsequences = 8\n[optimizer]\nlr = 3e-4\n[schedule]\nkind = \"constant\"\n[stop]\nsteps = 10\n";

fn service() -> Service {
    let service = Service::start();
    service.add_user("mori", &["contributor"]);
    service
}

#[test]
fn an_epsilon_that_cost_months_is_warned_of_before_anything_is_saved_and_for_as_long_as_the_run_is_there() {
    let Some(browser) = Browser::open(Window { language: "ja", ..Window::default() }) else { return };
    let service = service();
    sign_in(&browser, &service, "mori");
    browser.goto(&format!("{}/runs", service.url()));
    browser.click("a[href='/runs/new']");
    browser.fill("#text", ARGUMENTS);
    browser.fill("input[name=name]", "v4-8b-exp2");
    browser.fill("input[name=issue]", "https://git.example.org/issues/12");
    browser.fill("input[name=gpus]", "64");
    browser.fill("input[name=speed]", "9000");
    browser.click("button[value=check]");
    for words in ["1e-5", "1e-8", "LLM-jp-3 172B"] {
        browser.wait_for_text("ul.findings.warnings", words);
    }
    let order =
        browser.evaluate("return [...document.querySelectorAll('h2[id^=sheet-]')].map((e) => e.textContent)");
    assert_eq!(order, json!(["モデル", "データセット", "学習", "環境"]));
    browser.wait_for_text(".readouts", "3.5T");
    browser.wait_for_text(".readouts", "ステップ/日");
    browser.wait_for_text("p.remark", "LLM-jp-4 8B 3e-4");
    service.visitor().get("/api/v1/runs/v4-8b-exp2").is_problem(404, "not-found");

    browser.click("button[value=register]");
    browser.wait_for_text("h1", "v4-8b-exp2");
    for line in ["sekisho train", "sekisho watch DIR --run v4-8b-exp2", "sekisho.init(name=\"v4-8b-exp2\")"] {
        browser.wait_for_text("#live-connect", line);
    }
    browser.wait_for_text(".stateline", "登録者 mori");
    let issue = browser.attribute(".stateline a", "href");
    assert_eq!(issue.as_deref(), Some("https://git.example.org/issues/12"));
    browser.wait_for_text("#plan ~ .scroll", "64 GPU");
    browser.click("nav.tabs a[href$='?tab=settings']");
    browser.wait_for_text("ul.findings.warnings", "LLM-jp-3 172B");
    let told = service.api().post("/api/v1/runs", &json!({ "name": "v4-8b-exp2" })).has(200).json();
    assert_eq!(told["warnings"][0]["code"], "adam-epsilon");
}

#[test]
fn a_mix_that_says_another_level_than_the_registry_is_refused_and_what_was_pasted_stays() {
    let Some(browser) = Browser::open(Window { language: "ja", ..Window::default() }) else { return };
    let service = service();
    let subset = json!({ "text": "id,corpus,level,license\nweb-ja,lab,L3,CC-BY-4.0\n", "name": "l3.csv" });
    let _ = service.api().post("/api/v1/corpora", &subset).has(200);
    sign_in(&browser, &service, "mori");
    browser.goto(&format!("{}/runs/new", service.url()));
    browser.fill("#text", MIX);
    browser.click("button[value=check]");
    browser.wait_for_text(
        ".alarm",
        "サブセット「web-ja」はL1と記載されていますが、登録されているリリースレベルはL3です",
    );
    assert_eq!(browser.count("button[value=register]"), 0, "nothing can be registered");
    let kept = browser.evaluate("return document.querySelector('#text').value.replaceAll('\\r\\n', '\\n')");
    assert_eq!(kept, MIX);
    service.visitor().get("/api/v1/runs/mix").is_problem(404, "not-found");
}
