use tests::webdriver::{Browser, Window};

use super::stage::{release_in_review, small};

/// Starts to note what the content security policy stops, what it has stopped before included.
const WATCH: &str = "window.stopped = [];
    new ReportingObserver((reports) => window.stopped.push(...reports.map((r) => r.body.blockedURL)),
        { types: ['csp-violation'], buffered: true }).observe();
    document.addEventListener('securitypolicyviolation', (event) => window.stopped.push(event.blockedURI));
    return true";

#[test]
fn no_page_does_what_its_policy_forbids_and_the_policy_holds() {
    let Some(browser) = Browser::open(Window::default()) else { return };
    let (service, checkpoint, _folder) = small();
    let release = release_in_review(&service, &checkpoint);
    let checkpoint = format!("/checkpoints/{}", checkpoint["id"].as_str().expect("an id"));
    for path in ["/", "/runs", "/runs/small", "/leaderboard", &checkpoint, &release, "/queue", "/nowhere"] {
        browser.goto(&format!("{}{path}", service.url()));
        browser.wait_for_text("header", "Sekisho");
        let _ = browser.evaluate(WATCH);
        assert_eq!(browser.evaluate("return window.stopped.length"), 0, "{path}");
    }
    // The watch sees what is stopped: a script without the nonce, and a picture from elsewhere.
    let _ = browser.evaluate(
        "const script = document.createElement('script');
         script.textContent = 'window.ran = true';
         document.body.append(script);
         const picture = new Image();
         picture.src = 'http://elsewhere.example/x.png';
         document.body.append(picture);
         return true",
    );
    browser.wait_until("two violations", "return window.stopped.length >= 2");
    assert_eq!(browser.evaluate("return window.ran === true"), false);
}
