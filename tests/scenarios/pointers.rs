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
