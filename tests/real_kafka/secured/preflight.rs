//! What `preflight` says of clusters that are as they should be, and of others.

use serde_json::Value;

use crate::{
    message::NewRecord,
    mirror::{Answer, answer},
    process::wall_ms,
    records::schema,
    secured::{Passage, secured},
};

/// An hour, in milliseconds.
const HOUR_MS: i64 = 3_600_000;

/// The checks of one kind at one side: what became of them, and what mends it.
fn checks<'a>(answer: &'a Answer, side: &str, check: &str) -> Vec<(&'a str, &'a str, &'a str)> {
    let all = answer.link["checks"].as_array().unwrap().iter();
    let text = |value: &'a Value| value.as_str().unwrap_or_default();
    all.filter(|shown| shown["side"] == side && shown["check"] == check)
        .map(|shown| (text(&shown["result"]), text(&shown["found"]), text(&shown["mend"])))
        .collect()
}

#[test]
fn a_sound_pair_passes_in_everything_and_nothing_is_created() {
    let passage = Passage::new("sound", secured().plain("mirror"), secured().mtls());
    secured().broker.produce(&passage.source_topic(), &[schema("orders-value", 1, 1)]);
    let missing = answer(&passage.config(), "preflight", &[]);
    assert_eq!((missing.code, missing.text("result")), (0, "passed"), "{missing:?}");
    let topics = checks(&missing, "target", "topic");
    assert_eq!(topics.len(), 2, "{missing:?}");
    assert!(topics.iter().all(|(result, found, _)| {
        *result == "passed" && found.contains("is missing and will be created")
    }));
    assert_eq!(secured().broker.watermarks_if_there(&passage.target_topic()), None);

    passage.create_target_topics();
    let there = answer(&passage.config(), "preflight", &[]);
    assert_eq!((there.code, there.text("result")), (0, "passed"), "{there:?}");
    for check in ["names", "reach", "topic", "rights", "settings", "release", "clock"] {
        for side in ["source", "target"] {
            let found = checks(&there, side, check);
            assert!(!found.is_empty(), "{check} of {side} in {there:?}");
            assert!(found.iter().all(|(result, ..)| *result == "passed"), "{there:?}");
        }
    }
    assert_eq!(checks(&there, "target", "size").len(), 1, "{there:?}");
}

#[test]
fn what_is_worth_a_look_comes_with_the_command_that_mends_it() {
    let passage = Passage::new("warned", secured().tls(), secured().tls());
    passage.create_target_topics();
    let broker = &secured().broker;
    broker.alter_topic(&passage.source_topic(), &[("max.message.bytes", "3000000")]);
    let late = NewRecord { timestamp: Some(wall_ms() + HOUR_MS), ..schema("orders-value", 1, 1) };
    broker.produce(&passage.source_topic(), &[schema("users-value", 1, 2), late]);
    let said = answer(&passage.config(), "preflight", &[]);
    assert_eq!((said.code, said.text("result")), (0, "passed"), "{said:?}");
    let [(result, found, mend)] = checks(&said, "source", "clock")[..] else {
        panic!("one clock in {said:?}");
    };
    assert_eq!((result, mend), ("warning", "date --utc"), "{said:?}");
    assert!(found.contains("the record at offset 1 of warned_source"), "{said:?}");
    let [(result, _, mend)] = checks(&said, "target", "size")[..] else {
        panic!("one size in {said:?}");
    };
    let raises = format!(
        "kafka-configs.sh --bootstrap-server {} --alter --entity-type topics --entity-name \
         warned_target --add-config max.message.bytes=3000000",
        passage.target.bootstrap
    );
    assert_eq!((result, mend), ("warning", raises.as_str()), "{said:?}");
}

#[test]
fn what_a_link_would_not_start_for_fails_with_the_command_that_mends_it() {
    let passage = Passage::new("unfit", secured().tls(), secured().tls());
    let broker = &secured().broker;
    broker.create_topic(&passage.target_topic(), 1, &[("cleanup.policy", "delete")]);
    broker.create_topic(&passage.state_topic(), 2, &[("cleanup.policy", "compact")]);
    let said = answer(&passage.config(), "preflight", &[]);
    assert_eq!((said.code, said.text("result")), (1, "failed"), "{said:?}");
    let failed: Vec<_> = checks(&said, "target", "settings");
    let mends = ["--add-config cleanup.policy=compact", "--topic unfit_state --partitions 64"];
    for mend in mends {
        let is_said =
            |(result, _, found): &(&str, &str, &str)| *result == "failed" && found.ends_with(mend);
        assert!(failed.iter().any(is_said), "{mend} in {said:?}");
    }
}

#[test]
fn a_cluster_that_can_not_be_asked_is_unknown_and_the_other_is_looked_at() {
    let mut wrong = secured().plain("mirror");
    wrong.set("sasl.password", "pw-wrong");
    let mut lost = secured().tls();
    lost.bootstrap = "no-such-host.invalid:9092".to_owned();
    for (name, source, check, words) in [
        ("refused", wrong, "reach", "refuse the login"),
        ("lost", lost, "names", "no-such-host.invalid:9092 has no address here"),
    ] {
        let passage = Passage::new(name, source, secured().tls());
        let said = answer(&passage.config(), "preflight", &[]);
        assert_eq!((said.code, said.text("result")), (2, "unknown"), "{said:?}");
        let found = checks(&said, "source", check);
        assert!(found.iter().any(|(_, found, _)| found.contains(words)), "{words} in {said:?}");
        assert_eq!(checks(&said, "target", "reach")[0].0, "passed", "{said:?}");
    }
}
