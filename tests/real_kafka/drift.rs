//! Somebody else writes into what the link owns.

use std::time::Duration;

use crate::{
    message::NewRecord,
    mirror::{Mirror, Scene},
    process::{now, poll_until},
    records::{hard_deleted, mode, mode_key, schema, soft_deleted, version_in},
};

const ORDERS: &str = ":.source:orders-value";
const TRADES: &str = ":.source:trades-value";

/// Drift is seen and repaired within this time.
const REPAIRED_WITHIN: Duration = Duration::from_secs(1);

/// A link that follows, with one version of one subject in the target.
fn following(name: &'static str) -> (Scene<'static>, Mirror) {
    let scene = Scene::shared(name);
    scene.produce(&[schema("orders-value", 1, 1)]);
    let mirror = scene.run("one");
    mirror.wait_for("running");
    (scene, mirror)
}

/// Writes into the target as somebody else, and returns the place after it.
fn meddle(scene: &Scene<'_>, record: NewRecord) -> i64 {
    let offsets = scene.target.produce(&scene.target_topic(), &[record]);
    offsets[0].saturating_add(1)
}

#[test]
fn what_someone_else_changed_is_restored_within_a_second() {
    let (scene, mut mirror) = following("drift_repair");
    let topic = scene.target_topic();
    let meddling = [schema(ORDERS, 1, 77), soft_deleted(ORDERS, 1, 1), hard_deleted(ORDERS, 1)];
    for foreign in meddling {
        let after = meddle(&scene, foreign.clone());
        let since = now();
        poll_until(REPAIRED_WITHIN, &format!("{foreign:?} is repaired"), || {
            (scene.target.watermarks(&topic).1 > after).then_some(())
        });
        let taken = since.elapsed();
        assert!(taken < REPAIRED_WITHIN, "{foreign:?} stood for {taken:?}");
        scene.wait_target("the version is as it was", |state| {
            version_in(state, ORDERS, 1) == Some((1, false))
        });
        // The source says something new, so the next repair is not the fourth of a quarrel.
        scene.produce(&[schema("orders-value", 1, 1)]);
    }
    assert_eq!(mirror.end(), 0);
    scene.verify_equal();
}

#[test]
fn a_subject_that_someone_else_made_is_left_alone_and_reported() {
    let (scene, mut mirror) = following("drift_foreign");
    meddle(&scene, schema(":.source:foreign-value", 1, 500));
    scene.produce(&[schema("trades-value", 1, 2)]);
    let state = scene
        .wait_target("the link goes on", |state| version_in(state, TRADES, 1) == Some((2, false)));
    assert_eq!(version_in(&state, ":.source:foreign-value", 1), Some((500, false)));
    let verified = scene.answer("verify", &[]);
    assert_eq!(verified.code, 1, "{verified:?}");
    assert!(verified.link.to_string().contains("foreign-value"), "{verified:?}");
    assert_eq!(mirror.end(), 0);
}

#[test]
fn a_lifted_fence_halts_the_link_until_it_is_told_to_go_on() {
    let (scene, mut mirror) = following("fence_lifted");
    meddle(&scene, mode(":.source:", "READWRITE"));
    let halted = mirror.wait_for("halted");
    let reason = halted["reason"].as_str().unwrap();
    for words in ["fence lifted", "context .source", "--fence-again"] {
        assert!(reason.contains(words), "{words} in {reason}");
    }
    let log = scene.target_log();
    scene.produce(&[schema("orders-value", 2, 2)]);
    assert_eq!(mirror.end(), 1);
    let mut mirror = scene.run("one");
    mirror.wait_for("halted");
    assert_eq!(mirror.end(), 1);
    assert_eq!(scene.target_log(), log, "nothing is written below a lifted fence");

    let mut mirror = scene.run_with("one", &["--fence-again"]);
    let state = scene
        .wait_target("the link goes on", |state| version_in(state, ORDERS, 2) == Some((2, false)));
    assert_eq!(state[&mode_key(":.source:")].0["mode"], "READONLY");
    assert_eq!(mirror.end(), 0);
    scene.verify_equal();
}

#[test]
fn a_subject_that_is_opened_below_the_fence_is_held_and_the_rest_flows() {
    let (scene, mut mirror) = following("fence_hole");
    meddle(&scene, mode(ORDERS, "READWRITE"));
    // What the source says before the link has read that mode is written still.
    mirror.wait_for("held");
    scene.produce(&[schema("orders-value", 2, 2), schema("trades-value", 1, 3)]);
    let state = scene
        .wait_target("the rest flows", |state| version_in(state, TRADES, 1) == Some((3, false)));
    assert_eq!(version_in(&state, ORDERS, 2), None, "the open subject is held");
    assert_eq!(state[&mode_key(ORDERS)].0["mode"], "READWRITE", "and its mode is not touched");
    let plan = scene.answer("plan", &[]);
    assert_eq!(plan.code, 1, "{plan:?}");
    assert!(plan.link["held"].to_string().contains("orders-value"), "{plan:?}");

    meddle(&scene, NewRecord::tombstone(&mode_key(ORDERS)));
    scene.wait_target("what was held follows", |state| {
        version_in(state, ORDERS, 2) == Some((2, false))
    });
    assert_eq!(mirror.end(), 0);
    scene.verify_equal();
}
