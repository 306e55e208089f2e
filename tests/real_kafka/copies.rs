//! What three real registries left in their topics, copied once into a context.
//!
//! The expected state comes from a second, small reading of the fixture that shares no code with
//! the program; for Confluent 7.9.5 also from a topic on which a real registry was measured.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{
    message::NewRecord,
    mirror::Scene,
    process::wall_ms,
    records::{State, fixture, meaning, written_by},
};

/// What the target is to say, and the times that each of its records may have: one, or two where
/// a record follows from two. None where the link itself says something.
type Expected = BTreeMap<String, (Value, Vec<i64>)>;

fn parse(key: &NewRecord) -> Value {
    serde_json::from_slice(key.key.as_deref().unwrap()).unwrap()
}

/// A subject as context and name; the default context is empty.
fn split(subject: &str) -> (&str, &str) {
    let named = subject.strip_prefix(':').and_then(|rest| rest.split_once(':'));
    named.unwrap_or(("", subject))
}

/// A subject where it belongs in `.source`.
fn place(subject: &str) -> String {
    let (context, name) = split(subject);
    format!(":.source{context}:{name}")
}

/// JSON as Jackson writes it: nothing above the basic plane stands as it is.
fn spelled(text: &str) -> String {
    let spell = |char: char| {
        let mut units = [0; 2];
        match char.encode_utf16(&mut units) {
            [high, low] => format!("\\u{high:04X}\\u{low:04X}"),
            _ => char.to_string(),
        }
    };
    Value::from(text).to_string().chars().map(spell).collect()
}

fn key(kind: &str, subject: &str) -> String {
    format!(r#"{{"keytype":"{kind}","subject":{},"magic":0}}"#, spelled(subject))
}

fn schema_key(subject: &str, version: u64) -> String {
    let subject = spelled(subject);
    format!(r#"{{"keytype":"SCHEMA","subject":{subject},"version":{version},"magic":1}}"#)
}

/// Which contexts of a fixture a link copies.
#[derive(Clone, Copy, PartialEq)]
enum Contexts {
    Default,
    All,
}

/// What the fixture says, rewritten into `.source`.
fn rewritten(records: &[NewRecord], chosen: Contexts) -> Expected {
    let mut expected = Expected::new();
    let mut contexts = BTreeSet::from([String::new()]);
    for record in records {
        let said = parse(record);
        let subject = said["subject"].as_str().unwrap_or("");
        let (context, _) = split(subject);
        if chosen == Contexts::Default && !context.is_empty() {
            continue;
        }
        match said["keytype"].as_str().unwrap() {
            "SCHEMA" => {
                contexts.insert(context.to_owned());
                let key = schema_key(&place(subject), said["version"].as_u64().unwrap());
                put(&mut expected, key, record, subject);
            }
            "CONFIG" => put(&mut expected, key("CONFIG", &place(subject)), record, subject),
            "DELETE_SUBJECT" => soft_delete(&mut expected, record, subject),
            // Contexts are declared where they receive something; modes are the link's own.
            "CONTEXT" | "MODE" | "NOOP" => {}
            other => panic!("a fixture holds {other}"),
        }
    }
    for context in contexts {
        open(&mut expected, &format!(".source{context}"));
    }
    expected
}

fn put(expected: &mut Expected, key: String, record: &NewRecord, subject: &str) {
    let Some(bytes) = record.value.as_deref().filter(|value| !value.is_empty()) else {
        expected.remove(&key);
        return;
    };
    let mut value: Value = serde_json::from_slice(bytes).unwrap();
    value["subject"] = place(subject).into();
    if let Some(alias) = value.get_mut("alias") {
        *alias = place(alias.as_str().unwrap()).into();
    }
    for reference in value.get_mut("references").and_then(Value::as_array_mut).into_iter().flatten()
    {
        // One without a context is looked up in the referrer's own.
        if let (context, _) = split(reference["subject"].as_str().unwrap())
            && !context.is_empty()
        {
            reference["subject"] = place(reference["subject"].as_str().unwrap()).into();
        }
    }
    expected.insert(key, (value, vec![record.timestamp.unwrap()]));
}

fn soft_delete(expected: &mut Expected, record: &NewRecord, subject: &str) {
    let value: Value = serde_json::from_slice(record.value.as_deref().unwrap()).unwrap();
    for version in 1..=value["version"].as_u64().unwrap() {
        if let Some((value, times)) = expected.get_mut(&schema_key(&place(subject), version)) {
            value["deleted"] = true.into();
            times.push(record.timestamp.unwrap());
        }
    }
}

/// A context that receives schemas is declared and fenced, and has a level of its own.
fn open(expected: &mut Expected, context: &str) {
    let subject = format!(":{context}:");
    let declared =
        format!(r#"{{"keytype":"CONTEXT","tenant":"default","context":"{context}","magic":0}}"#);
    let value = json!({ "tenant": "default", "context": context });
    expected.insert(declared, (value, Vec::new()));
    let fence = json!({ "subject": subject, "mode": "READONLY" });
    expected.insert(key("MODE", &subject), (fence, Vec::new()));
    let level = json!({ "subject": subject, "compatibilityLevel": "BACKWARD" });
    expected.entry(key("CONFIG", &subject)).or_insert((level, Vec::new()));
}

/// The fixture goes through a real source into a real target, once and a second time in vain.
fn copied(scene: &Scene<'_>, folder: &str) -> (Vec<NewRecord>, State) {
    let records = fixture(folder);
    scene.produce(&records);
    let written = scene.backfill_clean();
    let log = scene.target_log();
    assert_eq!(u64::try_from(log.len()).unwrap(), written, "every record is counted");
    for record in &log {
        assert_eq!(written_by(record), Some(("once".to_owned(), 1)), "{record:?}");
    }
    assert_eq!(scene.backfill_clean(), 0, "a second backfill writes nothing");
    assert_eq!(scene.target_log(), log);
    scene.verify_equal();
    (records, scene.target_state())
}

#[track_caller]
fn check(expected: &Expected, found: &State, started: i64) {
    let values = expected.iter().map(|(key, (value, _))| (key.as_str(), value));
    assert_eq!(meaning(found), values.collect::<BTreeMap<_, _>>());
    for (key, (_, times)) in expected {
        let (_, time) = found[key];
        // A source whose clock is ahead of ours gets the time of writing.
        let as_in_source = times.contains(&time);
        let clamped = times.iter().all(|&time| time > started) && time >= started;
        assert!(as_in_source || clamped, "{key} has the time {time}, not one of {times:?}");
    }
}

#[test]
fn what_confluent_7_9_5_wrote_stands_in_a_context_as_a_real_registry_read_it() {
    let started = wall_ms();
    let scene = Scene::shared("copy_confluent_7");
    let (records, found) = copied(&scene, "confluent-7.9.5");
    let measured = fixture("confluent-7.9.5-as-context-source");
    let measured = measured.into_iter().filter_map(|record| {
        let value = serde_json::from_slice(record.value.as_deref()?).unwrap();
        Some((String::from_utf8(record.key?).unwrap(), value))
    });
    let measured: BTreeMap<String, Value> = measured.collect();
    let measured = measured.iter().map(|(key, value)| (key.as_str(), value));
    assert_eq!(meaning(&found), measured.collect::<BTreeMap<_, _>>());
    check(&rewritten(&records, Contexts::Default), &found, started);
}

#[test]
fn every_context_of_a_registry_goes_below_the_links_own() {
    let started = wall_ms();
    let scene = Scene { subjects: ":*:", ..Scene::shared("copy_all_contexts") };
    let (records, found) = copied(&scene, "confluent-7.9.5");
    check(&rewritten(&records, Contexts::All), &found, started);
    let contexts = found.keys().filter(|key| key.contains(r#""keytype":"CONTEXT""#));
    assert_eq!(contexts.count(), 5, "the default context and four named ones");
}

#[test]
fn what_confluent_8_3_1_wrote_stands_in_a_context() {
    let started = wall_ms();
    let scene = Scene::shared("copy_confluent_8");
    let (records, found) = copied(&scene, "confluent-8.3.1");
    check(&rewritten(&records, Contexts::Default), &found, started);
}

#[test]
fn what_karapace_wrote_stands_in_a_context_of_a_confluent_registry() {
    let started = wall_ms();
    let scene = Scene::shared("copy_karapace");
    let (records, found) = copied(&scene, "karapace-6.2.0");
    let empty = |record: &&NewRecord| record.value.as_deref().is_some_and(<[u8]>::is_empty);
    let in_source = scene.source.read_all(&scene.source_topic());
    let empty_in_source = in_source.iter().filter(|r| r.value.as_deref() == Some(&[]));
    assert_eq!(empty_in_source.count(), records.iter().filter(empty).count());
    check(&rewritten(&records, Contexts::Default), &found, started);
}
