//! What a link does not copy, for whoever watches: the first of it, each with its cause.

use serde::Serialize;

use crate::core::link::acknowledged::Acknowledgement;
use crate::core::link::ledger::About;
use crate::core::link::ledger::Incident;
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
    /// Who lets it stand; `None` where nobody has acknowledged it.
    pub acknowledged: Option<LetStand>,
    /// The subject of the target that it is about.
    #[serde(skip)]
    pub subject: Option<Subject>,
}

/// Who acknowledged an incident, why, and when in ms since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LetStand {
    /// Who.
    pub by: String,
    /// Why.
    pub why: String,
    /// When.
    pub at_ms: i64,
}

impl From<&Acknowledgement> for LetStand {
    fn from(acknowledgement: &Acknowledgement) -> Self {
        let Acknowledgement { by, why, at_ms, .. } = acknowledgement;
        Self { by: by.clone(), why: why.clone(), at_ms: *at_ms }
    }
}

impl SetAside {
    /// The first of a ledger's: incidents, then what is held, then incidents that are acknowledged.
    #[must_use]
    pub fn first_of(ledger: &Ledger, rules: &Rules) -> Vec<Self> {
        let of_incident = |(about, incident): (&About, &Incident)| Self {
            word: "incident",
            key: incident.key.clone(),
            offset: incident.offset,
            reason: incident.reason.clone(),
            remedy: about.remedy().map(str::to_owned),
            acknowledged: ledger.acknowledgement(about, incident).map(LetStand::from),
            subject: match about {
                About::Source(key) => key.subject().and_then(|subject| rules.place(subject)),
                About::Target(key) => key.subject().cloned(),
                About::Name(_) | About::Unreadable(_) => None,
            },
        };
        let held = ledger.held().map(|(key, held)| Self {
            word: "held",
            key: key.to_string(),
            offset: Some(held.offset),
            reason: held.reason.clone(),
            remedy: held.remedy(),
            acknowledged: None,
            subject: key.subject().cloned(),
        });
        let open = ledger.open_incidents().map(of_incident);
        let acknowledged = ledger.acknowledged_incidents().map(of_incident);
        open.chain(held).chain(acknowledged).take(SHOWN_MAX).collect()
    }
}
