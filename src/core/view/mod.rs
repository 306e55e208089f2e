//! The state of a registry, folded from its log: what it would answer, in digests and offsets.
//!
//! The source's view and the target's are of one kind, so that both follow the same rules of the
//! registry: the first text of an id wins, a soft-deleted schema keeps its id, a DELETE_SUBJECT acts
//! on what stands before it.

mod associations;
mod ids;
mod place;
mod states;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::OnceLock;

use self::ids::Ids;
pub use self::states::Applied;
pub use self::states::AssociationView;
pub use self::states::ConfigView;
pub use self::states::ModeView;
pub use self::states::Origin;
pub use self::states::Side;
pub use self::states::Stamp;
pub use self::states::VersionView;
use crate::core::entry::Entry;
use crate::core::key::Association;
use crate::core::key::Key;
use crate::core::key::Version;
use crate::core::subject::ContextName;
use crate::core::subject::Subject;
use crate::core::value::Digest;
use crate::core::value::SchemaValue;

/// What a registry holds about one subject; about the context itself under the empty name.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct SubjectView {
    versions: Vec<VersionView>,
    /// Its settings.
    pub config: Option<Box<ConfigView>>,
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
    /// Subjects with a version that is not deleted.
    live: usize,
    ids: Ids,
}

impl ContextView {
    /// How many of its subjects have a version that is not deleted.
    #[must_use]
    pub fn live(&self) -> usize {
        self.live
    }

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

    /// The record of a version that lost its id to another text, if the log still holds one.
    #[must_use]
    pub fn loser(&self, name: &str, version: Version) -> Option<&VersionView> {
        self.ids.loser(name, version)
    }

    /// The versions whose records lost their id to another text and still stand in the log.
    pub fn losers(&self) -> impl Iterator<Item = (&str, Version)> {
        self.ids.losers()
    }
}

/// The state of a registry.
#[derive(Debug)]
pub struct View {
    side: Side,
    contexts: BTreeMap<ContextName, ContextView>,
    associations: BTreeMap<Association, AssociationView>,
    spellings: BTreeMap<Key, BTreeSet<Vec<u8>>>,
    /// Some subject had a mode of its own once.
    has_subject_modes: bool,
    /// Something had references, an alias or a remark, once.
    is_notable: bool,
    /// Who holds which id, made when it is first asked for and dropped with the next change.
    holders: OnceLock<BTreeMap<(ContextName, i32), Vec<Holder>>>,
}

/// A version that has an id.
type Holder = (Arc<str>, Version);

impl View {
    /// The state before the first record.
    #[must_use]
    pub fn new(side: Side) -> Self {
        Self {
            side,
            contexts: BTreeMap::new(),
            associations: BTreeMap::new(),
            spellings: BTreeMap::new(),
            has_subject_modes: false,
            is_notable: false,
            holders: OnceLock::new(),
        }
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

    /// The version of the same subject that no request would find by its id any more, if this one
    /// went: a registry remembers the last version it read for a subject and an id, and forgets the
    /// id with that one (odd-records 3.10).
    #[must_use]
    pub fn orphan_of(&self, subject: &Subject, version: Version) -> Option<Version> {
        let view = self.contexts.get(&subject.context)?;
        let held = view.subjects.get(&*subject.name)?;
        let gone = held.version(version)?;
        if !view.ids.is_shared(gone.id) {
            return None;
        }
        let others =
            held.versions.iter().filter(|other| other.id == gone.id && other.version != version);
        let last = others.max_by_key(|other| other.offset)?;
        (last.offset < gone.offset).then_some(last.version)
    }

    /// Later versions of the same subject with this one's id that stand before it in the log: a
    /// registry's index names the one it read last, so they have to follow it (odd-records 3.10).
    #[must_use]
    pub fn later_with_its_id(&self, subject: &Subject, version: Version, id: i32) -> Vec<Version> {
        let view = self.contexts.get(&subject.context);
        // Nearly no id is shared, and that costs no look-up of a name.
        let Some(view) = view.filter(|view| view.ids.is_shared(id)) else { return Vec::new() };
        let Some(held) = view.subjects.get(&*subject.name) else { return Vec::new() };
        let Some(own) = held.version(version).filter(|own| own.id == id) else {
            return Vec::new();
        };
        let later = |other: &&VersionView| {
            other.id == own.id && other.version > version && other.offset < own.offset
        };
        held.versions.iter().filter(later).map(|other| other.version).collect()
    }

    /// Whether nothing was ever written, or everything deleted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.contexts.is_empty()
    }

    /// Whether the key stands in the log under other bytes than the canonical ones.
    #[must_use]
    pub fn has_other_spellings(&self, key: &Key) -> bool {
        !self.spellings.is_empty() && self.spellings.contains_key(key)
    }

    /// The bytes under which a key stands in the log besides the canonical ones; forgotten by this.
    pub(in crate::core) fn take_spellings(&mut self, key: &Key) -> BTreeSet<Vec<u8>> {
        if self.spellings.is_empty() {
            return BTreeSet::new();
        }
        self.spellings.remove(key).unwrap_or_default()
    }

    /// Other spellings of a key that still stand after all.
    pub(in crate::core) fn put_spellings_back(&mut self, key: &Key, spellings: Vec<Vec<u8>>) {
        if !spellings.is_empty() {
            self.spellings.entry(key.clone()).or_default().extend(spellings);
        }
    }

    /// The subjects of a context that share an id.
    #[must_use]
    pub fn holders(&self, context: &ContextName, id: i32) -> Vec<(Subject, Version)> {
        let all = self.holders.get_or_init(|| self.all_holders());
        let held = all.get(&(context.clone(), id)).map(Vec::as_slice).unwrap_or_default();
        held.iter()
            .map(|(name, version)| {
                (Subject { context: context.clone(), name: Arc::clone(name) }, *version)
            })
            .collect()
    }

    fn all_holders(&self) -> BTreeMap<(ContextName, i32), Vec<Holder>> {
        let mut all: BTreeMap<_, Vec<Holder>> = BTreeMap::new();
        for (context, view) in &self.contexts {
            for (name, subject) in &view.subjects {
                for held in &subject.versions {
                    let holders = all.entry((context.clone(), held.id)).or_default();
                    holders.push((Arc::clone(name), held.version));
                }
            }
        }
        all
    }

    /// Whether any subject may have a mode of its own.
    #[must_use]
    pub fn has_subject_modes(&self) -> bool {
        self.has_subject_modes
    }

    /// Whether anything may have references, an alias or a remark.
    #[must_use]
    pub fn is_notable(&self) -> bool {
        self.is_notable
    }

    /// A schema, or settings, that someone else wrote just as the link would is the link's own.
    pub fn take_over(&mut self, key: &Key) {
        let subject = match key {
            Key::Schema(subject, _) | Key::Config(subject) => subject,
            Key::Context(_)
            | Key::Mode(_)
            | Key::DeleteSubject(_)
            | Key::ClearSubject(_)
            | Key::Noop => return,
            Key::Association(association) => return self.take_over_association(association),
        };
        let view = self.contexts.get_mut(&subject.context);
        let Some(held) = view.and_then(|view| view.subjects.get_mut(&subject.name)) else { return };
        match (key, &mut held.config) {
            (Key::Schema(_, version), _) => {
                let place = held.versions.binary_search_by_key(version, |held| held.version);
                if let Some(held) = place.ok().and_then(|place| held.versions.get_mut(place))
                    && !held.origin.is_own()
                {
                    held.origin = Origin::Alike;
                }
            }
            (Key::Config(_), Some(config)) if !config.stamp.origin.is_own() => {
                config.stamp.origin = Origin::Alike;
            }
            (_, _) => {}
        }
    }

    /// Takes an entry as a registry takes it. `changed` gets the keys whose state may be another one.
    pub fn apply(&mut self, entry: &Entry, stamp: Stamp, changed: &mut Vec<Key>) -> Applied {
        let before = changed.len();
        if self.holders.get().is_some() {
            self.holders = OnceLock::new();
        }
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
                self.is_notable |= said.as_ref().is_some_and(|said| said.alias.is_some());
                let value = said.clone().map(|value| Box::new(ConfigView { stamp, value }));
                self.setting(subject, |view| view.config = value);
                changed.push(Key::Config(subject.clone()));
            }
            Entry::Mode(subject, said) => {
                self.has_subject_modes |= !subject.is_context();
                let mode = said.map(|mode| ModeView { stamp, mode });
                self.setting(subject, |view| view.mode = mode);
                changed.push(Key::Mode(subject.clone()));
            }
            Entry::Association(association, said) => {
                self.tie(association, said.clone(), stamp);
                changed.push(Key::Association(association.clone()));
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

    /// Remembers that a key stands in the log under other bytes than the canonical ones.
    pub fn note_spelling(&mut self, key: &Key, bytes: &[u8]) {
        if self.side == Side::Target {
            self.spellings.entry(key.clone()).or_default().insert(bytes.to_vec());
        }
    }

    /// The key no longer stands in the log under these bytes.
    pub fn forget_spelling(&mut self, key: &Key, bytes: &[u8]) {
        if let Some(spellings) = self.spellings.get_mut(key) {
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
            content: said.content.clone(),
        };
        self.is_notable |= !said.content.references().is_empty() || said.content.remark().is_some();
        let view = match self.contexts.get_mut(&subject.context) {
            Some(view) => view,
            None => self.contexts.entry(subject.context.clone()).or_default(),
        };
        view.ids.forget_loser(&subject.name, version);
        if view.ids.text_of(said.id).is_some_and(|text| text != said.content.text) {
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
        let was_live = held.is_live();
        for version in &mut held.versions {
            if i64::from(version.version.get()) <= last && !version.deleted {
                version.deleted = true;
                if self.side == Side::Target {
                    version.origin =
                        if version.origin.is_own() { Origin::OursMarked } else { stamp.origin };
                }
                changed.push(Key::Schema(subject.clone(), version.version));
            }
        }
        if was_live && !held.is_live() {
            view.live = view.live.saturating_sub(1);
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
