//! A release from its proposal to the Hub: who may do what, and what makes an approval void.

use std::collections::BTreeMap;

use sekisho_domain::Sha256;
use serde_json::json;
use tests::http::{Session, hidden};
use tests::hub_double::{HubDouble, HubOptions};
use tests::official_client::OfficialClient;
use tests::service::text;

use crate::lab::{Lab, REPO, lineage};

fn line(actor: &str, by: &str, action: &str, result: &str) -> (String, String, String, String) {
    (actor.to_owned(), by.to_owned(), format!("release.{action}"), result.to_owned())
}

#[test]
fn only_a_second_person_in_a_browser_approves() {
    let lab = Lab::new("");
    let id = lab.in_review();
    let (page, approve) = (format!("/releases/{id}"), format!("/releases/{id}/approve"));

    let own = lab.service.session("mori");
    let refused = own.press(&page, &approve, "mine").has(403);
    assert!(refused.text.contains("You proposed this release"), "the page says why");
    let (token, _) = lab.service.token_of("ueda", &["read", "release"]);
    let body = json!({ "version": lab.show(&id)["version"], "comment": "" });
    token.post(&format!("/api/v1/releases/{id}/approve"), &body).is_problem(403, "token-cannot-approve");
    lab.release(&["approve", &id]).exits(5).says(&["A stored token never approves.", &page]);
    lab.service
        .visitor()
        .post(&format!("/api/v1/releases/{id}/approve"), &body)
        .is_problem(401, "sign-in-needed");

    let approver = lab.service.session("ueda");
    let version = lab.show(&id)["version"].to_string();
    let forged =
        approver.post(&approve, &[("csrf", "csrf_forged"), ("version", &version), ("comment", "")]).has(403);
    assert!(!forged.text.contains("csrf_forged"));
    assert_eq!(lab.show(&id)["state"], "in_review", "nobody has approved yet");

    assert_eq!(
        approver.press(&page, &approve, "ライセンスを確認した。").has(303).headers["location"],
        page.as_str()
    );
    let approved = lab.show(&id);
    assert_eq!(json!([approved["state"], approved["approvals"]]), json!(["approved", 1]));
    let shown = lab.service.visitor().get(&format!("{page}?lang=ja")).has(200).text;
    assert!(shown.contains("ueda") && shown.contains("ライセンスを確認した。"));
    assert_eq!(
        lab.audit(&id),
        [
            line("mori", "token", "propose", "done"),
            line("mori", "token", "freeze", "done"),
            line("mori", "token", "request", "done"),
            line("mori", "session", "approve", "refused"),
            line("ueda", "token", "approve", "refused"),
            line("ueda", "session", "approve", "done"),
        ]
    );
}

#[test]
fn a_sign_in_link_works_once() {
    let lab = Lab::new("");
    let link = lab.service.link("ueda");
    let _ = Session::sign_in(lab.service.url(), &link);
    let again =
        lab.service.visitor().get(link.strip_prefix(lab.service.url()).expect("our own")).has(200).text;
    assert!(hidden(&again, "code").is_none(), "the used link offers no button");
}

#[test]
fn any_edit_voids_the_approvals_and_old_versions_are_refused() {
    let lab = Lab::new("");
    let id = lab.in_review();
    let page = format!("/releases/{id}");
    lab.service.session("ueda").press(&page, &format!("{page}/approve"), "").has(303);
    let approved = lab.show(&id);
    assert_eq!(approved["state"], "approved");

    let edit = format!("/api/v1/releases/{id}/edit");
    let new = lineage("L1").replace("tokens = 1000", "tokens = 2000");
    let stale = json!({ "version": 1, "lineage": new });
    lab.author.post(&edit, &stale).is_problem(412, "stale");
    assert_eq!(lab.show(&id)["approvals"], 1, "a refused edit changes nothing");
    let edited =
        lab.author.post(&edit, &json!({ "version": approved["version"], "lineage": new })).has(200).json();
    assert_eq!(json!([edited["state"], edited["approvals"], edited["digest"]]), json!(["draft", 0, null]));

    lab.release(&["freeze", &id]).exits(0);
    lab.release(&["request", &id]).exits(0);
    let again = lab.show(&id);
    assert_eq!(
        json!([again["state"], again["approvals"]]),
        json!(["in_review", 0]),
        "approvals were of other content"
    );
    assert_ne!(again["digest"], approved["digest"]);
    let early = lab.release(&["publish", &id]).exits(4);
    early.says(&["No Hub token is configured"]);

    let approver = lab.service.session("ueda");
    let csrf = hidden(&approver.get(&page).has(200).text, "csrf").expect("a form");
    let old = [("csrf", csrf.as_str()), ("version", "1"), ("comment", "確認済み")];
    let stale = approver.post(&format!("{page}/approve"), &old).has(412);
    assert!(stale.text.contains("確認済み"), "the comment is kept");
}

#[test]
fn what_the_policy_refuses_is_not_asked_for() {
    let lab = Lab::new("");
    let id = lab.propose("LX");
    let judged = lab.release(&["freeze", "--json", &id]).exits(5);
    assert!(
        judged.stderr.contains("level-forbids-training: Subset \"text-LX\" is level LX"),
        "{}",
        judged.stderr
    );
    assert_eq!(judged.json()["decision"]["verdict"], "refused");
    lab.release(&["request", &id]).exits(5).says(&["The policy refuses this release"]);
    assert_eq!(lab.show(&id)["state"], "policy_checked");
    let page = lab.service.visitor().get(&format!("/releases/{id}?lang=ja")).has(200).text;
    assert!(page.contains("level-forbids-training") && page.contains("リリースレベルLX"));

    // Publishing what nobody approved is a matter of state, not of policy.
    let wrong = lab
        .author
        .post(&format!("/api/v1/releases/{id}/publish"), &json!({ "version": lab.show(&id)["version"] }));
    assert_eq!(wrong.status, 409, "{}", wrong.text);
}

#[test]
fn what_is_approved_goes_out_byte_for_byte() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let hub = runtime.block_on(HubDouble::start(HubOptions::default()));
    let endpoint = hub.endpoint();
    let lab = Lab::with_hub(endpoint);
    let id = lab.in_review();
    lab.release(&["publish", &id]).exits(4).says(&["publish is not possible while the release is in_review"]);
    assert_eq!(hub.is_private(REPO), None, "nothing leaves without a permit");

    let page = format!("/releases/{id}");
    lab.service.session("ueda").press(&page, &format!("{page}/approve"), "").has(303);
    let told = lab.release(&["publish", "--wait", "--json", &id]).exits(0);
    for step in ["probe", "preflight", "create", "upload", "commit", "compare", "tag", "gating", "visibility"]
    {
        assert!(
            told.stderr.lines().any(|line| line.starts_with(&format!("{step}: "))),
            "{step}: {}",
            told.stderr
        );
    }
    let published = told.json();
    assert_eq!(published["state"], "published");
    assert_eq!(hub.tags(REPO), [(format!("release-{id}"), text(&published["commit"]).to_owned())]);
    assert_eq!(published["url"], format!("{endpoint}/{REPO}"));
    assert_eq!(hub.commits(REPO, "main")[0], text(&published["commit"]));
    assert_eq!(hub.is_private(REPO), Some(false));

    let there: BTreeMap<String, String> = hub
        .paths(REPO, "main")
        .into_iter()
        .filter(|path| path != ".gitattributes")
        .map(|path| (path.clone(), Sha256::of(hub.bytes(REPO, "main", &path).expect("listed")).hex()))
        .collect();
    let names: Vec<&str> = there.keys().map(String::as_str).collect();
    let model = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"];
    let signed = ["model.sig", "release.json", "sekisho.pub"];
    assert_eq!(
        names,
        [
            "LICENSE",
            "README.md",
            "README_ja.md",
            model[0],
            model[1],
            signed[0],
            signed[1],
            signed[2],
            model[2],
            model[3]
        ]
    );
    for name in model {
        let file = fs_err::read(lab.folder.path().join("model").join(name)).expect("a file of the model");
        assert_eq!(there[name], Sha256::of(file).hex(), "{name}");
    }
    let card = hub.bytes(REPO, "main", "README_ja.md").expect("published");
    assert!(String::from_utf8(card.to_vec()).is_ok_and(|card| card.contains("gate-mini")));
    runtime.block_on(async {
        if let Some(client) = OfficialClient::find().await {
            let mut downloaded = client.download(false, endpoint, "", REPO, "main").await;
            downloaded.remove(".gitattributes");
            assert_eq!(downloaded, there);
        }
    });
    assert!(lab.audit(&id).contains(&line("system", "system", "complete", "done")));
}
