//! What operators say about incidents: that they let them stand, or that they count again.

use crate::core::link::acknowledged::Acknowledged;
use crate::core::link::acknowledged::Acknowledgement;
use crate::core::link::acknowledged::change;
use crate::core::link::acknowledged::mark;
use crate::core::link::ledger::About;
use crate::core::link::ledger::Incident;
use crate::core::link::ledger::Ledger;

/// Acknowledgements that a link keeps at most: they are one record of our own topic, and with all texts
/// as long as they may be it stays below the 1,048,588 bytes that a topic takes by default.
pub const ACKNOWLEDGED_MAX: usize = 250;
/// Characters of a name at most.
const BY_CHARS_MAX: usize = 100;
/// Characters of a reason at most.
const WHY_CHARS_MAX: usize = 500;
/// Characters of a key that are kept.
const KEY_CHARS_MAX: usize = 200;
/// Keys that an answer names.
const NAMED_MAX: usize = 5;

/// Who lets incidents stand, and why: neither is empty or longer than it may be, and no character of
/// them drives a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grounds {
    by: String,
    why: String,
}

impl Grounds {
    /// # Errors
    /// Which of the two is wrong, and what it may be.
    pub fn new(by: &str, why: &str) -> Result<Self, String> {
        let checked = |word: &str, text: &str, chars_max: usize| {
            let text = text.trim();
            let is_right = !text.is_empty()
                && text.chars().count() <= chars_max
                && !text.chars().any(char::is_control);
            if is_right {
                return Ok(text.to_owned());
            }
            Err(format!(
                "{word} is a line of 1 to {chars_max} characters, none of them a control character"
            ))
        };
        Ok(Self { by: checked("by", by, BY_CHARS_MAX)?, why: checked("why", why, WHY_CHARS_MAX)? })
    }
}

/// Which incidents are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// Those that are told of under this key.
    Key(String),
    /// All that there are.
    All,
}

impl Which {
    /// Whether a key is meant, as it stands or as it is printed.
    fn means(&self, key: &str) -> bool {
        match self {
            Self::All => true,
            Self::Key(given) => given == key || unescaped(given) == key,
        }
    }
}

/// What is to become of incidents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// They are let stand.
    Acknowledge(Grounds),
    /// They count again.
    Withdraw,
}

/// Why incidents stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTurned {
    /// None is meant; what there is.
    #[error("{0}")]
    NotThere(String),
    /// More would be acknowledged than a link keeps.
    #[error("{0}")]
    TooMany(String),
}

/// What a ledger's acknowledgements come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turned {
    /// All that are kept from now on.
    pub kept: Acknowledged,
    /// Keys of the incidents that were meant, one for each.
    pub keys: Vec<String>,
}

impl Ledger {
    /// What is kept once incidents that stand now are let stand, or count again. What covers none of
    /// them any more is left out: its incident is gone, or is another one. `at_ms` is the time in ms
    /// since 1970.
    ///
    /// # Errors
    /// No incident is meant, with what there is; or there are too many.
    pub fn turned(&self, which: &Which, turn: &Turn, at_ms: i64) -> Result<Turned, NotTurned> {
        let mut kept = Acknowledged::default();
        let mut keys = Vec::new();
        for (about, incident) in self.incidents() {
            let before = self.acknowledgement(about, incident);
            let turns = which.means(&incident.key)
                && match (turn, which) {
                    (Turn::Withdraw, _) => before.is_some(),
                    (Turn::Acknowledge(_), Which::All) => before.is_none(),
                    (Turn::Acknowledge(_), Which::Key(_)) => true,
                };
            if turns {
                keys.push(incident.key.clone());
            }
            kept.extend(match turn {
                Turn::Acknowledge(Grounds { by, why }) if turns => Some(Acknowledgement {
                    mark: mark(about, incident),
                    change: change(about, incident),
                    key: incident.key.chars().take(KEY_CHARS_MAX).collect(),
                    offset: incident.offset,
                    by: by.clone(),
                    why: why.clone(),
                    at_ms,
                }),
                Turn::Withdraw if turns => None,
                Turn::Acknowledge(_) | Turn::Withdraw => before.cloned(),
            });
        }
        if keys.is_empty() {
            return Err(NotTurned::NotThere(self.none_meant(which, turn)));
        }
        if kept.len() > ACKNOWLEDGED_MAX {
            return Err(NotTurned::TooMany(format!(
                "{} incidents would be acknowledged, and a link keeps {ACKNOWLEDGED_MAX}: mend the source, \
                 or leave subjects out of the link",
                kept.len()
            )));
        }
        Ok(Turned { kept, keys })
    }

    fn none_meant(&self, which: &Which, turn: &Turn) -> String {
        let (what, open) = match turn {
            Turn::Acknowledge(_) => ("incident", true),
            Turn::Withdraw => ("acknowledged incident", false),
        };
        let key = match which {
            Which::All => return format!("there is no {what}"),
            Which::Key(key) => key,
        };
        let fits = |(about, incident): &(&About, &Incident)| {
            open || self.acknowledgement(about, incident).is_some()
        };
        let mut others = self.incidents().filter(fits).map(|(_, incident)| incident.key.clone());
        let named: Vec<String> = others.by_ref().take(NAMED_MAX).collect();
        let there_are = match (named.is_empty(), others.count()) {
            (true, _) => "there is none".to_owned(),
            (false, 0) => format!("there are: {}", named.join("; ")),
            (false, more) => format!("there are: {}; and {more} more", named.join("; ")),
        };
        if open && self.held().any(|(held, _)| which.means(&held.to_string())) {
            return format!(
                "{key} is held: it goes on by itself, and only incidents are acknowledged; {there_are}"
            );
        }
        format!("no {what} has the key {key}; {there_are}")
    }
}

/// A key as it was before what drives a terminal was spelled out in it: `\u{1b}`.
fn unescaped(printed: &str) -> String {
    let mut parts = printed.split("\\u{");
    let mut key = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let spelled = part.split_once('}').and_then(|(hex, rest)| {
            let code = u32::from_str_radix(hex, 16).ok()?;
            Some((char::from_u32(code)?, rest))
        });
        match spelled {
            Some((c, rest)) => {
                key.push(c);
                key.push_str(rest);
            }
            None => {
                key.push_str("\\u{");
                key.push_str(part);
            }
        }
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::key::Key;
    use crate::core::key::Version;
    use crate::core::link::ledger::Held;
    use crate::core::link::ledger::WaitFor;
    use crate::core::record::Offset;
    use crate::core::subject::Subject;

    fn key(name: &str) -> Key {
        Key::Schema(Subject::parse(name), Version::new(1).unwrap())
    }

    fn incident(key: &str, offset: Option<Offset>, reason: &str) -> Incident {
        Incident::of_source(offset, key.to_owned(), reason.to_owned())
    }

    /// Keys of the target that can't be brought to what the source says, each at its offset.
    fn ledger(stand: &[(&str, Offset, &str)]) -> Ledger {
        let mut ledger = Ledger::default();
        for (name, offset, reason) in stand {
            let key = key(name);
            let incident = incident(&key.to_string(), Some(*offset), reason);
            ledger.incident(&key, incident, WaitFor::Definition);
        }
        ledger
    }

    fn acknowledge() -> Turn {
        Turn::Acknowledge(Grounds::new("alice", "nobody reads it").unwrap())
    }

    fn named(key: &str) -> Which {
        Which::Key(key.to_owned())
    }

    fn open(ledger: &Ledger) -> Vec<&str> {
        ledger.open_incidents().map(|(_, incident)| incident.key.as_str()).collect()
    }

    #[test]
    fn an_incident_that_is_let_stand_counts_no_more_until_it_is_another_one() {
        let mut first = ledger(&[("a", 1, "why"), ("b", 2, "why")]);
        let Turned { kept, keys } = first.turned(&named("a v1"), &acknowledge(), 7).unwrap();
        assert_eq!((keys, kept.len()), (vec!["a v1".to_owned()], 1));
        first.acknowledge(kept.clone());
        assert_eq!(open(&first), ["b v1"]);
        for (stands, counts) in [
            (("a", 1, "why"), false),
            (("a", 3, "why"), true),
            (("a", 1, "another reason"), true),
            (("c", 1, "why"), true),
        ] {
            let mut later = ledger(&[stands]);
            later.acknowledge(kept.clone());
            assert_eq!(!open(&later).is_empty(), counts, "{stands:?}");
        }
    }

    #[test]
    fn all_that_stand_are_let_stand_at_once_and_count_again_one_by_one() {
        let mut ledger = ledger(&[("a", 1, "why"), ("b", 2, "why"), ("c", 3, "why")]);
        let first = ledger.turned(&named("b v1"), &acknowledge(), 7).unwrap();
        ledger.acknowledge(first.kept);
        let all = ledger.turned(&Which::All, &acknowledge(), 8).unwrap();
        assert_eq!(all.keys, ["a v1", "c v1"], "the other one is already");
        ledger.acknowledge(all.kept);
        let when: Vec<i64> = ledger
            .acknowledged_incidents()
            .filter_map(|(about, incident)| ledger.acknowledgement(about, incident))
            .map(|one| one.at_ms)
            .collect();
        assert_eq!((open(&ledger).len(), when), (0, vec![8, 7, 8]));
        let again = ledger.turned(&named("a v1"), &Turn::Withdraw, 9).unwrap();
        ledger.acknowledge(again.kept);
        assert_eq!(open(&ledger), ["a v1"]);
        let none = ledger.turned(&Which::All, &Turn::Withdraw, 9).unwrap();
        assert_eq!((none.keys.len(), none.kept.is_empty()), (2, true));
    }

    #[test]
    fn what_covers_no_incident_any_more_is_dropped_with_the_next_change() {
        let mut before = ledger(&[("a", 1, "why"), ("b", 2, "why")]);
        let kept = before.turned(&Which::All, &acknowledge(), 7).unwrap().kept;
        before.acknowledge(kept.clone());
        let mut after = ledger(&[("b", 2, "why"), ("c", 3, "why")]);
        after.acknowledge(kept);
        let next = after.turned(&named("c v1"), &acknowledge(), 8).unwrap().kept;
        let keys: Vec<&str> = next.iter().map(|one| one.key.as_str()).collect();
        assert_eq!(keys, ["b v1", "c v1"]);
    }

    #[track_caller]
    fn check_refused(ledger: &Ledger, which: &Which, turn: &Turn, expected: &str) {
        let refused = ledger.turned(which, turn, 7).unwrap_err();
        assert_eq!(refused.to_string(), expected);
    }

    #[test]
    fn who_means_no_incident_is_told_which_there_are() {
        let mut some = ledger(&[("a", 1, "why"), ("b", 2, "why")]);
        let held = Held { offset: 3, reason: "it waits".to_owned(), until: WaitFor::Definition };
        some.hold(&key("h"), held);
        let there = "there are: a v1; b v1";
        check_refused(
            &some,
            &named("x v1"),
            &acknowledge(),
            &format!("no incident has the key x v1; {there}"),
        );
        check_refused(
            &some,
            &named("h v1"),
            &acknowledge(),
            &format!(
                "h v1 is held: it goes on by itself, and only incidents are acknowledged; {there}"
            ),
        );
        check_refused(
            &some,
            &named("a v1"),
            &Turn::Withdraw,
            "no acknowledged incident has the key a v1; there is none",
        );
        check_refused(&ledger(&[]), &Which::All, &acknowledge(), "there is no incident");
        let names: Vec<String> = (0..8).map(|number| format!("s{number}")).collect();
        let many: Vec<(&str, Offset, &str)> = names.iter().map(|name| (&**name, 1, "")).collect();
        let told = ledger(&many).turned(&named("x"), &acknowledge(), 7).unwrap_err().to_string();
        assert!(told.ends_with("s4 v1; and 3 more"), "{told}");
    }

    #[test]
    fn a_link_keeps_so_many_acknowledgements_and_no_more() {
        let names: Vec<String> = (0..=ACKNOWLEDGED_MAX).map(|one| format!("s{one}")).collect();
        let many: Vec<(&str, Offset, &str)> = names.iter().map(|name| (&**name, 1, "")).collect();
        let refused = ledger(&many).turned(&Which::All, &acknowledge(), 7).unwrap_err();
        assert!(
            matches!(&refused, NotTurned::TooMany(why) if why.starts_with("251 ")),
            "{refused}"
        );
        let most = ledger(&many[1..]).turned(&Which::All, &acknowledge(), 7).unwrap();
        assert_eq!(most.keys.len(), ACKNOWLEDGED_MAX);
    }

    #[test]
    fn a_key_is_meant_as_it_stands_and_as_it_is_printed() {
        for (given, means) in [
            ("a\u{1b}b", true),
            ("a\\u{1b}b", true),
            ("a\\u{1b", false),
            ("a\\u{zz}b", false),
            ("ab", false),
        ] {
            assert_eq!(named(given).means("a\u{1b}b"), means, "{given:?}");
        }
        assert!(named("a\\u{zz}").means("a\\u{zz}"));
    }

    #[test]
    fn grounds_are_one_line_each_and_not_empty() {
        let (longest, long) = ("x".repeat(WHY_CHARS_MAX), "x".repeat(WHY_CHARS_MAX + 1));
        for (by, why, wrong) in [
            ("alice", "old", ""),
            (" alice ", &longest, ""),
            ("", "old", "by"),
            (" ", "old", "by"),
            ("alice", "", "why"),
            ("alice", &long, "why"),
            (&long, "old", "by"),
            ("alice", "a\nb", "why"),
            ("al\u{1b}ice", "old", "by"),
        ] {
            let told = Grounds::new(by, why).err().unwrap_or_default();
            let word = told.split(' ').next().unwrap_or_default();
            assert_eq!(word, wrong, "{by:?} {why:?}: {told}");
        }
    }
}
