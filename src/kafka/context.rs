//! What librdkafka says unasked, as log lines without secrets.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread::Thread;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::error::RDKafkaErrorCode;

use crate::kafka::errors::code_of;
use crate::kafka::errors::lock;
use crate::kafka::settings::Secrets;

/// What is said beside a reason, not as one: that no broker is left adds nothing to why, and that a
/// partition's end is reached is no trouble at all.
const EXPLAINS_NOTHING: [RDKafkaErrorCode; 2] =
    [RDKafkaErrorCode::AllBrokersDown, RDKafkaErrorCode::PartitionEOF];

/// Where librdkafka files what ends a client for good. The same comes back as a fault.
const FATAL: &str = "FATAL";

/// Where it files a connection that failed. One that the broker closed is no error to it, only a line.
const FAILED: &str = "FAIL";

/// The last thing that went wrong between a client and its brokers.
#[derive(Debug, Clone)]
pub(super) struct LastTrouble {
    pub(super) code: RDKafkaErrorCode,
    pub(super) words: String,
}

/// What one client said: the reason behind codes like "all brokers are down".
pub(super) struct Said {
    cluster: Arc<str>,
    secrets: Arc<Secrets>,
    last: Mutex<Option<LastTrouble>>,
    listener: OnceLock<Thread>,
    served: AtomicU64,
    has_failed: AtomicBool,
}

impl Said {
    /// Nothing said yet.
    pub(super) fn new(cluster: &Arc<str>, secrets: &Arc<Secrets>) -> Self {
        let (cluster, secrets) = (Arc::clone(cluster), Arc::clone(secrets));
        Self {
            cluster,
            secrets,
            last: Mutex::new(None),
            listener: OnceLock::new(),
            served: AtomicU64::new(0),
            has_failed: AtomicBool::new(false),
        }
    }

    /// Makes this thread the one that is woken when there is something to take from the client.
    pub(super) fn listen(&self) {
        self.listener.get_or_init(std::thread::current);
    }

    /// There is something to take from the client.
    pub(super) fn wake(&self) {
        self.listener.get().into_iter().for_each(Thread::unpark);
    }

    /// How many lines and errors it has said. Where that grows, looks that gave no record did not find
    /// the queue empty: what it says stands there before records.
    pub(super) fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    /// Whether a connection failed since this was asked last.
    pub(super) fn take_failed(&self) -> bool {
        self.has_failed.swap(false, Ordering::Relaxed)
    }

    /// The last trouble since `forget`.
    pub(super) fn last(&self) -> Option<LastTrouble> {
        lock(&self.last).clone()
    }

    /// Something worked: what was said before explains nothing any more.
    pub(super) fn forget(&self) {
        *lock(&self.last) = None;
    }

    /// The text without secrets.
    pub(super) fn clean(&self, text: &str) -> String {
        self.secrets.clean(text)
    }
}

impl ClientContext for Said {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.served.fetch_add(1, Ordering::Relaxed);
        if facility == FAILED {
            self.has_failed.store(true, Ordering::Relaxed);
        }
        let cluster = &*self.cluster;
        let text = self.clean(text);
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical
                if facility != FATAL =>
            {
                tracing::error!(cluster, facility, "librdkafka: {text}");
            }
            // What matters of these comes back as a fault, which is logged by whoever acts on it.
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning
            | RDKafkaLogLevel::Notice
            | RDKafkaLogLevel::Info
            | RDKafkaLogLevel::Debug => {
                tracing::debug!(cluster, facility, "librdkafka: {text}");
            }
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.served.fetch_add(1, Ordering::Relaxed);
        let words = self.clean(reason);
        tracing::debug!(cluster = &*self.cluster, "librdkafka: {words}");
        let Some(code) = code_of(&error) else {
            return;
        };
        if !EXPLAINS_NOTHING.contains(&code) {
            *lock(&self.last) = Some(LastTrouble { code, words });
        }
    }
}

impl ConsumerContext for Said {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_partition_is_no_trouble_and_hides_none() {
        let said = Said::new(&Arc::from("dc1"), &Arc::default());
        let eof = || KafkaError::Global(RDKafkaErrorCode::PartitionEOF);
        said.error(eof(), "Fetch from broker 1 reached end of partition at offset 7");
        assert!(said.last().is_none());
        said.error(KafkaError::Global(RDKafkaErrorCode::Resolve), "no such host");
        said.error(eof(), "Fetch from broker 1 reached end of partition at offset 7");
        assert_eq!(said.last().unwrap().words, "no such host");
    }
}
