//! Levels that subjects inherit on either side, where the link does not own their context.

use super::Link;
use crate::core::rules::Compatibility;
use crate::core::subject::ContextName;
use crate::core::subject::Subject;
use crate::core::view::View;

/// Subjects that inherit another compatibility level in the target than in the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherLevel {
    /// Their context, on both sides.
    pub context: ContextName,
    /// The level in the source.
    pub source: Compatibility,
    /// The level in the target; a registry's own default where no record says one.
    pub target: Compatibility,
    /// The subjects that have no level of their own.
    pub subjects: Vec<Subject>,
}

impl Link {
    /// Chosen subjects without settings of their own whose inherited level differs. A link that
    /// owns only some subjects of a context does not write the context's settings (rulings 16).
    #[must_use]
    pub fn other_levels(&self) -> Vec<OtherLevel> {
        let mut found = Vec::new();
        for (context, view) in self.source().contexts() {
            let Some(placed) = self.rules().place_context(context) else { continue };
            if !self.fences_subjects(&placed) {
                continue;
            }
            let default = self.rules().default_compatibility;
            let source = level(self.source(), context).unwrap_or(default);
            let target = level(self.target(), &placed).unwrap_or(Compatibility::Backward);
            let subjects: Vec<Subject> = view
                .subjects()
                .filter(|(_, held)| {
                    held.is_live()
                        && held.config.as_ref().is_none_or(|config| config.value.level.is_none())
                })
                .map(|(name, _)| Subject::new(context, name))
                .filter(|subject| !subject.is_context() && self.selects(subject))
                .collect();
            if source != target && !subjects.is_empty() {
                found.push(OtherLevel { context: placed, source, target, subjects });
            }
        }
        found
    }
}

/// The level that a context's subjects inherit: the context's own, else the registry-wide one.
fn level(view: &View, context: &ContextName) -> Option<Compatibility> {
    let of = |context: &ContextName| {
        view.subject(&Subject::of_context(context))?.config.as_ref()?.value.level
    };
    of(context).or_else(|| of(&ContextName::from_record(".__GLOBAL")))
}
