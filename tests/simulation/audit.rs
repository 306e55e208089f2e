//! What holds after every life, asked of the link's own comparison: whether it finds anything to do,
//! and whether everything that is not copied is named with its reason.

use std::collections::BTreeSet;

use bytes::Bytes;
use schema_mirror::core::key::Key;
use schema_mirror::core::link::ledger::About;
use schema_mirror::core::record::Record;
use schema_mirror::service::compare::Comparison;
use schema_mirror::service::compare::compare;

use super::check;
use super::links::LinkSpec;
use super::links::Want;
use super::links::actual;
use super::registry::Held;
use super::registry::Registry;
use super::run::Play;
use super::said::LogKey;
use super::said::Said;
use super::said::said;
use super::scene;
use super::scene::Start;
use super::swarm::Chaos;
use super::world::ClusterState;
use super::world::NETWORK;
use super::world::World;

/// Compares both sides of every link as `verify` does.
pub(crate) async fn audit(play: &Play) {
    let links = play.sim.lock().links.clone();
    for (number, link) in links.iter().enumerate() {
        let source = scene::cluster(&play.sim, NETWORK, link.from);
        let target = scene::cluster(&play.sim, NETWORK, link.to);
        let definition = scene::definition(link, "auditor", Start::default());
        let wall_ms = play.sim.lock().wall_ms();
        let found = match compare(&source, &target, &definition, wall_ms).await {
            Ok(comparison) => {
                let told = told_of(play, number);
                judge(&play.sim.lock(), link, &comparison, told)
            }
            Err(stop) => Err(format!("life: verify of {} came to {stop:?}", link.name)),
        };
        if let Err(what) = found {
            play.sim.with(|world| world.violated(what));
            return;
        }
    }
}

/// Keys that the instance which runs the link calls incidents or holds; none where nobody runs it.
fn told_of(play: &Play, link: usize) -> Option<usize> {
    let mut statuses = play.instances.iter().map(|instance| instance.status(link));
    let running = statuses.find(|status| status.phase.word() == "running");
    running.map(|status| status.keys_set_aside())
}

fn judge(
    world: &World,
    link: &LinkSpec,
    comparison: &Comparison,
    told: Option<usize>,
) -> Result<(), String> {
    let name = &link.name;
    if let Some(halt) = comparison.halts.first() {
        return Err(format!("life: {name} would halt: {halt}"));
    }
    let source = &world.clusters[link.from];
    let target = &world.clusters[link.to];
    if let Some(kept) = &comparison.checkpoint
        && kept.next > source.schemas().end
    {
        return Err(format!(
            "honest position: {name} is kept at {} of {}",
            kept.next,
            source.schemas().end
        ));
    }
    foreign_schemas_stand(link, &target.registry, world)?;
    drift_is_counted(world, link, told)?;
    // Where compaction brought back what an odd record hid, a start reads something else than the
    // registry that ran all the while.
    let reads = |cluster: &ClusterState| Registry::fold(cluster.schemas().records());
    let read = reads(source);
    if read.says() != source.registry.says() || reads(target).says() != target.registry.says() {
        return Ok(());
    }
    let named = named(link, comparison);
    let planned: BTreeSet<LogKey> =
        comparison.plan.changes().filter_map(|planned| log_key(&planned.key)).collect();
    let wanted = check::wanted(world, link, &read);
    for key in &planned {
        let is_open = matches!(wanted.get(key), Some(Want::Any));
        if !is_open && !target.touched.contains_key(&format!("{key:?}")) {
            return Err(format!("idempotence: a start of {name} would write {key:?}"));
        }
    }
    everything_is_accounted_for(link, &read, &target.registry, &(&named | &planned), &target.id)?;
    odd_records_are_named(link, world, &read, &named)
}

/// A key of the crate's in the simulation's own words, by way of its bytes.
fn log_key(key: &Key) -> Option<LogKey> {
    let record = Record { key: Some(Bytes::from(key.canonical())), ..Record::default() };
    match said(&record) {
        Said::State(key, _) => Some(key),
        _ => None,
    }
}

/// Keys of the target that are set aside with a reason.
fn named(link: &LinkSpec, comparison: &Comparison) -> BTreeSet<LogKey> {
    let ledger = comparison.link.ledger();
    let mut named: BTreeSet<LogKey> = ledger.held().filter_map(|(key, _)| log_key(key)).collect();
    for (about, _) in ledger.incidents() {
        match about {
            About::Target(key) => named.extend(log_key(key)),
            About::Source(key) => named.extend(log_key(key).and_then(|key| link.moved(&key))),
            About::Name(_) | About::Unreadable(_) => {}
        }
    }
    named
}

/// One outcome per record: what the link is to copy is in the target, or it is named.
fn everything_is_accounted_for(
    link: &LinkSpec,
    source: &Registry,
    target: &Registry,
    named: &BTreeSet<LogKey>,
    target_id: &str,
) -> Result<(), String> {
    let selected = link.selected(source);
    let came_back = |held: &Held| {
        held.passport.as_ref().is_some_and(|p| p.path.iter().any(|id| id == target_id))
    };
    for (key, held) in &source.keys {
        let LogKey::Schema(place, _) = key else { continue };
        let Some(moved) = link.moved(key).filter(|_| selected.contains(place)) else { continue };
        if came_back(held) || source.faulty.contains(key) || link.is_guess(source, &moved.place()) {
            continue;
        }
        let same = target.keys.get(&moved).is_some_and(|copy| {
            (copy.id(), copy.text(), copy.deleted) == (held.id(), held.text(), held.deleted)
        });
        if !same && !named.contains(&moved) {
            return Err(format!("one outcome: {} leaves {moved:?} without a word", link.name));
        }
    }
    Ok(())
}

/// One bad record never disappears.
fn odd_records_are_named(
    link: &LinkSpec,
    world: &World,
    source: &Registry,
    named: &BTreeSet<LogKey>,
) -> Result<(), String> {
    // Where keys are spelled as Karapace spells them, an empty value is its deletion (rulings 30).
    let deletes = |key: &LogKey| {
        let of_key =
            |record: &&Record| matches!(said(record), Said::Faulty(Some(of), _) if of == *key);
        let newest = world.clusters[link.from].schemas().records().filter(of_key).last();
        let is_empty =
            newest.is_some_and(|record| record.value.as_ref().is_some_and(Bytes::is_empty));
        is_empty && world.swarm.has(Chaos::Legacy)
    };
    for key in &source.faulty {
        let is_copied = matches!(key, LogKey::Schema(..) | LogKey::Config(_));
        let is_chosen = is_copied && link.selects(&key.place()) && !deletes(key);
        if let Some(moved) = link.moved(key).filter(|_| is_chosen)
            && !named.contains(&moved)
        {
            return Err(format!("one outcome: {} says nothing of the odd {key:?}", link.name));
        }
    }
    Ok(())
}

/// A version that somebody else wrote is never deleted, whatever the policy.
fn foreign_schemas_stand(link: &LinkSpec, target: &Registry, world: &World) -> Result<(), String> {
    for (key, stands) in &world.foreign_schemas {
        if *stands && link.may_write(key) && !target.keys.contains_key(key) {
            return Err(format!("one writer: {} deleted the foreign {key:?}", link.name));
        }
    }
    Ok(())
}

/// Drift that stands, as it is only reported or comes again and again, is counted as incidents, and
/// what refers to it as held.
fn drift_is_counted(world: &World, link: &LinkSpec, told: Option<usize>) -> Result<(), String> {
    let Some(told) = told else { return Ok(()) };
    let target = &world.clusters[link.to];
    let found = actual(&target.registry, link);
    let wanted = check::undisturbed(world, link, &world.clusters[link.from].registry);
    let drifted = wanted.iter().filter(|(key, want)| match want {
        Want::Is(want) => found.get(key) != Some(want),
        Want::Any => false,
    });
    let drifted = drifted.count();
    if drifted > told {
        return Err(format!(
            "one writer: {} tells of {told} keys where {drifted} differ",
            link.name
        ));
    }
    Ok(())
}
