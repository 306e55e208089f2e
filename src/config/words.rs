//! Values as people write them, in the file and in flags: text, switches, words, names, rates.

use std::num::NonZeroU32;

use serde_json::Value;

use crate::config::defect::Refusal;
use crate::core::record::Offset;
use crate::core::rules::LINK_NAME_CHARS_MAX;
use crate::core::rules::is_link_name;

/// Kafka's bound on a topic's name, and on a `group.instance.id`.
const KAFKA_NAME_CHARS_MAX: usize = 249;
/// Of a value that is wrong so much is shown.
const SHOWN_CHARS_MAX: usize = 60;
const SERVERS_RIGHT: &str = "write host:port, several with commas or as a list";

/// How many records may be written in a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteRate {
    /// At most so many, to one target cluster by one process.
    PerSecond(NonZeroU32),
    /// As fast as the cluster takes them.
    Unlimited,
}

impl WriteRate {
    /// The number; `None` is unlimited.
    #[must_use]
    pub fn records_per_second(self) -> Option<u32> {
        match self {
            Self::PerSecond(rate) => Some(rate.get()),
            Self::Unlimited => None,
        }
    }
}

impl Default for WriteRate {
    /// A registry reads about 35,000 records/s and answers 500 to its clients while it lags.
    fn default() -> Self {
        NonZeroU32::new(20_000).map_or(Self::Unlimited, Self::PerSecond)
    }
}

/// What a value is, for errors that may not show it.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a switch",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

/// A value as an error shows it. Maps and lists are not spelled out: they could hold a secret.
pub(super) fn describe(value: &Value) -> String {
    let spelled = match value {
        Value::Null | Value::Array(_) | Value::Object(_) => return kind(value).to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    };
    if spelled.chars().count() <= SHOWN_CHARS_MAX {
        return spelled;
    }
    spelled.chars().take(SHOWN_CHARS_MAX).chain(['…']).collect()
}

fn refuse<T>(value: &Value, what: &str, right: &str) -> Result<T, Refusal> {
    Err(Refusal::new(format!("{} is not {what}", describe(value)), right))
}

/// One of a few words.
pub(super) fn one_of<T: Copy>(
    value: &Value,
    what: &str,
    words: &[(&str, T)],
) -> Result<T, Refusal> {
    let given = value.as_str();
    match words.iter().find(|(word, _)| given == Some(word)) {
        Some((_, meaning)) => Ok(*meaning),
        None => {
            let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            refuse(value, what, &format!("write {}", either(&all)))
        }
    }
}

/// `a, b or c`.
fn either(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// A switch.
pub(super) fn switch(value: &Value) -> Result<bool, Refusal> {
    match value {
        Value::Bool(on) => Ok(*on),
        Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            refuse(value, "a switch", "write true or false")
        }
    }
}

/// The name of a link or a cluster.
pub(super) fn name(value: &Value) -> Result<String, Refusal> {
    match value.as_str() {
        Some(name) if is_link_name(name) => Ok(name.to_owned()),
        Some(_) | None => refuse(
            value,
            "a name",
            &format!("write 1 to {LINK_NAME_CHARS_MAX} letters, digits, - _ or ."),
        ),
    }
}

/// The name of a topic.
pub(super) fn topic(value: &Value) -> Result<String, Refusal> {
    kafka_name(value, "a topic's name")
}

/// The name of this instance among those that stand by for it.
pub(super) fn instance(value: &Value) -> Result<String, Refusal> {
    kafka_name(value, "an instance's name")
}

/// Kafka allows these characters, and no others, in names of topics and instances.
fn kafka_name(value: &Value, what: &str) -> Result<String, Refusal> {
    let given = value.as_str().unwrap_or_default();
    let in_alphabet = given.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let sized = (1..=KAFKA_NAME_CHARS_MAX).contains(&given.len());
    if in_alphabet && sized && given != "." && given != ".." {
        return Ok(given.to_owned());
    }
    let right = format!("write 1 to {KAFKA_NAME_CHARS_MAX} letters, digits, - _ or .");
    refuse(value, what, &right)
}

/// Brokers to begin with: one string with commas, or a list.
pub(super) fn servers(value: &Value) -> Result<Vec<String>, Refusal> {
    let given: Option<Vec<&str>> = match value {
        Value::String(joined) => Some(joined.split(',').map(str::trim).collect()),
        Value::Array(items) => items.iter().map(|item| item.as_str().map(str::trim)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    };
    let Some(given) = given.filter(|given| !given.is_empty()) else {
        return refuse(value, "a list of brokers", SERVERS_RIGHT);
    };
    match given.iter().find(|server| !is_server(server)) {
        Some(bad) => Err(Refusal::new(format!("{bad:?} is not a broker"), SERVERS_RIGHT)),
        None => Ok(given.into_iter().map(str::to_owned).collect()),
    }
}

/// `host:port` as librdkafka takes it: a protocol before it is allowed. A port that is left out is
/// most often forgotten, and the one that librdkafka would take is nobody's secured listener.
fn is_server(given: &str) -> bool {
    let address = given.split_once("://").map_or(given, |(_, address)| address);
    let Some((host, port)) = address.rsplit_once(':') else { return false };
    let host_fits =
        !host.is_empty() && !host.chars().any(|c| c.is_whitespace() || "/@".contains(c));
    host_fits && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Records in a second, or `unlimited`.
pub(super) fn write_rate(value: &Value) -> Result<WriteRate, Refusal> {
    if value.as_str() == Some("unlimited") {
        return Ok(WriteRate::Unlimited);
    }
    let digits = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match digits.parse::<NonZeroU32>() {
        Ok(rate) => Ok(WriteRate::PerSecond(rate)),
        Err(_) => refuse(
            value,
            "a number of records in a second",
            "write a whole number from 1 on, or unlimited",
        ),
    }
}

/// A share from 0 to 1.
pub(super) fn share(value: &Value) -> Result<f64, Refusal> {
    match value.as_f64() {
        Some(share) if (0.0..=1.0).contains(&share) => Ok(share),
        Some(_) | None => {
            refuse(value, "a share", "write a number from 0 to 1, such as 0.2 for 20 %")
        }
    }
}

/// A place in the source's log.
pub(super) fn offset(value: &Value) -> Result<Offset, Refusal> {
    match value.as_i64() {
        Some(offset) if offset >= 0 => Ok(offset),
        Some(_) | None => refuse(
            value,
            "an offset",
            "write the offset of the source that the halted link names, a whole number from 0 on",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check<T: std::fmt::Debug>(
        parse: fn(&Value) -> Result<T, Refusal>,
        good: &[Value],
        bad: &[Value],
    ) {
        for value in good {
            parse(value).unwrap();
        }
        for value in bad {
            assert!(parse(value).is_err(), "{value} is refused");
        }
    }

    #[test]
    fn a_broker_is_a_host_with_a_port() {
        check(
            servers,
            &[
                json!("broker:9092"),
                json!("a:1, b:65535"),
                json!(["a:1", "b:2"]),
                json!("SASL_SSL://b-1.kafka:9094"),
                json!("[::1]:9092"),
            ],
            &[json!(""), json!([]), json!("a:0"), json!("a:b"), json!("a:1,,b:1"), json!(9092)],
        );
        check(servers, &[], &[json!(":9092"), json!("user@host:1"), json!("a b:1"), json!([1])]);
        check(
            servers,
            &[],
            &[json!("127.0.0.1"), json!("a:1,b"), json!("[::1]"), json!("SSL://a")],
        );
    }

    #[test]
    fn a_rate_is_a_whole_number_or_unlimited() {
        check(
            write_rate,
            &[json!(1), json!("20000"), json!("unlimited")],
            &[json!(0), json!(-1), json!(1.5), json!("20k"), json!(true), json!(null)],
        );
        assert_eq!(WriteRate::default().records_per_second(), Some(20_000));
    }

    #[test]
    fn names_keep_to_what_kafka_allows() {
        let long = "x".repeat(250);
        check(topic, &[json!("_schemas"), json!("a.b-c")], &[json!(""), json!("."), json!(long)]);
        check(name, &[json!("src-to-tgt_1.x")], &[json!("a b"), json!("ü"), json!(7), json!("")]);
        check(instance, &[json!("mirror-1")], &[json!("a/b"), json!(null)]);
    }

    #[test]
    fn shares_and_offsets_have_bounds() {
        check(share, &[json!(0), json!(1), json!(0.2)], &[json!(-0.1), json!(1.1), json!("0.2")]);
        check(offset, &[json!(0), json!(17)], &[json!(-1), json!(1.5), json!("17")]);
    }

    #[test]
    fn what_is_shown_of_a_value_is_short() {
        assert_eq!(describe(&json!("x".repeat(500))).chars().count(), SHOWN_CHARS_MAX + 1);
        assert_eq!(describe(&json!({ "password": "hunter2" })), "a map");
    }
}
