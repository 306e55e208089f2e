//! How fast a copy is beside its peers, in one run on one machine: a bare librdkafka loop with the
//! same settings, and MirrorMaker 2. Figures of different runs mean little; ratios within one do.
//!
//! `cargo bench --features real-kafka --bench copy` needs Java 17 and Maven, as the tests on real
//! brokers do; `-- --without-mirror-maker` leaves the slow peer out, `-- --versions 20000` copies
//! less.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark that fails says where")]
#![expect(clippy::panic, reason = "as above")]
#![expect(clippy::print_stdout, reason = "its answer")]
#![expect(clippy::indexing_slicing, reason = "ranks in samples that are there")]
#![expect(clippy::arithmetic_side_effects, reason = "small figures")]
#![expect(clippy::as_conversions, reason = "figures for people")]
#![expect(clippy::cast_precision_loss, reason = "as above")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]
#![expect(clippy::print_stderr, reason = "what a broker logged")]

mod bare;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/real_kafka/broker.rs"]
mod broker;
mod live;
mod peers;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/real_kafka/process.rs"]
mod process;

use std::env;
use std::fmt::Write as _;

use crate::broker::Broker;
use crate::broker::NewRecord;
use crate::peers::Copier;
use crate::peers::Copy;

/// Versions that are copied, ten to a subject.
const VERSIONS: usize = 100_000;
/// Each way is measured so often, in turn; the median counts.
const ROUNDS: usize = 3;
/// Records that are produced at once when the source is made.
const CHUNK: usize = 5_000;
/// What is copied from.
pub(crate) const SOURCE_TOPIC: &str = "_schemas";
const COMPACTED: [(&str, &str); 1] = [("cleanup.policy", "compact")];

fn main() {
    let given: Vec<String> = env::args().skip(1).collect();
    if let [word, rest @ ..] = given.as_slice()
        && word == bare::WORD
    {
        return bare::run(rest);
    }
    let versions = given.iter().skip_while(|word| *word != "--versions").nth(1);
    let versions = versions.map_or(VERSIONS, |number| number.parse().expect("a number"));
    let without_peer = given.iter().any(|word| word == "--without-mirror-maker");
    let peer = (!without_peer).then_some(Copier::MirrorMaker);

    let (source, target) = (Broker::start("bench-source"), Broker::start("bench-target"));
    fill(&source, versions);
    let stage = peers::Stage { source: &source, target: &target, versions };
    let mut figures: Vec<(&str, Vec<Copy>)> = Vec::new();
    let mut copiers = vec![Copier::Bare, Copier::OnePass, Copier::TwoPasses];
    for round in 0..ROUNDS {
        if round == ROUNDS - 1 {
            copiers.extend(peer);
        }
        for copier in &copiers {
            let topic = copier.topic(round);
            target.create_topic(&topic, 1, &COMPACTED);
            let copy = stage.copy(*copier, &topic);
            println!("round {round}: {:<12} {copy}", copier.name());
            match figures.iter_mut().find(|(name, _)| *name == copier.name()) {
                Some((_, copies)) => copies.push(copy),
                None => figures.push((copier.name(), vec![copy])),
            }
        }
    }
    show(&figures, versions);
    live::measure(&stage, peer);
}

/// The medians, and how each compares with the bare copy.
fn show(figures: &[(&str, Vec<Copy>)], versions: usize) {
    let median = |copies: &[Copy], of: fn(&Copy) -> f64| {
        let mut values: Vec<f64> = copies.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let bare = median(&figures[0].1, |copy| copy.copying_s);
    println!("\n{versions} versions of 1.2 KB; medians of {ROUNDS} (MirrorMaker 2: one)");
    println!("                copying  records/s  of bare  joining  resident");
    for (name, copies) in figures {
        let copying = median(copies, |copy| copy.copying_s);
        println!(
            "{name:<14} {copying:>6.2} s  {:>9.0}  {:>7.2}  {:>5.2} s  {:>5.0} MB",
            versions as f64 / copying,
            bare / copying,
            median(copies, |copy| copy.joining_s),
            median(copies, |copy| copy.resident_mb),
        );
    }
}

/// A source such as a registry of middling age leaves: ten versions a subject, ids in order.
fn fill(source: &Broker, versions: usize) {
    source.create_topic(SOURCE_TOPIC, 1, &COMPACTED);
    let numbers: Vec<usize> = (0..versions).collect();
    for chunk in numbers.chunks(CHUNK) {
        let records: Vec<NewRecord> = chunk.iter().map(|number| version(*number)).collect();
        source.produce(SOURCE_TOPIC, &records);
    }
}

/// One version, about 1.2 KB long, as a Confluent registry writes it.
pub(crate) fn version(number: usize) -> NewRecord {
    let (subject, version) =
        (format!("team-{}.events-{}-value", number / 1_000, number / 10), number % 10 + 1);
    let mut seed = number as u64 + 1;
    let mut fields = String::new();
    for field in 0..12 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        write!(
            fields,
            r#"{{\"name\":\"field_{field}_{:08x}\",\"type\":[\"null\",\"string\"],\"doc\":\"{:016x}\"}},"#,
            seed >> 32,
            seed
        )
        .unwrap();
    }
    let key =
        format!(r#"{{"keytype":"SCHEMA","subject":"{subject}","version":{version},"magic":1}}"#);
    let value = format!(
        r#"{{"subject":"{subject}","version":{version},"id":{},"schema":"{{\"type\":\"record\",\"name\":\"Event{number}\",\"namespace\":\"com.example.events\",\"fields\":[{}]}}","deleted":false}}"#,
        number + 1,
        fields.trim_end_matches(','),
    );
    NewRecord::put(&key, &value)
}
