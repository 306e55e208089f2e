//! A list of rules that give subjects other names: a pattern that matches the whole name, and what
//! stands there instead. Unlike a [`SubjectFormat`](crate::core::format::SubjectFormat) it can give
//! one name to two subjects, and what a name was before can't be read off it.

use std::fmt;
use std::sync::Arc;

use regex::Captures;
use regex::Regex;
use regex::RegexBuilder;
use serde_json::Value;
use serde_json::json;

/// Rules of one list; each costs a look at each name.
pub const RULES_MAX: usize = 100;
/// Characters of a pattern, and of what stands instead. Names of topics, which most subjects have,
/// are shorter than 250.
pub const RULE_CHARS_MAX: usize = 1_000;
/// Memory of one compiled pattern: a bounded repetition of a large class of letters takes megabytes.
/// What a search keeps besides has the same limit.
const PATTERN_BYTES_MAX: usize = 256 * 1024;

/// An ordered list of rules. The first one whose pattern matches a subject's whole name, without its
/// context, names it; a subject that none matches keeps its name.
#[derive(Debug, Clone)]
pub struct RenameList {
    rules: Vec<Rule>,
}

/// One rule, read.
#[derive(Debug, Clone)]
struct Rule {
    pattern: Regex,
    spelled: [String; 2],
    pieces: Vec<Piece>,
}

/// A part of what stands instead of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// What this group of the pattern matched; nothing where it took no part.
    Group(usize),
}

/// What is wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?}: {reason}")]
pub struct NotARule {
    /// Which rule of the list it is, from 0.
    pub place: usize,
    /// The pattern, or what stands instead, as it was given.
    pub given: String,
    /// Why it is none.
    pub reason: String,
}

impl RenameList {
    /// Reads rules, each a pattern and what stands instead: text, `$1` and `${name}` for groups of the
    /// pattern, `$0` for the whole name, `$$` for a dollar. A `.` of a pattern is any character.
    ///
    /// # Errors
    /// Every rule that can't be read; no rule, or more than [`RULES_MAX`].
    pub fn parse<S: AsRef<str>>(rules: &[(S, S)]) -> Result<Self, Vec<NotARule>> {
        let refuse = |place, reason: &str| {
            vec![NotARule { place, given: String::new(), reason: reason.to_owned() }]
        };
        if rules.is_empty() {
            return Err(refuse(0, "the list is empty; leave it out to keep names"));
        }
        if rules.len() > RULES_MAX {
            return Err(refuse(RULES_MAX, &format!("a list has at most {RULES_MAX} rules")));
        }
        let mut good = Vec::new();
        let mut bad = Vec::new();
        for (place, (pattern, instead)) in rules.iter().enumerate() {
            match Rule::parse(pattern.as_ref(), instead.as_ref()) {
                Ok(rule) => good.push(rule),
                Err((given, reason)) => bad.push(NotARule { place, given, reason }),
            }
        }
        if bad.is_empty() { Ok(Self { rules: good }) } else { Err(bad) }
    }

    /// The name in the target, which may be one that no subject can have. The empty one, which stands
    /// for a context itself, stays.
    #[must_use]
    pub fn rename(&self, name: &Arc<str>) -> Arc<str> {
        if name.is_empty() {
            return Arc::clone(name);
        }
        let renamed = self.rules.iter().find_map(|rule| rule.rename(name));
        renamed.map_or_else(|| Arc::clone(name), Arc::from)
    }

    /// Whether a subject of this name keeps it.
    #[must_use]
    pub fn keeps(&self, name: &Arc<str>) -> bool {
        self.rename(name) == *name
    }
}

/// How the list is spelled where it has to be one text: as JSON, which [`pairs_of`] reads.
impl fmt::Display for RenameList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules = self.rules.iter().map(|rule| {
            let [pattern, instead] = &rule.spelled;
            json!({"match": pattern, "replace": instead})
        });
        write!(f, "{}", Value::Array(rules.collect()))
    }
}

impl PartialEq for RenameList {
    fn eq(&self, other: &Self) -> bool {
        let spelled = |list: &Self| -> Vec<[String; 2]> {
            list.rules.iter().map(|rule| rule.spelled.clone()).collect()
        };
        spelled(self) == spelled(other)
    }
}

impl Eq for RenameList {}

/// A pattern, and what stands instead.
pub type Pair<'a> = (&'a str, &'a str);
/// What is no pair, by its place in the list where it has one, and why.
pub type NoPair = (Option<usize>, String);

/// Reads the pairs of a list: `[{"match": "prod-(.*)", "replace": "$1"}]`.
///
/// # Errors
/// What is no such pair.
pub fn pairs_of(list: &Value) -> Result<Vec<Pair<'_>>, NoPair> {
    let Some(items) = list.as_array() else {
        return Err((None, "it is no list of rules".to_owned()));
    };
    let pairs = items.iter().enumerate().map(|(place, item)| {
        let wrong = |reason: String| (Some(place), reason);
        let fields = item.as_object();
        let fields = fields.ok_or_else(|| wrong("it has no match and replace".to_owned()))?;
        let text = |key: &str| {
            let text = fields.get(key).and_then(Value::as_str);
            text.ok_or_else(|| wrong(format!("its {key} is missing, or no text")))
        };
        let pair = (text("match")?, text("replace")?);
        match fields.keys().find(|key| !matches!(key.as_str(), "match" | "replace")) {
            Some(unknown) => {
                Err(wrong(format!("{unknown} is not known; it has match and replace")))
            }
            None => Ok(pair),
        }
    });
    pairs.collect()
}

impl Rule {
    fn parse(pattern: &str, instead: &str) -> Result<Self, (String, String)> {
        let refuse = |given: &str, reason: String| (given.to_owned(), reason);
        for given in [pattern, instead] {
            if given.chars().count() > RULE_CHARS_MAX {
                let begin: String = given.chars().take(40).collect();
                let reason = format!("it is longer than {RULE_CHARS_MAX} characters");
                return Err((format!("{begin}…"), reason));
            }
        }
        if pattern.is_empty() {
            return Err(refuse(pattern, "an empty pattern matches no name".to_owned()));
        }
        // Read alone first: what closes a group that it did not open would end the anchors' own.
        let regex = compiled(pattern)
            .and_then(|_| compiled(&format!("^(?:{pattern})$")))
            .map_err(|reason| refuse(pattern, reason))?;
        let pieces = pieces(instead, &regex).map_err(|reason| refuse(instead, reason))?;
        let spelled = [pattern.to_owned(), instead.to_owned()];
        Ok(Self { pattern: regex, spelled, pieces })
    }

    fn rename(&self, name: &str) -> Option<String> {
        let groups: Captures<'_> = self.pattern.captures(name)?;
        let mut renamed = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => renamed.push_str(text),
                Piece::Group(group) => {
                    renamed.push_str(groups.get(*group).map_or("", |matched| matched.as_str()));
                }
            }
        }
        Some(renamed)
    }
}

fn compiled(pattern: &str) -> Result<Regex, String> {
    let mut builder = RegexBuilder::new(pattern);
    builder.size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_BYTES_MAX);
    builder.dot_matches_new_line(true).build().map_err(|fault| {
        if let regex::Error::CompiledTooBig(_) = fault {
            return format!("it takes more than {} KiB of memory", PATTERN_BYTES_MAX / 1024);
        }
        let drawn = fault.to_string();
        // It is drawn over several lines; the last one says why.
        let cause = drawn.rsplit_once("\nerror: ").map_or(drawn.as_str(), |(_, cause)| cause);
        format!("not a regex: {cause}")
    })
}

/// Reads what stands instead of a name.
fn pieces(instead: &str, pattern: &Regex) -> Result<Vec<Piece>, String> {
    if instead.is_empty() {
        return Err("a subject has to have a name".to_owned());
    }
    if instead.starts_with(':') {
        return Err(
            "a context is not part of the name; the link's own context puts it before".to_owned()
        );
    }
    if instead.starts_with('/') || instead.contains('*') {
        return Err("a slash at its beginning, and a *, would read as a pattern".to_owned());
    }
    if instead.chars().any(char::is_control) {
        return Err("it holds a control character".to_owned());
    }
    if instead.contains('\\') {
        return Err(
            "a backslash means nothing here; a group is $1 or ${name}, a dollar $$".to_owned()
        );
    }
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = instead;
    while let Some((before, behind)) = rest.split_once('$') {
        text.push_str(before);
        if let Some(behind) = behind.strip_prefix('$') {
            text.push('$');
            rest = behind;
            continue;
        }
        let (group, behind) = group(behind, pattern)?;
        if !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut text)));
        }
        pieces.push(Piece::Group(group));
        rest = behind;
    }
    text.push_str(rest);
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Ok(pieces)
}

/// Reads a group behind its dollar; what stands behind it. Of digits so many are taken as make the
/// number of a group, as in Java: `$1x` is group 1 and an x.
fn group<'a>(behind: &'a str, pattern: &Regex) -> Result<(usize, &'a str), String> {
    let count = pattern.captures_len();
    if let Some(braced) = behind.strip_prefix('{') {
        let (name, rest) = braced.split_once('}').ok_or("a ${ is not closed")?;
        let named = pattern.capture_names().position(|known| known == Some(name));
        let number = || name.parse().ok().filter(|number: &usize| *number < count);
        let group = named.or_else(number).ok_or_else(|| unknown(name, count))?;
        return Ok((group, rest));
    }
    let digits = behind.find(|c: char| !c.is_ascii_digit()).unwrap_or(behind.len());
    let taken = (1..=digits).rev().find_map(|length| {
        let (number, rest) = behind.split_at_checked(length)?;
        let number = number.parse().ok().filter(|number: &usize| *number < count)?;
        Some((number, rest))
    });
    match taken {
        Some(taken) => Ok(taken),
        None if digits == 0 => {
            Err("a dollar stands before a group, $1 or ${name}; $$ is one".to_owned())
        }
        None => Err(unknown(behind.get(..digits).unwrap_or_default(), count)),
    }
}

fn unknown(group: &str, count: usize) -> String {
    let groups = count.saturating_sub(1);
    let whole = if group == "subject" { "; the whole name is $0" } else { "" };
    format!("the pattern has no group {group}, it has {groups}{whole}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(rules: &[(&str, &str)]) -> RenameList {
        RenameList::parse(rules).unwrap()
    }

    #[track_caller]
    fn check(rules: &[(&str, &str)], names: &[(&str, &str)]) {
        let list = list(rules);
        for (name, renamed) in names {
            assert_eq!(&*list.rename(&Arc::from(*name)), *renamed, "{name} by {list}");
        }
    }

    #[test]
    fn the_first_rule_that_matches_the_whole_name_names_it_and_others_stay() {
        check(
            &[("prod-(.*)-v[0-9]+", "$1"), ("prod-(.*)", "all-$1"), ("eu|us", "west")],
            &[
                ("prod-orders-v2", "orders"),
                ("prod-orders-v2b", "all-orders-v2b"),
                ("my-prod-orders", "my-prod-orders"),
                ("eu", "west"),
                ("europe", "europe"),
                ("", ""),
            ],
        );
    }

    #[test]
    fn groups_are_spelled_as_in_java_and_a_dollar_is_doubled() {
        check(&[("(a)(b)?(.*)", "$1x-${3}0$2$$1")], &[("abc", "ax-c0b$1"), ("ac", "ax-c0$1")]);
        check(&[("(?<env>[a-z]+)\\.(?<topic>.+)", "${topic}.${env}")], &[("p.o.k", "o.k.p")]);
        check(&[("(.)", "$12-$0")], &[("a", "a2-a"), ("\n", "\n2-\n")]);
    }

    #[test]
    fn what_is_no_rule_is_refused_with_its_reason() {
        let huge = "a".repeat(RULE_CHARS_MAX + 1);
        for (pattern, instead, reason) in [
            ("(", "a", "not a regex"),
            ("a)|(b", "a", "not a regex"),
            ("", "a", "empty pattern"),
            ("a", "", "has to have a name"),
            ("a", "$1", "no group 1, it has 0"),
            ("(a)", "${subject}", "the whole name is $0"),
            ("a", "b$", "$$ is one"),
            ("a", "${0", "not closed"),
            ("(a)", "\\1", "backslash"),
            ("(.*)", ":.dr:$1", "context"),
            ("(.*)", "/$1/", "pattern"),
            ("(.*)", "a*", "pattern"),
            ("(.*)", "a\n", "control"),
            ("(?P<n>a)(?P<n>b)", "a", "not a regex"),
            ("(\\w{200}){200}", "a", "256 KiB"),
            (&huge, "a", "1000 characters"),
            ("a", &huge, "1000 characters"),
        ] {
            let faults = RenameList::parse(&[("ok", "ok"), (pattern, instead)]).unwrap_err();
            assert_eq!(faults.len(), 1, "{pattern} {instead}");
            assert_eq!(faults[0].place, 1);
            assert!(faults[0].reason.contains(reason), "{pattern}: {}", faults[0]);
        }
        assert!(RenameList::parse::<&str>(&[]).is_err());
        let many = vec![("a", "b"); RULES_MAX + 1];
        assert!(RenameList::parse(&many).is_err());
    }

    #[test]
    fn a_pattern_that_takes_long_elsewhere_takes_no_time() {
        let long = format!("{}b", "a".repeat(10_000));
        check(&[("(a*)*(a*)*c", "x")], &[(&long, &long)]);
    }

    #[test]
    fn a_list_reads_back_from_how_it_is_spelled() {
        let list = list(&[("prod-\\.(.*)", "$1"), ("a", "\"b\"")]);
        let value: Value = serde_json::from_str(&list.to_string()).unwrap();
        assert_eq!(RenameList::parse(&pairs_of(&value).unwrap()).unwrap(), list);
        for (wrong, place) in [
            (r#"{"match":"a"}"#, None),
            (r#"["a"]"#, Some(0)),
            (r#"[{"match":"a","replace":"b"},{"match":"a"}]"#, Some(1)),
            (r#"[{"match":"a","replace":1}]"#, Some(0)),
            (r#"[{"match":"a","replace":"b","with":"c"}]"#, Some(0)),
        ] {
            let wrong: Value = serde_json::from_str(wrong).unwrap();
            assert_eq!(pairs_of(&wrong).unwrap_err().0, place, "{wrong}");
        }
    }
}
