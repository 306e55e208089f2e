//! Clients that end behind the back of whoever drops them.
//!
//! A client waits for its threads, which look up every 100 ms, or every four seconds where it writes; nothing
//! depends on when it is gone.

/// Drops a client on a thread of its own.
pub(super) fn end_behind(client: impl Send + 'static) {
    let ending = std::thread::Builder::new().name("client-end".to_owned());
    // Where there is no thread for it, it has been dropped here.
    drop(ending.spawn(move || drop(client)));
}
