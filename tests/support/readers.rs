//! Small models of the readers of Karapace, Redpanda and old Confluents, written from their sources
//! and from what Karapace 6.2.0 was seen to do. They share no code with what they judge.

use std::collections::BTreeMap;

use schema_mirror::core::dialect::Dialect;
use serde_json::Map;
use serde_json::Value;

/// What a registry with one space of ids, and without contexts, remembers.
#[derive(Debug, Default)]
pub(crate) struct PlainReader {
    /// (subject, version) → whether it lives.
    lives: BTreeMap<(String, i64), bool>,
    texts: BTreeMap<i64, String>,
}

impl PlainReader {
    /// Why the registry minds a record; `None` where it takes it as it was meant.
    pub(crate) fn minds(
        &mut self,
        dialect: Dialect,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Option<String> {
        let key: Map<String, Value> = serde_json::from_slice(key).unwrap();
        let order: Vec<&str> = key.keys().map(String::as_str).collect();
        let kind = key["keytype"].as_str().unwrap();
        if dialect == Dialect::Karapace {
            let known: [&[&str]; 3] = [
                &["keytype", "subject", "version", "magic"],
                &["keytype", "subject", "magic"],
                &["keytype", "magic"],
            ];
            if value.is_some() && !known.contains(&order.as_slice()) {
                return Some(format!("from {order:?} on it spells its own keys otherwise"));
            }
        }
        let Some(value) = value else {
            return match kind {
                "SCHEMA" => {
                    self.lives.remove(&place(&key));
                    None
                }
                "CONFIG" | "MODE" => None,
                _ => Some(format!("a deletion of {kind}")),
            };
        };
        let value: Map<String, Value> = serde_json::from_slice(value).unwrap();
        match kind {
            "SCHEMA" => self.minds_schema(dialect, &key, &value),
            "CONFIG" if dialect == Dialect::Confluent6 => {
                minds_fields(&value, &["compatibilityLevel"])
            }
            "CONFIG" => minds_fields(&value, &["subject", "compatibilityLevel"])
                .or_else(|| (!value["compatibilityLevel"].is_string()).then(|| "no level".into())),
            "MODE" if dialect == Dialect::Karapace => Some("it knows no modes".to_owned()),
            "MODE" if dialect == Dialect::Confluent6 => minds_fields(&value, &["mode"]),
            "MODE" => minds_fields(&value, &["subject", "mode"]),
            _ => Some(format!("it does not know {kind}")),
        }
    }

    fn minds_schema(
        &mut self,
        dialect: Dialect,
        key: &Map<String, Value>,
        value: &Map<String, Value>,
    ) -> Option<String> {
        let fields = ["subject", "version", "id", "schemaType", "references", "schema", "deleted"];
        if dialect != Dialect::Karapace
            && let Some(strange) = minds_fields(value, &fields)
        {
            return Some(strange);
        }
        let kind = value.get("schemaType").and_then(Value::as_str).unwrap_or("AVRO");
        let references = value.get("references").and_then(Value::as_array);
        let is_checked = kind != "JSON" && dialect != Dialect::Confluent6;
        for reference in references.into_iter().flatten().filter(|_| is_checked) {
            if self.lives.get(&place(reference.as_object().unwrap())) != Some(&true) {
                return Some(format!("dropped for good: {reference} does not live before it"));
            }
        }
        let text = value["schema"].as_str().unwrap().to_owned();
        let id = value["id"].as_i64().unwrap();
        let held = self.texts.entry(id).or_insert_with(|| text.clone());
        if *held != text {
            return Some(format!("id {id} stands for another schema from here on"));
        }
        let is_live = !value["deleted"].as_bool().unwrap_or(false);
        self.lives.insert(place(key), is_live);
        None
    }
}

fn place(fields: &Map<String, Value>) -> (String, i64) {
    (fields["subject"].as_str().unwrap().to_owned(), fields["version"].as_i64().unwrap())
}

fn minds_fields(value: &Map<String, Value>, known: &[&str]) -> Option<String> {
    value
        .iter()
        .find(|(name, value)| !known.contains(&name.as_str()) || value.is_null())
        .map(|(name, value)| format!("{name}: {value} is a field that it does not know"))
}
