//! The order of changes: what refers to something never stands without it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::Link;
use super::plan::Planned;
use crate::core::key::Key;
use crate::core::subject::Subject;

impl Link {
    /// The same changes, each before what it references.
    pub(super) fn referrers_first(
        &self,
        planned: Vec<Planned>,
        references: fn(&Self, &Key) -> Vec<Key>,
    ) -> Vec<Planned> {
        let backwards: Vec<_> = planned.into_iter().rev().collect();
        let mut ordered = self.referenced_first(backwards, references);
        ordered.reverse();
        ordered
    }

    /// The same changes, each behind what it references; otherwise in the order they had. Cycles
    /// stay as they are.
    pub(super) fn referenced_first(
        &self,
        planned: Vec<Planned>,
        references: fn(&Self, &Key) -> Vec<Key>,
    ) -> Vec<Planned> {
        let links: Vec<Vec<Key>> = planned.iter().map(|p| references(self, &p.key)).collect();
        if links.iter().all(Vec::is_empty) {
            return planned;
        }
        let places: BTreeMap<Key, usize> =
            planned.iter().enumerate().map(|(place, p)| (p.key.clone(), place)).collect();
        let mut order = Vec::with_capacity(planned.len());
        let mut seen = BTreeSet::new();
        for start in 0..planned.len() {
            let mut stack = vec![(start, false)];
            while let Some((place, done)) = stack.pop() {
                if done {
                    order.push(place);
                } else if seen.insert(place) {
                    stack.push((place, true));
                    let first = links.get(place).into_iter().flatten().rev();
                    stack.extend(first.filter_map(|key| places.get(key)).map(|at| (*at, false)));
                }
            }
        }
        let mut slots: Vec<Option<Planned>> = planned.into_iter().map(Some).collect();
        order.into_iter().filter_map(|place| slots.get_mut(place)?.take()).collect()
    }
}

/// Schemas before settings, versions descending, the fence and the CONTEXT record last.
pub(super) fn deletion_rank(key: &Key) -> (u8, Option<&Subject>, std::cmp::Reverse<u32>) {
    match key {
        Key::Association(association) => (0, Some(&association.subject), std::cmp::Reverse(0)),
        Key::Schema(subject, version) => (1, Some(subject), std::cmp::Reverse(version.get())),
        Key::Config(subject) if !subject.is_context() => (2, Some(subject), std::cmp::Reverse(0)),
        Key::Mode(subject) if !subject.is_context() => (2, Some(subject), std::cmp::Reverse(0)),
        Key::Config(subject) => (3, Some(subject), std::cmp::Reverse(0)),
        Key::Mode(subject) => (4, Some(subject), std::cmp::Reverse(0)),
        Key::Context(_) | Key::DeleteSubject(_) | Key::ClearSubject(_) | Key::Noop => {
            (5, None, std::cmp::Reverse(0))
        }
    }
}
