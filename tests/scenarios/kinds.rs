//! Every kind of the disposition table.

use crate::support::check::check;

#[test]
fn a_version_arrives_in_the_context_with_its_id_and_text() {
    check(
        "
        source
          orders v1 id=7 text=long
        written
          CONTEXT .source
          MODE :.source: READONLY
          CONFIG :.source: BACKWARD
          :.source:orders v1 id=7 text=long
        expect target
          opened .source
          :.source:orders v1 id=7 text=long
        ",
    );
}

#[test]
fn a_tombstone_takes_the_version_away() {
    check(
        "
        source
          orders v1 id=7
          orders v2 id=8
          orders v1 -
        expect target
          opened .source
          :.source:orders v2 id=8
        ",
    );
}

#[test]
fn an_empty_source_still_opens_the_links_own_context() {
    check(
        "
        source
          NOOP
        expect target
          opened .source
        ",
    );
}

#[test]
fn a_delete_subject_becomes_one_soft_delete_for_each_version() {
    check(
        "
        source
          orders v1 id=7
          orders v2 id=8
          DELETE_SUBJECT orders 2
        expect target
          opened .source
          :.source:orders v1 id=7 deleted
          :.source:orders v2 id=8 deleted
        ",
    );
}

#[test]
fn the_tombstone_of_a_delete_subject_undeletes_nothing() {
    check(
        "
        source
          orders v1 id=7
          DELETE_SUBJECT orders 1
          DELETE_SUBJECT orders -
        expect target
          opened .source
          :.source:orders v1 id=7 deleted
        ",
    );
}

#[test]
fn a_clear_subject_of_the_source_takes_nothing_from_the_target() {
    check(
        "
        source
          orders v1 id=7 deleted
          users v1 id=8
          CLEAR_SUBJECT
          CLEAR_SUBJECT orders
        expect target
          opened .source
          :.source:orders v1 id=7 deleted
          :.source:users v1 id=8
        ",
    );
}

#[test]
fn the_global_config_becomes_the_contexts_config() {
    check(
        "
        source
          CONFIG . FULL
          orders v1 id=7
        expect target
          opened .source FULL
          :.source:orders v1 id=7
        source
          CONFIG . NONE
        expect target
          opened .source NONE
          :.source:orders v1 id=7
        ",
    );
}

#[test]
fn the_config_of_a_subject_is_copied_as_it_is_and_goes_with_its_tombstone() {
    check(
        r#"
        source
          orders v1 id=7
          CONFIG orders {"normalize":true}
          CONFIG users FULL_TRANSITIVE
        expect target
          opened .source
          :.source:orders v1 id=7
          CONFIG :.source:orders {"normalize":true}
          CONFIG :.source:users FULL_TRANSITIVE
        source
          CONFIG orders -
        expect target
          opened .source
          :.source:orders v1 id=7
          CONFIG :.source:users FULL_TRANSITIVE
        "#,
    );
}

#[test]
fn modes_of_the_source_are_not_copied() {
    check(
        "
        source
          MODE . IMPORT
          MODE orders READONLY
          MODE :.__GLOBAL: READONLY
          orders v1 id=7
          MODE orders -
        expect target
          opened .source
          :.source:orders v1 id=7
        ",
    );
}

#[test]
fn a_context_that_the_filter_does_not_ask_for_is_left() {
    check(
        "
        source
          CONTEXT .staging
          :.staging:orders v1 id=7
          CONFIG :.staging: FULL
          :.staging:orders v2 EMPTY
          users v1 id=1
        expect target
          opened .source
          :.source:users v1 id=1
        ",
    );
}

#[test]
fn noops_associations_and_unknown_kinds_are_dropped() {
    check(
        r#"
        source
          NOOP
          orders v1 id=7
          RAW {"keytype":"ASSOC","tenant":"default","subject":"orders","magic":0} => {"guid":"g"}
          RAW {"keytype":"FOO","magic":0} => {}
          RAW {"keytype":"FOO","magic":0} => NULL
          RAW {"keytype":"NOOP","magic":0} => {"x":1}
        expect target
          opened .source
          :.source:orders v1 id=7
        "#,
    );
}

#[test]
fn metadata_rules_and_unknown_fields_are_carried() {
    check(
        r#"
        source
          a v1 id=1 with={"metadata":{"tags":{"t":["PII"]}},"ruleSet":{"domainRules":[{"kind":"CONDITION","mode":"WRITE"}]}}
          b v1 id=2 with={"future":{"b":1,"a":[1]},"md5":"x","schemaType":"JSON"}
        expect target
          opened .source
          :.source:a v1 id=1 with={"metadata":{"tags":{"t":["PII"]}},"ruleSet":{"domainRules":[{"kind":"CONDITION","mode":"WRITE"}]}}
          :.source:b v1 id=2 with={"future":{"b":1,"a":[1]},"md5":"x","schemaType":"JSON"}
        "#,
    );
}

#[test]
fn chosen_subjects_leave_the_others() {
    check(
        "
        link into .source subjects orders*
        source
          orders v1 id=7
          orders-key v1 id=8
          users v1 id=9
          CONFIG users FULL
          CONFIG orders-key NONE
          users v2 EMPTY
        expect target
          opened .source
          :.source:orders v1 id=7
          :.source:orders-key v1 id=8
          CONFIG :.source:orders-key NONE
        ",
    );
}
