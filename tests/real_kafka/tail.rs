//! What a registry does while a link follows it.

use crate::{
    mirror::{LINK_LIMIT, Scene},
    process::poll_until,
    records::{
        config, config_key, delete_subject, fold, hard_deleted, key_of, schema, schema_key,
        soft_deleted, version_in,
    },
};

const ORDERS: &str = ":.source:orders-value";
const TRADES: &str = ":.source:trades-value";

#[test]
fn what_a_registry_does_arrives_in_its_order() {
    let scene = Scene::shared("live_order");
    let mut mirror = scene.run("one");
    mirror.wait_for("running");
    let steps = [
        vec![schema("orders-value", 1, 1), schema("orders-value", 2, 2)],
        vec![schema("trades-value", 1, 3), config("trades-value", "NONE")],
        vec![soft_deleted("orders-value", 1, 1)],
        vec![delete_subject("trades-value", 1)],
        vec![hard_deleted("orders-value", 1)],
        vec![hard_deleted("trades-value", 1), schema("trades-value", 1, 4)],
    ];
    for step in &steps {
        scene.produce(step);
    }
    let ended = scene.wait_target("the last registration arrives", |state| {
        version_in(state, TRADES, 1) == Some((4, false))
    });
    assert_eq!(version_in(&ended, ORDERS, 1), None);
    assert_eq!(version_in(&ended, ORDERS, 2), Some((2, false)));
    assert_eq!(ended[&config_key(TRADES)].0["compatibilityLevel"], "NONE");

    // Every step was there on its own, and in its place.
    let log = scene.target_log();
    let told = |subject: &str, version| {
        let key = schema_key(subject, version);
        let of_key = log.iter().enumerate().filter(|(_, record)| key_of(record) == key);
        let states = of_key.map(|(at, record)| {
            (at, version_in(&fold(std::slice::from_ref(record)), subject, version))
        });
        states.collect::<Vec<_>>()
    };
    let without_place =
        |told: &[(usize, _)]| told.iter().map(|&(_, held)| held).collect::<Vec<_>>();
    let (orders_1, trades_1) = (told(ORDERS, 1), told(TRADES, 1));
    assert_eq!(without_place(&orders_1), [Some((1, false)), Some((1, true)), None]);
    assert_eq!(
        without_place(&trades_1),
        [Some((3, false)), Some((3, true)), None, Some((4, false))]
    );
    let places: Vec<usize> = [orders_1[0], trades_1[0], orders_1[1], trades_1[1], orders_1[2]]
        .iter()
        .map(|&(place, _)| place)
        .collect();
    assert!(places.is_sorted(), "{places:?}");

    assert_eq!(mirror.end(), 0);
    let source_end = scene.source.watermarks(&scene.source_topic()).1;
    assert_eq!(scene.checkpoint().unwrap()["next"], source_end);
    scene.verify_equal();
}

#[test]
fn what_is_registered_while_a_link_starts_is_not_lost() {
    let scene = Scene::shared("live_start");
    scene.produce(&[schema("s1", 1, 1)]);
    let mut mirror = scene.run("one");
    // One by one, so that the source grows at every moment of the start.
    let ids = 2..;
    let last = ids.take_while(|id| {
        scene.produce(&[schema(&format!("s{id}"), 1, *id)]);
        mirror.lines("running").is_empty()
    });
    let last = last.last().unwrap().saturating_add(1);
    let last_subject = format!(":.source:s{last}");
    let state = scene.wait_target("the last registration arrives", |state| {
        version_in(state, &last_subject, 1).is_some()
    });
    for id in 1..=last {
        let subject = format!(":.source:s{id}");
        assert_eq!(version_in(&state, &subject, 1), Some((u64::from(id), false)), "{subject}");
    }
    assert_eq!(mirror.end(), 0);
    scene.verify_equal();
}

#[test]
fn a_mirror_that_is_told_to_end_writes_what_it_has_read_first() {
    let scene = Scene { target_lines: vec!["write_rate_max: 500"], ..Scene::shared("live_drain") };
    let mut mirror = scene.run("one");
    mirror.wait_for("running");
    let records: Vec<_> = (1..=2_000).map(|id| schema(&format!("s{id}"), 1, id)).collect();
    scene.produce(&records);
    poll_until(LINK_LIMIT, "some are written", || (scene.target_log().len() > 100).then_some(()));
    assert_eq!(mirror.end(), 0);
    // Nothing that the checkpoint speaks for is missing.
    let next = scene.checkpoint().unwrap()["next"].as_u64().unwrap();
    let state = scene.target_state();
    for id in 1..=u32::try_from(next).unwrap() {
        let subject = format!(":.source:s{id}");
        assert_eq!(version_in(&state, &subject, 1), Some((u64::from(id), false)), "{subject}");
    }
    let mut mirror = scene.run("one");
    mirror.wait_for("running");
    assert_eq!(mirror.end(), 0);
    scene.verify_equal();
}
