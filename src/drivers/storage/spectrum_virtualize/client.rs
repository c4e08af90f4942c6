//! One client per array: one token, one command at a time, effects never repeated.

use super::errors::classify;
use super::parse;
use crate::drivers::transport::http::{Answer, HttpDevice, Intent, Request};
use crate::drivers::transport::tls::{TlsError, TlsOptions};
use crate::drivers::transport::transcript::Transcript;
use crate::site::DeviceError;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::time::Duration;
use tokio::sync::Mutex;

const TIMEOUT: Duration = Duration::from_secs(60);
/// Reads that were told to wait are sent this often in all.
const READ_TRIES: u32 = 4;
/// Longest wait an array may ask of us between two tries of one read; longer is `Busy` to the caller.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Our code for a refused login.
const LOGIN_FAILED: &str = "LoginFailed";

/// What is needed to reach an array.
#[derive(Debug, Clone)]
pub struct ArrayOptions {
    /// `https://host:7443`.
    pub endpoint: String,
    /// User.
    pub username: String,
    /// Password.
    pub password: SecretString,
    /// Certificate checks.
    pub tls: TlsOptions,
    /// Where exchanges are noted.
    pub transcript: Transcript,
}

#[derive(Default)]
struct Login {
    token: Option<SecretString>,
    /// A wrong password is tried once: arrays lock accounts (`product.md` § 7.9).
    refused: Option<DeviceError>,
}

/// REST client of one array, shared by its groups.
pub struct RestClient {
    http: HttpDevice,
    base: Url,
    options: ArrayOptions,
    login: Mutex<Login>,
}

impl RestClient {
    /// Opens nothing yet.
    ///
    /// # Errors
    /// When the endpoint is no URL, or the certificate options cannot be used.
    pub fn new(options: ArrayOptions) -> Result<Self, TlsError> {
        let base = Url::parse(&format!(
            "{}/rest/v1/",
            options.endpoint.trim_end_matches('/')
        ))
        .map_err(|_| TlsError::BadName(options.endpoint.clone()))?;
        let name = format!("array {}", base.host_str().unwrap_or(&options.endpoint));
        let http = HttpDevice::new(&name, &options.tls, options.transcript.clone())?;
        Ok(Self {
            http,
            base,
            options,
            login: Mutex::default(),
        })
    }

    /// A refusal of ours in the array's name.
    pub(super) fn refused(&self, code: &str, text: String) -> DeviceError {
        DeviceError::refused(self.http.name(), code, text)
    }

    /// A parser's complaint as a device error.
    pub(super) fn parsed<T>(&self, outcome: Result<T, String>) -> Result<T, DeviceError> {
        outcome.map_err(|text| self.refused("UnexpectedAnswer", text))
    }

    /// A read: rows of an `ls` command, always with exact bytes.
    pub(super) async fn list(
        &self,
        verb: &str,
        object: Option<&str>,
        body: Value,
    ) -> Result<Vec<Value>, DeviceError> {
        for turn in 1.. {
            let answer = self.exchange(verb, object, &body, Intent::Read).await?;
            let passing = matches!(answer.status, 429 | 502..=504)
                || answer.status == 500 && super::errors::code_of(&answer.body).is_none();
            if passing && turn < READ_TRIES {
                tokio::time::sleep(wait_before(turn, &answer.headers)).await;
                continue;
            }
            let answer = self.accepted(verb, object, &body, Intent::Read, answer)?;
            return self.parsed(parse::rows(&answer.body));
        }
        Err(DeviceError::busy(self.http.name(), verb))
    }

    /// An effect: sent once. A lost answer is `Indeterminate`; the caller reads the state.
    pub(super) async fn effect(
        &self,
        verb: &str,
        object: &str,
        body: Value,
    ) -> Result<(), DeviceError> {
        let answer = self
            .exchange(verb, Some(object), &body, Intent::Effect)
            .await?;
        self.accepted(verb, Some(object), &body, Intent::Effect, answer)
            .map(|_| ())
    }

    /// One command, with one new login when a *cached* token was refused: then nothing was executed.
    async fn exchange(
        &self,
        verb: &str,
        object: Option<&str>,
        body: &Value,
        intent: Intent,
    ) -> Result<Answer, DeviceError> {
        let (token, cached) = self.token(None).await?;
        let answer = self.send(verb, object, body, intent, &token).await?;
        if cached
            && matches!(answer.status, 401 | 403)
            && super::errors::code_of(&answer.body).is_none()
        {
            let (token, _) = self.token(Some(&token)).await?;
            return self.send(verb, object, body, intent, &token).await;
        }
        Ok(answer)
    }

    /// Success, or what the answer means.
    fn accepted(
        &self,
        verb: &str,
        object: Option<&str>,
        body: &Value,
        intent: Intent,
        answer: Answer,
    ) -> Result<Answer, DeviceError> {
        match answer.status {
            200..=299 => Ok(answer),
            status => Err(classify(
                self.http.name(),
                &label(verb, object, body),
                status,
                &answer.body,
                intent,
            )),
        }
    }

    async fn send(
        &self,
        verb: &str,
        object: Option<&str>,
        body: &Value,
        intent: Intent,
        token: &SecretString,
    ) -> Result<Answer, DeviceError> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(verb).extend(object);
        }
        let mut headers = self.json_headers();
        self.secret_header(&mut headers, "x-auth-token", token)?;
        let body = body.to_string().into_bytes();
        let label = label(
            verb,
            object,
            &serde_json::from_slice(&body).unwrap_or_default(),
        );
        self.http
            .send(Request {
                method: Method::POST,
                url,
                headers,
                body,
                intent,
                label,
                timeout: TIMEOUT,
            })
            .await
    }

    fn json_headers(&self) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))])
    }

    fn secret_header(
        &self,
        headers: &mut HeaderMap,
        name: &'static str,
        value: &SecretString,
    ) -> Result<(), DeviceError> {
        let mut value = HeaderValue::from_str(value.expose_secret()).map_err(|_| {
            self.refused(
                LOGIN_FAILED,
                "user or password holds characters a header cannot carry".to_owned(),
            )
        })?;
        value.set_sensitive(true);
        headers.insert(HeaderName::from_static(name), value);
        Ok(())
    }

    /// The token, and whether it was there already. `stale` = this one was refused.
    async fn token(
        &self,
        stale: Option<&SecretString>,
    ) -> Result<(SecretString, bool), DeviceError> {
        let mut login = self.login.lock().await;
        if let Some(refused) = &login.refused {
            return Err(refused.clone());
        }
        if let Some(token) = &login.token
            && stale.is_none_or(|s| s.expose_secret() != token.expose_secret())
        {
            return Ok((token.clone(), true));
        }
        for turn in 1.. {
            let answer = self.log_in().await?;
            if answer.status == 429 && turn < READ_TRIES {
                tokio::time::sleep(wait_before(turn, &answer.headers)).await;
                continue;
            }
            let token = self.token_of(&answer);
            match &token {
                Ok(token) => login.token = Some(token.clone()),
                Err(error) if error.code() == Some(LOGIN_FAILED) => {
                    login.refused = Some(error.clone());
                }
                Err(_) => {}
            }
            return token.map(|t| (t, false));
        }
        Err(DeviceError::busy(self.http.name(), "too many logins"))
    }

    async fn log_in(&self) -> Result<Answer, DeviceError> {
        let mut headers = self.json_headers();
        let username = SecretString::from(self.options.username.clone());
        self.secret_header(&mut headers, "x-auth-username", &username)?;
        self.secret_header(&mut headers, "x-auth-password", &self.options.password)?;
        let url = self
            .base
            .join("auth")
            .map_err(|e| self.refused("BadEndpoint", e.to_string()))?;
        let request = Request {
            method: Method::POST,
            url,
            headers,
            body: b"{}".to_vec(),
            intent: Intent::Read,
            label: "POST auth".to_owned(),
            timeout: TIMEOUT,
        };
        self.http.send(request).await
    }

    fn token_of(&self, answer: &Answer) -> Result<SecretString, DeviceError> {
        match answer.status {
            200 => {
                let token = serde_json::from_str::<Value>(&answer.body).map(|v| parse::text(&v, "token")).unwrap_or_default();
                if token.is_empty() {
                    return Err(self.refused("UnexpectedAnswer", "the login answered without a token".to_owned()));
                }
                Ok(SecretString::from(token))
            }
            401 | 403 => Err(self.refused(
                LOGIN_FAILED,
                format!(
                    "the array does not accept user {} with the password of the Secret: correct the kubernetes.io/basic-auth Secret of storage.spectrumVirtualize.credentials (a user with an SSH key only or a second factor cannot log in here); it is not tried again until the Secret changes",
                    self.options.username
                ),
            )),
            status => Err(classify(self.http.name(), "POST auth", status, &answer.body, Intent::Read)),
        }
    }
}

fn label(verb: &str, object: Option<&str>, body: &Value) -> String {
    let object = object.map(|o| format!("/{o}")).unwrap_or_default();
    let filter = body
        .get("filtervalue")
        .and_then(Value::as_str)
        .map(|f| format!(" {f}"))
        .unwrap_or_default();
    format!("POST {verb}{object}{filter}")
}

/// What `Retry-After` says in seconds, else half a second, doubled at each turn; never longer than [`LONGEST_WAIT`].
fn wait_before(turn: u32, headers: &HeaderMap) -> Duration {
    let asked = headers
        .get(reqwest::header::RETRY_AFTER)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.trim().parse().ok())
        .map(Duration::from_secs);
    asked
        .unwrap_or_else(|| Duration::from_millis(500) * 2u32.saturating_pow(turn.saturating_sub(1)))
        .min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_array_s_own_wait_is_honoured_up_to_a_bound() {
        let none = HeaderMap::new();
        assert_eq!(wait_before(1, &none), Duration::from_millis(500));
        assert_eq!(wait_before(3, &none), Duration::from_secs(2));
        assert_eq!(wait_before(40, &none), LONGEST_WAIT);
        for (said, waited) in [("3", 3_000), ("7200", 10_000), ("soon", 500)] {
            let mut headers = HeaderMap::new();
            headers.insert("retry-after", HeaderValue::from_static(said));
            assert_eq!(wait_before(1, &headers), Duration::from_millis(waited));
        }
    }
}
