//! librdkafka's own properties, as a cluster's `kafka` map or `--from-property` give them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::path::PathBuf;

use serde_json::Map;
use serde_json::Value;

use crate::config::defect::Defect;
use crate::config::defect::Refusal;
use crate::config::environment::Environment;
use crate::config::secret::Secret;
use crate::config::secret::is_secret_name;
use crate::config::section::open_map;

/// The value of one property, as text: librdkafka knows no other.
#[derive(Clone, PartialEq, Eq)]
pub enum PropertyValue {
    /// May be shown.
    Plain(String),
    /// May not.
    Secret(Secret),
    /// May not; it stood in this file.
    FromFile(Secret, PathBuf),
}

impl PropertyValue {
    /// The value itself, for the client that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        match self {
            Self::Plain(value) => value,
            Self::Secret(secret) | Self::FromFile(secret, _) => secret.reveal(),
        }
    }

    /// The value, if no text may show it: it came from elsewhere, or its property has a telling name.
    #[must_use]
    pub fn secret(&self) -> Option<String> {
        match self {
            Self::Plain(_) => None,
            Self::Secret(secret) | Self::FromFile(secret, _) => Some(secret.reveal().to_owned()),
        }
    }

    fn new(name: &str, value: String) -> Self {
        if is_secret_name(name) { Self::Secret(Secret::new(value)) } else { Self::Plain(value) }
    }
}

impl fmt::Debug for PropertyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(value) => fmt::Debug::fmt(value, f),
            Self::Secret(secret) | Self::FromFile(secret, _) => fmt::Debug::fmt(secret, f),
        }
    }
}

/// Properties by name.
pub type Properties = BTreeMap<String, PropertyValue>;

/// Properties that are not for others to set, each with the reason.
const RESERVED: &[(&str, &str)] = &[
    ("bootstrap.servers", BROKERS),
    ("metadata.broker.list", BROKERS),
    ("group.instance.id", "set instance at the top of the file instead"),
    ("enable.idempotence", "writes have to stay in order, and none may come twice"),
    ("enable.gapless.guarantee", "writes have to stay in order, and none may come twice"),
    ("acks", ACKNOWLEDGED),
    ("request.required.acks", ACKNOWLEDGED),
    ("max.in.flight", ORDER),
    ("max.in.flight.requests.per.connection", ORDER),
    ("retries", ORDER),
    ("message.send.max.retries", ORDER),
    ("transactional.id", "a transaction's marker at the end of _schemas leaves Karapace unready"),
    ("isolation.level", "registries read uncommitted records, so their mirror has to"),
    ("group.id", GROUP),
    ("group.protocol", GROUP),
    ("group.remote.assignor", GROUP),
    ("partition.assignment.strategy", GROUP),
    ("session.timeout.ms", GROUP),
    ("heartbeat.interval.ms", GROUP),
    ("max.poll.interval.ms", GROUP),
    ("enable.auto.commit", POSITION),
    ("auto.commit.enable", POSITION),
    ("auto.commit.interval.ms", POSITION),
    ("enable.auto.offset.store", POSITION),
    ("auto.offset.reset", POSITION),
    ("enable.partition.eof", "a link has to know when it has read to the end"),
    ("allow.auto.create.topics", "topics are created with the settings they need, or not at all"),
    ("partitioner", "a scope's partition is chosen by its name"),
    ("partitioner_cb", "a scope's partition is chosen by its name"),
];
const BROKERS: &str = "the brokers stand in bootstrap_servers";
const ACKNOWLEDGED: &str = "the checkpoint may only pass writes that all in-sync replicas have";
const ORDER: &str = "writes have to stay in order when one is repeated";
const GROUP: &str = "the group decides who may write";
const POSITION: &str = "the position is kept by the link, not by a group";

/// Reads a map of properties.
pub(super) fn read_properties(
    path: &str,
    value: &Value,
    environment: &dyn Environment,
    defects: &mut Vec<Defect>,
) -> Properties {
    // A map with nothing but comments under it is empty in YAML.
    if value.is_null() {
        return Properties::new();
    }
    let mut properties = Properties::new();
    let Some(entries) = open_map(path, value, "librdkafka's properties", defects) else {
        return properties;
    };
    for (name, value) in entries {
        // A name with an = in it is a name and a value by mistake, perhaps a secret one.
        let shown = name.split(|c: char| !belongs(c)).next().unwrap_or_default();
        let path = format!("{path}.{shown}");
        if let Some(value) = read_property(&path, (name, value), environment, defects) {
            properties.insert(name.clone(), value);
        }
    }
    properties
}

/// Reads one property; notes what is wrong with it.
pub(super) fn read_property(
    path: &str,
    (name, value): (&str, &Value),
    environment: &dyn Environment,
    defects: &mut Vec<Defect>,
) -> Option<PropertyValue> {
    if let Some((_, reason)) = RESERVED.iter().find(|(reserved, _)| *reserved == name) {
        let refusal =
            Refusal::new("this property is not yours to set", format!("leave it out: {reason}"));
        defects.push(refusal.at(path));
        return None;
    }
    if name.is_empty() || !name.chars().all(belongs) {
        let right = "write a librdkafka property, such as security.protocol: SASL_SSL";
        defects.push(Refusal::new("not the name of a property", right).at(path));
        return None;
    }
    let read = match value {
        Value::Object(entries) => elsewhere(entries, environment),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            written(name, value).map(|text| PropertyValue::new(name, text))
        }
    };
    read.map_err(|refusal| defects.push(refusal.at(path))).ok()
}

/// Characters of librdkafka's names.
fn belongs(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._-".contains(c)
}

/// A value that stands in the file itself.
fn written(name: &str, value: &Value) -> Result<String, Refusal> {
    match value {
        Value::String(text) => Ok(text.clone()),
        // YAML changes numbers: +7 is 7.
        Value::Bool(_) | Value::Number(_) if is_secret_name(name) => {
            Err(Refusal::new("a secret without quotes", "write it in quotes, or as { env: NAME }"))
        }
        Value::Bool(on) => Ok(on.to_string()),
        Value::Number(number) if number.is_f64() => Err(Refusal::new(
            format!("{number} may not be what was written: YAML drops zeros"),
            "write it in quotes",
        )),
        Value::Number(number) => Ok(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(Refusal::new(
            "neither text, nor a number, nor a switch",
            "write a value, { env: NAME } or { file: /path }",
        )),
    }
}

/// A value that stands in the environment or in a file of its own. Braces can also be part of a
/// password that lacks its quotes, so nothing that stands in them is shown unless it is a place.
fn elsewhere(
    entries: &Map<String, Value>,
    from: &dyn Environment,
) -> Result<PropertyValue, Refusal> {
    let mut places = entries.iter().map(|(key, place)| (key.as_str(), place.as_str()));
    match (places.next(), places.next()) {
        (Some(("env", Some(name))), None) => {
            Ok(PropertyValue::Secret(Secret::new(from_variable(name, from)?)))
        }
        (Some(("file", Some(file))), None) => {
            let secret = Secret::new(from_file(file, from)?);
            Ok(PropertyValue::FromFile(secret, PathBuf::from(file)))
        }
        (Some(_) | None, _) => {
            let right = "write { env: NAME } or { file: /path }";
            Err(Refusal::new("a map that names no place of a value", right))
        }
    }
}

fn from_variable(name: &str, environment: &dyn Environment) -> Result<String, Refusal> {
    match environment.var(name) {
        Some(value) if !value.is_empty() => Ok(value),
        Some(_) => Err(Refusal::new(format!("environment variable {name} is empty"), "set it")),
        None => Err(Refusal::new(
            format!("environment variable {name} is not set"),
            "set it, or write { file: /path }",
        )),
    }
}

fn from_file(file: &str, environment: &dyn Environment) -> Result<String, Refusal> {
    match environment.file(Path::new(file)) {
        Ok(text) => Ok(without_last_newline(text)),
        Err(cause) => Err(Refusal::new(
            format!("file {file} can't be read: {cause}"),
            "name a text file that this process may read",
        )),
    }
}

/// Editors end a file with a newline that is not part of the secret.
fn without_last_newline(text: String) -> String {
    match text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')) {
        Some(trimmed) => trimmed.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing::Given;
    use serde_json::json;

    #[track_caller]
    fn check(properties: &Value, expected: &str) {
        let environment =
            Given::new(&[("PASSWORD", "hunter2"), ("EMPTY", "")], &[("/run/x", "hunter2\n\n")]);
        let mut defects = Vec::new();
        let read = read_properties("kafka", properties, &environment, &mut defects);
        let mut lines: Vec<String> =
            read.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        lines.extend(defects.iter().map(ToString::to_string));
        assert_eq!(lines.join("\n"), expected);
        assert!(!lines.join("").contains("hunter2"), "no secret is shown");
    }

    #[test]
    fn text_whole_numbers_and_switches_become_text() {
        check(
            &json!({ "linger.ms": 5, "client.id": "m", "socket.keepalive.enable": true }),
            "client.id=\"m\"\nlinger.ms=\"5\"\nsocket.keepalive.enable=\"true\"",
        );
        check(&Value::Null, "");
    }

    #[test]
    fn a_number_that_yaml_has_changed_is_refused() {
        check(
            &json!({ "broker.version.fallback": 0.1, "sasl.password": 7 }),
            "kafka.broker.version.fallback: 0.1 may not be what was written: YAML drops zeros; \
             write it in quotes\n\
             kafka.sasl.password: a secret without quotes; write it in quotes, or as { env: NAME }",
        );
    }

    #[test]
    fn what_comes_from_elsewhere_or_has_a_telling_name_is_a_secret() {
        check(
            &json!({
                "sasl.username": { "env": "PASSWORD" },
                "ssl.key.pem": { "file": "/run/x" },
                "sasl.password": "hunter2",
            }),
            "sasl.password=(hidden)\nsasl.username=(hidden)\nssl.key.pem=(hidden)",
        );
        let from_elsewhere = PropertyValue::Secret(Secret::new("x".to_owned()));
        assert_eq!(from_elsewhere.secret().as_deref(), Some("x"));
        assert_eq!(PropertyValue::Plain("x".to_owned()).secret(), None);
        assert_eq!(without_last_newline("x\n\n".to_owned()), "x\n");
        assert_eq!(without_last_newline("x\r\n".to_owned()), "x");
    }

    #[test]
    fn a_value_that_is_not_there_is_named_with_its_path() {
        check(
            &json!({ "a": { "env": "NONE" }, "b": { "env": "EMPTY" }, "c": { "file": "/none" } }),
            "kafka.a: environment variable NONE is not set; set it, or write { file: /path }\n\
             kafka.b: environment variable EMPTY is empty; set it\n\
             kafka.c: file /none can't be read: entity not found; name a text file that this \
             process may read",
        );
    }

    #[test]
    fn a_map_that_names_no_place_is_refused_and_not_shown() {
        let refused = "kafka.a: a map that names no place of a value; \
                       write { env: NAME } or { file: /path }";
        check(&json!({ "a": { "env": "PASSWORD", "file": "/run/x" } }), refused);
        check(&json!({ "a": {} }), refused);
        check(&json!({ "a": { "hunter2": null } }), refused);
        check(&json!({ "a": { "env": ["hunter2"] } }), refused);
    }

    #[test]
    fn what_would_break_correctness_is_refused_with_the_reason() {
        check(
            &json!({ "acks": 1, "group.id": "x" }),
            "kafka.acks: this property is not yours to set; leave it out: the checkpoint may only \
             pass writes that all in-sync replicas have\n\
             kafka.group.id: this property is not yours to set; leave it out: the group decides \
             who may write",
        );
    }

    #[test]
    fn a_secret_in_the_wrong_place_is_not_shown() {
        check(
            &json!({ "sasl.password=hunter2": null }),
            "kafka.sasl.password: not the name of a property; write a librdkafka property, such \
             as security.protocol: SASL_SSL",
        );
        check(
            &json!("sasl.password=hunter2"),
            "kafka: text is not a map; write a map with librdkafka's properties",
        );
        check(
            &json!({ "sasl.password": ["hunter2"] }),
            "kafka.sasl.password: neither text, nor a number, nor a switch; write a value, \
             { env: NAME } or { file: /path }",
        );
    }
}
