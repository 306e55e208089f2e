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
use crate::config::words;

/// Where it listens unless told otherwise.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
/// The word for not listening at all.
const NONE: &str = "none";

/// A shorter secret is guessed.
const SECRET_CHARS_MIN: usize = 12;

/// What is served over HTTP, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpConfig {
    /// Where it listens; `None` is nowhere.
    pub listen: Option<SocketAddr>,
    /// Whether others may be answered without a login.
    pub insecure: bool,
    /// Who is answered; everybody where there is none.
    pub logins: Vec<LoginConfig>,
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
        Self { listen: Some(LISTEN), insecure: false, logins: Vec::new() }
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
        match config.exposed() {
            Some(listen) => Err(refuse(open_to_others(listen, "http.insecure"))),
            None => Ok(config),
        }
    }

    /// The address, where others can reach it and nothing says that they may.
    fn exposed(&self) -> Option<SocketAddr> {
        let is_open = !self.insecure && self.logins.is_empty();
        self.listen.filter(|listen| !listen.ip().is_loopback() && is_open)
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
    let http = HttpConfig {
        listen: section.or("listen", fallback.listen, listen),
        insecure: section.or("insecure", fallback.insecure, words::switch),
        logins: logins.unwrap_or_default(),
    };
    let has_logins = section.raw("logins").is_some();
    if let Some(listen) = http.exposed().filter(|_| !has_logins) {
        section.refuse("listen", open_to_others(listen, "http.insecure"));
    }
    http
}

/// Where a cluster is served at the root.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClusterHttp {
    /// Where it listens; `None` is nowhere.
    pub listen: Option<SocketAddr>,
    /// Whether others may be answered without a login.
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

/// A place of a cluster that others can reach, where nobody has to log in and nothing says that this
/// is meant. Its key is named by `path`.
pub(super) fn exposed(path: &str, http: ClusterHttp, logins: &[LoginConfig]) -> Option<Defect> {
    let ClusterHttp { listen, insecure } = http;
    let served = HttpConfig { listen, insecure, logins: logins.to_vec() };
    let refusal = open_to_others(served.exposed()?, &format!("{path}.insecure"));
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

fn open_to_others(listen: SocketAddr, word: &str) -> Refusal {
    Refusal::new(
        format!("others can reach {listen}, and nobody is asked for a login"),
        format!(
            "give http.logins, listen at 127.0.0.1, or write {word}: true where the network keeps \
             others out"
        ),
    )
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
    fn logins_open_an_address_to_others_and_are_all_checked() {
        let login =
            |name: &str, secret: &str| json!({"name": name, "role": "read", "secret": secret});
        let of = |logins: Value| read(&json!({"listen": "0.0.0.0:8080", "logins": logins}));
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
