//! Consumer groups whose partition owner may write, and the lease as one of our processes sees it.

use std::collections::BTreeSet;
use std::time::Duration;

use schema_mirror::service::ports::Fault;
use schema_mirror::service::ports::FaultClass;
use schema_mirror::service::ports::Lease;
use schema_mirror::service::ports::LeaseRequest;
use schema_mirror::service::ports::LeaseState;

use super::swarm::Chaos;
use super::swarm::Sabotage;
use super::world::NETWORK;
use super::world::Pid;
use super::world::Run;
use super::world::Sim;
use super::world::World;

const SESSION: Duration = Duration::from_secs(6);
const MARGIN: Duration = Duration::from_secs(1);
const HEARTBEAT: Duration = Duration::from_millis(1500);
/// The coordinator waits so long for a member that has to give up its partition.
const GIVE_UP_LIMIT: Duration = Duration::from_secs(3);

#[derive(Debug)]
struct Member {
    number: u64,
    process: Pid,
    instance: Option<String>,
    /// The coordinator forgets it then.
    deadline: Duration,
    /// What the process knows.
    local: LeaseState,
    /// Nothing of its is on its way any more.
    drained: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Group {
    members: Vec<Member>,
    owner: Option<u64>,
    /// The owner has to give up; it is another's then.
    leaving: Option<(u64, Duration)>,
    /// The owner may write from then on.
    granted_at: Duration,
    made: u64,
    /// Members that left for good.
    left: BTreeSet<u64>,
}

impl Group {
    fn member(&mut self, number: u64) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.number == number)
    }

    fn join(&mut self, process: Pid, instance: Option<&String>, now: Duration) -> u64 {
        self.made += 1;
        let number = self.made;
        // The same instance comes back: its old self is fenced, its partition is its own at once.
        let old =
            self.members.iter_mut().find(|m| instance.is_some() && m.instance.as_ref() == instance);
        if let Some(old) = old {
            old.instance = None;
            old.deadline = Duration::ZERO;
            old.local = LeaseState::Lost(fault("another process took this instance's id"));
            if self.owner == Some(old.number) {
                self.owner = Some(number);
                self.granted_at = now;
            }
        }
        self.enter(number, process, instance.cloned(), now);
        number
    }

    fn enter(&mut self, number: u64, process: Pid, instance: Option<String>, now: Duration) {
        let local = LeaseState::Standby;
        let deadline = now + SESSION;
        self.members.push(Member { number, process, instance, deadline, local, drained: false });
    }

    fn leave(&mut self, number: u64) {
        self.left.insert(number);
        self.members.retain(|member| member.number != number);
        if self.owner == Some(number) {
            self.owner = None;
        }
    }

    /// A process hears from the coordinator.
    fn heartbeat(&mut self, number: u64, now: Duration, twice: bool) -> bool {
        let owns = (self.owner == Some(number) && self.leaving.is_none()) || twice;
        let granted = now >= self.granted_at;
        let Some(member) = self.member(number) else { return false };
        if matches!(member.local, LeaseState::Lost(_)) {
            return true;
        }
        if member.deadline < now {
            return false;
        }
        member.deadline = now + SESSION;
        member.local = if owns && granted {
            LeaseState::Held { until: now + SESSION - MARGIN }
        } else {
            LeaseState::Standby
        };
        true
    }

    fn sweep(&mut self, now: Duration, waits: Duration) {
        self.members.retain(|m| m.deadline >= now || matches!(m.local, LeaseState::Lost(_)));
        if let Some((number, since)) = self.leaving {
            let gave_up = self.members.iter().find(|m| m.number == number).is_none_or(|member| {
                let stopped = !matches!(member.local, LeaseState::Held { .. });
                let silent = member.deadline < now;
                let waited = now.saturating_sub(since) > GIVE_UP_LIMIT;
                silent || (stopped && (member.drained || waited))
            });
            if gave_up {
                self.leaving = None;
                self.owner = None;
                // The others come first now.
                self.members.sort_by_key(|member| member.number == number);
            }
        }
        let known = |number| self.members.iter().any(|m| m.number == number && m.deadline >= now);
        if !self.owner.is_some_and(known) {
            self.owner = None;
        }
        if self.owner.is_none() {
            let next = self.members.iter_mut().find(|member| member.deadline >= now);
            if let Some(next) = next {
                next.drained = false;
                self.owner = Some(next.number);
                self.granted_at = now + waits;
            }
        }
    }
}

fn fault(cause: &str) -> Fault {
    Fault {
        operation: "join",
        object: "the group".to_owned(),
        cluster: "simulated".to_owned(),
        cause: cause.to_owned(),
        class: FaultClass::Transient,
    }
}

/// Members of a group that are alive.
pub(crate) fn members(world: &World, cluster: usize, group: &str) -> Vec<String> {
    let now = world.now();
    let group = world.clusters[cluster].groups.get(group);
    let members = group.into_iter().flat_map(|group| &group.members);
    members.filter(|m| m.deadline >= now).map(|m| format!("process {}", m.process)).collect()
}

/// Whether the coordinator has nobody else for the writer.
pub(crate) fn is_owner(world: &World, cluster: usize, group: &str, process: Pid) -> bool {
    world.clusters[cluster].groups.get(group).is_some_and(|group| {
        group.members.iter().any(|m| m.process == process && (group.owner == Some(m.number)))
    })
}

/// The brokers' own pace: members that were not heard of go, others follow.
pub(crate) async fn coordinate(sim: Sim) {
    loop {
        let busy = |world: &mut World| {
            let mut groups = world.clusters.iter().flat_map(|cluster| cluster.groups.values());
            groups.any(|group| !group.members.is_empty()).then_some(())
        };
        sim.until(NETWORK, busy).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        sim.with(|world| {
            let now = world.now();
            let waits = world.rng.pause(Duration::from_secs(3));
            let moves = world.strikes(Chaos::Handover, 3);
            for cluster in &mut world.clusters {
                for group in cluster.groups.values_mut() {
                    if moves && group.members.len() > 1 && group.leaving.is_none() {
                        group.leaving = group.owner.map(|owner| (owner, now));
                    }
                    group.sweep(now, waits);
                }
            }
        });
    }
}

/// A member of a group, as the link holds it.
#[derive(Debug)]
pub(crate) struct SimLease {
    sim: Sim,
    process: Pid,
    cluster: usize,
    group: String,
    number: u64,
    seen: std::mem::Discriminant<LeaseState>,
}

impl SimLease {
    pub(crate) fn join(sim: &Sim, process: Pid, cluster: usize, request: &LeaseRequest) -> Self {
        let number = sim.with(|world| {
            let now = world.now();
            let group = world.clusters[cluster].groups.entry(request.group.clone()).or_default();
            group.join(process, request.instance.as_ref(), now)
        });
        tokio::spawn(beat(sim.clone(), process, cluster, request.group.clone(), number));
        Self {
            sim: sim.clone(),
            process,
            cluster,
            group: request.group.clone(),
            number,
            seen: std::mem::discriminant(&LeaseState::Standby),
        }
    }

    fn local(&self, world: &mut World) -> LeaseState {
        let held = LeaseState::Held { until: world.now() + SESSION };
        if world.sabotaged(Sabotage::LeaseForever) && self.seen == std::mem::discriminant(&held) {
            return held;
        }
        let groups = &mut world.clusters[self.cluster].groups;
        let member = groups.get_mut(&self.group).and_then(|group| group.member(self.number));
        member.map_or(LeaseState::Standby, |member| member.local.clone())
    }
}

/// Heartbeats of one member, until it left or its process died.
async fn beat(sim: Sim, process: Pid, cluster: usize, group: String, number: u64) {
    loop {
        let pause = sim.lock().rng.pause(HEARTBEAT) + HEARTBEAT / 2;
        tokio::time::sleep(pause).await;
        let goes_on = sim.with(|world| {
            let now = world.now();
            let twice = world.sabotaged(Sabotage::LeaseTwice);
            let reachable = world.clusters[cluster].up;
            let run = world.processes[process].run;
            let Some(group) = world.clusters[cluster].groups.get_mut(&group) else { return false };
            match run {
                Run::Dead => false,
                Run::Frozen => true,
                Run::Up if !reachable => true,
                Run::Up => {
                    if group.left.contains(&number) {
                        return false;
                    }
                    if !group.heartbeat(number, now, twice) {
                        // It was forgotten meanwhile and joins again.
                        group.leave(number);
                        group.left.remove(&number);
                        group.enter(number, process, None, now);
                    }
                    true
                }
            }
        });
        if !goes_on {
            return;
        }
    }
}

impl Lease for SimLease {
    fn state(&self) -> LeaseState {
        self.local(&mut self.sim.lock())
    }

    async fn changed(&mut self) -> LeaseState {
        let seen = self.seen;
        let state = {
            let this = &*self;
            let news = |world: &mut World| {
                let state = this.local(world);
                (std::mem::discriminant(&state) != seen).then_some(state)
            };
            this.sim.until(this.process, news).await
        };
        self.seen = std::mem::discriminant(&state);
        state
    }

    fn drained(&self) {
        self.sim.with(|world| {
            let groups = &mut world.clusters[self.cluster].groups;
            if let Some(member) = groups.get_mut(&self.group).and_then(|g| g.member(self.number)) {
                member.drained = true;
            }
        });
    }
}

impl Drop for SimLease {
    fn drop(&mut self) {
        // A process that is dead, or torn down with the run, leaves nothing.
        self.sim.with(|world| {
            if world.processes[self.process].run == Run::Up {
                let groups = &mut world.clusters[self.cluster].groups;
                if let Some(group) = groups.get_mut(&self.group) {
                    group.leave(self.number);
                }
            }
        });
    }
}
