//! One of a link's clusters, looked at.

use super::About;
use super::Check;
use super::Finding;
use super::Hazard;
use super::Side;
use super::Stops;
use super::Trouble;
use super::alter_command;
use super::hazards;
use super::record_bytes_max;
use super::rights::Need;
use super::rights::grant_command;
use super::rights::named;
use super::rights::needs;
use super::schemas_topic_spec;
use super::source_hazards;
use crate::service::definition::LinkDefinition;
use crate::service::ground::missing_source;
use crate::service::ground::not_created;
use crate::service::ground::unfit_state_topic;
use crate::service::past::with_context;
use crate::service::pipeline::Stop;
use crate::service::ports::Cluster;
use crate::service::ports::ClusterFacts;
use crate::service::ports::Fault;
use crate::service::ports::FaultClass;
use crate::service::ports::Operation;
use crate::service::ports::Resource;
use crate::service::ports::Rights;
use crate::service::ports::TopicFacts;
use crate::service::ports::TopicSpec;
use crate::service::state::State;
use crate::service::state::topic_spec;

/// Clocks of one deployment differ by less: NTP holds them within a second.
const CLOCKS_APART_MAX_MS: i64 = 60_000;

const NOT_TOLD: &str = "the brokers do not tell";
const NOT_THERE: &str = "there is no such topic yet";

/// The definition with the context that the link would have at a first start: its group is named
/// after that.
pub(super) fn settled(link: &LinkDefinition, source: &ClusterFacts) -> Option<LinkDefinition> {
    with_context(link, &source.cluster_id, &State::default()).ok()
}

/// One cluster, and what was found there.
pub(super) struct Look<'a, C> {
    side: Side,
    cluster: &'a C,
    pub(super) checks: Vec<Check>,
}

impl<'a, C: Cluster> Look<'a, C> {
    pub(super) fn begin(side: Side, cluster: &'a C) -> Self {
        Self { side, cluster, checks: Vec::new() }
    }

    fn note(&mut self, about: About, finding: Finding) {
        let cluster = self.cluster.name().to_owned();
        self.checks.push(Check { side: self.side, cluster, about, finding });
    }

    fn passed(&mut self, about: About, seen: impl Into<String>) {
        self.note(about, Finding::Passed(seen.into()));
    }

    fn untold(&mut self, about: About, why: impl Into<String>) {
        self.note(about, Finding::Untold(why.into()));
    }

    fn fault(&mut self, about: About, fault: Fault) {
        let trouble = Trouble::new(fault.to_string(), None);
        self.note(about, Finding::Failed(trouble, Stop::Fault(fault)));
    }

    fn hazard(&mut self, about: About, hazard: Hazard) {
        let halt = format!("{} {}: {hazard}", self.side.word(), self.cluster.name());
        let Hazard { what, mend, stops } = hazard;
        let trouble = Trouble::new(what, Some(mend));
        self.note(
            about,
            match stops {
                Stops::Yes => Finding::Failed(trouble, Stop::Halt(halt)),
                Stops::No => Finding::Warned(trouble),
            },
        );
    }

    /// Whether the cluster is there; what it says of itself.
    pub(super) async fn reach(&mut self) -> Option<ClusterFacts> {
        let brokers = self.cluster.bootstrap_servers().to_owned();
        let unknown = self.cluster.unknown_hosts().await;
        if unknown.is_empty() {
            self.passed(About::Names, brokers);
        }
        for (host, reason) in unknown {
            let what = format!("{host} has no address here: {reason}");
            self.note(About::Names, Finding::Warned(Trouble::new(what, None)));
        }
        match self.cluster.facts().await {
            Ok(facts) => {
                let ClusterFacts { cluster_id, brokers } = &facts;
                let seen = format!("cluster id {cluster_id}, brokers that are up: {brokers}");
                self.passed(About::Reach, seen);
                Some(facts)
            }
            Err(fault) => {
                self.fault(About::Reach, fault);
                None
            }
        }
    }

    /// The side that is read.
    pub(super) async fn source(
        &mut self,
        link: &LinkDefinition,
        wall_ms: i64,
    ) -> Option<TopicFacts> {
        let found = self.topic(&link.source_topic).await;
        self.rights(link).await;
        let facts = found?;
        let Some(facts) = facts else {
            let fault = missing_source(self.cluster, &link.source_topic);
            self.fault(About::Topic, fault);
            return None;
        };
        let dangers = source_hazards(&link.source_topic, self.cluster.bootstrap_servers(), &facts);
        self.settings(&link.source_topic, &facts, dangers);
        self.release(&facts);
        self.clock(&link.source_topic, &facts, wall_ms).await;
        Some(facts)
    }

    /// The side that is written; `Some(None)` where its topic is still to be created.
    pub(super) async fn target(
        &mut self,
        link: &LinkDefinition,
        cluster: &ClusterFacts,
        wall_ms: i64,
    ) -> Option<Option<TopicFacts>> {
        let schemas = self.topic(&link.target_topic).await;
        let state = self.topic(&link.state_topic).await;
        self.rights(link).await;
        if let Some(found) = &schemas {
            let spec = schemas_topic_spec(&link.target_topic, cluster.brokers);
            match found {
                None => self.missing(link, &spec).await,
                Some(facts) => {
                    let brokers = self.cluster.bootstrap_servers();
                    let dangers = hazards(&link.target_topic, brokers, facts);
                    self.settings(&link.target_topic, facts, dangers);
                    self.release(facts);
                    self.clock(&link.target_topic, facts, wall_ms).await;
                }
            }
        }
        match state {
            Some(None) => self.missing(link, &topic_spec(&link.state_topic, cluster.brokers)).await,
            Some(Some(facts)) => {
                let unfit = unfit_state_topic(self.cluster, &link.state_topic, &facts);
                self.settings(&link.state_topic, &facts, unfit.into_iter().collect());
            }
            None => {}
        }
        schemas
    }

    /// Whether a topic is there; `None` where that is not known. That it may not be seen is told by
    /// the rights on it.
    async fn topic(&mut self, topic: &str) -> Option<Option<TopicFacts>> {
        match self.cluster.topic(topic).await {
            Ok(Some(facts)) => {
                let TopicFacts { partitions, end, .. } = &facts;
                let seen = format!("{topic} is there: partitions {partitions}, end offset {end}");
                self.passed(About::Topic, seen);
                Some(Some(facts))
            }
            Ok(None) => Some(None),
            Err(fault) if fault.class == FaultClass::NotPermitted => {
                self.untold(About::Topic, format!("{topic} may not be seen"));
                None
            }
            Err(fault) => {
                self.fault(About::Topic, fault);
                None
            }
        }
    }

    /// A topic that is still to be created.
    async fn missing(&mut self, link: &LinkDefinition, spec: &TopicSpec) {
        let topic = &spec.name;
        if !link.create_topics {
            self.hazard(About::Topic, not_created(self.cluster, spec));
            return;
        }
        match self.cluster.may_create(spec).await {
            Ok(()) => self.passed(About::Topic, format!("{topic} is missing and will be created")),
            Err(fault) if fault.class == FaultClass::NotPermitted => {
                let resource = Resource::Topic(topic.clone());
                self.lacks(link, &Need { operation: Operation::Create, resource, without: None });
            }
            Err(fault) if fault.class == FaultClass::Unsupported => {
                self.untold(About::Topic, format!("{topic} is missing: {fault}"));
            }
            Err(fault) => self.fault(About::Topic, fault),
        }
    }

    /// Whether the principal may do what the link does here.
    async fn rights(&mut self, link: &LinkDefinition) {
        let needs = needs(self.side, link);
        let mut asked: Vec<(Resource, Told)> = Vec::new();
        for need in &needs {
            let known = asked.iter().find(|(resource, _)| *resource == need.resource);
            let told = match known {
                Some((_, told)) => told.clone(),
                None => {
                    let told = self.ask_rights(&need.resource, &asked).await;
                    asked.push((need.resource.clone(), told.clone()));
                    told
                }
            };
            let right = named(need.operation, &need.resource);
            match told {
                Told::Rights(rights) if rights.contains(&need.operation) => {
                    self.passed(About::Rights, right);
                }
                // What may not be described is neither read nor written: both would include it.
                Told::Unseen if need.operation == Operation::DescribeConfigs => {}
                Told::Rights(_) | Told::Unseen => self.lacks(link, need),
                Told::Nothing(_) if need.without.is_some() => {}
                Told::Nothing(why) => self.untold(About::Rights, format!("{right}: {why}")),
                Told::Fault(fault) => self.fault(About::Rights, fault),
            }
        }
    }

    async fn ask_rights(&self, resource: &Resource, asked: &[(Resource, Told)]) -> Told {
        // Whoever does not tell the rights on topics (librdkafka's mock) tells none on groups.
        let tells = !asked.iter().any(|(_, told)| matches!(told, Told::Nothing(NOT_TOLD)));
        if matches!(resource, Resource::Group(_)) && !tells {
            return Told::Nothing(NOT_TOLD);
        }
        match self.cluster.rights(resource).await {
            Ok(Some(rights)) => Told::Rights(rights),
            Ok(None) => Told::Nothing(NOT_TOLD),
            Err(fault) if fault.class == FaultClass::NotPermitted => Told::Unseen,
            Err(fault) if fault.class == FaultClass::Missing => Told::Nothing(NOT_THERE),
            Err(fault) => Told::Fault(fault),
        }
    }

    /// A right that is missing.
    fn lacks(&mut self, link: &LinkDefinition, need: &Need) {
        let Need { operation, resource, without } = need;
        let principal = self.cluster.principal();
        let bootstrap = self.cluster.bootstrap_servers();
        let mend = grant_command(bootstrap, principal.as_deref(), *operation, resource, link);
        let right = named(*operation, resource);
        let finding = match without {
            Some(without) => Finding::Warned(Trouble::new(
                format!("{right} is not granted: {without}"),
                Some(mend),
            )),
            None => {
                let cause = format!("{right} is not granted; grant it with: {mend}");
                let what = format!("{right} is not granted");
                let fault = Fault {
                    operation: "check rights",
                    object: match resource {
                        Resource::Topic(name) => format!("on topic {name}"),
                        Resource::Group(name) => format!("on group {name}"),
                    },
                    cluster: self.cluster.name().to_owned(),
                    cause,
                    class: FaultClass::NotPermitted,
                };
                Finding::Failed(Trouble::new(what, Some(mend)), Stop::Fault(fault))
            }
        };
        self.note(About::Rights, finding);
    }

    fn settings(&mut self, topic: &str, facts: &TopicFacts, dangers: Vec<Hazard>) {
        match &facts.settings {
            Err(reason) => self.untold(About::Settings, format!("{topic}: {reason}")),
            Ok(_) if dangers.is_empty() => {
                self.passed(About::Settings, format!("{topic} keeps what it is given"));
            }
            Ok(_) => {}
        }
        for danger in dangers {
            self.hazard(About::Settings, danger);
        }
    }

    /// How new the brokers are, as far as they show it.
    fn release(&mut self, facts: &TopicFacts) {
        match &facts.topic_id {
            Some(id) => self.passed(
                About::Release,
                format!("Kafka 2.8 or newer: a topic made anew is known by its id ({id})"),
            ),
            None => self.untold(
                About::Release,
                "no topic ids, so older than Kafka 2.8: a topic made anew is known by its offsets \
                 only, and writing takes IdempotentWrite on the cluster",
            ),
        }
    }

    /// Whether a record comes from the future. Kafka has no request for a broker's time.
    async fn clock(&mut self, topic: &str, facts: &TopicFacts, wall_ms: i64) {
        // Whoever has no ids (librdkafka's mock) has no times either.
        if facts.topic_id.is_none() {
            self.untold(About::Clock, format!("{topic} tells no times"));
            return;
        }
        let late = wall_ms.saturating_add(CLOCKS_APART_MAX_MS);
        match self.cluster.first_since(topic, late).await {
            Ok(None) => self.passed(About::Clock, format!("no record of {topic} is ahead of time")),
            Ok(Some(offset)) => {
                let what = format!(
                    "the record at offset {offset} of {topic} was written more than {} s after what \
                     is now on this host: this clock is slow, or that of the registry is fast; compare them",
                    CLOCKS_APART_MAX_MS.checked_div(1000).unwrap_or_default()
                );
                let trouble = Trouble::new(what, Some("date --utc".to_owned()));
                self.note(About::Clock, Finding::Warned(trouble));
            }
            Err(fault) => self.untold(About::Clock, fault.to_string()),
        }
    }

    /// A topic is no target of its own, under whatever two names the configuration has its cluster.
    pub(super) fn refuse_itself(
        &mut self,
        link: &LinkDefinition,
        source: &ClusterFacts,
        target: &ClusterFacts,
    ) {
        if source.cluster_id != target.cluster_id || link.source_topic != link.target_topic {
            return;
        }
        let what = format!(
            "it is the source's cluster ({}) by another name, and {} would be copied onto itself: let \
             the link lead to another cluster, or to another schemas_topic",
            target.cluster_id, link.target_topic
        );
        let stop = Stop::Halt(format!("target {}: {what}", self.cluster.name()));
        self.note(About::Names, Finding::Failed(Trouble::new(what, None), stop));
    }

    /// Whether the target takes what the source takes.
    pub(super) fn compare_sizes(&mut self, topic: &str, from: &TopicFacts, into: &TopicFacts) {
        let (Some(most), Some(least)) = (record_bytes_max(from), record_bytes_max(into)) else {
            self.untold(About::Size, "max.message.bytes is not told on both sides");
            return;
        };
        if least >= most {
            self.passed(About::Size, format!("{topic} takes records of {least} bytes"));
            return;
        }
        let what = format!(
            "{topic} takes records of {least} bytes, its source of {most}: larger ones are set aside"
        );
        let bootstrap = self.cluster.bootstrap_servers();
        let mend = alter_command(bootstrap, topic, &format!("max.message.bytes={most}"));
        self.note(About::Size, Finding::Warned(Trouble::new(what, Some(mend))));
    }
}

/// What was told of the rights on a thing.
#[derive(Debug, Clone)]
enum Told {
    Rights(Rights),
    /// It may not be described.
    Unseen,
    Nothing(&'static str),
    Fault(Fault),
}
