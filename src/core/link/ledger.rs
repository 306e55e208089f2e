//! What did not go its way: incidents, held keys, drift and remarks, each with its cause.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::core::key::Key;
use crate::core::key::KeyReading;
use crate::core::key::read_key;
use crate::core::link::Told;
use crate::core::link::acknowledged::Acknowledged;
use crate::core::link::acknowledged::Acknowledgement;
use crate::core::link::plan::PlannedKind;
use crate::core::record::Offset;
use crate::core::record::Record;
use crate::core::subject::ContextName;
use crate::core::subject::Subject;
use crate::core::value::Digest;
use crate::core::view::Applied;

/// What an incident is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum About {
    /// A key of the source whose newest record can't be copied; its last good state is kept.
    Source(Key),
    /// A key of the target that can't be brought to what the source says.
    Target(Key),
    /// A subject of the source that gets no name of its own in the target.
    Name(Subject),
    /// A record of the source whose key nobody can read, by the digest of the key.
    Unreadable(Digest),
}

impl About {
    /// What ends the incident, where its reason does not say so itself.
    #[must_use]
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Source(_) => Some(
                "it ends with the next good record of the key: register or set it again in the \
                 source, or delete it there",
            ),
            Self::Unreadable(_) => Some(
                "no registry makes anything of it; a record with the same key and no value takes it \
                 out of the source's topic",
            ),
            Self::Target(_) | Self::Name(_) => None,
        }
    }
}

/// A record that was not replicated, with its cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// The source record's offset; `None` where the cause stands in the target alone.
    pub offset: Option<Offset>,
    /// Where in the target's log the cause stands, if someone else wrote it there.
    pub target_offset: Option<Offset>,
    /// The key, for people.
    pub key: String,
    /// Why, and what to do.
    pub reason: String,
    /// The change that a link which writes could not make, or makes no more: whoever compares plans it.
    pub planned: Option<PlannedKind>,
}

impl Incident {
    /// One whose cause is not a record that someone else wrote into the target.
    #[must_use]
    pub fn of_source(offset: Option<Offset>, key: String, reason: String) -> Self {
        Self { offset, target_offset: None, key, reason, planned: None }
    }

    /// The same for a change that is not made.
    #[must_use]
    pub fn instead_of(self, planned: PlannedKind) -> Self {
        Self { planned: Some(planned), ..self }
    }
}

/// What a key waits for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum WaitFor {
    /// An id of a context of the target to be free.
    Id(ContextName, i32),
    /// Another state of a key of the source.
    Source(Key),
    /// A subject of the source to have versions, or none.
    Subject(Subject),
    /// Another mode of a subject of the target.
    Mode(Subject),
    /// Another definition of the link.
    Definition,
}

/// A key that is left as it is until something else happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The source record's offset.
    pub offset: Offset,
    /// Why, and what it waits for, in words.
    pub reason: String,
    /// What it waits for.
    pub until: WaitFor,
}

impl Held {
    /// What lets it go on, where its reason does not say so: a mode that opens a subject, and a context
    /// that is not copied, come with what to do.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        let selected = "or when the link selects its subject (subjects, or references: follow)";
        match &self.until {
            WaitFor::Source(key) => Some(format!(
                "it goes on with the next good record of {key} in the source, {selected}"
            )),
            WaitFor::Subject(subject) => {
                Some(format!("it goes on when {subject} changes in the source, {selected}"))
            }
            WaitFor::Id(context, id) => Some(format!(
                "it goes on as soon as id {id} of context {context} is free in the target"
            )),
            WaitFor::Mode(_) | WaitFor::Definition => None,
        }
    }
}

/// How many times a key that drifted is restored before it is an incident (rulings 15).
pub const REPAIRS_MAX: u32 = 3;

/// A key that differs in the target though the link wrote nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drift {
    /// Times it was seen since its source record changed.
    pub seen: u32,
    /// Times it was restored.
    pub repaired: u32,
}

/// The record of what did not go its way.
#[derive(Debug, Default)]
pub struct Ledger {
    incidents: BTreeMap<About, Incident>,
    /// Keys of the source whose newest record can't be copied, chosen by the link or not: a filter
    /// that follows references may choose them later.
    faulty: BTreeMap<Key, Incident>,
    held: BTreeMap<Key, Held>,
    waiting: BTreeMap<WaitFor, BTreeSet<Key>>,
    drift: BTreeMap<Key, Drift>,
    remarks: BTreeMap<Key, String>,
    /// What operators let stand.
    acknowledged: Acknowledged,
    /// What was set aside since it was last asked for, for the log.
    fresh: Vec<(&'static str, String, String)>,
}

/// What an incident is called that operators let stand: no news, when a link begins anew.
pub const ACKNOWLEDGED: &str = "acknowledged incident";
/// So many keys set aside are kept for the log at once; the rest is counted.
const FRESH_MAX: usize = 50;

impl Ledger {
    /// A ledger of nothing, that knows what operators let stand.
    pub(super) fn knowing(acknowledged: Acknowledged) -> Self {
        Self { acknowledged, ..Self::default() }
    }

    /// From here on operators let these stand.
    pub(super) fn acknowledge(&mut self, acknowledged: Acknowledged) {
        self.acknowledged = acknowledged;
    }

    /// The acknowledgement that holds for an incident.
    #[must_use]
    pub fn acknowledgement(&self, about: &About, incident: &Incident) -> Option<&Acknowledgement> {
        self.acknowledged.covers(about, incident)
    }

    /// The acknowledgement of a change that a link which writes does not make.
    pub(super) fn acknowledged_change(
        &self,
        target: &Key,
        offset: Offset,
        planned: PlannedKind,
    ) -> Option<&Acknowledgement> {
        self.acknowledged.covers_change(target, offset, planned)
    }

    /// The incidents that nobody has acknowledged.
    pub fn open_incidents(&self) -> impl Iterator<Item = (&About, &Incident)> {
        self.incidents().filter(|(about, incident)| self.acknowledgement(about, incident).is_none())
    }

    /// The incidents that operators let stand.
    pub fn acknowledged_incidents(&self) -> impl Iterator<Item = (&About, &Incident)> {
        self.incidents().filter(|(about, incident)| self.acknowledgement(about, incident).is_some())
    }

    /// What was set aside since this was last asked: `incident`, [`ACKNOWLEDGED`] or `held`, the key, the
    /// reason. At most a screenful.
    pub fn take_fresh(&mut self) -> Vec<(&'static str, String, String)> {
        std::mem::take(&mut self.fresh)
    }

    fn note_incident(&mut self, about: &About, incident: &Incident) {
        let is_let_stand = self.acknowledgement(about, incident).is_some();
        let word = if is_let_stand { ACKNOWLEDGED } else { "incident" };
        self.note_fresh(word, &incident.key, &incident.reason);
    }

    fn note_fresh(&mut self, word: &'static str, key: &str, reason: &str) {
        if self.fresh.len() < FRESH_MAX {
            self.fresh.push((word, on_one_line(key.chars()), on_one_line(reason.chars())));
        }
    }

    /// The incidents that stand.
    pub fn incidents(&self) -> impl Iterator<Item = (&About, &Incident)> {
        self.incidents.iter()
    }

    /// The keys of the target that are held.
    pub fn held(&self) -> impl Iterator<Item = (&Key, &Held)> {
        self.held.iter()
    }

    /// What an operator should know about records that were copied.
    pub fn remarks(&self) -> impl Iterator<Item = (&Key, &String)> {
        self.remarks.iter()
    }

    /// Keys that drifted.
    pub fn drift(&self) -> impl Iterator<Item = (&Key, &Drift)> {
        self.drift.iter()
    }

    /// Whether anything is held, or an incident.
    #[must_use]
    pub fn has_set_aside(&self) -> bool {
        !self.held.is_empty() || !self.incidents.is_empty()
    }

    /// Whether the newest record of this key of the source can't be copied.
    #[must_use]
    pub fn is_faulty(&self, source: &Key) -> bool {
        !self.faulty.is_empty() && self.faulty.contains_key(source)
    }

    /// Whether a key of the target can't be brought to what the source says.
    #[must_use]
    pub fn is_incident(&self, target: &Key) -> bool {
        !self.incidents.is_empty() && self.incidents.contains_key(&About::Target(target.clone()))
    }

    /// Takes note of what came of a record of the source. `chosen` says whether the link copies its
    /// key.
    pub(super) fn source_record(
        &mut self,
        record: &Record,
        told: &Told,
        chosen: impl FnOnce(&Key) -> bool,
    ) {
        if let Applied::Refused(key, reason) = &told.applied {
            let shown = key.as_ref().map_or_else(|| preview(record.key.as_deref()), Key::to_string);
            let incident = Incident::of_source(Some(record.offset), shown, reason.clone());
            let copied = key.as_ref().is_none_or(chosen);
            let digest = || Digest::of(record.key.as_deref().unwrap_or_default());
            let about = key.clone().map_or_else(|| About::Unreadable(digest()), About::Source);
            if copied {
                self.note_incident(&about, &incident);
                self.incidents.insert(about, incident.clone());
            }
            let Some(key) = key else { return };
            self.faulty.insert(key.clone(), incident);
            return;
        }
        if !told.mends {
            return;
        }
        if !self.faulty.is_empty()
            && let KeyReading::Known(own) = read_key(record.key.as_deref().unwrap_or_default())
        {
            self.forget_fault(&own);
            // A subject's deletion marks its versions; their newest records stay as odd as they are.
            if !matches!(own, Key::DeleteSubject(_)) {
                told.changed.iter().for_each(|key| self.forget_fault(key));
            }
        }
        if let Some((About::Unreadable(_), _)) = self.incidents.last_key_value() {
            let digest = Digest::of(record.key.as_deref().unwrap_or_default());
            self.incidents.remove(&About::Unreadable(digest));
        }
    }

    fn forget_fault(&mut self, source: &Key) {
        if self.faulty.remove(source).is_some() {
            self.incidents.remove(&About::Source(source.clone()));
        }
    }

    /// The keys of the source that the link copies are others now.
    pub(super) fn choose(&mut self, chosen: &BTreeSet<Key>) {
        self.incidents
            .retain(|about, _| !matches!(about, About::Source(key) if !chosen.contains(key)));
        for key in chosen {
            if let Some(incident) = self.faulty.get(key) {
                self.incidents.insert(About::Source(key.clone()), incident.clone());
            }
        }
    }

    /// The keys of the source whose newest record can't be copied.
    pub(super) fn faulty(&self) -> impl Iterator<Item = &Key> {
        self.faulty.keys()
    }

    /// Everything about the target is about to be decided again.
    pub(super) fn begin_plan(&mut self) {
        self.incidents.retain(|about, _| !matches!(about, About::Target(_) | About::Name(_)));
        self.held.clear();
        self.waiting.clear();
        self.remarks.clear();
    }

    pub(super) fn settle(&mut self, key: &Key) {
        if !self.incidents.is_empty() {
            self.incidents.remove(&About::Target(key.clone()));
        }
        if let Some(held) = self.held.remove(key)
            && let Some(waiters) = self.waiting.get_mut(&held.until)
        {
            waiters.remove(key);
            if waiters.is_empty() {
                self.waiting.remove(&held.until);
            }
        }
    }

    pub(super) fn incident(&mut self, key: &Key, incident: Incident, until: WaitFor) {
        let about = About::Target(key.clone());
        if self.incidents.get(&about) != Some(&incident) {
            self.note_incident(&about, &incident);
        }
        self.settle(key);
        self.incidents.insert(about, incident);
        self.waiting.entry(until).or_default().insert(key.clone());
    }

    /// A subject of the source gets no name of its own, or has one.
    pub(super) fn name_incident(&mut self, source: &Subject, incident: Option<Incident>) {
        let about = About::Name(source.clone());
        let Some(incident) = incident else {
            self.incidents.remove(&about);
            return;
        };
        if self.incidents.get(&about) != Some(&incident) {
            self.note_incident(&about, &incident);
        }
        self.incidents.insert(about, incident);
    }

    /// The subjects of the source that get no name of their own.
    pub(super) fn name_incidents(&self) -> impl Iterator<Item = &Subject> {
        self.incidents.keys().filter_map(|about| match about {
            About::Name(source) => Some(source),
            About::Source(_) | About::Target(_) | About::Unreadable(_) => None,
        })
    }

    pub(super) fn is_name_incident(&self, source: &Subject) -> bool {
        !self.incidents.is_empty() && self.incidents.contains_key(&About::Name(source.clone()))
    }

    pub(super) fn hold(&mut self, key: &Key, held: Held) {
        if self.held.get(key) != Some(&held) {
            self.note_fresh("held", &key.to_string(), &held.reason);
        }
        self.settle(key);
        self.waiting.entry(held.until.clone()).or_default().insert(key.clone());
        self.held.insert(key.clone(), held);
    }

    /// The keys that waited for this; they are to be decided again.
    pub(super) fn release(&mut self, cause: &WaitFor, into: &mut Vec<Key>) {
        if !self.waiting.is_empty()
            && let Some(waiters) = self.waiting.remove(cause)
        {
            into.extend(waiters);
        }
    }

    /// The same for what waits for any version of a subject of the source.
    pub(super) fn release_subject(&mut self, source: &Subject, into: &mut Vec<Key>) {
        if !self.waiting.is_empty() {
            self.release(&WaitFor::Subject(source.clone()), into);
        }
    }

    /// Whether a key of the target waits for something.
    #[must_use]
    pub fn is_held(&self, target: &Key) -> bool {
        !self.held.is_empty() && self.held.contains_key(target)
    }

    /// The ids of a context that keys wait for.
    pub(super) fn awaited_ids(&self, context: &ContextName) -> Vec<(ContextName, i32)> {
        let first = WaitFor::Id(context.clone(), i32::MIN);
        self.waiting
            .range(first..)
            .map_while(|(cause, _)| match cause {
                WaitFor::Id(of, id) if of == context => Some((of.clone(), *id)),
                WaitFor::Id(..)
                | WaitFor::Source(_)
                | WaitFor::Subject(_)
                | WaitFor::Mode(_)
                | WaitFor::Definition => None,
            })
            .collect()
    }

    /// What an operator should know of a key that is copied, and what may change that.
    pub(super) fn remark(&mut self, key: &Key, remark: Option<(String, Option<WaitFor>)>) {
        match remark {
            Some((remark, until)) => {
                self.remarks.insert(key.clone(), remark);
                if let Some(until) = until {
                    self.waiting.entry(until).or_default().insert(key.clone());
                }
            }
            None if self.remarks.is_empty() => {}
            None => drop(self.remarks.remove(key)),
        }
    }

    pub(super) fn drifted(&mut self, key: &Key) -> Drift {
        let drift = self.drift.entry(key.clone()).or_default();
        drift.seen = drift.seen.saturating_add(1);
        *drift
    }

    pub(super) fn repaired(&mut self, key: &Key) {
        if let Some(drift) = self.drift.get_mut(key) {
            drift.repaired = drift.repaired.saturating_add(1);
        }
    }

    /// The source says something new about the key: earlier repairs no longer count.
    pub(super) fn forget_drift(&mut self, key: &Key) {
        if !self.drift.is_empty() {
            self.drift.remove(key);
        }
    }
}

/// Bytes of a key that nobody can read, for people: bounded and without control characters.
fn preview(key: Option<&[u8]>) -> String {
    const SHOWN_CHARS: usize = 120;
    match key {
        None => "a null key".to_owned(),
        Some([]) => "an empty key".to_owned(),
        Some(bytes) => {
            let text = String::from_utf8_lossy(bytes);
            on_one_line(text.chars().take(SHOWN_CHARS))
        }
    }
}

/// Text without control characters. Quotes stay as they are: it is most often JSON that someone
/// looks for.
pub fn on_one_line(text: impl Iterator<Item = char>) -> String {
    let mut shown = String::new();
    for c in text {
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}
