//! What is read with GET.

use super::Refusal;
use super::answer::Answer;
use super::answer::array;
use super::answer::quoted;
use super::place::Parts;
use crate::core::catalog::Catalog;
use crate::core::catalog::Content;
use crate::core::catalog::Extent;
use crate::core::catalog::Found;
use crate::core::catalog::Holding;
use crate::core::catalog::Liveness;
use crate::core::catalog::Wanted;
use crate::core::subject::ContextName;
use crate::core::subject::Subject;

/// Versions that are listed at once, unless fewer are asked for (`schema.search.max.limit`).
const SCHEMAS_MAX: i32 = 1_000;
/// The release whose answers these are, and whose answer it is.
const VERSION: &str = concat!("7.9.5+schema-mirror.", env!("CARGO_PKG_VERSION"));
/// The `schema.registry.group.id` of registries that are given none; the topic does not tell it.
const REGISTRY_GROUP: &str = "schema-registry";

type Told = Result<Answer, Refusal>;

/// Reads what the steps of a path lead to.
pub(super) fn read(catalog: &Catalog, kafka_cluster: &str, steps: &[&str], parts: &Parts) -> Told {
    match steps {
        [] => Ok(Answer::of("{}".to_owned())),
        ["subjects"] => subjects(catalog, parts),
        ["subjects", subject, "versions"] => versions(catalog, &Subject::parse(subject), parts),
        ["subjects", subject, "versions", version] => {
            unformatted(parts)?;
            let found = version_of(catalog, subject, version, with_deleted(parts))?;
            Ok(Answer::of(schema(&found)))
        }
        ["subjects", subject, "versions", version, "schema"] => {
            unformatted(parts)?;
            let found = version_of(catalog, subject, version, with_deleted(parts))?;
            Ok(Answer::of(found.content.plain_text()))
        }
        ["subjects", subject, "versions", version, "referencedby"] => {
            let found = version_of(catalog, subject, version, Liveness::All)?;
            let ids = catalog.referenced_by(&found.subject, found.version);
            let ids = page(ids, parts, SCHEMAS_MAX)?;
            Ok(Answer::of(array(ids.iter().map(i32::to_string))))
        }
        ["subjects", _, "metadata"] => Err(Refusal::Unanswerable("versions by their metadata")),
        ["schemas"] => schemas(catalog, parts),
        ["schemas", "types"] => Ok(Answer::of(r#"["JSON","PROTOBUF","AVRO"]"#.to_owned())),
        ["schemas", "ids", id, rest @ ..] => by_id(catalog, id, rest, parts),
        ["contexts"] => {
            let names = page(catalog.contexts(), parts, i32::MAX)?;
            Ok(Answer::of(array(names.into_iter().map(quoted))))
        }
        ["config"] => config(catalog, "", parts),
        ["config", subject] => config(catalog, subject, parts),
        ["mode"] => mode(catalog, "", parts),
        ["mode", subject] => mode(catalog, subject, parts),
        ["v1", "metadata", "id"] => Ok(Answer::of(format!(
            "{{\"scope\":{{\"path\":[],\"clusters\":{{\"kafka-cluster\":{},\
             \"schema-registry-cluster\":\"{REGISTRY_GROUP}\"}}}}}}",
            quoted(kafka_cluster)
        ))),
        ["v1", "metadata", "version"] => {
            Ok(Answer::of(format!("{{\"version\":\"{VERSION}\",\"commitId\":\"unknown\"}}")))
        }
        ["subjects", _] | ["compatibility", "subjects", _, "versions", ..] => {
            Err(Refusal::Nowhere(405))
        }
        _ => Err(Refusal::Nowhere(404)),
    }
}

fn subjects(catalog: &Catalog, parts: &Parts) -> Told {
    let prefix = parts.text("subjectPrefix").unwrap_or(":*:");
    let names = page(catalog.subjects(prefix, liveness(parts)), parts, i32::MAX)?;
    Ok(Answer::of(array(names.iter().map(|name| quoted(name)))))
}

fn versions(catalog: &Catalog, subject: &Subject, parts: &Parts) -> Told {
    let which = liveness(parts);
    let counted = if which == Liveness::Live { Liveness::Live } else { Liveness::All };
    if !catalog.has(subject, counted) {
        return Err(Refusal::Subject(subject.spelled()));
    }
    let versions = page(catalog.versions_of(subject, which), parts, i32::MAX)?;
    Ok(Answer::of(array(versions.iter().map(|version| version.get().to_string()))))
}

fn schemas(catalog: &Catalog, parts: &Parts) -> Told {
    if parts.switch("aliases") || parts.text("ruleType").is_some_and(|given| !given.is_empty()) {
        return Err(Refusal::Unanswerable("listing by aliases or rules"));
    }
    let prefix = parts.text("subjectPrefix").unwrap_or_default();
    let extent = if parts.switch("latestOnly") { Extent::Latest } else { Extent::Each };
    let found = catalog.schemas(prefix, with_deleted(parts), extent);
    let found = page(found, parts, SCHEMAS_MAX)?;
    Ok(Answer::of(array(found.iter().map(schema))))
}

fn by_id(catalog: &Catalog, id: &str, rest: &[&str], parts: &Parts) -> Told {
    if !matches!(rest, [] | ["schema" | "subjects" | "versions"]) {
        return Err(Refusal::Nowhere(404));
    }
    let id: i32 = id.parse().map_err(|_| Refusal::NotANumber)?;
    let subject = parts.text("subject").map(Subject::parse);
    let found = catalog.by_id(id, subject.as_ref());
    match rest {
        ["subjects"] => {
            let sharing = catalog.sharing(&found.ok_or(Refusal::Schema)?, with_deleted(parts));
            let sharing = page(sharing, parts, i32::MAX)?;
            Ok(Answer::of(array(sharing.iter().map(|(subject, _)| quoted(&subject.spelled())))))
        }
        ["versions"] => {
            let sharing = catalog.sharing(&found.ok_or(Refusal::Schema)?, with_deleted(parts));
            let sharing = page(sharing, parts, i32::MAX)?;
            Ok(Answer::of(array(sharing.iter().map(|(subject, version)| {
                let subject = quoted(&subject.spelled());
                format!("{{\"subject\":{subject},\"version\":{}}}", version.get())
            }))))
        }
        ["schema"] => {
            unformatted(parts)?;
            Ok(Answer::lasting(found.ok_or(Refusal::SchemaId(id))?.content.plain_text()))
        }
        _ => {
            unformatted(parts)?;
            let found = found.ok_or(Refusal::SchemaId(id))?;
            if parts.switch("fetchMaxId") {
                let max = catalog.max_id(&found.subject.context);
                return Ok(Answer::of(schema_string(found.content, Some(max))));
            }
            Ok(Answer::lasting(schema_string(found.content, None)))
        }
    }
}

fn config(catalog: &Catalog, subject: &str, parts: &Parts) -> Told {
    let subject = Subject::parse(subject);
    let settings = catalog.settings(&subject, holding(parts));
    settings.map(Answer::of).ok_or_else(|| Refusal::NoConfig(subject.spelled()))
}

fn mode(catalog: &Catalog, subject: &str, parts: &Parts) -> Told {
    let subject = Subject::parse(subject);
    let mode = catalog.mode(&subject, holding(parts));
    let mode = mode.ok_or_else(|| Refusal::NoMode(subject.spelled()))?;
    Ok(Answer::of(format!("{{\"mode\":\"{}\"}}", mode.as_str())))
}

/// A version of a subject, or why there is none.
fn version_of<'a>(
    catalog: &'a Catalog,
    subject: &str,
    version: &str,
    which: Liveness,
) -> Result<Found<'a>, Refusal> {
    let subject = Subject::parse(subject);
    let wanted = wanted(version)?;
    let found = catalog.version(&subject, wanted, which);
    found.ok_or_else(|| not_there(catalog, &subject, wanted, which))
}

/// Whether the subject is missing, or only its version.
pub(super) fn not_there(
    catalog: &Catalog,
    subject: &Subject,
    wanted: Wanted,
    counted: Liveness,
) -> Refusal {
    if !catalog.has(subject, counted) {
        return Refusal::Subject(subject.spelled());
    }
    match wanted {
        Wanted::Latest => Refusal::Version(-1),
        Wanted::Number(number) => Refusal::Version(number),
    }
}

/// A version as paths name it: a number from 1, or the latest under two names.
pub(super) fn wanted(given: &str) -> Result<Wanted, Refusal> {
    let trimmed = given.trim();
    if trimmed.eq_ignore_ascii_case("latest") {
        return Ok(Wanted::Latest);
    }
    match trimmed.parse::<i32>() {
        Ok(-1) => Ok(Wanted::Latest),
        Ok(number) if number > 0 => Ok(Wanted::Number(number)),
        Ok(number) => Err(Refusal::NotAVersion(number.to_string())),
        Err(_) => Err(Refusal::NotAVersion(given.to_owned())),
    }
}

fn liveness(parts: &Parts) -> Liveness {
    if parts.switch("deletedOnly") { Liveness::Deleted } else { with_deleted(parts) }
}

/// What counts where soft-deleted versions are asked for by `deleted` alone.
pub(super) fn with_deleted(parts: &Parts) -> Liveness {
    if parts.switch("deleted") { Liveness::All } else { Liveness::Live }
}

fn holding(parts: &Parts) -> Holding {
    if parts.switch("defaultToGlobal") { Holding::InScope } else { Holding::Own }
}

/// Other forms of a text, and tags in it, are made by those who parse it.
fn unformatted(parts: &Parts) -> Result<(), Refusal> {
    let asks = |name: &str| parts.text(name).is_some_and(|given| !given.trim().is_empty());
    if asks("format") || asks("findTags") {
        return Err(Refusal::Unanswerable("other forms of a schema"));
    }
    Ok(())
}

/// The part of a list that is asked for. A limit that is none, or beyond the highest, is the highest.
fn page<T>(items: Vec<T>, parts: &Parts, limit_max: i32) -> Result<Vec<T>, Refusal> {
    let count = |number: i32| usize::try_from(number).unwrap_or_default();
    let offset = parts.number("offset", 0)?;
    let limit = parts.number("limit", -1)?;
    let limit = if (1..=limit_max).contains(&limit) { limit } else { limit_max };
    Ok(items.into_iter().skip(count(offset)).take(count(limit)).collect())
}

/// A version, in the order of fields that 7.9.5 has.
pub(super) fn schema(found: &Found<'_>) -> String {
    let content = found.content;
    let mut out = format!(
        "{{\"subject\":{},\"version\":{},\"id\":{}",
        quoted(&found.subject.spelled()),
        found.version,
        found.id
    );
    push(&mut out, "schemaType", content.schema_type().map(quoted).as_deref());
    push(&mut out, "references", content.references());
    push(&mut out, "metadata", content.metadata());
    push(&mut out, "schema", Some(content.text_as_json()));
    push(&mut out, "ruleSet", content.rule_set());
    out.push('}');
    out
}

/// What an id stands for, in another order of fields.
fn schema_string(content: &Content, max_id: Option<i32>) -> String {
    let mut out = String::from("{");
    push(&mut out, "schemaType", content.schema_type().map(quoted).as_deref());
    push(&mut out, "schema", Some(content.text_as_json()));
    push(&mut out, "references", content.references());
    push(&mut out, "metadata", content.metadata());
    push(&mut out, "ruleSet", content.rule_set());
    push(&mut out, "maxId", max_id.map(|id| id.to_string()).as_deref());
    out.push('}');
    out
}

fn push(out: &mut String, name: &str, json: Option<&str>) {
    let Some(json) = json else { return };
    if out.len() > 1 {
        out.push(',');
    }
    out.push('"');
    out.push_str(name);
    out.push_str("\":");
    out.push_str(json);
}

/// The subject of a request that changes settings of all.
pub(super) fn top() -> Subject {
    Subject::of_context(&ContextName::default_context())
}
