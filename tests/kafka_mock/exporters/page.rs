//! What the page at `/` asks for, of a link that runs.

use super::*;

const LINK: &str = "/ui/links/source/one";

async fn mirrored(mocks: &MockPair) -> Process {
    register(mocks, "orders", 7).await;
    let process = Process::start(mocks).await;
    assert_eq!(process.ask("POST", "", link("one")).await.0, 200);
    process.until("one", "RUNNING").await;
    process
}

#[tokio::test]
async fn both_sides_of_a_link_stand_beside_each_other_with_versions_and_ids() {
    let mocks = MockPair::start().unwrap();
    let process = mirrored(&mocks).await;
    let told =
        process.answer_until(&format!("{LINK}/subjects"), |(_, told)| told["differing"] == 0).await;
    assert_eq!(
        told["subjects"],
        json!([["same", "orders", [[1, 7, 0]], ":.source:orders", [[1, 7, 0]]]])
    );
    assert_eq!(
        told["contexts"],
        json!([{
            "source": ".", "target": ".source", "source_subjects": 1, "target_subjects": 1,
            "target_mode": "READONLY",
        }])
    );
    let asked = |query: &'static str| {
        let process = &process;
        async move {
            let (code, told) =
                process.at("GET", &format!("{LINK}/subjects{query}"), Value::Null).await;
            (code, told["subjects"].as_array().map(Vec::len))
        }
    };
    assert_eq!(asked("?search=ORD").await, (200, Some(1)));
    assert_eq!(asked("?search=other").await, (200, Some(0)));
    assert_eq!(asked("?only=different").await, (200, Some(0)));
    assert_eq!(asked("?exactly=:.source:orders").await, (200, Some(1)));
    assert_eq!(asked("?exactly=orders").await, (200, Some(0)));
    process.end().await;
}

#[tokio::test]
async fn what_was_written_and_read_and_whether_it_is_equal_can_be_asked() {
    let mocks = MockPair::start().unwrap();
    let process = mirrored(&mocks).await;
    let (code, told) = process.at("GET", &format!("{LINK}/writes"), Value::Null).await;
    let writes = told["writes"].as_array().unwrap();
    let version = writes.iter().find(|write| write["subject"] == ":.source:orders").unwrap();
    assert_eq!((code, &version["what"], &version["version"]), (200, &json!("put"), &json!(1)));
    assert_eq!(version["id"], 7);
    let (code, record) = process.at("GET", &format!("{LINK}/record?offset=0"), Value::Null).await;
    assert_eq!(code, 200, "{record}");
    assert!(record["key"].as_str().unwrap().contains(r#""subject":"orders""#), "{record}");
    let (code, told) = process.at("POST", &format!("{LINK}/verify"), Value::Null).await;
    assert_eq!((code, &told["result"]), (200, &json!("equal")), "{told}");
    assert_eq!((&told["differences"], &told["incidents"]), (&json!([]), &json!(0)));
    process.end().await;
}

#[tokio::test]
async fn a_link_that_is_kept_and_does_not_run_is_told_of_too() {
    let mocks = MockPair::start().unwrap();
    let process = mirrored(&mocks).await;
    assert_eq!(process.put("/one/pause").await.0, 200);
    process.until("one", "PAUSED").await;
    process.end().await;
    let process = Process::start(&mocks).await;
    process.until_known("one").await;
    let mut stream = TcpStream::connect(process.address).await.unwrap();
    stream.write_all(b"GET /ui/events HTTP/1.1\r\nHost: here\r\n\r\n").await.unwrap();
    let mut heard = String::new();
    while !heard.contains(r#""link":"one""#) {
        let mut bytes = [0; 4096];
        let read = soon(stream.read(&mut bytes)).await.unwrap();
        heard.push_str(&String::from_utf8_lossy(&bytes[..read]));
    }
    assert!(heard.contains(r#""state":"paused""#), "{heard}");
    process.end().await;
}
