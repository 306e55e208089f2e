//! What a link makes of the names of subjects: `dr-${subject}` puts `dr-` before each.

use std::fmt;
use std::sync::Arc;

/// What stands for the subject's name in a format.
const PLACE: &str = "${subject}";

/// A way to name the source's subjects in the target. No two subjects get one name by it, and what
/// a name was before can be read off it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubjectFormat {
    before: String,
    after: String,
}

/// What is wrong with a format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no format for subjects: {reason}")]
pub struct NotAFormat {
    /// What was given.
    pub given: String,
    /// Why it can't be one.
    pub reason: &'static str,
}

impl SubjectFormat {
    /// Reads a format with one `${subject}` in it.
    ///
    /// # Errors
    /// Without it all subjects would get one name; twice, it could not be read back; a colon at its
    /// beginning would move subjects into other contexts.
    pub fn parse(given: &str) -> Result<Self, NotAFormat> {
        let refuse = |reason| Err(NotAFormat { given: given.to_owned(), reason });
        let Some((before, after)) = given.split_once(PLACE) else {
            return refuse("it has to hold ${subject}, or all subjects would get one name");
        };
        if after.contains(PLACE) {
            return refuse("it may hold ${subject} once");
        }
        if before.starts_with('/') || given.contains('*') {
            return refuse("a slash at its beginning, and a *, would read as a pattern");
        }
        if before.starts_with(':') {
            return refuse(
                "a context is not part of the name; the link's own context puts it before",
            );
        }
        if given.chars().any(char::is_control) {
            return refuse("it holds a control character");
        }
        Ok(Self { before: before.to_owned(), after: after.to_owned() })
    }

    /// Whether subjects keep the names they have.
    #[must_use]
    pub fn keeps_names(&self) -> bool {
        self.before.is_empty() && self.after.is_empty()
    }

    /// The name in the target. The empty one, which stands for a context itself, stays.
    #[must_use]
    pub fn rename(&self, name: &Arc<str>) -> Arc<str> {
        if name.is_empty() || self.keeps_names() {
            return Arc::clone(name);
        }
        Arc::from(format!("{}{name}{}", self.before, self.after))
    }

    /// The inverse of [`rename`](Self::rename): `None` for a name that it gives to no subject.
    #[must_use]
    pub fn original(&self, renamed: &Arc<str>) -> Option<Arc<str>> {
        if renamed.is_empty() || self.keeps_names() {
            return Some(Arc::clone(renamed));
        }
        let inner = renamed.strip_prefix(&*self.before)?.strip_suffix(&*self.after)?;
        (!inner.is_empty()).then(|| Arc::from(inner))
    }

    /// What stands before the name, and behind it.
    pub(in crate::core) fn parts(&self) -> (&str, &str) {
        (&self.before, &self.after)
    }
}

impl fmt::Display for SubjectFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{PLACE}{}", self.before, self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_format_holds_the_subject_once_and_no_context() {
        for bad in [
            "",
            "dr",
            "${subject",
            "${subject}${subject}",
            ":.a:${subject}",
            "a\n${subject}",
            "/a/${subject}",
            "${subject}*",
        ] {
            assert!(SubjectFormat::parse(bad).is_err(), "{bad:?}");
        }
        let format = SubjectFormat::parse("dr-${subject}-copy").unwrap();
        assert_eq!(format.to_string(), "dr-${subject}-copy");
        assert_eq!(&*format.rename(&Arc::from("a")), "dr-a-copy");
        assert!(SubjectFormat::parse("${subject}").unwrap().keeps_names());
    }

    #[test]
    fn a_name_that_the_format_gives_to_nobody_has_no_original() {
        let format = SubjectFormat::parse("a-${subject}-a").unwrap();
        for (renamed, original) in
            [("a-x-a", Some("x")), ("a--a", None), ("a-a", None), ("x-a", None), ("", Some(""))]
        {
            let found = format.original(&Arc::from(renamed));
            assert_eq!(found.as_deref(), original, "{renamed}");
        }
    }

    proptest! {
        #[test]
        fn what_is_renamed_reads_back(before in "[a-c]{0,3}", after in "[a-c]{0,3}", name in "[a-c]{0,5}") {
            let format = SubjectFormat::parse(&format!("{before}${{subject}}{after}")).unwrap();
            let name: Arc<str> = Arc::from(name);
            prop_assert_eq!(format.original(&format.rename(&name)), Some(name));
        }
    }
}
