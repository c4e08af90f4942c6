//! Port 443 of a console before V11: its web page, behind which there is no REST API (`hmc.md` § 1.1).

use axum::Router;
use axum::http::StatusCode;
use axum::response::Html;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use std::net::{SocketAddr, TcpListener};

/// What it answers to a path it does not know.
const PAGE: &str =
    "<html><head><title>Hardware Management Console</title></head><body>Not found</body></html>";

/// Serves it until the handle is shut down. Returns at once.
///
/// # Errors
/// When the listener cannot be made non-blocking.
pub fn serve_web_page(
    tls: RustlsConfig,
    listener: TcpListener,
) -> std::io::Result<Handle<SocketAddr>> {
    listener.set_nonblocking(true)?;
    let handle = Handle::new();
    let server = axum_server::from_tcp_rustls(listener, tls)?.handle(handle.clone());
    let router = Router::new().fallback(|| async { (StatusCode::NOT_FOUND, Html(PAGE)) });
    tokio::spawn(async move {
        if let Err(error) = server.serve(router.into_make_service()).await {
            tracing::warn!(%error, "the simulated console's web page stopped serving");
        }
    });
    Ok(handle)
}
