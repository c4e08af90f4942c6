//! Counts requests to the API server, as a layer around the client that everything of the operator uses.

use super::metrics::Metrics;
use axum::http::{Method, Request, Response, Uri};
use futures::future::BoxFuture;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;
use tower::{Layer, Service};

/// Puts [`Counting`] around a client's service.
#[derive(Debug, Clone)]
pub struct CountingLayer(pub Arc<Metrics>);

impl<S> Layer<S> for CountingLayer {
    type Service = Counting<S>;
    fn layer(&self, inner: S) -> Counting<S> {
        Counting {
            inner,
            metrics: self.0.clone(),
        }
    }
}

/// A client's service whose requests are counted.
#[derive(Debug, Clone)]
pub struct Counting<S> {
    inner: S,
    metrics: Arc<Metrics>,
}

impl<S, A, B> Service<Request<A>> for Counting<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Response: Send,
    S::Error: Send,
    B: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let verb = verb(request.method(), request.uri());
        let (since, metrics) = (Instant::now(), self.metrics.clone());
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            let code = match &answer {
                Ok(answer) => answer.status().as_u16().to_string(),
                Err(_) => "none".to_owned(),
            };
            let took = (verb != WATCH).then(|| since.elapsed());
            metrics.counted.requested(verb, code, took);
            answer
        })
    }
}

const WATCH: &str = "watch";

/// As access rules name it, as far as method and query tell; a list counts as get.
fn verb(method: &Method, uri: &Uri) -> &'static str {
    let watches = |query: &str| {
        query
            .split('&')
            .any(|q| q == "watch=true" || q == "watch=1")
    };
    match method.as_str() {
        "GET" if uri.query().is_some_and(watches) => WATCH,
        "GET" => "get",
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" => "delete",
        _ => "other",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::observability::metrics::parse::Scrape;
    use tower::ServiceExt;
    use tower::service_fn;

    fn request(method: &str, path: &str) -> Request<()> {
        let request = Request::builder().method(method).uri(path);
        request.body(()).unwrap()
    }

    #[tokio::test]
    async fn every_request_is_counted_with_its_verb_and_answer_and_a_watch_has_no_duration() {
        let metrics = Arc::new(Metrics::default());
        let server = service_fn(|request: Request<()>| async move {
            match request.uri().path() {
                "/gone" => Err("connection refused"),
                "/taken" => Ok(Response::builder().status(409).body(()).unwrap()),
                _ => Ok(Response::new(())),
            }
        });
        let client = CountingLayer(metrics.clone()).layer(server);
        for (method, path) in [
            ("GET", "/apis/x/cloneruns?limit=500"),
            (
                "GET",
                "/apis/x/cloneruns?allowWatchBookmarks=true&watch=true",
            ),
            ("PATCH", "/taken"),
            ("PUT", "/gone"),
        ] {
            let _ = client.clone().oneshot(request(method, path)).await;
        }
        let found = Scrape::of(&metrics.encode().unwrap());
        let count = |verb, code| {
            let labels = [("verb", verb), ("code", code)];
            found.value("ibmiclone_kube_api_requests_total", &labels)
        };
        for (verb, code) in [
            ("get", "200"),
            ("watch", "200"),
            ("patch", "409"),
            ("update", "none"),
        ] {
            assert_eq!(count(verb, code), Some(1.0), "{verb} {code}");
        }
        let timed = |verb| {
            let name = "ibmiclone_kube_api_request_duration_seconds_count";
            found.value(name, &[("verb", verb)])
        };
        assert_eq!((timed("get"), timed("watch")), (Some(1.0), None));
    }
}
