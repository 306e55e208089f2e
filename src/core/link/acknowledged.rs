//! Incidents that someone looked at and lets stand: they are told of as before, and no longer count as
//! something to be done (rulings 29).
//!
//! What a key waits for comes or does not: held keys are not acknowledged.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;

use crate::core::key::Key;
use crate::core::key::push_spelled;
use crate::core::link::ledger::About;
use crate::core::link::ledger::Incident;
use crate::core::link::plan::PlannedKind;
use crate::core::record::Offset;
use crate::core::value::Digest;

/// One incident that someone lets stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// Which incident: what it is about, its offsets and its reason, in one mark.
    pub mark: String,
    /// The change that is not made for it, in another mark, where a link that writes finds it alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
    /// Its key, for people; cut where it is long.
    pub key: String,
    /// The source record's offset, where one stands behind it.
    pub offset: Option<Offset>,
    /// Who let it stand.
    pub by: String,
    /// Why.
    pub why: String,
    /// When, in ms since 1970.
    pub at_ms: i64,
}

/// What a link's operators let stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Acknowledged(BTreeMap<(Option<Offset>, String), Acknowledgement>);

impl Acknowledged {
    /// The acknowledgement that holds for an incident. It is for the same key, the same record of the
    /// source or of whoever wrote into the target, and the same reason: where one of them is another, there
    /// is a new incident, which counts.
    #[must_use]
    pub fn covers(&self, about: &About, incident: &Incident) -> Option<&Acknowledgement> {
        // Nearly always nothing stands at the offset, and no mark is made.
        let first = (incident.offset, String::new());
        let (next, _) = self.0.range(&first..).next()?;
        if next.0 != incident.offset {
            return None;
        }
        self.0.get(&(incident.offset, mark(about, incident)))
    }

    /// The acknowledgement that holds for a change to a key of the target, by the record of the source behind
    /// it: a link that writes does not make it, and whoever compares plans it.
    pub(super) fn covers_change(
        &self,
        target: &Key,
        offset: Offset,
        planned: PlannedKind,
    ) -> Option<&Acknowledgement> {
        let first = (Some(offset), String::new());
        let mut there =
            self.0.range(first..).take_while(|((at, _), _)| *at == Some(offset)).peekable();
        there.peek()?;
        let change = mark_of_change(target, offset, planned);
        there.map(|(_, one)| one).find(|one| one.change.as_ref() == Some(&change))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Acknowledgement> {
        self.0.values()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Extend<Acknowledgement> for Acknowledged {
    fn extend<T: IntoIterator<Item = Acknowledgement>>(&mut self, more: T) {
        self.0.extend(more.into_iter().map(|one| ((one.offset, one.mark.clone()), one)));
    }
}

impl FromIterator<Acknowledgement> for Acknowledged {
    fn from_iter<T: IntoIterator<Item = Acknowledgement>>(all: T) -> Self {
        let mut acknowledged = Self::default();
        acknowledged.extend(all);
        acknowledged
    }
}

/// What tells an incident from every other one. Kept for good: bytes that change make every incident a
/// new one.
pub(super) fn mark(about: &About, incident: &Incident) -> String {
    let mut parts = parts(about, incident.offset, incident.target_offset);
    parts.push(incident.reason.clone().into_bytes());
    digest(&parts)
}

/// What tells the change that is not made for an incident from every other one; none where whoever
/// compares finds the incident, too.
pub(super) fn change(about: &About, incident: &Incident) -> Option<String> {
    match (about, incident.offset, incident.planned) {
        (About::Target(key), Some(offset), Some(planned)) => {
            Some(mark_of_change(key, offset, planned))
        }
        (About::Target(_) | About::Source(_) | About::Name(_) | About::Unreadable(_), ..) => None,
    }
}

/// Kept for good, too.
fn mark_of_change(target: &Key, offset: Offset, planned: PlannedKind) -> String {
    let word = match planned {
        PlannedKind::Add => "add",
        PlannedKind::Alter => "alter",
        PlannedKind::Delete => "delete",
    };
    let mut parts = parts(&About::Target(target.clone()), Some(offset), None);
    parts.push(word.as_bytes().to_vec());
    digest(&parts)
}

fn parts(about: &About, offset: Option<Offset>, target_offset: Option<Offset>) -> Vec<Vec<u8>> {
    let (word, key) = match about {
        About::Source(key) => ("source", key.canonical()),
        About::Target(key) => ("target", key.canonical()),
        About::Name(subject) => {
            let mut name = Vec::new();
            push_spelled(&mut name, subject);
            ("name", name)
        }
        About::Unreadable(digest) => ("unreadable", format!("{digest:?}").into_bytes()),
    };
    let written = |offset: Option<Offset>| offset.map(|at| at.to_string()).unwrap_or_default();
    vec![
        word.as_bytes().to_vec(),
        key,
        written(offset).into_bytes(),
        written(target_offset).into_bytes(),
    ]
}

fn digest(parts: &[Vec<u8>]) -> String {
    // JSON escapes a zero byte, and only a reason, which is the last, may hold one.
    format!("{:?}", Digest::of(&parts.join(&0)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::core::key::Version;
    use crate::core::subject::Subject;

    fn key(name: &str) -> Key {
        Key::Schema(Subject::parse(name), Version::new(1).unwrap())
    }

    fn incident(key: &str, offset: Option<Offset>, reason: &str) -> Incident {
        Incident::of_source(offset, key.to_owned(), reason.to_owned())
    }

    fn acknowledgement(about: &About, incident: &Incident) -> Acknowledged {
        let one = Acknowledgement {
            mark: mark(about, incident),
            change: change(about, incident),
            key: incident.key.clone(),
            offset: incident.offset,
            by: "alice".to_owned(),
            why: "nobody reads it".to_owned(),
            at_ms: 7,
        };
        Acknowledged::from_iter([one])
    }

    #[test]
    fn a_change_that_is_not_made_is_covered_as_it_was_and_no_other() {
        let (about, found) = (About::Target(key("a")), incident("a v1", Some(1), "too large"));
        let kept = acknowledgement(&about, &found.clone().instead_of(PlannedKind::Add));
        let covers = |name, offset, kind| kept.covers_change(&key(name), offset, kind).is_some();
        assert!(covers("a", 1, PlannedKind::Add));
        assert!(!covers("a", 2, PlannedKind::Add) && !covers("b", 1, PlannedKind::Add));
        assert!(!covers("a", 1, PlannedKind::Alter), "it was not in the target");
        let other = acknowledgement(&about, &found);
        assert_eq!(other.covers_change(&key("a"), 1, PlannedKind::Add), None);
    }

    #[test]
    fn an_incident_of_the_source_is_another_one_than_that_of_the_target() {
        let what = incident("a v1", Some(1), "why");
        let abouts = [
            About::Source(key("a")),
            About::Target(key("a")),
            About::Name(Subject::parse("a")),
            About::Unreadable(Digest::of(b"a")),
        ];
        for covered in &abouts {
            let kept = acknowledgement(covered, &what);
            let found = abouts.iter().filter(|about| kept.covers(about, &what).is_some());
            assert_eq!(found.collect::<Vec<_>>(), [covered]);
        }
    }

    #[test]
    fn marks_stay_what_they_are_or_every_incident_would_be_a_new_one() {
        let what = incident("a v1", Some(1), "its value can't be read");
        let marks = [
            mark(&About::Source(key("a")), &what),
            mark(
                &About::Target(key(":.c:a")),
                &Incident { offset: None, target_offset: Some(12), ..what.clone() },
            ),
            mark(&About::Name(Subject::parse("a")), &what),
            mark(&About::Unreadable(Digest::of(b"a")), &what),
        ];
        assert_eq!(marks, GOLDEN_MARKS);
    }

    #[test]
    fn what_another_one_writes_in_its_place_is_another_incident() {
        let about = About::Target(key(":.c:a"));
        let first = Incident { target_offset: Some(12), ..incident("a v1", None, "someone else") };
        let kept = acknowledgement(&about, &first);
        assert!(kept.covers(&about, &first).is_some());
        let next = Incident { target_offset: Some(40), ..first };
        assert!(kept.covers(&about, &next).is_none());
    }

    /// Half of the SHA-256 of the parts with zero bytes between them, reckoned elsewhere.
    const GOLDEN_MARKS: [&str; 4] = [
        "f3ffbb337c693022092f857867cceb25",
        "373de5bff1444cf3c02fd768d086b18e",
        "3e5345e879a1283f614fe86eff2a8cdb",
        "2eb41e35dcfb37b4e32b5c1a0baeb522",
    ];

    proptest! {
        /// Whatever stands: an acknowledgement holds for the incident that it was made for alone.
        #[test]
        fn an_acknowledgement_covers_its_own_incident_and_no_other(
            one in ("[ab]{1,2}", prop::option::of(0_i64..3), "[xy]{0,2}", any::<bool>()),
            other in ("[ab]{1,2}", prop::option::of(0_i64..3), "[xy]{0,2}", any::<bool>()),
        ) {
            let made = |(name, offset, reason, in_source): &(String, Option<i64>, String, bool)| {
                let key = key(name);
                let what = incident(&key.to_string(), *offset, reason);
                (if *in_source { About::Source(key) } else { About::Target(key) }, what)
            };
            let (about, what) = made(&one);
            let (other_about, other_what) = made(&other);
            let kept = acknowledgement(&about, &what);
            prop_assert!(kept.covers(&about, &what).is_some());
            prop_assert_eq!(kept.covers(&other_about, &other_what).is_some(), one == other);
        }
    }
}
