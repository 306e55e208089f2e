//! What is seen from outside, over HTTP: whether the process lives, whether its links are ready, what
//! they are doing, what Schema Linking's clients ask for, and the registry of each cluster, as its topic
//! tells it.
//!
//! A listener that others can reach has logins and TLS, or the word of the configuration
//! (`http.insecure`).

mod acknowledge;
mod answer;
mod board;
mod exporters;
mod fences;
mod guard;
mod health;
mod links;
mod logins;
mod metrics;
mod page;
mod registries;
pub mod registry;
mod server;
mod shown;
mod tls;

pub use self::board::Board;
pub use self::logins::Login;
pub use self::server::Desks;
pub use self::server::Served;
pub use self::server::serve;
pub use self::server::serve_cluster;
pub use self::tls::Identity;
pub use self::tls::Tls;
