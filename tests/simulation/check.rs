//! The invariants of a link, checked whenever something lands and whenever everything is quiet.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use schema_mirror::core::record::Offset;
use schema_mirror::core::record::Outgoing;
use schema_mirror::core::record::Record;
use schema_mirror::core::rules::DriftPolicy;
use schema_mirror::core::rules::Fence;
use schema_mirror::service::state::group_of;
use serde_json::Map;
use serde_json::Value;

use super::group::is_owner;
use super::links::LinkSpec;
use super::links::Want;
use super::links::actual;
use super::links::meaning;
use super::registry::Held;
use super::registry::Registry;
use super::registry::Verdict;
use super::said::LogKey;
use super::said::Place;
use super::said::Said;
use super::said::passport;
use super::said::said;
use super::swarm::Chaos;
use super::world::Pid;
use super::world::Prefix;
use super::world::SCHEMAS;
use super::world::STATE;
use super::world::World;

/// What a schema's record says apart from where it stands and whether it is deleted: the part that
/// nobody may change. The spelling of references' subjects may be forced.
pub(crate) fn content_of(record: &Record) -> Option<(String, String)> {
    let Said::State(LogKey::Schema(place, version), Some(mut value)) = said(record) else {
        return None;
    };
    value.remove("deleted");
    if let Some(Value::Array(list)) = value.get_mut("references") {
        for reference in list.iter_mut().filter_map(Value::as_object_mut) {
            reference.remove("subject");
        }
    }
    Some((format!("{} v{version}", place.name), meaning(&value)))
}

/// A process hands a write to its producer: it has to hold the lease.
pub(crate) fn on_append(world: &mut World, topic: &str, process: Pid, write: &Outgoing) {
    if topic != SCHEMAS {
        return;
    }
    let record = Record { headers: write.headers.to_vec(), ..Record::default() };
    let Some(passport) = passport(&record) else {
        world.violated("one writer: a write without a header".to_owned());
        return;
    };
    let Some(link) = world.links.iter().find(|link| link.name == passport.link) else { return };
    let group = group_of(STATE, &link.rules().scope());
    // A process that was stopped between its look at the lease and the write can't know.
    let thawed_now = world.processes[process].thawed_at == Some(world.now());
    if !is_owner(world, link.to, &group, process) && !thawed_now {
        let name = &passport.link;
        let what = format!("one writer: process {process} writes for {name} without the lease");
        world.violated(what);
    }
}

/// A link's record landed in a schemas topic.
pub(crate) fn on_link_record(
    world: &mut World,
    cluster: usize,
    record: &Record,
    verdict: &Verdict,
    before: &Registry,
) {
    if let Err(what) = judge(world, cluster, record, verdict, before) {
        let at = &world.clusters[cluster].name;
        let key = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned();
        let what = format!("{what}: {at}@{} {key}", record.offset);
        world.violated(what);
    }
}

fn judge(
    world: &World,
    cluster: usize,
    record: &Record,
    verdict: &Verdict,
    before: &Registry,
) -> Result<(), String> {
    let passport = passport(record).ok_or("no loops: a link's record without its header")?;
    let found = world.links.iter().find(|l| l.name == passport.link && l.to == cluster);
    let link = found.ok_or("scope: a link writes into a cluster that is not its target")?;
    if passport.path.contains(&world.clusters[cluster].id) {
        return Err("no loops: the record came from this cluster".to_owned());
    }
    let Said::State(key, value) = said(record) else {
        return Err(format!("harmless: a registry takes it as {verdict:?}"));
    };
    if !link.may_write(&key) {
        return Err("scope: the key is not the link's".to_owned());
    }
    let bytes = record.key.clone().unwrap_or_default();
    let other = bytes != key.bytes();
    let stood = before.spellings.get(&key).is_some_and(|known| known.contains(&bytes[..]));
    if other && (value.is_some() || !stood) {
        return Err("harmless: a second spelling of a key".to_owned());
    }
    match verdict {
        Verdict::Applied | Verdict::Nothing => {}
        Verdict::Skipped(why) => return Err(format!("harmless: a registry skips it ({why})")),
        Verdict::Rejected | Verdict::Broken(_) if world.swarm.interleaves() => {}
        Verdict::Rejected => return Err("harmless: its id is taken".to_owned()),
        Verdict::Broken(why) => return Err(format!("harmless: {why}")),
    }
    if record.timestamp_ms.is_some_and(|then| then > world.wall_ms()) {
        return Err("harmless: a timestamp ahead of now".to_owned());
    }
    if let Some(value) = &value
        && !matches!(key, LogKey::Context(_))
    {
        let spelled = value.get("subject").and_then(Value::as_str).unwrap_or_default();
        if Place::parse(spelled) != key.place() {
            return Err("harmless: its value names another subject, or none".to_owned());
        }
    }
    let needless = is_needless(&key, value.as_ref(), before) && (value.is_some() || !stood);
    let reads_wrong = before.lost_its_id(&key) || before.is_overtaken(&key);
    if needless && !reads_wrong && !may_be_needless(world, link, &key) {
        return Err("idempotence: the target holds exactly this already".to_owned());
    }
    judge_schema(world, link, &key, record, before)
}

/// Whether the target holds what is written already.
fn is_needless(key: &LogKey, value: Option<&Map<String, Value>>, before: &Registry) -> bool {
    match (value, before.keys.get(key)) {
        (None, held) => held.is_none(),
        (Some(_), None) => false,
        (Some(value), Some(held)) => {
            let mark = held.value.get("deleted").and_then(Value::as_bool).unwrap_or_default();
            mark == held.deleted && meaning(&held.value) == meaning(value)
        }
    }
}

/// What a link could not write when it was due, because the value stood in another record that
/// compaction took or that one pass has gone by, it writes to be sure.
fn may_be_needless(world: &World, link: &LinkSpec, key: &LogKey) -> bool {
    let source = &world.clusters[link.from];
    let name = link.original(&key.place().name);
    world.swarm.interleaves()
        || world.swarm.has(Chaos::CompactSource)
        || source.history.iter().any(
            |record| matches!(said(record), Said::DeleteSubject(place, _) if place.name == name),
        )
}

fn judge_schema(
    world: &World,
    link: &LinkSpec,
    key: &LogKey,
    record: &Record,
    before: &Registry,
) -> Result<(), String> {
    let (LogKey::Schema(place, _), Some(content)) = (key, link.content_of(record)) else {
        return Ok(());
    };
    if !world.clusters[link.from].contents.contains_key(&content) {
        return Err("unharmed data: the source never said this".to_owned());
    }
    if let Some(left) = left_behind(link, record) {
        return Err(format!(
            "harmless: it refers to {left}, which the link's filter leaves behind"
        ));
    }
    if world.swarm.interleaves() || !link.owns_context(&place.context) {
        return Ok(());
    }
    let own = Place::new(&place.context, "");
    let mode = LogKey::Mode(own.clone());
    if link.fence != Fence::None && !before.keys.contains_key(&mode) {
        return Err("fence: a schema before its context's mode".to_owned());
    }
    if !before.keys.contains_key(&LogKey::Config(own)) {
        return Err("order: a schema before its context's settings".to_owned());
    }
    let declared = before.keys.contains_key(&LogKey::Context(place.context.clone()));
    if place.context != "." && !declared {
        return Err("order: a schema before its CONTEXT record".to_owned());
    }
    Ok(())
}

/// A reference of a live version into a context that the link does not map: in the target another
/// subject could stand under that name.
fn left_behind(link: &LinkSpec, record: &Record) -> Option<String> {
    let Said::State(_, Some(value)) = said(record) else { return None };
    let is_deleted = value.get("deleted").and_then(Value::as_bool).unwrap_or_default();
    let references = value.get("references").and_then(Value::as_array)?;
    let mut subjects = references.iter().filter_map(|reference| reference.get("subject")?.as_str());
    let is_foreign = |subject: &&str| {
        let context = Place::parse(subject).context;
        context != "." && !link.maps_onto(&context)
    };
    subjects.find(is_foreign).filter(|_| !is_deleted).map(str::to_owned)
}

/// A link's record landed in the state topic: its checkpoint has to be honest.
pub(crate) fn on_state_record(world: &mut World, cluster: usize, record: &Record) {
    if world.swarm.interleaves()
        || !record.key.as_deref().is_some_and(|k| k.starts_with(br#"{"kind":"checkpoint""#))
    {
        return;
    }
    let Some(Ok(value)) = record.value.as_deref().map(serde_json::from_slice::<Value>) else {
        return;
    };
    let next = value.get("next").and_then(Value::as_i64).unwrap_or_default();
    let name = value.get("link").and_then(Value::as_str).unwrap_or_default();
    let found = world.links.iter().find(|l| l.name == name && l.to == cluster);
    let Some(link) = found.cloned() else { return };
    let source = &world.clusters[link.from];
    let id = value.get("source_topic_id").and_then(Value::as_str);
    let log_start = value.get("log_start").and_then(Value::as_i64).unwrap_or_default();
    // A link that read the log before it was cut off, or made anew, speaks of what it read.
    let exempt =
        id.is_some_and(|id| id != source.topics[SCHEMAS].id) || log_start < source.schemas().start;
    if exempt {
        return;
    }
    if next > source.schemas().end {
        world.violated(format!("honest position: checkpoint {next} lies behind the source's end"));
        return;
    }
    let later: BTreeSet<String> = {
        let records = source.history.iter().rev();
        records.take_while(|record| record.offset >= next).filter_map(name_of).collect()
    };
    if !later.is_empty() && link.follow {
        return;
    }
    let prefix = prefix(world, &link, next);
    let differences = differences(world, &link, &prefix.registry);
    world.prefixes.insert(link.name.clone(), prefix);
    let missed = differences.into_iter().find(|(key, _)| {
        let place = key.place();
        let name = link.original(&place.name);
        if name.is_empty() { later.is_empty() } else { !later.contains(&name) }
    });
    if let Some((_, what)) = missed {
        world.violated(format!("honest position: the checkpoint says {next}, but {what}"));
    }
}

/// What the link's source said below an offset, folded on from what was folded last.
fn prefix(world: &mut World, link: &LinkSpec, next: Offset) -> Prefix {
    let known = world.prefixes.remove(&link.name);
    let source = &world.clusters[link.from];
    let of = (source.topics[SCHEMAS].id.clone(), source.schemas().start);
    let known = known.filter(|known| known.of == of && known.next <= next);
    let mut prefix = known.unwrap_or_else(|| Prefix { of, next: 0, registry: Registry::default() });
    let from = source.history.partition_point(|record| record.offset < prefix.next);
    for record in source.history[from..].iter().take_while(|record| record.offset < next) {
        prefix.registry.apply(record);
    }
    prefix.next = next;
    prefix
}

fn name_of(record: &Record) -> Option<String> {
    match said(record) {
        Said::State(key, _) | Said::Faulty(Some(key), _) => Some(key.place().name),
        Said::DeleteSubject(place, _) => Some(place.name),
        Said::Clear(_) | Said::Nothing | Said::Faulty(None, _) | Said::Poison => None,
    }
}

/// What should stand in the link's scope, as far as it can be told, after what others did there.
pub(crate) fn wanted(world: &World, link: &LinkSpec, source: &Registry) -> BTreeMap<LogKey, Want> {
    let mut wanted = undisturbed(world, link, source);
    for (key, times) in &world.clusters[link.to].touched {
        for (wanted_key, want) in &mut wanted {
            let tired = *times > 2 || link.drift == DriftPolicy::Report;
            if format!("{wanted_key:?}") == *key && tired {
                *want = Want::Any;
            }
        }
    }
    link.hold_referrers(source, &mut wanted);
    wanted
}

/// The same if nobody else had written there.
pub(crate) fn undisturbed(
    world: &World,
    link: &LinkSpec,
    source: &Registry,
) -> BTreeMap<LogKey, Want> {
    let target = &world.clusters[link.to];
    let mut wanted = link.expected(source, &target.id);
    // What the source can't give any more stays as it was last good, and keeps its id.
    let kept: BTreeSet<LogKey> = wanted
        .iter()
        .filter(|(_, want)| matches!(want, Want::Any))
        .map(|(key, _)| key.clone())
        .collect();
    for (key, want) in &mut wanted {
        let (LogKey::Schema(place, _), Want::Is(value)) = (key, &*want) else { continue };
        let value: Value = serde_json::from_str(value).unwrap();
        let id = value.get("id").and_then(Value::as_i64).unwrap_or_default();
        let text = value.get("schema").and_then(Value::as_str).unwrap_or_default();
        let taken = target.registry.keys.iter().any(|(other, held)| match other {
            LogKey::Schema(of, _) => {
                let foreign = held.passport.as_ref().is_none_or(|p| p.link != link.name);
                let stays = foreign || kept.contains(other);
                of.context == place.context && held.id() == id && held.text() != text && stays
            }
            LogKey::Context(_) | LogKey::Mode(_) | LogKey::Config(_) => false,
        });
        if taken {
            *want = Want::Any;
        }
    }
    for (key, want) in &mut wanted {
        let place = key.place();
        if !place.name.is_empty() && link.is_guess(source, &place) {
            *want = Want::Any;
        }
        let pointed = link.into.is_none() && !place.name.is_empty() && !link.selects(&place);
        let foreign = |(_, held): &(u32, &Held)| {
            held.passport.as_ref().is_none_or(|passport| passport.link != link.name)
        };
        if pointed && target.registry.versions(&place).iter().any(foreign) {
            *want = Want::Any;
        }
    }
    // What refers to a version that only someone else wrote there waits for it to go.
    for (key, held) in &target.registry.keys {
        let foreign = held.passport.as_ref().is_none_or(|passport| passport.link != link.name);
        if foreign && link.may_write(key) {
            wanted.entry(key.clone()).or_insert(Want::Any);
        }
    }
    link.hold_referrers(source, &mut wanted);
    wanted
}

/// Keys of the scope in which the target is not what the source says.
fn differences(world: &World, link: &LinkSpec, source: &Registry) -> Vec<(LogKey, String)> {
    compare(&wanted(world, link, source), world, link, &world.clusters[link.to].registry)
}

fn compare(
    wanted: &BTreeMap<LogKey, Want>,
    world: &World,
    link: &LinkSpec,
    target: &Registry,
) -> Vec<(LogKey, String)> {
    let found = actual(target, link);
    let foreign_order = world.swarm.has(Chaos::ForeignInside) || world.swarm.has(Chaos::Leader);
    let mut differences = Vec::new();
    for (key, want) in wanted {
        let Want::Is(want) = want else { continue };
        match found.get(key) {
            Some(held) if held == want => {
                if target.is_overtaken(key) && !foreign_order {
                    let what = format!("the id of {key:?} leads to an earlier version");
                    differences.push((key.clone(), what));
                }
                if target.lost_its_id(key) {
                    differences.push((key.clone(), format!("{key:?} has lost its id")));
                }
            }
            Some(held) => {
                differences.push((key.clone(), format!("{key:?} is {held}, not {want}")));
            }
            None => differences.push((key.clone(), format!("{key:?} is missing"))),
        }
    }
    for key in found.keys().filter(|key| !wanted.contains_key(key)) {
        let held = &target.keys[key];
        let ours = held.passport.as_ref().is_some_and(|passport| passport.link == link.name);
        let theirs = !ours && (world.swarm.has(Chaos::ForeignInside) || link.into.is_none());
        // A context that is listed stays listed: others may have come to use it.
        let listed = matches!(key, LogKey::Context(of) if !link.owns_context(of));
        let source = &world.clusters[link.from].registry;
        let guess = !key.place().name.is_empty() && link.is_guess(source, &key.place());
        if !theirs && !listed && !guess {
            differences.push((key.clone(), format!("{key:?} should not be there")));
        }
    }
    differences
}

/// Everything is quiet: the target is what the source says.
pub(crate) fn on_quiet(world: &mut World) {
    for link in world.links.clone() {
        let source = world.clusters[link.from].registry.clone();
        let target = &world.clusters[link.to];
        let mut found: Vec<String> = Vec::new();
        let wanted = wanted(world, &link, &source);
        let restarted = Registry::fold(target.schemas().records());
        for (registry, when) in
            [(&target.registry, ""), (&restarted, "after its registry's restart ")]
        {
            let differences = compare(&wanted, world, &link, registry);
            found.extend(differences.into_iter().map(|(_, what)| format!("{when}{what}")));
        }
        found.extend(strange_times(world, &link, &wanted));
        for what in found.into_iter().take(3) {
            world.violated(format!("convergence of {}: {what}", link.name));
        }
    }
}

/// Timestamps of schemas are the source's.
fn strange_times(world: &World, link: &LinkSpec, wanted: &BTreeMap<LogKey, Want>) -> Vec<String> {
    let source = &world.clusters[link.from];
    let target = &world.clusters[link.to];
    let mut found = Vec::new();
    for record in target.schemas().records() {
        let Some(Said::State(key, Some(_))) = Some(said(record)) else { continue };
        let ours = passport(record).is_some_and(|passport| passport.link == link.name);
        let Some(content) = link.content_of(record).filter(|_| ours) else { continue };
        let held = target.registry.keys.get(&key);
        let newest = held.is_some_and(|held| held.offset == record.offset);
        if !newest || !matches!(wanted.get(&key), Some(Want::Is(_))) {
            continue;
        }
        let Some(times) = source.contents.get(&content) else { continue };
        let time = record.timestamp_ms.unwrap_or_default();
        let clamped = world.swarm.has(Chaos::Ahead) && times.iter().any(|then| *then > time);
        if !times.contains(&time) && !clamped {
            found.push(format!("{key:?} has time {time}, not one of {times:?}"));
        }
    }
    found
}
