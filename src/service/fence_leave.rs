//! Leave to set fences again, given while the process runs. It is kept in our own topic on the target for
//! whichever instance writes the scope next, and goes once that has brought the target up.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;

use crate::core::link::FenceAgain;
use crate::core::record::Offset;
use crate::core::record::Outgoing;
use crate::core::rules::Scope;
use crate::core::subject::ContextName;
use crate::service::state::FORMAT;
use crate::service::state::StateKey;
use crate::service::state::scope_name;

/// Leave counts for so long: a link that goes on later, as after a pause, is told anew. In that time a
/// fence that was lifted by deleting its mode, which leaves no offset to compare, is set again.
const VALID_MS: i64 = 10 * 60 * 1_000;

/// Leave for one scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceLeave {
    /// See [`FORMAT`].
    pub format: u32,
    /// The link.
    pub link: String,
    /// What it owns.
    pub scope: Scope,
    /// When it was given, in ms since 1970, by the clock of whoever took it.
    pub at_ms: i64,
    /// It holds for every fence that was lifted before this target offset.
    #[serde(default)]
    pub lifted: Option<Offset>,
    /// Contexts whose fence was asked for by name, each with the target's end then.
    #[serde(default)]
    pub contexts: BTreeMap<String, Offset>,
}

impl FenceLeave {
    /// What such records are called in our topic.
    pub(super) const KIND: &str = "fence_leave";

    /// Leave that is given now for one context, or for every fence that was lifted where none is named,
    /// while the target ends at this offset.
    #[must_use]
    pub fn new(
        (link, scope): (&str, &Scope),
        context: Option<&ContextName>,
        end: Offset,
        at_ms: i64,
    ) -> Self {
        Self {
            format: FORMAT,
            link: link.to_owned(),
            scope: scope.clone(),
            at_ms,
            lifted: context.is_none().then_some(end),
            contexts: context.iter().map(|context| (context.to_string(), end)).collect(),
        }
    }

    /// The same together with what was given before and is not used yet.
    #[must_use]
    pub fn and(mut self, earlier: Option<&Self>) -> Self {
        if let Some(earlier) = earlier {
            self.lifted = self.lifted.max(earlier.lifted);
            for (context, end) in &earlier.contexts {
                self.contexts.entry(context.clone()).or_insert(*end);
            }
        }
        self
    }

    /// Whether it counts at this time: within minutes of it, since clocks differ.
    #[must_use]
    pub fn is_valid(&self, wall_ms: i64) -> bool {
        wall_ms.abs_diff(self.at_ms) <= VALID_MS.unsigned_abs()
    }

    /// What the link may do.
    #[must_use]
    pub fn allows(&self) -> FenceAgain {
        let named = self.contexts.iter().map(|(name, end)| (ContextName::from_record(name), *end));
        FenceAgain { lifted: self.lifted, named: named.collect() }
    }

    /// The record that keeps it.
    #[must_use]
    pub fn record(&self) -> Outgoing {
        let value = serde_json::to_vec(self).ok();
        Outgoing { value, ..Self::withdrawal(&self.scope) }
    }

    /// The record that takes it away.
    #[must_use]
    pub fn withdrawal(scope: &Scope) -> Outgoing {
        Outgoing { key: StateKey::spelled(Self::KIND, scope_name(scope)), ..Outgoing::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::state::State;
    use crate::service::state::stored;

    fn scope() -> Scope {
        Scope { patterns: vec![":.dr:*".to_owned()], below: None }
    }

    #[test]
    fn a_leave_is_kept_until_it_is_taken_away_and_adds_up() {
        let context = ContextName::new("dr").unwrap();
        let named = FenceLeave::new(("x", &scope()), Some(&context), 7, 0);
        let all = FenceLeave::new(("x", &scope()), None, 9, 5).and(Some(&named));
        let state = State::fold(&[stored(named.record()), stored(all.record())]).unwrap();
        let held = state.fence_leave("x", &scope(), 6).unwrap().allows();
        let both = FenceAgain { lifted: Some(9), named: BTreeMap::from([(context, 7)]) };
        assert_eq!(held, both);
        assert_eq!(state.fence_leave("y", &scope(), 6), None, "it was given to another link");
        let gone = [stored(all.record()), stored(FenceLeave::withdrawal(&scope()))];
        assert_eq!(State::fold(&gone).unwrap(), State::default());
    }

    #[test]
    fn a_leave_that_was_never_used_covers_no_fence_that_is_lifted_later() {
        let leave = FenceLeave::new(("x", &scope()), None, 9, 1_000_000);
        let state = State::fold(&[stored(leave.record())]).unwrap();
        let holds = |wall_ms| state.fence_leave("x", &scope(), wall_ms).is_some();
        assert!(holds(1_000_000) && holds(1_600_000));
        assert!(holds(900_000), "another host's clock is behind");
        assert!(!holds(1_600_001));
    }
}
