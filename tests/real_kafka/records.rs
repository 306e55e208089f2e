//! Records of a schemas topic: as tests make them, as fixtures hold them, and what a log of them
//! says.

use std::{
    collections::BTreeMap,
    fs,
    hash::{BuildHasher, RandomState},
    path::Path,
};

use serde_json::{Value, json};

use crate::message::{NewRecord, Record};

/// The header under which a link says who wrote a record.
const PROVENANCE: &str = "schema-mirror";

/// What is added to a topic so that its log is cleaned, and what registries pass over.
pub(crate) fn noop() -> NewRecord {
    NewRecord::tombstone(r#"{"keytype":"NOOP","magic":0}"#)
}

/// The key of a version, as Confluent's registry spells it.
pub(crate) fn schema_key(subject: &str, version: u32) -> String {
    let subject = Value::from(subject);
    format!(r#"{{"keytype":"SCHEMA","subject":{subject},"version":{version},"magic":1}}"#)
}

/// A live version. One id always has the same text.
pub(crate) fn schema(subject: &str, version: u32, id: u32) -> NewRecord {
    let value = value(subject, version, id);
    NewRecord::put(&schema_key(subject, version), &value.to_string())
}

/// Ten new subjects, numbered from one on.
pub(crate) fn ten_from(first: u32) -> Vec<NewRecord> {
    (first..).take(10).map(|id| schema(&format!("s{id}"), 1, id)).collect()
}

/// The same version, soft-deleted.
pub(crate) fn soft_deleted(subject: &str, version: u32, id: u32) -> NewRecord {
    let mut value = value(subject, version, id);
    value["deleted"] = true.into();
    NewRecord::put(&schema_key(subject, version), &value.to_string())
}

/// The hard deletion of a version.
pub(crate) fn hard_deleted(subject: &str, version: u32) -> NewRecord {
    NewRecord::tombstone(&schema_key(subject, version))
}

/// All versions up to one are soft-deleted.
pub(crate) fn delete_subject(subject: &str, version: u32) -> NewRecord {
    let key = format!(r#"{{"keytype":"DELETE_SUBJECT","subject":"{subject}","magic":0}}"#);
    NewRecord::put(&key, &json!({ "subject": subject, "version": version }).to_string())
}

/// The key of a subject's compatibility level.
pub(crate) fn config_key(subject: &str) -> String {
    format!(r#"{{"keytype":"CONFIG","subject":"{subject}","magic":0}}"#)
}

/// A subject's compatibility level.
pub(crate) fn config(subject: &str, level: &str) -> NewRecord {
    let value = json!({ "subject": subject, "compatibilityLevel": level });
    NewRecord::put(&config_key(subject), &value.to_string())
}

/// The key of a subject's mode.
pub(crate) fn mode_key(subject: &str) -> String {
    format!(r#"{{"keytype":"MODE","subject":"{subject}","magic":0}}"#)
}

/// A subject's mode.
pub(crate) fn mode(subject: &str, mode: &str) -> NewRecord {
    let value = json!({ "subject": subject, "mode": mode });
    NewRecord::put(&mode_key(subject), &value.to_string())
}

/// Letters in which lz4 finds nothing to shorten, so that batches are as large as their records.
fn noise(bytes: usize) -> String {
    let hashes = RandomState::new();
    let words = (0..bytes).map(|number| format!("{:016x}", hashes.hash_one(number)));
    words.collect::<String>().chars().take(bytes).collect()
}

/// A schema whose record is about so large.
pub(crate) fn padded(subject: &str, id: u32, bytes: usize) -> NewRecord {
    let mut record = schema(subject, 1, id);
    let padding = format!(r#","padding":"{}"}}"#, noise(bytes));
    let text = String::from_utf8(record.value.unwrap()).unwrap();
    record.value = Some((text.strip_suffix('}').unwrap().to_owned() + &padding).into_bytes());
    record
}

/// The schema text that belongs to an id.
fn text(id: u32) -> String {
    let field = json!({ "name": "x", "type": "int" });
    json!({ "type": "record", "name": format!("R{id}"), "fields": [field] }).to_string()
}

fn value(subject: &str, version: u32, id: u32) -> Value {
    let schema = text(id);
    json!({ "subject": subject, "version": version, "id": id, "schema": schema, "deleted": false })
}

/// What a log says in the end: the newest value of each key and the time of its record. Tombstones
/// and NOOPs say nothing.
pub(crate) type State = BTreeMap<String, (Value, i64)>;

/// Folds a log.
pub(crate) fn fold(records: &[Record]) -> State {
    let mut state = State::new();
    for record in records {
        let key = key_of(record);
        match record.value.as_deref() {
            None => drop(state.remove(&key)),
            Some(bytes) => {
                let value = serde_json::from_slice(bytes);
                let value = value.unwrap_or_else(|error| panic!("{key} holds {error}: {bytes:?}"));
                state.insert(key, (value, record.timestamp.unwrap()));
            }
        }
    }
    state
}

/// A record's key as text.
pub(crate) fn key_of(record: &Record) -> String {
    String::from_utf8(record.key.clone().unwrap()).unwrap()
}

/// The keys and values of a state, without times.
pub(crate) fn meaning(state: &State) -> BTreeMap<&str, &Value> {
    state.iter().map(|(key, (value, _))| (key.as_str(), value)).collect()
}

/// Whether a version is there and live, there and soft-deleted, or not there.
pub(crate) fn version_in(state: &State, subject: &str, version: u32) -> Option<(u64, bool)> {
    let (value, _) = state.get(&schema_key(subject, version))?;
    Some((value["id"].as_u64().unwrap(), value["deleted"].as_bool().unwrap()))
}

/// What a link's header says about a record: its writer and the lease under which it wrote.
pub(crate) fn written_by(record: &Record) -> Option<(String, u64)> {
    let (_, value) = record.headers.iter().find(|(name, _)| name == PROVENANCE)?;
    let header: Value = serde_json::from_slice(value.as_deref()?).unwrap();
    Some((header["writer"].as_str()?.to_owned(), header["epoch"].as_u64()?))
}

/// The records that a registry left in its topic.
pub(crate) fn fixture(folder: &str) -> Vec<NewRecord> {
    lines_of(folder, "topic.jsonl").iter().map(new_record).collect()
}

/// The lines of a fixture's file.
pub(crate) fn lines_of(folder: &str, file: &str) -> Vec<Value> {
    let folders = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures"));
    let path = folders.join(folder).join(file);
    let text = fs::read_to_string(&path);
    let text = text.unwrap_or_else(|error| panic!("read {}: {error}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A record as fixtures spell it; bytes that are no UTF-8 are in `key_b64` and `value_b64`.
pub(crate) fn new_record(line: &Value) -> NewRecord {
    let bytes = |name: &str| match (line[name].as_str(), line[&format!("{name}_b64")].as_str()) {
        (Some(text), _) => Some(text.as_bytes().to_vec()),
        (None, Some(base64)) => Some(from_base64(base64)),
        (None, None) => None,
    };
    let headers = line["headers"].as_array().into_iter().flatten().map(|header| {
        (header[0].as_str().unwrap().to_owned(), header[1].as_str().map(from_base64))
    });
    NewRecord {
        key: bytes("key"),
        value: bytes("value"),
        timestamp: line["timestamp"].as_i64(),
        headers: headers.collect(),
    }
}

fn from_base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text.bytes().filter(|digit| *digit != b'=');
    let bits: Vec<bool> = digits
        .flat_map(|digit| {
            let value = DIGITS.iter().position(|known| *known == digit).expect("a base64 digit");
            [32, 16, 8, 4, 2, 1].map(|bit| value & bit != 0)
        })
        .collect();
    let whole_bytes = bits.chunks_exact(8);
    whole_bytes.map(|byte| byte.iter().fold(0, |byte, &bit| byte << 1 | u8::from(bit))).collect()
}
