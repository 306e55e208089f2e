//! A map of the file, read key by key. Whatever is wrong is noted and reading goes on, so that all
//! errors come at once.

use serde_json::Map;
use serde_json::Value;

use crate::config::defect::Defect;
use crate::config::defect::Refusal;
use crate::config::keys;
use crate::config::words::kind;

/// Reads one kind of value.
pub(super) type Parse<T> = fn(&Value) -> Result<T, Refusal>;

/// One map of the file with the path it stands at.
#[derive(Debug)]
pub(super) struct Section<'v, 'd> {
    path: String,
    entries: &'v Map<String, Value>,
    known: &'static [&'static str],
    defects: &'d mut Vec<Defect>,
}

impl<'v, 'd> Section<'v, 'd> {
    /// Opens a map; notes the keys it should not have. `None`, and a note, where it is no map.
    pub(super) fn open(
        path: impl Into<String>,
        value: &'v Value,
        known: &'static [&'static str],
        defects: &'d mut Vec<Defect>,
    ) -> Option<Self> {
        let path = path.into();
        let entries = open_map(&path, value, &format!("keys {}", known.join(", ")), defects)?;
        let section = Self { path, entries, known, defects };
        for key in entries.keys().filter(|key| !known.contains(&key.as_str())) {
            let path = section.path_of(key);
            let refusal = Refusal::new("unknown key", keys::suggestion(key, known));
            section.defects.push(refusal.at(path));
        }
        Some(section)
    }

    /// The path of a key of this map.
    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The raw value of a key, for those that are read by hand.
    pub(super) fn raw(&self, key: &str) -> Option<&'v Value> {
        debug_assert!(self.known.contains(&key), "{key} stands in no table of keys");
        self.entries.get(key)
    }

    /// Where to note what else is wrong.
    pub(super) fn defects(&mut self) -> &mut Vec<Defect> {
        self.defects
    }

    /// Notes what is wrong with the value of a key.
    pub(super) fn refuse(&mut self, key: &str, refusal: Refusal) {
        let path = self.path_of(key);
        self.defects.push(refusal.at(path));
    }

    /// The value of a key that may be missing.
    pub(super) fn optional<T>(&mut self, key: &str, parse: Parse<T>) -> Option<T> {
        match parse(self.raw(key)?) {
            Ok(value) => Some(value),
            Err(refusal) => {
                self.refuse(key, refusal);
                None
            }
        }
    }

    /// The value of a key, or its default. A default also stands in for a value that was refused:
    /// it goes nowhere, as the whole file is refused then.
    pub(super) fn or<T>(&mut self, key: &str, default: T, parse: Parse<T>) -> T {
        self.optional(key, parse).unwrap_or(default)
    }

    /// The value of a key that has to be there; says what to write where it is not.
    pub(super) fn required<T>(&mut self, key: &str, right: &str, parse: Parse<T>) -> Option<T> {
        self.required_raw(key, right)?;
        self.optional(key, parse)
    }

    /// The raw value of a key that has to be there.
    pub(super) fn required_raw(&mut self, key: &str, right: &str) -> Option<&'v Value> {
        let value = self.raw(key);
        if value.is_none() {
            self.refuse(key, Refusal::new("missing", right));
        }
        value
    }
}

/// A map whose keys are free: cluster names, Kafka properties.
pub(super) fn open_map<'a>(
    path: &str,
    value: &'a Value,
    holds: &str,
    defects: &mut Vec<Defect>,
) -> Option<&'a Map<String, Value>> {
    if let Value::Object(entries) = value {
        return Some(entries);
    }
    let right = format!("write a map with {holds}");
    defects.push(Refusal::new(format!("{} is not a map", kind(value)), right).at(path));
    None
}
