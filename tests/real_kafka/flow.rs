//! A registry at work on the source: registrations, soft and hard deletes and settings, in an order
//! that a registry would write.

use std::{
    collections::BTreeMap,
    sync::mpsc::{RecvTimeoutError, sync_channel},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    message::NewRecord,
    mirror::Scene,
    numbers::numbered,
    records::{config, config_key, delete_subject, hard_deleted, schema, soft_deleted, version_in},
    rng::Rng,
};

/// Between two operations of a registry in use.
pub(crate) const OFTEN: Duration = Duration::from_millis(5);
const SUBJECTS: u64 = 40;
const LEVELS: [&str; 4] = ["NONE", "BACKWARD", "FORWARD_TRANSITIVE", "FULL"];

#[derive(Debug, Clone, PartialEq)]
struct Version {
    id: u32,
    deleted: bool,
    refers_to: Option<(String, u32)>,
}

/// What a registry holds, and what it will do next.
pub(crate) struct Registry {
    rng: Rng,
    subjects: BTreeMap<String, BTreeMap<u32, Version>>,
    id: u32,
    number: u64,
}

impl Registry {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self { rng: Rng::new(seed), subjects: BTreeMap::new(), id: 0, number: 0 }
    }

    /// So many operations at once.
    pub(crate) fn steps(&mut self, count: usize) -> Vec<NewRecord> {
        (0..count).map(|_| self.step()).collect()
    }

    /// One operation. Each record has a number of its own.
    pub(crate) fn step(&mut self) -> NewRecord {
        let subject = format!("s{}", self.rng.below(SUBJECTS));
        let done = match self.rng.below(100) {
            0..60 => None,
            60..72 => self.soft_delete(&subject),
            72..80 => self.hard_delete(&subject),
            80..84 => self.delete_subject(&subject),
            84..94 => Some(config(&subject, self.rng.pick::<&str>(&LEVELS))),
            _ => Some(NewRecord::tombstone(&config_key(&subject))),
        };
        // Where there is nothing to delete, something is registered.
        let record = done.unwrap_or_else(|| self.register(&subject));
        self.number = self.number.saturating_add(1);
        numbered(record, self.number)
    }

    fn register(&mut self, subject: &str) -> NewRecord {
        self.id = self.id.saturating_add(1);
        let refers_to = if self.rng.chance(20) { self.any_live() } else { None };
        let versions = self.subjects.entry(subject.to_owned()).or_default();
        let version = versions.last_key_value().map_or(1, |(last, _)| last.saturating_add(1));
        let registered = Version { id: self.id, deleted: false, refers_to };
        versions.insert(version, registered.clone());
        record(subject, version, &registered)
    }

    fn soft_delete(&mut self, subject: &str) -> Option<NewRecord> {
        let version = self.some_version(subject, |held| !held.deleted)?;
        let held = self.subjects.get_mut(subject)?.get_mut(&version)?;
        held.deleted = true;
        Some(record(subject, version, held))
    }

    fn hard_delete(&mut self, subject: &str) -> Option<NewRecord> {
        let version = self.some_version(subject, |held| held.deleted)?;
        self.subjects.get_mut(subject)?.remove(&version);
        Some(hard_deleted(subject, version))
    }

    fn delete_subject(&mut self, subject: &str) -> Option<NewRecord> {
        let versions = self.subjects.get(subject)?;
        let last = *versions.last_key_value()?.0;
        if versions.keys().any(|version| self.is_referenced(subject, *version)) {
            return None;
        }
        let versions = self.subjects.get_mut(subject)?;
        versions.values_mut().for_each(|version| version.deleted = true);
        Some(delete_subject(subject, last))
    }

    /// A version that may be deleted: nothing refers to it.
    fn some_version(&mut self, subject: &str, wanted: fn(&Version) -> bool) -> Option<u32> {
        let versions = self.subjects.get(subject)?;
        let of_kind = versions.iter().filter(|(_, held)| wanted(held));
        let free = of_kind.filter(|(version, _)| !self.is_referenced(subject, **version));
        let free: Vec<u32> = free.map(|(version, _)| *version).collect();
        (!free.is_empty()).then(|| *self.rng.pick(&free))
    }

    fn any_live(&mut self) -> Option<(String, u32)> {
        let all = self.subjects.iter().flat_map(|(subject, versions)| {
            let live = versions.iter().filter(|(_, held)| !held.deleted);
            live.map(|(version, _)| (subject.clone(), *version))
        });
        let all: Vec<_> = all.collect();
        (!all.is_empty()).then(|| self.rng.pick(&all).clone())
    }

    fn is_referenced(&self, subject: &str, version: u32) -> bool {
        let wanted = Some((subject.to_owned(), version));
        self.subjects.values().flat_map(BTreeMap::values).any(|held| held.refers_to == wanted)
    }

    /// Whether a target holds every version as this registry does.
    pub(crate) fn is_in(&self, target: &crate::records::State) -> bool {
        self.subjects.iter().all(|(subject, versions)| {
            versions.iter().all(|(version, held)| {
                let found = version_in(target, &format!(":.source:{subject}"), *version);
                found == Some((u64::from(held.id), held.deleted))
            })
        })
    }
}

fn record(subject: &str, version: u32, held: &Version) -> NewRecord {
    let make = if held.deleted { soft_deleted } else { schema };
    let mut record = make(subject, version, held.id);
    if let Some((subject, version)) = &held.refers_to {
        let mut value: Value = serde_json::from_slice(record.value.as_deref().unwrap()).unwrap();
        value["references"] = json!([{ "name": "r", "subject": subject, "version": version }]);
        record.value = Some(value.to_string().into_bytes());
    }
    record
}

/// Does something to a link while the source's registry goes on working.
pub(crate) fn while_flowing<T>(
    scene: &Scene<'_>,
    registry: &mut Registry,
    every: Duration,
    act: impl FnOnce() -> T,
) -> T {
    let (stop, stopped) = sync_channel::<()>(0);
    thread::scope(|scope| {
        let flow = scope.spawn(move || {
            while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                scene.produce(&[registry.step()]);
            }
        });
        let done = act();
        drop(stop);
        flow.join().unwrap();
        done
    })
}
