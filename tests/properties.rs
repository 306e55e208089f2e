//! Properties of the core on inputs that nobody thought of.

#[cfg(test)]
#[expect(dead_code, reason = "each test crate uses its own part")]
mod support;

#[cfg(test)]
mod properties {
    mod purge;

    use std::collections::BTreeMap;
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use schema_mirror::core::dialect::Dialect;
    use schema_mirror::core::entry::Reader;
    use schema_mirror::core::key::Key;
    use schema_mirror::core::key::KeyReading;
    use schema_mirror::core::key::Version;
    use schema_mirror::core::key::read_key;
    use schema_mirror::core::record::Record;
    use schema_mirror::core::subject::ContextName;
    use schema_mirror::core::subject::Subject;
    use schema_mirror::core::value::Edit;
    use schema_mirror::core::value::edited;
    use schema_mirror::core::value::read_config;
    use schema_mirror::core::value::read_schema;
    use serde_json::Map;
    use serde_json::Value;

    use crate::support::check::expect_invariants;
    use crate::support::check::held;
    use crate::support::check::incidents;
    use crate::support::script::Script;
    use crate::support::script::rules;
    use crate::support::text;
    use crate::support::world::Way;
    use crate::support::world::World;

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..80),
            "[\\PC\"\\\\{}:,\\[\\]0-9a-z]{0,80}".prop_map(String::into_bytes),
            damaged(),
        ]
    }

    /// A sound key or value with one byte changed, or cut off.
    fn damaged() -> impl Strategy<Value = Vec<u8>> {
        let sound = [
            r#"{"keytype":"SCHEMA","subject":"a","version":1,"magic":1}"#,
            r#"{"keytype":"CONFIG","subject":null,"magic":0}"#,
            r#"{"keytype":"CONTEXT","tenant":"default","context":".x","magic":0}"#,
            r#"{"subject":"a","version":1,"id":7,"references":[{"name":"n","subject":"d","version":1}],"schema":"\"int\"","deleted":false}"#,
            r#"{"subject":"a","compatibilityLevel":"FULL","alias":"b","normalize":true}"#,
        ];
        (prop::sample::select(sound.to_vec()), any::<(prop::sample::Index, u8, bool)>()).prop_map(
            |(text, (at, byte, cut))| {
                let mut bytes = text.as_bytes().to_vec();
                let at = at.index(bytes.len());
                if cut {
                    bytes.truncate(at);
                } else {
                    bytes[at] = byte;
                }
                bytes
            },
        )
    }

    fn name() -> impl Strategy<Value = String> {
        prop_oneof!["[a-z][a-z0-9_.-]{0,12}", "\\PC{1,12}", "[a-z\"\\\\\t\u{1f}é😀:/%]{1,12}"]
    }

    fn subject() -> impl Strategy<Value = Subject> {
        let context = prop_oneof![Just(".".to_owned()), "\\.[a-z]{1,8}(\\.[a-z]{1,4})?"];
        (context, name())
            .prop_map(|(context, name)| Subject::new(&ContextName::from_record(&context), &name))
            .prop_filter("a sound subject", |subject| subject.defect().is_none())
    }

    fn key() -> impl Strategy<Value = Key> {
        let version = (1..1_000_000i64).prop_map(|number| Version::new(number).unwrap());
        prop_oneof![
            (subject(), version).prop_map(|(subject, version)| Key::Schema(subject, version)),
            subject().prop_map(Key::Config),
            subject().prop_map(Key::Mode),
            subject().prop_map(Key::DeleteSubject),
            subject().prop_map(|subject| Key::Config(Subject::of_context(&subject.context))),
            subject().prop_map(|subject| Key::ClearSubject(Some(subject))),
            "\\.[a-z]{1,8}".prop_map(|name| Key::Context(ContextName::from_record(&name))),
            Just(Key::ClearSubject(None)),
            Just(Key::Noop),
        ]
    }

    /// A SCHEMA value of subject `a`, version 1, with fields of all kinds.
    fn schema_value() -> impl Strategy<Value = Map<String, Value>> {
        let extra = prop_oneof![
            Just(("schemaType".to_owned(), Value::from("JSON"))),
            ("[f-z]{1,4}", json()).prop_map(|(name, value)| (format!("x{name}"), value)),
        ];
        ("\\PC{1,20}", 1..9i64, any::<bool>(), prop::collection::vec(extra, 0..3)).prop_map(
            |(text, id, deleted, extra)| {
                let mut fields = Map::new();
                fields.insert("subject".into(), "a".into());
                fields.insert("version".into(), 1.into());
                fields.insert("id".into(), id.into());
                fields.insert("schema".into(), text.into());
                fields.insert("deleted".into(), deleted.into());
                fields.extend(extra);
                fields
            },
        )
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "\\PC{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(2, 8, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-z]{1,3}", inner, 0..3)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    #[expect(clippy::fn_params_excessive_bools, reason = "one way or the other")]
    #[expect(clippy::wildcard_enum_match_arm, reason = "everything else is spelled in one way")]
    /// The same object spelled otherwise: other order, blanks, escapes.
    fn respelled(fields: &Map<String, Value>, backwards: bool) -> String {
        let mut spelled: Vec<String> = fields
            .iter()
            .map(|(name, value)| {
                let value = match value {
                    Value::String(text) => {
                        let units: String =
                            text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
                        format!("\"{units}\"")
                    }
                    Value::Object(inner) => respelled(inner, !backwards),
                    other => other.to_string(),
                };
                format!(" \"{name}\"\t: {value}\n")
            })
            .collect();
        if backwards {
            spelled.reverse();
        }
        format!("{{{}}}", spelled.join(","))
    }

    const OPERATIONS: [&str; 6] = ["put", "delete", "soft", "drop", "config", "settings"];

    /// A line of a source's log, in a small world where much collides.
    fn operation() -> impl Strategy<Value = String> {
        let subject = prop::sample::select(vec!["a", "b", "c", ":.x:a", ":.x:b"]);
        let of = prop::sample::select(vec!["a:1", "b:1", "c:2", ":.x:a:1"]);
        (
            prop::sample::select(OPERATIONS.to_vec()),
            subject,
            1..4u8,
            1..6u8,
            prop::option::weighted(0.2, of),
            0..3u8,
        )
            .prop_map(|(operation, subject, version, id, reference, text)| {
                let references = reference.map(|of| format!(" refs={of}")).unwrap_or_default();
                let other = if text == 0 { " text=other" } else { "" };
                match operation {
                    "put" => format!("{subject} v{version} id={id}{other}{references}"),
                    "soft" => format!("{subject} v{version} id={id}{other}{references} deleted"),
                    "delete" => format!("{subject} v{version} -"),
                    "drop" => format!("DELETE_SUBJECT {subject} {version}"),
                    "config" if text == 0 => format!("CONFIG {subject} -"),
                    "config" => format!("CONFIG {subject} {{\"alias\":\"b\"}}"),
                    _ if text == 0 => "CONFIG . -".to_owned(),
                    _ => "CONFIG . FULL".to_owned(),
                }
            })
    }

    fn links() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "link into .t",
            "link into .t subjects :*:",
            "link into .t subjects a",
            "link into .t subjects a,c hold",
            "link same subjects *",
            "link same subjects :*:",
            "link same subjects a,b",
            "link into .t subjects a,:.x:b",
            "link into .t subjects :*: renames a=b2,(b)=$1$1",
            "link into .t subjects a,c hold renames (a|b)=$1-$1",
            "link same subjects * renames (.*)=n-$1",
        ])
    }

    fn played(link: &str, lines: &[String], way: Way) -> World {
        let script = Script::parse(link);
        let mut world = World::new(way, &script.links);
        world.start();
        for line in lines {
            world.append("source", text::record(line));
        }
        world.release();
        world.settle();
        world
    }

    /// Rules of a list, as a scenario spells them.
    fn renames() -> impl Strategy<Value = String> {
        let pattern = prop::sample::select(vec!["(a.*)", "(.*)b", "([ab]+)(c*)", "(.)(.*)", "(c)"]);
        let instead = prop::sample::select(vec!["x-$1", "$1", "$1.$0", "y", "${1}z", "x:$1"]);
        prop::collection::vec((pattern, instead), 1..4).prop_map(|rules| {
            let rules = rules.iter().map(|(pattern, instead)| format!("{pattern}={instead}"));
            rules.collect::<Vec<_>>().join(",")
        })
    }

    /// The versions and ids of a subject, as a state has them.
    fn versions(state: &[String], subject: &str) -> BTreeSet<String> {
        let own = state.iter().filter_map(|line| line.strip_prefix(subject)?.strip_prefix(" v"));
        own.map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect()
    }

    fn cases(cases: u32) -> ProptestConfig {
        ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
    }

    proptest! {
        #![proptest_config(cases(256))]

        #[test]
        fn no_bytes_make_the_reader_panic(key in bytes(), value in prop::option::of(bytes())) {
            for dialect in Dialect::ALL {
                let record = Record {
                    key: Some(key.clone().into()),
                    value: value.clone().map(Into::into),
                    ..Record::default()
                };
                let _reading = Reader::new(dialect).read(&record);
            }
        }

        #[test]
        fn no_bytes_of_a_value_make_a_sound_keys_reader_panic(key in key(), value in bytes()) {
            let record = Record {
                key: Some(key.canonical().into()),
                value: Some(value.into()),
                ..Record::default()
            };
            let _reading = Reader::new(Dialect::Auto).read(&record);
        }

        #[test]
        fn a_value_that_was_read_can_be_edited_and_reads_the_same(value in bytes()) {
            let subject = Subject::parse("a");
            if let Ok(said) = read_schema(&value, &subject, 1) {
                let edit = Edit { subject: Some("a".into()), deleted: Some(said.deleted), ..Edit::default() };
                let again = read_schema(&edited(&value, &edit).unwrap(), &subject, 1).unwrap();
                prop_assert_eq!((again.id, again.content), (said.id, said.content));
            }
            if let Ok(said) = read_config(&value) {
                let again = read_config(&edited(&value, &Edit::default()).unwrap()).unwrap();
                prop_assert_eq!(again.meaning, said.meaning);
            }
        }

        #[test]
        fn a_canonical_key_reads_back_as_itself(key in key()) {
            prop_assert_eq!(read_key(&key.canonical()), KeyReading::Known(key));
        }

        #[test]
        fn a_canonical_key_is_json_that_others_read(key in key()) {
            let fields: Map<String, Value> = serde_json::from_slice(&key.canonical()).unwrap();
            prop_assert_eq!(text::canonical(&fields), key.canonical());
        }

        #[test]
        fn the_meaning_of_a_value_does_not_depend_on_its_spelling(
            fields in schema_value(), backwards in any::<bool>()
        ) {
            let subject = Subject::parse("a");
            let plain = Value::Object(fields.clone()).to_string();
            let other = respelled(&fields, backwards);
            let one = read_schema(plain.as_bytes(), &subject, 1).unwrap();
            let two = read_schema(other.as_bytes(), &subject, 1).unwrap();
            prop_assert_eq!((one.id, one.deleted), (two.id, two.deleted));
            let (one, two) = (one.content, two.content);
            prop_assert_eq!((one.text, one.meaning()), (two.text, two.meaning()));
            prop_assert_eq!(one.references(), two.references());
        }

        #[test]
        fn another_text_or_another_field_is_another_meaning(
            fields in schema_value(), changed in "\\PC{1,20}"
        ) {
            let subject = Subject::parse("a");
            let read = |fields: &Map<String, Value>| {
                read_schema(Value::Object(fields.clone()).to_string().as_bytes(), &subject, 1).unwrap()
            };
            let before = read(&fields);
            let mut other = fields.clone();
            other.insert("schema".into(), changed.clone().into());
            prop_assert_eq!(read(&other).content.text == before.content.text, fields["schema"] == changed);
            let mut more = fields;
            more.insert("brand-new".into(), 1.into());
            prop_assert_ne!(read(&more).content.meaning(), before.content.meaning());
        }

        #[test]
        fn placing_a_subject_can_be_undone(subject in subject()) {
            for placement in ["link into .t subjects :*:", "link same subjects :*:"] {
                let rules = Script::parse(placement).links[0].rules.clone();
                let placed = rules.place(&subject).unwrap();
                prop_assert!(rules.owns(&placed));
                prop_assert_eq!(rules.unplace(&placed), Some(subject.clone()));
            }
            let default = rules();
            prop_assert_eq!(default.place(&subject).is_some(), subject.context.is_default());
        }
    }

    proptest! {
        #![proptest_config(cases(300))]

        /// Rewriting commutes with applying: whichever way a log is copied, the target says the same
        /// and a fresh start finds nothing to do.
        #[test]
        fn following_and_comparing_leave_the_same_target(
            link in links(), lines in prop::collection::vec(operation(), 1..24)
        ) {
            let live = played(link, &lines, Way::Live);
            let reconciled = played(link, &lines, Way::Reconcile);
            expect_invariants(&live);
            expect_invariants(&reconciled);
            // What is held keeps the state it had, which differs with how it came there.
            if held(&live).is_empty() && held(&reconciled).is_empty() {
                prop_assert_eq!(live.logs["target"].state(), reconciled.logs["target"].state());
            }
            for world in [&live, &reconciled] {
                let plan = world.fresh(0).plan();
                prop_assert!(plan.is_empty(), "a fresh start plans {:#?}", plan);
            }
        }

        /// Renaming commutes with references: what one names in the target is what its subject is
        /// called there, with a context before it and without.
        #[test]
        fn a_reference_names_what_its_subject_is_called(
            rules in renames(), name in "[abc]{1,4}", of in "[abc]{1,4}", context in 0..3usize
        ) {
            let link = format!("link into .t subjects :*: renames {rules}");
            let [inside, spelled] = [["", ""], [":.x:", ""], [":.x:", ":.x:"]][context];
            let parent = if spelled.is_empty() { inside } else { "" };
            let lines = [
                format!("{inside}{name} v1 id=1"),
                format!("{parent}{of}0 v1 id=2 refs={spelled}{name}:1"),
            ];
            let world = played(&link, &lines, Way::Live);
            expect_invariants(&world);
            if incidents(&world).is_empty() {
                let rules = &world.running[0].spec.rules;
                let place = |subject: String| rules.place(&Subject::parse(&subject)).unwrap();
                let (to, from) = (place(format!("{inside}{name}")), place(format!("{parent}{of}0")));
                let wanted = if to.context == from.context && spelled.is_empty() {
                    to.name.to_string()
                } else {
                    to.to_string()
                };
                let line = format!("{from} v1 id=2 refs={wanted}:1");
                let state = world.logs["target"].state();
                prop_assert!(state.contains(&line), "{} is not in {:#?}", line, state);
            }
        }

        /// Of two subjects with one name the target holds one, whole, and a new start agrees with
        /// what was done while following, or is refused.
        #[test]
        fn histories_of_two_subjects_are_never_merged(
            lines in prop::collection::vec(operation(), 1..24)
        ) {
            for link in ["link into .t renames a|b=z", "link into .t renames a=b"] {
                let world = played(link, &lines, Way::Live);
                expect_invariants(&world);
                let others = incidents(&world).iter().any(|one| !one.contains("would be called"));
                if others || !held(&world).is_empty() {
                    continue;
                }
                let mut fresh = world.fresh(0);
                let plan = fresh.plan();
                let is_refused = fresh.check_names().is_err();
                prop_assert!(is_refused || plan.is_empty(), "a fresh start plans {:#?}", plan);
                let (source, target) = (world.logs["source"].state(), world.logs["target"].state());
                let name = if link.ends_with('z') { ":.t:z" } else { ":.t:b" };
                let copied = versions(&target, name);
                let either = ["a", "b"].map(|subject| versions(&source, subject));
                prop_assert!(either.contains(&copied), "{:?} is of neither: {:?}", copied, either);
            }
        }

        /// However far the source was compacted before it is read, the target is the same but for
        /// what the compaction itself made another.
        #[test]
        fn a_link_that_comes_back_after_compaction_finds_its_way(
            link in links(),
            before in prop::collection::vec(operation(), 1..12),
            after in prop::collection::vec(operation(), 1..12)
        ) {
            let mut world = played(link, &before, Way::Reconcile);
            for line in &after {
                world.append("source", text::record(line));
            }
            world.logs.get_mut("source").unwrap().compact(true);
            world.logs.get_mut("target").unwrap().compact(true);
            world.release();
            world.settle();
            expect_invariants(&world);
            let fresh_start = played_log(link, &world);
            // An incident keeps the last good state, which a fresh start cannot know.
            let found = |world: &World| incidents(world).len().saturating_add(held(world).len());
            if found(&world) == 0 && found(&fresh_start) == 0 {
                prop_assert_eq!(world.logs["target"].state(), fresh_start.logs["target"].state());
            }
        }
    }

    /// The same source copied into an empty target.
    fn played_log(link: &str, world: &World) -> World {
        let script = Script::parse(link);
        let mut empty = World::new(Way::Reconcile, &script.links);
        empty.start();
        empty.logs.insert("source".to_owned(), world.logs["source"].clone());
        empty.settle();
        empty
    }
}
