//! What is served over HTTP, on a real socket.

#[cfg(test)]
#[path = "support/certificates.rs"]
mod certificates;
#[cfg(test)]
#[path = "support/output.rs"]
mod output;
#[cfg(test)]
#[path = "support/wait.rs"]
mod wait;

#[cfg(test)]
mod http {
    mod acknowledge;
    mod page;
    mod tls;

    use std::net::SocketAddr;
    use std::sync::Arc;
    use std::time::Duration;

    use proptest::prelude::*;
    use schema_mirror::api::Board;
    use schema_mirror::api::Login;
    use schema_mirror::api::Served;
    use schema_mirror::api::Tls;
    use schema_mirror::api::serve;
    use schema_mirror::api::serve_cluster;
    use schema_mirror::kafka::KafkaCluster;
    use schema_mirror::service::acknowledgements::Asked;
    use schema_mirror::service::acknowledgements::asks;
    use schema_mirror::service::catalog::Catalogs;
    use schema_mirror::service::clock::SystemClock;
    use schema_mirror::service::exporter::Desk;
    use schema_mirror::service::set_aside::SetAside;
    use schema_mirror::service::status::Phase;
    use schema_mirror::service::status::Status;
    use schema_mirror::service::supervisor::Roster;
    use schema_mirror::service::supervisor::Watched;
    use serde_json::Value;
    use tokio::io::AsyncReadExt;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;
    use tokio::net::TcpStream;
    use tokio::sync::watch;

    const LIMIT: Duration = Duration::from_secs(20);

    /// A server with one link, in the runtime of the test.
    struct Server {
        address: SocketAddr,
        link: watch::Sender<Status>,
        roster: watch::Sender<Roster>,
        /// Where the link would hear what it is asked.
        asked: Asked,
        _desk: watch::Sender<Option<Arc<Desk<KafkaCluster, SystemClock>>>>,
    }

    impl Server {
        async fn start() -> Self {
            Self::start_for(Vec::new()).await
        }

        /// One that answers to these logins only.
        async fn start_for(logins: Vec<Login>) -> Self {
            Self::start_at(None, logins).await
        }

        /// The same for a cluster with an address of its own.
        async fn start_at(cluster: Option<&str>, logins: Vec<Login>) -> Self {
            Self::start_over(None, cluster, logins).await
        }

        /// The same over TLS, where there is any.
        async fn start_over(tls: Option<Tls>, cluster: Option<&str>, logins: Vec<Login>) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let (link, status) = watch::channel(Status::default());
            let (asks, asked) = asks();
            let watched = Watched {
                link: "to \"quote\"".to_owned(),
                source: "a".to_owned(),
                target: "b".to_owned(),
                status,
                asks,
            };
            let roster = Roster { links: vec![watched], is_complete: true };
            let (roster, seen) = watch::channel(roster);
            let (desk, desks) = watch::channel(None);
            let clock = SystemClock::start();
            let catalogs = watch::channel(Catalogs::new()).1;
            let board = Board::new(seen, clock);
            let served = Served { board, desks, catalogs, logins, tls, clock };
            match cluster {
                None => tokio::spawn(serve(listener, served)),
                Some(name) => tokio::spawn(serve_cluster(listener, name.to_owned(), served)),
            };
            Self { address, link, roster, asked, _desk: desk }
        }

        /// Sends bytes and takes all that comes back.
        async fn send(&self, bytes: &[u8]) -> String {
            let talk = async {
                let mut stream = TcpStream::connect(self.address).await.unwrap();
                // Who is answered early may find the connection closed.
                let _sent = stream.write_all(bytes).await;
                let _ended = stream.shutdown().await;
                let mut answer = Vec::new();
                let _read = stream.read_to_end(&mut answer).await;
                String::from_utf8_lossy(&answer).into_owned()
            };
            tokio::time::timeout(LIMIT, talk).await.expect("an answer in time")
        }

        async fn ask(&self, method: &str, path: &str) -> (u16, String) {
            let request =
                format!("{method} {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
            let answer = self.send(request.as_bytes()).await;
            let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
            (code(head), body.to_owned())
        }

        /// Asks with a secret; none where it is empty.
        async fn ask_as(&self, method: &str, path: &str, secret: &str) -> String {
            let login = match secret {
                "" => String::new(),
                secret => format!("Authorization: Bearer {secret}\r\n"),
            };
            let head = format!(
                "{method} {path} HTTP/1.1\r\nHost: here\r\n{login}Connection: close\r\n\r\n"
            );
            self.send(head.as_bytes()).await
        }

        async fn get(&self, path: &str) -> (u16, String) {
            self.ask("GET", path).await
        }
    }

    fn code(answer: &str) -> u16 {
        answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status line")
    }

    #[tokio::test]
    async fn a_process_lives_at_once_and_is_ready_when_its_links_have_settled() {
        let server = Server::start().await;
        assert_eq!(server.get("/live").await, (200, "live\n".to_owned()));
        server.link.send_modify(|status| status.phase = Phase::Waiting("no broker".to_owned()));
        let (code, body) = server.get("/ready").await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((code, &body["ready"]), (503, &Value::Bool(false)));
        assert_eq!(body["waiting"][0]["link"], "to \"quote\"");
        assert_eq!(body["waiting"][0]["reason"], "no broker");
        server.link.send_modify(|status| status.settled = true);
        assert_eq!(server.get("/ready").await.0, 200);
        server.link.send_modify(|status| status.settled = false);
        assert_eq!(server.get("/ready").await.0, 200, "it stays ready");
    }

    #[tokio::test]
    async fn metrics_are_text_that_prometheus_reads_and_change_with_the_link() {
        let server = Server::start().await;
        server.link.send_modify(|status| status.phase = Phase::Running);
        let (code, body) = server.get("/metrics").await;
        assert_eq!(code, 200);
        assert!(body.ends_with("# EOF\n"), "{body}");
        let labels = r#"link="to \"quote\"",source="a",target="b""#;
        let running = format!("schema_mirror_link_state{{{labels},state=\"running\"}} 1\n");
        assert!(body.contains(&running), "{body}");
        server.link.send_modify(|status| status.phase = Phase::Halted("why".to_owned()));
        assert!(!server.get("/metrics").await.1.contains(&running));
    }

    #[tokio::test]
    async fn a_link_is_shown_with_its_reason_and_an_unknown_one_is_said_to_be() {
        let server = Server::start().await;
        server.link.send_modify(|status| {
            status.phase = Phase::Halted("the fence was lifted".to_owned());
            status.lag.saw(5, Duration::ZERO);
        });
        let (code, all) = server.get("/links").await;
        let all: Value = serde_json::from_str(&all).unwrap();
        let (_, one) = server.get("/links/to%20%22quote%22").await;
        let one: Value = serde_json::from_str(&one).unwrap();
        assert_eq!(code, 200);
        for link in [&all["links"][0], &one] {
            assert_eq!(link["state"], "halted");
            assert_eq!(link["reason"], "the fence was lifted");
            assert_eq!(link["lag_records"], 5);
        }
        let (code, body) = server.get("/links/other").await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((code, &body["error_code"]), (404, &Value::from(404)));
    }

    #[tokio::test]
    async fn what_a_link_sets_aside_is_told_with_how_many_more_there_are() {
        let server = Server::start().await;
        let held = |number: i64| SetAside {
            word: "held",
            key: format!("s{number} v1"),
            offset: Some(number),
            reason: "it waits".to_owned(),
            remedy: None,
            acknowledged: None,
            subject: None,
        };
        server.link.send_modify(|status| {
            (status.held, status.incidents.acknowledged) = (7, 2);
            status.set_aside = (0..5).map(held).collect();
        });
        for (path, shown, left_off) in [("", 3, 6), ("/incidents", 5, 4)] {
            let (code, body) = server.get(&format!("/links/to%20%22quote%22{path}")).await;
            let body: Value = serde_json::from_str(&body).unwrap();
            let count = body["set_aside"].as_array().map(Vec::len);
            assert_eq!((code, count), (200, Some(shown)), "{body}");
            assert_eq!(
                (&body["set_aside_left_off"], &body["held_keys"]),
                (&left_off.into(), &7.into())
            );
            assert_eq!((&body["incidents"], &body["acknowledged"]), (&0.into(), &2.into()));
            assert_eq!(body["set_aside"][1]["offset"], 1);
        }
        assert_eq!(server.get("/links/other/incidents").await.0, 404);
    }

    #[tokio::test]
    async fn of_links_with_one_name_the_source_says_which_and_none_is_taken_by_chance() {
        let server = Server::start().await;
        let (_other, status) = watch::channel(Status::default());
        server.roster.send_modify(|roster| {
            let link = "to \"quote\"".to_owned();
            let (source, target) = ("c".to_owned(), "b".to_owned());
            roster.links.push(Watched { link, source, target, status, asks: asks().0 });
        });
        for path in ["/links/to%20%22quote%22", "/links/to%20%22quote%22/caught-up?offset=1"] {
            let (code, body) = server.get(path).await;
            assert_eq!(code, 409, "{path}: {body}");
            assert!(body.contains("from a and c"), "{body}");
        }
        for source in ["a", "c"] {
            let path = format!("/links/to%20%22quote%22?source={source}");
            let (code, body) = server.get(&path).await;
            let body: Value = serde_json::from_str(&body).unwrap();
            assert_eq!((code, &body["source"]), (200, &Value::from(source)));
        }
        let path = "/links/to%20%22quote%22/caught-up?source=c&offset=1";
        assert_eq!(server.get(path).await.0, 200);
        assert_eq!(server.get("/links/to%20%22quote%22?source=d").await.0, 404);
    }

    #[tokio::test]
    async fn a_link_has_caught_up_with_an_offset_when_its_record_is_in_the_target() {
        let server = Server::start().await;
        let asked = |query: &'static str| {
            let server = &server;
            async move {
                let path = format!("/links/to%20%22quote%22/caught-up{query}");
                let (code, body) = server.get(&path).await;
                let body: Value = serde_json::from_str(&body).unwrap();
                (code, body["caught_up"].as_bool())
            }
        };
        server.link.send_modify(|status| (status.source_end, status.done_before) = (12, 10));
        assert_eq!(asked("?offset=9").await, (200, Some(false)), "it does not run");
        server.link.send_modify(|status| status.phase = Phase::Running);
        assert_eq!(asked("?offset=9").await, (200, Some(true)));
        assert_eq!(asked("?offset=10").await, (200, Some(false)), "its record is still to come");
        assert_eq!(asked("").await, (200, Some(false)));
        server.link.send_modify(|status| status.done_before = 12);
        assert_eq!(asked("").await, (200, Some(true)));
        server.link.send_modify(|status| status.held = 1);
        assert_eq!(asked("").await, (200, Some(false)), "what is held can't be read");
        server.link.send_modify(|status| (status.held, status.incidents.source) = (0, 1));
        assert_eq!(asked("").await, (200, Some(false)), "nor can an incident's record");
        server.link.send_modify(|status| {
            (status.incidents.source, status.incidents.acknowledged) = (0, 1);
        });
        assert_eq!(
            asked("").await,
            (200, Some(true)),
            "which holds up nobody when it is acknowledged"
        );
        for wrong in ["?ofset=1", "?offset=x", "?offset=-1", "?offset=9999999999999999999"] {
            assert_eq!(asked(wrong).await, (400, None), "{wrong}");
        }
        assert_eq!(server.get("/links/other/caught-up").await.0, 404);
    }

    /// The clock of the test goes on by itself whenever nothing else is to be done.
    #[tokio::test(start_paused = true)]
    async fn who_says_no_more_for_ten_seconds_is_hung_up_on() {
        let server = Server::start().await;
        for (said, answered) in
            [("GET /live HT", false), ("GET /live HTTP/1.1\r\nHost: a\r\n\r\n", true)]
        {
            let began = tokio::time::Instant::now();
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            stream.write_all(said.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            assert_eq!(String::from_utf8_lossy(&answer).contains("live\n"), answered, "{said}");
            let waited = began.elapsed();
            let about_ten = Duration::from_secs(9)..Duration::from_secs(12);
            assert!(about_ten.contains(&waited), "{said:?} was kept for {waited:?}");
        }
    }

    #[tokio::test]
    async fn nothing_can_be_written_and_odd_requests_get_no_fault_of_ours() {
        let server = Server::start().await;
        for (method, path, wanted) in [
            ("POST", "/links", 405),
            ("DELETE", "/links/x", 405),
            ("GET", "/nothing", 404),
            ("GET", "/links/%ff", 400),
            ("GET", "/metrics/../links", 404),
            ("HEAD", "/metrics", 200),
        ] {
            assert_eq!(server.ask(method, path).await.0, wanted, "{method} {path}");
        }
        let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(100_000));
        assert!((400..500).contains(&code(&server.send(long.as_bytes()).await)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn whatever_is_sent_the_next_one_is_answered(
            noise in prop::collection::vec(any::<u8>(), 0..200),
            path in "[ -~]{0,40}",
            method in "[A-Z]{1,8}",
        ) {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let server = Server::start().await;
                let request = format!("{method} /{path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
                for sent in [request.as_bytes(), &noise] {
                    let answer = server.send(sent).await;
                    prop_assert!(answer.is_empty() || code(&answer) < 500, "{answer}");
                }
                prop_assert_eq!(server.get("/live").await.0, 200);
                Ok(())
            })?;
        }
    }

    #[tokio::test]
    async fn with_logins_a_reader_reads_an_admin_changes_and_nobody_else_is_answered() {
        let logins =
            vec![Login::reader("eve", "eves-long-secret"), Login::admin("bob", "bobs-long-secret")];
        let server = Server::start_for(logins).await;
        let asked = async |method: &str, path: &str, secret: &str| {
            server.ask_as(method, path, secret).await
        };
        for path in ["/links", "/metrics", "/clusters", "/a/exporters", "/nowhere"] {
            for secret in ["", "eves-long-secrets"] {
                let answer = asked("GET", path, secret).await;
                assert_eq!(code(&answer), 401, "{path}: {answer}");
                assert!(answer.to_lowercase().contains("www-authenticate: basic"), "{answer}");
            }
        }
        assert_eq!(code(&asked("GET", "/live", "").await), 200);
        assert_ne!(code(&asked("GET", "/ready", "").await), 401);
        assert_eq!(code(&asked("GET", "/links", "eves-long-secret").await), 200);
        let pause = "/a/exporters/x/pause";
        assert_eq!(code(&asked("PUT", pause, "").await), 401);
        assert_eq!(code(&asked("PUT", pause, "eves-long-secret").await), 403);
        // The desk is not open in this test; whoever may change comes so far.
        assert_eq!(code(&asked("PUT", pause, "bobs-long-secret").await), 503);
    }

    #[tokio::test]
    async fn a_cluster_s_own_address_asks_for_the_same_logins() {
        let logins =
            vec![Login::reader("eve", "eves-long-secret"), Login::admin("bob", "bobs-long-secret")];
        let server = Server::start_at(Some("a"), logins).await;
        for (asked, secret, expected) in [
            ("GET /subjects", "", 401),
            ("GET /live", "", 401),
            ("OPTIONS *", "", 401),
            ("PUT /exporters/x/pause", "eves-long-secret", 403),
            ("PUT /mode/:.c:", "eves-long-secret", 403),
            ("DELETE /subjects/s", "eves-long-secret", 403),
            ("OPTIONS *", "eves-long-secret", 404),
            // Whoever may ask comes so far: neither desk nor registry is there in this test.
            ("GET /exporters", "eves-long-secret", 503),
            ("POST /subjects/s", "eves-long-secret", 503),
            ("PUT /exporters/x/pause", "bobs-long-secret", 503),
            ("GET /links", "bobs-long-secret", 503),
        ] {
            let (method, path) = asked.split_once(' ').unwrap();
            let answer = server.ask_as(method, path, secret).await;
            assert_eq!(code(&answer), expected, "{asked} {secret}: {answer}");
        }
    }
}
