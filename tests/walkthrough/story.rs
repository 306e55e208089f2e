//! The four parts of Schema Linking's walkthrough, told with the commands of its runbook.
//!
//! Whoever tells it brings two clusters. No registry runs: what a connector would register is written
//! as a registry writes it, and what `curl` and the console consumers ask is answered by the mirror.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, ChildStderr, Command, Stdio},
    thread,
    time::Duration,
};

use apache_avro::{Schema, reader::datum::GenericDatumReader, types::Value as Avro};
use openssl::hash::{MessageDigest, hash};
use serde_json::{Value, json};
use tempfile::TempDir;

mod messages;
use messages::{PAGEVIEWS, STOCK_TRADES, consume, fields, message, produce};

use crate::{output::output_within, wait::wait_for};

const PROGRAM: &str = env!("CARGO_BIN_EXE_schema-mirror");

/// What takes longer has failed: a mock's group forms in 5 s, a broker's in 3 s.
const LIMIT: Duration = Duration::from_secs(60);
/// A command ends by itself before.
const ENDS_WITHIN: Duration = Duration::from_secs(90);

/// Where the two registries of the runbook would be.
const REGISTRIES: [&str; 2] = ["http://schemaregistry:8081", "http://schemaregistry2:8082"];

/// MD5 sums that the walkthrough shows for version 1 of `pageviews-value`: where it was registered,
/// and where it stands in `.source`.
const AT_HOME: &str = "7586b6964c0772cad625264fea2ddc49";
const IN_SOURCE: &str = "ad2d29c1101ce8b2cb4f68afba28e3e9";

/// Messages of each topic.
const MESSAGES: i32 = 50;

/// Names of topics, which the clusters have already.
#[derive(Debug, Clone)]
pub(crate) struct Topics {
    pub(crate) schemas: String,
    pub(crate) state: String,
    /// On the first cluster.
    pub(crate) pageviews: String,
    /// On the second.
    pub(crate) stock_trades: String,
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    First,
    Second,
}
use Side::{First, Second};

impl Side {
    fn place(self) -> usize {
        match self {
            First => 0,
            Second => 1,
        }
    }
}

/// A mirror between two clusters, and the folder in which the runbook is followed.
pub(crate) struct Walk {
    folder: TempDir,
    mirror: Child,
    address: String,
    /// Where each cluster's registry is served.
    registries: [String; 2],
    brokers: [String; 2],
    topics: Topics,
}

impl Drop for Walk {
    fn drop(&mut self) {
        drop(self.mirror.kill());
        drop(self.mirror.wait());
    }
}

impl Walk {
    /// Starts a mirror that has no links, between clusters at these addresses.
    pub(crate) fn begin(brokers: [String; 2], topics: Topics) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(PROGRAM, folder.path().join("schema-exporter")).unwrap();
        for (file, url) in
            [("schemalink-src.cfg", REGISTRIES[1]), ("schemalink-tgt.cfg", REGISTRIES[0])]
        {
            let line = format!("schema.registry.url={url}\n");
            fs::write(folder.path().join(file), line).unwrap();
        }
        let Topics { schemas, state, .. } = &topics;
        let cluster = |place: usize| {
            json!({
                "bootstrap_servers": brokers[place],
                "schemas_topic": schemas,
                "state_topic": state,
                "registry_urls": [REGISTRIES[place]],
                "http": { "listen": "127.0.0.1:0" },
            })
        };
        let config = json!({
            "http": { "listen": "127.0.0.1:0" },
            "clusters": { "source": cluster(0), "target": cluster(1) },
        });
        // JSON is YAML.
        fs::write(folder.path().join("mirror.yaml"), config.to_string()).unwrap();
        let mut mirror = Command::new(PROGRAM)
            .args(["run", "--log-format", "json", "--config", "mirror.yaml"])
            .current_dir(folder.path())
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let [address, first, second] = addresses(mirror.stderr.take().unwrap());
        Self { folder, mirror, address, registries: [first, second], brokers, topics }
    }

    /// A line of the runbook, without what runs it inside of a registry's container.
    #[track_caller]
    fn run(&self, line: &str) -> String {
        let config = self.folder.path().to_str().unwrap();
        let line = line.replace("/tmp/config", config);
        let mut words = line.split_whitespace();
        let mut program = Command::new(self.folder.path().join(words.next().unwrap()));
        program.args(words).env("SCHEMA_MIRROR_URL", format!("http://{}", self.address));
        let output = output_within(ENDS_WITHIN, &mut program);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{line}: {said}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// Waits until a link runs, and everything that its source holds now is in its target.
    #[track_caller]
    fn wait_caught_up(&self, link: &str) {
        let mut program = Command::new(PROGRAM);
        program.args(["link", "--url", &format!("http://{}", self.address)]);
        let output =
            output_within(ENDS_WITHIN, program.args(["wait", link, "--now", "--timeout", "60s"]));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0), "{link}: {said}");
    }

    #[track_caller]
    fn status(&self, link: &str, registry: &str) -> Value {
        let line =
            format!("schema-exporter --get-status --name {link} --schema.registry.url {registry}");
        serde_json::from_str(&self.run(&line)).unwrap()
    }

    #[track_caller]
    fn wait_running(&self, link: &str, registry: &str) {
        wait_until("the link runs", || {
            (self.status(link, registry)["state"] == "RUNNING").then_some(())
        });
    }

    /// What `curl` prints.
    #[track_caller]
    fn get(&self, side: Side, path: &str) -> String {
        let (status, body) = self.ask(side, "GET", path, "");
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    #[track_caller]
    fn json(&self, side: Side, path: &str) -> Value {
        serde_json::from_str(&self.get(side, path)).unwrap()
    }

    /// `curl … | md5sum`.
    #[track_caller]
    fn md5(&self, side: Side, path: &str) -> String {
        let sum = hash(MessageDigest::md5(), self.get(side, path).as_bytes()).unwrap();
        sum.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn ask(&self, side: Side, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.registries[side.place()]).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: registry\r\nConnection: close\r\n\
             Content-Type: application/vnd.schemaregistry.v1+json\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap();
        (status.parse().unwrap(), body.to_owned())
    }

    /// Registers a schema and writes messages with it, as a Datagen connector does.
    fn generate(&self, side: Side) {
        let (subject, schema) = match side {
            First => ("pageviews-value", PAGEVIEWS),
            Second => ("stock_trades-value", STOCK_TRADES),
        };
        self.register(side, subject, 1, schema);
        let messages: Vec<Vec<u8>> = (0..MESSAGES).map(|number| message(side, number)).collect();
        produce(&self.brokers[side.place()], self.data_topic(side), None, &messages);
    }

    /// Writes a first version as the registry of this side does.
    fn register(&self, side: Side, subject: &str, id: u32, schema: &str) {
        let key = format!(r#"{{"keytype":"SCHEMA","subject":"{subject}","version":1,"magic":1}}"#);
        let value = json!({
            "subject": subject, "version": 1, "id": id, "schema": schema, "deleted": false,
        });
        let value = value.to_string().into_bytes();
        produce(&self.brokers[side.place()], &self.topics.schemas, Some(&key), &[value]);
    }

    fn data_topic(&self, side: Side) -> &str {
        match side {
            First => &self.topics.pageviews,
            Second => &self.topics.stock_trades,
        }
    }

    /// `kafka-avro-console-consumer` on one side's topic, with the registry of another: every message
    /// is decoded. Its client asks for the id with the subject of the topic.
    #[track_caller]
    fn consume(&self, of: Side, through: Side) {
        let subject = if of == First { "pageviews-value" } else { "stock_trades-value" };
        let records = consume(&self.brokers[of.place()], self.data_topic(of), MESSAGES);
        for (number, record) in (0..).zip(records) {
            let id = u32::from_be_bytes(record[1..5].try_into().unwrap());
            let path = format!("/schemas/ids/{id}?fetchMaxId=false&subject={subject}");
            let told = self.json(through, &path);
            let schema = Schema::parse_str(told["schema"].as_str().unwrap()).unwrap();
            let reader = GenericDatumReader::builder(&schema).build().unwrap();
            let decoded = reader.read_value(&mut &record[5..]).unwrap();
            assert_eq!(decoded, Avro::from(fields(of, &schema, number)), "through {through:?}");
        }
    }

    #[track_caller]
    fn assert_contexts_and_subjects(&self) {
        assert_eq!(self.get(First, "/contexts"), r#"[".",".target"]"#);
        assert_eq!(self.get(Second, "/contexts"), r#"[".",".source"]"#);
        assert_eq!(
            self.get(First, "/subjects/"),
            r#"[":.target:stock_trades-value","pageviews-value"]"#
        );
        assert_eq!(
            self.get(Second, "/subjects/"),
            r#"[":.source:pageviews-value","stock_trades-value"]"#
        );
    }

    /// Each topic is read with either registry, and the copy is found in its context.
    #[track_caller]
    fn assert_active_active(&self) {
        let version = "/subjects/pageviews-value/versions/1";
        assert_eq!(self.md5(First, version), AT_HOME);
        assert_eq!(self.md5(Second, version), IN_SOURCE);
        assert_eq!(self.json(Second, version)["subject"], ":.source:pageviews-value");
        for of in [First, Second] {
            for through in [First, Second] {
                self.consume(of, through);
            }
        }
    }

    /// 1. Active and passive: everything under its own name.
    pub(crate) fn part_1_active_passive(&self) {
        let line = "schema-exporter --create --name src-to-tgt-link --config-file /tmp/config/schemalink-src.cfg --schema.registry.url http://schemaregistry:8081 --context-type NONE";
        assert_eq!(self.run(line), "Successfully created exporter src-to-tgt-link");
        let line = "schema-exporter --list --schema.registry.url http://schemaregistry:8081";
        assert_eq!(self.run(line), "[src-to-tgt-link]");
        self.wait_running("src-to-tgt-link", REGISTRIES[0]);
        let line = "schema-exporter --get-status --name src-to-tgt-link --schema.registry.url http://schemaregistry:8081";
        assert_eq!(
            self.run(line),
            r#"{"name":"src-to-tgt-link","state":"RUNNING","offset":-1,"ts":0}"#
        );
        self.generate(First);
        self.wait_caught_up("src-to-tgt-link");
        let status = wait_until("the record counts as exported", || {
            let status = self.status("src-to-tgt-link", REGISTRIES[0]);
            (status["offset"] == 0).then_some(status)
        });
        assert!(status["ts"].as_i64() > Some(0), "{status}");
        for side in [First, Second] {
            assert_eq!(self.get(side, "/subjects"), r#"["pageviews-value"]"#);
            assert_eq!(self.md5(side, "/subjects/pageviews-value/versions/1"), AT_HOME);
            self.consume(First, side);
        }
    }

    /// 2. Active and active: chosen subjects, each into a context.
    pub(crate) fn part_2_chosen_subjects(&self) {
        self.generate(First);
        self.generate(Second);
        for line in [
            "schema-exporter --create --name src-to-tgt-link --subjects pageviews-value --context-name source --context-type CUSTOM --config-file /tmp/config/schemalink-src.cfg --schema.registry.url http://schemaregistry:8081",
            "schema-exporter --create --name tgt-to-src-link --subjects stock_trades-value --context-name target --context-type CUSTOM --config-file /tmp/config/schemalink-tgt.cfg --schema.registry.url http://schemaregistry2:8082",
        ] {
            self.run(line);
        }
        self.wait_caught_up("src-to-tgt-link");
        self.wait_caught_up("tgt-to-src-link");
        self.assert_contexts_and_subjects();
        self.assert_active_active();
    }

    /// 3. Active and active: whole contexts. Nothing compounds, and both go on.
    pub(crate) fn part_3_whole_contexts(&self) {
        for line in [
            "schema-exporter --create --name src-to-tgt-link --context-name source --context-type CUSTOM --config-file /tmp/config/schemalink-src.cfg --schema.registry.url http://schemaregistry:8081",
            "schema-exporter --create --name tgt-to-src-link --context-name target --context-type CUSTOM --config-file /tmp/config/schemalink-tgt.cfg --schema.registry.url http://schemaregistry2:8082",
        ] {
            self.run(line);
        }
        for link in ["src-to-tgt-link", "tgt-to-src-link"] {
            self.wait_caught_up(link);
        }
        // A registry takes IMPORT before the first schema only, and so do we.
        for (side, context) in [(Second, ":.source:"), (First, ":.target:")] {
            let path = format!("/mode/{context}");
            let set = self.ask(side, "PUT", &path, r#"{"mode":"IMPORT"}"#);
            assert_eq!(set, (200, r#"{"mode":"IMPORT"}"#.to_owned()), "{context}");
            wait_until("the fence is told", || {
                (self.json(side, &path)["mode"] == "IMPORT").then_some(())
            });
        }
        self.generate(First);
        self.generate(Second);
        for link in ["src-to-tgt-link", "tgt-to-src-link"] {
            self.wait_caught_up(link);
        }
        self.assert_contexts_and_subjects();
        self.assert_active_active();
        // Both go on, and what each has from the other does not come back.
        self.register(First, "users-value", 2, r#""string""#);
        self.register(Second, "orders-value", 2, r#""int""#);
        for link in ["src-to-tgt-link", "tgt-to-src-link"] {
            self.wait_caught_up(link);
        }
        let subjects = |side| -> BTreeSet<String> {
            serde_json::from_str(&self.get(side, "/subjects?subjectPrefix=:*:")).unwrap()
        };
        let set = |names: [&str; 4]| BTreeSet::from(names.map(str::to_owned));
        assert_eq!(
            subjects(First),
            set([
                ":.target:orders-value",
                ":.target:stock_trades-value",
                "pageviews-value",
                "users-value"
            ])
        );
        assert_eq!(
            subjects(Second),
            set([
                ":.source:pageviews-value",
                ":.source:users-value",
                "orders-value",
                "stock_trades-value"
            ])
        );
        for (link, registry) in
            [("src-to-tgt-link", REGISTRIES[0]), ("tgt-to-src-link", REGISTRIES[1])]
        {
            self.wait_running(link, registry);
        }
    }

    /// 4. Contexts with names that are made.
    pub(crate) fn part_4_auto(&self) {
        self.generate(First);
        self.generate(Second);
        for line in [
            "schema-exporter --create --name src-to-tgt-link --subjects pageviews-value --config-file /tmp/config/schemalink-src.cfg --schema.registry.url http://schemaregistry:8081",
            "schema-exporter --create --name tgt-to-src-link --subjects stock_trades-value --config-file /tmp/config/schemalink-tgt.cfg --schema.registry.url http://schemaregistry2:8082",
        ] {
            self.run(line);
        }
        for link in ["src-to-tgt-link", "tgt-to-src-link"] {
            self.wait_caught_up(link);
        }
        let made = [First, Second].map(|side| {
            let contexts: Vec<String> = serde_json::from_str(&self.get(side, "/contexts")).unwrap();
            assert_eq!((contexts.len(), contexts[0].as_str()), (2, "."), "{contexts:?}");
            contexts[1].clone()
        });
        assert_ne!(made[0], made[1], "each is named after the other's cluster");
        let subjects =
            [format!(":{}:stock_trades-value", made[0]), format!(":{}:pageviews-value", made[1])];
        assert_eq!(self.json(First, "/subjects"), json!([subjects[0], "pageviews-value"]));
        assert_eq!(self.json(Second, "/subjects"), json!([subjects[1], "stock_trades-value"]));
        for of in [First, Second] {
            for through in [First, Second] {
                self.consume(of, through);
            }
        }
    }
}

/// Where the mirror listens: at its own address, and for clients of the two registries. The rest of
/// the log is read and dropped, so that the mirror never waits for it.
fn addresses(log: ChildStderr) -> [String; 3] {
    let mut lines = BufReader::new(log).lines();
    let mut found = [None, None, None];
    while found.iter().any(Option::is_none) {
        let line = lines.next().expect("the mirror listens").unwrap();
        let line: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
        let address = line["address"].as_str().map(str::to_owned);
        let place = match line["cluster"].as_str() {
            _ if address.is_none() => continue,
            None => 0,
            Some("source") => 1,
            Some(_) => 2,
        };
        found[place] = address;
    }
    thread::spawn(move || lines.for_each(drop));
    found.map(Option::unwrap)
}

#[track_caller]
fn wait_until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    wait_for(LIMIT, look).unwrap_or_else(|| panic!("{what}: not within {LIMIT:?}"))
}
