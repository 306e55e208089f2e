//! Requests of administration: a topic's settings, a new topic.

use rdkafka::admin::AdminClient;
use rdkafka::admin::AdminOptions;
use rdkafka::admin::ConfigResource;
use rdkafka::admin::NewTopic;
use rdkafka::admin::ResourceSpecifier;
use rdkafka::admin::TopicReplication;
use rdkafka::error::KafkaResult;
use rdkafka::error::RDKafkaErrorCode;
use tokio::runtime::Handle;

use crate::kafka::context::Said;
use crate::kafka::errors::Place;
use crate::kafka::settings::ANSWER_WITHIN;
use crate::service::ports::Creation;
use crate::service::ports::Fault;
use crate::service::ports::FaultClass;
use crate::service::ports::TopicSettings;
use crate::service::ports::TopicSpec;

/// A client for requests of administration.
pub(super) type Administrator = AdminClient<Said>;

/// Asks one broker for a topic's settings. Blocks.
///
/// # Errors
///
/// The broker's answer, or that there is none.
pub(super) fn settings(
    administrator: &Administrator,
    topic: &str,
    broker: i32,
    place: &Place,
) -> Result<TopicSettings, Fault> {
    let resource = [ResourceSpecifier::Topic(topic)];
    let options = AdminOptions::new().request_timeout(Some(ANSWER_WITHIN)).broker_id(broker);
    let asked = administrator.describe_configs(&resource, &options);
    let answer = Handle::current().block_on(asked);
    match first_of(answer, administrator, place)? {
        // Every topic has settings: rdkafka (0.39) drops the code with which a broker refuses them.
        Ok(resource) if resource.entries.is_empty() => {
            Err(place.fault_of(RDKafkaErrorCode::TopicAuthorizationFailed))
        }
        Ok(resource) => Ok(settings_in(&resource)),
        Err(code) => Err(place.fault_of(code)),
    }
}

/// What is asked of the controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intent {
    /// To create the topic.
    Create,
    /// To say whether it would.
    Ask,
}

/// Asks for a topic to be created. One that is there already is no fault. Blocks.
///
/// # Errors
///
/// The controller's answer, or that there is none.
pub(super) fn create(
    administrator: &Administrator,
    spec: &TopicSpec,
    intent: Intent,
    place: &Place,
) -> Result<Creation, Fault> {
    let replication = TopicReplication::Fixed(spec.replication);
    let start = NewTopic::new(&spec.name, spec.partitions, replication);
    let topic = spec.settings.iter().fold(start, |topic, (name, value)| topic.set(name, value));
    let options = AdminOptions::new()
        .request_timeout(Some(ANSWER_WITHIN))
        .operation_timeout(Some(ANSWER_WITHIN))
        .validate_only(intent == Intent::Ask);
    let asked = administrator.create_topics([&topic], &options);
    let answer = Handle::current().block_on(asked);
    match first_of(answer, administrator, place)? {
        Ok(_) => Ok(Creation::Made),
        Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => Ok(Creation::There),
        Err((_, code)) => Err(place.fault_of(code)),
    }
}

/// The only answer to a request about one thing.
fn first_of<T>(
    answer: KafkaResult<Vec<T>>,
    administrator: &Administrator,
    place: &Place,
) -> Result<T, Fault> {
    let said = administrator.inner().context();
    let answer = answer.map_err(|error| place.fault_from(&error, said))?;
    said.forget();
    let first = answer.into_iter().next();
    first.ok_or_else(|| place.fault(FaultClass::Permanent, "the answer is empty"))
}

/// A topic works without its settings being told, where that is the broker's answer. A question
/// that was not answered is a fault: hazards that were not looked for must not count as absent.
pub(super) fn or_untold(
    asked: Result<TopicSettings, Fault>,
) -> Result<Result<TopicSettings, String>, Fault> {
    match asked {
        Ok(settings) => Ok(Ok(settings)),
        Err(fault) => match fault.class {
            FaultClass::NotPermitted | FaultClass::Unsupported => Ok(Err(fault.cause)),
            FaultClass::Transient
            | FaultClass::Missing
            | FaultClass::TooLarge
            | FaultClass::OutOfRange
            | FaultClass::Permanent => Err(fault),
        },
    }
}

fn settings_in(resource: &ConfigResource) -> TopicSettings {
    let text = |name: &str| resource.get(name).and_then(|entry| entry.value.clone());
    let number = |name: &str| text(name).and_then(|value| value.parse().ok());
    TopicSettings {
        cleanup_policy: text("cleanup.policy").unwrap_or_default(),
        delete_retention_ms: number("delete.retention.ms"),
        retention_ms: number("retention.ms"),
        retention_bytes: number("retention.bytes"),
        min_insync_replicas: number("min.insync.replicas"),
        max_message_bytes: number("max.message.bytes"),
        timestamp_type: text("message.timestamp.type").unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[track_caller]
    fn check(code: RDKafkaErrorCode, outcome: &str) {
        let fault = Place::settings(&Arc::from("dc1"), "_schemas").fault_of(code);
        let answer = match or_untold(Err(fault)) {
            Ok(told) => told.map_or("not told", |_| "told"),
            Err(_) => "a fault",
        };
        assert_eq!(answer, outcome, "{code}");
    }

    #[test]
    fn settings_that_may_not_be_read_are_done_without_and_no_answer_is_a_fault() {
        check(RDKafkaErrorCode::TopicAuthorizationFailed, "not told");
        check(RDKafkaErrorCode::UnsupportedFeature, "not told");
        check(RDKafkaErrorCode::OperationTimedOut, "a fault");
        check(RDKafkaErrorCode::BrokerTransportFailure, "a fault");
        check(RDKafkaErrorCode::UnknownTopicOrPartition, "a fault");
        check(RDKafkaErrorCode::InvalidRequest, "a fault");
    }
}
