//! A link over REST whose name a link of the file has taken.

use schema_mirror::service::acknowledgements::asks;
use schema_mirror::service::status::Status;
use schema_mirror::service::supervisor::Restart;
use schema_mirror::service::supervisor::Watched;

use super::super::fences::fixed;
use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_definition_behind_a_link_of_the_file_is_deleted_and_the_file_s_link_is_not() {
    let mocks = MockPair::start().unwrap();
    let first = Process::start(&mocks).await;
    assert_eq!(first.ask("POST", "", link("dr")).await.0, 200);
    first.end().await;

    let watched = Watched {
        link: "dr".to_owned(),
        source: "source".to_owned(),
        target: "target".to_owned(),
        status: watch::channel(Status::default()).1,
        asks: asks().0,
    };
    let second = Process::start_beside(&mocks, vec![fixed(watched, Restart::default())]).await;
    let (code, told) = second.ask("DELETE", "/dr", Value::Null).await;
    assert_eq!(code, 200, "{told}");
    let message = told["message"].as_str().unwrap();
    assert!(message.contains("kept of dr is deleted") && message.contains("file"), "{message}");
    assert_eq!(second.get("/dr").await.0, 200, "the file's link goes on");
    let (code, refused) = second.ask("DELETE", "/dr", Value::Null).await;
    assert_eq!((code, &refused["error_code"]), (409, &json!(40963)), "{refused}");
    second.end().await;

    let third = Process::start(&mocks).await;
    assert_eq!(third.get("").await.1, json!([]), "it does not run again");
    third.end().await;
}
