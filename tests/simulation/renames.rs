//! Links that give some subjects other names, and what those were called before.

use schema_mirror::core::naming::Naming;
use schema_mirror::core::record::Record;
use schema_mirror::core::renames::RenameList;

use super::check::content_of;
use super::links::LinkSpec;

/// Rules of a list: no two names that a source uses become one by it.
const RENAMES: [(&str, &str); 2] = [("a.*", "n.$0"), ("(.+)-value", "$1")];

impl LinkSpec {
    pub(super) fn naming(&self) -> Naming {
        if self.renames {
            Naming::List(RenameList::parse(&RENAMES).unwrap())
        } else {
            Naming::default()
        }
    }

    /// What a subject is called in the target.
    pub(super) fn renamed(&self, name: &str) -> String {
        match name.strip_suffix("-value") {
            _ if !self.renames => name.to_owned(),
            _ if name.starts_with('a') => format!("n.{name}"),
            Some(topic) => topic.to_owned(),
            None => name.to_owned(),
        }
    }

    /// What a subject of the target is called in the source.
    pub(super) fn original(&self, name: &str) -> String {
        match name.strip_prefix("n.") {
            Some(original) if self.renames => original.to_owned(),
            _ if self.renames && name == "c" => "c-value".to_owned(),
            _ => name.to_owned(),
        }
    }

    /// What a record of the target's says, under the name that it has in the source.
    pub(super) fn content_of(&self, record: &Record) -> Option<(String, String)> {
        let (version, meaning) = content_of(record)?;
        let (name, number) = version.rsplit_once(" v")?;
        Some((format!("{} v{number}", self.original(name)), meaning))
    }
}
