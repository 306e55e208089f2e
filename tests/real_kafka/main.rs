//! Tests on real Apache Kafka brokers, for what a mock cannot show: compaction, tombstones that
//! expire, brokers that die, and a mirror that is killed.
//!
//! `cargo test --features real-kafka --test real_kafka` needs Java 17 and Maven, no Docker.

#[cfg(test)]
mod broker;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod mirror;
#[cfg(test)]
mod process;
#[cfg(test)]
mod records;

#[cfg(test)]
mod brakes;
#[cfg(test)]
mod copies;
#[cfg(test)]
mod crashes;
#[cfg(test)]
mod drift;
#[cfg(test)]
mod ground;
#[cfg(test)]
mod loops;
#[cfg(test)]
mod odd_records;
#[cfg(test)]
mod outages;
#[cfg(test)]
mod tail;
#[cfg(test)]
mod takeover;
#[cfg(test)]
mod zombies;
