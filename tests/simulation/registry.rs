//! A registry's state as it follows its topic: the small model that everything is held against.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use schema_mirror::core::record::Offset;
use schema_mirror::core::record::Record;
use serde_json::Map;
use serde_json::Value;

use super::said::LogKey;
use super::said::Passport;
use super::said::Place;
use super::said::Said;
use super::said::passport;
use super::said::said;

/// What a key holds, and the record behind it.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) value: Map<String, Value>,
    /// Deleted softly, by its own record or by a DELETE_SUBJECT.
    pub(crate) deleted: bool,
    pub(crate) offset: Offset,
    pub(crate) timestamp_ms: i64,
    pub(crate) passport: Option<Passport>,
}

impl Held {
    pub(crate) fn id(&self) -> i64 {
        self.value.get("id").and_then(Value::as_i64).unwrap_or_default()
    }

    pub(crate) fn text(&self) -> &str {
        self.value.get("schema").and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn references(&self) -> Vec<(String, i64)> {
        let list = self.value.get("references").and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .map(|reference| {
                let subject = reference.get("subject").and_then(Value::as_str).unwrap_or_default();
                let version = reference.get("version").and_then(Value::as_i64).unwrap_or_default();
                (subject.to_owned(), version)
            })
            .collect()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Applied,
    Nothing,
    /// The registry skips it.
    Skipped(&'static str),
    /// The id stands for another text: a leader rolls it back.
    Rejected,
    /// The registry goes on with a state that nobody meant.
    Broken(&'static str),
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Registry {
    pub(crate) keys: BTreeMap<LogKey, Held>,
    /// Keys whose newest record nobody can use: what stood there before compaction is anyone's guess.
    pub(crate) faulty: BTreeSet<LogKey>,
    /// Byte spellings under which a key stands in the log.
    pub(crate) spellings: BTreeMap<LogKey, BTreeSet<Vec<u8>>>,
    /// The version that answers for an id of a subject: the last one that was read. With its
    /// tombstone the id is gone, whatever other versions have it (odd-records 3.10).
    ids: BTreeMap<(Place, i64), u32>,
}

impl Registry {
    pub(crate) fn fold<'a>(records: impl Iterator<Item = &'a Record>) -> Self {
        let mut registry = Self::default();
        for record in records {
            registry.apply(record);
        }
        registry
    }

    pub(crate) fn apply(&mut self, record: &Record) -> Verdict {
        match said(record) {
            Said::Nothing => Verdict::Nothing,
            Said::Poison => Verdict::Broken("no registry of this release knows the kind of key"),
            Said::Faulty(key, why) => {
                self.faulty.extend(key);
                Verdict::Skipped(why)
            }
            Said::DeleteSubject(place, upto) => {
                for (key, held) in &mut self.keys {
                    if let LogKey::Schema(of, version) = key
                        && *of == place
                        && i64::from(*version) <= upto
                    {
                        held.deleted = true;
                    }
                }
                Verdict::Applied
            }
            Said::Clear(_) => Verdict::Nothing,
            Said::State(key, value) => self.set(key, value, record),
        }
    }

    fn set(&mut self, key: LogKey, value: Option<Map<String, Value>>, record: &Record) -> Verdict {
        self.faulty.remove(&key);
        let bytes = record.key.clone().unwrap_or_default();
        let Some(value) = value else {
            let spellings = self.spellings.entry(key.clone()).or_default();
            spellings.remove(&bytes[..]);
            if let (LogKey::Schema(place, version), Some(gone)) = (&key, self.keys.remove(&key)) {
                let by_id = (place.clone(), gone.id());
                if self.ids.get(&by_id) == Some(version) {
                    self.ids.remove(&by_id);
                }
            }
            return Verdict::Applied;
        };
        self.spellings.entry(key.clone()).or_default().insert(bytes.to_vec());
        let held = Held {
            deleted: value.get("deleted").and_then(Value::as_bool).unwrap_or_default(),
            value,
            offset: record.offset,
            timestamp_ms: record.timestamp_ms.unwrap_or_default(),
            passport: passport(record),
        };
        if let LogKey::Schema(place, version) = &key {
            if self.text_of(&place.context, held.id()).is_some_and(|text| text != held.text()) {
                return Verdict::Rejected;
            }
            self.ids.insert((place.clone(), held.id()), *version);
            if self.keys.get(&key).is_some_and(|before| before.id() != held.id()) {
                self.keys.insert(key, held);
                return Verdict::Broken("another id without a tombstone before");
            }
        }
        self.keys.insert(key, held);
        Verdict::Applied
    }

    /// What it holds, for comparing two of them.
    pub(crate) fn says(&self) -> Vec<(&LogKey, &Map<String, Value>, bool)> {
        self.keys.iter().map(|(key, held)| (key, &held.value, held.deleted)).collect()
    }

    /// Whether a key stands, and its id leads to an earlier version of its subject.
    pub(crate) fn is_overtaken(&self, key: &LogKey) -> bool {
        let (LogKey::Schema(place, version), Some(held)) = (key, self.keys.get(key)) else {
            return false;
        };
        self.ids.get(&(place.clone(), held.id())).is_some_and(|named| named < version)
    }

    /// Whether a key stands, and no request finds it by its id.
    pub(crate) fn lost_its_id(&self, key: &LogKey) -> bool {
        let (LogKey::Schema(place, _), Some(held)) = (key, self.keys.get(key)) else {
            return false;
        };
        !self.ids.contains_key(&(place.clone(), held.id()))
    }

    pub(crate) fn text_of(&self, context: &str, id: i64) -> Option<&str> {
        self.keys.iter().find_map(|(key, held)| match key {
            LogKey::Schema(place, _) if place.context == context && held.id() == id => {
                Some(held.text())
            }
            _ => None,
        })
    }

    /// The versions of a subject, the soft-deleted ones among them.
    pub(crate) fn versions(&self, place: &Place) -> Vec<(u32, &Held)> {
        self.keys
            .iter()
            .filter_map(|(key, held)| match key {
                LogKey::Schema(of, version) if of == place => Some((*version, held)),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn id_max(&self, context: &str) -> i64 {
        let ids = self.keys.iter().filter_map(|(key, held)| match key {
            LogKey::Schema(place, _) if place.context == context => Some(held.id()),
            _ => None,
        });
        ids.max().unwrap_or_default()
    }

    /// Subjects that hold schemas.
    pub(crate) fn subjects(&self) -> BTreeSet<Place> {
        let places = self.keys.keys().filter_map(|key| match key {
            LogKey::Schema(place, _) => Some(place.clone()),
            LogKey::Context(_) | LogKey::Mode(_) | LogKey::Config(_) => None,
        });
        places.collect()
    }

    pub(crate) fn config(&self, place: &Place) -> Option<&Held> {
        self.keys.get(&LogKey::Config(place.clone()))
    }
}
