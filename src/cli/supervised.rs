//! What the process tells whoever started it, where that is systemd (`Type=notify`).

use std::time::Duration;

use sd_notify::NotifyState;

use crate::api::Board;
use crate::service::clock::SystemClock;
use crate::service::ports::Clock;

/// How often it is looked whether the links are ready.
const LOOKED_AT_EVERY: Duration = Duration::from_millis(200);

/// Tells that the links are ready, as `/ready` does, as soon as they are.
pub(super) async fn tell_when_ready(board: Board<SystemClock>, clock: SystemClock) {
    while !board.is_ready() {
        clock.sleep(LOOKED_AT_EVERY).await;
    }
    tell(&[
        NotifyState::Ready,
        NotifyState::Status("every link follows, stands by, or has halted"),
    ]);
}

/// Tells that the process ends, which takes as long as what is on its way.
pub(super) fn tell_of_the_end() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    // Nobody listens where NOTIFY_SOCKET is not set.
    if let Err(reason) = sd_notify::notify(states) {
        tracing::warn!(%reason, "the supervisor could not be told");
    }
}
