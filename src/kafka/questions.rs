//! What is asked of a cluster. Everything here blocks.

use rdkafka::Offset as KafkaOffset;
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;

use crate::core::record::Offset;
use crate::kafka::admin;
use crate::kafka::cluster::Inner;
use crate::kafka::errors::Place;
use crate::kafka::errors::lock;
use crate::kafka::membership::members_of;
use crate::kafka::native::describe_topic;
use crate::kafka::native::group_rights;
use crate::kafka::reading::Shape;
use crate::kafka::reading::serve;
use crate::kafka::reading::shape;
use crate::kafka::scan;
use crate::kafka::settings::ANSWER_WITHIN;
use crate::service::ports::ClusterFacts;
use crate::service::ports::Fault;
use crate::service::ports::FaultClass;
use crate::service::ports::Resource;
use crate::service::ports::Rights;
use crate::service::ports::TopicFacts;
use crate::service::ports::TopicSettings;
use crate::service::ports::TopicSpec;

/// Metadata are asked for one topic, one that every cluster with a consumer has, because all of a
/// large cluster's are megabytes; whether it exists does not matter.
const ANY_TOPIC: &str = "__consumer_offsets";

impl Inner {
    pub(super) fn facts(&self) -> Result<ClusterFacts, Fault> {
        let place = Place::cluster(&self.name);
        let prober = self.prober(&place)?;
        let metadata = prober.fetch_metadata(Some(ANY_TOPIC), ANSWER_WITHIN);
        serve(&prober);
        let metadata = metadata.map_err(|error| place.fault_from(&error, prober.context()))?;
        prober.context().forget();
        let Some(cluster_id) = prober.client().fetch_cluster_id(ANSWER_WITHIN) else {
            return Err(place.fault(FaultClass::Unsupported, "they do not tell their cluster's id"));
        };
        Ok(ClusterFacts { cluster_id, brokers: metadata.brokers().len() })
    }

    pub(super) fn topic(&self, name: &str) -> Result<Option<TopicFacts>, Fault> {
        let place = Place::describe(&self.name, name);
        let prober = self.prober(&place)?;
        let Some(Shape { partitions, replication, leader }) = shape(&prober, name, &place)? else {
            return Ok(None);
        };
        let said = prober.context();
        let bounds = prober.fetch_watermarks(name, 0, ANSWER_WITHIN);
        serve(&prober);
        let (start, end) = bounds.map_err(|error| place.fault_from(&error, said))?;
        let described = describe_topic(prober.client(), leader, name, ANSWER_WITHIN)
            .map_err(|code| place.fault_of(code))?;
        let topic_id = described.and_then(|told| told.id);
        let settings = self.settings_or_reason(name, leader)?;
        Ok(Some(TopicFacts { topic_id, partitions, replication, start, end, settings }))
    }

    /// A topic's settings, or why they are not told, which the log says once.
    pub(super) fn settings_or_reason(
        &self,
        topic: &str,
        broker: i32,
    ) -> Result<Result<TopicSettings, String>, Fault> {
        let place = Place::settings(&self.name, topic);
        let asked = admin::settings(&*self.administrator(&place)?, topic, broker, &place);
        let told = admin::or_untold(asked)?;
        if let Err(reason) = &told
            && lock(&self.untold).insert(topic.to_owned())
        {
            tracing::info!(
                cluster = &*self.name,
                topic,
                reason,
                "the topic's settings can't be read, so they are not checked"
            );
        }
        Ok(told)
    }

    pub(super) fn rights(&self, resource: &Resource) -> Result<Option<Rights>, Fault> {
        let (place, told) = match resource {
            Resource::Topic(topic) => {
                let place = Place::describe(&self.name, topic);
                let prober = self.prober(&place)?;
                let Some(Shape { leader, .. }) = shape(&prober, topic, &place)? else {
                    return Err(place.fault_of(RDKafkaErrorCode::UnknownTopicOrPartition));
                };
                let told = describe_topic(prober.client(), leader, topic, ANSWER_WITHIN);
                (place, told.map(|told| told.and_then(|told| told.rights)))
            }
            Resource::Group(group) => {
                let place = Place::group(&self.name, group);
                let prober = self.prober(&place)?;
                (place, group_rights(prober.client(), group, ANSWER_WITHIN))
            }
        };
        told.map_err(|code| place.fault_of(code))
    }

    pub(super) fn first_since(&self, topic: &str, time_ms: i64) -> Result<Option<Offset>, Fault> {
        let place = Place::read(&self.name, topic);
        let prober = self.prober(&place)?;
        scan::first_since(&prober, topic, time_ms, &place)
    }

    /// Whether every partition of a topic has a leader that knows it: one that was just made may not
    /// yet, and refuses.
    pub(super) fn is_ready(&self, spec: &TopicSpec) -> Result<bool, Fault> {
        let place = Place::create(&self.name, &spec.name);
        let prober = self.prober(&place)?;
        let metadata = prober.fetch_metadata(Some(&spec.name), ANSWER_WITHIN);
        serve(&prober);
        let metadata = metadata.map_err(|error| place.fault_from(&error, prober.context()))?;
        let found = metadata.topics().iter().find(|topic| topic.name() == spec.name);
        let Some(found) = found.filter(|topic| topic.error().is_none()) else { return Ok(false) };
        let led = found.partitions().iter().filter(|partition| partition.leader() >= 0);
        let led: Vec<i32> = led.map(|partition| partition.id()).collect();
        let all = !led.is_empty() && led.len() == found.partitions().len();
        Ok(all && scan::offsets(&prober, &spec.name, &led, KafkaOffset::End, &place).is_ok())
    }

    pub(super) fn members(&self, group: &str) -> Result<Vec<String>, Fault> {
        let place = Place::group(&self.name, group);
        members_of(&*self.prober(&place)?, group, &place)
    }
}
