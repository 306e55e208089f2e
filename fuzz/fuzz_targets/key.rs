//! However a key is spelled, it is read as the same key, and it is written in one spelling only.
//!
//! Run it with `cargo +nightly fuzz run key`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use schema_mirror::core::key::Key;
use schema_mirror::core::key::KeyReading;
use schema_mirror::core::key::Version;
use schema_mirror::core::key::read_key;
use schema_mirror::core::subject::ContextName;
use schema_mirror::core::subject::Subject;
use serde_json::Map;
use serde_json::Value;

fuzz_target!(|input: (Vec<u8>, u8, String, i64, Vec<u8>)| {
    let (bytes, kind, name, version, choices) = input;
    if let KeyReading::Known(key) = read_key(&bytes) {
        is_written_in_one_spelling(&key);
    }
    let Some(key) = made(kind, &name, version) else { return };
    // Names that registries misread are no keys of ours.
    if read_key(&key.canonical()) != KeyReading::Known(key.clone()) {
        return;
    }
    is_written_in_one_spelling(&key);
    let other = respelled(&key, &mut Choices(choices));
    let shown = String::from_utf8_lossy(&other).into_owned();
    assert_eq!(read_key(&other), KeyReading::Known(key), "spelled {shown}");
});

fn is_written_in_one_spelling(key: &Key) {
    let canonical = key.canonical();
    let KeyReading::Known(again) = read_key(&canonical) else {
        panic!("{key} is written and not read");
    };
    assert_eq!(again, *key, "a key reads back");
    assert_eq!(again.canonical(), canonical, "the one spelling is a fixed point");
}

fn made(kind: u8, name: &str, version: i64) -> Option<Key> {
    let subject = Subject::parse(name);
    Some(match kind % 7 {
        0 => Key::Schema(subject, Version::new(version)?),
        1 => Key::Config(subject),
        2 => Key::Mode(subject),
        3 => Key::Context(ContextName::from_record(name)),
        4 => Key::DeleteSubject(subject),
        5 => Key::ClearSubject(Some(subject).filter(|s| !s.spelled().is_empty())),
        _ => Key::Noop,
    })
}

/// The fuzzer's choices, one after the other; none are left at the end.
struct Choices(Vec<u8>);

impl Choices {
    fn below(&mut self, bound: usize) -> usize {
        usize::from(self.0.pop().unwrap_or_default()) % bound.max(1)
    }

    fn yes(&mut self) -> bool {
        self.below(2) == 1
    }
}

/// The key as somebody else may spell it: other order, blanks, escapes, fields more or less.
fn respelled(key: &Key, choices: &mut Choices) -> Vec<u8> {
    let fields: Map<String, Value> =
        serde_json::from_slice(&key.canonical()).expect("the one spelling is JSON");
    let mut fields: Vec<(String, Value)> = fields.into_iter().collect();
    match (choices.below(3), fields.iter().position(|(name, _)| name == "magic")) {
        (0, Some(magic)) => drop(fields.remove(magic)),
        (1, Some(magic)) => fields[magic].1 = 0.into(),
        _ => {}
    }
    if choices.yes() {
        fields.push(("seq".to_owned(), 7.into()));
        fields.push(("node".to_owned(), Value::Null));
    }
    let is_whole = !fields.iter().any(|(name, _)| name == "subject");
    if is_whole && matches!(key, Key::Config(_) | Key::Mode(_)) && choices.yes() {
        fields.push(("subject".to_owned(), Value::Null));
    }
    let mut text = blank(choices).to_owned() + "{";
    while !fields.is_empty() {
        let (name, value) = fields.remove(choices.below(fields.len()));
        let value = match value {
            Value::String(value) => quoted(&value, choices),
            Value::Number(number) if choices.yes() => format!("\"{number}\""),
            other => other.to_string(),
        };
        text += blank(choices);
        text += &quoted(&name, choices);
        text += blank(choices);
        text += ":";
        text += blank(choices);
        text += &value;
        text += blank(choices);
        text += if fields.is_empty() { "" } else { "," };
    }
    text += "}";
    text += ["", " ", "\n{}", "trailing"][choices.below(4)];
    text.into_bytes()
}

fn blank(choices: &mut Choices) -> &'static str {
    ["", " ", "\t", "\r\n"][choices.below(4)]
}

/// A JSON string, each letter escaped or not.
fn quoted(text: &str, choices: &mut Choices) -> String {
    let mut out = "\"".to_owned();
    for letter in text.chars() {
        let mut units = [0; 2];
        match (letter, choices.below(3)) {
            (_, 1) => {
                for unit in letter.encode_utf16(&mut units) {
                    out += &format!("\\u{unit:04x}");
                }
            }
            ('/', 2) => out += "\\/",
            (plain, _) => {
                let json = serde_json::to_string(&plain).expect("a letter is JSON");
                out += &json[1..json.len() - 1];
            }
        }
    }
    out.push('"');
    out
}
