//! What the page at `/` is made of, and what it asks for.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schema_mirror::service::set_aside::SetAside;

use super::*;

/// A page that listens.
struct Listener {
    stream: TcpStream,
    heard: String,
}

impl Listener {
    async fn open(server: &Server, login: &str) -> Self {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let request = format!("GET /ui/events HTTP/1.1\r\nHost: here\r\n{login}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        Self { stream, heard: String::new() }
    }

    /// Waits until this was heard, and forgets what came before.
    async fn hear(&mut self, awaited: &str) -> String {
        let listen = async {
            let mut bytes = [0; 4096];
            while !self.heard.contains(awaited) {
                let read = self.stream.read(&mut bytes).await.unwrap();
                assert!(read > 0, "it ended: {}", self.heard);
                self.heard.push_str(&String::from_utf8_lossy(&bytes[..read]));
            }
        };
        tokio::time::timeout(LIMIT, listen).await.expect("an event in time");
        std::mem::take(&mut self.heard)
    }
}

fn basic(pair: &str) -> String {
    format!("Authorization: Basic {}\r\n", STANDARD.encode(pair))
}

fn logins() -> Vec<Login> {
    vec![Login::reader("eve", "eves-long-secret"), Login::admin("bob", "bobs-long-secret")]
}

const LINK: &str = "/ui/links/a/to%20%22quote%22";

#[tokio::test]
async fn the_page_comes_with_all_its_files_and_lets_nothing_else_in() {
    let server = Server::start().await;
    let answer = server.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let head = head.to_ascii_lowercase();
    assert_eq!(code(&head), 200);
    for said in [
        "content-type: text/html",
        "default-src 'none'; script-src 'self'; style-src 'self';",
        "frame-ancestors 'none'",
        "x-content-type-options: nosniff",
    ] {
        assert!(head.contains(said), "{said} is not in {head}");
    }
    assert!(!head.contains("unsafe"), "{head}");
    let files: Vec<&str> =
        body.split("\"/ui/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(files, ["icon.svg", "style.css", "main.js"]);
    for file in files {
        assert_eq!(server.get(&format!("/ui/{file}")).await.0, 200, "{file}");
    }
    assert_eq!(server.get("/ui/other.js").await.0, 404);
    assert_eq!(server.get("/ui/..%2fmod.rs").await.0, 404);
}

#[tokio::test]
async fn a_page_hears_of_all_links_and_then_of_what_changes() {
    let server = Server::start().await;
    let mut page = Listener::open(&server, "").await;
    let first = page.hear("\"is_complete\":true}").await;
    assert!(first.contains("text/event-stream"), "{first}");
    assert!(first.contains("event: hello\n") && first.contains("event: links\n"), "{first}");
    assert!(first.contains(r#""state":"preflight""#), "{first}");
    server.link.send_modify(|status| status.phase = Phase::Halted("no more".to_owned()));
    let second = page.hear("\"is_complete\":true}").await;
    assert!(second.contains(r#""state":"halted","reason":"no more""#), "{second}");
    assert!(!second.contains("hello"), "{second}");
}

#[tokio::test]
async fn only_so_many_pages_listen_and_the_next_one_may_when_one_is_closed() {
    let server = Server::start().await;
    let mut pages = Vec::new();
    for _ in 0..32 {
        let mut page = Listener::open(&server, "").await;
        page.hear("hello").await;
        pages.push(page);
    }
    let (code, body) = server.get("/ui/events").await;
    assert_eq!(code, 503, "{body}");
    assert!(body.contains("32 pages are open already"), "{body}");
    pages.pop();
    let freed = async {
        loop {
            // Whoever is gone is missed when something is said to him.
            server.link.send_modify(|status| status.lives += 1);
            let mut page = Listener::open(&server, "").await;
            if page.hear("HTTP/1.1 ").await.contains("HTTP/1.1 200") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(LIMIT, freed).await.expect("a place in time");
    assert_eq!(pages.len(), 31, "the others go on listening");
}

#[tokio::test]
async fn a_page_is_told_whether_its_login_may_change_links_and_is_held_to_it() {
    let server = Server::start_for(logins()).await;
    assert_eq!(server.get("/").await.0, 401);
    assert_eq!(server.get("/ui/events").await.0, 401);
    for (login, may_change, verifies) in
        [("eve:eves-long-secret", false, 403), ("bob:bobs-long-secret", true, 503)]
    {
        let login = basic(login);
        let told = Listener::open(&server, &login).await.hear(",\"now_ms\"").await;
        assert!(told.contains(&format!("\"may_change\":{may_change}")), "{told}");
        let request = format!(
            "POST {LINK}/verify HTTP/1.1\r\nHost: here\r\n{login}Connection: close\r\n\r\n"
        );
        assert_eq!(code(&server.send(request.as_bytes()).await), verifies, "{login}");
    }
}

#[tokio::test]
async fn nobody_verifies_from_the_page_of_another_site() {
    let server = Server::start().await;
    let request = format!(
        "POST {LINK}/verify HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://evil\r\nConnection: close\r\n\r\n"
    );
    assert_eq!(code(&server.send(request.as_bytes()).await), 403);
}

#[tokio::test]
async fn what_is_set_aside_is_told_with_its_reason_and_what_ends_it() {
    let server = Server::start().await;
    server.link.send_modify(|status| {
        status.incidents.source = 3;
        status.set_aside = Arc::from([SetAside {
            word: "incident",
            key: "orders v1".to_owned(),
            offset: Some(7),
            reason: "it is no JSON".to_owned(),
            remedy: Some("register it again".to_owned()),
            acknowledged: None,
            subject: None,
        }]);
    });
    let (code, body) = server.get(&format!("{LINK}/incidents")).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    let expected = serde_json::json!({
        "set_aside": [{
            "word": "incident", "key": "orders v1", "offset": 7, "reason": "it is no JSON",
            "remedy": "register it again", "acknowledged": null,
        }],
        "left_off": 2,
    });
    assert_eq!((code, body), (200, expected));
}

#[tokio::test]
async fn what_is_asked_of_a_link_wrongly_is_said_to_be() {
    let server = Server::start().await;
    for (path, expected) in [
        ("/ui/links/a/other/writes".to_owned(), 404),
        ("/ui/links/b/to%20%22quote%22/writes".to_owned(), 404),
        (format!("{LINK}/writes"), 200),
        (format!("{LINK}/record?offset=-1"), 400),
        (format!("{LINK}/record"), 400),
        (format!("{LINK}/record?offset=1"), 503),
        (format!("{LINK}/subjects?only=nonsense"), 400),
        (format!("{LINK}/subjects"), 503),
    ] {
        let (code, body) = server.get(&path).await;
        assert_eq!(code, expected, "{path}: {body}");
    }
}
