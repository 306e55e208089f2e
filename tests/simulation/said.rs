//! What a record says, read by code that shares nothing with the crate's own.

use schema_mirror::core::record::Record;
use serde_json::Map;
use serde_json::Value;

/// A subject by context and name; the empty name stands for the context.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) context: String,
    pub(crate) name: String,
}

impl Place {
    pub(crate) fn new(context: &str, name: &str) -> Self {
        Self { context: context.to_owned(), name: name.to_owned() }
    }

    pub(crate) fn parse(spelled: &str) -> Self {
        if let Some(rest) = spelled.strip_prefix(":.") {
            let (context, name) = rest.split_once(':').unwrap_or((rest, ""));
            return Self::new(&format!(".{context}"), name);
        }
        Self::new(".", spelled)
    }

    pub(crate) fn spelled(&self) -> String {
        if self.context == "." {
            self.name.clone()
        } else {
            format!(":{}:{}", self.context, self.name)
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LogKey {
    Context(String),
    Mode(Place),
    Config(Place),
    Schema(Place, u32),
}

impl LogKey {
    pub(crate) fn place(&self) -> Place {
        match self {
            Self::Context(context) => Place::new(context, ""),
            Self::Mode(place) | Self::Config(place) | Self::Schema(place, _) => place.clone(),
        }
    }

    /// The bytes that a Confluent registry writes (the names used here need no escapes but `"`).
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let subject = |place: &Place| match place.spelled() {
            spelled if spelled.is_empty() => String::new(),
            spelled => format!(r#","subject":{}"#, Value::from(spelled)),
        };
        match self {
            Self::Context(context) => format!(
                r#"{{"keytype":"CONTEXT","tenant":"default","context":"{context}","magic":0}}"#
            ),
            Self::Mode(place) => format!(r#"{{"keytype":"MODE"{},"magic":0}}"#, subject(place)),
            Self::Config(place) => format!(r#"{{"keytype":"CONFIG"{},"magic":0}}"#, subject(place)),
            Self::Schema(place, version) => {
                format!(r#"{{"keytype":"SCHEMA"{},"version":{version},"magic":1}}"#, subject(place))
            }
        }
        .into_bytes()
    }

    /// The bytes that registries before 5.2.5 wrote.
    pub(crate) fn legacy_bytes(&self) -> Vec<u8> {
        match self {
            Self::Schema(place, version) => format!(
                r#"{{"subject":{},"version":{version},"magic":1,"keytype":"SCHEMA"}}"#,
                Value::from(place.spelled())
            )
            .into_bytes(),
            Self::Context(_) | Self::Mode(_) | Self::Config(_) => self.bytes(),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Said {
    /// A key's state; `None` takes it away.
    State(LogKey, Option<Map<String, Value>>),
    DeleteSubject(Place, i64),
    Clear(Option<Place>),
    Nothing,
    /// Skipped by registries, or misread; the key whose state it meant to set.
    Faulty(Option<LogKey>, &'static str),
    /// No registry older than the key's kind survives it.
    Poison,
}

const LEVELS: [&str; 7] = [
    "NONE",
    "BACKWARD",
    "BACKWARD_TRANSITIVE",
    "FORWARD",
    "FORWARD_TRANSITIVE",
    "FULL",
    "FULL_TRANSITIVE",
];
const MODES: [&str; 5] = ["READWRITE", "READONLY", "READONLY_OVERRIDE", "IMPORT", "FORWARD"];

/// Reads a record as a registry would.
pub(crate) fn said(record: &Record) -> Said {
    let Some(Ok(Value::Object(key))) = record.key.as_deref().map(serde_json::from_slice::<Value>)
    else {
        return Said::Faulty(None, "key");
    };
    let text = |field: &str| key.get(field).and_then(Value::as_str).unwrap_or_default();
    let place = Place::parse(text("subject"));
    let log_key = match text("keytype") {
        "NOOP" => return Said::Nothing,
        "SCHEMA" if place.name.is_empty() => return Said::Faulty(None, "subject"),
        "SCHEMA" => match key.get("version").and_then(Value::as_u64) {
            Some(version @ 1..) => LogKey::Schema(place, u32::try_from(version).unwrap()),
            _ => return Said::Faulty(None, "version"),
        },
        "CONFIG" => LogKey::Config(place),
        "MODE" => LogKey::Mode(place),
        "CONTEXT" => LogKey::Context(text("context").to_owned()),
        "DELETE_SUBJECT" | "CLEAR_SUBJECT" => return event(text("keytype"), record),
        _ => return Said::Poison,
    };
    let Some(bytes) = &record.value else { return Said::State(log_key, None) };
    match serde_json::from_slice::<Value>(bytes) {
        Ok(Value::Object(value)) => match defect(&log_key, &value) {
            Some(defect) => Said::Faulty(Some(log_key), defect),
            None => Said::State(log_key, Some(value)),
        },
        Ok(_) | Err(_) => Said::Faulty(Some(log_key), "value"),
    }
}

fn event(kind: &str, record: &Record) -> Said {
    let Some(bytes) = &record.value else { return Said::Nothing };
    let Ok(Value::Object(value)) = serde_json::from_slice::<Value>(bytes) else {
        return Said::Faulty(None, "event");
    };
    let place = value.get("subject").and_then(Value::as_str).map(Place::parse);
    if kind == "CLEAR_SUBJECT" {
        return Said::Clear(place);
    }
    match (place, value.get("version").and_then(Value::as_i64)) {
        (Some(place), Some(version)) => Said::DeleteSubject(place, version),
        _ => Said::Faulty(None, "event"),
    }
}

fn defect(key: &LogKey, value: &Map<String, Value>) -> Option<&'static str> {
    let text = |field: &str| value.get(field).and_then(Value::as_str);
    let names_other =
        |place: &Place| text("subject").is_some_and(|subject| Place::parse(subject) != *place);
    match key {
        LogKey::Context(context) => {
            (text("context") != Some(context)).then_some("context in the value")
        }
        LogKey::Mode(_) => {
            (!text("mode").is_some_and(|mode| MODES.contains(&mode))).then_some("mode")
        }
        LogKey::Config(_) => {
            let known = |level: &Value| level.as_str().is_some_and(|l| LEVELS.contains(&l));
            let bad = value.get("compatibilityLevel").is_some_and(|level| !known(level));
            bad.then_some("compatibilityLevel")
        }
        LogKey::Schema(place, version) => {
            let number = |field: &str| value.get(field).and_then(Value::as_i64);
            if number("id").is_none_or(|id| id >= 2_147_482_647) {
                return Some("id");
            }
            if number("version") != Some(i64::from(*version)) || names_other(place) {
                return Some("key and value differ");
            }
            if text("schema").is_none_or(str::is_empty) {
                return Some("schema");
            }
            let references = value.get("references").and_then(Value::as_array);
            let broken = references.into_iter().flatten().any(|reference| {
                reference.get("subject").and_then(Value::as_str).is_none()
                    || reference.get("version").and_then(Value::as_i64).is_none()
            });
            broken.then_some("references")
        }
    }
}

/// The link's header, where a record has one: link, writer, epoch, path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Passport {
    pub(crate) link: String,
    pub(crate) writer: String,
    pub(crate) epoch: u64,
    pub(crate) path: Vec<String>,
}

pub(crate) fn passport(record: &Record) -> Option<Passport> {
    let header = record.headers.iter().find(|header| header.name == "schema-mirror")?;
    let value: Value = serde_json::from_slice(header.value.as_deref()?).ok()?;
    let text = |field: &str| value.get(field).and_then(Value::as_str).map(str::to_owned);
    let path = value.get("path")?.as_array()?;
    Some(Passport {
        link: text("link")?,
        writer: text("writer")?,
        epoch: value.get("epoch")?.as_u64()?,
        path: path.iter().filter_map(|id| id.as_str().map(str::to_owned)).collect(),
    })
}
