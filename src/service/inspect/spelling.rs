//! How keys are spelled. Compaction compares bytes, a registry compares what they say: a key in
//! another spelling than the registry's own outlives its deletion.

use std::fmt;

use serde::Serialize;

use crate::core::json::Object;
use crate::core::key::Key;

/// How a key is spelled. Where several hold, the first one of this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Spelling {
    /// The bytes that Confluent writes since 5.3.
    Canonical,
    /// With Redpanda's fields `seq` and `node`: every write has a key of its own.
    SeqNode,
    /// With fields that no registry knows.
    ExtraFields,
    /// `keytype` behind the subject: Confluent before 5.3, or Karapace's other order.
    OldOrder,
    /// `"subject":null` written out: Karapace, or Confluent before 6.2.
    SubjectNull,
    /// Characters beyond U+FFFF as they are; registries write them as an escaped pair.
    RawAstral,
    /// A SCHEMA key with magic 0: Confluent before 3.3.
    MagicZero,
    /// No `magic`.
    NoMagic,
    /// Blanks, numbers in quotes, other escapes, text behind the key, a context without its colon.
    Other,
}

impl fmt::Display for Spelling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Canonical => "as Confluent writes since 5.3",
            Self::SeqNode => "with Redpanda's seq and node",
            Self::ExtraFields => "with fields no registry knows",
            Self::OldOrder => "keytype last: Karapace, or Confluent before 5.3",
            Self::SubjectNull => "subject:null: Karapace, or Confluent before 6.2",
            Self::RawAstral => "characters beyond U+FFFF unescaped",
            Self::MagicZero => "SCHEMA with magic 0: Confluent before 3.3",
            Self::NoMagic => "without magic",
            Self::Other => "blanks, quotes or escapes of another writer",
        })
    }
}

const FIELDS: [&str; 6] = ["keytype", "subject", "version", "magic", "tenant", "context"];

impl Spelling {
    /// How the bytes of a key that can be read are spelled.
    pub(super) fn of(bytes: &[u8], key: &Key) -> Self {
        if key.canonical() == bytes {
            return Self::Canonical;
        }
        let Ok(object) = Object::parse(bytes) else { return Self::Other };
        let fields: Vec<(String, &str)> = object
            .fields()
            .iter()
            .filter_map(|field| Some((field.name(bytes)?.into_owned(), field.raw(bytes))))
            .collect();
        let has = |name: &str| fields.iter().any(|(field, _)| field == name);
        let says = |name: &str, raw: &str| {
            fields.iter().any(|(field, value)| field == name && *value == raw)
        };
        if has("seq") && has("node") {
            Self::SeqNode
        } else if fields.iter().any(|(field, _)| !FIELDS.contains(&field.as_str())) {
            Self::ExtraFields
        } else if fields.first().is_some_and(|(field, _)| field != "keytype") {
            Self::OldOrder
        } else if says("subject", "null") {
            Self::SubjectNull
        } else if bytes.iter().any(|byte| *byte >= FOUR_BYTES) {
            Self::RawAstral
        } else if matches!(key, Key::Schema(..)) && says("magic", "0") {
            Self::MagicZero
        } else if !has("magic") {
            Self::NoMagic
        } else {
            Self::Other
        }
    }
}

/// UTF-8 spells characters beyond U+FFFF in four bytes, of which the first is at least this.
const FOUR_BYTES: u8 = 0xF0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::key::KeyReading;
    use crate::core::key::read_key;

    #[track_caller]
    fn check(bytes: &str, expected: Spelling) {
        let KeyReading::Known(key) = read_key(bytes.as_bytes()) else { panic!("{bytes}") };
        assert_eq!(Spelling::of(bytes.as_bytes(), &key), expected, "{bytes}");
    }

    #[test]
    fn every_spelling_is_recognised() {
        check(r#"{"keytype":"SCHEMA","subject":"a","version":1,"magic":1}"#, Spelling::Canonical);
        check(
            r#"{"keytype":"CONFIG","subject":null,"magic":0,"seq":7,"node":0}"#,
            Spelling::SeqNode,
        );
        check(r#"{"keytype":"CONFIG","magic":0,"x":1}"#, Spelling::ExtraFields);
        check(r#"{"subject":null,"magic":0,"keytype":"CONFIG"}"#, Spelling::OldOrder);
        check(r#"{"magic":0,"keytype":"NOOP"}"#, Spelling::OldOrder);
        check(r#"{"keytype":"CONFIG","subject":null,"magic":0}"#, Spelling::SubjectNull);
        check(r#"{"keytype":"MODE","subject":"😀","magic":0}"#, Spelling::RawAstral);
        check(r#"{"keytype":"SCHEMA","subject":"a","version":1,"magic":0}"#, Spelling::MagicZero);
        check(r#"{"keytype":"NOOP"}"#, Spelling::NoMagic);
        check(r#"{"keytype": "NOOP", "magic": 0}"#, Spelling::Other);
        check(r#"{"keytype":"MODE","subject":":.a","magic":0}"#, Spelling::Other);
    }
}
