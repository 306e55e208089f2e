//! Records as a log holds them, before anything is read into their bytes.

/// A place in a log: a record's own offset, or the offset after it where a name says `next`.
pub type Offset = i64;

/// One record of a log, as its broker gave it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// The record's own offset.
    pub offset: Offset,
    /// The record's timestamp in ms since 1970, where the broker keeps one.
    pub timestamp_ms: Option<i64>,
    /// The key's bytes; `None` is a null key.
    pub key: Option<Vec<u8>>,
    /// The value's bytes; `None` is a null value, `Some(vec![])` an empty one.
    pub value: Option<Vec<u8>>,
    /// The record's headers, in order.
    pub headers: Vec<Header>,
}

/// One header of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The header's name.
    pub name: String,
    /// The header's value; `None` is null.
    pub value: Option<Vec<u8>>,
}

/// A record to be appended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// The key's bytes.
    pub key: Vec<u8>,
    /// The value's bytes; `None` writes a tombstone.
    pub value: Option<Vec<u8>>,
    /// The timestamp in ms since 1970; `None` lets the producer take the time of sending.
    pub timestamp_ms: Option<i64>,
    /// The headers, in order.
    pub headers: Vec<Header>,
}

/// The offset after a record's own: where a reader that has seen it goes on.
#[must_use]
pub fn after(offset: Offset) -> Offset {
    offset.saturating_add(1)
}
