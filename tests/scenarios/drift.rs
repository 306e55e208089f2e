//! What others do in the scope, and the brake.

use std::sync::Arc;
use std::time::Duration;

use schema_mirror::core::key::Key;
use schema_mirror::core::key::Version;
use schema_mirror::core::link::Halt;
use schema_mirror::core::link::Pace;
use schema_mirror::core::link::Source;
use schema_mirror::core::subject::Subject;

use crate::support::check::check;
use crate::support::script::Script;
use crate::support::text;
use crate::support::world::Way;
use crate::support::world::World;

#[test]
fn a_rollback_by_the_targets_leader_is_restored() {
    check(
        "
        source
          orders v1 id=7
        target
          :.source:orders v1 -
        expect target
          opened .source
          :.source:orders v1 id=7
        ",
    );
}

#[test]
fn a_key_that_is_taken_back_again_and_again_is_an_incident_after_three_repairs() {
    check(
        "
        only live
        unsettled
        source
          orders v1 id=7
        target
          :.source:orders v1 -
          :.source:orders v1 -
          :.source:orders v1 -
        incidents
        target
          :.source:orders v1 -
        expect target
          opened .source
        incidents
          :.source:orders v1: keeps changing
        source
          orders v1 id=7 deleted
        expect target
          opened .source
          :.source:orders v1 id=7 deleted
        incidents
        ",
    );
}

#[test]
fn settings_that_someone_changed_are_restored() {
    check(
        "
        source
          CONFIG orders FULL
          orders v1 id=1
        target
          CONFIG :.source:orders NONE
          CONFIG :.source: NONE
          CONTEXT .source -
        expect target
          opened .source
          CONFIG :.source:orders FULL
          :.source:orders v1 id=1
        ",
    );
}

#[test]
fn with_report_drift_is_said_and_left() {
    check(
        "
        link into .source report
        source
          orders v1 id=7
          users v1 id=8
        target
          :.source:orders v1 id=7 deleted
        expect target
          opened .source
          :.source:orders v1 id=7 deleted
          :.source:users v1 id=8
        incidents
          :.source:orders v1: drift
        ",
    );
}

#[test]
fn a_clear_subject_in_the_target_makes_soft_deleted_versions_put_again() {
    check(
        "
        source
          orders v1 id=7 deleted
          orders v2 id=8
        target
          CLEAR_SUBJECT :.source:
        written
          CONTEXT .source
          MODE :.source: READONLY
          CONFIG :.source: BACKWARD
          :.source:orders v1 id=7 deleted
          :.source:orders v2 id=8
          :.source:orders v1 id=7 deleted
        expect target
          opened .source
          CLEARED
          :.source:orders v1 id=7 deleted
          :.source:orders v2 id=8
        "
        .replace("          CLEARED\n", "          RAW {\"keytype\":\"CLEAR_SUBJECT\",\"subject\":\":.source:\",\"magic\":0} => {\"subject\":\":.source:\"}\n")
        .as_str(),
    );
}

#[test]
fn a_delete_subject_that_a_client_got_through_is_made_good() {
    check(
        "
        source
          orders v1 id=7
          orders v2 id=8 deleted
        target
          DELETE_SUBJECT :.source:orders 2
        expect target
          opened .source
          DELETE_SUBJECT :.source:orders 2
          :.source:orders v1 id=7
          :.source:orders v2 id=8 deleted
        ",
    );
}

#[test]
fn a_second_spelling_of_a_key_in_the_target_is_tombstoned_with_it() {
    check(
        "
        link into .source adopt
        source
          orders v1 id=7
          orders v2 id=8
        target
          :.source:orders v1 id=7 @ key=legacy
          :.source:orders v2 id=8 @ key=redpanda
          :.source:gone v1 id=9 @ key=legacy
          :.source:gone v1 id=9
        start
        expect target
          opened .source
          :.source:orders v1 id=7
          :.source:orders v2 id=8
        ",
    );
}

#[test]
fn a_second_spelling_that_turns_up_while_following_is_tombstoned() {
    check(
        "
        source
          orders v1 id=7
          users v1 id=8
        target
          :.source:orders v1 id=7 deleted @ key=legacy
        expect target
          opened .source
          :.source:orders v1 id=7
          :.source:users v1 id=8
        source
          orders v1 -
        expect target
          opened .source
          :.source:users v1 id=8
        ",
    );
}

#[test]
fn a_loser_in_the_targets_log_is_an_incident_because_compaction_could_raise_it() {
    check(
        "
        source
          orders v1 id=7 text=A
        target
          :.source:mine v1 id=7 text=B
        expect target
          opened .source
          :.source:orders v1 id=7 text=A
          :.source:mine v1 id=7 text=B
        incidents
          :.source:mine v1: someone else
        ",
    );
}

#[test]
fn another_writer_under_a_key_of_ours_that_says_the_same_is_left() {
    check(
        "
        source
          orders v1 id=7
        target
          :.source:orders v1 id=7 with={\"offset\":3,\"ts\":9}
        expect target
          opened .source
          :.source:orders v1 id=7 with={\"offset\":3,\"ts\":9}
        ",
    );
}

const TEN: &str = "
          s0 v1 id=10
          s1 v1 id=11
          s2 v1 id=12
          s3 v1 id=13
          s4 v1 id=14
          s5 v1 id=15
          s6 v1 id=16
          s7 v1 id=17
          s8 v1 id=18
          s9 v1 id=19
          t v1 id=20";

fn deletes(subjects: std::ops::Range<u8>) -> String {
    subjects.map(|n| format!("          s{n} v1 -\n")).collect()
}

#[test]
fn more_deletes_than_the_share_halt_the_link_before_the_first_of_them() {
    let deletes = deletes(0..10);
    check(&format!(
        "
        only reconcile
        source{TEN}
        written
          CONTEXT .source
          MODE :.source: READONLY
          CONFIG :.source: BACKWARD
{all}
        source
{deletes}
        expire source
        halt 10 of 11 live subjects
        written
        released
        expect target
          opened .source
          :.source:t v1 id=20
        ",
        all = TEN
            .trim_start_matches('\n')
            .lines()
            .map(|line| format!("          :.source:{}\n", line.trim()))
            .collect::<String>()
    ));
}

#[test]
fn deletes_while_following_add_up_until_the_brake_holds_them() {
    let (first, second) = (deletes(0..9), deletes(9..10));
    check(&format!(
        "
        only live
        source{TEN}
        source
{first}
        expect target
          opened .source
          :.source:s9 v1 id=19
          :.source:t v1 id=20
        source
{second}
        halt max_delete_share
        expect target
          opened .source
          :.source:s9 v1 id=19
          :.source:t v1 id=20
        released
        restart
        expect target
          opened .source
          :.source:t v1 id=20
        "
    ));
}

#[test]
fn deletes_of_more_than_an_hour_ago_no_longer_count() {
    let (first, second) = (deletes(0..9), deletes(9..10));
    check(&format!(
        "
        only live
        source{TEN}
        source
{first}
        hours 2
        source
{second}
        expect target
          opened .source
          :.source:t v1 id=20
        "
    ));
}

#[test]
fn a_source_that_was_emptied_takes_nothing_away() {
    check(
        "
        only reconcile
        source
          orders v1 id=7
        expect target
          opened .source
          :.source:orders v1 id=7
        source
          orders v1 -
        expire source
        halt no subject of the link any more
        expect target
          opened .source
          :.source:orders v1 id=7
        ",
    );
}

#[test]
fn a_source_that_was_recreated_takes_nothing_away() {
    check(
        "
        only reconcile
        source
          orders v1 id=7
          users v1 id=8
        expect target
          opened .source
          :.source:orders v1 id=7
          :.source:users v1 id=8
        source
          users v1 -
        expire source
        recreated
        halt the source's topic was recreated
        expect target
          opened .source
          :.source:orders v1 id=7
          :.source:users v1 id=8
        ",
    );
}

#[test]
fn a_truncated_source_that_lost_nothing_of_ours_goes_on() {
    check(
        "
        only reconcile
        source
          orders v1 id=7
        expect target
          opened .source
          :.source:orders v1 id=7
        truncated
        source
          orders v2 id=8
        expect target
          opened .source
          :.source:orders v1 id=7
          :.source:orders v2 id=8
        ",
    );
}

#[test]
fn a_truncated_source_that_lost_something_halts() {
    check(
        "
        only reconcile
        source
          orders v1 id=7
          users v1 id=8
        expect target
          opened .source
          :.source:orders v1 id=7
          :.source:users v1 id=8
        source
          orders v1 -
        expire source
        truncated
        halt records were cut off
        ",
    );
}

#[test]
fn a_bad_record_over_a_key_of_ours_is_written_over_before_compaction_takes_the_good_one() {
    check(
        r#"
        source
          orders v1 id=7
          CONFIG orders FULL
        target
          :.source:orders v1 EMPTY
          CONFIG :.source:orders SUPER
        expect target
          opened .source
          :.source:orders v1 id=7
          CONFIG :.source:orders FULL
        "#,
    );
}

#[test]
fn what_the_source_loses_while_a_plan_is_carried_out_is_under_the_brake() {
    let script = Script::parse("link into .source");
    let mut world = World::new(Way::Live, &script.links);
    world.start();
    for number in 1..=20 {
        world.append("source", text::record(&format!("s{number} v1 id={number}")));
    }
    let source = world.logs.get_mut("source").unwrap();
    for number in 1..=20 {
        source.append(text::record(&format!("s{number} v1 -")));
    }
    // Others read the source on, to its end, before the link has put what its plan says.
    let link = &mut world.running[0].link;
    let mut ahead = Source::new(link.lens());
    source.records.iter().for_each(|record| drop(ahead.read(record)));
    link.look_at(Arc::new(ahead));
    let mut put = |number: u32| {
        let subject = Subject::parse(&format!(":.source:s{number}"));
        let key = Key::Schema(subject, Version::new(1).unwrap());
        link.decide_put(key, Pace::Live(Duration::ZERO), source.next)
    };
    let halted = (1..=20).find_map(|number| put(number).err());
    assert!(matches!(halted, Some(Halt::Brake { source_end: 40, .. })), "{halted:?}");
}
