//! Clusters over Kafka itself: the ports of [`crate::service::ports`] on librdkafka.
//!
//! # Layout
//!
//! - `settings`: what a cluster is made from, and the librdkafka settings of each kind of client;
//! - `cluster`: the way to questions, a reader, a writer, a lease;
//! - `questions`: what is asked of a cluster;
//! - `admin`: requests of administration: a topic's settings, a new topic;
//! - `log`: one partition read;
//! - `reader`: the thread that reads it;
//! - `reading`: what all that read have in common;
//! - `scan`: a small topic read once, all its partitions;
//! - `appender`: one partition written, in order;
//! - `limits`: how large a record may be, and a batch of them;
//! - `lease`: the right to write, as ownership of a partition in a consumer group;
//! - `membership`: who is still in a group when the process ends;
//! - `errors`: librdkafka's codes as faults, in words a person can act on;
//! - `hosts`: whether the names of brokers mean something here;
//! - `ending`: clients that end behind the back of whoever drops them;
//! - `context`: what librdkafka says unasked, as log lines without secrets;
//! - `native`: what the Rust client does not have: a topic's id, rights, a client's token;
//! - `together`: one answer for all links that ask the same at about one time;
//! - `tokens`: tokens that we sign ourselves, given to all clients of a cluster;
//! - `login`: logins by IAM, as properties ask for them;
//! - `iam`: such tokens for Amazon MSK, in builds with the feature `msk-iam`;
//! - `mock`: librdkafka's mock cluster, for demonstrations and tests.
//!
//! Nothing outside this module names rdkafka. Calls of librdkafka that block run on threads made
//! for blocking, never on those that drive futures.

mod admin;
mod appender;
mod cluster;
mod context;
mod ending;
mod errors;
mod hosts;
#[cfg(feature = "msk-iam")]
mod iam;
mod lease;
mod limits;
mod log;
mod login;
mod member;
mod membership;
mod mock;
mod native;
mod questions;
mod reader;
mod reading;
mod scan;
mod settings;
mod together;
mod tokens;

pub use appender::KafkaAppender;
pub use appender::WRITES_WAITING_MAX;
pub use cluster::KafkaCluster;
pub use lease::HOLD;
pub use lease::KafkaLease;
pub use log::KafkaLog;
pub use membership::wait_left;
pub use mock::Mock;
pub use mock::MockBroker;
pub use mock::MockFault;
pub use mock::MockPair;
pub use settings::ClusterSettings;
pub use settings::PropertyRefusal;
pub use settings::refused_properties;
pub use tokens::Signer;
pub use tokens::Signing;
pub use tokens::Token;
pub use tokens::Unsigned;
