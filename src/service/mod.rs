//! Tasks around the core. This layer knows ports, not brokers.

pub mod catalog;
pub mod clock;
pub mod compare;
pub mod definition;
pub mod exported;
pub mod exporter;
pub mod ground;
pub mod history;
pub mod inspect;
pub mod journal;
pub mod lag;
pub mod latency;
pub mod past;
pub mod pipeline;
pub mod ports;
pub mod preflight;
pub mod rate;
pub mod reading;
pub mod set_aside;
pub mod state;
pub mod status;
pub mod supervisor;
pub mod worker;
