//! The logon itself: which address, and what its answer means (`hmc.md` § 1.2).

use super::{Call, LOGON, Session, Sessions};
use crate::drivers::hmc::endpoint::Endpoint;
use crate::drivers::hmc::{errors, xml};
use crate::drivers::transport::http::{Answer, CERTIFICATE, Intent};
use crate::site::DeviceError;
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use std::time::Duration;

const LOGON_REQUEST: &str = "application/vnd.ibm.powervm.web+xml; type=LogonRequest";
const LOGON_RESPONSE: &str = "application/vnd.ibm.powervm.web+xml; type=LogonResponse";
const LOGON_LIMIT: Duration = Duration::from_secs(60);

impl Sessions {
    /// Logs on at the first endpoint that can be reached. Only a transport failure leads to the next port or endpoint;
    /// an HTTP answer never does.
    pub(super) async fn log_on_somewhere(
        &self,
        candidates: &[usize],
    ) -> Result<Arc<Session>, DeviceError> {
        if let Some(refused) = self.latch.refused() {
            return Err(refused);
        }
        let mut failures = Vec::new();
        for index in candidates {
            let endpoint = &self.endpoints[*index];
            for port in endpoint.ports() {
                match self.log_on(*index, endpoint, port).await {
                    Ok(session) => {
                        endpoint.learn(port);
                        return Ok(Arc::new(session));
                    }
                    Err(error @ DeviceError::Unreachable { .. }) => failures.push(error),
                    // Nothing was said there; another endpoint may show a certificate that is known.
                    Err(error) if error.code() == Some(CERTIFICATE) => failures.push(error),
                    Err(error) => {
                        if error.code() == Some("LoginFailed") {
                            self.latch.close(error.clone());
                        }
                        return Err(error);
                    }
                }
            }
        }
        Err(join(self.name(), &failures))
    }

    async fn log_on(
        &self,
        index: usize,
        endpoint: &Endpoint,
        port: u16,
    ) -> Result<Session, DeviceError> {
        let base = endpoint.base(port);
        let body = format!(
            "<LogonRequest xmlns=\"http://www.ibm.com/xmlns/systems/power/firmware/web/mc/2012_10/\" schemaVersion=\"V1_1_0\"><UserID>{}</UserID><Password>{}</Password></LogonRequest>",
            xml::escape(&self.user),
            xml::escape(self.password.expose_secret())
        );
        let call = Call {
            method: Method::PUT,
            path: LOGON.to_owned(),
            accept: LOGON_RESPONSE,
            content_type: Some(LOGON_REQUEST),
            body,
            // A lost answer leaves at worst one session behind, which times out by itself.
            intent: Intent::Read,
            label: format!("PUT Logon user={}", self.user),
            timeout: LOGON_LIMIT,
        };
        let answer = endpoint
            .wire
            .send(self.request(&base, None, &call, &endpoint.name)?)
            .await?;
        let token = self.token(endpoint, &base, &answer)?;
        Ok(Session {
            endpoint: index,
            base,
            token,
        })
    }

    fn token(
        &self,
        endpoint: &Endpoint,
        base: &str,
        answer: &Answer,
    ) -> Result<SecretString, DeviceError> {
        let device = &endpoint.name;
        match answer.status {
            200..=299 => {}
            401 | 403 => {
                let said = errors::complaint(&answer.body).text;
                return Err(DeviceError::refused(
                    device,
                    "LoginFailed",
                    format!(
                        "logon of user {} was refused (HTTP {} {said}): write the right user and password into the Secret, and give the user remote access via the web; no second attempt is made until the Secret or the environment changes (a label is enough), because three wrong ones lock the account",
                        self.user, answer.status
                    ),
                ));
            }
            404 | 405 => {
                return Err(DeviceError::refused(
                    device,
                    format!("HTTP{}", answer.status),
                    format!(
                        "{base} answers, but has no REST API there: consoles before V11 serve it at port 12443, later ones at 443; write the port into endpoints"
                    ),
                ));
            }
            status => return Err(errors::failed(device, status, &answer.body, Intent::Read)),
        }
        let token: String = xml::parse(&answer.body)
            .and_then(|document| {
                let token = xml::find(document.root_element(), "X-API-Session")?;
                xml::text(token)
            })
            .unwrap_or_default()
            // Some levels break the token into lines.
            .split_whitespace()
            .collect();
        if token.is_empty() {
            return Err(DeviceError::refused(
                device,
                "NoConsole",
                format!(
                    "{base} answers the logon without a session: this is no HMC REST API; check address and port of the endpoint"
                ),
            ));
        }
        Ok(token.into())
    }
}

/// One `Unreachable` that tells of every address tried; a refusal among them wins, because a person must act on it.
pub(super) fn join(device: &str, failures: &[DeviceError]) -> DeviceError {
    if let Some(refused) = failures
        .iter()
        .find(|f| !matches!(f, DeviceError::Unreachable { .. }))
    {
        return refused.clone();
    }
    let texts: Vec<&str> = failures
        .iter()
        .filter_map(|f| match f {
            DeviceError::Unreachable { text, .. } => Some(text.as_str()),
            DeviceError::Busy { .. }
            | DeviceError::Refused { .. }
            | DeviceError::Indeterminate { .. } => None,
        })
        .collect();
    DeviceError::unreachable(device, texts.join("; "))
}
