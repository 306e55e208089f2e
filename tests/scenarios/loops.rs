//! Links in both directions, in rings, through hubs; chains on purpose.

use crate::support::check::check;

#[test]
fn two_links_face_to_face_copy_each_sides_own_subjects_once() {
    check(
        "
        link a-to-b A>B into .a
        link b-to-a B>A into .b
        start
        A
          orders v1 id=1
        B
          users v1 id=1
        A
          orders v2 id=2
          orders v1 -
        expect A
          orders v2 id=2
          opened .b
          :.b:users v1 id=1
        expect B
          users v1 id=1
          opened .a
          :.a:orders v2 id=2
        ",
    );
}

#[test]
fn two_links_face_to_face_for_all_contexts_do_not_compound_them() {
    check(
        "
        link a-to-b A>B into .a subjects :*:
        link b-to-a B>A into .b subjects :*:
        start
        A
          orders v1 id=1
          CONFIG orders FULL
          CONFIG . NONE
        B
          users v1 id=1
          :.mine:x v1 id=4
        expect A
          orders v1 id=1
          CONFIG orders FULL
          CONFIG . NONE
          opened .b
          :.b:users v1 id=1
          opened .b.mine
          :.b.mine:x v1 id=4
        expect B
          users v1 id=1
          :.mine:x v1 id=4
          opened .a NONE
          :.a:orders v1 id=1
          CONFIG :.a:orders FULL
        ",
    );
}

#[test]
fn two_links_without_contexts_do_not_echo() {
    check(
        "
        link a-to-b A>B same subjects a* fence none
        link b-to-a B>A same subjects a*,b* fence none
        start
        A
          a1 v1 id=1
        B
          b1 v1 id=2
        expect A
          a1 v1 id=1
          b1 v1 id=2
        expect B
          a1 v1 id=1
          b1 v1 id=2
        ",
    );
}

#[test]
fn a_ring_of_three_for_all_contexts_comes_to_rest() {
    check(
        "
        link a-to-b A>B into .a subjects :*:
        link b-to-c B>C into .b subjects :*:
        link c-to-a C>A into .c subjects :*:
        start
        A
          x v1 id=1
        B
          y v1 id=2
        expect A
          x v1 id=1
          opened .c
          opened .c.b
          :.c.b:y v1 id=2
        expect B
          y v1 id=2
          opened .a
          :.a:x v1 id=1
        expect C
          opened .b
          :.b:y v1 id=2
          opened .b.a
          :.b.a:x v1 id=1
        ",
    );
}

#[test]
fn spokes_of_a_hub_see_each_other_through_it_and_not_themselves() {
    check(
        "
        link a-to-hub A>H into .a
        link b-to-hub B>H into .b
        link hub-to-a H>A into .hub subjects :*:
        link hub-to-b H>B into .hub subjects :*:
        start
        A
          x v1 id=1
        B
          y v1 id=1
        H
          z v1 id=1
        expect H
          z v1 id=1
          opened .a
          :.a:x v1 id=1
          opened .b
          :.b:y v1 id=1
        expect A
          x v1 id=1
          opened .hub
          :.hub:z v1 id=1
          opened .hub.b
          :.hub.b:y v1 id=1
        expect B
          y v1 id=1
          opened .hub
          :.hub:z v1 id=1
          opened .hub.a
          :.hub.a:x v1 id=1
        ",
    );
}

#[test]
fn a_chain_on_purpose_carries_the_path_of_every_cluster() {
    check(
        "
        link a-to-b A>B into .a
        link b-to-c B>C into .b subjects *,:.a:*
        start
        A
          x v1 id=1
        B
          y v1 id=2
        expect B
          y v1 id=2
          opened .a
          :.a:x v1 id=1
        expect C
          opened .b
          opened .b.a
          :.b.a:x v1 id=1
          :.b:y v1 id=2
        ",
    );
}

#[test]
fn the_own_context_copied_elsewhere_does_not_come_back_unless_the_filter_names_it() {
    check(
        "
        link a-to-b A>B into .a
        link b-to-c B>C into .b
        start
        A
          x v1 id=1
        B
          y v1 id=2
        expect C
          opened .b
          :.b:y v1 id=2
        ",
    );
}

#[test]
fn a_record_that_came_through_the_target_is_not_selected_whatever_the_filter() {
    check(
        "
        link into .source subjects :*:
        source
          x v1 id=1 @ path=target
          y v1 id=2 @ path=other
          :.t:z v1 id=3 @ path=far,target,near
          CONFIG x FULL @ path=target
        expect target
          opened .source
          :.source:y v1 id=2
        ",
    );
}

#[test]
fn where_the_header_is_lost_the_claim_says_where_the_subject_came_from() {
    check(
        "
        link into .source subjects :*: claims :.t:*<target
        source
          :.t:x v1 id=1 deleted
          CONFIG :.t: FULL
          CONTEXT .t
          y v1 id=2
        expect target
          opened .source
          :.source:y v1 id=2
        ",
    );
}

#[test]
fn a_registry_that_rewrites_a_copied_record_does_not_start_a_loop() {
    check(
        "
        link into .source subjects :*: claims :.t:*<target
        source
          :.t:x v1 id=1 @ path=target
          :.t:x v1 id=1 deleted
          :.t:x v2 id=2
          DELETE_SUBJECT :.t:x 2
        expect target
          opened .source
        ",
    );
}

#[test]
fn a_reference_to_a_copy_that_does_not_go_back_is_held() {
    check(
        "
        link a-to-b A>B into .a subjects :*:
        link b-to-a B>A into .b subjects :*:
        start
        B
          dep v1 id=1
        A
          orders v1 id=2 refs=:.b:dep:1
        expect B
          dep v1 id=1
          opened .a
        held
          :.a:orders v1: does not go back
        ",
    );
}
