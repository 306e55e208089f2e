//! What a link stands on: clusters and topics.

use crate::core::link::brake::Suspicion;
use crate::core::record::Offset;
use crate::core::record::Record;
use crate::service::definition::LinkDefinition;
use crate::service::pipeline::Stop;
use crate::service::ports::Cluster;
use crate::service::ports::ClusterFacts;
use crate::service::ports::Creation;
use crate::service::ports::Fault;
use crate::service::ports::FaultClass;
use crate::service::ports::Log;
use crate::service::ports::TopicFacts;
use crate::service::ports::TopicSpec;
use crate::service::preflight::Hazard;
use crate::service::preflight::Stops;
use crate::service::preflight::alter_command;
use crate::service::preflight::create_command;
use crate::service::preflight::hazards;
use crate::service::preflight::schemas_topic_spec;
use crate::service::preflight::source_hazards;
use crate::service::state::Braked;
use crate::service::state::Checkpoint;
use crate::service::state::PARTITIONS;
use crate::service::state::topic_spec;

/// Clusters and topics as they were found.
#[derive(Debug, Clone)]
pub struct Ground {
    /// The source's cluster.
    pub source: ClusterFacts,
    /// The topic that is read.
    pub source_topic: TopicFacts,
    /// The target's cluster.
    pub target: ClusterFacts,
    /// The topic that is written; `None` where it does not exist yet.
    pub target_topic: Option<TopicFacts>,
}

/// A hazard of one of a link's topics.
#[derive(Debug, Clone)]
pub struct Danger {
    /// `source` or `target`, with the cluster's name.
    pub place: String,
    /// What it is, and whether the link stops for it.
    pub hazard: Hazard,
}

impl Ground {
    /// Looks at both clusters and changes nothing.
    ///
    /// # Errors
    /// A cluster out of reach, a source topic that does not exist, a right that is missing.
    pub async fn survey<C: Cluster>(
        source: &C,
        target: &C,
        link: &LinkDefinition,
    ) -> Result<Self, Fault> {
        // All at once, and whether a cluster can be reached is told before what it says of a topic.
        let (source_facts, target_facts, source_topic, target_topic) = tokio::join!(
            source.facts(),
            target.facts(),
            source.topic(&link.source_topic),
            target.topic(&link.target_topic)
        );
        let (source_facts, target_facts) = (source_facts?, target_facts?);
        let source_topic =
            source_topic?.ok_or_else(|| missing_source(source, &link.source_topic))?;
        Ok(Self {
            source: source_facts,
            source_topic,
            target: target_facts,
            target_topic: target_topic?,
        })
    }

    /// What endangers records in these topics.
    #[must_use]
    pub fn dangers<C: Cluster>(
        &self,
        source: &C,
        target: &C,
        link: &LinkDefinition,
    ) -> Vec<Danger> {
        let source_brokers = source.bootstrap_servers();
        let in_source = source_hazards(&link.source_topic, source_brokers, &self.source_topic);
        let in_source = in_source
            .into_iter()
            .map(|hazard| Danger { place: format!("source {}", source.name()), hazard });
        let in_target = self
            .target_topic
            .iter()
            .flat_map(|facts| hazards(&link.target_topic, target.bootstrap_servers(), facts));
        let in_target =
            in_target.map(|hazard| Danger { place: format!("target {}", target.name()), hazard });
        in_source.chain(in_target).collect()
    }

    /// Topics that are missing on the target and may not be created, each with the command that
    /// does it.
    ///
    /// # Errors
    /// The cluster's fault.
    pub async fn not_created<C: Cluster>(
        &self,
        target: &C,
        link: &LinkDefinition,
    ) -> Result<Vec<String>, Fault> {
        let mut found = Vec::new();
        if link.create_topics {
            return Ok(found);
        }
        if self.target_topic.is_none() {
            let spec = schemas_topic_spec(&link.target_topic, self.target.brokers);
            found.push(not_created(target, &spec).to_string());
        }
        match target.topic(&link.state_topic).await {
            Ok(Some(_)) => {}
            Ok(None) => {
                let spec = topic_spec(&link.state_topic, self.target.brokers);
                found.push(not_created(target, &spec).to_string());
            }
            // Whoever only compares does not need it.
            Err(fault) if fault.class == FaultClass::NotPermitted => {}
            Err(fault) => return Err(fault),
        }
        Ok(found)
    }

    /// This survey, or a new one where the checkpoint speaks of more than the source held: whoever
    /// follows it may have kept that since.
    ///
    /// # Errors
    /// As [`Self::survey`].
    pub async fn no_older_than<C: Cluster>(
        self,
        checkpoint: Option<&Checkpoint>,
        (source, target): (&C, &C),
        link: &LinkDefinition,
    ) -> Result<Self, Fault> {
        if checkpoint.is_none_or(|checkpoint| checkpoint.next <= self.source_topic.end) {
            return Ok(self);
        }
        Self::survey(source, target, link).await
    }

    /// Whether the topics are those of an earlier survey.
    #[must_use]
    pub fn has_topics_of(&self, before: &Self) -> bool {
        self.source_topic.goes_on_from(&before.source_topic)
            && match (&self.target_topic, &before.target_topic) {
                (Some(now), Some(then)) => now.goes_on_from(then),
                (_, None) => true,
                (None, Some(_)) => false,
            }
    }

    /// Creates what is missing on the target.
    ///
    /// # Errors
    /// [`Stop::Halt`] where topics may not be created, or the cluster's fault.
    pub async fn prepare<C: Cluster>(
        &mut self,
        target: &C,
        link: &LinkDefinition,
    ) -> Result<(), Stop> {
        if self.target_topic.is_none() {
            let spec = schemas_topic_spec(&link.target_topic, self.target.brokers);
            self.target_topic = Some(create(target, link, spec).await?);
        }
        match target.topic(&link.state_topic).await? {
            Some(facts) => match unfit_state_topic(target, &link.state_topic, &facts) {
                None => Ok(()),
                Some(hazard) => Err(Stop::Halt(hazard.to_string())),
            },
            None => {
                let spec = topic_spec(&link.state_topic, self.target.brokers);
                create(target, link, spec).await.map(drop)
            }
        }
    }

    /// The deletes that the operator's file releases, where that counts: it names the offset that
    /// the brake named, of the same topic with the same beginning, and was not used yet (rulings 27).
    #[must_use]
    pub fn release<'a>(
        &self,
        link: &LinkDefinition,
        checkpoint: Option<&'a Checkpoint>,
    ) -> Option<&'a Braked> {
        let until = link.allow_deletes_until?;
        let checkpoint = checkpoint?;
        let counts = |braked: &&Braked| {
            braked.offset == until
                && braked.topic_id == self.source_topic.topic_id
                && braked.log_start == self.source_topic.start
        };
        checkpoint.braked.as_ref().filter(counts).filter(|_| checkpoint.released != Some(until))
    }

    /// The first offset of the target's topic that is not written yet.
    #[must_use]
    pub fn target_end(&self) -> Offset {
        self.target_topic.as_ref().map_or(0, |topic| topic.end)
    }

    /// What makes deletes doubtful: the source is another one than the checkpoint speaks of.
    #[must_use]
    pub fn suspicions(&self, checkpoint: Option<&Checkpoint>) -> Vec<Suspicion> {
        let Some(checkpoint) = checkpoint else { return Vec::new() };
        let mut found = Vec::new();
        if checkpoint.source_cluster != self.source.cluster_id {
            found.push(Suspicion::Recreated {
                was: format!("cluster {}", checkpoint.source_cluster),
                is: format!("cluster {}", self.source.cluster_id),
            });
        }
        if let (Some(was), Some(is)) = (&checkpoint.source_topic_id, &self.source_topic.topic_id)
            && was != is
        {
            found.push(Suspicion::Recreated { was: was.clone(), is: is.clone() });
        }
        if self.source_topic.end < checkpoint.next {
            let (end, checkpoint) = (self.source_topic.end, checkpoint.next);
            found.push(Suspicion::EndBelowCheckpoint { end, checkpoint });
        }
        if self.source_topic.start > checkpoint.log_start {
            let (was, is) = (checkpoint.log_start, self.source_topic.start);
            found.push(Suspicion::Truncated { was, is });
        }
        found
    }
}

/// Why our own topic will not do: it has to keep the newest record of every key, and to have a
/// partition for every scope.
#[must_use]
pub fn unfit_state_topic<C: Cluster>(
    target: &C,
    topic: &str,
    facts: &TopicFacts,
) -> Option<Hazard> {
    let wanted = usize::try_from(PARTITIONS).unwrap_or(usize::MAX);
    let brokers = target.bootstrap_servers();
    if facts.partitions < wanted {
        let what = format!(
            "topic {topic} has {} partitions; it needs {wanted}, or two instances could write the \
             same scope",
            facts.partitions
        );
        let mend = format!(
            "kafka-topics.sh --bootstrap-server {brokers} --alter --topic {topic} --partitions \
             {wanted}"
        );
        return Some(Hazard { what, mend, stops: Stops::Yes });
    }
    let policy = &facts.settings.as_ref().ok()?.cleanup_policy;
    (policy != "compact").then(|| Hazard {
        what: format!(
            "topic {topic} has cleanup.policy={policy}, which would lose claims and checkpoints"
        ),
        mend: alter_command(brokers, topic, "cleanup.policy=compact"),
        stops: Stops::Yes,
    })
}

async fn create<C: Cluster>(
    target: &C,
    link: &LinkDefinition,
    spec: TopicSpec,
) -> Result<TopicFacts, Stop> {
    if !link.create_topics {
        return Err(Stop::Halt(not_created(target, &spec).to_string()));
    }
    // A broker that has just started may not have known it.
    if target.create_topic(&spec).await? == Creation::Made {
        tracing::info!(
            link = %link.rules.name, cluster = target.name(), topic = %spec.name,
            partitions = spec.partitions, replication = spec.replication, "topic created"
        );
    }
    match target.topic(&spec.name).await? {
        Some(facts) => Ok(facts),
        // Its metadata has not reached the broker that was asked.
        None => {
            Err(Stop::Fault(Fault { class: FaultClass::Transient, ..missing(target, &spec.name) }))
        }
    }
}

/// A topic that is missing and that nobody may create.
pub(super) fn not_created<C: Cluster>(target: &C, spec: &TopicSpec) -> Hazard {
    Hazard {
        what: format!(
            "topic {} does not exist at {} and create_topics is false",
            spec.name,
            target.name()
        ),
        mend: create_command(target.bootstrap_servers(), spec),
        stops: Stops::Yes,
    }
}

/// The fault of a topic that does not exist.
pub(super) fn missing<C: Cluster>(cluster: &C, topic: &str) -> Fault {
    Fault {
        operation: "read",
        object: format!("topic {topic}"),
        cluster: cluster.name().to_owned(),
        cause: "it does not exist".to_owned(),
        class: FaultClass::Missing,
    }
}

/// The fault of a source topic that does not exist, and what to do about it.
pub fn missing_source<C: Cluster>(source: &C, topic: &str) -> Fault {
    let cause = format!(
        "it does not exist; name the topic of the source's registry with schemas_topic \
         (--from-topic), or check that {} is the cluster that was meant",
        source.bootstrap_servers()
    );
    Fault { cause, ..missing(source, topic) }
}

/// The fault of a topic that is another one than before.
pub(super) fn replaced(cluster: &str, topic: &str) -> Stop {
    Stop::Fault(Fault {
        operation: "follow",
        object: format!("topic {topic}"),
        cluster: cluster.to_owned(),
        cause:
            "it is another topic than the one that was read: deleted and created again, or cut off"
                .to_owned(),
        class: FaultClass::Transient,
    })
}

/// Reads a log to an end that was asked for before, record by record.
///
/// # Errors
/// The reader's first fault.
pub async fn read_to_end<L: Log>(
    log: &mut L,
    end: Offset,
    mut take: impl FnMut(&Record),
) -> Result<Offset, Fault> {
    let mut next = 0;
    while next < end {
        let batch = log.next().await?;
        batch.records.iter().for_each(&mut take);
        next = batch.next;
        if batch.at_end {
            break;
        }
    }
    Ok(next)
}
