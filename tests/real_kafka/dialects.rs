//! Registries of other makers, as far as a broker shows it: what stands in the topic that Karapace
//! is to read, and what is concluded from one that Karapace wrote.

use serde_json::{Value, json};

use crate::{
    mirror::{SOURCE_SETTINGS, Scene},
    records::{config_key, fixture, schema, version_in},
};

/// The key of the registry-wide level as Karapace writes it.
const REGISTRY_WIDE: &str = r#"{"keytype":"CONFIG","subject":null,"magic":0}"#;

#[test]
fn a_karapace_gets_what_it_reads_and_nothing_that_flips_its_keys() {
    let scene = Scene {
        context: "none",
        target_lines: vec!["dialect: karapace"],
        ..Scene::shared("dialect_karapace")
    };
    scene.produce(&fixture("confluent-7.9.5"));
    let plan = scene.answer("plan", &[]);
    assert_eq!(
        plan.link["target_dialect"],
        json!({ "dialect": "karapace", "why": "declared" }),
        "{plan:?}"
    );
    assert!(plan.link["no_fence"].to_string().contains("knows no modes"), "{plan:?}");
    assert!(scene.backfill_clean() > 20);
    assert_eq!(scene.backfill_clean(), 0, "a second backfill writes nothing");
    scene.verify_equal();
    let state = scene.target_state();
    assert_eq!(state[REGISTRY_WIDE].0, json!({ "compatibilityLevel": "FULL" }));
    assert_eq!(state[&config_key("stock_trades-value")].0, json!({ "compatibilityLevel": "NONE" }));
    assert!(!state.contains_key(&config_key("alias-value")), "it has no level");
    for key in state.keys() {
        let parsed: Value = serde_json::from_str(key).unwrap();
        let kind = parsed["keytype"].as_str().unwrap();
        assert!(matches!(kind, "CONFIG" | "SCHEMA"), "{key}");
        let fields = parsed.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>();
        let order = ["keytype", "subject", "version", "magic"];
        let order = order.into_iter().filter(|name| fields.contains(name)).collect::<Vec<_>>();
        assert_eq!(fields, order, "{key}");
    }
    let mut mirror = scene.run("host");
    mirror.wait_for("running");
    let said = mirror.wait_for("dialects");
    assert!(said.to_string().contains("karapace (declared)"), "{said}");
    scene.produce(&[schema("late", 1, 21)]);
    scene.wait_target("a late version", |state| version_in(state, "late", 1) == Some((21, false)));
    assert_eq!(mirror.end(), 0);
}

#[test]
fn a_topic_that_karapace_wrote_takes_no_context_before_it_is_declared() {
    let scene = Scene::shared("dialect_seen");
    scene.produce(&[schema("orders", 1, 1)]);
    scene.target.create_topic(&scene.target_topic(), 1, &SOURCE_SETTINGS);
    scene.target.produce(&scene.target_topic(), &fixture("karapace-6.2.0"));
    let before = scene.target_log();
    let halted = scene.backfill();
    assert_eq!((halted.code, halted.text("result")), (1, "halted"), "{halted:?}");
    let why = "Karapace's header X-Registry-Version at offset 0): it has no contexts";
    assert!(halted.text("reason").contains(why), "{halted:?}");
    let plan = scene.answer("plan", &[]);
    assert!(plan.link["halts"].to_string().contains(why), "{plan:?}");
    assert_eq!(scene.target_log(), before, "nothing is written");

    let declared = Scene { target_lines: vec!["dialect: confluent-7"], ..scene };
    assert_eq!(declared.backfill_clean(), 4, "CONTEXT, MODE, CONFIG and a version");
    declared.verify_equal();
}
