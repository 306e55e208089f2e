//! Confluent's client for Python, between real brokers and the registries that a mirror serves.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::Duration,
};

use crate::{
    mirror::{Mirror, Scene},
    output::output_within,
    process::tmp,
    records::{fixture, schema},
};

/// What pip installs; a copy of it lies in the environment that has it.
const REQUIREMENTS: &str = include_str!("python/requirements.txt");
/// Messages that are written, and read through each registry.
const MESSAGES: usize = 50;
/// pip fetches and unpacks about 30 MB.
const PYTHON_LIMIT: Duration = Duration::from_secs(300);

/// Python with Confluent's client; pip brings that when this build has none.
fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let home = tmp().join("python");
        // Another test process may be at it: wait for it, and find all there.
        let lock = File::create(tmp().join("python.lock")).unwrap();
        lock.lock().unwrap();
        let complete = home.join("requirements.txt");
        let python = home.join("bin/python3");
        if fs::read_to_string(&complete).is_ok_and(|text| text == REQUIREMENTS) {
            return python;
        }
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv", "--clear"]).arg(&home);
        run(&mut venv);
        let mut pip = Command::new(&python);
        pip.args([
            "-m",
            "pip",
            "--quiet",
            "--disable-pip-version-check",
            "install",
            "--requirement",
        ]);
        pip.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real_kafka/python/requirements.txt"));
        run(&mut pip);
        // Written last: it says that all is there.
        fs::write(complete, REQUIREMENTS).unwrap();
        python
    })
}

/// Runs a program to its end; what it printed.
#[track_caller]
fn run(program: &mut Command) -> String {
    let needs =
        "the tests with Confluent's client need Python 3 with its module venv, and pip's index";
    let output = output_within(PYTHON_LIMIT, program);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program:?}: {said}; {needs}");
    String::from_utf8(output.stdout).unwrap()
}

fn address(mirror: &Mirror) -> String {
    mirror.wait_for("listening")["address"].as_str().unwrap().to_owned()
}

#[test]
fn confluents_client_decodes_messages_through_the_copy_with_no_registry_running() {
    let scene = Scene::shared("clients");
    scene.produce(&fixture("confluent-7.9.5"));
    // Another schema has the id in the target's default context.
    scene.target.create_topic(&scene.target_topic(), 1, &crate::mirror::SOURCE_SETTINGS);
    scene.target.produce(&scene.target_topic(), &[schema("other-value", 1, 2)]);
    scene.source.create_topic("pageviews", 1, &[]);
    let mut mirror = scene.run("one");
    mirror.wait_for("running");
    let root = address(&mirror);
    let mut program = Command::new(python());
    program.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real_kafka/python/pageviews.py"));
    program.args([&scene.source.bootstrap(), "pageviews", &MESSAGES.to_string()]);
    program.arg(format!("http://{root}/source"));
    let readers = ["source", "target", "target/contexts/.source", "target/contexts/:.source:"];
    program.args(readers.map(|reader| format!("http://{root}/{reader}")));
    let said = run(&mut program);
    assert_eq!(
        said.lines().filter(|line| *line == format!("{MESSAGES} read")).count(),
        4,
        "{said}"
    );
    assert_eq!(mirror.end(), 0);
}
