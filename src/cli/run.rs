//! `run`: all links, until the process is told to end.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::api;
use crate::api::Board;
use crate::cli::args::LinkSource;
use crate::cli::args::Releases;
use crate::cli::exit;
use crate::cli::links::Unusable;
use crate::cli::links::http_of;
use crate::cli::registries::Registries;
use crate::cli::round::Round;
use crate::cli::signals::Signals;
use crate::cli::signals::Told;
use crate::cli::supervised::tell_of_the_end;
use crate::cli::supervised::tell_when_ready;
use crate::config::Change;
use crate::config::ClusterConfig;
use crate::config::Files;
use crate::config::HttpConfig;
use crate::config::ProcessEnvironment;
use crate::service::catalog::Catalogs;
use crate::service::clock::SystemClock;
use crate::service::ports::Clock;
use crate::service::supervisor::Fleet;
use crate::service::supervisor::Watched;
use crate::service::worker::End;
use crate::service::worker::Goal;

/// How often files with certificates, keys and secrets are looked at: what is replaced has to be
/// taken long before the old one expires, and looking costs a read of some kilobytes.
const FILES_LOOKED_AT_EVERY: Duration = Duration::from_secs(5);

pub(super) async fn run(
    links: &LinkSource,
    releases: Releases,
    http: Option<&str>,
    clock: SystemClock,
) -> Result<u8, Unusable> {
    // Once for all rounds: a signal that comes between two of them is not lost.
    let mut signals = Signals::listen();
    let round = Round::read(links, releases, clock)?;
    let served = http_of(links)?;
    let served = http.map_or(Ok(served), |place| served.at(place))?;
    let (shown, watched) = watch::channel(None);
    let board = Board::new(watched, clock);
    let registries = Registries::new(clock);
    let mut served = serve(served, board.clone(), registries.shown(), clock).await?;
    for (cluster, _) in &round.clusters {
        served.extend(serve_at_root(cluster, registries.shown(), clock).await?);
    }
    let _ready = Task(tokio::spawn(tell_when_ready(board, clock)));
    let seen = Seen { links: shown, registries, served };
    rounds(links, round, &mut signals, seen, clock).await
}

/// What is seen from outside.
struct Seen {
    links: watch::Sender<Option<Vec<Watched>>>,
    registries: Registries,
    served: Vec<Task>,
}

/// Begins to answer.
async fn serve(
    http: HttpConfig,
    board: Board<SystemClock>,
    registries: watch::Receiver<Catalogs>,
    clock: SystemClock,
) -> Result<Vec<Task>, Unusable> {
    let Some(address) = http.listen else { return Ok(Vec::new()) };
    let (listener, address) = listen(address, "--http or http.listen").await?;
    tracing::info!(%address, "listening");
    Ok(vec![Task(tokio::spawn(api::serve(listener, board, registries, clock)))])
}

/// Begins to answer as the registry of a cluster that has an address of its own.
async fn serve_at_root(
    cluster: &ClusterConfig,
    registries: watch::Receiver<Catalogs>,
    clock: SystemClock,
) -> Result<Option<Task>, Unusable> {
    let Some(address) = cluster.listen else { return Ok(None) };
    let key = format!("clusters.{}.http.listen", cluster.name);
    let (listener, address) = listen(address, &key).await?;
    tracing::info!(%address, cluster = cluster.name, "listening for clients of the registry");
    let served = api::serve_registry(listener, cluster.name.clone(), registries, clock);
    Ok(Some(Task(tokio::spawn(served))))
}

/// Listens at an address; `named` is how another one is named.
async fn listen(address: SocketAddr, named: &str) -> Result<(TcpListener, SocketAddr), Unusable> {
    let unusable = |reason| Unusable::Http { address, named: named.to_owned(), reason };
    let listener = TcpListener::bind(address).await.map_err(unusable)?;
    let address = listener.local_addr().map_err(unusable)?;
    Ok((listener, address))
}

/// A task that ends when this is dropped.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn rounds(
    links: &LinkSource,
    mut round: Round,
    signals: &mut Signals,
    mut seen: Seen,
    clock: SystemClock,
) -> Result<u8, Unusable> {
    let mut before = Vec::new();
    loop {
        let Round { links: assigned, clusters, changed, mut files } = round;
        seen.registries.serve(clusters, &changed);
        // Registries are served without any link, too.
        let serves_alone = assigned.is_empty() && !seen.served.is_empty();
        tracing::info!(version = env!("CARGO_PKG_VERSION"), links = assigned.len(), "started");
        let mut fleet = Fleet::start_after(&before, assigned, &clock, Goal::Follow);
        seen.links.send_replace(Some(fleet.watched().to_vec()));
        let mut ends = BTreeMap::new();
        let next = tokio::select! {
            () = fleet.join(&mut ends), if !serves_alone => Next::End,
            next = told(links, signals, &mut files, clock) => next,
        };
        fleet.shut_down();
        let next = tokio::select! {
            () = fleet.join(&mut ends) => next,
            () = signals.told_to_end() => Next::End,
        };
        fleet.join(&mut ends).await;
        before = fleet.watched().to_vec();
        match next {
            Next::Round(next) => round = next,
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
    Round(Round),
    /// Nothing.
    End,
}

/// Waits for what ends this round. SIGHUP reads the configuration again (rulings 29), and so does a
/// file that it names and that has changed; what is wrong changes nothing. What was released for the
/// start is not released again.
async fn told(
    links: &LinkSource,
    signals: &mut Signals,
    files: &mut Files,
    clock: SystemClock,
) -> Next {
    loop {
        let told = tokio::select! {
            told = signals.told() => Some(told),
            () = clock.sleep(FILES_LOOKED_AT_EVERY) => None,
        };
        match told {
            Some(Told::End) => {
                tracing::info!("told to end; waiting for what is on its way");
                tell_of_the_end();
                return Next::End;
            }
            Some(Told::ReadAgain) => match Round::read(links, Releases::default(), clock) {
                Ok(round) => {
                    tracing::info!("configuration read again; links start anew with it");
                    return Next::Round(round);
                }
                Err(wrong) => {
                    tracing::error!(reason = %wrong, "configuration is wrong; links go on with the old one");
                }
            },
            None => {
                let changes = files.look(&ProcessEnvironment);
                if let Some(round) = renewed(links, &changes, clock) {
                    return Next::Round(round);
                }
            }
        }
    }
}

/// What comes after files have changed: nothing where they are of no use as they are now. A
/// certificate whose key is still to come is of none.
fn renewed(links: &LinkSource, changes: &[Change], clock: SystemClock) -> Option<Round> {
    if changes.is_empty() {
        return None;
    }
    let named: Vec<String> =
        changes.iter().map(|change| change.file.display().to_string()).collect();
    let files = named.join(", ");
    let unreadable = changes.iter().find_map(|change| {
        let reason = change.unreadable.as_ref()?;
        Some(format!("{} can't be read: {reason}", change.file.display()))
    });
    let renewed = match unreadable {
        Some(reason) => Err(reason),
        None => Round::renewed(links, changes, clock).map_err(|wrong| wrong.to_string()),
    };
    match renewed {
        Ok(round) => {
            tracing::info!(files, "files changed; links start anew with them");
            Some(round)
        }
        Err(reason) => {
            tracing::error!(
                files,
                reason,
                "a file that changed is of no use; links go on with what they have"
            );
            None
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
