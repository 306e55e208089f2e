//! Two instances of one link.

use std::{fs, time::Duration};

use crate::{
    broker::{Broker, shared_source},
    message::Record,
    mirror::{LINK_LIMIT, Mirror, SOURCE_SETTINGS, Scene, answer, write_config},
    process::{now, poll_until},
    records::{schema, version_in, written_by},
};

/// What is promised: a second instance writes so long after the first one was killed.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(10);

/// Writers and leases in the order in which they wrote.
fn reigns(log: &[Record]) -> Vec<(String, u64)> {
    let mut reigns: Vec<_> = log.iter().filter_map(written_by).collect();
    reigns.dedup();
    reigns
}

#[test]
fn a_second_instance_takes_over_within_ten_seconds_and_nobody_writes_beside_it() {
    // As brokers have it by default: the first member of a group waits 3 s for others.
    let delay = [("group.initial.rebalance.delay.ms", "3000")];
    let target = Broker::start_with("takeover", &delay);
    let scene = Scene::between("takeover", shared_source(), &target);
    scene.source.create_topic(&scene.source_topic(), 1, &SOURCE_SETTINGS);
    scene.produce(&[schema("before", 1, 1)]);
    let first = scene.run("one");
    first.wait_for("running");
    let second = scene.run("two");
    second.wait_for("standby");
    let mut id = 1;
    // The second one joins the group, and the first one stays the writer or hands over in order.
    let mut settled = || {
        for _ in 0..20 {
            id += 1;
            scene.produce(&[schema("live", id, id)]);
        }
        scene.wait_target("live records arrive", |state| {
            version_in(state, ":.source:live", id).is_some()
        });
    };
    settled();
    let log = scene.target_log();
    let writer = written_by(log.last().unwrap()).unwrap().0;
    let (mut killed, alive): (Mirror, Mirror) =
        if writer == "one" { (first, second) } else { (second, first) };
    assert!(killed.is_alive());

    killed.kill();
    let since = now();
    scene.produce(&[schema("after", 1, 5_000)]);
    let heir = poll_until(LINK_LIMIT, "somebody writes again", || {
        let log = scene.target_log();
        reigns(&log).last().filter(|(name, _)| *name != writer).cloned()
    });
    let taken = since.elapsed();
    assert!(taken < TAKEN_OVER_WITHIN, "{} took over after {taken:?}", heir.0);
    eprintln!("taken over after {taken:?}");

    let mut alive = alive;
    alive.wait_for("running");
    assert_eq!(alive.end(), 0);
    let reigns = reigns(&scene.target_log());
    let epochs: Vec<u64> = reigns.iter().map(|(_, epoch)| *epoch).collect();
    assert!(epochs.is_sorted_by(|a, b| a < b), "a lease that ended wrote again: {reigns:?}");
    scene.verify_equal();
}

#[test]
fn a_backfill_leaves_a_living_writer_alone_and_follows_one_that_ended() {
    let scene = Scene::shared("backfill_beside");
    scene.produce(&[schema("before", 1, 1)]);
    let mut mirror = scene.run("one");
    mirror.wait_for("running");
    let refused = scene.backfill();
    assert_eq!((refused.code, refused.text("result")), (2, "gave_up"), "{refused:?}");
    let named = "it has a living writer: schema-mirror-one at ";
    assert!(refused.text("reason").contains(named), "{refused:?}");
    scene.produce(&[schema("live", 1, 2)]);
    scene
        .wait_target("the writer goes on", |state| version_in(state, ":.source:live", 1).is_some());
    assert_eq!(reigns(&scene.target_log()), [("one".to_owned(), 1)]);

    // A member that was killed is listed in its group for a while.
    mirror.kill();
    scene.produce(&[schema("after", 1, 3)]);
    assert_eq!(scene.backfill_clean(), 1);
    scene.verify_equal();
}

#[test]
fn a_backfill_that_ended_has_left_its_group_and_the_next_one_starts_at_once() {
    let scene = Scene::shared("backfill_again");
    scene.produce(&[schema("orders-value", 1, 1)]);
    scene.backfill_clean();
    // A member that did not leave is listed for a session time-out of 6 s.
    let second = scene.backfill();
    assert_eq!((second.code, second.number("appended")), (0, 0), "{second:?}");
    let joined = second.link["join_seconds"].as_f64().unwrap();
    assert!(joined < 3.0, "{second:?}");

    // One that halts as the writer leaves as well: here another link stands in its way.
    let text = fs::read_to_string(scene.folder.path().join("once.yaml")).unwrap();
    let text = text.replace("name: backfill_again", "name: another");
    let another = write_config(scene.folder.path(), "another", &text);
    assert_eq!(answer(&another, "backfill", &[]).text("result"), "halted");
    let third = scene.backfill();
    assert!(third.link["join_seconds"].as_f64().unwrap() < 3.0, "{third:?}");
}

#[test]
fn a_process_under_a_name_that_another_one_has_says_so_in_words_and_once() {
    let scene = Scene::shared("same_name");
    let first = scene.run("one");
    first.wait_for("running");
    let second = scene.run("one");
    let halted = first.wait_for("halted");
    let reason = halted["reason"].as_str().unwrap();
    assert!(reason.contains("another process runs under the same instance name"), "{reason}");
    assert_eq!(first.errors(), [halted], "nothing else is an error");
    drop(second);
}
