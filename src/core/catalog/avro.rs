//! Avro schemas, as far as two texts have to be told apart: the same schema can be written with other
//! blanks, other orders of fields, and names with or without their namespace.

use serde_json::Map;
use serde_json::Value;

/// The one form that all spellings of a schema have in common; `None` where the text is no JSON.
pub(super) fn one_form(text: &str) -> Option<String> {
    let mut schema = schema(serde_json::from_str(text).ok()?, "");
    schema.sort_all_objects();
    Some(schema.to_string())
}

fn schema(value: Value, namespace: &str) -> Value {
    match value {
        Value::String(name) => Value::String(full_name(&name, namespace)),
        Value::Array(branches) => {
            Value::Array(branches.into_iter().map(|branch| schema(branch, namespace)).collect())
        }
        Value::Object(fields) => object(fields, namespace),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => other,
    }
}

fn object(mut fields: Map<String, Value>, namespace: &str) -> Value {
    let kind = fields.get("type").and_then(Value::as_str).unwrap_or_default();
    match kind {
        "record" | "error" | "enum" | "fixed" => named(fields, namespace),
        "array" => nested(fields, "items", namespace),
        "map" => nested(fields, "values", namespace),
        // {"type": "string"} is "string", and so on.
        _ if fields.len() == 1 => {
            fields.remove("type").map_or(Value::Object(fields), |kind| schema(kind, namespace))
        }
        _ => Value::Object(fields),
    }
}

fn nested(mut fields: Map<String, Value>, name: &str, namespace: &str) -> Value {
    if let Some(inner) = fields.get_mut(name) {
        *inner = schema(inner.take(), namespace);
    }
    Value::Object(fields)
}

fn named(mut fields: Map<String, Value>, namespace: &str) -> Value {
    let own = fields.remove("namespace");
    let given = own.as_ref().and_then(Value::as_str).unwrap_or(namespace);
    let name = fields.get("name").and_then(Value::as_str).unwrap_or_default();
    let name = full_name(name, given);
    let inner = name.rsplit_once('.').map_or("", |(namespace, _)| namespace).to_owned();
    fields.insert("name".to_owned(), Value::String(name));
    if let Some(Value::Array(aliases)) = fields.get_mut("aliases") {
        for alias in aliases {
            *alias = schema(alias.take(), &inner);
        }
    }
    if let Some(Value::Array(of_record)) = fields.get_mut("fields") {
        for field in of_record {
            if let Value::Object(field) = field {
                as_field(field, &inner);
            }
        }
    }
    Value::Object(fields)
}

fn as_field(field: &mut Map<String, Value>, namespace: &str) {
    if let Some(kind) = field.get_mut("type") {
        *kind = schema(kind.take(), namespace);
    }
    if field.get("order").and_then(Value::as_str) == Some("ascending") {
        field.remove("order");
    }
}

const PRIMITIVES: [&str; 8] =
    ["null", "boolean", "int", "long", "float", "double", "bytes", "string"];

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() || PRIMITIVES.contains(&name) {
        name.to_owned()
    } else {
        format!("{namespace}.{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(one: &str, other: &str, verdict: &str) {
        let told = if one_form(one) == one_form(other) { "same" } else { "other" };
        assert_eq!(told, verdict, "{one} {other}");
    }

    #[test]
    fn blanks_orders_and_the_place_of_a_namespace_make_no_other_schema() {
        check(r#""int""#, r#"{ "type" : "int" }"#, "same");
        check(
            r#"{"type":"record","name":"R","namespace":"a.b","fields":[{"name":"x","type":"int"}]}"#,
            r#"{"fields":[{"order":"ascending","type":{"type":"int"},"name":"x"}],"name":"a.b.R","type":"record"}"#,
            "same",
        );
        check(
            r#"{"type":"record","name":"a.R","fields":[{"name":"x","type":["null","R"]}]}"#,
            r#"{"type":"record","name":"a.R","fields":[{"name":"x","type":["null","a.R"]}]}"#,
            "same",
        );
    }

    #[test]
    fn what_a_reader_could_notice_makes_another_schema() {
        check(r#""int""#, r#""long""#, "other");
        check(r#"["int","null"]"#, r#"["null","int"]"#, "other");
        check(
            r#"{"type":"enum","name":"E","symbols":["A"]}"#,
            r#"{"type":"enum","name":"E","symbols":["A"],"doc":"d"}"#,
            "other",
        );
        check(r#"{"type":"int","logicalType":"date"}"#, r#""int""#, "other");
        check(
            r#"{"type":"record","name":"R","fields":[{"name":"x","type":"int","default":1}]}"#,
            r#"{"type":"record","name":"R","fields":[{"name":"x","type":"int"}]}"#,
            "other",
        );
    }
}
