//! From a configuration to links that can run.

use crate::cli::args::LinkSource;
use crate::cli::args::Releases;
use crate::config::ClusterConfig;
use crate::config::Config;
use crate::config::ConfigError;
use crate::config::ContextChoice;
use crate::config::Environment;
use crate::config::LinkConfig;
use crate::config::ProcessEnvironment;
use crate::core::rules::Dialect;
use crate::kafka::ClusterSettings;
use crate::kafka::KafkaCluster;
use crate::service::clock::SystemClock;
use crate::service::definition::ContextNamedBy;
use crate::service::definition::LinkDefinition;
use crate::service::definition::Once;
use crate::service::ports::Fault;
use crate::service::supervisor::Assignment;

/// What was asked for can't be done as it is written down: exit code 64.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    /// The configuration is wrong.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// A registry that can't be written yet.
    #[error(
        "error: clusters.{0}.dialect: karapace is read as a source; as a target it is not supported yet"
    )]
    Target(String),
    /// librdkafka refuses a property.
    #[error("error: {0}")]
    Property(#[from] Fault),
}

/// A link that runs between real clusters.
pub(super) type Link = Assignment<KafkaCluster>;

/// Reads the file, or the flags, and makes the links that are asked for.
pub(super) fn assignments(
    from: &LinkSource,
    releases: Releases,
    clock: SystemClock,
) -> Result<Vec<Link>, Unusable> {
    let environment = ProcessEnvironment;
    let (config, names) = match from {
        LinkSource::File { file, names } => (Config::load(file, &environment)?, names.as_slice()),
        LinkSource::Flags(link) => (Config::for_one_link(link, &environment)?, [].as_slice()),
    };
    let instance = config.instance.clone().unwrap_or_else(|| host_name(&environment));
    links_of(&config, names, releases, &instance, clock)
}

/// Makes the links of a configuration that are asked for; all of them if none is named.
pub(super) fn links_of(
    config: &Config,
    names: &[String],
    releases: Releases,
    instance: &str,
    clock: SystemClock,
) -> Result<Vec<Link>, Unusable> {
    let mut links = Vec::new();
    for link in config.select(names)? {
        let (Some(source), Some(target)) =
            (config.cluster(&link.source), config.cluster(&link.target))
        else {
            continue;
        };
        if target.dialect == Dialect::Karapace {
            return Err(Unusable::Target(target.name.clone()));
        }
        links.push(Assignment {
            definition: definition(link, source, target, releases, instance),
            source: cluster(source, clock)?,
            target: cluster(target, clock)?,
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
        instance: instance.to_owned(),
    }
}

/// A client for the cluster of the configuration. Nothing is connected yet.
pub(super) fn cluster(config: &ClusterConfig, clock: SystemClock) -> Result<KafkaCluster, Fault> {
    KafkaCluster::new(ClusterSettings {
        name: config.name.clone(),
        bootstrap_servers: config.bootstrap_servers.join(","),
        properties: config
            .kafka
            .iter()
            .map(|(name, value)| (name.clone(), value.reveal().to_owned()))
            .collect(),
        clock,
    })
}

/// The host's name: what an instance is called where nothing is configured.
fn host_name(environment: &dyn Environment) -> String {
    let named = environment.var("HOSTNAME").filter(|name| !name.is_empty());
    let written = || environment.file(std::path::Path::new("/etc/hostname")).ok();
    let name = named.or_else(written).unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "schema-mirror".to_owned() } else { name.to_owned() }
}
