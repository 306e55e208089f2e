//! Incidents that are acknowledged over HTTP. The link is played here: what it makes of a request is
//! told where it is tested.

use schema_mirror::core::link::turn::Grounds;
use schema_mirror::core::link::turn::NotTurned;
use schema_mirror::core::link::turn::Turn;
use schema_mirror::core::link::turn::Which;
use schema_mirror::service::acknowledgements::Ask;
use schema_mirror::service::acknowledgements::Unturned;
use serde_json::json;

use super::*;

const ACK: &str = "/links/to%20%22quote%22/incidents/ack";
const UNACK: &str = "/links/to%20%22quote%22/incidents/unack";
const SECRET: &str = "bobs-long-secret";

impl Server {
    async fn follows() -> Self {
        let server = Self::start().await;
        server.link.send_modify(|status| status.phase = Phase::Running);
        server
    }

    /// Posts a document, with more lines of a head.
    async fn post(&self, path: &str, body: &Value, lines: &str) -> (u16, Value) {
        let body = body.to_string();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n{lines}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = self.send(request.as_bytes()).await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        (code(head), serde_json::from_str(body).unwrap_or(Value::Null))
    }

    /// The same, while the link answers what it is asked.
    async fn post_answered(
        &self,
        (path, body): (&str, &Value),
        lines: &str,
        answer: Result<Vec<String>, Unturned>,
    ) -> ((u16, Value), (Which, Turn)) {
        let answers = async {
            let ask: Ask = self.asked.next().await;
            let said = (ask.which.clone(), ask.turn.clone());
            ask.answer(answer);
            said
        };
        tokio::join!(self.post(path, body, lines), answers)
    }
}

fn grounds(by: &str, why: &str) -> Turn {
    Turn::Acknowledge(Grounds::new(by, why).unwrap())
}

#[tokio::test]
async fn a_link_is_told_who_lets_which_incidents_stand_and_why() {
    let server = Server::follows().await;
    let body = json!({ "key": "s v1", "why": "old", "by": "alice" });
    let done = Ok(vec!["s v1".to_owned()]);
    let (answer, said) = server.post_answered((ACK, &body), "", done).await;
    assert_eq!(said, (Which::Key("s v1".to_owned()), grounds("alice", "old")));
    let expected = json!({
        "link": "to \"quote\"", "source": "a", "done": "acknowledged", "incidents": 1, "keys": ["s v1"],
    });
    assert_eq!(answer, (200, expected));
    let done = Ok(vec!["s v1".to_owned(), "t v1".to_owned()]);
    let all = json!({ "all": true });
    let (answer, said) = server.post_answered((UNACK, &all), "", done).await;
    assert_eq!(said, (Which::All, Turn::Withdraw));
    assert_eq!((answer.0, &answer.1["done"]), (200, &json!("withdrawn")));
    assert_eq!(answer.1["incidents"], 2);
}

#[tokio::test]
async fn what_the_link_refuses_is_refused_with_its_words() {
    let server = Server::follows().await;
    let body = json!({ "all": true, "why": "old", "by": "alice" });
    let not_there = Unturned::Refused(NotTurned::NotThere("there is no incident".to_owned()));
    let too_many = Unturned::Refused(NotTurned::TooMany("enough".to_owned()));
    let not_kept = Unturned::NotKept("append to topic x at cluster b: away".to_owned());
    for (answer, expected, words) in [
        (not_there, 404, "link to \"quote\": there is no incident"),
        (too_many, 409, "link to \"quote\": enough"),
        (not_kept, 503, "link to \"quote\" to b: append to topic x at cluster b: away"),
    ] {
        let (answer, _) = server.post_answered((ACK, &body), "", Err(answer)).await;
        assert_eq!((answer.0, answer.1["message"].as_str()), (expected, Some(words)));
        assert_eq!(answer.1["error_code"], expected);
    }
}

#[tokio::test]
async fn what_is_asked_for_wrongly_reaches_no_link() {
    let server = Server::follows().await;
    let long = "x".repeat(501);
    for (path, body, expected, words) in [
        (ACK, json!({ "key": "s", "by": "alice" }), 400, "why is missing"),
        (ACK, json!({ "key": "s", "why": " ", "by": "alice" }), 400, "why is a line"),
        (ACK, json!({ "key": "s", "why": long, "by": "alice" }), 400, "1 to 500"),
        (ACK, json!({ "key": "s", "why": "a\nb", "by": "alice" }), 400, "control"),
        (ACK, json!({ "key": "s", "why": "old" }), 400, "by is missing"),
        (ACK, json!({ "key": "s", "why": "old", "by": "" }), 400, "by is a line"),
        (ACK, json!({ "why": "old", "by": "alice" }), 400, "either key"),
        (ACK, json!({ "key": "s", "all": true, "why": "old", "by": "a" }), 400, "either key"),
        (ACK, json!({ "keys": ["s"], "why": "old", "by": "a" }), 400, "unknown field"),
        (ACK, json!([]), 400, "the body has key or all"),
        (UNACK, json!({ "key": "s", "why": "old" }), 400, "and nothing else"),
        ("/links/other/incidents/ack", json!({}), 400, "either key"),
        ("/links/other/incidents/unack", json!({ "all": true }), 404, "no link is named other"),
        (UNACK, json!({}), 400, "either key"),
    ] {
        let (code, answer) = server.post(path, &body, "").await;
        let message = answer["message"].as_str().unwrap_or_default();
        assert_eq!(code, expected, "{path} {body}: {answer}");
        assert!(message.contains(words), "{words:?} in {message}");
    }
    let (code, _) = server.post(&format!("{ACK}?sorce=a"), &json!({ "all": true }), "").await;
    assert_eq!((code, server.get(ACK).await.0), (400, 405));
}

#[tokio::test]
async fn a_link_that_does_not_follow_here_is_said_not_to() {
    let server = Server::start().await;
    let body = json!({ "all": true, "why": "old", "by": "alice" });
    for (phase, words) in [
        (
            Phase::Standby,
            "is standby here: its incidents are acknowledged while it follows its source; ask",
        ),
        (Phase::Paused, "is paused here"),
        (Phase::Halted("why".to_owned()), "is halted here"),
        (Phase::Reconciling, "is reconciling here"),
    ] {
        server.link.send_modify(|status| status.phase = phase);
        let (code, answer) = server.post(ACK, &body, "").await;
        let message = answer["message"].as_str().unwrap_or_default();
        assert_eq!(code, 409, "{answer}");
        assert!(message.contains(words), "{words:?} in {message}");
    }
}

/// The clock of the test goes on by itself whenever nothing else is to be done.
#[tokio::test(start_paused = true)]
async fn a_link_whose_target_is_away_is_named_with_what_it_waits_for() {
    let server = Server::start().await;
    let away = Phase::Waiting("describe topic _schemas at cluster b: no broker".to_owned());
    server.link.send_modify(|status| status.phase = away);
    let body = json!({ "all": true, "why": "old", "by": "alice" });
    let (code, answer) = server.post(ACK, &body, "").await;
    let message = answer["message"].as_str().unwrap_or_default();
    assert_eq!(code, 503, "{answer}");
    for words in
        ["to b: the link did not answer within 10 s", "It waits: describe topic _schemas at"]
    {
        assert!(message.contains(words), "{words:?} in {message}");
    }
}

#[tokio::test]
async fn whoever_logged_in_is_who_lets_them_stand_and_readers_do_not() {
    let logins = vec![Login::reader("eve", "eves-long-secret"), Login::admin("bob", SECRET)];
    let server = Server::start_for(logins).await;
    server.link.send_modify(|status| status.phase = Phase::Running);
    let body = json!({ "key": "s v1", "why": "old" });
    let admin = format!("Authorization: Bearer {SECRET}\r\n");
    let done = || Ok(vec!["s v1".to_owned()]);
    let (answer, (_, turn)) = server.post_answered((ACK, &body), &admin, done()).await;
    assert_eq!((answer.0, turn), (200, grounds("bob", "old")));
    let body = json!({ "key": "s v1", "why": "old", "by": "alice" });
    let (_, (_, turn)) = server.post_answered((ACK, &body), &admin, done()).await;
    assert_eq!(turn, grounds("alice (login bob)", "old"));
    let reader = "Authorization: Bearer eves-long-secret\r\n";
    for (lines, expected) in [(reader, 403), ("", 401)] {
        assert_eq!(server.post(ACK, &body, lines).await.0, expected, "{lines:?}");
        assert_eq!(server.post(UNACK, &json!({ "all": true }), lines).await.0, expected);
    }
}

#[tokio::test]
async fn a_page_of_another_site_acknowledges_nothing_whatever_the_link_is_called() {
    let server = Server::follows().await;
    let body = json!({ "all": true, "why": "old", "by": "alice" });
    for path in [ACK, UNACK, "/links/subjects/incidents/ack", "/links/contexts/incidents/unack"] {
        let (code, answer) = server.post(path, &body, "Sec-Fetch-Site: cross-site\r\n").await;
        assert_eq!(code, 403, "{path}: {answer}");
    }
}
