//! Brokers that die and come back while a link follows.

use crate::{
    broker::{Broker, shared_source},
    mirror::{Mirror, SOURCE_SETTINGS, Scene},
    records::{ten_from, version_in},
};

/// Waits until everything up to a subject is in the target.
#[track_caller]
fn wait_up_to(scene: &Scene<'_>, last: u32) {
    scene.wait_target(&format!("s1 to s{last} arrive"), |state| {
        (1..=last).all(|id| version_in(state, &format!(":.source:s{id}"), 1).is_some())
    });
}

/// So often the log said that something is away, or waited for.
fn complaints(mirror: &Mirror) -> [usize; 3] {
    ["waiting", "target away", "the lease was not renewed in time"]
        .map(|message| mirror.lines(message).len())
}

#[test]
fn a_link_waits_for_a_broker_that_died_and_loses_nothing() {
    let (source, target) = (Broker::start("dying-source"), Broker::start("dying-target"));
    let scene = Scene::between("outage", &source, &target);
    source.create_topic(&scene.source_topic(), 1, &SOURCE_SETTINGS);
    let mut mirror = scene.run("one");
    mirror.wait_for("running");
    scene.produce(&ten_from(1));
    wait_up_to(&scene, 10);
    let [waiting, target_away, _] = complaints(&mirror);

    source.kill();
    mirror.wait_for_nth("waiting", waiting.saturating_add(1));
    source.restart();
    scene.produce(&ten_from(11));
    wait_up_to(&scene, 20);
    let after_source = [waiting.saturating_add(1), target_away, 0];
    assert_eq!(complaints(&mirror), after_source, "the source's absence is said once");

    target.kill();
    scene.produce(&ten_from(21));
    mirror.wait_for("the lease was not renewed in time");
    target.restart();
    wait_up_to(&scene, 30);
    let [waiting, away, lost] = complaints(&mirror);
    assert!(away <= target_away.saturating_add(1), "the target's absence is said once");
    assert_eq!(lost, 1);
    // A start that found the target still away says so, and waits longer for each next one.
    assert!(waiting <= after_source[0].saturating_add(3), "{waiting} times waiting");

    scene.produce(&ten_from(31));
    wait_up_to(&scene, 40);
    assert_eq!(mirror.end(), 0);
    scene.verify_equal();
    assert_eq!(scene.checkpoint().unwrap()["next"], 40);
}

#[test]
fn a_mirror_that_is_told_to_end_ends_while_its_target_is_away() {
    let target = Broker::start("gone-target");
    let scene = Scene::between("outage_end", shared_source(), &target);
    scene.source.create_topic(&scene.source_topic(), 1, &SOURCE_SETTINGS);
    let mut mirror = scene.run("one");
    mirror.wait_for("running");
    scene.produce(&ten_from(1));
    wait_up_to(&scene, 10);

    target.kill();
    scene.produce(&ten_from(11));
    mirror.wait_for("the lease was not renewed in time");
    // Supervisors kill after 30 s.
    mirror.end();

    target.restart();
    let mut mirror = scene.run("one");
    wait_up_to(&scene, 20);
    mirror.wait_for("running");
    assert_eq!(mirror.end(), 0);
    scene.verify_equal();
}

#[test]
fn a_mirror_that_is_told_to_end_while_its_links_start_anew_ends() {
    let scene = Scene::shared("outage_anew");
    let mut mirror = scene.run("one");
    mirror.wait_for("running");
    mirror.hang_up();
    mirror.wait_for("configuration read again; links start anew with it");
    assert_eq!(mirror.end(), 0);
}
