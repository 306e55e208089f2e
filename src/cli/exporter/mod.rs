//! `schema-exporter`, and `schema-mirror exporter`: the tool that runbooks for Schema Linking call.

mod properties;
mod typed;

use std::ffi::OsString;
use std::path::Path;

use axum::http::Method;
use clap::Parser;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use self::properties::read_properties;
use self::typed::CommandLine;
pub use self::typed::Words;
use crate::cli::args::UsageError;
use crate::cli::client::Caller;
use crate::cli::client::NoAnswer;
use crate::cli::client::in_path;
use crate::cli::exit;
use crate::cli::output;
use crate::cli::purged;
use crate::config::Environment;
use crate::config::ProcessEnvironment;
use crate::core::registry_url::RegistryUrl;

/// The name under which the binary takes these words at once.
const NAME: &str = "schema-exporter";

/// Whether the binary was called by this name.
pub(super) fn is_called(words: &[OsString]) -> bool {
    let called = words.first().map(Path::new).and_then(Path::file_stem);
    called.is_some_and(|name| name == NAME)
}

/// Reads the words behind that name.
pub(super) fn parse(words: &[OsString]) -> Result<Words, UsageError> {
    match CommandLine::try_parse_from(words) {
        Ok(CommandLine { words }) => Ok(words),
        Err(error) => Err(UsageError::of(&error, words.iter().filter_map(|word| word.to_str()))),
    }
}

/// Does what the words ask for and gives the exit code.
pub(super) async fn run(words: &Words) -> u8 {
    match execute(words).await {
        Ok(answer) => {
            output::answer(&format!("{answer}\n"));
            exit::DONE
        }
        Err(NoAnswer { reason, .. }) => {
            output::complain(&format!("error: {reason}\n"));
            exit::DIFFERENT
        }
    }
}

async fn execute(words: &Words) -> Result<String, NoAnswer> {
    let caller = Caller::of_environment(words.user_info.as_deref(), words.ca.as_deref())?;
    let base = exporters_url(&caller, words.schema_registry_url.as_deref()).await?;
    let name = words.name.as_deref().unwrap_or_default();
    let one = format!("{base}/{}", in_path(name));
    if words.list {
        let names = asked(&caller, Method::GET, &base, None).await?;
        let names = names.as_array().map(Vec::as_slice).unwrap_or_default();
        let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
        return Ok(format!("[{}]", names.join(", ")));
    }
    for (is_asked, path) in
        [(words.describe, ""), (words.get_status, "/status"), (words.get_config, "/config")]
    {
        if is_asked {
            return Ok(asked(&caller, Method::GET, &format!("{one}{path}"), None)
                .await?
                .to_string());
        }
    }
    if words.create {
        asked(&caller, Method::POST, &base, Some(&definition(words, Some(name))?)).await?;
        return Ok(format!("Successfully created exporter {name}"));
    }
    if words.update {
        asked(&caller, Method::PUT, &one, Some(&definition(words, None)?)).await?;
        return Ok(format!("Successfully updated exporter {name}"));
    }
    if words.delete && words.purge {
        let url = format!("{one}?purge=true");
        return Ok(purged(name, &asked(&caller, Method::DELETE, &url, None).await?));
    }
    if words.delete {
        let answer = asked(&caller, Method::DELETE, &one, None).await?;
        let told = answer.get("message").and_then(Value::as_str);
        let told = told.map(|told| format!(": {told}")).unwrap_or_default();
        return Ok(format!("Successfully deleted exporter {name}{told}"));
    }
    let (path, done) = match (words.pause, words.resume) {
        (true, _) => ("pause", "paused"),
        (_, true) => ("resume", "resumed"),
        (false, false) => ("reset", "reset"),
    };
    asked(&caller, Method::PUT, &format!("{one}/{path}"), None).await?;
    Ok(format!("Successfully {done} exporter {name}"))
}

/// What a deletion with the copy came to.
fn purged(name: &str, answer: &Value) -> String {
    match purged::told(answer) {
        Some(told) => format!("Successfully deleted exporter {name} and its copy: {told}"),
        None => format!(
            "Exporter {name} is being purged, which goes on: --get-status tells how far it is, and it is \
             gone when all is done"
        ),
    }
}

/// What is answered to a call that succeeds.
async fn asked(
    caller: &Caller,
    method: Method,
    url: &str,
    body: Option<&Value>,
) -> Result<Value, NoAnswer> {
    caller.asked(method, url, body).await.map_err(|mut no| {
        // A registry, or anything else, has no such path.
        if no.code == Some(404) {
            no.reason.push_str(
                "; it takes the address of a schema-mirror and one of its clusters, \
                 http://HOST:8080/CLUSTER, or SCHEMA_MIRROR_URL",
            );
        }
        no
    })
}

/// Where the exporters of the source are.
async fn exporters_url(caller: &Caller, given: Option<&str>) -> Result<String, NoAnswer> {
    let mirror = Caller::mirror();
    let given = given.map(|url| url.trim_end_matches('/'));
    match (mirror, given) {
        (None, Some(url)) => Ok(format!("{url}/exporters")),
        (None, None) => Err(NoAnswer::new(
            "nobody to ask: give --schema.registry.url http://HOST:8080/CLUSTER, or set \
         SCHEMA_MIRROR_URL"
                .to_owned(),
        )),
        (Some(mirror), given) => {
            let mirror = mirror.trim_end_matches('/').to_owned();
            let cluster = cluster_of(caller, &mirror, given).await?;
            Ok(format!("{mirror}/{}/exporters", in_path(&cluster)))
        }
    }
}

/// The cluster of a schema-mirror whose registry answers at the address.
async fn cluster_of(
    caller: &Caller,
    mirror: &str,
    given: Option<&str>,
) -> Result<String, NoAnswer> {
    let given = given.ok_or_else(|| {
        NoAnswer::new(
            "--schema.registry.url is missing: the address of the source's registry".to_owned(),
        )
    })?;
    let wanted = RegistryUrl::parse_list(given)
        .map_err(|fault| NoAnswer::new(format!("--schema.registry.url: {fault}")))?;
    let clusters = asked(caller, Method::GET, &format!("{mirror}/clusters"), None).await?;
    let clusters = clusters.as_array().map(Vec::as_slice).unwrap_or_default();
    let urls = |cluster: &Value| -> Vec<RegistryUrl> {
        let urls = cluster.get("registry_urls").and_then(Value::as_array);
        let urls = urls.into_iter().flatten().filter_map(Value::as_str);
        urls.filter_map(|url| RegistryUrl::parse(url).ok()).collect()
    };
    let named =
        clusters.iter().find(|cluster| urls(cluster).iter().any(|url| wanted.contains(url)));
    let name = named.and_then(|cluster| cluster.get("name")?.as_str());
    name.map(str::to_owned).ok_or_else(|| {
        let known: Vec<String> =
            clusters.iter().flat_map(urls).map(|url| url.to_string()).collect();
        NoAnswer::new(format!(
            "no cluster of the schema-mirror at {mirror} has a registry at {}; known are: {}",
            wanted.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
            if known.is_empty() { "none".to_owned() } else { known.join(", ") }
        ))
    })
}

/// The body of a call that makes or changes an exporter.
fn definition(words: &Words, name: Option<&str>) -> Result<Value, NoAnswer> {
    let mut body = Map::new();
    let texts = [
        ("name", name),
        ("contextType", words.context_type.as_deref()),
        ("context", words.context_name.as_deref()),
        ("subjectRenameFormat", words.subject_format.as_deref()),
        ("kekRenameFormat", words.kek_format.as_deref()),
    ];
    for (field, text) in texts {
        if let Some(text) = text {
            body.insert(field.to_owned(), json!(text));
        }
    }
    if let Some(subjects) = &words.subjects {
        let subjects: Vec<&str> = subjects.iter().map(|subject| subject.trim()).collect();
        body.insert("subjects".to_owned(), json!(subjects));
    }
    if let Some(file) = &words.config_file {
        let text = ProcessEnvironment
            .file(file)
            .map_err(|cause| NoAnswer::new(format!("read {}: {cause}", file.display())))?;
        body.insert("config".to_owned(), json!(read_properties(&text)));
    }
    Ok(Value::Object(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(given: &str) -> Result<Words, UsageError> {
        let words: Vec<OsString> = given.split(' ').map(OsString::from).collect();
        parse(&words)
    }

    #[test]
    fn the_lines_of_runbooks_are_taken_as_they_stand() {
        for line in [
            "schema-exporter --create --name src-to-tgt-link --config-file /tmp/config/schemalink-src.cfg \
             --schema.registry.url http://schemaregistry:8081 --context-type NONE",
            "schema-exporter --create --name x --subjects pageviews-value --context-name source \
             --context-type CUSTOM --config-file f --schema.registry.url http://schemaregistry:8081",
            "schema-exporter --create --name x --config-file f --subject-format dr-${subject}",
            "schema-exporter --list --schema.registry.url http://schemaregistry:8081",
            "schema-exporter --get-status --name src-to-tgt-link --schema.registry.url http://s:8081",
            "schema-exporter --describe --name x",
            "schema-exporter --get-config --name x",
            "schema-exporter --update --name x --subjects a,b",
            "schema-exporter --pause --name x",
            "schema-exporter --resume --name x",
            "schema-exporter --reset --name x",
            "schema-exporter --delete --name x",
            "schema-exporter --delete --name x --purge",
        ] {
            assert!(words(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn a_verb_is_needed_and_one_only() {
        for line in [
            "schema-exporter",
            "schema-exporter --list --pause --name x",
            "schema-exporter --pause",
            "schema-exporter --pause --name x --purge",
        ] {
            assert_eq!(words(line).map_err(|error| error.code).err(), Some(exit::USAGE), "{line}");
        }
        assert_eq!(
            words("schema-exporter --help").map_err(|error| error.code).err(),
            Some(exit::DONE)
        );
    }

    #[test]
    fn what_is_given_is_asked_for_and_nothing_else() {
        let given =
            words("schema-exporter --update --name x --subjects a,b --context-name c").unwrap();
        let body = definition(&given, None).unwrap();
        assert_eq!(body, json!({"context": "c", "subjects": ["a", "b"]}));
    }
}
