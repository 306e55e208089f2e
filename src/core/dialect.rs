//! How registries spell their records, and what each of them reads: the one module that knows.
//!
//! Facts were measured on running registries (Confluent 7.9.5 and 8.3.1, Karapace 6.2.0) or read in
//! their sources (older releases of Confluent, Redpanda).

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

use crate::core::key::Key;
use crate::core::key::NUMBER_MAX;
use crate::core::provenance::is_karapace;
use crate::core::record::Offset;
use crate::core::record::Record;
use crate::core::subject::Subject;
use crate::core::value::Content;
use crate::core::value::Remark;

/// How a registry spells its records and what it tolerates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Karapace where its headers or spelling are seen, Confluent as 7.x reads otherwise.
    Auto,
    /// Confluent Schema Registry before 7.0: a CONTEXT record stops it, and it skips a record with
    /// a field that it does not know.
    Confluent6,
    /// Confluent Schema Registry as 7.x reads.
    Confluent7,
    /// Confluent Schema Registry from 8.0.7, 8.1.5 or 8.2.0 on: it reads ASSOC, which stops others.
    Confluent8,
    /// Karapace, as 6.2.0 reads.
    Karapace,
    /// Redpanda without qualified subjects.
    Redpanda,
}

impl Dialect {
    /// All dialects.
    pub const ALL: [Self; 6] = [
        Self::Auto,
        Self::Confluent6,
        Self::Confluent7,
        Self::Confluent8,
        Self::Karapace,
        Self::Redpanda,
    ];

    /// The word for it in a configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Confluent6 => "confluent-6",
            Self::Confluent7 => "confluent-7",
            Self::Confluent8 => "confluent-8",
            Self::Karapace => "karapace",
            Self::Redpanda => "redpanda",
        }
    }

    /// Whether it keeps subjects and ids of contexts apart. Where it does not, `:.a:b` is a name like
    /// any other, and an id stands for one schema in all of them.
    #[must_use]
    pub fn has_contexts(self) -> bool {
        match self {
            Self::Auto | Self::Confluent7 | Self::Confluent8 => true,
            Self::Confluent6 | Self::Karapace | Self::Redpanda => false,
        }
    }

    /// Whether a MODE record keeps clients out. Karapace logs and skips it.
    #[must_use]
    pub fn has_modes(self) -> bool {
        match self {
            Self::Auto
            | Self::Confluent6
            | Self::Confluent7
            | Self::Confluent8
            | Self::Redpanda => true,
            Self::Karapace => false,
        }
    }

    /// Whether it reads records of this key. One that it does not know stops Confluent's reader, and
    /// changes how Karapace spells its own.
    #[must_use]
    pub fn reads(self, key: &Key) -> bool {
        match key {
            Key::Context(_) => self.has_contexts(),
            Key::Mode(_) => self.has_modes(),
            Key::Association(_) => self == Self::Confluent8,
            Key::Config(_)
            | Key::Schema(..)
            | Key::DeleteSubject(_)
            | Key::ClearSubject(_)
            | Key::Noop => true,
        }
    }

    /// Whether all it takes of settings is the compatibility level: Karapace drops a record without
    /// one and forgets the rest, the others stop at a field that they do not know.
    #[must_use]
    pub fn reads_level_only(self) -> bool {
        match self {
            Self::Auto | Self::Confluent7 | Self::Confluent8 => false,
            Self::Confluent6 | Self::Karapace | Self::Redpanda => true,
        }
    }

    /// Whether the value of a mode names the subject that its key names. Releases before 6.2 skip
    /// a record with that field, and take the key's subject without it.
    #[must_use]
    pub(in crate::core) fn names_subject_in_mode(self) -> bool {
        match self {
            Self::Auto | Self::Confluent7 | Self::Confluent8 | Self::Karapace | Self::Redpanda => {
                true
            }
            Self::Confluent6 => false,
        }
    }

    /// Whether a schema is dropped for good when what it references does not stand before it in the
    /// log, alive (measured: Karapace; read: Redpanda of 2024).
    #[must_use]
    pub fn needs_referenced_first(self) -> bool {
        match self {
            Self::Auto | Self::Confluent6 | Self::Confluent7 | Self::Confluent8 => false,
            Self::Karapace | Self::Redpanda => true,
        }
    }

    /// Appends the bytes that this registry writes for a key.
    pub(in crate::core) fn push_key(self, key: &Key, out: &mut Vec<u8>) {
        match (self, key) {
            // The other spelling says nothing to it.
            (Self::Karapace, Key::Config(subject)) if is_registry_wide(subject) => {
                out.extend_from_slice(br#"{"keytype":"CONFIG","subject":null,"magic":0}"#);
            }
            (_, _) => key.push_canonical(out),
        }
    }

    /// The value of a SCHEMA record as this registry may get it: the same, or without the fields
    /// that its reader chokes on.
    ///
    /// # Errors
    /// Why no form of it can be read there, in words.
    pub(in crate::core) fn schema_value(self, value: &[u8]) -> Result<Cow<'_, [u8]>, String> {
        match self {
            Self::Auto | Self::Confluent7 | Self::Confluent8 | Self::Karapace => {
                Ok(Cow::Borrowed(value))
            }
            Self::Confluent6 | Self::Redpanda => trimmed(self, value),
        }
    }

    /// What an operator should know of a schema that this registry holds otherwise than the source.
    #[must_use]
    pub(in crate::core) fn schema_remark(self, value: &[u8], content: &Content) -> Option<Remark> {
        let refers = !content.references().is_empty();
        match self {
            Self::Auto | Self::Confluent7 | Self::Confluent8 => return None,
            Self::Confluent6 | Self::Karapace | Self::Redpanda => {}
        }
        let text = std::str::from_utf8(value).ok()?;
        // A text that holds no such word needs no second parse.
        let suspect = |word: &str| text.contains(word);
        if !(suspect("\"metadata\"") || suspect("\"ruleSet\"") || refers && suspect("JSON")) {
            return None;
        }
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        let fields = values.next()?.ok()?;
        let says = |field: &str| fields.get(field).is_some_and(|value| !value.is_null());
        let is_json = fields.get("schemaType").and_then(Value::as_str) == Some("JSON");
        if refers && is_json && self == Self::Karapace {
            return Some(Remark::ReferencesNotKept);
        }
        (says("metadata") || says("ruleSet")).then_some(Remark::NotServed)
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The fields that a reader with a fixed list knows.
const SCHEMA_FIELDS: [&str; 7] =
    ["subject", "version", "id", "schemaType", "references", "schema", "deleted"];
const REFERENCE_FIELDS: [&str; 3] = ["name", "subject", "version"];

fn trimmed(dialect: Dialect, value: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    let mut values = serde_json::Deserializer::from_slice(value).into_iter::<Value>();
    let Some(Ok(Value::Object(mut fields))) = values.next() else {
        return Err("its value can't be read".to_owned());
    };
    if dialect == Dialect::Redpanda
        && let Some(kind) = fields.get("schemaType").and_then(Value::as_str)
        && !matches!(kind, "AVRO" | "JSON" | "PROTOBUF")
    {
        return Err(format!("schemaType {kind} stops the reader of Redpanda's registry"));
    }
    let before = fields.len();
    fields.retain(|name, value| SCHEMA_FIELDS.contains(&name.as_str()) && !value.is_null());
    let mut is_changed = fields.len() != before;
    if let Some(Value::Array(references)) = fields.get_mut("references") {
        for reference in references.iter_mut().filter_map(Value::as_object_mut) {
            let before = reference.len();
            reference.retain(|name, _| REFERENCE_FIELDS.contains(&name.as_str()));
            is_changed |= reference.len() != before;
        }
    }
    Ok(if is_changed {
        Cow::Owned(Value::Object(fields).to_string().into_bytes())
    } else {
        Cow::Borrowed(value)
    })
}

fn is_registry_wide(subject: &Subject) -> bool {
    subject.is_context() && subject.context.is_default()
}

/// What a log showed of the registry that wrote it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Where Karapace's header stood first.
    header: Option<Offset>,
    /// Where a key stood first that Karapace spells like that, and Confluent before 6.2.
    spelling: Option<Offset>,
    /// Where a record stood first of a kind, or of a context, that Karapace does not write.
    confluent: Option<Offset>,
    /// Where a key with Redpanda's fields stood first.
    redpanda: Option<Offset>,
}

impl Seen {
    /// Takes a record's looks; `confluent` is how Confluent spells its key.
    pub(in crate::core) fn look(&mut self, record: &Record, key: &Key, confluent: &[u8]) {
        let offset = Some(record.offset);
        if self.header.is_none() && is_karapace(&record.headers) {
            self.header = offset;
        }
        self.kind(key, record.offset);
        let bytes = record.key.as_deref().unwrap_or_default();
        if bytes == confluent {
            return;
        }
        if self.spelling.is_none() && is_karapace_key(bytes) {
            self.spelling = offset;
        }
        if self.redpanda.is_none() && !matches!(race_fields(bytes), Race::Outside) {
            self.redpanda = offset;
        }
    }

    /// Takes what the kind of a record says.
    pub(in crate::core) fn kind(&mut self, key: &Key, offset: Offset) {
        if self.confluent.is_none() && is_no_karapace(key) {
            self.confluent = Some(offset);
        }
    }

    /// Whether a value without a byte deletes: Karapace writes its deletions so, and nobody else
    /// writes such values.
    pub(in crate::core) fn empty_deletes(self) -> bool {
        self.header.is_some() || self.spelling.is_some()
    }
}

/// Whether a record of this key, without Karapace's header, is another registry's: Karapace writes no
/// other kinds before 6.2.4, which writes its header, and knows no contexts.
fn is_no_karapace(key: &Key) -> bool {
    match key {
        Key::Context(_) | Key::Mode(_) | Key::Association(_) | Key::ClearSubject(_) | Key::Noop => {
            true
        }
        Key::Config(subject) | Key::Schema(subject, _) | Key::DeleteSubject(subject) => {
            !subject.context.is_default()
        }
    }
}

/// A dialect, and why it is taken for the one of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concluded {
    /// Never `Auto`.
    pub dialect: Dialect,
    declared: bool,
    seen: Seen,
}

impl Concluded {
    /// What a declared dialect, or else what was seen, comes to.
    #[must_use]
    pub fn from(declared: Dialect, seen: Seen) -> Self {
        let dialect = match declared {
            Dialect::Auto if seen.header.is_some() => Dialect::Karapace,
            Dialect::Auto if seen.spelling.is_some() && seen.confluent.is_none() => {
                Dialect::Karapace
            }
            Dialect::Auto => Dialect::Confluent7,
            Dialect::Confluent6
            | Dialect::Confluent7
            | Dialect::Confluent8
            | Dialect::Karapace
            | Dialect::Redpanda => declared,
        };
        Self { dialect, declared: declared != Dialect::Auto, seen }
    }
}

impl Concluded {
    /// Why it is this dialect.
    #[must_use]
    pub fn why(&self) -> String {
        let Seen { header, spelling, confluent, redpanda } = self.seen;
        let mut why = match (header, spelling, confluent) {
            _ if self.declared => return "declared".to_owned(),
            (Some(at), ..) => format!("Karapace's header X-Registry-Version at offset {at}"),
            (_, Some(at), None) => format!("a key in Karapace's spelling at offset {at}"),
            (_, Some(at), Some(other)) => format!(
                "a key as Karapace and Confluent before 6.2 spell it at offset {at}, and at offset \
                 {other} a record that Karapace does not write"
            ),
            (None, None, _) => "no sign of Karapace".to_owned(),
        };
        if let Some(at) = redpanda {
            why = format!(
                "{why}; a key of Redpanda's at offset {at}: declare redpanda if it serves this topic"
            );
        }
        why
    }
}

impl fmt::Display for Concluded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.dialect, self.why())
    }
}

/// Karapace's other spelling: its own order of fields, or a null subject written out.
fn is_karapace_key(bytes: &[u8]) -> bool {
    bytes.starts_with(br#"{"subject":"#) && bytes.ends_with(br#""}"#)
        || bytes.starts_with(br#"{"keytype":"CONFIG","subject":null,"#)
}

/// How a key took part in a race of Redpanda's brokers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::core) enum Race {
    /// Not at all: a client wrote it.
    Outside,
    /// A broker expected this offset for it.
    At(Offset),
    /// It has one of the two fields that come together.
    Half,
}

/// Reads `seq` and `node` in a key.
pub(in crate::core) fn race_fields(key: &[u8]) -> Race {
    let mut values = serde_json::Deserializer::from_slice(key).into_iter::<Value>();
    let Some(Ok(fields)) = values.next() else { return Race::Outside };
    let number = |name: &str| fields.get(name).and_then(Value::as_i64);
    match (number("seq"), number("node")) {
        (None, None) => Race::Outside,
        (Some(seq), Some(_)) => Race::At(seq),
        (Some(_), None) | (None, Some(_)) => Race::Half,
    }
}

/// Redpanda deletes the whole subject, whatever version the value names, and mostly it names none.
pub(in crate::core) fn redpanda_delete(key: &Subject, value: &[u8]) -> (Subject, i64) {
    let mut values = serde_json::Deserializer::from_slice(value).into_iter::<Value>();
    let fields = values.next().and_then(Result::ok);
    let named = fields.as_ref().and_then(|fields| fields.get("subject")?.as_str());
    (named.map_or_else(|| key.clone(), Subject::parse), NUMBER_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(dialect: Dialect, key: &Key) -> String {
        let mut out = Vec::new();
        dialect.push_key(key, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_karapace_writes_the_registry_wide_settings_with_a_null_subject() {
        let registry_wide = Key::Config(Subject::parse(""));
        let null = r#"{"keytype":"CONFIG","subject":null,"magic":0}"#;
        let left_out = r#"{"keytype":"CONFIG","magic":0}"#;
        for dialect in Dialect::ALL {
            let wanted = if dialect == Dialect::Karapace { null } else { left_out };
            assert_eq!(key(dialect, &registry_wide), wanted, "{dialect}");
            let of_subject = Key::Config(Subject::parse("a"));
            assert_eq!(
                key(dialect, &of_subject),
                r#"{"keytype":"CONFIG","subject":"a","magic":0}"#
            );
        }
    }

    #[test]
    fn what_a_fixed_list_of_fields_does_not_hold_is_left_out() {
        let full = br#"{"subject":"a","version":1,"id":2,"md5":"x","references":[{"name":"n","subject":"b","version":1,"x":0}],"metadata":{"properties":{"a":"b"}},"ruleSet":null,"schema":"\"int\"","deleted":false}"#;
        let kept = r#"{"subject":"a","version":1,"id":2,"references":[{"name":"n","subject":"b","version":1}],"schema":"\"int\"","deleted":false}"#;
        for dialect in [Dialect::Redpanda, Dialect::Confluent6] {
            let value = dialect.schema_value(full).unwrap();
            assert_eq!(std::str::from_utf8(&value).unwrap(), kept, "{dialect}");
            assert!(matches!(dialect.schema_value(kept.as_bytes()), Ok(Cow::Borrowed(_))));
        }
        for dialect in [Dialect::Confluent7, Dialect::Confluent8, Dialect::Karapace] {
            assert_eq!(&*dialect.schema_value(full).unwrap(), &full[..], "{dialect}");
        }
    }

    #[test]
    fn a_schema_type_that_stops_redpanda_is_refused_there_only() {
        let value = br#"{"subject":"a","version":1,"id":2,"schemaType":"XML","schema":"<a/>"}"#;
        assert!(Dialect::Redpanda.schema_value(value).is_err());
        assert!(Dialect::Confluent6.schema_value(value).is_ok());
    }

    #[test]
    fn fields_of_a_race_come_together_or_not_at_all() {
        assert_eq!(race_fields(br#"{"keytype":"NOOP","magic":0}"#), Race::Outside);
        assert_eq!(race_fields(br#"{"keytype":"NOOP","magic":0,"seq":7,"node":0}"#), Race::At(7));
        assert_eq!(race_fields(br#"{"keytype":"NOOP","magic":0,"seq":7}"#), Race::Half);
        assert_eq!(race_fields(b"no json"), Race::Outside);
    }
}
