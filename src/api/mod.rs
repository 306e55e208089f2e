//! What is seen from outside, over HTTP: whether the process lives, whether its links are ready, and
//! what they are doing.
//!
//! Nothing here changes anything, so there is nothing to protect but the facts themselves; a
//! listener that others can reach wants the word of the configuration (`http.insecure`).

mod answer;
mod board;
mod exporters;
mod guard;
mod health;
mod links;
mod metrics;
mod server;

pub use self::board::Board;
pub use self::server::Desks;
pub use self::server::serve;
