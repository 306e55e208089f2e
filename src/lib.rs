//! schema-mirror copies the state of a schema registry from one Kafka cluster to another, over
//! Kafka alone.
//!
//! # Layout
//!
//! `core` decides and knows no I/O; `kafka` alone names rdkafka; `service` runs links through
//! ports; `api`, `config` and `cli` are edges.

pub mod api;
pub mod cli;
pub mod config;
pub mod core;
pub mod kafka;
pub mod service;
