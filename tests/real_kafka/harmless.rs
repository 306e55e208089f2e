//! What no registry may ever find in its topic, whatever happened to the link that wrote it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    message::Record,
    records::{State, key_of},
};

/// From here on a registry's next id comes near the end of its numbers.
const ID_MAX: i64 = (1 << 31) - 1_000;

const LEVELS: [&str; 7] = [
    "NONE",
    "BACKWARD",
    "BACKWARD_TRANSITIVE",
    "FORWARD",
    "FORWARD_TRANSITIVE",
    "FULL",
    "FULL_TRANSITIVE",
];

/// A log whose scope is `.source` and the contexts behind it: every record is one that every
/// registry reads, and none that a leader would roll back.
#[track_caller]
pub(crate) fn assert_harmless(log: &[Record]) {
    log.iter().for_each(assert_readable);
    assert_ids_stay(log);
}

/// A record that every registry reads, and that harms none.
#[track_caller]
fn assert_readable(record: &Record) {
    let key_text = key_of(record);
    let key: Value = serde_json::from_str(&key_text).expect("a key in JSON");
    // Fields in the registry's order, and nothing else.
    let canonical = match key["keytype"].as_str().expect("a kind") {
        "SCHEMA" => ["keytype", "subject", "version", "magic"].as_slice(),
        "CONFIG" | "MODE" => &["keytype", "subject", "magic"],
        "CONTEXT" => &["keytype", "tenant", "context", "magic"],
        other => panic!("{other} has no place in a target"),
    };
    let fields: Vec<_> = key.as_object().unwrap().keys().collect();
    assert_eq!(fields, canonical, "{key_text}");
    assert!(!key_text.contains(' '), "{key_text}");
    let Some(bytes) = &record.value else { return };
    let value: Value = serde_json::from_slice(bytes).expect("a value in JSON");
    assert!(value.is_object(), "{key_text} holds {value}");
    if key["keytype"] == "CONTEXT" {
        assert_eq!(value["context"], key["context"]);
        assert_eq!(value["tenant"], "default");
        return;
    }
    let subject = key["subject"].as_str().expect("a subject");
    assert!(subject.starts_with(":.source"), "{key_text} is outside the scope");
    assert_eq!(value["subject"], subject);
    match key["keytype"].as_str().unwrap() {
        "MODE" => assert_eq!(value["mode"], "READONLY"),
        "CONFIG" => {
            let level = value["compatibilityLevel"].as_str();
            assert!(level.is_none_or(|level| LEVELS.contains(&level)), "{value}");
            let alias = value["alias"].as_str();
            assert!(alias.is_none_or(|alias| alias.starts_with(":.source")), "{value}");
        }
        _ => {
            assert_eq!(value["version"], key["version"]);
            assert!((1..ID_MAX).contains(&value["version"].as_i64().unwrap()), "{value}");
            assert!(id_of(&value) < ID_MAX, "{value}");
            assert!(value["schema"].is_string(), "{value}");
        }
    }
}

/// Registries take a number in quotes for a number.
fn id_of(value: &Value) -> i64 {
    let quoted = || value["id"].as_str()?.parse().ok();
    value["id"].as_i64().or_else(quoted).unwrap_or_else(|| panic!("an id in {value}"))
}

/// A version that stands: the context and the id that it has, and its text.
type Standing = ((String, i64), String);

/// A version keeps its id and text until a tombstone, and at no point of the log has one id of a
/// context two texts: a leader would roll one of them back.
#[track_caller]
fn assert_ids_stay(log: &[Record]) {
    let mut standing = BTreeMap::<String, Standing>::new();
    let mut texts = BTreeMap::<(String, i64), (String, usize)>::new();
    for record in log {
        let key = key_of(record);
        if !key.contains(r#""keytype":"SCHEMA""#) {
            continue;
        }
        let before = standing.remove(&key);
        if let Some((id, _)) = &before
            && let Some((_, keys)) = texts.get_mut(id)
        {
            *keys = keys.saturating_sub(1);
        }
        let Some(bytes) = &record.value else { continue };
        let value: Value = serde_json::from_slice(bytes).unwrap();
        let context = value["subject"].as_str().unwrap().rsplit_once(':').unwrap().0.to_owned();
        let now = ((context, id_of(&value)), value["schema"].as_str().unwrap().to_owned());
        let at = record.offset;
        assert!(before.is_none_or(|before| before == now), "{key} has another id or text at {at}");
        let (text, keys) = texts.entry(now.0.clone()).or_insert_with(|| (now.1.clone(), 0));
        if *keys == 0 {
            now.1.clone_into(text);
        }
        assert_eq!(*text, now.1, "{key} takes an id that has another text at {at}");
        *keys = keys.saturating_add(1);
        standing.insert(key, now);
    }
}

/// What a live version refers to is there, soft-deleted or live.
#[track_caller]
pub(crate) fn assert_references_resolve(state: &State) {
    let subject_and_version = |value: &Value| {
        (value["subject"].as_str().unwrap_or("").to_owned(), value["version"].as_u64())
    };
    let schemas = || state.iter().filter(|(key, _)| key.contains(r#""keytype":"SCHEMA""#));
    let there: Vec<_> = schemas().map(|(_, (value, _))| subject_and_version(value)).collect();
    let live = schemas().filter(|(_, (value, _))| value["deleted"] != true);
    for (key, (value, _)) in live {
        for reference in value["references"].as_array().into_iter().flatten() {
            let (name, version) = subject_and_version(reference);
            // Unqualified names mean the context of the one that refers.
            let context = value["subject"].as_str().unwrap().rsplit_once(':').unwrap().0;
            let name = if name.starts_with(':') { name } else { format!("{context}:{name}") };
            assert!(there.contains(&(name, version)), "{key} refers to {reference}");
        }
    }
}
