//! A broker that lets nobody in unknown, and clients that know how to get in.
//!
//! One broker serves all of these tests, with a listener for each kind of login. The tests' own
//! client comes by the listener without any, where it is super user.

mod bearers;
mod grants;
mod logins;
mod preflight;
mod rights;
mod rotation;
mod secrets;
mod tokens;

use std::{fs, path::PathBuf, sync::OnceLock};

use tempfile::TempDir;

use self::tokens::{AUDIENCE, CLIENT, CLIENT_SECRET, LIFETIME_S, TokenEndpoint};
use crate::{
    broker::Broker,
    certificates::Authority,
    mirror::{SOURCE_SETTINGS, write_config},
    process::{Port, Setup, new_folder},
};

/// Whoever logs in with a password has this one, which stands in no other word of the tests.
const PASSWORD: &str = "pw-Xk29-of-mirror";
/// The password of the locked key.
const KEY_PASSWORD: &str = "pw-Qz71-of-key";
/// How many rights the README grants: there is a user who lacks each of them.
const GRANTS: usize = 12;
/// Users with passwords besides those, the super user `mirror` first.
const USERS: [&str; 3] = ["mirror", "granted", "waiting"];
/// Super users besides the tests' own client.
const SUPER_USERS: &str = "User:ANONYMOUS;User:CN=mirror;User:mirror;User:mirror-service";

/// A broker whose listeners all want to know who comes, but one for the tests themselves.
pub(crate) struct Secured {
    pub(crate) broker: Broker,
    /// The ports of `TLS`, `MTLS`, `PLAIN`, `SCRAM` and `OAUTH`.
    ports: [Port; 5],
    /// Where the clients of `OAUTH` have their tokens from.
    pub(crate) tokens: &'static TokenEndpoint,
    /// Trusted by the broker and by clients.
    authority: Authority,
    /// Trusted by the broker, too.
    next_authority: Authority,
    /// Certificates and keys.
    folder: TempDir,
}

/// The broker that all tests of this kind share.
pub(crate) fn secured() -> &'static Secured {
    static SECURED: OnceLock<Secured> = OnceLock::new();
    SECURED.get_or_init(Secured::start)
}

impl Secured {
    fn start() -> Self {
        let folder = new_folder("certificates");
        let authority = Authority::new("authority");
        let server = authority.sign("broker");
        let keep = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let next_authority = Authority::new("next authority");
        keep("ca.pem", &authority.pem());
        keep("authorities.pem", &(authority.pem() + &next_authority.pem()));
        keep("broker.pem", &(server.key() + &server.certificate));
        let client = authority.sign("mirror");
        keep("client.pem", &client.certificate);
        keep("client.key", &client.key());
        keep("client-locked.key", &client.locked_key(KEY_PASSWORD));
        keep("password", PASSWORD);
        let tokens = TokenEndpoint::start();
        keep("keys.json", &tokens.public_keys());
        let ports = [(); 5].map(|()| Port::reserve());
        let [tls, mtls, plain, scram, oauth] = ports.each_ref().map(|port| port.number);
        let listeners = vec![
            ("TLS", "SSL", tls),
            ("MTLS", "SSL", mtls),
            ("PLAIN", "SASL_SSL", plain),
            ("SCRAM", "SASL_SSL", scram),
            ("OAUTH", "SASL_SSL", oauth),
        ];
        let setup = Setup {
            listeners,
            properties: properties(&folder),
            format: scram_users(),
            jvm: vec![
                format!("-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={}", keys_url(&folder)),
                format!(
                    "-Dorg.apache.kafka.sasl.oauthbearer.allowed.files={}",
                    folder.path().join("keys.json").display()
                ),
            ],
        };
        let broker = Broker::start_as("secured", setup);
        Self { broker, ports, tokens, authority, next_authority, folder }
    }

    /// A file of the folder with certificates.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// TLS, and nothing that says who comes: the broker takes it for its super user `ANONYMOUS`.
    pub(crate) fn tls(&self) -> Login {
        self.login(0, &[("security.protocol", "SSL")])
    }

    /// TLS with a client's certificate.
    pub(crate) fn mtls(&self) -> Login {
        let mut login = self.login(1, &[("security.protocol", "SSL")]);
        login.set_file("ssl.certificate.location", self.file("client.pem"));
        login.set_file("ssl.key.location", self.file("client.key"));
        login
    }

    /// The same with a key that a password opens.
    pub(crate) fn locked_mtls(&self) -> Login {
        let mut login = self.mtls();
        login.set_file("ssl.key.location", self.file("client-locked.key"));
        login.set("ssl.key.password", KEY_PASSWORD);
        login
    }

    /// A password in the clear, within TLS.
    pub(crate) fn plain(&self, user: &str) -> Login {
        self.with_password(2, "PLAIN", user)
    }

    /// A password that never crosses the wire.
    pub(crate) fn scram(&self, mechanism: &str) -> Login {
        self.with_password(3, mechanism, "mirror")
    }

    /// Tokens of the tests' own endpoint.
    pub(crate) fn bearer(&self) -> Login {
        let protocol = ("security.protocol", "SASL_SSL");
        let mut login = self.login(4, &[protocol, ("sasl.mechanism", "OAUTHBEARER")]);
        login.set("sasl.oauthbearer.method", "oidc");
        login.set("sasl.oauthbearer.token.endpoint.url", &self.tokens.url);
        login.set("sasl.oauthbearer.client.id", CLIENT);
        login.set("sasl.oauthbearer.client.secret", CLIENT_SECRET);
        login.set("sasl.oauthbearer.scope", "mirror");
        login
    }

    fn with_password(&self, port: usize, mechanism: &str, user: &str) -> Login {
        let protocol = ("security.protocol", "SASL_SSL");
        let mut login = self.login(port, &[protocol, ("sasl.mechanism", mechanism)]);
        login.set("sasl.username", user);
        login.set("sasl.password", PASSWORD);
        login
    }

    fn login(&self, port: usize, properties: &[(&str, &str)]) -> Login {
        let bootstrap = format!("127.0.0.1:{}", self.ports[port].number);
        let mut login = Login { bootstrap, properties: Vec::new() };
        login.set_file("ssl.ca.location", self.file("ca.pem"));
        properties.iter().for_each(|(name, value)| login.set(name, value));
        login
    }
}

/// Where the broker finds the public keys of the token endpoint.
fn keys_url(folder: &TempDir) -> String {
    format!("file://{}", folder.path().join("keys.json").display())
}

/// Lines of `server.properties` by which it knows who comes.
fn properties(folder: &TempDir) -> Vec<(String, String)> {
    let file = |name: &str| folder.path().join(name).display().to_string();
    let users = USERS.map(str::to_owned).into_iter();
    let users = users.chain((0..GRANTS).map(|number| format!("lacks_{number}")));
    let users: String = users.map(|user| format!(" user_{user}=\"{PASSWORD}\"")).collect();
    let module = "org.apache.kafka.common.security";
    let plain = format!("{module}.plain.PlainLoginModule required{users};");
    let scram = format!("{module}.scram.ScramLoginModule required;");
    let bearer = format!("{module}.oauthbearer.OAuthBearerLoginModule required;");
    let validator = format!("{module}.oauthbearer.OAuthBearerValidatorCallbackHandler");
    let reauthenticates_ms = (LIFETIME_S * 1000).to_string();
    let authorizer = "org.apache.kafka.metadata.authorizer.StandardAuthorizer";
    let lines = [
        ("authorizer.class.name", authorizer),
        ("allow.everyone.if.no.acl.found", "false"),
        ("super.users", SUPER_USERS),
        ("ssl.keystore.type", "PEM"),
        ("ssl.keystore.location", &file("broker.pem")),
        ("ssl.truststore.type", "PEM"),
        ("ssl.truststore.location", &file("authorities.pem")),
        ("listener.name.mtls.ssl.client.auth", "required"),
        ("listener.name.plain.sasl.enabled.mechanisms", "PLAIN"),
        ("listener.name.plain.plain.sasl.jaas.config", &plain),
        ("listener.name.scram.sasl.enabled.mechanisms", "SCRAM-SHA-256,SCRAM-SHA-512"),
        ("listener.name.scram.scram-sha-256.sasl.jaas.config", &scram),
        ("listener.name.scram.scram-sha-512.sasl.jaas.config", &scram),
        ("listener.name.oauth.sasl.enabled.mechanisms", "OAUTHBEARER"),
        ("listener.name.oauth.oauthbearer.sasl.jaas.config", &bearer),
        ("listener.name.oauth.oauthbearer.sasl.server.callback.handler.class", &validator),
        ("sasl.oauthbearer.jwks.endpoint.url", &keys_url(folder)),
        ("sasl.oauthbearer.expected.audience", AUDIENCE),
        // A login ends with its token.
        ("listener.name.oauth.oauthbearer.connections.max.reauth.ms", &reauthenticates_ms),
    ];
    lines.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

/// What a cluster's storage is formatted with so that it knows its first users.
fn scram_users() -> Vec<String> {
    let mechanisms = ["SCRAM-SHA-256", "SCRAM-SHA-512"];
    let users = mechanisms.map(|mechanism| {
        ["--add-scram".to_owned(), format!("{mechanism}=[name=mirror,password={PASSWORD}]")]
    });
    users.concat()
}

/// How a client gets in: an address, and librdkafka's properties.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    pub(crate) bootstrap: String,
    properties: Vec<(String, String)>,
}

impl Login {
    /// Without any: as the tests' own client.
    pub(crate) fn none(broker: &Broker) -> Self {
        Self { bootstrap: broker.bootstrap(), properties: Vec::new() }
    }

    /// A property with its value; another one of that name goes.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.write(name, format!("'{value}'"));
    }

    /// A property whose value stands in a file.
    pub(crate) fn set_from_file(&mut self, name: &str, file: PathBuf) {
        self.write(name, format!("{{ file: '{}' }}", file.display()));
    }

    fn set_file(&mut self, name: &str, file: PathBuf) {
        self.set(name, &file.display().to_string());
    }

    fn write(&mut self, name: &str, value: String) {
        self.properties.retain(|(held, _)| held != name);
        self.properties.push((name.to_owned(), value));
    }

    fn lines(&self) -> String {
        self.properties.iter().map(|(name, value)| format!("      {name}: {value}\n")).collect()
    }
}

/// A link between two topics of the secured broker that belong to one test.
pub(crate) struct Passage {
    pub(crate) name: &'static str,
    pub(crate) source: Login,
    pub(crate) target: Login,
    /// Its configuration files.
    pub(crate) folder: TempDir,
}

impl Passage {
    /// Its source topic is there and empty.
    pub(crate) fn new(name: &'static str, source: Login, target: Login) -> Self {
        let passage = Self { name, source, target, folder: new_folder(name) };
        secured().broker.create_topic(&passage.source_topic(), 1, &SOURCE_SETTINGS);
        passage
    }

    pub(crate) fn source_topic(&self) -> String {
        format!("{}_source", self.name)
    }

    pub(crate) fn target_topic(&self) -> String {
        format!("{}_target", self.name)
    }

    pub(crate) fn state_topic(&self) -> String {
        format!("{}_state", self.name)
    }

    /// Where another mirror's claims would be, if this one read them.
    pub(crate) fn source_state_topic(&self) -> String {
        format!("{}_source_state", self.name)
    }

    /// For a link that may not create topics.
    pub(crate) fn create_target_topics(&self) {
        let compact = [("cleanup.policy", "compact")];
        secured().broker.create_topic(&self.target_topic(), 1, &compact);
        secured().broker.create_topic(&self.state_topic(), 64, &compact);
    }

    /// The configuration as a file.
    pub(crate) fn config(&self) -> PathBuf {
        let text = format!(
            r#"
instance: one
clusters:
  source:
    bootstrap_servers: {}
    schemas_topic: {}
    state_topic: {}
    kafka:
      reconnect.backoff.max.ms: 500
{}
  target:
    bootstrap_servers: {}
    schemas_topic: {}
    state_topic: {}
    kafka:
      reconnect.backoff.max.ms: 500
{}
links:
  - name: {}
    source: source
    target: target
    context: .source
"#,
            self.source.bootstrap,
            self.source_topic(),
            self.source_state_topic(),
            self.source.lines(),
            self.target.bootstrap,
            self.target_topic(),
            self.state_topic(),
            self.target.lines(),
            self.name,
        );
        write_config(self.folder.path(), self.name, &text)
    }
}
