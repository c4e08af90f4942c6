//! One client per array: one token, one command at a time, effects never repeated.

use super::errors::{classify, code_of};
use super::pace::Pace;
use super::parse;
use crate::drivers::transport::http::{Answer, HttpDevice, Intent, Request};
use crate::drivers::transport::latch::{LoginLatch, Version};
use crate::drivers::transport::tls::{TlsError, TlsOptions};
use crate::drivers::transport::transcript::Transcript;
use crate::site::DeviceError;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::time::Duration;
use tokio::sync::Mutex;

const TIMEOUT: Duration = Duration::from_secs(60);
/// Requests that were told to wait are sent this often in all.
const TRIES: u32 = 4;
/// Longest wait that the array may ask for in one go: the engine looks at its own limits in between.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// A start inside the freeze cannot wait longer than this for the array's rate limit, which counts single seconds.
const EFFECT_WAIT: Duration = Duration::from_millis(400);

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
}

/// REST client of one array, shared by its groups.
pub struct RestClient {
    http: HttpDevice,
    base: Url,
    options: ArrayOptions,
    pace: Pace,
    login: Mutex<Login>,
    /// A wrong password is tried once: arrays lock accounts (`product.md` § 7.9).
    latch: LoginLatch,
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
            pace: Pace::new(1.0),
            login: Mutex::default(),
            latch: LoginLatch::default(),
        })
    }

    /// Reads may come this many times as fast: for a simulated array on a fast clock.
    #[must_use]
    pub fn paced(mut self, faster: f64) -> Self {
        self.pace = Pace::new(faster);
        self
    }

    /// What the login is made from: a change releases a refused one.
    pub fn made_from(&self, versions: &[Version]) {
        self.latch.look(versions);
    }

    /// A refusal of ours in the array's name.
    pub(super) fn refused(&self, code: &str, text: String) -> DeviceError {
        DeviceError::refused(self.http.name(), code, text)
    }

    /// A parser's complaint as a device error.
    pub(super) fn parsed<T>(&self, outcome: Result<T, String>) -> Result<T, DeviceError> {
        outcome.map_err(|text| self.refused("UnexpectedAnswer", text))
    }

    /// A read: rows of an `ls` command. Waits for its turn, and again when the array says so.
    pub(super) async fn list(
        &self,
        verb: &str,
        object: Option<&str>,
        body: Value,
    ) -> Result<Vec<Value>, DeviceError> {
        for tries in 1.. {
            self.pace.turn().await;
            let answer = self.call(verb, object, &body, Intent::Read).await?;
            match self.judge(verb, object, &body, Intent::Read, &answer) {
                Ok(()) => return self.parsed(parse::rows(&answer.body)),
                Err(DeviceError::Busy { .. }) if tries < TRIES => {
                    tokio::time::sleep(wait_before(tries, &answer.headers)).await;
                }
                Err(error) => return Err(error),
            }
        }
        Err(DeviceError::busy(self.http.name(), "too many requests"))
    }

    /// A read inside the freeze: sent at once and once. The caller polls, and its deadline counts.
    pub(super) async fn list_at_once(
        &self,
        verb: &str,
        body: Value,
    ) -> Result<Vec<Value>, DeviceError> {
        self.pace.count();
        let answer = self.call(verb, None, &body, Intent::Read).await?;
        self.judge(verb, None, &body, Intent::Read, &answer)?;
        self.parsed(parse::rows(&answer.body))
    }

    /// An effect: executed at most once. A lost answer is `Indeterminate`; the caller reads the state. Only 429 is sent
    /// again: the rate limit stands before the command.
    pub(super) async fn effect(
        &self,
        verb: &str,
        object: &str,
        body: Value,
    ) -> Result<(), DeviceError> {
        let object = Some(object);
        for tries in 1.. {
            self.pace.count();
            let answer = self.call(verb, object, &body, Intent::Effect).await?;
            if answer.status != 429 || tries >= TRIES {
                return self.judge(verb, object, &body, Intent::Effect, &answer);
            }
            tokio::time::sleep(wait_before(tries, &answer.headers).min(EFFECT_WAIT)).await;
        }
        Err(DeviceError::busy(self.http.name(), "too many requests"))
    }

    fn judge(
        &self,
        verb: &str,
        object: Option<&str>,
        body: &Value,
        intent: Intent,
        answer: &Answer,
    ) -> Result<(), DeviceError> {
        match answer.status {
            200..=299 => Ok(()),
            status => Err(classify(
                self.http.name(),
                &label(verb, object, body),
                status,
                &answer.body,
                intent,
            )),
        }
    }

    /// One command, with one new login when a *cached* token was refused: then nothing was executed.
    async fn call(
        &self,
        verb: &str,
        object: Option<&str>,
        body: &Value,
        intent: Intent,
    ) -> Result<Answer, DeviceError> {
        let (token, cached) = self.token(None).await?;
        let answer = self.send(verb, object, body, intent, &token).await?;
        // 403 is also "your role may not do this", with a code of its own: another token would not help.
        let role = || code_of(&answer.body).is_some_and(|(code, _)| code == "CMMVC6253E");
        if cached && matches!(answer.status, 401 | 403) && !role() {
            let (token, _) = self.token(Some(&token)).await?;
            return self.send(verb, object, body, intent, &token).await;
        }
        Ok(answer)
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
        if let Some(refused) = self.latch.refused() {
            return Err(refused);
        }
        if let Some(token) = &login.token
            && stale.is_none_or(|s| s.expose_secret() != token.expose_secret())
        {
            return Ok((token.clone(), true));
        }
        let token = self.log_in().await?;
        login.token = Some(token.clone());
        Ok((token, false))
    }

    /// One attempt with the password; being told to wait is none.
    async fn log_in(&self) -> Result<SecretString, DeviceError> {
        for tries in 1.. {
            let answer = self.http.send(self.login_request()?).await?;
            match answer.status {
                200 => return self.token_in(&answer),
                401 | 403 => {
                    let refused = self.refused(
                        LOGIN_FAILED,
                        format!(
                            "the array does not accept user {} with the password of the Secret: correct the kubernetes.io/basic-auth Secret of storage.spectrumVirtualize.credentials (a user with an SSH key only or a second factor cannot log in here); it is not tried again until the Secret or the environment changes (a label is enough)",
                            self.options.username
                        ),
                    );
                    self.latch.close(refused.clone());
                    return Err(refused);
                }
                status => {
                    let error = classify(
                        self.http.name(),
                        "POST auth",
                        status,
                        &answer.body,
                        Intent::Read,
                    );
                    if !matches!(error, DeviceError::Busy { .. }) || tries >= TRIES {
                        return Err(error);
                    }
                    tokio::time::sleep(wait_before(tries, &answer.headers)).await;
                }
            }
        }
        Err(DeviceError::busy(self.http.name(), "too many logins"))
    }

    fn login_request(&self) -> Result<Request, DeviceError> {
        let mut headers = self.json_headers();
        let username = SecretString::from(self.options.username.clone());
        self.secret_header(&mut headers, "x-auth-username", &username)?;
        self.secret_header(&mut headers, "x-auth-password", &self.options.password)?;
        let url = self
            .base
            .join("auth")
            .map_err(|e| self.refused("BadEndpoint", e.to_string()))?;
        Ok(Request {
            method: Method::POST,
            url,
            headers,
            body: b"{}".to_vec(),
            intent: Intent::Read,
            label: "POST auth".to_owned(),
            timeout: TIMEOUT,
        })
    }

    fn token_in(&self, answer: &Answer) -> Result<SecretString, DeviceError> {
        let token = serde_json::from_str::<Value>(&answer.body)
            .map(|v| parse::text(&v, "token"))
            .unwrap_or_default();
        if token.is_empty() {
            return Err(self.refused(
                "UnexpectedAnswer",
                "the login answered without a token".to_owned(),
            ));
        }
        Ok(SecretString::from(token))
    }
}

/// What `Retry-After` says in seconds, else half a second, doubled at each turn; never longer than [`LONGEST_WAIT`].
fn wait_before(turn: u32, headers: &HeaderMap) -> Duration {
    let asked = headers
        .get(RETRY_AFTER)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.trim().parse().ok())
        .map(Duration::from_secs);
    asked
        .unwrap_or_else(|| Duration::from_millis(500) * 2u32.saturating_pow(turn.saturating_sub(1)))
        .min(LONGEST_WAIT)
}

fn label(verb: &str, object: Option<&str>, body: &Value) -> String {
    let object = object.map(|o| format!("/{o}")).unwrap_or_default();
    let filter = body
        .get("filtervalue")
        .and_then(Value::as_str)
        .map(|f| format!(" {f}"))
        .unwrap_or_default();
    let host = body
        .get("host")
        .and_then(Value::as_str)
        .map(|h| format!(" host={h}"))
        .unwrap_or_default();
    format!("POST {verb}{object}{filter}{host}")
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
