//! What a link demands of its topics before it touches them.

use std::fs;

use serde_json::Value;

use crate::{
    mirror::{Answer, Scene, answer, write_config},
    records::{padded, schema, version_in},
};

/// A backfill that stops before its first write, and says why in these words.
#[track_caller]
fn check_refused(scene: &Scene<'_>, expected: (i32, &str), words: &[&str]) {
    let answer = scene.backfill();
    assert_eq!((answer.code, answer.text("result")), expected, "{answer:?}");
    for word in words {
        assert!(answer.text("reason").contains(word), "{word} in {answer:?}");
    }
    assert_eq!(answer.number("appended"), 0);
}

/// A backfill that halts, which `plan` and `verify` foretell in the same words.
#[track_caller]
fn check_halted(scene: &Scene<'_>, words: &[&str]) {
    for command in ["plan", "verify"] {
        check_foretold(&scene.answer(command, &[]), words);
    }
    check_refused(scene, (1, "halted"), words);
}

#[track_caller]
fn check_foretold(answer: &Answer, words: &[&str]) {
    assert_eq!((answer.code, answer.text("result")), (1, "different"), "{answer:?}");
    let halts = answer.link["halts"].as_array().unwrap();
    let is_said = |halt: &Value| words.iter().all(|word| halt.as_str().unwrap().contains(word));
    assert!(halts.iter().any(is_said), "{words:?} in {answer:?}");
}

#[test]
fn a_target_topic_that_deletes_old_records_stops_the_link_with_the_command_that_mends_it() {
    let scene = Scene::shared("ground_policy");
    scene.produce(&[schema("orders-value", 1, 1)]);
    let topic = scene.target_topic();
    scene.target.create_topic(&topic, 1, &[("cleanup.policy", "delete")]);
    let mending = format!(
        "kafka-configs.sh --bootstrap-server {} --alter --entity-type topics --entity-name {topic} \
         --add-config cleanup.policy=compact",
        scene.target.bootstrap()
    );
    check_halted(&scene, &["cleanup.policy=delete", &mending]);
    assert_eq!(scene.target_log(), []);

    scene.target.alter_topic(&topic, &[("cleanup.policy", "compact")]);
    scene.backfill_clean();
    scene.verify_equal();
}

#[test]
fn a_target_topic_that_replaces_times_stops_the_link() {
    let scene = Scene::shared("ground_times");
    scene.produce(&[schema("orders-value", 1, 1)]);
    let settings = [("cleanup.policy", "compact"), ("message.timestamp.type", "LogAppendTime")];
    scene.target.create_topic(&scene.target_topic(), 1, &settings);
    let mending = "--add-config message.timestamp.type=CreateTime";
    check_halted(&scene, &["LogAppendTime", mending]);
}

#[test]
fn a_target_topic_with_two_partitions_stops_the_link() {
    let scene = Scene::shared("ground_partitions");
    scene.produce(&[schema("orders-value", 1, 1)]);
    scene.target.create_topic(&scene.target_topic(), 2, &[("cleanup.policy", "compact")]);
    check_halted(&scene, &["2 partitions", "kafka-topics.sh", "--partitions 1"]);
    assert_eq!(scene.target_log(), []);
}

#[test]
fn topics_that_may_not_be_created_are_asked_for_with_the_command_that_does_it() {
    let mut scene = Scene::shared("ground_missing");
    scene.target_lines = vec!["create_topics: false"];
    scene.produce(&[schema("orders-value", 1, 1)]);
    let command = |topic: &str, partitions: u32| {
        format!(
            "kafka-topics.sh --bootstrap-server {} --create --topic {topic} --partitions \
             {partitions} --replication-factor 1 --config cleanup.policy=compact",
            scene.target.bootstrap()
        )
    };
    let words = ["create_topics", &command(&scene.target_topic(), 1)];
    check_halted(&scene, &words);
    assert_eq!(scene.target.watermarks_if_there(&scene.target_topic()), None);

    scene.target.create_topic(&scene.target_topic(), 1, &[("cleanup.policy", "compact")]);
    let words = ["create_topics", &command(&scene.state_topic(), 64)];
    check_halted(&scene, &words);
    scene.target.create_topic(&scene.state_topic(), 64, &[("cleanup.policy", "compact")]);
    scene.backfill_clean();
    scene.verify_equal();
}

#[test]
fn a_link_that_another_one_stands_in_the_way_of_is_refused_and_both_are_named() {
    let scene = Scene::shared("ground_rival");
    scene.produce(&[schema("orders-value", 1, 1)]);
    scene.backfill_clean();
    let of_the_first = fs::read_to_string(scene.folder.path().join("once.yaml")).unwrap();
    let text = of_the_first.replace("name: ground_rival", "name: another");
    let config = write_config(scene.folder.path(), "another", &text);

    let words = ["links another and ground_rival", "would write the same keys", ":.source:"];
    for command in ["plan", "verify"] {
        check_foretold(&answer(&config, command, &[]), &words);
    }
    let refused = answer(&config, "backfill", &[]);
    assert_eq!((refused.code, refused.text("result")), (1, "halted"), "{refused:?}");
    assert!(refused.text("reason").contains(words[0]), "{refused:?}");
}

#[test]
fn topics_that_are_created_are_as_a_registry_has_them() {
    let scene = Scene::shared("ground_created");
    scene.produce(&[schema("orders-value", 1, 1)]);
    scene.backfill_clean();
    for topic in [scene.target_topic(), scene.state_topic()] {
        assert_eq!(scene.target.topic_configs(&topic)["cleanup.policy"], "compact", "{topic}");
    }
    assert!(scene.target_log().iter().all(|record| record.partition == 0));
}

#[test]
fn a_backfill_from_a_topic_that_does_not_exist_could_not_tell() {
    let scene = Scene { name: "ground_no_source", ..Scene::shared("ground_other") };
    check_refused(&scene, (2, "gave_up"), &[&scene.source_topic(), "does not exist"]);
    let verified = scene.answer("verify", &[]);
    assert_eq!((verified.code, verified.text("result")), (2, "unknown"), "{verified:?}");
}

#[test]
fn a_record_that_is_too_large_for_the_target_is_set_aside_and_the_rest_flows() {
    let scene = Scene::shared("too_large");
    // Each fits by itself, but no two of most of them fit into one batch.
    let sizes = [5, 8, 19, 11, 19, 6, 5, 5, 14, 19, 7, 18];
    let fitting: Vec<_> = (1..)
        .zip(sizes)
        .map(|(id, kilobytes)| padded(&format!("s{id}"), id, kilobytes * 1_000))
        .collect();
    scene.produce(&fitting);
    scene.produce(&[padded("large-value", 50, 25_000), schema("z-value", 1, 51)]);
    let topic = scene.target_topic();
    let settings = [("cleanup.policy", "compact"), ("max.message.bytes", "20000")];
    scene.target.create_topic(&topic, 1, &settings);

    let answer = scene.backfill();
    assert_eq!((answer.code, answer.text("result")), (1, "done"), "{answer:?}");
    assert_eq!(answer.number("incidents"), 1, "{answer:?}");
    let state = scene.target_state();
    let held = |subject: &str| version_in(&state, &format!(":.source:{subject}"), 1);
    for (id, _) in (1..).zip(sizes) {
        assert_eq!(held(&format!("s{id}")), Some((id, false)));
    }
    assert_eq!((held("large-value"), held("z-value")), (None, Some((51, false))));

    scene.target.alter_topic(&topic, &[("max.message.bytes", "1048588")]);
    assert_eq!(scene.backfill_clean(), 1, "what was set aside follows");
    scene.verify_equal();
}
