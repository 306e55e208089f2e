//! A source that can't be believed stops a link before its first delete.

use std::ops::RangeInclusive;

use crate::{
    message::NewRecord,
    mirror::{SOURCE_SETTINGS, Scene},
    records::{hard_deleted, schema, soft_deleted},
};

fn subject(id: u32) -> String {
    format!("s{id}")
}

/// Thirty subjects, copied.
fn thirty_copied(name: &'static str) -> Scene<'static> {
    let scene = Scene::shared(name);
    let records: Vec<_> = (1..=30).map(|id| schema(&subject(id), 1, id)).collect();
    scene.produce(&records);
    scene.backfill_clean();
    scene
}

fn deletions(ids: RangeInclusive<u32>) -> Vec<NewRecord> {
    ids.flat_map(|id| [soft_deleted(&subject(id), 1, id), hard_deleted(&subject(id), 1)]).collect()
}

/// Versions in the target.
fn schemas(scene: &Scene<'_>) -> usize {
    let state = scene.target_state();
    state.keys().filter(|key| key.contains(r#""keytype":"SCHEMA""#)).count()
}

#[test]
fn a_source_topic_that_was_recreated_empties_nothing_until_that_is_released() {
    let scene = Scene::shared("recreated");
    let records: Vec<_> = (1..=3).map(|id| schema(&subject(id), 1, id)).collect();
    scene.produce(&records);
    let mut mirror = scene.run("one");
    mirror.wait_for("running");
    scene.wait_target("the copy", |state| state.len() == 6);
    let log = scene.target_log();

    scene.source.delete_topic(&scene.source_topic());
    scene.source.create_topic(&scene.source_topic(), 1, &SOURCE_SETTINGS);
    let halted = mirror.wait_for("halted");
    let reason = halted["reason"].as_str().unwrap();
    for words in ["brake", "3 subjects", "--allow-deletes"] {
        assert!(reason.contains(words), "{words} in {reason}");
    }
    assert_eq!(mirror.end(), 1);
    let mut mirror = scene.run("one");
    mirror.wait_for("halted");
    assert_eq!(mirror.end(), 1);
    assert_eq!(scene.target_log(), log, "nothing was written");

    let mut mirror = scene.run_with("one", &["--allow-deletes"]);
    mirror.wait_for("running");
    assert_eq!(schemas(&scene), 0, "what was released is deleted");
    assert_eq!(mirror.end(), 0);
    scene.verify_equal();
    scene.start_in_sync("one");
}

#[test]
fn a_large_share_of_deletes_waits_for_its_release() {
    let scene = thirty_copied("delete_share");
    let log = scene.target_log();
    scene.produce(&deletions(1..=12));

    let plan = scene.answer("plan", &[]);
    assert_eq!(plan.code, 1, "{plan:?}");
    assert!(plan.link["halts"].to_string().contains("12 of 30 live subjects"), "{plan:?}");
    let halted = scene.backfill();
    assert_eq!((halted.code, halted.text("result")), (1, "halted"), "{halted:?}");
    for words in ["12 of 30 live subjects", "max_delete_share", "--allow-deletes", "54"] {
        assert!(halted.text("reason").contains(words), "{words} in {halted:?}");
    }
    assert_eq!(scene.target_log(), log, "nothing was written");

    let released = scene.answer("backfill", &["--allow-deletes"]);
    assert_eq!((released.code, released.number("deletions")), (0, 12), "{released:?}");
    assert_eq!(schemas(&scene), 18);
    scene.verify_equal();
}

#[test]
fn deletes_that_add_up_over_an_hour_are_foreseen_by_plan_as_a_start_would_brake_for_them() {
    let scene = thirty_copied("delete_hour");
    scene.produce(&deletions(1..=9));
    let first = scene.backfill();
    assert_eq!((first.code, first.number("deletions")), (0, 9), "{first:?}");

    scene.produce(&deletions(10..=12));
    let plan = scene.answer("plan", &[]);
    assert_eq!(plan.code, 1, "{plan:?}");
    assert!(plan.link["halts"].to_string().contains("12 of 30 live subjects"), "{plan:?}");
    let halted = scene.backfill();
    assert_eq!((halted.code, halted.text("result")), (1, "halted"), "{halted:?}");
    assert!(halted.text("reason").contains("12 of 30 live subjects"), "{halted:?}");
}
