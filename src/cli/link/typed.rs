//! The words of `link`.

use std::path::PathBuf;
use std::time::Duration;

use clap::ArgGroup;
use clap::Args;
use clap::Subcommand;
use serde_json::Value;

use super::acknowledge::IncidentVerb;
use crate::config::ContextChoice;

const HELP: &str = "\
Links of the file are shown, and are changed in the file; links made over REST are changed here, by
schema-exporter, and on the page. A mirror that wants a login gets the token in SCHEMA_MIRROR_TOKEN
if SCHEMA_MIRROR_URL names it.

Exit codes: 0 done, 1 a change or an export was refused, or the link has not caught up (wait),
2 nobody could tell, 64 the command line or a file is wrong.";

const WAIT_HELP: &str = "\
The gate to put before data that needs a schema:
  schema-mirror link wait to-dr --now --timeout 30s && start-consumers

A link that is paused or halted is not waited for.

Exit codes: 0 it is there, 1 not within the time or it stands still, 2 nobody could tell, 64 the
command line is wrong.";

const CREATE_HELP: &str = "\
Examples:
  schema-mirror link create to-dr --source source --target target --context .source
  schema-mirror link create to-dr --source source --target http://schemaregistry2:8082 \\
      --context none --subjects 'orders*,users-value'
  schema-mirror link create to-dr --file links.yaml

Exit codes: 0 made, 1 refused, 2 nobody could tell, 64 the command line or the file is wrong.";

const UPDATE_HELP: &str = "\
A link that runs starts anew with what is changed, and compares everything; the brake on deletions
holds. Only another target has to find it paused.

Examples:
  schema-mirror link update to-dr --subjects 'orders*,users*'
  schema-mirror link update to-dr --allow-deletes-until 4711

Exit codes: 0 changed, 1 refused, 2 nobody could tell, 64 the command line or the file is wrong.";

const EXPORT_HELP: &str = "\
Losing the state topic loses links that were made over REST. What is written here brings them back:
as a part of the file that `run --config` reads, or link by link with `link create NAME --file`.
What a file can't say of a link stands in a comment beside it.

Example:
  schema-mirror link export > links.yaml

Exit codes: 0 written, 1 a link can't be written, or is one of the file, 2 nobody could tell.";

/// What to ask a running mirror.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = HELP)]
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
pub(super) enum LinkVerb {
    /// Every link with its state and how far it is behind.
    List {
        #[command(flatten)]
        watch: Watch,
    },
    /// All that a link tells of itself, and the first of what it does not copy.
    Show {
        #[command(flatten)]
        link: LinkName,
        #[command(flatten)]
        watch: Watch,
    },
    /// What a link does not copy: held keys and incidents, each with what to do.
    #[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
    #[command(subcommand_value_name = "ack|unack", subcommand_help_heading = "Of incidents")]
    #[command(disable_help_subcommand = true)]
    Incidents {
        #[command(subcommand)]
        verb: Option<IncidentVerb>,
        #[command(flatten)]
        link: Option<LinkName>,
        #[command(flatten)]
        watch: Watch,
    },
    /// Make a link that is kept in the state topic of its target.
    #[command(after_long_help = CREATE_HELP)]
    Create {
        /// Its name: letters, digits, . - and _
        name: String,
        /// The cluster to read, one of the mirror's file
        #[arg(long, value_name = "CLUSTER", required_unless_present = "file")]
        source: Option<String>,
        #[command(flatten)]
        settings: Box<Settings>,
    },
    /// Change what is given of a link; the rest stays.
    #[command(after_long_help = UPDATE_HELP)]
    Update {
        #[command(flatten)]
        link: LinkName,
        #[command(flatten)]
        settings: Box<Settings>,
    },
    /// Have a link stand still.
    Pause {
        #[command(flatten)]
        link: LinkName,
    },
    /// Have a link go on that is paused, or stands still for a reason.
    Resume {
        #[command(flatten)]
        link: LinkName,
        /// Set the fence again that someone else lifted, once; a link of the file takes this, too
        #[arg(long)]
        fence_again: bool,
    },
    /// Have a paused link compare everything when it goes on; what is right is not written again.
    Reset {
        #[command(flatten)]
        link: LinkName,
    },
    /// Take a paused link away; what it copied stays, but with --purge.
    Delete {
        #[command(flatten)]
        link: LinkName,
        /// Take what it copied away, too
        #[arg(long)]
        purge: bool,
    },
    /// Wait until what the source held can be read in the target.
    #[command(after_long_help = WAIT_HELP)]
    #[command(group = ArgGroup::new("up_to").required(true).args(["offset", "now"]))]
    Wait {
        #[command(flatten)]
        link: LinkName,
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
    /// Write links that were made over REST as a part of a configuration file.
    #[command(after_long_help = EXPORT_HELP)]
    Export {
        /// Which ones; all of them if none is named
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// Those that read this cluster only
        #[arg(long, value_name = "CLUSTER")]
        source: Option<String>,
    },
}

/// Which link is meant.
#[derive(Debug, Clone, Args)]
pub(super) struct LinkName {
    /// Its name
    pub(super) name: String,
    /// Its source, where several links have the name
    #[arg(long, value_name = "CLUSTER")]
    pub(super) source: Option<String>,
}

/// Whether an answer is followed.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Watch {
    /// Ask every 2 s until ctrl-c; off a terminal, answer again only when something has changed
    #[arg(long)]
    pub(super) watch: bool,
}

/// What a link is told to do, in the words of a file.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Settings {
    /// The cluster to write: one of the mirror's file, or the address of its registry
    #[arg(long, value_name = "CLUSTER")]
    pub(super) target: Option<String>,
    /// Where subjects go: .name, none (they keep their names) or auto (named after the source's
    /// Kafka cluster) [default: auto]
    #[arg(long, value_name = "CONTEXT", value_parser = ContextChoice::parse)]
    pub(super) context: Option<ContextChoice>,
    /// Which subjects, with commas: names, prefixes like orders*, /regexes/, * or :.context:*
    /// [default: *]
    #[arg(long, value_delimiter = ',')]
    pub(super) subjects: Option<Vec<String>>,
    /// What subjects are called in the target, such as 'dr-${subject}'; takes the place of rules
    #[arg(long, value_name = "FORMAT")]
    pub(super) subject_format: Option<String>,
    /// Rules that rename subjects, the first that matches: JSON such as
    /// '[{"match":"prod-(.*)","replace":"$1"}]'; they take the place of a format; [] takes them away
    #[arg(long, value_name = "JSON", value_parser = rules, conflicts_with = "subject_format")]
    pub(super) subject_renames: Option<Value>,
    /// The mode that keeps clients of the target's registry out of what the link owns
    #[arg(long, value_parser = ["readonly", "import", "none"])]
    pub(super) fence: Option<String>,
    /// What to do about references to subjects that are not chosen
    #[arg(long, value_parser = ["follow", "hold"])]
    pub(super) references: Option<String>,
    /// What to do when someone else changed what the link wrote
    #[arg(long, value_parser = ["repair", "report"])]
    pub(super) drift: Option<String>,
    /// Take over what the scope already holds in the target, though no link wrote it
    #[arg(
        long,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_name = "true|false"
    )]
    pub(super) adopt: Option<bool>,
    /// Release the brake on deletions, once: the offset that the halted link names
    #[arg(long, value_name = "OFFSET")]
    pub(super) allow_deletes_until: Option<u64>,
    /// Take all of that from the link of this name in a file, such as `link export` writes
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["source", "target", "context", "subjects", "subject_format",
            "subject_renames", "fence", "references", "drift", "adopt", "allow_deletes_until"]
    )]
    pub(super) file: Option<PathBuf>,
}

/// Reads a list of rules; what they say is read by the mirror.
fn rules(given: &str) -> Result<Value, String> {
    let right = r#"write a list such as '[{"match":"prod-(.*)","replace":"$1"}]'"#;
    let list: Value = serde_json::from_str(given).map_err(|fault| format!("{fault}; {right}"))?;
    if list.is_array() { Ok(list) } else { Err(right.to_owned()) }
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
