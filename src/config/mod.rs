//! The configuration: a file, or flags for one link, turned into values that are right.
//!
//! Everything that is wrong is said at once, each with the path of its key. What comes out needs no
//! further check, and shows no secret.

mod cluster;
mod defect;
mod environment;
mod files;
mod flags;
mod http;
pub mod keys;
mod link;
mod properties;
mod secret;
mod section;
#[cfg(test)]
mod testing;
mod tls;
mod together;
mod validity;
mod words;
mod written;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

pub use cluster::ClusterConfig;
pub use cluster::SCHEMAS_TOPIC;
pub use cluster::STATE_TOPIC;
pub use defect::ConfigError;
pub use defect::Defect;
pub use environment::Environment;
pub use environment::ProcessEnvironment;
pub use files::Change;
pub use files::Files;
pub use flags::FLAGGED_SOURCE;
pub use flags::OneCluster;
pub use flags::OneLink;
pub use http::ClusterHttp;
pub use http::HttpConfig;
pub use http::LoginConfig;
pub use http::Role;
pub use link::ContextChoice;
pub use link::LinkConfig;
pub use properties::Properties;
pub use properties::PropertyValue;
pub use secret::Secret;
pub use secret::hide_secrets;
pub use secret::is_secret_name;
pub use tls::TlsConfig;
pub use validity::Moment;
pub use validity::Standing;
pub use words::WriteRate;
pub use written::LinkKeys;
pub use written::check_links;
pub use written::links_in;
pub use written::links_text;

use defect::Refusal;
use link::Known;
use section::Section;
use section::open_map;

/// Clusters and the links between them.
#[derive(Debug, Clone)]
pub struct Config {
    /// What this process is called among those that stand by for it; the host's name if not given.
    pub instance: Option<String>,
    /// What `run` serves.
    pub http: HttpConfig,
    /// Clusters by name.
    pub clusters: BTreeMap<String, ClusterConfig>,
    /// Links, in the order of the file. Their clusters are among `clusters`, their names differ,
    /// and no two of them own the same subjects.
    pub links: Vec<LinkConfig>,
}

impl Config {
    /// Reads a file. Where something is wrong with it, what `further` finds in the clusters that could
    /// be read is told as well: whoever mends a file wants to hear everything at once.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(
        path: &Path,
        environment: &dyn Environment,
        further: &dyn Fn(&ClusterConfig) -> Vec<Defect>,
    ) -> Result<Self, ConfigError> {
        let origin = path.display().to_string();
        match environment.file(path) {
            Ok(text) => Self::parse_with(&origin, &text, environment, further),
            Err(cause) => {
                let wrong = format!("can't be read: {cause}");
                let right = "name a YAML file that this process may read";
                let defects = vec![Refusal::new(wrong, right).at("")];
                Err(ConfigError { origin, defects })
            }
        }
    }

    /// Reads the text of a file; `origin` names it in errors.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(
        origin: &str,
        text: &str,
        environment: &dyn Environment,
    ) -> Result<Self, ConfigError> {
        Self::parse_with(origin, text, environment, &|_| Vec::new())
    }

    fn parse_with(
        origin: &str,
        text: &str,
        environment: &dyn Environment,
        further: &dyn Fn(&ClusterConfig) -> Vec<Defect>,
    ) -> Result<Self, ConfigError> {
        let mut defects = Vec::new();
        let config = match serde_saphyr::from_str_with_options::<Value>(text, as_written()) {
            Ok(value) => read(&value, environment, &mut defects),
            Err(error) => {
                defects.push(not_yaml(&error));
                None
            }
        };
        match config {
            Some(config) if defects.is_empty() => Ok(config),
            Some(config) => {
                defects.extend(config.clusters.values().flat_map(further));
                Err(ConfigError { origin: origin.to_owned(), defects })
            }
            None => Err(ConfigError { origin: origin.to_owned(), defects }),
        }
    }

    /// A cluster of a link of this configuration.
    #[must_use]
    pub fn cluster(&self, name: &str) -> Option<&ClusterConfig> {
        self.clusters.get(name)
    }

    /// A link by its name.
    #[must_use]
    pub fn link(&self, name: &str) -> Option<&LinkConfig> {
        self.links.iter().find(|link| link.name == name)
    }

    /// The links with these names, in the order of the configuration; all of them if none is named.
    ///
    /// # Errors
    /// Every name that no link has.
    pub fn select(&self, names: &[String]) -> Result<Vec<&LinkConfig>, ConfigError> {
        let known: Vec<&str> = self.links.iter().map(|link| link.name.as_str()).collect();
        let defects: Vec<Defect> = names
            .iter()
            .filter(|name| !known.contains(&name.as_str()))
            .map(|name| {
                let shown = hide_secrets(name, [name.as_str()]);
                let right = format!("links are named: {}", known.join(", "));
                Refusal::new(format!("no link is named {shown:?}"), right).at("")
            })
            .collect();
        if !defects.is_empty() {
            return Err(ConfigError { origin: "command line".to_owned(), defects });
        }
        let is_chosen = |link: &&LinkConfig| names.is_empty() || names.contains(&link.name);
        Ok(self.links.iter().filter(is_chosen).collect())
    }
}

/// Values stay what they look like: `y`, `no` and `007` are text, and a password that begins with
/// an exclamation mark and lacks its quotes is no tag to be dropped.
fn as_written() -> serde_saphyr::Options {
    serde_saphyr::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

/// Where and why the file is not YAML, without the lines around it: they may hold a secret.
fn not_yaml(error: &serde_saphyr::Error) -> Defect {
    let place = error
        .location()
        .map_or_else(String::new, |at| format!("line {}, column {}", at.line(), at.column()));
    let text = error.without_snippet().to_string();
    let reason = text.lines().next().unwrap_or_default();
    let reason = reason.rsplit_once(" at line ").map_or(reason, |(reason, _)| reason);
    // What stands between quotes is a piece of the file.
    let reason =
        reason.split_once('`').map_or(reason, |(reason, _)| reason.trim_end_matches([' ', ':']));
    // Advice to programmers.
    let reason = reason.split_once(", set ").map_or(reason, |(reason, _)| reason);
    let reason = reason.split_once("; use ").map_or(reason, |(reason, _)| reason);
    Refusal::new(
        format!("not the YAML that was expected: {reason}"),
        "mend it there or just before",
    )
    .at(place)
}

fn read(file: &Value, environment: &dyn Environment, defects: &mut Vec<Defect>) -> Option<Config> {
    let mut top = Section::open("", file, keys::TOP, defects)?;
    let instance = top.optional("instance", words::instance);
    let served = top.raw("http");
    let links = top.raw("links").unwrap_or(&Value::Null);
    let given = top.required_raw("clusters", "write the clusters that links read and write")?;
    let entries = open_map("clusters", given, "clusters by name", defects)?;
    if entries.is_empty() {
        let refusal = Refusal::new("no cluster is given", "write at least one, by name");
        defects.push(refusal.at("clusters"));
    }
    let names: Vec<&str> = entries.keys().map(String::as_str).collect();
    let clusters: BTreeMap<String, ClusterConfig> = entries
        .iter()
        .filter_map(|(name, value)| cluster::read_cluster(name, value, environment, defects))
        .map(|cluster| (cluster.name.clone(), cluster))
        .collect();
    let links = read_links(links, Known { clusters: &clusters, names: &names }, defects);
    together::check_clusters(&clusters, defects);
    together::check_links(&links, &clusters, defects);
    let links = links.into_iter().map(|(_, link)| link).collect();
    let before = defects.len();
    let http = http::read_http(served, environment, defects);
    // Logins and certificates that can't be read are meant all the same.
    if defects.len() == before {
        together::check_exposed(&clusters, &http, defects);
    }
    Some(Config { instance, http, clusters, links })
}

/// Reads the links, each with the path it stands at.
fn read_links(
    value: &Value,
    known: Known<'_>,
    defects: &mut Vec<Defect>,
) -> Vec<(String, LinkConfig)> {
    // A list with nothing but comments under it is empty in YAML.
    if value.is_null() {
        return Vec::new();
    }
    let Some(items) = value.as_array() else {
        let wrong = format!("{} is not a list", words::kind(value));
        defects.push(Refusal::new(wrong, "write a list of links, each with a dash").at("links"));
        return Vec::new();
    };
    let mut links = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let path = format!("links[{index}]");
        if let Some(link) = link::read_link(&path, item, known, defects) {
            links.push((path, link));
        }
    }
    links
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing::Given;

    #[track_caller]
    fn check(file: &str, expected: &str) {
        let answer = match Config::parse("file", file, &Given::default()) {
            Ok(config) => format!("{} links", config.links.len()),
            Err(error) => error.to_string(),
        };
        assert_eq!(answer, expected, "{file}");
    }

    #[test]
    fn a_file_with_clusters_alone_is_complete() {
        check("clusters: { a: { bootstrap_servers: 'a:1' } }", "0 links");
        check("clusters: { a: { bootstrap_servers: 'a:1', kafka: } }\nlinks:\n", "0 links");
    }

    #[test]
    fn a_file_without_clusters_is_refused() {
        let missing = "file: clusters: missing; write the clusters that links read and write";
        check("links: []", missing);
        check(
            "",
            "file: nothing is not a map; write a map with keys instance, http, clusters, links",
        );
        check("clusters: {}", "file: clusters: no cluster is given; write at least one, by name");
    }

    #[test]
    fn what_is_not_yaml_is_said_with_its_line_and_without_its_text() {
        check(
            "clusters:\n  a: 'hunter2\n",
            "file: line 2, column 6: not the YAML that was expected: unclosed quote; mend it there \
             or just before",
        );
        check(
            "links: []\nlinks: []\n",
            "file: line 2, column 1: not the YAML that was expected: duplicate mapping key: links; \
             mend it there or just before",
        );
    }

    #[test]
    fn words_that_yaml_once_took_for_switches_stay_words() {
        let file = "clusters: { no: { bootstrap_servers: 'a:1', kafka: { on: yes, n: 007 } } }";
        let config = Config::parse("file", file, &Given::default()).unwrap();
        let properties = format!("{:?}", config.cluster("no").unwrap().kafka);
        assert_eq!(properties, r#"{"n": "007", "on": "yes"}"#);
    }

    #[test]
    fn every_known_key_is_read() {
        let wrong = |keys: &[&str]| {
            let pairs: Vec<String> = keys.iter().map(|key| format!("{key}: [[]]")).collect();
            format!("{{ {} }}", pairs.join(", "))
        };
        let file = format!(
            "instance: [[]]\nhttp: {}\nclusters: {{ a: {} }}\nlinks: [{}]",
            wrong(keys::HTTP),
            wrong(keys::CLUSTER),
            wrong(keys::LINK)
        );
        let mut expected = vec!["instance".to_owned()];
        expected.extend(keys::HTTP.iter().map(|key| format!("http.{key}")));
        expected.extend(keys::CLUSTER.iter().map(|key| format!("clusters.a.{key}")));
        expected.extend(keys::LINK.iter().map(|key| format!("links[0].{key}")));
        let error = Config::parse("file", &file, &Given::default()).unwrap_err();
        for path in expected {
            let defects = error.defects.iter().filter(|defect| defect.path.starts_with(&path));
            assert!(defects.count() > 0, "{path} is read in {error}");
        }
    }

    #[test]
    fn links_are_chosen_by_name_and_unknown_names_are_all_said() {
        let file = "clusters: { a: { bootstrap_servers: 'a:1' }, b: { bootstrap_servers: 'b:1' } }\n\
                    links: [{ name: x, source: a, target: b }, { name: y, source: b, target: a }]";
        let config = Config::parse("file", file, &Given::default()).unwrap();
        let chosen = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let links = config.select(&names).map_err(|error| error.to_string())?;
            Ok::<_, String>(links.iter().map(|link| link.name.as_str()).collect::<Vec<_>>())
        };
        assert_eq!(chosen(&[]).unwrap(), ["x", "y"]);
        assert_eq!(chosen(&["y", "x", "y"]).unwrap(), ["x", "y"]);
        assert_eq!(
            chosen(&["x", "z", "sasl.password=hunter2"]).unwrap_err(),
            "command line: 2 errors\n  no link is named \"z\"; links are named: x, y\n  \
             no link is named \"sasl.password=(hidden)\"; links are named: x, y"
        );
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error =
            Config::load(Path::new("/none.yaml"), &Given::default(), &|_| Vec::new()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "/none.yaml: can't be read: entity not found; name a YAML file that this process \
             may read"
        );
    }
}
