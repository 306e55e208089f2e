//! The 97 odd records that a real registry was given, each with what a link does about it (rulings
//! 17 and 18). Each is read twice, while following and by comparing whole logs, and leaves the same
//! target behind; a good record after it is copied in every case.

#[cfg(test)]
#[expect(dead_code, reason = "each test crate uses its own part")]
mod support;

#[cfg(test)]
#[path = "odd_records/table.rs"]
mod table;

#[cfg(test)]
mod cases {
    use std::collections::BTreeSet;

    use schema_mirror::core::link::Outcome;
    use schema_mirror::core::record::Outgoing;
    use serde_json::Value;

    use crate::support::check::expect_invariants;
    use crate::support::check::incidents;
    use crate::support::check::remarks;
    use crate::support::script::Script;
    use crate::support::text;
    use crate::support::world::Way;
    use crate::support::world::World;
    use crate::table::Case;
    use crate::table::table;

    fn records() -> Vec<Value> {
        let lines = include_str!("fixtures/odd-records/records.jsonl").lines();
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn bytes(record: &Value, field: &str) -> Option<Vec<u8>> {
        if let Some(encoded) = record[format!("{field}_b64").as_str()].as_str() {
            return Some(base64(encoded));
        }
        record[field].as_str().map(|text| text.as_bytes().to_vec())
    }

    fn base64(encoded: &str) -> Vec<u8> {
        const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut out = Vec::new();
        let (mut bits, mut count) = (0u32, 0u32);
        for digit in encoded.bytes().filter(|digit| *digit != b'=') {
            let value = DIGITS.iter().position(|known| *known == digit).unwrap();
            bits = bits << 6 | u32::try_from(value).unwrap();
            count = count.saturating_add(6);
            if count >= 8 {
                count = count.saturating_sub(8);
                out.push(u8::try_from(bits >> count & 0xFF).unwrap());
            }
        }
        out
    }

    fn append(world: &mut World, record: &Value) {
        let value = bytes(record, "value");
        match bytes(record, "key") {
            Some(key) => world.append("source", Outgoing { key, value, ..Outgoing::default() }),
            None => world.append_without_key("source", value),
        }
    }

    /// The world after the record with what stood before and behind it, and the record's outcome.
    fn played(record: &Value, way: Way) -> (World, Option<Outcome>) {
        let script = Script::parse("link into .source subjects :*:");
        let mut world = World::new(way, &script.links);
        world.start();
        let list = |name: &str| record[name].as_array().cloned().unwrap_or_default();
        for before in list("before") {
            append(&mut world, &before);
        }
        append(&mut world, record);
        let outcome = world.outcomes.last().copied();
        for after in list("after") {
            append(&mut world, &after);
        }
        world.append("source", text::record("good v1 id=900"));
        world.settle();
        expect_invariants(&world);
        (world, outcome)
    }

    #[track_caller]
    fn check(case: &Case, record: &Value, way: Way) {
        let name = case.name;
        let (world, outcome) = played(record, way);
        if way == Way::Live {
            assert_eq!(outcome, Some(case.outcome), "{name}: outcome");
        }
        let ours = |line: &String| {
            !line.starts_with("CONTEXT ")
                && !line.starts_with("MODE :.source")
                && line != "CONFIG :.source: BACKWARD"
                && line != "CONFIG :.source.source: BACKWARD"
        };
        let mut state: Vec<String> =
            world.logs["target"].state().into_iter().filter(ours).collect();
        let good = state.iter().position(|line| line == ":.source:good v1 id=900");
        state.remove(
            good.unwrap_or_else(|| panic!("{name}: the good record is missing: {state:?}")),
        );
        let mut wanted: Vec<String> = case.target.iter().map(|line| (*line).to_owned()).collect();
        wanted.sort();
        assert_eq!(state, wanted, "{name} {way:?}: target");
        let found = incidents(&world);
        assert_eq!(found.len(), case.incidents, "{name} {way:?}: {found:?}");
        let found = remarks(&world);
        assert_eq!(found.len(), case.remarks, "{name} {way:?}: {found:?}");
        let mut fresh = world.fresh(0);
        assert!(fresh.plan().is_empty(), "{name} {way:?}: a fresh start writes");
    }

    #[test]
    fn every_odd_record_has_its_outcome_while_following() {
        let records = records();
        for case in table() {
            let record = records.iter().find(|record| record["name"] == case.name).unwrap();
            check(case, record, Way::Live);
        }
    }

    #[test]
    fn every_odd_record_has_its_outcome_by_comparing() {
        let records = records();
        for case in table() {
            let record = records.iter().find(|record| record["name"] == case.name).unwrap();
            check(case, record, Way::Reconcile);
        }
    }

    #[test]
    fn the_table_names_all_97_records_and_no_other() {
        let names: BTreeSet<String> =
            records().iter().map(|record| record["name"].as_str().unwrap().to_owned()).collect();
        let listed: BTreeSet<String> = table().map(|case| case.name.to_owned()).collect();
        assert_eq!(names, listed);
        assert_eq!((table().count(), names.len()), (97, 97));
    }

    #[test]
    fn every_case_says_why() {
        for case in table() {
            assert!(case.why.len() > 10, "{}", case.name);
        }
    }
}
