//! 森 sets a webhook up for a chat, and sees there what became of a spoilt checkpoint.

use tests::checkpoints::{Recipe, spoil};
use tests::receiver::Receiver;
use tests::service::{Options, Service};
use tests::webdriver::{Browser, Window};

use super::stage::sign_in;

#[test]
fn a_refused_checkpoint_stands_in_the_deliveries_in_slacks_form() {
    let Some(browser) = Browser::open(Window { language: "ja", ..Window::default() }) else { return };
    let receiver = Receiver::start();
    let config = format!("[webhooks]\nallow = [\"{}\"]\n", receiver.host());
    let service = Service::with(Options { config, ..Options::default() });
    service.add_user("mori", &["contributor"]);
    sign_in(&browser, &service, "mori");
    browser.goto(&format!("{}/webhooks", service.url()));
    browser.fill("#name", "学習チャンネル");
    browser.fill("#url", &receiver.url());
    browser.fill("#events", "checkpoint.*");
    browser.fill("#format", "slack");
    browser.fill("#language", "ja");
    browser.click("form[action='/webhooks'] button");
    browser.wait_for_text(".alarm", "whsec_");
    browser.wait_for_text("h1", "学習チャンネル");

    let folder = tempfile::tempdir().expect("a temporary folder");
    Recipe::default().write(folder.path());
    spoil(folder.path());
    let arguments = ["ingest", "--run", "v4-8b", "--step", "7", "--tokens", "70"];
    tests::cli::run(service.command(&arguments).arg(folder.path())).exits(1);
    let received = receiver.wait_for(1);
    assert_eq!(received[0].json()["unfurl_links"], false);

    browser.goto(&format!("{}/webhooks", service.url()));
    browser.click("tbody th a");
    browser.wait_for_text("#deliveries ~ .scroll", "配信済み");
    assert_eq!(browser.count("#deliveries ~ .scroll tbody tr"), 1);
    browser.click("#deliveries ~ .scroll summary");
    browser.wait_for_text(
        "#deliveries ~ .scroll pre",
        "【要対応】v4-8b：ステップ7のチェックポイントを受け入れられません。",
    );
    browser.wait_for_text("#deliveries ~ .scroll pre", "NaN");
    browser.goto(&format!("{}/runs/v4-8b", service.url()));
    browser.wait_for_text("main", "受け入れ拒否");
}
