//! What a link was told to do: its definition, apart from clusters and connections.

use std::fmt;
use std::sync::Arc;

use crate::core::dialect::Dialect;
use crate::core::filter::SubjectFilter;
use crate::core::naming::Naming;
use crate::core::subject::ContextName;
use crate::core::subject::Subject;

/// Longer names don't fit into the names of groups.
pub const LINK_NAME_CHARS_MAX: usize = 100;

/// Whether a link can have this name: letters, digits, `-`, `_` and `.`; not what paths are made of.
#[must_use]
pub fn is_link_name(given: &str) -> bool {
    let in_alphabet = given.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let is_sized = (1..=LINK_NAME_CHARS_MAX).contains(&given.len());
    in_alphabet && is_sized && given != "." && given != ".."
}

/// Where the source's subjects stand in the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placement {
    /// In a context of the target; named contexts of the source behind its name.
    Into(ContextName),
    /// Under the names they have.
    Same,
}

/// The mode that keeps clients of the target's registry out of what the link owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fence {
    /// No registration, no deletion, no change of settings over REST.
    Readonly,
    /// Keeps plain registrations out, but neither deletions nor changes of settings.
    Import,
    /// No mode is written.
    None,
}

impl Fence {
    /// The word for it, in a file and over REST.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Readonly => "readonly",
            Self::Import => "import",
            Self::None => "none",
        }
    }
}

/// What is done about a reference, or an alias, that the link's own filter leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum References {
    /// The whole subject that it points to is taken, and what that one references.
    Follow,
    /// The record that refers is held and said so.
    Hold,
}

/// What is done when the target differs in the scope though the link wrote nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriftPolicy {
    /// Keys of the link that are missing or changed are restored.
    Repair,
    /// They are reported.
    Report,
}

/// A level of compatibility, spelled as records spell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compatibility {
    /// NONE
    None,
    /// BACKWARD
    Backward,
    /// BACKWARD_TRANSITIVE
    BackwardTransitive,
    /// FORWARD
    Forward,
    /// FORWARD_TRANSITIVE
    ForwardTransitive,
    /// FULL
    Full,
    /// FULL_TRANSITIVE
    FullTransitive,
}

impl Compatibility {
    /// All levels.
    pub const ALL: [Self; 7] = [
        Self::None,
        Self::Backward,
        Self::BackwardTransitive,
        Self::Forward,
        Self::ForwardTransitive,
        Self::Full,
        Self::FullTransitive,
    ];

    /// The level with exactly this name; registries skip a record with another one.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == name)
    }

    /// The level's name in a record.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Backward => "BACKWARD",
            Self::BackwardTransitive => "BACKWARD_TRANSITIVE",
            Self::Forward => "FORWARD",
            Self::ForwardTransitive => "FORWARD_TRANSITIVE",
            Self::Full => "FULL",
            Self::FullTransitive => "FULL_TRANSITIVE",
        }
    }
}

/// A share of deletes above which a link halts: both bounds have to be passed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeleteLimit {
    /// Share of the scope's live subjects, 0.0 to 1.0.
    pub share_max: f64,
    /// So many deleted subjects are never too many.
    pub subjects_min: usize,
}

impl Default for DeleteLimit {
    fn default() -> Self {
        Self { share_max: 0.2, subjects_min: 10 }
    }
}

/// The definition of a link, as far as it decides about records.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The link's name.
    pub name: String,
    /// Where subjects go.
    pub placement: Placement,
    /// What they are called there.
    pub naming: Naming,
    /// Which subjects go there.
    pub filter: SubjectFilter,
    /// The fence on what the link owns.
    pub fence: Fence,
    /// What to do about references that the filter leaves behind.
    pub references: References,
    /// What to do about drift.
    pub drift: DriftPolicy,
    /// The level of a context whose source says none.
    pub default_compatibility: Compatibility,
    /// How the source's registry spells.
    pub source_dialect: Dialect,
    /// How the target's registry spells, and what it reads.
    pub target_dialect: Dialect,
    /// When too much is deleted.
    pub delete_limit: DeleteLimit,
}

#[cfg(test)]
impl Rules {
    /// A link into a context that copies these subjects, with what is the default otherwise.
    pub(crate) fn of_test(context: &str, subjects: &[&str]) -> Self {
        Self {
            name: context.to_owned(),
            placement: Placement::Into(ContextName::new(context).unwrap()),
            naming: Naming::default(),
            filter: SubjectFilter::parse(subjects).unwrap(),
            fence: Fence::Readonly,
            references: References::Follow,
            drift: DriftPolicy::Repair,
            default_compatibility: Compatibility::Backward,
            source_dialect: Dialect::Auto,
            target_dialect: Dialect::Auto,
            delete_limit: DeleteLimit::default(),
        }
    }
}

impl Rules {
    /// Where a subject of the source stands in the target; `None` where its context is not asked
    /// for, and where it is [misnamed](Self::misnamed). Says nothing about whether the subject itself
    /// is chosen.
    #[must_use]
    pub fn place(&self, source: &Subject) -> Option<Subject> {
        self.named(source).filter(|named| !self.is_misnamed(source, named))
    }

    /// The name that a list of rules gives to a subject though none can have it, and why none can.
    #[must_use]
    pub fn misnamed(&self, source: &Subject) -> Option<(Subject, &'static str)> {
        let named = self.named(source).filter(|named| self.is_misnamed(source, named))?;
        let defect = unfit_name(&named)?;
        Some((named, defect))
    }

    fn named(&self, source: &Subject) -> Option<Subject> {
        let context = self.place_context(&source.context)?;
        Some(Subject { context, name: self.naming.rename(&source.name) })
    }

    /// What a format adds makes no name that none can have, and no name is refused for what it was.
    fn is_misnamed(&self, source: &Subject, named: &Subject) -> bool {
        matches!(self.naming, Naming::List(_))
            && named.name != source.name
            && unfit_name(named).is_some()
    }

    /// The target's context for one of the source. This is the one place that puts a context on a
    /// subject. Contexts are never flattened.
    #[must_use]
    pub fn place_context(&self, source: &ContextName) -> Option<ContextName> {
        if !self.filter.touches(source) {
            return None;
        }
        match &self.placement {
            Placement::Into(context) => Some(context.join(source)),
            Placement::Same => Some(source.clone()),
        }
    }

    /// The subject of the source that would stand here in the target: the inverse of
    /// [`place`](Self::place). A list of rules can't be inverted: of what it renames a
    /// [`Link`](crate::core::link::Link) knows by its source where it came from.
    #[must_use]
    pub fn unplace(&self, target: &Subject) -> Option<Subject> {
        let context = match &self.placement {
            Placement::Into(context) => context.unjoin(&target.context)?,
            Placement::Same => target.context.clone(),
        };
        if !self.filter.touches(&context) {
            return None;
        }
        Some(Subject { context, name: self.naming.original(&target.name)? })
    }

    /// Whether the link owns this subject of the target and may write and delete it. With a context
    /// it owns that whole context whatever the filter says; without one, what the filter chooses.
    #[must_use]
    pub fn owns(&self, target: &Subject) -> bool {
        match &self.placement {
            Placement::Into(context) => {
                target.context == *context
                    || context
                        .unjoin(&target.context)
                        .is_some_and(|source| self.filter.touches(&source))
            }
            // A context holds more than the names that the link gives.
            Placement::Same if target.is_context() => {
                self.naming.keeps_names() && self.filter.selects(target)
            }
            Placement::Same => {
                self.unplace(target).is_some_and(|source| self.filter.selects(&source))
            }
        }
    }

    /// The context of the target that belongs to the link from its first start, whatever the source
    /// holds: the one it is given, or the default one where it takes all of that.
    #[must_use]
    pub fn own_context(&self) -> Option<ContextName> {
        match &self.placement {
            Placement::Into(context) => Some(context.clone()),
            Placement::Same => {
                Some(ContextName::default_context()).filter(|own| self.owns_context(own))
            }
        }
    }

    /// Whether the link can own some subjects of a context and not others: only without a context
    /// of its own.
    #[must_use]
    pub fn owns_parts(&self) -> bool {
        self.placement == Placement::Same
    }

    /// Whether a link can't be made of the rules: a claim on a part of the default context can't say
    /// which names a list gives and which it takes from others, so a list needs a context.
    #[must_use]
    pub fn lacks_context(&self) -> bool {
        self.placement == Placement::Same && matches!(self.naming, Naming::List(_))
    }

    /// Whether subjects stand in the target under the names and contexts that they have in the source.
    #[must_use]
    pub fn keeps_names(&self) -> bool {
        self.placement == Placement::Same && self.naming.keeps_names()
    }

    /// Whether the link owns the whole context in the target.
    #[must_use]
    pub fn owns_context(&self, target: &ContextName) -> bool {
        self.owns(&Subject::of_context(target))
    }

    /// Whether some key could be in the scope of both links.
    #[must_use]
    pub fn scope(&self) -> Scope {
        match &self.placement {
            Placement::Into(context) => {
                let mut patterns = vec![format!(":{context}:*")];
                if self.filter.touches_all_contexts() {
                    return Scope { patterns, below: Some(context.to_string()) };
                }
                for named in self.filter.named_contexts() {
                    if !named.is_default() {
                        patterns.push(format!(":{}:*", context.join(named)));
                    }
                }
                Scope { patterns, below: None }
            }
            Placement::Same => {
                let patterns = match &self.naming {
                    Naming::Format(format) => self.filter.renamed(format),
                    // Nobody makes such a link, see `lacks_context`.
                    Naming::List(_) => self.filter.spelled(),
                };
                Scope { patterns, below: None }
            }
        }
    }

    /// Why a registry of this dialect can't hold what the link would write there.
    #[must_use]
    pub fn unfit_for(&self, target: Dialect) -> Option<Unfit> {
        let names_contexts = self.filter.touches_all_contexts()
            || self.filter.named_contexts().iter().any(|context| !context.is_default());
        match self.placement {
            _ if target.has_contexts() => None,
            Placement::Into(_) => Some(Unfit::Context),
            Placement::Same if names_contexts => Some(Unfit::Subjects),
            Placement::Same => None,
        }
    }

    /// Everything of the definition that decides about records, as one line; another line means
    /// another definition.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut line = format!(
            "{:?} {:?} {:?} {:?} {} {} {}",
            self.placement,
            self.filter.spelled(),
            self.fence,
            self.references,
            self.default_compatibility.as_str(),
            self.source_dialect,
            self.target_dialect,
        );
        // Checkpoints of links that rename nothing were kept before there were formats.
        if !self.naming.keeps_names() {
            line = format!("{line} {}", self.naming);
        }
        line
    }
}

/// Why a name can't be given: to a reference beside it, which is not qualified, it would mean a subject
/// of another context.
fn unfit_name(named: &Subject) -> Option<&'static str> {
    let bare = Subject { context: ContextName::default_context(), name: Arc::clone(&named.name) };
    named.defect().or_else(|| bare.defect())
}

/// What a registry without contexts can't hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// The link's own context.
    Context,
    /// Subjects of the source's named contexts.
    Subjects,
}

impl Unfit {
    /// Why not.
    pub const WHY: &str = "it has no contexts, and one space of ids";

    /// What to do instead.
    #[must_use]
    pub fn mend(self) -> &'static str {
        match self {
            Self::Context => "copy with context: none",
            Self::Subjects => "choose subjects of the default context only",
        }
    }
}

/// The keys of a target that a link owns, in a form that can be stored and compared with those of
/// other links.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Scope {
    /// Patterns of the target's subjects, as [`SubjectFilter`] reads them.
    pub patterns: Vec<String>,
    /// All contexts whose name begins with this one and a dot are owned, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<String>,
}

impl Scope {
    /// Whether some subject could be owned by both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let (Ok(own), Ok(theirs)) =
            (SubjectFilter::parse(&self.patterns), SubjectFilter::parse(&other.patterns))
        else {
            return true;
        };
        own.may_overlap(&theirs)
            || self.reaches_below(other, &theirs)
            || other.reaches_below(self, &own)
    }

    /// Whether a subject of the target belongs to the scope.
    #[must_use]
    pub fn contains(&self, target: &Subject) -> bool {
        self.filter().contains(target)
    }

    /// The scope in a form that answers for many subjects.
    #[must_use]
    pub fn filter(&self) -> ScopeFilter {
        ScopeFilter {
            patterns: SubjectFilter::parse(&self.patterns).ok(),
            below: self.below.clone(),
        }
    }

    fn reaches_below(&self, other: &Self, theirs: &SubjectFilter) -> bool {
        let Some(root) = &self.below else { return false };
        theirs.touches_all_contexts()
            || theirs.named_contexts().iter().any(|context| is_below(root, context.as_str()))
            || other.below.as_ref().is_some_and(|below| {
                below == root || is_below(root, below) || is_below(below, root)
            })
    }
}

/// A scope whose patterns are read already.
#[derive(Debug, Clone)]
pub struct ScopeFilter {
    patterns: Option<SubjectFilter>,
    below: Option<String>,
}

impl ScopeFilter {
    /// Whether a subject of the target belongs to the scope.
    #[must_use]
    pub fn contains(&self, target: &Subject) -> bool {
        self.below.as_ref().is_some_and(|root| is_below(root, target.context.as_str()))
            || self.patterns.as_ref().is_some_and(|patterns| patterns.selects(target))
    }
}

fn is_below(root: &str, context: &str) -> bool {
    context.strip_prefix(root).is_some_and(|rest| rest.starts_with('.') && rest != ".")
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.patterns.join(", "))?;
        match &self.below {
            Some(root) => write!(f, ", :{root}.…:*"),
            None => Ok(()),
        }
    }
}
