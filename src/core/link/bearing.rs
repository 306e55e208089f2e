//! Which links a record of a target bears on, told once for all that write there.

use super::bears_on;
use crate::core::dialect::Dialect;
use crate::core::entry::Reader;
use crate::core::key::Key;
use crate::core::record::Record;
use crate::core::rules::Rules;
use crate::core::subject::ContextName;

/// Whom a record of the target concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bearing {
    /// Every link: what it says, or how it is spelled, may count anywhere.
    Everyone,
    /// Those that have to do with this context, see [`Rules::heeds`].
    Context(ContextName),
}

/// Tells whom records of a log concern, in their order.
#[derive(Debug)]
pub struct Sorter {
    reader: Reader,
}

impl Default for Sorter {
    fn default() -> Self {
        Self { reader: Reader::new(Dialect::Auto) }
    }
}

impl Sorter {
    /// Whom a record concerns. The first that shows whose log it is concerns everyone.
    pub fn bearing(&mut self, record: &Record) -> Bearing {
        let before = self.reader.seen();
        let context = std::cell::Cell::new(None);
        // What its value says is read by those whom it concerns.
        drop(self.reader.read_where(record, |key| {
            if let Key::Schema(subject, _) = key {
                context.set(Some(subject.context.clone()));
            }
            false
        }));
        match context.into_inner() {
            Some(context) if self.reader.seen() == before => Bearing::Context(context),
            Some(_) | None => Bearing::Everyone,
        }
    }
}

impl Rules {
    /// Whether schemas in this context of the target bear on what the link does there.
    #[must_use]
    pub fn heeds(&self, target: &ContextName) -> bool {
        bears_on(self, target)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn record(key: &str) -> Record {
        Record { key: Some(Bytes::from(key.to_owned())), ..Record::default() }
    }

    #[test]
    fn schemas_concern_their_context_and_what_else_there_is_everyone() {
        let mut sorter = Sorter::default();
        let schema = |context: &str| {
            record(&format!(
                r#"{{"keytype":"SCHEMA","subject":":{context}:s","version":1,"magic":1}}"#
            ))
        };
        let of = |context: &str| Bearing::Context(ContextName::new(context).unwrap());
        assert_eq!(sorter.bearing(&schema(".a")), Bearing::Everyone, "it shows whose log this is");
        assert_eq!(sorter.bearing(&schema(".a")), of(".a"));
        assert_eq!(sorter.bearing(&schema(".b")), of(".b"));
        let settings = r#"{"keytype":"CONFIG","subject":":.a:s","magic":0}"#;
        for other in [settings, "{", r#"{"keytype":"NEW","magic":0}"#] {
            assert_eq!(sorter.bearing(&record(other)), Bearing::Everyone, "{other}");
        }
        assert_eq!(sorter.bearing(&Record::default()), Bearing::Everyone);
    }
}
