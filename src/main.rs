//! The schema-mirror binary.

fn main() {}
