//! Two and three instances of one link, whose writer is killed, stopped, or cut off.

use std::{
    collections::BTreeMap,
    fs,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use super::{
    proxy::{Proxied, Way},
    wait_for_more,
};
use crate::{
    broker::{COMPACT_SOON, shared_source},
    flow::{OFTEN, Registry, while_flowing},
    message::Record,
    mirror::{LINK_LIMIT, Mirror, SOURCE_SETTINGS, Scene, write_config},
    numbers::numbered,
    process::{now, poll_until},
    records::{key_of, schema, schema_key, soft_deleted, version_in, written_by},
};

/// What is promised: another instance writes so long after the writer was lost.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(10);
/// A subject whose name is found in what an instance sends.
const LATE: &str = "late-7c1d-value";

/// The target of these tests, for one at a time.
fn proxied() -> MutexGuard<'static, Proxied> {
    static PROXIED: OnceLock<Mutex<Proxied>> = OnceLock::new();
    let proxied = PROXIED.get_or_init(|| Mutex::new(Proxied::start("proxied")));
    let proxied = proxied.lock().unwrap_or_else(PoisonError::into_inner);
    for instance in ["one", "two", "three"] {
        proxied.set(instance, Way::Open);
    }
    proxied
}

fn scene<'a>(name: &'static str, proxied: &'a Proxied) -> Scene<'a> {
    let mut scene = Scene::between(name, shared_source(), &proxied.broker);
    scene.link_lines = vec!["max_delete_share: 1"];
    scene.source.create_topic(&scene.source_topic(), 1, &SOURCE_SETTINGS);
    scene.with_neighbours(&COMPACT_SOON[..1])
}

/// Instances by their names.
struct Instances<'a> {
    scene: &'a Scene<'a>,
    proxied: &'a Proxied,
    running: BTreeMap<&'static str, Mirror>,
}

impl<'a> Instances<'a> {
    /// All of them, once they have settled who writes.
    fn start(scene: &'a Scene<'a>, proxied: &'a Proxied, names: &[&'static str]) -> Self {
        let mut instances = Self { scene, proxied, running: BTreeMap::new() };
        for name in names {
            instances.add(name);
        }
        instances
    }

    /// One more; it stands by or writes.
    fn add(&mut self, name: &'static str) {
        let text = fs::read_to_string(self.scene.config(name)).unwrap();
        let text = text.replace(&self.scene.target.bootstrap(), self.proxied.address());
        let config = write_config(self.scene.folder.path(), name, &text);
        let mirror = Mirror::start(&config, &[]);
        mirror.wait_for("standby");
        self.running.insert(name, mirror);
    }

    /// Who wrote last.
    fn writer(&self) -> &'static str {
        let (name, _) = written_by(self.scope_log().last().unwrap()).unwrap();
        self.running.keys().find(|known| **known == name).expect("a writer that was started")
    }

    fn scope_log(&self) -> Vec<Record> {
        let log = self.scene.target_log().into_iter();
        log.filter(|record| written_by(record).is_some()).collect()
    }

    /// Waits until another one than this writes; the source goes on meanwhile.
    #[track_caller]
    fn wait_for_heir_of(&self, lost: &str, fault: &str) {
        let since = now();
        let heir = poll_until(LINK_LIMIT, &format!("another one than {lost} writes"), || {
            Some(self.writer()).filter(|writer| *writer != lost)
        });
        let taken = since.elapsed();
        eprintln!("{lost} was {fault}; {heir} wrote after {taken:?}");
        assert!(taken < TAKEN_OVER_WITHIN, "{heir} took over from {lost} after {taken:?}");
    }

    fn of(&mut self, name: &str) -> &mut Mirror {
        self.running.get_mut(name).unwrap()
    }

    /// Waits for everything, and ends all of them well.
    #[track_caller]
    fn finish(mut self) -> BTreeMap<&'static str, Mirror> {
        self.scene.wait_done();
        for (name, mirror) in &mut self.running {
            assert_eq!(mirror.end(), 0, "{name} ends well: {:?}", mirror.errors());
        }
        self.running
    }
}

/// Leases began one after the other, and none wrote when the next one had begun; but for one that was
/// stopped, of which arrives late what it had sent. The lease that stood then goes on behind it.
#[track_caller]
fn assert_one_writes_at_a_time(log: &[Record], stopped: &str) {
    let mut reigns: Vec<_> = log.iter().filter_map(written_by).collect();
    reigns.dedup();
    let mut newest = (String::new(), 0);
    for reign in &reigns {
        let (name, epoch) = reign;
        let is_late = *epoch < newest.1 && name == stopped;
        let goes_on = *reign == newest || *epoch > newest.1;
        assert!(is_late || goes_on, "a lease that ended wrote again: {reigns:?}");
        if goes_on {
            newest.clone_from(reign);
        }
    }
}

/// What an instance may say besides its steps when leases come and go.
const LEASES: [(&str, usize); 4] = [
    ("the lease was not renewed in time", 2),
    ("waiting", 4),
    ("target away", 2),
    (LATE_ARRIVED, 100),
];
/// What a writer had sent before it was stopped or cut off may arrive after it was followed.
const LATE_ARRIVED: &str = "late: an earlier writer's record arrived; putting it right";

#[test]
fn of_three_instances_one_writes_when_the_writer_is_killed_stopped_and_cut_off() {
    let proxied = proxied();
    let scene = scene("three", &proxied);
    let mut registry = Registry::seeded(3);
    scene.produce(&registry.steps(20));
    let mut instances = Instances::start(&scene, &proxied, &["one", "two", "three"]);
    let mut stopped = "";
    while_flowing(&scene, &mut registry, OFTEN, || {
        wait_for_more(&scene, 100);
        let killed = instances.writer();
        instances.of(killed).kill();
        instances.wait_for_heir_of(killed, "killed");
        instances.add(killed);

        wait_for_more(&scene, 100);
        stopped = instances.writer();
        instances.of(stopped).pause();
        instances.wait_for_heir_of(stopped, "stopped");
        instances.of(stopped).resume();
        wait_for_more(&scene, 100);

        let cut = instances.writer();
        proxied.set(cut, Way::Cut);
        instances.wait_for_heir_of(cut, "cut off");
        proxied.set(cut, Way::Open);
        wait_for_more(&scene, 100);
    });
    let ended = instances.finish();
    let log = scene.assert_aftermath();
    assert!(registry.is_in(&scene.target_state()));
    assert_one_writes_at_a_time(&log, stopped);
    ended.values().for_each(|mirror| mirror.assert_story(5, &LEASES));
}

#[test]
fn a_writer_that_hears_nothing_from_its_target_stops_and_a_second_one_goes_on() {
    let proxied = proxied();
    let scene = scene("unheard", &proxied);
    let mut registry = Registry::seeded(4);
    scene.produce(&registry.steps(20));
    let instances = Instances::start(&scene, &proxied, &["one", "two"]);
    while_flowing(&scene, &mut registry, OFTEN, || {
        wait_for_more(&scene, 100);
        let unheard = instances.writer();
        proxied.set(unheard, Way::Held);
        instances.wait_for_heir_of(unheard, "held up");
        instances.running[unheard].wait_for("the lease was not renewed in time");
        proxied.set(unheard, Way::Open);
        wait_for_more(&scene, 100);
    });
    let ended = instances.finish();
    // What was held up arrives late, and is put right where it says something old.
    scene.assert_aftermath();
    assert!(registry.is_in(&scene.target_state()));
    ended.values().for_each(|mirror| mirror.assert_story(4, &LEASES));
}

#[test]
fn what_a_stopped_writer_had_sent_arrives_late_and_is_put_right() {
    let proxied = proxied();
    let scene = scene("late", &proxied);
    let mut registry = Registry::seeded(5);
    scene.produce(&registry.steps(20));
    scene.produce(&[numbered(schema(LATE, 1, 90_000), 1)]);
    let mut instances = Instances::start(&scene, &proxied, &["one", "two"]);
    while_flowing(&scene, &mut registry, OFTEN, || wait_for_more(&scene, 100));
    scene.wait_done();

    let stopped = instances.writer();
    proxied.set(stopped, Way::Held);
    scene.produce(&[numbered(schema(LATE, 1, 90_000), 2)]);
    poll_until(LINK_LIMIT, "its write is on its way", || {
        proxied.holds(stopped, LATE).then_some(())
    });
    instances.of(stopped).pause();
    while_flowing(&scene, &mut registry, OFTEN, || {
        instances.wait_for_heir_of(stopped, "stopped with a write on its way");
        scene.produce(&[numbered(soft_deleted(LATE, 1, 90_000), 3)]);
        let subject = format!(":.source:{LATE}");
        let is_deleted =
            |state: &crate::records::State| version_in(state, &subject, 1) == Some((90_000, true));
        scene.wait_target("the heir writes what came next", is_deleted);

        // Its session is over, and what it had sent is let through now.
        let of_late = |record: &Record| key_of(record) == schema_key(&subject, 1);
        let mut told = Vec::new();
        let end = scene.target_log().last().map_or(0, |record| record.offset);
        proxied.set(stopped, Way::Open);
        poll_until(LINK_LIMIT, "the late write arrived and was put right", || {
            let log: Vec<_> = scene.target_log().into_iter().filter(of_late).collect();
            let late = log.iter().filter(|record| record.offset > end);
            let now: Vec<_> = log.iter().map(|r| (r.offset, written_by(r))).collect();
            if now != told {
                eprintln!("after {end} the key's records are {now:?}");
                told = now;
            }
            let mut after = late.filter_map(written_by);
            (after.next()?.0 == stopped && after.next()?.0 != stopped).then_some(())
        });
        scene.wait_target("it is as the source says", is_deleted);
        instances.of(stopped).resume();
        instances.of(stopped).wait_for_nth("standby", 2);
        wait_for_more(&scene, 100);
    });
    let ended = instances.finish();
    scene.assert_aftermath();
    assert!(registry.is_in(&scene.target_state()));
    ended.values().for_each(|mirror| mirror.assert_story(4, &LEASES));
}
