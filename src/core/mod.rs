//! What a registry's log means and what a link does about it.
//!
//! Nothing here waits, reads a clock, names Kafka or opens a file: the core cannot fail for reasons
//! outside its inputs.

pub mod filter;
pub mod json;
pub mod key;
pub mod record;
pub mod rules;
pub mod subject;
