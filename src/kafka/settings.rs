//! What a cluster is made from, and the librdkafka settings of each kind of client.
//!
//! Every profile is layered: our defaults, then the user's properties, then the few settings that
//! correctness rests on, which nobody overrides.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use crate::kafka::login;
use crate::service::clock::SystemClock;

/// How long a single question to a cluster may take before it counts as unanswered.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A client that gets no answer is not replaced before it is this old: there is one outage after another,
/// and each new client takes three threads.
pub(super) const RENEWED_AFTER: Duration = Duration::from_secs(5);
/// The same for the last of many in one outage.
pub(super) const RENEWED_AFTER_MAX: Duration = Duration::from_secs(60);

/// How long a write may wait for its acknowledgement (`message.timeout.ms`). Longer than a leader
/// election and a rolling restart of one broker; shorter than what an operator waits for.
pub(super) const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(60);

/// How long the coordinator of a group waits for a sign of life of a member. The least that
/// brokers take by default (`group.min.session.timeout.ms`).
pub(super) const SESSION: Duration = Duration::from_secs(6);

/// How long a rebalance waits for a member that is alive but does not join again
/// (`max.poll.interval.ms`).
const REBALANCE_WITHIN: Duration = Duration::from_secs(30);

/// The largest record the client itself lets pass (`message.max.bytes`). Above the 1 MiB that
/// topics take by default, so that the topic decides and not we.
const RECORD_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Names of properties whose values are secrets hold one of these.
const SECRET_WORDS: [&str; 10] = [
    "password",
    "passphrase",
    "secret",
    "ssl.key",
    "key.pem",
    "private.key",
    "jaas",
    "token",
    "credential",
    "oauthbearer.config",
];

/// Shorter values are not looked for in texts: they would hit words by chance.
const SECRET_LENGTH_MIN: usize = 3;

/// What a cluster is made from.
#[derive(Clone)]
pub struct ClusterSettings {
    /// The cluster's name in the configuration.
    pub name: String,
    /// `host:port` of one or more brokers, with commas between them.
    pub bootstrap_servers: String,
    /// What this process is called in the brokers' logs, quotas and lists of members, unless a
    /// property says otherwise.
    pub client_id: String,
    /// Any librdkafka property; secrets are resolved already. Never printed.
    pub properties: BTreeMap<String, String>,
    /// Values among them that no text may show, besides those of properties with a telling name.
    pub secrets: Vec<String>,
    /// The time by which a lease is held and faults are repeated.
    pub clock: SystemClock,
}

impl fmt::Debug for ClusterSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be secrets whatever their names say, so only the names are shown.
        f.debug_struct("ClusterSettings")
            .field("name", &self.name)
            .field("bootstrap_servers", &self.bootstrap_servers)
            .field("properties", &self.properties.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// The secret values of a cluster's properties, so that texts can be cleaned of them.
#[derive(Clone, Default)]
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    /// Gathers what was said to be secret, and the values of properties that are named like secrets.
    pub(super) fn of(settings: &ClusterSettings) -> Self {
        let named = settings.properties.iter().filter(|(name, _)| {
            let name = name.to_ascii_lowercase();
            SECRET_WORDS.iter().any(|word| name.contains(word))
        });
        let values = named.map(|(_, value)| value).chain(&settings.secrets);
        let mut values: Vec<String> =
            values.filter(|value| value.len() >= SECRET_LENGTH_MIN).cloned().collect();
        // One that is a part of another must not leave the rest of that to be seen.
        values.sort_by_key(|value| Reverse(value.len()));
        Self(values)
    }

    /// The text with every secret value blotted out.
    pub(super) fn clean(&self, text: &str) -> String {
        let mut cleaned = text.to_owned();
        for secret in &self.0 {
            cleaned = cleaned.replace(secret.as_str(), "***");
        }
        cleaned
    }
}

/// A property that can't be used as it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PropertyRefusal<'a> {
    /// Its name.
    pub property: &'a str,
    /// What is wrong with its value, and what is right, where more is known than that librdkafka
    /// does not take it.
    pub told: Option<(&'static str, &'static str)>,
}

/// The properties that librdkafka does not know, or whose values it does not take, and those that
/// don't go together. Nothing is connected; what only a connection shows, such as a certificate that
/// is no longer valid, is not seen here.
#[must_use]
pub fn refused_properties(properties: &BTreeMap<String, String>) -> Vec<PropertyRefusal<'_>> {
    let is_refused = |(name, value): &(&String, &String)| {
        let mut config = ClientConfig::new();
        config.set(name.as_str(), value.as_str());
        config.create_native_config().is_err()
    };
    let unknown = properties.iter().filter(is_refused);
    let mut refused: Vec<PropertyRefusal<'_>> = unknown
        .map(|(property, _)| PropertyRefusal { property: property.as_str(), told: None })
        .collect();
    refused.extend(login::refused(properties));
    refused
}

/// Mechanisms whose user is the principal, where the brokers do not map it.
const USER_IS_PRINCIPAL: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

impl ClusterSettings {
    /// Who the brokers take us for, as far as the properties tell; a user that is a secret does not
    /// stand in commands that are shown.
    pub(super) fn principal(&self) -> Option<String> {
        let property = |names: [&str; 2]| names.iter().find_map(|name| self.properties.get(*name));
        let mechanism = property(["sasl.mechanism", "sasl.mechanisms"])?;
        let user = property(["sasl.username", "sasl.user"])?;
        let is_told = USER_IS_PRINCIPAL.contains(&mechanism.as_str());
        (is_told && !self.secrets.contains(user)).then(|| format!("User:{user}"))
    }

    /// For questions: metadata, watermarks, groups.
    pub(super) fn prober(&self) -> ClientConfig {
        let mut config = self.layered(&[]);
        config.remove("group.id");
        config.set("isolation.level", "read_uncommitted");
        config
    }

    /// For administration: `CreateTopics`, `DescribeConfigs`.
    pub(super) fn administrator(&self) -> ClientConfig {
        self.layered(&[])
    }

    /// For reading partitions by assignment, without membership and without commits.
    pub(super) fn reader(&self) -> ClientConfig {
        let mut config = self.layered(&[
            // With the default of 1 s a full queue stops the fetching for that long.
            ("fetch.queue.backoff.ms", "5"),
            ("fetch.error.backoff.ms", "50"),
            // Measured: as fast as with the 8 MiB and 1 MiB that a copy gains nothing from any more,
            // and 15 MB less resident.
            ("queued.max.messages.kbytes", "1024"),
            ("fetch.message.max.bytes", "262144"),
            // New records end a broker's wait at once; this bounds how long the news of the end
            // takes, at ten small requests a second.
            ("fetch.wait.max.ms", "100"),
            ("check.crcs", "true"),
        ]);
        config
            // librdkafka wants a group id for `assign`; nothing is ever done in the group.
            .set("group.id", "schema-mirror-reader")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            .set("isolation.level", "read_uncommitted")
            .set("auto.offset.reset", "error")
            .remove("group.instance.id")
            // A follower's end lags behind the leader's, and a reader must not take it for the end.
            .remove("client.rack");
        config
    }

    /// For writing one partition, each record at once.
    pub(super) fn appender(&self) -> ClientConfig {
        // Measured: a lone write is acknowledged a millisecond earlier than with 1.
        self.writer("0")
    }

    /// For a long run of writes to one partition. Without a pause librdkafka (2.12) sends what little
    /// there is in five small requests, and its thread then spins until the first is acknowledged:
    /// measured, a copy takes a quarter less processor time like this, the brokers' share included.
    pub(super) fn batch_appender(&self) -> ClientConfig {
        // Twice what a full batch (1 MB) takes to come together; the last one waits for it in vain.
        self.writer("20")
    }

    fn writer(&self, linger_ms: &str) -> ClientConfig {
        let acknowledged_within = ACKNOWLEDGED_WITHIN.as_millis().to_string();
        let record_bytes_max = RECORD_BYTES_MAX.to_string();
        let mut config = self.layered(&[
            ("compression.type", "lz4"),
            ("linger.ms", linger_ms),
            ("queue.buffering.max.kbytes", "16384"),
            ("message.timeout.ms", &acknowledged_within),
            ("message.send.max.retries", "2147483647"),
            ("message.max.bytes", &record_bytes_max),
        ]);
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("max.in.flight", "5")
            // A batch that is refused for good stops those behind it, instead of leaving a gap.
            .set("enable.gapless.guarantee", "true")
            .set("delivery.report.only.error", "false")
            .remove("request.required.acks")
            .remove("max.in.flight.requests.per.connection")
            .remove("transactional.id");
        config
    }

    /// For writing one partition of our own topic, one record at a time: librdkafka (2.12) asks for an
    /// idempotent id half a second after its producer is made, and the first write is a claim that
    /// everything else waits for.
    pub(super) fn keeper(&self) -> ClientConfig {
        let mut config = self.appender();
        config
            .set("enable.idempotence", "false")
            .set("max.in.flight", "1")
            .remove("enable.gapless.guarantee");
        config
    }

    /// For membership in a group.
    pub(super) fn member(&self, group: &str, instance: Option<&str>) -> ClientConfig {
        let mut config = self.layered(&[]);
        config
            .set("group.id", group)
            .set("group.protocol", "classic")
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", SESSION.as_millis().to_string())
            // An answer that comes after the session proves nothing. Joining waits longer by itself.
            .set("socket.timeout.ms", SESSION.as_millis().to_string())
            .set("heartbeat.interval.ms", "1000")
            .set("max.poll.interval.ms", REBALANCE_WITHIN.as_millis().to_string())
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "latest")
            .remove("group.instance.id");
        if let Some(instance) = instance {
            config.set("group.instance.id", instance);
        }
        config
    }

    fn layered(&self, defaults: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("client.id", self.client_id.as_str())
            .set("socket.keepalive.enable", "true")
            // A broker that comes back is found within a second, not within ten.
            .set("reconnect.backoff.max.ms", "1000")
            // A topic that is gone is not waited for half a minute: it was seen before it was used.
            .set("topic.metadata.propagation.max.ms", "5000");
        for (name, value) in defaults {
            config.set(*name, *value);
        }
        for (name, value) in login::for_librdkafka(&self.properties) {
            config.set(name, value);
        }
        config
            .set("bootstrap.servers", self.bootstrap_servers.as_str())
            .set("allow.auto.create.topics", "false")
            .remove("metadata.broker.list");
        let debugs = self.properties.contains_key("debug");
        let level = if debugs { RDKafkaLogLevel::Debug } else { RDKafkaLogLevel::Info };
        config.set_log_level(level);
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(properties: &[(&str, &str)]) -> ClusterSettings {
        let owned = properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        ClusterSettings {
            name: "dc1".to_owned(),
            bootstrap_servers: "localhost:9092".to_owned(),
            client_id: "schema-mirror-one".to_owned(),
            properties: owned.collect(),
            secrets: Vec::new(),
            clock: SystemClock::start(),
        }
    }

    #[test]
    fn no_value_of_a_property_is_ever_shown() {
        let shown = format!("{:?}", settings(&[("sasl.password", "hunter2"), ("x.y", "hidden")]));
        assert!(shown.contains("sasl.password"), "{shown}");
        assert!(!shown.contains("hunter2") && !shown.contains("hidden"), "{shown}");
    }

    #[test]
    fn secrets_are_blotted_out_of_texts() {
        let settings = settings(&[("sasl.password", "hunter2"), ("linger.ms", "100")]);
        let secrets = Secrets::of(&settings);
        assert_eq!(secrets.clean("user:hunter2 waits 100"), "user:*** waits 100");
    }

    #[test]
    fn keys_and_tokens_are_secret_by_their_names() {
        for name in [
            "ssl.key.pem",
            "ssl.key.password",
            "sasl.oauthbearer.config",
            "sasl.oauthbearer.client.secret",
            "sasl.oauthbearer.assertion.private.key.pem",
            "sasl.oauthbearer.assertion.private.key.passphrase",
        ] {
            let secrets = Secrets::of(&settings(&[(name, "hunter2")]));
            assert_eq!(secrets.clean("hunter2"), "***", "{name}");
        }
    }

    #[test]
    fn what_came_from_elsewhere_is_secret_under_any_name() {
        let mut settings = settings(&[("sasl.username", "mirror-17"), ("sasl.password", "mirror")]);
        settings.secrets = vec!["mirror-17".to_owned()];
        let secrets = Secrets::of(&settings);
        assert_eq!(secrets.clean("mirror-17 logs in with mirror"), "*** logs in with ***");
    }

    #[test]
    fn a_property_of_the_user_beats_a_default_of_ours() {
        let config = settings(&[("compression.type", "none")]).appender();
        assert_eq!(config.get("compression.type"), Some("none"));
    }

    #[test]
    fn every_property_that_is_refused_is_named() {
        let properties = settings(&[
            ("linger.ms", "5"),
            ("no.such.property", "hunter2"),
            ("security.protocol", "hunter2"),
            ("socket.timeout.ms", "soon"),
        ])
        .properties;
        let refused = ["no.such.property", "security.protocol", "socket.timeout.ms"];
        let found = refused_properties(&properties);
        assert_eq!(found.iter().map(|found| found.property).collect::<Vec<_>>(), refused);
    }

    #[test]
    fn nobody_overrides_what_correctness_rests_on() {
        let odd = settings(&[
            ("enable.idempotence", "false"),
            ("acks", "1"),
            ("isolation.level", "read_committed"),
            ("session.timeout.ms", "60000"),
            ("client.rack", "a"),
        ]);
        assert_eq!(odd.appender().get("acks"), Some("all"));
        assert_eq!(odd.appender().get("enable.idempotence"), Some("true"));
        assert_eq!(odd.keeper().get("acks"), Some("all"));
        assert_eq!(odd.keeper().get("max.in.flight"), Some("1"));
        assert_eq!(odd.reader().get("isolation.level"), Some("read_uncommitted"));
        assert_eq!(odd.reader().get("client.rack"), None);
        assert_eq!(odd.member("g", None).get("session.timeout.ms"), Some("6000"));
    }
}
