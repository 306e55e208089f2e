//! Records with odd values, ids, references, deletions and settings.

use schema_mirror::core::link::Outcome::InSync;
use schema_mirror::core::link::Outcome::Incident;
use schema_mirror::core::link::Outcome::NotSelected;
use schema_mirror::core::link::Outcome::Written;

use super::Case;

#[rustfmt::skip]
pub(crate) const VALUES: &[Case] = &[
    Case {
        name: "value-without-schema",
        outcome: Incident,
        target: &[],
        incidents: 1,
        remarks: 0,
        why: "it has no text, so nothing to copy; POST answers 500",
    },
    Case {
        name: "value-schema-not-parsable",
        outcome: Written,
        target: &[
            ":.source:odd-value v1 id=9 text=this is not avro",
        ],
        incidents: 0,
        remarks: 1,
        why: "copied byte-identical; nothing parses it on the copy path",
    },
    Case {
        name: "value-schematype-unknown",
        outcome: Written,
        target: &[
            r#":.source:odd-value v1 id=9 text=whatever with={"schemaType":"THRIFT"}"#,
        ],
        incidents: 0,
        remarks: 1,
        why: "copied byte-identical and reported",
    },
    Case {
        name: "value-id-maxint",
        outcome: Incident,
        target: &[],
        incidents: 1,
        remarks: 0,
        why: "rulings 18: the next id would be negative",
    },
    Case {
        name: "value-id-zero-and-negative",
        outcome: Written,
        target: &[
            r#":.source:odd-value v1 id=0 text={"type":"record","name":"Odd","fields":[{"name":"x","type":"int"}]}"#,
            r#":.source:neg-value v1 id=-5 text={"type":"record","name":"Neg","fields":[{"name":"x","type":"int"}]}"#,
        ],
        incidents: 0,
        remarks: 0,
        why: "readable and harmless",
    },
    Case {
        name: "value-unknown-fields",
        outcome: Written,
        target: &[
            r#":.source:odd-value v1 id=9 text={"type":"record","name":"Odd","fields":[{"name":"x","type":"int"}]} with={"future":{"a":1},"guid":"abc"}"#,
        ],
        incidents: 0,
        remarks: 0,
        why: "fields that we don't know are carried",
    },
    Case {
        name: "value-schematype-AVRO-explicit",
        outcome: Written,
        target: &[
            r#":.source:odd-value v1 id=9 text={"type":"record","name":"Odd","fields":[{"name":"x","type":"int"}]} with={"schemaType":"AVRO"}"#,
        ],
        incidents: 0,
        remarks: 0,
        why: "as 8.x writes it",
    },
    Case {
        name: "value-nulls-explicit",
        outcome: Written,
        target: &[
            r#":.source:odd-value v1 id=9 text=int with={"metadata":null,"references":null,"ruleSet":null,"schemaType":null}"#,
        ],
        incidents: 0,
        remarks: 0,
        why: "nulls mean that a field is absent",
    },
    Case {
        name: "value-id-numeric-string",
        outcome: Written,
        target: &[
            ":.source:odd-value v1 id=9 text=int",
        ],
        incidents: 0,
        remarks: 0,
        why: "the registry reads it as a number; it is written as one",
    },
    Case {
        name: "value-deleted-missing",
        outcome: Written,
        target: &[
            ":.source:odd-value v1 id=9 text=int",
        ],
        incidents: 0,
        remarks: 0,
        why: "not deleted",
    },
    Case {
        name: "value-ruleset",
        outcome: Written,
        target: &[
            r#":.source:odd-value v1 id=9 text={"type":"record","name":"Odd","fields":[{"name":"x","type":"int"}]} with={"metadata":{"properties":{"a":"b"}},"ruleSet":{"domainRules":[{"name":"r","kind":"CONDITION","mode":"WRITE","type":"CEL","expr":"x","disabled":false}]}}"#,
        ],
        incidents: 0,
        remarks: 0,
        why: "metadata and rules are carried",
    },
    Case {
        name: "noop-with-value-and-variants",
        outcome: NotSelected,
        target: &[],
        incidents: 0,
        remarks: 0,
        why: "a NOOP says nothing",
    },
    Case {
        name: "value-encodingRules-enableAt",
        outcome: Written,
        target: &[
            r#":.source:odd-value v1 id=9 text={"type":"record","name":"Odd","fields":[{"name":"x","type":"int"}]} with={"ruleSet":{"encodingRules":[{"name":"r","kind":"TRANSFORM","mode":"WRITE","type":"ENCRYPT","expr":"x","disabled":false}],"enableAt":"CLIENT"}}"#,
        ],
        incidents: 0,
        remarks: 0,
        why: "carried; 7.x drops these fields, 8.x reads them",
    },
    Case {
        name: "mode-without-mode",
        outcome: NotSelected,
        target: &[],
        incidents: 0,
        remarks: 0,
        why: "modes of the source are not copied; this one blocks registrations",
    },
    Case {
        name: "context-value-empty",
        outcome: Incident,
        target: &[
            r#":.source.source:x v1 id=9 text={"type":"record","name":"A","fields":[{"name":"x","type":"int"}]}"#,
        ],
        incidents: 1,
        remarks: 0,
        why: "the registry lists a null context; ours is written instead",
    },
    Case {
        name: "context-without-tenant",
        outcome: Incident,
        target: &[
            r#":.source.source:x v1 id=9 text={"type":"record","name":"A","fields":[{"name":"x","type":"int"}]}"#,
        ],
        incidents: 1,
        remarks: 0,
        why: "the registry does not list it; ours is written instead",
    },
    Case {
        name: "context-without-dot",
        outcome: Incident,
        target: &[
            r#":.source.source:x v1 id=9 text={"type":"record","name":"A","fields":[{"name":"x","type":"int"}]}"#,
        ],
        incidents: 1,
        remarks: 0,
        why: "the registry lists a useless name",
    },
    Case {
        name: "id-duplicate-other-text",
        outcome: Incident,
        target: &[
            r#":.source:a v1 id=9 text={"type":"record","name":"A","fields":[{"name":"x","type":"int"}]}"#,
        ],
        incidents: 1,
        remarks: 0,
        why: "rulings 18: the first text of an id wins",
    },
    Case {
        name: "id-duplicate-of-soft-deleted",
        outcome: Incident,
        target: &[
            r#":.source:a v1 id=9 text={"type":"record","name":"A","fields":[{"name":"x","type":"int"}]} deleted"#,
        ],
        incidents: 1,
        remarks: 0,
        why: "a soft-deleted schema keeps its id",
    },
    Case {
        name: "schema-text-changed-in-place",
        outcome: Incident,
        target: &[
            r#":.source:a v1 id=9 text={"type":"record","name":"A","fields":[{"name":"x","type":"int"}]}"#,
        ],
        incidents: 1,
        remarks: 0,
        why: "the leader takes it back; the target keeps the first text",
    },
    Case {
        name: "same-key-new-id",
        outcome: Written,
        target: &[
            r#":.source:a v1 id=10 text={"type":"record","name":"B","fields":[{"name":"x","type":"int"}]}"#,
        ],
        incidents: 0,
        remarks: 0,
        why: "deletion, then put: the clean way to the same answers",
    },
    Case {
        name: "same-key-new-id-tombstone-first",
        outcome: Written,
        target: &[
            r#":.source:a v1 id=10 text={"type":"record","name":"B","fields":[{"name":"x","type":"int"}]}"#,
            r#":.source:b v1 id=9 text={"type":"record","name":"A","fields":[{"name":"x","type":"int"}]}"#,
        ],
        incidents: 0,
        remarks: 0,
        why: "the correct way",
    },
    Case {
        name: "same-id-two-versions-then-tombstone-of-v1",
        outcome: Written,
        target: &[
            r#":.source:a v1 id=9 text={"type":"record","name":"A","fields":[{"name":"x","type":"int"}]}"#,
            r#":.source:a v2 id=9 text={"type":"record","name":"A","fields":[{"name":"x","type":"int"}]}"#,
        ],
        incidents: 0,
        remarks: 0,
        why: "one id at two versions of a subject",
    },
    Case {
        name: "same-text-two-ids",
        outcome: Written,
        target: &[
            r#":.source:a v1 id=9 text={"type":"record","name":"A","fields":[{"name":"x","type":"int"}]}"#,
            r#":.source:b v1 id=10 text={"type":"record","name":"A","fields":[{"name":"x","type":"int"}]}"#,
        ],
        incidents: 0,
        remarks: 0,
        why: "both ids are readable",
    },
    Case {
        name: "same-text-same-id-other-references",
        outcome: Written,
        target: &[
            r#":.source:a v1 id=9 text={"type":"record","name":"A","fields":[{"name":"x","type":"int"}]}"#,
            r#":.source:b v1 id=9 text={"type":"record","name":"A","fields":[{"name":"x","type":"int"}]} refs=base-value:1"#,
        ],
        incidents: 0,
        remarks: 1,
        why: "only texts are compared; the reference dangles in the source",
    },
    Case {
        name: "reference-dangling",
        outcome: Written,
        target: &[
            r#":.source:ref v1 id=9 text={"type":"record","name":"Ref","namespace":"ns","fields":[{"name":"d","type":"ns.Dep"}]} refs=dep:1"#,
        ],
        incidents: 0,
        remarks: 1,
        why: "rulings 19: copied and reported",
    },
    Case {
        name: "reference-before-target",
        outcome: Written,
        target: &[
            r#":.source:dep v1 id=8 text={"type":"record","name":"Dep","namespace":"ns","fields":[{"name":"x","type":"int"}]}"#,
            r#":.source:ref v1 id=9 text={"type":"record","name":"Ref","namespace":"ns","fields":[{"name":"d","type":"ns.Dep"}]} refs=dep:1"#,
        ],
        incidents: 0,
        remarks: 0,
        why: "any order: it resolves when the other arrives",
    },
    Case {
        name: "reference-without-version",
        outcome: Incident,
        target: &[
            r#":.source:dep v1 id=8 text={"type":"record","name":"Dep","namespace":"ns","fields":[{"name":"x","type":"int"}]}"#,
        ],
        incidents: 1,
        remarks: 0,
        why: "half applied by the registry",
    },
    Case {
        name: "reference-without-subject",
        outcome: Incident,
        target: &[],
        incidents: 1,
        remarks: 0,
        why: "half applied by the registry",
    },
    Case {
        name: "reference-version-minus-1",
        outcome: Written,
        target: &[
            r#":.source:dep v1 id=8 text={"type":"record","name":"Dep","namespace":"ns","fields":[{"name":"x","type":"int"}]}"#,
            r#":.source:ref v1 id=9 text={"type":"record","name":"Ref","namespace":"ns","fields":[{"name":"d","type":"ns.Dep"}]} refs=dep:-1"#,
        ],
        incidents: 0,
        remarks: 1,
        why: "resolves to the latest; referencedby is blind, so reported",
    },
    Case {
        name: "reference-cycle",
        outcome: Written,
        target: &[
            r#":.source:x1 v1 id=9 text={"type":"record","name":"X1","fields":[{"name":"a","type":["null","X2"]}]} refs=x2:1"#,
            r#":.source:x2 v1 id=10 text={"type":"record","name":"X2","fields":[{"name":"a","type":["null","X1"]}]} refs=x1:1"#,
        ],
        incidents: 0,
        remarks: 2,
        why: "rulings 19: copied",
    },
    Case {
        name: "delete-subject-without-version",
        outcome: Incident,
        target: &[
            r#":.source:a v1 id=9 text={"type":"record","name":"A","fields":[{"name":"x","type":"int"}]}"#,
            r#":.source:a v2 id=10 text={"type":"record","name":"B","fields":[{"name":"x","type":"int"}]}"#,
        ],
        incidents: 1,
        remarks: 0,
        why: "the registry skips it; something was meant",
    },
    Case {
        name: "delete-subject-without-subject",
        outcome: Incident,
        target: &[
            r#":.source:a v1 id=9 text={"type":"record","name":"A","fields":[{"name":"x","type":"int"}]}"#,
        ],
        incidents: 1,
        remarks: 0,
        why: "it deletes nothing; something was meant",
    },
    Case {
        name: "delete-subject-key-differs-from-value",
        outcome: Written,
        target: &[
            r#":.source:a v1 id=9 text={"type":"record","name":"A","fields":[{"name":"x","type":"int"}]} deleted"#,
            r#":.source:a v2 id=10 text={"type":"record","name":"B","fields":[{"name":"x","type":"int"}]} deleted"#,
        ],
        incidents: 0,
        remarks: 0,
        why: "rulings 18: the value's subject counts",
    },
    Case {
        name: "delete-subject-unknown",
        outcome: NotSelected,
        target: &[],
        incidents: 0,
        remarks: 0,
        why: "there is nothing to delete",
    },
    Case {
        name: "old-copy-after-delete-subject",
        outcome: Written,
        target: &[
            r#":.source:a v1 id=9 text={"type":"record","name":"A","fields":[{"name":"x","type":"int"}]}"#,
            r#":.source:a v2 id=10 text={"type":"record","name":"B","fields":[{"name":"x","type":"int"}]} deleted"#,
        ],
        incidents: 0,
        remarks: 0,
        why: "an older copy undeletes, there and here",
    },
    Case {
        name: "clear-subject-absent",
        outcome: NotSelected,
        target: &[
            r#":.source:a v1 id=9 text={"type":"record","name":"A","fields":[{"name":"x","type":"int"}]} deleted"#,
            r#":.source:a v2 id=10 text={"type":"record","name":"B","fields":[{"name":"x","type":"int"}]}"#,
            r#":.source.source:z v1 id=9 text={"type":"record","name":"A","fields":[{"name":"x","type":"int"}]} deleted"#,
        ],
        incidents: 0,
        remarks: 0,
        why: "rulings 18: nothing is written; it would clear the target's memory",
    },
    Case {
        name: "tombstones-for-unknown-keys",
        outcome: InSync,
        target: &[],
        incidents: 0,
        remarks: 0,
        why: "there is nothing to delete",
    },
    Case {
        name: "context-tombstone",
        outcome: NotSelected,
        target: &[
            r#":.source.source:x v1 id=9 text={"type":"record","name":"A","fields":[{"name":"x","type":"int"}]}"#,
        ],
        incidents: 0,
        remarks: 0,
        why: "its schemas stay, so our own CONTEXT record stays",
    },
    Case {
        name: "subject-global-wildcard-empty",
        outcome: Incident,
        target: &[
            r#":.source.source:z v1 id=14 text={"type":"record","name":"Z","fields":[{"name":"x","type":"int"}]}"#,
        ],
        incidents: 5,
        remarks: 0,
        why: "names that no registry serves",
    },
    Case {
        name: "mode-subjectless",
        outcome: NotSelected,
        target: &[
            r#":.source.source:x v1 id=9 text={"type":"record","name":"A","fields":[{"name":"x","type":"int"}]}"#,
        ],
        incidents: 0,
        remarks: 0,
        why: "modes of the source are not copied",
    },
    Case {
        name: "mode-GLOBAL",
        outcome: NotSelected,
        target: &[
            r#":.source.source:x v1 id=9 text={"type":"record","name":"A","fields":[{"name":"x","type":"int"}]}"#,
        ],
        incidents: 0,
        remarks: 0,
        why: "modes of the source are not copied",
    },
    Case {
        name: "mode-subjectless-readonly-override",
        outcome: NotSelected,
        target: &[
            r#":.source.source:x v1 id=9 text={"type":"record","name":"A","fields":[{"name":"x","type":"int"}]}"#,
        ],
        incidents: 0,
        remarks: 0,
        why: "modes of the source are not copied",
    },
    Case {
        name: "mode-subject-readwrite-in-fenced-context",
        outcome: NotSelected,
        target: &[],
        incidents: 0,
        remarks: 0,
        why: "modes of the source are not copied; it would open the fence",
    },
    Case {
        name: "alias-unqualified-in-context",
        outcome: Written,
        target: &[
            r#"CONFIG :.source.source:al {"alias":":.source.source:x"}"#,
        ],
        incidents: 0,
        remarks: 1,
        why: "written qualified, or it hits the default context",
    },
    Case {
        name: "subject-astral-raw-utf8",
        outcome: Written,
        target: &[
            ":.source:😀-value v1 id=20 text=int",
        ],
        incidents: 0,
        remarks: 0,
        why: "written with the canonical key",
    },
    Case {
        name: "subject-with-control-character",
        outcome: Written,
        target: &[
            ":.source:tab\there v1 id=21 text=int",
        ],
        incidents: 0,
        remarks: 0,
        why: "registries serve such subjects; only new ones are refused",
    },
    Case {
        name: "subject-lone-surrogate",
        outcome: Incident,
        target: &[],
        incidents: 1,
        remarks: 0,
        why: "rulings 17: what we can't represent is an incident",
    },
];
