//! Planted faults on the way from the link to the log.

use std::sync::Arc;

use schema_mirror::core::record::Outgoing;
use serde_json::Map;
use serde_json::Value;

use super::swarm::Sabotage;
use super::world::SCHEMAS;
use super::world::World;

/// Does to a write what the planted fault does; how many times it is written.
pub(crate) fn tamper(
    world: &mut World,
    cluster: usize,
    topic: &str,
    write: &mut Outgoing,
) -> usize {
    let Some(sabotage) = world.sabotage else { return 1 };
    if topic != SCHEMAS {
        return tamper_state(world, sabotage, write);
    }
    let _ = cluster;
    let is_schema = write.key.starts_with(br#"{"keytype":"SCHEMA""#);
    match sabotage {
        Sabotage::TombstonesDropped if write.value.is_none() => return 0,
        Sabotage::FenceDropped if write.key.starts_with(br#"{"keytype":"MODE""#) => return 0,
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
        _ => {}
    }
    1
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
