//! The command line: words in, calls and an exit code out.

pub mod args;
mod backfill;
mod client;
mod compared;
mod core_dump;
mod demo;
pub mod exit;
pub mod exporter;
pub mod inspect;
pub mod link;
mod links;
mod logging;
mod open_files;
mod output;
mod patience;
mod preflight;
mod presented;
mod purged;
mod registries;
pub mod render;
mod round;
mod run;
mod secure;
mod serving;
mod signals;
mod supervised;
mod team;
mod typed;

use std::ffi::OsString;

use tokio::runtime::Builder;

use crate::cli::args::Args;
use crate::cli::args::Command;
use crate::cli::args::LinkSource;
use crate::cli::args::LogFormat;
use crate::cli::args::Output;
use crate::cli::args::UsageError;
use crate::cli::args::parse_args;
use crate::cli::links::Unusable;
use crate::kafka::wait_left;
use crate::service::clock::SystemClock;

/// Threads that run links. What blocks runs elsewhere; two are enough for hundreds of links.
const WORKER_THREADS: usize = 2;

/// Does what the words ask for and gives the exit code.
pub fn main<I>(words: I) -> u8
where
    I: IntoIterator,
    I::Item: Into<OsString>,
{
    core_dump::forbid();
    open_files::allow_all();
    let words: Vec<OsString> = words.into_iter().map(Into::into).collect();
    let read = if exporter::is_called(&words) { parse_exporter(&words) } else { parse_args(words) };
    let args = match read {
        Ok(args) => args,
        Err(usage) if usage.code == exit::DONE => {
            output::answer(&usage.text);
            return usage.code;
        }
        Err(usage) => {
            output::complain(&usage.text);
            return usage.code;
        }
    };
    let log = match args.command {
        // What its links warn of is a part of the story; it must not run into it.
        Command::Demo => logging::keep_warnings(),
        // Its answers are all there is to say.
        Command::Exporter(_) | Command::Link(_) => logging::Kept::default(),
        Command::Run { .. }
        | Command::Backfill { .. }
        | Command::Plan { .. }
        | Command::Verify { .. }
        | Command::Preflight { .. }
        | Command::Inspect(_)
        | Command::ConfigCheck { .. } => {
            logging::start(args.log_format);
            logging::Kept::default()
        }
    };
    let runtime = Builder::new_multi_thread().worker_threads(WORKER_THREADS).enable_all().build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(execute(args, log));
            // What its tasks hold is dropped first, leases among it.
            drop(runtime);
            wait_left();
            code
        }
        Err(fault) => {
            output::complain(&format!("error: no runtime: {fault}\n"));
            exit::FAULT
        }
    }
}

/// What `schema-exporter` is told, as the other name of the binary takes it.
fn parse_exporter(words: &[OsString]) -> Result<Args, UsageError> {
    let command = Command::Exporter(Box::new(exporter::parse(words)?));
    Ok(Args { output: Output::Table, log_format: LogFormat::Text, command })
}

async fn execute(args: Args, log: logging::Kept) -> u8 {
    let clock = SystemClock::start();
    // `run` gives no answer: whoever starts it reads the log.
    let wanted = match args.command {
        Command::Run { .. } => Output::Table,
        Command::Backfill { .. }
        | Command::Plan { .. }
        | Command::Verify { .. }
        | Command::Preflight { .. }
        | Command::Inspect(_)
        | Command::Demo
        | Command::Exporter(_)
        | Command::Link(_)
        | Command::ConfigCheck { .. } => args.output,
    };
    let done = match args.command {
        Command::ConfigCheck { file } => check(&file, args.output),
        Command::Run { links, releases, http } => {
            run::run(&links, releases, http.as_deref(), clock).await
        }
        Command::Backfill { links, releases } => {
            backfill::backfill(&links, releases, args.output, clock).await
        }
        Command::Plan { links, releases } => {
            compared::plan(&links, releases, args.output, clock).await
        }
        Command::Verify { links } => compared::verify(&links, args.output, clock).await,
        Command::Preflight { links } => preflight::preflight(&links, args.output, clock).await,
        Command::Inspect(what) => inspect::run(&what, args.output, clock).await,
        Command::Link(words) => Ok(link::run(&words, args.output, clock).await),
        Command::Exporter(words) => Ok(exporter::run(&words).await),
        Command::Demo => Ok(Box::pin(demo::demo(args.output, log, clock)).await),
    };
    done.unwrap_or_else(|wrong| {
        match wanted {
            Output::Table => output::complain(&format!("{wrong}\n")),
            Output::Json => output::answer_json(&wrong.document()),
        }
        exit::USAGE
    })
}

fn check(file: &std::path::Path, wanted: Output) -> Result<u8, Unusable> {
    let config = links::load(file)?;
    links::check(&config, &[], &LinkSource::File { file: file.to_owned(), names: Vec::new() })?;
    let (clusters, links) = (config.clusters.len(), config.links.len());
    match wanted {
        Output::Table => output::answer(&format!(
            "{}: sound; {}, {}\n",
            file.display(),
            output::counted(clusters, "cluster"),
            output::counted(links, "link")
        )),
        Output::Json => output::answer_json(&serde_json::json!({
            "file": file.display().to_string(),
            "sound": true,
            "clusters": clusters,
            "links": links,
        })),
    }
    Ok(exit::DONE)
}
