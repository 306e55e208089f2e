//! A target topic that is deleted, that may not be made anew, or that forgets what it should keep.

use super::wait_for_more;
use crate::{
    broker::COMPACT_SOON,
    flow::{OFTEN, Registry, while_flowing},
    mirror::Scene,
};

fn scene(name: &'static str) -> Scene<'static> {
    Scene { link_lines: vec!["max_delete_share: 1"], ..Scene::shared(name) }
        .with_neighbours(&COMPACT_SOON[..1])
}

#[test]
fn a_target_topic_that_is_deleted_while_the_link_follows_is_made_and_filled_again() {
    let scene = scene("target_deleted");
    let mut registry = Registry::seeded(7);
    let mut mirror = scene.run("one");
    mirror.wait_for("running");
    while_flowing(&scene, &mut registry, OFTEN, || {
        wait_for_more(&scene, 100);
        scene.target.delete_topic(&scene.target_topic());
        mirror.wait_for_nth("running", 2);
        wait_for_more(&scene, 50);
    });
    // What others had there is theirs to bring back.
    scene.settle_neighbours();
    scene.finish(&mut mirror);
    assert!(registry.is_in(&scene.target_state()));
    mirror.assert_story(3, &[("waiting", 2)]);
    scene.start_in_sync("one");
}

#[test]
fn a_target_topic_that_is_deleted_while_the_link_is_away_is_made_and_filled_again() {
    let scene = scene("target_gone");
    let mut registry = Registry::seeded(8);
    scene.produce(&registry.steps(200));
    scene.backfill_clean();
    scene.target.delete_topic(&scene.target_topic());
    scene.produce(&registry.steps(50));
    let mut mirror = scene.run("one");
    mirror.wait_for("running");
    scene.settle_neighbours();
    while_flowing(&scene, &mut registry, OFTEN, || wait_for_more(&scene, 50));
    scene.finish(&mut mirror);
    assert!(registry.is_in(&scene.target_state()));
    mirror.assert_story(1, &[]);
}

#[test]
fn a_target_topic_that_may_not_be_made_anew_halts_the_link_with_the_command_that_does_it() {
    let scene = Scene { target_lines: vec!["create_topics: false"], ..scene("target_unmade") };
    scene.target.create_topic(&scene.state_topic(), 64, &COMPACT_SOON[..1]);
    let mut registry = Registry::seeded(9);
    let mut mirror = scene.run("one");
    mirror.wait_for("running");
    while_flowing(&scene, &mut registry, OFTEN, || {
        wait_for_more(&scene, 100);
        scene.target.delete_topic(&scene.target_topic());
        let halted = mirror.wait_for("halted");
        let reason = halted["reason"].as_str().unwrap();
        for word in ["kafka-topics.sh", "--create", "target_unmade_target", "create_topics"] {
            assert!(reason.contains(word), "{word} in {reason}");
        }
    });
    assert_eq!(mirror.end(), 1, "a halted link ends with 1");
    mirror.assert_story(3, &[("waiting", 2), ("halted", 1)]);
    let scene = scene.with_neighbours(&COMPACT_SOON[..1]);
    let mut mirror = scene.run("one");
    mirror.wait_for("running");
    scene.finish(&mut mirror);
    assert!(registry.is_in(&scene.target_state()));
    mirror.assert_story(1, &[]);
}
