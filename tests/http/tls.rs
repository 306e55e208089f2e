//! TLS before what is served: what is presented, who is answered, and what our own commands say.

use std::fs;
use std::fs::File;
use std::io::Read;
use std::io::Write;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use openssl::asn1::Asn1Time;
use openssl::ec::EcKey;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::ssl::SslConnector;
use openssl::ssl::SslMethod;
use openssl::ssl::SslStream;
use openssl::ssl::SslVersion;
use openssl::x509::X509;
use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;
use schema_mirror::config::Config;
use schema_mirror::config::ProcessEnvironment;
use schema_mirror::config::TlsConfig;
use schema_mirror::kafka::MockPair;
use tempfile::TempDir;

use super::*;
use crate::certificates::Authority;
use crate::certificates::new_key;
use crate::output::output_within;
use crate::wait::wait_for;

/// A command of ours ends by itself before, and so does a greeting that never comes.
const ENDS_WITHIN: Duration = Duration::from_secs(90);

const PROGRAM: &str = env!("CARGO_BIN_EXE_schema-mirror");

/// A folder with an authority, and what it has signed.
struct Files {
    folder: TempDir,
    authority: Authority,
}

impl Files {
    fn new() -> Self {
        let files =
            Self { folder: tempfile::tempdir().unwrap(), authority: Authority::new("tests") };
        files.write("ca.pem", &files.authority.pem());
        files.sign("one");
        files
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// Writes a new certificate with its key.
    fn sign(&self, name: &str) {
        let signed = self.authority.sign(name);
        self.write("key.pem", &signed.key());
        self.write("chain.pem", &signed.certificate);
    }

    /// The same, good between two days in seconds since 1970.
    fn sign_within(&self, name: &str, seconds: [i64; 2]) {
        let key = new_key();
        let times = seconds.map(|second| Asn1Time::from_unix(second).unwrap());
        self.write("chain.pem", &self.authority.certify_within(name, &key, times));
        let key = key.private_key_to_pem_pkcs8().unwrap();
        self.write("key.pem", &String::from_utf8(key).unwrap());
    }

    fn section(&self) -> String {
        let folder = self.folder.path().display();
        format!("{{ certificate: {folder}/chain.pem, key: {folder}/key.pem }}")
    }

    /// The section as a configuration has it, or all that is wrong with it.
    fn config(&self) -> Result<TlsConfig, String> {
        let text = format!(
            "http: {{ tls: {} }}\nclusters: {{ a: {{ bootstrap_servers: 'a:1' }} }}",
            self.section()
        );
        match Config::parse("file", &text, &ProcessEnvironment) {
            Ok(config) => Ok(config.http.tls.expect("it is given")),
            Err(wrong) => Err(wrong.to_string()),
        }
    }

    async fn serve(&self, cluster: Option<&str>) -> Server {
        let identity = Arc::clone(self.config().unwrap().identity());
        // The last that was sent stays.
        let tls = Tls::new(watch::channel(identity).1).unwrap();
        Server::start_over(Some(tls), cluster, Vec::new()).await
    }

    fn greet(&self, address: SocketAddr, version: SslVersion) -> SslStream<std::net::TcpStream> {
        self.try_to_greet(address, version).unwrap()
    }

    /// The same, if what is presented is good.
    fn try_to_greet(
        &self,
        address: SocketAddr,
        version: SslVersion,
    ) -> Option<SslStream<std::net::TcpStream>> {
        let mut connector = SslConnector::builder(SslMethod::tls_client()).unwrap();
        connector.set_ca_file(self.folder.path().join("ca.pem")).unwrap();
        connector.set_min_proto_version(Some(version)).unwrap();
        connector.set_max_proto_version(Some(version)).unwrap();
        connector.set_alpn_protos(b"\x02h2\x08http/1.1").unwrap();
        let stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        connector.build().connect("127.0.0.1", stream).ok()
    }

    /// Whose certificate is presented, if a client takes it.
    fn presented_if_good(&self, address: SocketAddr) -> Option<String> {
        let greeted = self.try_to_greet(address, SslVersion::TLS1_3)?;
        Some(common_name(&greeted.ssl().peer_certificate()?))
    }

    /// Whose certificate is presented.
    fn presented(&self, address: SocketAddr) -> String {
        let greeted = self.greet(address, SslVersion::TLS1_3);
        common_name(&greeted.ssl().peer_certificate().unwrap())
    }
}

fn common_name(certificate: &X509) -> String {
    let name = certificate.subject_name().entries_by_nid(Nid::COMMONNAME).next().unwrap();
    name.data().to_string().unwrap()
}

const ASK: &[u8] = b"GET /live HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn http_1_1_is_spoken_over_tls_1_2_and_1_3_at_every_address() {
    let files = Files::new();
    for cluster in [None, Some("a")] {
        let server = files.serve(cluster).await;
        for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
            let mut stream = files.greet(server.address, version);
            assert_eq!(stream.ssl().selected_alpn_protocol(), Some(&b"http/1.1"[..]));
            stream.write_all(ASK).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
            assert_eq!(cluster.is_none(), answer.ends_with("\r\n\r\nlive\n"), "{answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_speaks_no_tls_is_closed_and_others_are_answered() {
    let files = Files::new();
    let server = files.serve(None).await;
    let _silent = TcpStream::connect(server.address).await.unwrap();
    let answer = server.send(ASK).await;
    assert!(!answer.contains("HTTP/"), "{answer}");
    assert_eq!(files.presented(server.address), "one");
}

#[tokio::test(start_paused = true)]
async fn who_does_not_greet_in_time_is_closed() {
    let files = Files::new();
    let server = files.serve(None).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let begun = tokio::time::Instant::now();
    let closed = tokio::time::timeout(ENDS_WITHIN, silent.read(&mut [0; 64])).await;
    // Closed, by word or without one.
    assert!(matches!(closed.expect("it is closed"), Ok(0) | Err(_)));
    assert!(begun.elapsed() >= Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn keys_are_taken_in_every_form_that_openssl_writes() {
    let files = Files::new();
    let elliptic = new_key();
    let rsa = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let sec1: EcKey<_> = elliptic.ec_key().unwrap();
    for (key, pem) in [
        (&elliptic, elliptic.private_key_to_pem_pkcs8().unwrap()),
        (&elliptic, sec1.private_key_to_pem().unwrap()),
        (&rsa, rsa.private_key_to_pem_pkcs8().unwrap()),
        (&rsa, rsa.rsa().unwrap().private_key_to_pem().unwrap()),
    ] {
        let pem = String::from_utf8(pem).unwrap();
        let certificate = files.authority.certify("x", key);
        // Its authority behind it, as a chain has it.
        files.write("chain.pem", &format!("{certificate}{}", files.authority.pem()));
        files.write("key.pem", &pem);
        assert!(files.config().is_ok(), "{}: {:?}", pem.lines().next().unwrap(), files.config());
    }
}

#[test]
fn a_certificate_and_a_key_that_do_not_belong_together_are_refused() {
    let files = Files::new();
    let other = files.authority.sign("other");
    let check = |key: &str, expected: &str| {
        files.write("key.pem", key);
        let wrong = files.config().unwrap_err();
        assert!(wrong.starts_with(&format!("file: http.tls.key: {expected}")), "{wrong}");
        assert!(!wrong.contains("PRIVATE"), "{wrong}");
    };
    check(&other.key(), "is not the key of the first certificate in http.tls.certificate; ");
    check(&other.locked_key("pw"), "holds a key that a password locks; ");
    check(&other.certificate, "holds no private key in PEM; ");
    let weak = PKey::from_rsa(Rsa::generate(1024).unwrap()).unwrap();
    let weak = String::from_utf8(weak.private_key_to_pem_pkcs8().unwrap()).unwrap();
    check(&weak, "holds a key that can't be used; ");
}

#[test]
fn files_that_change_are_told_once_and_what_is_of_no_use_is_not_taken() {
    let files = Files::new();
    let mut config = files.config().unwrap();
    let first = Arc::clone(config.identity());
    assert!(config.look(&ProcessEnvironment).is_none());
    files.write("key.pem", "nothing");
    let wrong = config.look(&ProcessEnvironment).expect("a change").unwrap_err();
    assert!(wrong.ends_with("key.pem holds no private key in PEM"), "{wrong}");
    assert!(config.look(&ProcessEnvironment).is_none(), "it is told once");
    assert!(Arc::ptr_eq(&first, config.identity()));
    files.sign("two");
    assert_eq!(config.look(&ProcessEnvironment), Some(Ok(())));
    assert!(!Arc::ptr_eq(&first, config.identity()));
}

/// A process that serves HTTP; it ends with this.
struct Mirror {
    process: Child,
    folder: TempDir,
    address: SocketAddr,
}

impl Mirror {
    fn start(http: &str, clusters: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (config, log) = (folder.path().join("mirror.yaml"), folder.path().join("log"));
        fs::write(&config, format!("http: {http}\nclusters: {clusters}\n")).unwrap();
        let process = Command::new(PROGRAM)
            .args(["run", "--log-format", "json", "--config"])
            .arg(&config)
            .env_remove("RUST_LOG")
            .env("MIRROR_TOKEN", TOKEN)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(log).unwrap())
            .spawn()
            .unwrap();
        let mut mirror = Self { process, folder, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let listening = mirror.says("\"listening\"");
        let listening: Value = serde_json::from_str(&listening).unwrap();
        assert_eq!(listening["tls"], true);
        mirror.address = listening["address"].as_str().unwrap().parse().unwrap();
        mirror
    }

    /// The first line of its log with this.
    fn says(&self, awaited: &str) -> String {
        let mut log = String::new();
        let line = wait_for(LIMIT, || {
            log = fs::read_to_string(self.folder.path().join("log")).unwrap();
            log.lines().find(|line| line.contains(awaited)).map(str::to_owned)
        });
        line.unwrap_or_else(|| panic!("{awaited} is not said: {log}"))
    }

    fn hang_up(&self) {
        kill_process(Pid::from_child(&self.process), Signal::HUP).unwrap();
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        let _killed = self.process.kill();
        let _ended = self.process.wait();
    }
}

const TOKEN: &str = "a-token-of-tests";

#[test]
fn a_certificate_that_was_replaced_is_presented_and_one_of_no_use_leaves_the_old() {
    let files = Files::new();
    let http = format!("{{ listen: '127.0.0.1:0', tls: {} }}", files.section());
    let mirror = Mirror::start(&http, "{ a: { bootstrap_servers: '127.0.0.1:9' } }");
    assert_eq!(files.presented(mirror.address), "one");
    files.write("key.pem", "nothing");
    mirror.hang_up();
    mirror.says("configuration is wrong");
    mirror.says("the certificate for HTTP changed and is of no use; the old one stays");
    assert_eq!(files.presented(mirror.address), "one");
    files.sign("two");
    let is =
        |name: &str| wait_for(LIMIT, || (files.presented(mirror.address) == name).then_some(()));
    assert!(is("two").is_some(), "the files are looked at");
    files.sign("three");
    mirror.hang_up();
    mirror.says("configuration read again");
    assert!(is("three").is_some());
}

/// 2020-01-01 and the day after.
const LONG_AGO: [i64; 2] = [1_577_836_800, 1_577_923_200];
/// 2100-01-01 and the day after, which X.509 spells in another way.
const FAR_AHEAD: [i64; 2] = [4_102_444_800, 4_102_531_200];

#[test]
fn a_certificate_that_has_expired_is_said_and_takes_the_place_of_no_good_one() {
    let files = Files::new();
    let http = format!("{{ listen: '127.0.0.1:0', tls: {} }}", files.section());
    let clusters = "{ a: { bootstrap_servers: '127.0.0.1:9' } }";
    let mirror = Mirror::start(&http, clusters);
    files.sign_within("old", LONG_AGO);
    let said = mirror.says("changed to one that has expired; the old one stays");
    assert!(said.contains(r#""expired":"2020-01-02T00:00:00Z""#), "{said}");
    assert_eq!(files.presented(mirror.address), "one");
    files.sign_within("early", FAR_AHEAD);
    let said = mirror.says("the certificate for HTTP is not valid yet");
    assert!(said.contains(r#""from":"2100-01-01T00:00:00Z""#), "{said}");
    drop(mirror);

    files.sign_within("old", LONG_AGO);
    let mirror = Mirror::start(&http, clusters);
    let said = mirror.says("the certificate for HTTP has expired; clients refuse it");
    assert!(said.contains(r#""level":"WARN""#) && said.contains("2020-01-02"), "{said}");
    files.sign("two");
    let is_new = || (files.presented_if_good(mirror.address)? == "two").then_some(());
    assert!(wait_for(LIMIT, is_new).is_some(), "one that is good is taken");
}

/// Runs a command of ours; gives its exit code and all that it said.
fn run(words: &[&str], variables: &[(&str, &Path)]) -> (Option<i32>, String) {
    let mut command = Command::new(PROGRAM);
    command.args(words).env_remove("SCHEMA_MIRROR_URL").env_remove("SCHEMA_MIRROR_CA");
    for (name, value) in variables {
        command.env(name, value);
    }
    let output = output_within(ENDS_WITHIN, &mut command);
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[test]
fn commands_make_and_show_links_over_https() {
    let files = Files::new();
    let mocks = MockPair::start().unwrap();
    let logins = "[{ name: ops, role: admin, secret: { env: MIRROR_TOKEN } }]";
    let http = format!("{{ listen: '127.0.0.1:0', logins: {logins}, tls: {} }}", files.section());
    let clusters = format!(
        "{{ a: {{ bootstrap_servers: '{}', create_topics: false, registry_urls: ['https://r:8081'] }}, \
            b: {{ bootstrap_servers: '{}', create_topics: false, registry_urls: ['https://s'] }} }}",
        mocks.source.bootstrap_servers(),
        mocks.target.bootstrap_servers()
    );
    let mirror = Mirror::start(&http, &clusters);
    files.write("link.cfg", "schema.registry.url=https://s:443/");
    let url = format!("https://{}", mirror.address);
    let at = |name: &str| files.folder.path().join(name);
    let (ca, config) = (at("ca.pem"), at("link.cfg"));
    let (token, mirror_url) = (Path::new(TOKEN), Path::new(&url));
    let login = [("SCHEMA_MIRROR_URL", mirror_url), ("SCHEMA_MIRROR_TOKEN", token)];
    let trusting = [&login[..], &[("SCHEMA_MIRROR_CA", ca.as_path())]].concat();
    let create = ["exporter", "--create", "--name", "x", "--schema.registry.url", "https://r:8081"];
    let create = [&create[..], &["--config-file", config.to_str().unwrap()]].concat();
    let made = (Some(0), "Successfully created exporter x\n".to_owned());
    assert_eq!(run(&create, &trusting), made);
    let by_flag = ["link", "list", "--ca", ca.to_str().unwrap()];
    // What the system trusts, as other programs over TLS are told it.
    let of_system = [&login[..], &[("SSL_CERT_FILE", ca.as_path())]].concat();
    for (words, variables) in [(&by_flag[..], &login[..]), (&["link", "list"], &of_system)] {
        let (code, said) = run(words, variables);
        assert!(code == Some(0) && said.contains('x'), "{words:?}: {code:?} {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_say_why_they_do_not_talk_to_a_mirror() {
    let (files, others) = (Files::new(), Files::new());
    let (secure, plain) = (files.serve(None).await, Server::start().await);
    let at = |scheme: &str, host: &str, server: &Server| {
        format!("{scheme}://{host}:{}", server.address.port())
    };
    let right = at("https", "127.0.0.1", &secure);
    let (own, other) = (files.folder.path().join("ca.pem"), others.folder.path().join("ca.pem"));
    let key = files.folder.path().join("key.pem");
    let none = files.folder.path().join("none.pem");
    for (url, ca, expected) in [
        (&right, Some(&other), "has signed its certificate"),
        (
            &right,
            None,
            "no authority that this system trusts has signed its certificate; name a PEM",
        ),
        (&right, Some(&key), "holds no certificates in PEM"),
        (
            &right,
            Some(&none),
            "none.pem, which --ca or SCHEMA_MIRROR_CA names, can't be read: No such",
        ),
        (&at("https", "localhost", &secure), Some(&own), "its certificate is for another host"),
        (
            &at("http", "127.0.0.1", &secure),
            None,
            "it does not speak HTTP there; is that https://?",
        ),
        (
            &at("https", "127.0.0.1", &plain),
            Some(&own),
            "it does not speak TLS there; is that http://?",
        ),
        (&"ftp://127.0.0.1".to_owned(), None, "is asked over http:// or https://"),
    ] {
        let mut words = vec!["link", "list", "--url", url];
        if let Some(ca) = ca {
            words.extend(["--ca", ca.to_str().unwrap()]);
        }
        // The system trusts somebody, but not this one.
        let variables = [("SSL_CERT_FILE", other.as_path())];
        let (code, said) = tokio::task::block_in_place(|| run(&words, &variables));
        assert!(code == Some(2) && said.contains(expected), "{words:?}: {code:?} {said}");
    }
    let words = ["link", "list", "--url", &right, "--ca", own.to_str().unwrap()];
    let (code, said) = tokio::task::block_in_place(|| run(&words, &[]));
    assert!(code == Some(0), "{said}");
}
