//! `demo`: two clusters inside this process, two links face to face, what happens between them, and
//! the proof that both sides say the same.

mod script;
mod show;
mod world;

use std::collections::BTreeSet;

use serde::Serialize;

use self::script::Act;
use self::script::Side;
use self::show::Paint;
use self::show::Shown;
use self::show::Step;
use self::show::When;
use self::show::joined;
use self::show::wrapped;
use self::world::Played;
use self::world::Trouble;
use self::world::World;
use crate::cli::args::Output;
use crate::cli::compared::Answer;
use crate::cli::compared::code_of;
use crate::cli::compared::verify_one;
use crate::cli::compared::verify_text;
use crate::cli::exit;
use crate::cli::logging::Kept;
use crate::cli::output;
use crate::cli::patience::Patience;
use crate::core::key::Key;
use crate::core::key::KeyReading;
use crate::core::key::read_key;
use crate::core::record::Record;
use crate::service::clock::SystemClock;
use crate::service::ports::Clock;

const ABOUT: &str = "Two Kafka clusters inside this process, with a registry's _schemas topic on \
                     each, and two links between them. No Kafka, no Docker, no JVM; nothing of \
                     yours is touched. This is all the configuration there is:";

const GROUP_FORMS: &str = "A consumer group on the target elects the one writer of a scope. A \
                           broker gives a new group 3 s to form: hence the pause here.";

const PROOF: &str = "Nobody has to believe a copy: verify reads both topics afresh and compares \
                     them key by key. It ends with an exit code, for scripts: 0 is equal.";

const NEXT: &str = "schema-mirror plan --from broker:9092 --to broker2:9092 --context .source";

/// The story as one document. The fields are stable.
#[derive(Debug, Serialize)]
struct Story {
    /// `equal`, or `different`.
    result: &'static str,
    seconds: f64,
    configuration: String,
    steps: Vec<Step>,
    /// As `verify` gives it.
    verify: Vec<Answer>,
    /// What to run next.
    next: &'static str,
}

/// Tells the story and gives the exit code.
pub(super) async fn demo(wanted: Output, log: Kept, clock: SystemClock) -> u8 {
    let mut teller = Teller { wanted, log, paint: Paint::wanted(), steps: Vec::new() };
    match teller.tell(clock).await {
        Ok(code) => code,
        Err(trouble) => {
            let said = joined(&teller.log.take());
            output::complain(&format!("error: the demo broke off: {trouble}\n{said}"));
            exit::FAULT
        }
    }
}

/// Prints each step as it happens, or keeps all of them for one document.
#[derive(Debug)]
struct Teller {
    wanted: Output,
    log: Kept,
    paint: Paint,
    steps: Vec<Step>,
}

impl Teller {
    async fn tell(&mut self, clock: SystemClock) -> Result<u8, Trouble> {
        let mut world = World::start(clock).await?;
        self.open(&world);
        // The links' group forms while the registries' records are shown.
        world.start_links();

        let act = script::registries();
        self.begin(&act);
        let mut played = world.play(&act).await?;
        played.arrived.clear();
        self.finish(&act, &played, Vec::new(), Vec::new());

        let act = script::first_copy();
        self.begin(&act);
        let pause =
            wrapped(GROUP_FORMS).iter().map(|line| self.paint.dim(line)).collect::<Vec<_>>();
        self.say(&format!("{}\n", joined(&pause)));
        let played = world.play(&act).await?;
        world.settled().await?;
        let notes = first_notes(&world);
        self.finish(&act, &played, notes, Vec::new());
        // Links that start warn of what a mock broker can't tell, which is no part of the story.
        drop(self.log.take());

        for act in script::live() {
            self.begin(&act);
            let left_out = world.left_out();
            let played = world.play(&act).await?;
            world.settled().await?;
            let notes = notes_of(&act, &played, &left_out, &world.left_out());
            let log = self.log.take();
            self.finish(&act, &played, notes, log);
        }
        let code = self.close(&world, clock).await;
        world.end().await;
        Ok(code)
    }

    fn open(&self, world: &World) {
        let mut lines = vec![self.paint.bold("schema-mirror demo"), String::new()];
        lines.extend(wrapped(ABOUT));
        lines.push(String::new());
        lines.extend(world.configuration().lines().map(|line| format!("   {line}")));
        self.say(&joined(&lines));
    }

    fn begin(&self, act: &Act) {
        let number = self.steps.len().saturating_add(1);
        self.say(&show::heading(number, act.title, act.why, self.paint));
    }

    fn finish(&mut self, act: &Act, played: &Played, notes: Vec<String>, log: Vec<String>) {
        let list = |when, records: &[(Side, Record)]| {
            let shown = records.iter().map(|(side, record)| Shown::new(when, *side, record));
            shown.collect::<Vec<_>>()
        };
        let mut records = list(When::Before, &played.before);
        records.extend(list(When::Written, &played.written));
        for arrived in &played.arrived {
            let repairs = act.writes.iter().any(|(side, _)| *side == arrived.0);
            let when = if repairs { When::Repaired } else { When::Copied };
            records.extend(list(when, std::slice::from_ref(arrived)));
        }
        let step = Step {
            number: self.steps.len().saturating_add(1),
            title: act.title,
            why: act.why,
            records,
            notes,
            log,
            milliseconds: u64::try_from(played.taken.as_millis()).unwrap_or(u64::MAX),
        };
        self.say(&show::outcome(&step, self.paint));
        self.steps.push(step);
    }

    async fn close(&mut self, world: &World, clock: SystemClock) -> u8 {
        let number = self.steps.len().saturating_add(1);
        self.say(&show::heading(number, "Do both sides say the same?", PROOF, self.paint));
        let mut verify = Vec::new();
        let mut patience = Patience::begin(clock);
        for link in world.links() {
            let answer = Box::pin(verify_one(link, &mut patience)).await;
            for line in verify_text(&answer).lines() {
                let painted = line.replace("equal;", &format!("{};", self.paint.green("equal")));
                self.say(&format!("   {painted}\n"));
            }
            verify.push(answer);
        }
        let seconds = (clock.monotonic().as_secs_f64() * 10.0).round() / 10.0;
        let code = match code_of(&verify) {
            // Both clusters are in this process: there is no excuse.
            exit::UNKNOWN => exit::FAULT,
            code => code,
        };
        let result = if code == exit::DONE { "equal" } else { "different" };
        self.say(&format!(
            "\n{}  All of this took {seconds:.1} s. Next, with two clusters of your own (it writes \
             nothing):\n   {NEXT}\n",
            self.paint.bold(if code == exit::DONE { "Equal." } else { "Different." }),
        ));
        if self.wanted == Output::Json {
            output::answer_json(&Story {
                result,
                seconds,
                configuration: world.configuration().to_owned(),
                steps: std::mem::take(&mut self.steps),
                verify,
                next: NEXT,
            });
        }
        code
    }

    fn say(&self, text: &str) {
        match self.wanted {
            Output::Table => output::answer(text),
            Output::Json => {}
        }
    }
}

/// What is to be seen in a live act.
fn notes_of(
    act: &Act,
    played: &Played,
    before: &[(String, u64)],
    after: &[(String, u64)],
) -> Vec<String> {
    let mut notes = vec![act.so.replace("{ms}", &played.taken.as_millis().to_string())];
    if !act.awaited.is_empty() {
        return notes;
    }
    if !played.arrived.is_empty() {
        notes.clear();
    }
    for ((link, then), (_, now)) in before.iter().zip(after) {
        let more = now.saturating_sub(*then);
        if more > 0 {
            notes.push(format!("{link} has counted it: {more} record left out."));
        }
    }
    notes
}

/// What the first copy shows: bytes, and that nothing came back.
fn first_notes(world: &World) -> Vec<String> {
    let mut notes = Vec::new();
    let is_pageviews = |record: &&Record| show::key_of(record).ends_with("pageviews-value v1");
    for side in Side::BOTH {
        if let Some(record) = world.records(side).iter().find(is_pageviews) {
            notes.push(format!(" {}", show::value_line(side, record)));
        }
    }
    notes.push(
        "In bytes: only the subject is another one; the schema's text is carried, never made anew."
            .to_owned(),
    );
    for side in Side::BOTH {
        let contexts = contexts(&world.records(side));
        notes.push(format!("Contexts of {} now: {}", side.name(), contexts.join(" and ")));
    }
    notes
}

/// The contexts of a topic's subjects, by name.
fn contexts(records: &[Record]) -> Vec<String> {
    let found: BTreeSet<String> = records
        .iter()
        .filter_map(|record| {
            let KeyReading::Known(Key::Schema(subject, _)) = read_key(record.key.as_deref()?)
            else {
                return None;
            };
            Some(subject.context.to_string())
        })
        .collect();
    found.into_iter().collect()
}
