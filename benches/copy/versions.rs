//! What a source holds.

use std::fmt::Write as _;
use std::ops::Range;

use crate::broker::Broker;
use crate::message::NewRecord;

/// Records that are produced at once when a source is made.
const CHUNK: usize = 5_000;
/// Versions of a subject, unless a scene wants others.
const VERSIONS_OF_A_SUBJECT: usize = 10;

/// A source such as a registry of middling age leaves: ten versions a subject, ids in order.
pub(crate) fn fill(source: &Broker, topic: &str, numbers: Range<usize>) {
    fill_with(source, topic, numbers, version);
}

/// The same with records of one's own.
pub(crate) fn fill_with(
    source: &Broker,
    topic: &str,
    numbers: Range<usize>,
    record: impl Fn(usize) -> NewRecord,
) {
    let numbers: Vec<usize> = numbers.collect();
    for chunk in numbers.chunks(CHUNK) {
        let records: Vec<NewRecord> = chunk.iter().map(|number| record(*number)).collect();
        source.produce(topic, &records);
    }
}

/// One version, about 1.2 KB long, as a Confluent registry writes it.
pub(crate) fn version(number: usize) -> NewRecord {
    let subject =
        format!("team-{}.events-{}-value", number / 1_000, number / VERSIONS_OF_A_SUBJECT);
    version_of(&subject, number % VERSIONS_OF_A_SUBJECT + 1, number, State::Live)
}

/// Whether a version is deleted softly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Live,
    Deleted,
}

/// One version of a subject; the number decides its id and its text.
pub(crate) fn version_of(subject: &str, version: usize, number: usize, state: State) -> NewRecord {
    let deleted = state == State::Deleted;
    let mut seed = number as u64 + 1;
    let mut fields = String::new();
    for field in 0..12 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        write!(
            fields,
            r#"{{\"name\":\"field_{field}_{:08x}\",\"type\":[\"null\",\"string\"],\"doc\":\"{:016x}\"}},"#,
            seed >> 32,
            seed
        )
        .unwrap();
    }
    let key =
        format!(r#"{{"keytype":"SCHEMA","subject":"{subject}","version":{version},"magic":1}}"#);
    let value = format!(
        r#"{{"subject":"{subject}","version":{version},"id":{},"schema":"{{\"type\":\"record\",\"name\":\"Event{number}\",\"namespace\":\"com.example.events\",\"fields\":[{}]}}","deleted":{deleted}}}"#,
        number + 1,
        fields.trim_end_matches(','),
    );
    NewRecord::put(&key, &value)
}
