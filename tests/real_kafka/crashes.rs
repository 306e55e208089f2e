//! kill -9 of the mirror.

use crate::{
    mirror::{LINK_LIMIT, Scene},
    numbers::{assert_forward_only, doubled, numbered},
    process::poll_until,
    records::{schema, soft_deleted},
};

/// Records in the source when a backfill is killed.
const SUBJECTS: u32 = 20_000;
/// The target has so many when that happens: after the first checkpoint, long before the end.
const WRITTEN_BEFORE: usize = 3_000;

#[test]
fn a_backfill_that_is_killed_is_finished_by_the_next_start() {
    let scene = Scene::shared("killed_backfill");
    let first = (1..=SUBJECTS).map(|id| numbered(schema(&format!("s{id}"), 1, id), 0));
    // Every tenth is soft-deleted later in the log.
    let second =
        (10..=SUBJECTS).step_by(10).map(|id| numbered(soft_deleted(&format!("s{id}"), 1, id), 1));
    scene.produce(&first.chain(second).collect::<Vec<_>>());

    let slow = Scene { target_lines: vec!["write_rate_max: 2000"], ..scene };
    let mut mirror = slow.run("one");
    let written = poll_until(LINK_LIMIT, "the target has some", || {
        let (_, end) = slow.target.watermarks_if_there(&slow.target_topic())?;
        Some(usize::try_from(end).unwrap()).filter(|written| *written >= WRITTEN_BEFORE)
    });
    mirror.kill();
    assert!(written < usize::try_from(SUBJECTS).unwrap(), "it was killed in the middle");

    let scene = Scene { target_lines: vec!["write_rate_max: unlimited"], ..slow };
    let mut mirror = scene.run("one");
    mirror.wait_for("running");
    assert_eq!(mirror.end(), 0);
    scene.verify_equal();
    let log = scene.target_log();
    assert_forward_only(&log);
    assert_eq!(doubled(&log), 0, "what had arrived is not written again");
}

#[test]
fn a_tail_that_is_killed_goes_on_where_the_target_stands() {
    let scene =
        Scene { target_lines: vec!["write_rate_max: 1000"], ..Scene::shared("killed_tail") };
    scene.produce(&[numbered(schema("first", 1, 1), 0)]);
    for round in 0..3_u64 {
        let mut mirror = scene.run("one");
        mirror.wait_for("running");
        let end = scene.target.watermarks(&scene.target_topic()).1;
        // The same 500 keys again and again, each time with another number.
        let records = (0..1_500_u32).map(|n| {
            let id = n % 500;
            let number = round.saturating_mul(10_000).saturating_add(u64::from(n));
            numbered(schema(&format!("s{id}"), 1, id.saturating_add(2)), number)
        });
        scene.produce(&records.collect::<Vec<_>>());
        poll_until(LINK_LIMIT, "some of them are in the target", || {
            let now = scene.target.watermarks(&scene.target_topic()).1;
            (now > end.saturating_add(200)).then_some(())
        });
        mirror.kill();
    }
    let mut mirror = scene.run("one");
    mirror.wait_for("running");
    assert_eq!(mirror.end(), 0);
    scene.verify_equal();
    assert_forward_only(&scene.target_log());
    scene.start_in_sync("one");
}
