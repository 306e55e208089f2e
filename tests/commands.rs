//! The commands as a shell runs them, as far as they need no cluster.

#[cfg(test)]
mod commands {
    use std::io::BufRead;
    use std::io::BufReader;
    use std::io::Read;
    use std::io::Write;
    use std::net::TcpStream;
    use std::os::unix::net::UnixDatagram;
    use std::process::Command;
    use std::process::Stdio;
    use std::time::Duration;

    use rustix::process::Pid;
    use rustix::process::Signal;
    use rustix::process::kill_process;
    use schema_mirror::kafka::MockPair;
    use tempfile::TempDir;

    const PROGRAM: &str = env!("CARGO_BIN_EXE_schema-mirror");

    /// Runs a command; returns its exit code, and what it said without the folder's name.
    fn run(folder: &TempDir, words: &[&str]) -> (Option<i32>, String) {
        let output = Command::new(PROGRAM)
            .args(words)
            .current_dir(folder.path())
            .env_remove("RUST_LOG")
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    }

    /// A folder with a configuration file.
    fn folder(text: &str) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("mirror.yaml"), text).unwrap();
        folder
    }

    /// Waits for what a process tells its supervisor.
    fn told(socket: &UnixDatagram) -> String {
        let mut room = [0; 1024];
        let bytes = socket.recv(&mut room).expect("a word in time");
        String::from_utf8_lossy(&room[..bytes]).into_owned()
    }

    #[test]
    fn a_supervisor_is_told_when_the_links_are_ready_and_when_the_process_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mocks = MockPair::start().unwrap();
        let (from, to) = (mocks.source.bootstrap_servers(), mocks.target.bootstrap_servers());
        let mut process = Command::new(PROGRAM)
            .args(["run", "--http", "none", "--from", from, "--to", to, "--context", ".copy"])
            .env("NOTIFY_SOCKET", &path)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        assert!(told(&socket).starts_with("READY=1\n"));
        let pid = Pid::from_child(&process);
        kill_process(pid, Signal::TERM).unwrap();
        assert_eq!(told(&socket), "STOPPING=1\n");
        assert_eq!(process.wait().unwrap().code(), Some(0));
    }

    /// Asks for a path; all that is answered.
    fn get(address: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn a_file_without_links_serves_its_clusters_until_it_is_told_to_end() {
        let mocks = MockPair::start().unwrap();
        let servers = mocks.source.bootstrap_servers();
        let folder = folder(&format!(
            "http: {{ listen: '127.0.0.1:0' }}\nclusters: {{ a: {{ bootstrap_servers: '{servers}' }} }}"
        ));
        let mut process = Command::new(PROGRAM)
            .args(["run", "--log-format", "json", "--config", "mirror.yaml"])
            .current_dir(folder.path())
            .env_remove("RUST_LOG")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut said = || -> serde_json::Value {
            serde_json::from_str(&lines.next().expect("a line").unwrap()).unwrap()
        };
        let listening = said();
        let address = listening["address"].as_str().unwrap();
        assert_eq!(said()["message"], "started");
        assert!(get(address, "/a/subjects").ends_with("\r\n\r\n[]"));
        kill_process(Pid::from_child(&process), Signal::TERM).unwrap();
        assert_eq!(process.wait().unwrap().code(), Some(0));
    }

    #[test]
    fn an_address_that_is_taken_is_named_and_nothing_starts() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let folder = tempfile::tempdir().unwrap();
        let words = ["run", "--http", &address, "--from", "127.0.0.1:1", "--to", "127.0.0.1:1"];
        let (code, said) = run(&folder, &[&words[..], &["--to-topic", "other"]].concat());
        assert_eq!(code, Some(64), "{said}");
        assert!(said.contains(&format!("listen at {address}: ")), "{said}");
        assert!(said.contains("--http"), "{said}");
        assert!(!said.contains("started"), "{said}");
    }

    #[test]
    fn config_check_refuses_all_that_run_refuses() {
        let folder = folder(
            "
clusters:
  source: { bootstrap_servers: 'a:1', kafka: { no.such.property: hunter2, linger.ms: soon } }
  target: { bootstrap_servers: 'b:1' }
links:
  - { name: one, source: source, target: target }
",
        );
        let refused = "librdkafka does not know this property, or does not take its value; see \
                       CONFIGURATION.md of librdkafka 2.12";
        let expected = format!(
            "mirror.yaml: 2 errors\n  clusters.source.kafka.linger.ms: {refused}\n  \
             clusters.source.kafka.no.such.property: {refused}\n"
        );
        for command in [&["config", "check"][..], &["run"], &["plan", "one"]] {
            let words = [command, &["--config", "mirror.yaml"]].concat();
            assert_eq!(run(&folder, &words), (Some(64), expected.clone()), "{command:?}");
        }
    }

    #[test]
    fn commands_about_links_refuse_a_file_that_has_none() {
        let folder = folder("clusters: { a: { bootstrap_servers: 'a:1' } }");
        for command in ["verify", "plan", "backfill", "preflight"] {
            let (code, said) = run(&folder, &[command, "--config", "mirror.yaml"]);
            assert_eq!(code, Some(64), "{command}: {said}");
            assert!(said.starts_with("mirror.yaml: links: "), "{command}: {said}");
        }
    }

    #[test]
    fn properties_that_are_refused_are_named_beside_everything_else_that_is_wrong() {
        let folder = folder(
            "
clusters:
  source: { bootstrap_servers: 'a:1', kafka: { security.protocl: SSL } }
  target: { bootstrap_servers: 'b:1' }
links:
  - { name: one, source: source, target: target, fence: redonly }
",
        );
        for command in ["config check", "run", "plan"] {
            let words = command.split(' ').chain(["--config", "mirror.yaml"]);
            let (code, said) = run(&folder, &words.collect::<Vec<_>>());
            assert_eq!(code, Some(64), "{command}: {said}");
            for path in ["clusters.source.kafka.security.protocl", "links[0].fence"] {
                assert!(said.contains(path), "{command} names {path}: {said}");
            }
        }
    }

    #[test]
    fn what_a_declared_karapace_cannot_hold_is_refused_with_what_to_write() {
        let folder = folder(
            "
clusters:
  source: { bootstrap_servers: 'a:1' }
  target: { bootstrap_servers: 'b:1', dialect: karapace }
links:
  - { name: one, source: source, target: target }
  - { name: two, source: source, target: target, context: none, fence: import }
  - { name: three, source: source, target: target, context: none, subjects: [':.a:*'] }
  - { name: four, source: source, target: target, context: none, subjects: ['a*'] }
",
        );
        let expected = "mirror.yaml: 4 errors\n  \
             links[0].context: the registry of target target is karapace: it has no contexts, and \
             one space of ids; copy with context: none\n  \
             links[1].fence: the registry of target target is karapace: no mode keeps its clients \
             out; leave it out, or write none, and keep clients from writing by other means\n  \
             links[2].subjects: the registry of target target is karapace: it has no contexts, and \
             one space of ids; choose subjects of the default context only\n  \
             links[3]: links two and four would both write a* in _schemas at target target; give \
             one of them another context, or other subjects\n";
        let answer = run(&folder, &["config", "check", "--config", "mirror.yaml"]);
        assert_eq!(answer, (Some(64), expected.to_owned()));
        let flags = ["plan", "--from", "a:1", "--to", "b:1", "--to-dialect", "karapace"];
        let expected = "command line: --context: the registry of target target is \
             karapace: it has no contexts, and one space of ids; copy with context: none\n";
        assert_eq!(run(&folder, &flags), (Some(64), expected.to_owned()));
    }

    #[test]
    fn a_file_that_run_takes_is_sound() {
        let folder = folder(
            "
clusters:
  source: { bootstrap_servers: 'a:1', dialect: karapace, kafka: { linger.ms: 5 } }
  target: { bootstrap_servers: 'b:1' }
links:
  - { name: one, source: source, target: target }
",
        );
        let expected = "mirror.yaml: sound; 2 clusters, 1 link\n".to_owned();
        let answer = run(&folder, &["config", "check", "--config", "mirror.yaml"]);
        assert_eq!(answer, (Some(0), expected));
    }

    #[test]
    fn what_is_wrong_with_a_file_is_one_document_where_json_is_asked_for() {
        let folder = folder("clusters: { a: { bootstrap_servers: 'a' } }\nlink: []\n");
        let words = ["config", "check", "--config", "mirror.yaml", "--output", "json"];
        let (code, said) = run(&folder, &words);
        assert_eq!(code, Some(64), "{said}");
        let document: serde_json::Value = serde_json::from_str(&said).unwrap();
        let paths: Vec<&str> = document["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| error["path"].as_str().unwrap())
            .collect();
        assert_eq!(paths, ["link", "clusters.a.bootstrap_servers"], "{said}");
    }

    #[test]
    fn a_command_says_within_seconds_which_brokers_it_waits_for() {
        // Nobody listens on ports this low.
        let commands = [
            &["plan", "--from", "127.0.0.1:1", "--to", "127.0.0.1:2"][..],
            &["backfill", "--from", "127.0.0.1:1", "--to", "127.0.0.1:2"],
            &["inspect", "--brokers", "127.0.0.1:1"],
        ];
        let children = commands.map(|words| {
            let mut command = Command::new(PROGRAM);
            command.args(words).env_remove("RUST_LOG").stderr(Stdio::piped());
            command.stdout(Stdio::null()).spawn().unwrap()
        });
        for (mut child, words) in children.into_iter().zip(commands) {
            let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
            let expected = "no answer yet; waiting for the brokers";
            let waits = |line: String| line.contains(expected) && line.contains("127.0.0.1:1");
            assert!(lines.any(|line| waits(line.unwrap())), "{words:?} says what it waits for");
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    #[test]
    fn a_property_in_a_flag_that_is_refused_is_named_with_its_flag() {
        let folder = tempfile::tempdir().unwrap();
        let link = ["plan", "--from", "a:1", "--to", "b:1"];
        let properties = ["--to-property", "no.such=hunter2", "--from-property", "linger.ms=soon"];
        for (words, paths) in [
            (
                [&link[..], &properties[..]].concat(),
                &["--from-property linger.ms: ", "--to-property no.such: "][..],
            ),
            (
                vec!["inspect", "--brokers", "a:1", "--property", "no.such=hunter2"],
                &["--property no.such: "],
            ),
        ] {
            let (code, said) = run(&folder, &words);
            assert_eq!(code, Some(64), "{said}");
            assert!(paths.iter().all(|path| said.contains(path)), "{said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
}
