//! A target that is slowed down, and one whose disk is full.

use super::{mortals, wait_for_more};
use crate::{
    broker::{COMPACT_SOON, shared_target},
    flow::{OFTEN, Registry, while_flowing},
    mirror::{SOURCE_SETTINGS, Scene},
    process::now,
    records::padded,
};

/// What the quota grants in bytes a second, and what there is to copy: more than the broker lets
/// pass in the ten seconds over which it takes a rate.
const BYTES_PER_SECOND: u32 = 100_000;
const COPIED: u32 = 150;
const COPY_BYTES: usize = 20_000;

#[test]
fn a_client_that_is_throttled_copies_slowly_keeps_its_lease_and_says_nothing_of_it() {
    let scene = Scene { link_lines: vec!["max_delete_share: 1"], ..Scene::shared("throttled") }
        .with_neighbours(&COMPACT_SOON[..1]);
    let quota =
        format!("producer_byte_rate={BYTES_PER_SECOND},consumer_byte_rate={BYTES_PER_SECOND}");
    shared_target().configure_client("schema-mirror-throttled", &quota);
    let mut registry = Registry::seeded(15);
    let large = (70_000..).take(usize::try_from(COPIED).unwrap());
    let large: Vec<_> = large.map(|id| padded(&format!("large-{id}"), id, COPY_BYTES)).collect();
    scene.produce(&large);
    let since = now();
    let mut mirror = scene.run("throttled");
    while_flowing(&scene, &mut registry, OFTEN, || mirror.wait_for("running"));
    let taken = since.elapsed();
    let unthrottled_s = u64::from(COPIED) * 20_000 / u64::from(BYTES_PER_SECOND);
    eprintln!("copied after {taken:?}, where the quota alone takes about {unthrottled_s} s");
    assert!(taken.as_secs() >= unthrottled_s / 3, "the quota did not count: {taken:?}");
    scene.finish(&mut mirror);
    assert!(registry.is_in(&scene.target_state()));
    mirror.assert_story(1, &[]);
}

/// What the target's log grows by until its disk is full: far more than the broker's own files.
const GROWN_BYTES: usize = 3_000_000;
const ROOM_BYTES: u64 = 100_000;

#[test]
fn a_target_whose_disk_is_full_is_waited_for_and_nothing_is_lost() {
    let mortals = mortals();
    let mut scene = Scene::between("disk_full", &mortals.source, &mortals.target);
    scene.link_lines = vec!["max_delete_share: 1"];
    scene.source.create_topic(&scene.source_topic(), 1, &SOURCE_SETTINGS);
    let scene = scene.with_neighbours(&COMPACT_SOON[..1]);
    let large = (80_000..).take(GROWN_BYTES / COPY_BYTES);
    let large: Vec<_> = large.map(|id| padded(&format!("large-{id}"), id, COPY_BYTES)).collect();
    scene.produce(&large);
    let mut registry = Registry::seeded(16);
    let mut mirror = scene.run("one");
    mirror.wait_for("running");
    // No file of the broker may grow beyond this: a write that would is cut short and fails, as on
    // a full disk, and the broker ends itself.
    let longest = scene.target.limit_files(&scene.target_topic(), ROOM_BYTES);
    while_flowing(&scene, &mut registry, OFTEN, || {
        let fill = (85_000..).take(10).map(|id| padded(&format!("large-{id}"), id, COPY_BYTES));
        scene.produce(&fill.collect::<Vec<_>>());
        scene.target.wait_for_its_end();
        mirror.wait_for("the lease was not renewed in time");
        assert!(mirror.is_alive());
        // Somebody made room.
        scene.target.restart();
        wait_for_more(&scene, 20);
    });
    assert!(
        longest > u64::try_from(GROWN_BYTES / 2).unwrap(),
        "other files are shorter: {longest}"
    );
    scene.finish(&mut mirror);
    assert!(registry.is_in(&scene.target_state()));
    let others = [("waiting", 6), ("target away", 2), ("the lease was not renewed in time", 1)];
    mirror.assert_story(9, &others);
    scene.start_in_sync("one");
}
