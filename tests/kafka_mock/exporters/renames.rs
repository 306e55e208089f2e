//! Links over REST that rename by a list of rules.

use super::*;

fn config(rules: &str) -> Value {
    json!({ "schema.registry.url": TARGET_URL, "mirror.subject_renames": rules })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_rules_renames_and_two_subjects_of_one_name_pause_the_link_before_it_writes() {
    let mocks = MockPair::start().unwrap();
    let process = Process::start(&mocks).await;
    register(&mocks, "eu-orders", 7).await;
    register(&mocks, "us-orders", 8).await;
    let rules = |us: &str| {
        format!(r#"[{{"match":"eu-(.*)","replace":"$1"}},{{"match":"us-(.*)","replace":"{us}"}}]"#)
    };
    let mut body = link("x");
    body["config"] = config(&rules("$1"));
    assert_eq!(process.ask("POST", "", body).await.0, 200);
    process.until("x", "PAUSED").await;
    let (_, status) = process.get("/x/status").await;
    let trace = status["trace"].as_str().unwrap();
    let refused =
        "eu-orders and us-orders would both be called :.source:orders. Nothing is written";
    assert!(trace.contains(refused), "{trace}");
    assert_eq!(subjects_of_target(&mocks).await, [""; 0]);
    assert_eq!(process.ask("PUT", "/x/config", config(&rules("america-$1"))).await.0, 200);
    process.until("x", "RUNNING").await;
    assert_eq!(subjects_of_target(&mocks).await, [":.source:orders", ":.source:america-orders"]);
    let (_, shown) = process.get("/x/config").await;
    assert_eq!(shown["mirror.subject_renames"], json!(rules("america-$1")));
    process.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_is_none_is_refused_and_so_is_one_beside_a_format() {
    let mocks = MockPair::start().unwrap();
    let process = Process::start(&mocks).await;
    for (rules, format, said) in [
        ("prod", None, "give JSON such as"),
        (r#"[{"match":"a"}]"#, None, "rule 0: its replace is missing"),
        (r#"[{"match":"(","replace":"a"}]"#, None, "rule 0: \"(\": not a regex"),
        (r#"[{"match":"a","replace":"b"}]"#, Some("dr-${subject}"), "exclude each other"),
    ] {
        let mut body = link("x");
        body["config"] = config(rules);
        body["subjectRenameFormat"] = json!(format);
        let (status, answer) = process.ask("POST", "", body).await;
        assert_eq!((status, &answer["error_code"]), (409, &json!(40951)), "{answer}");
        assert!(answer["message"].as_str().unwrap().contains(said), "{said}: {answer}");
    }
    let mut body = link("x");
    body["config"] = config(r#"[{"match":"a","replace":"b"}]"#);
    body["contextType"] = json!("NONE");
    body.as_object_mut().unwrap().remove("context");
    let (status, answer) = process.ask("POST", "", body).await;
    assert_eq!((status, &answer["error_code"]), (409, &json!(40951)), "{answer}");
    assert!(answer["message"].as_str().unwrap().contains("into a context only"), "{answer}");
    assert_eq!(process.get("").await.1, json!([]));
    process.end().await;
}
