//! `link export`: links that were made over REST as a part of a configuration file.

use axum::http::Method;
use serde_json::Value;

use super::Mirror;
use super::Undone;
use super::definition::keys_from;
use super::text_of;
use crate::cli::client::NoAnswer;
use crate::config::LinkKeys;
use crate::config::check_links;
use crate::config::links_in;
use crate::config::links_text;

/// What the text begins with.
const HEAD: &str = "# Links that were made over REST, as links of a configuration file.\n";
/// What is read back to see that nothing was lost.
const ORIGIN: &str = "the links";
/// What a file can't say.
const PAUSED: &str = "it was paused when this was written: from a file it runs";
/// The same of one that is taken away.
const PURGING: &str =
    "it was being purged when this was written: from a file it copies all of it again";

/// Writes links as a part of a file, and as a document.
pub(super) async fn export(
    mirror: &Mirror,
    names: &[String],
    source: Option<&str>,
) -> Result<(String, Value), Undone> {
    let clusters = mirror.clusters().await?;
    let clusters: Vec<String> = clusters.into_iter().map(|(name, _)| name).collect();
    let links = mirror.links().await?;
    let chosen = chosen(&links, names, source)?;
    let mut written = Vec::new();
    for link in chosen {
        let field = |key: &str| text_of(link.get(key));
        let (name, source, target) = (field("link"), field("source"), field("target"));
        let described = mirror.ask(Method::GET, &mirror.exporter(&source, &name), None).await?;
        let (mut remarks, keys) = keys_from(&described, &source, &target).map_err(|reason| {
            NoAnswer::refused(format!("{name} from {source} can't be written: {reason}"))
        })?;
        match field("state").as_str() {
            "paused" => remarks.push(PAUSED.to_owned()),
            "purging" => remarks.push(PURGING.to_owned()),
            _ => {}
        }
        written.push((remarks, keys));
    }
    let keys: Vec<LinkKeys> = written.iter().map(|(_, keys)| keys.clone()).collect();
    let refused = |error: crate::config::ConfigError| NoAnswer::refused(error.to_string());
    check_links(ORIGIN, &keys, &clusters).map_err(refused)?;
    let text = format!("{HEAD}{}", links_text(&written));
    // What is read back has to be what was to be said: this may be all that is left of it.
    let read = links_in(ORIGIN, &text, &clusters).map_err(refused)?;
    if read != keys {
        return Err(NoAnswer::refused("the text says something else than the links").into());
    }
    Ok((text, document(&written)))
}

fn document(written: &[(Vec<String>, LinkKeys)]) -> Value {
    let links = written.iter().map(|(remarks, keys)| {
        let mut keys = keys.clone();
        if !remarks.is_empty() {
            keys.insert("remarks".to_owned(), Value::from(remarks.clone()));
        }
        Value::Object(keys)
    });
    serde_json::json!({ "links": links.collect::<Vec<_>>() })
}

/// The links that are asked for.
fn chosen<'a>(
    links: &'a [Value],
    names: &[String],
    source: Option<&str>,
) -> Result<Vec<&'a Value>, NoAnswer> {
    let of_source =
        |link: &&Value| source.is_none_or(|source| text_of(link.get("source")) == source);
    let is_named = |link: &&Value, name: &String| text_of(link.get("link")) == *name;
    let links: Vec<&Value> = links.iter().filter(of_source).collect();
    for name in names {
        let found: Vec<&&Value> = links.iter().filter(|link| is_named(link, name)).collect();
        if found.is_empty() {
            return Err(NoAnswer::refused(format!("no link is named {name}")));
        }
        if found.iter().all(|link| !is_changeable(link)) {
            let reason = format!("{name} is a link of the mirror's file: it is written there");
            return Err(NoAnswer::refused(reason));
        }
    }
    let is_chosen =
        |link: &&Value| names.is_empty() || names.iter().any(|name| is_named(link, name));
    Ok(links.into_iter().filter(|link| is_changeable(link)).filter(is_chosen).collect())
}

fn is_changeable(link: &Value) -> bool {
    link.get("changeable") == Some(&Value::Bool(true))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn links_of_the_file_are_not_written_again() {
        let link = |name: &str, source: &str, changeable: bool| {
            json!({
                "link": name, "source": source, "changeable": changeable
            })
        };
        let links = [link("x", "a", true), link("x", "b", true), link("y", "a", false)];
        let named = |names: &[&str], source| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            chosen(&links, &names, source).map(|chosen| chosen.len()).map_err(|no| no.reason)
        };
        assert_eq!((named(&[], None), named(&["x"], Some("b"))), (Ok(2), Ok(1)));
        assert!(named(&["y"], None).unwrap_err().contains("of the mirror's file"));
        assert!(named(&["z"], None).unwrap_err().contains("no link is named z"));
    }
}
