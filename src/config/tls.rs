//! The certificate that is presented over TLS, and its key: two files that are replaced while a
//! process runs.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use tokio_rustls::rustls;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::sign::CertifiedKey;

use crate::config::defect::Defect;
use crate::config::defect::Refusal;
use crate::config::environment::Environment;
use crate::config::files::Digest;
use crate::config::keys;
use crate::config::section::Section;
use crate::config::validity::Standing;
use crate::config::validity::Validity;
use crate::config::words;

const CERTIFICATE: &str = "certificate";
const KEY: &str = "key";
const CERTIFICATE_RIGHT: &str =
    "name a PEM file with the server's certificate, and behind it those that lead to its authority";
const KEY_RIGHT: &str = "name a PEM file with the certificate's private key, without a password";

/// A certificate with its key, as the files held them when they were last of use.
#[derive(Clone)]
pub struct TlsConfig {
    files: [PathBuf; 2],
    /// What the files held when they were looked at last, of use or not.
    seen: [Digest; 2],
    identity: Arc<CertifiedKey>,
}

impl TlsConfig {
    /// What is presented.
    #[must_use]
    pub fn identity(&self) -> &Arc<CertifiedKey> {
        &self.identity
    }

    /// What a clock says of the server's certificate among them. Those behind it don't count: one that a
    /// client does not need may have expired.
    #[must_use]
    pub fn standing(identity: &CertifiedKey, wall_ms: i64) -> Standing {
        let validity = identity.end_entity_cert().ok().and_then(|own| Validity::of(own));
        validity.map_or(Standing::Good, |validity| validity.at(wall_ms))
    }

    /// Looks at the files again: `None` where they hold what they did. A change is told once, and one
    /// that is of no use changes nothing.
    ///
    /// # Errors
    /// All that is wrong with what they hold now.
    pub fn look(&mut self, environment: &dyn Environment) -> Option<Result<(), String>> {
        let held = self.files.each_ref().map(|file| environment.bytes(file));
        let now = held.each_ref().map(digest);
        if now == self.seen {
            return None;
        }
        self.seen = now;
        Some(match identity(held) {
            Ok(identity) => {
                self.identity = identity;
                Ok(())
            }
            Err(refused) => {
                let [certificate, key] = &self.files;
                let named = |(name, refusal): (&str, Refusal)| {
                    let file = if name == KEY { key } else { certificate };
                    format!("{} {}", file.display(), refusal.wrong)
                };
                Err(refused.into_iter().map(named).collect::<Vec<_>>().join("; "))
            }
        })
    }
}

/// The same files that hold the same.
impl PartialEq for TlsConfig {
    fn eq(&self, other: &Self) -> bool {
        self.files == other.files && self.seen == other.seen
    }
}

impl Eq for TlsConfig {}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfig").field("files", &self.files).finish_non_exhaustive()
    }
}

/// Reads the section and its files; notes all that is wrong with either.
pub(super) fn read_tls(
    path: &str,
    value: &Value,
    environment: &dyn Environment,
    defects: &mut Vec<Defect>,
) -> Option<TlsConfig> {
    let mut section = Section::open(path, value, keys::TLS, defects)?;
    let certificate = section.required(CERTIFICATE, CERTIFICATE_RIGHT, file);
    let key = section.required(KEY, KEY_RIGHT, file);
    let files = [certificate?, key?];
    let held = files.each_ref().map(|file| environment.bytes(file));
    let seen = held.each_ref().map(digest);
    match identity(held) {
        Ok(identity) => Some(TlsConfig { files, seen, identity }),
        Err(refused) => {
            for (key, refusal) in refused {
                section.refuse(key, refusal);
            }
            None
        }
    }
}

fn file(value: &Value) -> Result<PathBuf, Refusal> {
    match value.as_str() {
        Some(path) if !path.is_empty() => Ok(PathBuf::from(path)),
        Some(_) | None => {
            let wrong = format!("{} is not the path of a file", words::describe(value));
            Err(Refusal::new(wrong, "write it as text, such as /etc/schema-mirror/tls.pem"))
        }
    }
}

fn digest(held: &io::Result<Vec<u8>>) -> Digest {
    Digest::of(held.as_ref())
}

type Refused = Vec<(&'static str, Refusal)>;

/// What the files of certificate and key make together; or what is wrong with either, by its key.
fn identity([certificate, key]: [io::Result<Vec<u8>>; 2]) -> Result<Arc<CertifiedKey>, Refused> {
    let (chain, key) = match (chain(certificate), private_key(key)) {
        (Ok(chain), Ok(key)) => (chain, key),
        (chain, key) => {
            let refused = [chain.err().map(|it| (CERTIFICATE, it)), key.err().map(|it| (KEY, it))];
            return Err(refused.into_iter().flatten().collect());
        }
    };
    let fits = CertifiedKey::from_der(chain, key, &ring::default_provider());
    fits.map(Arc::new).map_err(|cause| vec![unfit(&cause)])
}

/// Only these of the causes are about the certificate, or about both.
fn unfit(cause: &rustls::Error) -> (&'static str, Refusal) {
    if matches!(cause, rustls::Error::InvalidCertificate(_)) {
        let wrong = "begins with what is no certificate of X.509";
        return (CERTIFICATE, Refusal::new(wrong, CERTIFICATE_RIGHT));
    }
    if matches!(cause, rustls::Error::InconsistentKeys(_)) {
        let wrong = "is not the key of the first certificate in http.tls.certificate";
        let right = "name the one that belongs to it; the server's certificate comes first";
        return (KEY, Refusal::new(wrong, right));
    }
    let wrong = "holds a key that can't be used";
    let right = "take ECDSA with P-256, P-384 or P-521, Ed25519, or RSA from 2048 to 8192 bits";
    (KEY, Refusal::new(wrong, right))
}

fn chain(held: io::Result<Vec<u8>>) -> Result<Vec<CertificateDer<'static>>, Refusal> {
    let bytes = held.map_err(|cause| unreadable(&cause, CERTIFICATE_RIGHT))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match chain {
        Ok(chain) if chain.is_empty() => {
            Err(Refusal::new("holds no certificate in PEM", CERTIFICATE_RIGHT))
        }
        Ok(chain) => Ok(chain),
        Err(_) => Err(Refusal::new(DAMAGED, CERTIFICATE_RIGHT)),
    }
}

/// Without the words of who read it: they quote the file.
const DAMAGED: &str = "holds PEM that is damaged, or not whole";

fn private_key(held: io::Result<Vec<u8>>) -> Result<PrivateKeyDer<'static>, Refusal> {
    let bytes = held.map_err(|cause| unreadable(&cause, KEY_RIGHT))?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|cause| {
        let text = String::from_utf8_lossy(&bytes);
        let is_locked =
            text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("ENCRYPTED\n");
        let wrong = if is_locked {
            "holds a key that a password locks"
        } else if matches!(cause, pem::Error::NoItemsFound) {
            "holds no private key in PEM"
        } else {
            DAMAGED
        };
        Refusal::new(wrong, KEY_RIGHT)
    })
}

fn unreadable(cause: &io::Error, right: &str) -> Refusal {
    Refusal::new(format!("can't be read: {cause}"), right)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::testing::Given;

    #[track_caller]
    fn check(value: &Value, files: &[(&str, &str)], expected: &[&str]) {
        let mut defects = Vec::new();
        let read = read_tls("http.tls", value, &Given::new(&[], files), &mut defects);
        let told: Vec<String> = defects.iter().map(ToString::to_string).collect();
        assert!(read.is_none());
        for (told, expected) in told.iter().zip(expected) {
            assert!(told.starts_with(expected), "{told}");
        }
        assert_eq!(told.len(), expected.len(), "{told:?}");
    }

    #[test]
    fn both_files_are_named_and_whatever_is_wrong_with_either_is_said() {
        check(&json!("x"), &[], &["http.tls: text is not a map"]);
        check(
            &json!({"certificat": "/c"}),
            &[],
            &[
                "http.tls.certificat: unknown key; did you mean certificate?",
                "http.tls.certificate: missing",
                "http.tls.key: missing",
            ],
        );
        check(
            &json!({"certificate": 7, "key": ""}),
            &[],
            &[
                "http.tls.certificate: 7 is not the path of a file",
                "http.tls.key: \"\" is not the path of a file",
            ],
        );
        check(
            &json!({"certificate": "/c", "key": "/k"}),
            &[(
                "/k",
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----",
            )],
            &[
                "http.tls.certificate: can't be read: entity not found; name a PEM file",
                "http.tls.key: holds a key that a password locks; name a PEM file",
            ],
        );
    }

    #[test]
    fn damaged_files_are_refused_and_not_quoted() {
        let files = [
            ("/c", "-----BEGIN CERTIFICATE-----\nhunter2!\n-----END CERTIFICATE-----\n"),
            ("/k", "-----BEGIN PRIVATE KEY-----\nhunter2"),
            ("/x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        ];
        let given = |certificate: &str, key: &str| json!({"certificate": certificate, "key": key});
        let damaged =
            ["http.tls.certificate: holds PEM that is", "http.tls.key: holds PEM that is"];
        check(&given("/c", "/k"), &files, &damaged);
        let none =
            ["http.tls.certificate: holds no certificate", "http.tls.key: holds no private key"];
        check(&given("/k2", "/x"), &[("/k2", "text"), files[2]], &none);
    }
}
