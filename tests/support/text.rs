//! Logs as people write them, one record a line.
//!
//! ```text
//! orders v1 id=7 text=long refs=dep:1,:.x:dep:2 with={"schemaType":"JSON"} deleted
//! orders v1 -                       a tombstone          orders v1 EMPTY    an empty value
//! CONFIG orders FULL                CONFIG . {"alias":"x"}    CONFIG . -    (`.`: without subject)
//! MODE :.source: READONLY           CONTEXT .source           CONTEXT .source -
//! DELETE_SUBJECT orders 2           CLEAR_SUBJECT :.source:   NOOP
//! RAW {"keytype":"FOO"} => {}       bytes as they stand; NULL and EMPTY are what they say
//! … @ ts=5 link=other writer=w path=A,B key=legacy karapace
//! ```

use std::collections::BTreeMap;

use schema_mirror::core::provenance::Provenance;
use schema_mirror::core::record::Header;
use schema_mirror::core::record::Outgoing;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

/// The record that a line stands for.
pub(crate) fn record(line: &str) -> Outgoing {
    let (said, options) = line.rsplit_once(" @ ").unwrap_or((line, ""));
    let (key, value) = key_and_value(said.trim());
    let mut record = Outgoing { key, value, ..Outgoing::default() };
    let mut headers = Vec::new();
    let mut provenance = Provenance {
        link: "other".to_owned(),
        writer: "elsewhere".to_owned(),
        epoch: 1,
        path: Vec::new(),
    };
    let mut has_provenance = false;
    for option in options.split_whitespace() {
        let (name, set) = option.split_once('=').unwrap_or((option, ""));
        match name {
            "ts" => record.timestamp_ms = Some(set.parse().unwrap()),
            "link" => (provenance.link, has_provenance) = (set.to_owned(), true),
            "writer" => (provenance.writer, has_provenance) = (set.to_owned(), true),
            "path" => {
                provenance.path = set.split(',').map(str::to_owned).collect();
                has_provenance = true;
            }
            "key" => record.key = other_spelling(&record.key, set),
            "karapace" => headers.push(Header {
                name: "X-Registry-Version".to_owned(),
                value: Some(b"karapace-6.2.0".to_vec()),
            }),
            other => panic!("{line:?}: no option {other:?}"),
        }
    }
    if has_provenance {
        headers.push(provenance.header());
    }
    record.headers = headers.into();
    record
}

fn key_and_value(said: &str) -> (Vec<u8>, Option<Vec<u8>>) {
    if let Some(raw) = said.strip_prefix("RAW ") {
        let (key, value) = raw.split_once(" => ").unwrap();
        return (key.as_bytes().to_vec(), raw_value(value));
    }
    let (first, rest) = said.split_once(' ').unwrap_or((said, ""));
    let (key, value) = match first {
        "NOOP" => (json!({"keytype": "NOOP", "magic": 0}), None),
        "CONTEXT" => context(rest),
        "CONFIG" => setting("CONFIG", "compatibilityLevel", rest),
        "MODE" => setting("MODE", "mode", rest),
        "DELETE_SUBJECT" => {
            let (subject, version) = rest.split_once(' ').unwrap();
            let value = version.parse::<i64>().ok();
            let value = value.map(|version| json!({"subject": subject, "version": version}));
            (key("DELETE_SUBJECT", subject), value.map(|value| bytes(&value)))
        }
        "CLEAR_SUBJECT" if rest.is_empty() => {
            (json!({"keytype": "CLEAR_SUBJECT", "magic": 0}), Some(b"{}".to_vec()))
        }
        "CLEAR_SUBJECT" => (key("CLEAR_SUBJECT", rest), Some(bytes(&json!({"subject": rest})))),
        subject => schema(subject, rest),
    };
    (jackson(&bytes(&key)), value)
}

fn raw_value(value: &str) -> Option<Vec<u8>> {
    match value {
        "NULL" => None,
        "EMPTY" => Some(Vec::new()),
        json => Some(json.as_bytes().to_vec()),
    }
}

fn context(rest: &str) -> (Value, Option<Vec<u8>>) {
    let (name, gone) = rest.split_once(' ').unwrap_or((rest, ""));
    let key = json!({"keytype": "CONTEXT", "tenant": "default", "context": name, "magic": 0});
    let value = bytes(&json!({"tenant": "default", "context": name}));
    (key, (gone != "-").then_some(value))
}

fn key(kind: &str, subject: &str) -> Value {
    if subject == "." {
        json!({"keytype": kind, "magic": 0})
    } else {
        json!({"keytype": kind, "subject": subject, "magic": 0})
    }
}

fn setting(kind: &str, field: &str, rest: &str) -> (Value, Option<Vec<u8>>) {
    let (subject, says) = rest.split_once(' ').unwrap();
    let mut fields = Map::new();
    if subject != "." {
        fields.insert("subject".to_owned(), subject.into());
    }
    let value = match says {
        "-" => None,
        "EMPTY" => Some(Vec::new()),
        json if json.starts_with('{') => {
            fields.extend(serde_json::from_str::<Map<String, Value>>(json).unwrap());
            Some(bytes(&Value::Object(fields)))
        }
        word => {
            fields.insert(field.to_owned(), word.into());
            Some(bytes(&Value::Object(fields)))
        }
    };
    (key(kind, subject), value)
}

fn schema(subject: &str, rest: &str) -> (Value, Option<Vec<u8>>) {
    let mut words = rest.split_whitespace();
    let version: i64 = words.next().unwrap().strip_prefix('v').unwrap().parse().unwrap();
    let key = json!({"keytype": "SCHEMA", "subject": subject, "version": version, "magic": 1});
    let mut fields = Map::new();
    fields.insert("subject".to_owned(), subject.into());
    fields.insert("version".to_owned(), version.into());
    let mut deleted = false;
    for word in words {
        let (name, set) = word.split_once('=').unwrap_or((word, ""));
        match name {
            "-" => return (key, None),
            "EMPTY" => return (key, Some(Vec::new())),
            "null" => return (key, Some(b"null".to_vec())),
            "id" => {
                fields.insert("id".to_owned(), serde_json::from_str(set).unwrap());
                if !fields.contains_key("schema") {
                    fields.insert("schema".to_owned(), format!("\"t{set}\"").into());
                }
            }
            "text" => drop(fields.insert("schema".to_owned(), format!("\"{set}\"").into())),
            "refs" => drop(fields.insert("references".to_owned(), references(set))),
            "with" => fields.extend(serde_json::from_str::<Map<String, Value>>(set).unwrap()),
            "deleted" => deleted = true,
            other => panic!("{subject} {rest:?}: no word {other:?}"),
        }
    }
    fields.insert("deleted".to_owned(), deleted.into());
    (key, Some(bytes(&Value::Object(fields))))
}

fn references(set: &str) -> Value {
    let list = set.split(',').map(|one| {
        let (subject, version) = one.rsplit_once(':').unwrap();
        json!({"name": subject, "subject": subject, "version": version.parse::<i64>().unwrap()})
    });
    Value::Array(list.collect())
}

fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// The bytes that Jackson writes: supplementary characters as pairs, controls in capitals.
fn jackson(json: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(json).unwrap();
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\\' {
            let escape = chars.next().unwrap();
            out.extend([c, escape]);
            if escape == 'u' {
                out.extend(chars.by_ref().take(4).map(|digit| digit.to_ascii_uppercase()));
            }
        } else if u32::from(c) > 0xFFFF {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04X}"));
            }
        } else {
            out.push(c);
        }
    }
    out.into_bytes()
}

/// The same key under other bytes.
fn other_spelling(key: &[u8], how: &str) -> Vec<u8> {
    let fields: Map<String, Value> = serde_json::from_slice(key).unwrap();
    let mut spelled = Map::new();
    match how {
        "legacy" => {
            for name in ["subject", "version", "magic", "keytype"] {
                if let Some(value) = fields.get(name) {
                    spelled.insert(name.to_owned(), value.clone());
                }
            }
        }
        _ if how.starts_with("redpanda") => {
            let seq = how.strip_prefix("redpanda:").map_or(7, |seq| seq.parse::<i64>().unwrap());
            spelled.extend(fields);
            spelled.insert("seq".to_owned(), seq.into());
            spelled.insert("node".to_owned(), 0.into());
        }
        "null" => {
            spelled.insert("keytype".to_owned(), fields["keytype"].clone());
            spelled.insert("subject".to_owned(), Value::Null);
            spelled.insert("magic".to_owned(), 0.into());
        }
        other => panic!("no spelling {other:?}"),
    }
    bytes(&Value::Object(spelled))
}

/// What a record says, as a line: fields in one order, whatever order they have in the value.
pub(crate) fn line(key: &[u8], value: Option<&[u8]>) -> String {
    let raw = || {
        let value = value.map_or_else(|| "NULL".into(), String::from_utf8_lossy);
        format!("RAW {} => {value}", String::from_utf8_lossy(key))
    };
    let Ok(fields) = serde_json::from_slice::<Map<String, Value>>(key) else { return raw() };
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or(".").to_owned();
    let parsed = value.map(serde_json::from_slice::<Map<String, Value>>);
    let Ok(said) = parsed.transpose() else { return raw() };
    let line = match (text("keytype").as_str(), said) {
        ("SCHEMA", Some(said)) => schema_line(&fields, said),
        ("SCHEMA", None) => format!("{} v{} -", text("subject"), fields["version"]),
        ("CONTEXT", said) => {
            format!("CONTEXT {}{}", text("context"), if said.is_some() { "" } else { " -" })
        }
        (kind @ ("CONFIG" | "MODE"), said) => {
            let field = if kind == "MODE" { "mode" } else { "compatibilityLevel" };
            format!("{kind} {} {}", text("subject"), setting_text(field, said))
        }
        ("DELETE_SUBJECT", Some(said)) => {
            let last = said.get("version").unwrap_or(&Value::Null);
            format!("DELETE_SUBJECT {} {last}", text("subject"))
        }
        _ => raw(),
    };
    if canonical(&fields) == key {
        line
    } else {
        format!("{line} @ {}", String::from_utf8_lossy(key))
    }
}

/// The bytes that Confluent writes for a key with these fields.
pub(crate) fn canonical(fields: &Map<String, Value>) -> Vec<u8> {
    let order = [
        "keytype",
        "tenant",
        "context",
        "resourceName",
        "resourceNamespace",
        "resourceType",
        "associationType",
        "subject",
        "version",
    ];
    let mut ordered: Map<String, Value> = order
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), fields.get(*name)?.clone())))
        .filter(|(_, value)| !value.is_null())
        .collect();
    let magic = if fields.get("keytype") == Some(&Value::from("SCHEMA")) { 1 } else { 0 };
    ordered.insert("magic".to_owned(), magic.into());
    jackson(&bytes(&Value::Object(ordered)))
}

fn setting_text(field: &str, said: Option<Map<String, Value>>) -> String {
    let Some(mut said) = said else { return "-".to_owned() };
    said.remove("subject");
    said.sort_keys();
    match said.get(field).and_then(Value::as_str) {
        Some(word) if said.len() == 1 => word.to_owned(),
        Some(_) | None => Value::Object(said).to_string(),
    }
}

fn schema_line(key: &Map<String, Value>, mut said: Map<String, Value>) -> String {
    said.remove("subject");
    said.remove("version");
    let id = said.remove("id").unwrap_or_default();
    let mut line = format!("{} v{} id={id}", key["subject"].as_str().unwrap(), key["version"]);
    let schema = said.remove("schema").unwrap_or_default();
    let schema = schema.as_str().unwrap_or_default().trim_matches('"').to_owned();
    if schema != format!("t{id}") {
        line.push_str(&format!(" text={schema}"));
    }
    if let Some(Value::Array(list)) = said.get("references").cloned() {
        said.remove("references");
        let list: Vec<String> = list
            .iter()
            .map(|one| {
                format!("{}:{}", one["subject"].as_str().unwrap_or_default(), one["version"])
            })
            .collect();
        line.push_str(&format!(" refs={}", list.join(",")));
    }
    let deleted = said.remove("deleted");
    if !said.is_empty() {
        said.sort_keys();
        line.push_str(&format!(" with={}", Value::Object(said)));
    }
    if deleted == Some(Value::Bool(true)) {
        line.push_str(" deleted");
    }
    line
}

/// The newest record of every key that has a value, as sorted lines: what compaction leaves.
pub(crate) fn state<'a>(
    records: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
) -> Vec<String> {
    let newest: BTreeMap<&[u8], Option<&[u8]>> = records.collect();
    let mut lines: Vec<String> = newest
        .into_iter()
        .filter_map(|(key, value)| Some(line(key, Some(value?))))
        .filter(|line| !line.contains("\"NOOP\""))
        .collect();
    lines.sort();
    lines
}
