//! Where things go: contexts, their settings, links without a context.

use crate::support::check::check;

#[test]
fn the_registry_wide_config_is_the_contexts_level_where_the_source_has_no_global_one() {
    check(
        "
        source
          CONFIG :.__GLOBAL: NONE
          orders v1 id=1
        expect target
          opened .source NONE
          :.source:orders v1 id=1
        source
          CONFIG . FULL
        expect target
          opened .source FULL
          :.source:orders v1 id=1
        source
          CONFIG . -
        expect target
          opened .source NONE
          :.source:orders v1 id=1
        source
          CONFIG :.__GLOBAL: -
        expect target
          opened .source BACKWARD
          :.source:orders v1 id=1
        ",
    );
}

#[test]
fn the_level_that_our_configuration_gives_is_the_last_resort() {
    check(
        "
        link into .source default FULL_TRANSITIVE
        source
          orders v1 id=1
        expect target
          opened .source FULL_TRANSITIVE
          :.source:orders v1 id=1
        ",
    );
}

#[test]
fn a_partial_config_of_a_context_gets_a_level_and_keeps_its_fields() {
    check(
        r#"
        source
          CONFIG . {"normalize":true}
          CONFIG :.__GLOBAL: FORWARD
        expect target
          CONTEXT .source
          MODE :.source: READONLY
          CONFIG :.source: {"compatibilityLevel":"BACKWARD","normalize":true}
        source
          CONFIG . -
        expect target
          opened .source FORWARD
        "#,
    );
}

#[test]
fn the_empty_config_of_a_subject_is_copied_as_it_is() {
    check(
        "
        source
          CONFIG orders {}
          orders v1 id=1
        expect target
          opened .source
          CONFIG :.source:orders {}
          :.source:orders v1 id=1
        ",
    );
}

#[test]
fn a_bad_global_config_leaves_the_contexts_config_as_it_was() {
    check(
        "
        source
          CONFIG . FULL
          CONFIG . SUPER
          orders v1 id=1
        expect target
          opened .source FULL
          :.source:orders v1 id=1
        incidents
          CONFIG (default context): SUPER
        compact source
        restart
        expect target
          opened .source FULL
          :.source:orders v1 id=1
        ",
    );
}

#[test]
fn a_named_context_goes_behind_the_links_own_with_its_settings() {
    check(
        "
        link into .source subjects *,:.staging:*
        source
          CONTEXT .staging
          CONFIG :.staging: FULL
          :.staging:orders v1 id=1
          CONTEXT .other
          :.other:x v1 id=1
          users v1 id=2
        expect target
          opened .source
          opened .source.staging FULL
          :.source.staging:orders v1 id=1
          :.source:users v1 id=2
        ",
    );
}

#[test]
fn a_named_context_that_the_source_drops_is_taken_away_with_its_context_record_last() {
    check(
        "
        link into .source subjects :*:
        source
          CONTEXT .staging
          :.staging:orders v1 id=1
          :.staging:orders v2 id=2
          users v1 id=3
        expect target
          opened .source
          opened .source.staging
          :.source.staging:orders v1 id=1
          :.source.staging:orders v2 id=2
          :.source:users v1 id=3
        source
          :.staging:orders v1 -
          :.staging:orders v2 -
          CONTEXT .staging -
        written
          :.source.staging:orders v2 -
          :.source.staging:orders v1 -
          CONFIG :.source.staging: -
          MODE :.source.staging: -
          CONTEXT .source.staging -
        expect target
          opened .source
          :.source:users v1 id=3
        ",
    );
}

#[test]
fn a_named_context_without_a_context_record_goes_with_its_last_schema_and_can_come_back() {
    check(
        "
        link into .source subjects :*:
        source
          :.staging:orders v1 id=1
          :.staging:orders v1 -
        expect target
          opened .source
        source
          :.staging:orders v1 id=2
        expect target
          opened .source
          opened .source.staging
          :.source.staging:orders v1 id=2
        ",
    );
}

#[test]
fn only_a_named_context_is_asked_for() {
    check(
        "
        link into .source subjects :.staging:*
        source
          :.staging:orders v1 id=1
          users v1 id=2
          CONFIG . FULL
        expect target
          opened .source FULL
          opened .source.staging
          :.source.staging:orders v1 id=1
        ",
    );
}

#[test]
fn a_link_without_context_copies_the_default_context_under_the_names_it_has() {
    check(
        "
        link same subjects *
        target
          :.mine:x v1 id=1
        source
          CONFIG . FULL
          orders v1 id=7
          CONFIG orders NONE
          :.staging:x v1 id=1
        written
          MODE . READONLY
          CONFIG . BACKWARD
          CONFIG . FULL
          orders v1 id=7
          CONFIG orders NONE
        expect target
          CONFIG . FULL
          MODE . READONLY
          orders v1 id=7
          CONFIG orders NONE
          :.mine:x v1 id=1
        ",
    );
}

#[test]
fn a_link_without_context_for_chosen_subjects_fences_each_of_them_and_leaves_the_global_config() {
    check(
        "
        link same subjects orders*
        target
          users v1 id=1
          CONFIG . NONE
        source
          CONFIG . FULL
          orders v1 id=7
          orders-key v1 id=8
          users v1 id=9
        expect target
          CONFIG . NONE
          users v1 id=1
          MODE orders READONLY
          orders v1 id=7
          MODE orders-key READONLY
          orders-key v1 id=8
        ",
    );
}

#[test]
fn the_fence_of_a_chosen_subject_goes_after_its_last_version() {
    check(
        "
        link same subjects orders,users
        source
          orders v1 id=7
          users v1 id=8
        expect target
          MODE orders READONLY
          orders v1 id=7
          MODE users READONLY
          users v1 id=8
        source
          orders v1 -
        written
          orders v1 -
          MODE orders -
        expect target
          MODE users READONLY
          users v1 id=8
        ",
    );
}

#[test]
fn a_link_without_context_for_all_contexts_keeps_their_names() {
    check(
        "
        link same subjects :*:
        source
          orders v1 id=7
          CONTEXT .staging
          :.staging:orders v1 id=1
          users v1 id=8 refs=:.staging:orders:1
        expect target
          CONFIG . BACKWARD
          MODE . READONLY
          opened .staging
          orders v1 id=7
          :.staging:orders v1 id=1
          users v1 id=8 refs=:.staging:orders:1
        ",
    );
}

#[test]
fn narrowing_the_filter_takes_away_what_is_no_longer_chosen() {
    check(
        "
        link into .source subjects orders claimed
        target
          CONTEXT .source @ link=link path=source
          MODE :.source: READONLY @ link=link path=source
          CONFIG :.source: BACKWARD @ link=link path=source
          :.source:orders v1 id=1 @ link=link path=source
          :.source:users v1 id=2 @ link=link path=source
        source
          orders v1 id=1
          users v1 id=2
        start
        expect target
          opened .source
          :.source:orders v1 id=1
        ",
    );
}

#[test]
fn a_context_name_that_only_begins_alike_is_not_touched() {
    check(
        "
        link into .source subjects :*:
        target
          CONTEXT .source2
          :.source2:x v1 id=1
        source
          orders v1 id=7
        expect target
          opened .source
          :.source:orders v1 id=7
          CONTEXT .source2
          :.source2:x v1 id=1
        ",
    );
}

#[test]
fn a_context_with_one_dot_more_behind_its_name_is_another_one() {
    check(
        "
        link into .source subjects :*:
        target
          CONTEXT .source.
          :.source.:orders v1 id=1
        source
          orders v1 id=7
          orders v1 -
          users v1 id=8
        expect target
          opened .source
          :.source:users v1 id=8
          CONTEXT .source.
          :.source.:orders v1 id=1
        ",
    );
}

#[test]
fn what_a_deleted_link_of_the_same_name_left_elsewhere_stays() {
    check(
        "
        link same subjects orders
        target
          CONTEXT .old @ link=link path=source
          MODE :.old: READONLY @ link=link path=source
          CONFIG :.old: BACKWARD @ link=link path=source
          :.old:users v1 id=3 @ link=link path=source
        source
          orders v1 id=7
        written
          MODE orders READONLY
          orders v1 id=7
        expect target
          CONTEXT .old
          MODE :.old: READONLY
          CONFIG :.old: BACKWARD
          :.old:users v1 id=3
          MODE orders READONLY
          orders v1 id=7
        ",
    );
    // Without a fence nothing held what stands there.
    check(
        "
        link same subjects orders fence none
        target
          CONTEXT .old @ link=link path=source
          :.old:users v1 id=3 @ link=link path=source
        source
          orders v1 id=7
        expect target
          CONTEXT .old
          :.old:users v1 id=3
          orders v1 id=7
        ",
    );
}
