//! schema-mirror copies the state of a schema registry from one Kafka cluster to another, over
//! Kafka alone.
//!
//! # Layout
//!
//! `core` decides and knows no I/O; `kafka` alone names rdkafka; `service` runs links through
//! ports; `config` and `cli` are edges.

pub mod core;
pub mod service;
