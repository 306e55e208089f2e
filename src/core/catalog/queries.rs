//! What a registry can be asked, and where it looks for an answer.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Catalog;
use super::Content;
use super::ids::Ids;
use super::order::compare;
use super::settings_document;
use crate::core::key::Version;
use crate::core::subject::ContextName;
use crate::core::subject::Subject;
use crate::core::value::ConfigValue;
use crate::core::value::Mode;
use crate::core::view::ContextView;
use crate::core::view::SubjectView;
use crate::core::view::VersionView;

/// Which versions count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// Those that are not deleted.
    Live,
    /// All, the soft-deleted ones among them.
    All,
    /// The soft-deleted ones.
    Deleted,
}

impl Liveness {
    pub(super) fn takes(self, held: &VersionView) -> bool {
        self.is(if held.deleted { Self::Deleted } else { Self::Live })
    }

    /// A subject counts as deleted when all its versions are.
    fn takes_subject(self, held: &SubjectView) -> bool {
        !held.versions().is_empty()
            && self.is(if held.is_live() { Self::Live } else { Self::Deleted })
    }

    fn is(self, state: Self) -> bool {
        self == Self::All || self == state
    }
}

/// Which versions of a subject are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All that count.
    Each,
    /// The highest of them.
    Latest,
}

/// Whose settings and mode are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holding {
    /// Those of exactly this subject or context. The default context and `:.__GLOBAL:` always have some.
    Own,
    /// Those that hold for it.
    InScope,
}

/// Which version of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The highest one that is not deleted.
    Latest,
    /// This one.
    Number(i32),
}

/// A version that was found.
#[derive(Debug, Clone)]
pub struct Found<'a> {
    /// Its subject, which may be another one than was asked for.
    pub subject: Subject,
    /// Its version.
    pub version: Version,
    /// Its schema id.
    pub id: i32,
    /// What it is.
    pub content: &'a Content,
}

impl Catalog {
    /// The names of all contexts: the default one, then those with a CONTEXT record.
    #[must_use]
    pub fn contexts(&self) -> Vec<&str> {
        let mut names = vec!["."];
        names.extend(self.declared().map(ContextName::as_str));
        names
    }

    /// Where a registry looks, one after the other, for what the default context does not have.
    pub(super) fn declared(&self) -> impl Iterator<Item = &ContextName> {
        let declared = |(name, view): (_, &ContextView)| view.declared.is_some().then_some(name);
        self.view.contexts().filter_map(declared).filter(|name: &&ContextName| !name.is_default())
    }

    /// Whether a subject has a version, or a context any subject that has one.
    #[must_use]
    pub fn has(&self, subject: &Subject, which: Liveness) -> bool {
        let has = |held: &SubjectView| has_version(held, which);
        if !subject.is_context() {
            return self.view.subject(subject).is_some_and(has);
        }
        let view = self.view.context(&subject.context);
        view.is_some_and(|view| view.subjects().any(|(_, held)| has(held)))
    }

    /// The subjects whose spelling begins so, as they are spelled and in the order of that.
    #[must_use]
    pub fn subjects(&self, prefix: &str, which: Liveness) -> Vec<String> {
        let mut names = Vec::new();
        self.each_subject(prefix, |subject, held| {
            if which.takes_subject(held) {
                names.push(subject.spelled());
            }
        });
        names.sort_by(|one, other| compare(one, other));
        names
    }

    /// The versions of the subjects whose spelling begins so.
    #[must_use]
    pub fn schemas(&self, prefix: &str, which: Liveness, extent: Extent) -> Vec<Found<'_>> {
        let mut listed: Vec<(String, Found<'_>)> = Vec::new();
        self.each_subject(prefix, |subject, held| {
            let versions = held.versions().iter().filter(|version| which.takes(version));
            let skipped = match extent {
                Extent::Each => 0,
                Extent::Latest => versions.clone().count().saturating_sub(1),
            };
            let found = versions.skip(skipped).filter_map(|version| self.found(subject, version));
            listed.extend(found.map(|found| (subject.spelled(), found)));
        });
        // Stable: versions stay in their order.
        listed.sort_by(|(one, _), (other, _)| compare(one, other));
        listed.into_iter().map(|(_, found)| found).collect()
    }

    /// The versions of exactly this subject.
    #[must_use]
    pub fn versions_of(&self, subject: &Subject, which: Liveness) -> Vec<Version> {
        let held = self.view.subject(subject).map(SubjectView::versions).unwrap_or_default();
        let taken = held.iter().filter(|version| which.takes(version));
        taken.map(|version| version.version).collect()
    }

    /// A version of a subject; where the default context has none, that of the first context with one.
    #[must_use]
    pub fn version(&self, subject: &Subject, wanted: Wanted, which: Liveness) -> Option<Found<'_>> {
        let own = self.version_here(subject, wanted, which);
        if own.is_some() || !subject.context.is_default() {
            return own;
        }
        self.declared().find_map(|context| {
            self.version_here(&Subject::new(context, &subject.name), wanted, which)
        })
    }

    /// A version of exactly this subject.
    #[must_use]
    pub fn version_here(
        &self,
        subject: &Subject,
        wanted: Wanted,
        which: Liveness,
    ) -> Option<Found<'_>> {
        let held = self.view.subject(subject)?;
        let version = match wanted {
            Wanted::Latest => held.versions().iter().rev().find(|version| !version.deleted),
            Wanted::Number(number) => Version::new(number.into())
                .and_then(|number| held.version(number))
                .filter(|version| which.takes(version)),
        };
        self.found(subject, version?)
    }

    /// What an id stands for: in the subject's context for that subject, or for any of them where only
    /// a context is named; without one, in the default context. A bare name is looked for in all
    /// contexts, and then its id in the default one.
    #[must_use]
    pub fn by_id(&self, id: i32, subject: Option<&Subject>) -> Option<Found<'_>> {
        let default = Subject::of_context(&ContextName::default_context());
        let subject = subject.unwrap_or(&default);
        let own = self.by_id_here(id, subject);
        if own.is_some() || subject.is_context() || !subject.context.is_default() {
            return own;
        }
        self.declared()
            .find_map(|context| self.by_id_here(id, &Subject::new(context, &subject.name)))
            .or_else(|| self.by_id_here(id, &default))
    }

    fn by_id_here(&self, id: i32, subject: &Subject) -> Option<Found<'_>> {
        let ids = self.ids.get(&subject.context)?;
        if subject.is_context() {
            let (name, version) = self.holders_in(id, &subject.context).into_iter().next()?;
            let subject = Subject { context: subject.context.clone(), name };
            return self.found(&subject, self.view.schema(&subject, version)?);
        }
        let version = ids.of(id, &subject.name)?;
        self.found(subject, self.view.schema(subject, version)?)
    }

    /// The versions that share the id which was found like that.
    #[must_use]
    pub fn sharing(&self, found: &Found<'_>, which: Liveness) -> Vec<(Subject, Version)> {
        let context = &found.subject.context;
        let holders = self.holders_in(found.id, context).into_iter();
        holders
            .map(|(name, version)| (Subject { context: context.clone(), name }, version))
            .filter(|(subject, version)| {
                let held = self.view.schema(subject, *version);
                held.is_some_and(|held| which.takes(held))
            })
            .collect()
    }

    fn holders_in(&self, id: i32, context: &ContextName) -> Vec<(Arc<str>, Version)> {
        let spell = |name: &str| Subject::new(context, name).spelled();
        self.ids.get(context).map(|ids| ids.all(id, spell)).unwrap_or_default()
    }

    /// The highest id that ever stood in the context.
    #[must_use]
    pub fn max_id(&self, context: &ContextName) -> i32 {
        self.ids.get(context).map(Ids::max).unwrap_or_default()
    }

    /// The ids of the versions that are not deleted and reference this one.
    #[must_use]
    pub fn referenced_by(&self, subject: &Subject, version: Version) -> Vec<i32> {
        let mut ids = BTreeSet::new();
        for (context, view) in self.view.contexts() {
            let versions = view.subjects().flat_map(|(_, held)| held.versions());
            for referrer in versions.filter(|referrer| !referrer.deleted) {
                let refers = referrer.content.references().iter().any(|reference| {
                    reference.version == i64::from(version.get())
                        && seen_from(context, &reference.subject) == *subject
                });
                if refers {
                    ids.insert(referrer.id);
                }
            }
        }
        ids.into_iter().collect()
    }

    /// The settings of a subject or context, as a document.
    #[must_use]
    pub fn settings(&self, subject: &Subject, holding: Holding) -> Option<String> {
        let in_scope = holding == Holding::InScope;
        let own = self.config_of(subject);
        let value = if in_scope { own.or_else(|| self.inherited(subject)) } else { own };
        let always = in_scope || subject.context.is_global() || is_top(subject);
        (value.is_some() || always)
            .then(|| settings_document(value.map(|value| &*value.bytes), self.default_level))
    }

    fn config_of(&self, subject: &Subject) -> Option<&ConfigValue> {
        Some(&self.view.subject(subject)?.config.as_ref()?.value)
    }

    fn inherited(&self, subject: &Subject) -> Option<&ConfigValue> {
        above(subject).iter().find_map(|above| self.config_of(above))
    }

    /// Whether schemas are compared in their normal form here.
    pub(super) fn normalizes(&self, subject: &Subject) -> bool {
        let value = self.config_of(subject).or_else(|| self.inherited(subject));
        let read = value.and_then(|value| serde_json::from_slice(&value.bytes).ok());
        let read: Option<serde_json::Value> = read;
        read.is_some_and(|read| {
            read.get("normalize").and_then(serde_json::Value::as_bool) == Some(true)
        })
    }

    /// The mode of a subject or context. A READONLY_OVERRIDE without subject holds for all (7.x).
    #[must_use]
    pub fn mode(&self, subject: &Subject, holding: Holding) -> Option<Mode> {
        let top = Subject::of_context(&ContextName::default_context());
        if let Some(Mode::ReadonlyOverride) = self.mode_of(&top) {
            return Some(Mode::ReadonlyOverride);
        }
        let own = self.mode_of(subject);
        if holding == Holding::InScope {
            let inherited = || above(subject).iter().find_map(|above| self.mode_of(above));
            return own.or_else(inherited).or(Some(Mode::Readwrite));
        }
        let always = subject.context.is_global() || is_top(subject);
        own.or_else(|| always.then_some(Mode::Readwrite))
    }

    fn mode_of(&self, subject: &Subject) -> Option<Mode> {
        Some(self.view.subject(subject)?.mode?.mode)
    }

    /// The subject that requests for this one mean.
    #[must_use]
    pub fn alias_of(&self, subject: &Subject) -> Option<Subject> {
        let alias = self.config_of(subject)?.alias.as_deref()?;
        Some(seen_from(&subject.context, alias))
    }

    pub(super) fn found(&self, subject: &Subject, held: &VersionView) -> Option<Found<'_>> {
        Some(Found {
            subject: subject.clone(),
            version: held.version,
            id: held.id,
            content: self.contents.get(&held.offset)?,
        })
    }

    /// Calls for every subject whose spelling begins so, the contexts' own settings among them.
    fn each_subject(&self, prefix: &str, mut call: impl FnMut(&Subject, &SubjectView)) {
        let ranges = self.ranges(prefix);
        for (context, view) in self.view.contexts() {
            let top = Subject::of_context(context);
            let ranges: Vec<_> =
                ranges.iter().filter(|range| range.may_hold(&top.context)).collect();
            if ranges.is_empty() {
                continue;
            }
            for (name, held) in view.subjects() {
                let subject = Subject { context: context.clone(), name: Arc::clone(name) };
                if ranges.iter().any(|range| range.holds(&subject)) {
                    call(&subject, held);
                }
            }
        }
    }

    /// The ranges in which a registry looks for a prefix: all contexts for `:*:`, the default one and
    /// those with a record for `:*:name`, otherwise what lies between the prefix as a subject and the
    /// last one that begins so.
    fn ranges(&self, prefix: &str) -> Vec<Range> {
        let Some(name) = prefix.strip_prefix(":*:") else { return vec![Range::of(prefix)] };
        if name.is_empty() {
            return vec![Range::of(":.")];
        }
        let mut ranges = vec![Range::of(name)];
        ranges.extend(
            self.declared().map(|context| Range::of(&Subject::new(context, name).spelled())),
        );
        ranges
    }
}

/// Subjects from the first up to the last, which is not among them.
#[derive(Debug)]
struct Range {
    first: Subject,
    last: Subject,
}

impl Range {
    fn of(prefix: &str) -> Self {
        Self { first: Subject::parse(prefix), last: Subject::parse(&format!("{prefix}\u{10ffff}")) }
    }

    fn may_hold(&self, context: &ContextName) -> bool {
        (&self.first.context..=&self.last.context).contains(&context)
    }

    fn holds(&self, subject: &Subject) -> bool {
        (&self.first..&self.last).contains(&subject)
    }
}

fn has_version(held: &SubjectView, which: Liveness) -> bool {
    held.versions().iter().any(|version| which.takes(version))
}

/// Whether it is the default context itself.
fn is_top(subject: &Subject) -> bool {
    subject.context.is_default() && subject.is_context()
}

/// Where settings and modes come from that a subject does not have, nearest first: its context, then
/// `:.__GLOBAL:` (since 7.9.3, 8.0.1).
fn above(subject: &Subject) -> [Subject; 2] {
    let global = ContextName::from_record(".__GLOBAL");
    [Subject::of_context(&subject.context), Subject::of_context(&global)]
}

/// A name as a subject of this context means it: one without a context of its own belongs here.
fn seen_from(context: &ContextName, name: &str) -> Subject {
    let subject = Subject::parse(name);
    if subject.context.is_default() { Subject::new(context, name) } else { subject }
}
