//! The certificates of one control plane: a new authority each time it starts, whose key never leaves memory.

use std::time::Duration;

use chrono::Datelike;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};

/// How long a certificate is good for: 30 days. A control plane that lives longer has to be started again.
const VALIDITY: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A certificate and its private key, both PEM.
pub(super) struct Pair {
    pub certificate: String,
    pub key: String,
}

/// The authority that signs the servers and the users of one control plane.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl Authority {
    /// Makes a new authority with a key of its own.
    pub fn new() -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = params("ibmi-clone control plane", None);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self {
            issuer: Issuer::new(params, key),
            certificate,
        })
    }

    /// The authority's own certificate, PEM: what a client must trust.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A certificate for a server on this machine's loopback interface.
    pub fn server(&self, name: &str) -> Result<Pair, rcgen::Error> {
        let mut params = params(name, None);
        params.subject_alt_names =
            CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()])?
                .subject_alt_names;
        // Both: etcd uses its certificate also to call itself.
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        self.sign(params)
    }

    /// A certificate that proves to the API server that its holder is `user`, a member of `group`.
    pub fn client(&self, user: &str, group: Option<&str>) -> Result<Pair, rcgen::Error> {
        let mut params = params(user, group);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params)
    }

    fn sign(&self, mut params: CertificateParams) -> Result<Pair, rcgen::Error> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Pair {
            certificate,
            key: key.serialize_pem(),
        })
    }
}

// By hand: the key has no business in any output.
impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

/// The key the API server signs service account tokens with: public and private half, PEM.
pub(super) fn service_account_key() -> Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate()?;
    Ok((key.public_key_pem(), key.serialize_pem()))
}

/// Kubernetes reads the user from the common name and the group from the organization.
fn params(common_name: &str, organization: Option<&str>) -> CertificateParams {
    let mut name = DistinguishedName::new();
    if let Some(organization) = organization {
        name.push(DnType::OrganizationName, organization);
    }
    name.push(DnType::CommonName, common_name);
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    // From yesterday on, so that no time zone and no small clock error makes it "not yet valid".
    let yesterday = chrono::Utc::now().date_naive() - chrono::TimeDelta::days(1);
    // Months and days are 1 to 31, so the narrowing loses nothing.
    params.not_before = rcgen::date_time_ymd(
        yesterday.year(),
        yesterday.month() as u8,
        yesterday.day() as u8,
    );
    params.not_after = params.not_before + VALIDITY;
    params
}
