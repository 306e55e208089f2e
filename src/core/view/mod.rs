//! The state of a registry, folded from its log: what it would answer, in digests and offsets.
//!
//! The source's view and the target's are of one kind, so that both follow the same rules of the
//! registry: the first text of an id wins, a soft-deleted schema keeps its id, a DELETE_SUBJECT acts
//! on what stands before it.

mod ids;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use self::ids::Ids;
use crate::core::entry::Entry;
use crate::core::key::Key;
use crate::core::key::Version;
use crate::core::record::Offset;
use crate::core::subject::ContextName;
use crate::core::subject::Subject;
use crate::core::value::ConfigValue;
use crate::core::value::Digest;
use crate::core::value::Mode;
use crate::core::value::Reference;
use crate::core::value::Remark;
use crate::core::value::SchemaValue;

/// Who wrote the newest record of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A registry, or somebody without our header.
    Registry,
    /// The link whose view this is, or keys that it adopted.
    Ours,
    /// Another link.
    OtherLink,
    /// It came through the link's own target cluster: copying it would make a loop.
    Loop,
}

/// Which side of the link the log belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The log that is copied.
    Source,
    /// The log that is written. Spellings of keys are kept, and a CLEAR_SUBJECT is obeyed.
    Target,
}

/// Where a record stands and who wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The record's offset.
    pub offset: Offset,
    /// Its timestamp in ms since 1970.
    pub timestamp_ms: Option<i64>,
    /// Who wrote it.
    pub origin: Origin,
}

/// One version of a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionView {
    /// Its place in the subject.
    pub version: Version,
    /// Deleted softly, by its own record or by a DELETE_SUBJECT behind it.
    pub deleted: bool,
    /// Who wrote its record.
    pub origin: Origin,
    /// Its schema id.
    pub id: i32,
    /// The offset of its record.
    pub offset: Offset,
    /// Digest of its text.
    pub text: Digest,
    /// Digest of everything that has no field of its own here.
    pub meaning: Digest,
    /// What it references, as spelled.
    pub references: Option<Box<[Reference]>>,
    /// What an operator should know though the record is sound.
    pub remark: Option<Remark>,
}

/// Settings with their record's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigView {
    /// Where the record stands.
    pub stamp: Stamp,
    /// What it says.
    pub value: ConfigValue,
}

/// A mode with its record's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModeView {
    /// Where the record stands.
    pub stamp: Stamp,
    /// What it says.
    pub mode: Mode,
}

/// What a registry holds about one subject; about the context itself under the empty name.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct SubjectView {
    versions: Vec<VersionView>,
    /// Its settings.
    pub config: Option<ConfigView>,
    /// Its mode.
    pub mode: Option<ModeView>,
}

impl SubjectView {
    /// Its versions, ascending, the soft-deleted ones among them.
    #[must_use]
    pub fn versions(&self) -> &[VersionView] {
        &self.versions
    }

    /// Whether any version is not deleted.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.versions.iter().any(|version| !version.deleted)
    }

    /// One version.
    #[must_use]
    pub fn version(&self, version: Version) -> Option<&VersionView> {
        let place = self.versions.binary_search_by_key(&version, |held| held.version).ok()?;
        self.versions.get(place)
    }

    fn is_empty(&self) -> bool {
        self.versions.is_empty() && self.config.is_none() && self.mode.is_none()
    }
}

/// What a registry holds in one context.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ContextView {
    /// Its CONTEXT record.
    pub declared: Option<Stamp>,
    subjects: BTreeMap<Arc<str>, SubjectView>,
    ids: Ids,
}

impl ContextView {
    /// Its subjects by name; the empty name stands for the context's own settings.
    pub fn subjects(&self) -> impl Iterator<Item = (&Arc<str>, &SubjectView)> {
        self.subjects.iter()
    }

    /// The digest of the text that has this id.
    #[must_use]
    pub fn text_of(&self, id: i32) -> Option<Digest> {
        self.ids.text_of(id)
    }

    /// Whether the log still holds a record of this version that lost its id to another text.
    #[must_use]
    pub fn has_loser(&self, name: &str, version: Version) -> bool {
        self.ids.has_loser(name, version)
    }

    /// The versions whose records lost their id to another text and still stand in the log.
    pub fn losers(&self) -> impl Iterator<Item = (&str, Version)> {
        self.ids.losers()
    }
}

/// What came of applying a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// The keys named may have another state now.
    Changed,
    /// It says nothing, or nothing new.
    Nothing,
    /// A registry would not take it, or not as it was meant; the key keeps the state it had.
    Refused(Option<Key>, String),
}

/// The state of a registry.
#[derive(Debug)]
pub struct View {
    side: Side,
    contexts: BTreeMap<ContextName, ContextView>,
    spellings: BTreeMap<Key, BTreeSet<Vec<u8>>>,
}

impl View {
    /// The state before the first record.
    #[must_use]
    pub fn new(side: Side) -> Self {
        Self { side, contexts: BTreeMap::new(), spellings: BTreeMap::new() }
    }

    /// The contexts that hold anything, by name.
    pub fn contexts(&self) -> impl Iterator<Item = (&ContextName, &ContextView)> {
        self.contexts.iter()
    }

    /// One context.
    #[must_use]
    pub fn context(&self, context: &ContextName) -> Option<&ContextView> {
        self.contexts.get(context)
    }

    /// One subject, or a context's own settings.
    #[must_use]
    pub fn subject(&self, subject: &Subject) -> Option<&SubjectView> {
        self.contexts.get(&subject.context)?.subjects.get(&*subject.name)
    }

    /// One version of a subject.
    #[must_use]
    pub fn schema(&self, subject: &Subject, version: Version) -> Option<&VersionView> {
        self.subject(subject)?.version(version)
    }

    /// Whether nothing was ever written, or everything deleted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.contexts.is_empty()
    }

    /// The bytes under which a key stands in the log besides the canonical ones.
    pub fn other_spellings(&self, key: &Key) -> impl Iterator<Item = &Vec<u8>> {
        self.spellings.get(key).into_iter().flatten()
    }

    /// The subjects of a context that share an id.
    #[must_use]
    pub fn holders(&self, context: &ContextName, id: i32) -> Vec<(Subject, Version)> {
        let Some(view) = self.contexts.get(context) else { return Vec::new() };
        let mut holders = Vec::new();
        for (name, subject) in &view.subjects {
            for held in subject.versions.iter().filter(|held| held.id == id) {
                let subject = Subject { context: context.clone(), name: Arc::clone(name) };
                holders.push((subject, held.version));
            }
        }
        holders
    }

    /// Takes an entry as a registry takes it. `changed` gets the keys whose state may be another one.
    pub fn apply(&mut self, entry: &Entry, stamp: Stamp, changed: &mut Vec<Key>) -> Applied {
        let before = changed.len();
        match entry {
            Entry::Nothing => return Applied::Nothing,
            Entry::Faulty(key, reason) => return Applied::Refused(key.clone(), reason.clone()),
            Entry::Schema(subject, version, Some(said)) => {
                let key = Key::Schema(subject.clone(), *version);
                if let Err(reason) = self.put_schema(subject, *version, said, stamp) {
                    return Applied::Refused(Some(key), reason);
                }
                changed.push(key);
                self.readmit(&subject.context, changed);
            }
            Entry::Schema(subject, version, None) => {
                self.remove_schema(subject, *version, changed);
            }
            Entry::Config(subject, said) => {
                let value = said.clone().map(|value| ConfigView { stamp, value });
                self.setting(subject, |view| view.config = value);
                changed.push(Key::Config(subject.clone()));
            }
            Entry::Mode(subject, said) => {
                let mode = said.map(|mode| ModeView { stamp, mode });
                self.setting(subject, |view| view.mode = mode);
                changed.push(Key::Mode(subject.clone()));
            }
            Entry::Context(context, exists) => {
                self.contexts.entry(context.clone()).or_default().declared =
                    exists.then_some(stamp);
                self.drop_empty(context);
                changed.push(Key::Context(context.clone()));
            }
            Entry::DeleteSubject(subject, last) => {
                self.delete_subject(subject, *last, stamp, changed)
            }
            Entry::ClearSubject(subject) => self.clear_subject(subject.as_ref(), changed),
        }
        if changed.len() == before { Applied::Nothing } else { Applied::Changed }
    }

    /// Remembers, or forgets, that a key stands in the log under other bytes than the canonical ones.
    pub fn note_spelling(&mut self, key: &Key, bytes: &[u8], exists: bool) {
        if self.side == Side::Source {
            return;
        }
        if exists {
            self.spellings.entry(key.clone()).or_default().insert(bytes.to_vec());
        } else if let Some(spellings) = self.spellings.get_mut(key) {
            spellings.remove(bytes);
            if spellings.is_empty() {
                self.spellings.remove(key);
            }
        }
    }

    fn put_schema(
        &mut self,
        subject: &Subject,
        version: Version,
        said: &SchemaValue,
        stamp: Stamp,
    ) -> Result<(), String> {
        let new = VersionView {
            version,
            deleted: said.deleted,
            origin: stamp.origin,
            id: said.id,
            offset: stamp.offset,
            text: said.text,
            meaning: said.meaning,
            references: said.references.clone(),
            remark: said.remark,
        };
        let view = self.contexts.entry(subject.context.clone()).or_default();
        view.ids.forget_loser(&subject.name, version);
        if view.ids.text_of(said.id).is_some_and(|text| text != said.text) {
            view.ids.add_loser(&subject.name, new);
            return Err(format!(
                "id {} of context {} has another text already; the first one keeps it",
                said.id, subject.context
            ));
        }
        view.place(&subject.name, new);
        Ok(())
    }

    fn remove_schema(&mut self, subject: &Subject, version: Version, changed: &mut Vec<Key>) {
        changed.push(Key::Schema(subject.clone(), version));
        let Some(view) = self.contexts.get_mut(&subject.context) else { return };
        view.ids.forget_loser(&subject.name, version);
        if view.take(&subject.name, version).is_some() {
            self.readmit(&subject.context, changed);
        }
        self.drop_empty(&subject.context);
    }

    /// Schemas that lost their id to a text that is gone now stand as the log says: a registry that
    /// starts after compaction reads them so. The target's losers are never taken for live ones.
    fn readmit(&mut self, context: &ContextName, changed: &mut Vec<Key>) {
        if self.side == Side::Target {
            return;
        }
        let Some(view) = self.contexts.get_mut(context) else { return };
        if view.ids.has_no_losers() {
            return;
        }
        while let Some((name, loser)) = view.ids.take_winner() {
            let subject = Subject { context: context.clone(), name: Arc::clone(&name) };
            changed.push(Key::Schema(subject, loser.version));
            view.place(&name, loser);
        }
    }

    fn setting(&mut self, subject: &Subject, set: impl FnOnce(&mut SubjectView)) {
        let view = self.contexts.entry(subject.context.clone()).or_default();
        set(view.subjects.entry(Arc::clone(&subject.name)).or_default());
        if view.subjects.get(&subject.name).is_some_and(SubjectView::is_empty) {
            view.subjects.remove(&subject.name);
        }
        self.drop_empty(&subject.context);
    }

    fn delete_subject(
        &mut self,
        subject: &Subject,
        last: i64,
        stamp: Stamp,
        changed: &mut Vec<Key>,
    ) {
        let Some(view) = self.contexts.get_mut(&subject.context) else { return };
        let Some(held) = view.subjects.get_mut(&subject.name) else { return };
        for version in &mut held.versions {
            if i64::from(version.version.get()) <= last && !version.deleted {
                version.deleted = true;
                if self.side == Side::Target {
                    version.origin = stamp.origin;
                }
                changed.push(Key::Schema(subject.clone(), version.version));
            }
        }
    }

    /// A registry forgets soft-deleted schemas; in the source nothing follows from it (rulings 18).
    fn clear_subject(&mut self, subject: Option<&Subject>, changed: &mut Vec<Key>) {
        if self.side == Side::Source {
            return;
        }
        let mut cleared = Vec::new();
        for (context, view) in &self.contexts {
            for (name, held) in &view.subjects {
                let hit = subject
                    .is_none_or(|s| s.context == *context && (s.is_context() || s.name == *name));
                if !hit {
                    continue;
                }
                for version in held.versions.iter().filter(|version| version.deleted) {
                    let subject = Subject { context: context.clone(), name: Arc::clone(name) };
                    cleared.push((subject, version.version));
                }
            }
        }
        for (subject, version) in cleared {
            self.remove_schema(&subject, version, changed);
        }
    }

    fn drop_empty(&mut self, context: &ContextName) {
        let empty = self.contexts.get(context).is_some_and(|view| {
            view.declared.is_none() && view.subjects.is_empty() && view.ids.has_no_losers()
        });
        if empty {
            self.contexts.remove(context);
        }
    }
}

impl ContextView {
    fn place(&mut self, name: &Arc<str>, new: VersionView) {
        self.ids.count(new.id, new.text);
        let subject = match self.subjects.get_mut(name) {
            Some(subject) => subject,
            None => self.subjects.entry(Arc::clone(name)).or_default(),
        };
        match subject.versions.binary_search_by_key(&new.version, |held| held.version) {
            Ok(place) => {
                if let Some(slot) = subject.versions.get_mut(place) {
                    let old = std::mem::replace(slot, new);
                    self.ids.discount(old.id);
                }
            }
            Err(place) => subject.versions.insert(place, new),
        }
    }

    fn take(&mut self, name: &Arc<str>, version: Version) -> Option<VersionView> {
        let subject = self.subjects.get_mut(name)?;
        let place = subject.versions.binary_search_by_key(&version, |held| held.version).ok()?;
        let old = subject.versions.remove(place);
        if subject.is_empty() {
            self.subjects.remove(name);
        }
        self.ids.discount(old.id);
        Some(old)
    }
}
