//! Links that give subjects other names.

use crate::support::check::check;

#[test]
fn a_format_names_subjects_their_references_and_aliases() {
    check(
        r#"
        link into .source format dr-${subject}.x
        source
          dep v1 id=2
          orders v1 id=5 refs=dep:1
          CONFIG orders {"alias":"dep"}
        expect target
          opened .source
          :.source:dr-dep.x v1 id=2
          :.source:dr-orders.x v1 id=5 refs=dr-dep.x:1
          CONFIG :.source:dr-orders.x {"alias":":.source:dr-dep.x"}
        restart
        source
          DELETE_SUBJECT orders 1
          dep v2 id=9
        expect target
          opened .source
          :.source:dr-dep.x v1 id=2
          :.source:dr-dep.x v2 id=9
          :.source:dr-orders.x v1 id=5 refs=dr-dep.x:1 deleted
          CONFIG :.source:dr-orders.x {"alias":":.source:dr-dep.x"}
        source
          orders v1 -
          CONFIG orders -
        compact source
        restart
        expect target
          opened .source
          :.source:dr-dep.x v1 id=2
          :.source:dr-dep.x v2 id=9
        "#,
    );
}

#[test]
fn a_qualified_reference_into_a_copied_context_is_renamed_with_it() {
    check(
        "
        link into .source format dr-${subject} subjects *,:.staging:*
        source
          :.staging:dep v1 id=1
          :.staging:user v1 id=3 refs=dep:1
          orders v1 id=2 refs=:.staging:dep:1
        expect target
          opened .source
          opened .source.staging
          :.source.staging:dr-dep v1 id=1
          :.source.staging:dr-user v1 id=3 refs=dr-dep:1
          :.source:dr-orders v1 id=2 refs=:.source.staging:dr-dep:1
        ",
    );
}

#[test]
fn without_a_context_a_link_owns_the_names_that_its_format_gives_and_no_others() {
    check(
        "
        link same format dr-${subject}
        target
          orders v1 id=9
          CONFIG . FULL
        source
          orders v1 id=5
          users v1 id=6
          CONFIG . NONE
        expect target
          orders v1 id=9
          CONFIG . FULL
          MODE dr-orders READONLY
          dr-orders v1 id=5
          MODE dr-users READONLY
          dr-users v1 id=6
        restart
        source
          orders v1 -
        compact source
        restart
        expect target
          orders v1 id=9
          CONFIG . FULL
          MODE dr-users READONLY
          dr-users v1 id=6
        ",
    );
}

#[test]
fn a_reference_that_a_filter_leaves_behind_is_followed_under_its_new_name() {
    check(
        "
        link same subjects orders format ${subject}-dr
        source
          dep v1 id=2
          orders v1 id=5 refs=dep:1
          other v1 id=6
        expect target
          MODE dep-dr READONLY
          dep-dr v1 id=2
          MODE orders-dr READONLY
          orders-dr v1 id=5 refs=dep-dr:1
        ",
    );
}

#[test]
fn links_face_to_face_that_rename_do_not_rename_each_others_copies() {
    check(
        "
        link a-to-b A>B same format a-${subject}
        link b-to-a B>A same format b-${subject}
        A
          orders v1 id=5
        B
          users v1 id=6
        expect A
          orders v1 id=5
          MODE b-users READONLY
          b-users v1 id=6
        expect B
          MODE a-orders READONLY
          a-orders v1 id=5
          users v1 id=6
        ",
    );
}
