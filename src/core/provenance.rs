//! Where a copied record came from: one header on every record that a link writes.

use serde::Deserialize;
use serde::Serialize;

use crate::core::record::Header;

/// The header's name. Registries read no headers (measured: odd-records 8.1).
pub const HEADER: &str = "schema-mirror";

/// Which link wrote a record, in whose hands it was, and through which clusters it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The link's name.
    pub link: String,
    /// The instance that wrote it.
    pub writer: String,
    /// The lease under which it was written; grows with every change of writer.
    pub epoch: u64,
    /// Ids of the clusters that the record came through, the first one first.
    pub path: Vec<String>,
}

impl Provenance {
    /// Reads the header of a record that some link wrote. One that can't be read is none of ours.
    #[must_use]
    pub fn of(headers: &[Header]) -> Option<Self> {
        let header = headers.iter().rev().find(|header| header.name == HEADER)?;
        serde_json::from_slice(header.value.as_deref()?).ok()
    }

    /// The header to write.
    #[must_use]
    pub fn header(&self) -> Header {
        let value = serde_json::to_vec(self).unwrap_or_default();
        Header { name: HEADER.to_owned(), value: Some(value) }
    }
}

/// Whether Karapace wrote the record: it says so on every one (measured: 6.2.0).
#[must_use]
pub fn is_karapace(headers: &[Header]) -> bool {
    headers.iter().any(|header| {
        header.name == "X-Registry-Version"
            && header.value.as_deref().is_some_and(|value| value.starts_with(b"karapace"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_reads_back_and_a_damaged_one_is_none() {
        let written = Provenance {
            link: "a-to-b".into(),
            writer: "host-1".into(),
            epoch: 7,
            path: vec!["A".into()],
        };
        assert_eq!(Provenance::of(&[written.header()]), Some(written));
        let damaged = Header { name: HEADER.into(), value: Some(b"{".to_vec()) };
        assert_eq!(Provenance::of(&[damaged]), None);
        assert_eq!(Provenance::of(&[]), None);
    }
}
