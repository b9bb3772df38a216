//! What of the work goes out with the weights: files and claims are computed from the same facts.

use serde_json::{Value, json};
use tests::hub_double::{HubDouble, HubOptions};
use tests::service::text;

use crate::lab::{Lab, REPO, lineage};

/// As the bundled trainer registers it.
const REGISTER: &str = r#"UPDATE runs SET spec = '{ "name": "gate-mini", "seed": 42, "tokenizer": { "path": "/lab/secret/tokenizer.json" },
  "optimizer": { "lr": 0.0003, "eps": 1e-8 },
  "data": { "order": "megatron", "mix": [
    { "name": "aozora-ja", "level": "L1", "license": "CC0-1.0", "path": "/lab/secret/aozora.jsonl", "repeat": 2.0 },
    { "name": "web-l3", "level": "L3", "license": "LicenseRef-crawl", "path": "/lab/secret/web.jsonl" } ] } }'"#;

#[test]
fn the_bundle_holds_what_may_leave_and_the_card_says_the_same() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let hub = runtime.block_on(HubDouble::start(HubOptions::default()));
    let lab = Lab::with_hub(hub.endpoint());
    let subset =
        json!({ "text": "id,corpus,level,license\nweb-l3,lab,L3,LicenseRef-crawl\n", "name": "l3.csv" });
    let _ = lab.author.post("/api/v1/corpora", &subset).has(200);
    tests::database::Database::open(&lab.service.dir()).execute(REGISTER);
    let rows = json!({ "seq": 0, "rows": [{ "step": 1, "tokens": 100, "loss": 4.5, "lr": 0.0003 }] });
    let _ = lab.service.api().post("/api/v1/runs/gate-mini/metrics", &rows).has(200);
    let text_of_release = lineage("L1").replace(
        "[release]\n",
        "[[input]]\nkind = \"corpus\"\nid = \"web-l3\"\nlevel = \"L3\"\nlicense = \"LicenseRef-crawl\"\ntokens = 500\nstage = \"pretrain\"\n[release]\nbundle = [\"specification\", \"logs\", \"data\", \"evaluation\", \"code\"]\n",
    );
    let id = lab.approved(&text_of_release, &["ueda"]);
    lab.release(&["publish", "--wait", &id]).exits(0);

    let file = |path: &str| {
        let bytes =
            hub.bytes(REPO, "main", path).unwrap_or_else(|| panic!("{path}: {:?}", hub.paths(REPO, "main")));
        String::from_utf8(bytes.to_vec()).expect("text")
    };
    let spec: Value = serde_json::from_str(&file("training/specification.json")).expect("JSON");
    assert_eq!(spec["tokenizer"]["path"], "tokenizer.json");
    for path in hub.paths(REPO, "main").into_iter().filter(|path| !path.ends_with(".safetensors")) {
        let bytes = hub.bytes(REPO, "main", &path).expect("listed");
        assert!(!String::from_utf8_lossy(&bytes).contains("/lab/secret"), "{path} names a path of the lab");
    }
    assert!(file("training/log.jsonl").contains("\"loss\":4.5"));
    let data: Value = serde_json::from_str(&file("training/data.json")).expect("JSON");
    let subsets = data["subsets"].as_array().expect("subsets");
    let level = |id: &str| subsets.iter().find(|s| s["id"] == id).map(|s| text(&s["level"]).to_owned());
    assert_eq!((level("aozora-ja"), level("web-l3")), (Some("L1".to_owned()), Some("L3".to_owned())));
    assert!(subsets.iter().find(|s| s["id"] == "web-l3").is_some_and(|s| s.get("sha256").is_none()));
    assert!(
        file("code.json").contains("Sekisho") && file("evaluation/curves.csv").starts_with("tokens,step")
    );

    let card = file("README_ja.md");
    assert!(card.contains("training/specification.json") && card.contains("一部公開"), "{card}");
    // Without the parts the card claims none of them.
    let plain = lab.post(&json!({ "lineage": lineage("L1").replace(REPO, "lab/plain") })).has(201).json();
    let path = format!("/api/v1/releases/{}/card?lang=ja", text(&plain["id"]));
    let bare = text(&lab.service.visitor().get(&path).has(200).json()["text"]).to_owned();
    assert!(!bare.contains("training/specification.json"), "{bare}");
}
