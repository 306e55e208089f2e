//! JSON as registries write it: objects whose fields stay the bytes they were.

mod text;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use serde_json::value::RawValue;

use self::text::measure_string;

/// Appends `text` as a JSON string with the bytes that Jackson writes: short escapes, upper-case
/// hex for other controls, supplementary characters as an escaped surrogate pair, all else raw
/// (measured: odd-records 1.15).
pub fn push_jackson_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    push_jackson_text(out, text);
    out.push(b'"');
}

/// The same without quotes, for a string of several parts.
pub(super) fn push_jackson_text(out: &mut Vec<u8>, text: &str) {
    if text.bytes().all(|byte| (0x20..0xF0).contains(&byte) && byte != b'"' && byte != b'\\') {
        out.extend_from_slice(text.as_bytes());
    } else {
        text.chars().for_each(|c| push_escaped(out, c, 0xFFFF));
    }
}

/// Appends one character, escaped where it has to be, or lies beyond `raw_max`.
fn push_escaped(out: &mut Vec<u8>, c: char, raw_max: u32) {
    match c {
        '"' => out.extend_from_slice(br#"\""#),
        '\\' => out.extend_from_slice(br"\\"),
        '\u{8}' => out.extend_from_slice(br"\b"),
        '\u{c}' => out.extend_from_slice(br"\f"),
        '\n' => out.extend_from_slice(br"\n"),
        '\r' => out.extend_from_slice(br"\r"),
        '\t' => out.extend_from_slice(br"\t"),
        _ if u32::from(c) < 0x20 || u32::from(c) > raw_max => {
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

/// Why bytes are not a JSON object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonFault {
    /// Not UTF-8.
    #[error("it is not UTF-8")]
    Encoding,
    /// Not JSON, or no object.
    #[error("{what} at byte {at}")]
    Syntax {
        /// What is wrong.
        what: &'static str,
        /// Where.
        at: usize,
    },
}

/// Where a field's name and value stand in the bytes it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    name: Range<usize>,
    value: Range<usize>,
    /// The value is a string with an escape that could be spelled in another way.
    is_odd: bool,
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

    /// Where its value stands.
    pub(super) fn place(&self) -> Range<usize> {
        self.value.clone()
    }

    /// The field's name in the text it was read from.
    pub(super) fn name_in<'a>(&self, text: &'a str) -> Option<Cow<'a, str>> {
        string(text.get(self.name.clone())?)
    }

    /// The field's value in the text it was read from.
    pub(super) fn value_in<'a>(&self, text: &'a str) -> Raw<'a> {
        Raw { text: text.get(self.value.clone()).unwrap_or_default(), is_odd: self.is_odd }
    }
}

/// A value as it was written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Raw<'a> {
    pub(super) text: &'a str,
    is_odd: bool,
}

impl<'a> Raw<'a> {
    /// The one form that all spellings of a JSON string have in common: escaped where JSON asks for
    /// it and nowhere else, without its quotes. Text that stands so already, as nearly all does, is
    /// not touched. A lone surrogate has no other spelling and stays as it stands.
    pub(super) fn plain_string(self) -> Cow<'a, str> {
        let inner = self.text.strip_prefix('"').and_then(|inner| inner.strip_suffix('"'));
        let inner = inner.unwrap_or_default();
        if !self.is_odd {
            return Cow::Borrowed(inner);
        }
        let Ok(text) = serde_json::from_str::<String>(self.text) else {
            return Cow::Borrowed(inner);
        };
        let mut out = Vec::with_capacity(inner.len());
        text.chars().for_each(|c| push_escaped(&mut out, c, u32::MAX));
        String::from_utf8(out).map_or(Cow::Borrowed(inner), Cow::Owned)
    }
}

/// An object whose fields are known by place; the bytes stay with whoever holds them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Object {
    fields: Vec<Field>,
    /// Where it ends; text may follow.
    length: usize,
}

impl Object {
    /// Finds the fields of the object that `bytes` begin with. Text behind it is ignored, as
    /// Jackson's reader ignores it. Every record passes through here, so strings are walked once and
    /// nothing is unescaped.
    ///
    /// # Errors
    /// The bytes are not UTF-8 or do not begin with a JSON object.
    pub fn parse(bytes: &[u8]) -> Result<Self, JsonFault> {
        let text = std::str::from_utf8(bytes).map_err(|_| JsonFault::Encoding)?;
        Self::parse_text(text)
    }

    pub(super) fn parse_text(text: &str) -> Result<Self, JsonFault> {
        let mut fields = Vec::with_capacity(8);
        let mut walk = Fields::of(text);
        for field in walk.by_ref() {
            fields.push(field?);
        }
        Ok(Self { fields, length: walk.scanner.at })
    }

    /// The places of fields whose name comes again behind them.
    fn overridden(&self, text: &str) -> BTreeSet<usize> {
        let mut seen = BTreeSet::new();
        let backwards = self.fields.iter().enumerate().rev();
        backwards
            .filter_map(|(place, field)| (!seen.insert(field.name_in(text)?)).then_some(place))
            .collect()
    }

    /// How many bytes it takes; text may stand behind it.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// The fields in their order; a name may occur twice.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The fields with their names, of those that have one name the last; `None` for a name that
    /// holds a lone surrogate. `text` is what it was read from.
    pub(super) fn last_of_each<'a>(
        &'a self,
        text: &'a str,
    ) -> impl Iterator<Item = Option<(Cow<'a, str>, Raw<'a>)>> {
        let overridden = self.overridden(text);
        self.fields.iter().enumerate().filter_map(move |(place, field)| {
            let Some(name) = field.name_in(text) else { return Some(None) };
            (!overridden.contains(&place)).then(|| Some((name, field.value_in(text))))
        })
    }
}

/// The fields of the object that a text begins with, one after the other, without room for them.
pub(super) struct Fields<'a> {
    scanner: Scanner<'a>,
    stands: Stands,
}

/// Where a walk through an object stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stands {
    Before,
    BehindAField,
    Behind,
}

impl<'a> Fields<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self { scanner: Scanner { text, at: 0 }, stands: Stands::Before }
    }

    /// Steps to the next field; false at the object's end.
    fn step(&mut self) -> Result<bool, JsonFault> {
        let is_first = self.stands == Stands::Before;
        if is_first {
            self.scanner.expect(b'{', "no JSON object begins")?;
        }
        self.scanner.blanks();
        let more = match self.scanner.peek() {
            Some(b'}') => false,
            Some(_) | None if is_first => return Ok(true),
            Some(b',') => true,
            Some(_) | None => return Err(self.scanner.fault("neither , nor } ends a field")),
        };
        self.scanner.at = self.scanner.at.saturating_add(1);
        if more {
            self.scanner.blanks();
        }
        Ok(more)
    }

    fn field(&mut self) -> Result<Field, JsonFault> {
        let (name, _) = self.scanner.string()?;
        self.scanner.expect(b':', "no colon stands behind a name")?;
        self.scanner.blanks();
        let (value, is_odd) = self.scanner.value()?;
        Ok(Field { name, value, is_odd })
    }
}

impl Iterator for Fields<'_> {
    type Item = Result<Field, JsonFault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.stands == Stands::Behind {
            return None;
        }
        let field = match self.step() {
            Ok(true) => self.field(),
            Ok(false) => {
                self.stands = Stands::Behind;
                return None;
            }
            Err(fault) => Err(fault),
        };
        self.stands = if field.is_ok() { Stands::BehindAField } else { Stands::Behind };
        Some(field)
    }
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn fault(&self, what: &'static str) -> JsonFault {
        JsonFault::Syntax { what, at: self.at }
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    fn blanks(&mut self) {
        let blank = |byte: &&u8| matches!(**byte, b' ' | b'\n' | b'\t' | b'\r');
        self.at = self.at.saturating_add(self.rest().iter().take_while(blank).count());
    }

    fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), JsonFault> {
        self.blanks();
        if self.peek() != Some(byte) {
            return Err(self.fault(what));
        }
        self.at = self.at.saturating_add(1);
        Ok(())
    }

    fn take(&mut self, length: usize) -> Range<usize> {
        let start = self.at;
        self.at = start.saturating_add(length);
        start..self.at
    }

    /// A string with its quotes, and whether it holds an escape that could be spelled otherwise.
    fn string(&mut self) -> Result<(Range<usize>, bool), JsonFault> {
        let (length, is_odd) =
            measure_string(self.rest()).ok_or_else(|| self.fault("no string stands"))?;
        Ok((self.take(length), is_odd))
    }

    fn value(&mut self) -> Result<(Range<usize>, bool), JsonFault> {
        let rest = self.rest();
        let range = match rest.first() {
            Some(b'"') => return self.string(),
            Some(b't') if rest.starts_with(b"true") => self.take(4),
            Some(b'n') if rest.starts_with(b"null") => self.take(4),
            Some(b'f') if rest.starts_with(b"false") => self.take(5),
            Some(b'1'..=b'9') => {
                let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
                match rest.get(digits) {
                    Some(b',' | b'}') => self.take(digits),
                    Some(_) | None => self.other_value()?,
                }
            }
            Some(_) | None => self.other_value()?,
        };
        Ok((range, false))
    }

    fn other_value(&mut self) -> Result<Range<usize>, JsonFault> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<&RawValue>();
        match values.next() {
            Some(Ok(raw)) => Ok(self.take(raw.get().len())),
            Some(Err(_)) | None => Err(self.fault("no value stands")),
        }
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

    #[test]
    fn of_fields_with_one_name_the_last_counts_however_it_is_spelled_and_however_many_there_are() {
        for more in [0, 20, 50_000] {
            let others: String = (0..more).map(|n| format!("\"\\u0078{n}\":{n},")).collect();
            let text = format!("{{\"a\":1,{others}\"b\":2,\"\\u0061\":3}}");
            let object = Object::parse_text(&text).unwrap();
            let read: Vec<_> = object.last_of_each(&text).map(Option::unwrap).collect();
            let of = |name: &str| {
                read.iter()
                    .filter(|(read, _)| read == name)
                    .map(|(_, raw)| raw.text)
                    .collect::<Vec<_>>()
            };
            assert_eq!((of("a"), of("b"), read.len()), (vec!["3"], vec!["2"], more + 2));
        }
    }

    #[track_caller]
    fn check_plain(one: &str, other: &str) {
        assert_eq!(plain(one), plain(other), "{one} {other}");
    }

    fn plain(string: &str) -> String {
        let object = format!("{{\"a\":{string}}}");
        let parsed = Object::parse(object.as_bytes()).unwrap();
        parsed.fields()[0].value_in(&object).plain_string().into_owned()
    }

    #[test]
    fn spellings_of_one_string_have_one_plain_form() {
        check_plain(r#""\u0061/\u00fc""#, "\"a\\/ü\"");
        check_plain(r#""\uD83D\uDE00""#, "\"😀\"");
        check_plain(r#""\u0022\u005c\u000a""#, r#""\"\\\n""#);
        check_plain(r#""\u001f""#, r#""\u001F""#);
        assert_ne!(plain(r#""\\u0061""#), plain(r#""a""#));
        assert_ne!(plain(r#""\\/""#), plain(r#""/""#));
    }

    #[test]
    fn what_serde_json_refuses_is_refused() {
        for bytes in [
            &br#"{"a":01}"#[..],
            br#"{"a":"\x"}"#,
            br#"{"a":"\u12g4"}"#,
            b"{\"a\":\"\t\"}",
            br#"{"a":tru}"#,
            br#"{"a" 1}"#,
            br#"{"a":1 "b":2}"#,
            br#"{a:1}"#,
            br#"{"a":-}"#,
            br#"{"a":1e}"#,
            br#"{,}"#,
            br#"{"a":}"#,
            br#"{"a":[1,]}"#,
        ] {
            assert!(Object::parse(bytes).is_err(), "{}", String::from_utf8_lossy(bytes));
        }
    }
}
