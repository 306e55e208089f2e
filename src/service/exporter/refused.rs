//! Why something that was asked for was not done.

use crate::service::ports::Fault;

/// Why a call changed nothing. Each has its own code in Schema Linking's interface, but for the last.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The source has no exporter of this name.
    #[error("no exporter is named {0}")]
    NotFound(String),
    /// It can't have this name.
    #[error("{0}")]
    Name(String),
    /// Its configuration, its context or a format is wrong.
    #[error("{0}")]
    Config(String),
    /// Its subjects are wrong.
    #[error("{0}")]
    Subjects(String),
    /// There is one of this name.
    #[error("{0}")]
    Exists(String),
    /// It runs already.
    #[error("{0} is running already")]
    Running(String),
    /// It is starting already.
    #[error("{0} is starting already")]
    Starting(String),
    /// It has to be paused first, or can't be changed here at all.
    #[error("{0}")]
    NotPaused(String),
    /// There are enough.
    #[error("there are {0} links already, and no more are taken")]
    TooMany(usize),
    /// A cluster does not do its part.
    #[error("{0}")]
    Cluster(Fault),
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self::Cluster(fault)
    }
}
