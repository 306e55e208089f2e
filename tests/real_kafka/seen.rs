//! What a mirror shows over HTTP while clusters come and go.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::Value;

use crate::{
    broker::{Broker, shared_source},
    mirror::{LINK_LIMIT, Mirror, SOURCE_SETTINGS, Scene},
    process::poll_until,
    records::{fixture, schema, ten_from},
};

const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Asks a mirror; the code of the answer and its body.
fn get(mirror: &Mirror, path: &str) -> (u16, String) {
    let listening = mirror.wait_for("listening");
    ask(listening["address"].as_str().unwrap(), path)
}

fn ask(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(ANSWER_LIMIT)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[test]
fn the_registry_of_a_target_is_served_while_a_mirror_copies_into_it() {
    let mut scene = Scene::shared("registry");
    scene.target_lines = vec!["http: { listen: '127.0.0.1:0' }"];
    scene.produce(&fixture("confluent-7.9.5"));
    let mut mirror = scene.run("one");
    mirror.wait_for("running");
    let root = mirror.wait_for("listening for clients of the registry");
    let root = root["address"].as_str().unwrap();
    let wanted = r#"{"subject":":.source:pageviews-value","version":1,"id":1,"schema":""#;
    for (address, path) in [(None, "/target"), (Some(root), "")] {
        let path = format!("{path}/subjects/pageviews-value/versions/1");
        let (code, body) = address.map_or_else(|| get(&mirror, &path), |root| ask(root, &path));
        assert_eq!((code, body.starts_with(wanted)), (200, true), "{path} {body}");
    }
    let (_, body) = get(&mirror, "/target/contexts/.source/subjects/soft-value/versions");
    assert_eq!(body, "[2]");
    let (_, body) = get(&mirror, "/target/mode/:.source:");
    assert_eq!(body, r#"{"mode":"READONLY"}"#);
    let (_, source) = get(&mirror, "/source/subjects?subjectPrefix=");
    let (_, target) = get(&mirror, "/target/contexts/.source/subjects");
    assert_eq!(source.replace('"', ""), target.replace('"', "").replace(":.source:", ""));

    // What is copied later is seen, over a reload, too.
    mirror.hang_up();
    mirror.wait_for_nth("running", 2);
    scene.produce(&[schema("new-value", 1, 20_001)]);
    poll_until(LINK_LIMIT, "the new subject is served", || {
        let (code, body) = get(&mirror, "/target/schemas/ids/20001?subject=new-value");
        assert!(code == 200 || body.contains("40403"), "{code} {body}");
        (code == 200).then_some(())
    });
    assert_eq!(mirror.end(), 0);
}

/// The sum of a metric's series that have these labels; `None` where there is none.
fn told(mirror: &Mirror, name: &str, label: &str) -> Option<f64> {
    let (code, text) = get(mirror, "/metrics");
    assert_eq!(code, 200);
    let series = text.lines().filter(|line| line.starts_with(&format!("{name}{{")));
    let numbers = series.filter(|line| line.contains(label));
    let numbers: Vec<f64> =
        numbers.map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect();
    (!numbers.is_empty()).then(|| numbers.iter().sum())
}

#[track_caller]
fn metric(mirror: &Mirror, name: &str, label: &str) -> f64 {
    told(mirror, name, label).unwrap_or_else(|| panic!("{name} {label} is told"))
}

/// The lag in records and seconds; `None` while the mirror stands by.
fn lag(mirror: &Mirror) -> Option<(f64, f64)> {
    let lag = |unit: &str| told(mirror, &format!("schema_mirror_link_lag_{unit}"), "");
    lag("records").zip(lag("seconds"))
}

#[track_caller]
fn waits(mirror: &Mirror) -> f64 {
    metric(mirror, "schema_mirror_link_state", r#"state="waiting""#)
}

#[track_caller]
fn wait_in_sync(mirror: &Mirror) {
    poll_until(LINK_LIMIT, "no lag is left", || (lag(mirror) == Some((0.0, 0.0))).then_some(()));
}

#[test]
fn a_mirror_is_ready_once_its_link_runs_and_tells_what_it_wrote() {
    let scene = Scene::shared("seen");
    scene.produce(&ten_from(1));
    let mut mirror = scene.run("one");
    assert_eq!(get(&mirror, "/live").0, 200);
    poll_until(LINK_LIMIT, "the mirror is ready", || {
        let (code, body) = get(&mirror, "/ready");
        let waiting = body.contains(r#""link":"seen""#);
        assert!((code == 200) != waiting, "{code} {body}");
        (code == 200).then_some(())
    });
    mirror.wait_for("running");
    scene.produce(&ten_from(11));
    scene.wait_target("all twenty arrive", |state| state.len() >= 20);
    wait_in_sync(&mirror);

    let puts = metric(&mirror, "schema_mirror_link_writes_total", r#"kind="put""#);
    let timed = metric(&mirror, "schema_mirror_link_write_duration_seconds_count", "");
    assert!(puts >= 20.0, "{puts} puts");
    assert_eq!(timed.to_bits(), puts.to_bits(), "each write is timed");
    let written = r#"outcome="written""#;
    let written = metric(&mirror, "schema_mirror_link_source_records", written);
    assert_eq!(written.to_bits(), 20_f64.to_bits());
    for nothing in ["incidents", "held_keys", "drifted_keys", "repairs_total"] {
        let name = format!("schema_mirror_link_{nothing}");
        assert_eq!(metric(&mirror, &name, "").to_bits(), 0_f64.to_bits(), "{nothing}");
    }
    let age = metric(&mirror, "schema_mirror_link_checkpoint_age_seconds", "");
    assert!(age < 5.0, "a checkpoint that stands does not age: {age} s");

    let (_, body) = get(&mirror, "/links/seen/caught-up?offset=19");
    assert!(body.contains(r#""caught_up":true"#), "{body}");
    let (_, body) = get(&mirror, "/links/seen/caught-up?offset=20");
    assert!(body.contains(r#""caught_up":false"#), "{body}");

    mirror.hang_up();
    mirror.wait_for_nth("running", 2);
    wait_in_sync(&mirror);
    let after = metric(&mirror, "schema_mirror_link_writes_total", r#"kind="put""#);
    assert_eq!(after.to_bits(), puts.to_bits(), "counts outlive a reload");
    assert!(metric(&mirror, "schema_mirror_link_lives_total", "") >= 2.0);

    let (code, body) = get(&mirror, "/links/seen");
    let link: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((code, link["state"].as_str()), (200, Some("running")));
    assert_eq!(mirror.end(), 0);
}

#[test]
fn lag_grows_in_records_and_seconds_while_the_target_is_away_and_ends_when_it_is_back() {
    let target = Broker::start("seen-target");
    let scene = Scene::between("seen_lag", shared_source(), &target);
    scene.source.create_topic(&scene.source_topic(), 1, &SOURCE_SETTINGS);
    let mut mirror = scene.run("one");
    mirror.wait_for("running");
    scene.produce(&ten_from(1));
    scene.wait_target("ten arrive", |state| state.len() >= 10);
    wait_in_sync(&mirror);

    target.kill();
    scene.produce(&ten_from(11));
    // Not by its log: a coordinator that was still loading may have let it wait at its start.
    poll_until(LINK_LIMIT, "the link waits", || (waits(&mirror) > 0.0).then_some(()));
    scene.produce(&ten_from(21));
    poll_until(LINK_LIMIT, "what came while the target was away is counted", || {
        let (records, seconds) = lag(&mirror)?;
        (records >= 20.0 && seconds >= 5.0).then_some(())
    });
    for _ in 0..20 {
        assert!(waits(&mirror) > 0.0, "it waits for as long as the target is away");
    }
    let (_, body) = get(&mirror, "/links/seen_lag/caught-up?offset=3");
    assert!(body.contains(r#""caught_up":false"#), "only a link that runs knows: {body}");
    assert_eq!(get(&mirror, "/ready").0, 200, "once ready, always ready");

    target.restart();
    wait_in_sync(&mirror);
    assert!(metric(&mirror, "schema_mirror_link_lives_total", "") >= 2.0);
    assert_eq!(mirror.end(), 0);
    scene.verify_equal();
}
