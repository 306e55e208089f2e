//! Tasks around the core. This layer knows ports, not brokers.

pub mod catalog;
pub mod clock;
pub mod commons;
pub mod compare;
pub mod definition;
pub mod exported;
pub mod exporter;
mod fetcher;
pub mod ground;
pub mod inspect;
pub mod lag;
pub mod latency;
pub mod past;
pub mod pipeline;
pub mod ports;
pub mod preflight;
pub mod rate;
pub mod reading;
mod round;
mod sight;
pub mod state;
pub mod status;
mod stream;
pub mod supervisor;
pub mod target;
pub mod worker;
