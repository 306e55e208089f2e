//! A link through every kind of login, and what is said when one is refused.

use crate::{
    mirror::{LINK_LIMIT, Mirror, answer},
    process::poll_until,
    records::{fold, schema, version_in},
    secured::{Login, Passage, secured},
};

/// A link between two logins copies what is there and follows what comes.
#[track_caller]
fn check(name: &'static str, source: Login, target: Login) {
    let passage = Passage::new(name, source, target);
    let broker = &secured().broker;
    let topic = passage.source_topic();
    broker.produce(&topic, &[schema("orders-value", 1, 1)]);
    let mut mirror = Mirror::start(&passage.config(), &[]);
    mirror.wait_for("running");
    broker.produce(&topic, &[schema("orders-value", 2, 2)]);
    poll_until(LINK_LIMIT, "the second version arrives", || {
        let state = fold(&broker.read_all(&passage.target_topic()));
        version_in(&state, ":.source:orders-value", 2).filter(|found| *found == (2, false))
    });
    assert_eq!(mirror.end(), 0);
    let verified = answer(&passage.config(), "verify", &[]);
    assert_eq!((verified.code, verified.text("result")), (0, "equal"), "{verified:?}");
}

#[test]
fn a_link_runs_within_tls_that_a_certificate_authority_of_its_own_vouches_for() {
    check("tls", secured().tls(), secured().tls());
}

#[test]
fn a_link_runs_with_certificates_of_clients_and_a_locked_key() {
    check("mtls", secured().mtls(), secured().locked_mtls());
}

#[test]
fn a_link_runs_with_sasl_plain_and_a_password_from_a_file() {
    let mut from_file = secured().plain("mirror");
    from_file.set_from_file("sasl.password", secured().file("password"));
    check("plain", secured().plain("mirror"), from_file);
}

#[test]
fn a_link_runs_with_both_kinds_of_scram() {
    check("scram", secured().scram("SCRAM-SHA-256"), secured().scram("SCRAM-SHA-512"));
}

/// A `verify` that is refused at its source says so in these words.
#[track_caller]
fn check_refused(name: &'static str, source: Login, words: &[&str]) {
    let passage = Passage::new(name, source, Login::none(&secured().broker));
    let answer = answer(&passage.config(), "verify", &[]);
    assert_eq!((answer.code, answer.text("result")), (2, "unknown"), "{answer:?}");
    for word in words {
        assert!(answer.text("reason").contains(word), "{word} in {answer:?}");
    }
}

#[test]
fn a_wrong_password_is_a_refused_login() {
    for (name, mut login) in [
        ("wrong_plain", secured().plain("mirror")),
        ("wrong_scram", secured().scram("SCRAM-SHA-512")),
    ] {
        login.set("sasl.password", "pw-wrong");
        check_refused(name, login, &["reach brokers at cluster source", "refuse the login"]);
    }
}

#[test]
fn a_broker_that_nobody_vouches_for_is_not_talked_to() {
    let mut login = secured().tls();
    // The system's authorities do not know the broker's.
    login.set_file("ssl.ca.location", secured().file("client.pem"));
    check_refused("no_voucher", login, &["reach brokers at cluster source", "certificate"]);
}

#[test]
fn a_client_without_a_certificate_is_told_so() {
    let mut login = secured().tls();
    login.bootstrap = secured().mtls().bootstrap;
    check_refused("no_certificate", login, &["reach brokers at cluster source", "certificate"]);
}
