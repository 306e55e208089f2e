//! What the core's tests share: logs as text, a model of the target's registry, clusters in memory.
#![expect(clippy::arithmetic_side_effects, reason = "a harness's own counters are small")]
#![expect(clippy::format_push_string, reason = "short texts, written once")]
#![expect(
    clippy::fn_params_excessive_bools,
    reason = "words of a record, named where they are made"
)]
#![expect(clippy::struct_excessive_bools, reason = "a script's switches")]

pub(crate) mod check;
pub(crate) mod readers;
pub(crate) mod registry;
pub(crate) mod script;
pub(crate) mod text;
pub(crate) mod world;
