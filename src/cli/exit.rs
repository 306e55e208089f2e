//! What the process tells the shell. Scripts rely on these numbers: they never change.

/// Done; the two sides are equal.
pub const DONE: u8 = 0;
/// There are differences, or incidents that nobody has acknowledged.
pub const DIFFERENT: u8 = 1;
/// It could not be told: a cluster is unreachable, something is not permitted, or another instance
/// is the writer.
pub const UNKNOWN: u8 = 2;
/// The command line or the configuration is wrong (`EX_USAGE` of sysexits.h).
pub const USAGE: u8 = 64;
/// Our own fault (`EX_SOFTWARE` of sysexits.h).
pub const FAULT: u8 = 70;
