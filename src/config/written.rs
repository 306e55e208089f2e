//! Links as a file has them, key by key: read from one, and written for one.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Map;
use serde_json::Value;

use crate::config::as_written;
use crate::config::cluster::ClusterConfig;
use crate::config::defect::ConfigError;
use crate::config::defect::Refusal;
use crate::config::link::Known;
use crate::config::not_yaml;
use crate::config::read_links;

/// A link's keys and what they say, in the words of a file.
pub type LinkKeys = Map<String, Value>;

/// The links of a file, each with the keys that it gives. Nothing else of the file is read; the
/// clusters are those with these names.
///
/// # Errors
/// Everything that is wrong with the links.
pub fn links_in(
    origin: &str,
    text: &str,
    clusters: &[String],
) -> Result<Vec<LinkKeys>, ConfigError> {
    let refused = |defect| ConfigError { origin: origin.to_owned(), defects: vec![defect] };
    let file = serde_saphyr::from_str_with_options::<Value>(text, as_written())
        .map_err(|error| refused(not_yaml(&error)))?;
    let Some(items) = file.get("links").and_then(Value::as_array) else {
        let refusal = Refusal::new("there is no list of links", "write links, each with a dash");
        return Err(refused(refusal.at("links")));
    };
    let links: Vec<LinkKeys> = items.iter().filter_map(Value::as_object).cloned().collect();
    check(origin, &Value::from(items.clone()), clusters)?;
    Ok(links)
}

/// Whether a file could have these links beside clusters with these names.
///
/// # Errors
/// Everything that is wrong with them.
pub fn check_links(
    origin: &str,
    links: &[LinkKeys],
    clusters: &[String],
) -> Result<(), ConfigError> {
    let items: Vec<Value> = links.iter().cloned().map(Value::Object).collect();
    check(origin, &Value::from(items), clusters)
}

fn check(origin: &str, items: &Value, names: &[String]) -> Result<(), ConfigError> {
    let bare = |name: &String| (name.clone(), ClusterConfig::new(name, Vec::new()));
    let clusters: BTreeMap<String, ClusterConfig> = names.iter().map(bare).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut defects = Vec::new();
    let links = read_links(items, Known { clusters: &clusters, names: &names }, &mut defects);
    for (place, (path, link)) in links.iter().enumerate() {
        if links.iter().take(place).any(|(_, earlier)| earlier.name == link.name) {
            let wrong = format!("another link is named {:?}", link.name);
            let refusal = Refusal::new(wrong, "a file tells links apart by their names alone");
            defects.push(refusal.at(format!("{path}.name")));
        }
    }
    if defects.is_empty() {
        return Ok(());
    }
    Err(ConfigError { origin: origin.to_owned(), defects })
}

/// The section of a file that has these links, each below remarks of its own.
#[must_use]
pub fn links_text(links: &[(Vec<String>, LinkKeys)]) -> String {
    if links.is_empty() {
        return "links: []\n".to_owned();
    }
    let mut text = "links:\n".to_owned();
    for (remarks, keys) in links {
        // A remark is one line, whatever it quotes.
        let remarks = remarks.iter().map(|remark| remark.replace(char::is_control, " "));
        text.extend(remarks.map(|remark| format!("  # {remark}\n")));
        for (place, (key, value)) in keys.iter().enumerate() {
            let dash = if place == 0 { "-" } else { " " };
            // Writing to a string can't fail.
            let _written = writeln!(text, "  {dash} {key}: {}", spelled(value));
        }
    }
    text
}

/// As JSON spells it, which is YAML as well, but for characters that break lines there.
fn spelled(value: &Value) -> String {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}');
    let mut spelled = String::new();
    for c in value.to_string().chars() {
        if breaks(c) {
            // Writing to a string can't fail.
            let _written = write!(spelled, "\\u{:04x}", u32::from(c));
        } else {
            spelled.push(c);
        }
    }
    spelled
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn keys(value: &Value) -> LinkKeys {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let odd = keys(&json!({
            "name": "x", "source": "a", "target": "b", "context": ".no",
            "subjects": ["*", ":.s:*", "/a\"b'.+/", "yes", "- # ünü \\ : {", "a\u{2028}b\u{85}\u{7f}"],
            "subject_format": "# ${subject}: ", "adopt": true, "allow_deletes_until": 47,
        }));
        let plain = keys(&json!({ "name": "007", "source": "a", "target": "b" }));
        let remarks = vec!["one".to_owned(), "two\nlinks: []".to_owned()];
        let text = links_text(&[(remarks, odd.clone()), (Vec::new(), plain.clone())]);
        let clusters = ["a".to_owned(), "b".to_owned()];
        assert_eq!(links_in("file", &text, &clusters).unwrap(), [odd, plain], "{text}");
        assert!(links_in("file", &links_text(&[]), &clusters).unwrap().is_empty());
    }

    #[test]
    fn what_a_file_can_not_say_is_refused() {
        let clusters = ["a".to_owned(), "b".to_owned()];
        let link = keys(&json!({ "name": "x", "source": "a", "target": "b" }));
        let twice = check_links("links", &[link.clone(), link.clone()], &clusters).unwrap_err();
        assert!(twice.to_string().contains("another link is named \"x\""), "{twice}");
        let unknown = check_links("links", &[link], &clusters[..1]).unwrap_err();
        assert!(unknown.to_string().contains("no cluster is named \"b\""), "{unknown}");
        assert!(links_in("file", "clusters: {}", &clusters).is_err());
    }
}
