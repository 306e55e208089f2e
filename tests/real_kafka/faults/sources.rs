//! A source topic that is deleted and created again, cut off, or emptied.

use crate::{
    broker::COMPACT_SOON,
    flow::{OFTEN, Registry, while_flowing},
    message::NewRecord,
    mirror::{Mirror, SOURCE_SETTINGS, Scene},
    records::{hard_deleted, schema, soft_deleted},
};

use super::wait_for_more;

fn subject(id: u32) -> String {
    format!("s{id}")
}

fn versions(ids: std::ops::RangeInclusive<u32>) -> Vec<NewRecord> {
    ids.map(|id| schema(&subject(id), 1, id)).collect()
}

fn deletions(ids: std::ops::RangeInclusive<u32>) -> Vec<NewRecord> {
    ids.flat_map(|id| [soft_deleted(&subject(id), 1, id), hard_deleted(&subject(id), 1)]).collect()
}

fn scene(name: &'static str) -> Scene<'static> {
    Scene::shared(name).with_neighbours(&COMPACT_SOON[..1])
}

/// A link that stands still: it says so once, with these words, ends with 1, and so does every start
/// after it; nothing is written.
#[track_caller]
fn check_halted(scene: &Scene<'_>, mirror: &mut Mirror, words: &[&str]) {
    let halted = mirror.wait_for("halted");
    let reason = halted["reason"].as_str().unwrap();
    for word in words {
        assert!(reason.contains(word), "{word} in {reason}");
    }
    assert_eq!(mirror.errors(), [halted]);
    let log = scene.target_log();
    assert_eq!(mirror.end(), 1, "a halted link ends with 1");
    let mut again = scene.run("one");
    again.wait_for("halted");
    assert_eq!(again.end(), 1, "and halts again at its next start");
    again.assert_story(1, &[("halted", 1)]);
    assert_eq!(scene.target_log(), log, "nothing was written");
}

/// Releases the brake; the target follows the source then.
#[track_caller]
fn check_released(scene: &Scene<'_>) {
    let mut mirror = scene.run_with("one", &["--allow-deletes"]);
    mirror.wait_for("running");
    scene.finish(&mut mirror);
    mirror.assert_story(1, &[]);
    scene.start_in_sync("one");
}

#[test]
fn a_source_that_is_recreated_halts_the_link_and_once_refilled_it_goes_on_without_a_deletion() {
    let scene = scene("source_recreated");
    let mut mirror = scene.run("one");
    mirror.wait_for("running");
    scene.produce(&versions(1..=30));
    scene.wait_done();
    scene.source.delete_topic(&scene.source_topic());
    scene.source.create_topic(&scene.source_topic(), 1, &SOURCE_SETTINGS);
    check_halted(&scene, &mut mirror, &["brake", "30 subjects", "recreated", "--allow-deletes"]);

    // As a restored registry would: the same, and what came since.
    scene.produce(&versions(1..=31));
    let mut mirror = scene.run("one");
    mirror.wait_for("running");
    let log = scene.finish(&mut mirror);
    assert!(log.iter().all(|record| record.value.is_some()), "nothing was deleted");
    mirror.assert_story(1, &[]);
}

#[test]
fn a_source_that_is_refilled_with_less_while_the_link_is_away_halts_it_until_that_is_released() {
    let scene = scene("source_refilled");
    scene.produce(&versions(1..=9));
    scene.backfill_clean();
    scene.source.delete_topic(&scene.source_topic());
    scene.source.create_topic(&scene.source_topic(), 1, &SOURCE_SETTINGS);
    scene.produce(&versions(1..=8));
    let mut mirror = scene.run("one");
    check_halted(&scene, &mut mirror, &["brake", "recreated", "--allow-deletes"]);
    check_released(&scene);
}

#[test]
fn a_source_whose_beginning_is_cut_off_deletes_nothing_until_that_is_released() {
    let scene = scene("source_cut");
    scene.produce(&versions(1..=9));
    let mut mirror = scene.run("one");
    mirror.wait_for("running");
    // DeleteRecords wants another policy for the while, which the harness puts back.
    scene.source.delete_records(&scene.source_topic(), 5);
    scene.produce(&versions(10..=12));
    scene.wait_done();
    assert_eq!(mirror.end(), 0, "a link that follows has read what was cut off");
    mirror.assert_story(1, &[]);
    let mut mirror = scene.run("one");
    let words = ["brake", "5 subjects", "starts at offset 5", "--allow-deletes"];
    check_halted(&scene, &mut mirror, &words);
    check_released(&scene);
}

#[test]
fn a_source_that_is_emptied_record_by_record_halts_the_link_before_the_deletions() {
    let scene = scene("source_emptied");
    scene.produce(&versions(1..=30));
    let mut mirror = scene.run("one");
    mirror.wait_for("running");
    scene.produce(&deletions(1..=30));
    let words = ["brake", "of 30 live subjects", "max_delete_share", "--allow-deletes"];
    check_halted(&scene, &mut mirror, &words);
    check_released(&scene);
}

#[test]
fn a_small_source_that_is_emptied_while_the_link_is_away_halts_it() {
    let scene = scene("source_small");
    scene.produce(&versions(1..=3));
    scene.backfill_clean();
    scene.produce(&deletions(1..=3));
    let mut mirror = scene.run("one");
    let words = ["brake", "holds no subject of the link any more", "--allow-deletes"];
    check_halted(&scene, &mut mirror, &words);
    check_released(&scene);
}

#[test]
fn a_source_topic_that_is_deleted_is_waited_for() {
    let scene = Scene { link_lines: vec!["max_delete_share: 1"], ..scene("source_deleted") };
    let mut registry = Registry::seeded(6);
    let mut mirror = scene.run("one");
    mirror.wait_for("running");
    while_flowing(&scene, &mut registry, OFTEN, || wait_for_more(&scene, 50));
    scene.wait_done();
    let log = scene.target_log();
    scene.source.delete_topic(&scene.source_topic());
    let waiting = mirror.wait_for("waiting");
    let reason = waiting["reason"].as_str().unwrap();
    assert!(reason.contains("source_deleted_source"), "{reason}");
    assert!(mirror.is_alive());
    assert_eq!(mirror.end(), 0, "a link that waits ends well");
    assert_eq!(scene.target_log(), log, "nothing was written");
    mirror.assert_story(4, &[("waiting", 4)]);
    let gave_up = scene.backfill();
    assert_eq!((gave_up.code, gave_up.text("result")), (2, "gave_up"), "{gave_up:?}");
    let verified = scene.answer("verify", &[]);
    assert_eq!((verified.code, verified.text("result")), (2, "unknown"), "{verified:?}");
}
