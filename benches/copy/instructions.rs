//! Instructions that one more version takes, as valgrind counts them: they don't move with the
//! machine's load.

use std::process::Command;
use std::process::Stdio;

use crate::COMPACTED;
use crate::peers::Copier;
use crate::peers::Stage;
use crate::process::new_folder;
use crate::versions::fill;

/// The difference of two copies is what the versions between them took.
const VERSIONS: [usize; 2] = [5_000, 15_000];

/// Counts for the bare copy, and for one pass and two.
pub(crate) fn measure(stage: &Stage<'_>) {
    println!("\ninstructions for one more version");
    for versions in VERSIONS {
        let topic = format!("counted-{versions}");
        stage.source.create_topic(&topic, 1, &COMPACTED);
        fill(stage.source, &topic, 0..versions);
    }
    let mut bare = None;
    for copier in [Copier::Bare, Copier::OnePass, Copier::TwoPasses] {
        let [fewer, more] = VERSIONS.map(|versions| count(stage, copier, versions));
        let each = (more - fewer) / (VERSIONS[1] - VERSIONS[0]) as f64;
        let bare = *bare.get_or_insert(each);
        println!("{:<14} {each:>8.0}, {:.2} times the bare copy's", copier.name(), each / bare);
    }
}

fn count(stage: &Stage<'_>, copier: Copier, versions: usize) -> f64 {
    let source = format!("counted-{versions}");
    let target = format!("{}-{versions}", copier.topic(0));
    stage.target.create_topic(&target, 1, &COMPACTED);
    let copied = Stage { topic: &source, versions, ..*stage };
    let plain = copied.command(copier, &target, crate::peers::Length::Once);
    let folder = new_folder("callgrind");
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=out"]).arg(plain.get_program());
    command.args(plain.get_args()).current_dir(folder.path());
    let output = command.stdin(Stdio::null()).output().expect("valgrind is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let counted =
        said.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    counted.unwrap_or_else(|| panic!("valgrind counted nothing: {said}"))
}
