//! The simulated site's own certificate authority, and sockets for the servers.

use axum_server::tls_rustls::RustlsConfig;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::sync::Arc;

/// A CA that signs the simulated devices' certificates.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A server certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// rcgen refused.
    #[error("certificate for the simulated device: {0}")]
    Generation(#[from] rcgen::Error),
    /// rustls refused.
    #[error("tls configuration of the simulated device: {0}")]
    Tls(#[from] rustls::Error),
}

impl Authority {
    /// A fresh CA.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn new() -> Result<Self, CertificateError> {
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "Simulated site CA (not a real device)");
        Ok(Self {
            issuer: CertifiedIssuer::self_signed(params, KeyPair::generate()?)?,
        })
    }
    /// The CA's certificate, PEM, to be trusted by clients.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }
    /// A server's TLS configuration for these names (DNS names or addresses); HTTP/1.1 only.
    ///
    /// # Errors
    /// When a name is no DNS name or address.
    pub fn server(&self, names: &[String]) -> Result<RustlsConfig, CertificateError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names.to_vec())?;
        if let Some(name) = names.first() {
            params
                .distinguished_name
                .push(DnType::CommonName, name.as_str());
        }
        let certificate = params.signed_by(&key, &self.issuer)?;
        let chain = vec![certificate.der().clone()];
        let private = rustls_pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(
            rustls::crypto::ring::default_provider(),
        ))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, private)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(RustlsConfig::from_config(Arc::new(config)))
    }
}
