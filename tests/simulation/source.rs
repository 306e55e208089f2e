//! What a registry and its clients do to a cluster: random operations that are valid there.

use schema_mirror::core::record::Outgoing;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::leader;
use super::said::LogKey;
use super::said::Place;
use super::swarm::Chaos;
use super::swarm::Release;
use super::world::Author;
use super::world::SCHEMAS;
use super::world::World;

const NAMES: [&str; 7] = ["a", "ab", "b", "c-value", "d \"quoted\"", "ö/x", "e:f"];
const LEVELS: [&str; 4] = ["NONE", "BACKWARD", "FULL", "FORWARD_TRANSITIVE"];

/// A client of a cluster's registry does something.
pub(crate) fn act(world: &mut World, cluster: usize) {
    let place = random_place(world);
    act_at(world, cluster, &place);
}

/// The same at a given subject.
pub(crate) fn act_at(world: &mut World, cluster: usize, place: &Place) {
    match world.rng.below(100) {
        0..=39 => register(world, cluster, place),
        40..=49 => delete_version(world, cluster, place),
        50..=56 => delete_subject(world, cluster, place),
        57..=66 => hard_delete(world, cluster, place),
        67..=69 => undelete(world, cluster, place),
        70..=79 => settings(world, cluster, place),
        80..=82 => modes(world, cluster, place),
        83..=84 => context_record(world, cluster, place),
        85..=86 => leader::restart(world, cluster),
        87..=89 => lose_a_race(world, cluster, place),
        90..=96 => super::odd::write(world, cluster, place),
        97..=98 => leader::newer_kinds(world, cluster, place),
        _ => put(world, cluster, br#"{"keytype":"NOOP","magic":0}"#.to_vec(), None),
    }
}

fn random_place(world: &mut World) -> Place {
    let contexts: &[&str] =
        if world.swarm.has(Chaos::Contexts) { &[".", ".", ".st", ".x"] } else { &["."] };
    let context = *world.rng.pick(contexts);
    let name = *world.rng.pick(&NAMES);
    Place::new(context, name)
}

/// A record of the registry, with the time now or, where clocks differ, ahead of it.
pub(crate) fn put(world: &mut World, cluster: usize, key: Vec<u8>, value: Option<Vec<u8>>) {
    let ahead = world.swarm.has(Chaos::Ahead) && world.rng.chance(10);
    let timestamp_ms = ahead.then(|| world.wall_ms() + 7_200_000);
    let write = Outgoing { key, value, timestamp_ms, ..Outgoing::default() };
    world.land(cluster, SCHEMAS, 0, write, Author::Registry).unwrap();
}

fn put_value(world: &mut World, cluster: usize, key: &LogKey, value: &Map<String, Value>) {
    let bytes = leader::bytes(world, cluster, value);
    put(world, cluster, key.bytes(), Some(bytes));
}

/// What a key says, said once more.
pub(crate) fn write_again(world: &mut World, cluster: usize, key: &LogKey) {
    let held = &world.clusters[cluster].registry.keys[key];
    let (mut value, deleted) = (held.value.clone(), held.deleted);
    if matches!(key, LogKey::Schema(..)) {
        // A DELETE_SUBJECT may have changed it since.
        value.insert("deleted".into(), deleted.into());
    }
    put_value(world, cluster, key, &value);
}

/// A tombstone for every spelling under which the key stands, and for the canonical one.
pub(crate) fn tombstone(world: &mut World, cluster: usize, key: &LogKey) {
    let known = world.clusters[cluster].registry.spellings.get(key).cloned().unwrap_or_default();
    let canonical = key.bytes();
    for bytes in known.into_iter().filter(|bytes| *bytes != canonical) {
        put(world, cluster, bytes, None);
    }
    put(world, cluster, canonical, None);
}

fn schema_value(
    world: &mut World,
    cluster: usize,
    (place, version): (&Place, u32),
    id: i64,
    text: &str,
) -> Map<String, Value> {
    let mut value = Map::new();
    value.insert("subject".into(), place.spelled().into());
    value.insert("version".into(), version.into());
    value.insert("id".into(), id.into());
    leader::name_avro(world, cluster, &mut value);
    if world.rng.chance(20) {
        value.insert("metadata".into(), json!({"properties": {"owner": "x"}, "tags": {}}));
    }
    if world.rng.chance(10) {
        value.insert("from-the-future".into(), json!([1.50, {"a": null}]));
    }
    value.insert("schema".into(), text.into());
    value.insert("deleted".into(), false.into());
    value
}

pub(crate) fn random_text(world: &mut World) -> String {
    let number = world.rng.below(14);
    format!("{{ \"type\":\t\"record\", \"name\": \"R{number}\",\n \"doc\": \"ü \\u00e9 😀\" }}")
}

/// Gives a schema its id: the one its text has in the context, or the next.
fn id_for(world: &mut World, cluster: usize, context: &str, text: &str) -> i64 {
    let state = &mut world.clusters[cluster];
    let known = state.registry.keys.iter().find_map(|(key, held)| match key {
        LogKey::Schema(of, _) if of.context == context && held.text() == text => Some(held.id()),
        _ => None,
    });
    let highest = state.registry.id_max(context);
    let given = state.ids.entry(context.to_owned()).or_default();
    *given = (*given).max(highest);
    known.unwrap_or_else(|| {
        *given += 1;
        *given
    })
}

fn register(world: &mut World, cluster: usize, place: &Place) {
    let text = random_text(world);
    let held = world.clusters[cluster].registry.versions(place);
    if held.iter().any(|(_, held)| held.text() == text && !held.deleted) {
        return;
    }
    let version = held.iter().map(|(version, _)| *version).max().unwrap_or_default() + 1;
    let replaced: Vec<u32> = held
        .iter()
        .filter(|(_, held)| held.text() == text && held.deleted)
        .map(|(version, _)| *version)
        .collect();
    let declared = LogKey::Context(place.context.clone());
    if place.context != "." && !world.clusters[cluster].registry.keys.contains_key(&declared) {
        declare(world, cluster, &place.context);
    }
    let id = id_for(world, cluster, &place.context, &text);
    for version in replaced {
        if !leader::replaces(world, cluster, place, version) {
            continue;
        }
        tombstone(world, cluster, &LogKey::Schema(place.clone(), version));
    }
    let mut value = schema_value(world, cluster, (place, version), id, &text);
    if world.swarm.has(Chaos::References) && world.rng.chance(40) {
        value.insert("references".into(), references(world, cluster, place));
    }
    let key = LogKey::Schema(place.clone(), version);
    let bytes = leader::bytes(world, cluster, &value);
    let legacy = world.swarm.has(Chaos::Legacy) && world.rng.chance(30);
    put(world, cluster, if legacy { key.legacy_bytes() } else { key.bytes() }, Some(bytes));
}

fn declare(world: &mut World, cluster: usize, context: &str) {
    let key = LogKey::Context(context.to_owned());
    let value = json!({"tenant": "default", "context": context});
    put(world, cluster, key.bytes(), Some(serde_json::to_vec(&value).unwrap()));
}

fn references(world: &mut World, cluster: usize, place: &Place) -> Value {
    let known: Vec<(Place, u32)> = world.clusters[cluster]
        .registry
        .keys
        .iter()
        .filter_map(|(key, held)| match key {
            LogKey::Schema(of, version) if of != place && !held.deleted => {
                Some((of.clone(), *version))
            }
            _ => None,
        })
        .collect();
    let mut list = Vec::new();
    for number in 0..world.rng.below(3) {
        if known.is_empty() || world.rng.chance(5) {
            list.push(json!({"name": format!("n{number}"), "subject": "nowhere", "version": 1}));
            continue;
        }
        let (of, version) = world.rng.pick(&known).clone();
        let spelled = if of.context == place.context { of.name } else { of.spelled() };
        if spelled.starts_with(':') || of.context == place.context {
            list.push(
                json!({"name": format!("n{number}"), "subject": spelled, "version": version}),
            );
        }
    }
    list.into()
}

fn versions_of(world: &World, cluster: usize, place: &Place, deleted: bool) -> Vec<u32> {
    let versions = world.clusters[cluster].registry.versions(place);
    versions.iter().filter(|(_, held)| held.deleted == deleted).map(|(v, _)| *v).collect()
}

/// The record of a version with another mark, under the bytes that the registry writes.
fn mark(world: &mut World, cluster: usize, key: &LogKey, deleted: bool) {
    let mut value = world.clusters[cluster].registry.keys[key].value.clone();
    value.insert("deleted".into(), deleted.into());
    put_value(world, cluster, key, &value);
}

fn delete_version(world: &mut World, cluster: usize, place: &Place) {
    let live = versions_of(world, cluster, place, false);
    if !live.is_empty() {
        let version = *world.rng.pick(&live);
        mark(world, cluster, &LogKey::Schema(place.clone(), version), true);
    }
}

pub(crate) fn delete_subject(world: &mut World, cluster: usize, place: &Place) {
    let Some(highest) = versions_of(world, cluster, place, false).pop() else { return };
    let subject = Value::from(place.spelled());
    let key = format!(r#"{{"keytype":"DELETE_SUBJECT","subject":{subject},"magic":0}}"#);
    let value = format!(r#"{{"subject":{subject},"version":{highest}}}"#);
    put(world, cluster, key.into_bytes(), Some(value.into_bytes()));
    leader::after_soft_delete(world, cluster, place);
}

pub(crate) fn hard_delete(world: &mut World, cluster: usize, place: &Place) {
    let mut gone = versions_of(world, cluster, place, true);
    let live = versions_of(world, cluster, place, false);
    if gone.is_empty() {
        return;
    }
    gone.reverse();
    if world.rng.chance(50) {
        gone.truncate(1);
    }
    let all = live.is_empty() && gone.len() == versions_of(world, cluster, place, true).len();
    leader::in_deletion_order(world, cluster, &mut gone);
    for version in gone {
        tombstone(world, cluster, &LogKey::Schema(place.clone(), version));
    }
    if all {
        leader::forget_settings(world, cluster, place);
    }
}

/// Only the highest version comes back: with a lower one alive, the next DELETE_SUBJECT would name a
/// lower version than the one before, and compaction would bring the others to life.
fn undelete(world: &mut World, cluster: usize, place: &Place) {
    let versions = world.clusters[cluster].registry.versions(place);
    if let Some((version, held)) = versions.last()
        && held.deleted
    {
        let key = LogKey::Schema(place.clone(), *version);
        mark(world, cluster, &key, false);
    }
}

fn settings(world: &mut World, cluster: usize, place: &Place) {
    if !world.swarm.has(Chaos::Settings) {
        return;
    }
    let own = Place::new(&place.context, "");
    let global = Place::new(".__GLOBAL", "");
    let place = match world.rng.below(10) {
        0..=5 => place.clone(),
        6..=8 => own,
        _ => global,
    };
    let key = LogKey::Config(place.clone());
    if world.rng.chance(30) {
        tombstone(world, cluster, &key);
        return;
    }
    let mut value = Map::new();
    if !place.spelled().is_empty() && world.rng.chance(80) {
        value.insert("subject".into(), place.spelled().into());
    }
    if world.rng.chance(20) && !place.name.is_empty() {
        let other = *world.rng.pick(&NAMES);
        value.insert("alias".into(), other.into());
    }
    if world.rng.chance(20) {
        value.insert("normalize".into(), true.into());
    }
    if world.rng.chance(85) {
        let level = *world.rng.pick(&LEVELS);
        value.insert("compatibilityLevel".into(), level.into());
    }
    put_value(world, cluster, &key, &value);
}

fn modes(world: &mut World, cluster: usize, place: &Place) {
    let own = Place::new(&place.context, "");
    let key = LogKey::Mode(if world.rng.chance(50) { place.clone() } else { own });
    if world.rng.chance(40) {
        tombstone(world, cluster, &key);
        return;
    }
    let mode = *world.rng.pick(&["READWRITE", "READONLY", "IMPORT"]);
    let mut value = Map::new();
    value.insert("mode".into(), mode.into());
    put_value(world, cluster, &key, &value);
}

fn context_record(world: &mut World, cluster: usize, place: &Place) {
    if place.context == "." {
        return;
    }
    let key = LogKey::Context(place.context.clone());
    let registry = &world.clusters[cluster].registry;
    let used = registry.subjects().iter().any(|of| of.context == place.context);
    if registry.keys.contains_key(&key) {
        // 8.x has a request for it.
        if !used && world.clusters[cluster].release == Release::V8 {
            tombstone(world, cluster, &key);
        }
    } else {
        declare(world, cluster, &place.context);
    }
}

/// Another node gave the same id away: its record loses and the leader puts the key back.
fn lose_a_race(world: &mut World, cluster: usize, place: &Place) {
    let registry = &world.clusters[cluster].registry;
    let taken = registry.id_max(&place.context);
    if !world.swarm.has(Chaos::Loser) || taken == 0 {
        return;
    }
    let versions = registry.versions(place);
    let version = versions.iter().map(|(version, _)| *version).max().unwrap_or_default() + 1;
    let text = format!("\"loser {}\"", world.rng.below(1000));
    let value = schema_value(world, cluster, (place, version), taken, &text);
    put_value(world, cluster, &LogKey::Schema(place.clone(), version), &value);
}
