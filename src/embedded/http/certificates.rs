//! The server's certificate and the authority that signed it, kept in the data directory so that a kubeconfig stays good over
//! restarts. Both are renewed before they end.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};

use super::files::{self, FileError, Readers};

/// How long an authority is good for, in days. Clients trust it by the kubeconfig, which is written anew with it.
const AUTHORITY_DAYS: i64 = 3650;
/// How long a server's certificate is good for, in days; some clients refuse more than 398.
const SERVER_DAYS: i64 = 397;
/// A certificate is renewed when less than this part of its time is left.
const RENEWED_AT: i64 = 3;

/// Certificates cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// Making one.
    #[error("cannot make a certificate")]
    Generation(#[from] rcgen::Error),
    /// Using one.
    #[error("cannot use the certificate in {}", directory.display())]
    Tls {
        /// Where it is kept.
        directory: PathBuf,
        /// What the TLS library said.
        #[source]
        source: rustls::Error,
    },
}

/// What is known about the files beside them, so that nobody has to read certificates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    names: Vec<String>,
    authority_ends: DateTime<Utc>,
    server_ends: DateTime<Utc>,
}

/// A server's certificate with its authority.
#[derive(Clone)]
pub struct Identity {
    directory: PathBuf,
    record: Record,
    authority: String,
    certificate: String,
    key: String,
}

// By hand: the key has no business in any output.
impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Identity({:?} until {})",
            self.record.names, self.record.server_ends
        )
    }
}

impl Identity {
    /// What is kept in `directory` (made when it is not there), renewed or made anew where it has to be. `names` are the DNS names
    /// and addresses under which clients reach the server.
    ///
    /// # Errors
    /// When the directory cannot be used or a name is no name.
    pub fn keep(
        directory: &Path,
        names: &[String],
        now: DateTime<Utc>,
    ) -> Result<Self, CertificateError> {
        files::directory(directory)?;
        let authority = match Authority::read(directory)? {
            Some(authority) if !is_due(now, authority.ends, AUTHORITY_DAYS) => authority,
            Some(_) | None => Authority::make(directory, now)?,
        };
        Self::signed(directory, &authority, names, now)
    }

    fn signed(
        directory: &Path,
        authority: &Authority,
        names: &[String],
        now: DateTime<Utc>,
    ) -> Result<Self, CertificateError> {
        match Self::read(directory, authority, names)? {
            Some(identity) if !is_due(now, identity.record.server_ends, SERVER_DAYS) => {
                Ok(identity)
            }
            Some(_) | None => Self::make(directory, authority, names, now),
        }
    }

    /// The authority's certificate, PEM: for the kubeconfig.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// When the server's certificate has to be renewed.
    pub fn renew_at(&self) -> DateTime<Utc> {
        self.record.server_ends - TimeDelta::days(SERVER_DAYS / RENEWED_AT)
    }

    /// The same again, renewed if it is time. The authority stays: a server that runs cannot tell its clients of another one.
    ///
    /// # Errors
    /// As [`Identity::keep`].
    pub fn again(&self, now: DateTime<Utc>) -> Result<Self, CertificateError> {
        match Authority::read(&self.directory)? {
            Some(authority) => Self::signed(&self.directory, &authority, &self.record.names, now),
            None => Self::keep(&self.directory, &self.record.names, now),
        }
    }

    /// For a server that speaks HTTP/2 and HTTP/1.1.
    ///
    /// # Errors
    /// When certificate and key do not belong together.
    pub fn server_config(&self) -> Result<Arc<rustls::ServerConfig>, CertificateError> {
        let tls = |source| CertificateError::Tls {
            directory: self.directory.clone(),
            source,
        };
        let pem = |what: &str| tls(rustls::Error::General(format!("{what} is not PEM")));
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes())
            .map_err(|_| pem("the certificate"))?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).map_err(|_| pem("the key"))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(tls)?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .map_err(tls)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    fn read(
        directory: &Path,
        authority: &Authority,
        names: &[String],
    ) -> Result<Option<Self>, CertificateError> {
        let record = files::read(&directory.join("server.json"), Readers::Everybody)?;
        let record: Option<Record> = record.and_then(|text| serde_json::from_str(&text).ok());
        let certificate = files::read(&directory.join("server.crt"), Readers::Everybody)?;
        let key = files::read(&directory.join("server.key"), Readers::Owner)?;
        let (Some(record), Some(certificate), Some(key)) = (record, certificate, key) else {
            return Ok(None);
        };
        if record.names != names || record.authority_ends != authority.ends {
            return Ok(None);
        }
        let identity = Self {
            directory: directory.to_owned(),
            record,
            authority: authority.certificate.clone(),
            certificate,
            key,
        };
        // Files of two renewals that a crash mixed do not fit together.
        Ok(identity.server_config().is_ok().then_some(identity))
    }

    fn make(
        directory: &Path,
        authority: &Authority,
        names: &[String],
        now: DateTime<Utc>,
    ) -> Result<Self, CertificateError> {
        let mut params = CertificateParams::new(names.to_vec())?;
        params
            .distinguished_name
            .push(DnType::CommonName, "ibmi-clone API server");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let ends = span(&mut params, now, SERVER_DAYS).min(authority.ends);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &authority.issuer()?)?.pem();
        let identity = Self {
            directory: directory.to_owned(),
            record: Record {
                names: names.to_vec(),
                authority_ends: authority.ends,
                server_ends: ends,
            },
            authority: authority.certificate.clone(),
            certificate,
            key: key.serialize_pem(),
        };
        // The record last: without it the others count for nothing.
        files::replace(
            &directory.join("server.key"),
            identity.key.as_bytes(),
            Readers::Owner,
        )?;
        files::replace(
            &directory.join("server.crt"),
            identity.certificate.as_bytes(),
            Readers::Everybody,
        )?;
        let record = serde_json::to_vec(&identity.record).unwrap_or_default();
        files::replace(&directory.join("server.json"), &record, Readers::Everybody)?;
        Ok(identity)
    }
}

/// Who signs the server's certificate. Its key is kept, so that clients need not be told of a renewal.
struct Authority {
    certificate: String,
    key: String,
    ends: DateTime<Utc>,
}

impl Authority {
    fn read(directory: &Path) -> Result<Option<Self>, CertificateError> {
        let certificate = files::read(&directory.join("ca.crt"), Readers::Everybody)?;
        let key = files::read(&directory.join("ca.key"), Readers::Owner)?;
        let ends = files::read(&directory.join("ca.ends"), Readers::Everybody)?;
        let ends = ends.and_then(|text| DateTime::parse_from_rfc3339(text.trim()).ok());
        let (Some(certificate), Some(key), Some(ends)) = (certificate, key, ends) else {
            return Ok(None);
        };
        let authority = Self {
            certificate,
            key,
            ends: ends.to_utc(),
        };
        Ok(authority.issuer().is_ok().then_some(authority))
    }

    fn make(directory: &Path, now: DateTime<Utc>) -> Result<Self, CertificateError> {
        let key = KeyPair::generate()?;
        let mut params = Self::params();
        let ends = span(&mut params, now, AUTHORITY_DAYS);
        let authority = Self {
            certificate: params.self_signed(&key)?.pem(),
            key: key.serialize_pem(),
            ends,
        };
        files::replace(
            &directory.join("ca.key"),
            authority.key.as_bytes(),
            Readers::Owner,
        )?;
        files::replace(
            &directory.join("ca.crt"),
            authority.certificate.as_bytes(),
            Readers::Everybody,
        )?;
        files::replace(
            &directory.join("ca.ends"),
            ends.to_rfc3339().as_bytes(),
            Readers::Everybody,
        )?;
        Ok(authority)
    }

    fn params() -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "ibmi-clone API authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        params
    }

    /// What signs needs name and key, not the dates.
    fn issuer(&self) -> Result<Issuer<'static, KeyPair>, rcgen::Error> {
        Ok(Issuer::new(Self::params(), KeyPair::from_pem(&self.key)?))
    }
}

/// From the day before, so that no clock that is a little off makes a certificate "not yet valid". When it ends.
fn span(params: &mut CertificateParams, now: DateTime<Utc>, days: i64) -> DateTime<Utc> {
    let from = now - TimeDelta::days(1);
    let ends = from.date_naive().and_time(chrono::NaiveTime::MIN).and_utc() + TimeDelta::days(days);
    let date = |time: DateTime<Utc>| {
        // Months and days are small, so the narrowing loses nothing.
        rcgen::date_time_ymd(time.year(), time.month() as u8, time.day() as u8)
    };
    params.not_before = date(from);
    params.not_after = date(ends);
    ends
}

fn is_due(now: DateTime<Utc>, ends: DateTime<Utc>, days: i64) -> bool {
    now > ends - TimeDelta::days(days / RENEWED_AT)
}

#[cfg(test)]
mod tests {
    use super::Identity;
    use chrono::{TimeDelta, Utc};
    use std::os::unix::fs::PermissionsExt;

    fn names() -> Vec<String> {
        vec!["localhost".to_owned(), "127.0.0.1".to_owned()]
    }

    #[test]
    fn certificates_stay_until_they_are_due() {
        let directory = tempfile::tempdir().unwrap();
        let now = Utc::now();
        let first = Identity::keep(directory.path(), &names(), now).unwrap();
        let same = Identity::keep(directory.path(), &names(), now + TimeDelta::days(200)).unwrap();
        assert_eq!(first.certificate, same.certificate);
        assert!(first.renew_at() > now + TimeDelta::days(200));

        let renewed = first
            .again(first.renew_at() + TimeDelta::seconds(1))
            .unwrap();
        assert_ne!(first.certificate, renewed.certificate);
        assert_eq!(
            first.authority, renewed.authority,
            "clients trust the same authority"
        );

        let years =
            Identity::keep(directory.path(), &names(), now + TimeDelta::days(3000)).unwrap();
        assert_ne!(first.authority, years.authority);
        years.server_config().unwrap();
    }

    #[test]
    fn other_names_or_mixed_files_make_a_new_certificate_of_the_same_authority() {
        let directory = tempfile::tempdir().unwrap();
        let now = Utc::now();
        let first = Identity::keep(directory.path(), &names(), now).unwrap();
        let more = vec!["localhost".to_owned(), "10.0.0.1".to_owned()];
        let other = Identity::keep(directory.path(), &more, now).unwrap();
        assert_ne!(first.certificate, other.certificate);
        assert_eq!(first.authority, other.authority);

        std::fs::write(directory.path().join("server.crt"), &first.certificate).unwrap();
        let healed = Identity::keep(directory.path(), &more, now).unwrap();
        assert_ne!(healed.certificate, first.certificate);
        healed.server_config().unwrap();
    }

    #[test]
    fn only_the_owner_may_read_the_keys() {
        let directory = tempfile::tempdir().unwrap();
        let identity = Identity::keep(&directory.path().join("tls"), &names(), Utc::now()).unwrap();
        for name in ["ca.key", "server.key"] {
            let found = std::fs::metadata(directory.path().join("tls").join(name)).unwrap();
            assert_eq!(found.permissions().mode() & 0o777, 0o600, "{name}");
        }
        assert!(!format!("{identity:?}").contains("PRIVATE"));
    }
}
