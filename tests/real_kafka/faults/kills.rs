//! kill -9 of the mirror, again and again.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    broker::COMPACT_SOON,
    flow::{OFTEN, Registry, while_flowing},
    mirror::{Mirror, Scene},
    numbers::doubled,
    process::{now, pass, seed_of_this_run},
    rng::Rng,
};

/// The mirror is killed so often.
const KILLS: u64 = 100;
/// A process lives no longer than this before it is killed; most live for a twentieth.
const LIFE_MAX: Duration = Duration::from_secs(2);
/// Half of the restarts come up within this time: far less than the session time-out of 6 s, after
/// which the group would give the scope to anybody else.
const BACK_WITHIN: Duration = Duration::from_secs(3);

/// How far the link had come when it was killed.
fn last_step(mirror: &Mirror) -> String {
    let steps = ["started", "preflight", "standby", "reading_target", "reconciling", "running"];
    let came = |step: &&&str| !mirror.lines(step).is_empty();
    (*steps.iter().rev().find(came).unwrap_or(&"nothing")).to_owned()
}

#[test]
fn a_mirror_that_is_killed_100_times_loses_nothing_and_never_goes_back() {
    let seed = seed_of_this_run();
    let scene = Scene { link_lines: vec!["max_delete_share: 1"], ..Scene::shared("killed_often") };
    let scene = scene.with_neighbours(&COMPACT_SOON[..1]);
    let (mut rng, mut registry) = (Rng::new(seed), Registry::seeded(seed));
    scene.produce(&registry.steps(200));
    let mut moments = BTreeMap::<String, u64>::new();
    let mut back_after = Vec::new();
    let since = now();
    while_flowing(&scene, &mut registry, OFTEN, || {
        for number in 1..=KILLS {
            let mut mirror = scene.run("one");
            // Half of them die while they start, most of the others while they follow.
            if rng.chance(50) {
                let started = now();
                mirror.wait_for("running");
                back_after.push(started.elapsed());
            }
            pass(rng.pause(LIFE_MAX));
            assert!(mirror.is_alive(), "the mirror ended before kill {number}");
            let moment = moments.entry(last_step(&mirror)).or_default();
            *moment = moment.saturating_add(1);
            mirror.kill();
        }
    });
    let taken = since.elapsed();
    assert_eq!(moments.values().sum::<u64>(), KILLS);
    assert!(moments["running"] >= KILLS / 5, "too few while it followed: {moments:?}");
    back_after.sort();
    let back_after = back_after[back_after.len() / 2];
    assert!(back_after < BACK_WITHIN, "half of the restarts took longer than {back_after:?}");

    let mut mirror = scene.run("one");
    let log = scene.finish(&mut mirror);
    mirror.assert_story(1, &[]);
    assert!(registry.is_in(&scene.target_state()));
    let doubled = doubled(&log);
    eprintln!(
        "{KILLS} kills with seed {seed} in {taken:?}, by the last step: {moments:?}; back after \
         {back_after:?}; {} records in the scope, {doubled} of them written twice",
        log.len()
    );
    // What is on its way when the process dies may be written once more, and no more than that.
    assert!(u64::try_from(doubled).unwrap() <= KILLS, "{doubled} records were written twice");
    scene.start_in_sync("one");
}
