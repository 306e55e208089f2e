//! `run`: all links, until the process is told to end.

use std::collections::BTreeMap;

use crate::cli::args::LinkSource;
use crate::cli::args::Releases;
use crate::cli::exit;
use crate::cli::links::Link;
use crate::cli::links::Unusable;
use crate::cli::links::assignments;
use crate::cli::signals::Signals;
use crate::cli::signals::Told;
use crate::service::clock::SystemClock;
use crate::service::supervisor::Fleet;
use crate::service::worker::End;
use crate::service::worker::Goal;

pub(super) async fn run(
    links: &LinkSource,
    releases: Releases,
    clock: SystemClock,
) -> Result<u8, Unusable> {
    // Once for all rounds: a signal that comes between two of them is not lost.
    let mut signals = Signals::listen();
    let mut assigned = assignments(links, releases, clock)?;
    loop {
        tracing::info!(version = env!("CARGO_PKG_VERSION"), links = assigned.len(), "started");
        let mut fleet = Fleet::start(assigned, &clock, Goal::Follow);
        let mut ends = BTreeMap::new();
        let next = tokio::select! {
            () = fleet.join(&mut ends) => Next::End,
            next = told(links, &mut signals, clock) => next,
        };
        fleet.shut_down();
        let next = tokio::select! {
            () = fleet.join(&mut ends) => next,
            () = signals.told_to_end() => Next::End,
        };
        fleet.join(&mut ends).await;
        match next {
            Next::Round(links) => assigned = links,
            Next::End => {
                tracing::info!("ended");
                return Ok(code_of(ends.values()));
            }
        }
    }
}

/// What comes after the links have ended.
enum Next {
    /// These links.
    Round(Vec<Link>),
    /// Nothing.
    End,
}

/// Waits for a signal that ends this round. SIGHUP reads the configuration again (rulings 29); one
/// that is wrong changes nothing. What was released for the start is not released again.
async fn told(links: &LinkSource, signals: &mut Signals, clock: SystemClock) -> Next {
    loop {
        match signals.told().await {
            Told::End => {
                tracing::info!("told to end; waiting for what is on its way");
                return Next::End;
            }
            Told::ReadAgain => match assignments(links, Releases::default(), clock) {
                Ok(assigned) => {
                    tracing::info!("configuration read again; links start anew with it");
                    return Next::Round(assigned);
                }
                Err(wrong) => {
                    tracing::error!(reason = %wrong, "configuration is wrong; links go on with the old one");
                }
            },
        }
    }
}

/// The gravest end decides.
pub(super) fn code_of<'a>(ends: impl Iterator<Item = &'a End>) -> u8 {
    let rank = |code: u8| match code {
        exit::FAULT => 3,
        exit::UNKNOWN => 2,
        exit::DIFFERENT => 1,
        _ => 0,
    };
    ends.map(|end| match end {
        End::Done => exit::DONE,
        End::Halted(_) => exit::DIFFERENT,
        End::GaveUp(_) => exit::UNKNOWN,
        End::Panicked(_) => exit::FAULT,
    })
    .max_by_key(|code| rank(*code))
    .unwrap_or(exit::DONE)
}
