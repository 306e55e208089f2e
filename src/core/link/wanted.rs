//! What the target should hold at a key, as the source says.

use super::Link;
use crate::core::key::Key;
use crate::core::link::ledger::WaitFor;
use crate::core::link::references::Broken;
use crate::core::record::Offset;
use crate::core::rules::Compatibility;
use crate::core::rules::Fence;
use crate::core::rules::Placement;
use crate::core::rules::References;
use crate::core::subject::ContextName;
use crate::core::subject::Subject;
use crate::core::value::Edit;
use crate::core::value::Mode;
use crate::core::value::edited;
use crate::core::view::ConfigView;
use crate::core::view::Origin;
use crate::core::view::SubjectView;
use crate::core::view::VersionView;

/// What should stand at a key of the target.
#[derive(Debug)]
pub(super) enum Wanted<'a> {
    /// Nothing.
    Absent,
    /// Whatever stands there: the source's own state can't be told.
    AsItIs,
    /// The source's state can't be written now.
    Held(Offset, Broken),
    /// A CONTEXT record.
    Context,
    /// A mode.
    Mode(Mode),
    /// Settings: their value, and the place of the source's record where one stands behind them.
    Config(Vec<u8>, Option<&'a ConfigView>),
    /// A version of a subject, and its references' spellings where others are forced.
    Schema(&'a VersionView, Option<Vec<String>>),
}

impl Link {
    /// Whether the subject of the source is copied: chosen, or pointed to by something chosen.
    pub(super) fn selects(&self, source: &Subject) -> bool {
        self.rules.filter.selects(source) || self.followed.contains(source)
    }

    /// Whether the link may write and delete at this subject of the target.
    pub(super) fn owns(&self, target: &Subject) -> bool {
        self.rules.owns(target)
            || self.rules.unplace(target).is_some_and(|source| self.followed.contains(&source))
    }

    /// Whether the link may write and delete this key of the target.
    pub(super) fn owns_key(&self, target: &Key) -> bool {
        match target {
            Key::Context(context) => !context.is_default() && self.rules.owns_context(context),
            Key::Mode(subject) | Key::Config(subject) | Key::Schema(subject, _) => {
                self.owns(subject)
            }
            Key::DeleteSubject(_) | Key::ClearSubject(_) | Key::Noop => false,
        }
    }

    /// What should stand at a key that the link owns.
    pub(super) fn wanted(&self, target: &Key) -> Wanted<'_> {
        match target {
            Key::Context(context) => {
                if self.uses(context) {
                    Wanted::Context
                } else {
                    Wanted::Absent
                }
            }
            Key::Mode(subject) => self.wanted_mode(subject),
            Key::Config(subject) if subject.is_context() => {
                self.wanted_context_config(&subject.context)
            }
            Key::Config(subject) => self.wanted_config(subject),
            Key::Schema(subject, version) => {
                let Some(source) = self.rules.unplace(subject) else { return Wanted::Absent };
                self.wanted_schema(&source, Key::Schema(source.clone(), *version))
            }
            Key::DeleteSubject(_) | Key::ClearSubject(_) | Key::Noop => Wanted::Absent,
        }
    }

    /// Whether a context of the target receives anything: the link's own always does, another one
    /// when the source has it.
    pub(super) fn uses(&self, target: &ContextName) -> bool {
        if matches!(&self.rules.placement, Placement::Into(own) if own == target) {
            return true;
        }
        let Some(source) = self.rules.unplace(&Subject::of_context(target)) else { return false };
        let Some(view) = self.source.context(&source.context) else { return false };
        let declared = view.declared.is_some_and(|stamp| stamp.origin != Origin::Loop);
        (declared && self.rules.filter.selects_whole(&source.context))
            || view.subjects().any(|(name, held)| {
                holds_own(held) && self.selects(&Subject::new(&source.context, name))
            })
    }

    fn wanted_mode(&self, target: &Subject) -> Wanted<'_> {
        let mode = match self.rules.fence {
            Fence::None => return Wanted::Absent,
            Fence::Readonly => Mode::Readonly,
            Fence::Import => Mode::Import,
        };
        let fenced = if target.is_context() {
            self.rules.owns_context(&target.context) && self.uses_or_default(&target.context)
        } else {
            self.fences_subjects(&target.context) && self.holds_subject(target)
        };
        if fenced { Wanted::Mode(mode) } else { Wanted::Absent }
    }

    /// Whether the fence stands on each subject, because the link does not own their context.
    pub(super) fn fences_subjects(&self, target: &ContextName) -> bool {
        self.rules.placement == Placement::Same && !self.rules.owns_context(target)
    }

    fn uses_or_default(&self, target: &ContextName) -> bool {
        target.is_default() || self.uses(target)
    }

    fn holds_subject(&self, target: &Subject) -> bool {
        self.rules.unplace(target).is_some_and(|source| {
            self.selects(&source) && self.source.subject(&source).is_some_and(holds_own)
        })
    }

    /// A context's settings are always written with a level: the context's own, else the source's
    /// registry-wide one, else the one our configuration gives (rulings 16).
    fn wanted_context_config(&self, target: &ContextName) -> Wanted<'_> {
        if !self.rules.owns_context(target) || !self.uses_or_default(target) {
            return Wanted::Absent;
        }
        let source = match self.rules.unplace(&Subject::of_context(target)) {
            Some(source) => source.context,
            // The link's own context where its filter leaves the source's default one out.
            None => ContextName::default_context(),
        };
        let own = self.config_of(&source);
        if own.is_some_and(|config| config.stamp.origin == Origin::Loop) {
            return Wanted::AsItIs;
        }
        let global = self.config_of(&ContextName::from_record(".__GLOBAL"));
        let level = own
            .and_then(|config| config.value.level)
            .or_else(|| global.and_then(|config| config.value.level))
            .unwrap_or(self.rules.default_compatibility);
        let base = own.or(global).map_or(&b"{}"[..], |config| &config.value.bytes);
        self.config_value(&Subject::of_context(&source), base, own.or(global), Some(level))
    }

    fn config_of(&self, source: &ContextName) -> Option<&ConfigView> {
        self.source.subject(&Subject::of_context(source))?.config.as_ref()
    }

    fn wanted_config(&self, target: &Subject) -> Wanted<'_> {
        let Some(source) = self.rules.unplace(target).filter(|source| self.selects(source)) else {
            return Wanted::Absent;
        };
        match self.source.subject(&source).and_then(|held| held.config.as_ref()) {
            Some(config) if config.stamp.origin == Origin::Loop => Wanted::Absent,
            Some(config) => self.config_value(&source, &config.value.bytes, Some(config), None),
            None if self.ledger.is_faulty(&Key::Config(source)) => Wanted::AsItIs,
            None => Wanted::Absent,
        }
    }

    fn config_value<'a>(
        &'a self,
        source: &Subject,
        base: &[u8],
        behind: Option<&'a ConfigView>,
        level: Option<Compatibility>,
    ) -> Wanted<'a> {
        let offset = behind.map_or(0, |config| config.stamp.offset);
        let value = behind.map(|config| &config.value);
        let mut edit = Edit { level, ..Edit::default() };
        if let Some(alias) = value.and_then(|value| value.alias.as_deref()) {
            let pointer = self.alias(source, alias);
            if let Some(broken) = self.broken(&pointer, None, &format!("its alias {alias}")) {
                return Wanted::Held(offset, broken);
            }
            edit.alias = pointer.spelled;
        }
        if let Some(alias) = value.and_then(|value| value.alias_for_deks.as_deref()) {
            edit.alias_for_deks = self.alias(source, alias).spelled;
        }
        let target = self.rules.place(source).unwrap_or_else(|| self.own_context());
        edit.subject = Some(target.spelled()).filter(|spelled| !spelled.is_empty());
        match edited(base, &edit) {
            Ok(bytes) => Wanted::Config(bytes, behind),
            Err(_) => Wanted::AsItIs,
        }
    }

    fn own_context(&self) -> Subject {
        match &self.rules.placement {
            Placement::Into(context) => Subject::of_context(context),
            Placement::Same => Subject::of_context(&ContextName::default_context()),
        }
    }

    fn wanted_schema(&self, source: &Subject, key: Key) -> Wanted<'_> {
        if !self.selects(source) {
            return Wanted::Absent;
        }
        let Key::Schema(_, version) = &key else { return Wanted::Absent };
        let Some(held) = self.source.schema(source, *version) else {
            // Its newest record can't be copied, and what stood there before is compacted away:
            // what the target holds is the last good state.
            let faulty = self.ledger.is_faulty(&key);
            return if faulty { Wanted::AsItIs } else { Wanted::Absent };
        };
        if held.origin == Origin::Loop {
            return Wanted::Absent;
        }
        let references = held.references.as_deref().unwrap_or_default();
        if !held.deleted
            && let Some(broken) = self.broken_reference(source, references)
        {
            return Wanted::Held(held.offset, broken);
        }
        Wanted::Schema(held, self.respelled(source, references))
    }

    /// Why a subject is closed to the link: someone opened it to clients below the fence
    /// (rulings 13).
    pub(super) fn opened_to_clients(&self, target: &Subject) -> Option<Broken> {
        if self.rules.fence == Fence::None || target.is_context() {
            return None;
        }
        let mode = self.target.subject(target)?.mode?;
        if mode.mode.fences() || mode.stamp.origin == Origin::Ours {
            return None;
        }
        let reason = format!(
            "{target} has mode {} of its own, which opens it to clients; \
             delete that mode to let the link write it again",
            mode.mode.as_str()
        );
        Some(Broken { reason, until: WaitFor::Mode(target.clone()) })
    }

    /// Whether references that the filter leaves behind are followed.
    pub(super) fn follows(&self) -> bool {
        self.rules.references == References::Follow && !self.rules.filter.is_whole_contexts()
    }
}

/// Whether a subject of the source holds anything that did not come from the target's cluster.
fn holds_own(held: &SubjectView) -> bool {
    held.versions().iter().any(|version| version.origin != Origin::Loop)
        || held.config.as_ref().is_some_and(|config| config.stamp.origin != Origin::Loop)
}
