//! The HMC's REST API on a real TLS socket (`hmc.md` § 1): sessions, Atom feeds and entries, quick JSON, jobs, CLIRunner.
//!
//! Faults (`Device::Hmc`, operation = `METHOD path`, e.g. `PUT /rest/api/uom/LogicalPartition`): general kinds; `Refuse`
//! with an HTTP status as code (`503`, `412`) answers that status, with another code 500; `Special("expire")` ends the
//! caller's session before the request, `Special("html")` answers as a proxy in between does.

mod adapters;
mod atom;
mod changes;
mod events;
mod jobs;
mod partitions;
mod quick;
mod sessions;
mod views;
mod vios_views;
mod web_page;

pub use web_page::serve_web_page;

use crate::simulators::Shared;
use crate::simulators::faults::{Device, FaultKind};
use crate::simulators::hmc::mishaps;
use crate::simulators::ledger::RequestLine;
use crate::simulators::wire::{self, Course, percent_decoded};
use crate::simulators::world::World;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

/// Which of the console's sockets a request came in on.
#[derive(Clone)]
struct Endpoint {
    shared: Shared,
    number: usize,
}

/// One request, taken apart.
pub(super) struct Ask<'a> {
    pub method: &'a str,
    /// Path below `/rest/api/`, without query, percent-decoded.
    pub path: &'a str,
    pub query: &'a str,
    pub host: &'a str,
    pub accept: &'a str,
    pub token: &'a str,
    /// Etag of the object that a POST changes.
    pub if_match: &'a str,
    /// Etag of the answer the client has already.
    pub if_none_match: &'a str,
    pub body: &'a str,
    pub endpoint: usize,
}

/// An answer before it becomes HTTP.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub status: u16,
    pub content_type: &'static str,
    pub body: String,
    pub etag: Option<i64>,
}

impl Reply {
    pub fn atom(body: String) -> Self {
        Self {
            status: 200,
            content_type: "application/atom+xml",
            body,
            etag: None,
        }
    }
    pub fn json(body: String) -> Self {
        Self {
            status: 200,
            content_type: "application/json",
            body,
            etag: None,
        }
    }
    pub fn empty(status: u16) -> Self {
        Self {
            status,
            content_type: "text/plain",
            body: String::new(),
            etag: None,
        }
    }
    /// `HttpErrorResponse` as the captures show it.
    pub fn error(status: u16, path: &str, reason: &str, message: &str) -> Self {
        let body = atom::error_entry(status, path, reason, message);
        Self {
            status,
            content_type: "application/atom+xml",
            body,
            etag: None,
        }
    }
    pub fn not_found(path: &str) -> Self {
        Self::error(
            404,
            path,
            "The supplied URI does not identify a known resource.",
            "REST000B The URL presented to the Management Console REST Web Services is not valid.",
        )
    }
}

/// Serves one socket of the console until the handle is shut down. Returns at once.
///
/// # Errors
/// When the listener cannot be made non-blocking.
pub fn serve(
    shared: Shared,
    number: usize,
    tls: RustlsConfig,
    listener: TcpListener,
) -> std::io::Result<Handle<SocketAddr>> {
    listener.set_nonblocking(true)?;
    let handle = Handle::new();
    let router = Router::new()
        .fallback(handle_request)
        .with_state(Endpoint { shared, number });
    let server = axum_server::from_tcp_rustls(listener, tls)?
        .map(|acceptor| acceptor.acceptor(axum_server::accept::NoDelayAcceptor::new()))
        .handle(handle.clone());
    tokio::spawn(async move {
        if let Err(error) = server.serve(router.into_make_service()).await {
            tracing::warn!(%error, "simulated HMC stopped serving");
        }
    });
    Ok(handle)
}

async fn handle_request(
    State(endpoint): State<Endpoint>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let header = |name: &str| {
        headers
            .get(name)
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    };
    // What cannot be decoded names nothing.
    let path = percent_decoded(uri.path()).unwrap_or_else(|| uri.path().to_owned());
    let operation = format!("{method} {path}");
    let (fault, pause) = {
        let mut world = endpoint.shared.now();
        let name = world.console.name.clone();
        (
            world
                .faults
                .take_if(Device::Hmc, &name, &operation, is_the_request_s),
            world.knobs.hmc_request_milliseconds,
        )
    };
    endpoint
        .shared
        .clock()
        .sleep(Duration::from_millis(pause))
        .await;
    if wire::before(fault.as_ref()).await == Course::BreaksOff {
        return wire::broken_connection();
    }
    let (host, accept, token) = (header("host"), header("accept"), header("x-api-session"));
    let (known, changed) = (header("if-none-match"), header("if-match"));
    let text = String::from_utf8_lossy(&body).into_owned();
    let ask = Ask {
        method: method.as_str(),
        path: path.strip_prefix("/rest/api/").unwrap_or_default(),
        query: uri.query().unwrap_or_default(),
        host: &host,
        accept: &accept,
        token: &token,
        if_match: &changed,
        if_none_match: &known,
        body: &text,
        endpoint: endpoint.number,
    };
    let (mut reply, lost) = {
        let mut world = endpoint.shared.now();
        mishaps::happen(&mut world, &operation);
        let reply = with_fault(&mut world, &ask, fault.as_ref());
        log(&mut world, &operation, &reply, pause);
        (reply, std::mem::take(&mut world.console.answer_lost))
    };
    if reply.status == 204 && ask.path == events::PATH {
        reply = held(&endpoint.shared, &ask).await;
    }
    if lost {
        return wire::broken_connection();
    }
    wire::after(fault.as_ref(), endpoint.shared.clock(), respond(reply)).await
}

/// What happens beside the requests waits for [`mishaps::happen`].
fn is_the_request_s(kind: &FaultKind) -> bool {
    !matches!(kind, FaultKind::Special(word) if mishaps::Mishap::parse(word).is_some())
}

/// A call for events is held until there is one, or for [`events::HOLDS`]. A session that ends meanwhile is 401.
async fn held(shared: &Shared, ask: &Ask<'_>) -> Reply {
    for _ in 0..events::HOLDS / events::LOOKS {
        let look = Duration::from_millis(events::LOOKS);
        shared.clock().sleep(look).await;
        let reply = route(&mut shared.now(), ask);
        if reply.status != 204 {
            return reply;
        }
    }
    Reply::empty(204)
}

fn with_fault(world: &mut World, ask: &Ask<'_>, fault: Option<&FaultKind>) -> Reply {
    match fault {
        Some(FaultKind::Busy) => Reply::error(
            500,
            ask.path,
            "Unknown internal error.",
            "HSCL3205 The system is currently too busy to complete the specified request. Please retry the operation later.",
        ),
        Some(FaultKind::Refuse { code, text }) => {
            let status = code.parse().ok().filter(|s| (400..600).contains(s));
            let message = match status {
                Some(_) => text.clone(),
                None => format!("{code} {text}"),
            };
            Reply::error(
                status.unwrap_or(500),
                ask.path,
                "Unknown internal error.",
                &message,
            )
        }
        Some(FaultKind::Special(word)) if word == "html" => Reply {
            content_type: "text/html",
            ..Reply::atom("<html><body><h1>Gateway</h1></body></html>".to_owned())
        },
        Some(FaultKind::Special(word)) if word == "expire" => {
            world.console.sessions.remove(ask.token);
            route(world, ask)
        }
        Some(
            FaultKind::Refused
            | FaultKind::NoAnswer
            | FaultKind::AnswerLost
            | FaultKind::Delay { .. }
            | FaultKind::Special(_),
        )
        | None => route(world, ask),
    }
}

fn route(world: &mut World, ask: &Ask<'_>) -> Reply {
    if ask.path == "web/Logon" {
        return sessions::logon_or_off(world, ask);
    }
    if let Err(reply) = sessions::check(world, ask) {
        return reply;
    }
    let Some(path) = ask.path.strip_prefix("uom/") else {
        return Reply::not_found(ask.path);
    };
    let parts: Vec<&str> = path.split('/').collect();
    match (ask.method, parts.as_slice()) {
        ("GET", [.., "quick", _] | [.., "quick"]) => quick::answer(world, ask, &parts),
        (_, ["jobs", ..]) => jobs::answer(world, ask, &parts),
        ("PUT", [.., "do", _]) => jobs::submit(world, ask, &parts),
        ("GET", [.., "do", _]) => jobs::template(ask, &parts),
        ("GET", ["Event"]) => events::answer(world, ask),
        ("POST", ["VirtualIOServer", uuid] | ["ManagedSystem", _, "VirtualIOServer", uuid]) => {
            changes::post(world, ask, uuid)
        }
        ("GET", _) => unless_known(ask, views::answer(world, ask, &parts)),
        _ => Reply::error(
            405,
            ask.path,
            "The request method is not supported for this resource.",
            "REST0005 Method not allowed.",
        ),
    }
}

/// 304 when the client has this answer already.
fn unless_known(ask: &Ask<'_>, reply: Reply) -> Reply {
    match reply.etag {
        Some(etag) if ask.if_none_match == etag.to_string() => Reply {
            status: 304,
            body: String::new(),
            ..reply
        },
        Some(_) | None => reply,
    }
}

fn log(world: &mut World, operation: &str, reply: &Reply, milliseconds: u64) {
    let line = RequestLine {
        at: world.now,
        device: world.console.name.clone(),
        operation: operation.to_owned(),
        answer: reply.status.to_string(),
        milliseconds,
        microseconds: None,
    };
    world.ledger.request(line);
}

fn respond(reply: Reply) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let is_logon = reply.content_type.contains("LogonResponse");
    let mut response = (status, reply.body).into_response();
    let headers = response.headers_mut();
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = value.parse() {
            headers.insert(name, value);
        }
    };
    set("content-type", reply.content_type);
    set("x-powered-by", "Servlet/3.1");
    set("server", "Server Hardware Management Console");
    if is_logon || reply.status >= 400 {
        set("expires", "Thu, 01 Dec 1994 16:00:00 GMT");
        set("cache-control", "no-cache=\"set-cookie, set-cookie2\"");
    } else {
        set("x-hmc-schema-version", "V1_5_0");
        set("expires", "Thu, 01 Jan 1970 00:00:00 GMT");
        set(
            "cache-control",
            "no-transform, must-revalidate, proxy-revalidate, no-cache=set-cookie",
        );
    }
    if reply.status >= 400 {
        set("connection", "close");
    }
    if let Some(etag) = reply.etag {
        set("etag", &etag.to_string());
    }
    response
}

#[cfg(test)]
mod tests;
