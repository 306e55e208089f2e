//! Ids: one text each in a context, taken, freed and exchanged.

use crate::support::check::check;

#[test]
fn two_subjects_share_an_id_with_the_same_text() {
    check(
        "
        source
          a v1 id=7
          b v1 id=7
          a v1 -
        expect target
          opened .source
          :.source:b v1 id=7
        ",
    );
}

#[test]
fn the_first_text_of_an_id_wins_and_the_other_is_an_incident() {
    check(
        "
        source
          a v1 id=7 text=A
          b v1 id=7 text=B
          c v1 id=8
        expect target
          opened .source
          :.source:a v1 id=7 text=A
          :.source:c v1 id=8
        incidents
          b v1: another text
        ",
    );
}

#[test]
fn a_soft_deleted_schema_keeps_its_id() {
    check(
        "
        source
          a v1 id=7 text=A
          a v1 id=7 text=A deleted
          b v1 id=7 text=B
        expect target
          opened .source
          :.source:a v1 id=7 text=A deleted
        incidents
          b v1: another text
        ",
    );
}

#[test]
fn a_loser_in_the_source_is_readmitted_when_the_id_is_free() {
    check(
        "
        source
          a v1 id=7 text=A
          b v1 id=7 text=B
          a v1 -
        expect target
          opened .source
          :.source:b v1 id=7 text=B
        ",
    );
}

#[test]
fn a_loser_that_the_leader_rolled_back_is_no_incident_any_more() {
    check(
        "
        source
          a v1 id=7 text=A
          b v1 id=7 text=B
          b v1 -
        expect target
          opened .source
          :.source:a v1 id=7 text=A
        incidents
        ",
    );
}

#[test]
fn a_text_changed_in_place_is_an_incident_until_the_leader_takes_it_back() {
    check(
        "
        source
          a v1 id=7 text=A
          a v1 id=7 text=B
        expect target
          opened .source
          :.source:a v1 id=7 text=A
        incidents
          a v1: another text
        source
          a v1 id=7 text=A with={\"offset\":0,\"ts\":5}
        expect target
          opened .source
          :.source:a v1 id=7 text=A
        incidents
        ",
    );
}

#[test]
fn a_key_that_gets_another_id_without_a_tombstone_is_deleted_and_put() {
    check(
        "
        source
          a v5 id=500 text=A
          a v5 id=501 text=A
        expect target
          opened .source
          :.source:a v5 id=501 text=A
        source
          a v5 id=502 text=B
        expect target
          opened .source
          :.source:a v5 id=502 text=B
        ",
    );
}

#[test]
fn two_keys_exchange_their_ids() {
    check(
        "
        source
          a v1 id=1 text=A
          b v1 id=2 text=B
        expect target
          opened .source
          :.source:a v1 id=1 text=A
          :.source:b v1 id=2 text=B
        source
          a v1 -
          b v1 -
          a v1 id=2 text=A
          b v1 id=1 text=B
        expire source
        written
          :.source:a v1 -
          :.source:b v1 -
          :.source:a v1 id=2 text=A
          :.source:b v1 id=1 text=B
        expect target
          opened .source
          :.source:a v1 id=2 text=A
          :.source:b v1 id=1 text=B
        ",
    );
}

#[test]
fn three_keys_pass_their_ids_round() {
    check(
        "
        source
          a v1 id=1 text=A
          b v1 id=2 text=B
          c v1 id=3 text=C
        compact source
        expect target
          opened .source
          :.source:a v1 id=1 text=A
          :.source:b v1 id=2 text=B
          :.source:c v1 id=3 text=C
        source
          a v1 -
          b v1 -
          c v1 -
          a v1 id=2 text=A
          b v1 id=3 text=B
          c v1 id=1 text=C
        expire source
        expect target
          opened .source
          :.source:a v1 id=2 text=A
          :.source:b v1 id=3 text=B
          :.source:c v1 id=1 text=C
        ",
    );
}

#[test]
fn an_id_freed_by_a_hard_delete_is_given_to_another_schema() {
    check(
        "
        source
          a v1 id=7 text=A
          a v1 -
          b v1 id=7 text=B
        expire source
        restart
        expect target
          opened .source
          :.source:b v1 id=7 text=B
        ",
    );
}

#[test]
fn an_id_that_went_to_another_schema_while_the_link_was_away_is_freed_first() {
    check(
        "
        only reconcile
        source
          a v1 id=7 text=A
          z v1 id=9
        expect target
          opened .source
          :.source:a v1 id=7 text=A
          :.source:z v1 id=9
        source
          a v1 -
          b v1 id=7 text=B
        expire source
        written
          :.source:a v1 -
          :.source:b v1 id=7 text=B
        ",
    );
}

#[test]
fn an_id_taken_by_a_foreign_key_is_an_incident_and_free_again_when_that_one_goes() {
    check(
        "
        link same subjects orders*
        target
          users v1 id=7 text=U
        source
          orders v1 id=7 text=O
          orders v2 id=8
        expect target
          users v1 id=7 text=U
          MODE orders READONLY
          orders v2 id=8
        incidents
          orders v1: id 7
        target
          users v1 -
        expect target
          MODE orders READONLY
          orders v1 id=7 text=O
          orders v2 id=8
        incidents
        ",
    );
}

#[test]
fn the_same_id_in_two_contexts_is_two_ids() {
    check(
        "
        link into .source subjects :*:
        source
          a v1 id=7 text=A
          :.staging:a v1 id=7 text=S
        expect target
          opened .source
          opened .source.staging
          :.source:a v1 id=7 text=A
          :.source.staging:a v1 id=7 text=S
        ",
    );
}

#[test]
fn ids_and_versions_near_the_largest_number_are_incidents() {
    check(
        "
        source
          a v1 id=2147483647
          b v2147483647 id=8
          c v0 id=9
          d v1 id=2147482646
        expect target
          opened .source
          :.source:d v1 id=2147482646
        incidents
          a v1: not below
          *: outside 1
          *: outside 1
        ",
    );
}

#[test]
fn two_versions_of_a_subject_share_an_id_and_the_first_is_deleted() {
    check(
        "
        source
          a v1 id=7
          a v2 id=7
          a v1 -
        expect target
          opened .source
          :.source:a v2 id=7
        ",
    );
}

#[test]
fn versions_of_one_id_stand_in_rising_order() {
    check(
        "
        source
          a v2 id=7
          a v1 id=7
        written
          CONTEXT .source
          MODE :.source: READONLY
          CONFIG :.source: BACKWARD
          :.source:a v2 id=7
          :.source:a v1 id=7
          :.source:a v2 id=7
        expect target
          opened .source
          :.source:a v1 id=7
          :.source:a v2 id=7
        ",
    );
}

#[test]
fn a_version_that_would_lose_its_id_with_another_one_is_written_again() {
    check(
        "
        link into .source claimed
        target
          CONTEXT .source @ link=link path=source
          MODE :.source: READONLY @ link=link path=source
          CONFIG :.source: BACKWARD @ link=link path=source
          :.source:a v2 id=7 @ link=link path=source
          :.source:a v1 id=7 @ link=link path=source
          :.source:b v1 id=8 @ link=link path=source
        source
          a v1 id=7
          a v2 id=7
          b v1 id=8
        start
        written
        source
          a v1 -
        written
          :.source:a v1 -
          :.source:a v2 id=7
        expect target
          opened .source
          :.source:a v2 id=7
          :.source:b v1 id=8
        ",
    );
}
