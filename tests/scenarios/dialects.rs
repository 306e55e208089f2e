//! Registries of other makers: which records they get, and in which form.

use crate::support::check::check;

#[test]
fn karapace_gets_levels_under_its_own_key_and_neither_context_nor_mode() {
    check(
        r#"
        link same to karapace
        source
          NOOP
          CONFIG . {"compatibilityLevel":"FULL","normalize":true}
          MODE . READONLY
          CONFIG orders NONE
          CONFIG users {"alias":"orders"}
          orders v1 id=7
        expect target
          CONFIG . FULL @ {"keytype":"CONFIG","subject":null,"magic":0}
          CONFIG orders NONE
          orders v1 id=7
        remarks
          CONFIG (default context): reads their level only
          CONFIG users: reads their level only
        source
          CONFIG users {"alias":"orders","compatibilityLevel":"FORWARD"}
          CONFIG orders -
          CONFIG . NONE
        expect target
          CONFIG . NONE @ {"keytype":"CONFIG","subject":null,"magic":0}
          CONFIG users FORWARD
          orders v1 id=7
        "#,
    );
}

#[test]
fn karapace_gets_soft_and_hard_deletions_of_versions() {
    check(
        r#"
        link same to karapace
        source
          orders v1 id=7
          orders v2 id=8
          users v1 id=9
          DELETE_SUBJECT users 1
          orders v1 id=7 deleted
          orders v2 id=8 deleted
          orders v2 -
        expect target
          CONFIG . BACKWARD @ {"keytype":"CONFIG","subject":null,"magic":0}
          orders v1 id=7 deleted
          users v1 id=9 deleted
        "#,
    );
}

#[test]
fn a_karapace_copied_to_a_karapace_keeps_its_spelling() {
    check(
        r#"
        link same to karapace
        source
          CONFIG . FULL @ key=null karapace
          orders v1 id=7 @ karapace
          orders v2 id=8 @ key=legacy karapace
          orders v1 EMPTY @ karapace
        expect target
          CONFIG . FULL @ {"keytype":"CONFIG","subject":null,"magic":0}
          orders v2 id=8
        "#,
    );
}

#[test]
fn a_target_that_karapace_wrote_is_known_and_gets_what_karapace_reads() {
    check(
        r#"
        link same subjects orders*
        target
          users v1 id=1 @ karapace
        source
          CONFIG . FULL
          CONFIG orders NONE
          orders v1 id=7
        expect target
          CONFIG orders NONE
          orders v1 id=7
          users v1 id=1
        "#,
    );
}

#[test]
fn a_target_that_karapace_wrote_takes_no_context() {
    check(
        "
        link into .source
        target
          users v1 id=1 @ karapace
        source
          orders v1 id=7
        halt Karapace's header X-Registry-Version at offset 0): it has no contexts
        expect target
          users v1 id=1
        ",
    );
}

#[test]
fn named_contexts_of_the_source_do_not_fit_into_karapace() {
    check(
        "
        link same subjects orders,:.staging:* to karapace
        source
          orders v1 id=7
        halt one space of ids; choose subjects of the default context only
        expect target
        ",
    );
}

#[test]
fn a_spelling_of_karapace_alone_tells_it_and_an_old_confluent_is_told_by_its_noops() {
    check(
        "
        link into .source
        target
          CONFIG . FULL @ key=null
        source
          orders v1 id=7
        halt a key in Karapace's spelling at offset 0
        ",
    );
    check(
        r#"
        link into .source
        target
          CONFIG . FULL @ key=null
          users v1 id=1 @ key=legacy
          NOOP
        source
          orders v1 id=7
        expect target
          opened .source
          :.source:orders v1 id=7
          CONFIG . FULL @ {"keytype":"CONFIG","subject":null,"magic":0}
          users v1 id=1 @ {"subject":"users","version":1,"magic":1,"keytype":"SCHEMA"}
        "#,
    );
}

#[test]
fn a_declared_confluent_is_believed_though_karapace_wrote_there_once() {
    check(
        "
        link into .source to confluent-7
        target
          users v1 id=1 @ karapace
        source
          orders v1 id=7
        expect target
          opened .source
          :.source:orders v1 id=7
          users v1 id=1
        ",
    );
}

#[test]
fn a_registry_that_turns_out_to_be_karapace_halts_the_link() {
    check(
        "
        only live
        link same subjects orders*
        source
          orders v1 id=7
        expect target
          MODE orders READONLY
          orders v1 id=7
        target
          users v1 id=1 @ karapace
        halt turns out to be karapace
        ",
    );
}

#[test]
fn a_schema_waits_for_what_it_references_because_karapace_would_drop_it_for_good() {
    check(
        r#"
        link same to karapace
        source
          orders v1 id=7 refs=dep:1
        expect target
          CONFIG . BACKWARD @ {"keytype":"CONFIG","subject":null,"magic":0}
        held
          orders v1: references dep v1, which does not live in the source: karapace would drop it
        source
          dep v1 id=8
        expect target
          CONFIG . BACKWARD @ {"keytype":"CONFIG","subject":null,"magic":0}
          dep v1 id=8
          orders v1 id=7 refs=dep:1
        held
        "#,
    );
}

#[test]
fn a_deleted_schema_whose_references_are_gone_never_stays_live_in_karapace() {
    check(
        r#"
        link same to karapace
        source
          users v1 id=9
          dep v1 id=7
          orders v1 id=8 refs=dep:1
        expect target
          CONFIG . BACKWARD @ {"keytype":"CONFIG","subject":null,"magic":0}
          dep v1 id=7
          orders v1 id=8 refs=dep:1
          users v1 id=9
        source
          orders v1 id=8 refs=dep:1 deleted
          dep v1 id=7 deleted
        compact source
        "#,
    );
    check(
        r#"
        only reconcile
        link same to karapace
        source
          users v1 id=9
          orders v1 id=8 refs=dep:1 deleted
          dep v1 id=7 deleted
        expect target
          CONFIG . BACKWARD @ {"keytype":"CONFIG","subject":null,"magic":0}
          dep v1 id=7 deleted
          users v1 id=9
        "#,
    );
}

#[test]
fn what_references_a_schema_that_is_written_again_is_written_behind_it() {
    check(
        r#"
        link same to karapace
        source
          dep v1 id=7
          users v1 id=8 refs=dep:1
          orders v1 id=9 refs=users:1
          other v1 id=10
        expect target
          CONFIG . BACKWARD @ {"keytype":"CONFIG","subject":null,"magic":0}
          dep v1 id=7
          orders v1 id=9 refs=users:1
          other v1 id=10
          users v1 id=8 refs=dep:1
        target
          dep v1 -
        expect target
          CONFIG . BACKWARD @ {"keytype":"CONFIG","subject":null,"magic":0}
          dep v1 id=7
          orders v1 id=9 refs=users:1
          other v1 id=10
          users v1 id=8 refs=dep:1
        compact target
        "#,
    );
}

#[test]
fn references_of_a_json_schema_are_said_to_be_lost_and_hold_nothing() {
    check(
        r#"
        link same to karapace
        source
          orders v1 id=7 with={"schemaType":"JSON"} refs=dep:1
          users v1 id=8 with={"metadata":{"properties":{"a":"b"}}}
        expect target
          CONFIG . BACKWARD @ {"keytype":"CONFIG","subject":null,"magic":0}
          orders v1 id=7 refs=dep:1 with={"schemaType":"JSON"}
          users v1 id=8 with={"metadata":{"properties":{"a":"b"}}}
        remarks
          orders v1: which the source does not hold
          users v1: metadata or rules are not served
        "#,
    );
}

#[test]
fn ids_are_one_space_where_there_are_no_contexts() {
    check(
        "
        link same subjects orders* to karapace
        target
          :.other:users v1 id=7 text=theirs
        source
          orders v1 id=7 text=ours
          orders v2 id=8
        expect target
          :.other:users v1 id=7 text=theirs
          orders v2 id=8
        incidents
          orders v1: id 7 of context .other is taken by :.other:users v1
        ",
    );
}

#[test]
fn of_a_race_between_redpandas_brokers_the_record_at_its_own_offset_counts() {
    check(
        "
        link into .source redpanda
        source
          orders v1 id=7 @ key=redpanda:0
          orders v2 id=8 @ key=redpanda:1
          orders v2 id=9 text=lost @ key=redpanda:1
          users v1 id=10
          orders v1 EMPTY @ key=redpanda:0
        expect target
          opened .source
          :.source:orders v2 id=8
          :.source:users v1 id=10
        ",
    );
}

#[test]
fn redpandas_subject_deletion_has_no_version_and_means_all() {
    check(
        r#"
        link into .source redpanda
        source
          orders v1 id=7 @ key=redpanda:0
          orders v2 id=8 @ key=redpanda:1
          RAW {"keytype":"DELETE_SUBJECT","subject":"orders","magic":0,"seq":2,"node":1} => {"subject":"orders"}
          RAW {"keytype":"SCHEMA","subject":"orders","version":3,"magic":1,"seq":3} => {}
        expect target
          opened .source
          :.source:orders v1 id=7 deleted
          :.source:orders v2 id=8 deleted
        incidents
          *: one of seq and node only
        "#,
    );
}

#[test]
fn redpanda_gets_the_fields_that_it_knows() {
    check(
        r#"
        link same to redpanda
        source
          CONFIG . {"compatibilityLevel":"FULL","normalize":true}
          orders v1 id=7 with={"md5":"x","metadata":{"properties":{"a":"b"}},"ruleSet":null}
          users v1 id=8 with={"schemaType":"XML"}
        expect target
          CONFIG . FULL
          MODE . READONLY
          orders v1 id=7
        remarks
          CONFIG (default context): reads their level only
          orders v1: metadata or rules are not served
        incidents
          users v1: schemaType XML stops the reader of Redpanda's registry
        "#,
    );
}

#[test]
fn what_redpanda_wrote_into_a_target_is_taken_away_under_its_own_key() {
    check(
        r#"
        link same subjects orders* to redpanda adopt
        target
          orders v1 id=5 text=old @ key=redpanda:0
        source
          orders v1 id=7
        start
        written
          orders v1 - @ {"keytype":"SCHEMA","subject":"orders","version":1,"magic":1,"seq":0,"node":0}
          orders v1 -
          MODE orders READONLY
          orders v1 id=7
        expect target
          MODE orders READONLY
          orders v1 id=7
        "#,
    );
}

#[test]
fn a_confluent_before_7_gets_no_context_and_no_field_that_it_would_skip_the_record_for() {
    check(
        r#"
        link same to confluent-6
        source
          CONFIG . {"compatibilityLevel":"FULL","normalize":true}
          orders v1 id=7 with={"metadata":{"properties":{"a":"b"}},"schemaType":"AVRO"}
        expect target
          CONFIG . FULL
          MODE . READONLY
          orders v1 id=7 with={"schemaType":"AVRO"}
        remarks
          CONFIG (default context): reads their level only
          orders v1: metadata or rules are not served
        "#,
    );
    check(
        "
        link same subjects orders* to confluent-6
        source
          orders v1 id=7 refs=later:1
        expect target
          MODE orders READONLY
          orders v1 id=7 refs=later:1
        remarks
          orders v1: which the source does not hold
        ",
    );
    check(
        "
        link into .source to confluent-6
        source
          orders v1 id=7
        halt it has no contexts
        ",
    );
}

#[test]
fn an_association_is_copied_with_its_subject_placed_where_the_target_is_declared_to_read_it() {
    check(
        r#"
        link into .source to confluent-8
        source
          orders v1 id=7
          RAW {"keytype":"ASSOC","tenant":"default","resourceName":"orders","resourceNamespace":"lkc-1","resourceType":"topic","associationType":"value","subject":"orders","magic":0} => {"guid":"g","tenant":"default","resourceName":"orders","resourceNamespace":"lkc-1","resourceId":"r","resourceType":"topic","associationType":"value","subject":"orders","lifecycle":"WEAK","frozen":false}
        expect target
          opened .source
          :.source:orders v1 id=7
          RAW {"keytype":"ASSOC","tenant":"default","resourceName":"orders","resourceNamespace":"lkc-1","resourceType":"topic","associationType":"value","subject":":.source:orders","magic":0} => {"subject":":.source:orders","guid":"g","tenant":"default","resourceName":"orders","resourceNamespace":"lkc-1","resourceId":"r","resourceType":"topic","associationType":"value","lifecycle":"WEAK","frozen":false}
        source
          RAW {"keytype":"ASSOC","tenant":"default","resourceName":"orders","resourceNamespace":"lkc-1","resourceType":"topic","associationType":"value","subject":"orders","magic":0} => NULL
        expect target
          opened .source
          :.source:orders v1 id=7
        "#,
    );
}

#[test]
fn an_association_that_changes_is_freed_first_and_a_broken_one_is_an_incident() {
    check(
        r#"
        link same subjects orders* to confluent-8
        source
          RAW {"keytype":"ASSOC","tenant":"default","resourceName":"t","resourceNamespace":"n","resourceType":"topic","associationType":"value","subject":"orders","magic":0} => {"guid":"g","tenant":"default","resourceName":"t","resourceNamespace":"n","resourceId":"r","resourceType":"topic","associationType":"value","subject":"orders","lifecycle":"WEAK"}
        expect target
          RAW {"keytype":"ASSOC","tenant":"default","resourceName":"t","resourceNamespace":"n","resourceType":"topic","associationType":"value","subject":"orders","magic":0} => {"subject":"orders","guid":"g","tenant":"default","resourceName":"t","resourceNamespace":"n","resourceId":"r","resourceType":"topic","associationType":"value","lifecycle":"WEAK"}
        source
          RAW {"keytype":"ASSOC","tenant":"default","resourceName":"t","resourceNamespace":"n","resourceType":"topic","associationType":"value","subject":"orders","magic":0} => {"guid":"g","tenant":"default","resourceName":"t","resourceNamespace":"n","resourceId":"r","resourceType":"topic","associationType":"value","subject":"orders","lifecycle":"STRONG"}
          RAW {"keytype":"ASSOC","tenant":"default","resourceName":"u","resourceNamespace":"n","resourceType":"topic","associationType":"value","subject":"orders","magic":0} => {"guid":"h"}
        written
          RAW {"keytype":"ASSOC","tenant":"default","resourceName":"t","resourceNamespace":"n","resourceType":"topic","associationType":"value","subject":"orders","magic":0} => NULL
          RAW {"keytype":"ASSOC","tenant":"default","resourceName":"t","resourceNamespace":"n","resourceType":"topic","associationType":"value","subject":"orders","magic":0} => {"subject":"orders","guid":"g","tenant":"default","resourceName":"t","resourceNamespace":"n","resourceId":"r","resourceType":"topic","associationType":"value","lifecycle":"STRONG"}
        incidents
          ASSOC orders with u: its value has no tenant
        "#,
    );
}

#[test]
fn a_resource_that_the_target_ties_to_another_subject_is_an_incident() {
    check(
        r#"
        link into .source to confluent-8
        target
          RAW {"keytype":"ASSOC","tenant":"default","resourceName":"t","resourceNamespace":"n","resourceType":"topic","associationType":"value","subject":"theirs","magic":0} => {"guid":"g","tenant":"default","resourceName":"t","resourceNamespace":"n","resourceId":"r","resourceType":"topic","associationType":"value","subject":"theirs","lifecycle":"WEAK"}
        source
          orders v1 id=7
          RAW {"keytype":"ASSOC","tenant":"default","resourceName":"t","resourceNamespace":"n","resourceType":"topic","associationType":"value","subject":"orders","magic":0} => {"guid":"h","tenant":"default","resourceName":"t","resourceNamespace":"n","resourceId":"r","resourceType":"topic","associationType":"value","subject":"orders","lifecycle":"WEAK"}
        incidents
          ASSOC :.source:orders with t: its resource is tied to theirs
        "#,
    );
}
