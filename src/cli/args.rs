//! The command line as it is meant: what was typed, checked as far as no file has to be read.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use clap::Parser;
use clap::error::ErrorKind;

use crate::cli::exit;
use crate::cli::exporter::Words;
use crate::cli::link::LinkWords;
use crate::cli::typed::ConfigFile;
use crate::cli::typed::InspectFlags;
use crate::cli::typed::LinkFlags;
use crate::cli::typed::Typed;
use crate::cli::typed::TypedCommand;
use crate::cli::typed::TypedConfigCommand;
use crate::cli::typed::TypedReleases;
use crate::config::OneCluster;
use crate::config::OneLink;
use crate::config::hide_secrets;
use crate::core::subject::ContextName;
use crate::core::subject::Subject;

pub use crate::cli::typed::LogFormat;
pub use crate::cli::typed::Output;

/// What the process is to do, and how it is to speak.
#[derive(Debug, Clone)]
pub struct Args {
    /// How answers are given.
    pub output: Output,
    /// How the log is written.
    pub log_format: LogFormat,
    /// What to do.
    pub command: Command,
}

/// What to do.
#[derive(Debug, Clone)]
pub enum Command {
    /// Keep all links going.
    Run {
        /// Which links.
        links: LinkSource,
        /// What is released for this start.
        releases: Releases,
        /// Where it listens, if that is not left to the file.
        http: Option<String>,
    },
    /// Copy once.
    Backfill {
        /// Which links.
        links: LinkSource,
        /// What is released for this start.
        releases: Releases,
    },
    /// Say what would change.
    Plan {
        /// Which links.
        links: LinkSource,
        /// What would be released.
        releases: Releases,
    },
    /// Compare source and target.
    Verify {
        /// Which links.
        links: LinkSource,
    },
    /// Look at what links need before they start.
    Preflight {
        /// Which links.
        links: LinkSource,
    },
    /// Say what a schemas topic holds.
    Inspect(Inspection),
    /// Ask what links of a running process are doing.
    Link(LinkWords),
    /// Make, change and show links of a running process, in Schema Linking's words.
    Exporter(Box<Words>),
    /// Show it all without Kafka.
    Demo,
    /// Check a file.
    ConfigCheck {
        /// The file.
        file: PathBuf,
    },
}

/// Where links are defined.
#[derive(Debug, Clone)]
pub enum LinkSource {
    /// In a file.
    File {
        /// The file.
        file: PathBuf,
        /// Links of the file; all of them if empty.
        names: Vec<String>,
    },
    /// In flags.
    Flags(Box<OneLink>),
}

/// What an operator allows for one start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Releases {
    /// The brake on deletions is released, once.
    pub allow_deletes: bool,
    /// A fence that someone lifted is set again.
    pub fence_again: bool,
}

/// What `inspect` looks at.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// The cluster.
    pub cluster: OneCluster,
    /// This context only.
    pub context: Option<ContextName>,
    /// This subject only.
    pub subject: Option<Subject>,
}

/// Why there is nothing to do: the command line is wrong, or it asked for help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageError {
    /// What to print, on stdout where the code is 0.
    pub text: String,
    /// The exit code.
    pub code: u8,
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for UsageError {}

impl UsageError {
    /// What clap says of these words: help, or what is wrong with them.
    pub(super) fn of<'a>(error: &clap::Error, words: impl IntoIterator<Item = &'a str>) -> Self {
        let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
        let code = if asked { exit::DONE } else { exit::USAGE };
        Self { text: hide_secrets(&error.render().to_string(), words), code }
    }
}

/// Reads a command line, the program's name first.
///
/// # Errors
/// Help and version, with code 0; everything else with [`exit::USAGE`]. No text shows a secret.
pub fn parse_args<I>(words: I) -> Result<Args, UsageError>
where
    I: IntoIterator,
    I::Item: Into<OsString>,
{
    let words: Vec<OsString> = words.into_iter().map(Into::into).collect();
    let spelled: Vec<String> =
        words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let hide = |text: &str| hide_secrets(text, spelled.iter().map(String::as_str));
    let typed = Typed::try_parse_from(words)
        .map_err(|error| UsageError::of(&error, spelled.iter().map(String::as_str)))?;
    meaning(typed).map_err(|reason| UsageError {
        text: hide(&format!("error: {reason}\n\nFor more information, try '--help'.\n")),
        code: exit::USAGE,
    })
}

fn meaning(typed: Typed) -> Result<Args, String> {
    let Typed { config, output, log_format, command } = typed;
    let command = match command {
        TypedCommand::Run { file, http, releases, link } => {
            let links = link_source(one_file(config, file)?, Vec::new(), link)?;
            Command::Run { links, releases: releases.into(), http }
        }
        TypedCommand::Backfill { file, names, releases, link } => {
            let links = link_source(one_file(config, file)?, names.links, link)?;
            Command::Backfill { links, releases: releases.into() }
        }
        TypedCommand::Plan { file, names, releases, link } => {
            let links = link_source(one_file(config, file)?, names.links, link)?;
            Command::Plan { links, releases: releases.into() }
        }
        TypedCommand::Verify { file, names, link } => {
            Command::Verify { links: link_source(one_file(config, file)?, names.links, link)? }
        }
        TypedCommand::Preflight { file, names, link } => {
            Command::Preflight { links: link_source(one_file(config, file)?, names.links, link)? }
        }
        TypedCommand::Inspect(flags) => {
            refuse_file(config, "inspect reads no file: it takes --brokers, without --config")?;
            Command::Inspect(inspection(flags)?)
        }
        TypedCommand::Link(words) => {
            refuse_file(config, "link reads no file: leave --config out")?;
            Command::Link(words)
        }
        TypedCommand::Exporter(words) => {
            refuse_file(config, "exporter reads no file: leave --config out")?;
            Command::Exporter(words)
        }
        TypedCommand::Demo => {
            refuse_file(config, "demo reads no file: leave --config out")?;
            Command::Demo
        }
        TypedCommand::Config { command: TypedConfigCommand::Check { file } } => {
            let file = one_file(config, file)?;
            Command::ConfigCheck { file: file.ok_or("no file is given to check: --config FILE")? }
        }
    };
    Ok(Args { output, log_format, command })
}

/// The file that is given before the command or behind it.
fn one_file(before: Option<PathBuf>, behind: ConfigFile) -> Result<Option<PathBuf>, String> {
    match (before, behind.config) {
        (Some(_), Some(_)) => Err("--config is given twice; name one file".to_owned()),
        (before, behind) => Ok(before.or(behind)),
    }
}

fn refuse_file(given: Option<PathBuf>, wrong: &str) -> Result<(), String> {
    given.map_or(Ok(()), |_| Err(wrong.to_owned()))
}

const NEITHER: &str = "no link is given: --config FILE, or --from BROKERS --to BROKERS";
const HALF: &str = "a link without a file needs both --from and --to";

// Not left to clap: of arguments before and behind the command it sees no conflict.
fn link_source(
    config: Option<PathBuf>,
    names: Vec<String>,
    flags: LinkFlags,
) -> Result<LinkSource, String> {
    let given = given(&flags).join(", ");
    match (config, flags.from, flags.to) {
        (Some(file), None, None) if given.is_empty() => Ok(LinkSource::File { file, names }),
        (Some(_), _, _) => Err(format!(
            "links are defined in a file or in flags, not in both: --config and {given}"
        )),
        (None, Some(_), Some(_)) if !names.is_empty() => {
            Err(format!("the one link in flags is not chosen by name: {}", names.join(", ")))
        }
        (None, Some(from), Some(to)) => Ok(LinkSource::Flags(Box::new(OneLink {
            from: OneCluster {
                brokers: from,
                topic: flags.from_topic,
                dialect: flags.from_dialect,
                properties: flags.from_property,
            },
            to: OneCluster {
                brokers: to,
                topic: flags.to_topic,
                dialect: flags.to_dialect,
                properties: flags.to_property,
            },
            name: flags.name,
            context: flags.context,
            subjects: flags.subjects,
            fence: flags.fence,
            references: flags.references,
            write_rate_max: flags.write_rate_max,
            adopt: flags.adopt,
        }))),
        (None, None, None) if given.is_empty() => Err(NEITHER.to_owned()),
        (None, _, _) => Err(format!("{HALF}; given: {given}")),
    }
}

/// The flags that define a link, as far as they were given.
fn given(flags: &LinkFlags) -> Vec<&'static str> {
    let all = [
        ("--from", flags.from.is_some()),
        ("--to", flags.to.is_some()),
        ("--from-topic", flags.from_topic.is_some()),
        ("--to-topic", flags.to_topic.is_some()),
        ("--from-dialect", flags.from_dialect.is_some()),
        ("--to-dialect", flags.to_dialect.is_some()),
        ("--from-property", !flags.from_property.is_empty()),
        ("--to-property", !flags.to_property.is_empty()),
        ("--name", flags.name.is_some()),
        ("--context", flags.context.is_some()),
        ("--subjects", flags.subjects.is_some()),
        ("--fence", flags.fence.is_some()),
        ("--references", flags.references.is_some()),
        ("--write-rate-max", flags.write_rate_max.is_some()),
        ("--adopt", flags.adopt),
    ];
    all.into_iter().filter(|(_, is_given)| *is_given).map(|(flag, _)| flag).collect()
}

fn inspection(flags: InspectFlags) -> Result<Inspection, String> {
    let context = flags.context.as_deref().map(ContextName::new).transpose();
    Ok(Inspection {
        cluster: OneCluster {
            brokers: flags.brokers,
            topic: flags.topic,
            dialect: None,
            properties: flags.property,
        },
        context: context.map_err(|fault| format!("--context: {fault}"))?,
        subject: flags.subject.as_deref().map(Subject::parse),
    })
}

impl From<TypedReleases> for Releases {
    fn from(typed: TypedReleases) -> Self {
        Self { allow_deletes: typed.allow_deletes, fence_again: typed.fence_again }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, UsageError> {
        parse_args(std::iter::once("schema-mirror").chain(line.split_whitespace()))
    }

    /// The command line is refused with 64 and a text that holds all of these.
    #[track_caller]
    fn check(line: &str, holds: &[&str]) {
        let error = parse(line).unwrap_err();
        assert_eq!(error.code, exit::USAGE, "{line}: {error}");
        for text in holds {
            assert!(error.text.contains(text), "{line} says {text:?} in {error}");
        }
        assert!(!error.text.contains("hunter2"), "{line} shows a secret in {error}");
    }

    #[test]
    fn clap_finds_no_fault_in_the_definitions() {
        use clap::CommandFactory;
        Typed::command().debug_assert();
    }

    #[test]
    fn links_come_from_a_file_or_from_flags() {
        for line in ["--config x.yaml backfill a b", "backfill a b --config x.yaml"] {
            let Command::Backfill { links: LinkSource::File { file, names }, releases } =
                parse(line).unwrap().command
            else {
                panic!("{line} names links of a file");
            };
            assert_eq!((file, names), (PathBuf::from("x.yaml"), vec!["a".into(), "b".into()]));
            assert_eq!(releases, Releases::default());
        }
        let line = "run --from a:1 --to b:1 --context none --to-property x=1 --to-property y=2 \
                    --fence-again --adopt";
        let Command::Run { links: LinkSource::Flags(link), releases, http } =
            parse(line).unwrap().command
        else {
            panic!("{line} defines a link");
        };
        assert_eq!((link.from.brokers.as_str(), link.to.brokers.as_str()), ("a:1", "b:1"));
        assert_eq!((link.context.as_deref(), link.adopt), (Some("none"), true));
        assert_eq!(link.to.properties, ["x=1", "y=2"]);
        assert_eq!(releases, Releases { allow_deletes: false, fence_again: true });
        assert_eq!(http, None, "left to the file");
    }

    #[test]
    fn a_file_and_flags_exclude_each_other() {
        let both = "not in both: --config and --from, --to";
        check("run --config x --from a --to b", &[both]);
        check("--config x run --from a --to b", &[both]);
        check("verify --subjects x --config y --adopt", &["--config and --subjects, --adopt"]);
        check("run --from a", &[HALF]);
        check("run --to b --context x", &[HALF, "--to, --context"]);
        check("run --fence none", &[HALF]);
        check("backfill link --from a --to b", &["not chosen by name: link"]);
        check("--config x inspect --brokers a", &["inspect reads no file"]);
        check("--config x demo", &["demo reads no file"]);
        check("--config x run --config y", &["--config is given twice"]);
    }

    #[test]
    fn what_is_missing_is_named() {
        check("run", &[NEITHER]);
        check("config check", &["--config FILE"]);
        check("inspect", &["--brokers"]);
        check("", &["Usage:"]);
        check("inspect --brokers a --context a:b", &["--context: \"a:b\" is not a context"]);
    }

    #[test]
    fn usage_errors_show_no_secret() {
        check("run --to-property sasl.password=hunter2", &["--to-property"]);
        check("run --from a --to b sasl.password=hunter2", &["sasl.password=(hidden)"]);
        check("plan --from a --to b sasl.password=hunter2", &["sasl.password=(hidden)"]);
        check("run --to-propery=sasl.password=hunter2", &["--to-propery"]);
        check("run --output sasl.password=hunter2", &["sasl.password=(hidden)"]);
        check("sasl.password=hunter2", &["sasl.password=(hidden)"]);
        check("inspect --property ssl.key.pem=hunter2", &["--brokers"]);
    }

    #[test]
    fn arguments_show_no_secret() {
        let line = "run --from a --to b --to-property sasl.password=hunter2";
        assert!(!format!("{:?}", parse(line).unwrap()).contains("hunter2"));
    }

    #[test]
    fn help_and_version_are_no_errors_and_the_main_help_names_every_exit_code() {
        for line in ["--help", "-h", "--version", "help run", "run --help", "config check --help"] {
            assert_eq!(parse(line).unwrap_err().code, exit::DONE, "{line}");
        }
        let help = parse("--help").unwrap_err().text;
        for code in [exit::DONE, exit::DIFFERENT, exit::UNKNOWN, exit::USAGE, exit::FAULT] {
            assert!(help.contains(&format!("\n  {code:>2}  ")), "{code} stands in {help}");
        }
    }

    #[test]
    fn only_commands_that_read_a_file_offer_one() {
        for (command, offers) in [
            ("run", true),
            ("backfill", true),
            ("plan", true),
            ("verify", true),
            ("preflight", true),
            ("config check", true),
            ("inspect", false),
            ("demo", false),
        ] {
            let help = parse(&format!("{command} --help")).unwrap_err().text;
            assert_eq!(help.contains("--config <FILE>"), offers, "{command}: {help}");
        }
    }

    #[test]
    fn a_comparison_says_when_it_could_not_tell() {
        for command in ["plan", "verify"] {
            let help = parse(&format!("{command} --help")).unwrap_err().text;
            let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(words.contains("with 2 where it could not tell"), "{command}: {help}");
        }
    }

    #[test]
    fn every_command_says_what_it_touches_with_an_example() {
        for command in
            ["run", "backfill", "plan", "verify", "preflight", "inspect", "demo", "config check"]
        {
            let help = parse(&format!("{command} --help")).unwrap_err().text;
            assert!(help.contains("Example"), "{command}: {help}");
            assert!(help.contains(&format!("  schema-mirror {command}")), "{command}: {help}");
            assert!(help.contains("luster"), "{command} says what it does to clusters: {help}");
        }
    }
}
