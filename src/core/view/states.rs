//! What a view is made of.

use crate::core::key::Key;
use crate::core::key::Version;
use crate::core::record::Offset;
use crate::core::value::AssociationValue;
use crate::core::value::ConfigValue;
use crate::core::value::Content;
use crate::core::value::Mode;

/// Who wrote the newest record of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A registry, or somebody without our header.
    Registry,
    /// The link whose view this is, or keys that it adopted.
    Ours,
    /// The link, and someone else's DELETE_SUBJECT marked it as deleted.
    OursMarked,
    /// Somebody, who wrote just what the link would: the link's own by that (rulings 3), though it
    /// proves nothing about what the link did before.
    Alike,
    /// Another link.
    OtherLink,
    /// It came through the link's own target cluster: copying it would make a loop.
    Loop,
}

impl Origin {
    /// Whether the link may change and delete what this one wrote.
    #[must_use]
    pub fn is_own(self) -> bool {
        match self {
            Self::Ours | Self::OursMarked | Self::Alike => true,
            Self::Registry | Self::OtherLink | Self::Loop => false,
        }
    }

    /// Whether the link itself wrote it, or adopted it.
    #[must_use]
    pub fn is_link(self) -> bool {
        matches!(self, Self::Ours | Self::OursMarked)
    }
}

/// Which side of the link the log belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The log that is copied.
    Source,
    /// The log that is written. Spellings of keys are kept, and a CLEAR_SUBJECT is obeyed.
    Target,
}

/// Where a record stands and who wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The record's offset.
    pub offset: Offset,
    /// Its timestamp in ms since 1970.
    pub timestamp_ms: Option<i64>,
    /// Who wrote it.
    pub origin: Origin,
}

/// One version of a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionView {
    /// Its place in the subject.
    pub version: Version,
    /// Deleted softly, by its own record or by a DELETE_SUBJECT behind it.
    pub deleted: bool,
    /// Who wrote its record.
    pub origin: Origin,
    /// Its schema id.
    pub id: i32,
    /// The offset of its record.
    pub offset: Offset,
    /// What it is; references as they are spelled in the record.
    pub content: Content,
}

/// Settings with their record's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigView {
    /// Where the record stands.
    pub stamp: Stamp,
    /// What it says.
    pub value: ConfigValue,
}

/// An association with its record's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssociationView {
    /// Where the record stands.
    pub stamp: Stamp,
    /// What it says.
    pub value: AssociationValue,
}

/// A mode with its record's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModeView {
    /// Where the record stands.
    pub stamp: Stamp,
    /// What it says.
    pub mode: Mode,
}

/// What came of applying a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// The keys named may have another state now.
    Changed,
    /// It says nothing, or nothing new.
    Nothing,
    /// A registry would not take it, or not as it was meant; the key keeps the state it had.
    Refused(Option<Key>, String),
}
