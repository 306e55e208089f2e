//! The command line as it is typed, with the help that it gives.

use std::path::PathBuf;

use clap::Args;
use clap::Parser;
use clap::Subcommand;
use clap::ValueEnum;

use crate::cli::exporter::Words;
use crate::cli::link::LinkWords;

const ONE_LINK: &str = "One link without a file";
const RELEASES: &str = "Releases, for this start only";

const MAIN_HELP: &str = "\
First look, with no Kafka at all:
  schema-mirror demo

Once, between two clusters:
  schema-mirror preflight --from broker:9092 --to broker2:9092 --context .source
  schema-mirror plan      --from broker:9092 --to broker2:9092 --context .source
  schema-mirror backfill  --from broker:9092 --to broker2:9092 --context .source

For good, with a file:
  schema-mirror config check --config schema-mirror.yaml
  schema-mirror run --config schema-mirror.yaml

Exit codes:
   0  done; equal
   1  there are differences or incidents that nobody acknowledged; or what inspect was to show is not there
   2  could not tell: a cluster is unreachable, or something is not permitted
  64  the command line or the configuration is wrong
  70  our own fault";

/// Copies the state of a schema registry from one Kafka cluster to another, over Kafka alone.
#[derive(Debug, Parser)]
#[command(name = "schema-mirror", version)]
#[command(after_long_help = MAIN_HELP, arg_required_else_help = true)]
pub(super) struct Typed {
    // Commands that read a file show it; before them it is taken as well.
    #[arg(long, value_name = "FILE", hide = true)]
    pub(super) config: Option<PathBuf>,

    /// How answers are given: a table for people, or one JSON document.
    #[arg(long, global = true, value_enum, default_value_t = Output::Table)]
    #[arg(value_name = "table|json", hide_possible_values = true)]
    pub(super) output: Output,

    /// How the log on stderr is written: lines of text, or JSON objects.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    #[arg(value_name = "text|json", hide_possible_values = true)]
    pub(super) log_format: LogFormat,

    #[command(subcommand)]
    pub(super) command: TypedCommand,
}

/// How answers are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// One stable JSON document.
    Json,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A line of text for each event.
    Text,
    /// A JSON object for each event.
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum TypedCommand {
    /// Keep the targets of all links equal to their sources, until it is told to stop.
    ///
    /// Source cluster: reads the schemas topic; never writes, joins no group. Target cluster:
    /// writes the schemas topic inside the link's scope, and the mirror's own state topic; creates
    /// both where they are missing. One instance writes a scope, others stand by. SIGTERM or SIGINT
    /// drains and ends.
    #[command(after_long_help = "Example:\n  schema-mirror run --config schema-mirror.yaml")]
    Run {
        #[command(flatten)]
        file: ConfigFile,
        /// Where /metrics, /ready, /live and /links are served: an IP address of this machine and a
        /// port, or none [default: http.listen of the file, else 127.0.0.1:8080]
        #[arg(long, value_name = "ADDRESS")]
        http: Option<String>,
        #[command(flatten)]
        releases: TypedReleases,
        #[command(flatten)]
        link: LinkFlags,
    },

    /// Copy once, up to the end that the source has now, and exit.
    ///
    /// Source cluster: reads the schemas topic; never writes. Target cluster: writes the schemas
    /// topic inside the link's scope, and the mirror's own state topic; creates both where they are
    /// missing. A second one writes nothing. While another instance is the writer it exits with 2
    /// and names it.
    #[command(after_long_help = "\
Examples:
  schema-mirror backfill --config schema-mirror.yaml src-to-tgt-link
  schema-mirror backfill --from broker:9092 --to broker2:9092 --context .source --subjects 'a,b*'")]
    Backfill {
        #[command(flatten)]
        file: ConfigFile,
        #[command(flatten)]
        names: LinkNames,
        #[command(flatten)]
        releases: TypedReleases,
        #[command(flatten)]
        link: LinkFlags,
    },

    /// Say what a backfill would change, and change nothing.
    ///
    /// Both clusters: reads the schemas topics, and the state topic where it may; never writes,
    /// never joins a group. Each change is listed with its reason, conflicts and incidents with
    /// what to do about them. Exits with 1 where there is anything to change, and with 2 where it
    /// could not tell.
    #[command(after_long_help = "\
Example:
  schema-mirror plan --from broker:9092 --to broker2:9092 --context .source")]
    Plan {
        #[command(flatten)]
        file: ConfigFile,
        #[command(flatten)]
        names: LinkNames,
        #[command(flatten)]
        releases: TypedReleases,
        #[command(flatten)]
        link: LinkFlags,
    },

    /// Prove that the target holds what the source says, key by key.
    ///
    /// Both clusters: reads both schemas topics afresh; never writes, never joins a group. Says
    /// equal, with counts and both end offsets, or lists each difference. Exits with 0 or 1, and with 2
    /// where it could not tell.
    #[command(after_long_help = "\
Example:
  schema-mirror verify --config schema-mirror.yaml --output json")]
    Verify {
        #[command(flatten)]
        file: ConfigFile,
        #[command(flatten)]
        names: LinkNames,
        #[command(flatten)]
        link: LinkFlags,
    },

    /// Look at everything that a link needs before it starts.
    ///
    /// Both clusters: names and reach of the brokers, topics and their settings, rights, release,
    /// clocks, sizes of records. Reads no schema, writes nothing, joins no group. Each check is
    /// shown as passed or with the command that mends it. `run` begins with the same. Exits with 1
    /// where a link would not start, and with 2 where a cluster could not be asked.
    #[command(after_long_help = "\
Examples:
  schema-mirror preflight --config schema-mirror.yaml
  schema-mirror preflight --from broker:9092 --to broker2:9092 --context .source")]
    Preflight {
        #[command(flatten)]
        file: ConfigFile,
        #[command(flatten)]
        names: LinkNames,
        #[command(flatten)]
        link: LinkFlags,
    },

    /// Say what a schemas topic holds and what endangers it.
    ///
    /// The cluster: reads one topic and its settings; never writes. Shows contexts, subjects with
    /// versions and ids, modes, configs, records that a registry would ignore or die of, and
    /// settings of the topic that could lose schemas, each with the command that mends it.
    #[command(after_long_help = "\
Examples:
  schema-mirror inspect --brokers broker:9092
  schema-mirror inspect --brokers broker:9093 --context .source \\
    --property security.protocol=SASL_SSL --property 'sasl.password={env: PASSWORD}'")]
    Inspect(InspectFlags),

    /// Ask a running `run` what its links are doing, make and change those over REST, or wait until
    /// one has caught up.
    Link(LinkWords),

    /// Make, change and show links of a running `run`, in the words of Schema Linking's own tool.
    ///
    /// The binary does the same at once where it is called schema-exporter: a link by that name is
    /// all that runbooks need.
    Exporter(Box<Words>),

    /// Show it all in ten seconds: two clusters inside this process, two links, changes and a
    /// proof.
    ///
    /// Touches no cluster: needs no Kafka, no Docker and no file.
    #[command(after_long_help = "Example:\n  schema-mirror demo")]
    Demo,

    /// Work with the configuration file.
    Config {
        #[command(subcommand)]
        command: TypedConfigCommand,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum TypedConfigCommand {
    /// Check a file and say everything that is wrong with it.
    ///
    /// Touches no cluster. Reads the file, and the variables and files that it names. Exits with 0
    /// or 64.
    #[command(
        after_long_help = "Example:\n  schema-mirror config check --config schema-mirror.yaml"
    )]
    Check {
        #[command(flatten)]
        file: ConfigFile,
    },
}

#[derive(Debug, Args)]
pub(super) struct ConfigFile {
    /// The file with clusters and links.
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct LinkNames {
    /// Links of the file; all of them if none is named.
    #[arg(value_name = "LINK")]
    pub(super) links: Vec<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = RELEASES)]
pub(super) struct TypedReleases {
    /// Release the brake on deletions, once, up to the source's end as it is now.
    #[arg(long)]
    pub(super) allow_deletes: bool,

    /// Set the fence again that someone lifted.
    #[arg(long)]
    pub(super) fence_again: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = ONE_LINK)]
pub(super) struct LinkFlags {
    /// Brokers of the cluster to read, with commas.
    #[arg(long, value_name = "BROKERS")]
    pub(super) from: Option<String>,

    /// Brokers of the cluster to write, with commas.
    #[arg(long, value_name = "BROKERS")]
    pub(super) to: Option<String>,

    /// The schemas topic to read [default: _schemas].
    #[arg(long, value_name = "TOPIC")]
    pub(super) from_topic: Option<String>,

    /// The schemas topic to write [default: _schemas].
    #[arg(long, value_name = "TOPIC")]
    pub(super) to_topic: Option<String>,

    /// The registry whose topic is read [default: auto].
    #[arg(long, value_name = "DIALECT")]
    pub(super) from_dialect: Option<String>,

    /// The registry whose topic is written: auto, confluent-6, confluent-7, confluent-8, karapace or
    /// redpanda [default: auto].
    #[arg(long, value_name = "DIALECT")]
    pub(super) to_dialect: Option<String>,

    /// A librdkafka property for the cluster to read; may be repeated. Give secrets as
    /// 'sasl.password={env: NAME}' or '{file: /path}': others can see a command line.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(super) from_property: Vec<String>,

    /// A librdkafka property for the cluster to write; may be repeated.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(super) to_property: Vec<String>,

    /// The link's name, by which the target knows its state [default: into-CONTEXT;
    /// without a context into-none, and the subjects unless they are *].
    #[arg(long)]
    pub(super) name: Option<String>,

    /// The context of the target that the subjects go into: a name, none (they keep theirs), or
    /// auto (the id of the source's Kafka cluster) [default: auto].
    #[arg(long, value_name = ".NAME|none|auto")]
    pub(super) context: Option<String>,

    /// Which subjects, with commas: names, *, prefixes 'orders*', regexes '/v[0-9]+/', each behind
    /// a context ':.staging:*' if need be [default: *].
    #[arg(long, value_name = "PATTERNS")]
    pub(super) subjects: Option<String>,

    /// The mode that keeps clients of the target's registry out of what the link owns [default:
    /// readonly].
    #[arg(long, value_name = "readonly|import|none")]
    pub(super) fence: Option<String>,

    /// What to do about references to subjects that are not chosen: take them too, or hold the
    /// record that refers [default: follow].
    #[arg(long, value_name = "follow|hold")]
    pub(super) references: Option<String>,

    /// Records a second that the target takes from this process; unlimited for a cluster that no
    /// registry reads [default: 20000].
    #[arg(long, value_name = "N|unlimited")]
    pub(super) write_rate_max: Option<String>,

    /// Take over what the scope already holds in the target, though no link wrote it.
    #[arg(long)]
    pub(super) adopt: bool,
}

#[derive(Debug, Args)]
pub(super) struct InspectFlags {
    /// Brokers of the cluster, with commas.
    #[arg(long, value_name = "BROKERS")]
    pub(super) brokers: String,

    /// The schemas topic [default: _schemas].
    #[arg(long)]
    pub(super) topic: Option<String>,

    /// Show this context only; . is the default one.
    #[arg(long)]
    pub(super) context: Option<String>,

    /// Show this subject only, as the registry spells it: orders-value, :.source:orders-value.
    #[arg(long)]
    pub(super) subject: Option<String>,

    /// A librdkafka property; may be repeated. Give secrets as 'sasl.password={env: NAME}' or
    /// '{file: /path}': others can see a command line.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(super) property: Vec<String>,
}
