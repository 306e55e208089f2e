//! The demo as a visitor runs it: a process, with nothing around it.

#[cfg(test)]
mod demo {
    use std::process::Command;
    use std::process::Output;

    use serde_json::Value;

    /// What is promised for all that the demo shows: its steps, the forming of the group included.
    const STEPS_MILLISECONDS_MAX: u64 = 10_000;

    fn demo(words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_schema-mirror"));
        command.arg("demo").args(words).env_remove("RUST_LOG").output().unwrap()
    }

    fn stdout(output: &Output) -> String {
        String::from_utf8(output.stdout.clone()).unwrap()
    }

    #[test]
    fn it_tells_the_story_and_ends_with_both_links_equal() {
        let output = demo(&[]);
        let told = stdout(&output);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "the log is a part of the story");
        for line in [
            "2  Two links start, face to face",
            "CONTEXT .target                  a context exists",
            ":.source:pageviews-value v2      id 7  pageviews, 4 fields",
            ":.target:customer-value v1       id 4  Customer → common.Address v1",
            ":.source:users-value v1          id 3  users, 2 fields, deleted",
            "DELETE_SUBJECT orders-value      all versions up to 2 are deleted",
            ":.source:orders-value v2         id 6  orders, 3 fields, deleted",
            "ASSOC pageviews-value            a kind that 7.x does not know",
            "\n   repaired  target ",
            "log: WARN drift: someone else wrote into the scope; restoring",
            "Contexts of source now: . and .target",
            "Contexts of target now: . and .source",
        ] {
            assert!(told.contains(line), "{line:?} stands in\n{told}");
        }
        assert_eq!(told.matches("log: ").count(), 1, "{told}");
        let last: Vec<&str> = told.lines().rev().take(5).collect();
        assert!(last[4].starts_with("   src-to-tgt-link: equal; 11 keys, source end "), "{told}");
        assert!(last[3].starts_with("   tgt-to-src-link: equal; 7 keys, source end "), "{told}");
        assert!(last[1].starts_with("Equal.  "), "{told}");
        assert!(last[0].starts_with("   schema-mirror plan "), "{told}");
        assert!(!told.contains('\u{1b}'), "no colours where nobody watches");
        for line in told.lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }

    #[test]
    fn it_is_one_document_for_scripts() {
        let output = demo(&["--output", "json"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let story: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(story["result"], "equal");
        let steps = story["steps"].as_array().unwrap().iter();
        let milliseconds: u64 = steps.map(|step| step["milliseconds"].as_u64().unwrap()).sum();
        eprintln!("the steps took {milliseconds} ms, all of it {} s", story["seconds"]);
        assert!(milliseconds <= STEPS_MILLISECONDS_MAX, "{milliseconds} ms");
        assert_eq!(story["steps"].as_array().unwrap().len(), 8);
        let live = &story["steps"][2]["records"];
        assert_eq!(live[0]["when"], "written");
        assert_eq!(live[1]["when"], "copied");
        assert_eq!(live[1]["key"], ":.source:pageviews-value v2");
        let text = |record: &Value| {
            let value: Value = serde_json::from_str(record["value"].as_str().unwrap()).unwrap();
            value["schema"].as_str().unwrap().to_owned()
        };
        assert_eq!(text(&live[0]), text(&live[1]), "schema text is carried");
        for link in story["verify"].as_array().unwrap() {
            assert_eq!(link["result"], "equal", "{link}");
        }
    }
}
