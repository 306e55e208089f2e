//! Certificate authorities of the tests' own, and what they sign. All of it is PEM.

use openssl::{
    asn1::Asn1Time,
    bn::{BigNum, MsbOption},
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    symm::Cipher,
    x509::{
        X509, X509Builder, X509NameBuilder,
        extension::{BasicConstraints, SubjectAlternativeName},
    },
};

/// A key as new clients and brokers have it.
pub(crate) fn new_key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

/// Somebody who signs certificates.
pub(crate) struct Authority {
    key: PKey<Private>,
    certificate: X509,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = new_key();
        let mut builder = begun(name, &key);
        builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
        let issuer = named(name);
        builder.set_issuer_name(&issuer.build()).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        Self { key, certificate: builder.build() }
    }

    /// Its own certificate.
    pub(crate) fn pem(&self) -> String {
        text(self.certificate.to_pem().unwrap())
    }

    /// A certificate for this name and this machine's address, and its key.
    pub(crate) fn sign(&self, name: &str) -> Identity {
        let key = new_key();
        Identity { certificate: self.certify(name, &key), key }
    }

    /// The same for a key that is there.
    pub(crate) fn certify(&self, name: &str, key: &PKey<Private>) -> String {
        self.certify_within(name, key, [0, 1].map(|days| Asn1Time::days_from_now(days).unwrap()))
    }

    /// The same for a time.
    pub(crate) fn certify_within(
        &self,
        name: &str,
        key: &PKey<Private>,
        [from, until]: [Asn1Time; 2],
    ) -> String {
        let mut builder = begun(name, key);
        builder.set_not_before(&from).unwrap();
        builder.set_not_after(&until).unwrap();
        builder.set_issuer_name(self.certificate.subject_name()).unwrap();
        let context = builder.x509v3_context(Some(&self.certificate), None);
        let address = SubjectAlternativeName::new().ip("127.0.0.1").build(&context).unwrap();
        builder.append_extension(address).unwrap();
        builder.sign(&self.key, MessageDigest::sha256()).unwrap();
        text(builder.build().to_pem().unwrap())
    }
}

/// A certificate and its key.
pub(crate) struct Identity {
    key: PKey<Private>,
    pub(crate) certificate: String,
}

impl Identity {
    pub(crate) fn key(&self) -> String {
        text(self.key.private_key_to_pem_pkcs8().unwrap())
    }

    /// The key as only this password opens it.
    pub(crate) fn locked_key(&self, password: &str) -> String {
        let cipher = Cipher::aes_256_cbc();
        let locked = self.key.private_key_to_pem_pkcs8_passphrase(cipher, password.as_bytes());
        text(locked.unwrap())
    }
}

/// What every certificate begins with.
fn begun(name: &str, key: &PKey<Private>) -> X509Builder {
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let mut serial = BigNum::new().unwrap();
    serial.rand(64, MsbOption::MAYBE_ZERO, false).unwrap();
    builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(&named(name).build()).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
    builder
}

fn named(name: &str) -> X509NameBuilder {
    let mut builder = X509NameBuilder::new().unwrap();
    builder.append_entry_by_nid(Nid::COMMONNAME, name).unwrap();
    builder
}

fn text(pem: Vec<u8>) -> String {
    String::from_utf8(pem).unwrap()
}
