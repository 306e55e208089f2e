//! What ties a topic to a subject: copied where the target is declared to read it.
//!
//! An association is about a topic of the source's Kafka cluster, wherever its subject stands: of all
//! its fields only the subject is placed.

use super::Change;
use super::Link;
use super::Verdict;
use super::Write;
use super::wanted::Wanted;
use crate::core::key::Association;
use crate::core::key::Key;
use crate::core::link::ledger::Incident;
use crate::core::link::ledger::WaitFor;
use crate::core::subject::Subject;
use crate::core::value::Edit;
use crate::core::value::edited;
use crate::core::value::read_association;
use crate::core::view::AssociationView;
use crate::core::view::Origin;

impl Link {
    /// The association of the source that would stand here in the target.
    pub(super) fn source_association(&self, target: &Association) -> Option<Association> {
        let subject = self.unplace(&target.subject)?;
        Some(Association { subject, ..target.clone() })
    }

    /// The key of the target for an association of the source.
    pub(super) fn placed_association(&self, source: &Association) -> Option<Key> {
        let subject = self.rules.place(&source.subject)?;
        Some(Key::Association(Box::new(Association { subject, ..source.clone() })))
    }

    pub(super) fn wanted_association(&self, target: &Association) -> Wanted<'_> {
        let Some(source) = self.source_association(target) else { return Wanted::Absent };
        if !self.selects(&source.subject) {
            return Wanted::Absent;
        }
        match self.source().associations().get(&source) {
            Some(held) if held.stamp.origin == Origin::Loop => self.wanted_of_loop(),
            Some(held) => {
                let subject = Some(target.subject.spelled());
                match edited(&held.value.bytes, &Edit { subject, ..Edit::default() }) {
                    Ok(bytes) => Wanted::Association(bytes, held),
                    Err(_) => Wanted::AsItIs,
                }
            }
            None if self.ledger.is_faulty(&Key::Association(Box::new(source))) => Wanted::AsItIs,
            None => Wanted::Absent,
        }
    }

    /// A registry that holds two associations of one resource and type fails to choose between them,
    /// and one whose value changes in place it forgets by its guid: the key is freed first.
    pub(super) fn decide_association(
        &self,
        key: &Key,
        value: Vec<u8>,
        behind: &AssociationView,
    ) -> Verdict {
        let Key::Association(own) = key else { return Verdict::NotSelected };
        let held = self.target.associations().get(&**own);
        let wanted = read_association(&value, own).ok().map(|value| value.meaning);
        if held.is_some_and(|held| Some(held.value.meaning) == wanted) && !self.is_marred(key) {
            return Verdict::InSync;
        }
        let mut writes = Vec::new();
        for (other, taken) in self.target.associations() {
            let is_rival = other != &**own
                && other.resource_type == own.resource_type
                && other.association_type == own.association_type
                && taken.value.resource_id == behind.value.resource_id;
            if !is_rival {
                continue;
            }
            let rival = Key::Association(Box::new(other.clone()));
            let leaves = self.owns_key(&rival)
                && taken.stamp.origin.is_own()
                && matches!(self.wanted(&rival), Wanted::Absent);
            if !leaves {
                return self.tied(key, behind, &other.subject);
            }
            writes.push(Write::new(&rival, Change::Delete, "its resource has another subject"));
        }
        if held.is_some() {
            writes.push(Write::new(key, Change::Delete, "it says something else"));
        }
        let stamp = behind.stamp;
        let change = Change::Value { value, behind: Some((stamp.offset, stamp.timestamp_ms)) };
        let reason = if held.is_some() { "it differs" } else { "it is missing" };
        writes.push(Write::new(key, change, reason));
        let origin = held.map_or(Origin::Ours, |held| held.stamp.origin);
        self.drifted(key, origin, Verdict::Write(writes))
    }

    fn tied(&self, key: &Key, behind: &AssociationView, other: &Subject) -> Verdict {
        let reason = format!(
            "its resource is tied to {other} in the target, and a registry fails with two; delete \
             that association there, then start again"
        );
        let offset = Some(behind.stamp.offset);
        let incident = Incident::of_source(offset, key.to_string(), reason);
        Verdict::Incident(incident, WaitFor::Definition)
    }
}
