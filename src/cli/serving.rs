//! Listening, as the configuration says: for the process, and for clusters with an address of their own.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::api;
use crate::api::Login;
use crate::api::Served;
use crate::cli::links::Unusable;
use crate::config::ClusterConfig;
use crate::config::HttpConfig;
use crate::config::LoginConfig;
use crate::config::Role;
use crate::kafka::KafkaCluster;
use crate::service::clock::SystemClock;

/// A task that ends when this is dropped.
#[derive(Debug)]
pub(super) struct Task(JoinHandle<()>);

impl Task {
    pub(super) fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Who is answered, everywhere.
pub(super) fn logins(http: &HttpConfig) -> Vec<Login> {
    let login = |config: &LoginConfig| {
        let LoginConfig { name, role, secret } = config;
        match role {
            Role::Read => Login::reader(name, secret.reveal()),
            Role::Admin => Login::admin(name, secret.reveal()),
        }
    };
    http.logins.iter().map(login).collect()
}

/// Begins to answer at every address that is configured.
///
/// # Errors
/// One of them can't be listened at.
pub(super) async fn serve(
    http: &HttpConfig,
    clusters: &BTreeMap<String, ClusterConfig>,
    served: Served<KafkaCluster, SystemClock>,
) -> Result<Vec<Task>, Unusable> {
    let mut tasks = Vec::new();
    if let Some(address) = http.listen {
        let (listener, address) = listen(address, "--http or http.listen").await?;
        tracing::info!(%address, tls = served.tls.is_some(), "listening");
        warn_of_logins(address, &served);
        tasks.push(Task::spawn(api::serve(listener, served.clone())));
    }
    for (name, cluster) in clusters {
        let Some(address) = cluster.http.listen else { continue };
        let key = format!("clusters.{name}.http.listen");
        let (listener, address) = listen(address, &key).await?;
        let tls = served.tls.is_some();
        tracing::info!(%address, tls, cluster = name, "listening for clients of the registry");
        warn_of_logins(address, &served);
        tasks.push(Task::spawn(api::serve_cluster(listener, name.clone(), served.clone())));
    }
    Ok(tasks)
}

/// Listens at an address; `named` is how another one is named.
async fn listen(address: SocketAddr, named: &str) -> Result<(TcpListener, SocketAddr), Unusable> {
    let unusable = |reason| Unusable::Http { address, named: named.to_owned(), reason };
    let listener = TcpListener::bind(address).await.map_err(unusable)?;
    let address = listener.local_addr().map_err(unusable)?;
    Ok((listener, address))
}

fn warn_of_logins<C, K>(address: SocketAddr, served: &Served<C, K>) {
    let are_seen = served.tls.is_none() && !served.logins.is_empty();
    if are_seen && !address.ip().is_loopback() {
        tracing::warn!(%address, "logins travel here as they are: let nobody else listen to that network");
    }
}
