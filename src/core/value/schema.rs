//! SCHEMA values.

use std::fmt;
use std::ops::Range;

use serde_json::Value;

use super::Digest;
use super::canonical_value;
use super::integer;
use super::last_of_each;
use super::meaning_of;
use super::parsed;
use super::read_object;
use crate::core::json::Object;
use crate::core::json::Raw;
use crate::core::json::string;
use crate::core::key::NUMBER_MAX;
use crate::core::subject::Subject;

/// A dependency of a schema on a version of a subject.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// The name by which the schema's text imports it.
    pub name: Box<str>,
    /// The subject as it is spelled in the record.
    pub subject: Box<str>,
    /// The version; −1 stands for the latest.
    pub version: i64,
}

/// What a SCHEMA value says, without its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaValue {
    /// The schema id that data carries; unique in a context.
    pub id: i32,
    /// Deleted softly.
    pub deleted: bool,
    /// Everything else.
    pub content: Content,
    /// Where the value names its subject, if that is all that has to be edited.
    pub subject_at: Option<Range<usize>>,
}

/// What a schema is, wherever it stands: its text, and what few schemas have besides. Views hold one
/// for each version, so that has no room of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Digest of the schema's text: two texts may not share an id in one context.
    pub text: Digest,
    more: Option<Box<More>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct More {
    meaning: Digest,
    references: Box<[Reference]>,
    remark: Option<Remark>,
}

impl Content {
    fn new(
        text: Digest,
        meaning: Digest,
        references: Vec<Reference>,
        remark: Option<Remark>,
    ) -> Self {
        let is_text_alone = meaning == text && references.is_empty() && remark.is_none();
        let more = (!is_text_alone).then(|| {
            let references = references.into_boxed_slice();
            Box::new(More { meaning, references, remark })
        });
        Self { text, more }
    }

    /// Digest of everything but subject, version, id, references and `deleted`.
    #[must_use]
    pub fn meaning(&self) -> Digest {
        self.more.as_ref().map_or(self.text, |more| more.meaning)
    }

    /// What it references.
    #[must_use]
    pub fn references(&self) -> &[Reference] {
        self.more.as_ref().map_or(&[], |more| &more.references)
    }

    /// What an operator should know though the record is sound.
    #[must_use]
    pub fn remark(&self) -> Option<Remark> {
        self.more.as_ref()?.remark
    }

    /// The same with a remark that counts before another one.
    #[must_use]
    pub fn remarked(mut self, remark: Remark) -> Self {
        match &mut self.more {
            Some(more) => more.remark = Some(remark),
            None => {
                let more = More { meaning: self.text, references: Box::default(), remark: None };
                self.more = Some(Box::new(More { remark: Some(remark), ..more }));
            }
        }
        self
    }

    /// The same with other spellings of the references' subjects, in their order.
    #[must_use]
    pub fn respelled(mut self, subjects: &[String]) -> Self {
        if let Some(more) = &mut self.more {
            for (reference, subject) in more.references.iter_mut().zip(subjects) {
                reference.subject = subject.as_str().into();
            }
        }
        self
    }
}

/// What is worth a report though a registry takes the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Remark {
    /// Metadata is encrypted with a keyset that only the source's registry holds.
    EncodedMetadata,
    /// The schema type is none that registries know; they answer 422 to a registration.
    UnknownSchemaType,
    /// The text of an Avro schema does not begin as JSON does: everything that parses it answers 422
    /// (odd-records 2.16). The text is looked at, not parsed.
    NotAvro,
    /// A reference to version −1: it resolves to the latest, `referencedby` does not know it.
    ReferenceToLatest,
    /// Metadata or rules, which the target's registry does not know.
    NotServed,
    /// References of a JSON schema, which Karapace does not keep.
    ReferencesNotKept,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EncodedMetadata => {
                "its metadata is encrypted; the target's registry reads it with the source's keyset only"
            }
            Self::UnknownSchemaType => {
                "its schemaType is unknown; a registry answers 422 to registrations of the subject"
            }
            Self::NotAvro => {
                "its text is no Avro schema; a registry answers 422 to registrations of the subject"
            }
            Self::ReferenceToLatest => {
                "it references version -1; it resolves to the latest, referencedby does not list it"
            }
            Self::NotServed => {
                "its metadata or rules are not served: the target's registry does not know them"
            }
            Self::ReferencesNotKept => {
                "its references are not served: Karapace keeps none of a JSON schema"
            }
        })
    }
}

/// Reads a SCHEMA value for the key (`subject`, `version`).
///
/// # Errors
/// What a registry would skip, misread or be broken by, in words.
pub fn read_schema(bytes: &[u8], subject: &Subject, version: u32) -> Result<SchemaValue, String> {
    let (object, text) = read_object(bytes)?;
    let mut reading = SchemaReading::default();
    let mut read: usize = 0;
    for field in last_of_each(&object, text) {
        let (name, raw) = field?;
        reading.take(&name, raw, subject, version)?;
        read = read.saturating_add(1);
    }
    let is_plain = read == object.fields().len() && object.length() == text.len();
    let mut said = reading.finish()?;
    if is_plain {
        said.subject_at = subject_alone(&object, text);
    }
    Ok(said)
}

/// Where the value names its subject, if every other field may stay as it is.
fn subject_alone(object: &Object, text: &str) -> Option<Range<usize>> {
    let mut subject = None;
    let mut says_deleted = false;
    for field in object.fields() {
        let raw = field.value_in(text).text;
        match field.name_in(text).as_deref() {
            Some("subject") if raw != "null" => subject = Some(field.place()),
            Some("subject" | "offset" | "ts") | None => return None,
            Some("id" | "version" | "deleted") if raw.starts_with('"') => return None,
            Some("deleted") => says_deleted = raw != "null",
            Some(_) => {}
        }
    }
    subject.filter(|_| says_deleted)
}

/// Whether the text in a JSON string begins with an object, a list or a string.
fn begins_as_json(quoted: &str) -> bool {
    let mut text = quoted.get(1..).unwrap_or_default();
    loop {
        let blank = [" ", "\\n", "\\t", "\\r"].iter().find_map(|blank| text.strip_prefix(blank));
        match blank {
            Some(rest) => text = rest,
            None => return text.starts_with(['{', '[']) || text.starts_with("\\\""),
        }
    }
}

/// What a text is written in.
#[derive(Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Avro,
    Other,
}

#[derive(Default)]
struct SchemaReading {
    id: Option<i32>,
    version_seen: bool,
    deleted: bool,
    text: Option<Digest>,
    others: Vec<(String, Vec<u8>)>,
    references: Vec<Reference>,
    remark: Option<Remark>,
    /// What is to be said of the text if the schema is Avro.
    avro_remark: Option<Remark>,
    kind: Kind,
}

impl SchemaReading {
    fn take(
        &mut self,
        name: &str,
        written: Raw<'_>,
        subject: &Subject,
        version: u32,
    ) -> Result<(), String> {
        let raw = written.text;
        match name {
            "offset" | "ts" => {}
            _ if raw == "null" => {}
            "subject" => {
                let spelled = string(raw).ok_or("its subject is no string")?;
                if !spelled.is_empty() && Subject::parse(&spelled) != *subject {
                    return Err(format!("its key says {subject}, its value says {spelled}"));
                }
            }
            "version" => {
                let said = integer(raw).ok_or("its version is not an integer")?;
                if said != i64::from(version) {
                    return Err(format!("its key says version {version}, its value says {said}"));
                }
                self.version_seen = true;
            }
            "id" => self.id = Some(read_id(raw)?),
            "schema" => {
                if !raw.starts_with('"') {
                    return Err("its schema is no string".to_owned());
                }
                self.avro_remark = (!begins_as_json(raw)).then_some(Remark::NotAvro);
                self.text =
                    Some(Digest::of(written.plain_string().as_bytes())).filter(|_| raw != "\"\"");
            }
            "deleted" => {
                self.deleted = match raw {
                    "true" | "\"true\"" => true,
                    "false" | "\"false\"" | "\"\"" => false,
                    other => return Err(format!("its deleted is {other}, not true or false")),
                };
            }
            "references" => self.take_references(raw)?,
            _ => self.take_other(name, raw)?,
        }
        Ok(())
    }

    fn take_references(&mut self, raw: &str) -> Result<(), String> {
        let references = read_references(raw)?;
        if references.iter().any(|reference| reference.version < 0) {
            self.remark = Some(Remark::ReferenceToLatest);
        }
        self.references = references;
        Ok(())
    }

    fn take_other(&mut self, name: &str, raw: &str) -> Result<(), String> {
        match name {
            "schemaType" => {
                let kind = string(raw).ok_or("its schemaType is no string")?;
                match &*kind {
                    "AVRO" | "" => return Ok(()),
                    "JSON" | "PROTOBUF" => self.kind = Kind::Other,
                    _ => self.remark = Some(Remark::UnknownSchemaType),
                }
            }
            "metadata" => {
                let metadata = parsed(raw, "metadata")?;
                check_metadata(&metadata)?;
                if metadata.pointer("/properties/__enc__").is_some() {
                    self.remark = Some(Remark::EncodedMetadata);
                }
            }
            "ruleSet" => check_rule_set(&parsed(raw, "ruleSet")?)?,
            _ => {}
        }
        self.others.push((name.to_owned(), canonical_value(raw)));
        Ok(())
    }

    fn finish(mut self) -> Result<SchemaValue, String> {
        let id = self.id.ok_or("its value has no id")?;
        let text = self.text.ok_or("its value has no schema")?;
        if !self.version_seen {
            return Err("its value has no version".to_owned());
        }
        let meaning =
            if self.others.is_empty() { text } else { meaning_of(&text, &mut self.others) };
        let avro_remark = self.avro_remark.filter(|_| self.kind == Kind::Avro);
        let remark = self.remark.or(avro_remark);
        let content = Content::new(text, meaning, self.references, remark);
        Ok(SchemaValue { id, deleted: self.deleted, content, subject_at: None })
    }
}

fn read_id(raw: &str) -> Result<i32, String> {
    let id = integer(raw).ok_or_else(|| format!("its id {raw} is not an integer"))?;
    match i32::try_from(id) {
        Ok(small) if id < NUMBER_MAX => Ok(small),
        Ok(_) | Err(_) => Err(format!("id {id} is not below {NUMBER_MAX}")),
    }
}

fn read_references(raw: &str) -> Result<Vec<Reference>, String> {
    let Value::Array(items) = parsed(raw, "references")? else {
        return Err("its references are no list".to_owned());
    };
    items.iter().map(read_reference).collect()
}

fn read_reference(item: &Value) -> Result<Reference, String> {
    let text =
        |field: &str| item.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
    let subject = text("subject").ok_or("a reference has no subject")?;
    let version = match item.get("version") {
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(digits)) => digits.trim().parse().ok(),
        Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => None,
    };
    let version = version.ok_or_else(|| format!("a reference to {subject} has no version"))?;
    Ok(Reference {
        name: text("name").unwrap_or_default().into(),
        subject: subject.into(),
        version,
    })
}

/// The structure that a registry's reader insists on; wrong types make it skip the record.
pub(super) fn check_metadata(metadata: &Value) -> Result<(), String> {
    let Value::Object(fields) = metadata else {
        return Err("its metadata is no object".to_owned());
    };
    for (name, value) in fields {
        let sound = match (name.as_str(), value) {
            (_, Value::Null) => true,
            ("tags", Value::Object(tags)) => {
                tags.values().all(|tag| is_list_of_scalars(tag) || tag.is_null())
            }
            ("properties", Value::Object(properties)) => properties.values().all(is_scalar),
            ("sensitive", value) => is_list_of_scalars(value),
            ("tags" | "properties", _) => false,
            _ => true,
        };
        if !sound {
            return Err(format!("its metadata.{name} has another type than a registry reads"));
        }
    }
    Ok(())
}

fn is_scalar(value: &Value) -> bool {
    !value.is_array() && !value.is_object()
}

fn is_list_of_scalars(value: &Value) -> bool {
    value.as_array().is_some_and(|items| items.iter().all(is_scalar))
}

/// Unknown constants make a registry's reader skip the whole record (confluent-schemas-topic §2.2).
pub(super) fn check_rule_set(rules: &Value) -> Result<(), String> {
    let Value::Object(fields) = rules else {
        return Err("its ruleSet is no object".to_owned());
    };
    for list in ["migrationRules", "domainRules", "encodingRules"] {
        match fields.get(list) {
            None | Some(Value::Null) => {}
            Some(Value::Array(rules)) => rules.iter().try_for_each(check_rule)?,
            Some(_) => return Err(format!("its ruleSet.{list} is no list")),
        }
    }
    check_constant(rules, "enableAt", &["ALL", "CLIENT", "GATEWAY", "SERVER", "NONE"])
}

fn check_rule(rule: &Value) -> Result<(), String> {
    if !rule.is_object() {
        return Err("a rule is no object".to_owned());
    }
    check_constant(rule, "kind", &["TRANSFORM", "CONDITION"])?;
    let modes = ["UPGRADE", "DOWNGRADE", "UPDOWN", "WRITE", "READ", "WRITEREAD"];
    check_constant(rule, "mode", &modes)
}

fn check_constant(of: &Value, field: &str, known: &[&str]) -> Result<(), String> {
    match of.get(field) {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(constant)) if known.contains(&constant.as_str()) => Ok(()),
        Some(other) => Err(format!("its {field} is {other}, which no registry reads")),
    }
}
