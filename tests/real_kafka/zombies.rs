//! A source whose tombstones expired while the link was away.

use crate::{
    broker::{COMPACT_SOON, EXPIRE_SOON, shared_source, shared_target},
    message::NewRecord,
    mirror::Scene,
    records::{
        config, config_key, hard_deleted, key_of, noop, schema, schema_key, soft_deleted,
        version_in,
    },
};

#[test]
fn what_was_deleted_without_a_trace_is_deleted_at_the_next_start() {
    let scene = Scene::between("zombies", shared_source(), shared_target());
    let configs = [&COMPACT_SOON[..], &[EXPIRE_SOON]].concat();
    scene.source.create_topic(&scene.source_topic(), 1, &configs);
    let subjects = ["gone-value", "kept-value", "half-value", "back-value"];
    let mut records: Vec<NewRecord> = Vec::new();
    for (id, subject) in (1..).step_by(2).zip(subjects) {
        records.extend([schema(subject, 1, id), schema(subject, 2, id.saturating_add(1))]);
        records.push(config(subject, "FULL"));
    }
    scene.produce(&records);
    scene.backfill_clean();

    // gone-value: 1, 2; half-value: 5, 6; back-value: 7, 8.
    scene.produce(&[
        soft_deleted("gone-value", 1, 1),
        soft_deleted("gone-value", 2, 2),
        hard_deleted("gone-value", 1),
        hard_deleted("gone-value", 2),
        NewRecord::tombstone(&config_key("gone-value")),
        soft_deleted("half-value", 1, 5),
        hard_deleted("half-value", 1),
        soft_deleted("back-value", 1, 7),
        soft_deleted("back-value", 2, 8),
        hard_deleted("back-value", 1),
        hard_deleted("back-value", 2),
        schema("back-value", 1, 9),
    ]);
    let deleted = [
        schema_key("gone-value", 1),
        schema_key("gone-value", 2),
        config_key("gone-value"),
        schema_key("half-value", 1),
        schema_key("back-value", 2),
    ];
    scene.source.wait_compacted(&scene.source_topic(), &noop(), |records| {
        records.iter().all(|record| !deleted.contains(&key_of(record)))
    });

    let mut mirror = scene.run("one");
    mirror.wait_for("running");
    let state = scene.target_state();
    for key in &deleted {
        let key = key.replace(r#""subject":""#, r#""subject":":.source:"#);
        assert!(!state.contains_key(&key), "{key} is a zombie");
    }
    assert_eq!(version_in(&state, ":.source:half-value", 2), Some((6, false)));
    assert_eq!(version_in(&state, ":.source:back-value", 1), Some((9, false)));
    assert_eq!(version_in(&state, ":.source:kept-value", 1), Some((3, false)));
    assert_eq!(mirror.end(), 0);
    scene.verify_equal();
    scene.start_in_sync("one");
}
