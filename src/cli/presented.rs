//! What is presented to clients over HTTP, and how it changes while it is served.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_rustls::rustls::sign::CertifiedKey;

use crate::api::Tls;
use crate::cli::links::Unusable;
use crate::config::Environment;
use crate::config::Standing;
use crate::config::TlsConfig;
use crate::service::clock::SystemClock;
use crate::service::ports::Clock;

/// A certificate that listeners present. Whoever comes after a change is shown the new one.
#[derive(Debug)]
pub(super) struct Presented {
    certificate: TlsConfig,
    shown: watch::Sender<Arc<CertifiedKey>>,
    /// What was said of the one that is shown.
    told: Standing,
    clock: SystemClock,
}

impl Presented {
    /// Begins to present it; without one nothing is encrypted.
    pub(super) fn start(
        given: Option<&TlsConfig>,
        clock: SystemClock,
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

    /// One that has expired is of no use while the old one has not.
    fn show(&mut self) {
        let old = self.standing(&self.shown.borrow());
        let new = self.standing(self.certificate.identity());
        if let Standing::Expired(since) = &new
            && !matches!(old, Standing::Expired(_))
        {
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
