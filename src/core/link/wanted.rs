//! What the target should hold at a key, as the source says.

use std::sync::Arc;

use super::Link;
use crate::core::key::Key;
use crate::core::link::leave::Leave;
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
use crate::core::view::AssociationView;
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
    /// An association: its value, and the source's record.
    Association(Vec<u8>, &'a AssociationView),
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
            || self.unplace(target).is_some_and(|source| self.followed.contains(&source))
            || (self.rules.owns_parts() && self.left_behind(target))
    }

    /// Whether the link wrote this subject, chosen or followed then, and does not copy it any more.
    /// Only its own header proves that, and only since it began: what it adopted may be anyone's, and what
    /// stands under its name from before may be a deleted link's. What a former definition
    /// chose has left the scope with it, and stays; so does what that may point to.
    fn left_behind(&self, target: &Subject) -> bool {
        let follows = self.rules.references == References::Follow && !self.former.is_empty();
        if follows || self.former.iter().any(|scope| scope.contains(target)) {
            return false;
        }
        let Some(held) = self.target.subject(target) else { return false };
        let since = self.history.adopted_below.max(self.history.began_at);
        let own = |offset, origin: Origin| origin.is_link() && offset >= since;
        let stamps = held.config.as_ref().map(|config| config.stamp);
        let stamps = stamps.into_iter().chain(held.mode.map(|mode| mode.stamp));
        held.versions().iter().any(|version| own(version.offset, version.origin))
            || stamps.into_iter().any(|stamp| own(stamp.offset, stamp.origin))
    }

    /// Whether the link may write and delete this key of the target.
    pub(super) fn owns_key(&self, target: &Key) -> bool {
        if !self.dialect().reads(target) {
            return false;
        }
        match target {
            // Without a context of its own the link sees that the contexts of its subjects are
            // listed; it takes no one's away.
            Key::Context(context) => {
                !context.is_default()
                    && (self.rules.owns_context(context)
                        || (self.rules.owns_parts() && self.uses(context)))
            }
            Key::Mode(subject) | Key::Config(subject) | Key::Schema(subject, _) => {
                self.owns(subject)
            }
            Key::Association(association) => self.owns(&association.subject),
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
                let Some(source) = self.unplace(subject) else { return Wanted::Absent };
                self.wanted_schema(&source, Key::Schema(source.clone(), *version))
            }
            Key::Association(association) => self.wanted_association(association),
            Key::DeleteSubject(_) | Key::ClearSubject(_) | Key::Noop => Wanted::Absent,
        }
    }

    /// Whether a context of the target receives anything: the link's own always does, and without
    /// one the default context that it owns; another one when the source has it.
    pub(super) fn uses(&self, target: &ContextName) -> bool {
        if self.rules.own_context().is_some_and(|own| own == *target) {
            return true;
        }
        let Some(source) = self.unplace(&Subject::of_context(target)) else { return false };
        if self.keeps_any(target) {
            return true;
        }
        let Some(view) = self.source().context(&source.context) else { return false };
        // What another link made of a context, its record, fence and settings, is no reason to copy
        // the context: in a ring each copy would make another one.
        let declared = view.declared.is_some_and(|stamp| stamp.origin == Origin::Registry);
        (declared && self.rules.filter.selects_whole(&source.context))
            || view.subjects().any(|(name, held)| {
                let subject = Subject { context: source.context.clone(), name: Arc::clone(name) };
                counts(name, held) && self.selects(&subject)
            })
    }

    /// Whether what the source says of this subject, or of the context itself, is a reason to use
    /// the context.
    pub(super) fn makes_used(&self, source: &Subject) -> bool {
        let declared = source.is_context()
            && self.rules.filter.selects_whole(&source.context)
            && self
                .source()
                .context(&source.context)
                .and_then(|view| view.declared)
                .is_some_and(|stamp| stamp.origin == Origin::Registry);
        declared
            || (self.selects(source)
                && self.source().subject(source).is_some_and(|held| counts(&source.name, held)))
    }

    fn wanted_mode(&self, target: &Subject) -> Wanted<'_> {
        let mode = match self.fence() {
            Fence::None => return Wanted::Absent,
            Fence::Readonly => Mode::Readonly,
            Fence::Import => Mode::Import,
        };
        let fenced = if target.is_context() {
            self.rules.owns_context(&target.context) && self.uses(&target.context)
        } else {
            self.fences_subjects(&target.context) && self.holds_subject(target)
        };
        if fenced { Wanted::Mode(mode) } else { Wanted::Absent }
    }

    /// Whether the fence stands on each subject, because the link does not own their context.
    pub(super) fn fences_subjects(&self, target: &ContextName) -> bool {
        self.rules.placement == Placement::Same && !self.rules.owns_context(target)
    }

    /// Whether the link has something at this subject of the target: what the source gives, or the
    /// last good state of what the source can't give any more.
    pub(super) fn holds_subject(&self, target: &Subject) -> bool {
        self.unplace(target).filter(|source| self.selects(source)).is_some_and(|source| {
            self.source().subject(&source).is_some_and(holds_own)
                || self.target.subject(target).is_some_and(|held| self.keeps(&source, held))
        })
    }

    /// Whether the target holds the last good state of what the source can't give any more.
    fn keeps(&self, source: &Subject, held: &SubjectView) -> bool {
        let faulty = |version| self.ledger.is_faulty(&Key::Schema(source.clone(), version));
        held.versions().iter().any(|held| held.origin.is_own() && faulty(held.version))
    }

    /// The same of a whole context: its record and its fence stay with what stays.
    fn keeps_any(&self, target: &ContextName) -> bool {
        if self.ledger.faulty().next().is_none() {
            return false;
        }
        self.target.context(target).is_some_and(|view| {
            view.subjects().any(|(name, held)| {
                let subject = Subject { context: target.clone(), name: Arc::clone(name) };
                self.unplace(&subject).is_some_and(|source| self.keeps(&source, held))
            })
        })
    }

    /// A context's settings are always written with a level: the context's own, else the source's
    /// registry-wide one, else the one our configuration gives (rulings 16).
    fn wanted_context_config(&self, target: &ContextName) -> Wanted<'_> {
        if !self.rules.owns_context(target) || !self.uses(target) {
            return Wanted::Absent;
        }
        let source = match self.unplace(&Subject::of_context(target)) {
            Some(source) => source.context,
            // The link's own context where its filter leaves the source's default one out.
            None => ContextName::default_context(),
        };
        let own = self.config_of(&source);
        if own.is_some_and(|config| config.stamp.origin == Origin::Loop) {
            return Wanted::AsItIs;
        }
        let faulty = Key::Config(Subject::of_context(&source));
        let held = self.target.subject(&Subject::of_context(target));
        if own.is_none()
            && self.ledger.is_faulty(&faulty)
            && held.is_some_and(|held| held.config.is_some())
        {
            return Wanted::AsItIs;
        }
        let global = self.config_of(&ContextName::from_record(".__GLOBAL"));
        // The first record that a registry finds is used whole; what it leaves out comes from the
        // server's own default, not from the next record (odd-records 5.4, 6.15).
        let first = own.or(global);
        let level = first.and_then(|config| config.value.level);
        let level = level.unwrap_or(self.rules.default_compatibility);
        if self.dialect().reads_level_only() {
            return level_value(level, first);
        }
        let base = first.map_or(&b"{}"[..], |config| &config.value.bytes);
        self.config_value(&Subject::of_context(&source), base, first, Some(level))
    }

    fn config_of(&self, source: &ContextName) -> Option<&ConfigView> {
        self.source().subject(&Subject::of_context(source))?.config.as_deref()
    }

    fn wanted_config(&self, target: &Subject) -> Wanted<'_> {
        let Some(source) = self.unplace(target).filter(|source| self.selects(source)) else {
            return Wanted::Absent;
        };
        match self.source().subject(&source).and_then(|held| held.config.as_ref()) {
            Some(config) if config.stamp.origin == Origin::Loop => self.wanted_of_loop(),
            Some(config) if self.dialect().reads_level_only() => match config.value.level {
                Some(level) => level_value(level, Some(config)),
                None => Wanted::Absent,
            },
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
            let pointer = self.alias(source, alias);
            if let Some(broken) = self.broken(&pointer, None, &format!("its aliasForDeks {alias}"))
            {
                return Wanted::Held(offset, broken);
            }
            edit.alias_for_deks = pointer.spelled;
        }
        let target = self.rules.place(source).unwrap_or_else(|| self.own_context());
        edit.subject = Some(target.spelled()).filter(|spelled| !spelled.is_empty());
        match edited(base, &edit) {
            Ok(bytes) => Wanted::Config(bytes, behind),
            Err(_) => Wanted::AsItIs,
        }
    }

    pub(super) fn own_context(&self) -> Subject {
        let own = self.rules.own_context().unwrap_or_else(ContextName::default_context);
        Subject::of_context(&own)
    }

    fn wanted_schema(&self, source: &Subject, key: Key) -> Wanted<'_> {
        if !self.selects(source) {
            return Wanted::Absent;
        }
        let Key::Schema(_, version) = &key else { return Wanted::Absent };
        let Some(held) = self.source().schema(source, *version) else {
            // Its newest record can't be copied, and what stood there before is compacted away:
            // what the target holds is the last good state.
            let faulty = self.ledger.is_faulty(&key);
            return if faulty { Wanted::AsItIs } else { Wanted::Absent };
        };
        if held.origin == Origin::Loop {
            return self.wanted_of_loop();
        }
        if let Some(wanted) = self.unresolved(source, *version, held) {
            return wanted;
        }
        let references = held.content.references();
        if !held.deleted
            && let Some(broken) = self.broken_reference(source, references)
        {
            return Wanted::Held(held.offset, broken);
        }
        Wanted::Schema(held, self.respelled(source, references))
    }

    /// What came from the target stands there under the same name, if names are kept.
    pub(super) fn wanted_of_loop(&self) -> Wanted<'_> {
        if self.rules.keeps_names() { Wanted::AsItIs } else { Wanted::Absent }
    }

    /// Why a subject is closed to the link: someone opened it to clients below the fence
    /// (rulings 13).
    pub(super) fn opened_to_clients(&self, target: &Subject) -> Option<Broken> {
        if self.fence() == Fence::None || target.is_context() {
            return None;
        }
        let own_fence = self.fences_subjects(&target.context);
        if !own_fence && !self.target.has_subject_modes() {
            return None;
        }
        let held = self.target.subject(target)?;
        let set_at = held.mode.map(|mode| mode.stamp.offset);
        let is_allowed = own_fence && self.permissions.fence_again.covers_lifted(set_at);
        let reason = match held.mode {
            Some(mode) if mode.mode.fences() || mode.stamp.origin == Origin::Ours => return None,
            Some(_) | None if is_allowed => return None,
            Some(mode) if own_fence => format!(
                "someone set mode {} on {target}, which opens it to clients; set it back to \
                 READONLY to let the link write it again{}",
                mode.mode.as_str(),
                self.leave().fence_subject_again()
            ),
            Some(mode) => format!(
                "{target} has mode {} of its own, which opens it to clients; \
                 delete that mode to let the link write it again",
                mode.mode.as_str()
            ),
            // A subject gets its fence before its first schema.
            None if own_fence && !self.history.unfenced && self.wrote(held) => format!(
                "someone deleted the mode of {target}, which opens it to clients; set it to \
                 READONLY to let the link write it again{}",
                self.leave().fence_subject_again()
            ),
            None => return None,
        };
        Some(Broken { reason, until: WaitFor::Mode(target.clone()) })
    }

    /// The words in which an operator is told what lets the link go on.
    fn leave(&self) -> Leave<'_> {
        Leave { steered: self.permissions.steered, link: &self.rules.name }
    }

    /// Whether references that the filter leaves behind are followed.
    pub(super) fn follows(&self) -> bool {
        self.rules.references == References::Follow && !self.rules.filter.is_whole_contexts()
    }
}

/// Settings that are a level and nothing else.
fn level_value(level: Compatibility, behind: Option<&ConfigView>) -> Wanted<'_> {
    match edited(b"{}", &Edit { level: Some(level), ..Edit::default() }) {
        Ok(bytes) => Wanted::Config(bytes, behind),
        Err(_) => Wanted::AsItIs,
    }
}

/// Whether a subject of the source holds anything that did not come from the target's cluster.
pub(super) fn holds_own(held: &SubjectView) -> bool {
    held.versions().iter().any(|version| version.origin != Origin::Loop)
        || held.config.as_ref().is_some_and(|config| config.stamp.origin != Origin::Loop)
}

/// Whether what a context holds under a name is a reason to copy the context. Settings of the context
/// itself are one where a registry of the source's own cluster set them.
fn counts(name: &str, held: &SubjectView) -> bool {
    if name.is_empty() {
        held.config.as_ref().is_some_and(|config| config.stamp.origin == Origin::Registry)
    } else {
        holds_own(held)
    }
}
