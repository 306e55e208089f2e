//! The configuration of one link, or of one cluster, from flags instead of a file.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::config::Config;
use crate::config::cluster;
use crate::config::cluster::ClusterConfig;
use crate::config::defect::ConfigError;
use crate::config::defect::Defect;
use crate::config::defect::Refusal;
use crate::config::environment::Environment;
use crate::config::http::HttpConfig;
use crate::config::link;
use crate::config::link::ContextChoice;
use crate::config::link::LinkConfig;
use crate::config::properties::Properties;
use crate::config::properties::read_property;
use crate::config::section::Parse;
use crate::config::together;
use crate::config::words;
use crate::core::filter::SubjectFilter;
use crate::core::value::Digest;

/// What errors call the place that the values came from.
const ORIGIN: &str = "command line";
/// The name of the cluster that is read, where flags define the link.
pub const FLAGGED_SOURCE: &str = "source";
/// The name of the one that is written.
const FLAGGED_TARGET: &str = "target";
/// Of the subjects so much stands in a name that is made of them; names have 100 characters at most.
const SUBJECTS_CHARS_MAX: usize = 48;
/// Of the digest so much stands there: 32 bits tell the links of one target apart.
const DIGEST_CHARS: usize = 8;
/// How an error shows where a pattern stood.
const SUBJECTS: &str = "--subjects";

/// A cluster as flags give it.
#[derive(Clone, Default)]
pub struct OneCluster {
    /// Brokers to begin with, with commas.
    pub brokers: String,
    /// The schemas topic.
    pub topic: Option<String>,
    /// The registry that keeps its state there.
    pub dialect: Option<String>,
    /// librdkafka's properties, each `name=value`; a value may be `{env: NAME}` or `{file: /path}`.
    pub properties: Vec<String>,
}

/// A link as flags give it. What is not given has the default it has in a file.
#[derive(Debug, Clone, Default)]
pub struct OneLink {
    /// The cluster that is read.
    pub from: OneCluster,
    /// The cluster that is written.
    pub to: OneCluster,
    /// The link's name.
    pub name: Option<String>,
    /// Where subjects go.
    pub context: Option<String>,
    /// Which subjects, with commas.
    pub subjects: Option<String>,
    /// The mode on what the link owns.
    pub fence: Option<String>,
    /// What to do about references that are left behind.
    pub references: Option<String>,
    /// How fast the target may be written.
    pub write_rate_max: Option<String>,
    /// Whether keys that no link wrote become the link's own.
    pub adopt: bool,
}

// Properties may hold secrets, and are not read yet.
impl std::fmt::Debug for OneCluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OneCluster")
            .field("brokers", &self.brokers)
            .field("topic", &self.topic)
            .field("dialect", &self.dialect)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// The configuration of one link from `source` to `target`.
    ///
    /// # Errors
    /// Everything that is wrong with the flags, each named.
    pub fn for_one_link(
        flags: &OneLink,
        environment: &dyn Environment,
    ) -> Result<Self, ConfigError> {
        let mut reader = Flags { environment, defects: Vec::new() };
        let source = reader.cluster(
            FLAGGED_SOURCE,
            &flags.from,
            ["--from", "--from-topic", "--from-dialect", "--from-property"],
        );
        let mut target = reader.cluster(
            FLAGGED_TARGET,
            &flags.to,
            ["--to", "--to-topic", "--to-dialect", "--to-property"],
        );
        target.write_rate_max = reader.or(
            ("--write-rate-max", flags.write_rate_max.as_deref()),
            target.write_rate_max,
            words::write_rate,
        );
        let link = reader.link(flags, &source, &target);
        let clusters = BTreeMap::from([source, target].map(|c| (c.name.clone(), c)));
        let mut defects = reader.defects;
        if defects.is_empty() {
            let links = [("--to".to_owned(), link.clone())];
            together::check_clusters(&clusters, &mut defects);
            together::check_links(&links, &clusters, &mut defects);
        }
        sound(
            Self { instance: None, http: HttpConfig::default(), clusters, links: vec![link] },
            defects,
        )
    }
}

impl ClusterConfig {
    /// The one cluster that `inspect` reads.
    ///
    /// # Errors
    /// Everything that is wrong with the flags, each named.
    pub fn for_inspection(
        flags: &OneCluster,
        environment: &dyn Environment,
    ) -> Result<Self, ConfigError> {
        let mut reader = Flags { environment, defects: Vec::new() };
        let cluster =
            reader.cluster(FLAGGED_SOURCE, flags, ["--brokers", "--topic", "", "--property"]);
        sound(cluster, reader.defects)
    }
}

fn sound<T>(read: T, defects: Vec<Defect>) -> Result<T, ConfigError> {
    if defects.is_empty() {
        return Ok(read);
    }
    Err(ConfigError { origin: ORIGIN.to_owned(), defects })
}

/// Reads flags and notes all that is wrong with them.
struct Flags<'a> {
    environment: &'a dyn Environment,
    defects: Vec<Defect>,
}

impl Flags<'_> {
    /// The value of a flag, or its default, which also stands in for a value that was refused.
    fn or<T>(&mut self, (flag, text): (&str, Option<&str>), default: T, parse: Parse<T>) -> T {
        match text.map(|text| parse(&Value::from(text))) {
            None => default,
            Some(Ok(value)) => value,
            Some(Err(refusal)) => {
                self.defects.push(refusal.at(flag));
                default
            }
        }
    }

    fn cluster(&mut self, name: &str, given: &OneCluster, flags: [&str; 4]) -> ClusterConfig {
        let [brokers_flag, topic_flag, dialect_flag, property_flag] = flags;
        let brokers = (brokers_flag, Some(given.brokers.as_str()));
        let mut cluster = ClusterConfig::new(name, self.or(brokers, Vec::new(), words::servers));
        let topic = (topic_flag, given.topic.as_deref());
        cluster.schemas_topic = self.or(topic, cluster.schemas_topic, words::topic);
        let dialect = (dialect_flag, given.dialect.as_deref());
        cluster.dialect = self.or(dialect, cluster.dialect, cluster::dialect);
        cluster.kafka = self.properties(property_flag, &given.properties);
        if cluster.schemas_topic == cluster.state_topic {
            let wrong = format!("{} is the mirror's own topic", cluster.state_topic);
            let right = "name the topic of a registry";
            self.defects.push(Refusal::new(wrong, right).at(topic_flag));
        }
        cluster
    }

    fn properties(&mut self, flag: &str, given: &[String]) -> Properties {
        let mut properties = Properties::new();
        for word in given {
            let Some((name, text)) = word.split_once('=') else {
                // Not shown: it could be a value alone.
                let refusal = Refusal::new("a property without its =", "write name=value");
                self.defects.push(refusal.at(flag));
                continue;
            };
            let path = format!("{flag} {name}");
            let value = property_value(text);
            let property = (name, &value);
            if let Some(value) = read_property(&path, property, self.environment, &mut self.defects)
            {
                properties.insert(name.to_owned(), value);
            }
        }
        properties
    }

    fn link(
        &mut self,
        flags: &OneLink,
        source: &ClusterConfig,
        target: &ClusterConfig,
    ) -> LinkConfig {
        let fallback = LinkConfig::new("", source, target);
        let context = ("--context", flags.context.as_deref());
        let context = self.or(context, fallback.context, link::context);
        let subjects = match &flags.subjects {
            None => None,
            Some(joined) => {
                let patterns: Vec<(String, &str)> = split_patterns(joined)
                    .into_iter()
                    .map(|pattern| (SUBJECTS.to_owned(), pattern))
                    .collect();
                link::subjects(&patterns, &mut self.defects)
            }
        };
        let subjects = subjects.unwrap_or(fallback.subjects);
        let name = (flags.name.as_deref(), default_name(&context, &subjects));
        let name = self.or(("--name", name.0), name.1, words::name);
        let fence = ("--fence", flags.fence.as_deref());
        let references = ("--references", flags.references.as_deref());
        LinkConfig {
            name,
            context,
            subjects,
            fence: self.or(fence, fallback.fence, link::fence),
            references: self.or(references, fallback.references, link::references),
            adopt: flags.adopt,
            ..fallback
        }
    }
}

/// The value of a property: text, unless it is spelled as a place of a value is in a file.
fn property_value(text: &str) -> Value {
    let place = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let named = place.and_then(|place| place.split_once(':'));
    match named.map(|(key, name)| (key.trim(), name.trim())) {
        Some((key @ ("env" | "file"), name)) => serde_json::json!({ key: name }),
        Some(_) | None => Value::from(text),
    }
}

/// A name that differs between links with different scopes, as a target keeps states by name: one
/// with the same name and other subjects would be the same link, told to copy something else.
fn default_name(context: &ContextChoice, subjects: &SubjectFilter) -> String {
    match context {
        ContextChoice::Into(context) => {
            format!("into-{}", plain(context.as_str().trim_start_matches('.')))
        }
        ContextChoice::Same => format!("into-none{}", told_apart(subjects)),
        ContextChoice::Auto => "into-auto".to_owned(),
    }
}

/// What sets a link without a context apart from others: its subjects, as far as they fit into a
/// name, and a digest of them all where more was to be said.
fn told_apart(subjects: &SubjectFilter) -> String {
    let mut patterns = subjects.spelled();
    patterns.sort();
    patterns.dedup();
    if patterns == ["*"] {
        return String::new();
    }
    let full = patterns.join(",");
    let shown: String = plain(&full).chars().take(SUBJECTS_CHARS_MAX).collect();
    let shown = shown.trim_matches('-');
    if shown == full {
        return format!("-{full}");
    }
    let digest: String =
        format!("{:?}", Digest::of(full.as_bytes())).chars().take(DIGEST_CHARS).collect();
    if shown.is_empty() { format!("-{digest}") } else { format!("-{shown}-{digest}") }
}

/// Text in the alphabet of names.
fn plain(text: &str) -> String {
    let in_alphabet = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    text.chars().map(|c| if in_alphabet(c) { c } else { '-' }).collect()
}

/// Patterns between commas; a comma inside a regex parts nothing.
fn split_patterns(joined: &str) -> Vec<&str> {
    let mut patterns = Vec::new();
    let mut rest = joined;
    loop {
        let end = rest
            .match_indices(',')
            .map(|(at, _)| at)
            .find(|at| rest.get(..*at).is_some_and(|pattern| !is_open_regex(pattern.trim())));
        let Some((pattern, after)) = end.and_then(|at| rest.split_at_checked(at)) else {
            patterns.push(rest.trim());
            return patterns;
        };
        patterns.push(pattern.trim());
        rest = after.strip_prefix(',').unwrap_or(after);
    }
}

/// Whether a regex begins here, perhaps behind a context, that does not end.
fn is_open_regex(pattern: &str) -> bool {
    let qualified = pattern.strip_prefix(':').and_then(|rest| rest.split_once(':'));
    let name = qualified.map_or(pattern, |(_, name)| name);
    name.strip_prefix('/').is_some_and(|inner| !inner.ends_with('/'))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::PropertyValue;
    use crate::config::testing::Given;
    use crate::core::rules::Fence;

    fn flags() -> OneLink {
        let cluster = |brokers: &str| OneCluster { brokers: brokers.to_owned(), ..<_>::default() };
        OneLink { from: cluster("broker:9092"), to: cluster("broker2:9092"), ..<_>::default() }
    }

    #[track_caller]
    fn check(flags: &OneLink, expected: &[&str]) {
        let environment = Given::new(&[("PASSWORD", "hunter2")], &[]);
        let defects: Vec<String> = match Config::for_one_link(flags, &environment) {
            Ok(_) => Vec::new(),
            Err(error) => error.defects.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(defects, expected);
    }

    #[test]
    fn two_brokers_make_a_link_with_the_defaults_of_a_file() {
        let config = Config::for_one_link(&flags(), &Given::default()).unwrap();
        let link = config.link("into-auto").unwrap();
        assert_eq!((link.source.as_str(), link.target.as_str()), ("source", "target"));
        assert_eq!((link.fence, &link.context), (Fence::Readonly, &ContextChoice::Auto));
        assert_eq!(link.subjects.spelled(), ["*"]);
    }

    #[test]
    fn a_context_gives_the_link_its_name() {
        let named = |context: &str| {
            let flags = OneLink { context: Some(context.to_owned()), ..flags() };
            Config::for_one_link(&flags, &Given::default()).unwrap().links[0].name.clone()
        };
        assert_eq!(named(".source"), "into-source");
        assert_eq!(named("none"), "into-none");
        assert_eq!(named("ü~x"), "into---x");
    }

    #[test]
    fn links_without_a_context_are_told_apart_by_their_subjects() {
        let named = |subjects: &str| {
            let (context, subjects) = (Some("none".to_owned()), Some(subjects.to_owned()));
            let flags = OneLink { context, subjects, ..flags() };
            Config::for_one_link(&flags, &Given::default()).unwrap().links[0].name.clone()
        };
        assert_eq!(named("*"), "into-none");
        assert_eq!(named("orders-value"), "into-none-orders-value");
        assert_eq!(named("a,b*"), named("b*, a,a"));
        let long = format!("a,b,{}", "x".repeat(200));
        let names: BTreeSet<String> =
            ["a,b", "a-b", "a.b", "a*", "a", ":*:", "/a/", &long].into_iter().map(named).collect();
        assert_eq!(names.len(), 8, "{names:?}");
        assert!(names.iter().all(|name| name.len() < 80), "{names:?}");
        assert!(named("a,b*").starts_with("into-none-a-b-"), "{}", named("a,b*"));
    }

    #[test]
    fn a_broker_without_a_port_is_refused() {
        let mut bad = flags();
        bad.from.brokers = "127.0.0.1".to_owned();
        check(
            &bad,
            &[
                "--from: \"127.0.0.1\" is not a broker; write host:port, several with commas or as a \
                 list",
            ],
        );
    }

    #[test]
    fn everything_wrong_is_said_with_its_flag() {
        let mut bad = flags();
        bad.from.brokers = "a:x".to_owned();
        bad.to.topic = Some("a b".to_owned());
        bad.fence = Some("read-only".to_owned());
        bad.subjects = Some("ok,a*b,/(/".to_owned());
        bad.write_rate_max = Some("fast".to_owned());
        let error = Config::for_one_link(&bad, &Given::default()).unwrap_err();
        let paths: Vec<&str> = error.defects.iter().map(|defect| defect.path.as_str()).collect();
        let expected =
            ["--from", "--to-topic", "--write-rate-max", "--subjects", "--subjects", "--fence"];
        assert_eq!(paths, expected, "{error}");
    }

    #[test]
    fn a_property_without_its_name_is_not_shown() {
        let mut bad = flags();
        bad.to.properties = vec!["hunter2".to_owned(), "sasl.pass word=hunter2".to_owned()];
        bad.from.properties = vec!["acks=0".to_owned()];
        check(
            &bad,
            &[
                "--from-property acks: this property is not yours to set; leave it out: the \
                 checkpoint may only pass writes that all in-sync replicas have",
                "--to-property: a property without its =; write name=value",
                "--to-property sasl.pass word: not the name of a property; write a librdkafka \
                 property, such as security.protocol: SASL_SSL",
            ],
        );
    }

    #[test]
    fn a_property_can_come_from_the_environment() {
        let given = Given::new(&[("PASSWORD", "hunter2")], &[]);
        let mut flags = flags();
        flags.to.properties = vec![
            "sasl.password={env: PASSWORD}".to_owned(),
            "client.id={x}".to_owned(),
            "ssl.key.password=7=".to_owned(),
        ];
        let config = Config::for_one_link(&flags, &given).unwrap();
        let properties = &config.cluster("target").unwrap().kafka;
        let values: Vec<&str> = properties.values().map(PropertyValue::reveal).collect();
        assert_eq!(values, ["{x}", "hunter2", "7="]);
        assert!(!format!("{config:?} {flags:?}").contains("hunter2"));
    }

    #[test]
    fn a_link_to_its_own_topic_is_refused() {
        let mut bad = flags();
        bad.to.brokers = "broker:9092".to_owned();
        check(
            &bad,
            &["--to: source source and target target are the same topic _schemas of the same \
                 Kafka cluster; let the link lead to another cluster, or to another schemas_topic"],
        );
    }

    #[test]
    fn a_comma_inside_a_regex_parts_nothing() {
        assert_eq!(split_patterns("a, b*"), ["a", "b*"]);
        assert_eq!(split_patterns("/x{1,2}/,y"), ["/x{1,2}/", "y"]);
        assert_eq!(split_patterns(":.s:/x{1,2}/,:*:"), [":.s:/x{1,2}/", ":*:"]);
        assert_eq!(split_patterns("a,,b"), ["a", "", "b"]);
    }
}
