//! The fence, and who may take it away; the first start.

use std::sync::Arc;
use std::time::Duration;

use schema_mirror::core::link::Change;
use schema_mirror::core::link::Pace;
use schema_mirror::core::link::Source;

use crate::support::check::check;
use crate::support::script::Script;
use crate::support::text;
use crate::support::world::Way;
use crate::support::world::World;

#[test]
fn the_fence_can_be_import() {
    check(
        "
        link into .source fence import
        source
          orders v1 id=1
        expect target
          CONTEXT .source
          MODE :.source: IMPORT
          CONFIG :.source: BACKWARD
          :.source:orders v1 id=1
        ",
    );
}

#[test]
fn without_a_fence_no_mode_is_written_and_a_foreign_one_stays() {
    check(
        "
        link into .source fence none
        target
          MODE :.source: READWRITE
        source
          orders v1 id=1
        expect target
          CONTEXT .source
          MODE :.source: READWRITE
          CONFIG :.source: BACKWARD
          :.source:orders v1 id=1
        ",
    );
}

#[test]
fn import_that_an_operator_set_is_kept() {
    check(
        "
        target
          MODE :.source: IMPORT
        source
          orders v1 id=1
        expect target
          CONTEXT .source
          MODE :.source: IMPORT
          CONFIG :.source: BACKWARD
          :.source:orders v1 id=1
        target
          MODE :.source: READONLY
        source
          orders v2 id=2
        expect target
          opened .source
          :.source:orders v1 id=1
          :.source:orders v2 id=2
        ",
    );
}

#[test]
fn a_fence_set_to_readwrite_halts_the_link() {
    check(
        "
        source
          orders v1 id=1
        expect target
          opened .source
          :.source:orders v1 id=1
        target
          MODE :.source: READWRITE
        halt fence lifted
        ",
    );
}

#[test]
fn a_fence_that_was_deleted_halts_the_link_until_it_is_told_to_fence_again() {
    check(
        "
        source
          orders v1 id=1
        expect target
          opened .source
          :.source:orders v1 id=1
        target
          MODE :.source: -
        halt fence lifted
        fence again
        restart
        source
          orders v2 id=2
        expect target
          opened .source
          :.source:orders v1 id=1
          :.source:orders v2 id=2
        ",
    );
}

#[test]
fn a_fence_that_is_asked_for_by_name_is_set_whatever_mode_stands_there() {
    for mode in ["READWRITE", "IMPORT", "-"] {
        check(&format!(
            "
            source
              orders v1 id=1
            expect target
              opened .source
              :.source:orders v1 id=1
            target
              MODE :.source: {mode}
            fence again .source
            restart
            expect target
              opened .source
              :.source:orders v1 id=1
            target
              MODE :.source: READWRITE
            halt fence lifted
            "
        ));
    }
}

#[test]
fn leave_to_fence_again_covers_no_other_context_and_no_mode_that_came_later() {
    check(
        "
        link into .source subjects :*:
        source
          orders v1 id=1
          :.staging:users v1 id=2
        target
          MODE :.source.staging: READWRITE
        halt context .source.staging,
        fence again .source
        restart
        halt context .source.staging,
        fence again .source.staging
        target
          MODE :.source.staging: READWRITE
        restart
        halt context .source.staging,
        fence again .source.staging
        restart
        expect target
          opened .source
          opened .source.staging
          :.source:orders v1 id=1
          :.source.staging:users v1 id=2
        ",
    );
}

#[test]
fn a_fence_that_stands_again_lets_the_link_go_on_after_a_restart() {
    check(
        "
        source
          orders v1 id=1
        expect target
          opened .source
          :.source:orders v1 id=1
        target
          MODE :.source: READWRITE
        halt fence lifted
        target
          MODE :.source: READONLY
        restart
        source
          orders v2 id=2
        expect target
          opened .source
          :.source:orders v1 id=1
          :.source:orders v2 id=2
        ",
    );
}

#[test]
fn the_fence_of_a_link_without_context_halts_it_too() {
    check(
        "
        link same subjects *
        source
          orders v1 id=1
        expect target
          CONFIG . BACKWARD
          MODE . READONLY
          orders v1 id=1
        target
          MODE . READWRITE
        halt the default context
        ",
    );
}

#[test]
fn a_mode_that_opens_one_subject_holds_that_subject_only() {
    check(
        "
        source
          orders v1 id=1
          users v1 id=2
        expect target
          opened .source
          :.source:orders v1 id=1
          :.source:users v1 id=2
        target
          MODE :.source:orders READWRITE
        source
          orders v2 id=3
          CONFIG orders FULL
          users v2 id=4
        expect target
          opened .source
          MODE :.source:orders READWRITE
          :.source:orders v1 id=1
          :.source:users v1 id=2
          :.source:users v2 id=4
        held
          :.source:orders v1: READWRITE
          :.source:orders v2: READWRITE
          CONFIG :.source:orders: READWRITE
          MODE :.source:orders: READWRITE
        ",
    );
}

#[test]
fn a_held_subject_is_released_when_its_mode_goes() {
    check(
        "
        source
          orders v1 id=1
        target
          MODE :.source:orders READWRITE
        source
          orders v2 id=3
          orders v1 id=1 deleted
        expect target
          opened .source
          MODE :.source:orders READWRITE
          :.source:orders v1 id=1
        target
          MODE :.source:orders -
        held
        expect target
          opened .source
          :.source:orders v1 id=1 deleted
          :.source:orders v2 id=3
        ",
    );
}

#[test]
fn the_fence_of_a_chosen_subject_that_someone_opens_holds_that_subject() {
    check(
        "
        link same subjects orders,users
        source
          orders v1 id=1
          users v1 id=2
        expect target
          MODE orders READONLY
          orders v1 id=1
          MODE users READONLY
          users v1 id=2
        target
          MODE orders READWRITE
        source
          orders v2 id=3
          users v2 id=4
        expect target
          MODE orders READWRITE
          orders v1 id=1
          MODE users READONLY
          users v1 id=2
          users v2 id=4
        held
          orders v1
          orders v2
          MODE orders
        ",
    );
}

#[test]
fn a_scope_that_holds_foreign_keys_is_refused_at_the_first_start() {
    check(
        "
        target
          :.source:mine v1 id=1
        source
          orders v1 id=7
        halt this link did not write
        expect target
          :.source:mine v1 id=1
        ",
    );
}

#[test]
fn foreign_keys_that_say_what_the_link_would_write_are_no_obstacle() {
    check(
        "
        source
          orders v1 id=7
        target
          CONTEXT .source
          CONFIG :.source: BACKWARD
          :.source:orders v1 id=7
        start
        expect target
          opened .source
          :.source:orders v1 id=7
        ",
    );
}

#[test]
fn with_adopt_foreign_keys_become_the_links_own() {
    check(
        "
        link into .source adopt
        source
          orders v1 id=7
        target
          CONTEXT .source
          MODE :.source: IMPORT
          :.source:orders v1 id=7
          :.source:old v1 id=9
          CONFIG :.source:old FULL
        start
        expect target
          CONTEXT .source
          MODE :.source: IMPORT
          CONFIG :.source: BACKWARD
          :.source:orders v1 id=7
        ",
    );
}

#[test]
fn a_foreign_schema_in_the_scope_is_never_deleted() {
    check(
        "
        source
          orders v1 id=7
        expect target
          opened .source
          :.source:orders v1 id=7
        target
          :.source:foreign v1 id=9
        expect target
          opened .source
          :.source:orders v1 id=7
          :.source:foreign v1 id=9
        incidents
          :.source:foreign v1: someone else
        ",
    );
}

#[test]
fn the_fence_of_a_chosen_subject_that_someone_deletes_holds_that_subject_until_told_to_fence_again()
{
    check(
        "
        link same subjects orders,users
        source
          orders v1 id=1
          users v1 id=2
        target
          MODE orders -
        source
          orders v2 id=3
          users v2 id=4
        expect target
          orders v1 id=1
          MODE users READONLY
          users v1 id=2
          users v2 id=4
        held
          orders v1
          orders v2
          MODE orders
        fence again
        restart
        held
        expect target
          MODE orders READONLY
          orders v1 id=1
          orders v2 id=3
          MODE users READONLY
          users v1 id=2
          users v2 id=4
        ",
    );
}

#[test]
fn an_adopted_context_without_a_fence_gets_one() {
    check(
        "
        link into .source adopt
        source
          orders v1 id=7
        target
          :.source:orders v1 id=7
        start
        expect target
          opened .source
          :.source:orders v1 id=7
        ",
    );
}

#[test]
fn a_context_that_is_fenced_with_import_is_told_of() {
    let script = Script::parse("link into .source fence import");
    let mut world = World::new(Way::Reconcile, &script.links);
    world.append("source", text::record("orders v1 id=1"));
    world.start();
    world.settle();
    let told: Vec<String> =
        world.fresh(0).fenced_with_import().map(|context| context.to_string()).collect();
    assert_eq!(told, [".source"]);
}

/// What a link deletes when it is told of the first of these records of its source, all of which are
/// in the view already that it looks at with others.
#[track_caller]
fn check_ahead(link: &str, copied: &[&str], deleted: &[&str], expected: &[&str]) {
    let script = Script::parse(link);
    let mut world = World::new(Way::Live, &script.links);
    world.start();
    for line in copied {
        world.append("source", text::record(line));
    }
    let source = world.logs.get_mut("source").unwrap();
    let known = source.records.len();
    deleted.iter().for_each(|line| source.append(text::record(line)));
    let link = &mut world.running[0].link;
    let mut ahead = Source::new(link.lens());
    let told: Vec<_> = source.records.iter().map(|record| ahead.read(record)).collect();
    link.look_at(Arc::new(ahead));
    let pace = Pace::Live(Duration::ZERO);
    let step = link.follow_told(&source.records[known], &told[known], pace).unwrap();
    let gone: Vec<String> = step.writes.iter().map(|write| write.key.to_string()).collect();
    assert_eq!(gone, expected);
    assert!(step.writes.iter().all(|write| write.change == Change::Delete));
    for (record, told) in source.records.iter().zip(&told).skip(known).skip(1) {
        let step = link.follow_told(record, told, pace).unwrap();
        assert_eq!(step.writes, [], "{record:?}");
    }
    assert_eq!(link.ledger().held().count(), 0);
}

#[test]
fn with_a_view_that_is_ahead_the_fence_still_goes_after_the_last_schema() {
    check_ahead(
        "link same subjects orders,users",
        &["orders v1 id=1", "orders v2 id=2", "users v1 id=3"],
        &["orders v1 -", "orders v2 -"],
        &["orders v1", "orders v2", "MODE orders"],
    );
    check_ahead(
        "link into .source subjects :*:",
        &[":.st:a v1 id=1", ":.st:b v1 id=2"],
        &[":.st:a v1 -", ":.st:b v1 -"],
        &[
            ":.source.st:a v1",
            ":.source.st:b v1",
            "CONFIG :.source.st:",
            "MODE :.source.st:",
            "CONTEXT .source.st",
        ],
    );
}
