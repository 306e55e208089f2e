//! What the target's dialect makes of a link: which records it gets, and in which form.

use std::borrow::Cow;

use super::Halt;
use super::Link;
use super::wanted::Wanted;
use crate::core::dialect::Concluded;
use crate::core::dialect::Dialect;
use crate::core::entry::Entry;
use crate::core::key::Key;
use crate::core::key::Version;
use crate::core::link::ledger::WaitFor;
use crate::core::link::plan::Planned;
use crate::core::link::references::Broken;
use crate::core::record::Record;
use crate::core::rules::Fence;
use crate::core::subject::ContextName;
use crate::core::subject::Subject;
use crate::core::value::Remark;
use crate::core::value::SchemaValue;
use crate::core::value::read_schema;
use crate::core::view::SubjectView;
use crate::core::view::VersionView;
use crate::core::view::View;

impl Link {
    /// Whose log the source is, as far as it was read, and why.
    #[must_use]
    pub fn source_dialect(&self) -> Concluded {
        self.seen().reader().dialect()
    }

    /// Whose log the target is, as far as it was read, and why.
    #[must_use]
    pub fn target_dialect(&self) -> Concluded {
        self.target_reader.dialect()
    }

    /// What the target's registry reads.
    pub(super) fn dialect(&self) -> Dialect {
        self.target_dialect().dialect
    }

    /// The fence that the link sets: none where the target's registry knows no modes.
    #[must_use]
    pub fn fence(&self) -> Fence {
        if self.dialect().has_modes() { self.rules.fence } else { Fence::None }
    }

    /// Whether no fence can keep clients of the target's registry out.
    #[must_use]
    pub fn knows_no_fence(&self) -> bool {
        !self.dialect().has_modes()
    }

    /// Whether the target's registry can hold what the link is to write.
    pub(super) fn check_dialect(&self) -> Result<(), Halt> {
        match self.rules.unfit_for(self.dialect()) {
            None => Ok(()),
            Some(what) => Err(Halt::Unfit { target: self.target_dialect().to_string(), what }),
        }
    }

    /// The target's log turned out to be spelled in another way than the records before: those count
    /// as other spellings from now on.
    pub(super) fn respell(&mut self, before: Dialect) {
        let registry_wide = Key::Config(Subject::of_context(&ContextName::default_context()));
        let (mut was, mut is) = (Vec::new(), Vec::new());
        before.push_key(&registry_wide, &mut was);
        self.dialect().push_key(&registry_wide, &mut is);
        if was != is && self.target_holder(&registry_wide).is_some() {
            self.target.note_spelling(&registry_wide, &was);
        }
    }

    /// Whether the target held, or once held, the version that an entry puts: only then can something
    /// that references it stand before it. Remembers a version that goes.
    pub(super) fn stood_for_referrers(&mut self, entry: &Entry) -> bool {
        if !self.dialect().needs_referenced_first() {
            return false;
        }
        let Entry::Schema(subject, version, said) = entry else { return false };
        let key = Key::Schema(subject.clone(), *version);
        let stands = self.target.schema(subject, *version).is_some();
        match said {
            Some(_) => self.gone.remove(&key) || stands,
            None => {
                if stands && self.target.is_notable() {
                    self.gone.insert(key);
                }
                false
            }
        }
    }

    /// The versions that reference the one that was put, and stand before it now: a registry that
    /// starts on the compacted log would drop them for good, so they are written again.
    pub(super) fn outrun_referrers(&mut self, entry: &Entry) -> Vec<Key> {
        let Entry::Schema(subject, version, Some(_)) = entry else { return Vec::new() };
        let outrun = self.target.referrers_before(subject, *version);
        self.damaged.extend(outrun.iter().cloned());
        outrun
    }

    /// The contexts of the target that share their ids with this one.
    pub(super) fn id_space(&self, context: &ContextName) -> Vec<ContextName> {
        if self.dialect().has_contexts() {
            return vec![context.clone()];
        }
        let others = self.target.contexts().map(|(other, _)| other);
        let others = others.filter(|other| *other != context).cloned();
        std::iter::once(context.clone()).chain(others).collect()
    }

    /// Puts, each behind what it references. Where a registry drops what does not resolve, soft
    /// deletions come last, and each before that of what it references.
    pub(super) fn puts_in_order(&self, puts: Vec<Planned>) -> Vec<Planned> {
        if !self.dialect().needs_referenced_first() {
            return self.referenced_first(puts, Self::source_references);
        }
        let (deleted, live) = puts.into_iter().partition(|put| self.is_deleted_in_source(&put.key));
        let mut ordered = self.referenced_first(live, Self::source_references);
        ordered.extend(self.referrers_first(deleted, Self::source_references));
        ordered
    }

    fn is_deleted_in_source(&self, target: &Key) -> bool {
        let Key::Schema(subject, version) = target else { return false };
        let source = self.unplace(subject);
        let held = source.and_then(|source| self.source().schema(&source, *version));
        held.is_some_and(|held| held.deleted)
    }

    /// What becomes of a schema whose references do not all live in the source, where the target's
    /// registry would drop it for good. A deleted one that stands there deleted stays; one that is
    /// live there must not stay so.
    pub(super) fn unresolved(
        &self,
        source: &Subject,
        version: Version,
        held: &VersionView,
    ) -> Option<Wanted<'_>> {
        let references = held.content.references();
        let is_kept = held.content.remark() != Some(Remark::ReferencesNotKept);
        if references.is_empty() || !is_kept || !self.dialect().needs_referenced_first() {
            return None;
        }
        let (means, named) = references.iter().find_map(|reference| {
            let means = self.reference(source, &reference.subject).means;
            let named = Version::new(reference.version);
            // A deletion may come before that of what it references: that lives in the target yet.
            let placed = self.rules.place(&means).filter(|_| held.deleted);
            let lives = lives(self.source(), &means, named)
                || placed.is_some_and(|placed| lives(&self.target, &placed, named));
            (!lives).then_some((means, named))
        })?;
        if held.deleted {
            let target = self.rules.place(source)?;
            let stands = self.target.schema(&target, version).is_some_and(|held| held.deleted);
            return Some(if stands { Wanted::AsItIs } else { Wanted::Absent });
        }
        let until = match named {
            Some(version) => WaitFor::Source(Key::Schema(means.clone(), version)),
            None => WaitFor::Subject(means.clone()),
        };
        let what = named.map_or_else(|| means.to_string(), |version| format!("{means} v{version}"));
        let reason = format!(
            "it references {what}, which does not live in the source: {} would drop it for good",
            self.dialect()
        );
        Some(Wanted::Held(held.offset, Broken { reason, until }))
    }

    /// Settings of the source that the target's registry has no room for.
    pub(super) fn settings_left_out(&self, source: &Subject) -> Option<String> {
        if !self.dialect().reads_level_only() || !self.selects(source) {
            return None;
        }
        let config = self.source().subject(source)?.config.as_deref()?;
        let is_level_alone = config.value.says_level_alone();
        (!is_level_alone).then(|| {
            format!("the target's registry is {}, which reads their level only", self.dialect())
        })
    }
}

/// An entry of the source as the target's registry can hold it: what is compared, and what is
/// written.
pub(super) fn for_target(dialect: Dialect, record: &Record, entry: Entry) -> Entry {
    let Entry::Schema(subject, version, Some(mut said)) = entry else { return entry };
    let value = record.value.as_deref().unwrap_or_default();
    let kept = dialect.schema_value(value).and_then(|kept| match kept {
        Cow::Borrowed(_) => Ok(None),
        Cow::Owned(kept) => read_schema(&kept, &subject, version.get()).map(Some),
    });
    match kept {
        Ok(None) => {}
        Ok(Some(kept)) => said = SchemaValue { subject_at: None, ..kept },
        Err(reason) => return Entry::Faulty(Some(Key::Schema(subject, version)), reason),
    }
    if let Some(remark) = dialect.schema_remark(value, &said.content) {
        said.content = said.content.remarked(remark);
    }
    Entry::Schema(subject, version, Some(said))
}

/// Whether a reference means something that lives; without a version, any will do.
fn lives(view: &View, means: &Subject, version: Option<Version>) -> bool {
    view.subject(means).is_some_and(|held| match version {
        Some(version) => held.version(version).is_some_and(|held| !held.deleted),
        None => SubjectView::is_live(held),
    })
}
