//! Records and steps as a person reads them: aligned, at most 100 columns, coloured where wanted.

use serde::Serialize;
use serde_json::Value;

use super::script::Side;
use crate::cli::output::visible;
use crate::config::Environment;
use crate::config::ProcessEnvironment;
use crate::core::key::Key;
use crate::core::key::KeyReading;
use crate::core::key::read_key;
use crate::core::record::Record;

/// Nothing is wider.
const COLUMNS: usize = 100;
/// Everything below a title stands in by this much.
const INDENT: &str = "   ";
/// Room for a key: `CONFIG :.source:pageviews-value`.
const KEY_COLUMNS: usize = 31;

/// What a record is in its step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum When {
    /// It stood there before.
    Before,
    /// A registry, or someone else, wrote it.
    Written,
    /// A link wrote it, after a record of its source.
    Copied,
    /// A link wrote it, over what someone else wrote into its scope.
    Repaired,
}

/// A record as it is shown. The fields of the JSON document are stable.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    when: When,
    cluster: &'static str,
    offset: i64,
    key: String,
    /// The interesting part of the value.
    says: String,
    /// The whole value; `null` is a tombstone.
    value: Option<String>,
}

/// A step of the story. The fields of the JSON document are stable.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    /// From 1.
    pub(super) number: usize,
    /// What happens.
    pub(super) title: &'static str,
    /// Why it matters.
    pub(super) why: &'static str,
    /// The records that tell it.
    pub(super) records: Vec<Shown>,
    /// What is to be seen.
    pub(super) notes: Vec<String>,
    /// What the links' log said.
    pub(super) log: Vec<String>,
    /// From the first write to the last copy.
    pub(super) milliseconds: u64,
}

impl Shown {
    /// A record of a cluster's schemas topic.
    pub(super) fn new(when: When, side: Side, record: &Record) -> Self {
        Self {
            when,
            cluster: side.name(),
            offset: record.offset,
            key: visible(&key_of(record)),
            says: visible(&says(record)),
            value: record.value.as_ref().map(|value| String::from_utf8_lossy(value).into_owned()),
        }
    }
}

/// A record's key in words.
pub(super) fn key_of(record: &Record) -> String {
    let bytes = record.key.as_deref().unwrap_or_default();
    match read_key(bytes) {
        KeyReading::Known(Key::Association(association)) => {
            format!("ASSOC {}", association.subject)
        }
        KeyReading::Known(key) => key.to_string(),
        KeyReading::Unknown(kind) => format!("{kind} {}", text_of(&parsed(bytes), "subject")),
        KeyReading::Unreadable(_) | KeyReading::Misread(..) => {
            String::from_utf8_lossy(bytes).into_owned()
        }
    }
}

/// The interesting part of a record's value.
fn says(record: &Record) -> String {
    let key = read_key(record.key.as_deref().unwrap_or_default());
    let Some(bytes) = record.value.as_deref() else {
        let is_noop = key == KeyReading::Known(Key::Noop);
        return if is_noop { "a registry has started" } else { "tombstone" }.to_owned();
    };
    let value = parsed(bytes);
    match key {
        KeyReading::Known(Key::Schema(..)) => schema_says(&value),
        KeyReading::Known(Key::Config(_)) => text_of(&value, "compatibilityLevel"),
        KeyReading::Known(Key::Mode(_)) => text_of(&value, "mode"),
        KeyReading::Known(Key::Context(_)) => "a context exists".to_owned(),
        KeyReading::Known(Key::DeleteSubject(_)) => {
            format!("all versions up to {} are deleted", field(&value, "version"))
        }
        KeyReading::Unknown(_) | KeyReading::Known(Key::Association(_)) => {
            "a kind that 7.x does not know".to_owned()
        }
        KeyReading::Known(Key::ClearSubject(_) | Key::Noop)
        | KeyReading::Unreadable(_)
        | KeyReading::Misread(..) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

fn schema_says(value: &Value) -> String {
    let schema = parsed(text_of(value, "schema").as_bytes());
    let what = match field(&schema, "fields").as_array() {
        Some(fields) => format!("{}, {} fields", text_of(&schema, "name"), fields.len()),
        None => schema.to_string(),
    };
    let what = what.replace(" 1 fields", " 1 field");
    let references: Vec<String> = field(value, "references")
        .as_array()
        .into_iter()
        .flatten()
        .map(|to| format!("{} v{}", text_of(to, "subject"), field(to, "version")))
        .collect();
    let what = match references.as_slice() {
        [] => what,
        some => format!("{} → {}", text_of(&schema, "name"), some.join(", ")),
    };
    let deleted = if field(value, "deleted").as_bool() == Some(true) { ", deleted" } else { "" };
    format!("id {}  {what}{deleted}", field(value, "id"))
}

fn parsed(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_default()
}

/// A field; null where there is none.
fn field<'a>(value: &'a Value, name: &str) -> &'a Value {
    value.get(name).unwrap_or(&Value::Null)
}

fn text_of(value: &Value, name: &str) -> String {
    field(value, name).as_str().unwrap_or_default().to_owned()
}

/// Colours, where a person watches who has not refused them (`NO_COLOR`, see no-color.org).
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint {
    coloured: bool,
}

impl Paint {
    /// Colours as the terminal and the environment want them.
    pub(super) fn wanted() -> Self {
        let var = |name| ProcessEnvironment.var(name).unwrap_or_default();
        let refused = !var("NO_COLOR").is_empty() || var("TERM") == "dumb";
        Self { coloured: crate::cli::output::is_answer_watched() && !refused }
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    pub(super) fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    fn when(self, when: When, text: &str) -> String {
        match when {
            When::Before => self.dim(text),
            When::Written => self.with("33", text),
            When::Copied | When::Repaired => self.green(text),
        }
    }
}

/// Title and reason of a step: what is read while it happens.
pub(super) fn heading(number: usize, title: &str, why: &str, paint: Paint) -> String {
    let mut lines = vec![String::new(), paint.bold(&format!("{number}  {title}"))];
    lines.extend(wrapped(why).iter().map(|line| paint.dim(line)));
    lines.push(String::new());
    joined(&lines)
}

/// What came of a step.
pub(super) fn outcome(step: &Step, paint: Paint) -> String {
    let mut lines = Vec::new();
    let mut last = None;
    for shown in &step.records {
        // Long tables of one topic, then of the other, are easier to read apart.
        if last.is_some_and(|cluster| cluster != shown.cluster) && step.records.len() > 8 {
            lines.push(String::new());
        }
        last = Some(shown.cluster);
        lines.push(row(shown, paint));
    }
    if !step.notes.is_empty() || !step.log.is_empty() {
        lines.push(String::new());
    }
    for note in &step.notes {
        lines.extend(wrapped(note));
    }
    for line in &step.log {
        lines.extend(wrapped(&format!("log: {line}")).iter().map(|line| paint.dim(line)));
    }
    joined(&lines)
}

fn row(shown: &Shown, paint: Paint) -> String {
    let when = match shown.when {
        When::Before => "before  ",
        When::Written => "written ",
        When::Copied => "copied  ",
        When::Repaired => "repaired",
    };
    let place = format!("{} {:>3}", shown.cluster, shown.offset);
    let text = format!("{place}  {:<KEY_COLUMNS$}  {}", shown.key, shown.says);
    let room = COLUMNS.saturating_sub(INDENT.len()).saturating_sub(when.len()).saturating_sub(2);
    format!("{INDENT}{}  {}", paint.when(shown.when, when), cut(&text, room))
}

/// A whole value, as far as a line takes it.
pub(super) fn value_line(side: Side, record: &Record) -> String {
    let value = String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned();
    format!("{} {:>3}  {}", side.name(), record.offset, visible(&value))
}

/// Text cut at a number of columns.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.trim_end().to_owned();
    }
    let mut short: String = text.chars().take(columns.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// Text in lines that stand in. What begins with a blank stays one line, cut at the end.
pub(super) fn wrapped(text: &str) -> Vec<String> {
    let room = COLUMNS.saturating_sub(INDENT.len());
    if text.starts_with(' ') {
        return vec![format!("{INDENT}{}", cut(text.trim_start(), room))];
    }
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let needed = line.chars().count().saturating_add(word.chars().count()).saturating_add(1);
        if !line.is_empty() && needed > room {
            lines.push(format!("{INDENT}{line}"));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        lines.push(format!("{INDENT}{line}"));
    }
    lines
}

/// Lines as a text.
pub(super) fn joined(lines: &[String]) -> String {
    let mut text = lines.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &str, value: Option<&str>) -> Record {
        Record {
            offset: 12,
            key: Some(key.to_owned().into()),
            value: value.map(|value| value.to_owned().into()),
            ..Record::default()
        }
    }

    #[test]
    fn a_row_fits_and_shows_the_interesting_part() {
        let key =
            r#"{"keytype":"SCHEMA","subject":":.target:customer-value","version":1,"magic":1}"#;
        let value = r#"{"id":4,"schema":"{\"name\":\"Customer\",\"fields\":[1,2]}","deleted":true,"references":[{"subject":"common.Address","version":1}]}"#;
        let shown = Shown::new(When::Copied, Side::Source, &record(key, Some(value)));
        let row = row(&shown, Paint { coloured: false });
        assert_eq!(
            row,
            "   copied    source  12  :.target:customer-value v1       \
             id 4  Customer → common.Address v1, delet…"
        );
        assert_eq!(row.chars().count(), COLUMNS);
    }

    #[test]
    fn text_is_wrapped_between_words_and_never_wider() {
        let text = "word ".repeat(60);
        let lines = wrapped(&text);
        assert!(lines.len() > 1, "{lines:?}");
        assert!(lines.iter().all(|line| line.chars().count() <= COLUMNS), "{lines:?}");
        assert_eq!(wrapped(&format!(" {text}")).len(), 1);
    }

    #[test]
    fn a_key_that_nobody_knows_is_shown_by_its_kind() {
        let record = record(r#"{"keytype":"ASSOC","subject":"p-value"}"#, None);
        assert_eq!((key_of(&record), says(&record)), ("ASSOC p-value".into(), "tombstone".into()));
    }
}
