//! Links that stand still.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_link_tells_how_far_its_source_has_gone_on_also_after_a_restart() {
    let mocks = MockPair::start().unwrap();
    let first = Process::start(&mocks).await;
    assert_eq!(first.ask("POST", "", link("x")).await.0, 200);
    register(&mocks, "orders", 7).await;
    first.status_until("x", |status| status["offset"] == 0).await;
    assert_eq!(first.put("/x/pause").await.0, 200);
    let behind = |records: u64| {
        move |answer: &(u16, Value)| {
            let told = &answer.1;
            told["state"] == "paused" && told["lag_records"] == records
        }
    };
    first.answer_until("/links/x", behind(0)).await;
    register(&mocks, "payments", 8).await;
    let told = first.answer_until("/links/x", behind(1)).await;
    assert_eq!((&told["done_before"], &told["source_end"]), (&json!(1), &json!(2)), "{told}");
    first.end().await;

    register(&mocks, "parcels", 9).await;
    let second = Process::start(&mocks).await;
    second.until_known("x").await;
    second.answer_until("/links/x", behind(2)).await;
    let aged = |answer: &(u16, Value)| answer.1["lag_ms"].as_u64() > Some(0);
    second.answer_until("/links/x", aged).await;
    assert_eq!(second.put("/x/resume").await.0, 200);
    second.status_until("x", |status| status["offset"] == 2).await;
    second.end().await;
}
