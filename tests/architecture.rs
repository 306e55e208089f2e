//! The layers, and the few rules that a compiler does not hold: ARCHITECTURE.md in a form that fails.

#[cfg(test)]
mod architecture {
    use std::fs;
    use std::path::Path;
    use std::path::PathBuf;

    const FILE_LINES_MAX: usize = 500;
    const PAPER_LINES_MAX: usize = 200;

    /// What each layer may name of the crate; `main.rs` and `lib.rs` stand above them.
    const LAYERS: [(&str, &[&str]); 6] = [
        ("core", &["core"]),
        ("config", &["core", "config"]),
        ("service", &["core", "service"]),
        ("kafka", &["core", "kafka", "service::ports", "service::clock"]),
        ("api", &["core", "service", "api"]),
        ("cli", &["core", "config", "service", "kafka", "api", "cli"]),
    ];

    /// The questions that ARCHITECTURE.md answers by naming a function and its file.
    const ANSWERS: [(&str, &str); 7] = [
        ("src/core/rules.rs", "place_context"),
        ("src/core/link/decide.rs", "decide_absent"),
        ("src/core/link/decide.rs", "taken"),
        ("src/core/link/brake.rs", "brake"),
        ("src/core/link/brake.rs", "judge"),
        ("src/core/view/ids.rs", "take_winner"),
        ("src/service/pipeline.rs", "done_before"),
    ];

    /// A source file: its path from the crate's root with slashes, its text, and the text's tokens.
    struct Source {
        path: String,
        text: String,
        tokens: Vec<String>,
    }

    impl Source {
        /// Whether these tokens stand here one behind the other.
        fn says(&self, code: &str) -> bool {
            let wanted = tokens(code);
            self.tokens.windows(wanted.len()).any(|here| here == wanted)
        }
    }

    fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR"))
    }

    /// Every Rust file below a folder, in the order of their paths.
    fn sources(folder: &str) -> Vec<Source> {
        let mut files = Vec::new();
        let mut folders = vec![root().join(folder)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    files.push(path);
                }
            }
        }
        files.sort();
        assert!(!files.is_empty(), "no Rust file in {folder}");
        files.into_iter().map(read).collect()
    }

    fn read(file: PathBuf) -> Source {
        let text = fs::read_to_string(&file).unwrap();
        let steps = file.strip_prefix(root()).unwrap().iter().map(|step| step.to_str().unwrap());
        let path = steps.collect::<Vec<_>>().join("/");
        Source { path, tokens: tokens(&text), text }
    }

    /// The words and signs of Rust code, without comments and with every literal text as `""`.
    fn tokens(code: &str) -> Vec<String> {
        let mut rest: Vec<char> = code.chars().rev().collect();
        let mut tokens = Vec::new();
        while let Some(sign) = rest.pop() {
            let next = rest.last().copied();
            match sign {
                '/' if next == Some('/') => skip_line(&mut rest),
                '/' if next == Some('*') => skip_block(&mut rest),
                '"' => tokens.push(skip_text(&mut rest)),
                '\'' => skip_character(&mut rest),
                _ if sign.is_alphanumeric() || sign == '_' => {
                    let word = take_word(sign, &mut rest);
                    let opens = rest.last().copied();
                    let is_raw = matches!(word.as_str(), "r" | "br" | "cr");
                    if is_raw && matches!(opens, Some('"' | '#')) {
                        tokens.push(skip_raw_text(&mut rest));
                    } else {
                        tokens.push(word);
                    }
                }
                _ if sign.is_whitespace() => {}
                _ => tokens.push(sign.to_string()),
            }
        }
        tokens
    }

    fn take_word(first: char, rest: &mut Vec<char>) -> String {
        let mut word = String::from(first);
        while let Some(sign) = rest.pop_if(|sign| sign.is_alphanumeric() || *sign == '_') {
            word.push(sign);
        }
        word
    }

    fn skip_line(rest: &mut Vec<char>) {
        while rest.pop_if(|sign| *sign != '\n').is_some() {}
    }

    fn skip_block(rest: &mut Vec<char>) {
        let mut before = ' ';
        rest.pop();
        while let Some(sign) = rest.pop() {
            if before == '*' && sign == '/' {
                return;
            }
            before = sign;
        }
    }

    fn skip_text(rest: &mut Vec<char>) -> String {
        while let Some(sign) = rest.pop() {
            match sign {
                '"' => break,
                '\\' => drop(rest.pop()),
                _ => {}
            }
        }
        "\"\"".to_owned()
    }

    /// A raw text; `r#name`, a name that is a keyword otherwise, is none.
    fn skip_raw_text(rest: &mut Vec<char>) -> String {
        let mut fence = String::from("\"");
        while let Some(sign) = rest.pop_if(|sign| *sign == '#') {
            fence.push(sign);
        }
        if rest.pop_if(|sign| *sign == '"').is_none() {
            return "#".to_owned();
        }
        let mut seen = String::new();
        while let Some(sign) = rest.pop() {
            seen.push(sign);
            if seen.ends_with(&fence) {
                break;
            }
        }
        "\"\"".to_owned()
    }

    /// A character, or nothing where the mark begins a lifetime.
    fn skip_character(rest: &mut Vec<char>) {
        let length = rest.len();
        let at = |place: usize| length.checked_sub(place).and_then(|from| rest.get(from)).copied();
        if at(1) == Some('\\') {
            // The second sign may itself be a mark: '\''.
            rest.truncate(length.saturating_sub(2));
            while rest.pop_if(|sign| *sign != '\'').is_some() {}
            rest.pop();
        } else if at(2) == Some('\'') {
            rest.truncate(length.saturating_sub(2));
        }
    }

    /// The files below a folder that say any of these, as `path: what`.
    fn that_say(folder: &str, codes: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        for source in sources(folder) {
            let said = codes.iter().filter(|code| source.says(code));
            found.extend(said.map(|code| format!("{}: {code}", source.path)));
        }
        found
    }

    /// The paths into the crate that a file names, as far as they name a layer.
    fn named_layers(source: &Source) -> Vec<String> {
        // The last path of a file has nothing behind it.
        let padding = std::iter::repeat_n(String::new(), 3);
        let tokens: Vec<String> = source.tokens.iter().cloned().chain(padding).collect();
        let mut named = Vec::new();
        for window in tokens.windows(7) {
            let [from, colon, other_colon, layer, rest @ ..] = window else { continue };
            let is_root = matches!(from.as_str(), "crate" | "super" | "schema_mirror");
            let is_layer = LAYERS.iter().any(|(known, _)| known == layer);
            if !is_root || colon != ":" || other_colon != ":" || !is_layer {
                continue;
            }
            let inner = match rest {
                [a, b, inner] if a == ":" && b == ":" => format!("{layer}::{inner}"),
                _ => layer.clone(),
            };
            named.push(inner);
        }
        named
    }

    #[test]
    fn layers_name_only_what_lies_below_them() {
        let mut wrong = Vec::new();
        for (layer, allowed) in LAYERS {
            for source in sources(&format!("src/{layer}")) {
                let is_allowed = |named: &str| {
                    allowed
                        .iter()
                        .any(|known| named == *known || named.starts_with(&format!("{known}::")))
                };
                let named = named_layers(&source);
                let reaches = named.iter().filter(|named| !is_allowed(named));
                wrong.extend(reaches.map(|named| format!("{} names {named}", source.path)));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn every_folder_of_the_crate_is_a_layer() {
        let mut folders: Vec<String> = fs::read_dir(root().join("src"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_dir())
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect();
        folders.sort();
        let mut known = LAYERS.map(|(layer, _)| layer);
        known.sort_unstable();
        assert_eq!(folders, known);
    }

    /// The tests above look at one path at a time, so a group at the root would hide what it names.
    #[test]
    fn no_use_groups_layers_or_parts_of_std() {
        assert_eq!(that_say("src", &["crate::{", "super::{", "std::{", "use crate::*"]), [""; 0]);
    }

    #[test]
    fn the_core_waits_for_nothing_and_asks_nobody() {
        let outside = [
            "async",
            "await",
            "tokio",
            "rdkafka",
            "SystemTime",
            "Instant",
            "std::fs",
            "std::env",
            "std::net",
            "std::thread",
            "std::process",
            "std::io",
            "tracing",
        ];
        assert_eq!(that_say("src/core", &outside), [""; 0]);
    }

    #[test]
    fn rdkafka_is_named_in_the_kafka_layer_only() {
        let mut named = that_say("src", &["rdkafka"]);
        named.retain(|place| !place.starts_with("src/kafka/"));
        assert_eq!(named, [""; 0]);
    }

    #[test]
    fn the_environment_is_read_in_one_file_and_the_clock_in_another() {
        assert_eq!(
            that_say("src", &["env::var", "env::vars"]),
            ["src/config/environment.rs: env::var"]
        );
        assert_eq!(
            that_say("src", &["SystemTime::now", "Instant::now"]),
            ["src/service/clock.rs: SystemTime::now", "src/service/clock.rs: Instant::now"]
        );
    }

    #[test]
    fn one_file_is_unsafe() {
        assert_eq!(that_say("src", &["unsafe"]), ["src/kafka/native.rs: unsafe"]);
    }

    #[test]
    fn one_file_prints() {
        let macros = ["print!", "println!", "eprint!", "eprintln!", "dbg!", "io::stdout"];
        let mut printed = that_say("src", &macros);
        printed.retain(|place| !place.starts_with("src/cli/output.rs: "));
        assert_eq!(printed, [""; 0]);
    }

    #[test]
    fn no_file_is_too_long_to_read_at_once() {
        let long: Vec<String> = sources("src")
            .into_iter()
            .chain(sources("tests"))
            .map(|source| (source.text.lines().count(), source.path))
            .filter(|(lines, _)| *lines > FILE_LINES_MAX)
            .map(|(lines, path)| format!("{path}: {lines} lines"))
            .collect();
        assert_eq!(long, [""; 0]);
        // Functions are clippy's: at most 70 lines, an error in the gate.
        let limits = fs::read_to_string(root().join("clippy.toml")).unwrap();
        assert!(limits.lines().any(|line| line == "too-many-lines-threshold = 70"), "{limits}");
    }

    #[test]
    fn no_cluster_can_have_the_name_of_a_path_of_ours() {
        let mut own = Vec::new();
        for source in sources("src/api") {
            let routes = source.text.split("route(").skip(1).filter_map(|rest| {
                let path = rest.trim_start().strip_prefix("\"/")?;
                let step = path.split(['/', '"']).next()?;
                (!step.is_empty() && !step.starts_with('{')).then(|| step.to_owned())
            });
            own.extend(routes);
        }
        assert!(own.len() > 3, "routes are written otherwise: {own:?}");
        own.retain(|step| !schema_mirror::core::paths::OWN_STEPS.contains(&step.as_str()));
        assert_eq!(own, [""; 0]);
    }

    #[test]
    fn no_test_is_skipped() {
        let mut skipped = that_say("tests", &["#[ignore"]);
        skipped.extend(that_say("src", &["#[ignore"]));
        assert_eq!(skipped, [""; 0]);
    }

    #[test]
    fn the_papers_and_the_annotated_configuration_are_there() {
        for paper in [
            "README.md",
            "ARCHITECTURE.md",
            "CONTRIBUTING.md",
            "CHANGELOG.md",
            "LICENSE",
            "config/schema-mirror.yaml",
        ] {
            let text = fs::read_to_string(root().join(paper)).unwrap_or_default();
            assert!(!text.trim().is_empty(), "{paper} is missing or empty");
        }
    }

    #[test]
    fn the_architecture_paper_is_short_and_names_what_exists() {
        let paper = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
        assert!(paper.lines().count() <= PAPER_LINES_MAX, "{} lines", paper.lines().count());
        for named in paper.split('`').filter(|code| code.starts_with("src/")) {
            assert!(root().join(named).exists(), "ARCHITECTURE.md names {named}");
        }
        for (file, function) in ANSWERS {
            let source = read(root().join(file));
            assert!(source.says(&format!("fn {function}")), "{function} is not in {file}");
            assert!(paper.contains(&format!("`{file}`")), "ARCHITECTURE.md leaves out {file}");
            assert!(paper.contains(function), "ARCHITECTURE.md leaves out {function}");
        }
    }

    #[test]
    fn every_alert_has_its_row_in_the_docs_and_is_tested_both_ways() {
        let read = |file: &str| fs::read_to_string(root().join(file)).unwrap();
        let (paper, tests) = (read("docs/metrics.md"), read("docker/prometheus/alerts.test.yaml"));
        let rules = read("docker/prometheus/alerts.yaml");
        let alerts = rules.split("- alert: ").skip(1).map(|rest| rest.lines().next().unwrap());
        let alerts: Vec<&str> = alerts.collect();
        assert!(alerts.len() > 7, "{alerts:?}");
        for alert in alerts {
            assert!(
                paper.contains(&format!("| `{alert}` |")),
                "docs/metrics.md leaves out {alert}"
            );
            let [silent, fires] = ["alertname: {}, exp_alerts: []", "alertname: {}\n"];
            for way in [silent, fires].map(|way| way.replace("{}", alert)) {
                assert!(tests.contains(&way), "alerts.test.yaml leaves out {way}");
            }
        }
    }

    #[track_caller]
    fn check(code: &str, expected: &[&str]) {
        assert_eq!(tokens(code), expected, "{code}");
    }

    #[test]
    fn comments_and_texts_are_no_code() {
        check("a::b // c\nd", &["a", ":", ":", "b", "d"]);
        check("a /* b \" */ c", &["a", "c"]);
        check(r#"f("a \" b", 'c', '\'', '"')"#, &["f", "(", "\"\"", ",", ",", ",", ")"]);
        check(r##"br#"a " b"# c"##, &["\"\"", "c"]);
        check(
            "fn f<'a>(x: &'a u8)",
            &["fn", "f", "<", "a", ">", "(", "x", ":", "&", "a", "u8", ")"],
        );
    }
}
