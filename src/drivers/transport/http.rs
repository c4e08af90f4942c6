//! HTTPS to an appliance: one client per device, time limits per phase, errors that say what a person can do.

use super::tls::{DeviceTls, TlsError, TlsOptions};
use super::transcript::Transcript;
use crate::site::DeviceError;
use reqwest::header::HeaderMap;
use reqwest::{Method, Url};
use std::error::Error as _;
use std::time::{Duration, Instant};

/// Our code for a certificate that none of the options of `tls` accepts: nothing was sent, and waiting does not cure it.
pub const CERTIFICATE: &str = "CertificateNotTrusted";

/// Connections to a device that are kept while nothing is asked: each holds its buffers here and a place there.
const IDLE: usize = 2;

/// What a request means when its answer is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// Changes nothing: a lost answer is `Unreachable`, ask again.
    Read,
    /// Changes something: a lost answer is `Indeterminate`.
    Effect,
}

/// One request. `label` is what the transcript shows: the body is never shown.
#[derive(Debug, Clone)]
pub struct Request {
    /// HTTP method.
    pub method: Method,
    /// Whole URL.
    pub url: Url,
    /// Headers, with secrets.
    pub headers: HeaderMap,
    /// Body.
    pub body: Vec<u8>,
    /// What it means.
    pub intent: Intent,
    /// Redacted text for the transcript: `POST lsfcmap group_name=CLONE1`.
    pub label: String,
    /// Sent → whole answer.
    pub timeout: Duration,
}

/// One answer, whatever its status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body as text, invalid UTF-8 replaced.
    pub body: String,
}

/// HTTPS client of one device.
#[derive(Debug, Clone)]
pub struct HttpDevice {
    name: String,
    client: reqwest::Client,
    tls: DeviceTls,
    transcript: Transcript,
}

impl HttpDevice {
    /// `name` is the device in the user's words (`HMC hmc1.example.com`).
    ///
    /// # Errors
    /// When the certificate options cannot be used.
    pub fn new(name: &str, options: &TlsOptions, transcript: Transcript) -> Result<Self, TlsError> {
        let tls = DeviceTls::new(options)?;
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls.config.clone())
            .no_proxy()
            .http1_only()
            .tcp_nodelay(true)
            .connect_timeout(Duration::from_secs(10))
            .pool_idle_timeout(Duration::from_secs(60))
            .pool_max_idle_per_host(IDLE)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| TlsError::Setup(root_cause(&e)))?;
        Ok(Self {
            name: name.to_owned(),
            client,
            tls,
            transcript,
        })
    }

    /// The device in the user's words.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sends one request. An HTTP status of any kind is an answer.
    ///
    /// # Errors
    /// `Unreachable` when nothing was sent, or the request was a read; `Refused` with [`CERTIFICATE`]; `Indeterminate`
    /// when an effect may have happened.
    pub async fn send(&self, request: Request) -> Result<Answer, DeviceError> {
        let begun = Instant::now();
        let outcome = self.exchange(&request).await;
        let spent = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        let shown = match &outcome {
            Ok(answer) => format!("{} {}", answer.status, shorten(&answer.body)),
            Err(error) => error.to_string(),
        };
        self.transcript
            .add(&self.name, &request.label, &shown, spent);
        outcome
    }

    async fn exchange(&self, request: &Request) -> Result<Answer, DeviceError> {
        let sent = self
            .client
            .request(request.method.clone(), request.url.clone())
            .headers(request.headers.clone())
            .body(request.body.clone())
            .timeout(request.timeout)
            .send()
            .await;
        let response = sent.map_err(|e| self.failure(request, &e))?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let body = response
            .bytes()
            .await
            .map_err(|e| self.failure(request, &e))?;
        Ok(Answer {
            status,
            headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }

    fn failure(&self, request: &Request, error: &reqwest::Error) -> DeviceError {
        let cause = root_cause(error);
        let place = host_of(&request.url);
        if untrusted(error) {
            return DeviceError::refused(
                &self.name,
                CERTIFICATE,
                self.certificate_text(&place, &cause),
            );
        }
        if error.is_connect() {
            return DeviceError::unreachable(&self.name, format!("{place}: {cause}"));
        }
        let text = format!("{place}: no answer to {}: {cause}", request.label);
        match request.intent {
            Intent::Read => DeviceError::unreachable(&self.name, text),
            Intent::Effect => DeviceError::indeterminate(&self.name, text),
        }
    }

    fn certificate_text(&self, place: &str, cause: &str) -> String {
        let seen = self
            .tls
            .seen_fingerprint()
            .unwrap_or_else(|| "none".to_owned());
        format!(
            "{place}: its certificate is not trusted ({cause}); put its CA into tls.caBundle, or after checking it at the device write tls.fingerprints: [\"{seen}\"]"
        )
    }
}

/// Whether our own verifier refused the certificate: only that is told by rustls' error; everything else that goes wrong
/// while connecting may pass. An `io::Error` names as its source what its inner error is made from, never the inner error
/// itself, so each is opened.
fn untrusted(error: &reqwest::Error) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(link) = next {
        if let Some(tls) = link.downcast_ref::<rustls::Error>() {
            return matches!(tls, rustls::Error::InvalidCertificate(_));
        }
        let inner = link
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner),
            None => link.source(),
        };
    }
    false
}

fn host_of(url: &Url) -> String {
    match (url.host_str(), url.port_or_known_default()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        _ => url.to_string(),
    }
}

/// Walks to the end of the chain: reqwest's own text never says why.
fn root_cause(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = inner.to_string();
        source = inner.source();
    }
    if error.is_timeout() && !text.contains("timed out") {
        format!("timed out: {text}")
    } else {
        text
    }
}

/// Answers may hold session tokens (logon, auth): only the beginning of harmless bodies is shown.
fn shorten(body: &str) -> String {
    if body.contains("token") || body.contains("X-API-Session") {
        return "(redacted)".to_owned();
    }
    body.chars().take(300).collect()
}
