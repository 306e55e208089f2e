//! What must be true after every fault: both sides are equal, others' records are untouched, no
//! registry would choke, and the log told the story in one line for each event.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    harmless::{assert_harmless, assert_references_resolve},
    message::{NewRecord, Record},
    mirror::{LINK_LIMIT, Mirror, Scene},
    numbers::assert_forward_only,
    process::{poll_until, wall_ms},
    records::{config, fold, key_of, mode, schema, soft_deleted, written_by},
};

/// Said at most once in each life of a link.
const STEPS: [&str; 10] = [
    "preflight",
    "dialects",
    "standby",
    "reading_target",
    "reading_source",
    "reconciling",
    "planned",
    "catching_up",
    "running",
    "topic",
];
/// Said at most so often in all.
const FRAME: [(&str, usize); 6] = [
    ("listening", 1),
    ("started", 1),
    ("topic created", 2),
    ("told to end; waiting for what is on its way", 1),
    ("done", 1),
    ("ended", 1),
];

/// Records of others in the target's topic; one key is spelled oddly, and none comes twice.
fn neighbours() -> Vec<NewRecord> {
    let oddly = schema("odd-value", 1, 4).value.unwrap();
    let records = [
        NewRecord::put(
            r#"{"keytype":"CONTEXT","tenant":"default","context":".source2","magic":0}"#,
            r#"{"tenant":"default","context":".source2"}"#,
        ),
        schema("outside-value", 1, 1),
        soft_deleted("outside-value", 2, 2),
        config("outside-value", "NONE"),
        mode("outside-value", "READONLY"),
        schema(":.source2:outside-value", 1, 1),
        NewRecord {
            value: Some(oddly),
            ..NewRecord::tombstone(
                r#"{"keytype": "SCHEMA", "subject": "odd-value", "version": 1, "magic": 1}"#,
            )
        },
    ];
    let with_times = (1_700_000_000_000..).zip(records);
    with_times.map(|(time, record)| NewRecord { timestamp: Some(time), ..record }).collect()
}

/// Whether a record belongs to the context that the link owns.
fn is_in_scope(record: &Record) -> bool {
    let key: Value = serde_json::from_slice(record.key.as_deref().unwrap()).unwrap();
    let subject = key["subject"].as_str().unwrap_or("");
    subject.starts_with(":.source:") || key["context"] == ".source"
}

impl Scene<'_> {
    /// Creates the target's topic with these settings, and others' records in it.
    pub(crate) fn with_neighbours(self, settings: &[(&str, &str)]) -> Self {
        self.target.create_topic(&self.target_topic(), 1, settings);
        self.settle_neighbours();
        self
    }

    /// Puts others' records into the target's topic.
    pub(crate) fn settle_neighbours(&self) {
        self.target.produce(&self.target_topic(), &neighbours());
    }

    /// Waits until everything that the source says is in the target, and acknowledged.
    #[track_caller]
    pub(crate) fn wait_done(&self) {
        let end = self.source.watermarks(&self.source_topic()).1;
        poll_until(LINK_LIMIT, &format!("the checkpoint says {end}"), || {
            (self.checkpoint()?["next"].as_i64()? >= end).then_some(())
        });
    }

    /// Waits for everything, ends the mirror, and looks at what it leaves behind.
    #[track_caller]
    pub(crate) fn finish(&self, mirror: &mut Mirror) -> Vec<Record> {
        self.wait_done();
        assert_eq!(mirror.end(), 0, "a link that runs drains and ends well");
        let log = self.assert_aftermath();
        assert_forward_only(&log);
        log
    }

    /// What must be true in the end. Returns the log of the scope.
    #[track_caller]
    pub(crate) fn assert_aftermath(&self) -> Vec<Record> {
        self.verify_equal();
        // What rolls a log's segment in these tests, and what registries write at every start.
        let is_noop = |record: &Record| key_of(record).contains(r#""keytype":"NOOP""#);
        let log = self.target_log().into_iter().filter(|record| !is_noop(record));
        let (inside, outside): (Vec<_>, Vec<_>) = log.partition(is_in_scope);
        let untouched = outside.iter().map(|record| NewRecord {
            key: record.key.clone(),
            value: record.value.clone(),
            timestamp: record.timestamp,
            headers: record.headers.clone(),
        });
        assert_eq!(untouched.collect::<Vec<_>>(), neighbours(), "others' records are untouched");
        assert_harmless(&inside);
        assert_references_resolve(&fold(&inside));
        let now = wall_ms();
        for record in &inside {
            let key = key_of(record);
            assert!(written_by(record).is_some(), "{key} at {} names no writer", record.offset);
            assert!(record.timestamp.is_some_and(|time| time <= now), "{key} is of the future");
        }
        inside
    }
}

impl Mirror {
    /// Every line of the log is one of these: the steps of so many lives at most, what frames them,
    /// and others at most so often.
    #[track_caller]
    pub(crate) fn assert_story(&self, lives: usize, others: &[(&str, usize)]) {
        let mut told = BTreeMap::<String, usize>::new();
        for line in self.all_lines() {
            let count = told.entry(line["message"].as_str().unwrap().to_owned()).or_default();
            *count = count.saturating_add(1);
        }
        for (message, count) in &told {
            let steps = STEPS.iter().map(|step| (*step, lives));
            let mut known = others.iter().copied().chain(steps).chain(FRAME);
            let most = known.find(|(known, _)| known == message).map(|(_, most)| most);
            let most = most.unwrap_or_else(|| panic!("{message:?} has no place in {told:?}"));
            assert!(*count <= most, "{message:?} was said more than {most} times: {told:?}");
        }
    }
}
