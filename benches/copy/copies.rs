//! A whole copy, by everyone in turn.

use crate::COMPACTED;
use crate::peers::Copier;
use crate::peers::Copy;
use crate::peers::Stage;
use crate::samples::median;
use crate::samples::spread;
use crate::versions::fill;

/// Lets everyone copy once a round; the slow peer in the last one only.
pub(crate) fn measure(stage: &Stage<'_>, peer: Option<Copier>, rounds: usize) {
    let mut figures: Vec<(Copier, Vec<Copy>)> = Vec::new();
    let mut copiers = vec![
        Copier::Bare,
        Copier::OnePass,
        Copier::TwoPasses,
        Copier::BareRead,
        Copier::NearlyFull,
        Copier::InSync,
    ];
    let mut versions = stage.versions;
    for round in 0..rounds {
        if round == rounds - 1 {
            copiers.extend(peer);
        }
        for copier in &copiers {
            let topic = copier.topic(round);
            if copier.is_first() {
                stage.target.create_topic(&topic, 1, &COMPACTED);
            }
            if *copier == Copier::BareRead {
                // A hundredth is new for those who follow.
                let new = versions..versions + stage.versions / 100;
                versions = new.end;
                fill(stage.source, stage.topic, new);
            }
            let copy = Stage { versions, ..*stage }.copy(*copier, &topic);
            println!("round {round}: {:<14} {copy}", copier.name());
            match figures.iter_mut().find(|(known, _)| known == copier) {
                Some((_, copies)) => copies.push(copy),
                None => figures.push((*copier, vec![copy])),
            }
        }
    }
    show(&figures, stage.versions, rounds);
}

fn show(figures: &[(Copier, Vec<Copy>)], versions: usize, rounds: usize) {
    let of = |wanted: Copier| {
        figures.iter().find(|(copier, _)| *copier == wanted).map(|(_, copies)| copies.as_slice())
    };
    println!(
        "\n{versions} versions of 1.2 KB; medians of {rounds} rounds, least and most in brackets"
    );
    println!("(MirrorMaker 2: one). Ratios are taken round by round.");
    for (copier, copies) in figures {
        let column = |figure: fn(&Copy) -> f64| copies.iter().map(figure).collect::<Vec<f64>>();
        let copying = column(|copy| copy.copying_s);
        println!(
            "{:<14} {} s, {:.0} records/s, {:.2} s of CPU, joining {:.2} s, at most {:.0} MB",
            copier.name(),
            spread(&copying),
            versions as f64 / median(&copying),
            median(&column(|copy| copy.cpu_s)),
            median(&column(|copy| copy.joining_s)),
            column(|copy| copy.resident_mb).into_iter().fold(0.0, f64::max),
        );
        let Some(reference) = copier.held_against().and_then(of) else { continue };
        // Whoever copies once does so in the last round.
        let pairs = reference[reference.len() - copies.len()..].iter().zip(copies);
        let (ratios, beyond): (Vec<f64>, Vec<f64>) = pairs
            .map(|(bare, copy)| (bare.copying_s / copy.copying_s, copy.copying_s - bare.copying_s))
            .unzip();
        println!(
            "{:<14} {} of the {}; {} s beyond it",
            "",
            spread(&ratios),
            copier.held_against().map_or("", Copier::name),
            spread(&beyond),
        );
    }
}
