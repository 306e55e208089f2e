//! What becomes of each odd record.

#[path = "keys.rs"]
mod keys;
#[path = "values.rs"]
mod values;

use schema_mirror::core::link::Outcome;

/// One odd record.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// The record's own outcome, apart from what stands before and behind it.
    pub(crate) outcome: Outcome,
    /// What the target holds afterwards besides contexts, fences and the good record behind it.
    pub(crate) target: &'static [&'static str],
    pub(crate) incidents: usize,
    pub(crate) remarks: usize,
    pub(crate) why: &'static str,
}

/// All cases, in the order of the file of records.
pub(crate) fn table() -> impl Iterator<Item = &'static Case> {
    keys::KEYS.iter().chain(values::VALUES)
}
