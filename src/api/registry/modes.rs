//! `PUT /mode/:.context:`, the one request to a registry that changes something where a link owns the
//! context: the mode there is the link's fence.

use serde_json::Value;

use super::Question;
use super::answer::Answer;
use super::answer::Refusal;
use super::place::Place;
use super::reads::top;
use crate::core::catalog::Catalog;
use crate::core::catalog::Holding;
use crate::core::subject::ContextName;
use crate::core::subject::Subject;
use crate::core::value::Mode;

/// A mode that is asked for on a whole context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::api) struct ModeAsked {
    pub(in crate::api) context: ContextName,
    pub(in crate::api) mode: Mode,
}

impl ModeAsked {
    /// Reads it; `None` where something else is asked, or something that is refused anyway.
    pub(in crate::api) fn of(catalog: &Catalog, question: Question<'_>) -> Option<Self> {
        if question.method != "PUT" {
            return None;
        }
        let place = Place::of(question.path, question.query, catalog).ok()?;
        let steps: Vec<&str> = place.steps.iter().map(String::as_str).collect();
        let subject = match steps.as_slice() {
            ["mode"] => top(),
            ["mode", subject] => Subject::parse(subject),
            _ => return None,
        };
        if !subject.is_context() || subject.context.is_global() {
            return None;
        }
        Some(Self { context: subject.context, mode: asked_in(question.body)? })
    }

    /// Whether the context has this mode.
    pub(in crate::api) fn is_set(&self, catalog: &Catalog) -> bool {
        let subject = Subject::of_context(&self.context);
        catalog.mode(&subject, Holding::Own) == Some(self.mode)
    }
}

/// The modes that a fence can be, and the one that is none.
fn asked_in(body: &[u8]) -> Option<Mode> {
    let request: Value = serde_json::from_slice(body).ok()?;
    let asked = request.get("mode")?.as_str()?.to_ascii_uppercase();
    let known = [Mode::Readwrite, Mode::Readonly, Mode::Import];
    known.into_iter().find(|mode| mode.as_str() == asked)
}

impl Answer {
    /// The mode is set; a registry repeats what it was asked.
    pub(in crate::api) fn mode_set(mode: Mode) -> Self {
        Self::of(format!("{{\"mode\":\"{}\"}}", mode.as_str()))
    }

    /// The mode is not set, and why.
    pub(in crate::api) fn mode_stays(reason: String) -> Self {
        Refusal::ModeStays(reason).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::dialect::Dialect;
    use crate::core::rules::Compatibility;

    #[track_caller]
    fn check(asked: &str, body: &str, expected: &str) {
        let catalog = Catalog::new(Dialect::Auto, Compatibility::Backward);
        let (method, rest) = asked.split_once(' ').unwrap();
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let question = Question { method, path, query, has: None, body: body.as_bytes() };
        let told = match ModeAsked::of(&catalog, question) {
            Some(ModeAsked { context, mode }) => format!("{context} {}", mode.as_str()),
            None => "something else".to_owned(),
        };
        assert_eq!(told, expected, "{asked} {body}");
    }

    #[test]
    fn a_mode_of_a_whole_context_is_read_in_every_spelling() {
        let import = r#"{"mode":"import"}"#;
        check("PUT /mode/:.a:", import, ".a IMPORT");
        check("PUT /mode/%3A.a%3A", r#"{"mode":"READONLY"}"#, ".a READONLY");
        check("PUT /contexts/.a/mode", r#"{"mode":"READWRITE"}"#, ".a READWRITE");
        check("PUT /mode", import, ". IMPORT");
        check("PUT /mode/:.a:?force=true", import, ".a IMPORT");
    }

    #[test]
    fn everything_else_is_left_to_what_refuses_it() {
        for asked in ["PUT /mode/a", "PUT /mode/:.a:b", "DELETE /mode/:.a:", "PUT /config/:.a:"] {
            check(asked, r#"{"mode":"IMPORT"}"#, "something else");
        }
        for body in ["", "{}", "[]", r#"{"mode":1}"#, r#"{"mode":"FORWARD"}"#] {
            check("PUT /mode/:.a:", body, "something else");
        }
        check("PUT /mode/:.__GLOBAL:", r#"{"mode":"IMPORT"}"#, "something else");
    }
}
