//! Certificates and passwords that are replaced while a link runs.

use std::{fs, path::Path};

use crate::{
    mirror::{LINK_LIMIT, Mirror},
    process::poll_until,
    records::{fold, schema, version_in},
    secured::{Authority, PASSWORD, Passage, grants::grants, secured},
};

/// Puts a certificate and its key where a client looks for them.
fn install(folder: &Path, authority: &Authority, name: &str) {
    let identity = authority.sign(name);
    fs::write(folder.join("client.pem"), &identity.certificate).unwrap();
    fs::write(folder.join("client.key"), identity.key()).unwrap();
}

/// Versions that are registered at the source, each of which has to arrive.
struct Registrations<'a> {
    passage: &'a Passage,
    version: u32,
}

impl Registrations<'_> {
    #[track_caller]
    fn flow(&mut self) {
        self.version = self.version.saturating_add(1);
        let (broker, version) = (&secured().broker, self.version);
        broker.produce(&self.passage.source_topic(), &[schema("orders-value", version, version)]);
        poll_until(LINK_LIMIT, "the version arrives", || {
            let state = fold(&broker.read_all(&self.passage.target_topic()));
            version_in(&state, ":.source:orders-value", version)
        });
    }
}

#[test]
fn a_certificate_is_replaced_while_records_flow_and_a_broken_one_changes_nothing() {
    let mut passage = Passage::new("rotation", secured().mtls(), secured().tls());
    let folder = passage.folder.path().to_owned();
    install(&folder, &secured().authority, "early");
    passage.source.set_file("ssl.certificate.location", folder.join("client.pem"));
    passage.source.set_file("ssl.key.location", folder.join("client.key"));
    let reads = grants().into_iter().find(|grant| grant.at_source).unwrap();
    reads.give(&passage, &["CN=early", "CN=late"]);
    let mut mirror = Mirror::start(&passage.config(), &[]);
    mirror.wait_for("running");
    let mut registrations = Registrations { passage: &passage, version: 0 };
    registrations.flow();

    let kept = "a file that changed is of no use; links go on with what they have";
    fs::write(folder.join("client.pem"), "no certificate").unwrap();
    mirror.wait_for_nth(kept, 1);
    registrations.flow();
    fs::remove_file(folder.join("client.pem")).unwrap();
    mirror.wait_for_nth(kept, 2);
    registrations.flow();
    assert_eq!(mirror.lines("running").len(), 1, "the link was never started anew");

    install(&folder, &secured().next_authority, "late");
    let renewed = mirror.wait_for("files changed; links start anew with them");
    assert!(renewed["files"].as_str().unwrap().contains("client.pem"), "{renewed}");
    mirror.wait_for_nth("running", 2);
    // Whoever still came with the old certificate would read nothing from here on.
    reads.take(&passage, "CN=early");
    registrations.flow();
    assert_eq!(mirror.end(), 0);
}

#[test]
fn a_password_is_replaced_in_its_file_while_records_flow() {
    let mut passage = Passage::new("password", secured().plain("mirror"), secured().tls());
    let file = passage.folder.path().join("password");
    fs::write(&file, PASSWORD).unwrap();
    passage.source.set_from_file("sasl.password", file.clone());
    let mut mirror = Mirror::start(&passage.config(), &[]);
    mirror.wait_for("running");
    let mut registrations = Registrations { passage: &passage, version: 0 };
    registrations.flow();
    // The newline is no part of the password, so this is the same one in another file.
    fs::write(&file, format!("{}\n", PASSWORD)).unwrap();
    let renewed = mirror.wait_for("files changed; links start anew with them");
    assert!(!renewed.to_string().contains(PASSWORD));
    mirror.wait_for_nth("running", 2);
    registrations.flow();
    assert_eq!(mirror.end(), 0);
}
