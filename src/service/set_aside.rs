//! What a link does not copy, for whoever watches: the first of it, each with its cause.

use serde::Serialize;

use crate::core::link::ledger::About;
use crate::core::link::ledger::Ledger;
use crate::core::record::Offset;
use crate::core::rules::Rules;
use crate::core::subject::Subject;

/// Keys that are shown of each link; the log, and `verify`, name all.
pub const SHOWN_MAX: usize = 100;

/// A key that is not copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SetAside {
    /// `incident` or `held`.
    pub word: &'static str,
    /// The key, for people.
    pub key: String,
    /// The source record's offset; `None` where the cause stands in the target alone.
    pub offset: Option<Offset>,
    /// Why.
    pub reason: String,
    /// What ends it, where the reason does not say so itself.
    pub remedy: Option<String>,
    /// The subject of the target that it is about.
    #[serde(skip)]
    pub subject: Option<Subject>,
}

impl SetAside {
    /// The first of a ledger's: incidents, then what is held.
    #[must_use]
    pub fn first_of(ledger: &Ledger, rules: &Rules) -> Vec<Self> {
        let incidents = ledger.incidents().map(|(about, incident)| Self {
            word: "incident",
            key: incident.key.clone(),
            offset: incident.offset,
            reason: incident.reason.clone(),
            remedy: about.remedy().map(str::to_owned),
            subject: match about {
                About::Source(key) => key.subject().and_then(|subject| rules.place(subject)),
                About::Target(key) => key.subject().cloned(),
                About::Name(_) | About::Unreadable(_) => None,
            },
        });
        let held = ledger.held().map(|(key, held)| Self {
            word: "held",
            key: key.to_string(),
            offset: Some(held.offset),
            reason: held.reason.clone(),
            remedy: held.remedy(),
            subject: key.subject().cloned(),
        });
        incidents.chain(held).take(SHOWN_MAX).collect()
    }
}
