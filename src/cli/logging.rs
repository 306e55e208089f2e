//! The log: one line for each change of state, on stderr.

use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::cli::args::LogFormat;
use crate::config::Environment;
use crate::config::ProcessEnvironment;

/// rdkafka's own log repeats, without the link or the cluster, what our errors say.
const QUIET: &str = "rdkafka=off";

/// AWS's crates log keys and requests with their signatures, some of it by default. What of it matters
/// comes back as an error. No `RUST_LOG` brings it back.
const SECRETIVE: &str = "aws_";

/// Starts logging. `RUST_LOG` says how much; without it, what an operator has to know.
pub(super) fn start(format: LogFormat) {
    let filter = filter(LevelFilter::INFO, &wanted());
    let log = fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false);
    // A second start, in a test, keeps the first one's log.
    let started = match format {
        LogFormat::Text => {
            let log = log.with_ansi(crate::cli::output::is_watched());
            log.finish().with(discretion()).try_init()
        }
        LogFormat::Json => log.json().flatten_event(true).finish().with(discretion()).try_init(),
    };
    drop(started);
}

/// What `RUST_LOG` asks for, or else this level; rdkafka's own log only where it is asked for.
fn filter(level: LevelFilter, wanted: &str) -> EnvFilter {
    let filter = EnvFilter::builder().with_default_directive(level.into()).parse_lossy(wanted);
    match QUIET.parse() {
        Ok(quiet) if !wanted.contains("rdkafka") => filter.add_directive(quiet),
        Ok(_) | Err(_) => filter,
    }
}

/// Lets nothing through that may hold a secret.
fn discretion() -> FilterFn {
    filter_fn(|what| !what.target().starts_with(SECRETIVE))
}

fn wanted() -> String {
    ProcessEnvironment.var("RUST_LOG").unwrap_or_default()
}

/// Lines that were logged and wait to be told.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    /// Takes the lines that came since the last time.
    pub(super) fn take(&self) -> Vec<String> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let text = String::from_utf8_lossy(&bytes);
        text.lines().map(|line| line.trim().to_owned()).collect()
    }
}

impl io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps warnings and errors instead of writing them. `RUST_LOG` says how much, as ever.
pub(super) fn keep_warnings() -> Kept {
    let filter = filter(LevelFilter::WARN, &wanted());
    let kept = Kept::default();
    let writer = kept.clone();
    let log = fmt().with_env_filter(filter).with_target(false).with_ansi(false).without_time();
    drop(log.with_writer(move || writer.clone()).finish().with(discretion()).try_init());
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(wanted: &str, directives: &[&str]) {
        let filter = filter(LevelFilter::INFO, wanted).to_string();
        let mut found: Vec<&str> = filter.split(',').collect();
        found.sort_unstable();
        assert_eq!(found, directives, "{wanted}");
    }

    #[test]
    fn rdkafka_speaks_where_it_is_asked_for_and_everything_else_as_ever() {
        check("", &["info", "rdkafka=off"]);
        check("debug", &["debug", "rdkafka=off"]);
        check("warn,rdkafka=debug", &["rdkafka=debug", "warn"]);
    }
}
