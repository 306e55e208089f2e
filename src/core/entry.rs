//! What a record says: the one place where bytes from a log become facts about a registry.

use crate::core::dialect::Concluded;
use crate::core::dialect::Dialect;
use crate::core::dialect::Race;
use crate::core::dialect::Seen;
use crate::core::dialect::race_fields;
use crate::core::dialect::redpanda_delete;
use crate::core::key::Association;
use crate::core::key::Key;
use crate::core::key::KeyReading;
use crate::core::key::Version;
use crate::core::key::read_key;
use crate::core::record::Offset;
use crate::core::record::Record;
use crate::core::subject::ContextName;
use crate::core::subject::Subject;
use crate::core::value::AssociationValue;
use crate::core::value::ConfigValue;
use crate::core::value::Mode;
use crate::core::value::SchemaValue;
use crate::core::value::read_association;
use crate::core::value::read_config;
use crate::core::value::read_delete_subject;
use crate::core::value::read_mode;
use crate::core::value::read_schema;

/// What a record says, as a registry would take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A version of a subject; `None` is a hard delete.
    Schema(Subject, Version, Option<SchemaValue>),
    /// Settings of a subject, or of a context; `None` takes them away.
    Config(Subject, Option<ConfigValue>),
    /// The mode of a subject, or of a context; `None` takes it away.
    Mode(Subject, Option<Mode>),
    /// A context exists, or is forgotten.
    Context(ContextName, bool),
    /// A resource is tied to a subject; `None` unties it.
    Association(Box<Association>, Option<AssociationValue>),
    /// Versions up to this one are deleted softly.
    DeleteSubject(Subject, i64),
    /// Soft-deleted versions are forgotten: of a subject, of a context, of everything.
    ClearSubject(Option<Subject>),
    /// It says nothing to us: a NOOP, a kind that we don't know, a deletion of nothing.
    Nothing,
    /// Something was meant, and a registry would skip it, misread it or be broken by it.
    Faulty(Option<Key>, String),
}

/// How far the log's writer is known.
#[derive(Debug, Clone)]
pub struct Reader {
    declared: Dialect,
    seen: Seen,
    /// Room for the canonical spelling of one key.
    spelled: Vec<u8>,
}

impl Reader {
    /// A reader of logs of this dialect.
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self { declared: dialect, seen: Seen::default(), spelled: Vec::new() }
    }

    /// Whose log it is, as far as it was read.
    #[must_use]
    pub fn dialect(&self) -> Concluded {
        Concluded::from(self.declared, self.seen)
    }

    /// What the log showed of its writer so far.
    pub(in crate::core) fn seen(&self) -> Seen {
        self.seen
    }

    /// A record of this key was written to the log without being read back: what follows is read
    /// as behind it.
    pub(in crate::core) fn wrote(&mut self, key: &Key, offset: Offset) {
        self.seen.kind(key, offset);
    }

    /// Reads a record. Karapace is recognised by its headers and its spellings (rulings 30); from
    /// then on an empty value is a deletion. Confluent skips a record with an empty value and keeps
    /// what it has (odd-records 2.1).
    #[must_use]
    pub fn read(&mut self, record: &Record) -> Reading {
        self.read_where(record, |_| true)
    }

    /// The same for those keys only whose values are wanted; the others say nothing.
    #[must_use]
    pub fn read_where(&mut self, record: &Record, wants: impl Fn(&Key) -> bool) -> Reading {
        let Some(bytes) = record.key.as_deref() else {
            return Reading::faulty(None, "its key is null");
        };
        let deletes = match record.value.as_deref() {
            None => true,
            Some(value) => value.trim_ascii() == b"null",
        };
        let key = match read_key(bytes) {
            KeyReading::Known(key) => key,
            KeyReading::Unknown(_) => return Reading::nothing(),
            KeyReading::Unreadable(_) | KeyReading::Misread(..) if deletes => {
                return Reading::nothing();
            }
            KeyReading::Unreadable(reason) => return Reading::faulty(None, &reason),
            KeyReading::Misread(key, reason) => return Reading::faulty(key, &reason),
        };
        let canonical = self.is_canonical(record, &key, bytes);
        if !wants(&key) {
            return Reading::nothing();
        }
        let value = match record.value.as_deref() {
            _ if deletes => None,
            Some([]) if self.empty_deletes() => None,
            value => value,
        };
        if self.declared == Dialect::Redpanda && !canonical && value.is_some() {
            match race_fields(bytes) {
                Race::At(expected) if expected != record.offset => return Reading::nothing(),
                Race::Half => return Reading::faulty(None, "its key has one of seq and node only"),
                Race::At(_) | Race::Outside => {}
            }
        }
        let entry = match (&key, value) {
            (Key::DeleteSubject(subject), Some(value)) if self.declared == Dialect::Redpanda => {
                let (subject, last) = redpanda_delete(subject, value);
                Entry::DeleteSubject(subject, last)
            }
            (_, _) => read_entry(key, value),
        };
        Reading { entry, canonical }
    }

    /// Whether the log's own registry spells the key so, by what was seen up to this record.
    fn is_canonical(&mut self, record: &Record, key: &Key, bytes: &[u8]) -> bool {
        self.spelled.clear();
        key.push_canonical(&mut self.spelled);
        let confluent = self.spelled == bytes;
        if self.declared == Dialect::Auto {
            self.seen.look(record, key, &self.spelled);
        }
        let dialect = self.dialect().dialect;
        if dialect != Dialect::Karapace {
            return confluent;
        }
        self.spelled.clear();
        dialect.push_key(key, &mut self.spelled);
        self.spelled == bytes
    }

    fn empty_deletes(&self) -> bool {
        match self.declared {
            Dialect::Auto => self.seen.empty_deletes(),
            Dialect::Karapace | Dialect::Redpanda => true,
            Dialect::Confluent6 | Dialect::Confluent7 | Dialect::Confluent8 => false,
        }
    }
}

/// A record's entry, and whether its key has the bytes that we would write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// What it says.
    pub entry: Entry,
    /// Its key is spelled as the log's own registry spells it.
    pub canonical: bool,
}

impl Reading {
    fn nothing() -> Self {
        Self { entry: Entry::Nothing, canonical: true }
    }

    fn faulty(key: Option<Key>, reason: &str) -> Self {
        Self { entry: Entry::Faulty(key, reason.to_owned()), canonical: true }
    }
}

fn read_entry(key: Key, value: Option<&[u8]>) -> Entry {
    match (&key, value) {
        (Key::Noop, _) | (Key::DeleteSubject(_) | Key::ClearSubject(_), None) => Entry::Nothing,
        (Key::Schema(subject, version), None) => Entry::Schema(subject.clone(), *version, None),
        (Key::Config(subject), None) => Entry::Config(subject.clone(), None),
        (Key::Mode(subject), None) => Entry::Mode(subject.clone(), None),
        (Key::Context(context), None) => Entry::Context(context.clone(), false),
        (Key::Association(association), None) => Entry::Association(association.clone(), None),
        (Key::Association(association), Some(bytes)) => {
            match read_association(bytes, association) {
                Ok(said) => Entry::Association(association.clone(), Some(said)),
                Err(reason) => Entry::Faulty(Some(key), reason),
            }
        }
        (Key::ClearSubject(_), Some(value)) => Entry::ClearSubject(cleared(value)),
        (Key::Context(context), Some(value)) => read_context(context, value),
        (Key::Schema(subject, version), Some(bytes)) => {
            match read_schema(bytes, subject, version.get()) {
                Ok(said) => Entry::Schema(subject.clone(), *version, Some(said)),
                Err(reason) => Entry::Faulty(Some(key), reason),
            }
        }
        (Key::Config(subject), Some(bytes)) => match read_config(bytes) {
            Ok(said) => Entry::Config(subject.clone(), Some(said)),
            Err(reason) => Entry::Faulty(Some(key), reason),
        },
        (Key::Mode(subject), Some(bytes)) => match read_mode(bytes) {
            Ok(said) => Entry::Mode(subject.clone(), Some(said)),
            Err(reason) => Entry::Faulty(Some(key), reason),
        },
        (Key::DeleteSubject(_), Some(bytes)) => match read_delete_subject(bytes) {
            Ok((subject, last)) => Entry::DeleteSubject(subject, last),
            Err(reason) => Entry::Faulty(Some(key), reason),
        },
    }
}

/// The value says what is cleared, not the key; none there clears everything.
fn cleared(value: &[u8]) -> Option<Subject> {
    let value = serde_json::from_slice::<serde_json::Value>(value).ok()?;
    value.get("subject")?.as_str().filter(|spelled| !spelled.is_empty()).map(Subject::parse)
}

/// A registry lists the context that the value names (odd-records 6.3).
fn read_context(context: &ContextName, value: &[u8]) -> Entry {
    let named = serde_json::from_slice::<serde_json::Value>(value).ok();
    let named = named.as_ref().and_then(|value| value.get("context")?.as_str());
    if named == Some(context.as_str()) {
        Entry::Context(context.clone(), true)
    } else {
        let reason = "its value does not name the context, so a registry lists another".to_owned();
        Entry::Faulty(Some(Key::Context(context.clone())), reason)
    }
}

impl Entry {
    /// The subject that the entry is about, if it is about one.
    #[must_use]
    pub fn subject(&self) -> Option<&Subject> {
        match self {
            Self::Schema(subject, ..)
            | Self::Config(subject, _)
            | Self::Mode(subject, _)
            | Self::DeleteSubject(subject, _) => Some(subject),
            Self::Association(association, _) => Some(&association.subject),
            Self::Faulty(Some(key), _) => key.subject(),
            Self::ClearSubject(_) | Self::Context(..) | Self::Nothing | Self::Faulty(None, _) => {
                None
            }
        }
    }

    /// The key whose state the entry sets, and whether it exists from then on; `None` for events.
    #[must_use]
    pub fn state_key(&self) -> Option<(Key, bool)> {
        match self {
            Self::Schema(subject, version, said) => {
                Some((Key::Schema(subject.clone(), *version), said.is_some()))
            }
            Self::Config(subject, said) => Some((Key::Config(subject.clone()), said.is_some())),
            Self::Mode(subject, said) => Some((Key::Mode(subject.clone()), said.is_some())),
            Self::Association(association, said) => {
                Some((Key::Association(association.clone()), said.is_some()))
            }
            Self::Context(context, exists) => Some((Key::Context(context.clone()), *exists)),
            Self::Faulty(Some(key), _) => Some((key.clone(), true)),
            Self::DeleteSubject(..)
            | Self::ClearSubject(_)
            | Self::Nothing
            | Self::Faulty(None, _) => None,
        }
    }
}
