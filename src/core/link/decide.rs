//! What to do about one key: the only place that decides to write or to delete.

use super::Link;
use crate::core::key::Key;
use crate::core::key::Version;
use crate::core::link::ledger::Held;
use crate::core::link::ledger::Incident;
use crate::core::link::ledger::WaitFor;
use crate::core::link::wanted::Wanted;
use crate::core::record::Offset;
use crate::core::rules::DriftPolicy;
use crate::core::subject::ContextName;
use crate::core::subject::Subject;
use crate::core::value::Mode;
use crate::core::value::Reference;
use crate::core::value::read_config;
use crate::core::view::Origin;
use crate::core::view::VersionView;

/// Why a key that drifted is left alone where the policy says so. It is worded alike whenever that is
/// found, or an acknowledgement would not hold.
pub(super) const DRIFT_REPORTED: &str =
    "the target drifted: someone else wrote it, and drift is only reported";

/// A change to one key of the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The key in the target.
    pub key: Key,
    /// What becomes of it.
    pub change: Change,
    /// Why, in words.
    pub reason: &'static str,
    /// Other bytes under which the key stands in the target's log: tombstoned with it, or it would
    /// come back after compaction.
    pub spellings: Vec<Vec<u8>>,
}

impl Write {
    pub(super) fn new(key: &Key, change: Change, reason: &'static str) -> Self {
        Self { key: key.clone(), change, reason, spellings: Vec::new() }
    }
}

/// What becomes of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A tombstone.
    Delete,
    /// A CONTEXT record.
    Context,
    /// A mode.
    Mode(Mode),
    /// A value that was made here: settings, or an association.
    Value {
        /// The value to write.
        value: Vec<u8>,
        /// Offset and timestamp of the source's record, where one stands behind it.
        behind: Option<(Offset, Option<i64>)>,
    },
    /// A version of a subject: the value is taken from the source's record at `offset`.
    Schema {
        /// Offset of the source's record.
        offset: Offset,
        /// What the source's view says of it.
        held: Box<VersionView>,
        /// The references' spellings, where others are forced.
        references: Option<Vec<String>>,
    },
}

/// What a decision came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Not the link's business.
    NotSelected,
    /// The target says what the source says.
    InSync,
    /// These writes, in this order.
    Write(Vec<Write>),
    /// It has to wait.
    Held(Held),
    /// It can't be done.
    Incident(Incident, WaitFor),
}

impl Link {
    /// Decides a key of the target. Changes nothing.
    pub(super) fn decide(&self, key: &Key) -> Verdict {
        if !self.owns_key(key) {
            return Verdict::NotSelected;
        }
        if let Key::Schema(subject, _) | Key::Config(subject) | Key::Mode(subject) = key
            && let Some(open) = self.opened_to_clients(subject)
        {
            let offset = self.source_offset(key).unwrap_or_default();
            return Verdict::Held(Held { offset, reason: open.reason, until: open.until });
        }
        if let Some(occupied) = self.occupied(key) {
            return occupied;
        }
        match self.wanted(key) {
            Wanted::Absent => self.decide_absent(key),
            Wanted::AsItIs => Verdict::InSync,
            Wanted::Held(offset, broken) => {
                Verdict::Held(Held { offset, reason: broken.reason, until: broken.until })
            }
            Wanted::Context => match key.context().and_then(|context| self.target.context(context))
            {
                Some(view) if view.declared.is_some() && !self.is_marred(key) => Verdict::InSync,
                Some(_) | None => {
                    write(key, Change::Context, "the context has no record of its own")
                }
            },
            Wanted::Mode(mode) => self.decide_mode(key, mode),
            Wanted::Config(value, behind) => {
                let behind = behind.map(|config| (config.stamp.offset, config.stamp.timestamp_ms));
                self.decide_config(key, value, behind)
            }
            Wanted::Association(value, behind) => self.decide_association(key, value, behind),
            Wanted::Schema(held, references) => match key {
                Key::Schema(subject, version) => {
                    self.decide_schema(subject, *version, held, references)
                }
                Key::Context(_)
                | Key::Mode(_)
                | Key::Config(_)
                | Key::Association(_)
                | Key::DeleteSubject(_)
                | Key::ClearSubject(_)
                | Key::Noop => Verdict::NotSelected,
            },
        }
    }

    /// A subject that only a pointer brings into the scope may be someone else's: what stands there
    /// and says something else is never overwritten, and gets no fence.
    fn occupied(&self, key: &Key) -> Option<Verdict> {
        let subject = key.subject().filter(|subject| !self.rules.owns(subject))?;
        if self.target_holder(key).is_some_and(Origin::is_own) {
            return None;
        }
        let view = self.target.subject(subject)?;
        let foreign = |origin| matches!(origin, Origin::Registry | Origin::OtherLink);
        let source = self.unplace(subject)?;
        let said = |held: &&VersionView| {
            self.source().schema(&source, held.version).is_some_and(|own| {
                let references = own.content.references();
                same(held, own, self.respelled(&source, references).as_deref())
            })
        };
        let other = view.versions().iter().find(|held| foreign(held.origin) && !said(held))?;
        let reason = format!(
            "something chosen points to {source}, and {subject} in the target is someone else's: \
             its version {} says something else. Choose the subject to own it{}",
            other.version,
            self.or_elsewhere()
        );
        let incident = Incident::of_source(self.source_offset(key), key.to_string(), reason);
        Some(match key {
            Key::Schema(..) | Key::Config(_) | Key::Association(_) => {
                Verdict::Incident(incident, WaitFor::Definition)
            }
            Key::Context(_)
            | Key::Mode(_)
            | Key::DeleteSubject(_)
            | Key::ClearSubject(_)
            | Key::Noop => Verdict::NotSelected,
        })
    }

    /// The offset of the source's record behind a key of the target.
    pub(super) fn source_offset(&self, key: &Key) -> Option<Offset> {
        let source = self.unplace(key.subject()?)?;
        match key {
            Key::Schema(_, version) => Some(self.source().schema(&source, *version)?.offset),
            Key::Config(_) => Some(self.source().subject(&source)?.config.as_ref()?.stamp.offset),
            Key::Association(association) => {
                let source = self.source_association(association)?;
                Some(self.source().associations().get(&source)?.stamp.offset)
            }
            Key::Context(_)
            | Key::Mode(_)
            | Key::DeleteSubject(_)
            | Key::ClearSubject(_)
            | Key::Noop => None,
        }
    }

    /// Who wrote what the target holds at a key; `None` where it holds nothing.
    pub(super) fn target_holder(&self, key: &Key) -> Option<Origin> {
        match key {
            Key::Context(context) => Some(self.target.context(context)?.declared?.origin),
            Key::Mode(subject) => Some(self.target.subject(subject)?.mode.as_ref()?.stamp.origin),
            Key::Config(subject) => {
                Some(self.target.subject(subject)?.config.as_ref()?.stamp.origin)
            }
            Key::Schema(subject, version) => Some(self.target.schema(subject, *version)?.origin),
            Key::Association(association) => {
                Some(self.target.associations().get(&**association)?.stamp.origin)
            }
            Key::DeleteSubject(_) | Key::ClearSubject(_) | Key::Noop => None,
        }
    }

    /// Whether the log says something else about a key than a registry's memory: its newest record
    /// can't be read, or it stands there under other bytes, too.
    pub(super) fn is_marred(&self, key: &Key) -> bool {
        (!self.damaged.is_empty() && self.damaged.contains(key))
            || (!self.unsent.is_empty() && self.unsent.contains_key(key))
            || self.target.has_other_spellings(key)
    }

    /// Only what the link wrote, or adopted, is ever deleted.
    fn decide_absent(&self, key: &Key) -> Verdict {
        let gone = "the source does not hold it";
        if self.unsent.contains_key(key) {
            return write(key, Change::Delete, gone);
        }
        match (self.target_holder(key), key) {
            (Some(origin), _) if origin.is_own() => write(key, Change::Delete, gone),
            (None, _) if self.target.has_other_spellings(key) => {
                write(key, Change::Delete, "compaction would bring another spelling of it back")
            }
            (Some(_), Key::Schema(..) | Key::Config(_) | Key::Association(_)) => self.foreign(key),
            (Some(_) | None, _) => self.decide_loser(key).unwrap_or(Verdict::InSync),
        }
    }

    /// A record in the log that no registry shows, because its id was taken: compaction could bring
    /// it to life.
    fn decide_loser(&self, key: &Key) -> Option<Verdict> {
        let Key::Schema(subject, version) = key else { return None };
        let view = self.target.context(&subject.context)?;
        view.has_loser(&subject.name, *version).then(|| self.foreign(key))
    }

    fn foreign(&self, key: &Key) -> Verdict {
        let how = if self.dialect().has_modes() {
            "set mode READWRITE on that subject in the target's registry, delete it there softly and \
             permanently, and delete the mode"
        } else {
            "delete it in the target's registry, softly and permanently"
        };
        let reason = format!(
            "someone else wrote it into the link's scope; it is not in the source, and stays. \
             To take it out, {how}"
        );
        let target_offset = self.target_offset(key);
        let incident =
            Incident { offset: None, target_offset, key: key.to_string(), reason, planned: None };
        Verdict::Incident(incident, WaitFor::Definition)
    }

    /// Whether the link wrote the record, rather than adopted it.
    pub(super) fn set_itself(&self, origin: Origin, offset: Offset) -> bool {
        origin == Origin::Ours && offset >= self.history.adopted_below
    }

    /// A mode that fences is kept even where it is another one than asked for, if nobody asked for
    /// this one by name since; a lifted fence halts the link before anything is decided, see `start`.
    fn decide_mode(&self, key: &Key, mode: Mode) -> Verdict {
        let held = key.subject().and_then(|subject| self.target.subject(subject)?.mode.as_ref());
        let names = |offset| {
            let context = key.context();
            context.is_some_and(|of| self.permissions.fence_again.names(of, Some(offset)))
        };
        match held {
            Some(held) if held.mode == mode && !self.is_marred(key) => Verdict::InSync,
            Some(held)
                if held.mode.fences()
                    && !self.set_itself(held.stamp.origin, held.stamp.offset)
                    && !names(held.stamp.offset) =>
            {
                Verdict::InSync
            }
            Some(_) | None => {
                write(key, Change::Mode(mode), "clients must not write what the link owns")
            }
        }
    }

    fn decide_config(
        &self,
        key: &Key,
        value: Vec<u8>,
        behind: Option<(Offset, Option<i64>)>,
    ) -> Verdict {
        let held = key.subject().and_then(|subject| self.target.subject(subject)?.config.as_ref());
        let wanted = read_config(&value).ok().map(|config| config.meaning);
        match held {
            Some(held) if Some(held.value.meaning) == wanted && !self.is_marred(key) => {
                Verdict::InSync
            }
            Some(held) => {
                let change = Change::Value { value, behind };
                self.drifted(key, held.stamp.origin, write(key, change, "the settings differ"))
            }
            None => write(key, Change::Value { value, behind }, "the settings are missing"),
        }
    }

    fn decide_schema(
        &self,
        subject: &Subject,
        version: Version,
        wanted: &VersionView,
        references: Option<Vec<String>>,
    ) -> Verdict {
        let key = Key::Schema(subject.clone(), version);
        let held = self.target.schema(subject, version);
        let context = self.target.context(&subject.context);
        let lost = context.is_some_and(|view| view.has_loser(&subject.name, version));
        if !lost
            && held.is_some_and(|held| same(held, wanted, references.as_deref()))
            && !self.is_marred(&key)
        {
            return Verdict::InSync;
        }
        let mut writes = Vec::new();
        // The leader of the target would keep the old id pointing here, or roll the change back:
        // its key has to be free first (odd-records 3.3, 3.4: deletion, then put, is clean).
        let hidden = self.unsent.get(&key).and_then(|unsent| unsent.stands);
        if lost
            || held.is_some_and(|held| {
                held.id != wanted.id || held.content.text != wanted.content.text
            })
            || hidden.is_some_and(|stands| stands != (wanted.id, wanted.content.text))
        {
            writes.push(delete(&key, "it has another id or text in the target"));
        }
        for space in self.id_space(&subject.context) {
            let taken = self.target.context(&space).and_then(|view| view.text_of(wanted.id));
            if taken.is_none_or(|text| text == wanted.content.text) {
                continue;
            }
            for (other, of) in self.target.holders(&space, wanted.id) {
                let holder = Key::Schema(other, of);
                if holder == key {
                    continue;
                }
                if !self.leaves(&holder, wanted) {
                    return self.taken(&key, wanted, &holder);
                }
                writes.push(delete(&holder, "its id belongs to another schema of the source"));
            }
        }
        let reason = match held {
            None => "it is missing",
            Some(held) if held.deleted != wanted.deleted => "its deletion differs",
            Some(_) => "it differs",
        };
        let change =
            Change::Schema { offset: wanted.offset, held: Box::new(wanted.clone()), references };
        let origin = held.map_or(Origin::Ours, |held| held.origin);
        writes.push(Write::new(&key, change, reason));
        self.drifted(&key, origin, Verdict::Write(writes))
    }

    /// Whether a key of the target that has the id now will not have it when the source is copied.
    fn leaves(&self, holder: &Key, wanted: &VersionView) -> bool {
        if !self.owns_key(holder) || !self.target_holder(holder).is_some_and(Origin::is_own) {
            return false;
        }
        // Nothing is written below a subject that someone opened to clients.
        if holder.subject().is_some_and(|subject| self.opened_to_clients(subject).is_some()) {
            return false;
        }
        match self.wanted(holder) {
            Wanted::Absent => true,
            Wanted::Schema(own, _) => {
                own.id != wanted.id || own.content.text == wanted.content.text
            }
            Wanted::AsItIs
            | Wanted::Held(..)
            | Wanted::Context
            | Wanted::Mode(_)
            | Wanted::Config(..)
            | Wanted::Association(..) => false,
        }
    }

    fn taken(&self, key: &Key, wanted: &VersionView, holder: &Key) -> Verdict {
        let context = holder.context().cloned().unwrap_or_else(ContextName::default_context);
        let reason = format!(
            "id {} of context {context} is taken by {holder} with another text; \
             delete that one{}",
            wanted.id,
            self.or_elsewhere()
        );
        let incident = Incident::of_source(Some(wanted.offset), key.to_string(), reason);
        Verdict::Incident(incident, WaitFor::Id(context, wanted.id))
    }

    /// What an operator can do besides, where the target's registry has contexts.
    fn or_elsewhere(&self) -> &'static str {
        if self.dialect().has_contexts() { ", or copy into a context of its own" } else { "" }
    }

    /// The incident of a key that someone else changed and that is not restored.
    pub(super) fn drift_reported(&self, key: &Key) -> Incident {
        Incident {
            offset: self.source_offset(key),
            target_offset: self.target_offset(key),
            key: key.to_string(),
            reason: DRIFT_REPORTED.to_owned(),
            planned: None,
        }
    }

    /// A key that someone else wrote last differs: restored or reported, as the policy says.
    pub(super) fn drifted(&self, key: &Key, origin: Origin, repair: Verdict) -> Verdict {
        if matches!(origin, Origin::Ours | Origin::Alike) {
            return repair;
        }
        match self.rules.drift {
            DriftPolicy::Repair => repair,
            DriftPolicy::Report => Verdict::Incident(self.drift_reported(key), WaitFor::Definition),
        }
    }
}

fn write(key: &Key, change: Change, reason: &'static str) -> Verdict {
    Verdict::Write(vec![Write::new(key, change, reason)])
}

fn delete(key: &Key, reason: &'static str) -> Write {
    Write::new(key, Change::Delete, reason)
}

/// Whether two versions mean the same; the source's references in the spelling they get.
fn same(held: &VersionView, wanted: &VersionView, references: Option<&[String]>) -> bool {
    held.id == wanted.id
        && held.deleted == wanted.deleted
        && held.content.text == wanted.content.text
        && held.content.meaning() == wanted.content.meaning()
        && same_references(held.content.references(), wanted.content.references(), references)
}

fn same_references(held: &[Reference], wanted: &[Reference], spelled: Option<&[String]>) -> bool {
    held.len() == wanted.len()
        && held.iter().zip(wanted).enumerate().all(|(place, (held, wanted))| {
            let subject = spelled
                .and_then(|spelled| spelled.get(place))
                .map_or(&*wanted.subject, String::as_str);
            held.name == wanted.name && held.version == wanted.version && *held.subject == *subject
        })
}
