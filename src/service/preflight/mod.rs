//! What has to hold before a link touches anything: `run` and `backfill` begin with it, `preflight`
//! shows it.
//!
//! - `topics`: what endangers the schemas in a topic;
//! - `rights`: the least that a principal has to be granted;
//! - `side`: one cluster, looked at.

mod rights;
mod side;
mod topics;

pub use topics::Hazard;
pub use topics::Stops;
pub use topics::alter_command;
pub use topics::create_command;
pub use topics::hazards;
pub use topics::replication_hazard;
pub use topics::schemas_topic_spec;
pub use topics::source_hazards;

use side::Look;

use crate::core::record::Offset;
use crate::service::definition::LinkDefinition;
use crate::service::ground::Ground;
use crate::service::pipeline::Stop;
use crate::service::ports::Cluster;
use crate::service::ports::Fault;
use crate::service::ports::FaultClass;
use crate::service::ports::TopicFacts;

/// One of a link's two clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The one that is read.
    Source,
    /// The one that is written.
    Target,
}

impl Side {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Target => "target",
        }
    }
}

/// What a check is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// The names of brokers mean something here.
    Names,
    /// A broker answers, and takes the login.
    Reach,
    /// A topic is there, or can be made.
    Topic,
    /// The principal may do what a link does.
    Rights,
    /// A topic's settings lose no schemas.
    Settings,
    /// The brokers are new enough.
    Release,
    /// The clocks agree, as far as records tell.
    Clock,
    /// What the source takes, the target takes, too.
    Size,
}

impl About {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Names => "names",
            Self::Reach => "reach",
            Self::Topic => "topic",
            Self::Rights => "rights",
            Self::Settings => "settings",
            Self::Release => "release",
            Self::Clock => "clock",
            Self::Size => "size",
        }
    }
}

/// What is wrong, and what mends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What it is and what it does.
    pub what: String,
    /// The command that mends it, where there is one.
    pub mend: Option<String>,
}

impl Trouble {
    fn new(what: impl Into<String>, mend: Option<String>) -> Self {
        Self { what: what.into(), mend }
    }
}

/// What a check found.
#[derive(Debug)]
pub enum Finding {
    /// It holds; what was seen.
    Passed(String),
    /// It can't be told; why.
    Untold(String),
    /// A link goes on, and somebody should look at it.
    Warned(Trouble),
    /// A link does not start.
    Failed(Trouble, Stop),
}

/// One thing that was looked at.
#[derive(Debug)]
pub struct Check {
    /// Which cluster.
    pub side: Side,
    /// The cluster's name in the configuration.
    pub cluster: String,
    /// What it is about.
    pub about: About,
    /// What was found.
    pub finding: Finding,
}

/// All that was looked at.
#[derive(Debug)]
pub struct Report {
    /// In the order in which it was looked at, the source first.
    pub checks: Vec<Check>,
    /// The clusters and topics, where all of them are known.
    ground: Option<Ground>,
    /// Where the source's topic ends, where that is known.
    source_end: Option<Offset>,
}

/// Looks at both clusters and changes nothing.
pub async fn examine<C: Cluster>(
    source: &C,
    target: &C,
    link: &LinkDefinition,
    wall_ms: i64,
) -> Report {
    let mut sources = Look::begin(Side::Source, source);
    let mut targets = Look::begin(Side::Target, target);
    let (source_facts, target_facts) = tokio::join!(sources.reach(), targets.reach());
    let settled = source_facts.as_ref().and_then(|facts| side::settled(link, facts));
    let (source_topic, target_topic) = tokio::join!(
        async {
            match &source_facts {
                Some(_) => sources.source(link, wall_ms).await,
                None => None,
            }
        },
        async {
            match &target_facts {
                Some(facts) => {
                    targets.target(settled.as_ref().unwrap_or(link), facts, wall_ms).await
                }
                None => None,
            }
        }
    );
    if let (Some(from), Some(Some(into))) = (&source_topic, &target_topic) {
        targets.compare_sizes(&link.target_topic, from, into);
    }
    if let (Some(from), Some(into)) = (&source_facts, &target_facts) {
        targets.refuse_itself(link, from, into);
    }
    let source_end = source_topic.as_ref().map(|topic| topic.end);
    let ground = match (source_facts, source_topic, target_facts, target_topic) {
        (Some(source), Some(source_topic), Some(target), Some(target_topic)) => {
            Some(Ground { source, source_topic, target, target_topic })
        }
        _ => None,
    };
    let mut checks = sources.checks;
    checks.extend(targets.checks);
    Report { checks, ground, source_end }
}

impl Report {
    /// What the link stands on.
    ///
    /// # Errors
    /// What it does not start for: a cluster that is away before a right that is missing, and that
    /// before a setting. All missing rights are named at once.
    pub fn admit(self, link: &str) -> Result<Ground, Stop> {
        for Check { side, cluster, about, finding } in &self.checks {
            if let (Finding::Warned(trouble), true) = (finding, *about != About::Rights) {
                let Trouble { what, mend } = trouble;
                let place = format!("{} {cluster}", side.word());
                let mend = mend.as_deref().unwrap_or_default();
                tracing::warn!(link, place, about = about.word(), what, mend, "preflight");
            }
        }
        match (self.stop(), self.ground) {
            (None, Some(ground)) => Ok(ground),
            (Some(stop), _) => Err(stop),
            // Whatever is not known has a check that failed.
            (None, None) => Err(Stop::Halt("a cluster was not looked at".to_owned())),
        }
    }

    /// Where the source's topic ends, where that is known: also while the target is away.
    #[must_use]
    pub fn source_end(&self) -> Option<Offset> {
        self.source_end
    }

    /// Whether a link would halt for a topic that is missing and that it may not create.
    #[must_use]
    pub fn lacks_a_topic(&self) -> bool {
        self.checks.iter().any(|check| {
            check.about == About::Topic
                && matches!(check.finding, Finding::Failed(_, Stop::Halt(_)))
        })
    }

    /// What a link does not start for.
    fn stop(&self) -> Option<Stop> {
        let failed = || {
            self.checks.iter().filter_map(|check| match &check.finding {
                Finding::Failed(_, stop) => Some(stop),
                Finding::Passed(_) | Finding::Untold(_) | Finding::Warned(_) => None,
            })
        };
        let faults = || {
            failed().filter_map(|stop| match stop {
                Stop::Fault(fault) => Some(fault),
                Stop::Halt(_) | Stop::LeaseLost | Stop::Shutdown => None,
            })
        };
        if let Some(fault) = faults().find(|fault| fault.class != FaultClass::NotPermitted) {
            return Some(Stop::Fault(fault.clone()));
        }
        let mut missing = faults();
        if let Some(first) = missing.next() {
            let rest: String = missing.map(|fault| format!("; {fault}")).collect();
            let cause = format!("{}{rest}", first.cause);
            return Some(Stop::Fault(Fault { cause, ..first.clone() }));
        }
        failed().next().cloned()
    }
}

/// The settings of a topic that bound its records.
fn record_bytes_max(facts: &TopicFacts) -> Option<i64> {
    facts.settings.as_ref().ok().and_then(|settings| settings.max_message_bytes)
}
