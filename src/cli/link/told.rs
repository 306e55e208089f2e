//! What a mirror answers about links, for people.

use std::time::Duration;

use serde_json::Value;

use super::text_of;
use crate::cli::output::counted;
use crate::cli::render::Rows;
use crate::cli::render::minute;
use crate::cli::render::visible;
use crate::cli::render::wrapped;

/// Where the lines of a key that is set aside begin behind the first.
const INDENT: &str = "           ";

/// All links in a table, and below it why some stand still or wait.
pub(super) fn list(document: &Value) -> String {
    let columns = ["link", "source", "target", "state", "lag", "incidents", "held"];
    let mut table = Rows::new(&columns).names(&[0, 1, 2]);
    let mut reasons = String::new();
    let links = document.get("links").and_then(Value::as_array);
    for link in links.into_iter().flatten() {
        let field = |name: &str| word_of(link.get(name));
        let lag = match (link.get("lag_records"), link.get("lag_ms").and_then(Value::as_u64)) {
            (Some(records), Some(ms)) if !records.is_null() => {
                let seconds = Duration::from_millis(ms).as_secs();
                format!("{} records, {seconds} s", word_of(Some(records)))
            }
            (_, _) => "-".to_owned(),
        };
        let columns = [
            field("link"),
            field("source"),
            field("target"),
            field("state"),
            lag,
            match count_of(link, "acknowledged") {
                0 => field("incidents"),
                some => format!("{} ({some} acknowledged)", field("incidents")),
            },
            field("held_keys"),
        ];
        table.add(columns);
        let reason = text_of(link.get("reason"));
        if !reason.is_empty() {
            let first = format!("{} {}: ", visible(&field("link")), field("state"));
            reasons.push_str(&wrapped(&first, "  ", &reason));
        }
    }
    let table = table.text();
    match (table.is_empty(), reasons.is_empty()) {
        (true, _) => "there are no links\n".to_owned(),
        (false, true) => table,
        (false, false) => format!("{table}\n{reasons}"),
    }
}

/// A link, field by field, and the first of what it sets aside.
pub(super) fn link(document: &Value) -> String {
    let mut table = Rows::new(&["field", "value"]).fixed(&[0]);
    let fields = document.as_object().into_iter().flatten();
    for (name, value) in fields.filter(|(name, _)| !name.starts_with("set_aside")) {
        table.add([name.clone(), word_of(Some(value))]);
    }
    let table = table.text();
    let set_aside = set_aside(document);
    if set_aside.is_empty() {
        return table;
    }
    let more = match left_off(document) {
        0 => String::new(),
        more => {
            let name = visible(&text_of(document.get("link")));
            format!("and {more} more: schema-mirror link incidents {name}\n")
        }
    };
    format!("{table}\n{set_aside}{more}")
}

/// What a link does not copy.
pub(super) fn incidents(document: &Value) -> String {
    let name = visible(&text_of(document.get("link")));
    let state = text_of(document.get("state"));
    let count = |key| count_of(document, key);
    let head = match (count("incidents"), count("held_keys"), count("acknowledged")) {
        (0, 0, 0) => format!("{name} ({state}): nothing is set aside\n"),
        (incidents, held, acknowledged) => {
            let besides = match acknowledged {
                0 => String::new(),
                some => format!(", {}", counted(some, "acknowledged incident")),
            };
            let (incidents, held) = (counted(incidents, "incident"), counted(held, "held key"));
            format!("{name} ({state}): {incidents}, {held}{besides}\n")
        }
    };
    let more = match left_off(document) {
        0 => String::new(),
        more => format!("and {more} more: the log of the mirror, and verify, name them\n"),
    };
    format!("{head}{}{more}", set_aside(document))
}

fn count_of(document: &Value, key: &str) -> usize {
    let count = document.get(key).and_then(Value::as_u64).unwrap_or_default();
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn left_off(document: &Value) -> u64 {
    document.get("set_aside_left_off").and_then(Value::as_u64).unwrap_or_default()
}

fn set_aside(document: &Value) -> String {
    let mut lines = String::new();
    let keys = document.get("set_aside").and_then(Value::as_array);
    for one in keys.into_iter().flatten() {
        let field = |name: &str| text_of(one.get(name));
        let at = one.get("offset").and_then(Value::as_i64);
        let at = at.map(|offset| format!(" (source offset {offset})")).unwrap_or_default();
        let what = format!("{}{at}: {}", field("key"), field("reason"));
        lines.push_str(&wrapped(&format!("{:>9}  ", field("word")), INDENT, &what));
        let let_stand = one.get("acknowledged").filter(|told| !told.is_null());
        if let Some(told) = let_stand {
            let at = told.get("at_ms").and_then(Value::as_i64).map(minute).unwrap_or_default();
            let (by, why) = (text_of(told.get("by")), text_of(told.get("why")));
            let told = format!("acknowledged by {by}, {at}: {why}");
            lines.push_str(&wrapped(INDENT, INDENT, &told));
        }
        let remedy = field("remedy");
        if !remedy.is_empty() && let_stand.is_none() {
            lines.push_str(&wrapped(&format!("{INDENT}do: "), INDENT, &remedy));
        }
    }
    lines
}

/// Whether a link that is asked about stands still until someone acts.
pub(super) fn stands_still(answer: &Value) -> bool {
    ["paused", "halted", "purging", "unknown"].contains(&text_of(answer.get("state")).as_str())
}

/// What became of waiting for a link.
pub(super) fn waited(name: &str, answer: &Value) -> String {
    let field = |key: &str| word_of(answer.get(key));
    if answer.get("caught_up") == Some(&Value::Bool(true)) {
        let but = match count_of(answer, "acknowledged") {
            0 => String::new(),
            some => format!(", but for {}", counted(some, "acknowledged incident")),
        };
        return format!("{name} has caught up with offset {} of its source{but}\n", field("up_to"));
    }
    if stands_still(answer) {
        let why = match (field("state").as_str(), text_of(answer.get("reason"))) {
            ("paused", _) => {
                format!("paused; schema-mirror link resume {name} has it go on")
            }
            ("purging", _) => "taken away, and its copy with it".to_owned(),
            ("unknown", reason) => format!("not run by this mirror: {}", visible(&reason)),
            (state, reason) => format!("{state}: {}", visible(&reason)),
        };
        return format!("{name} is not waited for: it is {why}\n");
    }
    format!(
        "{name} has not caught up with offset {}: it is {}, everything before {} is in the target, {}, {}{}\n",
        field("up_to"),
        field("state"),
        field("done_before"),
        counted(count_of(answer, "incidents"), "incident"),
        counted(count_of(answer, "held_keys"), "held key"),
        match count_of(answer, "acknowledged") {
            0 => String::new(),
            some => format!("; {some} acknowledged"),
        },
    )
}

/// A value for people.
fn word_of(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Object(fields)) => {
            let pairs = fields.iter().map(|(key, value)| format!("{key} {}", word_of(Some(value))));
            pairs.collect::<Vec<_>>().join(", ")
        }
        Some(Value::Array(items)) => {
            let separator = if items.iter().all(Value::is_string) { ", " } else { "; " };
            let items = items.iter().map(|item| word_of(Some(item)));
            items.collect::<Vec<_>>().join(separator)
        }
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_link_that_stands_by_has_no_lag_to_show() {
        let link = |lag: Option<u64>| {
            json!({"links": [{"link": "x", "source": "a", "target": "b", "state": "standby",
                   "lag_records": lag, "lag_ms": lag, "incidents": 0, "held_keys": 2}]})
        };
        assert!(list(&link(Some(7))).contains("7 records, 0 s"));
        assert!(!list(&link(None)).contains("records"));
    }

    #[test]
    fn a_list_says_below_it_why_links_stand_still() {
        let halted = json!({"links": [
            {"link": "x", "state": "halted", "reason": "brake: 12 of 30 \u{1b}[2J"},
            {"link": "y", "state": "running"},
        ]});
        let told = list(&halted);
        assert!(told.ends_with("\n\nx halted: brake: 12 of 30 \\u{1b}[2J\n"), "{told}");
        assert_eq!(list(&json!({"links": []})), "there are no links\n");
    }

    #[test]
    fn a_link_is_told_with_what_it_is_to_do() {
        let shown = link(&json!({
            "link": "x", "context": ".source", "subjects": ["orders*", "users"],
            "subject_renames": [{ "match": "a-(.*)", "replace": "$1" }, { "match": "b", "replace": "c" }],
            "fence": "readonly", "lag_records": null,
        }));
        let fields = [
            "context .source",
            "subjects orders*, users",
            "subject_renames match a-(.*), replace $1; match b, replace c",
            "fence readonly",
            "lag_records -",
        ];
        let lines: Vec<String> = shown
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        for field in fields {
            assert!(lines.iter().any(|line| line == field), "{field} in {shown}");
        }
    }

    #[test]
    fn who_waited_in_vain_is_told_how_far_it_is() {
        let answer = json!({"caught_up": false, "up_to": 9, "state": "running", "done_before": 3,
                            "incidents": 1, "held_keys": 0});
        let told = waited("x", &answer);
        for words in ["offset 9", "before 3", "1 incident, 0 held keys\n"] {
            assert!(told.contains(words), "{words} in {told}");
        }
    }

    #[test]
    fn what_is_acknowledged_is_told_apart_with_who_when_and_why() {
        let told = json!({"link": "x", "state": "running", "incidents": 0, "held_keys": 0,
                          "acknowledged": 1, "set_aside": [
            {"word": "incident", "key": "s v1", "offset": 12, "reason": "it is no JSON",
             "remedy": "register it again",
             "acknowledged": {"by": "alice", "why": "nobody reads it", "at_ms": 0}},
        ]});
        assert_eq!(
            incidents(&told),
            "x (running): 0 incidents, 0 held keys, 1 acknowledged incident\n incident  s v1 (source \
             offset 12): it is no JSON\n           acknowledged by alice, 1970-01-01 00:00 UTC: nobody \
             reads it\n"
        );
        assert!(list(&json!({"links": [told]})).contains("0 (1 acknowledged)"));
        let answer = |caught_up: bool| json!({"caught_up": caught_up, "up_to": 9, "state": "running", "acknowledged": 1});
        let but = "x has caught up with offset 9 of its source, but for 1 acknowledged incident\n";
        assert_eq!(waited("x", &answer(true)), but);
        assert!(waited("x", &answer(false)).ends_with("; 1 acknowledged\n"));
    }

    #[test]
    fn who_would_wait_for_a_link_that_stands_still_is_told_why_and_no_offset() {
        let told = |state: &str, reason: &str| {
            let answer = json!({"caught_up": false, "up_to": 9, "state": state, "done_before": 12,
                                "reason": reason});
            assert!(stands_still(&answer));
            waited("x", &answer)
        };
        let paused =
            "x is not waited for: it is paused; schema-mirror link resume x has it go on\n";
        assert_eq!(told("paused", ""), paused);
        assert_eq!(told("halted", "why"), "x is not waited for: it is halted: why\n");
        let unknown = "x is not waited for: it is not run by this mirror: why\n";
        assert_eq!(told("unknown", "why"), unknown);
    }

    #[test]
    fn what_is_set_aside_comes_with_its_offset_its_reason_and_what_to_do() {
        let told = |left_off: u64| {
            json!({"link": "x", "state": "running", "incidents": 1, "held_keys": 1,
                   "set_aside": [
                {"word": "incident", "key": "s v1", "offset": 12, "reason": "its id is taken",
                 "remedy": "free it"},
                {"word": "held", "key": "t v1", "offset": null, "reason": "it waits", "remedy": null},
            ], "set_aside_left_off": left_off})
        };
        let expected = " incident  s v1 (source offset 12): its id is taken\n           do: free it\n     \
                        held  t v1: it waits\n";
        let head = "x (running): 1 incident, 1 held key\n";
        assert_eq!(incidents(&told(0)), format!("{head}{expected}"));
        assert!(
            incidents(&told(7))
                .ends_with("and 7 more: the log of the mirror, and verify, name them\n")
        );
        let shown = link(&told(7));
        assert!(
            shown.ends_with(&format!("{expected}and 7 more: schema-mirror link incidents x\n")),
            "{shown}"
        );
        assert!(!shown.contains("set_aside"), "{shown}");
        let nothing = json!({"link": "x", "state": "running", "incidents": 0, "held_keys": 0});
        assert_eq!(incidents(&nothing), "x (running): nothing is set aside\n");
    }
}
