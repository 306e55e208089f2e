//! What is asked for of an exporter, before it is one.

use std::collections::BTreeMap;

use super::ContextType;
use super::Refused;

/// What is asked for; what is left out stays as it is, or gets its default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// Where subjects go.
    pub context_type: Option<ContextType>,
    /// The context, with or without its dot.
    pub context: Option<String>,
    /// Which subjects.
    pub subjects: Option<Vec<String>>,
    /// What they are called.
    pub subject_rename_format: Option<String>,
    /// What keys of encryption are called.
    pub kek_rename_format: Option<String>,
    /// Where to, and credentials, which are not kept.
    pub config: Option<BTreeMap<String, String>>,
}

impl Asked {
    /// Refuses a context beside a type that takes none: subjects would go where nobody meant them to.
    /// The default context is said by whoever sends back what a registry told.
    pub(super) fn refuse_idle_context(&self) -> Result<(), Refused> {
        let context_type = match self.context_type {
            Some(ContextType::Auto) => "AUTO",
            Some(ContextType::None) => "NONE",
            Some(ContextType::Default) => "DEFAULT",
            Some(ContextType::Custom) | None => return Ok(()),
        };
        match self.context.as_deref() {
            None | Some("" | ".") => Ok(()),
            Some(context) => Err(Refused::Config(format!(
                "contextType {context_type} takes no context, and {context} is given: leave that out, or give \
                 contextType CUSTOM"
            ))),
        }
    }

    /// Says that a list of subjects chooses nothing: it counts as left out.
    pub(super) fn warn_of_no_subjects(&self, source: &str, link: &str) {
        if self.subjects.as_ref().is_some_and(Vec::is_empty) {
            tracing::warn!(
                link,
                source,
                "an empty list of subjects would choose nothing, and counts as left out"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_stands_beside_custom_alone() {
        let check = |context_type, context: &str, is_taken: bool| {
            let context = Some(context.to_owned());
            let asked = Asked { context_type, context, ..Asked::default() };
            assert_eq!(asked.refuse_idle_context().is_ok(), is_taken, "{asked:?}");
        };
        check(None, "source", true);
        check(Some(ContextType::Custom), "source", true);
        for context_type in [ContextType::Auto, ContextType::None, ContextType::Default] {
            check(Some(context_type), "source", false);
            check(Some(context_type), ".", true);
            check(Some(context_type), "", true);
        }
    }
}
