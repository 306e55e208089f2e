//! Reading without deciding: what a record comes to when the whole log is compared at its end.

use super::Link;
use super::Outcome;
use super::Told;
use super::Verdict;
use super::Write;
use crate::core::key::Key;
use crate::core::link::acknowledged::Acknowledgement;
use crate::core::link::ledger::Incident;
use crate::core::link::ledger::WaitFor;
use crate::core::link::plan::Planned;
use crate::core::record::Offset;
use crate::core::record::Record;
use crate::core::record::Room;
use crate::core::view::Applied;

impl Link {
    /// Takes a record of the source into the view and says what it comes to as far as the source
    /// alone can tell; a plan may find that it has to be written, or held.
    pub fn fold_source(&mut self, record: &Record) -> Outcome {
        let told = self.read_source(record);
        self.fold_told(record, &told)
    }

    /// The same for a record that was taken into the source that is read for several links.
    pub fn fold_told(&mut self, record: &Record, told: &Told) -> Outcome {
        self.hear(record, told);
        match &told.applied {
            Applied::Refused(key, _) => {
                let copied = key.as_ref().is_none_or(|key| self.copies(key));
                if copied { Outcome::Incident } else { Outcome::NotSelected }
            }
            Applied::Changed if told.changed.iter().any(|key| self.copies(key)) => Outcome::InSync,
            Applied::Changed | Applied::Nothing => Outcome::NotSelected,
        }
    }

    /// Sets a write aside that can't be made; the key stays as it is until the source says
    /// something new about it.
    pub fn set_aside(&mut self, write: &Write, reason: String) {
        self.not_sent(&write.key);
        let offset = self.source_offset(&write.key);
        let planned = self.planned(write).kind;
        let incident =
            Incident::of_source(offset, write.key.to_string(), reason).instead_of(planned);
        let source = match &write.key {
            Key::Schema(subject, version) => {
                self.unplace(subject).map(|source| Key::Schema(source, *version))
            }
            Key::Config(subject) => self.unplace(subject).map(Key::Config),
            Key::Association(association) => {
                let source = self.source_association(association);
                source.map(|source| Key::Association(Box::new(source)))
            }
            Key::Context(_)
            | Key::Mode(_)
            | Key::DeleteSubject(_)
            | Key::ClearSubject(_)
            | Key::Noop => None,
        };
        let until = source.map_or(WaitFor::Definition, WaitFor::Source);
        self.ledger.incident(&write.key, incident, until);
    }
}

impl Link {
    /// What was set aside since this was last asked, for the log.
    pub fn take_fresh(&mut self) -> Vec<(&'static str, String, String)> {
        self.ledger.take_fresh()
    }

    /// The acknowledgement that lets a key of the target stand as it is, though a start would write it: a
    /// record that is too large, or a key that someone keeps changing, is an incident of the link that
    /// writes alone.
    #[must_use]
    pub fn let_stand(&self, planned: &Planned) -> Option<&Acknowledgement> {
        let offset = self.source_offset(&planned.key)?;
        self.ledger.acknowledged_change(&planned.key, offset, planned.kind)
    }

    /// The offset of the target's record at a key.
    #[must_use]
    pub fn target_offset(&self, key: &Key) -> Option<Offset> {
        match key {
            Key::Schema(subject, version) => Some(self.target.schema(subject, *version)?.offset),
            Key::Config(subject) => {
                Some(self.target.subject(subject)?.config.as_ref()?.stamp.offset)
            }
            Key::Mode(subject) => Some(self.target.subject(subject)?.mode.as_ref()?.stamp.offset),
            Key::Context(context) => Some(self.target.context(context)?.declared?.offset),
            Key::Association(association) => {
                Some(self.target.associations().get(&**association)?.stamp.offset)
            }
            Key::DeleteSubject(_) | Key::ClearSubject(_) | Key::Noop => None,
        }
    }

    /// The value that the link would write at a key now, made from the source's record behind it.
    #[must_use]
    pub fn wanted_value(&self, key: &Key, behind: Option<&Record>) -> Option<Vec<u8>> {
        let Verdict::Write(writes) = self.decide(key) else { return None };
        let write = writes.into_iter().rfind(|write| write.key == *key)?;
        let records = self.outgoing(&write, behind, i64::MAX, &mut Room::default()).ok()?;
        records.into_iter().next_back()?.value
    }
}
