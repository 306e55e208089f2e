//! What a Confluent registry does with an odd record. Measured on 7.9.5 (odd-records), record by
//! record.

use std::borrow::Cow;

use serde::Serialize;

use crate::core::json::Object;
use crate::core::json::string;
use crate::core::key::Key;
use crate::core::key::KeyReading;
use crate::core::key::NUMBER_MAX;
use crate::core::subject::Subject;

/// What a registry does with a record that it does not take as it was meant, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Its reader dies: it answers from a frozen state, refuses writes, and never starts again.
    Dies,
    /// Its reader is busy with it for long, or for ever.
    Hangs,
    /// It takes the record as something else, and answers or refuses wrongly from then on.
    Misreads,
    /// It logs an error or says nothing; what was meant does not happen.
    Ignores,
    /// The record's id stands for another text already; the first one keeps it.
    LosesId,
    /// It takes the record, with a consequence that is worth knowing.
    Notable,
}

impl Fate {
    /// All fates, the worst first.
    pub const ALL: [Self; 6] =
        [Self::Dies, Self::Hangs, Self::Misreads, Self::Ignores, Self::LosesId, Self::Notable];

    /// A newer record of the same key does not undo it: the registry meets the older one first.
    pub(super) fn outlives_its_key(self) -> bool {
        match self {
            Self::Dies | Self::Hangs => true,
            Self::Misreads | Self::Ignores | Self::LosesId | Self::Notable => false,
        }
    }
}

/// A fate with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) fate: Fate,
    pub(super) reason: String,
    /// Where it concerns some releases only.
    pub(super) releases: Option<&'static str>,
}

impl Verdict {
    pub(super) fn new(fate: Fate, reason: impl Into<String>) -> Self {
        Self { fate, reason: reason.into(), releases: None }
    }
}

const ASSOC_RELEASES: &str = "all but 8.0.7, 8.1.5, 8.2.0 and what follows each";

/// What the key alone decides; nothing where it is sound.
pub(super) fn of_key(bytes: &[u8], reading: &KeyReading) -> Option<Verdict> {
    let verdict = match reading {
        KeyReading::Known(Key::Association(_)) => unknown_to_most(),
        KeyReading::Known(_) => return None,
        KeyReading::Unknown(kind) if kind == "ASSOC" => unknown_to_most(),
        KeyReading::Unknown(kind) => {
            Verdict::new(Fate::Dies, format!("its keytype {kind:?} is unknown"))
        }
        KeyReading::Unreadable(reason) => unreadable(bytes, reason),
        KeyReading::Misread(_, reason) => Verdict::new(misread_key(bytes), reason.as_str()),
    };
    Some(verdict)
}

fn unknown_to_most() -> Verdict {
    Verdict {
        releases: Some(ASSOC_RELEASES),
        ..Verdict::new(Fate::Dies, "its keytype ASSOC is unknown to most releases")
    }
}

fn unreadable(bytes: &[u8], reason: &str) -> Verdict {
    let Ok(object) = Object::parse(bytes) else {
        let mut values = serde_json::Deserializer::from_slice(bytes).into_iter();
        if let Some(Ok(serde_json::Value::Null)) = values.next() {
            return Verdict::new(Fate::Dies, "its key is JSON null");
        }
        return Verdict::new(Fate::Ignores, reason);
    };
    let named = |name: &'static str| {
        let fields = object.fields().iter();
        fields.filter(move |field| field.name(bytes).as_deref() == Some(name)).map(|f| f.raw(bytes))
    };
    let kinds: Vec<&str> = named("keytype").collect();
    let fate = match kinds.as_slice() {
        [kind] if kind.starts_with('"') => {
            let represented =
                named("subject").all(|raw| !raw.starts_with('"') || string(raw).is_some());
            if represented { Fate::Ignores } else { Fate::Notable }
        }
        [] | [_] => Fate::Dies,
        _ => Fate::Ignores,
    };
    if fate == Fate::Notable {
        return Verdict::new(
            fate,
            "its subject holds a lone surrogate: a registry takes it, schema-mirror can't copy it",
        );
    }
    Verdict::new(fate, reason)
}

/// `keytype` is compared with its case; what else is misread, is so by kind.
fn misread_key(bytes: &[u8]) -> Fate {
    let Ok(object) = Object::parse(bytes) else { return Fate::Ignores };
    let text = |name: &str| {
        let field = object.fields().iter().find(|f| f.name(bytes).as_deref() == Some(name))?;
        string(field.raw(bytes)).map(Cow::into_owned)
    };
    match text("keytype").as_deref() {
        // Without a subject the registry fails to add it, and stores nothing.
        Some("SCHEMA") => match text("subject") {
            None => Fate::Ignores,
            Some(subject) if subject.is_empty() => Fate::Ignores,
            Some(_) => Fate::Misreads,
        },
        Some("CONFIG" | "MODE") => Fate::Ignores,
        Some("CONTEXT") => match (text("tenant").as_deref(), text("context")) {
            (Some("default"), Some(_)) => Fate::Misreads,
            (Some(_) | None, _) => Fate::Ignores,
        },
        Some("DELETE_SUBJECT") => Fate::Misreads,
        Some(_) | None => Fate::Dies,
    }
}

/// What becomes of a record whose key is sound and whose value is not, for the reason given.
pub(super) fn of_value(key: &Key, value: Option<&[u8]>, reason: &str) -> Verdict {
    let value = value.unwrap_or_default();
    let fate = match key {
        Key::Schema(subject, version) => SchemaPeek::new(value)
            .map_or(Fate::Ignores, |peek| peek.fate(subject, i64::from(version.get()))),
        Key::Mode(_) => match field(value, "mode") {
            Some(None) => Fate::Misreads,
            Some(Some(_)) | None => Fate::Ignores,
        },
        Key::Context(_) if Object::parse(value).is_ok() => Fate::Misreads,
        Key::Context(_)
        | Key::Config(_)
        | Key::DeleteSubject(_)
        | Key::Association(_)
        | Key::ClearSubject(_)
        | Key::Noop => Fate::Ignores,
    };
    let consequence = match fate {
        Fate::Ignores => "; an older good value of the key is served until compaction takes it",
        Fate::Dies | Fate::Hangs | Fate::Misreads | Fate::LosesId | Fate::Notable => "",
    };
    let state = matches!(key, Key::Schema(..) | Key::Config(_) | Key::Mode(_));
    Verdict::new(fate, format!("{reason}{}", if state { consequence } else { "" }))
}

/// A field of an object: `None` for no object, `Some(None)` for no such field, or null.
fn field(value: &[u8], name: &str) -> Option<Option<String>> {
    let object = Object::parse(value).ok()?;
    let fields = object.fields().iter().rev();
    let raw =
        fields.filter(|f| f.name(value).as_deref() == Some(name)).map(|f| f.raw(value)).next();
    Some(raw.filter(|raw| *raw != "null").map(str::to_owned))
}

/// What stands where a schema's text should.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Text {
    #[default]
    Missing,
    Given,
    NoString,
}

/// Fields of a SCHEMA value as they stand there.
#[derive(Debug, Default)]
pub(super) struct SchemaPeek {
    subject: Option<String>,
    version: Option<String>,
    id: Option<String>,
    text: Text,
    references_broken: bool,
    /// AVRO unless the value says another.
    pub(super) schema_type: Option<String>,
    /// Fields of 8.x that older releases drop.
    pub(super) has_new_rules: bool,
}

impl SchemaPeek {
    pub(super) fn new(value: &[u8]) -> Option<Self> {
        let object = Object::parse(value).ok()?;
        let mut peek = Self::default();
        for field in object.fields() {
            let raw = field.raw(value);
            if raw == "null" {
                continue;
            }
            match field.name(value).as_deref() {
                Some("subject") => peek.subject = string(raw).map(Cow::into_owned),
                Some("version") => peek.version = Some(raw.to_owned()),
                Some("id") => peek.id = Some(raw.to_owned()),
                Some("schemaType") => peek.schema_type = string(raw).map(Cow::into_owned),
                Some("schema") => {
                    peek.text = match raw {
                        "\"\"" => Text::Missing,
                        text if text.starts_with('"') => Text::Given,
                        _ => Text::NoString,
                    };
                }
                Some("references") => peek.references_broken = are_broken(raw),
                Some("ruleSet") => {
                    peek.has_new_rules =
                        raw.contains("\"encodingRules\"") || raw.contains("\"enableAt\"");
                }
                Some(_) | None => {}
            }
        }
        Some(peek)
    }

    /// A registry lists a value without subject nowhere, and its listings fail over it.
    pub(super) fn breaks_listings(&self) -> bool {
        self.subject.as_deref().is_none_or(str::is_empty)
    }

    fn fate(&self, subject: &Subject, version: i64) -> Fate {
        let number = |raw: &str| raw.trim_matches('"').trim().parse::<i64>().ok();
        let Some(id) = self.id.as_deref().and_then(number) else { return Fate::Ignores };
        if i32::try_from(id).is_err() || self.text == Text::NoString {
            return Fate::Ignores;
        }
        let other_subject = self
            .subject
            .as_deref()
            .is_some_and(|spelled| !spelled.is_empty() && Subject::parse(spelled) != *subject);
        let other_version = self.version.as_deref().and_then(number) != Some(version);
        let misread = other_subject
            || other_version
            || self.text == Text::Missing
            || id >= NUMBER_MAX
            || self.references_broken;
        if misread { Fate::Misreads } else { Fate::Ignores }
    }
}

/// A reference without subject or version: half of the registry's indexes know it.
fn are_broken(raw: &str) -> bool {
    let Ok(serde_json::Value::Array(items)) = serde_json::from_str(raw) else { return false };
    items.iter().any(|item| {
        let missing = |name: &str| item.get(name).is_none_or(serde_json::Value::is_null);
        item.is_object() && (missing("subject") || missing("version"))
    })
}
