//! Many links from one source: what they read they share.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::COMPACTED;
use crate::meter::Meter;
use crate::peers::Process;
use crate::peers::Stage;
use crate::process::new_folder;
use crate::samples::median;
use crate::samples::spread;

/// Backfills a source through one link, and through many that take a part of it each; then both
/// again, with nothing to do.
pub(crate) fn measure(stage: &Stage<'_>, meter: &Meter, links_max: usize, rounds: usize) {
    let folder = new_folder("links");
    println!("\n{links_max} links from one source, each with its own part of it, beside one link");
    let mut first = [Vec::new(), Vec::new()];
    let mut again = [Vec::new(), Vec::new()];
    let mut memory = [Vec::new(), Vec::new()];
    let mut read = [Vec::new(), Vec::new()];
    // A broker counts what it hands out of a topic from the first time on.
    stage.source.read_all(stage.topic);
    for round in 0..rounds {
        for (place, links) in [1, links_max].into_iter().enumerate() {
            let name = format!("links-{links}-{round}");
            stage.target.create_topic(&name, 1, &COMPACTED);
            let path = folder.path().join(format!("{name}.yaml"));
            fs::write(&path, config(stage, &name, links)).unwrap();
            let before = meter.bytes_out(stage.topic);
            let (seconds, resident_mb) = backfill(&path);
            let bytes = meter.bytes_out(stage.topic).saturating_sub(before);
            read[place].push(bytes as f64 / 1e6);
            first[place].push(seconds);
            memory[place].push(resident_mb);
            again[place].push(backfill(&path).0);
        }
    }
    for (what, [one, many]) in [("first copy", first), ("nothing to do", again)] {
        let ratios: Vec<f64> = many.iter().zip(&one).map(|(many, one)| many / one).collect();
        println!(
            "{what:<14} one link {} s of CPU, {links_max} links {} s: {} times",
            spread(&one),
            spread(&many),
            spread(&ratios),
        );
    }
    let [one, many] = read;
    println!(
        "source read    one link {:.1} MB, {links_max} links {:.1} MB: {:.2} times",
        median(&one),
        median(&many),
        median(&many) / median(&one)
    );
    let [one, many] = memory;
    println!(
        "resident       one link {:.0} MB, {links_max} links {:.0} MB",
        median(&one),
        median(&many)
    );
}

/// Processor time, which is what sharing saves, and memory.
fn backfill(config: &Path) -> (f64, f64) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_schema-mirror"));
    command.args(["backfill", "--output", "json", "--config"]).arg(config);
    let started = Instant::now();
    let mut process = Process::spawn(command);
    process.wait();
    let copy = process.copy(started.elapsed().as_secs_f64(), 0.0);
    (copy.cpu_s, copy.resident_mb)
}

fn config(stage: &Stage<'_>, name: &str, links: usize) -> String {
    let (from, to) = (stage.source.bootstrap(), stage.target.bootstrap());
    let mut text = format!(
        "\
clusters:
  source: {{ bootstrap_servers: \"{from}\", schemas_topic: {topic}, state_topic: {name}_state }}
  target:
    bootstrap_servers: \"{to}\"
    schemas_topic: {name}
    state_topic: {name}_state
    write_rate_max: unlimited
links:
",
        topic = stage.topic,
    );
    let patterns = |link: usize| match links {
        1 => "team-*".to_owned(),
        _ => format!("/team-{link}\\\\..*/"),
    };
    for link in 0..links {
        writeln!(
            text,
            "  - {{ name: part-{link}, source: source, target: target, context: .part-{link}, \
             subjects: [\"{}\"] }}",
            patterns(link)
        )
        .unwrap();
    }
    text
}
