//! A link that logs in with tokens that do not live as long as it does.

use std::time::Duration;

use crate::{
    mirror::{LINK_LIMIT, Mirror, answer},
    process::{now, poll_until},
    records::{fold, schema, version_in},
    secured::{
        Passage, secured,
        tokens::{CLIENT, LIFETIME_S},
    },
};

/// Lives of a token through which records flow.
const LIVES: u64 = 2;

#[test]
fn records_flow_while_tokens_expire_and_are_asked_for_again() {
    let passage = Passage::new("bearer", secured().bearer(), secured().bearer());
    let broker = &secured().broker;
    let topic = passage.source_topic();
    let mut mirror = Mirror::start(&passage.config(), &[]);
    mirror.wait_for("running");
    let started = now();
    let lived = Duration::from_secs(LIVES * u64::try_from(LIFETIME_S).unwrap());
    let mut version = 0;
    let mut given = secured().tokens.given();
    assert!(given > 0, "nobody gets in without a token");
    while started.elapsed() < lived {
        // The broker ends a login with the token behind it, so each of these is under a new one.
        poll_until(LINK_LIMIT, "new tokens are asked for", || {
            (secured().tokens.given() > given).then_some(())
        });
        given = secured().tokens.given();
        version += 1;
        broker.produce(&topic, &[schema("orders-value", version, version)]);
        poll_until(LINK_LIMIT, "the version arrives", || {
            let state = fold(&broker.read_all(&passage.target_topic()));
            version_in(&state, ":.source:orders-value", version)
        });
    }
    assert_eq!(mirror.lines("waiting"), Vec::<serde_json::Value>::new());
    assert_eq!(mirror.end(), 0);
    let verified = answer(&passage.config(), "verify", &[]);
    assert_eq!((verified.code, verified.text("result")), (0, "equal"), "{verified:?}");
}

#[test]
fn a_client_that_the_token_endpoint_does_not_know_is_told_what_the_endpoint_said() {
    let mut login = secured().bearer();
    login.set("sasl.oauthbearer.client.secret", "cs-wrong");
    let passage = Passage::new("no_bearer", login, secured().tls());
    let said = answer(&passage.config(), "preflight", &[]);
    assert_eq!((said.code, said.text("result")), (2, "unknown"), "{said:?}");
    let checks = said.link["checks"].as_array().unwrap();
    let reach = checks.iter().find(|check| check["result"] == "unknown").unwrap();
    let found = reach["found"].as_str().unwrap();
    for word in ["reach brokers at cluster source", "invalid_client"] {
        assert!(found.contains(word), "{word} in {found}");
    }
    assert!(!found.contains("cs-wrong") && !found.contains(CLIENT), "{found}");
}
