//! Leave to set a fence again that someone else lifted (rulings 13): it counts once.

use std::collections::BTreeMap;

use crate::core::record::Offset;
use crate::core::subject::ContextName;

/// Which fences a link may set again; none, if nobody said so. A mode that came behind the leave is
/// respected: each holds up to the target offset at which it was given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FenceAgain {
    /// Every one that was lifted.
    pub lifted: Option<Offset>,
    /// Contexts whose fence an operator asked for by name: it is set there whatever mode stands.
    pub named: BTreeMap<ContextName, Offset>,
}

impl FenceAgain {
    /// Every one that was lifted, as it is said at the start of a process.
    #[must_use]
    pub fn all() -> Self {
        Self { lifted: Some(Offset::MAX), named: BTreeMap::new() }
    }

    /// Whether the fence of a context may be set again where someone else's mode was set at this target
    /// offset; `None` is a mode that was deleted.
    pub(super) fn covers(&self, context: &ContextName, set_at: Option<Offset>) -> bool {
        self.covers_lifted(set_at) || self.names(context, set_at)
    }

    /// The same of one subject.
    pub(super) fn covers_lifted(&self, set_at: Option<Offset>) -> bool {
        self.lifted.is_some_and(|before| set_at.is_none_or(|offset| offset < before))
    }

    /// Whether the fence was asked for by name, and then counts more than another one.
    pub(super) fn names(&self, context: &ContextName, set_at: Option<Offset>) -> bool {
        let before = self.named.get(context);
        before.is_some_and(|before| set_at.is_none_or(|offset| offset < *before))
    }
}
