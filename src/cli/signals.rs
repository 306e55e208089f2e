//! What the system tells the process.

use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

/// Listeners that live as long as the command: a signal that comes while nobody waits is kept for
/// whoever waits next.
#[derive(Debug)]
pub(super) struct Signals {
    end: Ends,
    hangup: Option<Signal>,
}

/// SIGTERM and SIGINT.
#[derive(Debug)]
struct Ends {
    terminate: Option<Signal>,
    interrupt: Option<Signal>,
}

/// What was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// To end.
    End,
    /// To read the configuration again.
    ReadAgain,
}

impl Signals {
    /// Begins to listen. Without a listener a signal does what it does to any process.
    pub(super) fn listen() -> Self {
        let end = Ends {
            terminate: signal(SignalKind::terminate()).ok(),
            interrupt: signal(SignalKind::interrupt()).ok(),
        };
        Self { end, hangup: signal(SignalKind::hangup()).ok() }
    }

    /// Waits for any of them; an end comes first. Safe to cancel.
    pub(super) async fn told(&mut self) -> Told {
        tokio::select! {
            biased;
            () = self.end.told() => Told::End,
            () = heard(&mut self.hangup) => Told::ReadAgain,
        }
    }

    /// Waits for SIGTERM or SIGINT. Safe to cancel.
    pub(super) async fn told_to_end(&mut self) {
        self.end.told().await;
    }
}

impl Ends {
    async fn told(&mut self) {
        tokio::select! {
            () = heard(&mut self.terminate) => {}
            () = heard(&mut self.interrupt) => {}
        }
    }
}

async fn heard(signal: &mut Option<Signal>) {
    let told = match signal {
        Some(signal) => signal.recv().await,
        None => None,
    };
    if told.is_none() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;
    use std::time::Duration;

    /// Far longer than the system needs to deliver a signal.
    const LIMIT: Duration = Duration::from_secs(10);

    fn send(signal: &str) {
        let ourselves = std::process::id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &ourselves]).status().unwrap().success());
    }

    #[tokio::test]
    async fn a_signal_that_comes_while_nobody_waits_is_not_lost() {
        let mut signals = Signals::listen();
        send("HUP");
        let told = tokio::time::timeout(LIMIT, signals.told());
        assert_eq!(told.await.unwrap(), Told::ReadAgain);
        send("TERM");
        let told = tokio::time::timeout(LIMIT, signals.told_to_end());
        assert!(told.await.is_ok());
    }
}
