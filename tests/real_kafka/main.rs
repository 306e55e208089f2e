//! Tests on real Apache Kafka brokers, for what a mock cannot show: compaction, tombstones that
//! expire, brokers that die, and a mirror that is killed.
//!
//! `cargo test --features real-kafka --test real_kafka` needs Java 17, Maven and
//! Python 3, no Docker.

#[cfg(test)]
mod aftermath;
#[cfg(test)]
mod broker;
#[cfg(test)]
#[path = "../support/certificates.rs"]
mod certificates;
#[cfg(test)]
mod flow;
#[cfg(test)]
mod harmless;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod message;
#[cfg(test)]
mod mirror;
#[cfg(test)]
mod numbers;
#[cfg(test)]
#[path = "../support/output.rs"]
mod output;
#[cfg(test)]
mod process;
#[cfg(test)]
mod records;
#[cfg(test)]
#[path = "../simulation/rng.rs"]
#[expect(
    clippy::arithmetic_side_effects,
    reason = "small numbers, and wrapping where they are not"
)]
mod rng;

#[cfg(test)]
#[path = "../support/wait.rs"]
mod wait;

#[cfg(test)]
mod brakes;
#[cfg(test)]
mod clients;
#[cfg(test)]
mod copies;
#[cfg(test)]
mod crashes;
#[cfg(test)]
mod dialects;
#[cfg(test)]
mod drift;
#[cfg(test)]
mod exporters;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod ground;
#[cfg(test)]
mod leases;
#[cfg(test)]
mod loops;
#[cfg(test)]
mod odd_records;
#[cfg(test)]
mod outages;
#[cfg(test)]
mod secured;
#[cfg(test)]
mod seen;
#[cfg(test)]
#[path = "../walkthrough/story.rs"]
mod story;
#[cfg(test)]
mod tail;
#[cfg(test)]
mod takeover;
#[cfg(test)]
mod walkthrough;
#[cfg(test)]
mod zombies;
