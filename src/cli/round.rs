//! What `run` works with until it reads its configuration again.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::cli::args::LinkSource;
use crate::cli::args::Releases;
use crate::cli::links::Clusters;
use crate::cli::links::Link;
use crate::cli::links::Unusable;
use crate::cli::links::check;
use crate::cli::links::instance_of;
use crate::cli::links::links_of;
use crate::cli::links::read;
use crate::config::Change;
use crate::config::ClusterConfig;
use crate::config::Config;
use crate::config::ConfigError;
use crate::config::ContextChoice;
use crate::config::Files;
use crate::config::LinkConfig;
use crate::config::ProcessEnvironment;
use crate::config::TlsConfig;
use crate::core::naming::Naming;
use crate::core::rules::Rules;
use crate::kafka::KafkaCluster;
use crate::service::clock::SystemClock;
use crate::service::exporter::ContextType;
use crate::service::exporter::Described;
use crate::service::exporter::Endpoint;
use crate::service::exporter::FixedLink;
use crate::service::exporter::RENAMES_KEY;
use crate::service::supervisor::Fleet;

/// Links, what more can be made between which clusters, and the files that their properties name.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) links: Vec<Link>,
    /// All clusters, by name; those of the links that are asked for, where some are.
    pub(super) clusters: BTreeMap<String, ClusterConfig>,
    /// Clusters whose files have changed, by name.
    pub(super) changed: BTreeSet<String>,
    pub(super) files: Files,
    /// The same clusters.
    pub(super) endpoints: BTreeMap<String, Endpoint<KafkaCluster>>,
    pub(super) instance: String,
    /// What is presented over HTTP.
    pub(super) tls: Option<TlsConfig>,
    described: Vec<(Described, Rules)>,
}

impl Round {
    /// Reads the configuration and all that it names.
    pub(super) fn read(
        from: &LinkSource,
        releases: Releases,
        clock: SystemClock,
    ) -> Result<Self, Unusable> {
        // The files first: one that changes meanwhile is then seen to have changed.
        let (config, names) = read(from)?;
        let files = Files::of(clusters_of(&config, names)?, &ProcessEnvironment);
        let (config, names) = read(from)?;
        check(&config, names, from)?;
        let instance = instance_of(&config);
        let mut made = Clusters::named(instance.clone(), clock);
        let links = links_of(&config, names, releases, &mut made)?;
        // Whoever names links wants those and no others.
        let takes_more = matches!(from, LinkSource::File { names, .. } if names.is_empty());
        let (mut clusters, mut endpoints) = (BTreeMap::new(), BTreeMap::new());
        for given in clusters_of(&config, names)? {
            let mut endpoint = endpoint(given, &mut made)?;
            if !takes_more {
                endpoint.registry_urls.clear();
            }
            clusters.insert(given.name.clone(), given.clone());
            endpoints.insert(given.name.clone(), endpoint);
        }
        let described = config.select(names)?;
        let described = described
            .into_iter()
            .map(|link| (describe(link, &config), link.rules_before_cluster()));
        let described = described.collect();
        let (changed, tls) = (BTreeSet::new(), config.http.tls.clone());
        Ok(Self { links, clusters, changed, files, endpoints, instance, tls, described })
    }

    /// The same after files have changed, for clients that can be made with what the files hold now.
    pub(super) fn renewed(
        from: &LinkSource,
        changes: &[Change],
        clock: SystemClock,
    ) -> Result<Self, Unusable> {
        let round = Self::read(from, Releases::default(), clock)?;
        let changed: BTreeSet<String> =
            changes.iter().map(|change| change.cluster.clone()).collect();
        for (_, endpoint) in round.endpoints.iter().filter(|(name, _)| changed.contains(*name)) {
            endpoint.cluster.try_out()?;
        }
        Ok(Self { changed, ..round })
    }

    /// The links as whoever looks at exporters sees them.
    pub(super) fn fixed(&self, fleet: &Fleet) -> Vec<FixedLink> {
        let at_work = fleet.watched().iter().zip(fleet.restarts());
        let fixed =
            self.described.iter().zip(at_work).map(|(told, (watched, restart))| FixedLink {
                source: watched.source.clone(),
                target: watched.target.clone(),
                described: told.0.clone(),
                rules: told.1.clone(),
                watched: watched.clone(),
                restart: restart.clone(),
            });
        fixed.collect()
    }
}

/// All clusters; those of the links that are asked for, where some are.
fn clusters_of<'a>(
    config: &'a Config,
    names: &[String],
) -> Result<Vec<&'a ClusterConfig>, ConfigError> {
    let links = config.select(names)?;
    let is_used = |cluster: &&ClusterConfig| {
        names.is_empty()
            || links.iter().any(|link| [&link.source, &link.target].contains(&&cluster.name))
    };
    Ok(config.clusters.values().filter(is_used).collect())
}

fn endpoint(
    given: &ClusterConfig,
    made: &mut Clusters,
) -> Result<Endpoint<KafkaCluster>, Unusable> {
    Ok(Endpoint {
        cluster: made.get(given)?,
        schemas_topic: given.schemas_topic.clone(),
        state_topic: given.state_topic.clone(),
        registry_urls: given.registry_urls.clone(),
        dialect: given.dialect,
        default_compatibility: given.default_compatibility,
        create_topics: given.create_topics,
        write_rate_max: given.write_rate_max.records_per_second(),
    })
}

fn describe(link: &LinkConfig, config: &Config) -> Described {
    let (context_type, context) = match &link.context {
        ContextChoice::Auto => (ContextType::Auto, None),
        ContextChoice::Same => (ContextType::None, None),
        ContextChoice::Into(context) => {
            let name = context.as_str();
            let name = name.strip_prefix('.').unwrap_or(name);
            (ContextType::Custom, Some(name.to_owned()))
        }
    };
    let url = config.cluster(&link.target).and_then(|target| target.registry_urls.first());
    let url = url.map(|url| ("schema.registry.url".to_owned(), url.to_string()));
    let (mut format, mut config) = (None, BTreeMap::new());
    match &link.naming {
        Naming::Format(own) => format = (!own.keeps_names()).then(|| own.to_string()),
        Naming::List(list) => drop(config.insert(RENAMES_KEY.to_owned(), list.to_string())),
    }
    config.extend(url);
    Described {
        name: link.name.clone(),
        subjects: link.subjects.spelled(),
        context_type,
        context,
        subject_rename_format: format,
        kek_rename_format: None,
        config,
    }
}
