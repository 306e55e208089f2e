//! What a registry would hold and answer, folded from its topic: names, versions and ids as the view
//! has them, and with each version what it is, ready to be given out.
//!
//! A text stands here once, however many versions have it.

mod avro;
mod content;
mod ids;
mod lookup;
mod order;
mod queries;
mod sides;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use self::content::Content;
pub use self::content::settings_document;
use self::ids::Ids;
pub use self::lookup::Form;
pub use self::lookup::Given;
pub use self::lookup::NoSchema;
pub use self::queries::Extent;
pub use self::queries::Found;
pub use self::queries::Holding;
pub use self::queries::Liveness;
pub use self::queries::Wanted;
pub use self::sides::Beside;
pub use self::sides::ContextBeside;
pub use self::sides::Listed;
pub use self::sides::Sameness;
pub use self::sides::beside;
use crate::core::dialect::Dialect;
use crate::core::entry::Entry;
use crate::core::entry::Reader;
use crate::core::key::Key;
use crate::core::key::Version;
use crate::core::record::Offset;
use crate::core::record::Record;
use crate::core::rules::Compatibility;
use crate::core::subject::ContextName;
use crate::core::subject::Subject;
use crate::core::value::Digest;
use crate::core::view::Applied;
use crate::core::view::Origin;
use crate::core::view::Side;
use crate::core::view::Stamp;
use crate::core::view::View;

/// A registry's state with all that it can be asked for.
#[derive(Debug)]
pub struct Catalog {
    view: View,
    reader: Reader,
    /// What versions are, by the offsets of their records.
    contents: BTreeMap<Offset, Content>,
    /// Their texts, each once.
    texts: BTreeMap<Digest, Arc<str>>,
    ids: BTreeMap<ContextName, Ids>,
    /// The level of whoever has none.
    default_level: Compatibility,
}

/// What stood at a key before a record.
#[derive(Debug, Clone, Copy)]
struct Before {
    offset: Offset,
    id: i32,
    text: Digest,
}

impl Catalog {
    /// The state before the first record of a log of this dialect, in a registry with this default
    /// level.
    #[must_use]
    pub fn new(dialect: Dialect, default_level: Compatibility) -> Self {
        Self {
            // A target's view forgets what a CLEAR_SUBJECT clears, as registries do.
            view: View::new(Side::Target),
            reader: Reader::new(dialect),
            contents: BTreeMap::new(),
            texts: BTreeMap::new(),
            ids: BTreeMap::new(),
            default_level,
        }
    }

    /// Takes the next record of the log. What a registry would skip changes nothing, and neither does
    /// what it would be broken by.
    pub fn take(&mut self, record: &Record) {
        let entry = self.reader.read(record).entry;
        let before = self.before(&entry);
        let stamp = Stamp {
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            origin: Origin::Registry,
        };
        let mut changed = Vec::new();
        if self.view.apply(&entry, stamp, &mut changed) != Applied::Changed {
            return;
        }
        if let Entry::ClearSubject(_) = entry {
            return self.start_over();
        }
        if let Entry::Schema(subject, version, Some(said)) = &entry {
            self.keep(record, said.content.text);
            let moved = before.filter(|before| before.id != said.id);
            if let Some(before) = moved {
                self.forget_id(subject, *version, before.id);
            }
        }
        if let Entry::Schema(subject, version, None) = &entry
            && let Some(before) = before
        {
            self.forget_id(subject, *version, before.id);
        }
        if let Some(before) = before.filter(|before| before.offset != record.offset) {
            self.forget_content(before);
        }
        for key in &changed {
            if let Key::Schema(subject, version) = key {
                self.note_id(subject, *version);
            }
        }
    }

    /// How many versions it holds, the soft-deleted ones among them.
    #[must_use]
    pub fn versions(&self) -> usize {
        self.contents.len()
    }

    fn before(&self, entry: &Entry) -> Option<Before> {
        let Entry::Schema(subject, version, _) = entry else { return None };
        let held = self.view.schema(subject, *version)?;
        Some(Before { offset: held.offset, id: held.id, text: held.content.text })
    }

    fn keep(&mut self, record: &Record, text: Digest) {
        let value = record.value.as_deref().unwrap_or_default();
        let texts = &mut self.texts;
        let content = Content::read(value, |read| {
            Arc::clone(texts.entry(text).or_insert_with(|| Arc::from(read)))
        });
        self.contents.insert(record.offset, content);
    }

    fn forget_content(&mut self, before: Before) {
        if self.contents.remove(&before.offset).is_some()
            && self.texts.get(&before.text).is_some_and(|text| Arc::strong_count(text) == 1)
        {
            self.texts.remove(&before.text);
        }
    }

    fn note_id(&mut self, subject: &Subject, version: Version) {
        if let Some(held) = self.view.schema(subject, version) {
            let ids = self.ids.entry(subject.context.clone()).or_default();
            ids.put(held.id, &subject.name, version);
        }
    }

    /// The id no longer means this version. A registry forgets it with the version that it read last
    /// (odd-records 3.10) and finds it again when it starts anew; here it means another version that
    /// has it at once.
    fn forget_id(&mut self, subject: &Subject, version: Version, id: i32) {
        let left = self.view.subject(subject).and_then(|held| {
            held.versions().iter().rev().find(|other| other.id == id).map(|other| other.version)
        });
        if let Some(ids) = self.ids.get_mut(&subject.context) {
            ids.replace(id, &subject.name, version, left);
        }
    }

    /// Soft-deleted versions are gone, of nobody knows how many subjects.
    fn start_over(&mut self) {
        let mut kept = BTreeMap::new();
        let mut texts = BTreeMap::new();
        let mut ids: BTreeMap<ContextName, Ids> = BTreeMap::new();
        for (context, view) in self.view.contexts() {
            let max = self.ids.get(context).map(Ids::max);
            let held = ids.entry(context.clone()).or_insert_with(|| Ids::from(max));
            for (name, subject) in view.subjects() {
                for version in subject.versions() {
                    held.put(version.id, name, version.version);
                    if let Some(content) = self.contents.remove(&version.offset) {
                        texts.insert(version.content.text, content.shared_text());
                        kept.insert(version.offset, content);
                    }
                }
            }
        }
        (self.contents, self.texts, self.ids) = (kept, texts, ids);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::record::after;
    use crate::core::value::Mode;

    /// A log, and what its registry holds.
    struct Log {
        catalog: Catalog,
        next: Offset,
    }

    impl Log {
        fn new() -> Self {
            Self { catalog: Catalog::new(Dialect::Auto, Compatibility::Backward), next: 0 }
        }

        fn write(&mut self, key: &str, value: Option<&str>) {
            self.catalog.take(&Record {
                offset: self.next,
                key: Some(key.to_owned().into()),
                value: value.map(|value| value.to_owned().into()),
                ..Record::default()
            });
            self.next = after(self.next);
        }

        /// Writes a version, as `orders 1 7 int` or `orders 1 7 int deleted`.
        fn put(&mut self, version: &str) {
            let words: Vec<&str> = version.split(' ').collect();
            let (key, deleted) = (schema_key(words[0], words[1]), words.len() == 5);
            let value = format!(
                r#"{{"subject":"{}","version":{},"id":{},"schema":"\"{}\"","deleted":{deleted}}}"#,
                words[0], words[1], words[2], words[3]
            );
            self.write(&key, Some(&value));
        }

        fn remove(&mut self, subject: &str, version: &str) {
            self.write(&schema_key(subject, version), None);
        }

        fn setting(&mut self, kind: &str, subject: &str, value: &str) {
            let subject = if subject.is_empty() {
                String::new()
            } else {
                format!(r#""subject":"{subject}","#)
            };
            self.write(&format!(r#"{{"keytype":"{kind}",{subject}"magic":0}}"#), Some(value));
        }

        /// What an id stands for: `orders 1`.
        fn by_id(&self, id: i32, subject: &str) -> Option<String> {
            let found = self.catalog.by_id(id, Some(&Subject::parse(subject)))?;
            Some(format!("{} {}", found.subject, found.version))
        }
    }

    fn schema_key(subject: &str, version: &str) -> String {
        format!(r#"{{"keytype":"SCHEMA","subject":"{subject}","version":{version},"magic":1}}"#)
    }

    #[test]
    fn a_text_is_held_once_and_goes_with_the_last_version_that_has_it() {
        let mut log = Log::new();
        log.put("a 1 1 int");
        log.put("b 1 1 int");
        log.put("b 1 1 int deleted");
        assert_eq!((log.catalog.versions(), log.catalog.texts.len()), (2, 1));
        log.remove("a", "1");
        assert_eq!((log.catalog.versions(), log.catalog.texts.len()), (1, 1));
        log.remove("b", "1");
        assert_eq!((log.catalog.versions(), log.catalog.texts.len()), (0, 0));
    }

    #[test]
    fn an_id_outlives_a_soft_delete_and_not_a_hard_one() {
        let mut log = Log::new();
        log.put("a 1 7 int");
        log.setting("DELETE_SUBJECT", "a", r#"{"subject":"a","version":1}"#);
        assert_eq!(log.by_id(7, "a"), Some("a 1".to_owned()));
        assert_eq!(log.catalog.subjects("", Liveness::Live), [""; 0]);
        assert_eq!(log.catalog.subjects("", Liveness::Deleted), ["a"]);
        log.remove("a", "1");
        assert_eq!(log.by_id(7, "a"), None);
        assert_eq!(log.catalog.max_id(&ContextName::default_context()), 7, "it is not given again");
    }

    #[test]
    fn an_id_of_two_versions_means_the_one_that_is_left() {
        let mut log = Log::new();
        log.put("a 2 7 int");
        log.put("a 1 7 int");
        assert_eq!(log.by_id(7, "a"), Some("a 1".to_owned()), "the one that was read last");
        log.remove("a", "1");
        assert_eq!(log.by_id(7, "a"), Some("a 2".to_owned()));
    }

    #[test]
    fn a_version_that_gets_another_id_loses_the_old_one() {
        let mut log = Log::new();
        log.put("a 1 500 int");
        log.put("a 1 501 int");
        assert_eq!((log.by_id(500, "a"), log.by_id(501, "a")), (None, Some("a 1".to_owned())));
    }

    #[test]
    fn what_came_too_late_for_its_id_is_not_served() {
        let mut log = Log::new();
        log.put("a 1 1 int");
        log.put("b 1 1 long");
        assert_eq!(log.by_id(1, "b"), Some("a 1".to_owned()), "the default context's id");
        assert_eq!(log.catalog.subjects("", Liveness::All), ["a"]);
    }

    #[test]
    fn what_is_cleared_is_forgotten_and_the_rest_stays() {
        let mut log = Log::new();
        log.put(":.s:a 1 1 int deleted");
        log.put(":.s:b 1 2 long");
        log.put("c 1 1 int deleted");
        log.setting("CLEAR_SUBJECT", ":.s:", r#"{"subject":":.s:"}"#);
        assert_eq!(log.catalog.subjects(":*:", Liveness::All), [":.s:b", "c"]);
        assert_eq!(
            (log.by_id(1, ":.s:"), log.by_id(2, ":.s:")),
            (None, Some(":.s:b 1".to_owned()))
        );
        assert_eq!((log.catalog.versions(), log.catalog.texts.len()), (2, 2));
    }

    #[test]
    fn a_bare_name_is_looked_for_in_contexts_that_have_a_record() {
        let mut log = Log::new();
        log.put(":.s:a 1 9 int");
        assert_eq!(log.by_id(9, "a"), None);
        let key = r#"{"keytype":"CONTEXT","tenant":"default","context":".s","magic":0}"#;
        log.write(key, Some(r#"{"tenant":"default","context":".s"}"#));
        assert_eq!(log.by_id(9, "a"), Some(":.s:a 1".to_owned()));
        assert_eq!(log.catalog.contexts(), [".", ".s"]);
        log.put("b 1 9 long");
        assert_eq!(log.by_id(9, "a"), Some(":.s:a 1".to_owned()), "its own before any of the id");
        assert_eq!(log.by_id(9, "c"), Some("b 1".to_owned()));
    }

    #[test]
    fn a_mode_comes_from_the_context_then_from_all() {
        let mut log = Log::new();
        let mode = |log: &Log, holding| log.catalog.mode(&Subject::parse(":.s:a"), holding);
        assert_eq!(mode(&log, Holding::InScope), Some(Mode::Readwrite));
        log.setting("MODE", "", r#"{"mode":"READONLY"}"#);
        assert_eq!(
            mode(&log, Holding::InScope),
            Some(Mode::Readwrite),
            "the default context's own"
        );
        log.setting("MODE", ":.__GLOBAL:", r#"{"subject":":.__GLOBAL:","mode":"READONLY"}"#);
        assert_eq!(mode(&log, Holding::InScope), Some(Mode::Readonly));
        log.setting("MODE", ":.s:", r#"{"subject":":.s:","mode":"IMPORT"}"#);
        assert_eq!(mode(&log, Holding::InScope), Some(Mode::Import));
        assert_eq!(mode(&log, Holding::Own), None);
        log.setting("MODE", "", r#"{"mode":"READONLY_OVERRIDE"}"#);
        assert_eq!(mode(&log, Holding::Own), Some(Mode::ReadonlyOverride));
    }
}
