//! References and aliases: what they point to, and how they are spelled in the target.

use std::collections::BTreeSet;

use super::Link;
use crate::core::key::Key;
use crate::core::key::Version;
use crate::core::link::ledger::WaitFor;
use crate::core::rules::Placement;
use crate::core::subject::Subject;
use crate::core::value::Reference;
use crate::core::view::Origin;
use crate::core::view::VersionView;

/// A cycle of references is looked for so far.
const CYCLE_STEPS_MAX: usize = 256;

/// A pointer to a subject, from a reference or an alias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pointer {
    /// The subject of the source that it means.
    pub(super) means: Subject,
    /// How it is spelled in the target; `None` where its context is not mapped.
    pub(super) spelled: Option<String>,
}

/// Why a record that refers can't be written yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) reason: String,
    pub(super) until: WaitFor,
}

impl Link {
    /// Reads a reference's subject as the registry does for a schema of `parent`: unqualified, it
    /// means the parent's own context (`QualifiedSubject.qualifySubjectWithParent`, since 7.3.4).
    /// It keeps the spelling it has unless another one is forced.
    pub(super) fn reference(&self, parent: &Subject, spelled: &str) -> Pointer {
        let named = Subject::parse(spelled);
        if !named.context.is_default() {
            let placed = self.rules.place(&named);
            return Pointer { means: named, spelled: placed.map(|subject| subject.spelled()) };
        }
        // Inside a named context the registry looks for the odd literal name (odd-records 4.4).
        let literal = if parent.context.is_default() { &*named.name } else { spelled };
        let means = Subject::new(&parent.context, literal);
        let forced = spelled.starts_with(":.:")
            && parent.context.is_default()
            && matches!(self.rules.placement, Placement::Into(_));
        let spelled = if !self.rules.naming.keeps_names() {
            self.rules.place(&means).map(|placed| placed.name.to_string())
        } else if forced {
            Some(named.name.to_string())
        } else {
            Some(spelled.to_owned())
        };
        Pointer { means, spelled }
    }

    /// Reads an alias of `parent`'s settings. Inside a context it is written fully qualified: an
    /// unqualified one is resolved against the default context by most requests (odd-records 12.1).
    pub(super) fn alias(&self, parent: &Subject, spelled: &str) -> Pointer {
        let named = Subject::parse(spelled);
        let means = if named.context.is_default() {
            Subject { context: parent.context.clone(), name: named.name }
        } else {
            named
        };
        let placed = self.rules.place(&means);
        Pointer { means, spelled: placed.map(|subject| subject.spelled()) }
    }

    /// The spellings of a schema's references in the target; `None` where all keep the one they have.
    pub(super) fn respelled(
        &self,
        parent: &Subject,
        references: &[Reference],
    ) -> Option<Vec<String>> {
        let spelled: Vec<String> = references
            .iter()
            .map(|reference| {
                let pointer = self.reference(parent, &reference.subject);
                pointer.spelled.unwrap_or_else(|| reference.subject.to_string())
            })
            .collect();
        let same =
            references.iter().zip(&spelled).all(|(reference, new)| *reference.subject == **new);
        (!same).then_some(spelled)
    }

    /// Why a live schema can't be written because of what it references, if so.
    pub(super) fn broken_reference(
        &self,
        parent: &Subject,
        references: &[Reference],
    ) -> Option<Broken> {
        references.iter().find_map(|reference| {
            let pointer = self.reference(parent, &reference.subject);
            let version = Version::new(reference.version);
            self.broken(&pointer, version, &format!("its reference to {}", reference.subject))
        })
    }

    /// Why a pointer would mean something else, or nothing, in the target because of this link.
    /// One that means nothing in the source either is copied.
    pub(super) fn broken(
        &self,
        to: &Pointer,
        version: Option<Version>,
        what: &str,
    ) -> Option<Broken> {
        if let Some(misled) = self.misled(&to.means, what) {
            return Some(misled);
        }
        if to.spelled.is_none() {
            let context = &to.means.context;
            let reason = format!(
                "{what} leads into context {context}, which the link does not copy; \
                 select it with \":{context}:*\""
            );
            return Some(Broken { reason, until: WaitFor::Definition });
        }
        let key = version.map(|version| Key::Schema(to.means.clone(), version));
        if let Some(key) = key.filter(|key| self.is_set_aside(key)) {
            let reason = format!("{what} is to {key}, which is set aside itself");
            return Some(Broken { reason, until: WaitFor::Source(key) });
        }
        if self.goes_back(&to.means, version) {
            let reason = format!(
                "{what} leads to {}, which came from the target's cluster and does not go back",
                to.means
            );
            return Some(Broken { reason, until: WaitFor::Subject(to.means.clone()) });
        }
        let (resolves, until) = self.resolves(&to.means, version);
        if self.selects(&to.means) || !resolves {
            return None;
        }
        let reason = format!("{what} leads to {}, which the filter leaves behind", to.means);
        Some(Broken { reason, until })
    }

    /// Whether a pointer means a copy of what the target's cluster holds itself: under the name that
    /// it would get there nothing will ever stand.
    fn goes_back(&self, means: &Subject, version: Option<Version>) -> bool {
        if self.rules.keeps_names() {
            return false;
        }
        let Some(held) = self.source().subject(means) else { return false };
        let back = |held: &VersionView| held.origin == Origin::Loop;
        match version {
            Some(version) => held.version(version).is_some_and(back),
            None => !held.versions().is_empty() && held.versions().iter().all(back),
        }
    }

    /// Whether a pointer means something in the source, and what can change that. Without a version
    /// it means the latest one.
    fn resolves(&self, means: &Subject, version: Option<Version>) -> (bool, WaitFor) {
        let held = self.source().subject(means);
        match version {
            Some(version) => {
                let key = Key::Schema(means.clone(), version);
                (held.is_some_and(|held| held.version(version).is_some()), WaitFor::Source(key))
            }
            None => {
                let any = held.is_some_and(|held| !held.versions().is_empty());
                (any, WaitFor::Subject(means.clone()))
            }
        }
    }

    /// Whether a key of the source is an incident, or held, and the target holds nothing of the
    /// link's own there.
    fn is_set_aside(&self, source: &Key) -> bool {
        let Key::Schema(subject, version) = source else { return false };
        let Some(placed) = self.rules.place(subject) else { return false };
        // Its last good state, or what someone else changed about the same text, resolves.
        let text = self.source().schema(subject, *version).map(|held| held.content.text);
        let resolves = |held: &VersionView| held.origin.is_own() || Some(held.content.text) == text;
        if self.target.schema(&placed, *version).is_some_and(resolves) {
            return false;
        }
        let placed = Key::Schema(placed, *version);
        self.ledger.is_incident(&placed)
            || self.ledger.is_held(&placed)
            || (self.ledger.is_faulty(source) && self.source().schema(subject, *version).is_none())
    }

    /// What an operator should know of references that mean nothing in the source itself, and what
    /// would mend it.
    pub(super) fn dangling(
        &self,
        parent: &Subject,
        references: &[Reference],
    ) -> Option<(String, Option<WaitFor>)> {
        references.iter().find_map(|reference| {
            let means = self.reference(parent, &reference.subject).means;
            let (resolves, until) = self.resolves(&means, Version::new(reference.version));
            let said = format!(
                "references {} version {}, which the source does not hold",
                reference.subject, reference.version
            );
            (!resolves).then_some((said, Some(until)))
        })
    }

    /// What an operator should know of references that lead back to where they came from.
    pub(super) fn circular(&self, parent: &Subject, version: Version) -> Option<String> {
        let start = (parent.clone(), version);
        let mut open = vec![start.clone()];
        let mut seen = BTreeSet::new();
        while let Some((subject, version)) = open.pop() {
            let held = self.source().schema(&subject, version);
            let references = held.map_or(&[][..], |held| held.content.references());
            for reference in references {
                let Some(version) = Version::new(reference.version) else { continue };
                let to = (self.reference(&subject, &reference.subject).means, version);
                if to == start {
                    return Some(
                        "its references lead back to it; what resolves them is answered 422"
                            .to_owned(),
                    );
                }
                if seen.insert(to.clone()) && seen.len() < CYCLE_STEPS_MAX {
                    open.push(to);
                }
            }
        }
        None
    }

    /// The same for an alias.
    pub(super) fn dangling_alias(
        &self,
        parent: &Subject,
        alias: &str,
    ) -> Option<(String, Option<WaitFor>)> {
        let (resolves, until) = self.resolves(&self.alias(parent, alias).means, None);
        let said = format!("its alias leads to {alias}, which the source does not hold");
        (!resolves).then_some((said, Some(until)))
    }
}
