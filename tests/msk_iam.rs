//! Links between clusters that want a login by IAM as Amazon MSK does, without Amazon: brokers are
//! librdkafka's mock behind a door that takes tokens, and each token is judged by AWS's rules here.

#![expect(clippy::arithmetic_side_effects, reason = "numbers of tests are small")]

#[cfg(test)]
#[expect(dead_code, reason = "each test crate uses its own part")]
mod door;

#[cfg(test)]
mod msk_iam {
    use std::{
        collections::BTreeMap,
        io::{Read, Write},
        net::TcpListener,
        path::PathBuf,
        process::{Command, Output},
        sync::Arc,
        thread,
        time::Duration,
    };

    use openssl::{
        asn1::Asn1Time,
        base64::decode_block,
        hash::{MessageDigest, hash},
        pkey::{PKey, Private},
        rsa::Rsa,
        sign::Signer,
        ssl::{SslAcceptor, SslMethod},
        x509::{X509, X509NameBuilder, extension::SubjectAlternativeName},
    };
    use tempfile::TempDir;

    use schema_mirror::{
        core::record::Outgoing,
        kafka::{ClusterSettings, KafkaCluster, MockBroker},
        service::{
            clock::SystemClock,
            ports::{Appender, Cluster},
        },
    };

    use crate::door::{Door, FETCH, JOIN_GROUP, METADATA, PRODUCE};

    const PROGRAM: &str = env!("CARGO_BIN_EXE_schema-mirror");
    const KEY: &str = "AKIDOFTHETESTS";
    const SECRET: &str = "secret/of+the/tests";
    const SESSION: &str = "session/of+the/tests==";
    const REGION: &str = "eu-west-2";
    const LONG: Duration = Duration::from_secs(900);
    const PARTITIONS: i32 = 64;

    /// Two clusters that take logins by token over TLS, and the folder of their authority.
    struct World {
        _brokers: [MockBroker; 2],
        doors: [Door; 2],
        folder: TempDir,
    }

    impl World {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let (certificate, key) = certificate();
            std::fs::write(folder.path().join("ca.pem"), certificate.to_pem().unwrap()).unwrap();
            let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
            acceptor.set_private_key(&key).unwrap();
            acceptor.set_certificate(&certificate).unwrap();
            let tls = Arc::new(acceptor.build());
            let brokers = [MockBroker::start().unwrap(), MockBroker::start().unwrap()];
            for broker in &brokers {
                broker.create_topic("_schemas", 1).unwrap();
                broker.create_topic("_schema_mirror", PARTITIONS).unwrap();
            }
            let doors = [&brokers[0], &brokers[1]]
                .map(|broker| Door::before(broker, LONG, Some(Arc::clone(&tls))));
            register(&brokers[0]);
            Self { _brokers: brokers, doors, folder }
        }

        fn ca(&self) -> PathBuf {
            self.folder.path().join("ca.pem")
        }

        /// Runs a command between both clusters, with nothing of AWS but these variables.
        fn run(&self, command: &str, variables: &[(&str, &str)]) -> Output {
            let mut program = Command::new(PROGRAM);
            program.env_clear().env("HOME", self.folder.path()).env("RUST_LOG", "trace");
            program.env("AWS_EC2_METADATA_DISABLED", "true").envs(variables.iter().copied());
            program.current_dir(self.folder.path()).args([command, "--context", ".source"]);
            for (side, door) in ["from", "to"].iter().zip(&self.doors) {
                program.arg(format!("--{side}")).arg(format!("127.0.0.1:{}", door.port));
                let ca = format!("ssl.ca.location={}", self.ca().display());
                let properties = [
                    "security.protocol=SASL_SSL",
                    "sasl.mechanism=AWS_MSK_IAM",
                    &ca,
                    "debug=security",
                ];
                for property in properties {
                    program.arg(format!("--{side}-property")).arg(property);
                }
            }
            program.output().unwrap()
        }
    }

    /// A certificate of its own authority for this machine's address.
    fn certificate() -> (X509, PKey<Private>) {
        let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let mut name = X509NameBuilder::new().unwrap();
        name.append_entry_by_text("CN", "door").unwrap();
        let name = name.build();
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        builder.set_subject_name(&name).unwrap();
        builder.set_issuer_name(&name).unwrap();
        builder.set_pubkey(&key).unwrap();
        builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
        let address = SubjectAlternativeName::new()
            .ip("127.0.0.1")
            .build(&builder.x509v3_context(None, None))
            .unwrap();
        builder.append_extension(address).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        (builder.build(), key)
    }

    /// Writes one schema, behind the door.
    fn register(broker: &MockBroker) {
        let settings = ClusterSettings {
            name: "source".to_owned(),
            bootstrap_servers: broker.bootstrap_servers().to_owned(),
            client_id: "schema-mirror-test".to_owned(),
            properties: BTreeMap::new(),
            secrets: Vec::new(),
            clock: SystemClock::start(),
        };
        let key = r#"{"keytype":"SCHEMA","subject":"orders-value","version":1,"magic":1}"#;
        let value = r#"{"subject":"orders-value","version":1,"id":1,"schema":"\"string\"","deleted":false}"#;
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let cluster = KafkaCluster::new(settings).unwrap();
            let mut appender = cluster.append_to("_schemas", 0).await.unwrap();
            let write = Outgoing {
                key: key.into(),
                value: Some(value.into()),
                timestamp_ms: Some(1_000),
                headers: Arc::default(),
            };
            appender.append_when_room(&write).await.unwrap();
            let before = appender.progress();
            assert_eq!(appender.progressed(&before).await.acked, 1);
        });
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn sha256(text: &str) -> String {
        hex(&hash(MessageDigest::sha256(), text.as_bytes()).unwrap())
    }

    fn hmac(key: &[u8], text: &str) -> Vec<u8> {
        let key = PKey::hmac(key).unwrap();
        let mut signer = Signer::new(MessageDigest::sha256(), &key).unwrap();
        signer.update(text.as_bytes()).unwrap();
        signer.sign_to_vec().unwrap()
    }

    /// The address in a token: base64 for URLs without padding.
    fn address_in(token: &str) -> String {
        assert!(!token.contains(['+', '/', '=']), "{token}");
        let padding = "=".repeat((4 - token.len() % 4) % 4);
        let standard = token.replace('-', "+").replace('_', "/") + &padding;
        String::from_utf8(decode_block(&standard).unwrap()).unwrap()
    }

    /// Judges a token as IAM would: by computing its signature (AWS's Signature Version 4, query
    /// parameters) from what stands in it and the secret key.
    #[track_caller]
    fn judge(token: &str, session: Option<&str>) {
        let address = address_in(token);
        let host = format!("kafka.{REGION}.amazonaws.com");
        let query = address.strip_prefix(&format!("https://{host}/?")).unwrap();
        let mut given: BTreeMap<&str, &str> =
            query.split('&').map(|pair| pair.split_once('=').unwrap()).collect();
        assert_eq!(given.len(), query.split('&').count(), "each stands there once");
        let signature = given.remove("X-Amz-Signature").unwrap();
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(given.remove("User-Agent"), Some(&*format!("schema-mirror%2F{version}")));
        let time = given["X-Amz-Date"];
        let date = time.split_once('T').unwrap().0;
        let scope = format!("{date}/{REGION}/kafka-cluster/aws4_request");
        let named = format!("{KEY}%2F{}", scope.replace('/', "%2F"));
        let session =
            session.map(|token| token.replace('/', "%2F").replace('+', "%2B").replace('=', "%3D"));
        let mut wanted = BTreeMap::from([
            ("Action", "kafka-cluster%3AConnect"),
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", &named),
            ("X-Amz-Date", time),
            ("X-Amz-Expires", "900"),
            ("X-Amz-SignedHeaders", "host"),
        ]);
        wanted.extend(session.as_deref().map(|token| ("X-Amz-Security-Token", token)));
        assert_eq!(given, wanted);
        let pairs: Vec<String> =
            given.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = format!("GET\n/\n{}\nhost:{host}\n\nhost\n{}", pairs.join("&"), sha256(""));
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", sha256(&request));
        let key = [date, REGION, "kafka-cluster", "aws4_request"]
            .into_iter()
            .fold(format!("AWS4{SECRET}").into_bytes(), |key, part| hmac(&key, part));
        assert_eq!(signature, hex(&hmac(&key, &text)));
    }

    /// A whole copy, with all that can be logged.
    fn copied_with(session: Option<&str>) {
        let world = World::new();
        let mut variables = vec![
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_REGION", REGION),
        ];
        variables.extend(session.map(|token| ("AWS_SESSION_TOKEN", token)));
        // What the log may say is asked for as loudly as can be.
        variables.push(("RUST_LOG", "trace,aws_sigv4=trace,aws_config=trace"));
        let output = world.run("backfill", &variables);
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(0), "{said}");
        let mut tokens = Vec::new();
        for (door, requests) in world
            .doors
            .iter()
            .zip([&[METADATA, FETCH][..], &[METADATA, FETCH, JOIN_GROUP, PRODUCE]])
        {
            let came = door.requests();
            assert!(requests.iter().all(|request| came.contains(request)), "{came:?}");
            tokens.extend(door.tokens().into_iter().map(|(token, _)| token));
        }
        assert!(said.contains("librdkafka: "), "the log is loud");
        for token in tokens {
            judge(&token, session);
            let hidden = [&*token, &address_in(&token), KEY, SECRET, SESSION, "X-Amz-Signature"];
            let shown: Vec<&str> = said
                .lines()
                .filter(|line| hidden.iter().any(|hidden| line.contains(hidden)))
                .collect();
            assert_eq!(shown, [""; 0]);
        }
    }

    #[test]
    fn a_link_logs_in_to_both_sides_with_a_key() {
        copied_with(None);
    }

    #[test]
    fn a_link_logs_in_to_both_sides_with_a_key_for_a_session() {
        copied_with(Some(SESSION));
    }

    /// A container's source of credentials; the address of it.
    fn container() -> String {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let text = format!(
            r#"{{"AccessKeyId":"{KEY}","SecretAccessKey":"{SECRET}","Token":"{SESSION}",
            "Expiration":"2100-01-01T00:00:00Z"}}"#
        );
        thread::spawn(move || {
            for mut client in listener.incoming().map_while(Result::ok) {
                let mut request = [0; 4096];
                let length = text.len();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
                     content-length: {length}\r\nconnection: close\r\n\r\n{text}"
                );
                let asked = client.read(&mut request).is_ok_and(|bytes| bytes > 0);
                assert!(asked && client.write_all(answer.as_bytes()).is_ok());
            }
        });
        format!("http://127.0.0.1:{port}/credentials")
    }

    #[test]
    fn credentials_may_come_from_the_container() {
        let world = World::new();
        let address = container();
        let variables = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*address), ("AWS_REGION", REGION)];
        let output = world.run("plan", &variables);
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        for (token, _) in world.doors.iter().flat_map(Door::tokens) {
            judge(&token, Some(SESSION));
        }
        let hidden = [KEY, SECRET, SESSION];
        assert!(!hidden.iter().any(|hidden| said.contains(hidden)), "a key is shown");
    }

    #[test]
    fn a_region_that_is_nowhere_is_told_with_the_key_that_has_it() {
        let world = World::new();
        let variables = [("AWS_ACCESS_KEY_ID", KEY), ("AWS_SECRET_ACCESS_KEY", SECRET)];
        check(
            &world.run("preflight", &variables),
            &["no AWS region", "bootstrap_servers", "AWS_REGION"],
        );
    }

    #[test]
    fn credentials_that_are_nowhere_are_told() {
        let world = World::new();
        check(&world.run("preflight", &[("AWS_REGION", REGION)]), &["no AWS credentials"]);
    }

    #[track_caller]
    fn check(output: &Output, words: &[&str]) {
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(2), "{said}");
        for word in ["reach brokers at cluster", "no token to log in with"].iter().chain(words) {
            assert!(said.contains(word), "{word} in {said}");
        }
        assert!(!said.contains(KEY) && !said.contains(SECRET), "{said}");
    }

    #[test]
    fn config_check_says_what_does_not_go_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let text = "
clusters:
  source:
    bootstrap_servers: 'a:1'
    kafka: { sasl.mechanism: AWS_MSK_IAM, sasl.oauthbearer.config: hunter2, sasl.jaas.config: hunter2 }
  target: { bootstrap_servers: 'b:1', kafka: { sasl.mechanism: AWS_MSK_IAM, security.protocol: SASL_SSL } }
links:
  - { name: one, source: source, target: target }
";
        std::fs::write(folder.path().join("mirror.yaml"), text).unwrap();
        let mut program = Command::new(PROGRAM);
        program.current_dir(folder.path()).args(["config", "check", "--config", "mirror.yaml"]);
        let output = program.output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        let expected = "mirror.yaml: 3 errors
  clusters.source.kafka.sasl.jaas.config: librdkafka does not know this property, or does not take its value; leave it out: it names a class of Java
  clusters.source.kafka.security.protocol: logins by AWS_MSK_IAM go over TLS alone; write security.protocol: SASL_SSL
  clusters.source.kafka.sasl.oauthbearer.config: logins by AWS_MSK_IAM don't use it; leave it out: tokens are signed with AWS's credentials
";
        assert_eq!((output.status.code(), &*said), (Some(64), expected));
    }
}
