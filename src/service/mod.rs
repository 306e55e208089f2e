//! Tasks around the core. This layer knows ports, not brokers.

pub mod clock;
pub mod ports;
