//! The card: computed from what the service knows, with people's texts that outlive every regeneration.

use sekisho_domain::Sha256;
use serde_json::{Value, json};
use tests::benchmark::{Benchmark, TASK};
use tests::checkpoints::Recipe;
use tests::database::Database;
use tests::hub_double::{HubDouble, HubOptions, WRITER};
use tests::service::text;

use crate::lab::{Lab, lineage};

/// The English card of a release.
fn card_of(lab: &Lab, id: &str) -> String {
    let path = format!("/api/v1/releases/{id}/card?lang=en");
    text(&lab.service.visitor().get(&path).has(200).json()["text"]).to_owned()
}

#[test]
fn peoples_texts_outlive_every_regeneration_and_void_the_approvals() {
    let lab = Lab::new("");
    let id = lab.approved(&lineage("L1"), &["ueda"]);
    let edit = |sections: Value| {
        let body = json!({ "version": lab.show(&id)["version"], "sections": sections });
        lab.author.post(&format!("/api/v1/releases/{id}/card"), &body)
    };
    let card = |lang: &str| {
        let path = format!("/api/v1/releases/{id}/card?lang={lang}");
        lab.service.visitor().get(&path).has(200).json()
    };
    let limits = "出力を医療の判断に用いないでください。";
    let _ = edit(json!({ "ja": { "limitations": limits, "contact": "lab@example.ac.jp" } })).has(200);
    let shown = lab.show(&id);
    assert_eq!(json!([shown["state"], shown["approvals"]]), json!(["draft", 0]), "it is another content");
    let ja = card("ja");
    assert!(text(&ja["text"]).contains(limits) && text(&ja["text"]).contains("lab@example.ac.jp"), "{ja}");
    assert_eq!(ja["sections"]["limitations"], limits);
    assert!(!text(&card("en")["text"]).contains("lab@example.ac.jp"));

    // Another lineage file: the tables are made again, the text stays.
    let _ = lab.edit(&id, &lineage("L1").replace("tokens = 1000", "tokens = 4321")).has(200);
    let _ = lab.act(&id, "freeze").has(200);
    let again = text(&card("ja")["text"]).to_owned();
    assert!(again.contains(limits) && again.contains("4,321"), "{again}");

    edit(json!({ "ja": { "evaluation": "最高性能です。" } })).is_problem(422, "card-edit");
    edit(json!({ "ja": { "limitations": "# 見出し" } })).is_problem(422, "card-edit");
    edit(json!({ "fr": { "limitations": "x" } })).is_problem(422, "card-edit");
    edit(json!({ "ja": { "limits": "x" } })).is_problem(422, "card-edit");
    assert!(text(&card("ja")["text"]).contains(limits), "what was refused changed nothing");
    let _ = edit(json!({ "ja": { "limitations": "" } })).has(200);
    assert!(!text(&card("ja")["text"]).contains(limits), "an empty text brings the default back");

    let other = lab.service.session("ueda");
    let page = other.get(&format!("/releases/{id}?lang=ja")).has(200).text;
    assert!(!page.contains("name=\"card.limitations\""), "only the author is offered the form");
    let own = lab.service.session("mori").get(&format!("/releases/{id}?lang=ja&card=ja")).has(200).text;
    assert!(own.contains("name=\"card.limitations\"") && !own.contains("name=\"card.evaluation\""), "{own}");
}

/// The run of the lab's checkpoint goes on from another one.
const BRANCHED: &str = r#"UPDATE runs SET spec = '{ "parent": { "run": "gate-base", "step": 20, "reset_steps": true } }'
  WHERE name = 'gate-mini'"#;
/// And that one from the first: nobody can have trained this.
const CIRCLE: &str =
    r#"UPDATE runs SET spec = '{ "parent": { "run": "gate-mini", "step": 10 } }' WHERE name = 'gate-base'"#;

#[test]
fn the_card_counts_the_tokens_of_all_stages_and_what_they_took() {
    let lab = Lab::new("");
    let api = lab.service.api();
    let _ = api.post("/api/v1/runs", &json!({ "name": "gate-base", "spec": { "seed": 1 } })).has(201);
    let before = json!({ "seq": 0, "rows": [{ "step": 20, "tokens": 5000 }] });
    let _ = api.post("/api/v1/runs/gate-base/metrics", &before).has(200);
    let rows: Vec<Value> =
        (1..=10).map(|step| json!({ "step": step, "tokens": 100 * step, "seconds": 90.0 })).collect();
    let _ = api.post("/api/v1/runs/gate-mini/metrics", &json!({ "seq": 0, "rows": rows })).has(200);
    let event = |note: &str| {
        let body = json!({ "kind": "devices", "step": 0, "note": note });
        api.post("/api/v1/runs/gate-mini/events", &body)
    };
    event("eight H200").is_problem(400, "run-event");
    let id = lab.post(&json!({ "lineage": lineage("L1") })).has(201).json();
    let id = text(&id["id"]);
    let bare = card_of(&lab, id);
    assert!(!bare.contains("(all stages)") && !bare.contains("| Compute |"), "nothing is known yet\n{bare}");

    event("8 × NVIDIA H200").has(204);
    Database::open(&lab.service.dir()).execute(BRANCHED);
    let _ = lab.edit(id, &lineage("L1")).has(200);
    let card = card_of(&lab, id);
    for line in [
        "| Trained tokens (this stage) | 1,000 |",
        "| Trained tokens (all stages) | 6,000 |",
        "| Branched from | gate-base, step 20 |",
        "| Compute | 8 × NVIDIA H200, about 2.0 GPU-hours |",
        "| Kind | BPE |",
    ] {
        assert!(card.contains(line), "{line}\n{card}");
    }
    let path = format!("/checkpoints/{}?lang=ja", text(&lab.checkpoint["id"]));
    let page = lab.service.session("mori").get(&path).has(200).text;
    assert!(page.contains("<dt>総学習トークン数（累計）</dt><dd>6,000</dd>"), "{page}");

    Database::open(&lab.service.dir()).execute(CIRCLE);
    let _ = lab.edit(id, &lineage("L1")).has(200);
    assert!(!card_of(&lab, id).contains("(all stages)"), "a number that nobody knows is not said");
}

#[test]
fn the_base_stands_beside_the_scores_and_the_curve_is_a_picture_among_the_files() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let hub = runtime.block_on(HubDouble::start(HubOptions::default()));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let benchmark = Benchmark::write(folder.path(), 12, 40);
    let lab = Lab::new(&benchmark.config());
    let token = lab.write("hub-token", WRITER);
    let endpoint = hub.endpoint();
    let config =
        format!("[hub]\nendpoint = \"{endpoint}\"\ntoken_file = {token:?}\nallow = [\"{endpoint}\"]\n");
    let lab = lab.reconfigured(&(config + &benchmark.config()));
    let _worker = lab.service.worker();
    let checkpoint = |run: &str, step: u64, seed: u32| {
        let model = folder.path().join(format!("{run}-{step}"));
        Recipe { seed, ..Recipe::default() }.write(&model);
        lab.service.ingest(&model, run, step, 100 * step)
    };
    let (base, earlier) = (checkpoint("gate-base", 20, 2), checkpoint("gate-mini", 5, 3));
    for checkpoint in [&base, &earlier, &lab.checkpoint] {
        let _ = lab.service.finished_evaluation(checkpoint, 120);
    }
    Database::open(&lab.service.dir()).execute(BRANCHED);
    let id = lab.post(&json!({ "lineage": lineage("L1") })).has(201).json();
    let id = text(&id["id"]);
    let card = card_of(&lab, id);
    assert!(card.contains("| gate-base · 20 (base) | Difference |"), "the parent's checkpoint\n{card}");
    assert!(card.contains("![Learning curve](learning_curve.svg)"), "{card}");
    let items = Sha256::of(fs_err::read(benchmark.data.join(TASK).join("items.jsonl")).expect("items"));
    assert!(card.contains("revision: ") && card.contains(&items.short()), "{items}\n{card}");

    let _ = lab.act(id, "freeze").has(200);
    let out = folder.path().join("export");
    let _ = lab.release(&["export", id, "--out", out.to_str().expect("text")]).exits(0);
    let picture = fs_err::read_to_string(out.join("learning_curve.svg")).expect("exported");
    for said in ["<svg xmlns=", "Mean of gates-only with 95% intervals", "Trained tokens [million, log]"] {
        assert!(picture.contains(said), "{said}\n{picture}");
    }

    // The base is released: the card names it as such.
    let of_base =
        json!({ "lineage": lineage("L1").replace("gate-mini", "gate-base"), "checkpoint": base["id"] });
    let released = lab.author.post("/api/v1/releases", &of_base).has(201).json();
    lab.approve(text(&released["id"]), &["ueda"]);
    lab.release(&["publish", "--wait", text(&released["id"])]).exits(0);
    let named = "[[input]]\nkind = \"base_model\"\nid = \"lab/gate-base\"\nlicense = \"apache-2.0\"\nstage = \"continual\"\n[release]\n";
    let _ = lab.edit(id, &lineage("L1").replace("[release]\n", named)).has(200);
    let card = card_of(&lab, id);
    assert!(card.contains("| gate-base (base) | Difference |"), "{card}");
    assert!(card.contains("the base model [gate-base](https://huggingface.co/lab/gate-base)"), "{card}");
    // By its lineage file too, which says nothing of where it was published.
    let named = named.replace("id = \"lab/gate-base\"", "lineage = \"base.toml\"");
    let body = json!({
        "version": lab.show(id)["version"],
        "lineage": lineage("L1").replace("[release]\n", &named),
        "parents": { "base.toml": lineage("L1").replace("gate-mini", "gate-base").split("[release]").next() },
    });
    let _ = lab.author.post(&format!("/api/v1/releases/{id}/edit"), &body).has(200);
    assert!(card_of(&lab, id).contains("| gate-base (base) | Difference |"));
}
