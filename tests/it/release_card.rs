//! The card: computed from what the service knows, with people's texts that outlive every regeneration.

use serde_json::json;
use tests::service::text;

use crate::lab::{Lab, lineage};

#[test]
fn peoples_texts_outlive_every_regeneration_and_void_the_approvals() {
    let lab = Lab::new("");
    let id = lab.approved(&lineage("L1"), &["ueda"]);
    let edit = |sections: serde_json::Value| {
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
