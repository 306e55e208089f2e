//! What a purge takes away, and what it leaves.

use crate::support::check::check;

#[test]
fn a_purge_takes_away_all_that_the_link_wrote_and_its_context_last() {
    check(
        "
        source
          dep v1 id=1
          orders v1 id=2 refs=dep:1
          orders v2 id=3
          CONFIG orders FULL
          old v1 id=4 deleted
        expect target
          opened .source
          :.source:dep v1 id=1
          :.source:orders v1 id=2 refs=dep:1
          :.source:orders v2 id=3
          CONFIG :.source:orders FULL
          :.source:old v1 id=4 deleted
        purge
        written
          :.source:old v1 -
          :.source:orders v2 -
          :.source:orders v1 -
          :.source:dep v1 -
          CONFIG :.source:orders -
          CONFIG :.source: -
          MODE :.source: -
          CONTEXT .source -
        stays
        expect target
        ",
    );
}

#[test]
fn what_a_purge_left_when_it_died_is_taken_away_by_the_next() {
    check(
        "
        source
          dep v1 id=1
          orders v1 id=2 refs=dep:1
        expect target
          opened .source
          :.source:dep v1 id=1
          :.source:orders v1 id=2 refs=dep:1
        purge 1
        expect target
          opened .source
          :.source:dep v1 id=1
        purge 3
        expect target
          CONTEXT .source
        purge
        stays
        expect target
        ",
    );
}

#[test]
fn what_someone_else_wrote_stays_with_all_that_it_refers_to() {
    check(
        "
        unsettled
        source
          base v1 id=1
          dep v1 id=2 refs=base:1
          orders v1 id=3 refs=dep:1
          changed v1 id=4
        expect target
          opened .source
          :.source:base v1 id=1
          :.source:dep v1 id=2 refs=base:1
          :.source:orders v1 id=3 refs=dep:1
          :.source:changed v1 id=4
        target
          :.source:theirs v1 id=9 refs=dep:1
          CONFIG :.source:theirs NONE
        incidents
          :.source:theirs v1: someone else
          CONFIG :.source:theirs: someone else
        purge
        stays
          :.source:base v1: :.source:dep v1 refers to it
          :.source:dep v1: :.source:theirs v1 refers to it
          :.source:theirs v1: someone else wrote it
          CONFIG :.source:theirs: someone else wrote it
          MODE :.source:: what the link wrote below it stays
          CONTEXT .source: still holds
        expect target
          CONTEXT .source
          MODE :.source: READONLY
          :.source:base v1 id=1
          :.source:dep v1 id=2 refs=base:1
          :.source:theirs v1 id=9 refs=dep:1
          CONFIG :.source:theirs NONE
        purge
        expect target
          CONTEXT .source
          MODE :.source: READONLY
          :.source:base v1 id=1
          :.source:dep v1 id=2 refs=base:1
          :.source:theirs v1 id=9 refs=dep:1
          CONFIG :.source:theirs NONE
        ",
    );
}

#[test]
fn what_schemas_of_other_contexts_refer_to_stays_and_their_ids_are_theirs() {
    check(
        "
        target
          orders v1 id=1 text=theirs
          :.other:theirs v1 id=2 text=theirs refs=:.source:dep:1,:.source:used:-1
        source
          dep v1 id=1
          used v1 id=2
          orders v1 id=3
        expect target
          opened .source
          orders v1 id=1 text=theirs
          :.other:theirs v1 id=2 text=theirs refs=:.source:dep:1,:.source:used:-1
          :.source:dep v1 id=1
          :.source:used v1 id=2
          :.source:orders v1 id=3
        purge
        stays
          :.source:dep v1: :.other:theirs v1 refers to it
          :.source:used v1: :.other:theirs v1 refers to it
          MODE :.source:: what the link wrote below it stays
          CONTEXT .source: still holds
        expect target
          CONTEXT .source
          MODE :.source: READONLY
          orders v1 id=1 text=theirs
          :.other:theirs v1 id=2 text=theirs refs=:.source:dep:1,:.source:used:-1
          :.source:dep v1 id=1
          :.source:used v1 id=2
        ",
    );
}

#[test]
fn what_was_changed_or_adopted_is_not_what_the_link_wrote() {
    check(
        "
        link adopt report
        unsettled
        target
          :.source:adopted v1 id=1
          MODE :.source: IMPORT
        source
          adopted v1 id=1
          changed v1 id=2
          mine v1 id=3
        start
        expect target
          CONTEXT .source
          MODE :.source: IMPORT
          CONFIG :.source: BACKWARD
          :.source:adopted v1 id=1
          :.source:changed v1 id=2
          :.source:mine v1 id=3
        target
          :.source:changed v1 id=2 deleted
        incidents
          :.source:changed v1: drift is only reported
        purge
        stays
          :.source:adopted v1: adopted it
          :.source:changed v1: changed it since
          MODE :.source:: adopted it
          CONTEXT .source: still holds
        expect target
          CONTEXT .source
          MODE :.source: IMPORT
          :.source:adopted v1 id=1
          :.source:changed v1 id=2 deleted
        ",
    );
}

#[test]
fn a_purge_of_chosen_subjects_leaves_the_rest_of_the_context() {
    check(
        "
        link one same subjects orders*
        target
          theirs v1 id=9 text=theirs
          CONFIG . NONE
          dep v1 id=8 text=before @ link=one path=source
        source
          orders v1 id=1
          shared v1 id=3
          orders2 v1 id=2 refs=shared:1
          CONFIG orders FULL
        expect target
          CONFIG . NONE
          theirs v1 id=9 text=theirs
          dep v1 id=8 text=before
          MODE orders READONLY
          orders v1 id=1
          CONFIG orders FULL
          MODE shared READONLY
          shared v1 id=3
          MODE orders2 READONLY
          orders2 v1 id=2 refs=shared:1
        purge
        stays
        expect target
          CONFIG . NONE
          theirs v1 id=9 text=theirs
          dep v1 id=8 text=before
        ",
    );
}

#[test]
fn a_purge_of_the_default_context_opens_it_again() {
    check(
        "
        link same
        source
          orders v1 id=1
        expect target
          MODE . READONLY
          CONFIG . BACKWARD
          orders v1 id=1
        purge
        stays
        expect target
        ",
    );
}

#[test]
fn a_context_that_someone_opened_to_clients_is_not_purged() {
    check(
        "
        unsettled
        source
          orders v1 id=1
        expect target
          opened .source
          :.source:orders v1 id=1
        target
          MODE :.source: READWRITE
        purge
        halt fence lifted
        expect target
          CONTEXT .source
          CONFIG :.source: BACKWARD
          MODE :.source: READWRITE
          :.source:orders v1 id=1
        halt fence lifted
        ",
    );
}

#[test]
fn a_fence_that_someone_set_again_goes_with_what_it_fences() {
    check(
        "
        only reconcile
        unsettled
        source
          orders v1 id=1
        expect target
          opened .source
          :.source:orders v1 id=1
        target
          MODE :.source: READWRITE
          MODE :.source: READONLY
        purge
        stays
        expect target
        ",
    );
}

#[test]
fn a_subject_that_someone_opened_to_clients_stays() {
    check(
        "
        source
          orders v1 id=1
          other v1 id=2
        expect target
          opened .source
          :.source:orders v1 id=1
          :.source:other v1 id=2
        target
          MODE :.source:orders READWRITE
        purge
        held
          MODE :.source:orders: opens it to clients
          :.source:orders v1: opens it to clients
        stays
          :.source:orders v1: opened its subject to clients
          MODE :.source:: what the link wrote below it stays
          MODE :.source:orders: someone else wrote it
          CONTEXT .source: still holds
        expect target
          CONTEXT .source
          MODE :.source: READONLY
          MODE :.source:orders READWRITE
          :.source:orders v1 id=1
        ",
    );
}

#[test]
fn a_subject_whose_own_fence_someone_deleted_stays_however_often_it_is_asked() {
    check(
        "
        link one same subjects orders,users
        source
          orders v1 id=1
          users v1 id=2
        expect target
          MODE orders READONLY
          orders v1 id=1
          MODE users READONLY
          users v1 id=2
        target
          MODE orders -
        purge
        held
          MODE orders: opens it to clients
          orders v1: opens it to clients
        stays
          orders v1: opened its subject to clients
        expect target
          orders v1 id=1
        purge
        stays
          orders v1: opened its subject to clients
        expect target
          orders v1 id=1
        ",
    );
}

#[test]
fn what_belongs_to_another_link_now_stays() {
    check(
        "
        link one same subjects orders
        link two B>target same subjects shared
        source
          shared v1 id=3
          orders v1 id=2 refs=shared:1
        expect target
          MODE shared READONLY
          shared v1 id=3
          MODE orders READONLY
          orders v1 id=2 refs=shared:1
        B
          shared v1 id=3
        purge
        stays
          shared v1: belongs to link two
          MODE shared: belongs to link two
        expect target
          MODE shared READONLY
          shared v1 id=3
        ",
    );
}

#[test]
fn a_purge_writes_to_karapace_what_that_reads_and_nothing_else() {
    check(
        r#"
        link same subjects * fence none to karapace
        source
          dep v1 id=1
          orders v1 id=2 refs=dep:1
        expect target
          CONFIG . BACKWARD @ {"keytype":"CONFIG","subject":null,"magic":0}
          dep v1 id=1
          orders v1 id=2 refs=dep:1
        purge
        stays
        expect target
        "#,
    );
}
