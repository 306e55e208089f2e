//! Logins to Amazon MSK by IAM, as the properties of a cluster ask for them.
//!
//! Java's clients write `sasl.mechanism: AWS_MSK_IAM`. On the wire that login has a protocol of its
//! own, which librdkafka does not speak; MSK takes the same right as a token of OAUTHBEARER as well
//! (AWS's signers for Go, Python and JavaScript do that), and so do we.

use std::collections::BTreeMap;

use crate::kafka::errors::Place;
use crate::kafka::settings::ClusterSettings;
use crate::kafka::settings::PropertyRefusal;
use crate::kafka::tokens::Signer;
use crate::service::ports::Fault;
use crate::service::ports::FaultClass;

/// The mechanism as Java's clients name it.
const AWS_MSK_IAM: &str = "AWS_MSK_IAM";

/// The property under both of its names.
const MECHANISM: [&str; 2] = ["sasl.mechanism", "sasl.mechanisms"];

const PROTOCOL: &str = "security.protocol";

const NOT_BUILT: (&str, &str) = (
    "this build has no logins by AWS_MSK_IAM",
    "take a build with --features msk-iam, or the Docker image",
);
const NO_TLS: (&str, &str) =
    ("logins by AWS_MSK_IAM go over TLS alone", "write security.protocol: SASL_SSL");
const NOT_ASKED: (&str, &str) = (
    "logins by AWS_MSK_IAM don't use it",
    "leave it out: tokens are signed with AWS's credentials",
);

/// The properties that don't go with a login by IAM; none where there is no such login.
pub(super) fn refused(properties: &BTreeMap<String, String>) -> Vec<PropertyRefusal<'_>> {
    let Some(mechanism) = mechanism(properties) else { return Vec::new() };
    let refusal = |property, told| PropertyRefusal { property, told: Some(told) };
    if !cfg!(feature = "msk-iam") {
        return vec![refusal(mechanism, NOT_BUILT)];
    }
    let mut refused = Vec::new();
    match properties.get_key_value(PROTOCOL) {
        Some((_, protocol)) if protocol.eq_ignore_ascii_case("SASL_SSL") => {}
        Some((property, _)) => refused.push(refusal(property, NO_TLS)),
        None => refused.push(refusal(PROTOCOL, NO_TLS)),
    }
    let is_of_others = |name: &&String| {
        name.starts_with("sasl.oauthbearer.") || name.starts_with("enable.sasl.oauthbearer.")
    };
    let of_others = properties.keys().filter(is_of_others);
    refused.extend(of_others.map(|property| refusal(property.as_str(), NOT_ASKED)));
    refused
}

/// The property that asks for a login by IAM.
fn mechanism(properties: &BTreeMap<String, String>) -> Option<&str> {
    let asks = |name: &&str| properties.get(*name).is_some_and(|value| value == AWS_MSK_IAM);
    MECHANISM.into_iter().find(asks)
}

/// The properties as librdkafka gets them.
pub(super) fn for_librdkafka(
    properties: &BTreeMap<String, String>,
) -> impl Iterator<Item = (&str, &str)> {
    let is_iam = mechanism(properties).is_some();
    let given = properties.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    given
        .filter(move |(name, _)| !is_iam || !MECHANISM.contains(name))
        .chain(is_iam.then_some(("sasl.mechanism", "OAUTHBEARER")))
}

impl ClusterSettings {
    /// Whoever signs the tokens that the properties ask for; none where librdkafka logs in by itself.
    ///
    /// # Errors
    ///
    /// `Permanent` where this build can't, or a property does not go with it.
    pub(super) fn signer(&self) -> Result<Option<Box<dyn Signer>>, Fault> {
        if let Some(PropertyRefusal { property, told: Some((wrong, right)) }) =
            refused(&self.properties).first()
        {
            let place = Place::cluster(&self.name.as_str().into());
            let cause = format!("{property}: {wrong}; {right}");
            return Err(place.fault(FaultClass::Permanent, cause));
        }
        if mechanism(&self.properties).is_none() {
            return Ok(None);
        }
        Ok(self.iam_signer())
    }

    #[cfg(feature = "msk-iam")]
    fn iam_signer(&self) -> Option<Box<dyn Signer>> {
        Some(Box::new(crate::kafka::iam::IamSigner::new(&self.bootstrap_servers, self.clock)))
    }

    #[cfg(not(feature = "msk-iam"))]
    fn iam_signer(&self) -> Option<Box<dyn Signer>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(given: &[(&str, &str)], with: &[(&str, &str)], without: &[(&str, &str)]) {
        let expected = if cfg!(feature = "msk-iam") { with } else { without };
        let owned = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let properties: BTreeMap<String, String> = owned.collect();
        let refused = refused(&properties);
        let told = refused.iter().map(|refused| (refused.property, refused.told.unwrap().0));
        assert_eq!(told.collect::<Vec<_>>(), expected, "{given:?}");
    }

    #[test]
    fn a_login_by_iam_takes_a_build_that_has_it_and_tls() {
        for mechanism in MECHANISM {
            let iam = (mechanism, AWS_MSK_IAM);
            let not_built = [(mechanism, NOT_BUILT.0)];
            check(&[(PROTOCOL, "SASL_SSL"), iam], &[], &not_built);
            check(&[(PROTOCOL, "sasl_ssl"), iam], &[], &not_built);
            check(&[(PROTOCOL, "SASL_PLAINTEXT"), iam], &[(PROTOCOL, NO_TLS.0)], &not_built);
            check(&[iam], &[(PROTOCOL, NO_TLS.0)], &not_built);
        }
    }

    #[test]
    fn what_another_login_needs_is_refused_beside_it_and_left_alone_without() {
        let method = ("sasl.oauthbearer.method", "oidc");
        let tls = (PROTOCOL, "SASL_SSL");
        check(
            &[tls, ("sasl.mechanism", AWS_MSK_IAM), method],
            &[("sasl.oauthbearer.method", NOT_ASKED.0)],
            &[("sasl.mechanism", NOT_BUILT.0)],
        );
        check(&[tls, ("sasl.mechanism", "OAUTHBEARER"), method], &[], &[]);
        check(&[("sasl.mechanism", "PLAIN")], &[], &[]);
    }

    #[test]
    fn librdkafka_hears_of_a_mechanism_that_it_knows() {
        let given = BTreeMap::from([
            (PROTOCOL.to_owned(), "SASL_SSL".to_owned()),
            ("sasl.mechanisms".to_owned(), AWS_MSK_IAM.to_owned()),
        ]);
        let passed: Vec<(&str, &str)> = for_librdkafka(&given).collect();
        assert_eq!(passed, [(PROTOCOL, "SASL_SSL"), ("sasl.mechanism", "OAUTHBEARER")]);
        let given = BTreeMap::from([("sasl.mechanism".to_owned(), "PLAIN".to_owned())]);
        assert_eq!(for_librdkafka(&given).collect::<Vec<_>>(), [("sasl.mechanism", "PLAIN")]);
    }
}
