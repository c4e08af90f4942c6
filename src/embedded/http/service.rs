//! The service: what every request goes through, and where it goes.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::{HeaderMap, Method, Response, StatusCode};
use axum::routing::any;
use tokio_util::sync::CancellationToken;

use super::access::Access;
use super::limits::{Limits, Turns};
use super::openapi::{self, OpenApi};
use super::query::Query;
use super::route::{Nowhere, Part, Place, Route, route};
use super::table::Columns;
use super::{answer, discovery, negotiate, resources, reviews, texts, version};
use crate::embedded::kind::Kind;
use crate::embedded::refusal::Refusal;
use crate::embedded::registry::Registry;

/// The HTTP service over a registry. Cheap to clone.
#[derive(Clone)]
pub struct Service(Arc<Inner>);

struct Inner {
    registry: Registry,
    kinds: Vec<Arc<Kind>>,
    columns: HashMap<String, Arc<Columns>>,
    openapi: OnceLock<OpenApi>,
    access: Access,
    limits: Limits,
    turns: Turns,
    stop: CancellationToken,
}

/// The rest of a request, once its route is known.
pub struct Asked {
    /// Its method.
    pub method: Method,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its parameters.
    pub query: Query,
    /// Its body, not read yet.
    pub body: Body,
    /// It comes over a socket from this machine.
    pub near: bool,
}

impl Service {
    /// Over a registry.
    pub fn new(registry: Registry, access: Access, limits: Limits) -> Self {
        let kinds: Vec<Arc<Kind>> = registry.kinds().iter().cloned().map(Arc::new).collect();
        let columns = kinds.iter().map(|k| (index(k), Arc::new(Columns::of(k))));
        let columns = columns.collect();
        Self(Arc::new(Inner {
            registry,
            kinds,
            columns,
            openapi: OnceLock::new(),
            access,
            turns: Turns::new(&limits),
            limits,
            stop: CancellationToken::new(),
        }))
    }

    /// The objects.
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// Bounds.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// What is left of them.
    pub fn turns(&self) -> &Turns {
        &self.0.turns
    }

    /// Ends all watches: a server that stops would wait for them otherwise.
    pub fn stop(&self) -> &CancellationToken {
        &self.0.stop
    }

    /// The columns of a kind.
    ///
    /// # Errors
    /// 500 for a kind that is not served.
    pub fn columns(&self, kind: &Kind) -> Result<&Arc<Columns>, Refusal> {
        let columns = self.0.columns.get(&index(kind));
        columns.ok_or_else(|| texts::internal("the kind has no columns"))
    }

    fn openapi(&self) -> &OpenApi {
        self.0.openapi.get_or_init(|| OpenApi::of(&self.0.kinds))
    }

    async fn answer(&self, path: &str, request: Request) -> Result<Response<Body>, Refusal> {
        let (head, body) = request.into_parts();
        let peer = head.extensions.get::<ConnectInfo<SocketAddr>>();
        let asked = Asked {
            query: Query::of(&head.uri),
            method: head.method,
            near: peer.is_some_and(|peer| peer.0.ip().to_canonical().is_loopback()),
            headers: head.headers,
            body,
        };
        let found = route(&self.0.kinds, &asked.method, path);
        match &found {
            Ok(Route::Health) => return Ok(answer::text("ok")),
            Ok(Route::Version) if asked.method == Method::GET => {
                let format = negotiate::document(&asked.headers)?;
                // A client with a wrong token should learn so here too, as on the real server.
                if asked.headers.contains_key("authorization")
                    && !self.0.access.admits(&asked.headers)
                {
                    return Err(texts::unauthorized());
                }
                return Ok(answer::object(StatusCode::OK, &version::document(), format));
            }
            Ok(_) | Err(_) => {}
        }
        if !self.0.access.admits(&asked.headers) {
            return Err(texts::unauthorized());
        }
        match found {
            Ok(Route::Objects(place)) => resources::answer(self, place, asked).await,
            Ok(Route::Review(plural)) => reviews::answer(self, plural, asked).await,
            Ok(other) => self.document(other, &asked),
            Err(Nowhere::Page) => Ok(answer::nothing_here()),
            Err(Nowhere::Refused(refusal)) => Err(*refusal),
        }
    }

    /// What does not change while the server runs.
    fn document(&self, route: Route, asked: &Asked) -> Result<Response<Body>, Refusal> {
        match &route {
            Route::OpenApiIndex => return Ok(self.openapi().index()),
            Route::OpenApi(path) => {
                return Ok(openapi::document(
                    self.openapi(),
                    path,
                    &asked.query,
                    &asked.headers,
                ));
            }
            _ if asked.method != Method::GET => return Err(texts::method_not_allowed()),
            _ => {}
        }
        discovery::answer(&self.0.kinds, &route, &asked.headers)
    }

    /// A turn for something that ends soon.
    ///
    /// # Errors
    /// 429.
    pub async fn turn(&self) -> Result<tokio::sync::OwnedSemaphorePermit, Refusal> {
        self.0.turns.request().await
    }
}

fn index(kind: &Kind) -> String {
    format!("{}/{}", kind.resource(), kind.version)
}

impl Place {
    /// For the registry.
    pub fn target(&self) -> crate::embedded::registry::Target<'_> {
        crate::embedded::registry::Target {
            kind: &self.kind,
            namespace: self.namespace.as_deref(),
            status: self.part == Part::Status,
        }
    }
}

/// The service as a router, for a socket or for a client in this process.
pub fn router(service: Service) -> Router {
    Router::new()
        .route("/", any(root))
        .route("/{*path}", any(below))
        .with_state(service)
}

async fn root(State(service): State<Service>, request: Request) -> Response<Body> {
    respond(&service, "/", request).await
}

async fn below(
    State(service): State<Service>,
    Path(path): Path<String>,
    request: Request,
) -> Response<Body> {
    respond(&service, &path, request).await
}

async fn respond(service: &Service, path: &str, request: Request) -> Response<Body> {
    match service.answer(path, request).await {
        Ok(response) => response,
        Err(refusal) => answer::refusal(&refusal),
    }
}
