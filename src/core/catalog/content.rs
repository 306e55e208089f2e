//! What a version is, in the JSON that registries answer with.
//!
//! The order of fields is the one in which Confluent 7.9.5 was seen to write them; the records of a
//! topic have any.

use std::cmp::Ordering;
use std::sync::Arc;

use serde_json::Map;
use serde_json::Value;

use super::order::compare;
use crate::core::json::Object;
use crate::core::json::push_jackson_string;
use crate::core::rules::Compatibility;

/// What a version is, besides its subject, number and id; all parts are JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The schema's text, a JSON string.
    text: Arc<str>,
    more: Option<Box<More>>,
}

/// What few schemas have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct More {
    schema_type: Option<Box<str>>,
    references: Option<Box<str>>,
    metadata: Option<Box<str>>,
    rule_set: Option<Box<str>>,
}

impl Content {
    /// Reads a value that was found sound. `share` gives the one copy of a text that there is.
    pub(super) fn read(value: &[u8], share: impl FnOnce(&str) -> Arc<str>) -> Self {
        let whole = std::str::from_utf8(value).unwrap_or_default();
        let object = Object::parse_text(whole).unwrap_or_default();
        let (mut text, mut more) = (String::from("\"\""), More::default());
        for (name, written) in object.last_of_each(whole).flatten() {
            match (&*name, written.text) {
                (_, "null") => {}
                ("schema", raw) => text = as_jackson(raw),
                ("schemaType", raw) => {
                    more.schema_type = serde_json::from_str::<Box<str>>(raw)
                        .ok()
                        .filter(|kind| !matches!(&**kind, "AVRO" | ""));
                }
                ("references", raw) => more.references = document(raw, push_references),
                ("metadata", raw) => more.metadata = document(raw, push_metadata),
                ("ruleSet", raw) => more.rule_set = document(raw, push_rule_set),
                (_, _) => {}
            }
        }
        let more = (more != More::default()).then(|| Box::new(more));
        Self { text: share(&text), more }
    }

    /// The schema's type; `None` is Avro.
    #[must_use]
    pub fn schema_type(&self) -> Option<&str> {
        self.more.as_ref()?.schema_type.as_deref()
    }

    /// What it references, a JSON array that is not empty.
    #[must_use]
    pub fn references(&self) -> Option<&str> {
        self.more.as_ref()?.references.as_deref()
    }

    /// Its metadata, a JSON object.
    #[must_use]
    pub fn metadata(&self) -> Option<&str> {
        self.more.as_ref()?.metadata.as_deref()
    }

    /// Its rules, a JSON object.
    #[must_use]
    pub fn rule_set(&self) -> Option<&str> {
        self.more.as_ref()?.rule_set.as_deref()
    }

    /// The text as a JSON string.
    #[must_use]
    pub fn text_as_json(&self) -> &str {
        &self.text
    }

    /// The text itself. Half of a surrogate pair, which no text can hold, becomes U+FFFD.
    #[must_use]
    pub fn plain_text(&self) -> String {
        let bytes = self.text.as_bytes();
        serde_json::from_slice(bytes).unwrap_or_else(|_| {
            let units = serde_json::from_slice::<LossyText>(bytes);
            units.map_or_else(|_| String::new(), |LossyText(text)| text)
        })
    }

    pub(super) fn shared_text(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }
}

/// A JSON string that may hold half of a surrogate pair.
struct LossyText(String);

impl<'de> serde::Deserialize<'de> for LossyText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // serde_json gives such halves as bytes (WTF-8), to those who take bytes.
        struct Bytes;
        impl serde::de::Visitor<'_> for Bytes {
            type Value = LossyText;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<LossyText, E> {
                Ok(LossyText(String::from_utf8_lossy(bytes).into_owned()))
            }
            fn visit_str<E>(self, text: &str) -> Result<LossyText, E> {
                Ok(LossyText(text.to_owned()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// The settings that a CONFIG record's value holds, as a registry answers them; a level that it lacks
/// is this one.
#[must_use]
pub fn settings_document(value: Option<&[u8]>, default_level: Compatibility) -> String {
    // Text behind the object is ignored, as everywhere.
    let read = value.map(|value| serde_json::Deserializer::from_slice(value).into_iter().next());
    let read: Map<String, Value> = read.flatten().and_then(Result::ok).unwrap_or_default();
    let mut out = Document::default();
    let level = read.get("compatibilityLevel").and_then(Value::as_str);
    out.text("compatibilityLevel", Some(level.unwrap_or_else(|| default_level.as_str())));
    out.text("alias", read.get("alias").and_then(Value::as_str));
    for name in ["normalize", "validateFields", "validateRules"] {
        if let Some(Value::Bool(set)) = read.get(name) {
            out.raw(name, if *set { "true" } else { "false" });
        }
    }
    out.text("compatibilityGroup", read.get("compatibilityGroup").and_then(Value::as_str));
    for name in ["defaultMetadata", "overrideMetadata"] {
        out.nested(name, read.get(name), push_metadata);
    }
    for name in ["defaultRuleSet", "overrideRuleSet"] {
        out.nested(name, read.get(name), push_rule_set);
    }
    out.end()
}

/// A JSON string with the escapes that Jackson writes.
fn as_jackson(raw: &str) -> String {
    let Ok(text) = serde_json::from_str::<String>(raw) else { return raw.to_owned() };
    jackson(&text)
}

fn jackson(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len().saturating_add(2));
    push_jackson_string(&mut out, text);
    String::from_utf8(out).unwrap_or_default()
}

/// A JSON object in the making.
#[derive(Debug, Default)]
struct Document(String);

impl Document {
    fn raw(&mut self, name: &str, json: &str) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        self.0.push_str(&jackson(name));
        self.0.push(':');
        self.0.push_str(json);
    }

    /// Empty texts are left out, as registries leave them out.
    fn text(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            self.raw(name, &jackson(text));
        }
    }

    fn nested(
        &mut self,
        name: &str,
        value: Option<&Value>,
        write: impl Fn(&Value) -> Option<String>,
    ) {
        if let Some(json) = value.filter(|value| !value.is_null()).and_then(write) {
            self.raw(name, &json);
        }
    }

    fn end(mut self) -> String {
        if self.0.is_empty() {
            self.0.push('{');
        }
        self.0.push('}');
        self.0
    }
}

fn document(raw: &str, write: impl Fn(&Value) -> Option<String>) -> Option<Box<str>> {
    write(&serde_json::from_str(raw).ok()?).map(Into::into)
}

/// What Jackson makes of a scalar where it wants a text.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(set) => Some(set.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

pub(super) fn push_references(value: &Value) -> Option<String> {
    let items = value.as_array().filter(|items| !items.is_empty())?;
    let items: Vec<String> = items.iter().map(push_reference).collect();
    Some(format!("[{}]", items.join(",")))
}

fn push_reference(value: &Value) -> String {
    let text = |name: &str| value.get(name).and_then(scalar);
    let mut out = Document::default();
    out.text("name", text("name").as_deref());
    out.text("subject", text("subject").as_deref());
    if let Some(version) = text("version") {
        out.raw("version", version.trim());
    }
    out.end()
}

pub(super) fn push_metadata(value: &Value) -> Option<String> {
    let fields = value.as_object()?;
    let mut out = Document::default();
    out.nested("tags", fields.get("tags"), |tags| map(tags, texts));
    out.nested("properties", fields.get("properties"), |properties| {
        map(properties, |value| scalar(value).map(|text| jackson(&text)))
    });
    out.nested("sensitive", fields.get("sensitive"), texts);
    Some(out.end())
}

pub(super) fn push_rule_set(value: &Value) -> Option<String> {
    let fields = value.as_object()?;
    let mut out = Document::default();
    for name in ["migrationRules", "domainRules"] {
        out.nested(name, fields.get(name), |rules| {
            let rules = rules.as_array().filter(|rules| !rules.is_empty())?;
            let rules: Vec<String> = rules.iter().map(rule).collect();
            Some(format!("[{}]", rules.join(",")))
        });
    }
    // 7.9.5 answers whether there are rules, too: a getter that its serializer takes for a field.
    let is_empty = out.0.is_empty();
    out.raw("empty", if is_empty { "true" } else { "false" });
    Some(out.end())
}

fn rule(value: &Value) -> String {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let mut out = Document::default();
    for name in ["name", "doc", "kind", "mode", "type"] {
        out.text(name, text(name));
    }
    out.nested("tags", value.get("tags"), texts);
    out.nested("params", value.get("params"), |params| {
        map(params, |value| scalar(value).map(|text| jackson(&text)))
    });
    for name in ["expr", "onSuccess", "onFailure"] {
        out.text(name, text(name));
    }
    let disabled = value.get("disabled").and_then(Value::as_bool).unwrap_or_default();
    out.raw("disabled", if disabled { "true" } else { "false" });
    out.end()
}

/// A sorted object; `None` where nothing is left of it.
fn map(value: &Value, write: impl Fn(&Value) -> Option<String>) -> Option<String> {
    let mut fields: Vec<(&String, &Value)> = value.as_object()?.iter().collect();
    fields.sort_by(|(one, _), (other, _)| compare(one, other));
    let mut out = Document::default();
    for (name, value) in fields {
        if let Some(json) = write(value) {
            out.raw(name, &json);
        }
    }
    (!out.0.is_empty()).then(|| out.end())
}

/// A sorted set of texts; `None` where there is none.
fn texts(value: &Value) -> Option<String> {
    let mut texts: Vec<String> = value.as_array()?.iter().filter_map(scalar).collect();
    let by_units = |one: &String, other: &String| -> Ordering { compare(one, other) };
    texts.sort_by(by_units);
    texts.dedup();
    let texts: Vec<String> = texts.iter().map(|text| jackson(text)).collect();
    (!texts.is_empty()).then(|| format!("[{}]", texts.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Content {
        Content::read(value.as_bytes(), |text| Arc::from(text))
    }

    #[test]
    fn text_is_given_with_the_escapes_of_jackson_and_plain() {
        let content = read(r#"{"schema":"\"\u00e9\ud83d\ude00 \u001f\/\""}"#);
        assert_eq!(content.text_as_json(), r#""\"é\uD83D\uDE00 \u001F/\"""#);
        assert_eq!(content.plain_text(), "\"é😀 \u{1f}/\"");
    }

    #[test]
    fn half_of_a_surrogate_pair_is_carried_and_replaced_only_in_plain_text() {
        let content = read(r#"{"schema":"a\ud83db"}"#);
        assert_eq!(content.text_as_json(), r#""a\ud83db""#);
        assert!(content.plain_text().starts_with('a') && content.plain_text().ends_with('b'));
    }

    #[test]
    fn metadata_and_rules_have_the_order_of_a_registry_whatever_the_records() {
        let rules =
            r#"{"domainRules":[{"mode":"WRITE","name":"r","tags":["b","a"],"params":{"z":1}}]}"#;
        let content = read(&format!(
            r#"{{"metadata":{{"sensitive":["b","a"],"properties":{{"n":1,"a":"x"}},"tags":{{}}}},
                "ruleSet":{rules},"schemaType":"JSON","schema":"{{}}"}}"#
        ));
        let metadata = r#"{"properties":{"a":"x","n":"1"},"sensitive":["a","b"]}"#;
        assert_eq!(content.metadata(), Some(metadata));
        let rules = r#"{"domainRules":[{"name":"r","mode":"WRITE","tags":["a","b"],"params":{"z":"1"},"disabled":false}],"empty":false}"#;
        assert_eq!(content.rule_set(), Some(rules));
        assert_eq!((content.schema_type(), content.references()), (Some("JSON"), None));
    }

    #[test]
    fn what_is_empty_is_told_from_what_is_not_there() {
        let empty = read(r#"{"metadata":{},"ruleSet":{},"schema":"\"int\""}"#);
        assert_eq!((empty.metadata(), empty.rule_set()), (Some("{}"), Some(r#"{"empty":true}"#)));
        let none =
            read(r#"{"metadata":null,"ruleSet":null,"schemaType":"AVRO","schema":"\"int\""}"#);
        assert_eq!(none, read(r#"{"schema":"\"int\""}"#));
    }

    #[test]
    fn settings_without_a_level_get_the_default_one() {
        let level = Compatibility::Backward;
        let alias = settings_document(Some(br#"{"subject":"a","alias":"b"}"#), level);
        assert_eq!(alias, r#"{"compatibilityLevel":"BACKWARD","alias":"b"}"#);
        assert_eq!(settings_document(None, level), r#"{"compatibilityLevel":"BACKWARD"}"#);
        let full = br#"{"normalize":true,"compatibilityLevel":"NONE","defaultMetadata":{}} {"#;
        let told = r#"{"compatibilityLevel":"NONE","normalize":true,"defaultMetadata":{}}"#;
        assert_eq!(settings_document(Some(full), level), told);
    }
}
