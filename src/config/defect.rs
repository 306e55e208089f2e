//! What is wrong with a configuration, and how it reads.

use std::fmt;

/// One thing that is wrong, where it stands and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defect {
    /// The key's path (`links[0].fence`), a flag (`--fence`), or a place in the file; empty where
    /// it is the whole file.
    pub path: String,
    /// What is wrong, with the value that was given unless it may be a secret.
    pub wrong: String,
    /// What would be right.
    pub right: String,
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{}; {}", self.wrong, self.right)
    }
}

/// Everything that is wrong with a configuration, not only the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// What was read: a file's name, or the command line.
    pub origin: String,
    /// At least one.
    pub defects: Vec<Defect>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.defects.as_slice() {
            [only] => write!(f, "{}: {only}", self.origin),
            several => {
                write!(f, "{}: {} errors", self.origin, several.len())?;
                several.iter().try_for_each(|defect| write!(f, "\n  {defect}"))
            }
        }
    }
}

impl std::error::Error for ConfigError {}

/// Why a value was not taken; becomes a [`Defect`] where its path is known.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) wrong: String,
    pub(super) right: String,
}

impl Refusal {
    pub(super) fn new(wrong: impl Into<String>, right: impl Into<String>) -> Self {
        Self { wrong: wrong.into(), right: right.into() }
    }

    pub(super) fn at(self, path: impl Into<String>) -> Defect {
        Defect { path: path.into(), wrong: self.wrong, right: self.right }
    }
}
