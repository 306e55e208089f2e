//! The source as a link sees it, or as several do that see the same.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::ops::Range;

use super::SourceClaim;
use super::dialect::for_target;
use crate::core::dialect::Dialect;
use crate::core::entry::Entry;
use crate::core::entry::Reader;
use crate::core::key::Key;
use crate::core::key::KeyReading;
use crate::core::key::read_key;
use crate::core::provenance::Provenance;
use crate::core::record::Offset;
use crate::core::record::Record;
use crate::core::rules::ScopeFilter;
use crate::core::subject::Subject;
use crate::core::value::Digest;
use crate::core::view::Applied;
use crate::core::view::Origin;
use crate::core::view::Side;
use crate::core::view::Stamp;
use crate::core::view::View;

/// What decides how a source is seen besides its records: links of one lens see the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lens {
    /// What the source's log is declared to be.
    pub(super) source_dialect: Dialect,
    /// What the target's registry reads.
    pub(super) target_dialect: Dialect,
    /// The id of the cluster that is read.
    pub(super) source_cluster: String,
    /// The id of the cluster that is written.
    pub(super) target_cluster: String,
    /// What other links copied from the target's cluster into the source, by their claims.
    pub(super) claims: Vec<SourceClaim>,
}

/// A source's state, and what is needed to read on.
#[derive(Debug)]
pub struct Source {
    lens: Lens,
    /// What came from the target, in a form that answers for many subjects.
    came_from_target: Vec<ScopeFilter>,
    reader: Reader,
    view: View,
    /// The way that settings took to our source, where a link copied them there.
    config_paths: BTreeMap<Key, Vec<String>>,
    /// Clusters that the records came through.
    origins: BTreeSet<String>,
    /// Keys whose newest record can't be copied, whoever copies them.
    faulty: BTreeSet<Key>,
    /// Keys that nobody can read, by the digests of their bytes.
    unreadable: BTreeSet<Digest>,
}

/// What a record of the source came to.
#[derive(Debug, Clone)]
pub struct Told {
    pub(super) applied: Applied,
    /// The keys of the source whose state may be another one.
    pub(super) changed: Vec<Key>,
    /// It may end what an earlier record of a key was refused for.
    pub(super) mends: bool,
    /// How its value can be written, if naming another subject is all that it needs.
    pub(super) at_hand: Option<AtHand>,
}

/// A value that only needs another subject.
#[derive(Debug, Clone)]
pub(super) struct AtHand {
    pub(super) offset: Offset,
    pub(super) deleted: bool,
    pub(super) subject_at: Range<usize>,
}

impl Source {
    /// A source of which nothing is read.
    #[must_use]
    pub fn new(lens: Lens) -> Self {
        Self {
            came_from_target: lens.claims.iter().map(|claim| claim.scope.filter()).collect(),
            reader: Reader::new(lens.source_dialect),
            view: View::new(Side::Source),
            config_paths: BTreeMap::new(),
            origins: BTreeSet::from([lens.source_cluster.clone()]),
            faulty: BTreeSet::new(),
            unreadable: BTreeSet::new(),
            lens,
        }
    }

    /// Takes a record into the view, as the lens has it.
    pub fn read(&mut self, record: &Record) -> Told {
        self.take(record, self.lens.target_dialect)
    }

    /// The same for a target whose registry is this one by now.
    pub(super) fn take(&mut self, record: &Record, target: Dialect) -> Told {
        let entry = for_target(target, record, self.reader.read(record).entry);
        let origin = self.origin(record, &entry);
        let stamp = Stamp { offset: record.offset, timestamp_ms: record.timestamp_ms, origin };
        if let Entry::Config(..) | Entry::Association(..) = &entry
            && let Some((key, _)) = entry.state_key()
        {
            match Provenance::of(&record.headers) {
                Some(provenance) => drop(self.config_paths.insert(key, provenance.path)),
                None => drop(self.config_paths.remove(&key)),
            }
        }
        let mut changed = Vec::new();
        let applied = self.view.apply(&entry, stamp, &mut changed);
        let mends = self.note_fault(record, &applied, &changed);
        Told { applied, changed, mends, at_hand: at_hand(record.offset, &entry) }
    }

    pub(super) fn reader(&self) -> &Reader {
        &self.reader
    }

    pub(super) fn view(&self) -> &View {
        &self.view
    }

    pub(super) fn origins(&self) -> &BTreeSet<String> {
        &self.origins
    }

    pub(super) fn config_path(&self, source: &Key) -> Option<&Vec<String>> {
        self.config_paths.get(source)
    }

    /// Keeps what can't be copied; whether the record may end that for a key.
    fn note_fault(&mut self, record: &Record, applied: &Applied, changed: &[Key]) -> bool {
        let bytes = || record.key.as_deref().unwrap_or_default();
        if let Applied::Refused(key, _) = applied {
            match key {
                Some(key) => drop(self.faulty.insert(key.clone())),
                None => drop(self.unreadable.insert(Digest::of(bytes()))),
            }
            return false;
        }
        let mut mends = false;
        if !self.faulty.is_empty()
            && let KeyReading::Known(own) = read_key(bytes())
        {
            mends |= self.faulty.remove(&own);
            for key in changed.iter().filter(|_| !matches!(own, Key::DeleteSubject(_))) {
                mends |= self.faulty.remove(key);
            }
        }
        if !self.unreadable.is_empty() {
            mends |= self.unreadable.remove(&Digest::of(bytes()));
        }
        mends
    }

    /// Nothing that came through the target's cluster goes back to it. The header says where a
    /// record came from; where a registry rewrote the record and the header is lost, the claims of
    /// the links that write our source do (rulings 21).
    fn origin(&mut self, record: &Record, entry: &Entry) -> Origin {
        match Provenance::of(&record.headers) {
            Some(provenance) if provenance.path.contains(&self.lens.target_cluster) => Origin::Loop,
            Some(provenance) => {
                self.origins.extend(provenance.path);
                Origin::OtherLink
            }
            None if self.came_from_target.is_empty() => Origin::Registry,
            None => {
                let subject = if let Entry::Context(context, _) = entry {
                    Some(Subject::of_context(context))
                } else {
                    entry.subject().cloned()
                };
                let came_back = subject.is_some_and(|subject| {
                    self.came_from_target.iter().any(|claimed| claimed.contains(&subject))
                });
                if came_back { Origin::Loop } else { Origin::Registry }
            }
        }
    }
}

fn at_hand(offset: Offset, entry: &Entry) -> Option<AtHand> {
    match entry {
        Entry::Schema(_, _, Some(said)) => {
            let deleted = said.deleted;
            said.subject_at.clone().map(|subject_at| AtHand { offset, deleted, subject_at })
        }
        Entry::Schema(_, _, None)
        | Entry::Config(..)
        | Entry::Mode(..)
        | Entry::Context(..)
        | Entry::DeleteSubject(..)
        | Entry::Association(..)
        | Entry::ClearSubject(_)
        | Entry::Nothing
        | Entry::Faulty(..) => None,
    }
}
