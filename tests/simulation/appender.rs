//! A simulated idempotent producer: in order, acknowledged late, lost or landed when its process
//! dies.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use schema_mirror::core::record::Offset;
use schema_mirror::core::record::Outgoing;
use schema_mirror::service::ports::Appender;
use schema_mirror::service::ports::Fault;
use schema_mirror::service::ports::FaultClass;
use schema_mirror::service::ports::Progress;
use schema_mirror::service::ports::RecordLimit;

use super::sabotage;
use super::swarm::Chaos;
use super::swarm::Sabotage;
use super::world::Author;
use super::world::NETWORK;
use super::world::Pid;
use super::world::Run;
use super::world::SCHEMAS;
use super::world::Sim;
use super::world::World;

/// What the producer's queue holds at most.
const QUEUE_MAX: usize = 24;
/// A write that was sent twice, as its first acknowledgement got lost, is acknowledged like this
/// (librdkafka answers so when the broker knows the sequence number already).
const NO_OFFSET: Offset = -1;

#[derive(Debug, Default)]
struct Session {
    queue: VecDeque<Outgoing>,
    appended: u64,
    progress: Progress,
    closed: bool,
}

/// Where a session writes.
#[derive(Debug, Clone)]
struct Route {
    process: Pid,
    cluster: usize,
    topic: String,
    partition: usize,
}

#[derive(Debug)]
pub(crate) struct SimAppender {
    sim: Sim,
    route: Route,
    session: Arc<Mutex<Session>>,
}

fn locked(session: &Mutex<Session>) -> MutexGuard<'_, Session> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SimAppender {
    pub(crate) fn open(
        sim: &Sim,
        process: Pid,
        cluster: usize,
        topic: &str,
        partition: usize,
    ) -> Self {
        let session = Arc::new(Mutex::new(Session::default()));
        let route = Route { process, cluster, topic: topic.to_owned(), partition };
        let producer =
            Producer { sim: sim.clone(), route: route.clone(), session: Arc::clone(&session) };
        tokio::spawn(producer.send());
        Self { sim: sim.clone(), route, session }
    }

    fn fault(&self, cause: &str) -> Fault {
        fault(&self.route.topic, cause, FaultClass::Transient)
    }
}

fn fault(topic: &str, cause: &str, class: FaultClass) -> Fault {
    Fault {
        operation: "append to",
        object: format!("topic {topic}"),
        cluster: "simulated".to_owned(),
        cause: cause.to_owned(),
        class,
    }
}

impl Appender for SimAppender {
    fn append(&mut self, write: &Outgoing) -> Result<Option<u64>, Fault> {
        let number = {
            let mut world = self.sim.lock();
            let mut session = locked(&self.session);
            if session.progress.failed.is_some() {
                return Err(self.fault("an earlier write failed"));
            }
            if session.queue.len() >= QUEUE_MAX {
                return Ok(None);
            }
            super::check::on_append(&mut world, &self.route.topic, self.route.process, write);
            session.queue.push_back(write.clone());
            session.appended += 1;
            session.appended
        };
        self.sim.wake();
        Ok(Some(number))
    }

    fn record_limit(&self) -> RecordLimit {
        RecordLimit { bytes: 1_048_588, raise: "raise the topic's max.message.bytes" }
    }

    async fn room(&mut self) {
        let room = |_: &mut World| {
            let session = locked(&self.session);
            (session.queue.len() < QUEUE_MAX || session.progress.failed.is_some()).then_some(())
        };
        self.sim.until(self.route.process, room).await;
    }

    fn progress(&self) -> Progress {
        locked(&self.session).progress.clone()
    }

    async fn progressed(&self, seen: &Progress) -> Progress {
        let news = |_: &mut World| {
            let progress = &locked(&self.session).progress;
            (progress != seen).then(|| progress.clone())
        };
        self.sim.until(self.route.process, news).await
    }
}

impl Drop for SimAppender {
    fn drop(&mut self) {
        locked(&self.session).closed = true;
        self.sim.wake();
    }
}

/// The network's and the broker's side of a session.
struct Producer {
    sim: Sim,
    route: Route,
    session: Arc<Mutex<Session>>,
}

/// How the producer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Sends,
    Ends,
}

impl Producer {
    async fn send(self) {
        loop {
            if self.ready().await == Standing::Ends {
                break;
            }
            let most = if self.sim.lock().storms(Chaos::LateAck) { 3_000 } else { 60 };
            self.wait(most).await;
            if self.stands() == Some(Standing::Ends) {
                break;
            }
            if self.stands().is_none() || !self.is_up() {
                continue;
            }
            if self.sim.lock().strikes(Chaos::AppendFailure, 4) {
                self.fail("timed out").await;
                return;
            }
            let batch = 1 + self.sim.lock().rng.index(8);
            let mut landed = Vec::new();
            if self.sim.lock().sabotaged(Sabotage::AckBeforeWrite) {
                self.acknowledge_unwritten(batch);
                continue;
            }
            for _ in 0..batch {
                match self.land_one() {
                    None => break,
                    Some(Ok(offset)) => landed.push(offset),
                    Some(Err(refusal)) => {
                        self.acknowledge(&landed);
                        self.refuse(refusal);
                        return;
                    }
                }
            }
            self.wait(most).await;
            if self.sim.lock().strikes(Chaos::RepeatedAck, 15) {
                landed.fill(NO_OFFSET);
            }
            self.miscount(&mut landed);
            self.acknowledge(&landed);
        }
        self.lose().await;
    }

    /// Time on the wire; a session that ends is looked after at once.
    async fn wait(&self, most_ms: u64) {
        let pause = self.sim.lock().rng.pause(Duration::from_millis(most_ms));
        tokio::select! {
            biased;
            () = tokio::time::sleep(pause) => {}
            () = self.sim.until(NETWORK, |world| self.has_ended(world).then_some(())) => {}
        }
    }

    fn is_up(&self) -> bool {
        self.sim.lock().clusters[self.route.cluster].up
    }

    fn stands(&self) -> Option<Standing> {
        let world = self.sim.lock();
        let session = locked(&self.session);
        match world.processes[self.route.process].run {
            Run::Dead => Some(Standing::Ends),
            Run::Frozen => None,
            Run::Up if session.closed => Some(Standing::Ends),
            Run::Up => Some(Standing::Sends),
        }
    }

    fn has_ended(&self, world: &World) -> bool {
        world.processes[self.route.process].run == Run::Dead || locked(&self.session).closed
    }

    async fn ready(&self) -> Standing {
        let ready = |world: &mut World| {
            let session = locked(&self.session);
            match world.processes[self.route.process].run {
                Run::Dead => Some(Standing::Ends),
                Run::Frozen => None,
                Run::Up if session.closed => Some(Standing::Ends),
                Run::Up => {
                    let up = world.clusters[self.route.cluster].up;
                    (up && !session.queue.is_empty()).then_some(Standing::Sends)
                }
            }
        };
        self.sim.until(NETWORK, ready).await
    }

    /// The next write lands; `None` when there is none.
    fn land_one(&self) -> Option<Result<Offset, &'static str>> {
        let mut world = self.sim.lock();
        let mut write = {
            let mut session = locked(&self.session);
            let write = session.queue.pop_front()?;
            if world.sabotaged(Sabotage::Reordered)
                && self.route.topic == SCHEMAS
                && !session.queue.is_empty()
                && world.rng.chance(10)
            {
                let second = session.queue.pop_front()?;
                session.queue.push_front(write);
                second
            } else {
                write
            }
        };
        let Route { process, cluster, topic, partition } = &self.route;
        let fate = sabotage::tamper(&mut world, topic, &mut write);
        let author = Author::Link(*process);
        let mut landed = Ok(world.clusters[*cluster].topics.get(topic)?.partitions[*partition].end);
        for _ in 0..fate {
            landed = world.land(*cluster, topic, *partition, write.clone(), author);
        }
        drop(world);
        self.sim.wake();
        Some(landed)
    }

    fn acknowledge(&self, offsets: &[Offset]) {
        let mut session = locked(&self.session);
        for offset in offsets {
            let progress = &mut session.progress;
            let is_first = progress.acked == 0;
            progress.acked += 1;
            if *offset == NO_OFFSET {
                progress.gapless = false;
                continue;
            }
            progress.gapless = is_first || (progress.gapless && progress.next == *offset);
            progress.first.get_or_insert(*offset);
            progress.next = progress.next.max(offset + 1);
        }
        drop(session);
        self.sim.wake();
    }

    /// Planted: acknowledges a write twice, or never.
    fn miscount(&self, landed: &mut Vec<Offset>) {
        let mut world = self.sim.lock();
        if self.route.topic != SCHEMAS || landed.is_empty() {
            return;
        }
        if world.sabotaged(Sabotage::AckTwice) && world.rng.chance(10) {
            landed.push(landed[landed.len() - 1]);
        }
        if world.sabotaged(Sabotage::AckForgotten) && world.rng.chance(5) {
            landed.pop();
        }
    }

    /// Planted: says that writes are safe, and one in four never is.
    fn acknowledge_unwritten(&self, batch: usize) {
        for _ in 0..batch {
            let end = {
                let world = self.sim.lock();
                let topic = &world.clusters[self.route.cluster].topics[&self.route.topic];
                topic.partitions[self.route.partition].end
            };
            if locked(&self.session).queue.is_empty() {
                return;
            }
            self.acknowledge(&[end]);
            let lost = self.route.topic == SCHEMAS && self.sim.lock().rng.chance(25);
            if lost {
                locked(&self.session).queue.pop_front();
            } else {
                let _landed = self.land_one();
            }
        }
    }

    fn refuse(&self, refusal: &str) {
        let failed = fault(&self.route.topic, refusal, FaultClass::Permanent);
        locked(&self.session).progress.failed = Some(failed);
        self.sim.wake();
    }

    /// A write fails for the link; some of what was under way is in the log all the same.
    async fn fail(&self, cause: &str) {
        let failed = fault(&self.route.topic, cause, FaultClass::Transient);
        let under_way = self.under_way();
        locked(&self.session).queue.truncate(under_way);
        if !self.sim.lock().swarm.has(Chaos::LateLanding) {
            self.land_rest();
        }
        locked(&self.session).progress.failed = Some(failed);
        self.sim.wake();
        self.lose().await;
    }

    /// How much of the queue is on the wire already.
    fn under_way(&self) -> usize {
        let queued = locked(&self.session).queue.len();
        self.sim.lock().rng.index(queued + 1)
    }

    fn land_rest(&self) {
        while let Some(landed) = self.land_one() {
            if landed.is_err() {
                return;
            }
        }
    }

    /// The process is gone: what was on the wire lands, at once or later, the rest is lost.
    async fn lose(&self) {
        let under_way = self.under_way();
        locked(&self.session).queue.truncate(under_way);
        if self.sim.lock().swarm.has(Chaos::LateLanding) {
            self.sim.latency(NETWORK, Duration::from_secs(15)).await;
        }
        self.land_rest();
        locked(&self.session).queue.clear();
    }
}
