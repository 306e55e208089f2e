//! A link with exactly the rights that the README grants, and with one less of them.

use serde_json::Value;

use crate::{
    mirror::{Answer, LINK_LIMIT, Mirror, answer},
    process::poll_until,
    records::{fold, schema, version_in},
    secured::{
        GRANTS, Passage,
        grants::{Grant, Need, grants},
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
    assert_eq!(mirror.errors(), Vec::<Value>::new());
    let verified = answer(&passage.config(), "verify", &[]);
    assert_eq!((verified.code, verified.text("result")), (0, "equal"), "{verified:?}");
}

/// The user who lacks one of the README's grants.
fn who_lacks(number: usize) -> String {
    format!("lacks_{number}")
}

/// Gives every user all of these grants but the user's own.
fn give_all_but_one(passage: &Passage, numbered: &[(usize, Grant)]) {
    for (number, grant) in numbered {
        let others = (0..GRANTS).filter(|other| other != number).map(who_lacks);
        let others: Vec<String> = others.collect();
        grant.give(passage, &others.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

/// What was found with this result, and what would mend it.
fn found(answer: &Answer, result: &str) -> Vec<(String, Option<String>)> {
    let checks = answer.link["checks"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    checks
        .filter(|check| check["result"] == result)
        .map(|check| (text(&check["found"]).unwrap(), text(&check["mend"])))
        .collect()
}

/// The user's preflight names the one grant that is missing, with its command, and a start says the
/// same where it can't do without.
#[track_caller]
fn check_named(passage: &mut Passage, number: usize, grant: &Grant) {
    let user = who_lacks(number);
    let login = secured().plain(&user);
    (passage.source, passage.target) = (login.clone(), login);
    let mend = grant.command(passage, &passage.target.bootstrap, &user);
    let said = answer(&passage.config(), "preflight", &[]);
    let (result, code) = match (grant.need, grant.operation.as_str()) {
        (Need::Optional, operation) if operation != "Create" => ("warning", 0),
        (Need::Always | Need::Optional, _) => ("failed", 1),
    };
    let named: Vec<_> = ["warning", "failed"].map(|result| found(&said, result)).concat();
    let right = format!("{} on {}", grant.operation, grant.kind);
    assert_eq!(named.len(), 1, "{said:?}");
    assert!(named[0].0.starts_with(&right), "{said:?}");
    assert_eq!(named[0].1.as_deref(), Some(mend.as_str()), "{said:?}");
    assert_eq!(found(&said, result), named);
    assert_eq!(said.code, code, "{said:?}");
    if result == "failed" {
        let refused = answer(&passage.config(), "backfill", &[]);
        assert_eq!((refused.code, refused.text("result")), (2, "gave_up"), "{refused:?}");
        assert!(refused.text("reason").contains(&mend), "{refused:?}");
        assert!(refused.text("reason").contains(&right), "{refused:?}");
    }
}

#[test]
fn one_grant_less_is_named_with_the_command_that_grants_it() {
    let all: Vec<(usize, Grant)> = grants().into_iter().enumerate().collect();
    assert_eq!(all.len(), GRANTS, "there is a user for each grant of the README");
    let (creating, rest): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|(_, grant)| grant.operation == "Create");

    let mut there = Passage::new("one_less", secured().tls(), secured().tls());
    there.create_target_topics();
    secured().broker.create_topic(&there.source_state_topic(), 64, &[]);
    give_all_but_one(&there, &rest);
    for (number, grant) in &rest {
        check_named(&mut there, *number, grant);
    }

    let mut missing = Passage::new("none_there", secured().tls(), secured().tls());
    give_all_but_one(&missing, &[rest, creating.clone()].concat());
    for (number, grant) in &creating {
        check_named(&mut missing, *number, grant);
    }
}

#[test]
fn a_link_waits_for_a_right_and_starts_as_soon_as_it_is_granted() {
    let login = secured().plain("waiting");
    let passage = Passage::new("waits", login.clone(), login);
    passage.create_target_topics();
    secured().broker.produce(&passage.source_topic(), &[schema("orders-value", 1, 1)]);
    let needed: Vec<Grant> =
        grants().into_iter().filter(|grant| grant.need == Need::Always).collect();
    let (last, first) = needed.split_last().unwrap();
    first.iter().for_each(|grant| grant.give(&passage, &["waiting"]));
    let mut mirror = Mirror::start(&passage.config(), &[]);
    let waits = mirror.wait_for("waiting");
    let mend = last.command(&passage, &passage.target.bootstrap, "waiting");
    assert!(waits["reason"].as_str().unwrap().contains(&mend), "{mend} in {waits}");
    last.give(&passage, &["waiting"]);
    mirror.wait_for("running");
    assert_eq!(mirror.end(), 0);
}
