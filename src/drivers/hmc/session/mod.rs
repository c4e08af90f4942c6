//! One session per console: shared, re-used, always logged off. Leaked sessions are the worst known damage a client
//! does to a console (`hmc.md` §§ 1.2, 6).

mod logon;

use super::endpoint::Endpoint;
use crate::drivers::transport::http::{Answer, CERTIFICATE, Intent, Request};
use crate::drivers::transport::latch::{LoginLatch, Version};
use crate::site::{DeviceError, errand};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

const LOGON: &str = "/rest/api/web/Logon";
/// A logoff that is not answered in this time leaves the session to the console's own time-out.
const LOGOFF_LIMIT: Duration = Duration::from_secs(10);

/// One request to the console, without address and token.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    /// Path and query.
    pub(super) path: String,
    pub(super) accept: &'static str,
    pub(super) content_type: Option<&'static str>,
    pub(super) body: String,
    pub(super) intent: Intent,
    /// For the transcript; the body is never shown.
    pub(super) label: String,
    pub(super) timeout: Duration,
}

/// An answer, and which console gave it: job numbers are only good there.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) answer: Answer,
    /// `https://host:port`.
    pub(super) place: String,
    /// The console in the user's words.
    pub(super) device: String,
}

struct Session {
    endpoint: usize,
    base: String,
    token: SecretString,
}

#[derive(Default)]
struct State {
    current: Option<Arc<Session>>,
    /// Sessions of a console that stopped answering: logged off when it is back.
    abandoned: Vec<Arc<Session>>,
    watched: bool,
}

/// The sessions of one console and one credential.
pub(super) struct Sessions {
    endpoints: Vec<Endpoint>,
    user: String,
    password: SecretString,
    audit: Mutex<String>,
    idle: Duration,
    state: tokio::sync::Mutex<State>,
    /// The console refused the password. Three wrong logons lock the account.
    latch: LoginLatch,
    in_flight: AtomicUsize,
    last_used: Mutex<Instant>,
}

/// Counts a request while it runs, so that the idle watch does not log off under it.
struct InFlight<'a>(&'a Sessions);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.touch();
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Sessions {
    pub(super) fn new(
        endpoints: Vec<Endpoint>,
        user: String,
        password: SecretString,
        audit: String,
        idle: Duration,
    ) -> Self {
        Self {
            endpoints,
            user,
            password,
            audit: Mutex::new(audit),
            idle,
            state: tokio::sync::Mutex::new(State::default()),
            latch: LoginLatch::default(),
            in_flight: AtomicUsize::new(0),
            last_used: Mutex::new(Instant::now()),
        }
    }

    /// The console in the user's words, before it is known which endpoint answers.
    pub(super) fn name(&self) -> &str {
        self.endpoints.first().map_or("HMC", |e| e.name.as_str())
    }

    /// What the login is made from: a change releases a refused one.
    pub(super) fn made_from(&self, versions: &[Version]) {
        self.latch.look(versions);
    }

    /// Text of the X-Audit-Memento header from now on.
    pub(super) fn set_audit(&self, text: &str) {
        text.clone_into(&mut self.audit.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// On whose behalf this request is sent: runs share the session, so the task says it, not the console.
    fn memento(&self) -> String {
        errand::current().map_or_else(
            || {
                self.audit
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone()
            },
            |text| text.to_string(),
        )
    }

    fn touch(&self) {
        *self
            .last_used
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Sends a request in the session. A read survives an expired session (one new logon) and a console that is down
    /// (the other endpoint); an effect is sent at most once.
    pub(super) async fn call(self: &Arc<Self>, call: &Call) -> Result<Reply, DeviceError> {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        let _running = InFlight(self);
        let session = self.session().await?;
        match self.send(&session, call).await {
            Ok(reply) if reply.answer.status == 401 => self.after_401(&session, call).await,
            Err(error @ DeviceError::Unreachable { .. }) if call.intent == Intent::Read => {
                let other = self.elsewhere(&session, error).await?;
                self.send(&other, call).await
            }
            other => other,
        }
    }

    async fn after_401(
        self: &Arc<Self>,
        session: &Arc<Session>,
        call: &Call,
    ) -> Result<Reply, DeviceError> {
        self.forget(session).await;
        let device = &self.endpoints[session.endpoint].name;
        if call.intent == Intent::Effect {
            // A 401 comes before any work. Whether the effect is still wanted must be read again first.
            return Err(DeviceError::busy(
                device,
                format!("the session had expired, {} was not done", call.label),
            ));
        }
        let fresh = self.session().await?;
        let reply = self.send(&fresh, call).await?;
        if reply.answer.status == 401 {
            self.forget(&fresh).await;
            return Err(DeviceError::refused(
                device,
                "HTTP401",
                format!(
                    "{} is not allowed even in a new session of user {}: check the user's roles at the console",
                    call.label, self.user
                ),
            ));
        }
        Ok(reply)
    }

    /// The session to use; logs on when there is none.
    async fn session(self: &Arc<Self>) -> Result<Arc<Session>, DeviceError> {
        let mut state = self.state.lock().await;
        if let Some(session) = &state.current {
            return Ok(session.clone());
        }
        let all: Vec<usize> = (0..self.endpoints.len()).collect();
        let session = self.log_on_somewhere(&all).await?;
        state.current = Some(session.clone());
        self.watch(&mut state);
        Ok(session)
    }

    /// The console of this session does not answer: tries the other endpoint. The old session is kept for later, in
    /// case only the network was down.
    async fn elsewhere(
        self: &Arc<Self>,
        lost: &Arc<Session>,
        error: DeviceError,
    ) -> Result<Arc<Session>, DeviceError> {
        let mut state = self.state.lock().await;
        if let Some(current) = &state.current
            && !Arc::ptr_eq(current, lost)
        {
            return Ok(current.clone());
        }
        let others: Vec<usize> = (0..self.endpoints.len())
            .filter(|i| *i != lost.endpoint)
            .collect();
        if others.is_empty() {
            return Err(error);
        }
        let session =
            self.log_on_somewhere(&others)
                .await
                .map_err(|second| match second.code() {
                    // The console that was in use may come back: a standby that is not trusted ends nothing.
                    Some(CERTIFICATE) => {
                        DeviceError::unreachable(self.name(), format!("{error}; {second}"))
                    }
                    Some(_) | None => logon::join(self.name(), &[error, second]),
                })?;
        state.abandoned.push(lost.clone());
        state.current = Some(session.clone());
        Ok(session)
    }

    async fn send(&self, session: &Session, call: &Call) -> Result<Reply, DeviceError> {
        let endpoint = &self.endpoints[session.endpoint];
        let request = self.request(&session.base, Some(&session.token), call, &endpoint.name)?;
        let answer = endpoint.wire.send(request).await?;
        Ok(Reply {
            answer,
            place: session.base.clone(),
            device: endpoint.name.clone(),
        })
    }

    fn request(
        &self,
        base: &str,
        token: Option<&SecretString>,
        call: &Call,
        device: &str,
    ) -> Result<Request, DeviceError> {
        let url = Url::parse(&format!("{base}{}", call.path))
            .map_err(|e| DeviceError::refused(device, "BadEndpoint", format!("{base}: {e}")))?;
        let mut headers = HeaderMap::new();
        headers.insert("accept", HeaderValue::from_static(call.accept));
        if let Some(kind) = call.content_type {
            headers.insert("content-type", HeaderValue::from_static(kind));
        }
        if let Ok(memento) = HeaderValue::from_str(&self.memento()) {
            headers.insert(HeaderName::from_static("x-audit-memento"), memento);
        }
        if let Some(token) = token {
            let mut value = HeaderValue::from_str(token.expose_secret()).map_err(|_| {
                DeviceError::refused(device, "NoConsole", "the session token is no header text")
            })?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_static("x-api-session"), value);
        }
        Ok(Request {
            method: call.method.clone(),
            url,
            headers,
            body: call.body.clone().into_bytes(),
            intent: call.intent,
            label: call.label.clone(),
            timeout: call.timeout,
        })
    }

    /// A session that the console no longer knows.
    async fn forget(&self, session: &Arc<Session>) {
        let mut state = self.state.lock().await;
        if state
            .current
            .as_ref()
            .is_some_and(|s| Arc::ptr_eq(s, session))
        {
            state.current = None;
        }
    }

    /// Logs off everything. The object can be used again: it then logs on anew.
    pub(super) async fn close(&self) {
        let sessions = {
            let mut state = self.state.lock().await;
            let mut all = std::mem::take(&mut state.abandoned);
            all.extend(state.current.take());
            all
        };
        for session in sessions {
            self.log_off(&session).await;
        }
    }

    async fn log_off(&self, session: &Session) {
        match self.send(session, &logoff()).await {
            Ok(reply) if matches!(reply.answer.status, 200..=299 | 401 | 404) => {}
            Ok(reply) => {
                tracing::warn!(
                    device = reply.device,
                    status = reply.answer.status,
                    "logoff refused: a session stays open until the console's time-out"
                );
            }
            Err(error) => {
                tracing::warn!(%error, "logoff not answered: a session stays open until the console's time-out");
            }
        }
    }

    /// Starts the watch that logs off after a time without requests.
    fn watch(self: &Arc<Self>, state: &mut State) {
        if std::mem::replace(&mut state.watched, true) {
            return;
        }
        let weak: Weak<Self> = Arc::downgrade(self);
        let every = (self.idle / 4).max(Duration::from_millis(5));
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(every).await;
                let Some(sessions) = weak.upgrade() else {
                    return;
                };
                if sessions.log_off_when_idle().await {
                    return;
                }
            }
        });
    }

    async fn log_off_when_idle(&self) -> bool {
        let mut state = self.state.lock().await;
        let since = self
            .last_used
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .elapsed();
        if self.in_flight.load(Ordering::Acquire) > 0 || since < self.idle {
            return false;
        }
        state.watched = false;
        let mut all = std::mem::take(&mut state.abandoned);
        all.extend(state.current.take());
        drop(state);
        for session in all {
            self.log_off(&session).await;
        }
        true
    }
}

impl Drop for Sessions {
    /// Without `close` the logoff is sent in the background, when there is still a runtime to send it.
    fn drop(&mut self) {
        let state = std::mem::take(self.state.get_mut());
        let mut left = state.abandoned;
        left.extend(state.current);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        for session in left {
            let endpoint = &self.endpoints[session.endpoint];
            let wire = endpoint.wire.clone();
            if let Ok(request) = self.request(
                &session.base,
                Some(&session.token),
                &logoff(),
                &endpoint.name,
            ) {
                runtime.spawn(async move { wire.send(request).await });
            }
        }
    }
}

fn logoff() -> Call {
    Call {
        method: Method::DELETE,
        path: LOGON.to_owned(),
        accept: "*/*",
        content_type: None,
        body: String::new(),
        intent: Intent::Read,
        label: "DELETE Logon".to_owned(),
        timeout: LOGOFF_LIMIT,
    }
}
