//! What a registry's log means and what a link does about it.
//!
//! Nothing here waits, reads a clock, names Kafka or opens a file: the core cannot fail for reasons
//! outside its inputs.

pub mod catalog;
pub mod dialect;
pub mod entry;
pub mod filter;
pub mod format;
pub mod json;
pub mod key;
pub mod link;
pub mod naming;
pub mod paths;
pub mod provenance;
pub mod record;
pub mod registry_url;
pub mod renames;
pub mod rules;
pub mod subject;
pub mod value;
pub mod view;
