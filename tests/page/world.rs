//! A mirror between mock clusters, as its page shows it.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use schema_mirror::{
    core::record::Outgoing,
    kafka::{ClusterSettings, KafkaCluster, MockBroker, MockPair},
    service::{
        clock::SystemClock,
        ports::{Appender, Cluster},
    },
};
use serde_json::Value;
use tempfile::TempDir;

use crate::certificates::Authority;
use crate::wait::wait_for;

const PROGRAM: &str = env!("CARGO_BIN_EXE_schema-mirror");
/// Where the registry of the target would answer.
pub(crate) const TARGET_URL: &str = "http://registry.eu-west:8081";

/// The log says where it listens within this long.
const LISTENS_WITHIN: Duration = Duration::from_secs(20);

/// A schema, as a registry writes it.
pub(crate) struct Version<'a> {
    pub(crate) subject: &'a str,
    pub(crate) version: usize,
    pub(crate) id: usize,
    pub(crate) text: &'a str,
}

/// Two clusters, `us-east` and `eu-west`, and a mirror between them.
pub(crate) struct World {
    pub(crate) mocks: MockPair,
    pub(crate) address: String,
    scheme: &'static str,
    mirror: Child,
    log: PathBuf,
    _folder: TempDir,
}

impl World {
    /// Starts the mirror with these links, the lines of a configuration, once `prepare` has filled the
    /// clusters.
    pub(crate) fn start(links: &str, prepare: impl FnOnce(&MockPair)) -> Self {
        Self::open("http", "", tempfile::tempdir().unwrap(), links, prepare)
    }

    /// The same over TLS, for logins alone: the lines of a list.
    pub(crate) fn start_for(logins: &str, links: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let signed = Authority::new("tests").sign("mirror");
        let [certificate, key] = ["certificate", "key"].map(|name| folder.path().join(name));
        fs::write(&certificate, &signed.certificate).unwrap();
        fs::write(&key, signed.key()).unwrap();
        let (certificate, key) = (certificate.display(), key.display());
        let http = format!(
            "http: {{ logins: {logins}, tls: {{ certificate: {certificate}, key: {key} }} }}\n"
        );
        Self::open("https", &http, folder, links, |_| {})
    }

    fn open(
        scheme: &'static str,
        http: &str,
        folder: TempDir,
        links: &str,
        prepare: impl FnOnce(&MockPair),
    ) -> Self {
        let mocks = MockPair::start().unwrap();
        prepare(&mocks);
        let (config, log) = (folder.path().join("mirror.yaml"), folder.path().join("log"));
        let cluster = |broker: &MockBroker, urls: &str| {
            format!(
                "{{ bootstrap_servers: '{}', create_topics: false, registry_urls: [{urls}] }}",
                broker.bootstrap_servers()
            )
        };
        let text = format!(
            "instance: one\n{http}clusters:\n  us-east: {}\n  eu-west: {}\nlinks: {links}\n",
            cluster(&mocks.source, ""),
            cluster(&mocks.target, &format!("'{TARGET_URL}'")),
        );
        fs::write(&config, text).unwrap();
        let mirror = Command::new(PROGRAM)
            .args(["run", "--http", "127.0.0.1:0", "--log-format", "json", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let address = String::new();
        let mut world = Self { mocks, address, scheme, mirror, log, _folder: folder };
        world.address = world.listens_at();
        world
    }

    pub(crate) fn url(&self, place: &str) -> String {
        format!("{}://{}/{place}", self.scheme, self.address)
    }

    /// The same with a login in it, `NAME:SECRET`.
    pub(crate) fn url_as(&self, login: &str, place: &str) -> String {
        format!("{}://{login}@{}/{place}", self.scheme, self.address)
    }

    fn listens_at(&self) -> String {
        let mut log = String::new();
        let address = wait_for(LISTENS_WITHIN, || {
            log = fs::read_to_string(&self.log).unwrap();
            let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let mut addresses = lines.filter_map(|line| Some(line["address"].as_str()?.to_owned()));
            addresses.next()
        });
        address.unwrap_or_else(|| panic!("it does not listen: {log}"))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}", fs::read_to_string(&self.log).unwrap_or_default());
        }
        let _killed = self.mirror.kill();
        let _ended = self.mirror.wait();
    }
}

/// Writes versions into the schemas topic of a cluster, as its registry would.
pub(crate) fn register<'a>(broker: &MockBroker, versions: impl IntoIterator<Item = Version<'a>>) {
    let cluster = KafkaCluster::new(ClusterSettings {
        name: "registry".to_owned(),
        bootstrap_servers: broker.bootstrap_servers().to_owned(),
        client_id: "registry".to_owned(),
        properties: BTreeMap::new(),
        secrets: Vec::new(),
        clock: SystemClock::start(),
    });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut registry = cluster.unwrap().append_to("_schemas", 0).await.unwrap();
        let mut sent = 0;
        for one in versions {
            let record = record(&one);
            sent = loop {
                match registry.append(&record).unwrap() {
                    Some(number) => break number,
                    None => registry.room().await,
                }
            };
        }
        let mut progress = registry.progress();
        while progress.acked < sent {
            assert!(progress.failed.is_none(), "{progress:?}");
            progress = registry.progressed(&progress).await;
        }
    });
}

fn record(Version { subject, version, id, text }: &Version<'_>) -> Outgoing {
    let key =
        format!(r#"{{"keytype":"SCHEMA","subject":"{subject}","version":{version},"magic":1}}"#);
    let text = Value::from(*text);
    let value = format!(
        r#"{{"subject":"{subject}","version":{version},"id":{id},"schema":{text},"deleted":false}}"#
    );
    Outgoing {
        key: key.into_bytes(),
        value: Some(value.into_bytes()),
        timestamp_ms: Some(1_790_000_000_000),
        headers: Arc::default(),
    }
}
