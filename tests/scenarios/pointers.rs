//! References and aliases whose meaning changes later.

use crate::support::check::check;

#[test]
fn without_a_context_a_followed_subject_is_fenced_and_goes_with_its_referrer() {
    check(
        "
        link same subjects orders,users
        target
          other v1 id=9
        source
          dep v1 id=2
          orders v1 id=5 refs=dep:1
          users v1 id=6
        expect target
          other v1 id=9
          MODE dep READONLY
          dep v1 id=2
          MODE orders READONLY
          orders v1 id=5 refs=dep:1
          MODE users READONLY
          users v1 id=6
        restart
        source
          orders v1 -
        compact source
        restart
        expect target
          other v1 id=9
          MODE users READONLY
          users v1 id=6
        ",
    );
}

#[test]
fn with_hold_a_referrer_waits_from_the_moment_that_its_reference_turns_up_outside_the_filter() {
    check(
        "
        link into .source subjects orders,users hold
        source
          users v1 id=1
          orders v1 EMPTY
          dep v1 id=2
          orders v1 id=3 refs=dep:1
        held
          :.source:orders v1: leaves behind
        source
          dep v1 -
        held
        expect target
          opened .source
          :.source:users v1 id=1
          :.source:orders v1 id=3 refs=dep:1
        ",
    );
}

#[test]
fn a_chain_of_referrers_is_held_with_its_first() {
    check(
        "
        link into .source subjects a,b hold
        source
          c v1 id=1
          b v1 id=2 refs=c:1
          a v1 id=3 refs=b:1
        expect target
          opened .source
        held
          :.source:a v1: set aside
          :.source:b v1: leaves behind
        ",
    );
}

#[test]
fn with_hold_a_reference_that_comes_later_in_the_log_is_seen_all_the_same() {
    check(
        "
        link into .source subjects orders hold
        source
          orders v1 id=2 refs=dep:1
          dep v1 id=1
        start
        expect target
          opened .source
        held
          :.source:orders v1: leaves behind
        ",
    );
}

#[test]
fn a_cycle_is_copied_and_reported() {
    check(
        "
        source
          a v1 id=1 refs=b:1
          b v1 id=2 refs=a:1
        expect target
          opened .source
          :.source:a v1 id=1 refs=b:1
          :.source:b v1 id=2 refs=a:1
        remarks
          :.source:a v1: lead back
          :.source:b v1: lead back
        ",
    );
}
