//! Records near and over what the target takes.

use super::wait_for_more;
use crate::{
    broker::COMPACT_SOON,
    flow::{OFTEN, Registry, while_flowing},
    mirror::Scene,
    records::{padded, version_in},
};

/// `max.message.bytes` of the target in these tests.
const LIMIT: usize = 20_000;
/// What a record of ours has besides its padding is less than this, headers included.
const AROUND: usize = 1_000;
/// A record that the topic takes by less than this may be set aside: how the client packs a batch is
/// not known to the byte.
const ROOM: usize = 200;

fn scene(name: &'static str) -> Scene<'static> {
    Scene { link_lines: vec!["max_delete_share: 1"], ..Scene::shared(name) }
        .with_neighbours(&COMPACT_SOON[..1])
}

fn held(scene: &Scene<'_>, id: u32) -> bool {
    let subject = format!(":.source:large-{id}");
    version_in(&scene.target_state(), &subject, 1) == Some((u64::from(id), false))
}

/// The bytes of a version's record in the target.
fn size_in_target(scene: &Scene<'_>, id: u32) -> usize {
    let log = scene.target_log();
    let key = crate::records::schema_key(&format!(":.source:large-{id}"), 1);
    let record = log.iter().rfind(|record| crate::records::key_of(record) == key).unwrap();
    let of_headers = record
        .headers
        .iter()
        .map(|(name, value)| name.len().saturating_add(value.as_ref().map_or(0, Vec::len)));
    [key.len(), record.value.as_ref().map_or(0, Vec::len)].into_iter().chain(of_headers).sum()
}

#[test]
fn records_just_below_at_and_over_the_targets_limit_are_copied_or_set_aside_and_the_rest_flows() {
    let scene = scene("sizes");
    scene.target.alter_topic(&scene.target_topic(), &[("max.message.bytes", "20000")]);
    let mut registry = Registry::seeded(12);
    let mut mirror = scene.run("one");
    mirror.wait_for("running");
    let paddings = (LIMIT - AROUND..LIMIT + 100).step_by(25);
    let ids = 50_000..;
    let sized: Vec<_> = ids.zip(paddings).collect();
    while_flowing(&scene, &mut registry, OFTEN, || {
        for (id, bytes) in &sized {
            scene.produce(&[padded(&format!("large-{id}"), *id, *bytes)]);
        }
        wait_for_more(&scene, 50);
    });
    scene.wait_done();
    assert_eq!(mirror.end(), 0, "incidents are no reason to end badly");

    let copied: Vec<bool> = sized.iter().map(|(id, _)| held(&scene, *id)).collect();
    assert!(copied.is_sorted_by(|a, b| a >= b), "smaller ones are copied: {copied:?}");
    let count = copied.iter().filter(|copied| **copied).count();
    assert!(count > 0 && count < sized.len(), "the limit lies between them: {copied:?}");
    let largest = size_in_target(&scene, sized[count - 1].0);
    eprintln!("{count} of {} sizes were copied, the largest with {largest} bytes", sized.len());
    assert!(largest > LIMIT - ROOM, "{largest} bytes are not near {LIMIT}");
    let aside = sized.len() - count;
    assert_eq!(mirror.lines("incident").len(), aside, "each that is set aside is told once");
    // The look before the start warns of the topic, and of the source that takes more.
    mirror.assert_story(1, &[("incident", aside), ("topic", 1), ("preflight", 2)]);
    assert!(registry.is_in(&scene.target_state()));

    scene.target.alter_topic(&scene.target_topic(), &[("max.message.bytes", "1048588")]);
    let mut mirror = scene.run("one");
    mirror.wait_for("running");
    scene.finish(&mut mirror);
    assert!(sized.iter().all(|(id, _)| held(&scene, *id)), "what was set aside follows");
    mirror.assert_story(1, &[]);
}

#[test]
fn a_limit_that_is_lowered_while_a_link_follows_sets_aside_what_is_too_large_since() {
    let scene = scene("sizes_lowered");
    let mut registry = Registry::seeded(13);
    let mut mirror = scene.run("one");
    mirror.wait_for("running");
    while_flowing(&scene, &mut registry, OFTEN, || {
        scene.produce(&[padded("large-50000", 50_000, LIMIT + AROUND)]);
        scene.wait_target("it is copied", |state| {
            version_in(state, ":.source:large-50000", 1).is_some()
        });
        scene.target.alter_topic(&scene.target_topic(), &[("max.message.bytes", "20000")]);
        scene.produce(&[padded("large-50001", 50_001, LIMIT + AROUND)]);
        let incident = mirror.wait_for("incident");
        let reason = incident["reason"].as_str().unwrap();
        assert!(reason.contains("takes 20000 at most"), "{reason}");
        wait_for_more(&scene, 50);
    });
    scene.wait_done();
    assert_eq!(mirror.end(), 0);
    assert!(held(&scene, 50_000) && !held(&scene, 50_001));
    assert!(registry.is_in(&scene.target_state()));
    // The broker refuses it, and the next life asks how much it takes.
    // Its look before the start warns of the topic, and of the source that takes more.
    let others = [("incident", 1), ("waiting", 1), ("topic", 1), ("preflight", 3)];
    mirror.assert_story(2, &others);

    scene.target.alter_topic(&scene.target_topic(), &[("max.message.bytes", "1048588")]);
    let mut mirror = scene.run("one");
    mirror.wait_for("running");
    scene.finish(&mut mirror);
    assert!(held(&scene, 50_001), "what was set aside follows");
}
