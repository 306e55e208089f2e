//! How fast a copy is beside its peers, in one run on one machine: a bare librdkafka loop with the
//! same settings, and MirrorMaker 2. Figures of different runs mean little; ratios within one do.
//!
//! `cargo bench --features real-kafka --bench copy` plays every scene and needs Java 17 and Maven, as
//! the tests on real brokers do. Behind `--`: words choose scenes (`copy live rate grow away links
//! instructions`; the last needs valgrind and is played only when it is named), `--versions 20000`
//! copies less, `--links 300` sets how many share a source, `--rounds 9` copies more often,
//! `--without-mirror-maker` leaves the slow peer out.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark that fails says where")]
#![expect(clippy::panic, reason = "as above")]
#![expect(clippy::print_stdout, reason = "its answer")]
#![expect(clippy::indexing_slicing, reason = "ranks in samples that are there")]
#![expect(clippy::arithmetic_side_effects, reason = "small figures")]
#![expect(clippy::as_conversions, reason = "figures for people")]
#![expect(clippy::cast_precision_loss, reason = "as above")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]
#![expect(clippy::print_stderr, reason = "what a broker logged")]

mod away;
mod bare;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/real_kafka/broker.rs"]
mod broker;
mod copies;
mod grow;
mod instructions;
mod links;
mod live;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/real_kafka/message.rs"]
mod message;
mod meter;
#[path = "../../tests/support/output.rs"]
mod output;
mod peers;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/real_kafka/process.rs"]
mod process;
mod samples;
mod versions;
#[path = "../../tests/support/wait.rs"]
mod wait;

use std::env;

use crate::broker::Broker;
use crate::meter::Meter;
use crate::peers::Copier;
use crate::peers::Stage;
use crate::versions::fill;

/// Versions that are copied, ten to a subject.
const VERSIONS: usize = 100_000;
/// Each way is measured so often, in turn; medians count.
const ROUNDS: usize = 5;
/// Links from one source, beside one.
const LINKS: usize = 100;
/// What is copied from.
pub(crate) const SOURCE_TOPIC: &str = "_schemas";
pub(crate) const COMPACTED: [(&str, &str); 1] = [("cleanup.policy", "compact")];

/// The scenes in the order in which they are played.
const SCENES: [&str; 6] = ["copy", "live", "rate", "away", "links", "grow"];
/// Played only when it is named: it needs valgrind.
const INSTRUCTIONS: &str = "instructions";

fn main() {
    // Cargo adds a word of its own.
    let given: Vec<String> = env::args().skip(1).filter(|word| word != "--bench").collect();
    if let [word, rest @ ..] = given.as_slice()
        && word == bare::WORD
    {
        return bare::run(rest);
    }
    let number_behind = |flag: &str, otherwise: usize| {
        let number = given.iter().skip_while(|word| *word != flag).nth(1);
        number.map_or(otherwise, |number| number.parse().expect("a number"))
    };
    let versions = number_behind("--versions", VERSIONS);
    let rounds = number_behind("--rounds", ROUNDS);
    let without_peer = given.iter().any(|word| word == "--without-mirror-maker");
    let peer = (!without_peer).then_some(Copier::MirrorMaker);
    let known = |word: &&String| SCENES.contains(&word.as_str()) || *word == INSTRUCTIONS;
    let named: Vec<&str> = given.iter().filter(known).map(String::as_str).collect();
    let scenes = if named.is_empty() { SCENES.to_vec() } else { named };

    let meter = Meter::reserve();
    let source = Broker::start_as("bench-source", meter.setup());
    let target = Broker::start("bench-target");
    source.create_topic(SOURCE_TOPIC, 1, &COMPACTED);
    fill(&source, SOURCE_TOPIC, 0..versions);
    let stage = Stage { source: &source, target: &target, topic: SOURCE_TOPIC, versions };
    for scene in scenes {
        match scene {
            "copy" => copies::measure(&stage, peer, rounds),
            "live" => live::measure(&stage, peer),
            "rate" => live::measure_rate(&stage),
            "away" => away::measure(&stage, rounds),
            "links" => links::measure(&stage, &meter, number_behind("--links", LINKS), rounds),
            "grow" => grow::measure(&stage),
            _ => instructions::measure(&stage),
        }
    }
}
