//! What becomes of the source's records.

/// What became of a record of the source. Every record has exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It says nothing, or nothing that the link copies.
    NotSelected,
    /// The target holds what it says.
    InSync,
    /// It was written.
    Written,
    /// It waits for something else.
    Held,
    /// It was set aside with its reason.
    Incident,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::NotSelected, Self::InSync, Self::Written, Self::Held, Self::Incident];

    /// One word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::NotSelected => "not_selected",
            Self::InSync => "in_sync",
            Self::Written => "written",
            Self::Held => "held",
            Self::Incident => "incident",
        }
    }
}
