//! What `inspect` says of topics that real registries wrote, and of 97 odd records.

#[cfg(test)]
mod inspect {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::PathBuf;

    use schema_mirror::cli::args::Output;
    use schema_mirror::cli::exit;
    use schema_mirror::cli::inspect::exit_code;
    use schema_mirror::cli::inspect::render;
    use schema_mirror::core::provenance::Provenance;
    use schema_mirror::core::record::Header;
    use schema_mirror::core::record::Record;
    use schema_mirror::core::subject::ContextName;
    use schema_mirror::core::subject::Subject;
    use schema_mirror::service::inspect::Fate;
    use schema_mirror::service::inspect::Inspection;
    use schema_mirror::service::inspect::Place;
    use schema_mirror::service::inspect::Spelling;
    use schema_mirror::service::inspect::WriterKind;
    use schema_mirror::service::ports::ClusterFacts;
    use schema_mirror::service::ports::TopicFacts;
    use schema_mirror::service::ports::TopicSettings;
    use serde_json::Value;

    fn tests(path: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests").join(path)
    }

    fn lines(path: &str) -> Vec<Value> {
        let text = fs::read_to_string(tests(path)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn bytes(line: &Value, field: &str) -> Option<Vec<u8>> {
        match line.get(format!("{field}_b64")).and_then(Value::as_str) {
            Some(coded) => Some(base64(coded)),
            None => line[field].as_str().map(|text| text.as_bytes().to_vec()),
        }
    }

    fn base64(coded: &str) -> Vec<u8> {
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut out = Vec::new();
        let (mut held, mut bits) = (0u32, 0u32);
        for byte in coded.bytes().filter(|byte| *byte != b'=') {
            let digit = alphabet.iter().position(|known| *known == byte).unwrap();
            held = held << 6 | u32::try_from(digit).unwrap();
            bits = bits.wrapping_add(6);
            if bits >= 8 {
                bits = bits.wrapping_sub(8);
                out.push(u8::try_from(held >> bits & 0xff).unwrap());
            }
        }
        out
    }

    fn record(offset: usize, line: &Value) -> Record {
        let headers = line["headers"].as_array().into_iter().flatten().map(|header| Header {
            name: header[0].as_str().unwrap().to_owned(),
            value: header[1].as_str().map(base64),
        });
        Record {
            offset: i64::try_from(offset).unwrap(),
            timestamp_ms: line["timestamp"].as_i64(),
            key: bytes(line, "key").map(Into::into),
            value: bytes(line, "value").map(Into::into),
            headers: headers.collect(),
        }
    }

    fn log(lines: &[Value]) -> Vec<Record> {
        lines.iter().enumerate().map(|(offset, line)| record(offset, line)).collect()
    }

    fn topic(registry: &str) -> Vec<Record> {
        log(&lines(&format!("fixtures/{registry}/topic.jsonl")))
    }

    fn place(records: &[Record]) -> Place {
        Place {
            cluster: ClusterFacts { cluster_id: "MkU3OEVBNTcwNTJENDM2Qg".into(), brokers: 3 },
            name: "_schemas".into(),
            topic: TopicFacts {
                topic_id: Some("x8rMAkbKTNGeeWFdVOYnWQ".into()),
                partitions: 1,
                replication: 3,
                start: 0,
                end: i64::try_from(records.len()).unwrap(),
                settings: Ok(TopicSettings {
                    cleanup_policy: "compact".into(),
                    delete_retention_ms: Some(86_400_000),
                    retention_ms: Some(604_800_000),
                    retention_bytes: Some(-1),
                    min_insync_replicas: Some(2),
                    max_message_bytes: Some(1_048_588),
                    timestamp_type: "CreateTime".into(),
                }),
            },
            bootstrap: "broker:9092".into(),
        }
    }

    fn inspect(records: &[Record]) -> Inspection {
        Inspection::of(records, &place(records), None, None)
    }

    /// A log of keys and values; no value is a deletion.
    fn inspect_log(records: &[(&str, Option<&str>)]) -> Inspection {
        let as_lines: Vec<Value> = records
            .iter()
            .map(|(key, value)| serde_json::json!({ "key": key, "value": value }))
            .collect();
        inspect(&log(&as_lines))
    }

    fn schema(subject: &str, version: u32, id: u32, text: &str) -> (String, String) {
        let key = format!(
            r#"{{"keytype":"SCHEMA","subject":"{subject}","version":{version},"magic":1}}"#
        );
        let value = format!(
            r#"{{"subject":"{subject}","version":{version},"id":{id},"schema":"\"{text}\"","deleted":false}}"#
        );
        (key, value)
    }

    fn fates(inspection: &Inspection) -> Vec<(Fate, u64)> {
        inspection.records.iter().map(|report| (report.fate, report.total)).collect()
    }

    /// Compares with a file; what was made instead stands in the target folder.
    #[track_caller]
    fn check_golden(name: &str, text: &str) {
        let made = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&made, text).unwrap();
        let golden = fs::read_to_string(tests("golden").join(name)).unwrap_or_default();
        assert_eq!(text, golden, "tests/golden/{name} differs from {}", made.display());
    }

    #[test]
    fn the_table_of_a_real_topic_is_the_golden_one() {
        let inspection = inspect(&topic("confluent-7.9.5"));
        let table = render(&inspection, Output::Table);
        check_golden("inspect-confluent-7.9.5.txt", &table);
    }

    #[test]
    fn the_document_of_a_real_topic_is_the_golden_one() {
        let inspection = inspect(&topic("confluent-7.9.5"));
        let document = render(&inspection, Output::Json);
        check_golden("inspect-confluent-7.9.5.json", &document);
        let value: Value = serde_json::from_str(&document).unwrap();
        assert_eq!(value["format"], 1);
        assert!(!document.contains("viewtime"), "no text of a schema is shown");
    }

    #[test]
    fn topics_of_real_registries_are_sound() {
        let registries = [
            "confluent-7.9.5",
            "confluent-8.3.1",
            "karapace-6.2.0",
            "confluent-7.9.5-as-context-source",
        ];
        for registry in registries {
            let inspection = inspect(&topic(registry));
            assert!(inspection.sound, "{registry}: {:?}", inspection.problems);
            assert_eq!(exit_code(&inspection), exit::DONE);
        }
    }

    #[test]
    fn karapace_is_known_by_its_header_and_deletes_with_empty_values() {
        let inspection = inspect(&topic("karapace-6.2.0"));
        let writers: Vec<_> =
            inspection.writers.iter().map(|w| (w.writer, w.name.as_deref())).collect();
        assert_eq!(writers, [(WriterKind::Karapace, Some("karapace-6.2.0"))]);
        assert!(inspection.subjects.iter().all(|subject| subject.name != "subjgone-value"));
        assert!(inspection.spellings.iter().any(|s| s.spelling == Spelling::SubjectNull));
    }

    #[test]
    fn links_are_known_by_their_header() {
        let provenance = |link: &str| Provenance {
            link: link.to_owned(),
            writer: "host".to_owned(),
            epoch: 1,
            path: vec!["A".to_owned()],
        };
        let mut records = topic("confluent-7.9.5");
        for record in records.iter_mut().take(3) {
            record.headers.push(provenance("src-to-tgt-link").header());
        }
        let inspection = inspect(&records);
        let writers: Vec<_> = inspection
            .writers
            .iter()
            .map(|w| (w.writer, w.name.as_deref(), w.records, w.last_offset))
            .collect();
        let unmarked = u64::try_from(records.len()).unwrap().saturating_sub(3);
        let last = records.last().unwrap().offset;
        let link = (WriterKind::SchemaMirror, Some("src-to-tgt-link"), 3, 2);
        assert_eq!(writers, [(WriterKind::Unmarked, None, unmarked, last), link]);
    }

    #[test]
    fn what_it_is_narrowed_to_and_the_topic_does_not_hold_is_said() {
        let records = topic("confluent-7.9.5");
        let check = |context: Option<&str>, subject: Option<&str>, missing: Option<&str>| {
            let context = context.map(ContextName::from_record);
            let subject = subject.map(Subject::parse);
            let found =
                Inspection::of(&records, &place(&records), context.as_ref(), subject.as_ref());
            assert_eq!(found.missing.as_deref(), missing);
            let code = if missing.is_some() { exit::DIFFERENT } else { exit::DONE };
            assert_eq!(exit_code(&found), code, "{missing:?}");
            let table = render(&found, Output::Table);
            let told = missing.map(|missing| format!("The topic holds no {missing}.\n"));
            assert!(table.contains(told.as_deref().unwrap_or("Nothing is wrong.\n")), "{table}");
        };
        check(Some(".nope"), None, Some("context .nope"));
        check(None, Some("nosuch"), Some("subject nosuch"));
        check(Some(".staging"), Some("nosuch"), Some("subject :.staging:nosuch"));
        check(Some(".staging"), None, None);
        check(None, Some(":.staging:orders-value"), None);
    }

    #[test]
    fn a_context_or_a_subject_narrows_the_lists_and_not_the_checks() {
        let mut records = topic("confluent-7.9.5");
        let end = i64::try_from(records.len()).unwrap();
        let key = Some(br#"{"keytype":"FOO","magic":0}"#.to_vec().into());
        records.push(Record { offset: end, key, ..Record::default() });
        let staging = ContextName::from_record(".staging");
        let context = Inspection::of(&records, &place(&records), Some(&staging), None);
        let names: Vec<_> = context.subjects.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["common.Address", "customer-value", "orders-value"]);
        assert_eq!((context.contexts.len(), context.modes.len(), context.configs.len()), (1, 1, 2));
        assert!(!context.sound);
        for subject in ["orders-value", ":.staging:orders-value"] {
            let subject = Subject::parse(subject);
            let one = Inspection::of(&records, &place(&records), Some(&staging), Some(&subject));
            assert_eq!(one.subjects.len(), 1, "{subject}");
            assert_eq!(one.kinds, context.kinds);
        }
        let table = render(&context, Output::Table);
        assert!(table.contains("Subjects (only .staging)"), "{table}");
    }

    #[test]
    fn the_table_of_a_topic_with_all_odd_records_is_the_golden_one() {
        let mut all = Vec::new();
        for line in lines("fixtures/odd-records/records.jsonl") {
            all.extend(line["before"].as_array().cloned().unwrap_or_default());
            all.push(line.clone());
            all.extend(line["after"].as_array().cloned().unwrap_or_default());
        }
        let records = log(&all);
        let mut place = place(&records);
        place.topic.partitions = 4;
        place.topic.replication = 1;
        let inspection = Inspection::of(&records, &place, None, None);
        let table = render(&inspection, Output::Table);
        assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
        check_golden("inspect-odd-records.txt", &table);
    }

    /// What inspect says of a record, by what a registry did with it.
    fn bucket(effect: &str) -> Option<Fate> {
        match effect {
            "reader_dies" | "broker_refuses" => Some(Fate::Dies),
            "reader_hangs" => Some(Fate::Hangs),
            "skipped" | "ignored" => Some(Fate::Ignores),
            "rolled_back" => Some(Fate::LosesId),
            "misread" | "blocks_writes" | "half_applied" | "index_corrupted" | "listing_broken"
            | "id_overflow" => Some(Fate::Misreads),
            "undeletes" | "purges" | "applied_as_tombstone" => Some(Fate::Notable),
            "harmless" | "applied_noncanonical" | "fence_hole" => None,
            other => panic!("{other} has no bucket"),
        }
    }

    /// Where the effect alone does not say it.
    const EXCEPTIONS: [(&str, Option<Fate>, &str); 13] = [
        ("value-schematype-unknown", Some(Fate::Notable), "the registry serves it"),
        ("value-encodingRules-enableAt", Some(Fate::Notable), "8.x reads it"),
        ("reference-version-minus-1", Some(Fate::Notable), "it resolves"),
        ("reference-dangling", None, "a list of its own"),
        ("reference-cycle", None, "both references lead somewhere"),
        ("same-id-two-versions-then-tombstone-of-v1", None, "the tombstone does it"),
        ("same-text-two-ids", None, "both ids are served"),
        ("context-tombstone", None, "a list of its own"),
        ("mode-subjectless", None, "listed with what it holds for"),
        ("mode-GLOBAL", None, "listed with what it holds for"),
        ("mode-subjectless-readonly-override", None, "listed with what it holds for"),
        ("subject-lone-surrogate", Some(Fate::Notable), "we can't copy it"),
        ("value-schema-not-parsable", Some(Fate::Notable), "registrations are answered 422"),
    ];

    #[test]
    fn every_odd_record_lands_where_a_registry_puts_it() {
        let exceptions: BTreeMap<_, _> =
            EXCEPTIONS.iter().map(|(name, fate, _)| (*name, *fate)).collect();
        let mut wrong = Vec::new();
        let odd = lines("fixtures/odd-records/records.jsonl");
        assert_eq!(odd.len(), 97);
        for line in &odd {
            let all = |field: &str| line[field].as_array().cloned().unwrap_or_default();
            let before = all("before");
            let mut records = log(&before);
            records.push(record(before.len(), line));
            for (place, after) in all("after").iter().enumerate() {
                records.push(record(before.len().wrapping_add(1).wrapping_add(place), after));
            }
            let inspection = inspect(&records);
            let offset = i64::try_from(before.len()).unwrap();
            let found = inspection.records.iter().find_map(|report| {
                report.listed.iter().any(|f| f.offset == offset).then_some(report.fate)
            });
            let name = line["name"].as_str().unwrap();
            let expected = exceptions
                .get(name)
                .copied()
                .unwrap_or_else(|| bucket(line["effect"].as_str().unwrap()));
            if found != expected {
                wrong
                    .push(format!("{name}: {found:?}, not {expected:?}: {:?}", inspection.records));
            }
            // Whatever it is, it can be shown.
            assert!(!render(&inspection, Output::Table).is_empty());
            serde_json::from_str::<Value>(&render(&inspection, Output::Json)).unwrap();
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn records_applied_under_another_spelling_are_counted_as_such() {
        let mut checked = 0u32;
        for line in lines("fixtures/odd-records/records.jsonl") {
            if line["effect"] == "applied_noncanonical" {
                let inspection = inspect(&[record(0, &line)]);
                let spelled: Vec<_> = inspection.spellings.iter().map(|s| s.spelling).collect();
                assert_ne!(spelled, [Spelling::Canonical], "{}", line["name"]);
                assert_eq!(spelled.len(), 1, "{}", line["name"]);
                checked = checked.wrapping_add(1);
            }
        }
        assert_eq!(checked, 10);
    }

    #[test]
    fn a_key_deleted_under_another_spelling_comes_back() {
        let (key, value) = schema("a", 1, 9, "x");
        let old = r#"{"subject":"a","version":1,"magic":1,"keytype":"SCHEMA"}"#;
        let inspection = inspect_log(&[(old, Some(&value)), (&key, None)]);
        assert_eq!(fates(&inspection), [(Fate::Misreads, 1)]);
        let inspection = inspect_log(&[(old, Some(&value)), (&key, None), (old, None)]);
        assert_eq!(fates(&inspection), []);
    }

    #[test]
    fn an_id_that_a_deletion_hides_is_found() {
        let (v1, put1) = schema("a", 1, 9, "x");
        let (v2, put2) = schema("a", 2, 9, "x");
        let inspection = inspect_log(&[(&v2, Some(&put2)), (&v1, Some(&put1)), (&v1, None)]);
        assert_eq!(fates(&inspection), [(Fate::Misreads, 1)]);
        let inspection = inspect_log(&[(&v1, Some(&put1)), (&v2, Some(&put2)), (&v1, None)]);
        assert_eq!(fates(&inspection), []);
    }

    #[test]
    fn a_newer_record_of_the_key_takes_back_what_does_not_kill() {
        let (key, value) = schema("a", 1, 9, "x");
        let inspection = inspect_log(&[(&key, Some("{")), (&key, Some(&value))]);
        assert!(inspection.sound, "{:?}", inspection.problems);
        let foo = r#"{"keytype":"FOO","magic":0}"#;
        let inspection = inspect_log(&[(foo, Some("{}")), (foo, None)]);
        assert_eq!(fates(&inspection), [(Fate::Dies, 2)]);
        assert_eq!(exit_code(&inspection), exit::DIFFERENT);
    }

    #[test]
    fn what_lists_of_their_own_hold_is_a_problem() {
        let mut of = BTreeMap::new();
        for line in lines("fixtures/odd-records/records.jsonl") {
            let mut all = line["before"].as_array().cloned().unwrap_or_default();
            all.push(line.clone());
            of.insert(line["name"].as_str().unwrap().to_owned(), inspect(&log(&all)));
        }
        let dangling = &of["reference-dangling"];
        let reference = dangling.dangling_references.first().unwrap();
        assert_eq!((reference.subject.as_str(), reference.to_subject.as_str()), ("ref", "dep"));
        let opened = of["mode-subject-readwrite-in-fenced-context"].opened_subjects.first();
        assert_eq!(opened.unwrap().subject, ":.source:x");
        let undeclared = &of["context-tombstone"];
        assert!(undeclared.contexts.iter().any(|c| c.name == ".source" && !c.declared));
        for name in
            ["reference-dangling", "mode-subject-readwrite-in-fenced-context", "context-tombstone"]
        {
            assert_eq!(of[name].problems.len(), 1, "{name}: {:?}", of[name].problems);
        }
    }

    #[test]
    fn settings_that_endanger_the_topic_come_with_their_commands() {
        let records = topic("confluent-7.9.5");
        let mut bad = place(&records);
        bad.topic.partitions = 3;
        bad.topic.replication = 1;
        if let Ok(settings) = &mut bad.topic.settings {
            settings.cleanup_policy = "delete".into();
            settings.timestamp_type = "LogAppendTime".into();
            settings.max_message_bytes = Some(1_000);
        }
        let inspection = Inspection::of(&records, &bad, None, None);
        assert_eq!(inspection.problems.len(), 6, "{:?}", inspection.problems);
        let table = render(&inspection, Output::Table);
        for words in
            ["cleanup.policy=compact", "CreateTime", "max.message.bytes=1048588", "reassign"]
        {
            assert!(table.contains(words), "{words} in {table}");
        }
        let mut unreadable = place(&records);
        unreadable.topic.settings = Err("DESCRIBE_CONFIGS is not allowed".into());
        let inspection = Inspection::of(&records, &unreadable, None, None);
        assert!(inspection.sound);
        assert!(render(&inspection, Output::Table).contains("DESCRIBE_CONFIGS"));
    }

    #[test]
    fn names_from_the_log_can_not_break_a_terminal_or_the_width() {
        let evil = format!("a\\u001b[31m\\u009b\\u202e{}", "x".repeat(300));
        let (key, value) = schema(&evil, 1, 9, "x");
        let (long, other) = schema("b", 1, 10, "y");
        let inspection =
            inspect_log(&[(&key, Some(&value)), (&long, Some(&other)), ("\u{1b}", None)]);
        let table = render(&inspection, Output::Table);
        assert!(table.contains("\\u{1b}"), "{table}");
        assert!(table.chars().all(|c| c == '\n' || !c.is_control()), "{table}");
        assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
        let document = render(&inspection, Output::Json);
        assert!(document.chars().all(|c| c == '\n' || !c.is_control()));
    }

    #[test]
    fn many_findings_are_counted_and_some_are_listed() {
        let keys: Vec<String> =
            (0..300).map(|n| format!(r#"{{"keytype":"FOO{n}","magic":0}}"#)).collect();
        let records: Vec<_> = keys.iter().map(|key| (key.as_str(), None)).collect();
        let inspection = inspect_log(&records);
        let dies = inspection.records_that(Fate::Dies).unwrap();
        assert_eq!((dies.total, dies.listed.len()), (300, 100));
        assert!(inspection.kinds.len() <= 101);
        assert!(render(&inspection, Output::Table).contains("… and 280 more"));
    }
}
