//! Where the process is seen from outside.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::SocketAddr;

use serde_json::Value;

use crate::config::defect::ConfigError;
use crate::config::defect::Defect;
use crate::config::defect::Refusal;
use crate::config::environment::Environment;
use crate::config::keys;
use crate::config::properties::read_property;
use crate::config::secret::Secret;
use crate::config::section::Section;
use crate::config::tls::TlsConfig;
use crate::config::tls::read_tls;
use crate::config::words;

/// Where it listens unless told otherwise.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
/// The word for not listening at all.
const NONE: &str = "none";

/// The key of the word for an address that lacks protection.
const WORD: &str = "http.insecure";

/// A shorter secret is guessed.
const SECRET_CHARS_MIN: usize = 12;

/// What is served over HTTP, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpConfig {
    /// Where it listens; `None` is nowhere.
    pub listen: Option<SocketAddr>,
    /// Whether others may be answered without a login, or without TLS.
    pub insecure: bool,
    /// Who is answered, everywhere; everybody where there is none.
    pub logins: Vec<LoginConfig>,
    /// What is presented over TLS, everywhere; without it nothing is encrypted.
    pub tls: Option<TlsConfig>,
}

/// Somebody who is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginConfig {
    /// The name, also that of basic authentication.
    pub name: String,
    /// What may be asked.
    pub role: Role,
    /// A bearer's token, and the password of basic authentication.
    pub secret: Secret,
}

/// What somebody may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// What changes nothing.
    Read,
    /// Everything.
    Admin,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self { listen: Some(LISTEN), insecure: false, logins: Vec::new(), tls: None }
    }
}

impl HttpConfig {
    /// The same at another place, as a flag gives it.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right.
    pub fn at(self, place: &str) -> Result<Self, ConfigError> {
        let refuse = |refusal: Refusal| ConfigError {
            origin: "command line".to_owned(),
            defects: vec![refusal.at("--http")],
        };
        let listen = listen(&Value::from(place)).map_err(refuse)?;
        let config = Self { listen, ..self };
        match open_to_others(config.place(), config.protection(), WORD) {
            Some(refusal) => Err(refuse(refusal)),
            None => Ok(config),
        }
    }

    fn place(&self) -> ClusterHttp {
        ClusterHttp { listen: self.listen, insecure: self.insecure }
    }

    /// What stands before everything that is served.
    pub(super) fn protection(&self) -> Protection {
        Protection { by_logins: !self.logins.is_empty(), by_tls: self.tls.is_some() }
    }
}

/// Reads the section; defaults where it is not given.
pub(super) fn read_http(
    value: Option<&Value>,
    environment: &dyn Environment,
    defects: &mut Vec<Defect>,
) -> HttpConfig {
    let fallback = HttpConfig::default();
    let Some(value) = value else { return fallback };
    let Some(mut section) = Section::open("http", value, keys::HTTP, defects) else {
        return fallback;
    };
    let logins =
        section.raw("logins").map(|given| read_logins(given, environment, section.defects()));
    let tls = section
        .raw("tls")
        .and_then(|given| read_tls("http.tls", given, environment, section.defects()));
    let http = HttpConfig {
        listen: section.or("listen", fallback.listen, listen),
        insecure: section.or("insecure", fallback.insecure, words::switch),
        logins: logins.unwrap_or_default(),
        tls,
    };
    // What is given and wrong is meant all the same.
    let meant = Protection {
        by_logins: section.raw("logins").is_some(),
        by_tls: section.raw("tls").is_some(),
    };
    if let Some(refusal) = open_to_others(http.place(), meant, WORD) {
        section.refuse("listen", refusal);
    }
    http
}

/// What stands before everything that is served.
#[derive(Debug, Clone, Copy)]
pub(super) struct Protection {
    by_logins: bool,
    by_tls: bool,
}

/// Where a cluster is served at the root.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClusterHttp {
    /// Where it listens; `None` is nowhere.
    pub listen: Option<SocketAddr>,
    /// Whether others may be answered without a login, or without TLS.
    pub insecure: bool,
}

/// Reads the section of a cluster, which has no place of its own unless it is given one.
pub(super) fn read_cluster_http(
    path: &str,
    value: Option<&Value>,
    defects: &mut Vec<Defect>,
) -> ClusterHttp {
    let fallback = ClusterHttp::default();
    let Some(value) = value else { return fallback };
    let Some(mut section) = Section::open(path, value, keys::CLUSTER_HTTP, defects) else {
        return fallback;
    };
    ClusterHttp {
        listen: section.or("listen", fallback.listen, listen),
        insecure: section.or("insecure", fallback.insecure, words::switch),
    }
}

/// A place of a cluster that others can reach, where a part of the protection is missing and nothing
/// says that this is meant. Its key is named by `path`.
pub(super) fn exposed(path: &str, place: ClusterHttp, protection: Protection) -> Option<Defect> {
    let refusal = open_to_others(place, protection, &format!("{path}.insecure"))?;
    Some(refusal.at(format!("{path}.listen")))
}

fn read_logins(
    given: &Value,
    environment: &dyn Environment,
    defects: &mut Vec<Defect>,
) -> Vec<LoginConfig> {
    let Some(items) = given.as_array().filter(|items| !items.is_empty()) else {
        let right = "write a list of logins, each with name, role and secret";
        let wrong = format!("{} is not a list of logins", words::kind(given));
        defects.push(Refusal::new(wrong, right).at("http.logins"));
        return Vec::new();
    };
    let mut logins: Vec<LoginConfig> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let path = format!("http.logins[{index}]");
        let Some(login) = read_login(&path, item, environment, defects) else { continue };
        if logins.iter().any(|other| other.name == login.name || other.secret == login.secret) {
            let refusal = Refusal::new(
                "another login has its name or its secret",
                "give each login its own: the log names who changed something",
            );
            defects.push(refusal.at(&path));
        }
        logins.push(login);
    }
    logins
}

fn read_login(
    path: &str,
    item: &Value,
    environment: &dyn Environment,
    defects: &mut Vec<Defect>,
) -> Option<LoginConfig> {
    let mut section = Section::open(path, item, keys::LOGIN, defects)?;
    let name = section.required("name", "write a name for logs", words::name);
    let role = section.required("role", "write read or admin", role);
    let given = section.required_raw("secret", "write { env: NAME } or { file: /path }")?;
    let path = section.path_of("secret");
    let secret = read_property(&path, ("secret", given), environment, section.defects())?;
    let secret = Secret::new(secret.reveal().to_owned());
    if secret.reveal().chars().count() < SECRET_CHARS_MIN {
        let right =
            format!("take {SECRET_CHARS_MIN} characters or more, such as openssl rand -hex 24");
        section.refuse("secret", Refusal::new("a secret that can be guessed", right));
        return None;
    }
    Some(LoginConfig { name: name?, role: role?, secret })
}

fn role(value: &Value) -> Result<Role, Refusal> {
    words::one_of(value, "a role", &[("read", Role::Read), ("admin", Role::Admin)])
}

/// Where others can reach a place, a login alone would tell its secret to whoever listens, and TLS
/// alone asks nobody.
fn open_to_others(place: ClusterHttp, protection: Protection, word: &str) -> Option<Refusal> {
    let listen = place.listen.filter(|listen| !listen.ip().is_loopback() && !place.insecure)?;
    let (lacking, give) = match (protection.by_logins, protection.by_tls) {
        (true, true) => return None,
        (false, true) => ("nobody is asked for a login", "http.logins"),
        (true, false) => ("logins would travel there as they are", "http.tls"),
        (false, false) => {
            ("nobody is asked for a login, and nothing is encrypted", "http.logins and http.tls")
        }
    };
    Some(Refusal::new(
        format!("others can reach {listen}: {lacking}"),
        format!(
            "give {give}, listen at 127.0.0.1, or write {word}: true where the network keeps others \
             out, or something before the mirror does"
        ),
    ))
}

fn listen(value: &Value) -> Result<Option<SocketAddr>, Refusal> {
    let right = "write an IP address and a port, such as 127.0.0.1:8080, or none";
    let text = value.as_str().unwrap_or_default();
    if text == NONE {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| Refusal::new(words::describe(value), right))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::testing::Given;

    fn read(value: &Value) -> (HttpConfig, Vec<String>) {
        let mut defects = Vec::new();
        let given = Given::default();
        let http = read_http(Some(value), &given, &mut defects);
        (http, defects.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn it_listens_where_only_this_machine_reaches_it_unless_told_otherwise() {
        let none = read_http(None, &Given::default(), &mut Vec::new());
        assert_eq!(none.listen.unwrap().to_string(), "127.0.0.1:8080");
        let (http, defects) = read(&json!({"listen": "none"}));
        assert_eq!((http.listen, defects.len()), (None, 0));
        let (http, defects) = read(&json!({"listen": "[::1]:0"}));
        assert_eq!((http.listen.unwrap().to_string().as_str(), defects.len()), ("[::1]:0", 0));
    }

    #[test]
    fn an_address_that_others_reach_wants_the_word_for_it() {
        let (_, defects) = read(&json!({"listen": "0.0.0.0:8080"}));
        assert!(defects[0].starts_with("http.listen"), "{defects:?}");
        assert!(defects[0].contains("insecure: true"), "{defects:?}");
        let (http, defects) = read(&json!({"listen": "0.0.0.0:8080", "insecure": true}));
        assert_eq!((http.insecure, defects.len()), (true, 0));
        let refused = HttpConfig::default().at("0.0.0.0:8080").unwrap_err().to_string();
        assert!(refused.contains("http.insecure: true"), "{refused}");
        assert!(http.at("0.0.0.0:9").is_ok(), "the file's word counts for a flag, too");
    }

    #[test]
    fn others_are_served_with_logins_and_tls_and_what_is_missing_is_named() {
        let file = |logins: &str, tls: &str| {
            let text = format!(r#"{{"listen": "0.0.0.0:8080"{logins}{tls}}}"#);
            read(&serde_json::from_str(&text).unwrap()).1
        };
        let logins =
            r#", "logins": [{"name": "a", "role": "read", "secret": "long-enough-to-be"}]"#;
        let tls = r#", "tls": {"certificate": "/none", "key": "/none"}"#;
        for (defects, missing) in [
            (file("", ""), "give http.logins and http.tls, "),
            (file(logins, ""), "as they are; give http.tls, "),
            (file("", tls), "asked for a login; give http.logins, "),
        ] {
            assert!(defects.last().unwrap().contains(missing), "{defects:?}");
        }
        let wrong_files = file(logins, tls);
        assert!(
            wrong_files.iter().all(|defect| defect.starts_with("http.tls.")),
            "{wrong_files:?}"
        );
        assert_eq!(wrong_files.len(), 2);
    }

    #[test]
    fn logins_are_all_checked() {
        let login =
            |name: &str, secret: &str| json!({"name": name, "role": "read", "secret": secret});
        let of = |logins: Value| read(&json!({"listen": "127.0.0.1:8080", "logins": logins}));
        let (http, defects) =
            of(json!([login("a", "hunter2hunter2"), login("b", "other-than-that")]));
        assert_eq!((http.logins.len(), defects), (2, Vec::new()));
        for (logins, path) in [
            (json!([]), "http.logins"),
            (json!([login("a", "hunter2")]), "http.logins[0].secret"),
            (
                json!([{"name": "a", "role": "root", "secret": "hunter2hunter2"}]),
                "http.logins[0].role",
            ),
            (json!([{"name": "a", "role": "read"}]), "http.logins[0].secret"),
            (
                json!([{"name": "a", "role": "read", "secret": {"env": "NONE"}}]),
                "http.logins[0].secret",
            ),
            (
                json!([login("a", "hunter2hunter2"), login("a", "other-than-that")]),
                "http.logins[1]",
            ),
            (json!([login("a", "hunter2hunter2"), login("b", "hunter2hunter2")]), "http.logins[1]"),
        ] {
            let (http, defects) = of(logins);
            assert!(defects[0].starts_with(path), "{path}: {defects:?}");
            assert!(!format!("{http:?}{defects:?}").contains("hunter2"), "{defects:?}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_one_that_is() {
        for wrong in [json!("localhost"), json!("localhost:8080"), json!(8080), json!("127.0.0.1")]
        {
            let (http, defects) = read(&json!({ "listen": wrong }));
            assert_eq!(http, HttpConfig::default());
            assert!(defects[0].contains("127.0.0.1:8080"), "{defects:?}");
        }
        let refused = HttpConfig::default().at("8080").unwrap_err().to_string();
        assert!(refused.contains("--http"), "{refused}");
        assert_eq!(HttpConfig::default().at("none").unwrap().listen, None);
    }
}
