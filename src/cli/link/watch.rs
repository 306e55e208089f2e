//! `--watch`: the same answer again and again.

use std::time::Duration;

use axum::http::Method;
use serde_json::Value;

use crate::cli::args::Output;
use crate::cli::client::Caller;
use crate::cli::client::NoAnswer;
use crate::cli::exit;
use crate::cli::output;
use crate::cli::signals::Signals;
use crate::service::clock::SystemClock;
use crate::service::ports::Clock;

/// Between two answers: often enough for whoever looks on, and no load.
const REDRAW_EVERY: Duration = Duration::from_secs(2);

/// What becomes of an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    pub(super) wanted: Output,
    /// For people.
    pub(super) text: fn(&Value) -> String,
}

impl Shown {
    fn page(self, document: &Value) -> String {
        match self.wanted {
            Output::Table => (self.text)(document),
            Output::Json => {
                format!("{}\n", serde_json::to_string_pretty(document).unwrap_or_default())
            }
        }
    }
}

/// Shows the answer until it is told to end, or nobody reads on: drawn anew on a terminal,
/// elsewhere whenever it is another one. A mirror that does not answer later is asked on.
pub(super) async fn watch(
    caller: &Caller,
    url: &str,
    shown: Shown,
    clock: SystemClock,
) -> Result<u8, NoAnswer> {
    let mut signals = Signals::listen();
    let on_terminal = output::is_answer_watched();
    let mut last: Option<Value> = None;
    let mut trouble = String::new();
    loop {
        let answered = tokio::select! {
            answered = caller.asked(Method::GET, url, None) => answered,
            () = signals.told_to_end() => return Ok(exit::DONE),
        };
        let is_read = match answered {
            Ok(document) if on_terminal => {
                last = Some(document.clone());
                output::redraw(&shown.page(&document))
            }
            Ok(document) => {
                trouble.clear();
                let timeless = timeless(&document);
                let is_new = last.as_ref() != Some(&timeless);
                last = Some(timeless);
                !is_new || output::answer_read(&shown.page(&document))
            }
            Err(no) if last.is_none() => return Err(no),
            Err(no) if on_terminal => output::redraw(&format!("error: {}\n", no.reason)),
            Err(no) => {
                if no.reason != trouble {
                    output::complain(&format!("error: {}\n", no.reason));
                }
                trouble = no.reason;
                true
            }
        };
        if !is_read {
            return Ok(exit::DONE);
        }
        tokio::select! {
            () = clock.sleep(REDRAW_EVERY) => {}
            () = signals.told_to_end() => return Ok(exit::DONE),
        }
    }
}

/// The document without what changes as time passes and nothing happens.
fn timeless(document: &Value) -> Value {
    match document {
        Value::Object(fields) => {
            let lasting = fields.iter().filter(|(key, _)| !key.ends_with("_ms"));
            lasting.map(|(key, value)| (key.clone(), timeless(value))).collect()
        }
        Value::Array(items) => items.iter().map(timeless).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => document.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn time_that_passes_is_no_change() {
        let at = |ms: u64, lag: u64| json!({ "links": [{ "link": "x", "state_ms": ms, "lag_records": lag }] });
        assert_eq!(timeless(&at(1, 5)), timeless(&at(2, 5)));
        assert_ne!(timeless(&at(1, 5)), timeless(&at(1, 6)));
    }
}
