//! Records as a log holds them, before anything is read into their bytes.

use std::sync::Arc;

use bytes::Bytes;

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
    pub key: Option<Bytes>,
    /// The value's bytes; `None` is a null value, some without any byte an empty one.
    pub value: Option<Bytes>,
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
    /// The headers, in order; nearly all records of a link share them.
    pub headers: Arc<[Header]>,
}

/// Buffers that records left when they were sent, to be filled again: a copy makes and drops two for
/// each record otherwise.
#[derive(Debug, Default)]
pub struct Room(Vec<Vec<u8>>);

/// Buffers that are kept at most; what one burst of writes needs.
const ROOM_MAX: usize = 4_096;
/// A larger one is not kept: what a few records need must not be held for all.
const ROOM_BYTES_MAX: usize = 16 * 1024;

impl Room {
    /// An empty buffer.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        self.0.pop().unwrap_or_default()
    }

    /// Takes back what a record no longer needs.
    pub fn give_back(&mut self, sent: Outgoing) {
        for mut buffer in [Some(sent.key), sent.value].into_iter().flatten() {
            if self.0.len() < ROOM_MAX && buffer.capacity() <= ROOM_BYTES_MAX {
                buffer.clear();
                self.0.push(buffer);
            }
        }
    }
}

/// The offset after a record's own: where a reader that has seen it goes on.
#[must_use]
pub fn after(offset: Offset) -> Offset {
    offset.saturating_add(1)
}
