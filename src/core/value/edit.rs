//! The changes a link makes in a value that it carries.

use std::ops::Range;

use serde_json::Value;

use super::integer;
use super::last_of_each;
use super::read_object;
use crate::core::json::push_jackson_string;
use crate::core::key::push_spelled;
use crate::core::rules::Compatibility;
use crate::core::subject::Subject;

/// What a subject's new name takes more than its old one, nearly always.
const ROOM_FOR_A_CONTEXT: usize = 64;

/// What a link changes in a value that it carries. Everything else stays.
#[derive(Debug, Clone, Default)]
pub struct Edit {
    /// The subject the value names from now on; `None` takes the field away (a context's own
    /// settings in the default context have none).
    pub subject: Option<String>,
    /// Set where the deletion comes from another record than this one.
    pub deleted: Option<bool>,
    /// New spellings of the references' subjects, in their order, where they are forced.
    pub references: Option<Vec<String>>,
    /// A new spelling of the alias.
    pub alias: Option<String>,
    /// A new spelling of the alias for data encryption keys.
    pub alias_for_deks: Option<String>,
    /// A level for a setting that has none.
    pub level: Option<Compatibility>,
}

/// The value with the edit made, all other fields with the bytes they had. `offset` and `ts`, which
/// a leader adds to what it rolls back, are left out.
///
/// # Errors
/// The bytes are no JSON object, which a value that was read before can't be.
pub fn edited(bytes: &[u8], edit: &Edit) -> Result<Vec<u8>, String> {
    let (object, text) = read_object(bytes)?;
    let mut out = Fields(Vec::with_capacity(bytes.len().saturating_add(64)));
    if let Some(subject) = &edit.subject {
        out.string("subject", subject);
    }
    let mut deleted = edit.deleted;
    let mut level = edit.level;
    for field in last_of_each(&object, text) {
        let (name, raw) = field?;
        let raw = raw.text;
        match &*name {
            "subject" | "offset" | "ts" => {}
            // Jackson takes a number in quotes, other registries do not.
            "id" | "version" if raw.starts_with('"') => {
                out.raw(&name, integer(raw).unwrap_or_default().to_string().as_bytes());
            }
            "deleted" => match deleted.take() {
                Some(flag) => out.raw("deleted", flag.to_string().as_bytes()),
                None => out.raw("deleted", raw.trim_matches('"').as_bytes()),
            },
            "compatibilityLevel" if level.is_some() => {
                if let Some(level) = level.take() {
                    out.string("compatibilityLevel", level.as_str());
                }
            }
            "references" => match &edit.references {
                Some(subjects) => out.raw("references", &with_subjects(raw, subjects)),
                None => out.raw("references", raw.as_bytes()),
            },
            "alias" if edit.alias.is_some() => {
                out.string("alias", edit.alias.as_deref().unwrap_or_default());
            }
            "aliasForDeks" if edit.alias_for_deks.is_some() => {
                out.string("aliasForDeks", edit.alias_for_deks.as_deref().unwrap_or_default());
            }
            _ => out.raw(&name, raw.as_bytes()),
        }
    }
    if let Some(flag) = deleted {
        out.raw("deleted", flag.to_string().as_bytes());
    }
    if let Some(level) = level {
        out.string("compatibilityLevel", level.as_str());
    }
    Ok(out.close())
}

/// The value with another subject and nothing else changed; `at` is where it names its subject, as
/// it was found when the value was read. It is made in `out`, which is empty.
#[must_use]
pub fn resubjected(
    bytes: &[u8],
    at: &Range<usize>,
    subject: &Subject,
    mut out: Vec<u8>,
) -> Option<Vec<u8>> {
    out.reserve(bytes.len().saturating_add(ROOM_FOR_A_CONTEXT));
    out.extend_from_slice(bytes.get(..at.start)?);
    push_spelled(&mut out, subject);
    out.extend_from_slice(bytes.get(at.end..)?);
    Some(out)
}

fn with_subjects(raw: &str, subjects: &[String]) -> Vec<u8> {
    let Ok(Value::Array(mut items)) = serde_json::from_str(raw) else {
        return raw.as_bytes().to_vec();
    };
    for (item, subject) in items.iter_mut().zip(subjects) {
        if let Some(slot) = item.get_mut("subject") {
            *slot = Value::from(subject.as_str());
        }
    }
    Value::Array(items).to_string().into_bytes()
}

struct Fields(Vec<u8>);

impl Fields {
    fn raw(&mut self, name: &str, value: &[u8]) {
        self.0.push(if self.0.is_empty() { b'{' } else { b',' });
        push_jackson_string(&mut self.0, name);
        self.0.push(b':');
        self.0.extend_from_slice(value);
    }

    fn string(&mut self, name: &str, value: &str) {
        let mut quoted = Vec::with_capacity(value.len().saturating_add(2));
        push_jackson_string(&mut quoted, value);
        self.raw(name, &quoted);
    }

    fn close(mut self) -> Vec<u8> {
        if self.0.is_empty() {
            self.0.push(b'{');
        }
        self.0.push(b'}');
        self.0
    }
}
