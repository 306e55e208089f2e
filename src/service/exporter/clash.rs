//! Links that would write the same keys of a target.

use super::ContextType;
use super::Desk;
use super::Exporter;
use super::Refused;
use crate::core::rules::Placement;
use crate::core::rules::Rules;
use crate::core::rules::Scope;
use crate::core::subject::ContextName;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;

impl<C: Cluster, K: Clock> Desk<C, K> {
    /// Refuses a link where another one to the same target would own some of the same keys. Which
    /// context AUTO means is known when a link runs; two of one source mean the same.
    pub(super) fn refuse_clash(&self, target: &str, exporter: &Exporter) -> Result<(), Refused> {
        let Some(own) = self.scope_in(target, exporter) else { return Ok(()) };
        let of_file = self.fixed.iter().filter(|link| link.target == target).map(|link| {
            let scope = scope_of(&link.source, link.described.context_type, &link.rules);
            (link.described.name.clone(), scope)
        });
        let kept = self.shelf.all().into_iter().map(|kept| (kept.target, kept.exporter));
        let kept = kept.filter(|(to, other)| to == target && other.id() != exporter.id());
        let kept = kept.filter_map(|(to, other)| {
            let scope = self.scope_in(&to, &other)?;
            Some((other.name, scope))
        });
        match of_file.chain(kept).find(|(_, scope)| scope.overlaps(&own)) {
            None => Ok(()),
            Some((other, _)) => Err(Refused::Config(format!(
                "link {other} writes to the same context, or the same subjects, of {target}, and each part \
                 of it has one writer: give this link another context, or let {other} copy more subjects"
            ))),
        }
    }

    /// What a link owns in its target; `None` where this process could not run it.
    fn scope_in(&self, target: &str, exporter: &Exporter) -> Option<Scope> {
        let (source, target) = (self.endpoints.get(&exporter.source)?, self.endpoints.get(target)?);
        let link = exporter.link(source, target, &self.instance).ok()?;
        Some(scope_of(&exporter.source, exporter.context_type, &link.rules))
    }
}

fn scope_of(source: &str, context_type: ContextType, rules: &Rules) -> Scope {
    match context_type {
        ContextType::Auto => {
            let stands_in = ContextName::from_record(&format!(".auto.{source}"));
            Rules { placement: Placement::Into(stands_in), ..rules.clone() }.scope()
        }
        ContextType::Custom | ContextType::None | ContextType::Default => rules.scope(),
    }
}
