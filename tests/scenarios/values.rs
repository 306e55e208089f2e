//! What happens to bytes on their way: edits, timestamps, headers.

use schema_mirror::core::provenance::Provenance;

use crate::support::check::check;
use crate::support::check::expect_invariants;
use crate::support::script::Script;
use crate::support::text;
use crate::support::world::Log;
use crate::support::world::WALL_MS;
use crate::support::world::Way;
use crate::support::world::World;

/// The target's log after one source was copied live.
fn copied(lines: &[&str]) -> Log {
    let script = Script::parse("link into .source");
    let mut world = World::new(Way::Live, &script.links);
    world.start();
    for line in lines {
        world.append("source", text::record(line));
    }
    expect_invariants(&world);
    world.logs["target"].clone()
}

#[track_caller]
fn check_value(written: &str, becomes: &str) {
    let raw =
        format!(r#"RAW {{"keytype":"SCHEMA","subject":"a","version":1,"magic":1}} => {written}"#);
    let target = copied(&[&raw]);
    let value = target.records.last().and_then(|record| record.value.clone()).unwrap();
    assert_eq!(String::from_utf8(value.to_vec()).unwrap(), becomes);
}

#[test]
fn fields_keep_the_bytes_they_had_and_only_the_subject_is_new() {
    check_value(
        r#"{"subject":"a","version":1,"id":1,"schema":"\"\u0069nt\" ","new":{ "b":1.50, "a":[] },"deleted":false}"#,
        r#"{"subject":":.source:a","version":1,"id":1,"schema":"\"\u0069nt\" ","new":{ "b":1.50, "a":[] },"deleted":false}"#,
    );
}

#[test]
fn offset_and_ts_of_a_rollback_are_dropped() {
    check_value(
        r#"{"subject":"a","version":1,"id":1,"schema":"x","deleted":false,"offset":12,"ts":99}"#,
        r#"{"subject":":.source:a","version":1,"id":1,"schema":"x","deleted":false}"#,
    );
}

#[test]
fn a_missing_subject_is_filled_in() {
    check_value(
        r#"{"version":1,"id":1,"schema":"x","deleted":false}"#,
        r#"{"subject":":.source:a","version":1,"id":1,"schema":"x","deleted":false}"#,
    );
}

#[test]
fn an_id_in_quotes_becomes_a_number() {
    check_value(
        r#"{"subject":"a","version":"1","id":"9","schema":"x","deleted":"false"}"#,
        r#"{"subject":":.source:a","version":1,"id":9,"schema":"x","deleted":false}"#,
    );
}

#[test]
fn of_a_field_that_stands_twice_the_last_counts_as_in_the_registry() {
    check_value(
        r#"{"subject":"b","subject":"a","version":1,"id":1,"id":2,"schema":"x"}"#,
        r#"{"subject":":.source:a","version":1,"id":2,"schema":"x","deleted":false}"#,
    );
}

#[test]
fn the_sources_timestamp_is_carried_and_never_lies_ahead_of_now() {
    let target = copied(&["a v1 id=1 @ ts=5", "b v1 id=2 @ ts=9000000000", "a v1 - @ ts=7"]);
    let times: Vec<_> = target.records.iter().skip(3).map(|record| record.timestamp_ms).collect();
    assert_eq!(times, [Some(5), Some(WALL_MS), Some(7)]);
}

#[test]
fn every_record_says_which_link_wrote_it_and_through_which_clusters_it_came() {
    let target = copied(&["a v1 id=1", "b v1 id=2 @ path=X,Y"]);
    let paths: Vec<_> = target
        .records
        .iter()
        .map(|record| {
            let provenance = Provenance::of(&record.headers).unwrap();
            assert_eq!((provenance.link.as_str(), provenance.writer.as_str()), ("link", "writer"));
            provenance.path.join(">")
        })
        .collect();
    assert_eq!(paths, ["source", "source", "source", "source", "X>Y>source"]);
}

#[test]
fn a_karapace_key_with_raw_characters_is_written_as_confluent_escapes_it() {
    check(
        r#"
        source
          RAW {"keytype":"SCHEMA","subject":"größe-😀","version":1,"magic":1} => {"subject":"größe-😀","version":1,"id":1,"schema":"\"t1\"","deleted":false}
          größe-😀 v2 id=2
        expect target
          opened .source
          :.source:größe-😀 v1 id=1
          :.source:größe-😀 v2 id=2
        "#,
    );
}

#[test]
fn text_that_does_not_parse_and_unknown_types_are_carried_and_said() {
    check(
        r#"
        source
          a v1 id=1 text=not-a-schema
          b v1 id=2 with={"schemaType":"THRIFT"}
          c v1 id=3 with={"metadata":{"properties":{"__enc__":"true"}},"md5":"x"}
        expect target
          opened .source
          :.source:a v1 id=1 text=not-a-schema
          :.source:b v1 id=2 with={"schemaType":"THRIFT"}
          :.source:c v1 id=3 with={"md5":"x","metadata":{"properties":{"__enc__":"true"}}}
        remarks
          :.source:b v1: schemaType
          :.source:c v1: encrypted
        "#,
    );
}

#[test]
fn a_record_that_says_the_same_in_other_words_is_not_written_again() {
    let target = copied(&[
        "a v1 id=1",
        r#"RAW {"magic":1,"keytype":"SCHEMA","version":1,"subject":"a"} => { "schema":"\u0022t1\"", "id":1,"schemaType":"AVRO", "version":1, "subject":"a" }"#,
    ]);
    assert_eq!(target.records.len(), 4, "{target:#?}");
}
