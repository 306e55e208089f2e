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
pub struct Room {
    buffers: Vec<Vec<u8>>,
    /// What they hold together, used or not.
    bytes: usize,
}

/// Buffers that are kept at most; what one burst of writes needs.
const ROOM_MAX: usize = 4_096;
/// What they may hold together: a burst's bytes, and as much for buffers that are too large.
const ROOM_BYTES_MAX: usize = 2 * 1024 * 1024;

impl Room {
    /// An empty buffer.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        let buffer = self.buffers.pop().unwrap_or_default();
        self.bytes = self.bytes.saturating_sub(buffer.capacity());
        buffer
    }

    /// Takes back what a record no longer needs.
    pub fn give_back(&mut self, sent: Outgoing) {
        for mut buffer in [Some(sent.key), sent.value].into_iter().flatten() {
            let bytes = self.bytes.saturating_add(buffer.capacity());
            if self.buffers.len() < ROOM_MAX && bytes <= ROOM_BYTES_MAX {
                buffer.clear();
                self.buffers.push(buffer);
                self.bytes = bytes;
            }
        }
    }
}

/// The offset after a record's own: where a reader that has seen it goes on.
#[must_use]
pub fn after(offset: Offset) -> Offset {
    offset.saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_kept_up_to_a_limit_and_comes_back_empty() {
        let mut room = Room::default();
        for _ in 0..100 {
            let value = Some(vec![7; 100 * 1024]);
            room.give_back(Outgoing { key: vec![1; 10], value, ..Outgoing::default() });
        }
        assert!(room.bytes <= ROOM_BYTES_MAX, "{}", room.bytes);
        let held = room.bytes;
        let taken = room.take();
        assert!(taken.is_empty() && taken.capacity() > 0);
        assert_eq!(room.bytes + taken.capacity(), held);
    }
}
