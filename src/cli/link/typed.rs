//! The words of `link`.

use std::path::PathBuf;
use std::time::Duration;

use clap::ArgGroup;
use clap::Args;
use clap::Subcommand;

const WAIT_HELP: &str = "\
The gate to put before data that needs a schema:
  schema-mirror link wait to-dr --now --timeout 30s && start-consumers

Exit codes: 0 it is there, 1 not within the time, 2 nobody could tell, 64 the command line is wrong.";

/// What to ask a running mirror.
#[derive(Debug, Clone, Args)]
pub struct LinkWords {
    /// Where the mirror is [default: SCHEMA_MIRROR_URL, else http://127.0.0.1:8080]
    #[arg(long, global = true, value_name = "URL")]
    pub(super) url: Option<String>,
    /// PEM file with the authority that has signed the certificate of a mirror at https://
    /// [default: SCHEMA_MIRROR_CA, else those that the system trusts]
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
    #[command(subcommand)]
    pub(super) verb: LinkVerb,
}

/// What is asked.
#[derive(Debug, Clone, Subcommand)]
pub enum LinkVerb {
    /// Every link with its state and how far it is behind.
    List,
    /// All that a link tells of itself.
    Show {
        /// Its name
        name: String,
        /// Its source, where several links have the name
        #[arg(long, value_name = "CLUSTER")]
        source: Option<String>,
    },
    /// Wait until what the source held can be read in the target.
    #[command(after_long_help = WAIT_HELP)]
    #[command(group = ArgGroup::new("up_to").required(true).args(["offset", "now"]))]
    Wait {
        /// Its name
        name: String,
        /// Its source, where several links have the name
        #[arg(long, value_name = "CLUSTER")]
        source: Option<String>,
        /// Up to this offset of the source, its own record among it
        #[arg(long)]
        offset: Option<u64>,
        /// Up to the end that the source has now
        #[arg(long)]
        now: bool,
        /// For how long: 500ms, 30s, 5m
        #[arg(long, default_value = "30s", value_parser = duration)]
        timeout: Duration,
    },
}

/// Reads a time with its unit.
fn duration(given: &str) -> Result<Duration, String> {
    let right = || format!("{given:?} is not a time, such as 500ms, 30s or 5m");
    let end = given.find(|c: char| !c.is_ascii_digit()).ok_or_else(right)?;
    let (number, unit) = given.split_at_checked(end).ok_or_else(right)?;
    let number: u64 = number.parse().map_err(|_| right())?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        _ => Err(right()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        let read = |given: &str| duration(given).ok().map(|time| time.as_millis());
        assert_eq!(["500ms", "30s", "5m"].map(read), [Some(500), Some(30_000), Some(300_000)]);
        assert_eq!(["30", "s", "", "-1s", "1h", "1.5s"].map(read), [None; 6]);
    }
}
