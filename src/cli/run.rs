//! `run`: all links, until the process is told to end.

use std::collections::BTreeMap;

use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use crate::cli::args::LinkSource;
use crate::cli::args::Releases;
use crate::cli::exit;
use crate::cli::links::Link;
use crate::cli::links::Unusable;
use crate::cli::links::assignments;
use crate::service::clock::SystemClock;
use crate::service::supervisor::Fleet;
use crate::service::worker::End;
use crate::service::worker::Goal;

pub(super) async fn run(
    links: &LinkSource,
    releases: Releases,
    clock: SystemClock,
) -> Result<u8, Unusable> {
    let mut assigned = assignments(links, releases, clock)?;
    loop {
        tracing::info!(version = env!("CARGO_PKG_VERSION"), links = assigned.len(), "started");
        let mut fleet = Fleet::start(assigned, &clock, Goal::Follow);
        let mut ends = BTreeMap::new();
        let again = tokio::select! {
            () = fleet.join(&mut ends) => None,
            () = told_to_end() => {
                tracing::info!("told to end; waiting for what is on its way");
                None
            }
            read = read_again(links, clock) => Some(read),
        };
        fleet.shut_down();
        fleet.join(&mut ends).await;
        match again {
            Some(read) => assigned = read,
            None => {
                tracing::info!("ended");
                return Ok(code_of(ends.values()));
            }
        }
    }
}

/// Waits for SIGHUP and reads the configuration again (rulings 29). One that is wrong changes
/// nothing. What was released for the start is not released again.
async fn read_again(links: &LinkSource, clock: SystemClock) -> Vec<Link> {
    let Ok(mut hangup) = signal(SignalKind::hangup()) else {
        return std::future::pending().await;
    };
    loop {
        hangup.recv().await;
        match assignments(links, Releases::default(), clock) {
            Ok(assigned) => {
                tracing::info!("configuration read again; links start anew with it");
                return assigned;
            }
            Err(wrong) => {
                tracing::error!(reason = %wrong, "configuration is wrong; links go on with the old one");
            }
        }
    }
}

/// Waits for SIGTERM or SIGINT.
pub(super) async fn told_to_end() {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        // Without handlers the signals end the process by themselves.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
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
