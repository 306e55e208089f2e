//! A link's copy that is taken away.

use super::*;

proptest! {
    #![proptest_config(cases(200))]

    /// What others wrote stays as it was, and no reference that held dangles, though a purge dies
    /// behind each of its removals; in the end it is as if it had been made at once.
    #[test]
    fn a_purge_that_dies_again_and_again_comes_to_the_same_end(
        link in links(),
        lines in prop::collection::vec(operation(), 1..24),
        theirs in prop::collection::vec(foreign(), 0..6)
    ) {
        let at_once = purged(link, &lines, &theirs, usize::MAX);
        let one_by_one = purged(link, &lines, &theirs, 1);
        let state = at_once.logs["target"].state();
        prop_assert_eq!(&state, &one_by_one.logs["target"].state());
        let by_them = |line: &&String| line.contains("text=theirs");
        let before = played(link, &lines, Way::Reconcile);
        let mut target = before.logs["target"].clone();
        theirs.iter().for_each(|line| target.append(text::record(line)));
        let written = target.state();
        let kept: Vec<&String> = written.iter().filter(by_them).collect();
        prop_assert_eq!(state.iter().filter(by_them).collect::<Vec<_>>(), kept);
        let halted = at_once.running[0].halted.is_some();
        prop_assert!(halted || state.len() <= kept_at_most(&at_once), "{:#?}", state);
    }
}

/// A version of a subject.
type Place = (Subject, i64);
/// Versions, and what they refer to.
type Standing = BTreeMap<Place, Vec<Place>>;

/// A line that someone else wrote into the target.
fn foreign() -> impl Strategy<Value = String> {
    let subject = prop::sample::select(vec!["z", ":.t:z", ":.o:z", ":.t:a", "a"]);
    let of = prop::sample::select(vec!["a:1", "b:2", ":.t:a:1", ":.t.x:a:1", ":.t:z:1"]);
    (subject, 1..4u8, prop::option::weighted(0.6, of)).prop_map(|(subject, version, of)| {
        let references = of.map(|of| format!(" refs={of}")).unwrap_or_default();
        format!("{subject} v{version} id=90 text=theirs{references}")
    })
}

/// A link that copied all that and is purged, dying behind so many removals.
fn purged(link: &str, lines: &[String], theirs: &[String], most: usize) -> World {
    let mut world = played(link, lines, Way::Reconcile);
    let target = world.logs.get_mut("target").unwrap();
    theirs.iter().for_each(|line| target.append(text::record(line)));
    let held = standing(&world);
    loop {
        let before = world.written.len();
        world.purge(most);
        let now = standing(&world);
        for (referrer, references) in &now {
            for of in references.iter().filter(|of| held.contains_key(*of)) {
                // What goes in a circle has no first.
                let stands = now.contains_key(of) || reaches(&held, of, referrer);
                assert!(stands, "{referrer:?} dangles behind {:#?}", world.written);
            }
        }
        if world.written.len() == before {
            return world;
        }
    }
}

/// Whether one version refers to another, by way of others or not.
fn reaches(standing: &Standing, from: &Place, to: &Place) -> bool {
    let mut seen = BTreeSet::new();
    let mut next = vec![from];
    while let Some(at) = next.pop() {
        if at == to {
            return true;
        }
        if seen.insert(at) {
            next.extend(standing.get(at).into_iter().flatten());
        }
    }
    false
}

/// What stays is named; besides there is what the claim does not speak of.
fn kept_at_most(world: &World) -> usize {
    let rules = &world.running[0].spec.rules;
    let elsewhere = standing(world).keys().filter(|(of, _)| !rules.owns(of)).count();
    world.stays.len().saturating_add(elsewhere)
}

/// The versions that the target holds, and what they refer to.
fn standing(world: &World) -> Standing {
    let mut standing = BTreeMap::new();
    for (key, value) in world.logs["target"].pairs() {
        let key: Value = serde_json::from_slice(key).unwrap();
        if key["keytype"] != "SCHEMA" {
            continue;
        }
        let subject = Subject::parse(key["subject"].as_str().unwrap());
        let place = (subject.clone(), key["version"].as_i64().unwrap());
        let Some(value) = value else {
            standing.remove(&place);
            continue;
        };
        let value: Value = serde_json::from_slice(value).unwrap();
        let references = value["references"].as_array().into_iter().flatten();
        let references = references.map(|reference| {
            let mut of = Subject::parse(reference["subject"].as_str().unwrap());
            if of.context.is_default() {
                of.context = subject.context.clone();
            }
            (of, reference["version"].as_i64().unwrap())
        });
        standing.insert(place, references.collect());
    }
    standing
}
