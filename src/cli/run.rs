//! `run`: all links, until the process is told to end.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::watch;

use crate::api::Board;
use crate::api::Served;
use crate::cli::args::LinkSource;
use crate::cli::args::Releases;
use crate::cli::exit;
use crate::cli::links::Unusable;
use crate::cli::links::http_of;
use crate::cli::presented;
use crate::cli::presented::Presented;
use crate::cli::registries::Registries;
use crate::cli::round::Round;
use crate::cli::serving::Task;
use crate::cli::serving::logins;
use crate::cli::serving::serve;
use crate::cli::signals::Signals;
use crate::cli::signals::Told;
use crate::cli::supervised::tell_of_the_end;
use crate::cli::supervised::tell_when_ready;
use crate::cli::team::Shown;
use crate::cli::team::Team;
use crate::config::Change;
use crate::config::Files;
use crate::config::ProcessEnvironment;
use crate::service::clock::SystemClock;
use crate::service::ports::Clock;
use crate::service::supervisor::Roster;
use crate::service::worker::End;

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
    let signals = Signals::listen();
    let round = Round::read(links, releases, clock)?;
    let http_given = http_of(links)?;
    let http = match http {
        Some(place) => http_given.at(place)?,
        None => http_given,
    };
    let (roster, watched) = watch::channel(Roster::default());
    let (desk, desks) = watch::channel(None);
    let board = Board::new(watched, clock);
    let mut registries = Registries::new(clock);
    // Whoever is answered first finds them all.
    registries.serve(&round);
    let (presented, tls) = Presented::start(http.tls.as_ref(), clock)?;
    let served = Served {
        board: board.clone(),
        desks,
        catalogs: registries.shown(),
        logins: logins(&http),
        tls,
        clock,
    };
    let listening = serve(&http, &round.clusters, served).await?;
    let _ready = Task::spawn(tell_when_ready(board, clock));
    let shown = Shown { roster, desk, registries, is_served: !listening.is_empty() };
    let mut ears = Ears { links, signals, files: Files::default(), presented, clock };
    rounds(round, &mut ears, shown).await
}

async fn rounds(mut round: Round, ears: &mut Ears<'_>, mut shown: Shown) -> Result<u8, Unusable> {
    let mut before = Vec::new();
    loop {
        shown.registries.serve(&round);
        let (mut team, files) = Team::start(round, &before, &shown, ears.clock);
        ears.files = files;
        let mut ends = BTreeMap::new();
        let next = tokio::select! {
            () = team.join(&mut ends) => Next::End,
            next = ears.told() => next,
        };
        team.shut_down();
        let next = tokio::select! {
            () = team.join(&mut ends) => next,
            () = ears.signals.told_to_end() => Next::End,
        };
        team.join(&mut ends).await;
        before = team.watched().to_vec();
        match next {
            Next::Round(next) => round = *next,
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
    Round(Box<Round>),
    /// Nothing.
    End,
}

/// What a process listens to while its links run.
struct Ears<'a> {
    links: &'a LinkSource,
    signals: Signals,
    files: Files,
    presented: Option<Presented>,
    clock: SystemClock,
}

impl Ears<'_> {
    /// Waits for what ends this round. SIGHUP reads the configuration again (rulings 29), and so does
    /// a file that it names and that has changed; what is wrong changes nothing. What was released for
    /// the start is not released again.
    async fn told(&mut self) -> Next {
        // Changes that were of no use, which may be the fault of another file: it is read as a whole.
        let mut owed = Vec::new();
        loop {
            let told = tokio::select! {
                told = self.signals.told() => Some(told),
                () = self.clock.sleep(FILES_LOOKED_AT_EVERY) => None,
            };
            match told {
                Some(Told::End) => {
                    tracing::info!("told to end; waiting for what is on its way");
                    tell_of_the_end();
                    return Next::End;
                }
                Some(Told::ReadAgain) => {
                    match Round::read(self.links, Releases::default(), self.clock) {
                        Ok(round) => {
                            tracing::info!("configuration read again; links start anew with it");
                            return self.next(round);
                        }
                        Err(wrong) => {
                            tracing::error!(reason = %wrong, "configuration is wrong; links go on with the old one");
                        }
                    }
                }
                None => {
                    if let Some(round) = self.look(&mut owed) {
                        return self.next(round);
                    }
                }
            }
        }
    }

    /// What is presented changes at once, and not only when the links have ended.
    fn next(&mut self, round: Round) -> Next {
        presented::replace(self.presented.as_mut(), round.tls.as_ref());
        Next::Round(Box::new(round))
    }

    /// What comes after files have changed, if that is another round. The certificate for HTTP is
    /// replaced without one.
    fn look(&mut self, owed: &mut Vec<Change>) -> Option<Round> {
        let presented = self.presented.as_mut();
        let others = presented.is_some_and(|presented| presented.look(&ProcessEnvironment));
        let changes = self.files.look(&ProcessEnvironment);
        if changes.is_empty() && !others {
            return None;
        }
        // What was told of a file before counts no more.
        owed.retain(|old| {
            !changes.iter().any(|new| (&old.cluster, &old.file) == (&new.cluster, &new.file))
        });
        owed.extend(changes);
        renewed(self.links, owed, self.clock)
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
