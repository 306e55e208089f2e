//! Reads a log record by record and keeps what an inspection says of it. Its memory grows with keys,
//! not with records or texts.

use std::collections::BTreeMap;

use super::Fate;
use super::document::DialectReport;
use super::document::KindReport;
use super::document::SpellingReport;
use super::document::WriterKind;
use super::document::WriterReport;
use super::fate;
use super::fate::SchemaPeek;
use super::fate::Verdict;
use super::spelling::Spelling;
use crate::core::dialect::Dialect;
use crate::core::entry::Entry;
use crate::core::entry::Reader;
use crate::core::key::Key;
use crate::core::key::KeyReading;
use crate::core::key::NUMBER_MAX;
use crate::core::key::Version;
use crate::core::key::read_key;
use crate::core::provenance::Provenance;
use crate::core::provenance::is_karapace;
use crate::core::record::Offset;
use crate::core::record::Record;
use crate::core::subject::Subject;
use crate::core::value::Digest;
use crate::core::value::Mode;
use crate::core::value::SchemaValue;
use crate::core::view::Applied;
use crate::core::view::Origin;
use crate::core::view::Side;
use crate::core::view::Stamp;
use crate::core::view::View;

/// Findings that are kept; further ones are counted. Bounds the memory that a topic full of
/// something else takes.
const FINDINGS_MAX: usize = 10_000;
/// Different kinds, or writers, that are told apart; the rest is one.
const NAMES_MAX: usize = 100;
/// Characters of a key or a reason that are shown.
const SHOWN_CHARS_MAX: usize = 160;
/// A DELETE_SUBJECT of so many versions keeps a registry busy for 0.3 s, of ten times as many for
/// 2 s (measured: odd-records 5.5); its clients' writes fail after 0.5 s.
const VERSIONS_HANG: i64 = 1_000_000;

/// A record that a registry does not take as it was meant.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    pub(super) key: String,
    pub(super) verdict: Verdict,
}

/// The newest record of a key's bytes.
#[derive(Debug, Clone, Copy)]
struct Newest {
    offset: Offset,
    bytes: u64,
    is_deletion: bool,
}

/// Everything known of a log up to some record.
#[derive(Debug)]
pub(super) struct Inspector {
    reader: Reader,
    /// What a registry holds that reads the log from its start.
    pub(super) view: View,
    pub(super) findings: BTreeMap<Offset, Finding>,
    /// Findings that were only counted.
    pub(super) uncounted: BTreeMap<Fate, u64>,
    /// Schema types other than AVRO.
    pub(super) types: BTreeMap<(Subject, Version), String>,
    /// Keys that stand in the log with a value under other bytes than the canonical ones.
    other_bytes: BTreeMap<(Key, Vec<u8>), Offset>,
    pub(super) kinds: BTreeMap<String, KindReport>,
    pub(super) spellings: BTreeMap<Spelling, SpellingReport>,
    pub(super) writers: BTreeMap<(WriterKind, Option<String>), WriterReport>,
    newest: BTreeMap<Digest, Newest>,
    pub(super) records: u64,
    pub(super) keyed: u64,
    pub(super) bytes: u64,
    changed: Vec<Key>,
}

impl Inspector {
    pub(super) fn new() -> Self {
        Self {
            reader: Reader::new(Dialect::Auto),
            view: View::new(Side::Target),
            findings: BTreeMap::new(),
            uncounted: BTreeMap::new(),
            types: BTreeMap::new(),
            other_bytes: BTreeMap::new(),
            kinds: BTreeMap::new(),
            spellings: BTreeMap::new(),
            writers: BTreeMap::new(),
            newest: BTreeMap::new(),
            records: 0,
            keyed: 0,
            bytes: 0,
            changed: Vec::new(),
        }
    }

    /// The registry that the log is taken for.
    pub(super) fn dialect(&self) -> DialectReport {
        let concluded = self.reader.dialect();
        DialectReport { name: concluded.dialect.as_str(), why: concluded.why() }
    }

    /// Takes the next record.
    pub(super) fn take(&mut self, record: &Record) {
        self.records = self.records.saturating_add(1);
        let Some(bytes) = record.key.as_deref() else {
            self.count_writer(record, &[]);
            let verdict = Verdict::new(Fate::Dies, "its key is null");
            return self.find(record.offset, "(null)".to_owned(), verdict);
        };
        self.count_writer(record, bytes);
        self.supersede(record, bytes);
        let deletes = record.value.as_deref().is_none_or(|value| value.trim_ascii() == b"null");
        let reading = read_key(bytes);
        self.count_kind(&reading, bytes, record.value.as_deref());
        let KeyReading::Known(key) = &reading else {
            // Who dies of a key dies of its deletion, too; all else needs a value.
            let verdict = fate::of_key(bytes, &reading);
            if let Some(verdict) = verdict.filter(|found| found.fate == Fate::Dies || !deletes) {
                let shown = String::from_utf8_lossy(bytes);
                self.find(record.offset, shortened(&shown), verdict);
            }
            return;
        };
        self.count_spelling(key, bytes);
        let entry = self.reader.read(record).entry;
        let verdict = match (&entry, record.value.as_deref()) {
            // Who dies of a key dies of its deletion, too.
            _ if matches!(key, Key::Association(_)) => fate::of_key(bytes, &reading),
            (Entry::Faulty(_, reason), value) => Some(fate::of_value(key, value, reason)),
            (_, Some(value)) if deletes && *key != Key::Noop => {
                Some(of_json_null(&entry, value)).flatten()
            }
            (entry, value) => self.of_entry(key, entry, value),
        };
        let stamp = Stamp {
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            origin: Origin::Registry,
        };
        self.changed.clear();
        let applied = self.view.apply(&entry, stamp, &mut self.changed);
        self.follow(key, bytes, &entry, record);
        let refused = match applied {
            Applied::Refused(_, reason) => Some(Verdict::new(Fate::LosesId, reason)),
            Applied::Changed | Applied::Nothing => None,
        };
        if let Some(verdict) = verdict.or(refused) {
            self.find(record.offset, spoken(key), verdict);
        }
    }

    /// What a registry does with an entry that is sound by itself, in the state it has.
    fn of_entry(&self, key: &Key, entry: &Entry, value: Option<&[u8]>) -> Option<Verdict> {
        match entry {
            Entry::Schema(subject, version, Some(said)) => {
                self.of_put(subject, *version, said, value.unwrap_or_default())
            }
            Entry::Schema(subject, version, None) => self.of_deletion(subject, *version),
            Entry::Mode(_, Some(Mode::Forward)) => Some(Verdict {
                releases: Some("before 7.9.6, 8.0.7 and 8.1.0"),
                ..Verdict::new(Fate::Ignores, "its mode FORWARD is unknown to older releases")
            }),
            Entry::DeleteSubject(_, last) if *last >= VERSIONS_HANG => {
                let reason = if *last >= NUMBER_MAX {
                    format!("it deletes versions up to {last}: the reader never comes back")
                } else {
                    format!(
                        "it deletes versions up to {last}: the reader is busy with each of them"
                    )
                };
                Some(Verdict::new(Fate::Hangs, reason))
            }
            Entry::DeleteSubject(subject, _) if key.subject() != Some(subject) => {
                let reason = format!("its value names {subject}, and that subject is deleted");
                Some(Verdict::new(Fate::Misreads, reason))
            }
            Entry::ClearSubject(None) => Some(Verdict::new(
                Fate::Notable,
                "a registry forgets the soft-deleted versions of all contexts over it",
            )),
            Entry::ClearSubject(Some(_))
            | Entry::Config(..)
            | Entry::Mode(..)
            | Entry::Context(..)
            | Entry::DeleteSubject(..)
            | Entry::Association(..)
            | Entry::Nothing
            | Entry::Faulty(..) => None,
        }
    }

    fn of_put(
        &self,
        subject: &Subject,
        version: Version,
        said: &SchemaValue,
        value: &[u8],
    ) -> Option<Verdict> {
        let peek = SchemaPeek::new(value)?;
        if peek.breaks_listings() {
            let reason = "its value has no subject: GET /subjects and /schemas answer 500 for the \
                          whole registry";
            return Some(Verdict::new(Fate::Misreads, reason));
        }
        if let Some(held) = self.view.schema(subject, version) {
            if held.id != said.id && held.content.text != said.content.text {
                let reason = format!(
                    "it had id {} before and was not deleted between: that id answers with the new text",
                    held.id
                );
                return Some(Verdict::new(Fate::Misreads, reason));
            }
            if held.deleted && !said.deleted {
                let reason = "it brings a deleted version back, as an old copy does";
                return Some(Verdict::new(Fate::Notable, reason));
            }
        }
        if let Some(remark) = said.content.remark() {
            return Some(Verdict::new(Fate::Notable, remark.to_string()));
        }
        peek.has_new_rules.then(|| Verdict {
            releases: Some("before 8.0.1"),
            ..Verdict::new(Fate::Notable, "its rule set has fields that older releases drop")
        })
    }

    /// A registry's index of ids knows one version per subject, the one it met last.
    fn of_deletion(&self, subject: &Subject, version: Version) -> Option<Verdict> {
        let gone = self.view.schema(subject, version)?;
        let versions = self.view.subject(subject)?.versions().iter();
        let hidden = versions
            .filter(|held| held.version != version && held.id == gone.id)
            .find(|held| held.offset < gone.offset)?;
        let reason = format!(
            "with it id {} is not found any more, though version {} has it",
            gone.id, hidden.version
        );
        Some(Verdict::new(Fate::Misreads, reason))
    }

    /// Keeps what the view does not.
    fn follow(&mut self, key: &Key, bytes: &[u8], entry: &Entry, record: &Record) {
        if let Entry::Schema(subject, version, said) = entry {
            let place = (subject.clone(), *version);
            let value = record.value.as_deref().filter(|_| said.is_some());
            let kind = value.and_then(SchemaPeek::new).and_then(|peek| peek.schema_type);
            match kind.filter(|kind| !kind.is_empty() && kind != "AVRO") {
                Some(kind) => self.types.insert(place, shortened(&kind)),
                None => self.types.remove(&place),
            };
        }
        let sound = !matches!(entry, Entry::Faulty(..));
        let Some((_, exists)) = entry.state_key().filter(|_| sound) else { return };
        if key.canonical() != bytes {
            let place = (key.clone(), bytes.to_vec());
            if exists {
                self.other_bytes.insert(place, record.offset);
            } else {
                self.other_bytes.remove(&place);
            }
        }
    }

    /// Keys that were deleted under other bytes than they still stand under: when compaction has
    /// taken the deletion, they are back (measured: odd-records 1.13).
    pub(super) fn find_returning(&mut self) {
        let mut found = Vec::new();
        for ((key, _), offset) in &self.other_bytes {
            if !self.holds(key) {
                found.push((*offset, spoken(key)));
            }
        }
        for (offset, key) in found {
            let reason = "it was deleted under another spelling of its key; when compaction has \
                          taken the deletion, it is back";
            self.find(offset, key, Verdict::new(Fate::Misreads, reason));
        }
    }

    fn holds(&self, key: &Key) -> bool {
        match key {
            Key::Schema(subject, version) => self.view.schema(subject, *version).is_some(),
            Key::Config(subject) => self.view.subject(subject).is_some_and(|s| s.config.is_some()),
            Key::Mode(subject) => self.view.subject(subject).is_some_and(|s| s.mode.is_some()),
            Key::Context(context) => {
                self.view.context(context).is_some_and(|view| view.declared.is_some())
            }
            Key::Association(association) => self.view.associations().contains_key(&**association),
            Key::DeleteSubject(_) | Key::ClearSubject(_) | Key::Noop => true,
        }
    }

    /// Remembers a finding; the first of a record stands.
    pub(super) fn find(&mut self, offset: Offset, key: String, verdict: Verdict) {
        if self.findings.len() >= FINDINGS_MAX && !self.findings.contains_key(&offset) {
            let uncounted = self.uncounted.entry(verdict.fate).or_default();
            *uncounted = uncounted.saturating_add(1);
            return;
        }
        let verdict = Verdict { reason: shortened(&verdict.reason), ..verdict };
        self.findings.entry(offset).or_insert(Finding { key, verdict });
    }

    /// A record replaces the one before it of the same bytes, and what was found of that one.
    fn supersede(&mut self, record: &Record, bytes: &[u8]) {
        let length = |part: &[u8]| u64::try_from(part.len()).unwrap_or(u64::MAX);
        let size = length(bytes).saturating_add(record.value.as_deref().map_or(0, length));
        self.keyed = self.keyed.saturating_add(1);
        self.bytes = self.bytes.saturating_add(size);
        let newest =
            Newest { offset: record.offset, bytes: size, is_deletion: record.value.is_none() };
        let Some(older) = self.newest.insert(Digest::of(bytes), newest) else { return };
        let found = self.findings.get(&older.offset);
        if found.is_some_and(|finding| !finding.verdict.fate.outlives_its_key()) {
            self.findings.remove(&older.offset);
        }
    }

    /// Keys, those of them whose newest record is a deletion, and bytes of the newest records.
    pub(super) fn kept(&self) -> (u64, u64, u64) {
        let mut kept = (0u64, 0u64, 0u64);
        for newest in self.newest.values() {
            kept.0 = kept.0.saturating_add(1);
            kept.1 = kept.1.saturating_add(u64::from(newest.is_deletion));
            kept.2 = kept.2.saturating_add(newest.bytes);
        }
        kept
    }

    fn count_kind(&mut self, reading: &KeyReading, bytes: &[u8], value: Option<&[u8]>) {
        let kind = match reading {
            KeyReading::Known(key) => key.kind().to_owned(),
            KeyReading::Unknown(kind) => shortened(kind),
            KeyReading::Unreadable(_) | KeyReading::Misread(..) => keytype(bytes),
        };
        let many = self.kinds.len() >= NAMES_MAX && !self.kinds.contains_key(&kind);
        let kind = if many { "(others)".to_owned() } else { kind };
        let deletes = value.is_none_or(<[u8]>::is_empty) && kind != "NOOP";
        let report = KindReport { kind: kind.clone(), records: 0, deletions: 0 };
        let count = self.kinds.entry(kind).or_insert(report);
        count.records = count.records.saturating_add(1);
        count.deletions = count.deletions.saturating_add(u64::from(deletes));
    }

    fn count_spelling(&mut self, key: &Key, bytes: &[u8]) {
        let spelling = Spelling::of(bytes, key);
        let count = self.spellings.entry(spelling).or_insert_with(|| SpellingReport {
            spelling,
            words: spelling.to_string(),
            records: 0,
            example: shortened(&String::from_utf8_lossy(bytes)),
        });
        count.records = count.records.saturating_add(1);
    }

    fn count_writer(&mut self, record: &Record, key: &[u8]) {
        let mut writer = writer_of(record, key);
        if self.writers.len() >= NAMES_MAX && !self.writers.contains_key(&writer) {
            writer.1 = Some("(others)".to_owned());
        }
        let (kind, name) = writer.clone();
        let count = self.writers.entry(writer).or_insert(WriterReport {
            writer: kind,
            name,
            records: 0,
            last_offset: 0,
        });
        count.records = count.records.saturating_add(1);
        count.last_offset = record.offset;
    }
}

/// The literal `null` acts as a deletion, but compaction keeps it for ever.
fn of_json_null(entry: &Entry, value: &[u8]) -> Option<Verdict> {
    let deletes = entry.state_key().is_some_and(|(_, exists)| !exists) && !value.is_empty();
    let reason = "its value is JSON null: it deletes, but compaction never takes it";
    deletes.then(|| Verdict::new(Fate::Notable, reason))
}

fn writer_of(record: &Record, key: &[u8]) -> (WriterKind, Option<String>) {
    if let Some(provenance) = Provenance::of(&record.headers) {
        return (WriterKind::SchemaMirror, Some(shortened(&provenance.link)));
    }
    if is_karapace(&record.headers) {
        let header = record.headers.iter().find(|header| header.name == "X-Registry-Version");
        let release = header.and_then(|header| header.value.as_deref());
        return (WriterKind::Karapace, release.map(|r| shortened(&String::from_utf8_lossy(r))));
    }
    let has = |word: &[u8]| key.windows(word.len()).any(|part| part == word);
    if has(br#""seq":"#) && has(br#""node":"#) {
        return (WriterKind::Redpanda, None);
    }
    (WriterKind::Unmarked, None)
}

/// The `keytype` of a key that can't be read otherwise.
fn keytype(bytes: &[u8]) -> String {
    let value = serde_json::from_slice::<serde_json::Value>(bytes).ok();
    let kind = value.as_ref().and_then(|value| value.get("keytype")?.as_str());
    kind.map_or_else(|| "(none)".to_owned(), shortened)
}

/// A key in words, its kind first.
pub(super) fn spoken(key: &Key) -> String {
    let words = key.to_string();
    shortened(&if matches!(key, Key::Schema(..)) { format!("SCHEMA {words}") } else { words })
}

/// What of a text is shown.
fn shortened(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}
