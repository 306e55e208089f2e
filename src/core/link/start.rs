//! What stops a link before it writes: a scope that is not its own, a fence that someone lifted, a
//! source that can't be believed.

use std::sync::Arc;

use super::Change;
use super::Link;
use super::Permissions;
use super::Verdict;
use crate::core::key::Key;
use crate::core::link::brake::Suspicion;
use crate::core::link::leave::Leave;
use crate::core::record::Offset;
use crate::core::rules::Fence;
use crate::core::rules::Unfit;
use crate::core::subject::ContextName;
use crate::core::subject::Subject;
use crate::core::value::Mode;
use crate::core::view::Origin;
use crate::core::view::SubjectView;

/// Keys that are named when a link refuses; the rest is counted.
const NAMED_MAX: usize = 5;

/// Why a link stands still until an operator decides.
#[derive(Debug, Clone, PartialEq)]
pub enum Halt {
    /// The scope holds keys that no link wrote.
    Occupied {
        /// Some of them.
        named: Vec<Key>,
        /// All of them.
        count: usize,
    },
    /// Someone took the fence away: the target was failed over to by hand.
    FenceLifted {
        /// The context, or the subject, that lost it.
        on: String,
    },
    /// The target's registry can't hold what the link would write.
    Unfit {
        /// What the target's dialect is taken for, and why.
        target: String,
        /// What does not fit.
        what: Unfit,
    },
    /// A record showed that the target's registry is another one than what was read until then said.
    OtherRegistry {
        /// What the target's dialect is taken for now, and why.
        target: String,
    },
    /// The link's list of rules gives one name to two subjects of the source.
    SharedNames {
        /// Some of them: two subjects of the source, and what both would be called.
        named: Vec<[Subject; 3]>,
        /// So many names.
        count: usize,
    },
    /// The brake.
    Brake {
        /// Why the deletes are not believed.
        suspicion: Suspicion,
        /// Subjects that would be deleted.
        deleted: usize,
        /// The source's end: the release is bound to it.
        source_end: Offset,
    },
}

impl Halt {
    /// Why, and what lets the link go on, in the words of the place where it is steered.
    #[must_use]
    pub fn told(&self, leave: Leave<'_>) -> String {
        match self {
            Self::Occupied { named, count } => {
                let mut keys: Vec<String> = named.iter().map(Key::to_string).collect();
                if *count > named.len() {
                    keys.push("…".to_owned());
                }
                format!(
                    "the scope holds {count} keys that this link did not write: {}. Copy into another \
                     context, or let the link own and change them with {}",
                    keys.join(", "),
                    leave.adopt()
                )
            }
            Self::FenceLifted { on } => format!(
                "{}, or deleted it, as a fail-over by hand does. Nothing more is written there. To go \
                 on, set its mode back to READONLY in the target's registry{}",
                Self::lifted_on(on),
                leave.fence_again()
            ),
            Self::Unfit { target, what } => format!(
                "the target's registry is {target}: {}; {}. If it is another one, {}",
                Unfit::WHY,
                what.mend(),
                leave.declare()
            ),
            Self::OtherRegistry { target } => format!(
                "the target's registry turns out to be {target}, and the link wrote as for another \
                 one. {} to go on by what stands there, or {}",
                leave.begin_again(),
                leave.declare()
            ),
            Self::SharedNames { named, count } => {
                let mut pairs: Vec<String> = named
                    .iter()
                    .map(|[first, second, target]| {
                        format!("{first} and {second} would both be called {target}")
                    })
                    .collect();
                if *count > named.len() {
                    pairs.push(format!("… {count} names in all"));
                }
                format!(
                    "two subjects would become one: {}. Nothing is written: give one of them another \
                     name by a rule of the list before, or leave it out of the subjects",
                    pairs.join("; ")
                )
            }
            Self::Brake { suspicion, deleted, source_end } => format!(
                "brake: {suspicion}; {deleted} subjects wait to be deleted. If that is right, {}",
                leave.release(*source_end)
            ),
        }
    }
}

impl Halt {
    /// Whether these are the words of a link that halted because the fence of this context was lifted.
    #[must_use]
    pub fn tells_of_fence(told: &str, context: &ContextName) -> bool {
        let rest = told.strip_prefix(&Self::lifted_on(&Self::place_of(context)));
        rest.is_some_and(|rest| rest.starts_with(','))
    }

    fn lifted_on(place: &str) -> String {
        format!("fence lifted: someone set another mode on {place}")
    }

    /// A context as a sentence names it.
    pub(super) fn place_of(context: &ContextName) -> String {
        if context.is_default() {
            "the default context".to_owned()
        } else {
            format!("context {context}")
        }
    }
}

impl Link {
    /// Whether the link may begin: the fence stands, and on a first start the scope is free.
    ///
    /// # Errors
    /// [`Halt::Unfit`], [`Halt::FenceLifted`] or [`Halt::Occupied`].
    pub fn admit(&mut self) -> Result<(), Halt> {
        self.check_dialect()?;
        self.follow_again();
        self.check_fences()?;
        if self.history.claimed || self.permissions.adopt {
            return Ok(());
        }
        let foreign = self.foreign_keys();
        if foreign.is_empty() {
            return Ok(());
        }
        let named = foreign.iter().take(NAMED_MAX).cloned().collect();
        Err(Halt::Occupied { named, count: foreign.len() })
    }

    /// Whether every fence that the link set still stands.
    ///
    /// # Errors
    /// [`Halt::FenceLifted`].
    pub fn check_fences(&self) -> Result<(), Halt> {
        if self.fence() == Fence::None {
            return Ok(());
        }
        for context in self.scope_contexts() {
            if !self.rules.owns_context(&context) {
                continue;
            }
            let subject = Subject::of_context(&context);
            let held = self.target.subject(&subject).and_then(|view| view.mode.as_ref());
            let set_at = held.map(|held| held.stamp.offset);
            if self.permissions.fence_again.covers(&context, set_at) {
                continue;
            }
            let lifted = match held {
                Some(held) => {
                    let known = self.history.claimed || self.has_own_schemas(&context);
                    !held.mode.fences() && held.stamp.origin != Origin::Ours && known
                }
                // Every context gets its fence before its first schema.
                None => self.has_own_schemas(&context) && !self.history.unfenced,
            };
            if lifted {
                return Err(Halt::FenceLifted { on: Halt::place_of(&context) });
            }
        }
        Ok(())
    }

    /// The link's contexts that are fenced with IMPORT, which keeps plain registrations out but
    /// neither deletions nor changes of settings (rulings 12).
    pub fn fenced_with_import(&self) -> impl Iterator<Item = ContextName> {
        self.scope_contexts().into_iter().filter(|context| {
            let held = self.target.subject(&Subject::of_context(context));
            let mode = held.and_then(|held| held.mode.as_ref()).map(|held| held.mode);
            self.rules.owns_context(context)
                && self.dialect().has_modes()
                && mode == Some(Mode::Import)
        })
    }

    /// The target is what the source says: what an operator allowed for this start is used up, and a
    /// fence that is lifted from now on is respected (rulings 13).
    pub fn brought_up(&mut self) {
        let steered = self.permissions.steered;
        self.permissions = Permissions { steered, ..Permissions::default() };
        self.history.claimed = true;
        self.history.unfenced = false;
    }

    /// Whether the scope holds nothing but the opening of the link's own context: then the source can
    /// be written straight through. Whatever else an earlier life left there may have to go.
    #[must_use]
    pub fn scope_is_empty(&self) -> bool {
        let own = self.rules.own_context();
        self.scope_contexts().iter().all(|context| {
            let is_own = own.as_ref() == Some(context);
            self.target.context(context).is_none_or(|view| {
                let opened = view.declared.is_some() && self.rules.owns_context(context);
                (is_own || !opened)
                    && view.subjects().all(|(name, held)| {
                        let subject =
                            || Subject { context: context.clone(), name: Arc::clone(name) };
                        let is_opening = is_own && name.is_empty();
                        let holds = !held.versions().is_empty()
                            || (held.config.is_some() || held.mode.is_some()) && !is_opening;
                        !holds || !self.owns(&subject())
                    })
            })
        })
    }

    /// Whether a record can be decided the moment it is read: nothing that comes later in the log
    /// can bring a subject into the scope, show that the filter leaves a reference behind, or take a
    /// name that was given already.
    #[must_use]
    pub fn can_stream(&self) -> bool {
        self.rules.filter.is_whole_contexts()
            && !self.has_list()
            && !self.dialect().needs_referenced_first()
    }

    /// The contexts of the target in which the link owns something.
    pub(super) fn scope_contexts(&self) -> Vec<ContextName> {
        let mut contexts: Vec<ContextName> = self
            .target
            .contexts()
            .filter(|(context, view)| {
                self.rules.owns_context(context)
                    || (self.rules.owns_parts()
                        && view.subjects().any(|(name, _)| {
                            self.owns(&Subject {
                                context: (*context).clone(),
                                name: Arc::clone(name),
                            })
                        }))
            })
            .map(|(context, _)| context.clone())
            .collect();
        for (context, _) in self.source().contexts() {
            contexts.extend(self.rules.place_context(context));
        }
        contexts.extend(self.rules.own_context());
        contexts.sort();
        contexts.dedup();
        contexts
    }

    fn has_own_schemas(&self, context: &ContextName) -> bool {
        self.target
            .context(context)
            .is_some_and(|view| view.subjects().any(|(_, held)| self.wrote(held)))
    }

    /// Whether the link wrote a version of the subject. What it adopts at its first start stands
    /// there without a fence.
    pub(super) fn wrote(&self, held: &SubjectView) -> bool {
        held.versions().iter().any(|version| {
            version.origin.is_link()
                && (self.history.claimed || version.offset >= self.history.adopted_below)
        })
    }

    /// Keys of the scope that someone else wrote and that say something else than we would.
    fn foreign_keys(&self) -> Vec<Key> {
        let mut foreign = Vec::new();
        for key in self.target_keys() {
            let Some(Origin::Registry | Origin::OtherLink) = self.target_holder(&key) else {
                continue;
            };
            let ours = match self.decide(&key) {
                Verdict::InSync | Verdict::NotSelected => true,
                // A mode that opens one subject holds that subject only.
                Verdict::Held(_) => true,
                Verdict::Write(writes) => {
                    writes.iter().all(|write| write.change == Change::Context)
                }
                Verdict::Incident(..) => false,
            };
            if !ours {
                foreign.push(key);
            }
        }
        foreign
    }

    /// Every key that the target holds in the link's scope, registry-wide order.
    pub(super) fn target_keys(&self) -> Vec<Key> {
        let mut keys = Vec::new();
        for context in self.scope_contexts() {
            let Some(view) = self.target.context(&context) else { continue };
            if view.declared.is_some() {
                keys.push(Key::Context(context.clone()));
            }
            for (name, held) in view.subjects() {
                let subject = Subject { context: context.clone(), name: Arc::clone(name) };
                if held.mode.is_some() {
                    keys.push(Key::Mode(subject.clone()));
                }
                if held.config.is_some() {
                    keys.push(Key::Config(subject.clone()));
                }
                keys.extend(
                    held.versions().iter().map(|held| Key::Schema(subject.clone(), held.version)),
                );
            }
            keys.extend(
                view.losers()
                    .map(|(name, version)| Key::Schema(Subject::new(&context, name), version)),
            );
        }
        let associations = self.target.associations().keys();
        keys.extend(associations.map(|held| Key::Association(Box::new(held.clone()))));
        keys.retain(|key| self.owns_key(key));
        keys
    }
}
