//! What is the link's own and what is not.

use crate::support::check::check;

#[test]
fn a_link_of_the_same_name_that_reads_another_cluster_is_another_link() {
    check(
        "
        link into-none B>target same subjects b*
        target
          a1 v1 id=1 @ link=into-none path=A
          CONFIG a1 FULL @ link=into-none path=A
        B
          b1 v1 id=2
        expect target
          a1 v1 id=1
          CONFIG a1 FULL
          MODE b1 READONLY
          b1 v1 id=2
        ",
    );
}

#[test]
fn a_subject_that_only_a_reference_brings_in_is_not_taken_from_its_owner() {
    check(
        "
        link same subjects orders
        target
          dep v1 id=3 text=theirs
        source
          dep v1 id=1 text=ours
          orders v1 id=2 refs=dep:1
        expect target
          dep v1 id=3 text=theirs
          MODE orders READONLY
        incidents
          dep v1: someone else's
        held
          orders v1: set aside
        ",
    );
}

#[test]
fn a_followed_subject_that_stands_there_already_is_in_sync() {
    check(
        "
        link same subjects orders
        target
          dep v1 id=1 text=ours
        source
          dep v1 id=1 text=ours
          orders v1 id=2 refs=dep:1
        expect target
          dep v1 id=1 text=ours
          MODE dep READONLY
          MODE orders READONLY
          orders v1 id=2 refs=dep:1
        ",
    );
}

#[test]
fn the_context_of_chosen_subjects_is_listed_and_never_taken_away() {
    check(
        "
        link same subjects :.staging:ord*,:.other:ord*
        source
          :.staging:orders v1 id=1
          :.other:orders v1 id=1
        expect target
          CONTEXT .staging
          MODE :.staging:orders READONLY
          :.staging:orders v1 id=1
          CONTEXT .other
          MODE :.other:orders READONLY
          :.other:orders v1 id=1
        source
          :.staging:orders v1 -
        expect target
          CONTEXT .staging
          CONTEXT .other
          MODE :.other:orders READONLY
          :.other:orders v1 id=1
        ",
    );
}

#[test]
fn names_that_read_as_others_are_set_aside() {
    check(
        r#"
        link into .source subjects :*:
        source
          RAW {"keytype":"CONTEXT","tenant":"default","context":".a:b","magic":0} => {"tenant":"default","context":".a:b"}
          RAW {"keytype":"CONFIG","subject":":.::.x:y","magic":0} => {"subject":":.::.x:y","compatibilityLevel":"FULL"}
          orders v1 id=1
        expect target
          opened .source
          :.source:orders v1 id=1
        incidents
          {"keytype":"CONFIG","subject":":.::.x:y","magic":0}: reads as another
          {"keytype":"CONTEXT","tenant":"default","context":".a:b","magic":0}: colon
        "#,
    );
}

#[test]
fn a_subject_that_is_open_to_clients_is_not_deleted_to_free_an_id() {
    check(
        "
        source
          b v1 id=5 text=old
        target
          MODE :.source:b READWRITE
        source
          b v1 -
          a v1 id=5 text=new
        expect target
          opened .source
          MODE :.source:b READWRITE
          :.source:b v1 id=5 text=old
        incidents
          :.source:a v1: taken
        held
          MODE :.source:b: opens it
          :.source:b v1: opens it to clients
        ",
    );
}

#[test]
fn another_id_under_a_key_that_one_pass_left_behind_is_deleted_first() {
    check(
        "
        only live
        source
          a v1 id=1 text=A
          DELETE_SUBJECT a 1
          a v1 id=2 text=B
          b v1 id=1 text=A
        start
        written
          CONTEXT .source
          MODE :.source: READONLY
          CONFIG :.source: BACKWARD
          :.source:a v1 id=1 text=A
          :.source:a v1 -
          :.source:a v1 id=2 text=B
          :.source:b v1 id=1 text=A
        expect target
          opened .source
          :.source:a v1 id=2 text=B
          :.source:b v1 id=1 text=A
        ",
    );
}

#[test]
fn settings_said_before_the_first_schema_are_written_once() {
    check(
        "
        only live
        source
          CONFIG . FULL
          orders v1 id=1
        start
        written
          CONTEXT .source
          MODE :.source: READONLY
          CONFIG :.source: FULL
          :.source:orders v1 id=1
        expect target
          opened .source FULL
          :.source:orders v1 id=1
        ",
    );
}

#[test]
fn what_a_delete_subject_in_the_target_marked_is_still_the_links_own() {
    check(
        "
        only reconcile
        source
          orders v1 id=1
          users v1 id=2
        target
          DELETE_SUBJECT :.source:orders 1
        source
          orders v1 -
        expect target
          opened .source
          DELETE_SUBJECT :.source:orders 1
          :.source:users v1 id=2
        incidents
        ",
    );
}

#[test]
fn a_soft_delete_that_one_pass_writes_late_is_followed_by_the_later_version_of_its_id() {
    check(
        "
        only live
        source
          orders v1 id=7 text=same
          DELETE_SUBJECT orders 1
          orders v3 id=7 text=same
        start
        written
          CONTEXT .source
          MODE :.source: READONLY
          CONFIG :.source: BACKWARD
          :.source:orders v1 id=7 text=same
          :.source:orders v3 id=7 text=same
          :.source:orders v1 id=7 text=same deleted
          :.source:orders v3 id=7 text=same
        expect target
          opened .source
          :.source:orders v1 id=7 text=same deleted
          :.source:orders v3 id=7 text=same
        ",
    );
}

#[test]
fn what_a_former_definition_chose_stays_and_keeps_its_fence() {
    check(
        "
        link same subjects a former a,b
        target
          MODE a READONLY @ link=link path=source
          a v1 id=1 @ link=link path=source
          MODE b READONLY @ link=link path=source
          b v1 id=2 @ link=link path=source
          CONFIG b FULL @ link=link path=source
        source
          a v1 id=1
          b v1 id=2
        start
        expect target
          MODE a READONLY
          a v1 id=1
          MODE b READONLY
          b v1 id=2
          CONFIG b FULL
        ",
    );
}

#[test]
fn a_standby_that_is_narrowed_to_chosen_subjects_is_not_opened() {
    check(
        "
        link same subjects a,c former *
        target
          MODE . READONLY @ link=link path=source
          CONFIG . FULL @ link=link path=source
          a v1 id=1 @ link=link path=source
          b v1 id=2 @ link=link path=source
          c v1 id=4 @ link=link path=source
        source
          CONFIG . FULL
          a v1 id=1
          a v2 id=3
          c v1 id=4
        start
        expect target
          MODE . READONLY
          CONFIG . FULL
          MODE a READONLY
          a v1 id=1
          a v2 id=3
          b v1 id=2
          MODE c READONLY
          c v1 id=4
        held
        ",
    );
}

#[test]
fn what_someone_takes_out_of_a_subject_that_is_open_is_held_no_more_when_its_mode_goes() {
    check(
        "
        source
          orders v1 id=1
        target
          :.source:alien v1 id=7
          MODE :.source:alien READWRITE
        held
          :.source:alien v1: READWRITE
          MODE :.source:alien: READWRITE
        target
          :.source:alien v1 -
          MODE :.source:alien -
        held
        expect target
          opened .source
          :.source:orders v1 id=1
        ",
    );
}
