//! Whatever stands in a configuration file, reading it never panics, every refusal says where and
//! what, and no secret is shown.
//!
//! Run it with `cargo +nightly fuzz run config`.
#![no_main]

use std::io;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use schema_mirror::config::Config;
use schema_mirror::config::ConfigError;
use schema_mirror::config::Environment;
use schema_mirror::config::keys;

/// What every secret holds here, and no other text.
const MARK: &str = "hunter2";

/// Variables and files that hold nothing but secrets, and the file itself.
struct Given<'a>(&'a [u8]);

impl Environment for Given<'_> {
    fn var(&self, name: &str) -> Option<String> {
        (!name.starts_with("NO")).then(|| format!("{MARK} of {name}"))
    }

    fn file(&self, path: &Path) -> io::Result<String> {
        if path == Path::new("mirror.yaml") {
            return String::from_utf8(self.0.to_vec()).map_err(|_| io::ErrorKind::InvalidData.into());
        }
        Ok(format!("{MARK} of {}\n", path.display()))
    }
}

fuzz_target!(|input: (Vec<u8>, u8, String)| {
    let (file, way, password) = input;
    if !String::from_utf8_lossy(&file).contains(MARK) {
        check(&file);
    }
    // A secret that stands in the file itself, as people write it, quoted or not.
    let secret = match way % 6 {
        0 => format!("{MARK}{password}"),
        1 => format!("{password}{MARK}"),
        2 => serde_json::Value::from(format!("{MARK}{password}")).to_string(),
        3 => format!("'{MARK}{password}'"),
        4 => format!("[{password}, {MARK}]"),
        _ => format!("{{ {password}: {MARK} }}"),
    };
    let name = ["sasl.password", "ssl.key.pem", "sasl.oauthbearer.client.secret"]
        [usize::from(way / 6) % 3];
    // On one line the rest of the file stays what it is: what follows a line's end is no secret.
    if !secret.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']) {
        let before = "clusters:\n  a:\n    bootstrap_servers: a:1\n    kafka:\n";
        check(format!("{before}      {name}: {secret}\n").as_bytes());
    }
});

fn check(file: &[u8]) {
    match Config::load(Path::new("mirror.yaml"), &Given(file)) {
        Ok(config) => {
            let shown = format!("{config:?} {config:#?}");
            assert!(!shown.contains(MARK), "shown: {shown}");
            for link in &config.links {
                assert!(config.cluster(&link.source).is_some(), "the source is there");
                assert!(config.cluster(&link.target).is_some(), "the target is there");
            }
        }
        Err(error) => {
            assert!(!format!("{error} {error:?}").contains(MARK), "shown: {error}");
            says_where_and_what(&error);
        }
    }
}

fn says_where_and_what(error: &ConfigError) {
    assert!(!error.defects.is_empty(), "a refusal has a reason");
    let whole = error.defects.len() == 1;
    for defect in &error.defects {
        let top = defect.path.split(['.', '[']).next().unwrap_or_default();
        let is_place = top.starts_with("line ");
        let is_known = keys::TOP.contains(&top) || defect.wrong == "unknown key";
        let is_whole = defect.path.is_empty() && whole;
        assert!(is_known || is_place || is_whole, "no key: {defect}");
        assert!(!defect.wrong.is_empty() && !defect.right.is_empty(), "says nothing: {defect}");
    }
}
