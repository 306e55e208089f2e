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
use crate::cli::output::counted;
use crate::cli::patience::tell_who_is_away;
use crate::cli::run::code_of;
use crate::cli::signals::Signals;
use crate::core::link::Outcome;
use crate::service::clock::SystemClock;
use crate::service::ports::Clock;
use crate::service::status::Status;
use crate::service::supervisor::Fleet;
use crate::service::supervisor::Watched;
use crate::service::worker::End;
use crate::service::worker::Goal;

/// A line, or a bar, is brought up to date this often.
const SHOWN_EVERY: Duration = Duration::from_millis(200);
/// Lines for a log come less often than a bar moves.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// What the columns of the closing table count.
const LEGEND: &str = "\
read = not selected + in sync + written + held + incidents: records of the source, each under what
became of it. appended: records of the target, the link's own CONTEXT, MODE and CONFIG among them.
";

/// What became of one link. The fields of the JSON document are stable.
#[derive(Debug, Default, Serialize)]
pub(super) struct Closing {
    link: String,
    /// `done`, `halted`, `gave_up` or `fault`.
    result: &'static str,
    /// Why it is not `done`; empty otherwise.
    reason: String,
    /// Records of the source: the sum of the next five.
    read: u64,
    not_selected: u64,
    in_sync: u64,
    written: u64,
    held: u64,
    incidents: u64,
    /// Records appended to the target's topic, the link's own CONTEXT, MODE and CONFIG among them:
    /// the sum of the next two.
    appended: u64,
    puts: u64,
    deletions: u64,
    /// Keys of the target that wait for something at the end.
    held_keys: usize,
    /// Incidents that stand at the end, and that nobody has acknowledged.
    open_incidents: usize,
    /// Those that somebody has.
    acknowledged_incidents: usize,
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
    let telling = tell_who_is_away(&assignments, clock);
    let mut fleet = Fleet::start(assignments, &clock, Goal::Backfill);
    let watched = fleet.watched().to_vec();
    let mut ends = BTreeMap::new();
    tokio::select! {
        () = fleet.join(&mut ends) => {}
        () = show(&watched, clock) => {}
        () = signals.told_to_end() => {
            fleet.shut_down();
        }
    }
    fleet.join(&mut ends).await;
    drop(telling);
    let taken = clock.monotonic().saturating_sub(started);
    let closings: Vec<Closing> = watched
        .iter()
        .enumerate()
        .map(|(place, Watched { link, status, .. })| {
            closing(link, &status.borrow(), ends.get(&place), taken)
        })
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
    let set_aside = closings.iter().any(Closing::has_set_aside);
    if code == exit::DONE && set_aside { exit::DIFFERENT } else { code }
}

impl Closing {
    fn has_set_aside(&self) -> bool {
        self.open_incidents > 0 || self.held_keys > 0
    }
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
        written: counts.of(Outcome::Written),
        held: counts.of(Outcome::Held),
        incidents: counts.of(Outcome::Incident),
        appended: counts.written(),
        puts: counts.puts,
        deletions: counts.deletions,
        held_keys: status.held,
        open_incidents: status.incidents.open(),
        acknowledged_incidents: status.incidents.acknowledged,
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
        "written",
        "held",
        "incidents",
        "appended",
        "seconds",
        "records/s",
    ]);
    for closing in closings {
        table.add_row([
            closing.link.clone(),
            closing.read.to_string(),
            closing.not_selected.to_string(),
            closing.in_sync.to_string(),
            closing.written.to_string(),
            closing.held.to_string(),
            closing.incidents.to_string(),
            appended(closing),
            format!("{:.1} (join {:.1})", closing.seconds, closing.join_seconds),
            format!("{:.0}", closing.records_per_second),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut text = format!("{table}\n{LEGEND}");
    for closing in closings {
        text.push_str(&remarks(closing));
    }
    if closings.iter().any(Closing::has_set_aside) {
        text.push_str("what is held and every incident, with what to do: schema-mirror plan\n");
    }
    text
}

fn appended(closing: &Closing) -> String {
    let Closing { appended, deletions, .. } = closing;
    match deletions {
        0 => appended.to_string(),
        some => format!("{appended} ({some} deleting)"),
    }
}

/// What the numbers do not say.
fn remarks(closing: &Closing) -> String {
    let Closing { link, result, reason, .. } = closing;
    let mut lines = Vec::new();
    if *result != "done" {
        lines.push(format!("{link} {}: {reason}", result.replace('_', " ")));
    }
    if *result == "done" && closing.read > 0 && closing.not_selected == closing.read {
        lines.push(format!("{link}: the filter chooses nothing in the source"));
    }
    if closing.has_set_aside() {
        let incidents = counted(closing.open_incidents, "incident");
        let held = counted(closing.held_keys, "key");
        lines.push(format!("{link}: {incidents} open, {held} held"));
    }
    if closing.acknowledged_incidents > 0 {
        let incidents = counted(closing.acknowledged_incidents, "incident");
        lines.push(format!("{link}: {incidents} acknowledged, and not copied"));
    }
    lines.into_iter().map(|line| line + "\n").collect()
}

/// Shows how far the links are until it is cancelled: bars where a person watches, lines otherwise.
async fn show(watched: &[Watched], clock: SystemClock) {
    if !output::is_watched() {
        loop {
            clock.sleep(LINE_EVERY).await;
            for Watched { link, status, .. } in watched {
                let status = status.borrow().clone();
                tracing::info!(
                    link = %link, phase = %status.phase, read = status.source_next,
                    end = status.source_end, appended = status.counts.written(), "progress"
                );
            }
        }
    }
    let bars = MultiProgress::new();
    let style = ProgressStyle::with_template("{prefix:>20} {bar:30} {pos}/{len} {msg}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    let shown: Vec<ProgressBar> = watched
        .iter()
        .map(|Watched { link, .. }| {
            let bar = ProgressBar::new(0).with_prefix(link.clone()).with_style(style.clone());
            bars.add(bar)
        })
        .collect();
    let _clear = Cleared(bars);
    loop {
        for (bar, Watched { status, .. }) in shown.iter().zip(watched) {
            let status = status.borrow().clone();
            bar.set_length(u64::try_from(status.source_end).unwrap_or(0));
            bar.set_position(u64::try_from(status.source_next).unwrap_or(0));
            bar.set_message(format!("{}, {} appended", status.phase, status.counts.written()));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn counted_status(outcomes: &[(Outcome, u64)]) -> Status {
        let mut status = Status::default();
        status.counts.outcomes = outcomes.iter().copied().collect();
        status
    }

    #[test]
    fn every_record_that_was_read_stands_in_one_column_and_what_was_appended_apart() {
        let mut status = counted_status(&[
            (Outcome::NotSelected, 1),
            (Outcome::InSync, 2),
            (Outcome::Written, 3),
            (Outcome::Held, 4),
            (Outcome::Incident, 5),
        ]);
        (status.counts.puts, status.counts.deletions) = (6, 7);
        status.held = 1;
        (status.incidents.source, status.incidents.target) = (1, 1);
        let closing = closing("one", &status, Some(&End::Done), Duration::from_secs(1));
        let document = serde_json::to_value(&closing).unwrap();
        let number = |field: &str| document[field].as_u64().unwrap();
        let columns = ["not_selected", "in_sync", "written", "held", "incidents"];
        assert_eq!(number("read"), columns.map(number).iter().sum::<u64>());
        assert_eq!((number("read"), number("written")), (15, 3));
        assert_eq!(number("appended"), number("puts") + number("deletions"));
        let text = table(&[closing]);
        assert!(text.contains("13 (7 deleting)"), "{text}");
        assert!(text.contains("one: 2 incidents open, 1 key held\n"), "{text}");
    }

    #[test]
    fn incidents_that_are_acknowledged_make_no_exit_code_and_are_told() {
        let ends = BTreeMap::from([(0, End::Done)]);
        let closed = |open: usize| {
            let mut status = counted_status(&[(Outcome::Incident, 3)]);
            (status.incidents.source, status.incidents.acknowledged) = (open, 3);
            closing("one", &status, ends.get(&0), Duration::ZERO)
        };
        assert_eq!(exit_code(&[closed(0)], &ends), exit::DONE);
        assert_eq!(exit_code(&[closed(1)], &ends), exit::DIFFERENT);
        assert_eq!(remarks(&closed(0)), "one: 3 incidents acknowledged, and not copied\n");
        assert!(!table(&[closed(0)]).contains("schema-mirror plan"));
    }

    #[test]
    fn a_link_that_ends_early_says_so_in_words() {
        let end = End::GaveUp("no answer".to_owned());
        let closing = closing("one", &Status::default(), Some(&end), Duration::ZERO);
        assert_eq!(remarks(&closing), "one gave up: no answer\n");
    }

    #[test]
    fn a_filter_that_chose_no_record_is_told() {
        let status = counted_status(&[(Outcome::NotSelected, 9)]);
        let closing = closing("one", &status, Some(&End::Done), Duration::ZERO);
        assert_eq!(remarks(&closing), "one: the filter chooses nothing in the source\n");
    }
}
