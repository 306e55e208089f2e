//! What real registries answered on a topic, answered again from that topic alone.

#[cfg(test)]
mod requests;

#[cfg(test)]
mod registry_answers {
    use std::fs;
    use std::path::Path;

    use openssl::hash::MessageDigest;
    use openssl::hash::hash;
    use proptest::prelude::*;
    use schema_mirror::api::registry::Answer;
    use schema_mirror::api::registry::Question;
    use schema_mirror::api::registry::answer;
    use schema_mirror::core::catalog::Catalog;
    use schema_mirror::core::dialect::Dialect;
    use schema_mirror::core::record::Record;
    use schema_mirror::core::rules::Compatibility;
    use serde_json::Value;
    use serde_json::json;

    use crate::requests::Request;
    use crate::requests::request;

    const KAFKA_CLUSTER: &str = "P5O5-9YWTRGyhpMBfCEzUw";

    fn lines(fixture: &str, file: &str) -> Vec<Value> {
        let place = Path::new("tests/fixtures").join(fixture).join(file);
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(place)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn catalog(fixture: &str) -> Catalog {
        let mut catalog = Catalog::new(Dialect::Auto, Compatibility::Backward);
        for line in lines(fixture, "topic.jsonl") {
            let bytes = |name: &str| line[name].as_str().map(|text| text.to_owned().into());
            catalog.take(&Record {
                offset: line["offset"].as_i64().unwrap(),
                timestamp_ms: line["timestamp"].as_i64(),
                key: bytes("key"),
                value: bytes("value"),
                headers: Vec::new(),
            });
        }
        catalog
    }

    fn ask(catalog: &Catalog, method: &str, target: &str, body: &str) -> Answer {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let body = body.as_bytes();
        let question = Question { method, path, query, has: None, body };
        answer(catalog, KAFKA_CLUSTER, question)
    }

    fn get(catalog: &Catalog, target: &str) -> Answer {
        ask(catalog, "GET", target, "")
    }

    fn md5(text: &str) -> String {
        let digest = hash(MessageDigest::md5(), text.as_bytes()).unwrap();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The same question to a registry and to us; what differs, if anything does.
    fn difference(catalog: &Catalog, asked: &Value) -> Option<String> {
        let method = asked["method"].as_str().unwrap();
        let path = asked["path"].as_str().unwrap();
        let body = Some(&asked["body"]).filter(|body| !body.is_null());
        let body = body.map(Value::to_string).unwrap_or_default();
        let told = ask(catalog, method, path, &body);
        let mut wanted = asked["answer"].clone();
        let mut got: Value = serde_json::from_str(&told.body).unwrap();
        // Of a registry's group its topic knows nothing, and we are no registry.
        if let Some(group) = wanted.pointer_mut("/scope/clusters/schema-registry-cluster") {
            *group = json!("schema-registry");
        }
        if path == "/v1/metadata/version" {
            got["version"] = json!(got["version"].as_str()?.split_once('+')?.0);
            (wanted["commitId"], got["commitId"]) = (Value::Null, Value::Null);
        }
        let kind = asked.get("content_type").map(|kind| kind.as_str());
        let typed = told.typed.then_some(Answer::CONTENT_TYPE);
        let same = json!(told.status) == asked["status"]
            && got == wanted
            && kind.is_none_or(|kind| kind == typed);
        (!same).then(|| {
            format!(
                "{method} {path}\n  registry {} {wanted}\n  we       {} {got}",
                asked["status"], told.status
            )
        })
    }

    fn check(fixture: &str, asked: &[Value], count: usize) {
        assert_eq!(asked.len(), count);
        let catalog = catalog(fixture);
        let differences: Vec<String> =
            asked.iter().filter_map(|asked| difference(&catalog, asked)).collect();
        assert!(differences.is_empty(), "{}", differences.join("\n"));
    }

    #[test]
    fn what_a_registry_answered_on_a_copy_in_a_context_is_answered_from_its_topic() {
        let fixture = "confluent-7.9.5-as-context-source";
        let mut asked = lines(fixture, "answers.jsonl");
        // Compatibility is checked by those who parse schemas.
        let unanswered = asked.pop_if(|last| last["path"].as_str().unwrap().starts_with("/comp"));
        check(fixture, &asked, 94);
        let path = unanswered.unwrap()["path"].as_str().unwrap().to_owned();
        let refused = ask(&catalog(fixture), "POST", &path, r#"{"schema":"\"int\""}"#);
        assert_eq!((refused.status, refused.typed), (501, true));
    }

    #[test]
    fn what_a_registry_answered_on_its_own_topic_is_answered_from_it() {
        let fixture = "confluent-7.9.5";
        let mut asked = lines(fixture, "operations.jsonl");
        // Written by them, and read only after all of that.
        asked.retain(|asked| asked["method"] == "GET");
        check(fixture, &asked, 33);
    }

    #[test]
    fn answers_have_the_bytes_that_a_registry_sent() {
        let fixture = "confluent-7.9.5-bytes";
        let catalog = catalog(fixture);
        let mut differences = Vec::new();
        let asked = lines(fixture, "answers.jsonl");
        assert_eq!(asked.len(), 194);
        for asked in asked {
            let text = |name: &str| asked[name].as_str().unwrap_or_default();
            let told = ask(&catalog, text("method"), text("path"), text("body"));
            let typed = told.typed.then_some(Answer::CONTENT_TYPE);
            let same = json!(told.status) == asked["status"]
                && told.body == text("answer")
                && typed == asked["content_type"].as_str();
            if !same {
                differences.push(format!("{asked}\n  we {told:?}"));
            }
        }
        assert!(differences.is_empty(), "{}", differences.join("\n"));
    }

    /// The two sums of Schema Linking's walkthrough.
    #[test]
    fn the_sums_of_the_walkthrough_are_those_of_our_answers() {
        let text = r#"{"type":"record","name":"pageviews","namespace":"ksql","fields":[{"name":"viewtime","type":"long"},{"name":"userid","type":"string"},{"name":"pageid","type":"string"}],"connect.name":"ksql.pageviews"}"#;
        let sum = |prefix: &str| {
            let subject = format!("{prefix}pageviews-value");
            let key = json!({"keytype": "SCHEMA", "subject": subject, "version": 1, "magic": 1});
            let value = json!({"subject": subject, "version": 1, "id": 1, "schema": text, "deleted": false});
            let context = json!({"keytype": "CONTEXT", "tenant": "default", "context": ".source", "magic": 0});
            let named = json!({"tenant": "default", "context": ".source"});
            let mut catalog = Catalog::new(Dialect::Auto, Compatibility::Backward);
            for (offset, (key, value)) in [(context, named), (key, value)].into_iter().enumerate() {
                let bytes = |document: Value| Some(document.to_string().into());
                let (key, value) = (bytes(key), bytes(value));
                let offset = i64::try_from(offset).unwrap();
                catalog.take(&Record { offset, key, value, ..Record::default() });
            }
            md5(&get(&catalog, "/subjects/pageviews-value/versions/1").body)
        };
        assert_eq!(sum(""), "7586b6964c0772cad625264fea2ddc49");
        assert_eq!(sum(":.source:"), "ad2d29c1101ce8b2cb4f68afba28e3e9");
    }

    #[test]
    fn an_answer_by_id_may_be_kept_and_is_not_sent_twice() {
        let catalog = catalog("confluent-7.9.5");
        let told = get(&catalog, "/schemas/ids/1");
        let tag = told.tag.unwrap();
        let again = |path, has| {
            answer(&catalog, "", Question { method: "GET", path, query: "", has, body: b"" })
        };
        let short = again("/schemas/ids/1", Some(tag.as_str()));
        assert_eq!((short.status, short.body.as_str(), short.tag), (304, "", Some(tag.clone())));
        assert_eq!(again("/schemas/ids/2", Some(tag.as_str())).status, 200);
        for changing in ["/subjects", "/schemas/ids/1/versions", "/schemas/ids/1?fetchMaxId=true"] {
            assert_eq!(get(&catalog, changing).tag, None, "{changing}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 20_000, failure_persistence: None, ..ProptestConfig::default()
        })]
        #[test]
        fn an_odd_request_is_answered_and_is_no_fault_of_ours(asked in request()) {
            thread_local! {
                static CATALOG: Catalog = catalog("confluent-7.9.5-as-context-source");
            }
            let Request { method, path, query, headers, body } = asked;
            let has = headers.iter().find(|(name, _)| name == "If-None-Match");
            let has = has.map(|(_, value)| value.as_str());
            let question =
                Question { method: &method, path: &path, query: &query, has, body: &body };
            let told = CATALOG.with(|catalog| answer(catalog, KAFKA_CLUSTER, question));
            prop_assert!(told.status < 500 || told.status == 501, "{told:?}");
            let is_json = serde_json::from_str::<Value>(&told.body).is_ok();
            prop_assert!(is_json || told.status == 200 || told.status == 304, "{told:?}");
        }
    }
}
