//! A small model of Confluent's registry: what its reader makes of a log, written from its source
//! and from what 7.9.5 was seen to do. It shares no code with what it judges.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde_json::Map;
use serde_json::Value;

/// What the registry made of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Took {
    /// It applied it, or rightly ignored it.
    Applied,
    /// It logged an error and went on without it.
    Skipped(&'static str),
    /// Its leader takes the record back: another text has the id.
    RolledBack(String),
    /// It applied it and answers wrongly from then on.
    Harmed(&'static str),
    /// Its reader is dead.
    Died(&'static str),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Schema {
    id: i64,
    text: String,
    deleted: bool,
}

type Place = (String, String, i64);

/// A registry's memory.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Registry {
    schemas: BTreeMap<Place, Schema>,
    /// (context, id) → subject → version: the last one processed.
    ids: BTreeMap<(String, i64), BTreeMap<String, i64>>,
    settings: BTreeMap<(String, String), String>,
    contexts: BTreeSet<String>,
    dead: bool,
    /// Whether it is of a release that knows ASSOC; others die of it.
    reads_associations: bool,
    /// (resource id, association type) → subject.
    tied: BTreeMap<(String, String), String>,
}

impl Registry {
    /// One that knows ASSOC: 8.0.7, 8.1.5, 8.2.0 and later.
    pub(crate) fn of_8() -> Self {
        Self { reads_associations: true, ..Self::default() }
    }

    /// Takes one record.
    pub(crate) fn take(&mut self, key: &[u8], value: Option<&[u8]>) -> Took {
        if self.dead {
            return Took::Died("its reader died before");
        }
        let Ok(Value::Object(key)) = serde_json::from_slice(key) else {
            return Took::Skipped("the key is no JSON object");
        };
        let value = match value {
            None | Some(b"null") => None,
            Some(bytes) => match serde_json::from_slice::<Map<String, Value>>(bytes) {
                Ok(value) => Some(value),
                Err(_) => return Took::Skipped("the value is no JSON object"),
            },
        };
        match key.get("keytype").and_then(Value::as_str) {
            Some("NOOP") => Took::Applied,
            Some("SCHEMA") => self.take_schema(&key, value),
            Some(kind @ ("CONFIG" | "MODE")) => self.take_setting(kind, &key, value),
            Some("CONTEXT") => self.take_context(&key, value),
            Some("DELETE_SUBJECT") => self.take_delete_subject(value),
            Some("ASSOC") if self.reads_associations => self.take_association(&key, value),
            Some("CLEAR_SUBJECT") => self.take_clear_subject(value),
            Some(_) | None => {
                self.dead = true;
                Took::Died("it does not know the keytype")
            }
        }
    }

    fn take_schema(&mut self, key: &Map<String, Value>, value: Option<Map<String, Value>>) -> Took {
        let Some(spelled) = key.get("subject").and_then(Value::as_str) else {
            return Took::Skipped("the key has no subject");
        };
        let Some(version) = key.get("version").and_then(Value::as_i64) else {
            return Took::Harmed("version 0 is never listed");
        };
        let (context, subject) = qualified(spelled);
        let place = (context.clone(), subject.clone(), version);
        let Some(value) = value else {
            self.remove(&place);
            return Took::Applied;
        };
        if let Some(fault) = schema_fault(&value, spelled, version) {
            return fault;
        }
        let id = value["id"].as_i64().unwrap_or_default();
        let text = value["schema"].as_str().unwrap_or_default().to_owned();
        if let Some(holder) = self.other_text(&context, id, &text) {
            return Took::RolledBack(format!("{spelled} v{version}: id {id} belongs to {holder}"));
        }
        let moved = self.schemas.get(&place).is_some_and(|old| old.id != id);
        let deleted = value.get("deleted").and_then(Value::as_bool).unwrap_or(false);
        self.ids.entry((context, id)).or_default().insert(subject, version);
        self.schemas.insert(place, Schema { id, text, deleted });
        if moved { Took::Harmed("the old id answers the new text") } else { Took::Applied }
    }

    fn other_text(&self, context: &str, id: i64, text: &str) -> Option<String> {
        let holders = self.ids.get(&(context.to_owned(), id))?;
        holders.iter().find_map(|(subject, version)| {
            let held = self.schemas.get(&(context.to_owned(), subject.clone(), *version))?;
            (held.text != text).then(|| format!("{subject} v{version}"))
        })
    }

    fn remove(&mut self, place: &Place) {
        let Some(old) = self.schemas.remove(place) else { return };
        let (context, subject, version) = place;
        let at = (context.clone(), old.id);
        if let Some(holders) = self.ids.get_mut(&at) {
            if holders.get(subject) == Some(version) {
                holders.remove(subject);
            }
            if holders.is_empty() {
                self.ids.remove(&at);
            }
        }
    }

    fn take_setting(
        &mut self,
        kind: &str,
        key: &Map<String, Value>,
        value: Option<Map<String, Value>>,
    ) -> Took {
        let spelled = key.get("subject").and_then(Value::as_str).unwrap_or_default();
        if matches!(spelled, ":.:" | ":.") {
            return Took::Harmed("it is never found");
        }
        let (context, subject) = qualified(spelled);
        let at = (kind.to_owned(), format!(":{context}:{subject}"));
        let Some(mut value) = value else {
            self.settings.remove(&at);
            return Took::Applied;
        };
        let word = |field: &str| value.get(field).and_then(Value::as_str);
        let levels = [
            "NONE",
            "BACKWARD",
            "BACKWARD_TRANSITIVE",
            "FORWARD",
            "FORWARD_TRANSITIVE",
            "FULL",
            "FULL_TRANSITIVE",
        ];
        match (kind, word("compatibilityLevel"), word("mode")) {
            ("CONFIG", Some(level), _) if !levels.contains(&level) => {
                return Took::Skipped("it does not know the level");
            }
            ("MODE", _, None) => return Took::Harmed("no mode: every registration is refused"),
            ("MODE", _, Some("READWRITE" | "READONLY" | "READONLY_OVERRIDE" | "IMPORT"))
            | ("CONFIG", ..) => {}
            _ => return Took::Skipped("it does not know the mode"),
        }
        let alias = word("alias").filter(|alias| context != "." && !alias.starts_with(":."));
        if alias.is_some() {
            return Took::Harmed("the alias is resolved against the default context");
        }
        value.remove("subject");
        value.sort_keys();
        self.settings.insert(at, Value::Object(value).to_string());
        Took::Applied
    }

    fn take_context(
        &mut self,
        key: &Map<String, Value>,
        value: Option<Map<String, Value>>,
    ) -> Took {
        let name = key.get("context").and_then(Value::as_str).unwrap_or_default().to_owned();
        match value {
            None => drop(self.contexts.remove(&name)),
            Some(value) if value.get("context").and_then(Value::as_str) != Some(&name) => {
                return Took::Harmed("another context is listed");
            }
            Some(_) => drop(self.contexts.insert(name)),
        }
        Took::Applied
    }

    fn take_association(
        &mut self,
        key: &Map<String, Value>,
        value: Option<Map<String, Value>>,
    ) -> Took {
        let subject = key["subject"].as_str().unwrap_or_default().to_owned();
        let Some(value) = value else {
            self.tied.retain(|_, tied| *tied != subject);
            return Took::Applied;
        };
        if value.get("subject").and_then(Value::as_str) != Some(&subject) {
            return Took::Harmed("key and value differ in subject");
        }
        let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let (Some(id), Some(of), Some(_)) =
            (text("resourceId"), text("associationType"), text("guid"))
        else {
            return Took::Skipped("the association lacks a field");
        };
        match self.tied.insert((id, of), subject.clone()) {
            Some(other) if other != subject => Took::Harmed("two associations of one resource"),
            Some(_) | None => Took::Applied,
        }
    }

    fn take_delete_subject(&mut self, value: Option<Map<String, Value>>) -> Took {
        let Some(value) = value else { return Took::Applied };
        let Some(last) = value.get("version").and_then(Value::as_i64) else {
            return Took::Skipped("no version");
        };
        if last > 1_000_000 {
            self.dead = true;
            return Took::Died("it counts to the version");
        }
        let (context, subject) =
            qualified(value.get("subject").and_then(Value::as_str).unwrap_or_default());
        for (place, schema) in &mut self.schemas {
            if place.0 == context && place.1 == subject && place.2 <= last {
                schema.deleted = true;
            }
        }
        Took::Applied
    }

    fn take_clear_subject(&mut self, value: Option<Map<String, Value>>) -> Took {
        let Some(value) = value else { return Took::Applied };
        let wanted = value.get("subject").and_then(Value::as_str).map(qualified);
        let cleared: Vec<Place> = self
            .schemas
            .iter()
            .filter(|(_, schema)| schema.deleted)
            .filter(|(place, _)| {
                wanted.as_ref().is_none_or(|(context, subject)| {
                    place.0 == *context && (subject.is_empty() || place.1 == *subject)
                })
            })
            .map(|(place, _)| place.clone())
            .collect();
        cleared.iter().for_each(|place| self.remove(place));
        Took::Applied
    }

    /// Versions whose id no request finds, or finds with another text.
    pub(crate) fn unreadable(&self) -> Vec<String> {
        self.schemas
            .iter()
            .filter(|((context, subject, _), schema)| {
                let holders = self.ids.get(&(context.clone(), schema.id));
                let version = holders.and_then(|holders| holders.get(subject));
                let found = version.and_then(|version| {
                    self.schemas.get(&(context.clone(), subject.clone(), *version))
                });
                found.is_none_or(|found| found.text != schema.text)
            })
            .map(|((context, subject, version), schema)| {
                format!(":{context}:{subject} v{version} id {}", schema.id)
            })
            .collect()
    }

    /// What it answers about the contexts that `owned` chooses.
    pub(crate) fn answers(&self, owned: impl Fn(&str) -> bool) -> Vec<String> {
        let mut lines: Vec<String> = self
            .schemas
            .iter()
            .filter(|((context, ..), _)| owned(context))
            .map(|(place, schema)| format!("{place:?} {schema:?}"))
            .collect();
        let of = |spelled: &str| qualified(spelled).0;
        lines.extend(
            self.settings
                .iter()
                .filter(|((_, spelled), _)| owned(&of(spelled)))
                .map(|(at, says)| format!("{at:?} {says}")),
        );
        lines.extend(self.contexts.iter().filter(|context| owned(context)).cloned());
        lines
    }
}

fn schema_fault(value: &Map<String, Value>, spelled: &str, version: i64) -> Option<Took> {
    let Some(id) = value.get("id").and_then(Value::as_i64) else {
        return Some(Took::Skipped("no id"));
    };
    if id >= 2_147_483_647 {
        return Some(Took::Harmed("the next id is negative"));
    }
    if !(1..2_147_483_647).contains(&version) {
        return Some(Took::Harmed("the version is never listed"));
    }
    if value.get("version").and_then(Value::as_i64) != Some(version) {
        return Some(Took::Harmed("key and value differ in version"));
    }
    let Some(Value::String(subject)) = value.get("subject") else {
        return Some(Took::Harmed("no subject: every listing is refused"));
    };
    if subject != spelled {
        return Some(Took::Harmed("key and value differ in subject"));
    }
    match value.get("schema") {
        Some(Value::String(_)) => {}
        None => return Some(Took::Harmed("no schema")),
        Some(_) => return Some(Took::Skipped("schema is no string")),
    }
    let references = value.get("references").and_then(Value::as_array);
    let sound = |one: &Value| one["subject"].is_string() && one["version"].is_i64();
    let broken = references.is_some_and(|list| !list.iter().all(sound));
    broken.then_some(Took::Harmed("a reference without subject or version is half applied"))
}

/// (context, subject) of a spelled subject.
pub(crate) fn qualified(spelled: &str) -> (String, String) {
    match spelled.strip_prefix(":.") {
        None => (".".to_owned(), spelled.to_owned()),
        Some(rest) => {
            let (context, subject) = rest.split_once(':').unwrap_or((rest, ""));
            (format!(".{context}"), subject.to_owned())
        }
    }
}
