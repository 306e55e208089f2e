//! All the odd records that were measured, in one real topic, between good ones.

use serde_json::Value;

use crate::{
    harmless::assert_harmless,
    mirror::Scene,
    records::{fold, lines_of, new_record, noop, schema, version_in},
};

/// Ids that no odd record has.
const GOOD_IDS: u32 = 1_000;

#[test]
fn odd_records_are_set_aside_and_the_good_ones_between_them_flow() {
    let scene = Scene { subjects: ":*:", ..Scene::shared("odd") };
    let cases = lines_of("odd-records", "records.jsonl");
    assert_eq!(cases.len(), 97);
    let mut records = vec![noop()];
    let mut good = 0_u32;
    for case in &cases {
        // A compacted topic takes no record without a key.
        if case["effect"] == "broker_refuses" {
            continue;
        }
        let around = |name: &str| case[name].as_array().cloned().unwrap_or_default();
        let group = [around("before"), vec![case.clone()], around("after")].concat();
        records.extend(group.iter().map(new_record));
        good += 1;
        records.push(schema(&format!("good-{good}"), 1, GOOD_IDS + good));
    }
    assert_eq!(good, 96);
    scene.produce(&records);

    let answer = scene.backfill();
    assert_eq!((answer.code, answer.text("result")), (1, "done"), "{answer:?}");
    assert!(answer.number("incidents") > 20, "{answer:?}");
    assert_eq!(answer.number("read"), u64::try_from(records.len()).unwrap());
    let log = scene.target_log();
    assert_harmless(&log);
    let state = fold(&log);
    for number in 1..=good {
        let subject = format!(":.source:good-{number}");
        let held = Some((u64::from(GOOD_IDS + number), false));
        assert_eq!(version_in(&state, &subject, 1), held, "{subject}");
    }

    let again = scene.backfill();
    assert_eq!((again.code, again.number("appended")), (1, 0), "{again:?}");
    let verified = scene.answer("verify", &[]);
    assert_eq!((verified.code, verified.text("result")), (1, "different"));
    assert_eq!(verified.link["differences"], Value::Null, "what could be copied is equal");
    assert_eq!(verified.link["incidents"].as_array().unwrap().len(), {
        usize::try_from(again.number("open_incidents")).unwrap()
    });
}
