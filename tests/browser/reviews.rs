//! A release between its author and its approvers: 上田 approves, 森 writes.

use serde_json::json;
use tests::hub_double::{HubDouble, HubOptions};
use tests::webdriver::{Browser, Window};

use super::stage::sign_in;
use crate::lab::{Lab, lineage};

const APPROVE: &str = "button[formaction$='/approve']";
const TWO: &str = "[review]\napprovals = 2\n";
/// The height of a phone's screen that is as wide as the window of these tests.
const SCREEN: f64 = 844.0;

fn japanese(width: u32) -> Option<Browser> {
    Browser::open(Window { language: "ja", width, ..Window::default() })
}

fn at(lab: &Lab, path: &str) -> String {
    format!("{}{path}", lab.service.url())
}

#[test]
fn an_approver_on_a_phone_first_sees_what_counts_and_is_in_the_history_afterwards() {
    let Some(browser) = japanese(390) else { return };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let hub = runtime.block_on(HubDouble::start(HubOptions::default()));
    let lab = Lab::with_hub_and(hub.endpoint(), TWO);
    lab.service.add_user("hayashi", &["approver"]);
    let first = lab.approved(&lineage("L1"), &["ueda", "hayashi"]);
    lab.release(&["publish", "--wait", &first]).exits(0);
    let gated = lineage("L1").replace("[release]\n", "[release]\ngating = \"manual\"\n");
    let draft = lab.post(&json!({ "lineage": gated })).has(201).json();
    let id = draft["id"].as_str().expect("an id");
    let _ = lab.act(id, "freeze").has(200);
    let _ = lab.act(id, "request").has(200);

    sign_in(&browser, &lab.service, "ueda");
    browser.goto(&at(&lab, &format!("/releases/{id}")));
    browser.wait_for_text(".verdict .seal", "公開可");
    let seen = browser.evaluate(
        "const box = (e) => [e.textContent.trim(), e.getBoundingClientRect().top, e.getBoundingClientRect().bottom];
         return [box(document.querySelector('.verdict .seal')),
             ...[...document.querySelectorAll('.verdict .readouts > div')].slice(0, 3).map(box),
             box(document.querySelector('main section'))]",
    );
    let seen = seen.as_array().expect("boxes");
    for (words, shown) in [
        &["公開可"][..],
        &["公開先", "lab/gate-mini"],
        &["公開範囲", "公開", "利用申請制"],
        &["ライセンス", "apache-2.0"],
    ]
    .into_iter()
    .zip(seen)
    {
        let text = shown[0].as_str().expect("text");
        assert!(words.iter().all(|word| text.contains(word)), "{words:?}: {shown}");
        assert!(shown[2].as_f64() < Some(SCREEN), "on the first screen: {shown}");
        assert!(shown[1].as_f64() < seen[4][1].as_f64(), "before everything else: {shown}");
    }

    // What is new comes right after, before anything can be pressed.
    browser.wait_for_text("section:has(> #changes)", "前回のリリース（gate-mini）からの変更");
    browser.wait_for_text("section:has(> #changes)", "利用申請制");
    let first = browser.evaluate("return document.querySelector('main section').querySelector('h2').id");
    assert_eq!(first, "changes");

    browser.type_into("textarea[name=comment]", "確認しました。");
    browser.click(APPROVE);
    browser.wait_for_text(".verdict .readouts", "1 / 2");
    browser.wait_for_text("#history ~ .scroll tbody tr", "ueda");
    let row = browser.evaluate(
        "return [...document.querySelectorAll('#history ~ .scroll tbody tr')].map((row) => row.textContent)
             .some((text) => text.includes('ueda') && text.includes('承認'))",
    );
    assert_eq!(row, true);
}

#[test]
fn an_own_release_offers_no_approval_and_the_tries_are_in_the_audit_log() {
    let Some(browser) = japanese(1440) else { return };
    let lab = Lab::new("");
    let id = lab.in_review();
    let page = format!("/releases/{id}");
    // The author is an approver of other people's releases.
    sign_in(&browser, &lab.service, "mori");
    browser.goto(&at(&lab, &page));
    browser.wait_for_text(".hindrance", "自分が起案したリリースは承認できません");
    assert_eq!(browser.count(APPROVE), 0);

    let pressed = lab.service.session("mori").press(&page, &format!("{page}/approve"), "");
    assert_eq!(pressed.status, 403, "the form of somebody who writes it by hand");
    let (token, _) = lab.service.token_of("mori", &["read", "release"]);
    let body = json!({ "version": lab.show(&id)["version"], "comment": "" });
    token.post(&format!("/api/v1/releases/{id}/approve"), &body).is_problem(403, "token-cannot-approve");
    browser.goto(&at(&lab, &format!("/audit?object={id}&result=refused")));
    browser.wait_for_text("caption", "監査ログ");
    let rows = browser.evaluate(
        "return [...document.querySelectorAll('tbody tr')].map((row) => row.textContent.replace(/\\s+/g, ' '))",
    );
    let rows: Vec<&str> = rows.as_array().expect("rows").iter().filter_map(|row| row.as_str()).collect();
    assert_eq!(rows.len(), 2, "{rows:?}");
    for (row, words) in
        rows.iter().zip([["APIトークン", "token-cannot-approve"], ["ブラウザー", "own-release"]])
    {
        let all = ["mori", "release.approve", "拒否"].into_iter().chain(words);
        assert!(all.clone().all(|word| row.contains(word)), "{row}");
    }
}

#[test]
fn one_character_of_the_card_is_warned_about_and_leaves_no_approval() {
    let Some(browser) = japanese(1440) else { return };
    let lab = Lab::new(TWO);
    lab.service.add_user("hayashi", &["approver"]);
    let id = lab.approved(&lineage("L1"), &["ueda", "hayashi"]);
    sign_in(&browser, &lab.service, "mori");
    browser.goto(&at(&lab, &format!("/releases/{id}")));
    browser.wait_for_text(".verdict .readouts", "2 / 2");
    browser.click("details:has(textarea[name='card.contact']) > summary");
    browser.wait_for_text("form[action$='/card'] .alarm", "保存すると承認2件が無効になります。");
    let before = browser.evaluate("return document.querySelector(\"[name='card.contact']\").value");
    browser.type_into("textarea[name='card.contact']", "。");
    browser.click("form[action$='/card'] button");
    browser.wait_for_text(".verdict .readouts", "0 / 2");
    browser.wait_for_text("ol.road [aria-current=step]", "下書き");
    let after = browser.evaluate("return document.querySelector(\"[name='card.contact']\").value");
    assert_eq!(after, format!("{}。", before.as_str().expect("text")), "one character more");
    browser.wait_for_text("tr.void", "内容が変わったため無効");
}

#[test]
fn a_claim_of_openness_is_marked_with_its_reason_and_a_wording_that_may_be_used() {
    let Some(browser) = japanese(1440) else { return };
    let lab = Lab::new("");
    let gated = lineage("L1").replace("[release]\n", "[release]\ngating = \"manual\"\n");
    let draft = lab.post(&json!({ "lineage": gated })).has(201).json();
    let id = draft["id"].as_str().expect("an id");
    sign_in(&browser, &lab.service, "mori");
    browser.goto(&at(&lab, &format!("/releases/{id}")));
    browser.click("details:has(#announcement) > summary");
    browser.fill("#announcement", "「世界最大のフルオープンモデル」");
    browser.click("form[action$='/edit'] button");
    browser.wait_for_text("#announced ~ p.announcement", "世界最大のフルオープンモデル");
    browser.click("button[formaction$='/freeze']");
    browser.wait_for_text(".verdict .seal", "公開不可");
    browser.wait_for_text("ul.violations li", "open-claim");
    browser.wait_for_text("ul.violations li", "このリリースは利用申請制のため");
    browser.wait_for_text("ul.violations li", "使用できる表現：「申請制で重みを提供」");
    assert_eq!(browser.count("button[formaction$='/request']"), 0, "nobody is asked to approve it");
    // Another wording is tried before it is written down.
    let check = "form[action*='/announcement'] button";
    browser.fill("#check-ja", "「世界最大のフルオープンモデル」");
    browser.click(check);
    browser.wait_for_text("[role=status] .findings mark", "フルオープン");
    browser.fill("#check-ja", "申請制で重みを提供します。");
    browser.click(check);
    browser.wait_for_text("[role=status]", "使用できない表現はありません。");
}

#[test]
fn a_returned_release_is_a_draft_with_the_comment_on_top_and_waits_for_its_author() {
    let Some(browser) = japanese(1440) else { return };
    let lab = Lab::new("");
    let id = lab.in_review();
    let (page, why) = (format!("/releases/{id}"), "NOTICEに1行足りません。");
    sign_in(&browser, &lab.service, "ueda");
    browser.goto(&at(&lab, &page));
    browser.type_into("textarea[name=comment]", why);
    browser.click("button[formaction$='/return']");
    browser.wait_for_text("ol.road [aria-current=step]", "下書き");
    browser.wait_for_text("#live-state .refusal", why);
    assert!(browser.text(".comments li:first-child").contains(why));
    browser.goto(&at(&lab, "/"));
    assert_eq!(browser.count("#waiting"), 0, "it waits for the approver no longer");
    browser.click("form[action='/logout'] button");
    browser.wait_until("the sign-out", "return document.querySelector(\"form[action='/logout']\") === null");

    sign_in(&browser, &lab.service, "mori");
    browser.goto(&at(&lab, "/"));
    browser.wait_for_text("#waiting", "あなたの対応待ち");
    browser.click(&format!("ul.tasks a[href='{page}']"));
    browser.wait_for_text("#live-state .refusal", "uedaさんが差し戻しました");
}
