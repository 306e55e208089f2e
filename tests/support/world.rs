//! Clusters in memory and links between them, run as the service runs them: by comparing whole logs
//! each time, or live, record by record.

use std::collections::BTreeMap;
use std::time::Duration;

use schema_mirror::core::link::Author;
use schema_mirror::core::link::Change;
use schema_mirror::core::link::FenceAgain;
use schema_mirror::core::link::Halt;
use schema_mirror::core::link::Identity;
use schema_mirror::core::link::Link;
use schema_mirror::core::link::Outcome;
use schema_mirror::core::link::Pace;
use schema_mirror::core::link::Write;
use schema_mirror::core::link::brake::Suspicion;
use schema_mirror::core::link::plan::Plan;
use schema_mirror::core::link::purge::Claimed;
use schema_mirror::core::link::purge::Purger;
use schema_mirror::core::link::purge::Stay;
use schema_mirror::core::record::Offset;
use schema_mirror::core::record::Outgoing;
use schema_mirror::core::record::Record;
use schema_mirror::core::record::Room;
use schema_mirror::core::rules::Fence;
use schema_mirror::core::subject::ContextName;

use super::script::LinkSpec;
use super::text;

/// The time of every write.
pub(crate) const WALL_MS: i64 = 1_000_000_000;
/// Rounds after which links between clusters have to be at rest.
const ROUNDS_MAX: usize = 8;

/// A log of one partition.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log {
    pub(crate) records: Vec<Record>,
    pub(crate) next: Offset,
}

impl Log {
    pub(crate) fn append(&mut self, record: Outgoing) {
        let Outgoing { key, value, timestamp_ms, headers } = record;
        let (offset, headers) = (self.next, headers.to_vec());
        self.next += 1;
        let (key, value) = (Some(key.into()), value.map(Into::into));
        self.records.push(Record { offset, timestamp_ms, key, value, headers });
    }

    /// Keeps the newest record of each key; without tombstones where they expired, too.
    pub(crate) fn compact(&mut self, expire: bool) {
        let newest: BTreeMap<_, _> =
            self.records.iter().map(|record| (record.key.clone(), record.offset)).collect();
        self.records.retain(|record| {
            newest.get(&record.key) == Some(&record.offset) && !(expire && record.value.is_none())
        });
    }

    pub(crate) fn at(&self, offset: Offset) -> Option<&Record> {
        let place = self.records.binary_search_by_key(&offset, |record| record.offset).ok()?;
        self.records.get(place)
    }

    pub(crate) fn state(&self) -> Vec<String> {
        text::state(self.pairs())
    }

    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.records
            .iter()
            .map(|record| (record.key.as_deref().unwrap_or_default(), record.value.as_deref()))
    }
}

/// How links are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Comparing both logs from their beginning, each time.
    Reconcile,
    /// Record by record.
    Live,
}

/// A link with what the service keeps for it.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) spec: LinkSpec,
    pub(crate) link: Link,
    source_next: Offset,
    target_next: Offset,
    pub(crate) halted: Option<Halt>,
    released: bool,
    suspicion: Option<Suspicion>,
    epoch: u64,
    /// It is purged: so many of its lives took something away.
    pub(crate) purged: Option<usize>,
}

/// Clusters and links.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) way: Way,
    pub(crate) logs: BTreeMap<String, Log>,
    pub(crate) running: Vec<Running>,
    /// Lines of what the links appended, in order.
    pub(crate) written: Vec<String>,
    /// What became of the source's records that were followed.
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) hours: u64,
    /// What the last purge left.
    pub(crate) stays: Vec<Stay>,
    started: bool,
}

impl World {
    pub(crate) fn new(way: Way, specs: &[LinkSpec]) -> Self {
        let clusters = specs.iter().flat_map(|spec| [spec.from.clone(), spec.to.clone()]);
        let running = specs.iter().map(|spec| Running {
            spec: spec.clone(),
            link: new_link(spec, 0),
            source_next: 0,
            target_next: 0,
            halted: None,
            released: false,
            suspicion: None,
            epoch: 0,
            purged: None,
        });
        Self {
            way,
            logs: clusters.map(|cluster| (cluster, Log::default())).collect(),
            running: running.collect(),
            written: Vec::new(),
            outcomes: Vec::new(),
            hours: 0,
            stays: Vec::new(),
            started: false,
        }
    }

    pub(crate) fn append(&mut self, cluster: &str, record: Outgoing) {
        self.logs.entry(cluster.to_owned()).or_default().append(record);
        self.pump_if_live();
    }

    fn pump_if_live(&mut self) {
        if self.started && self.way == Way::Live {
            self.pump();
        }
    }

    /// A record with a null key, which a compacted topic refuses.
    pub(crate) fn append_without_key(&mut self, cluster: &str, value: Option<Vec<u8>>) {
        let log = self.logs.entry(cluster.to_owned()).or_default();
        log.append(Outgoing { value, ..Outgoing::default() });
        if let Some(record) = log.records.last_mut() {
            record.key = None;
        }
        self.pump_if_live();
    }

    /// Links begin, or begin again.
    pub(crate) fn start(&mut self) {
        self.started = true;
        if self.way == Way::Live {
            for place in 0..self.running.len() {
                self.begin(place);
            }
            self.pump();
        }
    }

    /// Everything that is to be done is done.
    pub(crate) fn settle(&mut self) {
        match self.way {
            Way::Live => self.pump(),
            Way::Reconcile => {
                for round in 0..ROUNDS_MAX {
                    let before = self.written.len();
                    for place in 0..self.running.len() {
                        self.begin(place);
                    }
                    if self.written.len() == before {
                        return;
                    }
                    let alone = self.running.len() == 1 && round > 0;
                    let more = &self.written[before..];
                    assert!(!alone, "a second start writes: {more:#?}");
                }
                panic!("the links do not come to rest: {:#?}", self.written);
            }
        }
    }

    pub(crate) fn release(&mut self) {
        self.running.iter_mut().for_each(|running| running.released = true);
    }

    pub(crate) fn suspect(&mut self, suspicion: &Suspicion) {
        for running in &mut self.running {
            running.suspicion = Some(suspicion.clone());
        }
    }

    pub(crate) fn fence_again(&mut self, context: Option<&ContextName>) {
        for running in &mut self.running {
            let end = self.logs[&running.spec.to].next;
            running.spec.permissions.fence_again = match context {
                None => FenceAgain::all(),
                Some(context) => {
                    FenceAgain { lifted: None, named: BTreeMap::from([(context.clone(), end)]) }
                }
            };
        }
    }

    /// Purges the first link, up to so many removals: the process dies then.
    pub(crate) fn purge(&mut self, most: usize) {
        let mut purger = self.purger();
        if let Err(halt) = purger.check_fences() {
            self.running[0].halted = Some(halt);
            return;
        }
        let purge = purger.plan();
        for removal in purge.removals.iter().take(most) {
            let write = purger.take_away(&removal.key);
            let records = purger.outgoing(&write, WALL_MS, &mut Room::default()).unwrap();
            for record in records {
                self.written.push(text::line(&record.key, record.value.as_deref()));
                self.logs.get_mut(&self.running[0].spec.to).unwrap().append(record);
            }
        }
        if purge.removals.len() <= most {
            assert_eq!(purger.plan().removals, [], "it is asked again");
        }
        self.running[0].purged = Some(self.running[0].purged.unwrap_or_default() + 1);
        self.stays = purge.stays;
    }

    /// The first link, by its claim and what the target holds now.
    fn purger(&mut self) -> Purger {
        self.running[0].epoch += 1;
        let Running { spec, epoch, .. } = &self.running[0];
        let others = self.running[1..].iter().filter(|other| other.spec.to == spec.to);
        let claimed = Claimed {
            scope: spec.rules.scope(),
            former: spec.history.former.clone(),
            began_at: spec.history.began_at,
            adopted_below: spec.history.adopted_below,
            fenced: spec.rules.fence != Fence::None,
            others: others
                .map(|other| (other.spec.rules.name.clone(), other.spec.rules.scope()))
                .collect(),
        };
        let mut purger = Purger::new(spec.rules.clone(), identity(spec, *epoch), claimed);
        for record in &self.logs[&spec.to].records {
            purger.read(record);
        }
        purger
    }

    /// A link as it would be at a start, with both logs read and nothing decided.
    pub(crate) fn fresh(&self, place: usize) -> Link {
        let running = &self.running[place];
        let mut link = new_link(&running.spec, running.epoch + 1);
        let mut changed = Vec::new();
        for record in &self.logs[&running.spec.to].records {
            link.read_target(record, &mut changed);
        }
        for record in &self.logs[&running.spec.from].records {
            link.fold_source(record);
        }
        link
    }

    fn begin(&mut self, place: usize) {
        let running = &mut self.running[place];
        if running.purged.is_some() {
            return;
        }
        running.epoch += 1;
        running.halted = None;
        let first = !running.spec.history.claimed;
        if first {
            running.spec.history.began_at = self.logs[&running.spec.to].next;
        }
        if first && running.spec.permissions.adopt {
            running.spec.history.adopted_below = self.logs[&running.spec.to].next;
        }
        let epoch = running.epoch;
        let spec = running.spec.clone();
        running.source_next = self.logs[&spec.from].next;
        running.target_next = self.logs[&spec.to].next;
        running.link = new_link(&spec, epoch);
        let mut changed = Vec::new();
        for record in &self.logs[&spec.to].records {
            running.link.read_target(record, &mut changed);
        }
        let streams = running.link.scope_is_empty() && running.link.can_stream();
        let begun = if self.way == Way::Live && streams {
            self.catch_up(place)
        } else {
            self.reconcile(place)
        };
        let running = &mut self.running[place];
        match begun {
            Ok(()) => {
                running.spec.history.claimed = true;
                running.link.brought_up();
                running.spec.permissions.fence_again = FenceAgain::default();
                (running.released, running.suspicion) = (false, None);
            }
            Err(halt) => running.halted = Some(halt),
        }
    }

    /// One pass through the source, as the service makes it into an empty scope.
    fn catch_up(&mut self, place: usize) -> Result<(), Halt> {
        let running = &mut self.running[place];
        running.link.admit()?;
        let opening = running.link.opening();
        let writes = running.link.decide_again(opening);
        self.send(place, writes, None);
        let source = self.logs[&self.running[place].spec.from].records.clone();
        let mut later = Vec::new();
        for record in &source {
            let link = &mut self.running[place].link;
            let step = link.follow_source(record, Pace::CatchingUp)?;
            self.outcomes.push(step.outcome);
            for write in step.writes {
                let elsewhere = matches!(
                    &write.change, Change::Schema { offset, .. } if *offset != record.offset
                );
                if elsewhere {
                    self.running[place].link.not_sent(&write.key);
                    later.push(write.key);
                } else {
                    self.send(place, vec![write], Some(record));
                }
            }
        }
        later.sort();
        later.dedup();
        later.extend(self.running[place].link.closing());
        let writes = self.running[place].link.decide_again(later);
        self.send(place, writes, None);
        Ok(())
    }

    fn reconcile(&mut self, place: usize) -> Result<(), Halt> {
        let running = &mut self.running[place];
        let source = &self.logs[&running.spec.from];
        for record in &source.records {
            running.link.fold_source(record);
        }
        running.link.admit()?;
        let plan = running.link.plan();
        running.link.check_names()?;
        let suspicions: Vec<Suspicion> = running.suspicion.clone().into_iter().collect();
        if !running.released {
            let now = Duration::from_secs(self.hours * 3600);
            running.link.brake(&plan, &suspicions, source.next, now)?;
        }
        let Plan { opening, frees, puts, deletions, .. } = plan;
        for planned in opening {
            let writes = self.running[place].link.decide_again(vec![planned.key]);
            self.send(place, writes, None);
        }
        for planned in frees {
            let write = self.running[place].link.free(&planned.key);
            self.send(place, vec![write], None);
        }
        for planned in puts.into_iter().chain(deletions) {
            let writes = self.running[place].link.decide_again(vec![planned.key]);
            self.send(place, writes, None);
        }
        Ok(())
    }

    /// Appends writes to the target, as the service does.
    fn send(&mut self, place: usize, writes: Vec<Write>, at_hand: Option<&Record>) {
        let running = &mut self.running[place];
        for write in writes {
            let source = &self.logs[&running.spec.from];
            let behind = match &write.change {
                Change::Schema { offset, .. } => {
                    at_hand.filter(|record| record.offset == *offset).or_else(|| source.at(*offset))
                }
                Change::Delete | Change::Context | Change::Mode(_) | Change::Value { .. } => {
                    at_hand
                }
            };
            match running.link.outgoing(&write, behind, WALL_MS, &mut Room::default()) {
                Err(_) => running.link.not_sent(&write.key),
                Ok(records) => {
                    let target = self.logs.get_mut(&running.spec.to).unwrap();
                    for record in records {
                        self.written.push(text::line(&record.key, record.value.as_deref()));
                        target.append(record);
                    }
                }
            }
        }
    }

    /// Feeds every link with what is new in its logs until nothing is.
    fn pump(&mut self) {
        for _ in 0..ROUNDS_MAX * 8 {
            let mut quiet = true;
            for place in 0..self.running.len() {
                quiet &= !self.follow_one(place);
            }
            if quiet {
                return;
            }
        }
        panic!("the links do not come to rest: {:#?}", self.written);
    }

    fn follow_one(&mut self, place: usize) -> bool {
        let running = &mut self.running[place];
        if running.halted.is_some() || running.purged.is_some() {
            return false;
        }
        let from = &self.logs[&running.spec.from].records;
        if let Some(record) = from.iter().find(|record| record.offset >= running.source_next) {
            let record = record.clone();
            running.source_next = record.offset + 1;
            let now = Duration::from_secs(self.hours * 3600);
            let pace = if running.released { Pace::CatchingUp } else { Pace::Live(now) };
            match running.link.follow_source(&record, pace) {
                Ok(step) => {
                    self.outcomes.push(step.outcome);
                    self.send(place, step.writes, Some(&record));
                }
                Err(halt) => running.halted = Some(halt),
            }
            return true;
        }
        let to = &self.logs[&running.spec.to].records;
        let Some(record) = to.iter().find(|record| record.offset >= running.target_next) else {
            return false;
        };
        let record = record.clone();
        running.target_next = record.offset + 1;
        if running.link.author_of(&record) == Author::This {
            running.link.echoed(&record);
        } else {
            match running.link.follow_target(&record) {
                Ok(writes) => self.send(place, writes, None),
                Err(halt) => running.halted = Some(halt),
            }
        }
        true
    }
}

fn new_link(spec: &LinkSpec, epoch: u64) -> Link {
    let (rules, history) = (spec.rules.clone(), spec.history.clone());
    Link::new(rules, identity(spec, epoch), history, spec.permissions.clone())
}

fn identity(spec: &LinkSpec, epoch: u64) -> Identity {
    Identity {
        writer: "writer".to_owned(),
        epoch,
        source_cluster: spec.from.clone(),
        target_cluster: spec.to.clone(),
    }
}
