//! `/healthz` and `/readyz` over plain HTTP, for the kubelet; `/metrics` for Prometheus.

use super::metrics::{self, Metrics};
use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::TcpListener;

/// Answers until the task is dropped. `/healthz` is 200 while the process can answer at all; `/readyz` is 200 once `ready`
/// is set, 503 before. `/metrics` is 503 where this process leads and does not know all objects yet. Nothing else is
/// served.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    ready: Arc<AtomicBool>,
    metrics: Arc<Metrics>,
) -> std::io::Result<()> {
    let readiness = move || async move {
        if ready.load(Ordering::Relaxed) {
            (StatusCode::OK, "ready\n")
        } else {
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "the watches have not listed everything yet\n",
            )
        }
    };
    let scrape = move || async move {
        match metrics.encode() {
            Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
            Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
        }
    };
    let routes = Router::new()
        .route("/metrics", get(scrape))
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(readiness));
    axum::serve(listener, routes).await
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    #[tokio::test]
    async fn ready_is_said_only_after_the_watches_are_filled_and_alive_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ready = Arc::new(AtomicBool::new(false));
        let server = tokio::spawn(serve(listener, ready.clone(), Arc::default()));
        let status = async |path: &str| {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let request =
                format!("GET {path} HTTP/1.1\r\nHost: health\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            let word = answer.split(' ').nth(1).unwrap();
            word.parse::<u16>().unwrap()
        };
        assert_eq!(status("/healthz").await, 200);
        assert_eq!(status("/readyz").await, 503);
        ready.store(true, Ordering::Relaxed);
        assert_eq!(status("/readyz").await, 200);
        assert_eq!(status("/metrics").await, 200);
        assert_eq!(status("/anything").await, 404);
        server.abort();
    }
}
