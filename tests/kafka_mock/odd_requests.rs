//! Odd requests to registries and to exporters, in one process on real sockets.

use std::net::SocketAddr;

use proptest::prop_assert;
use proptest::strategy::Strategy;
use proptest::test_runner::Config;
use proptest::test_runner::TestRunner;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::exporters::Process;
use super::exporters::link;
use super::exporters::register_at;
use super::*;
use crate::requests::Request;
use crate::requests::request;

/// Each takes a millisecond or two.
const REQUESTS: u32 = 2_000;

/// Below which cluster a request is asked; nothing is the source at the root of its own address.
const PLACES: [&str; 5] = ["/source", "/target", "/other", "/%74arget", ""];

impl Request {
    fn bytes(&self, below: &str) -> Vec<u8> {
        let Self { method, path, query, headers, body } = self;
        let mark = if query.is_empty() { "" } else { "?" };
        let headers: Vec<String> =
            headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!(
            "{method} {below}{path}{mark}{query} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\
             Content-Length: {}\r\n{}\r\n",
            body.len(),
            headers.concat()
        );
        [head.as_bytes(), body].concat()
    }
}

/// Sends it, and takes all that comes back.
async fn send(address: SocketAddr, bytes: &[u8]) -> String {
    soon(async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // Who is answered early may find the connection closed.
        let _sent = stream.write_all(bytes).await;
        let _ended = stream.shutdown().await;
        let mut answer = Vec::new();
        let _read = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    })
    .await
}

#[test]
fn every_odd_request_is_answered_and_none_is_a_fault_of_ours() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mocks = MockPair::start().unwrap();
    let process = runtime.block_on(async {
        let process = Process::start(&mocks).await;
        register_at(&mocks.source, "orders", 7).await;
        assert_eq!(process.ask("POST", "", link("x")).await.0, 200);
        process.status_until("x", |status| status["offset"] == 0).await;
        process
    });
    let config = Config { cases: REQUESTS, failure_persistence: None, ..Config::default() };
    let asked = (proptest::sample::select(&PLACES[..]), request());
    let asked = asked.prop_map(|(below, request)| (below, request.bytes(below)));
    TestRunner::new(config)
        .run(&asked, |(below, bytes)| {
            let address = if below.is_empty() { process.source_address } else { process.address };
            let answer = runtime.block_on(send(address, &bytes));
            let code = answer.split(' ').nth(1).and_then(|code| code.parse::<u16>().ok());
            let is_known = code.is_some_and(|code| code < 500 || code == 501);
            prop_assert!(is_known, "{}\n{answer}", String::from_utf8_lossy(&bytes));
            Ok(())
        })
        .unwrap();
    runtime.block_on(process.end());
}
