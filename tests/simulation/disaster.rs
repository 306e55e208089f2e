//! Sources that can't be believed any more: the brake has to hold before the first delete, and a
//! release works once.

use std::collections::BTreeSet;
use std::time::Duration;

use schema_mirror::core::record::Outgoing;
use schema_mirror::core::rules::DeleteLimit;
use schema_mirror::core::rules::Fence;
use schema_mirror::service::definition::Once;
use schema_mirror::service::status::Phase;

use super::check;
use super::links::LinkSpec;
use super::links::Want;
use super::registry::Held;
use super::registry::Registry;
use super::run::Play;
use super::said::LogKey;
use super::said::Place;
use super::scene::Start;
use super::source;
use super::swarm::Disaster;
use super::world::Author;
use super::world::SCHEMAS;
use super::world::World;

/// How long a link may take to run or to halt.
const DECIDES_WITHIN: Duration = Duration::from_secs(120);

/// Subjects that the source gives to the link and that are live there.
pub(crate) fn source_live(world: &World, link: &LinkSpec) -> usize {
    live_in(&world.clusters[link.from].registry, world, link)
}

/// Whether the source held nothing live for the link at the offset that a halt names.
pub(crate) fn was_empty(world: &World, link: &LinkSpec, halt: &str) -> bool {
    let named = halt.rsplit_once("allow_deletes_until: ").and_then(|(_, end)| end.parse().ok());
    let end: i64 = named.unwrap_or(i64::MAX);
    let history = world.clusters[link.from].history.iter();
    let then = Registry::fold(history.filter(|record| record.offset < end));
    live_in(&then, world, link) == 0
}

fn live_in(source: &Registry, world: &World, link: &LinkSpec) -> usize {
    let target_id = &world.clusters[link.to].id;
    let selected = link.selected(source);
    let mut places = BTreeSet::new();
    for (key, held) in &source.keys {
        let came_back = held.passport.as_ref().is_some_and(|p| p.path.contains(target_id));
        if let LogKey::Schema(place, _) = key
            && selected.contains(place)
            && !held.deleted
            && !came_back
        {
            places.insert(place);
        }
    }
    places.len()
}

pub(crate) async fn strike(play: &mut Play) {
    let Some(disaster) = play.sim.lock().swarm.disaster else { return };
    let while_away = matches!(disaster, Disaster::MassDelete | Disaster::TargetRecreated);
    let alive = play.sim.lock().rng.chance(40) && !while_away;
    if alive {
        play.sim.lock().stormy = false;
    } else {
        play.stop_all().await;
        if disaster == Disaster::MassDelete {
            // What was deleted before is out of the brake's hour.
            tokio::time::sleep(Duration::from_secs(7_300)).await;
        }
    }
    let expected = play.sim.with(|world| {
        let line = format!("disaster {disaster:?}, the link runs: {alive}");
        world.note(|| line);
        befall(world, disaster);
        should_halt(world, disaster)
    });
    let before = play.sim.lock().link_writes;
    if alive && disaster == Disaster::CutOff {
        // A link that has read the log to its end loses nothing; its next start does.
        tokio::time::sleep(Duration::from_secs(20)).await;
        play.stop_all().await;
    }
    if play.instances.is_empty() {
        play.start("host-1", Start::default());
    }
    let halted = decision(play, alive).await;
    if play.failed() {
        return;
    }
    if disaster == Disaster::FenceLifted {
        fence_again(play, expected, halted, before).await;
        return;
    }
    let gradual = alive && matches!(disaster, Disaster::Emptied);
    play.sim.with(|world| {
        let wrote = world.link_writes != before;
        if expected && !gradual && halted.is_none() {
            world.violated(format!("brakes: {disaster:?} did not halt the link"));
        }
        if halted.is_some() && wrote && !gradual {
            world.violated(format!("brakes: {disaster:?}: something was written before the halt"));
        }
        if halted.is_some() && !expected {
            world.violated(format!("brakes: {disaster:?} halted without need: {halted:?}"));
        }
    });
    play.sim.lock().links[0].delete_limit = DeleteLimit::default();
    if !play.failed() && halted.is_some() {
        release(play).await;
    } else if disaster == Disaster::MassDelete {
        play.stop_all().await;
        play.start("host-1", Start::default());
    }
}

/// Waits until the link runs, or halts.
async fn decision(play: &Play, alive: bool) -> Option<String> {
    let deadline = play.sim.lock().now() + DECIDES_WITHIN;
    let patience = if alive { Duration::from_secs(20) } else { Duration::ZERO };
    let from = play.sim.lock().now() + patience;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = play.sim.lock().now();
        for instance in &play.instances {
            let phase = instance.status(0).phase;
            match phase {
                Phase::Halted(reason) => return Some(reason),
                Phase::Running if now > from => return None,
                _ => {}
            }
        }
        if now > deadline {
            play.sim.with(|world| world.violated("life: neither runs nor halts".to_owned()));
            return None;
        }
    }
}

fn befall(world: &mut World, disaster: Disaster) {
    let from = world.links[0].from;
    match disaster {
        Disaster::Recreated => world.clusters[from].recreate(),
        Disaster::RecreatedAndRefilled => {
            let end = world.clusters[from].schemas().end;
            world.clusters[from].recreate();
            for _ in 0..8 {
                source::act(world, from);
            }
            while world.clusters[from].schemas().end < end + 3 {
                let key = br#"{"keytype":"NOOP","magic":0}"#.to_vec();
                source::put(world, from, key, None);
            }
        }
        Disaster::CutOff => {
            let end = world.clusters[from].schemas().end;
            let start =
                1 + i64::try_from(world.rng.below(u64::try_from(end).unwrap_or(1))).unwrap();
            world.clusters[from].schemas_mut().cut_before(start);
            world.clusters[from].refold();
        }
        Disaster::Emptied => delete_all(world, from, usize::MAX),
        Disaster::MassDelete => {
            world.links[0].delete_limit = DeleteLimit { share_max: 0.3, subjects_min: 2 };
            delete_all(world, from, 4);
        }
        Disaster::FenceLifted => lift_fence(world),
        Disaster::TargetRecreated => {
            let to = world.links[0].to;
            world.clusters[to].recreate();
        }
    }
}

/// An operator sets another mode on the link's context, or deletes it.
fn lift_fence(world: &mut World) {
    let link = world.links[0].clone();
    if link.fence == Fence::None {
        return;
    }
    let own = LogKey::Mode(Place::new(link.into.as_deref().unwrap_or("."), ""));
    let value = world.rng.chance(50).then(|| br#"{"mode":"READWRITE"}"#.to_vec());
    let write = Outgoing { key: own.bytes(), value, ..Outgoing::default() };
    world.land(link.to, SCHEMAS, 0, write, Author::Foreign).unwrap();
}

/// Whether a fence that the link set is gone from where it has schemas.
fn misses_fence(world: &World) -> bool {
    let link = &world.links[0];
    let own = Place::new(link.into.as_deref().unwrap_or("."), "");
    let target = &world.clusters[link.to].registry;
    let ours = |(key, held): (&LogKey, &Held)| {
        let wrote = held.passport.as_ref().is_some_and(|passport| passport.link == link.name);
        matches!(key, LogKey::Schema(place, _) if place.context == own.context) && wrote
    };
    let lifted = match target.keys.get(&LogKey::Mode(own.clone())) {
        Some(held) => held.value.get("mode").is_some_and(|mode| mode == "READWRITE"),
        None => target.keys.iter().any(ours),
    };
    lifted && link.fence != Fence::None && link.owns_context(&own.context)
}

/// The link stands still, at its next start too, until it is told to fence again.
async fn fence_again(play: &mut Play, expected: bool, halted: Option<String>, before: u64) {
    let lifted = halted.as_ref().is_some_and(|reason| reason.contains("fence lifted"));
    if expected != lifted || (halted.is_some() && !lifted) {
        let what =
            format!("brakes: a lifted fence has to halt: {expected}, and it came to {halted:?}");
        play.sim.with(|world| world.violated(what));
    }
    if !lifted || play.failed() {
        return;
    }
    play.stop_all().await;
    play.start("host-1", Start::default());
    let again = decision(play, false).await;
    play.stop_all().await;
    play.sim.with(|world| {
        if again.is_none() {
            world.violated("brakes: a lifted fence halts one start, and not the next".to_owned());
        }
        if world.link_writes != before {
            world.violated("brakes: something was written where the fence was lifted".to_owned());
        }
    });
    let once = Once { allow_deletes: false, fence_again: true };
    play.start("host-1", Start { once, ..Start::default() });
    play.settle().await;
}

fn delete_all(world: &mut World, cluster: usize, most: usize) {
    let places: Vec<Place> = world.clusters[cluster].registry.subjects().into_iter().collect();
    for place in places.into_iter().take(most) {
        source::delete_subject(world, cluster, &place);
        for _ in 0..40 {
            source::hard_delete(world, cluster, &place);
        }
    }
}

/// Whether the link would take something away for a reason that is not believed.
fn should_halt(world: &World, disaster: Disaster) -> bool {
    let link = &world.links[0];
    let source = &world.clusters[link.from].registry;
    let target = &world.clusters[link.to].registry;
    let wanted = check::wanted(world, link, source);
    let live_after = |place: &Place| {
        wanted.iter().any(|(key, want)| match (key, want) {
            (LogKey::Schema(of, _), Want::Is(value)) => {
                of == place && value.contains(r#""deleted":false"#)
            }
            // It stays as it is.
            (LogKey::Schema(of, _), Want::Any) => {
                of == place && target.keys.get(key).is_some_and(|held| !held.deleted)
            }
            _ => false,
        })
    };
    let ours = |key: &LogKey| {
        let held = &target.keys[key];
        held.passport.as_ref().is_some_and(|passport| passport.link == link.name)
    };
    let live: BTreeSet<Place> = target
        .keys
        .iter()
        .filter(|(key, held)| matches!(key, LogKey::Schema(..)) && !held.deleted && ours(key))
        .map(|(key, _)| key.place())
        .collect();
    let gone = live.iter().filter(|place| !live_after(place)).count();
    let listed = |key: &LogKey| matches!(key, LogKey::Context(of) if !link.owns_context(of));
    let extra =
        target.keys.keys().any(|key| ours(key) && !wanted.contains_key(key) && !listed(key));
    match disaster {
        Disaster::Recreated | Disaster::RecreatedAndRefilled | Disaster::CutOff => {
            gone > 0 || extra
        }
        Disaster::FenceLifted => misses_fence(world),
        Disaster::TargetRecreated => false,
        Disaster::Emptied => gone > 0 && source_live(world, link) == 0,
        Disaster::MassDelete => {
            let live = u32::try_from(live.len()).unwrap();
            let gone = u32::try_from(gone).unwrap();
            let many = gone >= 2 && f64::from(gone) > 0.3 * f64::from(live);
            many || (gone > 0 && source_live(world, link) == 0)
        }
    }
}

/// An operator allows the deletes; the next disaster is not covered by it.
async fn release(play: &mut Play) {
    play.stop_all().await;
    let (end, by_offset) = {
        let mut world = play.sim.lock();
        let from = world.links[0].from;
        (world.clusters[from].schemas().end, world.rng.chance(50))
    };
    let start = if by_offset {
        Start { allow_deletes_until: Some(end), ..Start::default() }
    } else {
        let once = Once { allow_deletes: true, fence_again: false };
        Start { once, ..Start::default() }
    };
    play.start("host-1", start);
    play.settle().await;
    if play.failed() || !by_offset {
        return;
    }
    again(play, start).await;
}

/// The same release stands in the configuration still, and is used up.
async fn again(play: &mut Play, start: Start) {
    for _ in 0..6 {
        play.sim.with(|world| {
            let from = world.links[0].from;
            source::act(world, from);
        });
    }
    play.settle().await;
    play.stop_all().await;
    let expected = play.sim.with(|world| {
        befall(world, Disaster::Recreated);
        should_halt(world, Disaster::Recreated)
    });
    play.start("host-1", start);
    let halted = decision(play, false).await;
    if expected && halted.is_none() {
        play.sim.with(|world| world.violated("brakes: a release was used twice".to_owned()));
    }
    if halted.is_some() {
        play.stop_all().await;
        let once = Once { allow_deletes: true, fence_again: false };
        play.start("host-1", Start { once, ..Start::default() });
    }
    play.settle().await;
}
