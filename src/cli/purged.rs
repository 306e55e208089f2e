//! What a purge came to, in words.

use serde_json::Value;

use crate::cli::output::visible;

/// What is gone and what stays, for people; nothing while the purge goes on.
pub(super) fn told(answer: &Value) -> Option<String> {
    let removed = answer.get("removed").and_then(Value::as_object)?;
    if answer.get("unclaimed") == Some(&Value::Bool(true)) {
        let told = "nothing was looked at, because the link claims nothing of its target: it never wrote \
                    there, or its purge had ended before";
        return Some(told.to_owned());
    }
    let counts: Vec<String> =
        removed.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    let stays = answer.get("stays").and_then(Value::as_u64).unwrap_or_default();
    let mut told = format!("{} removed, {stays} keys stay", counts.join(", "));
    let named = answer.get("stay").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for stay in named {
        let text = |field| visible(stay.get(field).and_then(Value::as_str).unwrap_or_default());
        let line = format!("\n  {}: {}", text("key"), text("reason"));
        told.push_str(&line);
    }
    if usize::try_from(stays).is_ok_and(|stays| stays > named.len()) {
        told.push_str("\n  …");
    }
    Some(told)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_purge_says_what_went_and_what_stays() {
        let answer = json!({
            "removed": {"schemas": 2, "contexts": 0}, "stays": 2,
            "stay": [{"key": "CONTEXT .x", "reason": "it holds more"}],
        });
        let expected =
            "2 schemas, 0 contexts removed, 2 keys stay\n  CONTEXT .x: it holds more\n  …";
        assert_eq!(told(&answer).as_deref(), Some(expected));
        assert_eq!(told(&json!({"state": "PURGING"})), None);
        let unclaimed = json!({"removed": {"schemas": 0}, "stays": 0, "unclaimed": true});
        assert!(told(&unclaimed).unwrap().starts_with("nothing was looked at"));
    }
}
