//! A link with exactly the rights that the README grants.

use crate::{
    mirror::{LINK_LIMIT, Mirror, answer},
    process::poll_until,
    records::{fold, schema, version_in},
    secured::{
        Passage,
        grants::{Need, grants},
        secured,
    },
};

#[test]
fn with_what_the_readme_grants_and_no_more_a_link_copies_follows_and_proves() {
    let login = secured().plain("granted");
    let passage = Passage::new("granted", login.clone(), login);
    passage.create_target_topics();
    for grant in grants().iter().filter(|grant| grant.need == Need::Always) {
        grant.give(&passage, &["granted"]);
    }
    let broker = &secured().broker;
    let topic = passage.source_topic();
    broker.produce(&topic, &[schema("orders-value", 1, 1)]);
    let backfilled = answer(&passage.config(), "backfill", &[]);
    assert_eq!((backfilled.code, backfilled.text("result")), (0, "done"), "{backfilled:?}");

    let mut mirror = Mirror::start(&passage.config(), &[]);
    mirror.wait_for("running");
    broker.produce(&topic, &[schema("orders-value", 2, 2)]);
    poll_until(LINK_LIMIT, "the second version arrives", || {
        let state = fold(&broker.read_all(&passage.target_topic()));
        version_in(&state, ":.source:orders-value", 2)
    });
    assert_eq!(mirror.end(), 0);
    assert_eq!(mirror.errors(), Vec::<serde_json::Value>::new());
    let verified = answer(&passage.config(), "verify", &[]);
    assert_eq!((verified.code, verified.text("result")), (0, "equal"), "{verified:?}");
}
