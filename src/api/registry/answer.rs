//! Answers and refusals, in the registry's words and codes.

use crate::core::json::push_jackson_string;
use crate::core::value::Digest;

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Whether it has the registry's content type. It says none where it knows no such resource.
    pub typed: bool,
    /// The body.
    pub body: String,
    /// The tag of an answer that stays what it is; others are not to be kept.
    pub tag: Option<String>,
}

impl Answer {
    /// What every answer of a registry is.
    pub const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";

    pub(super) fn of(body: String) -> Self {
        Self { status: 200, typed: true, body, tag: None }
    }

    /// An answer that nothing changes as long as it is given at all.
    pub(super) fn lasting(body: String) -> Self {
        let tag = format!("\"{:?}\"", Digest::of(body.as_bytes()));
        Self { tag: Some(tag), ..Self::of(body) }
    }

    /// Nothing but the tag for those who have the answer (RFC 9110, 13.1.2).
    pub(super) fn unless_held(self, has: Option<&str>) -> Self {
        let names = |tag: &str| {
            let tags = has.unwrap_or_default().split(',').map(str::trim);
            tags.map(|given| given.strip_prefix("W/").unwrap_or(given))
                .any(|given| given == tag || given == "*")
        };
        if self.tag.as_deref().is_some_and(names) {
            Self { status: 304, typed: false, body: String::new(), ..self }
        } else {
            self
        }
    }

    /// Whether it says that something is not there, which only those know who have read all.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.status == 404 && self.typed
    }

    /// An answer for as long as the registry can't be asked.
    pub(in crate::api) fn away(reason: &str) -> Self {
        let body = document(50_003, reason);
        Self { status: 503, ..Self::of(body) }
    }
}

/// Why a request gets no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    Subject(String),
    Version(i32),
    Schema,
    SchemaId(i32),
    SoftDeleted(String),
    VersionSoftDeleted(String, i32),
    NoConfig(String),
    NoMode(String),
    NotAVersion(String),
    NotASchema(String),
    NotALevel,
    NotAMode,
    /// The subject, and its context as registries write it there.
    ReadOnly(String, String),
    ModesStay,
    /// A link has its reasons.
    ModeStays(String),
    /// A registry can tell, and this one can't.
    Unanswerable(&'static str),
    /// A request whose body can't be read.
    Body(u16, String),
    /// A context in the path that can't be one.
    Context,
    /// A number that is none.
    NotANumber,
    /// Nothing is there, or not for this method.
    Nowhere(u16),
}

impl Refusal {
    fn code(&self) -> (u16, u32) {
        match self {
            Self::Subject(_) => (404, 40_401),
            Self::Version(_) => (404, 40_402),
            Self::Schema | Self::SchemaId(_) => (404, 40_403),
            Self::SoftDeleted(_) => (404, 40_404),
            Self::VersionSoftDeleted(..) => (404, 40_406),
            Self::NoConfig(_) => (404, 40_408),
            Self::NoMode(_) => (404, 40_409),
            Self::NotASchema(_) => (422, 42_201),
            Self::NotAVersion(_) => (422, 42_202),
            Self::NotALevel => (422, 42_203),
            Self::NotAMode => (422, 42_204),
            Self::ReadOnly(..) | Self::ModesStay | Self::ModeStays(_) => (422, 42_205),
            Self::Unanswerable(_) => (501, 501),
            Self::Body(status, _) | Self::Nowhere(status) => (*status, (*status).into()),
            Self::Context => (400, 400),
            Self::NotANumber => (404, 404),
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Subject(subject) => format!("Subject '{subject}' not found."),
            Self::Version(version) => format!("Version {version} not found."),
            Self::Schema => "Schema not found".to_owned(),
            Self::SchemaId(id) => format!("Schema {id} not found"),
            Self::SoftDeleted(subject) => format!(
                "Subject '{subject}' was soft deleted.Set permanent=true to delete permanently"
            ),
            Self::VersionSoftDeleted(subject, version) => format!(
                "Subject '{subject}' Version {version} was soft deleted.Set permanent=true to \
                 delete permanently"
            ),
            Self::NoConfig(subject) => {
                format!("Subject '{subject}' does not have subject-level compatibility configured")
            }
            Self::NoMode(subject) => {
                format!("Subject '{subject}' does not have subject-level mode configured")
            }
            Self::NotAVersion(given) => format!(
                "The specified version '{given}' is not a valid version id. Allowed values are \
                 between [1, 2^31-1] and the string \"latest\""
            ),
            Self::NotASchema(reason) => format!("Invalid schema{reason}"),
            Self::NotALevel => "Invalid compatibility level. Valid values are none, backward, \
                                forward, full, backward_transitive, forward_transitive, and \
                                full_transitive"
                .to_owned(),
            Self::NotAMode => {
                "Invalid mode. Valid values are READWRITE, READONLY, and IMPORT.".to_owned()
            }
            Self::ReadOnly(subject, context) => {
                format!("Subject {subject} in context {context} is in read-only mode")
            }
            Self::ModesStay => "Mode changes are not allowed".to_owned(),
            Self::Unanswerable(what) => {
                format!("{what}: this is a read-only copy, which parses no schema; ask a registry")
            }
            Self::ModeStays(reason) | Self::Body(_, reason) => reason.clone(),
            Self::Context => "Context name cannot contain a colon".to_owned(),
            Self::NotANumber | Self::Nowhere(404) => "HTTP 404 Not Found".to_owned(),
            Self::Nowhere(_) => "HTTP 405 Method Not Allowed".to_owned(),
        }
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let (status, code) = refusal.code();
        let typed = !matches!(refusal, Refusal::Nowhere(_) | Refusal::Context);
        Self { status, typed, ..Self::of(document(code, &refusal.message())) }
    }
}

fn document(code: u32, message: &str) -> String {
    format!("{{\"error_code\":{code},\"message\":{}}}", quoted(message))
}

/// A text as Jackson writes it.
pub(super) fn quoted(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len().saturating_add(2));
    push_jackson_string(&mut out, text);
    String::from_utf8(out).unwrap_or_default()
}

/// An array of documents.
pub(super) fn array(items: impl IntoIterator<Item = String>) -> String {
    let items: Vec<String> = items.into_iter().collect();
    format!("[{}]", items.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_an_answer_is_not_given_it_again() {
        let answer = Answer::lasting("{}".to_owned());
        let tag = answer.tag.clone().unwrap();
        for has in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
            let short = answer.clone().unless_held(Some(&has));
            assert_eq!((short.status, short.body.as_str()), (304, ""), "{has}");
        }
        for has in [None, Some("\"x\""), Some("")] {
            assert_eq!(answer.clone().unless_held(has), answer);
        }
        let other = Answer::of("{}".to_owned());
        assert_eq!(other.clone().unless_held(Some("*")), other, "nobody may keep it");
    }
}
