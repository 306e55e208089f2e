//! What comes with other methods: look-ups, and writes, which get the answers of a registry in
//! READONLY.

use serde_json::Value;

use super::Refusal;
use super::answer::Answer;
use super::place::Parts;
use super::reads::not_there;
use super::reads::schema;
use super::reads::top;
use super::reads::wanted;
use super::reads::with_deleted;
use crate::core::catalog::Catalog;
use crate::core::catalog::Form;
use crate::core::catalog::Given;
use crate::core::catalog::Holding;
use crate::core::catalog::Liveness;
use crate::core::catalog::NoSchema;
use crate::core::rules::Compatibility;
use crate::core::subject::Subject;

type Told = Result<Answer, Refusal>;

/// Answers a request that is no GET.
pub(super) fn write(
    catalog: &Catalog,
    method: &str,
    steps: &[&str],
    parts: &Parts,
    body: &[u8],
) -> Told {
    match (method, steps) {
        ("POST", ["subjects", subject]) => look_up(catalog, &Subject::parse(subject), parts, body),
        ("POST", ["subjects", subject, "versions"]) => {
            register(catalog, &Subject::parse(subject), parts, body)
        }
        ("DELETE", ["subjects", subject]) => {
            delete_subject(catalog, &Subject::parse(subject), parts)
        }
        ("DELETE", ["subjects", subject, "versions", version]) => {
            delete_version(catalog, &Subject::parse(subject), version, parts)
        }
        (
            "POST",
            ["compatibility", "subjects", _, "versions"]
            | ["compatibility", "subjects", _, "versions", _],
        ) => Err(Refusal::Unanswerable("compatibility")),
        ("PUT", ["config"]) => put_config(&top(), body),
        ("PUT", ["config", subject]) => put_config(&Subject::parse(subject), body),
        ("DELETE", ["config"]) => Err(read_only(&top())),
        ("DELETE", ["config", subject]) => {
            let subject = Subject::parse(subject);
            let held = catalog.settings(&subject, Holding::Own);
            held.map_or_else(
                || Err(Refusal::Subject(subject.spelled())),
                |_| Err(read_only(&subject)),
            )
        }
        ("PUT", ["mode"] | ["mode", _]) => put_mode(body),
        ("DELETE", ["mode"]) => Err(Refusal::ModesStay),
        ("DELETE", ["mode", subject]) => {
            let subject = Subject::parse(subject);
            let held = catalog.mode(&subject, Holding::Own);
            held.map_or_else(
                || Err(Refusal::Subject(subject.spelled())),
                |_| Err(Refusal::ModesStay),
            )
        }
        (_, steps) => Err(Refusal::Nowhere(if is_known(steps) { 405 } else { 404 })),
    }
}

fn is_known(steps: &[&str]) -> bool {
    matches!(
        steps,
        [] | ["subjects" | "schemas" | "contexts" | "config" | "mode"]
            | ["subjects" | "config" | "mode", _]
            | ["subjects", _, "versions" | "metadata"]
            | ["subjects", _, "versions", _]
            | ["subjects", _, "versions", _, "schema" | "referencedby"]
            | ["schemas", "types"]
            | ["schemas", "ids", _]
            | ["schemas", "ids", _, "schema" | "subjects" | "versions"]
            | ["compatibility", "subjects", _, "versions"]
            | ["compatibility", "subjects", _, "versions", _]
            | ["v1", "metadata", "id" | "version"]
    )
}

fn look_up(catalog: &Catalog, subject: &Subject, parts: &Parts, body: &[u8]) -> Told {
    let given = given(body)?;
    let which = with_deleted(parts);
    match catalog.look_up(subject, &given, form(parts), which) {
        Some(found) => Ok(Answer::of(schema(&found))),
        None => {
            if catalog.has(subject, which) {
                Err(Refusal::Schema)
            } else {
                Err(Refusal::Subject(subject.spelled()))
            }
        }
    }
}

/// What stands there already is not written again: its id is the answer, in READONLY as well.
fn register(catalog: &Catalog, subject: &Subject, parts: &Parts, body: &[u8]) -> Told {
    let given = given(body)?;
    let found = catalog.look_up_here(subject, &given, form(parts), Liveness::Live);
    let found = found.filter(|found| {
        let id = given.id.unwrap_or(-1);
        let version = given.version.unwrap_or_default();
        (id < 0 || id == i64::from(found.id))
            && (version <= 0 || version == i64::from(found.version.get()))
    });
    let found = found.ok_or_else(|| read_only(subject))?;
    Ok(Answer::of(format!("{{\"id\":{}}}", found.id)))
}

fn form(parts: &Parts) -> Form {
    if parts.switch("normalize") { Form::Normal } else { Form::AsGiven }
}

fn given(body: &[u8]) -> Result<Given, Refusal> {
    Given::read(body).map_err(|none| match none {
        NoSchema::Nothing => Refusal::Body(422, "the request has no body".to_owned()),
        NoSchema::NotJson(reason) => Refusal::Body(400, reason),
        NoSchema::Type(kind) => Refusal::NotASchema(format!(" type {kind}")),
        NoSchema::Text(reason) => Refusal::NotASchema(format!(": {reason}")),
    })
}

fn delete_subject(catalog: &Catalog, subject: &Subject, parts: &Parts) -> Told {
    if !catalog.has(subject, Liveness::All) {
        return Err(Refusal::Subject(subject.spelled()));
    }
    if !parts.switch("permanent") && !catalog.has(subject, Liveness::Live) {
        return Err(Refusal::SoftDeleted(subject.spelled()));
    }
    Err(read_only(subject))
}

fn delete_version(catalog: &Catalog, subject: &Subject, version: &str, parts: &Parts) -> Told {
    let wanted = wanted(version)?;
    let Some(found) = catalog.version_here(subject, wanted, Liveness::All) else {
        return Err(not_there(catalog, subject, wanted, Liveness::All));
    };
    let is_live = catalog.version_here(subject, wanted, Liveness::Live).is_some();
    if !parts.switch("permanent") && !is_live {
        let number = i32::try_from(found.version.get()).unwrap_or(i32::MAX);
        return Err(Refusal::VersionSoftDeleted(subject.spelled(), number));
    }
    Err(read_only(subject))
}

fn put_config(subject: &Subject, body: &[u8]) -> Told {
    let request = request(body)?;
    if let Some(level) = request.get("compatibility").filter(|level| !level.is_null()) {
        let level = level.as_str().unwrap_or_default().to_ascii_uppercase();
        Compatibility::parse(&level).ok_or(Refusal::NotALevel)?;
    }
    Err(read_only(subject))
}

fn put_mode(body: &[u8]) -> Told {
    let request = request(body)?;
    match request.get("mode").filter(|mode| !mode.is_null()) {
        Some(mode) => {
            let mode = mode.as_str().unwrap_or_default().to_ascii_uppercase();
            let known = ["READWRITE", "READONLY", "READONLY_OVERRIDE", "IMPORT"];
            if known.contains(&mode.as_str()) {
                Err(Refusal::ModesStay)
            } else {
                Err(Refusal::NotAMode)
            }
        }
        None => Err(Refusal::ModesStay),
    }
}

fn request(body: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(body).map_err(|fault| Refusal::Body(400, fault.to_string()))
}

/// The registry's own words, for all subjects `null` among them.
fn read_only(subject: &Subject) -> Refusal {
    if subject.context.is_default() {
        let name = if subject.is_context() { "null" } else { &*subject.name };
        return Refusal::ReadOnly(name.to_owned(), String::new());
    }
    let context = Subject::of_context(&subject.context).spelled();
    Refusal::ReadOnly(subject.spelled(), context)
}
