//! Subjects and the contexts that keep them and their ids apart.
//!
//! The grammar is Confluent's `QualifiedSubject` (schema-registry, `client/…/utils`): a context
//! starts with a dot and is written between colons before the name, `:.source:pageviews-value`.

use std::fmt;
use std::sync::Arc;
use std::sync::LazyLock;

/// The name of the context that subjects without a qualifier belong to.
const DEFAULT: &str = ".";
/// The pseudo-context of registry-wide settings (since 7.9.3, 8.0.1).
const GLOBAL: &str = ".__GLOBAL";

/// A context's name with its leading dot; `.` is the default context.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContextName(Arc<str>);

/// What is wrong with a context's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is not a context: {reason}")]
pub struct NotAContext {
    /// What was given.
    pub given: String,
    /// Why it can't be one.
    pub reason: &'static str,
}

impl ContextName {
    /// The default context, `.`.
    #[must_use]
    pub fn default_context() -> Self {
        static SHARED: LazyLock<ContextName> = LazyLock::new(|| ContextName(Arc::from(DEFAULT)));
        SHARED.clone()
    }

    /// A context to be made or owned, as people write it: `.source`; the leading dot may be
    /// missing, colons may not be there.
    ///
    /// # Errors
    /// Names that a registry can't address: empty, with a colon, with a control character, the
    /// wildcard and the pseudo-context of global settings.
    pub fn new(given: &str) -> Result<Self, NotAContext> {
        let dotted = if given.starts_with('.') { given.to_owned() } else { format!(".{given}") };
        let refuse = |reason| Err(NotAContext { given: given.to_owned(), reason });
        if given.is_empty() {
            return refuse("it is empty");
        }
        if given.contains(':') {
            return refuse("a context holds no colon; write it as .name");
        }
        if given.contains('*') {
            return refuse("* stands for all contexts");
        }
        if given.chars().any(char::is_control) {
            return refuse("it holds a control character");
        }
        if given.chars().any(|c| c.is_whitespace() || matches!(c, '/' | '\\' | '?' | '#' | '%')) {
            return refuse("blanks and / \\ ? # % make it unreachable over REST");
        }
        if dotted == GLOBAL {
            return refuse("it is the registry's own name for global settings");
        }
        Ok(Self(Arc::from(dotted)))
    }

    /// A context as a record names it, unchecked.
    #[must_use]
    pub fn from_record(name: &str) -> Self {
        if name == DEFAULT { Self::default_context() } else { Self(Arc::from(name)) }
    }

    /// Whether this is the default context.
    #[must_use]
    pub fn is_default(&self) -> bool {
        &*self.0 == DEFAULT
    }

    /// Whether this is the pseudo-context of registry-wide settings, `:.__GLOBAL:`.
    #[must_use]
    pub fn is_global(&self) -> bool {
        &*self.0 == GLOBAL
    }

    /// Whether this is the wildcard that stands for all contexts, `:*:`.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        &*self.0 == "*"
    }

    /// This context with another's name behind it: `.source` and `.staging` make
    /// `.source.staging`; the default context adds nothing.
    #[must_use]
    pub fn join(&self, inner: &Self) -> Self {
        if inner.is_default() {
            self.clone()
        } else if self.is_default() {
            inner.clone()
        } else {
            Self(Arc::from(format!("{}{}", self.0, inner.0)))
        }
    }

    /// The inverse of [`join`](Self::join): what stands behind `self` in `joined`, if anything does.
    #[must_use]
    pub fn unjoin(&self, joined: &Self) -> Option<Self> {
        if self.is_default() {
            return Some(joined.clone());
        }
        let rest = joined.0.strip_prefix(&*self.0)?;
        match rest {
            "" => Some(Self::default_context()),
            // The default context adds nothing, so that a lone dot is another context's own.
            DEFAULT => None,
            inner => inner.starts_with('.').then(|| Self(Arc::from(inner))),
        }
    }

    /// The name with its leading dot.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContextName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ContextName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A subject with the context it belongs to. An empty name stands for the context itself, as in
/// the keys of its CONFIG and MODE.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// Where it belongs.
    pub context: ContextName,
    /// Its name inside the context; colons and dots are free.
    pub name: Arc<str>,
}

impl Subject {
    /// Reads a subject as records and people spell it. Every string is some subject:
    /// `:source:x` is a name in the default context, as a context must start with `:.`.
    #[must_use]
    pub fn parse(spelled: &str) -> Self {
        let qualified = spelled
            .strip_prefix(':')
            .filter(|rest| rest.starts_with('.') || rest.starts_with("*:") || *rest == "*");
        match qualified {
            None => Self::new(&ContextName::default_context(), spelled),
            Some(rest) => {
                let (context, name) = rest.split_once(':').unwrap_or((rest, ""));
                Self::new(&ContextName::from_record(context), name)
            }
        }
    }

    /// A subject of a context.
    #[must_use]
    pub fn new(context: &ContextName, name: &str) -> Self {
        Self { context: context.clone(), name: Arc::from(name) }
    }

    /// The context itself, as a CONFIG or MODE names it.
    #[must_use]
    pub fn of_context(context: &ContextName) -> Self {
        Self::new(context, "")
    }

    /// Whether this stands for its context rather than for one subject.
    #[must_use]
    pub fn is_context(&self) -> bool {
        self.name.is_empty()
    }

    /// How a registry spells it: bare in the default context, qualified elsewhere.
    #[must_use]
    pub fn spelled(&self) -> String {
        self.spelled_parts().concat()
    }

    /// The same in parts, for whoever puts it together in another way.
    pub(in crate::core) fn spelled_parts(&self) -> [&str; 4] {
        if self.context.is_default() {
            ["", "", "", &self.name]
        } else {
            [":", self.context.as_str(), ":", &self.name]
        }
    }

    /// Why no schema can stand under this name (`QualifiedSubject.isValidSubject`, measured in
    /// odd-records 1.11 and 1.21). Control characters are no reason: registries serve such subjects.
    #[must_use]
    pub fn defect(&self) -> Option<&'static str> {
        if self.name.is_empty() {
            Some("the subject has no name")
        } else if &*self.name == "__GLOBAL" || &*self.name == "__EMPTY" {
            Some("the subject's name is reserved by the registry")
        } else if self.context.is_global() {
            Some("the context .__GLOBAL holds settings, no subjects")
        } else if self.context.is_wildcard() {
            Some("the context * stands for all contexts, it holds no subjects")
        } else if self.context.is_default() && Self::parse(&self.name).name != self.name {
            Some("the name reads as a qualified subject")
        } else {
            None
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.context.is_default() {
            f.write_str(&self.name)
        } else {
            write!(f, ":{}:{}", self.context, self.name)
        }
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(spelled: &str, context: &str, name: &str) {
        let subject = Subject::parse(spelled);
        assert_eq!((subject.context.as_str(), &*subject.name), (context, name), "{spelled}");
    }

    #[test]
    fn the_registrys_grammar_table_holds() {
        check("pageviews-value", ".", "pageviews-value");
        check(":.source:pageviews-value", ".source", "pageviews-value");
        check(":.source:", ".source", "");
        check(":.source", ".source", "");
        check(":.:foo", ".", "foo");
        check(":foo", ".", ":foo");
        check(":source:foo", ".", ":source:foo");
        check(":.a:b:c", ".a", "b:c");
        check(":.a.b:x", ".a.b", "x");
        check(":*:foo", "*", "foo");
        check(":.__GLOBAL:", ".__GLOBAL", "");
        check("", ".", "");
    }

    #[test]
    fn a_context_may_come_without_its_dot_but_not_with_a_colon() {
        assert_eq!(ContextName::new("source").unwrap().as_str(), ".source");
        assert_eq!(ContextName::new(".source").unwrap().as_str(), ".source");
        for bad in ["", ":.a:", "a b", ".a\n", ".__GLOBAL", "*", "a/b", "50%"] {
            assert!(ContextName::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn joining_contexts_can_be_undone_and_a_prefix_of_letters_is_no_context() {
        let source = ContextName::from_record(".source");
        let staging = ContextName::from_record(".staging");
        let default = ContextName::default_context();
        assert_eq!(source.join(&staging).as_str(), ".source.staging");
        assert_eq!(source.join(&default), source);
        assert_eq!(source.unjoin(&source.join(&staging)), Some(staging.clone()));
        assert_eq!(source.unjoin(&source), Some(default.clone()));
        for other in [".source2", ".source."] {
            assert_eq!(source.unjoin(&ContextName::from_record(other)), None, "{other}");
        }
        assert_eq!(default.unjoin(&staging), Some(staging));
    }

    proptest! {
        #[test]
        fn what_a_sound_subject_spells_reads_back_as_itself(spelled in ".{0,40}") {
            let subject = Subject::parse(&spelled);
            prop_assume!(subject.defect().is_none());
            prop_assert_eq!(Subject::parse(&subject.spelled()), subject);
        }
    }
}
