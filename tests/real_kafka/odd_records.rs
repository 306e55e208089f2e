//! All the odd records that were measured, in one real topic, between good ones.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    broker::Record,
    mirror::Scene,
    records::{fold, key_of, lines_of, new_record, noop, schema, version_in},
};

/// Ids that no odd record has.
const GOOD_IDS: u32 = 1_000;
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

/// The texts that a log gave to each id of each context.
type Texts = BTreeMap<(String, i64), BTreeSet<String>>;

/// A record that every registry reads, and that harms none.
fn assert_harmless(record: &Record) {
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

/// At no point of the log has one id of a context two texts: a leader would roll one back.
fn assert_no_id_is_taken_twice(log: &[Record]) {
    for end in 1..=log.len() {
        let mut texts = Texts::new();
        for (key, (value, _)) in fold(&log[..end]) {
            if key.contains(r#""keytype":"SCHEMA""#) {
                let subject = value["subject"].as_str().unwrap();
                let context = subject.rsplit_once(':').unwrap().0.to_owned();
                let text = value["schema"].as_str().unwrap().to_owned();
                texts.entry((context, id_of(&value))).or_default().insert(text);
            }
        }
        let taken: Vec<_> = texts.iter().filter(|(_, texts)| texts.len() > 1).collect();
        assert_eq!(taken, [], "after {:?}", log[end.saturating_sub(1)]);
    }
}

#[test]
fn odd_records_are_set_aside_and_the_good_ones_between_them_flow() {
    let scene = Scene { subjects: ":*:", ..Scene::shared("odd") };
    let cases = lines_of("odd-records", "records.jsonl");
    assert_eq!(cases.len(), 97);
    let mut records = vec![noop()];
    let mut good = 0_u32;
    for case in &cases {
        // A compacted topic takes no record without a key.
        if case["effect"] == "broker_refuses" {
            continue;
        }
        let around = |name: &str| case[name].as_array().cloned().unwrap_or_default();
        let group = [around("before"), vec![case.clone()], around("after")].concat();
        records.extend(group.iter().map(new_record));
        good += 1;
        records.push(schema(&format!("good-{good}"), 1, GOOD_IDS + good));
    }
    assert_eq!(good, 96);
    scene.produce(&records);

    let answer = scene.backfill();
    assert_eq!((answer.code, answer.text("result")), (1, "done"), "{answer:?}");
    assert!(answer.number("incidents") > 20, "{answer:?}");
    assert_eq!(answer.number("read"), u64::try_from(records.len()).unwrap());
    let log = scene.target_log();
    log.iter().for_each(assert_harmless);
    assert_no_id_is_taken_twice(&log);
    let state = fold(&log);
    for number in 1..=good {
        let subject = format!(":.source:good-{number}");
        let held = Some((u64::from(GOOD_IDS + number), false));
        assert_eq!(version_in(&state, &subject, 1), held, "{subject}");
    }

    let again = scene.backfill();
    assert_eq!((again.code, again.number("appended")), (1, 0), "{again:?}");
    let verified = scene.answer("verify", &[]);
    assert_eq!((verified.code, verified.text("result")), (1, "different"));
    assert_eq!(verified.link["differences"], Value::Null, "what could be copied is equal");
    assert_eq!(verified.link["incidents"].as_array().unwrap().len(), {
        usize::try_from(again.number("open_incidents")).unwrap()
    });
}
