//! Clocks that are ahead of others.

use super::wait_for_more;
use crate::{
    broker::COMPACT_SOON,
    flow::{OFTEN, Registry, while_flowing},
    message::NewRecord,
    mirror::Scene,
    numbers::doubled,
    process::wall_ms,
    records::schema,
};

const HOUR_MS: i64 = 3_600_000;

#[test]
fn a_source_whose_clock_is_ahead_is_copied_with_times_that_are_not() {
    let scene = Scene { link_lines: vec!["max_delete_share: 1"], ..Scene::shared("clock_ahead") }
        .with_neighbours(&COMPACT_SOON[..1]);
    // The target's broker takes nothing that is more than a second ahead of its own clock.
    let strict = [("message.timestamp.after.max.ms", "1000")];
    scene.target.alter_topic(&scene.target_topic(), &strict);
    let mut registry = Registry::seeded(14);
    let ahead = |record: NewRecord, by_ms: i64| NewRecord {
        timestamp: Some(wall_ms().saturating_add(by_ms)),
        ..record
    };
    scene.produce(&[ahead(schema("early-value", 1, 60_000), HOUR_MS)]);
    let mut mirror = scene.run("one");
    mirror.wait_for("running");
    while_flowing(&scene, &mut registry, OFTEN, || {
        for (id, hours) in (60_001..).zip([1, 2, 48]) {
            let record = schema(&format!("ahead-{hours}-value"), 1, id);
            scene.produce(&[ahead(record, HOUR_MS.saturating_mul(hours))]);
        }
        wait_for_more(&scene, 100);
    });
    // That no record is of the future is looked at there.
    let log = scene.finish(&mut mirror);
    assert_eq!(doubled(&log), 0);
    mirror.assert_story(1, &[]);
    scene.start_in_sync("one");
}
