//! What is told of releases, levels, checkpoints and evaluations, and what waits on people's first page for the same reason.

use serde_json::{Value, json};
use tests::checkpoints::{Recipe, spoil};
use tests::receiver::{Received, Receiver};
use tests::service::text;
use tests::wait::until;

use crate::lab::{Lab, lineage};

/// A lab with an endpoint that is told everything.
fn told(receiver: &Receiver, more: &str) -> Lab {
    let lab = Lab::new(&format!("[webhooks]\nallow = [\"{}\"]\n{more}", receiver.host()));
    let body = json!({ "name": "all", "url": receiver.url() });
    let _ = lab.service.api().post("/api/v1/webhooks", &body).has(201);
    lab
}

/// Waits for a message of a kind; answers the newest.
fn of_kind(receiver: &Receiver, kind: &str) -> Value {
    until(kind, 60, || {
        let all = receiver.received();
        all.iter().rev().map(Received::json).find(|message| message["type"] == kind)
    })
}

fn sentences(message: &Value) -> [&str; 2] {
    ["ja", "en"].map(|lang| text(&message["data"]["text"][lang]))
}

#[test]
fn a_release_is_told_at_every_turn_that_somebody_must_know_of() {
    let receiver = Receiver::start();
    let lab = told(&receiver, "[review]\napprovals = 2\n");
    lab.service.add_user("kimura", &["approver"]);
    let draft = lab.post(&json!({ "lineage": lineage("L1") })).has(201).json();
    let id = text(&draft["id"]);
    let name = "gate-mini";
    let of = |kind: &str| of_kind(&receiver, kind);
    assert_eq!(
        sentences(&of("release.proposed")),
        [format!("【情報】{name}：moriさんが起案しました"), format!("[Info] {name}: proposed by mori")]
    );
    let _ = lab.act(id, "freeze").has(200);
    let _ = lab.act(id, "request").has(200);
    let message = of("release.review_requested");
    assert!(
        sentences(&message)[0]
            .starts_with(&format!("【要対応】{name}：承認をお願いします（公開先 lab/gate-mini、")),
        "{message}"
    );
    assert!(sentences(&message)[0].ends_with("0/2名承認済み）"), "{message}");
    for approver in ["ueda", "kimura"] {
        let answer = lab.service.session(approver).press(
            &format!("/releases/{id}"),
            &format!("/releases/{id}/approve"),
            "",
        );
        assert_eq!(answer.status, 303, "{}", answer.text);
    }
    let message = of("release.approved");
    assert_eq!(sentences(&message)[0], format!("【情報】{name}：承認がそろいました（2/2名）。公開できます"));

    // One character of the card: both approvals are void, and both approvers hear which part it was.
    let edit = json!({ "version": lab.show(id)["version"], "sections": { "ja": { "limitations": "出力を確認してください。" } } });
    let _ = lab.author.post(&format!("/api/v1/releases/{id}/card"), &edit).has(200);
    let message = of("release.approval_voided");
    assert_eq!(
        sentences(&message),
        [
            format!("【要対応】{name}：内容が変更されたため承認2件が無効になりました（変更：モデルカード）"),
            format!("[Action] {name}: 2 approvals void because the model card changed"),
        ]
    );
    for approver in ["ueda", "kimura"] {
        let page = lab.service.session(approver);
        let page = page.get("/?lang=ja").has(200).text;
        assert!(
            page.contains("あなたの承認は無効になりました（変更：モデルカード）") && page.contains(name),
            "{page}"
        );
    }
    assert!(
        !lab.service.session("mori").get("/?lang=ja").text.contains("あなたの承認は無効"),
        "mori approved nothing"
    );

    let _ = lab.act(id, "freeze").has(200);
    let _ = lab.act(id, "request").has(200);
    let answer = lab.service.session("ueda").press(
        &format!("/releases/{id}"),
        &format!("/releases/{id}/return"),
        "出典\nを補ってください",
    );
    assert_eq!(answer.status, 303);
    assert_eq!(
        sentences(&of("release.returned"))[0],
        format!("【要対応】{name}：uedaさんが差し戻しました。「出典 を補ってください」")
    );
}

#[test]
fn a_change_of_level_is_told_with_what_it_reaches_and_waits_for_the_approvers() {
    let receiver = Receiver::start();
    let lab = told(&receiver, "");
    let draft = lab.post(&json!({ "lineage": lineage("L1") })).has(201).json();
    let version = &lab.author.get("/api/v1/corpora/aozora-ja").has(200).json()["version"];
    let change = json!({ "version": version, "level": "LX", "reason": "権利者の依頼" });
    let _ = lab.author.post("/api/v1/corpora/aozora-ja/level", &change).has(200);
    let message = of_kind(&receiver, "corpus.level_changed");
    assert_eq!(
        sentences(&message)[0],
        "【要対応】aozora-ja：リリースレベルが L1 から LX に変更されました。影響：実験0件、公開済みモデル0件"
    );
    assert_eq!(message["data"]["open_releases"], 1);
    let page = lab.service.session("ueda").get("/?lang=ja").has(200).text;
    assert!(
        page.contains("リリースレベルが L1 から LX に変更されました") && page.contains("/corpora/aozora-ja"),
        "{page}"
    );
    let _ = lab.act(text(&draft["id"]), "freeze").has(200);
    let message = of_kind(&receiver, "release.refused");
    assert!(sentences(&message)[0].contains("ポリシー判定は公開不可です（違反"), "{message}");
    assert!(message["data"]["violations"].as_u64() > Some(0), "{message}");
}

#[test]
fn a_refused_checkpoint_is_told_in_the_form_of_a_chat() {
    let receiver = Receiver::start();
    let lab = Lab::new(&format!("[webhooks]\nallow = [\"{}\"]\n", receiver.host()));
    let body = json!({ "name": "slack", "url": receiver.url(), "format": "slack", "language": "ja", "events": ["checkpoint.*"] });
    let _ = lab.service.api().post("/api/v1/webhooks", &body).has(201);
    let folder = lab.folder.path().join("spoilt");
    Recipe { seed: 9, ..Recipe::default() }.write(&folder);
    let _ = lab.service.ingest(&folder, "v4", 1, 10);
    spoil(&folder);
    let arguments = ["ingest", "--run", "v4", "--step", "2", "--tokens", "20"];
    tests::cli::run(lab.service.command(&arguments).arg(&folder)).exits(1);
    let received = receiver.wait_for(2);
    let lines = |step: u64| {
        let texts = received.iter().map(|one| text(&one.json()["text"]).to_owned());
        texts.into_iter().find(|text| text.contains(&format!("ステップ{step}の"))).expect("a message")
    };
    assert!(
        lines(1).starts_with("【情報】v4：ステップ1のチェックポイントを検証しました。評価を開始します\n<"),
        "{}",
        lines(1)
    );
    assert!(
        lines(2).starts_with("【要対応】v4：ステップ2のチェックポイントを受け入れられません。"),
        "{}",
        lines(2)
    );
    assert!(lines(2).contains("NaN") && lines(2).ends_with("|Sekishoで開く>"), "{}", lines(2));
    assert_eq!(received[0].json().as_object().map(serde_json::Map::len), Some(2));
}
