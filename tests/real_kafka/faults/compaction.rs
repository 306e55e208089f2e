//! Both logs compacted, and their tombstones expired, as early as brokers do it.

use std::collections::BTreeSet;

use super::wait_for_more;
use crate::{
    broker::{COMPACT_SOON, EXPIRE_SOON, shared_source, shared_target},
    flow::{OFTEN, Registry, while_flowing},
    message::Record,
    mirror::Scene,
    records::{key_of, noop},
};

/// Every key once, and no tombstone but those that roll the log.
fn is_compacted(log: &[Record]) -> bool {
    let kept = log.iter().filter(|record| !key_of(record).contains("NOOP"));
    let kept: Vec<_> = kept.collect();
    let keys: BTreeSet<_> = kept.iter().map(|record| key_of(record)).collect();
    keys.len() == kept.len() && kept.iter().all(|record| record.value.is_some())
}

/// A link that leaves in one way, and comes back when both logs forgot all that they may.
#[track_caller]
fn check(name: &'static str, seed: u64, leave: impl Fn(&Scene<'_>, &mut crate::mirror::Mirror)) {
    let configs = [&COMPACT_SOON[..], &[EXPIRE_SOON]].concat();
    let mut scene = Scene::between(name, shared_source(), shared_target());
    scene.link_lines = vec!["max_delete_share: 1"];
    scene.source.create_topic(&scene.source_topic(), 1, &configs);
    let scene = scene.with_neighbours(&configs);
    let mut registry = Registry::seeded(seed);
    let mut mirror = scene.run("one");
    mirror.wait_for("running");
    while_flowing(&scene, &mut registry, OFTEN, || {
        wait_for_more(&scene, 200);
        leave(&scene, &mut mirror);
    });
    // Registrations, and deletions that leave no trace.
    scene.produce(&registry.steps(200));
    scene.source.wait_compacted(&scene.source_topic(), &noop(), is_compacted);
    scene.target.wait_compacted(&scene.target_topic(), &noop(), is_compacted);

    let mut mirror = scene.run("one");
    mirror.wait_for("running");
    while_flowing(&scene, &mut registry, OFTEN, || wait_for_more(&scene, 100));
    scene.finish(&mut mirror);
    assert!(registry.is_in(&scene.target_state()));
    mirror.assert_story(1, &[]);
    scene.start_in_sync("one");
}

#[test]
fn both_logs_forget_while_a_link_that_ended_is_away_and_it_ends_equal() {
    check("forgotten", 10, |scene, mirror| {
        scene.wait_done();
        assert_eq!(mirror.end(), 0);
    });
}

#[test]
fn both_logs_forget_while_a_link_that_was_killed_is_away_and_it_ends_equal() {
    check("forgotten_killed", 11, |_, mirror| mirror.kill());
}
