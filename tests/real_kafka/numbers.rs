//! Records that carry a number of their own, so that a log shows whether a key ever went back.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    message::{NewRecord, Record},
    records::key_of,
};

/// The record with a field that no other has. A tombstone has no fields.
pub(crate) fn numbered(mut record: NewRecord, number: u64) -> NewRecord {
    if let Some(bytes) = &record.value {
        let mut value: Value = serde_json::from_slice(bytes).unwrap();
        value["number"] = number.into();
        record.value = Some(value.to_string().into_bytes());
    }
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
pub(crate) fn assert_forward_only(log: &[Record]) {
    for (key, numbers) in numbers(log) {
        assert!(numbers.iter().flatten().is_sorted(), "{key} was written as {numbers:?}");
    }
}

/// Records that say once more what their key said already.
pub(crate) fn doubled(log: &[Record]) -> usize {
    let mut said = BTreeMap::new();
    let again = log.iter().filter(|record| {
        let before = said.insert(key_of(record), record.value.as_deref());
        before == Some(record.value.as_deref())
    });
    again.count()
}
