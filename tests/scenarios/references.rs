//! References and aliases, with and without a filter.

use crate::support::check::check;

#[test]
fn an_unqualified_reference_stays_as_it_is_spelled() {
    check(
        "
        source
          dep v1 id=1
          orders v1 id=2 refs=dep:1
        expect target
          opened .source
          :.source:dep v1 id=1
          :.source:orders v1 id=2 refs=dep:1
        ",
    );
}

#[test]
fn what_is_referenced_is_put_before_its_referrer_when_the_log_was_compacted() {
    check(
        "
        source
          dep v1 id=1
          orders v1 id=2 refs=dep:1
          dep v1 id=1 deleted
        compact source
        written
          CONTEXT .source
          MODE :.source: READONLY
          CONFIG :.source: BACKWARD
          :.source:dep v1 id=1 deleted
          :.source:orders v1 id=2 refs=dep:1
        ",
    );
}

#[test]
fn a_referrer_that_comes_first_resolves_when_the_other_arrives() {
    check(
        "
        source
          orders v1 id=2 refs=dep:1
        remarks
          :.source:orders v1: does not hold
        source
          dep v1 id=1
        expect target
          opened .source
          :.source:dep v1 id=1
          :.source:orders v1 id=2 refs=dep:1
        remarks
        ",
    );
}

#[test]
fn a_reference_that_dangles_in_the_source_is_copied_and_said() {
    check(
        "
        source
          orders v1 id=2 refs=dep:3
        expect target
          opened .source
          :.source:orders v1 id=2 refs=dep:3
        remarks
          :.source:orders v1: references dep version 3
        ",
    );
}

#[test]
fn a_cycle_of_references_is_copied() {
    check(
        "
        source
          a v1 id=1 refs=b:1
          b v1 id=2 refs=a:1
        expect target
          opened .source
          :.source:a v1 id=1 refs=b:1
          :.source:b v1 id=2 refs=a:1
        ",
    );
}

#[test]
fn a_reference_to_an_incident_is_held_until_the_incident_is_over() {
    check(
        "
        source
          dep v1 EMPTY
          orders v1 id=2 refs=dep:1
          users v1 id=3
        expect target
          opened .source
          :.source:users v1 id=3
        held
          :.source:orders v1: set aside itself
        incidents
          dep v1
        source
          dep v1 id=1
        expect target
          opened .source
          :.source:dep v1 id=1
          :.source:orders v1 id=2 refs=dep:1
          :.source:users v1 id=3
        held
        incidents
        ",
    );
}

#[test]
fn a_reference_to_an_id_that_lost_is_held() {
    check(
        "
        source
          a v1 id=1 text=A
          dep v1 id=1 text=D
          orders v1 id=2 refs=dep:1
        expect target
          opened .source
          :.source:a v1 id=1 text=A
        incidents
          dep v1: another text
        held
          :.source:orders v1: set aside itself
        source
          a v1 -
        expect target
          opened .source
          :.source:dep v1 id=1 text=D
          :.source:orders v1 id=2 refs=dep:1
        held
        incidents
        ",
    );
}

#[test]
fn a_qualified_reference_is_mapped_with_its_context() {
    check(
        "
        link into .source subjects :*:
        source
          :.staging:dep v1 id=1
          orders v1 id=2 refs=:.staging:dep:1
        expect target
          opened .source
          opened .source.staging
          :.source.staging:dep v1 id=1
          :.source:orders v1 id=2 refs=:.source.staging:dep:1
        ",
    );
}

#[test]
fn a_qualified_reference_into_a_context_that_is_not_mapped_is_held() {
    check(
        "
        source
          :.staging:dep v1 id=1
          orders v1 id=2 refs=:.staging:dep:1
          users v1 id=3
        expect target
          opened .source
          :.source:users v1 id=3
        held
          :.source:orders v1: .staging
        ",
    );
}

#[test]
fn a_soft_deleted_referrer_is_copied_whatever_it_references() {
    check(
        "
        source
          orders v1 id=2 refs=:.staging:dep:1 deleted
        expect target
          opened .source
          :.source:orders v1 id=2 refs=:.staging:dep:1 deleted
        ",
    );
}

#[test]
fn a_reference_that_names_the_default_context_becomes_a_plain_one() {
    check(
        "
        source
          dep v1 id=1
          orders v1 id=2 refs=:.:dep:1
        expect target
          opened .source
          :.source:dep v1 id=1
          :.source:orders v1 id=2 refs=dep:1
        ",
    );
}

#[test]
fn the_odd_spelling_of_the_default_context_stays_inside_a_named_one() {
    check(
        "
        link into .source subjects :.staging:*
        source
          :.staging:orders v1 id=2 refs=:.:dep:1
        expect target
          opened .source
          opened .source.staging
          :.source.staging:orders v1 id=2 refs=:.:dep:1
        remarks
          :.source.staging:orders v1: does not hold
        ",
    );
}

#[test]
fn a_filter_with_follow_takes_the_whole_referenced_subject_and_what_that_references() {
    check(
        "
        link into .source subjects orders
        source
          base v1 id=1
          dep v1 id=2 refs=base:1
          dep v2 id=3
          CONFIG dep FULL
          other v1 id=4
          orders v1 id=5 refs=dep:1
          dep v3 id=6
        expect target
          opened .source
          :.source:base v1 id=1
          :.source:dep v1 id=2 refs=base:1
          :.source:dep v2 id=3
          :.source:dep v3 id=6
          CONFIG :.source:dep FULL
          :.source:orders v1 id=5 refs=dep:1
        ",
    );
}

#[test]
fn a_followed_subject_is_dropped_when_its_referrer_goes() {
    check(
        "
        link into .source subjects orders,users
        source
          dep v1 id=2
          orders v1 id=5 refs=dep:1
          users v1 id=6
        expect target
          opened .source
          :.source:dep v1 id=2
          :.source:orders v1 id=5 refs=dep:1
          :.source:users v1 id=6
        source
          orders v1 -
        expect target
          opened .source
          :.source:users v1 id=6
        ",
    );
}

#[test]
fn a_followed_subject_is_dropped_when_its_referrer_stops_pointing_to_it() {
    check(
        "
        link into .source subjects orders
        source
          dep v1 id=2
          orders v1 id=4
          orders v2 id=5 refs=dep:1
        expect target
          opened .source
          :.source:dep v1 id=2
          :.source:orders v1 id=4
          :.source:orders v2 id=5 refs=dep:1
        source
          orders v2 -
        expect target
          opened .source
          :.source:orders v1 id=4
        ",
    );
}

#[test]
fn an_incident_of_a_subject_that_comes_in_by_following_counts_from_then_on() {
    check(
        "
        link into .source subjects orders
        source
          dep v1 EMPTY
          orders v1 id=5
        expect target
          opened .source
          :.source:orders v1 id=5
        incidents
        source
          orders v2 id=6 refs=dep:1
        expect target
          opened .source
          :.source:orders v1 id=5
        incidents
          dep v1
        held
          :.source:orders v2
        ",
    );
}

#[test]
fn with_hold_a_live_referrer_waits_and_a_deleted_one_does_not() {
    check(
        "
        link into .source subjects orders hold
        source
          dep v1 id=1
          orders v1 id=2 refs=dep:1
          orders v2 id=3 refs=dep:1 deleted
          orders v3 id=4
        expect target
          opened .source
          :.source:orders v2 id=3 refs=dep:1 deleted
          :.source:orders v3 id=4
        held
          :.source:orders v1: leaves behind
        ",
    );
}

#[test]
fn with_hold_a_referrer_flows_once_it_no_longer_points_outside() {
    check(
        "
        link into .source subjects orders hold
        source
          dep v1 id=1
          orders v1 id=2 refs=dep:1
          orders v1 -
          orders v1 id=3
        expect target
          opened .source
          :.source:orders v1 id=3
        held
        ",
    );
}

#[test]
fn an_alias_inside_a_context_is_written_qualified() {
    check(
        r#"
        source
          orders v1 id=1
          CONFIG al {"alias":"orders"}
        expect target
          opened .source
          :.source:orders v1 id=1
          CONFIG :.source:al {"alias":":.source:orders"}
        "#,
    );
}

#[test]
fn aliases_of_a_named_context_are_mapped_with_it() {
    check(
        r#"
        link into .source subjects :*:
        source
          :.staging:x v1 id=1
          x v1 id=1
          CONFIG :.staging:al {"alias":"x","aliasForDeks":":.staging:x"}
          CONFIG al {"alias":":.staging:x"}
        expect target
          opened .source
          opened .source.staging
          :.source.staging:x v1 id=1
          :.source:x v1 id=1
          CONFIG :.source.staging:al {"alias":":.source.staging:x","aliasForDeks":":.source.staging:x"}
          CONFIG :.source:al {"alias":":.source.staging:x"}
        "#,
    );
}

#[test]
fn an_alias_is_followed_like_a_reference() {
    check(
        r#"
        link into .source subjects al,users
        source
          orders v1 id=1
          orders v2 id=2
          users v1 id=3
          CONFIG al {"alias":"orders"}
        expect target
          opened .source
          :.source:orders v1 id=1
          :.source:orders v2 id=2
          :.source:users v1 id=3
          CONFIG :.source:al {"alias":":.source:orders"}
        source
          CONFIG al -
        expect target
          opened .source
          :.source:users v1 id=3
        "#,
    );
}

#[test]
fn with_hold_an_alias_that_points_outside_is_held() {
    check(
        r#"
        link into .source subjects al hold
        source
          orders v1 id=1
          CONFIG al {"alias":"orders"}
          al v1 id=2
        expect target
          opened .source
          :.source:al v1 id=2
        held
          CONFIG :.source:al: leaves behind
        "#,
    );
}

#[test]
fn without_a_context_references_and_aliases_stay_as_they_are() {
    check(
        r#"
        link same subjects *
        source
          dep v1 id=1
          orders v1 id=2 refs=dep:1
          users v1 id=3 refs=:.:dep:1
          CONFIG al {"alias":"orders"}
        expect target
          CONFIG . BACKWARD
          MODE . READONLY
          dep v1 id=1
          orders v1 id=2 refs=dep:1
          users v1 id=3 refs=:.:dep:1
          CONFIG al {"alias":"orders"}
        "#,
    );
}
