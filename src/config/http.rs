//! Where the process is seen from outside.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::SocketAddr;

use serde_json::Value;

use crate::config::defect::ConfigError;
use crate::config::defect::Defect;
use crate::config::defect::Refusal;
use crate::config::keys;
use crate::config::section::Section;
use crate::config::words;

/// Where it listens unless told otherwise.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
/// The word for not listening at all.
const NONE: &str = "none";

/// What is served over HTTP, and to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpConfig {
    /// Where it listens; `None` is nowhere.
    pub listen: Option<SocketAddr>,
    /// Whether others may be answered without a login.
    pub insecure: bool,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self { listen: Some(LISTEN), insecure: false }
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
        config
            .exposed()
            .map_or(Ok(config), |listen| Err(refuse(open_to_others(listen, "http.insecure"))))
    }

    /// The address, where others can reach it and nothing says that they may.
    fn exposed(self) -> Option<SocketAddr> {
        self.listen.filter(|listen| !listen.ip().is_loopback() && !self.insecure)
    }
}

/// Reads the section; defaults where it is not given.
pub(super) fn read_http(value: Option<&Value>, defects: &mut Vec<Defect>) -> HttpConfig {
    read_at("http", value, HttpConfig::default(), defects)
}

/// Reads the section of a cluster, which has no place of its own unless it is given one.
pub(super) fn read_cluster_http(
    path: &str,
    value: Option<&Value>,
    defects: &mut Vec<Defect>,
) -> Option<SocketAddr> {
    read_at(path, value, HttpConfig { listen: None, insecure: false }, defects).listen
}

fn read_at(
    path: &str,
    value: Option<&Value>,
    fallback: HttpConfig,
    defects: &mut Vec<Defect>,
) -> HttpConfig {
    let Some(value) = value else { return fallback };
    let Some(mut section) = Section::open(path, value, keys::HTTP, defects) else {
        return fallback;
    };
    let http = HttpConfig {
        listen: section.or("listen", fallback.listen, listen),
        insecure: section.or("insecure", fallback.insecure, words::switch),
    };
    if let Some(listen) = http.exposed() {
        section.refuse("listen", open_to_others(listen, &section.path_of("insecure")));
    }
    http
}

fn open_to_others(listen: SocketAddr, word: &str) -> Refusal {
    Refusal::new(
        format!("others can reach {listen}, and nobody is asked for a login"),
        format!("listen at 127.0.0.1, or write {word}: true where the network keeps others out"),
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

    fn read(value: &Value) -> (HttpConfig, Vec<String>) {
        let mut defects = Vec::new();
        let http = read_http(Some(value), &mut defects);
        (http, defects.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn it_listens_where_only_this_machine_reaches_it_unless_told_otherwise() {
        let none = read_http(None, &mut Vec::new());
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
