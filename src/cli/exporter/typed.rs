//! The words of `schema-exporter`, as runbooks have them.

use std::path::PathBuf;

use clap::ArgGroup;
use clap::Args;
use clap::Parser;

const HELP: &str = "\
Where it asks:
  the schema-mirror at --schema.registry.url, http://HOST:8080/CLUSTER for one of its clusters;
  where SCHEMA_MIRROR_URL is set, the schema-mirror there, and --schema.registry.url is the address
  of the source's registry, one of the registry_urls in the mirror's file. A mirror that wants a
  login gets the token in SCHEMA_MIRROR_TOKEN, or --basic.auth.user.info.

Examples:
  schema-exporter --create --name to-dr --config-file dr.cfg --context-type CUSTOM \\
      --context-name source --schema.registry.url http://127.0.0.1:8080/source
  schema-exporter --get-status --name to-dr --schema.registry.url http://127.0.0.1:8080/source

The file of --config-file has lines like schema.registry.url=http://registry2:8082, the address of
the target's registry. Credentials in it are not kept: access to Kafka comes from the mirror's file.

Exit codes: 0 done, 1 refused or out of reach, 64 the command line is wrong.";

/// Makes, changes and shows links as Schema Linking's own tool does.
#[derive(Debug, Parser)]
#[command(name = "schema-exporter", version)]
pub(super) struct CommandLine {
    #[command(flatten)]
    pub(super) words: Words,
}

/// One verb, and what it needs.
#[expect(clippy::struct_excessive_bools, reason = "in runbooks each verb is a flag of its own")]
#[derive(Debug, Clone, Args)]
#[command(after_long_help = HELP)]
#[command(group = ArgGroup::new("verb").required(true).args([
    "create", "list", "describe", "get_status", "get_config", "update", "pause", "resume", "reset",
    "delete",
]))]
pub struct Words {
    /// Make an exporter
    #[arg(long, requires_all = ["name", "config_file"])]
    pub(super) create: bool,
    /// Name all exporters
    #[arg(long)]
    pub(super) list: bool,
    /// Show what one is told to do
    #[arg(long, requires = "name")]
    pub(super) describe: bool,
    /// Show what one is doing
    #[arg(long, requires = "name")]
    pub(super) get_status: bool,
    /// Show its configuration, without credentials
    #[arg(long, requires = "name")]
    pub(super) get_config: bool,
    /// Change what is given; the rest stays
    #[arg(long, requires = "name")]
    pub(super) update: bool,
    /// Have one stand still
    #[arg(long, requires = "name")]
    pub(super) pause: bool,
    /// Have one go on that is paused, or stands still for a reason
    #[arg(long, requires = "name")]
    pub(super) resume: bool,
    /// Have a paused one begin from nothing
    #[arg(long, requires = "name")]
    pub(super) reset: bool,
    /// Take a paused one away; what it copied stays, but with --purge
    #[arg(long, requires = "name")]
    pub(super) delete: bool,
    /// With --delete: what it copied goes, too, and its fence
    // A verb beside it would lift the requirement: verbs exclude each other.
    #[arg(long, requires = "delete", conflicts_with_all = [
        "create", "list", "describe", "get_status", "get_config", "update", "pause", "resume", "reset",
    ])]
    pub(super) purge: bool,

    /// The exporter's name
    #[arg(long)]
    pub(super) name: Option<String>,
    /// Its configuration: properties, schema.registry.url of the target among them
    #[arg(long, value_name = "FILE")]
    pub(super) config_file: Option<PathBuf>,
    /// Which subjects, with commas: names, prefixes like orders*, * or :.context:* [default: *]
    #[arg(long, value_delimiter = ',')]
    pub(super) subjects: Option<Vec<String>>,
    /// What subjects are called in the target, such as 'dr-${subject}'; rules with regexes are
    /// mirror.subject_renames of the configuration
    #[arg(long, value_name = "FORMAT")]
    pub(super) subject_format: Option<String>,
    /// What keys of encryption are called: kept and shown; none are copied
    #[arg(long, value_name = "FORMAT")]
    pub(super) kek_format: Option<String>,
    /// Where subjects go: AUTO, CUSTOM, NONE or DEFAULT [default: AUTO]
    #[arg(long, value_name = "TYPE")]
    pub(super) context_type: Option<String>,
    /// The context of CUSTOM, without its dot
    #[arg(long, value_name = "CONTEXT")]
    pub(super) context_name: Option<String>,
    /// The mirror's login, NAME:SECRET; SCHEMA_MIRROR_TOKEN keeps it from lists of processes
    #[arg(long = "basic.auth.user.info", value_name = "LOGIN")]
    pub(super) user_info: Option<String>,
    /// Where that login stands: taken for the sake of runbooks, it is always the flag
    #[arg(long = "basic.auth.credentials.source", value_name = "SOURCE", hide = true)]
    pub(super) credentials_source: Option<String>,
    /// PEM file with the authority that has signed the certificate of a mirror at https://
    /// [default: SCHEMA_MIRROR_CA, else those that the system trusts]
    #[arg(long, value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
    /// Where it asks
    #[arg(long = "schema.registry.url", value_name = "URL")]
    pub(super) schema_registry_url: Option<String>,
}
