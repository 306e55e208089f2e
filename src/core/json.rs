//! JSON as registries write it: objects whose fields stay the bytes they were.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::Deserializer as _;
use serde::de::MapAccess;
use serde::de::Visitor;
use serde_json::value::RawValue;

/// Appends `text` as a JSON string with the bytes that Jackson writes: short escapes, upper-case
/// hex for other controls, supplementary characters as an escaped surrogate pair, all else raw
/// (measured: odd-records 1.15).
pub fn push_jackson_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(br#"\""#),
            '\\' => out.extend_from_slice(br"\\"),
            '\u{8}' => out.extend_from_slice(br"\b"),
            '\u{c}' => out.extend_from_slice(br"\f"),
            '\n' => out.extend_from_slice(br"\n"),
            '\r' => out.extend_from_slice(br"\r"),
            '\t' => out.extend_from_slice(br"\t"),
            _ if u32::from(c) < 0x20 || u32::from(c) > 0xFFFF => {
                let mut units = [0u16; 2];
                for unit in c.encode_utf16(&mut units) {
                    out.extend_from_slice(format!("\\u{unit:04X}").as_bytes());
                }
            }
            _ => {
                let mut utf8 = [0u8; 4];
                out.extend_from_slice(c.encode_utf8(&mut utf8).as_bytes());
            }
        }
    }
    out.push(b'"');
}

/// Why bytes are not a JSON object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonFault {
    /// Not UTF-8.
    #[error("it is not UTF-8")]
    Encoding,
    /// Not JSON, or no object.
    #[error("{0}")]
    Syntax(String),
}

/// Where a field's name and value stand in the bytes it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    name: Range<usize>,
    value: Range<usize>,
}

impl Field {
    /// The field's name; `None` where it holds a lone surrogate. `bytes` are those it was read from.
    #[must_use]
    pub fn name<'a>(&self, bytes: &'a [u8]) -> Option<Cow<'a, str>> {
        string(slice(bytes, &self.name))
    }

    /// The field's value as it was written.
    #[must_use]
    pub fn raw<'a>(&self, bytes: &'a [u8]) -> &'a str {
        slice(bytes, &self.value)
    }
}

/// An object whose fields are known by place; the bytes stay with whoever holds them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Object {
    fields: Vec<Field>,
}

impl Object {
    /// Finds the fields of the object that `bytes` begin with. Text behind it is ignored, as
    /// Jackson's reader ignores it.
    ///
    /// # Errors
    /// The bytes are not UTF-8 or do not begin with a JSON object.
    pub fn parse(bytes: &[u8]) -> Result<Self, JsonFault> {
        let text = std::str::from_utf8(bytes).map_err(|_| JsonFault::Encoding)?;
        let mut reader = serde_json::Deserializer::from_str(text);
        let visitor = FieldVisitor { base: text.as_ptr().addr() };
        reader.deserialize_map(visitor).map_err(|fault| JsonFault::Syntax(fault.to_string()))
    }

    /// The fields in their order; a name may occur twice.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }
}

struct FieldVisitor {
    base: usize,
}

impl FieldVisitor {
    fn range(&self, raw: &RawValue) -> Range<usize> {
        let start = raw.get().as_ptr().addr().saturating_sub(self.base);
        start..start.saturating_add(raw.get().len())
    }
}

impl<'de> Visitor<'de> for FieldVisitor {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut fields = Vec::with_capacity(8);
        while let Some(name) = map.next_key::<&RawValue>()? {
            let value = map.next_value::<&RawValue>()?;
            fields.push(Field { name: self.range(name), value: self.range(value) });
        }
        Ok(Object { fields })
    }
}

fn slice<'a>(bytes: &'a [u8], range: &Range<usize>) -> &'a str {
    bytes.get(range.clone()).and_then(|part| std::str::from_utf8(part).ok()).unwrap_or_default()
}

/// Reads a JSON string; `None` where it is none, or holds a lone surrogate.
#[must_use]
pub fn string(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str::<String>(raw).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, written: &str) {
        let mut out = Vec::new();
        push_jackson_string(&mut out, text);
        assert_eq!(String::from_utf8(out).unwrap(), written);
    }

    #[test]
    fn strings_are_escaped_as_jackson_escapes_them() {
        check("größe", "\"größe\"");
        check("a/b'<>&%+", "\"a/b'<>&%+\"");
        check("q\"b\\t\t\u{8}\u{c}\n\r", r#""q\"b\\t\t\b\f\n\r""#);
        check("\u{1f}\u{7f}", "\"\\u001F\u{7f}\"");
        check("😀", r#""\uD83D\uDE00""#);
        check("\u{ffff}\u{200d}\u{2028}", "\"\u{ffff}\u{200d}\u{2028}\"");
    }

    #[test]
    fn fields_keep_the_bytes_they_had_and_text_behind_the_object_is_ignored() {
        let bytes = br#" {"a" : [1, 2],"\u0062":"x\"y"} trailing"#;
        let object = Object::parse(bytes).unwrap();
        let fields: Vec<_> = object
            .fields()
            .iter()
            .map(|f| (f.name(bytes).unwrap().into_owned(), f.raw(bytes)))
            .collect();
        assert_eq!(fields, [("a".to_owned(), "[1, 2]"), ("b".to_owned(), r#""x\"y""#)]);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for bytes in [&b"[1]"[..], b"null", b"", b"{\"a\":", b"hello", b"{\"a\":1,}", b"\xff{}"] {
            assert!(Object::parse(bytes).is_err(), "{bytes:?}");
        }
    }
}
