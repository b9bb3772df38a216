//! A real browser: Debian's Chromium through chromedriver.

use std::path::Path;
use std::process::{Command, Stdio};

use fantoccini::elements::Element;
use fantoccini::wd::PrintConfiguration;
use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

use crate::process::Process;
use crate::wait::until;

/// Seconds until something on a page must be there.
const PATIENCE: u64 = 20;

/// What kind of browser.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Width of the page in CSS pixels.
    pub width: u32,
    /// Whether scripts run.
    pub javascript: bool,
    /// What the reader prefers: `en`, `ja`.
    pub language: &'static str,
}

impl Default for Window {
    fn default() -> Self {
        Self { width: 1440, javascript: true, language: "en" }
    }
}

/// A window with a profile of its own. It is closed when this is dropped.
pub struct Browser {
    client: Client,
    runtime: Runtime,
    _driver: Process,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Opens a window, or none and a line that says so where chromedriver is missing.
    ///
    /// # Panics
    /// When the browser does not start.
    #[must_use]
    pub fn open(window: Window) -> Option<Self> {
        let profile = tempfile::tempdir().expect("a temporary folder");
        let (driver, port) = start_driver(profile.path())?;
        let runtime = Runtime::new().expect("a runtime");
        let client = runtime.block_on(async {
            let mut builder = ClientBuilder::rustls().expect("a TLS library");
            builder
                .capabilities(capabilities(window, profile.path()))
                .connect(&format!("http://127.0.0.1:{port}"))
                .await
        });
        let client = client.expect("the browser starts");
        Some(Self { client, runtime, _driver: driver, _profile: profile })
    }

    /// Goes to an address.
    pub fn goto(&self, url: &str) {
        self.runtime.block_on(self.client.goto(url)).expect("the page loads");
    }

    /// The address it is at.
    #[must_use]
    pub fn url(&self) -> String {
        self.runtime.block_on(self.client.current_url()).expect("an address").to_string()
    }

    /// Clicks the first element that a person sees, once it is there.
    pub fn click(&self, css: &str) {
        until(css, PATIENCE, || {
            let element = self.shown(css).into_iter().next()?;
            self.runtime.block_on(element.click()).ok()
        });
    }

    /// Types into the first such field.
    pub fn type_into(&self, css: &str, text: &str) {
        until(css, PATIENCE, || {
            let element = self.shown(css).into_iter().next()?;
            self.runtime.block_on(element.send_keys(text)).ok()
        });
    }

    /// Chooses an entry of a list, or puts a text in the place of what stands in a field.
    pub fn fill(&self, css: &str, text: &str) {
        until(css, PATIENCE, || {
            let element = self.shown(css).into_iter().next()?;
            let tag = self.runtime.block_on(element.tag_name()).ok()?;
            if tag == "select" {
                return self.runtime.block_on(element.select_by_value(text)).ok();
            }
            self.runtime.block_on(element.clear()).ok()?;
            self.runtime.block_on(element.send_keys(text)).ok()
        });
    }

    /// The text of the first such element that a person sees, once it is there.
    #[must_use]
    pub fn text(&self, css: &str) -> String {
        until(css, PATIENCE, || {
            let element = self.shown(css).into_iter().next()?;
            self.runtime.block_on(element.text()).ok()
        })
    }

    /// Waits until some such element holds these words.
    pub fn wait_for_text(&self, css: &str, words: &str) {
        until(&format!("\"{words}\" in {css}"), PATIENCE, || {
            let elements = self.shown(css);
            let holds = |element: &Element| {
                self.runtime.block_on(element.text()).is_ok_and(|text| text.contains(words))
            };
            elements.iter().any(holds).then_some(())
        });
    }

    /// Waits until a script answers true.
    pub fn wait_until(&self, what: &str, script: &str) {
        until(what, PATIENCE, || (self.evaluate(script) == true).then_some(()));
    }

    /// Presses keys where the focus is.
    pub fn press(&self, keys: &str) {
        let focused = self.runtime.block_on(self.client.active_element()).expect("a focused element");
        self.runtime.block_on(focused.send_keys(keys)).expect("pressed");
    }

    /// How many such elements a person sees.
    #[must_use]
    pub fn count(&self, css: &str) -> usize {
        self.shown(css).len()
    }

    /// An attribute of the first such element.
    #[must_use]
    pub fn attribute(&self, css: &str, name: &str) -> Option<String> {
        let element = until(css, PATIENCE, || self.find(css).into_iter().next());
        self.runtime.block_on(element.attr(name)).expect("an attribute")
    }

    /// A computed style of the first such element.
    #[must_use]
    pub fn style(&self, css: &str, name: &str) -> String {
        let element = until(css, PATIENCE, || self.find(css).into_iter().next());
        self.runtime.block_on(element.css_value(name)).expect("a style")
    }

    /// What a script answers.
    #[must_use]
    pub fn evaluate(&self, script: &str) -> Value {
        self.runtime
            .block_on(self.client.execute(script, Vec::new()))
            .unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// What a script answers later: it calls its last argument with it.
    #[must_use]
    pub fn evaluate_later(&self, script: &str) -> Value {
        self.runtime
            .block_on(self.client.execute_async(script, Vec::new()))
            .unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Keeps what is on the screen as PNG.
    pub fn picture(&self, file: &Path) {
        let png = self.runtime.block_on(self.client.screenshot()).expect("a picture");
        fs_err::create_dir_all(file.parent().expect("in a folder")).expect("a folder");
        fs_err::write(file, png).expect("written");
    }

    /// The page as it is printed on A4, page by page as text; none and a line that says so where nothing reads PDF.
    #[must_use]
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    pub fn printed(&self, file: &Path) -> Option<Vec<String>> {
        let pdf =
            self.runtime.block_on(self.client.print(PrintConfiguration::default())).expect("a document");
        fs_err::create_dir_all(file.parent().expect("in a folder")).expect("a folder");
        fs_err::write(file, pdf).expect("written");
        let Ok(output) = Command::new("pdftotext").arg("-layout").arg(file).arg("-").output() else {
            eprintln!("skipped: no pdftotext; tests/run.sh installs it");
            return None;
        };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout);
        Some(text.trim_end_matches('\x0c').split('\x0c').map(ToOwned::to_owned).collect())
    }

    fn find(&self, css: &str) -> Vec<Element> {
        self.runtime.block_on(self.client.find_all(Locator::Css(css))).unwrap_or_default()
    }

    fn shown(&self, css: &str) -> Vec<Element> {
        let mut elements = self.find(css);
        elements.retain(|element| self.runtime.block_on(element.is_displayed()).unwrap_or(false));
        elements
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // What does not close is killed with the driver.
        let _ = self.runtime.block_on(self.client.clone().close());
    }
}

/// Starts chromedriver on a port that it chooses itself.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn start_driver(folder: &Path) -> Option<(Process, u16)> {
    if Command::new("chromedriver").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("skipped: no chromedriver; tests/run.sh installs it");
        return None;
    }
    let log = folder.join("chromedriver.log");
    let output = fs_err::File::create(&log).expect("a log").into_file();
    let mut driver =
        Process::spawn(Command::new("chromedriver").arg("--port=0").stdout(output).stderr(Stdio::null()));
    let port = until("chromedriver", 60, || {
        assert!(driver.is_running(), "chromedriver ended");
        let said = fs_err::read_to_string(&log).ok()?;
        let (_, rest) = said.split_once("started successfully on port ")?;
        rest.split_once('.')?.0.parse().ok()
    });
    Some((driver, port))
}

fn capabilities(window: Window, profile: &Path) -> Map<String, Value> {
    let Window { width, javascript, language } = window;
    let arguments = [
        "--headless".to_owned(),
        "--no-sandbox".to_owned(),
        "--disable-gpu".to_owned(),
        "--disable-quic".to_owned(),
        "--disable-dev-shm-usage".to_owned(),
        "--no-first-run".to_owned(),
        "--disable-background-networking".to_owned(),
        "--disable-component-update".to_owned(),
        "--disable-sync".to_owned(),
        "--hide-scrollbars".to_owned(),
        format!("--window-size={width},1600"),
        format!("--lang={language}"),
        format!("--user-data-dir={}", profile.join("chromium").display()),
    ];
    let mut preferences = json!({ "intl.accept_languages": language });
    if !javascript {
        preferences["profile.managed_default_content_settings.javascript"] = json!(2);
    }
    let mut options = json!({ "args": arguments, "prefs": preferences });
    // A window is never narrower than 500 pixels, a phone is.
    if width < 500 {
        options["mobileEmulation"] =
            json!({ "deviceMetrics": { "width": width, "height": 1600, "pixelRatio": 1.0 } });
    }
    Map::from_iter([("goog:chromeOptions".to_owned(), options)])
}
