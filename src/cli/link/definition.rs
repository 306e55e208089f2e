//! What a link is told to do, between the words of a file and those of Schema Linking's interface.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::typed::Settings;
use crate::config::ContextChoice;
use crate::config::LinkKeys;
use crate::core::subject::ContextName;

/// The key of an exporter's config that names its target.
pub(super) const URL_KEY: &str = "schema.registry.url";
/// Keys of ours in it begin so.
const OWN_KEYS: &str = "mirror.";
/// What a file's link has of those.
const IN_CONFIG: [&str; 6] =
    ["subject_renames", "fence", "references", "drift", "adopt", "allow_deletes_until"];

/// How much of a definition keys are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Given {
    /// All of it: what is left out has its default.
    All,
    /// What is to change: what is left out stays.
    Part,
}

/// A definition, or a part of one, as it is asked for.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Asked {
    /// The fields beside the config.
    pub(super) body: Map<String, Value>,
    /// Keys of the config; those without a value are taken out.
    pub(super) config: Vec<(String, Option<String>)>,
}

/// The keys that flags give.
pub(super) fn keys_of(settings: &Settings) -> LinkKeys {
    let Settings { target, context, subjects, subject_format, fence, references, drift, .. } =
        settings;
    let context = context.as_ref().map(|context| match context {
        ContextChoice::Into(context) => context.as_str(),
        ContextChoice::Same => "none",
        ContextChoice::Auto => "auto",
    });
    let subjects = subjects.as_ref().map(|subjects| {
        let subjects: Vec<&str> = subjects.iter().map(|subject| subject.trim()).collect();
        json!(subjects)
    });
    let all = [
        ("target", target.as_ref().map(|target| json!(target))),
        ("context", context.map(|context| json!(context))),
        ("subjects", subjects),
        ("subject_format", subject_format.as_ref().map(|format| json!(format))),
        ("subject_renames", settings.subject_renames.clone()),
        ("fence", fence.as_ref().map(|fence| json!(fence))),
        ("references", references.as_ref().map(|references| json!(references))),
        ("drift", drift.as_ref().map(|drift| json!(drift))),
        ("adopt", settings.adopt.map(|adopt| json!(adopt))),
        ("allow_deletes_until", settings.allow_deletes_until.map(|until| json!(until))),
    ];
    let given = all.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    given.collect()
}

/// What a link with these keys asks for over REST, but for its target.
///
/// # Errors
/// A key that has no word there.
pub(super) fn asked_for(keys: &LinkKeys, given: Given) -> Result<Asked, String> {
    if keys.contains_key("max_delete_share") {
        let reason = "max_delete_share can't be said over REST, where it is 0.2: leave it out, or keep the \
                      link in the mirror's file";
        return Err(reason.to_owned());
    }
    let mut asked = Asked::default();
    let of_default = |value: Value| (given == Given::All).then_some(value);
    let fields = [
        ("context", "contextType", of_default(json!("AUTO"))),
        ("subjects", "subjects", of_default(json!(["*"]))),
        ("subject_format", "subjectRenameFormat", of_default(json!(""))),
    ];
    for (key, field, default) in fields {
        match keys.get(key) {
            Some(Value::String(word)) if key == "context" => {
                let (context_type, context) = context_words(word)?;
                asked.body.insert(field.to_owned(), json!(context_type));
                if let Some(context) = context {
                    asked.body.insert("context".to_owned(), json!(context));
                }
            }
            Some(value) => drop(asked.body.insert(field.to_owned(), value.clone())),
            None => asked.body.extend(default.map(|value| (field.to_owned(), value))),
        }
    }
    // Subjects are renamed in one way: the one that is given takes the place of the other.
    let gives = |key: &str, nothing: Value| keys.get(key).is_some_and(|value| *value != nothing);
    if gives("subject_renames", json!([])) {
        asked.body.entry("subjectRenameFormat").or_insert_with(|| json!(""));
    }
    for key in IN_CONFIG {
        let is_given = keys.contains_key(key);
        // No rule is no list.
        let value = keys.get(key).filter(|value| **value != json!([]));
        let value = value.map(|value| match value {
            Value::String(word) => word.clone(),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => value.to_string(),
        });
        let gives_way = key == "subject_renames" && gives("subject_format", json!(""));
        if is_given || gives_way || given == Given::All {
            asked.config.push((format!("{OWN_KEYS}{key}"), value));
        }
    }
    Ok(asked)
}

fn context_words(word: &str) -> Result<(&'static str, Option<String>), String> {
    Ok(match ContextChoice::parse(word)? {
        ContextChoice::Auto => ("AUTO", None),
        ContextChoice::Same => ("NONE", None),
        ContextChoice::Into(context) => ("CUSTOM", Some(context.as_str().to_owned())),
    })
}

/// The keys of a link that was made over REST, and what a file can't say of it.
///
/// # Errors
/// Something that is not known here.
pub(super) fn keys_from(
    described: &Value,
    source: &str,
    target: &str,
) -> Result<(Vec<String>, LinkKeys), String> {
    let text = |field: &str| described.get(field).and_then(Value::as_str);
    let mut remarks = Vec::new();
    let mut keys = LinkKeys::new();
    let mut put = |key: &str, value: Value| drop(keys.insert(key.to_owned(), value));
    for (field, value) in described.as_object().into_iter().flatten() {
        match field.as_str() {
            "name" => {
                put("name", value.clone());
                put("source", json!(source));
                put("target", json!(target));
            }
            "contextType" => put("context", json!(context_of(value, text("context"))?)),
            "subjects" => put("subjects", value.clone()),
            "subjectRenameFormat" => put("subject_format", value.clone()),
            "kekRenameFormat" => remarks.push(format!(
                "left out: kekRenameFormat {value}, as keys of encryption are not copied"
            )),
            // Read above and below.
            "context" | "config" => {}
            _ => return Err(format!("its field {field} is not known to this release")),
        }
    }
    for (key, value) in described.get("config").and_then(Value::as_object).into_iter().flatten() {
        let word = value.as_str().unwrap_or_default();
        match key.strip_prefix(OWN_KEYS) {
            Some(own @ ("subject_renames" | "adopt" | "allow_deletes_until")) => {
                let read = serde_json::from_str(word);
                put(own, read.map_err(|_| format!("{key}={word} of its config is not known"))?);
            }
            Some(own) if IN_CONFIG.contains(&own) => put(own, json!(word)),
            Some(_) => return Err(format!("{key} of its config is not known to this release")),
            None if key == URL_KEY => {}
            None => remarks.push(format!(
                "left out: {key}={word} of its config, as access to Kafka stands with the clusters"
            )),
        }
    }
    Ok((remarks, keys))
}

fn context_of(context_type: &Value, context: Option<&str>) -> Result<String, String> {
    match (context_type.as_str().unwrap_or_default(), context) {
        ("AUTO", _) => Ok("auto".to_owned()),
        // The default context's subjects stay there: it takes no others.
        ("NONE" | "DEFAULT", _) => Ok("none".to_owned()),
        ("CUSTOM", Some(context)) => {
            let context = ContextName::new(context).map_err(|fault| fault.to_string())?;
            Ok(context.as_str().to_owned())
        }
        (other, _) => Err(format!("its contextType {other} is not known to this release")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rest_says_of_a_link_a_file_says_as_well() {
        let described = json!({
            "name": "x", "contextType": "CUSTOM", "context": "none",
            "subjects": ["orders*", "/a.+/"], "subjectRenameFormat": "dr-${subject}",
            "kekRenameFormat": "dr-${kek}",
            "config": {
                "schema.registry.url": "http://b", "basic.auth.credentials.source": "USER_INFO",
                "mirror.fence": "import", "mirror.references": "hold", "mirror.drift": "report",
                "mirror.adopt": "true", "mirror.allow_deletes_until": "4711",
            },
        });
        let (remarks, keys) = keys_from(&described, "a", "b").unwrap();
        let expected = json!({
            "name": "x", "source": "a", "target": "b", "context": ".none",
            "subjects": ["orders*", "/a.+/"], "subject_format": "dr-${subject}",
            "fence": "import", "references": "hold", "drift": "report", "adopt": true,
            "allow_deletes_until": 4711,
        });
        assert_eq!(Value::Object(keys.clone()), expected);
        assert!(remarks.len() == 2 && remarks[0].contains("kekRenameFormat"), "{remarks:?}");
        assert!(remarks[1].contains("basic.auth.credentials.source=USER_INFO"), "{remarks:?}");

        let Asked { body, config } = asked_for(&keys, Given::All).unwrap();
        for field in ["contextType", "subjects", "subjectRenameFormat"] {
            assert_eq!(body[field], described[field], "{field}");
        }
        assert_eq!(body["context"], ".none");
        for (key, value) in config {
            assert_eq!(value.as_deref(), described["config"][&key].as_str(), "{key}");
        }
    }

    #[test]
    fn a_list_of_rules_is_one_text_over_rest_and_a_list_in_a_file() {
        let rules = r#"[{"match":"prod-(.*)","replace":"$1"}]"#;
        let described = json!({
            "name": "x", "contextType": "AUTO", "subjects": ["*"],
            "config": { "schema.registry.url": "http://b", "mirror.subject_renames": rules },
        });
        let (_, keys) = keys_from(&described, "a", "b").unwrap();
        assert_eq!(keys["subject_renames"], json!([{ "match": "prod-(.*)", "replace": "$1" }]));
        let asked = asked_for(&keys, Given::All).unwrap();
        let given = ("mirror.subject_renames".to_owned(), Some(rules.to_owned()));
        assert!(asked.config.contains(&given), "{asked:?}");
    }

    #[test]
    fn what_is_not_known_is_an_error_and_never_left_out() {
        let with = |field: &str, value: Value| {
            let mut link = json!({ "name": "x", "contextType": "AUTO", "subjects": ["*"] });
            link[field] = value;
            keys_from(&link, "a", "b").map(|_| ())
        };
        assert_eq!(with("config", json!({ "schema.registry.url": "http://b" })), Ok(()));
        assert!(with("later", json!(1)).unwrap_err().contains("later"));
        assert!(with("contextType", json!("OTHER")).unwrap_err().contains("OTHER"));
        assert!(with("config", json!({ "mirror.later": "x" })).unwrap_err().contains("later"));
        let share = json!({ "max_delete_share": 0.5 }).as_object().cloned().unwrap();
        assert!(asked_for(&share, Given::All).unwrap_err().contains("max_delete_share"));
    }

    #[test]
    fn rules_that_rename_are_given_by_a_flag_and_taken_away_by_it() {
        let asked = |list: Value| {
            let settings = Settings { subject_renames: Some(list), ..Settings::default() };
            asked_for(&keys_of(&settings), Given::Part).unwrap().config
        };
        let rules = r#"[{"match":"prod-(.*)","replace":"$1"}]"#;
        let key = || "mirror.subject_renames".to_owned();
        assert_eq!(asked(serde_json::from_str(rules).unwrap()), [(key(), Some(rules.to_owned()))]);
        assert_eq!(asked(json!([])), [(key(), None)]);
    }

    #[test]
    fn one_way_to_rename_takes_the_place_of_the_other_in_one_update() {
        let asked = |settings: &Settings| asked_for(&keys_of(settings), Given::Part).unwrap();
        let list = |list: Value| Settings { subject_renames: Some(list), ..Settings::default() };
        let listed = asked(&list(json!([{ "match": "a", "replace": "b" }])));
        assert_eq!(Value::Object(listed.body), json!({ "subjectRenameFormat": "" }));
        assert!(asked(&list(json!([]))).body.is_empty(), "a format stays where a list goes");

        let format = |format: &str| Settings {
            subject_format: Some(format.to_owned()),
            ..Settings::default()
        };
        let formatted = asked(&format("dr-${subject}"));
        assert_eq!(formatted.config, [("mirror.subject_renames".to_owned(), None)]);
        assert!(asked(&format("")).config.is_empty(), "a list stays where a format goes");
    }

    #[test]
    fn a_part_of_a_definition_asks_for_that_part_alone() {
        let settings = Settings { fence: Some("none".to_owned()), ..Settings::default() };
        let asked = asked_for(&keys_of(&settings), Given::Part).unwrap();
        assert!(asked.body.is_empty(), "{asked:?}");
        assert_eq!(asked.config, [("mirror.fence".to_owned(), Some("none".to_owned()))]);
        let context = Some(ContextChoice::Auto);
        let settings = Settings { context, adopt: Some(false), ..Settings::default() };
        let asked = asked_for(&keys_of(&settings), Given::Part).unwrap();
        assert_eq!(Value::Object(asked.body), json!({ "contextType": "AUTO" }));
        assert_eq!(asked.config, [("mirror.adopt".to_owned(), Some("false".to_owned()))]);
    }
}
