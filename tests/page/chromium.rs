//! A browser without a window, driven over WebDriver: what is asked of it are few calls over HTTP.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::wait::wait_for;

/// What a page shows is there within this long, or the test has failed. A mirror's group takes 3 s to
/// form on the mock, and a broker that is away up to 15 s to be noticed.
const SHOWN_WITHIN: Duration = Duration::from_secs(40);
/// A call takes no longer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// One that looks for nothing elsewhere, and keeps nothing.
const WORDS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
];

/// A driver with one browser; both end with this.
pub(crate) struct Chromium {
    driver: Child,
    port: u16,
    session: String,
    _profile: TempDir,
}

impl Chromium {
    /// Opens a page on a screen of this size.
    #[track_caller]
    pub(crate) fn open(url: &str, [width, height]: [u32; 2]) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut driver = Command::new("chromedriver")
            .args(["--port=0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed, and chromium with it (Debian: chromium-driver, chromium)");
        let port = port_of(&mut driver);
        let mut browser = Self { driver, port, session: String::new(), _profile: profile };
        let words: Vec<String> = WORDS.iter().map(|word| (*word).to_owned()).collect();
        let folder = format!("--user-data-dir={}", browser._profile.path().display());
        let args: Vec<String> = words.into_iter().chain([folder]).collect();
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            // Those of the tests' own authority, which the system does not trust.
            "acceptInsecureCerts": true,
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "args": args },
        }}});
        let session = browser.call("POST", "/session", &wanted);
        browser.session = format!("/session/{}", session["sessionId"].as_str().unwrap());
        browser.resize([width, height]);
        browser.go(url);
        browser
    }

    pub(crate) fn go(&self, url: &str) {
        self.ask("POST", "/url", &json!({ "url": url }));
    }

    /// A screen of this size; a narrow one is a phone's.
    pub(crate) fn resize(&self, [width, height]: [u32; 2]) {
        self.develop(
            "Emulation.setDeviceMetricsOverride",
            &json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 }),
        );
    }

    /// A call of Chromium's own protocol.
    pub(crate) fn develop(&self, command: &str, parts: &Value) -> Value {
        self.ask("POST", "/goog/cdp/execute", &json!({ "cmd": command, "params": parts }))
    }

    /// Runs a script in the page and gives what it returns.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.ask("POST", "/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// What a person reads at the first place that is so.
    pub(crate) fn text(&self, selector: &str) -> String {
        let script = format!("return document.querySelector({})?.innerText ?? ''", json!(selector));
        self.run(&script).as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn count(&self, selector: &str) -> u64 {
        let script = format!("return document.querySelectorAll({}).length", json!(selector));
        self.run(&script).as_u64().unwrap()
    }

    /// Waits until a person reads this there; gives all that is read.
    #[track_caller]
    pub(crate) fn reads(&self, selector: &str, awaited: &str) -> String {
        let mut read = String::new();
        let found = wait_for(SHOWN_WITHIN, || {
            read = self.text(selector);
            read.contains(awaited).then_some(())
        });
        assert!(
            found.is_some(),
            "{awaited:?} is not read at {selector}: {read}\n{}",
            self.text("body")
        );
        read
    }

    /// Waits until a script in the page returns true.
    #[track_caller]
    pub(crate) fn holds(&self, script: &str) {
        let found = wait_for(SHOWN_WITHIN, || (self.run(script) == true).then_some(()));
        assert!(found.is_some(), "it does not hold: {script}\n{}", self.text("body"));
    }

    pub(crate) fn click(&self, selector: &str) {
        let script = format!("document.querySelector({}).click()", json!(selector));
        self.run(&script);
    }

    /// Types into a field, as a person does.
    pub(crate) fn type_into(&self, selector: &str, text: &str) {
        let found =
            self.ask("POST", "/element", &json!({ "using": "css selector", "value": selector }));
        let element =
            found.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned();
        self.ask("POST", &format!("/element/{element}/clear"), &json!({}));
        self.ask("POST", &format!("/element/{element}/value"), &json!({ "text": text }));
    }

    /// Presses a key where the focus is, by its code in WebDriver.
    pub(crate) fn press(&self, key: char) {
        let steps = json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": [
            { "type": "keyDown", "value": key }, { "type": "keyUp", "value": key },
        ]}]});
        self.ask("POST", "/actions", &steps);
    }

    /// Says yes to what the page asks.
    pub(crate) fn accept(&self) {
        self.ask("POST", "/alert/accept", &json!({}));
    }

    /// Keeps a picture of what is seen, where the variable says so: those of the docs are made so.
    #[expect(clippy::disallowed_methods, reason = "tests have no configuration")]
    pub(crate) fn keep_picture(&self, name: &str) {
        let Ok(folder) = env::var("PAGE_PICTURES") else { return };
        let picture = self.ask("GET", "/screenshot", &Value::Null);
        let bytes = STANDARD.decode(picture.as_str().unwrap()).unwrap();
        fs::write(Path::new(&folder).join(name), bytes).unwrap();
    }

    /// Faults that the browser saw since it was last asked: of scripts, of the page's policy.
    pub(crate) fn faults(&self) -> Vec<String> {
        let entries = self.ask("POST", "/se/log", &json!({ "type": "browser" }));
        let entries = entries.as_array().unwrap().iter();
        let faults = entries.filter(|entry| entry["level"] == "SEVERE");
        faults.map(|entry| entry["message"].as_str().unwrap().to_owned()).collect()
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        self.call(method, &format!("{}{path}", self.session), body)
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(ANSWER_WITHIN)).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.port,
            body.len()
        )
        .unwrap();
        let (status, body) = answer_in(&mut BufReader::new(stream));
        let mut told: Value = serde_json::from_slice(&body).unwrap();
        assert!(status.contains(" 200 "), "{method} {path}: {told}");
        told["value"].take()
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // The driver ends its browser when its session ends; a test that failed has no more to ask.
        if !self.session.is_empty() && !thread::panicking() {
            self.ask("DELETE", "", &Value::Null);
        }
        let _killed = self.driver.kill();
        let _ended = self.driver.wait();
    }
}

/// The status line and the body of an answer. The driver keeps connections open, whatever it is asked.
fn answer_in(stream: &mut BufReader<TcpStream>) -> (String, Vec<u8>) {
    let (mut status, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(bytes) = line.strip_prefix("content-length:") {
            length = bytes.trim().parse().unwrap();
        }
        if status.is_empty() {
            status = line;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    (status, body)
}

/// The port that the driver took.
fn port_of(driver: &mut Child) -> u16 {
    let said = BufReader::new(driver.stdout.take().unwrap());
    for line in said.lines().map_while(Result::ok) {
        if let Some((_, port)) = line.split_once("started successfully on port ") {
            return port.trim_end_matches('.').parse().unwrap();
        }
    }
    panic!("chromedriver ended without a word about its port");
}
