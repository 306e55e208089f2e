//! What the leader among a cluster's registries writes of its own accord, in its release's way.

use schema_mirror::core::record::Outgoing;
use schema_mirror::core::record::Record;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::said::LogKey;
use super::said::Place;
use super::said::Said;
use super::said::said;
use super::source::put;
use super::source::tombstone;
use super::swarm::Chaos;
use super::swarm::Release;
use super::world::Author;
use super::world::ClusterState;
use super::world::SCHEMAS;
use super::world::World;

/// Puts back what a record with a taken id replaced; where nothing stood, a tombstone.
pub(crate) fn roll_back(world: &mut World, cluster: usize, record: &Record, author: Author) {
    if !world.swarm.has(Chaos::Leader) && author != Author::Registry {
        return;
    }
    let Said::State(key, _) = said(record) else { return };
    // What is refused changes nothing.
    let value = world.clusters[cluster].registry.keys.get(&key).map(|held| {
        let mut value = held.value.clone();
        value.insert("offset".into(), held.offset.into());
        value.insert("ts".into(), held.timestamp_ms.into());
        bytes(world, cluster, &value)
    });
    let write = Outgoing { key: key.bytes(), value, ..Outgoing::default() };
    let end = world.clusters[cluster].schemas().end;
    world.clusters[cluster].rolled_back.insert(end);
    world.land(cluster, SCHEMAS, 0, write, Author::Registry).unwrap();
}

/// The registry starts again: it asks where the end is, with one NOOP at its start and one as the
/// leader, orders the fields of values in another way, and forgets ids that nothing has any more.
pub(crate) fn restart(world: &mut World, cluster: usize) {
    world.clusters[cluster].field_order = world.rng.index(8);
    for _ in 0..2 {
        put(world, cluster, br#"{"keytype":"NOOP","magic":0}"#.to_vec(), None);
    }
    if world.swarm.has(Chaos::IdReuse) {
        world.clusters[cluster].ids.clear();
    }
}

/// A value's bytes: fields come in an order of the process's own (measured: it differs between two
/// starts of one release).
pub(crate) fn bytes(world: &World, cluster: usize, value: &Map<String, Value>) -> Vec<u8> {
    let turned = world.clusters[cluster].field_order % value.len().max(1);
    let fields = value.iter().skip(turned).chain(value.iter().take(turned));
    let value: Map<String, Value> =
        fields.map(|(name, value)| (name.clone(), value.clone())).collect();
    serde_json::to_vec(&value).unwrap()
}

/// The schema type as the release writes it for Avro.
pub(crate) fn name_avro(world: &World, cluster: usize, value: &mut Map<String, Value>) {
    if world.clusters[cluster].release == Release::V8 {
        value.insert("schemaType".into(), "AVRO".into());
    }
}

/// Versions in the order in which the release deletes them for good.
pub(crate) fn in_deletion_order(world: &World, cluster: usize, versions: &mut [u32]) {
    versions.sort_unstable();
    if world.clusters[cluster].release == Release::V8 {
        versions.reverse();
    }
}

/// Older versions that a new registration of their schema replaces for good. What something refers
/// to stays since 8.0.6.
pub(crate) fn replaces(world: &World, cluster: usize, place: &Place, version: u32) -> bool {
    let ClusterState { registry, release, .. } = &world.clusters[cluster];
    *release == Release::V7
        || !registry.keys.iter().any(|(key, held)| {
            let refers = |(subject, of): &(String, i64)| {
                let named = Place::parse(subject);
                let context =
                    if named.context == "." { &key.place().context } else { &named.context };
                *of == i64::from(version) && *context == place.context && named.name == place.name
            };
            matches!(key, LogKey::Schema(..)) && held.references().iter().any(refers)
        })
}

/// Up to 7.9.2 the settings of a subject go with its soft deletion already.
pub(crate) fn after_soft_delete(world: &mut World, cluster: usize, place: &Place) {
    let goes = world.clusters[cluster].release == Release::V7 && world.rng.chance(50);
    if goes {
        forget_settings(world, cluster, place);
    }
}

/// Tombstones of a subject's mode and settings, where they stand.
pub(crate) fn forget_settings(world: &mut World, cluster: usize, place: &Place) {
    for key in [LogKey::Mode(place.clone()), LogKey::Config(place.clone())] {
        if world.clusters[cluster].registry.keys.contains_key(&key) {
            tombstone(world, cluster, &key);
        }
    }
}

/// What only 8.x has: associations, and the mode FORWARD, which is set for the whole registry.
pub(crate) fn newer_kinds(world: &mut World, cluster: usize, place: &Place) {
    if world.clusters[cluster].release == Release::V7 {
        return;
    }
    if world.rng.chance(50) {
        let key = LogKey::Mode(Place::new(".__GLOBAL", ""));
        let value = json!({"subject": ":.__GLOBAL:", "mode": "FORWARD"});
        let value = world.rng.chance(70).then(|| serde_json::to_vec(&value).unwrap());
        put(world, cluster, key.bytes(), value);
        return;
    }
    let (subject, topic) = (Value::from(place.spelled()), Value::from(place.name.clone()));
    let named = format!(
        r#""tenant":"default","resourceName":{topic},"resourceNamespace":"lkc-1","resourceType":"topic","associationType":"value","subject":{subject}"#
    );
    let key = format!(r#"{{"keytype":"ASSOC",{named},"magic":0}}"#).into_bytes();
    let value =
        format!(r#"{{"guid":"g","resourceId":"r","lifecycle":"WEAK","frozen":false,{named}}}"#);
    let value = world.rng.chance(70).then(|| value.into_bytes());
    put(world, cluster, key, value);
}
