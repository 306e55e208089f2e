//! What is seen from outside, over HTTP: whether the process lives, whether its links are ready, what
//! they are doing, and the registry of each cluster, as its topic tells it.
//!
//! Nothing here changes anything, so there is nothing to protect but the facts and schemas themselves;
//! a listener that others can reach wants the word of the configuration (`http.insecure`).

mod board;
mod health;
mod links;
mod metrics;
mod registries;
pub mod registry;
mod server;

pub use self::board::Board;
pub use self::server::serve;
pub use self::server::serve_registry;
