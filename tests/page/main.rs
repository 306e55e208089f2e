//! What a person sees in a browser: Chromium on the page of a mirror between mock clusters.
//!
//! `cargo test --features real-kafka --test page` needs chromium and chromedriver (Debian: chromium,
//! chromium-driver), no Java.

#[cfg(test)]
#[path = "../support/certificates.rs"]
#[expect(dead_code, reason = "locked keys are for other tests")]
mod certificates;
#[cfg(test)]
mod chromium;
#[cfg(test)]
mod seen;
#[cfg(test)]
#[path = "../support/wait.rs"]
mod wait;
#[cfg(test)]
mod world;
