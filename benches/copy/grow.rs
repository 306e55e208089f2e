//! Ten times as much: how time and memory grow with the source.

use crate::COMPACTED;
use crate::peers::Copier;
use crate::peers::Copy;
use crate::peers::Stage;
use crate::versions::fill;

/// Sizes as multiples of what the other scenes copy.
const TIMES: [usize; 3] = [1, 3, 10];
/// A topic of its own: the others copy from one that does not grow like that.
const TOPIC: &str = "grow";

/// Copies a source that grows up to ten times its size, by everyone but the slow peer.
pub(crate) fn measure(stage: &Stage<'_>) {
    println!("\na source that grows; slope: microseconds, and bytes, that one more version takes");
    stage.source.create_topic(TOPIC, 1, &COMPACTED);
    let mut filled = 0;
    let mut before: Vec<(usize, Copy)> = Vec::new();
    for times in TIMES {
        let versions = stage.versions * times;
        fill(stage.source, TOPIC, filled..versions);
        filled = versions;
        let grown = Stage { topic: TOPIC, versions, ..*stage };
        let mut now = Vec::new();
        for (place, copier) in
            [Copier::Bare, Copier::OnePass, Copier::TwoPasses].into_iter().enumerate()
        {
            let topic = format!("grow-{times}-{place}");
            stage.target.create_topic(&topic, 1, &COMPACTED);
            let copy = grown.copy(copier, &topic);
            print!("{versions:>9} {:<12} {copy}", copier.name());
            if let Some((fewer, smaller)) = before.get(place) {
                let more = (versions - fewer) as f64;
                println!(
                    "; slope {:.1} µs, {:.0} bytes",
                    (copy.copying_s - smaller.copying_s) * 1e6 / more,
                    (copy.resident_mb - smaller.resident_mb) * 1e6 / more,
                );
            } else {
                println!();
            }
            now.push((versions, copy));
            stage.target.delete_topic(&topic);
        }
        before = now;
    }
    stage.source.delete_topic(TOPIC);
}
