//! The registry of corpora: what it takes, what it refuses, and what a change of level does to what is on its way.

use serde_json::{Value, json};
use tests::benchmark::Benchmark;
use tests::cli::run;
use tests::database::Database;
use tests::hub_double::{HubDouble, HubOptions};
use tests::service::text;
use tests::wait::until;

use crate::lab::{Lab, lineage};

const TOML: &str = r#"[[subset]]
id = "web-ja"
corpus = "llm-jp-corpus-v3"
language = "ja"
tokens = 90000000000
tokenizer = "llm-jp-tokenizer-v3"
level = "L3"
license = "LicenseRef-crawl"
evidence = "letter.pdf"
"#;

#[test]
fn subsets_are_imported_once_and_never_change_by_accident() {
    let lab = Lab::new("");
    let file = lab.write("corpora.toml", TOML).display().to_string();
    let corpus = |arguments: &[&str]| run(&mut lab.service.command(&[&["corpus"], arguments].concat()));
    let added = corpus(&["import", &file]).exits(0);
    assert!(format!("{}{}", added.stdout, added.stderr).contains("web-ja"), "{added:?}");
    corpus(&["import", &file]).exits(0);
    let shown = corpus(&["show", "--json", "web-ja"]).exits(0).json();
    assert_eq!(
        json!([shown["level"], shown["tokens"], shown["version"]]),
        json!(["L3", 90_000_000_000_u64, 1])
    );

    let listed = corpus(&["list"]).exits(0).stdout;
    let (head, line) =
        (listed.lines().next().expect("a head"), listed.lines().find(|line| line.starts_with("web-ja ")));
    let line = line.expect("its line");
    for (column, value) in
        [("tokens", "90B"), ("level", "L3"), ("license", "LicenseRef-crawl"), ("evidence", "letter.pdf")]
    {
        let at = head.find(column).expect("a column");
        assert!(line[at..].starts_with(value), "{column} is aligned:\n{listed}");
    }

    // Another licence needs --update, another level its own command with a reason.
    let other = lab.write("other.toml", &TOML.replace("LicenseRef-crawl", "CC0-1.0")).display().to_string();
    corpus(&["import", &other]).exits(4).says(&["web-ja", "LicenseRef-crawl", "--update"]);
    corpus(&["import", "--update", &other]).exits(0);
    let history = lab.service.visitor().get("/corpora/web-ja?lang=en").has(200).text;
    assert!(history.contains("license: LicenseRef-crawl → CC0-1.0"), "what the import changed: {history}");
    let level = lab.write("level.toml", &TOML.replace("L3", "L1")).display().to_string();
    corpus(&["import", "--update", &level])
        .exits(5)
        .says(&["registered with level L3", "sekisho corpus level web-ja L1"]);

    // A list that contradicts itself is taken not at all.
    let twice = "id,corpus,license\nnew,v3,CC0-1.0\nnew,v3,CC-BY-4.0\n";
    let answer = lab.author.post("/api/v1/corpora", &json!({ "text": twice, "name": "twice.csv" }));
    answer.is_problem(422, "license-contradiction");
    let misspelt = "id,corpus,levle\nnew,v3,L1\n";
    let answer = lab.author.post("/api/v1/corpora", &json!({ "text": misspelt, "name": "x.csv" }));
    assert!(answer.status == 422 && answer.text.contains("x.csv:2"), "{}", answer.text);
    lab.service.visitor().get("/api/v1/corpora/new").is_problem(404, "not-found");

    let (viewer, _) = {
        lab.service.add_user("nagai", &["viewer"]);
        lab.service.token_of("nagai", &["read", "release"])
    };
    viewer.post("/api/v1/corpora", &json!({ "text": TOML })).is_problem(403, "role-missing");
    let page = lab.service.visitor().get("/corpora?lang=ja&level=L3").has(200).text;
    assert!(
        page.contains("web-ja") && page.contains("llm-jp-tokenizer-v3") && !page.contains("aozora-ja"),
        "{page}"
    );
}

#[test]
fn a_run_that_claims_another_level_is_refused_and_what_is_not_registered_is_shown() {
    let lab = Lab::new("");
    let register = |name: &str, mix: Value| {
        let spec = json!({ "name": name, "data": { "mix": [mix] } });
        lab.service.api().post("/api/v1/runs", &json!({ "name": name, "spec": spec }))
    };
    let wrong = register("wrong", json!({ "name": "text-LX", "level": "L1" }));
    wrong.is_problem(422, "level-mismatch");
    assert!(wrong.text.contains("is said to be L1, but the registry says LX"), "{}", wrong.text);
    let license = register("license", json!({ "name": "aozora-ja", "level": "L1", "license": "CC-BY-4.0" }));
    license.is_problem(422, "license-contradiction");
    let _ = register("same", json!({ "name": "aozora-ja", "level": "L1", "license": "cc0-1.0" })).has(201);
    let _ = register("newer", json!({ "name": "new-ja", "level": "L2", "license": "CC-BY-4.0" })).has(201);
    let page = lab.service.visitor().get("/corpora?lang=ja").has(200).text;
    assert!(page.contains("サブセット「new-ja」は未登録です"), "{page}");

    // The trainer's own record becomes the registry's.
    let imported = lab.author.post("/api/v1/corpora", &json!({ "run": "newer" })).has(200).json();
    assert_eq!(imported["added"], json!(["new-ja"]));
    let shown = lab.service.visitor().get("/api/v1/corpora/new-ja").has(200).json();
    assert_eq!(
        json!([shown["level"], shown["license"], shown["corpus"]]),
        json!(["L2", "CC-BY-4.0", "newer"])
    );
    let page = lab.service.visitor().get("/corpora/new-ja?lang=en").has(200).text;
    assert!(page.contains("/runs/newer\""), "the run that used it: {page}");
}

#[test]
fn a_change_of_level_is_told_before_it_is_saved_and_voids_what_rests_on_it() {
    let lab = Lab::new("");
    let approved = lab.approved(&lineage("L1"), &["ueda"]);
    let before = lab.show(&approved);
    let corpus =
        |arguments: &[&str]| run(&mut lab.service.command(&[&["corpus", "level"], arguments].concat()));

    let preview = lab.service.session("mori").get("/corpora/aozora-ja?level=LX&lang=ja").has(200).text;
    assert!(
        preview.contains("公開前のリリース1件") && preview.contains("再判定され、承認は無効になります"),
        "{preview}"
    );
    let told = corpus(&["aozora-ja", "LX", "--reason", "x", "--dry-run"]).exits(0);
    assert!(told.stderr.contains("gate-mini") && told.stderr.contains("refused"), "{}", told.stderr);
    assert_eq!(lab.show(&approved), before, "nothing was changed");
    corpus(&["aozora-ja", "LX", "--reason", "x"]).exits(2).says(&["--yes"]);

    let stale = json!({ "level": "LX", "reason": "asked" });
    let path = "/api/v1/corpora/aozora-ja/level";
    lab.author.post(path, &stale).is_problem(428, "version-missing");
    lab.author.post_seen(path, "\"9\"", &stale).is_problem(412, "stale");
    lab.author
        .post_seen(path, "\"1\"", &json!({ "level": "LX", "reason": " " }))
        .is_problem(400, "reason-missing");
    corpus(&["aozora-ja", "LX", "--reason", "権利者の依頼", "--yes"]).exits(0);

    let after = lab.show(&approved);
    assert_eq!(
        json!([after["state"], after["approvals"], after["decision"]["verdict"]]),
        json!(["policy_checked", 0, "refused"])
    );
    assert_ne!(after["digest"], before["digest"]);
    let history = lab.service.visitor().get("/corpora/aozora-ja?lang=ja").has(200).text;
    assert!(history.contains("L1 → LX") && history.contains("権利者の依頼"), "{history}");
    assert!(
        lab.audit(&approved).iter().any(|line| line.2 == "release.rejudge"),
        "{:?}",
        lab.audit(&approved)
    );
    let codes: Vec<&str> = after["decision"]["violations"]
        .as_array()
        .expect("violations")
        .iter()
        .map(|finding| text(&finding["code"]))
        .collect();
    assert_eq!(codes, ["level-forbids-training", "level-mismatch"]);
}

/// LZ is no use at all: neither of the weights nor of scores and samples.
#[test]
fn what_descends_from_an_lz_subset_leaves_by_no_way() {
    let lab = Lab::new("");
    let benchmark = Benchmark::write(&lab.folder.path().join("benchmark"), 4, 60);
    let lab = lab.reconfigured(&benchmark.config());
    let id = lab.approved(&lineage("L1"), &["ueda"]);
    let evaluation = until("the suite to be queued", 30, || lab.service.evaluation(&lab.checkpoint));
    // The run's parent was trained on it.
    let base = lab.service.ingest(&lab.folder.path().join("model"), "base", 10, 1000);
    let _ = until("its suite to be queued", 30, || lab.service.evaluation(&base));
    let database = Database::open(&lab.service.dir());
    database.execute(
        r#"UPDATE runs SET spec = '{"parent": {"run": "base"}, "data": {"mix": [{"name": "aozora-ja"}]}}' WHERE name = 'gate-mini'"#,
    );
    database.execute(
        r#"UPDATE runs SET spec = '{"data": {"mix": [{"name": "text-LX", "level": "LX"}]}}' WHERE name = 'base'"#,
    );
    let records = format!("/api/v1/evals/{}/records", text(&evaluation["id"]));
    let file = format!("/api/v1/releases/{id}/files/config.json");
    let samples = format!("/evals/{}/samples", text(&evaluation["id"]));
    let _ = lab.author.get(&records).has(200);
    let _ = lab.author.get(&file).has(200);
    let before = lab.author.get("/leaderboard.json").has(200).json();
    let rows = before["total"].as_u64().expect("a number");
    assert!(rows > 0 && before["left_out"].is_null(), "{before}");

    let body = json!({ "level": "LZ", "reason": "権利者の依頼", "version": 1 });
    let _ = lab.author.post("/api/v1/corpora/text-LX/level", &body).has(200);
    lab.author.get(&records).is_problem(403, "level-forbids-use");
    lab.author.get(&file).is_problem(403, "level-forbids-use");
    lab.author.get(&format!("/api/v1/releases/{id}/bundle")).is_problem(403, "level-forbids-use");
    let metrics = lab.service.visitor().get("/runs/gate-mini/metrics.csv?lang=ja").has(403).text;
    assert!(metrics.contains("サブセット「text-LX」"), "{metrics}");
    assert_eq!(lab.service.visitor().get(&samples).status, 403);
    assert_eq!(lab.service.session("ueda").get(&samples).status, 200, "the lab still sees what it has");
    let after = lab.author.get("/leaderboard.json?lang=ja").has(200).json();
    assert_eq!(json!([after["total"], after["left_out"]]), json!([0, rows]));
    assert!(text(&after["note"]).contains(&format!("{rows}件を除外")), "{after}");
    let csv = lab.author.get("/leaderboard.csv").has(200);
    assert_eq!(csv.headers["sekisho-left-out"], format!("{rows}; level-forbids-use"));
    assert!(!csv.text.contains("gate-mini"), "{}", csv.text);
    let out = lab.folder.path().join("export");
    lab.release(&["export", &id, "--out", out.to_str().expect("text")]).exits(5);
}

/// The author of a release is a keeper of the registry: what bars it is not taken away by a program under their token.
#[test]
fn a_level_is_loosened_by_a_person_and_tightened_by_a_token_too() {
    let lab = Lab::new("");
    let change = |subset: &str, version: u64, level: &str| {
        let body = json!({ "level": level, "reason": "the owner agreed", "version": version });
        lab.author.post(&format!("/api/v1/corpora/{subset}/level"), &body)
    };
    change("text-LX", 1, "L1").is_problem(403, "level-in-person");
    let _ = change("text-LX", 1, "LZ").has(200);
    change("text-LX", 2, "LX").is_problem(403, "level-in-person");
    let _ = change("reviews-L1", 1, "L3").has(200);
    change("reviews-L1", 2, "L2").is_problem(403, "level-in-person");
    let flags = ["corpus", "level", "text-LX", "L1", "--reason", "x", "--yes"];
    run(&mut lab.service.command(&flags))
        .exits(5)
        .says(&["A stored token never loosens a level", "sekisho login"]);

    // Nor does another file or the record of a run loosen it.
    let csv = json!({ "text": "id,corpus,level,license\ntext-LX,lab,L1,CC0-1.0\n", "name": "x.csv", "update": true });
    lab.author.post("/api/v1/corpora", &csv).is_problem(422, "level-mismatch");
    let level =
        || text(&lab.service.visitor().get("/api/v1/corpora/text-LX").has(200).json()["level"]).to_owned();
    assert_eq!(level(), "LZ");

    let mori = lab.service.session("mori");
    let csrf = mori.csrf("/corpora/text-LX?level=L1");
    let fields =
        [("csrf", csrf.as_str()), ("version", "2"), ("level", "L1"), ("reason", "権利者の同意を得た")];
    let _ = mori.post("/corpora/text-LX/level", &fields).has(303);
    assert_eq!(level(), "L1");
}

/// Unknown bars publishing: a subset that nobody has registered, whatever the lineage file claims.
#[test]
fn what_is_not_registered_bars_a_release() {
    let lab = Lab::new("");
    let unknown = lineage("L1").replace("aozora-ja", "somewhere");
    let draft = lab.post(&json!({ "lineage": unknown })).has(201).json();
    let judged = lab.act(text(&draft["id"]), "freeze").has(200).json();
    assert_eq!(judged["decision"]["violations"][0]["code"], "level-unknown", "{judged:#}");
    let page = lab.service.visitor().get(&format!("/releases/{}?lang=en", text(&draft["id"]))).has(200).text;
    assert!(
        page.contains("node unknown") && page.contains("unknown, so bars publishing"),
        "the picture marks it"
    );
}

/// 池田: which proportions, of runs that differ in nothing else.
#[test]
fn mixes_of_the_same_number_of_tokens_stand_side_by_side() {
    let lab = Lab::new("");
    let page = |path: &str| lab.service.visitor().get(path).has(200).text;
    assert!(page("/corpora?tab=mix&lang=ja").contains("sekisho train"), "nothing yet, and how to fill it");
    let sizes = "id,corpus,language,tokens\nmix-ja,lab,ja,100\nmix-en,lab,en,400\n";
    let _ = lab.author.post("/api/v1/corpora", &json!({ "text": sizes, "name": "sizes.csv" })).has(200);
    let register = |name: &str, ja: f64, en: f64, tokens: u64| {
        let mix = json!([{ "name": "mix-ja", "weight": ja }, { "name": "mix-en", "weight": en }]);
        let spec = json!({ "name": name, "data": { "mix": mix } });
        let body = json!({ "name": name, "spec": spec, "planned_tokens": tokens });
        let _ = lab.service.api().post("/api/v1/runs", &body).has(201);
    };
    register("quarter", 1.0, 3.0, 800);
    register("half", 1.0, 1.0, 800);
    register("longer", 1.0, 2.0, 900);

    let shown = page("/corpora?tab=mix&lang=ja");
    for word in [
        "/runs/quarter\"",
        "/runs/half\"",
        "25.0%",
        "200 · ×2.00",
        "600 · ×1.50",
        "400 · ×4.00",
        "[[data.mix]]",
    ] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    assert!(!shown.contains("/runs/longer"), "another number of tokens is another experiment: {shown}");
    let named = page("/corpora?tab=mix&runs=quarter,longer,nobody&lang=ja");
    assert!(named.contains("/runs/longer\"") && !named.contains("/runs/half\""), "{named}");
    assert!(
        named.contains("「nobody」は見つかりません") && named.contains("学習トークン数の異なる"),
        "{named}"
    );

    let csv = page("/corpora.csv?tab=mix&runs=quarter");
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 3, "{csv}");
    assert_eq!(lines[1], "quarter,,800,mix-ja,ja,0.25,200,2,,,,,,,,,false");
    let data = lab.service.visitor().get("/corpora.json?tab=mix&runs=half").has(200).json();
    let run = &data["items"][0];
    assert_eq!(json!([run["tokens"], run["mix"][0]["repeats"], run["ja"]]), json!([800, 4.0, null]));
}

#[test]
fn the_list_can_be_narrowed_to_what_a_model_wrote() {
    let lab = Lab::new("");
    let written = "id,corpus,license,evidence,generator,generator_license\nsynth,lab,CC-BY-4.0,https://example.org/letter,google/gemma-2-27b-it,gemma\n";
    let _ = lab.author.post("/api/v1/corpora", &json!({ "text": written, "name": "synth.csv" })).has(200);
    let page = |path: &str| lab.service.visitor().get(path).has(200).text;
    let shown = page("/corpora?tab=synthetic&lang=en");
    for word in [
        "/corpora/synth\"",
        "google/gemma-2-27b-it",
        "Licence of the generator",
        "href=\"https://example.org/letter\"",
    ] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    assert!(!shown.contains("/corpora/aozora-ja\""), "{shown}");
    let by_license = page("/corpora?license=CC-BY-4.0&lang=en");
    assert!(
        by_license.contains("/corpora/synth\"") && !by_license.contains("/corpora/aozora-ja\""),
        "{by_license}"
    );
    let csv = page("/corpora.csv?tab=synthetic");
    assert_eq!(
        csv.lines().nth(1),
        Some("synth,lab,,,,,CC-BY-4.0,https://example.org/letter,,google/gemma-2-27b-it,gemma")
    );
    let all = lab.service.visitor().get("/corpora.json").has(200).json();
    assert_eq!(all["items"].as_array().map(Vec::len), Some(7), "{all}");
}

#[test]
fn a_subset_names_the_models_that_are_out() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let hub = runtime.block_on(HubDouble::start(HubOptions::default()));
    let lab = Lab::with_hub(hub.endpoint());
    let id = lab.approved(&lineage("L1"), &["ueda"]);
    let page = |path: &str| lab.service.visitor().get(path).has(200).text;
    let link = format!("/releases/{id}\"");
    assert!(!page("/corpora/aozora-ja?lang=en").contains(&link), "not out yet");
    lab.release(&["publish", "--wait", &id]).exits(0);
    assert!(page("/corpora/aozora-ja?lang=en").contains(&link));
    let listed = page("/corpora?lang=en");
    assert!(
        listed.contains("/corpora/aozora-ja#models\"") && !listed.contains("/corpora/reviews#models\""),
        "{listed}"
    );
}
