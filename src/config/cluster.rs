//! One Kafka cluster with the registry's topic on it.

use serde_json::Value;

use crate::config::defect::Defect;
use crate::config::defect::Refusal;
use crate::config::environment::Environment;
use crate::config::http::ClusterHttp;
use crate::config::http::read_cluster_http;
use crate::config::keys;
use crate::config::properties::Properties;
use crate::config::properties::read_properties;
use crate::config::section::Section;
use crate::config::words;
use crate::config::words::WriteRate;
use crate::core::dialect::Dialect;
use crate::core::paths::OWN_STEPS;
use crate::core::registry_url::RegistryUrl;
use crate::core::rules::Compatibility;

/// Where Confluent's registry and Karapace keep their state unless told otherwise.
pub const SCHEMAS_TOPIC: &str = "_schemas";
/// Where links keep their checkpoints, claims and leases unless told otherwise.
pub const STATE_TOPIC: &str = "_schema_mirror";

/// A cluster that links read or write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterConfig {
    /// Its name in the configuration.
    pub name: String,
    /// Brokers to begin with, `host:port`.
    pub bootstrap_servers: Vec<String>,
    /// The topic of its registry.
    pub schemas_topic: String,
    /// Our own topic, where the cluster is a target.
    pub state_topic: String,
    /// How its registry spells and what it tolerates.
    pub dialect: Dialect,
    /// The level of a context whose source says none.
    pub default_compatibility: Compatibility,
    /// Whether a topic that is missing is created, where the cluster is a target.
    pub create_topics: bool,
    /// How fast it may be written, by this process and by all its links together.
    pub write_rate_max: WriteRate,
    /// Where its registry and its exporters are served at the root.
    pub http: ClusterHttp,
    /// Where registries of this topic answer; links that are made over REST name the cluster by them.
    pub registry_urls: Vec<RegistryUrl>,
    /// librdkafka's own properties.
    pub kafka: Properties,
}

impl ClusterConfig {
    /// A cluster with defaults for all that is not given.
    #[must_use]
    pub fn new(name: &str, bootstrap_servers: Vec<String>) -> Self {
        Self {
            name: name.to_owned(),
            bootstrap_servers,
            schemas_topic: SCHEMAS_TOPIC.to_owned(),
            state_topic: STATE_TOPIC.to_owned(),
            dialect: Dialect::Auto,
            default_compatibility: Compatibility::Backward,
            create_topics: true,
            write_rate_max: WriteRate::default(),
            http: ClusterHttp::default(),
            registry_urls: Vec::new(),
            kafka: Properties::new(),
        }
    }

    /// Whether both are the same Kafka cluster, as far as can be told before asking it: a broker
    /// that is named for both belongs to one cluster only.
    #[must_use]
    pub fn is_same_kafka(&self, other: &Self) -> bool {
        let theirs: Vec<String> = other.bootstrap_servers.iter().map(|s| address(s)).collect();
        self.bootstrap_servers.iter().any(|server| theirs.contains(&address(server)))
    }

    /// Whether both are the same registry's topic.
    #[must_use]
    pub fn is_same_registry(&self, other: &Self) -> bool {
        self.is_same_kafka(other) && self.schemas_topic == other.schemas_topic
    }
}

/// A broker's address without what may be left out or spelled in two ways.
fn address(server: &str) -> String {
    server.split_once("://").map_or(server, |(_, address)| address).to_ascii_lowercase()
}

/// Reads one cluster; `None` where it was no map or lacks what has no default.
pub(super) fn read_cluster(
    name: &str,
    value: &Value,
    environment: &dyn Environment,
    defects: &mut Vec<Defect>,
) -> Option<ClusterConfig> {
    let given = defects.len();
    let path = format!("clusters.{name}");
    if let Err(refusal) = words::name(&Value::from(name)) {
        defects.push(refusal.at(&path));
    }
    if OWN_STEPS.contains(&name) {
        let wrong =
            format!("/{name} is the process' own over HTTP, where registries are served by name");
        defects.push(Refusal::new(wrong, "give the cluster another name").at(&path));
    }
    let mut section = Section::open(&path, value, keys::CLUSTER, defects)?;
    let servers = section.required(
        "bootstrap_servers",
        "write host:port of one broker or more",
        words::servers,
    );
    let fallback = ClusterConfig::new(name, servers.unwrap_or_default());
    let mut cluster = ClusterConfig {
        schemas_topic: section.or("schemas_topic", fallback.schemas_topic, words::topic),
        state_topic: section.or("state_topic", fallback.state_topic, words::topic),
        dialect: section.or("dialect", fallback.dialect, dialect),
        default_compatibility: section.or(
            "default_compatibility",
            fallback.default_compatibility,
            compatibility,
        ),
        create_topics: section.or("create_topics", fallback.create_topics, words::switch),
        write_rate_max: section.or("write_rate_max", fallback.write_rate_max, words::write_rate),
        registry_urls: section.or("registry_urls", fallback.registry_urls, registry_urls),
        ..fallback
    };
    let (path, served) = (section.path_of("http"), section.raw("http"));
    cluster.http = read_cluster_http(&path, served, section.defects());
    if let Some(properties) = section.raw("kafka") {
        let path = section.path_of("kafka");
        cluster.kafka = read_properties(&path, properties, environment, section.defects());
    }
    if cluster.state_topic == cluster.schemas_topic {
        let wrong = format!("{} is the schemas topic", cluster.state_topic);
        let right = "name another topic: registries read nothing but their own records";
        section.refuse("state_topic", Refusal::new(wrong, right));
    }
    (defects.len() == given).then_some(cluster)
}

fn registry_urls(value: &Value) -> Result<Vec<RegistryUrl>, Refusal> {
    let right = "write a list of addresses, such as [\"http://registry:8081\"]";
    let refuse = |wrong: String| Refusal::new(wrong, right);
    let Some(items) = value.as_array() else {
        return Err(refuse(format!("{} is not a list of addresses", words::kind(value))));
    };
    let read = |item: &Value| match item.as_str().map(RegistryUrl::parse) {
        Some(Ok(url)) => Ok(url),
        // What is no address may hold a login all the same.
        Some(Err(_)) | None => {
            Err(refuse("one of them is not an address of a registry".to_owned()))
        }
    };
    items.iter().map(read).collect()
}

pub(super) fn dialect(value: &Value) -> Result<Dialect, Refusal> {
    words::one_of(value, "a dialect", &Dialect::ALL.map(|d| (d.as_str(), d)))
}

fn compatibility(value: &Value) -> Result<Compatibility, Refusal> {
    words::one_of(value, "a compatibility level", &Compatibility::ALL.map(|l| (l.as_str(), l)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::config::testing::Given;

    #[track_caller]
    fn check(a: &[&str], b: &[&str], verdict: &str) {
        let cluster = |servers: &[&str]| {
            ClusterConfig::new("c", servers.iter().map(|s| (*s).into()).collect())
        };
        let told = |same| if same { "same" } else { "other" };
        assert_eq!(told(cluster(a).is_same_kafka(&cluster(b))), verdict, "{a:?} {b:?}");
        assert_eq!(told(cluster(b).is_same_kafka(&cluster(a))), verdict, "{b:?} {a:?}");
    }

    #[test]
    fn a_shared_broker_makes_two_clusters_one() {
        check(&["a:9092"], &["b:9092", "a:9092"], "same");
        check(&["A:9092"], &["SSL://a:9092"], "same");
        check(&["a:9092"], &["a:9093"], "other");
    }

    #[test]
    fn a_cluster_can_t_have_the_name_of_what_the_process_answers_itself() {
        for name in ["metrics", "links", "exporters"] {
            let file = format!("clusters: {{ {name}: {{ bootstrap_servers: 'a:1' }} }}");
            let error = Config::parse("file", &file, &Given::default()).unwrap_err().to_string();
            assert_eq!(
                error,
                format!(
                    "file: clusters.{name}: /{name} is the process' own over HTTP, where registries \
                     are served by name; give the cluster another name"
                )
            );
        }
        let other = "clusters: { metric: { bootstrap_servers: 'a:1' } }";
        assert!(Config::parse("file", other, &Given::default()).is_ok());
    }

    #[test]
    fn a_cluster_s_own_address_is_held_to_the_same_rules() {
        let read = |http: &str| {
            let file =
                format!("clusters: {{ a: {{ bootstrap_servers: 'a:1', http: {{ {http} }} }} }}");
            let config = Config::parse("file", &file, &Given::default());
            config.map(|config| config.cluster("a").unwrap().http.listen)
        };
        assert_eq!(read("").unwrap(), None);
        assert_eq!(read("listen: '127.0.0.1:8081'").unwrap().unwrap().port(), 8081);
        assert!(read("listen: '0.0.0.0:8081', insecure: true").unwrap().is_some());
        let error = read("listen: '0.0.0.0:8081'").unwrap_err().to_string();
        assert!(error.contains("clusters.a.http.listen: others can reach"), "{error}");
        assert!(error.contains("write clusters.a.http.insecure: true"), "{error}");
        let login = "{ name: a, role: read, secret: 'hunter2hunter2' }";
        let file = format!(
            "http: {{ logins: [{login}] }}\n\
             clusters: {{ a: {{ bootstrap_servers: 'a:1', http: {{ listen: '0.0.0.0:8081' }} }} }}"
        );
        let error = Config::parse("file", &file, &Given::default()).unwrap_err().to_string();
        assert!(error.contains("clusters.a.http.listen: "), "{error}");
        assert!(error.contains("give http.tls, "), "logins count here, too: {error}");
    }

    #[test]
    fn the_same_kafka_can_hold_two_registries() {
        let one = ClusterConfig::new("one", vec!["a:9092".to_owned()]);
        let two = ClusterConfig { schemas_topic: "_schemas2".to_owned(), ..one.clone() };
        assert!(one.is_same_kafka(&two) && !one.is_same_registry(&two));
    }
}
