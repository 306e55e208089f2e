//! Scenarios: log text in, log text out. Each is played twice, by comparing whole logs and live,
//! and has to keep every invariant; see `support/script.rs` for the text's form.

#[cfg(test)]
#[expect(dead_code, reason = "each test crate uses its own part")]
mod support;
#[cfg(test)]
#[path = "scenarios/mod.rs"]
mod themes;
