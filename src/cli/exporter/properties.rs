//! Java's properties, as far as configuration files of clients use them.

use std::collections::BTreeMap;

/// Reads `key=value` lines: `=`, `:` or a blank between, comments after `#` and `!`, a backslash that
/// joins a line to the next or escapes a character.
pub(super) fn read_properties(text: &str) -> BTreeMap<String, String> {
    let mut properties = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let mut line = line.trim_start().to_owned();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        while goes_on(&line) {
            line.pop();
            match lines.next() {
                Some(next) => line.push_str(next.trim_start()),
                None => break,
            }
        }
        let (key, value) = halves(&line);
        properties.insert(unescaped(key), unescaped(value));
    }
    properties
}

/// Whether a line ends with a backslash that no other one escapes.
fn goes_on(line: &str) -> bool {
    let backslashes = line.chars().rev().take_while(|c| *c == '\\').count();
    !backslashes.is_multiple_of(2)
}

/// The key and the value of a line.
fn halves(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.find(|c: char| {
        let ends = !escaped && (c == '=' || c == ':' || c.is_whitespace());
        escaped = c == '\\' && !escaped;
        ends
    });
    let Some((key, rest)) = end.and_then(|end| line.split_at_checked(end)) else {
        return (line, "");
    };
    let rest = rest.trim_start();
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, value.trim_start())
}

fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('t') => out.push('\t'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('u') => {
                let hex: String = chars.by_ref().take(4).collect();
                let code = u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32);
                out.push(code.unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_properties_are_read_as_java_does() {
        let text = "# a comment\n! another\n\nschema.registry.url=http://schemaregistry2:8082\r\n\
                    a : b\n c   d\ne=f=g\nlong=one,\\\n   two\nesc\\=aped=\\u00fc\\\\\nempty\n";
        let read = read_properties(text);
        let pairs: Vec<(&str, &str)> =
            read.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let expected = [
            ("a", "b"),
            ("c", "d"),
            ("e", "f=g"),
            ("empty", ""),
            ("esc=aped", "ü\\"),
            ("long", "one,two"),
            ("schema.registry.url", "http://schemaregistry2:8082"),
        ];
        assert_eq!(pairs, expected);
    }
}
