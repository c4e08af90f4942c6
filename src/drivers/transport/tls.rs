//! Certificates of appliances: own CA, pinned fingerprint, another name in the certificate, or none at all
//! (`rust-dependencies.md` § 7).

use base64::Engine as _;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex, PoisonError};

/// Names whose TLS sessions are kept to be resumed: a configuration is of one device. Room for them is taken at once.
const SESSIONS: usize = 16;

/// How the certificate of one device is checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// Certificates to trust, PEM.
    pub ca_pem: Option<String>,
    /// SHA-256 of the device's own certificate: `SHA256:` + base64 without `=`, or hex with or without colons.
    pub fingerprints: Vec<String>,
    /// Name in the certificate when it differs from the address.
    pub server_name: Option<String>,
    /// Accept anything.
    pub insecure: bool,
}

/// The options cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// No certificate in the bundle.
    #[error("the CA bundle holds no certificate: put PEM text into key ca.crt of the ConfigMap")]
    EmptyBundle,
    /// A certificate in the bundle is unusable.
    #[error("the CA bundle holds a certificate that cannot be used: {0}")]
    BadBundle(String),
    /// A fingerprint is not a SHA-256.
    #[error("{0} is no SHA-256 fingerprint: write SHA256:… or 64 hex digits")]
    BadFingerprint(String),
    /// The server name is not a DNS name or address.
    #[error("{0} is no server name")]
    BadName(String),
    /// rustls refused.
    #[error("tls set-up: {0}")]
    Setup(String),
}

/// Client configuration for one device, and the fingerprint it showed last (for messages).
#[derive(Debug, Clone)]
pub struct DeviceTls {
    /// For reqwest (`tls_backend_preconfigured`).
    pub config: ClientConfig,
    seen: Arc<Mutex<Option<String>>>,
}

impl DeviceTls {
    /// Builds the verifier the options ask for.
    ///
    /// # Errors
    /// When an option cannot be used; the text says what to write.
    pub fn new(options: &TlsOptions) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let seen = Arc::new(Mutex::new(None));
        let verifier = Arc::new(DeviceVerifier {
            roots: roots(options, &provider)?,
            pins: options
                .fingerprints
                .iter()
                .map(|f| fingerprint(f))
                .collect::<Result<_, _>>()?,
            name: match &options.server_name {
                Some(name) => Some(
                    ServerName::try_from(name.clone())
                        .map_err(|_| TlsError::BadName(name.clone()))?,
                ),
                None => None,
            },
            insecure: options.insecure,
            provider: provider.clone(),
            seen: seen.clone(),
        });
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| TlsError::Setup(e.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        // HTTP/1.1 only: one connection per request stream, no head-of-line surprises, and what the devices speak.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        Ok(Self { config, seen })
    }
    /// SHA-256 of the certificate the device showed last, `SHA256:…`.
    pub fn seen_fingerprint(&self) -> Option<String> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn roots(
    options: &TlsOptions,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<WebPkiServerVerifier>>, TlsError> {
    let Some(pem) = &options.ca_pem else {
        return Ok(None);
    };
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|e| TlsError::BadBundle(e.to_string()))?;
        store
            .add(certificate)
            .map_err(|e| TlsError::BadBundle(e.to_string()))?;
    }
    if store.is_empty() {
        return Err(TlsError::EmptyBundle);
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider.clone())
        .build()
        .map(Some)
        .map_err(|e| TlsError::Setup(e.to_string()))
}

/// The 32 bytes of a fingerprint in any of its spellings.
fn fingerprint(text: &str) -> Result<[u8; 32], TlsError> {
    let bad = || TlsError::BadFingerprint(text.to_owned());
    let bytes = match text.trim().strip_prefix("SHA256:") {
        Some(base64) => base64::engine::general_purpose::STANDARD_NO_PAD
            .decode(base64.trim_end_matches('='))
            .map_err(|_| bad())?,
        None => {
            let hex: Vec<u8> = text
                .bytes()
                .filter(|b| *b != b':' && !b.is_ascii_whitespace())
                .collect();
            hex.chunks(2)
                .map(|pair| {
                    std::str::from_utf8(pair)
                        .ok()
                        .and_then(|p| u8::from_str_radix(p, 16).ok())
                })
                .collect::<Option<Vec<u8>>>()
                .ok_or_else(bad)?
        }
    };
    bytes.try_into().map_err(|_| bad())
}

fn show(digest: &[u8]) -> String {
    format!(
        "SHA256:{}",
        base64::engine::general_purpose::STANDARD_NO_PAD.encode(digest)
    )
}

#[derive(Debug)]
struct DeviceVerifier {
    roots: Option<Arc<WebPkiServerVerifier>>,
    pins: Vec<[u8; 32]>,
    name: Option<ServerName<'static>>,
    insecure: bool,
    provider: Arc<CryptoProvider>,
    seen: Arc<Mutex<Option<String>>>,
}

impl ServerCertVerifier for DeviceVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let digest = Sha256::digest(end_entity);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(show(&digest));
        if self.insecure || self.pins.iter().any(|pin| pin[..] == digest[..]) {
            return Ok(ServerCertVerified::assertion());
        }
        match &self.roots {
            Some(roots) => {
                let name = self.name.as_ref().unwrap_or(server_name);
                roots.verify_server_cert(end_entity, intermediates, name, ocsp_response, now)
            }
            None => Err(rustls::Error::InvalidCertificate(
                CertificateError::UnknownIssuer,
            )),
        }
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if self.insecure {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if self.insecure {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_accepted_in_every_common_spelling() {
        let digest = Sha256::digest(b"certificate");
        let hex: String = digest.iter().map(|b| format!("{b:02X}")).collect();
        let colons: Vec<String> = digest.iter().map(|b| format!("{b:02x}")).collect();
        for text in [show(&digest), hex, colons.join(":")] {
            assert_eq!(fingerprint(&text).unwrap()[..], digest[..], "{text}");
        }
    }

    #[test]
    fn a_wrong_fingerprint_says_what_to_write() {
        for text in ["", "SHA256:abc", "12:34", "zz"] {
            let error = fingerprint(text).unwrap_err().to_string();
            assert!(error.contains("64 hex digits"), "{error}");
        }
    }

    #[test]
    fn an_empty_bundle_is_refused_with_the_key_to_fill() {
        let options = TlsOptions {
            ca_pem: Some("nothing".into()),
            ..TlsOptions::default()
        };
        assert_eq!(DeviceTls::new(&options).unwrap_err(), TlsError::EmptyBundle);
    }
}
