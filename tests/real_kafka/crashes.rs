//! kill -9 of the mirror.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    broker::{NewRecord, Record},
    mirror::{LINK_LIMIT, Scene},
    process::poll_until,
    records::{key_of, schema},
};

/// Records in the source when a backfill is killed.
const SUBJECTS: u32 = 20_000;
/// The target has so many when that happens: after the first checkpoint, long before the end.
const WRITTEN_BEFORE: usize = 3_000;

/// A record with a field that no other has.
fn numbered(subject: &str, version: u32, id: u32, number: u64) -> NewRecord {
    let mut record = schema(subject, version, id);
    let mut value: Value = serde_json::from_slice(record.value.as_deref().unwrap()).unwrap();
    value["number"] = number.into();
    record.value = Some(value.to_string().into_bytes());
    record
}

/// The numbers that each key of a log was written with, in order. A deletion has none.
fn numbers(log: &[Record]) -> BTreeMap<String, Vec<Option<u64>>> {
    let mut numbers = BTreeMap::<String, Vec<Option<u64>>>::new();
    for record in log {
        let value = record
            .value
            .as_deref()
            .map(|value| serde_json::from_slice::<Value>(value).expect("the target holds JSON"));
        let number = value.and_then(|value| value["number"].as_u64());
        numbers.entry(key_of(record)).or_default().push(number);
    }
    numbers
}

/// No key ever went back to something older.
#[track_caller]
fn assert_forward_only(log: &[Record]) {
    for (key, numbers) in numbers(log) {
        assert!(numbers.iter().flatten().is_sorted(), "{key} was written as {numbers:?}");
    }
}

#[test]
fn a_backfill_that_is_killed_is_finished_by_the_next_start() {
    let scene = Scene::shared("killed_backfill");
    let first = (1..=SUBJECTS).map(|id| numbered(&format!("s{id}"), 1, id, 0));
    // Every tenth is soft-deleted later in the log.
    let second = (10..=SUBJECTS).step_by(10).map(|id| {
        let mut record = numbered(&format!("s{id}"), 1, id, 1);
        let value = String::from_utf8(record.value.unwrap()).unwrap();
        record.value = Some(value.replace(r#""deleted":false"#, r#""deleted":true"#).into_bytes());
        record
    });
    scene.produce(&first.chain(second).collect::<Vec<_>>());

    let slow = Scene { target_lines: vec!["write_rate_max: 2000"], ..scene };
    let mut mirror = slow.run("one");
    let written = poll_until(LINK_LIMIT, "the target has some", || {
        let (_, end) = slow.target.watermarks_if_there(&slow.target_topic())?;
        Some(usize::try_from(end).unwrap()).filter(|written| *written >= WRITTEN_BEFORE)
    });
    mirror.kill();
    assert!(written < usize::try_from(SUBJECTS).unwrap(), "it was killed in the middle");

    let scene = Scene { target_lines: vec!["write_rate_max: unlimited"], ..slow };
    let mut mirror = scene.run("one");
    mirror.wait_for("running");
    assert_eq!(mirror.end(), 0);
    scene.verify_equal();
    let log = scene.target_log();
    assert_forward_only(&log);
    let doubled = numbers(&log)
        .into_values()
        .filter(|numbers| numbers.windows(2).any(|pair| pair[0].is_some() && pair[0] == pair[1]));
    assert_eq!(doubled.count(), 0, "what had arrived is not written again");
}

#[test]
fn a_tail_that_is_killed_goes_on_where_the_target_stands() {
    let scene =
        Scene { target_lines: vec!["write_rate_max: 1000"], ..Scene::shared("killed_tail") };
    scene.produce(&[numbered("first", 1, 1, 0)]);
    for round in 0..3_u64 {
        let mut mirror = scene.run("one");
        mirror.wait_for("running");
        let end = scene.target.watermarks(&scene.target_topic()).1;
        // The same 500 keys again and again, each time with another number.
        let records = (0..1_500_u32).map(|n| {
            let id = n % 500;
            let number = round.saturating_mul(10_000).saturating_add(u64::from(n));
            numbered(&format!("s{id}"), 1, id.saturating_add(2), number)
        });
        scene.produce(&records.collect::<Vec<_>>());
        poll_until(LINK_LIMIT, "some of them are in the target", || {
            let now = scene.target.watermarks(&scene.target_topic()).1;
            (now > end.saturating_add(200)).then_some(())
        });
        mirror.kill();
    }
    let mut mirror = scene.run("one");
    mirror.wait_for("running");
    assert_eq!(mirror.end(), 0);
    scene.verify_equal();
    assert_forward_only(&scene.target_log());
    scene.start_in_sync("one");
}
