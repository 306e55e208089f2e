//! The story: what two registries write, and which records of the links follow from it.

use serde_json::json;

use crate::core::key::Key;
use crate::core::key::Version;
use crate::core::record::Outgoing;
use crate::core::subject::Subject;

/// One of the two clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    /// The first one of the walkthrough.
    Source,
    /// The second one.
    Target,
}

impl Side {
    /// Both.
    pub(super) const BOTH: [Self; 2] = [Self::Source, Self::Target];

    /// The cluster's name in the configuration.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Target => "target",
        }
    }
}

/// A record of a link that has to arrive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Awaited {
    /// In whose topic.
    pub(super) side: Side,
    /// Its key, as [`Key`] shows it.
    pub(super) key: &'static str,
}

/// A part of the story.
#[derive(Debug, Default)]
pub(super) struct Act {
    /// What happens.
    pub(super) title: &'static str,
    /// Why it matters.
    pub(super) why: &'static str,
    /// Keys whose newest record is shown before anything happens.
    pub(super) before: Vec<(Side, &'static str)>,
    /// What registries, or others, write.
    pub(super) writes: Vec<(Side, Outgoing)>,
    /// What links have to write then.
    pub(super) awaited: Vec<Awaited>,
    /// What is to be seen; `{ms}` stands for the time from the first write to the last arrival.
    pub(super) so: &'static str,
}

const PAGEVIEWS_V1: &str = r#"{"type":"record","name":"pageviews","namespace":"ksql","fields":[{"name":"viewtime","type":"long"},{"name":"userid","type":"string"},{"name":"pageid","type":"string"}],"connect.name":"ksql.pageviews"}"#;
const PAGEVIEWS_V2: &str = r#"{"type":"record","name":"pageviews","namespace":"ksql","fields":[{"name":"viewtime","type":"long"},{"name":"userid","type":"string"},{"name":"pageid","type":"string"},{"name":"referrer","type":["null","string"],"default":null}],"connect.name":"ksql.pageviews"}"#;
const STOCK_TRADES: &str = r#"{"type":"record","name":"StockTrade","namespace":"ksql","fields":[{"name":"side","type":"string"},{"name":"quantity","type":"int"},{"name":"symbol","type":"string"},{"name":"price","type":"int"},{"name":"account","type":"string"},{"name":"userid","type":"string"}]}"#;
const USERS_V1: &str = r#"{"type":"record","name":"users","namespace":"ksql","fields":[{"name":"registertime","type":"long"},{"name":"userid","type":"string"}]}"#;
const USERS_V2: &str = r#"{"type":"record","name":"users","namespace":"ksql","fields":[{"name":"registertime","type":"long"},{"name":"userid","type":"string"},{"name":"regionid","type":["null","string"],"default":null}]}"#;
const ORDERS_V1: &str = r#"{"type":"record","name":"orders","namespace":"ksql","fields":[{"name":"ordertime","type":"long"},{"name":"orderid","type":"int"}]}"#;
const ORDERS_V2: &str = r#"{"type":"record","name":"orders","namespace":"ksql","fields":[{"name":"ordertime","type":"long"},{"name":"orderid","type":"int"},{"name":"itemid","type":"string","default":""}]}"#;
const ADDRESS: &str = r#"{"type":"record","name":"Address","namespace":"common","fields":[{"name":"street","type":"string"}]}"#;
const CUSTOMER: &str = r#"{"type":"record","name":"Customer","namespace":"crm","fields":[{"name":"id","type":"long"},{"name":"home","type":"common.Address"}]}"#;

const COPIED: &str = "{ms} ms from the write to the copy.";

/// What the registries wrote before any link was there.
pub(super) fn registries() -> Act {
    use Side::Source;
    use Side::Target;
    Act {
        title: "Two registries have been at work",
        why: "Both counted their ids from 1. Every Kafka message carries the id of its schema, so \
              whoever renumbers ids on the way makes data unreadable.",
        writes: vec![
            (Source, noop()),
            (Source, schema("pageviews-value", 1, 1, PAGEVIEWS_V1)),
            (Source, schema("pageviews-key", 1, 2, "\"string\"")),
            (Source, config(Some("pageviews-value"), "FORWARD_TRANSITIVE")),
            (Source, schema("users-value", 1, 3, USERS_V1)),
            (Source, schema("users-value", 2, 4, USERS_V2)),
            (Source, schema("orders-value", 1, 5, ORDERS_V1)),
            (Source, schema("orders-value", 2, 6, ORDERS_V2)),
            (Target, noop()),
            (Target, config(None, "FULL")),
            (Target, schema("stock_trades-value", 1, 1, STOCK_TRADES)),
            (Target, schema("stock_trades-key", 1, 2, "\"string\"")),
        ],
        ..Act::default()
    }
}

/// What both links copy when they start.
pub(super) fn first_copy() -> Act {
    Act {
        title: "Two links start, face to face",
        why: "Each side gets the other's subjects in a context of its own, ids and versions kept, \
              behind a fence (READONLY). Two directions don't stop each other.",
        awaited: vec![
            target("CONTEXT .source"),
            target("MODE :.source:"),
            target("CONFIG :.source:"),
            target(":.source:pageviews-value v1"),
            target(":.source:pageviews-key v1"),
            target("CONFIG :.source:pageviews-value"),
            target(":.source:users-value v1"),
            target(":.source:users-value v2"),
            target(":.source:orders-value v1"),
            target(":.source:orders-value v2"),
            source("CONTEXT .target"),
            source("MODE :.target:"),
            source("CONFIG :.target:"),
            source(":.target:stock_trades-value v1"),
            source(":.target:stock_trades-key v1"),
        ],
        ..Act::default()
    }
}

/// What happens while both links follow.
pub(super) fn live() -> Vec<Act> {
    vec![
        new_version(),
        reference(),
        soft_delete(),
        subject_delete(),
        unknown_kind(),
        foreign_write(),
    ]
}

fn new_version() -> Act {
    Act {
        title: "pageviews-value gets a version 2",
        why: "Links follow the log, so nobody waits for the next poll of a REST API.",
        writes: vec![(Side::Source, schema("pageviews-value", 2, 7, PAGEVIEWS_V2))],
        awaited: vec![target(":.source:pageviews-value v2")],
        so: "{ms} ms from the write to the copy. (The broker of this demo answers a waiting reader \
             every 100 ms; Kafka's brokers do at once.)",
        ..Act::default()
    }
}

fn reference() -> Act {
    let referring = schema_with(
        ("customer-value", 1, 4),
        CUSTOMER,
        &json!({
            "deleted": false,
            "references": [{"name": "common.Address", "subject": "common.Address", "version": 1}],
        }),
    );
    Act {
        title: "The other way: a schema that references another",
        why: "A copy whose references lead nowhere can't be read: what is referenced comes first, \
              and a link whose filter would leave it behind adds it.",
        writes: vec![
            (Side::Target, schema("common.Address", 1, 3, ADDRESS)),
            (Side::Target, referring),
        ],
        awaited: vec![source(":.target:common.Address v1"), source(":.target:customer-value v1")],
        so: COPIED,
        ..Act::default()
    }
}

fn soft_delete() -> Act {
    let deleted = schema_with(("users-value", 1, 3), USERS_V1, &json!({ "deleted": true }));
    Act {
        title: "Version 1 of users-value is deleted, softly",
        why: "A soft-deleted version must stay readable by its id, and must not come back alive.",
        before: vec![(Side::Target, ":.source:users-value v1")],
        writes: vec![(Side::Source, deleted)],
        awaited: vec![target(":.source:users-value v1")],
        so: COPIED,
    }
}

fn subject_delete() -> Act {
    let subject = Subject::parse("orders-value");
    let value = json!({ "subject": "orders-value", "version": 2 });
    Act {
        title: "The whole subject orders-value is deleted",
        why: "The registry writes one event for it. Tools that miss it leave the copy alive; one \
              that forwards it can hang the other registry's reader. The link writes what the event \
              came to: each version, deleted.",
        before: vec![
            (Side::Target, ":.source:orders-value v1"),
            (Side::Target, ":.source:orders-value v2"),
        ],
        writes: vec![(Side::Source, record(&Key::DeleteSubject(subject), Some(&value)))],
        awaited: vec![target(":.source:orders-value v1"), target(":.source:orders-value v2")],
        so: COPIED,
    }
}

fn unknown_kind() -> Act {
    // As a registry of the 8.x line writes it; one of the 7.x line dies of it (odd-records 1.4).
    let key = json!({
        "keytype": "ASSOC", "tenant": "default", "resourceName": "pageviews",
        "resourceNamespace": "lkc", "resourceType": "topic", "associationType": "value",
        "subject": "pageviews-value", "magic": 0,
    });
    let value = json!({ "subject": "pageviews-value", "lifecycle": "WEAK", "frozen": false });
    let association = Outgoing {
        key: key.to_string().into_bytes(),
        value: Some(value.to_string().into_bytes()),
        ..Outgoing::default()
    };
    Act {
        title: "A record of a kind that kills older registries",
        why: "A registry of the 7.x line dies of a keytype that it doesn't know, and never starts \
              again. The link leaves the record out, counts it and goes on.",
        writes: vec![(Side::Source, association)],
        so: "Nothing arrives in target, and nothing stops.",
        ..Act::default()
    }
}

fn foreign_write() -> Act {
    let deletion = Outgoing { value: None, ..schema(":.source:pageviews-value", 1, 1, "") };
    Act {
        title: "Someone else deletes a record of the copy",
        why: "A registry's leader rolls records back, scripts go wrong. The copy is watched as \
              closely as the original: such drift is seen, said and repaired at once.",
        before: vec![(Side::Target, ":.source:pageviews-value v1")],
        writes: vec![(Side::Target, deletion)],
        awaited: vec![target(":.source:pageviews-value v1")],
        so: "{ms} ms from the deletion to its repair.",
    }
}

fn source(key: &'static str) -> Awaited {
    Awaited { side: Side::Source, key }
}

fn target(key: &'static str) -> Awaited {
    Awaited { side: Side::Target, key }
}

fn record(key: &Key, value: Option<&serde_json::Value>) -> Outgoing {
    Outgoing {
        key: key.canonical(),
        value: value.map(|value| value.to_string().into_bytes()),
        ..Outgoing::default()
    }
}

fn noop() -> Outgoing {
    record(&Key::Noop, None)
}

fn config(subject: Option<&str>, level: &str) -> Outgoing {
    let key = Key::Config(Subject::parse(subject.unwrap_or_default()));
    let value = match subject {
        Some(subject) => json!({ "subject": subject, "compatibilityLevel": level }),
        None => json!({ "compatibilityLevel": level }),
    };
    record(&key, Some(&value))
}

fn schema(subject: &str, version: i64, id: u32, text: &str) -> Outgoing {
    schema_with((subject, version, id), text, &json!({ "deleted": false }))
}

/// The value as a registry writes it: subject, version, id, schema, then the rest.
fn schema_with(
    (subject, version, id): (&str, i64, u32),
    text: &str,
    rest: &serde_json::Value,
) -> Outgoing {
    let mut value = json!({ "subject": subject, "version": version, "id": id, "schema": text });
    if let (Some(fields), Some(more)) = (value.as_object_mut(), rest.as_object()) {
        fields.extend(more.clone());
    }
    let version =
        Version::new(version).map(|version| Key::Schema(Subject::parse(subject), version));
    record(&version.unwrap_or(Key::Noop), Some(&value))
}
