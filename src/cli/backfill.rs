//! `backfill`: to the source's end as it was at the start, then a closing table.

use std::collections::BTreeMap;
use std::time::Duration;

use comfy_table::CellAlignment;
use comfy_table::Table;
use indicatif::MultiProgress;
use indicatif::ProgressBar;
use indicatif::ProgressStyle;
use serde::Serialize;

use crate::cli::args::LinkSource;
use crate::cli::args::Output;
use crate::cli::args::Releases;
use crate::cli::exit;
use crate::cli::links::Unusable;
use crate::cli::links::assignments;
use crate::cli::output;
use crate::cli::run::code_of;
use crate::cli::signals::Signals;
use crate::core::link::Outcome;
use crate::service::clock::SystemClock;
use crate::service::ports::Clock;
use crate::service::status::Status;
use crate::service::supervisor::Fleet;
use crate::service::worker::End;
use crate::service::worker::Goal;

/// A line, or a bar, is brought up to date this often.
const SHOWN_EVERY: Duration = Duration::from_millis(200);
/// Lines for a log come less often than a bar moves.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// What became of one link. The fields of the JSON document are stable.
#[derive(Debug, Serialize)]
pub(super) struct Closing {
    link: String,
    /// `done`, `halted`, `gave_up` or `fault`.
    result: &'static str,
    /// Why it is not `done`; empty otherwise.
    reason: String,
    read: u64,
    not_selected: u64,
    in_sync: u64,
    /// Records written to the target, the link's own CONTEXT, MODE and CONFIG among them.
    written: u64,
    /// Those of them that are deletions.
    deletions: u64,
    held: usize,
    incidents: usize,
    seconds: f64,
    /// The part of `seconds` that was spent on becoming the writer.
    join_seconds: f64,
    /// Records read a second, the join apart.
    records_per_second: f64,
}

#[derive(Debug, Serialize)]
struct Closings {
    links: Vec<Closing>,
}

pub(super) async fn backfill(
    links: &LinkSource,
    releases: Releases,
    wanted: Output,
    clock: SystemClock,
) -> Result<u8, Unusable> {
    let mut signals = Signals::listen();
    let assignments = assignments(links, releases, clock)?;
    let started = clock.monotonic();
    let mut fleet = Fleet::start(assignments, &clock, Goal::Backfill);
    let statuses = fleet.statuses().to_vec();
    let mut ends = BTreeMap::new();
    tokio::select! {
        () = fleet.join(&mut ends) => {}
        () = show(&statuses, clock) => {}
        () = signals.told_to_end() => {
            fleet.shut_down();
        }
    }
    fleet.join(&mut ends).await;
    let taken = clock.monotonic().saturating_sub(started);
    let closings: Vec<Closing> = statuses
        .iter()
        .enumerate()
        .map(|(place, (link, status))| closing(link, &status.borrow(), ends.get(&place), taken))
        .collect();
    let code = exit_code(&closings, &ends);
    match wanted {
        Output::Json => output::answer_json(&Closings { links: closings }),
        Output::Table => output::answer(&table(&closings)),
    }
    Ok(code)
}

fn exit_code(closings: &[Closing], ends: &BTreeMap<usize, End>) -> u8 {
    let code = code_of(ends.values());
    let set_aside = closings.iter().any(|closing| closing.incidents > 0 || closing.held > 0);
    if code == exit::DONE && set_aside { exit::DIFFERENT } else { code }
}

fn closing(link: &str, status: &Status, end: Option<&End>, taken: Duration) -> Closing {
    let (result, reason) = match end {
        Some(End::Done) => ("done", ""),
        Some(End::Halted(reason)) => ("halted", reason.as_str()),
        Some(End::GaveUp(reason)) => ("gave_up", reason.as_str()),
        Some(End::Panicked(reason)) => ("fault", reason.as_str()),
        None => ("gave_up", "it was told to end"),
    };
    let counts = &status.counts;
    let working = taken.saturating_sub(status.joined_after).as_secs_f64();
    let read = u32::try_from(counts.read()).unwrap_or(u32::MAX);
    Closing {
        link: link.to_owned(),
        result,
        reason: reason.to_owned(),
        read: counts.read(),
        not_selected: counts.of(Outcome::NotSelected),
        in_sync: counts.of(Outcome::InSync),
        written: counts.written(),
        deletions: counts.deletions,
        held: status.held,
        incidents: status.incidents,
        seconds: rounded(taken.as_secs_f64()),
        join_seconds: rounded(status.joined_after.as_secs_f64()),
        records_per_second: if working > 0.0 { (f64::from(read) / working).round() } else { 0.0 },
    }
}

fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

fn table(closings: &[Closing]) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY).set_header([
        "link",
        "read",
        "not selected",
        "in sync",
        "written (deletions)",
        "held",
        "incidents",
        "seconds",
        "records/s",
    ]);
    for closing in closings {
        table.add_row([
            closing.link.clone(),
            closing.read.to_string(),
            closing.not_selected.to_string(),
            closing.in_sync.to_string(),
            format!("{} ({})", closing.written, closing.deletions),
            closing.held.to_string(),
            closing.incidents.to_string(),
            format!("{:.1} (join {:.1})", closing.seconds, closing.join_seconds),
            format!("{:.0}", closing.records_per_second),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut text = format!("{table}\n");
    for closing in closings.iter().filter(|closing| closing.result != "done") {
        let Closing { link, result, reason, .. } = closing;
        text.extend([link.as_str(), " ", result, ": ", reason.as_str(), "\n"]);
    }
    let set_aside = closings.iter().any(|closing| closing.incidents > 0 || closing.held > 0);
    if set_aside {
        text.push_str("what is held and every incident, with its reason: schema-mirror plan\n");
    }
    text
}

type Statuses = [(String, tokio::sync::watch::Receiver<Status>)];

/// Shows how far the links are until it is cancelled: bars where a person watches, lines otherwise.
async fn show(statuses: &Statuses, clock: SystemClock) {
    if !output::is_watched() {
        loop {
            clock.sleep(LINE_EVERY).await;
            for (link, status) in statuses {
                let status = status.borrow().clone();
                tracing::info!(
                    link = %link, phase = %status.phase, read = status.source_next,
                    end = status.source_end, written = status.counts.written(), "progress"
                );
            }
        }
    }
    let bars = MultiProgress::new();
    let style = ProgressStyle::with_template("{prefix:>20} {bar:30} {pos}/{len} {msg}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    let shown: Vec<ProgressBar> = statuses
        .iter()
        .map(|(link, _)| {
            let bar = ProgressBar::new(0).with_prefix(link.clone()).with_style(style.clone());
            bars.add(bar)
        })
        .collect();
    let _clear = Cleared(bars);
    loop {
        for (bar, (_, status)) in shown.iter().zip(statuses) {
            let status = status.borrow().clone();
            bar.set_length(u64::try_from(status.source_end).unwrap_or(0));
            bar.set_position(u64::try_from(status.source_next).unwrap_or(0));
            bar.set_message(format!("{}, {} written", status.phase, status.counts.written()));
        }
        clock.sleep(SHOWN_EVERY).await;
    }
}

/// Takes the bars off the screen when the work is done.
struct Cleared(MultiProgress);

impl Drop for Cleared {
    fn drop(&mut self) {
        drop(self.0.clear());
    }
}
