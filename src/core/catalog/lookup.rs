//! Whether a schema that someone has stands under a subject.
//!
//! A registry parses both texts; here they are compared in a form that leaves out what a parser would:
//! blanks, and what Avro and Protobuf let be written in several ways.

use serde_json::Value;

use super::Catalog;
use super::Found;
use super::Liveness;
use super::avro;
use super::content::push_metadata;
use super::content::push_references;
use super::content::push_rule_set;
use crate::core::subject::Subject;
use crate::core::view::SubjectView;

/// A schema as a request gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    text: String,
    /// `None` is Avro.
    schema_type: Option<String>,
    references: Option<String>,
    metadata: Option<String>,
    rule_set: Option<String>,
    /// The id that it should have.
    pub id: Option<i64>,
    /// The version that it should have; −1 is the latest.
    pub version: Option<i64>,
}

/// What of a JSON schema counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The order of its fields, too.
    AsGiven,
    /// Its fields are sorted before it is looked for; what stands there is compared as it stands, as
    /// registries do.
    Normal,
}

/// Whether metadata and rules that are not given may be any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NotGiven {
    Any,
    None,
}

/// Why a request gives no schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoSchema {
    /// There is no request.
    Nothing,
    /// It is not the JSON that was expected.
    NotJson(String),
    /// No registry knows this type.
    Type(String),
    /// The text is none of its type.
    Text(String),
}

impl Given {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// Why it gives no schema.
    pub fn read(body: &[u8]) -> Result<Self, NoSchema> {
        if body.trim_ascii().is_empty() {
            return Err(NoSchema::Nothing);
        }
        let body: Value =
            serde_json::from_slice(body).map_err(|fault| NoSchema::NotJson(fault.to_string()))?;
        let Value::Object(fields) = body else {
            return Err(NoSchema::NotJson("the request is no JSON object".to_owned()));
        };
        let field = |name: &str| fields.get(name).filter(|value| !value.is_null());
        let text = |name: &str| field(name).and_then(Value::as_str).unwrap_or_default();
        let given = Self {
            text: text("schema").to_owned(),
            schema_type: Some(text("schemaType").to_owned())
                .filter(|kind| !matches!(kind.as_str(), "" | "AVRO")),
            references: field("references").and_then(push_references),
            metadata: field("metadata").and_then(push_metadata),
            rule_set: field("ruleSet").and_then(push_rule_set),
            id: field("id").and_then(Value::as_i64),
            version: field("version").and_then(Value::as_i64),
        };
        given.check()?;
        Ok(given)
    }

    fn check(&self) -> Result<(), NoSchema> {
        match self.schema_type.as_deref() {
            _ if self.text.trim().is_empty() => Ok(()),
            None | Some("JSON") => serde_json::from_str::<Value>(&self.text)
                .map(drop)
                .map_err(|fault| NoSchema::Text(fault.to_string())),
            Some("PROTOBUF") => Ok(()),
            Some(other) => Err(NoSchema::Type(other.to_owned())),
        }
    }

    /// Whether its own parts are those of the version.
    fn fits(&self, found: &Found<'_>, not_given: NotGiven) -> bool {
        let same = |given: Option<&str>, held: Option<&str>| {
            given == held || (not_given == NotGiven::Any && given.is_none())
        };
        self.schema_type.as_deref() == found.content.schema_type()
            && self.references.as_deref() == found.content.references()
            && same(self.metadata.as_deref(), found.content.metadata())
            && same(self.rule_set.as_deref(), found.content.rule_set())
    }
}

impl Catalog {
    /// The version of a subject that is this schema; where the default context's subject has none,
    /// that of the first context with one.
    #[must_use]
    pub fn look_up(
        &self,
        subject: &Subject,
        given: &Given,
        form: Form,
        which: Liveness,
    ) -> Option<Found<'_>> {
        let own = self.look_up_here(subject, given, form, which);
        if own.is_some() || !subject.context.is_default() {
            return own;
        }
        self.declared().find_map(|context| {
            self.look_up_here(&Subject::new(context, &subject.name), given, form, which)
        })
    }

    /// The version of exactly this subject that is this schema: the latest with the metadata and rules
    /// that are given, or the latest with any where none are. `normal` compares JSON schemas whatever
    /// the order of their fields.
    #[must_use]
    pub fn look_up_here(
        &self,
        subject: &Subject,
        given: &Given,
        form: Form,
        which: Liveness,
    ) -> Option<Found<'_>> {
        let form = if self.normalizes(subject) { Form::Normal } else { form };
        let kind = given.schema_type.as_deref();
        let wanted = one_form(kind, &given.text, form)?;
        let held = self.view.subject(subject).map(SubjectView::versions).unwrap_or_default();
        let mut fitting: Vec<Found<'_>> = Vec::new();
        for version in held.iter().rev().filter(|version| which.takes(version)) {
            let found = self.found(subject, version)?;
            if given.fits(&found, NotGiven::Any)
                && one_form(kind, &found.content.plain_text(), Form::AsGiven).as_ref()
                    == Some(&wanted)
            {
                fitting.push(found);
            }
        }
        let exact = fitting.iter().position(|found| given.fits(found, NotGiven::None));
        fitting.into_iter().nth(exact.unwrap_or_default())
    }
}

/// What all spellings of a text have in common; `None` where there is no text, or none of its type.
fn one_form(kind: Option<&str>, text: &str, form: Form) -> Option<String> {
    if text.trim().is_empty() {
        return None;
    }
    match kind {
        None => avro::one_form(text),
        Some("JSON") => {
            let mut value: Value = serde_json::from_str(text).ok()?;
            if form == Form::Normal {
                value.sort_all_objects();
            }
            Some(value.to_string())
        }
        Some("PROTOBUF") => Some(words_of_protobuf(text)),
        Some(_) => Some(text.to_owned()),
    }
}

/// The words and signs of a Protobuf file, without its comments.
fn words_of_protobuf(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            _ if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            _ if rest.starts_with("/*") => {
                rest.find("*/").map_or(rest.len(), |end| end.saturating_add(2))
            }
            '"' | '\'' => length_of_literal(rest, first),
            _ if is_of_word(first) => rest.find(|c| !is_of_word(c)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let (word, behind) = rest.split_at_checked(length).unwrap_or((rest, ""));
        rest = behind;
        if first.is_whitespace() || word.starts_with("//") || word.starts_with("/*") {
            continue;
        }
        words.push_str(word);
        words.push(' ');
    }
    words
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '+')
}

fn length_of_literal(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if c == quote && !escaped {
            return at.saturating_add(c.len_utf8());
        }
        escaped = c == '\\' && !escaped;
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_and_comments_make_no_other_protobuf_schema() {
        let one = "syntax = \"proto3\";\n// why\nmessage A {\n  int64 id=1; /* it */ }";
        let other = "syntax=\"proto3\"; message A { int64 id = 1; }";
        assert_eq!(words_of_protobuf(one), words_of_protobuf(other));
        assert_ne!(words_of_protobuf(one), words_of_protobuf("message A { int64 id = 2; }"));
        assert_ne!(words_of_protobuf("a // \"\nb"), words_of_protobuf("a"));
        assert_eq!(words_of_protobuf("\"a // b\" ;"), "\"a // b\" ; ");
    }

    #[test]
    fn a_json_schema_in_another_order_is_another_one_unless_it_is_normalized() {
        let read = |text, form| one_form(Some("JSON"), text, form);
        let (one, other) = (r#"{"a": 1, "b": 2}"#, r#"{"b":2,"a":1}"#);
        assert_ne!(read(one, Form::AsGiven), read(other, Form::AsGiven));
        assert_eq!(read(one, Form::Normal), read(other, Form::Normal));
    }

    #[test]
    fn a_request_that_gives_no_schema_is_told_from_one_that_gives_another() {
        assert_eq!(Given::read(b" "), Err(NoSchema::Nothing));
        assert!(matches!(Given::read(b"xx"), Err(NoSchema::NotJson(_))));
        assert!(matches!(Given::read(b"[]"), Err(NoSchema::NotJson(_))));
        let wrong = Given::read(br#"{"schema":"nonsense"}"#);
        assert!(matches!(wrong, Err(NoSchema::Text(_))), "{wrong:?}");
        let odd = Given::read(br#"{"schema":"x","schemaType":"NOPE"}"#);
        assert_eq!(odd, Err(NoSchema::Type("NOPE".to_owned())));
        assert!(Given::read(b"{}").is_ok());
    }
}
