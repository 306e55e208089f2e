//! Bytes that others compare: keys of every fixture, edits of values, and a whole registry's context
//! as it has to stand in another cluster.

#[cfg(test)]
#[expect(dead_code, reason = "each test crate uses its own part")]
mod support;

#[cfg(test)]
mod golden {
    use std::collections::BTreeMap;

    use schema_mirror::core::key::Key;
    use schema_mirror::core::key::KeyReading;
    use schema_mirror::core::key::Version;
    use schema_mirror::core::key::read_key;
    use schema_mirror::core::record::Header;
    use schema_mirror::core::record::Outgoing;
    use schema_mirror::core::rules::Compatibility;
    use schema_mirror::core::subject::ContextName;
    use schema_mirror::core::subject::Subject;
    use schema_mirror::core::value::Edit;
    use schema_mirror::core::value::edited;
    use serde_json::Value;

    use crate::support::check::expect_invariants;
    use crate::support::check::held;
    use crate::support::check::incidents;
    use crate::support::script::Script;
    use crate::support::text;
    use crate::support::world::Way;
    use crate::support::world::World;

    const CONFLUENT_7: &str = include_str!("fixtures/confluent-7.9.5/topic.jsonl");
    const CONFLUENT_8: &str = include_str!("fixtures/confluent-8.3.1/topic.jsonl");
    const KARAPACE: &str = include_str!("fixtures/karapace-6.2.0/topic.jsonl");
    const AS_CONTEXT: &str = include_str!("fixtures/confluent-7.9.5-as-context-source/topic.jsonl");

    fn records(topic: &str) -> Vec<Outgoing> {
        topic
            .lines()
            .map(|line| {
                let line: Value = serde_json::from_str(line).unwrap();
                let headers = line["headers"].as_array().cloned().unwrap_or_default();
                Outgoing {
                    key: line["key"].as_str().unwrap().as_bytes().to_vec(),
                    value: line["value"].as_str().map(|text| text.as_bytes().to_vec()),
                    timestamp_ms: line["timestamp"].as_i64(),
                    headers: headers
                        .iter()
                        .map(|header| Header {
                            name: header[0].as_str().unwrap().to_owned(),
                            // What Karapace says of itself, decoded.
                            value: Some(b"karapace-6.2.0".to_vec()),
                        })
                        .collect(),
                }
            })
            .collect()
    }

    fn canonical(key: &[u8]) -> Option<Vec<u8>> {
        match read_key(key) {
            KeyReading::Known(key) => Some(key.canonical()),
            KeyReading::Unknown(_) | KeyReading::Unreadable(_) | KeyReading::Misread(..) => None,
        }
    }

    #[track_caller]
    fn check_keys(topic: &str) {
        for record in records(topic) {
            let written = canonical(&record.key).map(|key| String::from_utf8(key).unwrap());
            assert_eq!(written, Some(String::from_utf8(record.key).unwrap()));
        }
    }

    #[test]
    fn every_key_of_confluent_7_is_canonical_already() {
        check_keys(CONFLUENT_7);
        check_keys(AS_CONTEXT);
    }

    #[test]
    fn every_key_of_confluent_8_is_canonical_already() {
        check_keys(CONFLUENT_8);
    }

    #[test]
    fn karapaces_keys_become_confluents() {
        let mut changed = BTreeMap::new();
        for record in records(KARAPACE) {
            let written = String::from_utf8(canonical(&record.key).unwrap()).unwrap();
            let had = String::from_utf8(record.key).unwrap();
            if written != had {
                changed.insert(had, written);
            }
        }
        let wanted = [
            (
                r#"{"keytype":"CONFIG","subject":null,"magic":0}"#,
                r#"{"keytype":"CONFIG","magic":0}"#,
            ),
            (
                r#"{"keytype":"SCHEMA","subject":"größe-😀-value","version":1,"magic":1}"#,
                r#"{"keytype":"SCHEMA","subject":"größe-\uD83D\uDE00-value","version":1,"magic":1}"#,
            ),
        ];
        let wanted =
            wanted.map(|(had, written)| (had.to_owned(), written.to_owned())).into_iter().collect();
        assert_eq!(changed, wanted);
    }

    #[test]
    fn every_kind_of_key_has_its_bytes() {
        let of = |spelled: &str| Subject::parse(spelled);
        let check = |key: Key, bytes: &str| {
            assert_eq!(String::from_utf8(key.canonical()).unwrap(), bytes);
            assert_eq!(read_key(bytes.as_bytes()), KeyReading::Known(key), "{bytes}");
        };
        let one = Version::new(1).unwrap();
        check(
            Key::Schema(of("pageviews-value"), one),
            r#"{"keytype":"SCHEMA","subject":"pageviews-value","version":1,"magic":1}"#,
        );
        check(
            Key::Schema(of(":.source:pageviews-value"), one),
            r#"{"keytype":"SCHEMA","subject":":.source:pageviews-value","version":1,"magic":1}"#,
        );
        check(Key::Config(of("")), r#"{"keytype":"CONFIG","magic":0}"#);
        check(
            Key::Config(of(":.source:")),
            r#"{"keytype":"CONFIG","subject":":.source:","magic":0}"#,
        );
        check(Key::Mode(of("")), r#"{"keytype":"MODE","magic":0}"#);
        check(Key::Mode(of(":.source:")), r#"{"keytype":"MODE","subject":":.source:","magic":0}"#);
        check(Key::Noop, r#"{"keytype":"NOOP","magic":0}"#);
        check(
            Key::DeleteSubject(of("a")),
            r#"{"keytype":"DELETE_SUBJECT","subject":"a","magic":0}"#,
        );
        check(
            Key::ClearSubject(Some(of(":.source:"))),
            r#"{"keytype":"CLEAR_SUBJECT","subject":":.source:","magic":0}"#,
        );
        check(Key::ClearSubject(None), r#"{"keytype":"CLEAR_SUBJECT","magic":0}"#);
        check(
            Key::Context(ContextName::from_record(".source")),
            r#"{"keytype":"CONTEXT","tenant":"default","context":".source","magic":0}"#,
        );
    }

    #[track_caller]
    fn check_read(spelled: &str, canonical_bytes: &str) {
        let written = canonical(spelled.as_bytes()).map(|key| String::from_utf8(key).unwrap());
        assert_eq!(written.as_deref(), Some(canonical_bytes));
    }

    #[test]
    fn every_old_spelling_is_read_and_written_canonically() {
        let schema = r#"{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}"#;
        check_read(r#"{"subject":"s","version":1,"magic":1,"keytype":"SCHEMA"}"#, schema);
        check_read(r#"{"subject":"s","version":1,"magic":0,"keytype":"SCHEMA"}"#, schema);
        check_read(
            r#"{"keytype":"SCHEMA","subject":"s","version":1,"magic":1,"seq":7,"node":0}"#,
            schema,
        );
        check_read(r#"{ "keytype" : "SCHEMA", "version":"1", "subject":"\u0073" } x"#, schema);
        let config = r#"{"keytype":"CONFIG","magic":0}"#;
        check_read(r#"{"subject":null,"magic":0,"keytype":"CONFIG"}"#, config);
        check_read(r#"{"keytype":"CONFIG","subject":null,"magic":0}"#, config);
        check_read(r#"{"keytype":"CONFIG","subject":"","magic":0}"#, config);
        check_read(r#"{"magic":0,"keytype":"NOOP"}"#, r#"{"keytype":"NOOP","magic":0}"#);
        check_read(
            r#"{"keytype":"MODE","subject":":.source","magic":0}"#,
            r#"{"keytype":"MODE","subject":":.source:","magic":0}"#,
        );
    }

    #[track_caller]
    fn check_edit(value: &str, edit: &Edit, becomes: &str) {
        let bytes = edited(value.as_bytes(), edit).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), becomes);
    }

    #[test]
    fn an_edit_changes_what_it_names_and_nothing_else() {
        let subject = Some(":.source:größe-😀".to_owned());
        check_edit(
            r#"{"subject":"x","normalize":true,"alias":"a","aliasForDeks":"b","new":[ 1 ]}"#,
            &Edit {
                subject,
                alias: Some(":.source:a".into()),
                alias_for_deks: Some(":.source:b".into()),
                level: Some(Compatibility::Full),
                ..Edit::default()
            },
            r#"{"subject":":.source:größe-\uD83D\uDE00","normalize":true,"alias":":.source:a","aliasForDeks":":.source:b","new":[ 1 ],"compatibilityLevel":"FULL"}"#,
        );
        check_edit(
            r#"{"version":1,"id":2,"references":[{"name":"n","subject":":.x:d","version":3,"more":0}],"schema":"\u0041","deleted":false}"#,
            &Edit {
                subject: Some("a".into()),
                deleted: Some(true),
                references: Some(vec![":.source.x:d".into()]),
                ..Edit::default()
            },
            r#"{"subject":"a","version":1,"id":2,"references":[{"name":"n","subject":":.source.x:d","version":3,"more":0}],"schema":"\u0041","deleted":true}"#,
        );
        check_edit(r#"{"subject":"x"}"#, &Edit::default(), "{}");
        check_edit(
            r#"{"compatibilityLevel":null}"#,
            &Edit { level: Some(Compatibility::None), ..Edit::default() },
            r#"{"compatibilityLevel":"NONE"}"#,
        );
    }

    fn copied(topic: &str, link: &str, way: Way) -> World {
        let script = Script::parse(link);
        let mut world = World::new(way, &script.links);
        if way == Way::Live {
            world.start();
        }
        for record in records(topic) {
            world.append("source", record);
        }
        world.settle();
        expect_invariants(&world);
        assert!(held(&world).is_empty(), "{:?}", held(&world));
        world
    }

    /// The newest value of every key, parsed; without what says nothing.
    fn meaning(world: &World) -> BTreeMap<String, Value> {
        let pairs = world.logs["target"].pairs();
        newest(pairs.map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec))))
    }

    fn newest(
        records: impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)>,
    ) -> BTreeMap<String, Value> {
        let newest: BTreeMap<_, _> = records.collect();
        let json = |bytes: Vec<u8>| serde_json::from_slice::<Value>(&bytes).unwrap();
        newest
            .into_iter()
            .filter_map(|(key, value)| Some((String::from_utf8(key).unwrap(), json(value?))))
            .collect()
    }

    #[test]
    fn the_default_context_of_confluent_7_stands_in_a_context_as_a_registry_served_it() {
        let recorded = newest(records(AS_CONTEXT).into_iter().map(|r| (r.key, r.value)));
        for way in [Way::Live, Way::Reconcile] {
            let world = copied(CONFLUENT_7, "link into .source", way);
            let ours = meaning(&world);
            let keys = |of: &BTreeMap<String, Value>| of.keys().cloned().collect::<Vec<_>>();
            assert_eq!(keys(&ours), keys(&recorded), "{way:?}");
            for (key, value) in &recorded {
                assert_eq!(&ours[key], value, "{way:?}: {key}");
            }
        }
    }

    #[track_caller]
    fn check_state(topic: &str, link: &str, incidents_wanted: usize, state: &str) {
        for way in [Way::Live, Way::Reconcile] {
            let world = copied(topic, link, way);
            let found = incidents(&world);
            assert_eq!(found.len(), incidents_wanted, "{way:?}: {found:#?}");
            let texts = meaning(&world);
            let mut lines: Vec<String> =
                texts.iter().map(|(key, value)| brief(key, value)).collect();
            lines.sort();
            assert_eq!(lines.join("\n"), state.trim(), "{way:?}");
        }
    }

    /// A record without its text.
    fn brief(key: &str, value: &Value) -> String {
        let mut value = value.clone();
        if let Some(text) = value.get_mut("schema") {
            *text = "…".into();
        }
        text::line(key.as_bytes(), Some(value.to_string().as_bytes()))
    }

    #[test]
    fn all_contexts_of_confluent_7_go_behind_the_links_own() {
        let link = "link into .source subjects :*:";
        check_state(CONFLUENT_7, link, 0, include_str!("golden/confluent-7.9.5-all.txt"));
    }

    #[test]
    fn all_contexts_of_confluent_8_go_behind_the_links_own() {
        let link = "link into .source subjects :*:";
        check_state(CONFLUENT_8, link, 0, include_str!("golden/confluent-8.3.1-all.txt"));
    }

    #[test]
    fn a_karapace_source_stands_in_a_context_with_its_deletions() {
        check_state(KARAPACE, "link into .source", 0, include_str!("golden/karapace-6.2.0.txt"));
    }

    #[test]
    fn what_karapace_gets_of_real_registries() {
        let link = "link same to karapace";
        let of_confluent = include_str!("golden/confluent-7.9.5-in-karapace.txt");
        check_state(CONFLUENT_7, link, 0, of_confluent);
        check_state(KARAPACE, link, 0, include_str!("golden/karapace-6.2.0-in-karapace.txt"));
    }

    #[test]
    fn a_second_copy_of_a_fixture_writes_nothing() {
        for topic in [CONFLUENT_7, CONFLUENT_8, KARAPACE] {
            let world = copied(topic, "link into .source subjects :*:", Way::Live);
            assert!(world.fresh(0).plan().is_empty());
            let world = copied(topic, "link same to karapace", Way::Live);
            assert!(world.fresh(0).plan().is_empty());
        }
    }

    #[test]
    fn schema_texts_arrive_byte_identical() {
        let world = copied(CONFLUENT_7, "link into .source", Way::Live);
        let raw = |value: &[u8]| -> Option<String> {
            let value: BTreeMap<String, Box<serde_json::value::RawValue>> =
                serde_json::from_slice(value).ok()?;
            Some(value.get("schema")?.get().to_owned())
        };
        let source: Vec<String> =
            records(CONFLUENT_7).iter().filter_map(|r| raw(r.value.as_deref()?)).collect();
        let target = world.logs["target"].pairs().filter_map(|(_, value)| raw(value?));
        let mut count = 0;
        for text in target {
            assert!(source.contains(&text), "{text}");
            count += 1;
        }
        assert!(count > 20, "{count}");
    }
}
