//! Keys of registry records: read leniently, written in one spelling only.
//!
//! Compaction compares keys as bytes, a registry compares what they say. So every spelling is read
//! and [`Key::canonical`] is the only writer: Jackson's bytes in the order that Confluent has used
//! since 5.2.5 (SCHEMA) and 5.3.0 (the others).

use std::borrow::Cow;
use std::fmt;

use crate::core::json::Fields;
use crate::core::json::JsonFault;
use crate::core::json::push_jackson_string;
use crate::core::json::push_jackson_text;
use crate::core::json::string;
use crate::core::subject::ContextName;
use crate::core::subject::Subject;

/// Ids and versions from here on are not written: a registry's next one would be negative, or its
/// listing would not show it (odd-records 1.18, 2.13).
pub const NUMBER_MAX: i64 = 2_147_483_648 - 1_000;

/// The place of a schema in its subject, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u32);

impl Version {
    /// A version that registries can list: 1 to [`NUMBER_MAX`] − 1.
    #[must_use]
    pub fn new(wire: i64) -> Option<Self> {
        if (1..NUMBER_MAX).contains(&wire) { u32::try_from(wire).ok().map(Self) } else { None }
    }

    /// As a number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a registry's record is about, whatever its bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A context exists.
    Context(ContextName),
    /// Who may write a subject, or a context.
    Mode(Subject),
    /// Compatibility and other settings of a subject, or a context.
    Config(Subject),
    /// One version of a subject.
    Schema(Subject, Version),
    /// A resource of a Kafka cluster, a topic, is tied to a subject (8.0.7, 8.1.5, 8.2.0 and later).
    Association(Box<Association>),
    /// An event: all versions up to the value's are deleted softly. The value names the subject.
    DeleteSubject(Subject),
    /// An event: the registry forgets soft-deleted versions. `None`: of all contexts.
    ClearSubject(Option<Subject>),
    /// Says nothing; written by registries to learn where the end is.
    Noop,
}

/// Which resource is tied to which subject, and as what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Association {
    /// The subject.
    pub subject: Subject,
    /// The resource's name: a topic's.
    pub resource_name: Box<str>,
    /// Where it is: the id of its Kafka cluster.
    pub resource_namespace: Box<str>,
    /// What it is: `topic`.
    pub resource_type: Box<str>,
    /// What the subject is to it: `key` or `value`.
    pub association_type: Box<str>,
}

impl Key {
    /// The bytes that Confluent writes for this key; nobody else builds a key.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        self.push_canonical(&mut out);
        out
    }

    /// Appends the same bytes.
    pub(in crate::core) fn push_canonical(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"keytype":""#);
        out.extend_from_slice(self.kind().as_bytes());
        out.push(b'"');
        match self {
            Self::Context(context) => {
                out.extend_from_slice(br#","tenant":"default","context":"#);
                push_jackson_string(out, context.as_str());
            }
            Self::Mode(subject) | Self::Config(subject) | Self::DeleteSubject(subject) => {
                push_subject(out, subject);
            }
            Self::Schema(subject, version) => {
                push_subject(out, subject);
                out.extend_from_slice(br#","version":"#);
                push_number(out, version.get());
                out.extend_from_slice(br#","magic":1}"#);
                return;
            }
            Self::Association(association) => {
                let Association { subject, .. } = &**association;
                out.extend_from_slice(br#","tenant":"default""#);
                for (name, text) in association.resource() {
                    out.extend_from_slice(b",");
                    push_jackson_string(out, name);
                    out.push(b':');
                    push_jackson_string(out, text);
                }
                push_subject(out, subject);
            }
            Self::ClearSubject(subject) => {
                subject.iter().for_each(|subject| push_subject(out, subject));
            }
            Self::Noop => {}
        }
        out.extend_from_slice(br#","magic":0}"#);
    }

    /// The `keytype` of the key.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Context(_) => "CONTEXT",
            Self::Mode(_) => "MODE",
            Self::Config(_) => "CONFIG",
            Self::Schema(..) => "SCHEMA",
            Self::Association(_) => "ASSOC",
            Self::DeleteSubject(_) => "DELETE_SUBJECT",
            Self::ClearSubject(_) => "CLEAR_SUBJECT",
            Self::Noop => "NOOP",
        }
    }

    /// The context that the key belongs to; `None` where it belongs to no single one.
    #[must_use]
    pub fn context(&self) -> Option<&ContextName> {
        match self {
            Self::Context(context) => Some(context),
            Self::Mode(s) | Self::Config(s) | Self::Schema(s, _) | Self::DeleteSubject(s) => {
                Some(&s.context)
            }
            Self::Association(association) => Some(&association.subject.context),
            Self::ClearSubject(subject) => subject.as_ref().map(|s| &s.context),
            Self::Noop => None,
        }
    }

    /// The subject that the key belongs to, if it is about one.
    #[must_use]
    pub fn subject(&self) -> Option<&Subject> {
        match self {
            Self::Mode(s) | Self::Config(s) | Self::Schema(s, _) | Self::DeleteSubject(s) => {
                Some(s)
            }
            Self::Association(association) => Some(&association.subject),
            Self::ClearSubject(subject) => subject.as_ref(),
            Self::Context(_) | Self::Noop => None,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Context(context) => write!(f, "CONTEXT {context}"),
            Self::Schema(subject, version) => write!(f, "{subject} v{version}"),
            Self::Mode(s) | Self::Config(s) | Self::DeleteSubject(s) => {
                if s.is_context() && s.context.is_default() {
                    write!(f, "{} (default context)", self.kind())
                } else {
                    write!(f, "{} {s}", self.kind())
                }
            }
            Self::Association(association) => {
                let Association { subject, resource_name, .. } = &**association;
                write!(f, "ASSOC {subject} with {resource_name}")
            }
            Self::ClearSubject(Some(s)) => write!(f, "CLEAR_SUBJECT {s}"),
            Self::ClearSubject(None) | Self::Noop => f.write_str(self.kind()),
        }
    }
}

/// `subject` is left out when it is empty, as Jackson's NON_EMPTY does.
fn push_subject(out: &mut Vec<u8>, subject: &Subject) {
    if !(subject.is_context() && subject.context.is_default()) {
        out.extend_from_slice(br#","subject":"#);
        push_spelled(out, subject);
    }
}

/// Appends a subject as a JSON string, spelled as a registry spells it.
pub(in crate::core) fn push_spelled(out: &mut Vec<u8>, subject: &Subject) {
    out.push(b'"');
    subject.spelled_parts().iter().for_each(|part| push_jackson_text(out, part));
    out.push(b'"');
}

fn push_number(out: &mut Vec<u8>, number: u32) {
    if number > 9 {
        push_number(out, number / 10);
    }
    out.push(b'0' | u8::try_from(number % 10).unwrap_or_default());
}

/// What the bytes of a key turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyReading {
    /// A key we know.
    Known(Key),
    /// A kind that says nothing to us, with its name: dropped and counted.
    Unknown(String),
    /// Nobody can read it, with the reason.
    Unreadable(String),
    /// A registry reads it as something that was not meant, or not at all: what and why. Some of
    /// them name a key whose state they would have changed.
    Misread(Option<Key>, String),
}

const KINDS: [&str; 8] =
    ["SCHEMA", "CONFIG", "MODE", "CONTEXT", "DELETE_SUBJECT", "CLEAR_SUBJECT", "NOOP", "ASSOC"];

/// Reads a key's bytes by field, in any order and spelling, as a registry does. Text after the
/// JSON is ignored (measured: applied as if it were not there).
#[must_use]
pub fn read_key(bytes: &[u8]) -> KeyReading {
    let fields = match KeyFields::read(bytes) {
        Ok(fields) => fields,
        Err(reason) => return KeyReading::Unreadable(reason),
    };
    let Some(raw) = fields.keytype else {
        return KeyReading::Unreadable("it has no keytype".to_owned());
    };
    let Some(kind) = string(raw) else {
        return KeyReading::Unreadable("its keytype is not a string".to_owned());
    };
    match &*kind {
        "NOOP" => KeyReading::Known(Key::Noop),
        "SCHEMA" => read_schema_key(&fields),
        "CONFIG" => read_setting_key(&fields, Key::Config),
        "MODE" => read_setting_key(&fields, Key::Mode),
        "DELETE_SUBJECT" => {
            fields.with_subject(|subject| KeyReading::Known(Key::DeleteSubject(subject)))
        }
        "CLEAR_SUBJECT" => match fields.subject() {
            Ok(subject) => KeyReading::Known(Key::ClearSubject(subject)),
            Err(reason) => KeyReading::Unreadable(reason),
        },
        "CONTEXT" => read_context_key(&fields),
        "ASSOC" => read_association_key(&fields),
        other if KINDS.iter().any(|known| *known != other && known.eq_ignore_ascii_case(other)) => {
            KeyReading::Misread(None, format!("its keytype {other:?} is not in capitals"))
        }
        other => KeyReading::Unknown(other.to_owned()),
    }
}

fn read_schema_key(fields: &KeyFields<'_>) -> KeyReading {
    match fields.magic.map(integer) {
        None | Some(Some(0 | 1)) => {}
        Some(_) => return KeyReading::Unreadable("its magic is neither 0 nor 1".to_owned()),
    }
    fields.with_subject(|subject| {
        if let Some(defect) = subject.defect() {
            return KeyReading::Misread(None, defect.to_owned());
        }
        let Some(wire) = fields.version.filter(|raw| *raw != "null") else {
            return KeyReading::Misread(None, "its key has no version".to_owned());
        };
        match integer(wire).map(|number| (number, Version::new(number))) {
            Some((_, Some(version))) => KeyReading::Known(Key::Schema(subject, version)),
            Some((number, None)) => {
                let most = NUMBER_MAX - 1;
                KeyReading::Misread(None, format!("version {number} is outside 1 to {most}"))
            }
            None => KeyReading::Unreadable("its version is not an integer".to_owned()),
        }
    })
}

fn read_setting_key(fields: &KeyFields<'_>, key: fn(Subject) -> Key) -> KeyReading {
    match fields.subject_text() {
        Err(reason) => KeyReading::Unreadable(reason),
        // Stored under a name that no look-up asks for (odd-records 1.20).
        Ok(Some(text)) if text == ":.:" || text == ":." => KeyReading::Misread(
            None,
            "a registry never finds settings of \":.:\"; they stand without subject".to_owned(),
        ),
        Ok(text) => {
            let subject = Subject::parse(text.as_deref().unwrap_or_default());
            if Subject::parse(&subject.spelled()) == subject {
                KeyReading::Known(key(subject))
            } else {
                KeyReading::Misread(None, "its name reads as another subject's".to_owned())
            }
        }
    }
}

fn read_context_key(fields: &KeyFields<'_>) -> KeyReading {
    let name = fields.context.and_then(string);
    match (fields.tenant.and_then(string), name) {
        (Some(tenant), Some(name)) if tenant == "default" => {
            if name.contains(':') {
                KeyReading::Misread(
                    None,
                    format!("context {name:?} holds a colon: nothing finds it"),
                )
            } else if name.starts_with('.') {
                KeyReading::Known(Key::Context(ContextName::from_record(&name)))
            } else {
                KeyReading::Misread(None, format!("context {name:?} has no leading dot"))
            }
        }
        (_, Some(_)) => {
            KeyReading::Misread(None, "a context without tenant \"default\" is not listed".into())
        }
        (_, None) => KeyReading::Misread(None, "it names no context".to_owned()),
    }
}

/// One that lacks a field, or is of another tenant, is skipped by those that know the kind.
fn read_association_key(fields: &KeyFields<'_>) -> KeyReading {
    let text = |raw: Option<&str>| raw.and_then(string).map(|text| Box::<str>::from(&*text));
    let association = || {
        if text(fields.tenant)?.as_ref() != "default" {
            return None;
        }
        Some(Association {
            subject: fields.subject().ok()??,
            resource_name: text(fields.resource_name)?,
            resource_namespace: text(fields.resource_namespace)?,
            resource_type: text(fields.resource_type)?,
            association_type: text(fields.association_type)?,
        })
    };
    match association() {
        Some(association) => KeyReading::Known(Key::Association(Box::new(association))),
        None => KeyReading::Unknown("ASSOC".to_owned()),
    }
}

impl Association {
    /// The fields that name the resource, in the order of a key.
    #[must_use]
    pub fn resource(&self) -> [(&'static str, &str); 4] {
        [
            ("resourceName", &self.resource_name),
            ("resourceNamespace", &self.resource_namespace),
            ("resourceType", &self.resource_type),
            ("associationType", &self.association_type),
        ]
    }
}

/// The fields that keys have, as they were written; others are ignored, as a registry ignores them.
#[derive(Debug, Default)]
struct KeyFields<'a> {
    keytype: Option<&'a str>,
    subject: Option<&'a str>,
    version: Option<&'a str>,
    magic: Option<&'a str>,
    tenant: Option<&'a str>,
    context: Option<&'a str>,
    resource_name: Option<&'a str>,
    resource_namespace: Option<&'a str>,
    resource_type: Option<&'a str>,
    association_type: Option<&'a str>,
}

impl<'a> KeyFields<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let no_object = |fault: JsonFault| format!("its key is no JSON object: {fault}");
        let text = std::str::from_utf8(bytes).map_err(|_| no_object(JsonFault::Encoding))?;
        let mut fields = Self::default();
        for field in Fields::of(text) {
            let field = field.map_err(no_object)?;
            let name = field.name_in(text);
            let slot = match name.as_deref() {
                Some("keytype") => &mut fields.keytype,
                Some("subject") => &mut fields.subject,
                Some("version") => &mut fields.version,
                Some("magic") => &mut fields.magic,
                Some("tenant") => &mut fields.tenant,
                Some("context") => &mut fields.context,
                Some("resourceName") => &mut fields.resource_name,
                Some("resourceNamespace") => &mut fields.resource_namespace,
                Some("resourceType") => &mut fields.resource_type,
                Some("associationType") => &mut fields.association_type,
                Some(_) | None => continue,
            };
            if slot.is_some() {
                return Err(format!("its key has {:?} twice", name.unwrap_or_default()));
            }
            *slot = Some(field.value_in(text).text);
        }
        Ok(fields)
    }

    fn subject_text(&self) -> Result<Option<Cow<'a, str>>, String> {
        match self.subject {
            None | Some("null" | "\"\"") => Ok(None),
            Some(raw) if raw.starts_with('"') => match string(raw) {
                Some(text) => Ok(Some(text)),
                None => Err("its subject holds text that cannot be represented".to_owned()),
            },
            Some(_) => Err("its subject is not a string".to_owned()),
        }
    }

    fn subject(&self) -> Result<Option<Subject>, String> {
        Ok(self.subject_text()?.map(|text| Subject::parse(&text)))
    }

    fn with_subject(&self, then: impl FnOnce(Subject) -> KeyReading) -> KeyReading {
        match self.subject() {
            Ok(Some(subject)) => then(subject),
            Ok(None) => KeyReading::Misread(None, "its key has no subject".to_owned()),
            Err(reason) => KeyReading::Unreadable(reason),
        }
    }
}

/// Jackson reads `"1"` as 1 where an int is wanted (measured: key-version-string).
fn integer(raw: &str) -> Option<i64> {
    let digits = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(raw);
    digits.trim().parse().ok()
}
