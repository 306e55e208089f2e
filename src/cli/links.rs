//! From a configuration to links that can run.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use tokio_rustls::rustls;

use crate::cli::args::LinkSource;
use crate::cli::args::Releases;
use crate::config::ClusterConfig;
use crate::config::Config;
use crate::config::ConfigError;
use crate::config::ContextChoice;
use crate::config::Defect;
use crate::config::Environment;
use crate::config::FLAGGED_SOURCE;
use crate::config::HttpConfig;
use crate::config::LinkConfig;
use crate::config::ProcessEnvironment;
use crate::config::PropertyValue;
use crate::core::link::leave::Steered;
use crate::kafka::ClusterSettings;
use crate::kafka::KafkaCluster;
use crate::kafka::PropertyRefusal;
use crate::kafka::refused_properties;
use crate::service::clock::SystemClock;
use crate::service::definition::ContextNamedBy;
use crate::service::definition::LinkDefinition;
use crate::service::definition::Once;
use crate::service::ports::Fault;
use crate::service::supervisor::Assignment;

/// What the program is called.
const PROGRAM: &str = "schema-mirror";

/// What was asked for can't be done as it is written down: exit code 64.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    /// The configuration is wrong.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The address can't be listened at.
    #[error("error: listen at {address}: {reason}; name another one with {named}, or none")]
    Http {
        /// The address.
        address: SocketAddr,
        /// What names it.
        named: String,
        /// The system's reason.
        reason: io::Error,
    },
    /// TLS can't be spoken at all.
    #[error("error: TLS over HTTP: {0}")]
    Tls(#[from] rustls::Error),
    /// librdkafka refuses what it was given.
    #[error("error: {0}")]
    Cluster(#[from] Fault),
}

impl Unusable {
    /// All that is wrong, as `--output json` gives it.
    pub(super) fn document(&self) -> serde_json::Value {
        let errors: Vec<serde_json::Value> = match self {
            Self::Config(error) => {
                let defect = |defect: &Defect| {
                    let Defect { path, wrong, right } = defect;
                    serde_json::json!({
                        "in": error.origin, "path": path, "wrong": wrong, "right": right
                    })
                };
                error.defects.iter().map(defect).collect()
            }
            Self::Cluster(fault) => vec![serde_json::json!({ "wrong": fault.to_string() })],
            Self::Http { .. } | Self::Tls(_) => {
                vec![serde_json::json!({ "wrong": self.to_string() })]
            }
        };
        serde_json::json!({ "errors": errors })
    }
}

/// A link that runs between real clusters.
pub(super) type Link = Assignment<KafkaCluster>;

/// Reads the file, or the flags, and makes the links that are asked for.
pub(super) fn assignments(
    from: &LinkSource,
    releases: Releases,
    clock: SystemClock,
) -> Result<Vec<Link>, Unusable> {
    let (config, names) = read(from)?;
    check(&config, names, from)?;
    if config.links.is_empty() {
        // Nothing would be looked at, and all would seem to be well.
        let right = "this command looks at links of the file; one that was made over REST is looked at \
                     with --from, --to, --context and its --name";
        let defect = Defect {
            path: "links".to_owned(),
            wrong: "there is none".to_owned(),
            right: right.to_owned(),
        };
        return Err(ConfigError { origin: from.origin(), defects: vec![defect] }.into());
    }
    links_of(&config, names, releases, &mut Clusters::of(&config, clock))
}

/// What this process is called among those that stand by for it.
pub(super) fn instance_of(config: &Config) -> String {
    config.instance.clone().unwrap_or_else(|| host_name(&ProcessEnvironment))
}

/// What is to be served.
pub(super) fn http_of(from: &LinkSource) -> Result<HttpConfig, Unusable> {
    Ok(read(from)?.0.http)
}

/// Reads the file, or the flags, and gives the names of links that are asked for.
pub(super) fn read(from: &LinkSource) -> Result<(Config, &[String]), ConfigError> {
    match from {
        LinkSource::File { file, names } => Ok((load(file)?, names.as_slice())),
        LinkSource::Flags(link) => Ok((Config::for_one_link(link, &ProcessEnvironment)?, &[])),
    }
}

/// Reads a file.
///
/// # Errors
/// All that is wrong with it, properties that librdkafka refuses among it.
pub(super) fn load(file: &Path) -> Result<Config, ConfigError> {
    Config::load(file, &ProcessEnvironment, &|cluster| {
        property_defects(cluster, |property| in_file(cluster, property))
    })
}

/// Finds what is wrong with a configuration that reads well, for the links that are asked for or,
/// if none is named, for all of it. Touches no cluster.
///
/// # Errors
/// All of it, each with its key or its flag.
pub(super) fn check(
    config: &Config,
    names: &[String],
    from: &LinkSource,
) -> Result<(), ConfigError> {
    let links = config.select(names)?;
    let is_asked_for = |cluster: &&ClusterConfig| {
        names.is_empty()
            || links.iter().any(|link| [&link.source, &link.target].contains(&&cluster.name))
    };
    let mut defects = Vec::new();
    for cluster in config.clusters.values().filter(is_asked_for) {
        defects.extend(property_defects(cluster, |property| from.property_path(cluster, property)));
    }
    if defects.is_empty() {
        return Ok(());
    }
    Err(ConfigError { origin: from.origin(), defects })
}

const NOT_TAKEN: &str = "librdkafka does not know this property, or does not take its value";

/// What can't be used of a cluster's properties.
pub(super) fn property_defects(
    cluster: &ClusterConfig,
    path: impl Fn(&str) -> String,
) -> Vec<Defect> {
    refused_properties(&revealed(cluster))
        .into_iter()
        .map(|PropertyRefusal { property, told }| {
            let (wrong, right) = told.unwrap_or_else(|| (NOT_TAKEN, right_for(property)));
            Defect { path: path(property), wrong: wrong.to_owned(), right: right.to_owned() }
        })
        .collect()
}

/// What Java's clients need for logins, which often stands beside the properties that we take.
const FOR_JAVA: [&str; 3] =
    ["sasl.jaas.config", "sasl.client.callback.handler.class", "sasl.login.callback.handler.class"];

/// What is right instead of a property that librdkafka refuses.
fn right_for(property: &str) -> &'static str {
    let needs_oidc = property.starts_with("sasl.oauthbearer.") || property.starts_with("https.ca.");
    if needs_oidc && !cfg!(feature = "oidc") {
        return "logins by OAUTHBEARER take a build with --features oidc";
    }
    if FOR_JAVA.contains(&property) {
        return "leave it out: it names a class of Java";
    }
    "see CONFIGURATION.md of librdkafka 2.12"
}

impl LinkSource {
    /// What errors call the place that the values came from.
    fn origin(&self) -> String {
        match self {
            Self::File { file, .. } => file.display().to_string(),
            Self::Flags(_) => "command line".to_owned(),
        }
    }

    /// Where a property of a cluster stands.
    fn property_path(&self, cluster: &ClusterConfig, property: &str) -> String {
        match self {
            Self::File { .. } => in_file(cluster, property),
            Self::Flags(_) if cluster.name == FLAGGED_SOURCE => {
                format!("--from-property {property}")
            }
            Self::Flags(_) => format!("--to-property {property}"),
        }
    }
}

fn in_file(cluster: &ClusterConfig, property: &str) -> String {
    format!("clusters.{}.kafka.{property}", cluster.name)
}

/// Makes the links of a configuration that are asked for; all of them if none is named.
pub(super) fn links_of(
    config: &Config,
    names: &[String],
    releases: Releases,
    clusters: &mut Clusters,
) -> Result<Vec<Link>, Unusable> {
    let mut links = Vec::new();
    for link in config.select(names)? {
        let (Some(source), Some(target)) =
            (config.cluster(&link.source), config.cluster(&link.target))
        else {
            continue;
        };
        links.push(Assignment {
            definition: definition(link, source, target, releases, &clusters.instance),
            source: clusters.get(source)?,
            target: clusters.get(target)?,
            write_rate_max: target.write_rate_max.records_per_second(),
        });
    }
    Ok(links)
}

fn definition(
    link: &LinkConfig,
    source: &ClusterConfig,
    target: &ClusterConfig,
    releases: Releases,
    instance: &str,
) -> LinkDefinition {
    let context = match link.context {
        ContextChoice::Auto => ContextNamedBy::SourceCluster,
        ContextChoice::Into(_) | ContextChoice::Same => ContextNamedBy::Configuration,
    };
    LinkDefinition {
        rules: link.rules_before_cluster(),
        context,
        source_topic: source.schemas_topic.clone(),
        target_topic: target.schemas_topic.clone(),
        state_topic: target.state_topic.clone(),
        source_state_topic: source.state_topic.clone(),
        create_topics: target.create_topics,
        adopt: link.adopt,
        allow_deletes_until: link.allow_deletes_until,
        once: Once { allow_deletes: releases.allow_deletes, fence_again: releases.fence_again },
        steered: Steered::AtStart,
        instance: instance.to_owned(),
    }
}

/// The clusters of a configuration, under the instance's name. Each is made once: links that have the
/// same one share its connections for questions.
#[derive(Debug)]
pub(super) struct Clusters {
    instance: String,
    clock: SystemClock,
    made: BTreeMap<String, KafkaCluster>,
}

impl Clusters {
    /// None yet, for the instance that the configuration names.
    pub(super) fn of(config: &Config, clock: SystemClock) -> Self {
        Self::named(instance_of(config), clock)
    }

    /// The same for an instance with this name.
    pub(super) fn named(instance: String, clock: SystemClock) -> Self {
        Self { instance, clock, made: BTreeMap::new() }
    }

    /// The cluster. Nothing is connected yet.
    pub(super) fn get(&mut self, config: &ClusterConfig) -> Result<KafkaCluster, Fault> {
        if let Some(made) = self.made.get(&config.name) {
            return Ok(made.clone());
        }
        let made = KafkaCluster::new(ClusterSettings {
            name: config.name.clone(),
            bootstrap_servers: config.bootstrap_servers.join(","),
            client_id: format!("{PROGRAM}-{}", self.instance),
            properties: revealed(config),
            secrets: config.kafka.values().filter_map(PropertyValue::secret).collect(),
            clock: self.clock,
        })?;
        self.made.insert(config.name.clone(), made.clone());
        Ok(made)
    }
}

fn revealed(config: &ClusterConfig) -> BTreeMap<String, String> {
    config.kafka.iter().map(|(name, value)| (name.clone(), value.reveal().to_owned())).collect()
}

/// The host's name: what an instance is called where nothing is configured.
fn host_name(environment: &dyn Environment) -> String {
    let named = environment.var("HOSTNAME").filter(|name| !name.is_empty());
    let written = || environment.file(Path::new("/etc/hostname")).ok();
    let name = named.or_else(written).unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { PROGRAM.to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_between_the_same_clusters_share_their_clients_for_questions() {
        let text = r#"
clusters:
  here: { bootstrap_servers: "127.0.0.1:1" }
  there: { bootstrap_servers: "127.0.0.1:2" }
links:
  - { name: a, source: here, target: there, context: .a, subjects: ["a*"] }
  - { name: b, source: here, target: there, context: .b, subjects: ["b*"] }
  - { name: back, source: there, target: here, context: .there }
"#;
        let config = Config::parse("links.yaml", text, &ProcessEnvironment).unwrap();
        let mut clusters = Clusters::of(&config, SystemClock::start());
        let links = links_of(&config, &[], Releases::default(), &mut clusters).unwrap();
        let [a, b, back] = links.as_slice() else { panic!("three links: {links:?}") };
        assert!(a.source.is_one_with(&b.source) && a.target.is_one_with(&b.target));
        assert!(a.source.is_one_with(&back.target) && !a.source.is_one_with(&a.target));
    }

    #[test]
    fn a_login_that_this_build_lacks_is_refused_with_the_feature_that_has_it() {
        let is_named = right_for("sasl.oauthbearer.method").contains("--features oidc");
        assert_eq!(is_named, cfg!(not(feature = "oidc")));
        assert!(right_for("sasl.jaas.config").contains("leave it out"));
        assert!(right_for("sasl.mechansim").contains("CONFIGURATION.md"));
    }
}
