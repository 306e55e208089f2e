//! What is presented to clients over HTTP, and how it changes while it is served.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_rustls::rustls::sign::CertifiedKey;

use crate::api::Tls;
use crate::cli::links::Unusable;
use crate::config::Environment;
use crate::config::Moment;
use crate::config::Standing;
use crate::config::TlsConfig;
use crate::service::clock::SystemClock;
use crate::service::ports::Clock;

/// A certificate that listeners present. Whoever comes after a change is shown the new one.
#[derive(Debug)]
pub(super) struct Presented<K = SystemClock> {
    certificate: TlsConfig,
    shown: watch::Sender<Arc<CertifiedKey>>,
    /// What was said of the one that is shown.
    told: Standing,
    clock: K,
}

impl<K: Clock> Presented<K> {
    /// Begins to present it; without one nothing is encrypted.
    pub(super) fn start(
        given: Option<&TlsConfig>,
        clock: K,
    ) -> Result<(Option<Self>, Option<Tls>), Unusable> {
        let Some(certificate) = given.cloned() else { return Ok((None, None)) };
        let (shown, identity) = watch::channel(Arc::clone(certificate.identity()));
        let mut presented = Self { certificate, shown, told: Standing::Good, clock };
        presented.warn();
        Ok((Some(presented), Some(Tls::new(identity)?)))
    }

    /// Looks at its files again, and tells whether they have changed. What is of no use changes
    /// nothing: a certificate whose key is still to come is of none.
    pub(super) fn look(&mut self, environment: &dyn Environment) -> bool {
        match self.certificate.look(environment) {
            None => {
                if self.withholds() && self.expired().is_none() {
                    self.show();
                }
                self.warn();
                false
            }
            Some(Ok(())) => {
                self.show();
                true
            }
            Some(Err(reason)) => {
                tracing::error!(
                    reason,
                    "the certificate for HTTP changed and is of no use; the old one stays"
                );
                true
            }
        }
    }

    /// Presents what the configuration names now.
    pub(super) fn replace(&mut self, certificate: &TlsConfig) {
        if self.certificate != *certificate {
            self.certificate = certificate.clone();
            self.show();
        }
    }

    fn show(&mut self) {
        if let Some(since) = self.expired() {
            tracing::error!(
                expired = %since.told,
                "the certificate for HTTP changed to one that has expired; the old one stays"
            );
            return;
        }
        self.shown.send_replace(Arc::clone(self.certificate.identity()));
        tracing::info!("the certificate for HTTP changed; new connections get the new one");
        self.warn();
    }

    /// Whether the one of the files is not the one that is presented.
    fn withholds(&self) -> bool {
        !Arc::ptr_eq(&self.shown.borrow(), self.certificate.identity())
    }

    /// Since when the one of the files has expired: of no use while the old one has not.
    fn expired(&self) -> Option<Moment> {
        match self.standing(self.certificate.identity()) {
            Standing::Expired(since) => {
                let old = self.standing(&self.shown.borrow());
                (!matches!(old, Standing::Expired(_))).then_some(since)
            }
            Standing::Good | Standing::Early(_) => None,
        }
    }

    /// Says of the one that is presented, once, why clients refuse it.
    fn warn(&mut self) {
        let standing = self.standing(&self.shown.borrow());
        if standing == self.told {
            return;
        }
        match &standing {
            Standing::Good => {}
            Standing::Early(from) => tracing::warn!(
                from = %from.told,
                "the certificate for HTTP is not valid yet; clients refuse it until then"
            ),
            Standing::Expired(since) => {
                tracing::warn!(expired = %since.told, "the certificate for HTTP has expired; clients refuse it");
            }
        }
        self.told = standing;
    }

    fn standing(&self, identity: &CertifiedKey) -> Standing {
        TlsConfig::standing(identity, self.clock.wall_ms())
    }
}

/// Presents what a configuration names that was read again. Whether there is TLS at all is settled
/// when listening begins.
pub(super) fn replace(presented: Option<&mut Presented>, given: Option<&TlsConfig>) {
    match (presented, given) {
        (Some(presented), Some(certificate)) => presented.replace(certificate),
        (None, None) => {}
        (Some(_), None) | (None, Some(_)) => {
            tracing::warn!("http.tls came or went: that counts from the next start of the process");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::path::Path;
    use std::sync::atomic::AtomicI64;
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use openssl::asn1::Asn1Time;
    use openssl::ec::EcGroup;
    use openssl::ec::EcKey;
    use openssl::hash::MessageDigest;
    use openssl::nid::Nid;
    use openssl::pkey::PKey;
    use openssl::x509::X509;

    use super::*;
    use crate::config::Config;
    use crate::config::ProcessEnvironment;

    /// A host's clock that is set by hand, in seconds since 1970.
    #[derive(Debug, Clone, Default)]
    struct Hand(Arc<AtomicI64>);

    impl Hand {
        fn set(&self, seconds: i64) {
            self.0.store(seconds, Ordering::Release);
        }
    }

    impl Clock for Hand {
        fn wall_ms(&self) -> i64 {
            self.0.load(Ordering::Acquire).saturating_mul(1_000)
        }

        fn monotonic(&self) -> Duration {
            Duration::ZERO
        }

        fn sleep(&self, _pause: Duration) -> impl Future<Output = ()> + Send {
            std::future::pending()
        }
    }

    /// Writes a certificate that is good until then, and its key.
    fn sign(folder: &Path, until: i64) {
        let curve = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let key = PKey::from_ec_key(EcKey::generate(&curve).unwrap()).unwrap();
        let mut certificate = X509::builder().unwrap();
        certificate.set_version(2).unwrap();
        certificate.set_pubkey(&key).unwrap();
        certificate.set_not_before(&Asn1Time::from_unix(0).unwrap()).unwrap();
        certificate.set_not_after(&Asn1Time::from_unix(until).unwrap()).unwrap();
        certificate.sign(&key, MessageDigest::sha256()).unwrap();
        let certificate = certificate.build().to_pem().unwrap();
        std::fs::write(folder.join("certificate.pem"), certificate).unwrap();
        std::fs::write(folder.join("key.pem"), key.private_key_to_pem_pkcs8().unwrap()).unwrap();
    }

    fn in_folder(folder: &Path) -> TlsConfig {
        let tls =
            format!("{{ certificate: {0}/certificate.pem, key: {0}/key.pem }}", folder.display());
        let text =
            format!("clusters: {{ a: {{ bootstrap_servers: 'a:1' }} }}\nhttp: {{ tls: {tls} }}");
        Config::parse("file", &text, &ProcessEnvironment).unwrap().http.tls.unwrap()
    }

    #[test]
    fn a_certificate_that_a_wrong_clock_called_expired_is_presented_once_that_is_right() {
        let folder = tempfile::tempdir().unwrap();
        sign(folder.path(), 3_000);
        let given = in_folder(folder.path());
        let clock = Hand::default();
        let (presented, _) = Presented::start(Some(&given), clock.clone()).unwrap();
        let mut presented = presented.unwrap();
        let first = Arc::clone(given.identity());
        let is_first = |it: &Presented<Hand>| Arc::ptr_eq(&it.shown.borrow(), &first);
        clock.set(2_500);
        sign(folder.path(), 2_000);
        assert!(presented.look(&ProcessEnvironment), "it changed");
        assert!(is_first(&presented));
        assert!(!presented.look(&ProcessEnvironment));
        assert!(is_first(&presented), "the clock still says so");
        clock.set(1_500);
        assert!(!presented.look(&ProcessEnvironment), "the files are as they were");
        assert!(!is_first(&presented) && !presented.withholds());
    }
}
