//! The array's REST API on a real TLS socket (`storage-virtualize.md` § 1): everything is a POST, tokens, rate limits, both
//! styles of errors.
//!
//! Faults (`Device::Array`, operation = the verb, `auth` for the login): `Refused` and `AnswerLost` break the connection,
//! before and after the command; `Busy` is 429; `Delay` holds the answer back after the effect;
//! `Special("http-502")` and `Special("http-500")` answer so without a code and without effect.
//! A login that suffers `Refuse` is a 403. `Refused` for operation `connect` (or any) closes a new connection before its
//! handshake, as a port where nobody listens.

use super::commands::{Answer, Command, request};
use crate::simulators::Shared;
use crate::simulators::faults::{Device, FaultKind};
use crate::simulators::ledger::RequestLine;
use crate::simulators::wire::{self, Course, percent_decoded};
use crate::simulators::world::World;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum_server::Handle;
use axum_server::accept::Accept;
use axum_server::tls_rustls::RustlsConfig;
use base64::Engine as _;
use chrono::TimeDelta;
use serde_json::{Value, json};
use std::future::{Ready, ready};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

#[derive(Clone)]
struct Endpoint {
    shared: Shared,
    limits: Arc<Mutex<Limits>>,
    /// The array executes one command at a time.
    serial: Arc<tokio::sync::Mutex<()>>,
}

/// Calls of the last second, on the machine's clock: a client's rate is real whatever the world's speed.
#[derive(Default)]
struct Limits {
    logins: Vec<Instant>,
    commands: Vec<Instant>,
}

impl Limits {
    fn exceeded(calls: &mut Vec<Instant>, per_second: u32) -> bool {
        let now = Instant::now();
        calls.retain(|t| now.duration_since(*t) < Duration::from_secs(1));
        if per_second > 0 && calls.len() >= usize::try_from(per_second).unwrap_or(usize::MAX) {
            return true;
        }
        calls.push(now);
        false
    }
}

/// Serves the array until the handle is shut down. Returns at once.
///
/// # Errors
/// When the listener cannot be made non-blocking.
pub fn serve(
    shared: Shared,
    tls: RustlsConfig,
    listener: TcpListener,
) -> std::io::Result<Handle<SocketAddr>> {
    listener.set_nonblocking(true)?;
    let handle = Handle::new();
    let endpoint = Endpoint {
        shared,
        limits: Arc::default(),
        serial: Arc::default(),
    };
    let door = Door(endpoint.shared.clone());
    let router = Router::new().fallback(handle_request).with_state(endpoint);
    let server = axum_server::from_tcp_rustls(listener, tls)?
        .map(|acceptor| acceptor.acceptor(door))
        .handle(handle.clone());
    tokio::spawn(async move {
        if let Err(error) = server.serve(router.into_make_service()).await {
            tracing::warn!(%error, "simulated array stopped serving");
        }
    });
    Ok(handle)
}

/// Takes connections, unless a fault says that nobody listens.
#[derive(Clone)]
struct Door(Shared);

impl<S> Accept<TcpStream, S> for Door {
    type Stream = TcpStream;
    type Service = S;
    type Future = Ready<std::io::Result<(TcpStream, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let mut world = self.0.now();
        let name = world.array.name.clone();
        let refused = world
            .faults
            .take_if(Device::Array, &name, "connect", |k| {
                *k == FaultKind::Refused
            })
            .is_some();
        ready(if refused {
            Err(std::io::ErrorKind::ConnectionRefused.into())
        } else {
            stream.set_nodelay(true).map(|()| (stream, service))
        })
    }
}

async fn handle_request(
    State(endpoint): State<Endpoint>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if method != Method::POST {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let Some((verb, object)) = command_path(uri.path()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let fault = {
        let mut world = endpoint.shared.now();
        let name = world.array.name.clone();
        // Other special ones wait for the array itself.
        world
            .faults
            .take_if(Device::Array, &name, &verb, |k| match k {
                FaultKind::Special(word) => failure_named(word).is_some(),
                FaultKind::Refused
                | FaultKind::NoAnswer
                | FaultKind::AnswerLost
                | FaultKind::Busy
                | FaultKind::Refuse { .. }
                | FaultKind::Delay { .. } => true,
            })
    };
    if wire::before(fault.as_ref()).await == Course::BreaksOff {
        return wire::broken_connection();
    }
    if fault == Some(FaultKind::Busy) {
        return too_many(&mut endpoint.shared.now(), &verb);
    }
    if let Some(FaultKind::Special(word)) = &fault
        && let Some(status) = failure_named(word)
    {
        log(
            &mut endpoint.shared.now(),
            format!("POST {verb}"),
            status,
            0,
        );
        return (status, "<html>no code</html>").into_response();
    }
    let response = if verb == "auth" {
        login(
            &endpoint,
            &headers,
            matches!(fault, Some(FaultKind::Refuse { .. })),
        )
    } else {
        command(&endpoint, &headers, verb, object, &body, fault.as_ref()).await
    };
    wire::after(fault.as_ref(), endpoint.shared.clock(), response).await
}

/// Failures of the REST service itself, in front of the array.
fn failure_named(word: &str) -> Option<StatusCode> {
    match word {
        "http-500" => Some(StatusCode::INTERNAL_SERVER_ERROR),
        "http-502" => Some(StatusCode::BAD_GATEWAY),
        _ => None,
    }
}

/// `rest/v1/VERB/OBJECT` or `rest/VERB/OBJECT` behind any prefix. The object is one segment, percent-encoded.
fn command_path(path: &str) -> Option<(String, Option<String>)> {
    let (_, after) = path.split_once("/rest/")?;
    let after = after.strip_prefix("v1/").unwrap_or(after);
    let (verb, object) = after.split_once('/').unwrap_or((after, ""));
    let object = percent_decoded(object.trim_end_matches('/'))?;
    (!verb.is_empty()).then(|| (verb.to_owned(), Some(object).filter(|o| !o.is_empty())))
}

fn header(headers: &HeaderMap, name: &str) -> String {
    headers
        .get(name)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default()
        .to_owned()
}

fn log(world: &mut World, operation: String, status: StatusCode, milliseconds: u64) {
    let line = RequestLine {
        at: world.now,
        device: world.array.name.clone(),
        operation,
        answer: status.as_u16().to_string(),
        milliseconds,
        microseconds: None,
    };
    world.ledger.request(line);
}

fn too_many(world: &mut World, verb: &str) -> Response {
    log(
        world,
        format!("POST {verb}"),
        StatusCode::TOO_MANY_REQUESTS,
        0,
    );
    (
        StatusCode::TOO_MANY_REQUESTS,
        [("retry-after", "1")],
        "Too many requests",
    )
        .into_response()
}

fn login(endpoint: &Endpoint, headers: &HeaderMap, turned_away: bool) -> Response {
    let mut world = endpoint.shared.now();
    let per_second = world.array.auth_per_second;
    let exceeded = {
        let mut limits = endpoint
            .limits
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Limits::exceeded(&mut limits.logins, per_second)
    };
    if exceeded {
        return too_many(&mut world, "auth");
    }
    let (user, password) = (
        header(headers, "x-auth-username"),
        header(headers, "x-auth-password"),
    );
    let known = !turned_away
        && world
            .array
            .users
            .iter()
            .any(|u| u.name == user && u.password == password);
    let status = if known {
        StatusCode::OK
    } else {
        StatusCode::FORBIDDEN
    };
    log(&mut world, "POST auth".to_owned(), status, 0);
    if !known {
        world.ledger.effect("array.auth-failed");
        // The body of an auth failure is a JSON string.
        return (status, json!("CMMVC7017E Login has failed because the user name and password combination is not valid.").to_string()).into_response();
    }
    world.ledger.effect("array.auth");
    world.array.issued += 1;
    let (issued, minutes) = (world.array.issued, i64::from(world.array.token_minutes));
    let expires = world.now + TimeDelta::minutes(minutes);
    let encode = |text: String| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let token = [
        encode(r#"{"typ":"JWT","alg":"HS512"}"#.to_owned()),
        encode(json!({"iat": world.now.timestamp(), "exp": expires.timestamp(), "jti": issued, "sv_user": user}).to_string()),
        encode(format!("simulated signature {issued}")),
    ]
    .join(".");
    let now = world.now;
    world.array.tokens.retain(|_, (_, until)| *until > now);
    // At most four live tokens: the oldest one is dropped.
    while world.array.tokens.len() >= 4 {
        let oldest = world
            .array
            .tokens
            .iter()
            .min_by_key(|(_, (_, until))| *until)
            .map(|(t, _)| t.clone());
        let Some(oldest) = oldest else { break };
        world.array.tokens.remove(&oldest);
    }
    world.array.tokens.insert(token.clone(), (user, expires));
    (status, json!({"token": token}).to_string()).into_response()
}

async fn command(
    endpoint: &Endpoint,
    headers: &HeaderMap,
    verb: String,
    object: Option<String>,
    body: &Bytes,
    fault: Option<&FaultKind>,
) -> Response {
    let arrived = Instant::now();
    let _one_at_a_time = endpoint.serial.lock().await;
    let pause = endpoint.shared.now().knobs.array_command_milliseconds;
    if pause > 0 {
        endpoint
            .shared
            .clock()
            .sleep(Duration::from_millis(pause))
            .await;
    }
    let (response, after) = {
        let mut world = endpoint.shared.now();
        if let Some(response) = not_admitted(
            endpoint,
            &mut world,
            &header(headers, "x-auth-token"),
            &verb,
        ) {
            return response;
        }
        let flags =
            match serde_json::from_slice::<Value>(if body.is_empty() { b"{}" } else { body }) {
                Ok(Value::Object(flags)) => flags,
                Ok(Value::Null) => serde_json::Map::new(),
                Ok(_) | Err(_) => {
                    return (StatusCode::BAD_REQUEST, "the body is no JSON object").into_response();
                }
            };
        let shown = flags
            .get("filtervalue")
            .and_then(Value::as_str)
            .map(|f| format!(" {f}"))
            .unwrap_or_default();
        let operation = format!(
            "POST {verb}{}{shown}",
            object
                .as_deref()
                .map(|o| format!("/{o}"))
                .unwrap_or_default()
        );
        let starts = verb == "startfcconsistgrp";
        let answer = match fault {
            Some(FaultKind::Refuse { code, text }) => Answer::refused(code, text),
            _ => request(
                &mut world,
                Command {
                    verb,
                    object,
                    flags,
                },
            ),
        };
        let response = to_http(&answer, world.knobs.array_errors_as_json);
        let after = if starts && answer == Answer::Nothing {
            world.knobs.start_copy_milliseconds
        } else {
            0
        };
        log(&mut world, operation, response.status(), pause + after);
        (response, after)
    };
    if after > 0 {
        // The instant of the copy is at the beginning; the answer comes later.
        endpoint
            .shared
            .clock()
            .sleep(Duration::from_millis(after))
            .await;
    }
    let mut world = endpoint.shared.now();
    let name = world.array.name.clone();
    world.ledger.took(&name, arrived.elapsed());
    response
}

fn not_admitted(
    endpoint: &Endpoint,
    world: &mut World,
    token: &str,
    verb: &str,
) -> Option<Response> {
    let per_second = world.array.commands_per_second;
    let exceeded = {
        let mut limits = endpoint
            .limits
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Limits::exceeded(&mut limits.commands, per_second)
    };
    if exceeded {
        return Some(too_many(world, verb));
    }
    let user = world
        .array
        .tokens
        .get(token)
        .filter(|(_, until)| *until > world.now)
        .map(|(user, _)| user.clone());
    let Some(user) = user else {
        let status = if world.knobs.array_expired_is_401 {
            StatusCode::UNAUTHORIZED
        } else {
            StatusCode::FORBIDDEN
        };
        log(world, format!("POST {verb}"), status, 0);
        return Some((status, json!("The token is not valid.").to_string()).into_response());
    };
    let reads_only = world
        .array
        .users
        .iter()
        .any(|u| u.name == user && u.read_only);
    if reads_only && !verb.starts_with("ls") {
        let answer = Answer::refused(
            "CMMVC6253E",
            "The task has failed because the user's role is not authorized to submit the command.",
        );
        let response = to_http(&answer, world.knobs.array_errors_as_json);
        log(world, format!("POST {verb}"), response.status(), 0);
        return Some(response);
    }
    None
}

fn to_http(answer: &Answer, errors_as_json: bool) -> Response {
    let json = |value: String| {
        (
            StatusCode::OK,
            [("content-type", "application/json")],
            value,
        )
            .into_response()
    };
    match answer {
        Answer::Rows(rows) | Answer::Sections(rows) => json(Value::Array(rows.clone()).to_string()),
        Answer::Object(object) => json(object.to_string()),
        Answer::Created { id, message } => {
            json(json!({"id": id.to_string(), "message": message}).to_string())
        }
        Answer::Nothing => StatusCode::OK.into_response(),
        Answer::UnknownCommand => StatusCode::NOT_FOUND.into_response(),
        Answer::Refused { code, text } if errors_as_json => {
            let status = match code.as_str() {
                "CMMVC5753E" | "CMMVC5754E" | "CMMVC5804E" => StatusCode::NOT_FOUND,
                "CMMVC6035E" | "CMMVC6466E" => StatusCode::CONFLICT,
                "CMMVC6253E" => StatusCode::FORBIDDEN,
                _ => StatusCode::BAD_REQUEST,
            };
            (
                status,
                json!({"message": format!("{code} {text}")}).to_string(),
            )
                .into_response()
        }
        Answer::Refused { code, text } => {
            // 403 is also "the role may not run this command" (§ 1.2).
            let status = match code.as_str() {
                "CMMVC6253E" => StatusCode::FORBIDDEN,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
            (status, format!("{code} {text}")).into_response()
        }
    }
}
