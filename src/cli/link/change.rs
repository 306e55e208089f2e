//! `link create`, `update` and the verbs that change one link, by the calls that exporters have.

use axum::http::Method;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::Mirror;
use super::Undone;
use super::definition::Asked;
use super::definition::Given;
use super::definition::URL_KEY;
use super::definition::asked_for;
use super::definition::keys_of;
use super::typed::LinkName;
use super::typed::Settings;
use crate::cli::client::NoAnswer;
use crate::cli::purged;
use crate::config::ConfigError;
use crate::config::Defect;
use crate::config::Environment;
use crate::config::LinkKeys;
use crate::config::ProcessEnvironment;
use crate::config::links_in;

/// What is done to a link that is there, without a word more.
#[derive(Debug, Clone, Copy)]
pub(super) enum Done {
    Pause,
    Resume,
    FenceAgain,
    Reset,
    Delete,
}

/// What was done, for programs and for people.
#[derive(Debug)]
pub(super) struct Changed {
    pub(super) document: Value,
    pub(super) text: String,
}

/// Makes a link.
pub(super) async fn create(
    mirror: &Mirror,
    name: &str,
    source: Option<&str>,
    settings: &Settings,
) -> Result<Changed, Undone> {
    let clusters = mirror.clusters().await?;
    let (keys, from_file) = keys_for(name, settings, &clusters)?;
    let source = source.map(str::to_owned).or(from_file).unwrap_or_default();
    let target = keys.get("target").and_then(Value::as_str).ok_or_else(|| {
        let wrong = "the target is missing: --target CLUSTER, or the address of its registry";
        Undone::usage(wrong)
    })?;
    let url = url_of(target, &clusters)?;
    let Asked { mut body, config } = asked_for(&keys, Given::All).map_err(Undone::usage)?;
    let given = config.into_iter().filter_map(|(key, value)| Some((key, json!(value?))));
    let config: Map<String, Value> =
        std::iter::once((URL_KEY.to_owned(), json!(url))).chain(given).collect();
    body.insert("name".to_owned(), json!(name));
    body.insert("config".to_owned(), Value::Object(config));
    let body = Value::Object(body);
    mirror.ask(Method::POST, &mirror.exporters(&source), Some(&body)).await?;
    let text = format!("{name} is made: it copies {source} to {target}");
    Ok(changed(name, &source, "created", text))
}

/// Changes what is given of a link.
pub(super) async fn update(
    mirror: &Mirror,
    link: &LinkName,
    settings: &Settings,
) -> Result<Changed, Undone> {
    let clusters = mirror.clusters().await?;
    let (keys, from_file) = keys_for(&link.name, settings, &clusters)?;
    if keys.is_empty() {
        return Err(Undone::usage("nothing is given to change"));
    }
    let source = match from_file {
        Some(source) => source,
        None => mirror.source_of(link).await?,
    };
    let given = if settings.file.is_some() { Given::All } else { Given::Part };
    let Asked { mut body, config } = asked_for(&keys, given).map_err(Undone::usage)?;
    let target = keys.get("target").and_then(Value::as_str);
    let url = target.map(|target| url_of(target, &clusters)).transpose()?;
    let one = mirror.exporter(&source, &link.name);
    if url.is_some() || !config.is_empty() {
        // A config is taken as a whole.
        let whole = mirror.ask(Method::GET, &format!("{one}/config"), None).await?;
        let mut whole = whole.as_object().cloned().unwrap_or_default();
        for (key, value) in config.into_iter().chain(url.map(|url| (URL_KEY.to_owned(), Some(url))))
        {
            match value {
                Some(value) => drop(whole.insert(key, json!(value))),
                None => drop(whole.remove(&key)),
            }
        }
        body.insert("config".to_owned(), Value::Object(whole));
    }
    mirror.ask(Method::PUT, &one, Some(&Value::Object(body))).await?;
    let text = format!("{} is changed", link.name);
    Ok(changed(&link.name, &source, "updated", text))
}

/// Does to a link what needs no more words.
pub(super) async fn act(mirror: &Mirror, link: &LinkName, done: Done) -> Result<Changed, Undone> {
    let source = mirror.source_of(link).await?;
    let (one, name) = (mirror.exporter(&source, &link.name), &link.name);
    let (method, path, word, text) = match done {
        Done::Pause => (Method::PUT, "/pause", "paused", format!("{name} is paused")),
        Done::Resume => (Method::PUT, "/resume", "resumed", format!("{name} goes on")),
        Done::FenceAgain => {
            let text = format!("{name} sets its fence again and goes on");
            (Method::PUT, "/resume?fenceAgain=true", "resumed", text)
        }
        Done::Reset => {
            let text = format!("{name} compares everything when it goes on");
            (Method::PUT, "/reset", "reset", text)
        }
        Done::Delete => {
            let text = format!("{name} is deleted; what it copied stays, and the fence with it");
            (Method::DELETE, "", "deleted", text)
        }
    };
    let answer = mirror.ask(method, &format!("{one}{path}"), None).await?;
    // A deletion that took something else away says so.
    let told = answer.get("message").and_then(Value::as_str).map(str::to_owned);
    Ok(changed(name, &source, word, told.unwrap_or(text)))
}

/// Takes a link away, and its copy.
pub(super) async fn purge(mirror: &Mirror, link: &LinkName) -> Result<Changed, Undone> {
    let source = mirror.source_of(link).await?;
    let (one, name) = (mirror.exporter(&source, &link.name), &link.name);
    let answer = mirror.ask(Method::DELETE, &format!("{one}?purge=true"), None).await?;
    let (word, text) = match purged::told(&answer) {
        Some(told) => ("purged", format!("{name} is deleted, and its copy with it: {told}")),
        None => {
            let text = format!(
                "{name} is being purged, which goes on: `link show` tells how far it is, and it is gone \
                 when all is done"
            );
            ("purging", text)
        }
    };
    let mut changed = changed(name, &source, word, text);
    for field in ["removed", "stays", "stay", "unclaimed"] {
        if let (Some(told), Some(document)) = (answer.get(field), changed.document.as_object_mut())
        {
            document.insert(field.to_owned(), told.clone());
        }
    }
    Ok(changed)
}

fn changed(link: &str, source: &str, done: &str, text: String) -> Changed {
    Changed { document: json!({ "link": link, "source": source, "done": done }), text }
}

/// A cluster of the mirror's file and the addresses of its registry.
pub(super) type ClusterUrls = (String, Vec<String>);

/// The keys that are given, and the source where a file gives them.
fn keys_for(
    name: &str,
    settings: &Settings,
    clusters: &[ClusterUrls],
) -> Result<(LinkKeys, Option<String>), Undone> {
    let Some(file) = &settings.file else { return Ok((keys_of(settings), None)) };
    let origin = file.display().to_string();
    let refused = |wrong: String, right: String| {
        let defects = vec![Defect { path: String::new(), wrong, right }];
        Undone::File(ConfigError { origin: origin.clone(), defects })
    };
    let text = ProcessEnvironment.file(file).map_err(|cause| {
        refused(format!("can't be read: {cause}"), "name a file with links".to_owned())
    })?;
    let clusters: Vec<String> = clusters.iter().map(|(name, _)| name.clone()).collect();
    let links = links_in(&origin, &text, &clusters).map_err(Undone::File)?;
    let named = |keys: &LinkKeys| keys.get("name").and_then(Value::as_str) == Some(name);
    let keys = links.iter().find(|keys| named(keys)).cloned().ok_or_else(|| {
        let names = links.iter().filter_map(|keys| keys.get("name")?.as_str());
        let names: Vec<&str> = names.collect();
        refused(format!("no link is named {name:?}"), format!("there are: {}", names.join(", ")))
    })?;
    let source = keys.get("source").and_then(Value::as_str).map(str::to_owned);
    Ok((keys, source))
}

/// The address by which an exporter names a target.
fn url_of(target: &str, clusters: &[ClusterUrls]) -> Result<String, NoAnswer> {
    if target.contains("://") {
        return Ok(target.to_owned());
    }
    let known: Vec<&str> = clusters.iter().map(|(name, _)| name.as_str()).collect();
    let (_, urls) = clusters.iter().find(|(name, _)| name == target).ok_or_else(|| {
        NoAnswer::refused(format!(
            "no cluster of the mirror's file is named {target}; there are {}",
            known.join(", ")
        ))
    })?;
    urls.first().cloned().ok_or_else(|| {
        NoAnswer::refused(format!(
            "cluster {target} can't be a target over REST: give it registry_urls in the mirror's file, then \
             send SIGHUP to the process"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_named_by_its_cluster_or_by_its_registry() {
        let clusters = [
            ("a".to_owned(), vec!["http://one".to_owned(), "http://two".to_owned()]),
            ("b".to_owned(), Vec::new()),
        ];
        assert_eq!(url_of("a", &clusters).unwrap(), "http://one");
        assert_eq!(url_of("http://two/", &clusters).unwrap(), "http://two/");
        assert!(url_of("b", &clusters).unwrap_err().reason.contains("registry_urls"));
        assert!(url_of("c", &clusters).unwrap_err().reason.contains("there are a, b"));
    }
}
