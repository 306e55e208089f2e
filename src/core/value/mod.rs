//! Values of registry records: checked as a registry checks them, edited in place, compared by
//! meaning.
//!
//! A value is never made anew. What a link changes is named in [`Edit`]; every other field, known
//! to us or not, keeps the bytes it had.

mod association;
mod edit;
mod schema;
mod setting;

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;
use sha2::Digest as _;
use sha2::Sha256;

pub use self::association::AssociationValue;
pub use self::association::read_association;
pub use self::edit::Edit;
pub use self::edit::edited;
pub use self::edit::resubjected;
pub use self::schema::Content;
pub use self::schema::Reference;
pub use self::schema::Remark;
pub use self::schema::SchemaValue;
pub use self::schema::read_schema;
pub use self::setting::ConfigValue;
pub use self::setting::Mode;
pub use self::setting::read_config;
pub use self::setting::read_delete_subject;
pub use self::setting::read_mode;
use crate::core::json::JsonFault;
use crate::core::json::Object;
use crate::core::json::Raw;

/// A fingerprint of what bytes mean; equal for two spellings of the same thing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 16]);

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Digest {
    /// The digest of bytes as they are. Half of SHA-256: nobody can make two texts that share it,
    /// and processors compute it themselves.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::half(&Sha256::digest(bytes))
    }

    fn half(whole: &[u8]) -> Self {
        Self(whole.first_chunk().copied().unwrap_or_default())
    }
}

fn meaning_of(text: &Digest, others: &mut [(String, Vec<u8>)]) -> Digest {
    others.sort();
    let mut hasher = Sha256::new_with_prefix(text.0);
    for (name, value) in others {
        hasher.update(name.as_bytes());
        hasher.update(b"\0");
        hasher.update(value);
        hasher.update(b"\0");
    }
    Digest::half(&hasher.finalize())
}

/// The object that a value's bytes begin with, and the text it stands in.
fn read_object(bytes: &[u8]) -> Result<(Object, &str), String> {
    let unreadable = |fault: JsonFault| format!("its value can't be read: {fault}");
    let text = std::str::from_utf8(bytes).map_err(|_| unreadable(JsonFault::Encoding))?;
    Ok((Object::parse_text(text).map_err(unreadable)?, text))
}

/// The fields of an object with their raw values; of a name that occurs twice the last, as Jackson
/// reads it.
fn last_of_each<'a>(
    object: &'a Object,
    text: &'a str,
) -> impl Iterator<Item = Result<(Cow<'a, str>, Raw<'a>), String>> {
    object.last_of_each(text).map(|field| {
        field.ok_or_else(|| {
            "a field's name holds a lone surrogate, which cannot be represented".to_owned()
        })
    })
}

/// Jackson reads `"9"` as 9 where an int is wanted (odd-records 2.3).
fn integer(raw: &str) -> Option<i64> {
    let digits = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(raw);
    digits.trim().parse().ok()
}

fn parsed(raw: &str, field: &str) -> Result<Value, String> {
    serde_json::from_str(raw).map_err(|fault| format!("its {field} can't be read: {fault}"))
}

/// A value's bytes with object fields sorted and blanks gone: equal where the meaning is.
fn canonical_value(raw: &str) -> Vec<u8> {
    match serde_json::from_str::<Value>(raw) {
        Ok(mut value) => {
            value.sort_all_objects();
            value.to_string().into_bytes()
        }
        // A lone surrogate or a number beyond f64: carried as it stands, compared as it stands.
        Err(_) => raw.as_bytes().to_vec(),
    }
}
