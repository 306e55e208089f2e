//! A link that was away: twenty versions of each subject, and one version in a hundred changed.

use std::time::Instant;

use crate::COMPACTED;
use crate::message::NewRecord;
use crate::peers::Copier;
use crate::peers::Length;
use crate::peers::Stage;
use crate::samples::spread;
use crate::versions::State;
use crate::versions::fill_with;
use crate::versions::version_of;

/// Versions of each subject; there are a tenth as many subjects as the other scenes copy versions.
const VERSIONS: usize = 20;
const TOPIC: &str = "away";
/// One version in so many is deleted, or comes new, while the link is away.
const ONE_IN: usize = 100;

/// Times a link from its start to the moment when it follows.
pub(crate) fn measure(stage: &Stage<'_>, rounds: usize) {
    let subjects = stage.versions / 10;
    let versions = subjects * VERSIONS;
    stage.source.create_topic(TOPIC, 1, &COMPACTED);
    stage.target.create_topic(TOPIC, 1, &COMPACTED);
    fill_with(stage.source, TOPIC, 0..versions, |number| version(number, State::Live));
    let away = Stage { topic: TOPIC, versions, ..*stage };
    println!("\n{subjects} subjects with {VERSIONS} versions each, 1 % changed while it was away");
    println!("first copy     {}", away.copy(Copier::OnePass, TOPIC));
    let (mut running, mut reading) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        // Other ones in each round: the brake counts for an hour.
        let changed = (0..versions / ONE_IN).map(|change| match change % 2 {
            // Other ones in each round.
            0 => version(change * ONE_IN + round, State::Deleted),
            _ => version(versions * (round + 1) + change * VERSIONS, State::Live),
        });
        let records: Vec<NewRecord> = changed.collect();
        stage.source.produce(TOPIC, &records);
        reading.push(away.copy(Copier::BareRead, TOPIC).copying_s);
        let started = Instant::now();
        let mut process = away.start(Copier::NearlyFull, TOPIC, Length::Follow);
        process.wait_for(r#""message":"running""#);
        running.push(started.elapsed().as_secs_f64());
        process.end_in_order();
    }
    println!("to RUNNING     {} s, joining included", spread(&running));
    println!("bare read      {} s of both topics", spread(&reading));
}

/// The versions of a subject follow each other; numbers beyond the first ones make new subjects.
fn version(number: usize, state: State) -> NewRecord {
    let subject = format!("away-{}-value", number / VERSIONS);
    version_of(&subject, number % VERSIONS + 1, number, state)
}
