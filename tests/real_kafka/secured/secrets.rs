//! Whatever is asked for, and whatever goes wrong: nothing that is printed holds a secret.

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Command, Stdio},
};

use openssl::base64::encode_block;

use crate::{
    mirror::{ANSWER_LIMIT, LINK_LIMIT, PROGRAM},
    output::output_within,
    process::{poll_until, send_signal},
    records::schema,
    secured::{
        KEY_PASSWORD, Login, PASSWORD, Passage, secured,
        tokens::{CLIENT, CLIENT_SECRET},
    },
};

/// A password that no broker takes; it is a secret all the same.
const WRONG: &str = "pw-Rv53-of-nobody";
/// As the environment has it.
const VARIABLE: &str = "SECURED_PASSWORD";

/// Every secret, in each spelling in which a client may show it.
fn secrets() -> Vec<String> {
    let key = fs::read_to_string(secured().file("client.key")).unwrap();
    let lines = key.lines().filter(|line| !line.starts_with("-----"));
    let mut secrets: Vec<String> = lines.map(str::to_owned).collect();
    for token in secured().tokens.tokens() {
        // Head, claims and signature: each alone says what it should not.
        secrets.extend(token.split('.').skip(1).map(str::to_owned));
    }
    for password in [PASSWORD, KEY_PASSWORD, WRONG, CLIENT_SECRET] {
        secrets.push(password.to_owned());
        secrets.push(encode_block(password.as_bytes()));
        secrets.push(encode_block(format!("\0mirror\0{password}").as_bytes()));
        secrets.push(encode_block(format!("{CLIENT}:{password}").as_bytes()));
    }
    secrets
}

#[track_caller]
fn check_silent(words: &[&str], said: &str) {
    for secret in secrets() {
        assert!(!said.contains(&secret), "{words:?} shows {secret}");
    }
}

/// The program with all that it can log.
fn program(words: &[&str]) -> Command {
    let mut program = Command::new(PROGRAM);
    program.args(words).env("RUST_LOG", "trace,rdkafka=trace").env(VARIABLE, PASSWORD);
    program.stdin(Stdio::null());
    program
}

/// Runs a command to its end; returns its exit code, and all that it said, which holds no secret.
#[track_caller]
fn said(words: &[&str]) -> (Option<i32>, String) {
    let output = output_within(ANSWER_LIMIT, &mut program(words));
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    check_silent(words, &said);
    (output.status.code(), said)
}

/// The login with all that librdkafka has to say of it. With `debug: all` its words crowd records
/// out of the queue that both come by.
fn talkative(mut login: Login) -> Login {
    login.set("debug", "security,conf");
    login
}

fn path(config: &Path) -> &str {
    config.to_str().unwrap()
}

#[test]
fn no_command_shows_a_secret_however_much_is_logged() {
    let mut source = talkative(secured().plain("mirror"));
    source.write("sasl.password", format!("{{ env: {VARIABLE} }}"));
    let mut passage = Passage::new("silent", source, talkative(secured().locked_mtls()));
    secured().broker.produce(&passage.source_topic(), &[schema("orders-value", 1, 1)]);
    let config = passage.config();
    let file = ["--config", path(&config)];
    for (command, code) in [
        (&["config", "check"][..], 0),
        (&["preflight"], 0),
        (&["plan"], 1),
        (&["backfill"], 0),
        (&["verify"], 0),
        (&["verify", "--output", "json"], 0),
    ] {
        let words = [command, &file].concat();
        let (ended, text) = said(&words);
        assert_eq!(ended, Some(code), "{words:?}: {text}");
        let logs = command != ["config", "check"];
        assert_eq!(text.contains("librdkafka: "), logs, "librdkafka speaks in {words:?}");
    }
    let mut key_within = talkative(secured().mtls());
    key_within.properties.retain(|(name, _)| name != "ssl.key.location");
    key_within.set_from_file("ssl.key.pem", secured().file("client.key"));
    passage.source = key_within;
    passage.target = talkative(secured().scram("SCRAM-SHA-256"));
    let (code, text) = said(&["verify", "--config", path(&passage.config())]);
    assert_eq!(code, Some(0), "{text}");
    passage.source = talkative(secured().bearer());
    passage.target = talkative(secured().bearer());
    let (code, text) = said(&["verify", "--config", path(&passage.config())]);
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn a_mirror_that_runs_with_all_that_it_can_log_shows_no_secret_and_leaves_no_core() {
    let login = talkative(secured().scram("SCRAM-SHA-512"));
    let passage = Passage::new("running_silent", login, talkative(secured().plain("mirror")));
    secured().broker.produce(&passage.source_topic(), &[schema("orders-value", 1, 1)]);
    let config = passage.config();
    let log = passage.folder.path().join("run.log");
    let words = ["run", "--http", "none", "--config", path(&config)];
    let mut program = Command::new("sh");
    program.args(["-c", "ulimit -c unlimited; exec \"$@\"", "sh", PROGRAM]).args(words);
    program.env("RUST_LOG", "trace").current_dir(passage.folder.path()).stdin(Stdio::null());
    program.stdout(Stdio::null()).stderr(fs::File::create(&log).unwrap());
    let mut mirror = program.spawn().unwrap();
    let read = || fs::read_to_string(&log).unwrap();
    poll_until(LINK_LIMIT, "the link runs", || read().contains(" running ").then_some(()));
    // What ends like this leaves a core where it may.
    send_signal(&mirror, "ABRT");
    let ended = poll_until(LINK_LIMIT, "the mirror is dead", || mirror.try_wait().unwrap());
    assert!(ended.signal().is_some(), "{ended}");
    assert!(!ended.core_dumped(), "a core holds every secret");
    check_silent(&words, &read());
}

#[test]
fn what_goes_wrong_is_said_without_secrets() {
    let mut wrong = talkative(secured().plain("mirror"));
    wrong.set("sasl.password", WRONG);
    let refused = Passage::new("silent_login", wrong, secured().tls());
    let mut locked = talkative(secured().locked_mtls());
    locked.set("ssl.key.password", WRONG);
    let closed = Passage::new("silent_key", locked, secured().tls());
    let mut unknown = secured().plain("mirror");
    unknown.set("sasl.pasword", PASSWORD);
    let misspelled = Passage::new("silent_name", unknown, secured().tls());
    let mut unquoted = secured().plain("mirror");
    unquoted.write("sasl.password", format!("[{PASSWORD}]"));
    let unread = Passage::new("silent_value", unquoted, secured().tls());
    for (passage, command, code, word) in [
        (&refused, "preflight", 2, "reach brokers"),
        (&closed, "preflight", 2, "reach brokers"),
        (&misspelled, "run", 64, "sasl.pasword"),
        (&unread, "run", 64, "sasl.password"),
    ] {
        let words = [command, "--config", path(&passage.config())].map(str::to_owned);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (ended, text) = said(&words);
        assert_eq!(ended, Some(code), "{words:?}: {text}");
        assert!(text.contains(word), "{word} in {text}");
    }
}

#[test]
fn flags_show_no_secret() {
    let passage = Passage::new("silent_flags", secured().tls(), secured().tls());
    let login = secured().plain("mirror");
    let topic = passage.source_topic();
    let properties: Vec<String> =
        login.properties.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let properties: Vec<String> =
        properties.iter().map(|property| property.replace('\'', "")).collect();
    let flags = properties.iter().flat_map(|property| ["--property", property.as_str()]);
    let words = ["inspect", "--brokers", &login.bootstrap, "--topic", &topic];
    let (code, text) = said(&words.into_iter().chain(flags.clone()).collect::<Vec<_>>());
    assert_eq!(code, Some(0), "{text}");
    let misplaced = ["plan", "--config", "none.yaml"];
    let (code, text) = said(&misplaced.into_iter().chain(flags).collect::<Vec<_>>());
    assert_eq!(code, Some(64), "{text}");
    for command in
        ["run", "backfill", "plan", "verify", "preflight", "inspect", "demo", "config check"]
    {
        let words: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        assert_eq!(said(&words).0, Some(0));
    }
}
