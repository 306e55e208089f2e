//! Which subjects of the source a link copies.

use std::fmt;

use regex::Regex;

use crate::core::format::SubjectFormat;
use crate::core::subject::ContextName;
use crate::core::subject::Subject;

/// What is wrong with a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pattern:?}: {reason}")]
pub struct NotAPattern {
    /// The pattern as it was given.
    pub pattern: String,
    /// Why it selects nothing.
    pub reason: String,
}

/// A choice of subjects: any of its patterns selects.
#[derive(Debug, Clone)]
pub struct SubjectFilter {
    patterns: Vec<Pattern>,
}

#[derive(Debug, Clone)]
struct Pattern {
    spelled: String,
    context: ContextChoice,
    name: NameChoice,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum ContextChoice {
    All,
    One(ContextName),
}

#[derive(Debug, Clone)]
enum NameChoice {
    All,
    Exact(String),
    Prefix(String),
    Matching(Regex),
}

impl SubjectFilter {
    /// Reads patterns: an exact name, `*`, a prefix `orders*`, a regex `/orders-.+/` that has to
    /// match the whole name; each may stand behind a context (`:.staging:*`) or behind `:*:`, which
    /// selects from all contexts. Without one it selects from the default context.
    ///
    /// # Errors
    /// Every pattern that can't be read, not only the first.
    pub fn parse<S: AsRef<str>>(patterns: &[S]) -> Result<Self, Vec<NotAPattern>> {
        let mut good = Vec::new();
        let mut bad = Vec::new();
        for pattern in patterns {
            match Pattern::parse(pattern.as_ref()) {
                Ok(pattern) => good.push(pattern),
                Err(fault) => bad.push(fault),
            }
        }
        if good.is_empty() && bad.is_empty() {
            let reason = "no pattern is given; \"*\" selects the default context".to_owned();
            bad.push(NotAPattern { pattern: String::new(), reason });
        }
        if bad.is_empty() { Ok(Self { patterns: good }) } else { Err(bad) }
    }

    /// The filter that selects the default context.
    #[must_use]
    pub fn default_context() -> Self {
        let context = ContextChoice::One(ContextName::default_context());
        let all = Pattern { spelled: "*".to_owned(), context, name: NameChoice::All };
        Self { patterns: vec![all] }
    }

    /// Whether the subject is chosen. A context itself is chosen where all its subjects are.
    #[must_use]
    pub fn selects(&self, subject: &Subject) -> bool {
        if subject.is_context() {
            return self.selects_whole(&subject.context);
        }
        self.patterns
            .iter()
            .any(|p| p.context.covers(&subject.context) && p.name.covers(&subject.name))
    }

    /// Whether any subject of the context can be chosen.
    #[must_use]
    pub fn touches(&self, context: &ContextName) -> bool {
        self.patterns.iter().any(|pattern| pattern.context.covers(context))
    }

    /// Whether every subject of the context is chosen.
    #[must_use]
    pub fn selects_whole(&self, context: &ContextName) -> bool {
        self.patterns.iter().any(|p| p.context.covers(context) && matches!(p.name, NameChoice::All))
    }

    /// Whether the filter only chooses whole contexts, so that no reference inside one can be left
    /// behind.
    #[must_use]
    pub fn is_whole_contexts(&self) -> bool {
        self.patterns.iter().all(|pattern| matches!(pattern.name, NameChoice::All))
    }

    /// Whether subjects of every context are asked for, known or not yet.
    #[must_use]
    pub fn touches_all_contexts(&self) -> bool {
        self.patterns.iter().any(|pattern| pattern.context == ContextChoice::All)
    }

    /// The contexts that are named, the default one among them where a bare pattern stands.
    #[must_use]
    pub fn named_contexts(&self) -> Vec<&ContextName> {
        let mut named: Vec<_> = self
            .patterns
            .iter()
            .filter_map(|pattern| match &pattern.context {
                ContextChoice::All => None,
                ContextChoice::One(context) => Some(context),
            })
            .collect();
        named.sort();
        named.dedup();
        named
    }

    /// The patterns as they were given, for people and for comparing definitions.
    #[must_use]
    pub fn spelled(&self) -> Vec<String> {
        self.patterns.iter().map(|pattern| pattern.spelled.clone()).collect()
    }

    /// Patterns for the names that a format gives to what is chosen.
    #[must_use]
    pub fn renamed(&self, format: &SubjectFormat) -> Vec<String> {
        if format.keeps_names() {
            return self.spelled();
        }
        let all = self.patterns.iter();
        all.map(|p| p.context.spelled(&p.name.renamed(format))).collect()
    }

    /// Whether some subject could be chosen by both filters. May say yes where two regexes are
    /// disjoint; never says no where a subject is shared.
    #[must_use]
    pub fn may_overlap(&self, other: &Self) -> bool {
        self.patterns.iter().any(|a| other.patterns.iter().any(|b| a.may_overlap(b)))
    }
}

impl fmt::Display for SubjectFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spelled().join(", "))
    }
}

impl Pattern {
    fn parse(given: &str) -> Result<Self, NotAPattern> {
        let refuse = |reason: String| NotAPattern { pattern: given.to_owned(), reason };
        let (context, name) = match given.strip_prefix(':') {
            None => (ContextChoice::One(ContextName::default_context()), given),
            Some(rest) => {
                let Some((context, name)) = rest.split_once(':') else {
                    return Err(refuse("a context ends with a colon: \":.staging:*\"".to_owned()));
                };
                (ContextChoice::parse(context).map_err(refuse)?, name)
            }
        };
        // Behind a context nothing means everything: ":.staging:" is ":.staging:*".
        let name = if name.is_empty() && given.starts_with(':') { "*" } else { name };
        let name = NameChoice::parse(name).map_err(refuse)?;
        Ok(Self { spelled: given.to_owned(), context, name })
    }

    fn may_overlap(&self, other: &Self) -> bool {
        let contexts = match (&self.context, &other.context) {
            (ContextChoice::One(a), ContextChoice::One(b)) => a == b,
            (ContextChoice::All, _) | (_, ContextChoice::All) => true,
        };
        contexts && self.name.may_overlap(&other.name)
    }
}

impl ContextChoice {
    fn parse(given: &str) -> Result<Self, String> {
        match given {
            "*" => Ok(Self::All),
            "." => Ok(Self::One(ContextName::default_context())),
            dotted if dotted.starts_with('.') => {
                ContextName::new(dotted).map(Self::One).map_err(|fault| fault.to_string())
            }
            _ => Err("a context starts with a dot: \":.staging:*\"".to_owned()),
        }
    }

    /// A pattern of names with this context before it.
    fn spelled(&self, name: &str) -> String {
        match self {
            Self::One(context) if context.is_default() => name.to_owned(),
            Self::One(context) => format!(":{context}:{name}"),
            Self::All => format!(":*:{name}"),
        }
    }

    fn covers(&self, context: &ContextName) -> bool {
        match self {
            Self::All => !context.is_global() && !context.is_wildcard(),
            Self::One(own) => own == context,
        }
    }
}

impl NameChoice {
    fn parse(given: &str) -> Result<Self, String> {
        if given == "*" {
            return Ok(Self::All);
        }
        if given.is_empty() {
            return Err("it is empty".to_owned());
        }
        if let Some(inner) = given.strip_prefix('/') {
            let Some(inner) = inner.strip_suffix('/').filter(|inner| !inner.is_empty()) else {
                return Err("a regex stands between two slashes: \"/orders-.+/\"".to_owned());
            };
            // Read alone first: what closes a group that it did not open would end the anchors' own.
            return Regex::new(inner)
                .and_then(|_| Regex::new(&format!("^(?:{inner})$")))
                .map(Self::Matching)
                .map_err(|fault| format!("not a regex: {fault}"));
        }
        match given.strip_suffix('*') {
            Some(prefix) if !prefix.contains('*') => Ok(Self::Prefix(prefix.to_owned())),
            None if !given.contains('*') => Ok(Self::Exact(given.to_owned())),
            Some(_) | None => {
                Err("a * stands at the end only; between slashes a regex can say more".to_owned())
            }
        }
    }

    fn covers(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Exact(exact) => exact == name,
            Self::Prefix(prefix) => name.starts_with(prefix.as_str()),
            Self::Matching(regex) => regex.is_match(name),
        }
    }

    /// The pattern for the names that a format gives to what this one covers.
    fn renamed(&self, format: &SubjectFormat) -> String {
        let (before, after) = format.parts();
        let inner = match self {
            Self::Exact(name) => return format!("{before}{name}{after}"),
            Self::All if after.is_empty() => return format!("{before}*"),
            Self::Prefix(prefix) if after.is_empty() => return format!("{before}{prefix}*"),
            Self::All => ".*".to_owned(),
            Self::Prefix(prefix) => format!("{}.*", regex::escape(prefix)),
            // It is anchored: what stands between the anchors is a group of its own.
            Self::Matching(regex) => regex.as_str().trim_matches(['^', '$']).to_owned(),
        };
        format!("/{}{inner}{}/", regex::escape(before), regex::escape(after))
    }

    fn may_overlap(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(name), any) | (any, Self::Exact(name)) => any.covers(name),
            (Self::Prefix(a), Self::Prefix(b)) => {
                a.starts_with(b.as_str()) || b.starts_with(a.as_str())
            }
            (Self::All | Self::Matching(_), _) | (_, Self::All | Self::Matching(_)) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(patterns: &[&str], chosen: &[&str], left: &[&str]) {
        let filter = SubjectFilter::parse(patterns).unwrap();
        for subject in chosen {
            assert!(filter.selects(&Subject::parse(subject)), "{patterns:?} selects {subject}");
        }
        for subject in left {
            assert!(!filter.selects(&Subject::parse(subject)), "{patterns:?} leaves {subject}");
        }
    }

    #[test]
    fn a_star_selects_the_default_context_only() {
        check(&["*"], &["a", "b-value", ":x", ""], &[":.staging:a", ":.__GLOBAL:"]);
    }

    #[test]
    fn exact_names_prefixes_and_regexes_select_from_the_default_context() {
        check(
            &["a", "orders*", "/v[0-9]+/"],
            &["a", "orders", "orders-value", "v12"],
            &["b", "v", "xv1", ":.s:a"],
        );
    }

    #[test]
    fn a_context_before_the_pattern_selects_from_it() {
        check(&[":.staging:*"], &[":.staging:a", ":.staging:"], &["a", ":.staging2:a"]);
        check(&[":.staging:ord*"], &[":.staging:orders"], &[":.staging:a", ":.staging:"]);
        check(&[":*:"], &["a", ":.any:a", ":.any:", ""], &[":.__GLOBAL:x", ":*:y"]);
        check(&[":*:orders"], &["orders", ":.any:orders"], &["a", ":.any:"]);
    }

    #[test]
    fn every_bad_pattern_is_named() {
        let faults =
            SubjectFilter::parse(&["a*b", "/(/", "/x", ":.a", ":a:*", "", "ok"]).unwrap_err();
        assert_eq!(faults.len(), 6, "{faults:?}");
        assert!(SubjectFilter::parse::<&str>(&[]).is_err());
    }

    #[test]
    fn a_regex_can_not_free_itself_from_matching_the_whole_name() {
        assert!(SubjectFilter::parse(&["/a)|(b/"]).is_err());
        check(&["/(a)|(b)/"], &["a", "b"], &["ab", "ac", "xb"]);
    }

    #[test]
    fn overlap_is_seen_between_names_prefixes_and_contexts() {
        let filter = |p: &[&str]| SubjectFilter::parse(p).unwrap();
        assert!(filter(&["a*"]).may_overlap(&filter(&["ab"])));
        assert!(filter(&["ab*"]).may_overlap(&filter(&["a*"])));
        assert!(!filter(&["a*"]).may_overlap(&filter(&["b*", "c"])));
        assert!(!filter(&["*"]).may_overlap(&filter(&[":.x:*"])));
        assert!(filter(&["*"]).may_overlap(&filter(&[":*:"])));
    }
}
