//! What a link calls subjects in the target.

use std::fmt;
use std::sync::Arc;

use crate::core::format::SubjectFormat;
use crate::core::renames::RenameList;

/// A way to name the source's subjects in the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Naming {
    /// By a format, which gives every subject a name of its own; by default they keep theirs.
    Format(SubjectFormat),
    /// By a list of rules, which may give one name to two.
    List(RenameList),
}

impl Default for Naming {
    fn default() -> Self {
        Self::Format(SubjectFormat::default())
    }
}

impl Naming {
    /// Whether all subjects keep the names they have.
    #[must_use]
    pub fn keeps_names(&self) -> bool {
        match self {
            Self::Format(format) => format.keeps_names(),
            Self::List(_) => false,
        }
    }

    /// The name in the target. The empty one, which stands for a context itself, stays.
    #[must_use]
    pub fn rename(&self, name: &Arc<str>) -> Arc<str> {
        match self {
            Self::Format(format) => format.rename(name),
            Self::List(list) => list.rename(name),
        }
    }

    /// The name in the source, as far as the definition alone tells: of a list only that a name which
    /// it keeps may be one.
    #[must_use]
    pub fn original(&self, renamed: &Arc<str>) -> Option<Arc<str>> {
        match self {
            Self::Format(format) => format.original(renamed),
            Self::List(list) => list.keeps(renamed).then(|| Arc::clone(renamed)),
        }
    }
}

/// How it is spelled for people and in fingerprints: the format, or the list as JSON.
impl fmt::Display for Naming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format(format) => format.fmt(f),
            Self::List(list) => list.fmt(f),
        }
    }
}
