//! TLS to a schema-mirror that is asked.

use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::OnceLock;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls;
use tokio_rustls::rustls::CertificateError;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::version::TLS12;
use tokio_rustls::rustls::version::TLS13;

use crate::config::Environment;
use crate::config::ProcessEnvironment;

/// A file with the authorities that are trusted.
const CA: &str = "SCHEMA_MIRROR_CA";

/// Which authorities are believed about a mirror: those of a file, or those that the system trusts.
#[derive(Debug)]
pub(super) struct Trust {
    file: Option<PathBuf>,
    /// Made when it is needed: whoever asks over http:// reads no certificates.
    config: OnceLock<Arc<ClientConfig>>,
}

impl Trust {
    /// Those of the file that was given, or that the environment names.
    pub(super) fn of_environment(given: Option<&Path>) -> Self {
        let named =
            || ProcessEnvironment.var(CA).filter(|file| !file.is_empty()).map(PathBuf::from);
        Self { file: given.map(Path::to_owned).or_else(named), config: OnceLock::new() }
    }

    /// Greets the host, who has to prove that it is the one.
    pub(super) async fn greet(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, String> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| "it has no name that a certificate could be for".to_owned())?;
        let connector = TlsConnector::from(self.config()?);
        connector.connect(name, stream).await.map_err(|cause| self.why(&cause))
    }

    fn config(&self) -> Result<Arc<ClientConfig>, String> {
        if let Some(config) = self.config.get() {
            return Ok(Arc::clone(config));
        }
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|cause| cause.to_string())?
            .with_root_certificates(self.authorities()?)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::clone(self.config.get_or_init(|| Arc::new(config))))
    }

    fn authorities(&self) -> Result<RootCertStore, String> {
        let mut store = RootCertStore::empty();
        let Some(file) = &self.file else {
            let found = rustls_native_certs::load_native_certs();
            // Systems hold some that are too old to be read; the others count.
            store.add_parsable_certificates(found.certs);
            if store.is_empty() {
                return Err(format!("this system trusts no authority; {MEND}"));
            }
            return Ok(store);
        };
        let refused =
            |wrong: String| format!("{}, which --ca or {CA} names, {wrong}", file.display());
        let bytes = ProcessEnvironment.bytes(file);
        let bytes = bytes.map_err(|cause| refused(format!("can't be read: {cause}")))?;
        let unfit = || refused("holds no certificates in PEM, or damaged ones".to_owned());
        for authority in CertificateDer::pem_slice_iter(&bytes) {
            store.add(authority.map_err(|_| unfit())?).map_err(|_| unfit())?;
        }
        if store.is_empty() { Err(unfit()) } else { Ok(store) }
    }

    /// Why there is no TLS with the host, and what would mend it.
    fn why(&self, cause: &io::Error) -> String {
        let inner = cause.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if let Some(rustls::Error::InvalidCertificate(wrong)) = inner {
            return self.why_not(wrong);
        }
        if matches!(inner, Some(rustls::Error::InvalidMessage(_))) {
            return "it does not speak TLS there; is that http://?".to_owned();
        }
        format!("TLS: {cause}")
    }

    fn why_not(&self, wrong: &CertificateError) -> String {
        if matches!(wrong, CertificateError::UnknownIssuer | CertificateError::BadSignature) {
            let Some(file) = &self.file else {
                return format!(
                    "no authority that this system trusts has signed its certificate; {MEND}"
                );
            };
            return format!("no authority of {} has signed its certificate", file.display());
        }
        if matches!(
            wrong,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
        ) {
            return "its certificate is for another host; ask it under a name or address that stands \
                    in there"
                .to_owned();
        }
        if matches!(wrong, CertificateError::Expired | CertificateError::ExpiredContext { .. }) {
            return "its certificate has expired, or the clock here is wrong".to_owned();
        }
        if matches!(
            wrong,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }
        ) {
            return "its certificate is not valid yet, or the clock here is wrong".to_owned();
        }
        format!("its certificate is not taken: {wrong}")
    }
}

const MEND: &str = "name a PEM file with the one that has signed the mirror's certificate, with --ca or \
                    SCHEMA_MIRROR_CA";
