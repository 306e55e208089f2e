//! Records that registries skip or that mean nothing: each has to come to one outcome.

use std::collections::BTreeMap;

use super::links::LinkSpec;
use super::links::Want;
use super::registry::Registry;
use super::said::LogKey;
use super::said::Place;
use super::source::put;
use super::swarm::Chaos;
use super::world::World;

/// Somebody writes past the registry.
pub(crate) fn write(world: &mut World, cluster: usize, place: &Place) {
    if !world.swarm.has(Chaos::Odd) {
        return;
    }
    let spelled = serde_json::Value::from(place.spelled());
    let version = 1 + u32::try_from(world.rng.below(4)).unwrap();
    let schema = LogKey::Schema(place.clone(), version).bytes();
    let config = LogKey::Config(place.clone()).bytes();
    let mode = LogKey::Mode(place.clone()).bytes();
    let text = |text: String| Some(text.into_bytes());
    let (key, value) = match world.rng.below(15) {
        0 => (br#"{"keytype":"FOO","magic":0}"#.to_vec(), text("{}".into())),
        1 => (br#"{"keytype":"ASSOC","tenant":"default"}"#.to_vec(), text("{}".into())),
        2 => (b"not json".to_vec(), text("{}".into())),
        3 => (b"not json".to_vec(), None),
        4 => (schema, text(String::new())),
        5 => (schema, text("{\"subject\":".into())),
        6 => (schema, text(format!(r#"{{"subject":{spelled},"version":{version},"schema":"x"}}"#))),
        7 => {
            let other = version + 7;
            let value =
                format!(r#"{{"subject":{spelled},"version":{other},"id":77,"schema":"x"}}"#);
            (schema, text(value))
        }
        8 => {
            let value = format!(
                r#"{{"subject":{spelled},"version":{version},"id":2147483647,"schema":"x"}}"#
            );
            (schema, text(value))
        }
        9 => (config, text(r#"{"compatibilityLevel":"SUPER"}"#.into())),
        10 => (mode, text(r#"{"mode":"nonsense"}"#.into())),
        11 => {
            let key = r#"{"keytype":"DELETE_SUBJECT","subject":"ghost","magic":0}"#;
            (key.as_bytes().to_vec(), text(r#"{"subject":"ghost"}"#.into()))
        }
        12 => {
            let key = format!(r#"{{"keytype":"CLEAR_SUBJECT","subject":{spelled},"magic":0}}"#);
            (key.into_bytes(), text(format!(r#"{{"subject":{spelled}}}"#)))
        }
        13 => {
            // What registering the subject ":.:" leaves behind.
            let value = format!(r#"{{"version":{version},"id":1,"schema":"x","deleted":false}}"#);
            let key = format!(r#"{{"keytype":"SCHEMA","version":{version},"magic":1}}"#);
            (key.into_bytes(), text(value))
        }
        _ => (schema, text(r#"{"subject":"another","version":1,"id":1,"schema":"x"}"#.into())),
    };
    put(world, cluster, key, value);
}

impl LinkSpec {
    /// A subject of which nothing but last good states may stand has its fence only with them.
    pub(super) fn doubt_subject_fences(
        &self,
        source: &Registry,
        wanted: &mut BTreeMap<LogKey, Want>,
    ) {
        for target in source.faulty.iter().filter_map(|key| self.place(&key.place())) {
            let fence = LogKey::Mode(target.clone());
            let is_certain = |(key, want): (&LogKey, &Want)| {
                *key != fence && key.place() == target && matches!(want, Want::Is(_))
            };
            if let (false, Some(want)) = (wanted.iter().any(is_certain), wanted.get_mut(&fence)) {
                *want = Want::Any;
            }
        }
    }
}
