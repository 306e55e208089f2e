//! Planted faults on the way from the link to the log, and back.

use std::sync::Arc;

use schema_mirror::core::record::Outgoing;
use schema_mirror::core::record::Record;
use serde_json::Map;
use serde_json::Value;

use super::said::LogKey;
use super::said::Place;
use super::said::Said;
use super::said::said;
use super::swarm::Sabotage;
use super::world::ClusterState;
use super::world::SCHEMAS;
use super::world::World;

/// Does to a write what the planted fault does; how many times it is written.
pub(crate) fn tamper(world: &mut World, topic: &str, write: &mut Outgoing) -> usize {
    let Some(sabotage) = world.sabotage else { return 1 };
    if topic != SCHEMAS {
        return tamper_state(world, sabotage, write);
    }
    let is = |kind: &str| write.key.starts_with(format!(r#"{{"keytype":"{kind}""#).as_bytes());
    let (is_schema, is_context) = (is("SCHEMA"), is("CONTEXT"));
    match sabotage {
        Sabotage::TombstonesDropped if write.value.is_none() => return 0,
        Sabotage::FenceDropped if is("MODE") => return 0,
        Sabotage::ContextUndeclared if is_context => return 0,
        Sabotage::SettingsDropped if is("CONFIG") => return 0,
        Sabotage::WrittenTwice if world.rng.chance(10) => return 2,
        Sabotage::PathDropped => write.headers = Arc::default(),
        Sabotage::TimestampRemade => write.timestamp_ms = None,
        Sabotage::KeyRespelled if is_schema => {
            let fields: Map<String, Value> = serde_json::from_slice(&write.key).unwrap();
            let turned: Map<String, Value> = fields.into_iter().rev().collect();
            write.key = serde_json::to_vec(&turned).unwrap();
        }
        Sabotage::TextReformatted if is_schema => {
            change_value(write, |value| {
                if let Some(Value::String(text)) = value.get_mut("schema") {
                    *text = text.split_whitespace().collect();
                }
            });
        }
        Sabotage::DeletionUnmarked if is_schema => {
            change_value(write, |value| drop(value.insert("deleted".into(), false.into())));
        }
        _ if is_schema => tamper_schema(sabotage, write),
        _ => {}
    }
    1
}

fn tamper_schema(sabotage: Sabotage, write: &mut Outgoing) {
    match sabotage {
        Sabotage::DeleteSubjectForwarded => forward_deletion(write),
        Sabotage::ReferencesReversed => change_value(write, |value| {
            if let Some(Value::Array(list)) = value.get_mut("references") {
                list.reverse();
            }
        }),
        Sabotage::UnknownFieldsDropped => {
            change_value(write, |value| drop(value.remove("from-the-future")));
        }
        Sabotage::IdRenumbered => change_value(write, |value| {
            let id = value.get("id").and_then(Value::as_i64).unwrap_or_default();
            value.insert("id".into(), (id + 1).into());
        }),
        Sabotage::ContextStripped => strip_context(write),
        _ => {}
    }
}

/// As the source's registry said it.
fn forward_deletion(write: &mut Outgoing) {
    let Some(bytes) = &write.value else { return };
    let value: Map<String, Value> = serde_json::from_slice(bytes).unwrap();
    if value.get("deleted") == Some(&true.into()) {
        let (subject, version) = (&value["subject"], &value["version"]);
        let key = format!(r#"{{"keytype":"DELETE_SUBJECT","subject":{subject},"magic":0}}"#);
        write.key = key.into_bytes();
        let value = format!(r#"{{"subject":{subject},"version":{version}}}"#);
        write.value = Some(value.into_bytes());
    }
}

fn strip_context(write: &mut Outgoing) {
    let Said::State(LogKey::Schema(place, version), _) =
        said(&Record { key: Some(write.key.clone().into()), ..Record::default() })
    else {
        return;
    };
    write.key = LogKey::Schema(Place::new(".", &place.name), version).bytes();
    change_value(write, |value| drop(value.insert("subject".into(), place.name.into())));
}

/// What a reader gives of what it read: which records, and whether they are as they were written.
pub(crate) fn hide(world: &World, cluster: usize, topic: &str, records: &mut Vec<Record>) {
    let Some(sabotage) = world.sabotage.filter(|_| topic == SCHEMAS) else { return };
    let ClusterState { rolled_back, foreign, .. } = &world.clusters[cluster];
    match sabotage {
        Sabotage::RollbackHidden => records.retain(|record| !rolled_back.contains(&record.offset)),
        Sabotage::ForeignHidden => records.retain(|record| !foreign.contains(&record.offset)),
        Sabotage::EchoTakenAsNew => {
            for header in records.iter_mut().flat_map(|record| &mut record.headers) {
                header.value = header.value.as_deref().map(of_another_epoch);
            }
        }
        _ => {}
    }
}

/// Whether links write a cluster and none reads it: what goes wrong there is not a source's fault.
pub(crate) fn is_target_only(world: &World, cluster: usize) -> bool {
    world.links.iter().all(|link| link.from != cluster)
}

fn of_another_epoch(header: &[u8]) -> Vec<u8> {
    let mut value: Map<String, Value> = serde_json::from_slice(header).unwrap();
    let epoch = value.get("epoch").and_then(Value::as_u64).unwrap_or_default();
    value.insert("epoch".into(), epoch.saturating_sub(1).into());
    serde_json::to_vec(&value).unwrap()
}

fn tamper_state(world: &World, sabotage: Sabotage, write: &mut Outgoing) -> usize {
    let is_checkpoint = write.key.starts_with(br#"{"kind":"checkpoint""#);
    if !is_checkpoint {
        return 1;
    }
    match sabotage {
        Sabotage::CheckpointLost => return 0,
        Sabotage::CheckpointAhead => change_value(write, |value| {
            let next = value.get("next").and_then(Value::as_i64).unwrap_or_default();
            value.insert("next".into(), (next + 1).into());
        }),
        Sabotage::CheckpointAtEnd => {
            let end = world.clusters[0].schemas().end;
            change_value(write, |value| drop(value.insert("next".into(), end.into())));
        }
        _ => {}
    }
    1
}

fn change_value(write: &mut Outgoing, change: impl FnOnce(&mut Map<String, Value>)) {
    if let Some(bytes) = &mut write.value {
        let mut value = serde_json::from_slice(bytes).unwrap();
        change(&mut value);
        *bytes = serde_json::to_vec(&value).unwrap();
    }
}
