//! The one entry point of the scenarios, and what has to be true after every one of them.

use schema_mirror::core::dialect::Dialect;
use schema_mirror::core::link::Halt;
use schema_mirror::core::link::leave::Leave;
use schema_mirror::core::link::leave::Steered;
use schema_mirror::core::provenance::Provenance;
use schema_mirror::core::rules::Placement;

use super::readers::PlainReader;
use super::registry::Registry;
use super::registry::Took;
use super::registry::qualified;
use super::script::Script;
use super::script::Step;
use super::text;
use super::world::Log;
use super::world::Running;
use super::world::Way;
use super::world::World;

/// Plays a scenario both ways and looks at everything that it expects, and at the invariants.
#[track_caller]
pub(crate) fn check(text: &str) {
    let script = Script::parse(text);
    let live = (!script.only_reconcile).then(|| play(&script, Way::Live));
    let reconciled = (!script.only_live).then(|| play(&script, Way::Reconcile));
    if let (Some(live), Some(reconciled)) = (live, reconciled) {
        for (cluster, log) in &live.logs {
            let other = reconciled.logs[cluster].state();
            assert_eq!(log.state(), other, "{cluster}: following (left) and comparing differ");
        }
    }
}

#[track_caller]
fn expect_state(world: &World, cluster: &str, lines: &[String]) {
    let mut lines = lines.to_vec();
    lines.sort();
    let state = world.logs[cluster].state();
    assert_eq!(state, lines, "{cluster}, after {:#?}", world.written);
}

#[track_caller]
fn play(script: &Script, way: Way) -> World {
    let mut world = World::new(way, &script.links);
    let mut looked_at = 0;
    let mut halts_expected = false;
    let mut started = false;
    for step in &script.steps {
        match step {
            Step::Append(cluster, lines) => {
                if started && way == Way::Reconcile {
                    world.settle();
                }
                for line in lines {
                    world.append(cluster, text::record(line));
                }
                halts_expected = false;
            }
            Step::Start | Step::Restart => {
                started = true;
                world.start();
            }
            Step::Compact { cluster, expire } => {
                if script.links.iter().any(|link| link.to == *cluster) {
                    world.settle();
                }
                world.logs.get_mut(cluster).unwrap().compact(*expire);
            }
            Step::Released => world.release(),
            Step::FenceAgain(context) => world.fence_again(context.as_ref()),
            Step::Hours(hours) => world.hours += hours,
            Step::Suspect(suspicion) => world.suspect(suspicion),
            Step::Expect(cluster, lines) => {
                world.settle();
                expect_state(&world, cluster, lines);
            }
            Step::Written(lines) => {
                world.settle();
                if way == Way::Reconcile {
                    assert_eq!(world.written[looked_at..], lines[..], "{way:?}: written");
                }
            }
            Step::Incidents(lines) => {
                world.settle();
                compare(way, "incidents", &incidents(&world), lines);
            }
            Step::Held(lines) => {
                world.settle();
                compare(way, "held", &held(&world), lines);
            }
            Step::Remarks(lines) => {
                world.settle();
                compare(way, "remarks", &remarks(&world), lines);
            }
            Step::Purge(most) => purge(&mut world, *most),
            Step::Stays(lines) => compare(way, "what stays is", &stays(&world), lines),
            Step::Halt(text) => {
                world.settle();
                expect_halt(&world, text);
                halts_expected = true;
            }
        }
        if matches!(step, Step::Expect(..) | Step::Written(_)) {
            looked_at = world.written.len();
        }
    }
    world.settle();
    if !halts_expected {
        expect_rest(&mut world, script);
    }
    expect_invariants(&world);
    world
}

fn purge(world: &mut World, most: usize) {
    world.settle();
    world.purge(most);
}

fn stays(world: &World) -> Vec<String> {
    world.stays.iter().map(|stay| format!("{}: {}", stay.key, stay.reason)).collect()
}

#[track_caller]
fn expect_rest(world: &mut World, script: &Script) {
    let asks = |wanted: fn(&Step) -> bool| script.steps.iter().any(wanted);
    if !asks(|step| matches!(step, Step::Incidents(_))) {
        compare(world.way, "incidents", &incidents(world), &[]);
    }
    if !asks(|step| matches!(step, Step::Held(_))) {
        compare(world.way, "held", &held(world), &[]);
    }
    for place in 0..world.running.len() {
        let running = &world.running[place];
        assert!(running.halted.is_none(), "{:?}: halted: {}", world.way, halt_text(running));
        if script.unsettled || running.purged.is_some() {
            continue;
        }
        let mut fresh = world.fresh(place);
        let plan = fresh.plan();
        let changes: Vec<_> = plan.changes().collect();
        assert!(changes.is_empty(), "{:?}: a fresh start plans {changes:#?}", world.way);
    }
}

fn halt_text(running: &Running) -> String {
    let leave = Leave { steered: Steered::AtStart, link: "link" };
    running.halted.as_ref().map(|halt| halt.told(leave)).unwrap_or_default()
}

#[track_caller]
fn expect_halt(world: &World, text: &str) {
    let halts: Vec<String> = world.running.iter().map(halt_text).collect();
    let found = halts.iter().any(|halt| halt.contains(text) && !halt.is_empty());
    assert!(found, "{:?}: no halt with {text:?}: {halts:?}", world.way);
}

/// `KEY: part of the reason`, one a line; exactly these.
#[track_caller]
fn compare(way: Way, what: &str, are: &[String], wanted: &[String]) {
    let fits = |is: &String, wanted: &String| match wanted.split_once(": ") {
        Some(("*", reason)) => is.contains(reason),
        Some((key, reason)) => is.starts_with(&format!("{key}: ")) && is.contains(reason),
        None => is.starts_with(&format!("{wanted}: ")),
    };
    let all = wanted.iter().all(|wanted| are.iter().any(|is| fits(is, wanted)));
    assert!(all && are.len() == wanted.len(), "{way:?}: {what} are {are:#?}, wanted {wanted:#?}");
}

pub(crate) fn incidents(world: &World) -> Vec<String> {
    let all = world.running.iter().flat_map(|running| running.link.ledger().incidents());
    all.map(|(_, incident)| format!("{}: {}", incident.key, incident.reason)).collect()
}

pub(crate) fn held(world: &World) -> Vec<String> {
    let all = world.running.iter().flat_map(|running| running.link.ledger().held());
    all.map(|(key, held)| format!("{key}: {}", held.reason)).collect()
}

pub(crate) fn remarks(world: &World) -> Vec<String> {
    let all = world.running.iter().flat_map(|running| running.link.ledger().remarks());
    all.map(|(key, remark)| format!("{key}: {remark}")).collect()
}

/// Scope, provenance, harmlessness: judged from the logs alone.
#[track_caller]
pub(crate) fn expect_invariants(world: &World) {
    for running in &world.running {
        let target = &world.logs[&running.spec.to];
        expect_scope(running, target);
        expect_harmless(running, target);
    }
}

/// The same of a registry without contexts.
#[track_caller]
fn expect_plainly_read(dialect: Dialect, running: &Running, target: &Log) {
    let mut reader = PlainReader::default();
    for record in &target.records {
        let (key, value) = (record.key.as_deref().unwrap(), record.value.as_deref());
        let minds = reader.minds(dialect, key, value);
        if is_by(running, record) {
            assert_eq!(minds, None, "the registry minds {}", text::line(key, value));
        }
    }
    // And it drops nothing of the link's when it starts on what compaction left.
    let mut compacted = target.clone();
    compacted.compact(true);
    let mut restarted = PlainReader::default();
    for record in &compacted.records {
        let (key, value) = (record.key.as_deref().unwrap(), record.value.as_deref());
        let minds = restarted.minds(dialect, key, value);
        let lives = !text::line(key, value).ends_with(" deleted");
        if is_by(running, record) && lives {
            assert_eq!(minds, None, "after compaction it minds {}", text::line(key, value));
        }
    }
}

fn is_by(running: &Running, record: &schema_mirror::core::record::Record) -> bool {
    let provenance = Provenance::of(&record.headers);
    provenance.is_some_and(|provenance| {
        provenance.link == running.spec.rules.name && provenance.writer == "writer"
    })
}

fn owns(running: &Running, context: &str) -> bool {
    match &running.spec.rules.placement {
        Placement::Into(own) => context == own.as_str() || context.starts_with(&format!("{own}.")),
        Placement::Same => true,
    }
}

/// The one key that Karapace spells in its own way.
const KARAPACES_REGISTRY_WIDE: &str = r#"{"keytype":"CONFIG","subject":null,"magic":0}"#;

#[track_caller]
fn expect_scope(running: &Running, target: &Log) {
    for record in target.records.iter().filter(|record| is_by(running, record)) {
        let line = text::line(record.key.as_deref().unwrap(), record.value.as_deref());
        let key: serde_json::Value =
            serde_json::from_slice(record.key.as_deref().unwrap()).unwrap();
        let context = match (key["context"].as_str(), key["subject"].as_str()) {
            (Some(context), _) => context.to_owned(),
            (None, subject) => qualified(subject.unwrap_or_default()).0,
        };
        assert!(owns(running, &context), "outside the scope: {line}");
        let provenance = Provenance::of(&record.headers).unwrap();
        assert_eq!(provenance.path.last(), Some(&running.spec.from), "{line}");
        assert!(!provenance.path.contains(&running.spec.to), "a loop: {line} {provenance:?}");
        if record.value.is_some() {
            let spelled = line.split_once(" @ ").map(|(_, key)| key);
            let own = running.link.target_dialect().dialect == Dialect::Karapace
                && spelled == Some(KARAPACES_REGISTRY_WIDE);
            assert!(spelled.is_none() || own, "a key that is not canonical: {line}");
        }
    }
}

/// A registry that leads, reading along, takes every record of ours without complaint; and what it
/// answers is what it would answer after compaction and a restart.
#[track_caller]
fn expect_harmless(running: &Running, target: &Log) {
    let dialect = running.link.target_dialect().dialect;
    // It was written as for another registry, until the record that halted the link.
    if matches!(running.halted, Some(Halt::OtherRegistry { .. })) {
        return;
    }
    if matches!(dialect, Dialect::Karapace | Dialect::Redpanda | Dialect::Confluent6) {
        return expect_plainly_read(dialect, running, target);
    }
    let new = || {
        if dialect == Dialect::Confluent8 { Registry::of_8() } else { Registry::default() }
    };
    let mut registry = new();
    for record in &target.records {
        let took = registry.take(record.key.as_deref().unwrap(), record.value.as_deref());
        if is_by(running, record) {
            let line = text::line(record.key.as_deref().unwrap(), record.value.as_deref());
            assert_eq!(took, Took::Applied, "the registry minds {line}");
        }
    }
    let foreign = target.records.iter().any(|record| !is_by(running, record));
    if foreign && running.spec.rules.placement == Placement::Same {
        return;
    }
    let unreadable: Vec<String> = registry
        .unreadable()
        .into_iter()
        .filter(|line| owns(running, &qualified(line).0))
        .collect();
    // A version whose newest record is an incident can't be written again.
    let whole = running.link.ledger().incidents().next().is_none();
    assert!(!whole || unreadable.is_empty(), "ids that cannot be read: {unreadable:?}");
    let mut compacted = target.clone();
    compacted.compact(true);
    let mut restarted = new();
    for (key, value) in compacted.pairs() {
        restarted.take(key, value);
    }
    let of = |registry: &Registry| registry.answers(|context| owns(running, context));
    assert_eq!(of(&registry), of(&restarted), "after compaction and a restart (right)");
}
