//! librdkafka's mock cluster, for demonstrations and tests.
//!
//! It speaks the protocol on real sockets of this machine. It has no `CreateTopics`,
//! `DescribeConfigs`, `DeleteRecords`, TLS or SASL; it never compacts, keeps about 5 MB a
//! partition, and delays the first assignment of a group by 3 s, later ones by the session
//! time-out less a second.

use std::fmt;
use std::sync::mpsc;
use std::sync::mpsc::SyncSender;

use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

/// Partitions of the service's own topic.
const OWN_PARTITIONS: i32 = 64;

/// Orders that wait for the mock's thread.
const ORDERS_WAITING_MAX: usize = 16;

/// The mock of rdkafka, as it is passed to [`MockBroker::with`].
pub type Mock = MockCluster<'static, DefaultProducerContext>;

type Order = Box<dyn FnOnce(&Mock) + Send>;

/// A mock cluster of one broker, which lives as long as this.
pub struct MockBroker {
    orders: SyncSender<Order>,
    bootstrap_servers: String,
}

impl fmt::Debug for MockBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockBroker")
            .field("bootstrap_servers", &self.bootstrap_servers)
            .finish_non_exhaustive()
    }
}

/// The mock could not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
#[error("mock cluster: {0}")]
pub struct MockFault(String);

impl From<KafkaError> for MockFault {
    fn from(error: KafkaError) -> Self {
        Self(error.to_string())
    }
}

impl MockBroker {
    /// The id of the one broker.
    pub const BROKER: i32 = 1;

    /// Starts a broker on a free port of this machine.
    ///
    /// # Errors
    ///
    /// No thread, or no port.
    pub fn start() -> Result<Self, MockFault> {
        let (orders, inbox) = mpsc::sync_channel::<Order>(ORDERS_WAITING_MAX);
        let (reply, started) = mpsc::sync_channel(1);
        // The native mock may not move between threads, so it lives on one of its own.
        let spawned = std::thread::Builder::new().name("mock-broker".to_owned()).spawn(move || {
            let mock = match Mock::new(1) {
                Ok(mock) => mock,
                Err(error) => {
                    drop(reply.send(Err(MockFault::from(error))));
                    return;
                }
            };
            drop(reply.send(Ok(mock.bootstrap_servers())));
            while let Ok(order) = inbox.recv() {
                order(&mock);
            }
        });
        spawned.map_err(|error| MockFault(error.to_string()))?;
        let bootstrap_servers = started.recv().map_err(|_| ended())??;
        Ok(Self { orders, bootstrap_servers })
    }

    /// `host:port` of the broker.
    #[must_use]
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// Makes a topic.
    ///
    /// # Errors
    ///
    /// The topic is there already.
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<(), MockFault> {
        let name = name.to_owned();
        Ok(self.with(move |mock| mock.create_topic(&name, partitions, 1))??)
    }

    /// Takes the broker off the network. What it holds, it keeps.
    ///
    /// # Errors
    ///
    /// The mock has ended.
    pub fn down(&self) -> Result<(), MockFault> {
        Ok(self.with(|mock| mock.broker_down(Self::BROKER))??)
    }

    /// Brings the broker back.
    ///
    /// # Errors
    ///
    /// The mock has ended.
    pub fn up(&self) -> Result<(), MockFault> {
        Ok(self.with(|mock| mock.broker_up(Self::BROKER))??)
    }

    /// Does something with the mock itself, on its thread, and waits for it.
    ///
    /// # Errors
    ///
    /// The mock has ended.
    pub fn with<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Mock) -> T + Send + 'static,
    ) -> Result<T, MockFault> {
        let (reply, done) = mpsc::sync_channel(1);
        let order: Order = Box::new(move |mock| drop(reply.send(act(mock))));
        self.orders.send(order).map_err(|_| ended())?;
        done.recv().map_err(|_| ended())
    }
}

fn ended() -> MockFault {
    MockFault("its thread ended".to_owned())
}

/// Two mock clusters with the topics that a link needs: `_schemas` on both, and `_schema_mirror`
/// with its 64 partitions on both, for links in either direction.
#[derive(Debug)]
pub struct MockPair {
    /// The cluster that is read.
    pub source: MockBroker,
    /// The cluster that is written.
    pub target: MockBroker,
}

impl MockPair {
    /// Starts both.
    ///
    /// # Errors
    ///
    /// As [`MockBroker::start`].
    pub fn start() -> Result<Self, MockFault> {
        let pair = Self { source: MockBroker::start()?, target: MockBroker::start()? };
        for broker in [&pair.source, &pair.target] {
            broker.create_topic("_schemas", 1)?;
            broker.create_topic("_schema_mirror", OWN_PARTITIONS)?;
        }
        Ok(pair)
    }
}
