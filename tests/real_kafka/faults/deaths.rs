//! Brokers that are killed, and that are restarted in order, while a link copies or follows.

use std::thread;

use super::{Mortals, mortals, wait_for_more};
use crate::{
    broker::{Broker, COMPACT_SOON},
    flow::{OFTEN, Registry, while_flowing},
    mirror::{SOURCE_SETTINGS, Scene},
};

/// Records that a backfill copies: at its rate that takes longer than both outages.
const COPIED: usize = 10_000;
const RATE: &str = "write_rate_max: 300";

fn scene<'a>(name: &'static str, mortals: &'a Mortals) -> Scene<'a> {
    let mut scene = Scene::between(name, &mortals.source, &mortals.target);
    scene.link_lines = vec!["max_delete_share: 1"];
    scene.source.create_topic(&scene.source_topic(), 1, &SOURCE_SETTINGS);
    scene.with_neighbours(&COMPACT_SOON[..1])
}

/// kill -9, and later a restart in order; the link goes on after each.
fn outages(scene: &Scene<'_>, dying: &Broker) {
    dying.kill();
    dying.restart();
    wait_for_more(scene, 100);
    dying.stop();
    dying.restart();
    wait_for_more(scene, 100);
}

/// A backfill whose broker dies twice in its middle, and what is registered meanwhile.
#[track_caller]
fn check_backfill(name: &'static str, dying: impl Fn(&Mortals) -> &Broker) {
    let mortals = mortals();
    let mut scene = scene(name, &mortals);
    scene.target_lines = vec![RATE];
    let mut registry = Registry::seeded(1);
    scene.produce(&registry.steps(COPIED));
    let answer = thread::scope(|scope| {
        let backfill = scope.spawn(|| scene.backfill());
        wait_for_more(&scene, 500);
        outages(&scene, dying(&mortals));
        scene.produce(&registry.steps(100));
        assert!(!backfill.is_finished(), "both outages came in its middle");
        backfill.join().unwrap()
    });
    assert_eq!((answer.code, answer.text("result")), (0, "done"), "{answer:?}");
    scene.produce(&registry.steps(100));
    assert!(scene.backfill_clean() > 0, "the next one copies what was registered since");
    assert!(registry.is_in(&scene.target_state()));
    scene.assert_aftermath();
}

/// A link that follows while its broker dies twice.
#[track_caller]
fn check_tail(
    name: &'static str,
    dying: impl Fn(&Mortals) -> &Broker,
    (lives, others): (usize, &[(&str, usize)]),
) {
    let mortals = mortals();
    let scene = scene(name, &mortals);
    let mut registry = Registry::seeded(2);
    let mut mirror = scene.run("one");
    mirror.wait_for("running");
    while_flowing(&scene, &mut registry, OFTEN, || {
        wait_for_more(&scene, 100);
        outages(&scene, dying(&mortals));
    });
    scene.finish(&mut mirror);
    assert!(registry.is_in(&scene.target_state()));
    mirror.assert_story(lives, others);
}

#[test]
fn a_backfill_is_finished_though_its_targets_broker_is_killed_and_restarted() {
    check_backfill("target_dies_early", |mortals| &mortals.target);
}

#[test]
fn a_backfill_is_finished_though_its_sources_broker_is_killed_and_restarted() {
    check_backfill("source_dies_early", |mortals| &mortals.source);
}

#[test]
fn a_link_follows_on_after_its_targets_broker_was_killed_and_restarted() {
    // A look at a broker that is not up yet begins a life, and ends it.
    let others = [("waiting", 6), ("target away", 2), ("the lease was not renewed in time", 2)];
    check_tail("target_dies", |mortals| &mortals.target, (9, &others));
}

#[test]
fn a_link_follows_on_after_its_sources_broker_was_killed_and_restarted() {
    // It waits twice in one and the same life.
    let others = [("waiting", 2), ("running", 3)];
    check_tail("source_dies", |mortals| &mortals.source, (1, &others));
}
