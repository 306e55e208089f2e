//! `link`: what the links of a running mirror are doing.

mod typed;

use std::time::Duration;

use axum::http::Method;
use axum::http::StatusCode;
use serde_json::Value;

pub use self::typed::LinkVerb;
pub use self::typed::LinkWords;
use crate::cli::args::Output;
use crate::cli::client::Answered;
use crate::cli::client::Caller;
use crate::cli::client::NoAnswer;
use crate::cli::client::in_path;
use crate::cli::exit;
use crate::cli::output;
use crate::cli::render::Rows;
use crate::service::clock::SystemClock;
use crate::service::ports::Clock;

/// Where a mirror on this machine is.
const URL: &str = "http://127.0.0.1:8080";
/// Between two questions whether a link has caught up.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// Asks and gives the exit code.
pub(super) async fn run(words: &LinkWords, wanted: Output, clock: SystemClock) -> u8 {
    match execute(words, wanted, clock).await {
        Ok(code) => code,
        Err(NoAnswer { reason, .. }) => {
            output::complain(&format!("error: {reason}\n"));
            exit::UNKNOWN
        }
    }
}

async fn execute(words: &LinkWords, wanted: Output, clock: SystemClock) -> Result<u8, NoAnswer> {
    let caller = Caller::of_environment(None, words.ca.as_deref())?;
    let url = words.url.clone().or_else(Caller::mirror).unwrap_or_else(|| URL.to_owned());
    let url = format!("{}/links", url.trim_end_matches('/'));
    match &words.verb {
        LinkVerb::List => {
            let links = caller.asked(Method::GET, &url, None).await?;
            show(&links, wanted, list_of);
            Ok(exit::DONE)
        }
        LinkVerb::Show { name, source } => {
            let of_source = source.as_ref().map(|source| format!("?source={}", in_path(source)));
            let link = format!("{url}/{}{}", in_path(name), of_source.unwrap_or_default());
            let link = caller.asked(Method::GET, &link, None).await?;
            show(&link, wanted, fields_of);
            Ok(exit::DONE)
        }
        LinkVerb::Wait { name, source, offset, timeout, .. } => {
            let gate = format!("{url}/{}/caught-up", in_path(name));
            let of_source = source.as_ref().map(|source| format!("source={}&", in_path(source)));
            let gate = format!("{gate}?{}", of_source.unwrap_or_default());
            let question = match offset {
                Some(offset) => format!("{gate}offset={offset}"),
                None => format!("{gate}now=true"),
            };
            let deadline = clock.monotonic().saturating_add(*timeout);
            let answer = wait(&caller, &gate, question, deadline, clock).await?;
            let caught_up = answer.get("caught_up") == Some(&Value::Bool(true));
            show(&answer, wanted, |document| told_of(name, document));
            Ok(if caught_up { exit::DONE } else { exit::DIFFERENT })
        }
    }
}

/// The last answer: that the link has caught up, or how far it was when the time was over.
async fn wait(
    caller: &Caller,
    gate: &str,
    mut question: String,
    deadline: Duration,
    clock: SystemClock,
) -> Result<Value, NoAnswer> {
    loop {
        let Answered { status, body } = caller.ask(Method::GET, &question, None).await?;
        let is_over = clock.monotonic() >= deadline;
        // The source may be away for a moment: then nobody knows its end yet.
        if status == StatusCode::SERVICE_UNAVAILABLE && !is_over {
            clock.sleep(ASK_EVERY).await;
            continue;
        }
        let answer = Caller::accept(Answered { status, body })?;
        if is_over || answer.get("caught_up") == Some(&Value::Bool(true)) {
            return Ok(answer);
        }
        // What "now" meant is settled by the first answer.
        if let Some(up_to) = answer.get("up_to").and_then(Value::as_i64) {
            question = format!("{gate}offset={up_to}");
        }
        clock.sleep(ASK_EVERY).await;
    }
}

fn show(document: &Value, wanted: Output, text: impl Fn(&Value) -> String) {
    match wanted {
        Output::Json => output::answer_json(document),
        Output::Table => output::answer(&text(document)),
    }
}

fn list_of(document: &Value) -> String {
    let columns = ["link", "source", "target", "state", "lag", "incidents", "held"];
    let mut table = Rows::new(&columns).names(&[0, 1, 2]);
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
            field("incidents"),
            field("held_keys"),
        ];
        table.add(columns);
    }
    table.text()
}

fn fields_of(document: &Value) -> String {
    let mut table = Rows::new(&["field", "value"]).fixed(&[0]);
    for (name, value) in document.as_object().into_iter().flatten() {
        table.add([name.clone(), word_of(Some(value))]);
    }
    table.text()
}

fn told_of(name: &str, answer: &Value) -> String {
    let field = |key: &str| word_of(answer.get(key));
    if answer.get("caught_up") == Some(&Value::Bool(true)) {
        return format!("{name} has caught up with offset {} of its source\n", field("up_to"));
    }
    format!(
        "{name} has not caught up with offset {}: it is {}, everything before {} is in the target, {} \
         incidents, {} held keys\n",
        field("up_to"),
        field("state"),
        field("done_before"),
        field("incidents"),
        field("held_keys"),
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
        assert!(list_of(&link(Some(7))).contains("7 records, 0 s"));
        assert!(!list_of(&link(None)).contains("records"));
    }

    #[test]
    fn who_waited_in_vain_is_told_how_far_it_is() {
        let answer = json!({"caught_up": false, "up_to": 9, "state": "running", "done_before": 3,
                            "incidents": 1, "held_keys": 0});
        let told = told_of("x", &answer);
        assert!(
            told.contains("offset 9") && told.contains("before 3") && told.contains("1 incidents")
        );
    }
}
