//! `/healthz` and `/readyz` over plain HTTP, for the kubelet.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::TcpListener;

/// Answers until the task is dropped. `/healthz` is 200 while the process can answer at all; `/readyz` is 200 once `ready`
/// is set, 503 before. Nothing else is served.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, ready: Arc<AtomicBool>) -> std::io::Result<()> {
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
    let routes = Router::new()
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
        let server = tokio::spawn(serve(listener, ready.clone()));
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
        assert_eq!(status("/anything").await, 404);
        server.abort();
    }
}
