//! Links that give subjects other names by a list of rules.

use crate::support::check::check;

#[test]
fn a_list_names_subjects_their_references_and_aliases_and_leaves_others() {
    check(
        r#"
        link into .source renames prod-(.*)-value=$1,prod-(.*)=raw-$1
        source
          prod-dep-value v1 id=2
          orders v1 id=5 refs=prod-dep-value:1
          prod-users v1 id=6 refs=prod-dep-value:1
          CONFIG prod-users {"alias":"prod-dep-value"}
          CONFIG orders FULL
        expect target
          opened .source
          :.source:dep v1 id=2
          :.source:orders v1 id=5 refs=dep:1
          :.source:raw-users v1 id=6 refs=dep:1
          CONFIG :.source:raw-users {"alias":":.source:dep"}
          CONFIG :.source:orders FULL
        restart
        source
          DELETE_SUBJECT prod-users 1
          prod-dep-value v2 id=9
        expect target
          opened .source
          :.source:dep v1 id=2
          :.source:dep v2 id=9
          :.source:orders v1 id=5 refs=dep:1
          :.source:raw-users v1 id=6 refs=dep:1 deleted
          CONFIG :.source:raw-users {"alias":":.source:dep"}
          CONFIG :.source:orders FULL
        source
          CLEAR_SUBJECT prod-users
          prod-users v1 -
          CONFIG prod-users -
        compact source
        restart
        expect target
          opened .source
          :.source:dep v1 id=2
          :.source:dep v2 id=9
          :.source:orders v1 id=5 refs=dep:1
          CONFIG :.source:orders FULL
        "#,
    );
}

#[test]
fn a_qualified_reference_is_renamed_by_its_name_and_never_by_its_context() {
    check(
        "
        link into .source renames staging(.*)=x$1,dep=base subjects *,:.staging:*
        source
          :.staging:dep v1 id=1
          :.staging:user v1 id=3 refs=dep:1
          orders v1 id=2 refs=:.staging:dep:1
        expect target
          opened .source
          opened .source.staging
          :.source.staging:base v1 id=1
          :.source.staging:user v1 id=3 refs=base:1
          :.source:orders v1 id=2 refs=:.source.staging:base:1
        ",
    );
}

#[test]
fn a_reference_that_a_filter_leaves_behind_is_followed_under_the_name_of_its_rule() {
    check(
        "
        link into .source subjects orders renames (dep)=$1-dr
        source
          dep v1 id=2
          orders v1 id=5 refs=dep:1
          other v1 id=6
        expect target
          opened .source
          :.source:dep-dr v1 id=2
          :.source:orders v1 id=5 refs=dep-dr:1
        ",
    );
}

#[test]
fn two_subjects_of_one_name_are_refused_before_the_first_write() {
    check(
        "
        link into .source renames (eu|us)-(.*)=$2
        source
          other v1 id=4
          eu-orders v1 id=5
          us-orders v1 id=6
        start
        expect target
        halt eu-orders and us-orders would both be called :.source:orders. Nothing is written
        ",
    );
}

#[test]
fn a_subject_that_keeps_its_name_stands_in_the_way_of_one_that_would_get_it() {
    check(
        "
        link into .source renames eu-(.*)=$1
        source
          orders v1 id=5
          eu-orders v1 id=6
        start
        expect target
        halt orders and eu-orders would both be called :.source:orders
        ",
    );
}

#[test]
fn what_only_a_deleted_subject_shares_is_free_and_so_is_what_is_not_chosen() {
    check(
        "
        link into .source renames (eu|us|my)-(.*)=$2 subjects eu-*,us-*
        source
          us-orders v1 id=6
          us-orders v1 -
          my-orders v1 id=7
          eu-orders v1 id=5
        expect target
          opened .source
          :.source:orders v1 id=5
        ",
    );
}

#[test]
fn a_second_subject_that_comes_later_is_set_aside_and_comes_in_when_the_first_goes() {
    check(
        "
        only live
        link into .source renames (eu|us)-(.*)=$2
        source
          eu-orders v1 id=5
        expect target
          opened .source
          :.source:orders v1 id=5
        source
          us-orders v1 id=6
          us-orders v2 id=7
          CONFIG us-orders FULL
          eu-orders v2 id=8
          user v1 id=9 refs=us-orders:2
        expect target
          opened .source
          :.source:orders v1 id=5
          :.source:orders v2 id=8
        incidents
          us-orders: it would be called :.source:orders in the target, as eu-orders is
        held
          :.source:user v1: its reference to us-orders leads to us-orders: it would be called
        source
          DELETE_SUBJECT us-orders 1
          DELETE_SUBJECT eu-orders 2
        expect target
          opened .source
          :.source:orders v1 id=5 deleted
          :.source:orders v2 id=8 deleted
        source
          eu-orders v2 -
          eu-orders v1 -
        expect target
          opened .source
          :.source:orders v1 id=6 deleted
          :.source:orders v2 id=7
          CONFIG :.source:orders FULL
          :.source:user v1 id=9 refs=orders:2
        incidents
        held
        source
          eu-orders v3 id=10
        expect target
          opened .source
          :.source:orders v1 id=6 deleted
          :.source:orders v2 id=7
          CONFIG :.source:orders FULL
          :.source:user v1 id=9 refs=orders:2
        incidents
          eu-orders: it would be called :.source:orders in the target, as us-orders is
        ",
    );
}

#[test]
fn a_start_is_refused_while_two_subjects_have_one_name_and_nothing_is_written_or_deleted() {
    check(
        "
        only live
        link into .source renames (eu|us)-(.*)=$2
        source
          eu-orders v1 id=5
        expect target
          opened .source
          :.source:orders v1 id=5
        source
          us-orders v1 id=5
          eu-orders v2 id=8
        expect target
          opened .source
          :.source:orders v1 id=5
          :.source:orders v2 id=8
        incidents
          us-orders: it would be called :.source:orders in the target, as eu-orders is
        restart
        source
          eu-orders v3 id=9
        expect target
          opened .source
          :.source:orders v1 id=5
          :.source:orders v2 id=8
        halt eu-orders and us-orders would both be called :.source:orders
        ",
    );
}

#[test]
fn names_that_no_subject_can_have_are_incidents_and_nothing_stands_there() {
    for (rule, name) in [
        ("bad(.*)=$1", "bad"),
        ("bad-(.*)=$1", "bad-__GLOBAL"),
        ("bad-(.*)=$1", "bad-__EMPTY"),
        ("bad-(.*)=$1", "bad-:.x:orders"),
        ("bad-(.*)=$1", "bad-:*:orders"),
    ] {
        check(&format!(
            "
            link into .source renames {rule}
            source
              ok v1 id=4
              {name} v1 id=5
              CONFIG {name} FULL
            expect target
              opened .source
              :.source:ok v1 id=4
            incidents
              {name}: would be called
            restart
            source
              {name} v2 id=6
            incidents
              {name}: would be called
            source
              CONFIG {name} -
              {name} v2 -
              {name} v1 -
            incidents
            expect target
              opened .source
              :.source:ok v1 id=4
            "
        ));
    }
}

#[test]
fn a_reference_to_a_name_that_another_subject_has_is_held() {
    check(
        "
        link into .source renames (eu|us)-(.*)=$2
        source
          eu-orders v1 id=5
          user v1 id=9 refs=us-orders:1
        expect target
          opened .source
          :.source:orders v1 id=5
        held
          :.source:user v1: as eu-orders is
        ",
    );
}

#[test]
fn links_face_to_face_that_rename_do_not_rename_each_others_copies() {
    check(
        "
        link a-to-b A>B into .a subjects :*: renames (.*)=a-$1
        link b-to-a B>A into .b subjects :*: renames (.*)=b-$1
        A
          orders v1 id=5
        B
          users v1 id=6
        expect A
          opened .b
          :.b:b-users v1 id=6
          orders v1 id=5
        expect B
          opened .a
          :.a:a-orders v1 id=5
          users v1 id=6
        ",
    );
}
