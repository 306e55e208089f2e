//! What endangers the schemas in a topic.

use std::fmt;

use crate::service::ports::TopicFacts;
use crate::service::ports::TopicSettings;
use crate::service::ports::TopicSpec;

/// Something about a topic that loses schemas, or may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hazard {
    /// What it is and what it does.
    pub what: String,
    /// The command that mends it.
    pub mend: String,
    /// Whether a link stops for it.
    pub stops: Stops,
}

/// Whether a hazard stops a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stops {
    /// Schemas would be lost.
    Yes,
    /// It is worth a warning.
    No,
}

impl fmt::Display for Hazard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; mend it with: {}", self.what, self.mend)
    }
}

/// The schemas topic as a registry creates it (`KafkaStore.createSchemaTopic`): compacted, one
/// partition, three replicas where the cluster has them.
#[must_use]
pub fn schemas_topic_spec(name: &str, brokers: usize) -> TopicSpec {
    TopicSpec {
        name: name.to_owned(),
        partitions: 1,
        replication: i32::try_from(brokers.clamp(1, 3)).unwrap_or(1),
        settings: vec![("cleanup.policy".to_owned(), "compact".to_owned())],
    }
}

/// The command that creates a topic as it has to be.
#[must_use]
pub fn create_command(bootstrap: &str, spec: &TopicSpec) -> String {
    let TopicSpec { name, partitions, replication, settings } = spec;
    let settings: String =
        settings.iter().map(|(name, value)| format!(" --config {name}={value}")).collect();
    format!(
        "kafka-topics.sh --bootstrap-server {bootstrap} --create --topic {name} \
         --partitions {partitions} --replication-factor {replication}{settings}"
    )
}

/// The command that changes a setting of a topic.
#[must_use]
pub fn alter_command(bootstrap: &str, topic: &str, setting: &str) -> String {
    format!(
        "kafka-configs.sh --bootstrap-server {bootstrap} --alter --entity-type topics --entity-name {topic} --add-config {setting}"
    )
}

/// The same in a topic that is only read: what the source loses is its registry's, but without an
/// order of its records there is nothing to follow.
#[must_use]
pub fn source_hazards(topic: &str, bootstrap: &str, facts: &TopicFacts) -> Vec<Hazard> {
    let mut found = hazards(topic, bootstrap, facts);
    if facts.partitions == 1 {
        found.iter_mut().for_each(|hazard| hazard.stops = Stops::No);
    }
    found
}

/// What endangers the schemas in a topic. A registry refuses to start on more than one partition
/// and on any policy but `compact` (confluent-schemas-topic §10.1).
#[must_use]
pub fn hazards(topic: &str, bootstrap: &str, facts: &TopicFacts) -> Vec<Hazard> {
    let mut found = Vec::new();
    if facts.partitions != 1 {
        found.push(Hazard {
            what: format!(
                "topic {topic} has {} partitions; the order of records is lost and no registry starts on it",
                facts.partitions
            ),
            mend: format!(
                "create a new topic with one partition, copy the records in order, and point the registry to it: \
                 kafka-topics.sh --bootstrap-server {bootstrap} --create --topic {topic}_new --partitions 1 --config cleanup.policy=compact"
            ),
            stops: Stops::Yes,
        });
    }
    if let Ok(settings) = &facts.settings {
        setting_hazards(topic, bootstrap, settings, facts.replication, &mut found);
    }
    found
}

fn setting_hazards(
    topic: &str,
    bootstrap: &str,
    settings: &TopicSettings,
    replication: usize,
    found: &mut Vec<Hazard>,
) {
    let alter = |setting: &str| alter_command(bootstrap, topic, setting);
    if settings.cleanup_policy != "compact" {
        let deletes = settings.cleanup_policy.contains("delete");
        let what = if deletes {
            format!(
                "topic {topic} has cleanup.policy={}: schemas older than retention.ms={} are deleted",
                settings.cleanup_policy,
                settings.retention_ms.map_or_else(|| "?".to_owned(), |ms| ms.to_string()),
            )
        } else {
            format!(
                "topic {topic} has cleanup.policy={:?}, it is never compacted",
                settings.cleanup_policy
            )
        };
        found.push(Hazard { what, mend: alter("cleanup.policy=compact"), stops: Stops::Yes });
    }
    if settings.timestamp_type == "LogAppendTime" {
        found.push(Hazard {
            what: format!(
                "topic {topic} has message.timestamp.type=LogAppendTime: the source's timestamps would be lost"
            ),
            mend: alter("message.timestamp.type=CreateTime"),
            stops: Stops::Yes,
        });
    }
    if let Some(least) = settings.min_insync_replicas
        && least > i64::try_from(replication).unwrap_or(i64::MAX)
    {
        found.push(Hazard {
            what: format!(
                "topic {topic} has min.insync.replicas={least} and {replication} replicas: nothing can be written"
            ),
            mend: alter(&format!("min.insync.replicas={replication}")),
            stops: Stops::Yes,
        });
    }
    if replication > 1 && settings.min_insync_replicas == i64::try_from(replication).ok() {
        found.push(Hazard {
            what: format!(
                "topic {topic} has min.insync.replicas={replication} of {replication} replicas: no registration while one broker is down"
            ),
            mend: alter(&format!("min.insync.replicas={}", replication.saturating_sub(1))),
            stops: Stops::No,
        });
    }
    if let Some(most) = settings.max_message_bytes
        && most < MESSAGE_BYTES_LEAST
    {
        found.push(Hazard {
            what: format!(
                "topic {topic} takes records of {most} bytes at most; registries take schemas of a megabyte"
            ),
            mend: alter("max.message.bytes=1048588"),
            stops: Stops::No,
        });
    }
}

/// A single copy where the cluster could hold more: the broker that is lost takes all schemas along.
#[must_use]
pub fn replication_hazard(
    topic: &str,
    bootstrap: &str,
    replication: usize,
    brokers: usize,
) -> Option<Hazard> {
    if replication != 1 || brokers <= 1 {
        return None;
    }
    let what = format!(
        "topic {topic} has one replica on a cluster of {brokers} brokers: with that broker all schemas are lost"
    );
    let mend = format!(
        "write a plan with {} replicas and run: kafka-reassign-partitions.sh --bootstrap-server {bootstrap} --reassignment-json-file PLAN --execute",
        brokers.min(3)
    );
    Some(Hazard { what, mend, stops: Stops::No })
}

/// A broker's default for `max.message.bytes`, less some room.
const MESSAGE_BYTES_LEAST: i64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(policy: &str, partitions: usize) -> TopicFacts {
        TopicFacts {
            topic_id: None,
            partitions,
            replication: 1,
            start: 0,
            end: 0,
            settings: Ok(TopicSettings {
                cleanup_policy: policy.into(),
                delete_retention_ms: Some(86_400_000),
                retention_ms: Some(604_800_000),
                retention_bytes: Some(-1),
                min_insync_replicas: Some(1),
                max_message_bytes: Some(1_048_588),
                timestamp_type: "CreateTime".into(),
            }),
        }
    }

    #[track_caller]
    fn check(facts: &TopicFacts, words: &[&str]) {
        let found = hazards("_schemas", "b:9092", facts);
        let said: Vec<_> = found.iter().map(Hazard::to_string).collect();
        assert_eq!(found.len(), words.len(), "{said:?}");
        for word in words {
            assert!(said.iter().any(|hazard| hazard.contains(word)), "{word}: {said:?}");
        }
    }

    #[test]
    fn a_topic_as_registries_make_it_has_no_hazard() {
        check(&facts("compact", 1), &[]);
    }

    #[test]
    fn what_would_lose_schemas_is_named_with_the_command_that_mends_it() {
        check(&facts("delete", 1), &["--add-config cleanup.policy=compact"]);
        check(&facts("compact,delete", 2), &["2 partitions", "retention.ms=604800000"]);
    }

    #[test]
    fn a_topic_that_is_missing_is_asked_for_with_a_whole_command() {
        assert_eq!(
            create_command("b:9092", &schemas_topic_spec("_schemas", 5)),
            "kafka-topics.sh --bootstrap-server b:9092 --create --topic _schemas --partitions 1 \
             --replication-factor 3 --config cleanup.policy=compact"
        );
    }

    #[test]
    fn replicas_are_neither_too_few_nor_all_needed() {
        let mut all_needed = facts("compact", 1);
        all_needed.replication = 3;
        check(&all_needed, &[]);
        if let Ok(settings) = &mut all_needed.settings {
            settings.min_insync_replicas = Some(3);
        }
        check(&all_needed, &["--add-config min.insync.replicas=2"]);
        assert!(replication_hazard("_schemas", "b:9092", 1, 3).is_some());
        assert_eq!(replication_hazard("_schemas", "b:9092", 1, 1), None);
        assert_eq!(replication_hazard("_schemas", "b:9092", 2, 3), None);
    }
}
