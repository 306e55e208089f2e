//! Writes as records: the only place that makes the bytes that a link appends.

use std::sync::Arc;

use super::Change;
use super::Identity;
use super::Link;
use super::Write;
use crate::core::entry::Entry;
use crate::core::json::push_jackson_string;
use crate::core::key::Key;
use crate::core::key::KeyReading;
use crate::core::key::read_key;
use crate::core::provenance::Provenance;
use crate::core::record::Header;
use crate::core::record::Outgoing;
use crate::core::record::Record;
use crate::core::record::Room;
use crate::core::rules::Rules;
use crate::core::subject::Subject;
use crate::core::value::Edit;
use crate::core::value::Mode;
use crate::core::value::SchemaValue;
use crate::core::value::edited;
use crate::core::value::read_association;
use crate::core::value::read_config;
use crate::core::value::read_schema;
use crate::core::value::resubjected;
use crate::core::view::Origin;
use crate::core::view::Stamp;

impl Link {
    /// The records that make a write: first the key under every other spelling that stands in the
    /// target's log, as a deletion, then the canonical one. `behind` is the source's record at the
    /// offset that a [`Change::Schema`] names, or the one that led to the write; a deletion takes
    /// its time and provenance where it is of the same key. `wall_ms` is the time now; `room` has
    /// buffers to fill.
    ///
    /// # Errors
    /// A schema without its record, or with another one, or a value that can't be edited.
    pub fn outgoing(
        &self,
        write: &Write,
        behind: Option<&Record>,
        wall_ms: i64,
        room: &mut Room,
    ) -> Result<Vec<Outgoing>, String> {
        let behind = behind.filter(|record| match &write.change {
            Change::Schema { offset, .. } => record.offset == *offset,
            // What a record leads to elsewhere (an orphan, another spelling) did not come the way
            // that the record came.
            Change::Delete => self.is_placed_at(record, &write.key),
            Change::Context | Change::Mode(_) | Change::Value { .. } => false,
        });
        let value = match &write.change {
            Change::Delete => None,
            Change::Context => Some(context_value(&write.key)),
            Change::Mode(mode) => Some(self.mode_value(&write.key, *mode)),
            Change::Value { value, .. } => Some(value.clone()),
            Change::Schema { held, references, .. } => {
                let record = behind.ok_or("the source's record is not at hand")?;
                let edit = Edit {
                    deleted: Some(held.deleted),
                    references: references.clone(),
                    ..Edit::default()
                };
                Some(self.schema_value(&write.key, record, edit, room)?)
            }
        };
        let headers = self.headers_of(write, behind);
        let timestamp_ms = timestamp_of(write, behind).map(|then| then.min(wall_ms));
        let mut records: Vec<Outgoing> = write
            .spellings
            .iter()
            .map(|key| Outgoing {
                key: key.clone(),
                value: None,
                timestamp_ms,
                headers: Arc::clone(&headers),
            })
            .collect();
        let mut key = room.take();
        self.dialect().push_key(&write.key, &mut key);
        records.push(Outgoing { key, value, timestamp_ms, headers });
        Ok(records)
    }

    /// Takes a write into the target's view when it is sent, so that what follows counts with it.
    /// A write that fails later makes the link read the target again.
    /// The write gets the other spellings of its key, which it takes away.
    pub(super) fn sent(&mut self, write: &mut Write) {
        if let (Key::Schema(subject, version), Change::Delete) = (&write.key, &write.change) {
            let waited = self.unsent.get(&write.key).and_then(|unsent| unsent.orphan);
            let orphan = waited.or_else(|| self.target.orphan_of(subject, *version));
            let orphan = orphan.map(|version| self.lost_its_id(subject, version));
            self.pending.extend(orphan);
        }
        self.enter(write);
        self.target_next = crate::core::record::after(self.target_next);
    }

    /// The same for a write that says what would have been, not what the log will hold.
    pub(super) fn enter(&mut self, write: &mut Write) {
        let stamp = Stamp { offset: self.target_next, timestamp_ms: None, origin: Origin::Ours };
        self.target_reader.wrote(&write.key, stamp.offset);
        write.spellings.extend(self.target.take_spellings(&write.key));
        if !self.unsent.is_empty() {
            self.unsent.remove(&write.key);
        }
        if !self.damaged.is_empty() {
            self.damaged.remove(&write.key);
        }
        let entry = match (&write.key, &write.change) {
            (Key::Schema(subject, version), Change::Schema { held, references, .. }) => {
                let content = held.content.clone();
                let content = match references {
                    Some(spelled) => content.respelled(spelled),
                    None => content,
                };
                let (id, deleted) = (held.id, held.deleted);
                let said = SchemaValue { id, deleted, content, subject_at: None };
                Entry::Schema(subject.clone(), *version, Some(said))
            }
            (Key::Schema(subject, version), _) => Entry::Schema(subject.clone(), *version, None),
            (Key::Config(subject), Change::Value { value, .. }) => {
                Entry::Config(subject.clone(), read_config(value).ok())
            }
            (Key::Config(subject), _) => Entry::Config(subject.clone(), None),
            (Key::Association(association), Change::Value { value, .. }) => {
                let said = read_association(value, association).ok();
                Entry::Association(association.clone(), said)
            }
            (Key::Association(association), _) => Entry::Association(association.clone(), None),
            (Key::Mode(subject), Change::Mode(mode)) => Entry::Mode(subject.clone(), Some(*mode)),
            (Key::Mode(subject), _) => Entry::Mode(subject.clone(), None),
            (Key::Context(context), change) => {
                Entry::Context(context.clone(), *change == Change::Context)
            }
            (Key::DeleteSubject(_) | Key::ClearSubject(_) | Key::Noop, _) => Entry::Nothing,
        };
        let mut changed = Vec::new();
        let stood = self.stood_for_referrers(&entry);
        self.target.apply(&entry, stamp, &mut changed);
        if stood {
            let outrun = self.outrun_referrers(&entry);
            self.pending.extend(outrun);
        }
        if let Entry::Schema(subject, version, Some(said)) = &entry {
            for later in self.target.later_with_its_id(subject, *version, said.id) {
                let key = Key::Schema(subject.clone(), later);
                self.damaged.insert(key.clone());
                self.pending.push(key);
            }
        }
    }

    /// Whether a record that was read again by its offset is the one from which a write was decided. A
    /// topic that was deleted and created again holds others at its offsets.
    #[must_use]
    pub fn was_decided_from(&self, write: &Write, record: &Record) -> bool {
        let Change::Schema { held, .. } = &write.change else { return true };
        let Some(KeyReading::Known(Key::Schema(subject, version))) =
            record.key.as_deref().map(read_key)
        else {
            return false;
        };
        let said = record.value.as_deref().map(|value| read_schema(value, &subject, version.get()));
        let is_same = said.is_some_and(|said| {
            said.is_ok_and(|said| said.id == held.id && said.content.text == held.content.text)
        });
        is_same && self.is_placed_at(record, &write.key)
    }

    /// Whether this key of the target is where the source's record belongs.
    fn is_placed_at(&self, record: &Record, target: &Key) -> bool {
        let Some(KeyReading::Known(source)) = record.key.as_deref().map(read_key) else {
            return false;
        };
        let placed = |subject: &Subject| self.rules.place(subject);
        match source {
            Key::Schema(subject, version) => {
                placed(&subject).map(|subject| Key::Schema(subject, version))
            }
            Key::Config(subject) => placed(&subject).map(Key::Config),
            Key::Association(association) => self.placed_association(&association),
            Key::Context(_)
            | Key::Mode(_)
            | Key::DeleteSubject(_)
            | Key::ClearSubject(_)
            | Key::Noop => None,
        }
        .is_some_and(|key| key == *target)
    }

    /// The record's value with the edit made, and the key's subject in it.
    fn schema_value(
        &self,
        key: &Key,
        behind: &Record,
        edit: Edit,
        room: &mut Room,
    ) -> Result<Vec<u8>, String> {
        let bytes = behind.value.as_deref().unwrap_or_default();
        let at_hand = self.at_hand.as_ref().filter(|at_hand| {
            at_hand.offset == behind.offset
                && edit.deleted == Some(at_hand.deleted)
                && edit.references.is_none()
        });
        if let (Some(at_hand), Some(subject)) = (at_hand, key.subject())
            && let Some(value) = resubjected(bytes, &at_hand.subject_at, subject, room.take())
        {
            return Ok(value);
        }
        let bytes = self.dialect().schema_value(bytes)?;
        edited(&bytes, &Edit { subject: key.subject().map(Subject::spelled), ..edit })
    }

    fn mode_value(&self, key: &Key, mode: Mode) -> Vec<u8> {
        let mut out = b"{".to_vec();
        let subject = key.subject().filter(|_| self.dialect().names_subject_in_mode());
        let spelled = subject.map(Subject::spelled).unwrap_or_default();
        if !spelled.is_empty() {
            out.extend_from_slice(br#""subject":"#);
            push_jackson_string(&mut out, &spelled);
            out.push(b',');
        }
        out.extend_from_slice(br#""mode":"#);
        push_jackson_string(&mut out, mode.as_str());
        out.push(b'}');
        out
    }

    fn headers_of(&self, write: &Write, behind: Option<&Record>) -> Arc<[Header]> {
        let path = match (&write.change, behind) {
            (Change::Schema { .. } | Change::Delete, Some(record)) => {
                Provenance::of(&record.headers)
                    .map(|provenance| provenance.path)
                    .unwrap_or_default()
            }
            (Change::Value { behind: Some(_), .. }, _) => self.config_path(&write.key),
            (_, _) => Vec::new(),
        };
        if path.is_empty() {
            return Arc::clone(&self.plain_headers);
        }
        headers(&self.rules, &self.identity, path)
    }

    fn config_path(&self, target: &Key) -> Vec<String> {
        let source = match target {
            Key::Config(subject) => self.unplace(subject).map(Key::Config),
            Key::Association(association) => {
                let source = self.source_association(association);
                source.map(|source| Key::Association(Box::new(source)))
            }
            Key::Context(_)
            | Key::Mode(_)
            | Key::Schema(..)
            | Key::DeleteSubject(_)
            | Key::ClearSubject(_)
            | Key::Noop => None,
        };
        source.and_then(|key| self.seen().config_path(&key)).cloned().unwrap_or_default()
    }
}

/// The headers of a record that came along `path` to the source's cluster.
pub(super) fn headers(rules: &Rules, identity: &Identity, mut path: Vec<String>) -> Arc<[Header]> {
    path.push(identity.source_cluster.clone());
    let provenance = Provenance {
        link: rules.name.clone(),
        writer: identity.writer.clone(),
        epoch: identity.epoch,
        path,
    };
    Arc::new([provenance.header()])
}

fn timestamp_of(write: &Write, behind: Option<&Record>) -> Option<i64> {
    match &write.change {
        Change::Schema { .. } | Change::Delete => behind.and_then(|record| record.timestamp_ms),
        Change::Value { behind, .. } => behind.and_then(|(_, timestamp_ms)| timestamp_ms),
        Change::Context | Change::Mode(_) => None,
    }
}

fn context_value(key: &Key) -> Vec<u8> {
    let mut out = br#"{"tenant":"default","context":"#.to_vec();
    push_jackson_string(&mut out, key.context().map_or("", |context| context.as_str()));
    out.push(b'}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::key::Version;
    use crate::core::link::History;
    use crate::core::link::Permissions;

    fn record(offset: i64, subject: &str, id: i32, schema: &str) -> Record {
        let key = format!(r#"{{"keytype":"SCHEMA","subject":"{subject}","version":1,"magic":1}}"#);
        let value = serde_json::json!({
            "subject": subject, "version": 1, "id": id, "schema": schema, "deleted": false,
        });
        Record {
            offset,
            key: Some(key.into()),
            value: Some(value.to_string().into()),
            ..Record::default()
        }
    }

    #[test]
    fn what_another_topic_holds_at_the_offset_is_not_what_was_decided_from() {
        let identity = Identity {
            writer: "host".to_owned(),
            epoch: 1,
            source_cluster: "source".to_owned(),
            target_cluster: "target".to_owned(),
        };
        let rules = Rules::of_test(".dr", &["*"]);
        let mut link = Link::new(rules, identity, History::default(), Permissions::default());
        let decided = record(7, "a", 3, "\"int\"");
        link.fold_source(&decided);
        let key = Key::Schema(Subject::parse(":.dr:a"), Version::new(1).unwrap());
        let writes = link.decide_again(vec![key]);
        let write = writes.iter().find(|write| matches!(write.change, Change::Schema { .. }));
        let write = write.expect("it is put");
        assert!(link.was_decided_from(write, &decided));
        let others = [
            record(7, "b", 3, "\"int\""),
            record(7, "a", 4, "\"int\""),
            record(7, "a", 3, "\"long\""),
            Record { value: None, ..decided.clone() },
            Record { key: None, ..decided },
        ];
        for other in others {
            assert!(!link.was_decided_from(write, &other), "{other:?}");
        }
    }
}
