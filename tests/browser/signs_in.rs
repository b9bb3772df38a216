use tests::webdriver::{Browser, Window};

use super::stage::{sign_in, small};

const PASSWORD: &str = "東海道五十三次の関所を歩いて越える";

#[test]
fn a_person_chooses_a_password_and_signs_in_with_it() {
    let Some(browser) = Browser::open(Window { language: "ja", ..Window::default() }) else { return };
    let (service, ..) = small();
    service.add_user("ueda", &["approver"]);
    sign_in(&browser, &service, "ueda");
    browser.goto(&format!("{}/settings", service.url()));
    browser.wait_for_text("#set-password", "パスワードを設定");
    browser.type_into("#password", PASSWORD);
    browser.click("form[action='/settings/password'] button");
    browser.wait_for_text(".alarm", "パスワードを設定しました");
    browser.click("form[action='/logout'] button");
    browser.wait_until("the sign-out", "return document.querySelector(\"form[action='/logout']\") === null");

    let log_in = |password: &str| {
        browser.goto(&format!("{}/login", service.url()));
        browser.fill("#name", "ueda");
        browser.fill("#password", password);
        browser.click("form[action='/login/password'] button");
    };
    log_in("違うパスワードを15文字以上入力する");
    browser.wait_for_text("[role=alert]", "パスワード");
    assert_eq!(browser.count("form[action='/logout']"), 0, "nobody is signed in");
    assert_eq!(browser.evaluate("return document.querySelector('#name').value"), "ueda", "the name is kept");
    assert_eq!(
        browser.evaluate("return document.querySelector('#password').value"),
        "",
        "the password is not"
    );
    log_in(PASSWORD);
    browser.wait_for_text("header", "ueda");
    browser.goto(&format!("{}/settings", service.url()));
    browser.wait_for_text("#set-password", "パスワードを変更");
}
