//! Soft and hard deletes, and what comes after them.

use crate::support::check::check;

#[test]
fn a_soft_deleted_version_stays_soft_deleted() {
    check(
        "
        source
          orders v1 id=7
          orders v1 id=7 deleted
          orders v2 id=8
        expect target
          opened .source
          :.source:orders v1 id=7 deleted
          :.source:orders v2 id=8
        ",
    );
}

#[test]
fn a_put_that_is_not_deleted_undeletes() {
    check(
        "
        source
          orders v1 id=7
          DELETE_SUBJECT orders 1
          orders v1 id=7
        expect target
          opened .source
          :.source:orders v1 id=7
        ",
    );
}

#[test]
fn a_subject_made_again_after_a_hard_delete_has_the_same_version_with_another_id() {
    check(
        "
        source
          orders v1 id=7
          orders v1 id=7 deleted
          orders v1 -
          orders v1 id=8
        expect target
          opened .source
          :.source:orders v1 id=8
        ",
    );
}

#[test]
fn the_same_version_with_another_id_is_deleted_before_it_is_put() {
    check(
        "
        source
          orders v1 id=7
        expect target
          opened .source
          :.source:orders v1 id=7
        source
          orders v1 -
          orders v1 id=8
        expire source
        written
          :.source:orders v1 -
          :.source:orders v1 id=8
        expect target
          opened .source
          :.source:orders v1 id=8
        ",
    );
}

#[test]
fn an_old_delete_subject_does_not_touch_what_was_registered_after_it() {
    check(
        "
        source
          orders v1 id=7
          DELETE_SUBJECT orders 1
          orders v1 -
          orders v1 id=7
          orders v2 id=8
        expect target
          opened .source
          :.source:orders v1 id=7
          :.source:orders v2 id=8
        ",
    );
}

#[test]
fn registering_again_after_a_soft_delete_moves_the_id_to_the_next_version() {
    check(
        "
        source
          orders v1 id=7
          orders v2 id=8
          DELETE_SUBJECT orders 2
          orders v1 -
          orders v3 id=7
        expect target
          opened .source
          :.source:orders v2 id=8 deleted
          :.source:orders v3 id=7
        ",
    );
}

#[test]
fn a_delete_subject_spares_versions_above_its_own() {
    check(
        "
        source
          orders v1 id=7
          orders v2 id=8
          orders v3 id=9
          DELETE_SUBJECT orders 2
        expect target
          opened .source
          :.source:orders v1 id=7 deleted
          :.source:orders v2 id=8 deleted
          :.source:orders v3 id=9
        ",
    );
}

#[test]
fn a_delete_subject_with_a_huge_version_deletes_what_is_known_and_is_not_forwarded() {
    check(
        "
        source
          orders v1 id=7
          orders v5 id=8
          DELETE_SUBJECT orders 2147483647
          DELETE_SUBJECT nobody 2147483647
          orders v6 id=9
        expect target
          opened .source
          :.source:orders v1 id=7 deleted
          :.source:orders v5 id=8 deleted
          :.source:orders v6 id=9
        ",
    );
}

#[test]
fn a_hard_deleted_subject_is_gone_with_its_settings() {
    check(
        "
        source
          orders v1 id=7
          orders v2 id=8
          CONFIG orders FULL
          DELETE_SUBJECT orders 2
          orders v2 -
          orders v1 -
          CONFIG orders -
          users v1 id=9
        expect target
          opened .source
          :.source:users v1 id=9
        ",
    );
}

#[test]
fn a_hard_delete_that_is_caught_up_with_does_not_bring_versions_back() {
    check(
        "
        source
          orders v1 id=7
          orders v2 id=8
          DELETE_SUBJECT orders 2
          orders v1 -
          orders v2 -
          orders v1 id=9
        start
        expect target
          opened .source
          :.source:orders v1 id=9
        ",
    );
}

#[test]
fn a_delete_subject_that_is_caught_up_with_is_materialised() {
    check(
        "
        source
          orders v1 id=7
          orders v2 id=8
          DELETE_SUBJECT orders 2
          orders v3 id=9
          users v1 id=1
          DELETE_SUBJECT users 1
          users v1 -
        start
        expect target
          opened .source
          :.source:orders v1 id=7 deleted
          :.source:orders v2 id=8 deleted
          :.source:orders v3 id=9
        ",
    );
}

#[test]
fn a_tombstone_that_expired_while_the_link_was_away_is_made_up_for() {
    check(
        "
        source
          orders v1 id=7
          users v1 id=8
          CONFIG users FULL
        expect target
          opened .source
          :.source:orders v1 id=7
          :.source:users v1 id=8
          CONFIG :.source:users FULL
        only reconcile
        source
          users v1 -
          CONFIG users -
        expire source
        expect target
          opened .source
          :.source:orders v1 id=7
        ",
    );
}

#[test]
fn compaction_of_both_logs_changes_nothing() {
    check(
        "
        source
          orders v1 id=7
          orders v2 id=8
          DELETE_SUBJECT orders 1
          orders v1 id=7 deleted
          users v1 id=9
          users v1 -
          CONFIG . FULL
        expire source
        expire target
        restart
        expect target
          opened .source FULL
          :.source:orders v1 id=7 deleted
          :.source:orders v2 id=8
        source
          orders v3 id=10
          orders v1 -
        compact source
        compact target
        restart
        expect target
          opened .source FULL
          :.source:orders v2 id=8
          :.source:orders v3 id=10
        ",
    );
}

#[test]
fn a_referrer_is_deleted_before_what_it_references() {
    check(
        "
        source
          dep v1 id=1
          orders v1 id=2 refs=dep:1
          orders v2 id=3
          users v1 id=4
        expect target
          opened .source
          :.source:dep v1 id=1
          :.source:orders v1 id=2 refs=dep:1
          :.source:orders v2 id=3
          :.source:users v1 id=4
        source
          orders v1 -
          orders v2 -
          dep v1 -
        expire source
        written
          :.source:orders v2 -
          :.source:orders v1 -
          :.source:dep v1 -
        expect target
          opened .source
          :.source:users v1 id=4
        ",
    );
}

#[test]
fn karapaces_empty_values_delete() {
    check(
        "
        source
          orders v1 id=7 @ karapace
          orders v2 id=8 @ karapace
          CONFIG orders FULL @ karapace
          orders v1 EMPTY @ karapace
          CONFIG orders EMPTY @ karapace
        expect target
          opened .source
          :.source:orders v2 id=8
        ",
    );
}

#[test]
fn an_empty_value_in_a_declared_karapace_source_deletes_without_headers() {
    check(
        "
        link into .source karapace
        source
          orders v1 id=7
          orders v1 EMPTY
        expect target
          opened .source
        ",
    );
}

#[test]
fn confluents_empty_value_is_an_incident_and_the_last_good_state_stays() {
    check(
        "
        source
          orders v1 id=7
          orders v1 EMPTY
        expect target
          opened .source
          :.source:orders v1 id=7
        incidents
          orders v1: can't be read
        ",
    );
}

#[test]
fn an_incident_stands_when_its_subject_is_deleted_softly() {
    check(
        "
        source
          orders v1 id=7
          orders v1 EMPTY
          users v1 id=8
          users v1 EMPTY
          users v2 id=9
          DELETE_SUBJECT orders 1
          DELETE_SUBJECT users 2
        expect target
          opened .source
          :.source:orders v1 id=7 deleted
          :.source:users v1 id=8 deleted
          :.source:users v2 id=9 deleted
        incidents
          orders v1: can't be read
          users v1: can't be read
        ",
    );
}

#[test]
fn an_incident_keeps_the_last_good_state_after_compaction_took_it_from_the_source() {
    check(
        "
        source
          orders v1 id=7
          orders v1 EMPTY
          CONFIG orders FULL
          CONFIG orders SUPER
          users v1 id=8
        expect target
          opened .source
          :.source:orders v1 id=7
          CONFIG :.source:orders FULL
          :.source:users v1 id=8
        compact source
        restart
        expect target
          opened .source
          :.source:orders v1 id=7
          CONFIG :.source:orders FULL
          :.source:users v1 id=8
        incidents
          orders v1
          CONFIG orders
        source
          orders v1 id=7 deleted
          CONFIG orders NONE
        expect target
          opened .source
          :.source:orders v1 id=7 deleted
          CONFIG :.source:orders NONE
          :.source:users v1 id=8
        incidents
        ",
    );
}

#[test]
fn the_json_word_null_deletes_as_in_the_registry() {
    check(
        "
        source
          orders v1 id=7
          orders v2 id=8
          orders v1 null
        expect target
          opened .source
          :.source:orders v2 id=8
        ",
    );
}

#[test]
fn both_spellings_of_a_karapace_source_are_one_key_and_the_newest_record_counts() {
    check(
        "
        source
          orders v1 id=7 @ key=legacy
          orders v1 id=7 deleted
          users v1 id=8
          users v1 EMPTY @ key=legacy
          CONFIG . FULL @ key=null
        expect target
          opened .source FULL
          :.source:orders v1 id=7 deleted
        ",
    );
}

#[test]
fn an_incident_that_was_hard_deleted_is_over() {
    check(
        "
        source
          orders v1 id=7
          orders v1 EMPTY
          orders v1 -
        expect target
          opened .source
        incidents
        ",
    );
}
