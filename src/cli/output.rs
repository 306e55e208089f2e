//! What the process prints: answers on stdout, everything else on stderr. The only place that does.

use std::io::IsTerminal;
use std::io::Write;

use serde::Serialize;

/// Prints an answer. A reader that went away (`| head`) is no fault of ours.
pub(crate) fn answer(text: &str) {
    let _is_read = answer_read(text);
}

/// Prints an answer; whether its reader is still there.
pub(crate) fn answer_read(text: &str) -> bool {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok()
}

/// Draws an answer over the former one on a terminal; whether that is still there.
pub(crate) fn redraw(text: &str) -> bool {
    // From the top, each line to its end, and nothing below: what stays the same does not flicker.
    let lines = text.replace('\n', "\u{1b}[K\n");
    answer_read(&format!("\u{1b}[H{lines}\u{1b}[J"))
}

/// Prints an answer as one JSON document.
pub(crate) fn answer_json(document: &impl Serialize) {
    let text = serde_json::to_string_pretty(document).unwrap_or_default();
    answer(&format!("{text}\n"));
}

/// Prints what went wrong.
pub(crate) fn complain(text: &str) {
    let mut out = std::io::stderr().lock();
    drop(out.write_all(text.as_bytes()));
}

/// Whether a person watches stderr.
pub(crate) fn is_watched() -> bool {
    std::io::stderr().is_terminal()
}

/// Whether a person watches stdout.
pub(crate) fn is_answer_watched() -> bool {
    std::io::stdout().is_terminal()
}

/// A number of things: `1 link`, `2 links`.
pub(crate) fn counted(count: usize, one: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {one}{plural}")
}

/// Text from outside with its control characters made visible, so that it can't drive a terminal.
pub(crate) fn visible(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let (escaped, plain) =
                if c.is_control() { (Some(c.escape_default()), None) } else { (None, Some(c)) };
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}
