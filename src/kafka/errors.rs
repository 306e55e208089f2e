//! librdkafka's codes as faults, in words a person can act on.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use rdkafka::error::KafkaError;
use rdkafka::error::RDKafkaErrorCode;

use crate::kafka::context::Said;
use crate::kafka::settings::Secrets;
use crate::service::ports::Fault;
use crate::service::ports::FaultClass;

use RDKafkaErrorCode as Code;

/// Codes that may pass by themselves. Some end the client that met them (a producer whose sequence
/// the broker forgot); a new client mends those.
const TRANSIENT: &[Code] = &[
    Code::BrokerTransportFailure,
    Code::AllBrokersDown,
    Code::BrokerDestroy,
    Code::Resolve,
    Code::SSL,
    Code::OperationTimedOut,
    Code::MessageTimedOut,
    Code::TimedOutQueue,
    Code::QueueFull,
    Code::WaitingForCoordinator,
    Code::WaitCache,
    Code::InProgress,
    Code::PreviousInProgress,
    Code::Interrupted,
    Code::Retry,
    Code::State,
    Code::Fatal,
    Code::GaplessGuarantee,
    Code::Inconsistent,
    Code::PurgeQueue,
    Code::PurgeInflight,
    Code::PollExceeded,
    Code::AssignmentLost,
    Code::ISRInsufficient,
    Code::InvalidMessage,
    Code::LeaderNotAvailable,
    Code::NotLeaderForPartition,
    Code::RequestTimedOut,
    Code::BrokerNotAvailable,
    Code::ReplicaNotAvailable,
    Code::StaleControllerEpoch,
    Code::NetworkException,
    Code::CoordinatorLoadInProgress,
    Code::CoordinatorNotAvailable,
    Code::NotCoordinator,
    Code::NotEnoughReplicas,
    Code::NotEnoughReplicasAfterAppend,
    Code::IllegalGeneration,
    Code::UnknownMemberId,
    Code::MemberIdRequired,
    Code::RebalanceInProgress,
    Code::NotController,
    Code::OutOfOrderSequenceNumber,
    Code::DuplicateSequenceNumber,
    Code::InvalidProducerEpoch,
    Code::InvalidProducerIdMapping,
    Code::UnknownProducerId,
    Code::ConcurrentTransactions,
    Code::KafkaStorageError,
    Code::LogDirNotFound,
    Code::ReassignmentInProgress,
    Code::FetchSessionIdNotFound,
    Code::InvalidFetchSessionEpoch,
    Code::ListenerNotFound,
    Code::FencedLeaderEpoch,
    Code::UnknownLeaderEpoch,
    Code::StaleBrokerEpoch,
    Code::OffsetNotAvailable,
    Code::PreferredLeaderNotAvailable,
    Code::EligibleLeadersNotAvailable,
    Code::UnstableOffsetCommit,
    Code::ThrottlingQuotaExceeded,
    Code::RebootstrapRequired,
];

const MISSING: &[Code] = &[
    Code::UnknownTopicOrPartition,
    Code::UnknownTopic,
    Code::UnknownPartition,
    Code::UnknownTopicId,
];

/// The principal is known, and may not.
const NOT_AUTHORIZED: &[Code] = &[
    Code::TopicAuthorizationFailed,
    Code::GroupAuthorizationFailed,
    Code::ClusterAuthorizationFailed,
    Code::TransactionalIdAuthorizationFailed,
];

/// The principal is not known.
const NOT_AUTHENTICATED: &[Code] = &[Code::Authentication, Code::SaslAuthenticationFailed];

const TOO_LARGE: &[Code] = &[Code::MessageSizeTooLarge, Code::MessageBatchTooLarge];

const OUT_OF_RANGE: &[Code] =
    &[Code::OffsetOutOfRange, Code::AutoOffsetReset, Code::LogTruncation, Code::NoOffset];

const UNSUPPORTED: &[Code] = &[
    Code::UnsupportedVersion,
    Code::UnsupportedFeature,
    Code::NotImplemented,
    Code::UnsupportedForMessageFormat,
    Code::UnsupportedCompressionType,
];

/// No broker answered, or none that the client was sent on to.
const NOT_REACHED: &[Code] = &[
    Code::AllBrokersDown,
    Code::BrokerTransportFailure,
    Code::Resolve,
    Code::OperationTimedOut,
    Code::MessageTimedOut,
    Code::TimedOutQueue,
];

/// What an operator can look at where no broker answers.
const REACH: &str = "check host and port of the brokers, that the address which the listener \
                     advertises can be reached from here, and security.protocol";

/// The operations that ask a cluster whether it is there.
const ASKS_WHETHER_THERE: [&str; 2] = ["reach", "describe"];

/// What can be done about a code.
pub(super) fn class_of(code: Code) -> FaultClass {
    let classes = [
        (TRANSIENT, FaultClass::Transient),
        (MISSING, FaultClass::Missing),
        (NOT_AUTHORIZED, FaultClass::NotPermitted),
        (NOT_AUTHENTICATED, FaultClass::NotPermitted),
        (TOO_LARGE, FaultClass::TooLarge),
        (OUT_OF_RANGE, FaultClass::OutOfRange),
        (UNSUPPORTED, FaultClass::Unsupported),
    ];
    let found = classes.into_iter().find(|(codes, _)| codes.contains(&code));
    found.map_or(FaultClass::Permanent, |(_, class)| class)
}

/// The code inside an error, if there is one.
pub(super) fn code_of(error: &KafkaError) -> Option<Code> {
    if let KafkaError::AdminOp(code) = error {
        return Some(*code);
    }
    error.rdkafka_error_code()
}

/// Where something is tried, and what it takes.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) cluster: Arc<str>,
    pub(super) operation: &'static str,
    pub(super) object: String,
    /// The rights it takes, as an operator grants them.
    pub(super) rights: String,
}

impl Place {
    /// Reading a topic.
    pub(super) fn read(cluster: &Arc<str>, topic: &str) -> Self {
        Self::at(cluster, "read", topic, format!("READ and DESCRIBE on topic {topic}"))
    }

    /// Writing a topic.
    pub(super) fn append(cluster: &Arc<str>, topic: &str) -> Self {
        let rights = format!(
            "WRITE and DESCRIBE on topic {topic}, and IDEMPOTENT_WRITE on the cluster where \
             brokers are older than 2.8"
        );
        Self::at(cluster, "append to", topic, rights)
    }

    /// Asking about a topic.
    pub(super) fn describe(cluster: &Arc<str>, topic: &str) -> Self {
        Self::at(cluster, "describe", topic, format!("DESCRIBE on topic {topic}"))
    }

    /// Asking for a topic's settings.
    pub(super) fn settings(cluster: &Arc<str>, topic: &str) -> Self {
        let rights = format!("DESCRIBE_CONFIGS on topic {topic}");
        Self::at(cluster, "read the settings of", topic, rights)
    }

    /// Creating a topic.
    pub(super) fn create(cluster: &Arc<str>, topic: &str) -> Self {
        let rights = format!("CREATE on topic {topic} or on the cluster");
        Self::at(cluster, "create", topic, rights)
    }

    /// Being a member of a group.
    pub(super) fn join(cluster: &Arc<str>, group: &str, topic: &str) -> Self {
        let rights = format!("READ on group {group}, and READ and DESCRIBE on topic {topic}");
        Self::at(cluster, "join group", group, rights)
    }

    /// Asking about a group.
    pub(super) fn group(cluster: &Arc<str>, group: &str) -> Self {
        Self::at(cluster, "describe group", group, format!("DESCRIBE on group {group}"))
    }

    /// Asking a cluster who it is.
    pub(super) fn cluster(cluster: &Arc<str>) -> Self {
        Self::at(cluster, "reach", "brokers", "a login that the brokers take".to_owned())
    }

    fn at(cluster: &Arc<str>, operation: &'static str, object: &str, rights: String) -> Self {
        Self { cluster: Arc::clone(cluster), operation, object: object.to_owned(), rights }
    }

    /// A fault here.
    pub(super) fn fault(&self, class: FaultClass, cause: impl Into<String>) -> Fault {
        Fault {
            operation: self.operation,
            object: self.object.clone(),
            cluster: self.cluster.to_string(),
            cause: cause.into(),
            class,
        }
    }

    /// The fault that a code means here.
    pub(super) fn fault_of(&self, code: Code) -> Fault {
        let class = class_of(code);
        self.fault(class, self.cause(code, class))
    }

    /// The fault that an error means here, with what the client said last where that explains it.
    pub(super) fn fault_from(&self, error: &KafkaError, said: &Said) -> Fault {
        let Some(code) = code_of(error) else {
            return self.fault(FaultClass::Permanent, said.clean(&words_of(error)));
        };
        let fault = self.fault_of(code);
        if fault.class != FaultClass::Transient {
            return fault;
        }
        let Some(last) = said.last() else {
            return self.with_remedy(code, fault);
        };
        if NOT_AUTHENTICATED.contains(&last.code) {
            let cause = format!("the brokers refuse the login: {}", last.words);
            return self.fault(FaultClass::NotPermitted, cause);
        }
        let cause = format!("{}; last: {}", fault.cause, last.words);
        self.with_remedy(code, self.fault(FaultClass::Transient, cause))
    }

    /// Says what to look at where the question whether a cluster is there got no answer.
    fn with_remedy(&self, code: Code, fault: Fault) -> Fault {
        if !NOT_REACHED.contains(&code) || !ASKS_WHETHER_THERE.contains(&self.operation) {
            return fault;
        }
        Fault { cause: format!("{}; {REACH}", fault.cause), ..fault }
    }

    /// The fault of a client that could not be made: a property is wrong, a certificate unreadable.
    pub(super) fn not_made(&self, error: &KafkaError, secrets: &Secrets) -> Fault {
        self.fault(FaultClass::Permanent, secrets.clean(&words_of(error)))
    }

    fn cause(&self, code: Code, class: FaultClass) -> String {
        let told = code.to_string();
        match class {
            FaultClass::NotPermitted if NOT_AUTHENTICATED.contains(&code) => {
                format!("the brokers refuse the login ({told})")
            }
            FaultClass::NotPermitted => {
                format!("the principal needs {} ({told})", self.rights)
            }
            FaultClass::Missing => format!("it does not exist ({told})"),
            FaultClass::TooLarge => format!(
                "the record is larger than the topic's max.message.bytes, the broker's \
                 message.max.bytes or the client's message.max.bytes ({told})"
            ),
            FaultClass::OutOfRange => {
                format!("the log no longer holds the offset, or not yet ({told})")
            }
            FaultClass::Unsupported => format!("the broker does not know the request ({told})"),
            FaultClass::Permanent if code == Code::FencedInstanceId => format!(
                "another process runs under the same instance name; give each process one of its \
                 own: instance in the file, or the variable HOSTNAME ({told})"
            ),
            FaultClass::Transient | FaultClass::Permanent => told,
        }
    }
}

/// An error without a code in words. The values of properties are left out: they may be secret.
fn words_of(error: &KafkaError) -> String {
    if let KafkaError::ClientConfig(_, _, name, _) = error {
        return format!("the property {name} is unknown, or its value is not taken");
    }
    error.to_string()
}

/// A guard whatever happened to the thread that held it before: all that is kept behind our
/// mutexes is whole between any two statements.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: Code, class: FaultClass, part: &str) {
        let fault = Place::read(&Arc::from("dc1"), "_schemas").fault_of(code);
        assert_eq!(fault.class, class, "{fault}");
        assert!(fault.to_string().contains(part), "{fault}");
    }

    #[test]
    fn a_code_tells_what_can_be_done() {
        check(Code::AllBrokersDown, FaultClass::Transient, "read _schemas at cluster dc1: ");
        check(Code::UnknownTopicOrPartition, FaultClass::Missing, "does not exist");
        check(Code::AutoOffsetReset, FaultClass::OutOfRange, "no longer holds");
        check(Code::MessageSizeTooLarge, FaultClass::TooLarge, "max.message.bytes");
        check(Code::UnsupportedFeature, FaultClass::Unsupported, "does not know");
        check(Code::BadMessage, FaultClass::Permanent, "BadMessage");
    }

    #[test]
    fn a_missing_right_is_named_as_an_operator_grants_it() {
        let right = "needs READ and DESCRIBE on topic _schemas";
        check(Code::TopicAuthorizationFailed, FaultClass::NotPermitted, right);
    }

    #[test]
    fn a_name_that_another_process_has_is_said_in_words() {
        let remedy = "another process runs under the same instance name; give each process";
        check(Code::FencedInstanceId, FaultClass::Permanent, remedy);
    }

    #[test]
    fn a_cluster_that_does_not_answer_is_told_with_what_to_look_at() {
        let name = Arc::from("dc1");
        let said = Said::new(&name, &Arc::default());
        let down = KafkaError::MetadataFetch(Code::BrokerTransportFailure);
        let asked = Place::cluster(&name).fault_from(&down, &said).to_string();
        assert!(asked.contains("; check host and port of the brokers"), "{asked}");
        let read = Place::read(&name, "_schemas").fault_from(&down, &said).to_string();
        assert!(!read.contains("check host"), "{read}");
    }

    #[test]
    fn a_refused_login_is_no_missing_acl() {
        check(Code::SaslAuthenticationFailed, FaultClass::NotPermitted, "refuse the login");
    }
}
