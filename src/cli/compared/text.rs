//! What `plan` and `verify` say to a person.

use super::Answer;
use super::LetStand;
use super::SetAside;
use super::Totals;
use crate::cli::output::counted;
use crate::cli::render::minute;

/// Stands right below the answer: everything else follows from it.
const CHOOSES_NOTHING: &str = "the filter chooses nothing in the source";

/// What `plan` says to a person.
pub(super) fn plan_text(answer: &Answer) -> String {
    if answer.result == "unknown" {
        return format!("{}: can't tell: {}\n", answer.link, answer.reason);
    }
    let mut lines = vec![format!("{}: {}", answer.link, plan_summary(answer))];
    push_choice(answer, &mut lines);
    for (side, said) in [("source", &answer.source_dialect), ("target", &answer.target_dialect)] {
        let said = said.iter();
        lines.extend(said.map(|said| format!("  dialect  {side} {} ({})", said.dialect, said.why)));
    }
    for change in &answer.changes {
        let id = change.id.map(|id| format!(" id {id}")).unwrap_or_default();
        lines.push(format!("{} {}{id}  ({})", change.sign, change.key, change.reason));
    }
    push_rest(answer, &mut lines);
    joined(lines)
}

fn plan_summary(answer: &Answer) -> String {
    let in_sync = counted(answer.in_sync, "key");
    let Some(totals) = answer.totals.as_ref().filter(|_| !answer.changes.is_empty()) else {
        return format!("nothing to write; {in_sync} in sync");
    };
    let Totals { to_add, to_change, to_delete, live_subjects, deleted_subjects } = totals;
    let changes = counted(answer.changes.len(), "change");
    // A subject may be deleted softly, by changing its versions: the brake counts subjects.
    let deleted = match deleted_subjects {
        0 => String::new(),
        some => {
            let live = counted(*live_subjects, "live subject");
            format!(", {some} of {live} deleted thereby")
        }
    };
    format!(
        "{changes} to the target: {to_add} to add, {to_change} to change, {to_delete} to \
         delete{deleted}; {in_sync} in sync"
    )
}

/// What `verify` says to a person.
pub(in crate::cli) fn verify_text(answer: &Answer) -> String {
    if answer.result == "unknown" {
        return format!("{}: can't tell: {}\n", answer.link, answer.reason);
    }
    let ends = format!("source end {}, target end {}", answer.source_end, answer.target_end);
    let in_sync = counted(answer.in_sync, "key");
    let acknowledged = answer.acknowledged.len();
    let mut lines = match (answer.result, acknowledged) {
        ("equal", 0) => vec![format!("{}: equal; {in_sync}, {ends}", answer.link)],
        ("equal", _) => {
            let but = counted(acknowledged, "acknowledged incident");
            vec![format!("{}: equal but for {but}; {in_sync}, {ends}", answer.link)]
        }
        (_, _) => {
            let besides = match acknowledged {
                0 => String::new(),
                some => format!(" and {some} acknowledged"),
            };
            vec![format!(
                "{}: different; {}, {}{besides}, {} held, {in_sync} equal, {ends}",
                answer.link,
                counted(answer.differences.len(), "difference"),
                counted(answer.incidents.len(), "incident"),
                answer.held.len(),
            )]
        }
    };
    push_choice(answer, &mut lines);
    for difference in &answer.differences {
        lines.push(format!("{:>9}  {}", difference.kind, difference.key));
        for field in &difference.fields {
            let side = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".into());
            lines.push(format!(
                "           {}: wanted {}, found {}",
                field.field,
                side(&field.wanted),
                side(&field.found)
            ));
        }
    }
    push_rest(answer, &mut lines);
    joined(lines)
}

fn push_choice(answer: &Answer, lines: &mut Vec<String>) {
    if answer.chooses_nothing {
        lines.push(CHOOSES_NOTHING.to_owned());
    }
}

fn push_rest(answer: &Answer, lines: &mut Vec<String>) {
    if let Some(reason) = answer.no_fence {
        lines.push(format!("    fence  none: {reason}"));
    }
    for halt in &answer.halts {
        lines.push(format!("    halts  {halt}"));
    }
    for (word, list) in
        [("incident", &answer.incidents), ("held", &answer.held), ("remark", &answer.remarks)]
    {
        for one in list {
            push_set_aside(word, one, lines);
            let remedy = one.remedy.iter();
            lines.extend(remedy.map(|remedy| format!("           do: {remedy}")));
        }
    }
    for LetStand { incident, by, why, at_ms } in &answer.acknowledged {
        push_set_aside("incident", incident, lines);
        lines.push(format!("           acknowledged by {by}, {}: {why}", minute(*at_ms)));
    }
    for level in &answer.other_levels {
        lines.push(format!(
            "    level  context {}: {} here, {} in the source, for {}",
            level.context,
            level.target,
            level.source,
            level.subjects.join(", ")
        ));
    }
    for hazard in &answer.hazards {
        lines.push(format!("   hazard  {hazard}"));
    }
}

fn push_set_aside(word: &str, one: &SetAside, lines: &mut Vec<String>) {
    let SetAside { key, offset, reason, remedy: _ } = one;
    let at = offset.map(|offset| format!(" (source offset {offset})")).unwrap_or_default();
    lines.push(format!("{word:>9}  {key}{at}: {reason}"));
}

fn joined(lines: Vec<String>) -> String {
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::super::ChangeShown;
    use super::super::DifferenceShown;
    use super::super::FieldShown;
    use super::*;

    fn answer(result: &'static str) -> Answer {
        Answer { link: "one".to_owned(), result, ..Answer::default() }
    }

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_filter_that_chooses_nothing_is_told_below_the_answer() {
        let answer = Answer { chooses_nothing: true, ..answer("equal") };
        let nothing = "the filter chooses nothing in the source";
        check(&verify_text(&answer), &["one: equal; 0 keys, source end 0, target end 0", nothing]);
        check(&plan_text(&answer), &["one: nothing to write; 0 keys in sync", nothing]);
        let document = serde_json::to_value(&answer).unwrap();
        assert_eq!(document["chooses_nothing"], true);
    }

    #[test]
    fn what_is_set_aside_comes_with_what_to_do() {
        let incident = SetAside {
            key: "orders v1".to_owned(),
            offset: Some(7),
            reason: "its value is no JSON".to_owned(),
            remedy: Some("register it again".to_owned()),
        };
        let answer = Answer { incidents: vec![incident], in_sync: 1, ..answer("different") };
        check(
            &verify_text(&answer),
            &[
                "one: different; 0 differences, 1 incident, 0 held, 1 key equal, source end 0, \
                 target end 0",
                " incident  orders v1 (source offset 7): its value is no JSON",
                "           do: register it again",
            ],
        );
    }

    #[test]
    fn what_is_acknowledged_makes_no_difference_and_is_told_with_who_when_and_why() {
        let incident = SetAside {
            key: "orders v1".to_owned(),
            offset: Some(7),
            reason: "its value is no JSON".to_owned(),
            remedy: Some("register it again".to_owned()),
        };
        let (by, why) = ("alice".to_owned(), "nobody reads it".to_owned());
        let acknowledged = vec![LetStand { incident, by, why, at_ms: 0 }];
        let answer = Answer { acknowledged, in_sync: 2, ..answer("equal") };
        check(
            &verify_text(&answer),
            &[
                "one: equal but for 1 acknowledged incident; 2 keys, source end 0, target end 0",
                " incident  orders v1 (source offset 7): its value is no JSON",
                "           acknowledged by alice, 1970-01-01 00:00 UTC: nobody reads it",
            ],
        );
        let answer = Answer { result: "different", ..answer };
        let text = verify_text(&answer);
        let counts = "0 differences, 0 incidents and 1 acknowledged, 0 held";
        assert!(text.contains(counts), "{text}");
    }

    #[test]
    fn a_difference_says_what_is_wanted_and_what_is_found() {
        let mode = FieldShown {
            field: "mode".to_owned(),
            wanted: Some("\"READONLY\"".to_owned()),
            found: None,
        };
        let key = "MODE :.source:".to_owned();
        let difference =
            DifferenceShown { kind: "different", key, source_offset: None, fields: vec![mode] };
        let answer = Answer { differences: vec![difference], ..answer("different") };
        let text = verify_text(&answer);
        assert!(text.ends_with("           mode: wanted \"READONLY\", found nothing\n"), "{text}");
    }

    #[test]
    fn a_plan_without_deletions_says_which_subjects_it_deletes_all_the_same() {
        let change =
            ChangeShown { sign: '~', key: "orders v1".to_owned(), id: Some(1), reason: "deleted" };
        let totals = Totals {
            to_add: 0,
            to_change: 1,
            to_delete: 0,
            live_subjects: 12,
            deleted_subjects: 1,
        };
        let answer = Answer { changes: vec![change], totals: Some(totals), ..answer("different") };
        check(
            &plan_text(&answer),
            &[
                "one: 1 change to the target: 0 to add, 1 to change, 0 to delete, 1 of 12 live \
                 subjects deleted thereby; 0 keys in sync",
                "~ orders v1 id 1  (deleted)",
            ],
        );
    }
}
