//! On a socket. Without TLS the token would be read by everybody on the network, so the service listens on this machine alone
//! unless TLS is given.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::time::Duration;

use axum::Router;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use axum_server::{Handle, Server};
use chrono::Utc;
use tokio_util::sync::CancellationToken;

use super::certificates::{CertificateError, Identity};
use super::connections::Connections;
use super::limits::Limits;
use super::service::{Service, router};

/// Streams that a client may have open on one HTTP/2 connection: more than its watches and what it asks beside them.
const STREAMS: u32 = 250;
/// How often a quiet HTTP/2 connection is asked whether somebody is there.
const PING: Duration = Duration::from_secs(60);
/// Longest time between two looks at the certificate, in seconds: a clock may jump.
const LOOK: u64 = 60 * 60;

/// Whether the service is encrypted.
#[derive(Debug, Clone)]
pub enum Tls {
    /// It is not.
    Off,
    /// By this certificate, which is renewed while the server runs.
    On(Box<Identity>),
}

/// The service cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Not on this machine and not encrypted.
    #[error("{address} can be reached from the network: listen on 127.0.0.1, or turn TLS on")]
    Open {
        /// Where it was to listen.
        address: SocketAddr,
    },
    /// The certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The socket.
    #[error("cannot serve the API")]
    Socket(#[from] io::Error),
}

/// Checks an address before anything listens on it.
///
/// # Errors
/// When others could read along.
pub fn check(address: SocketAddr, tls: &Tls) -> Result<(), ListenError> {
    let local = match address.ip() {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => {
            ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_loopback())
        }
    };
    match tls {
        Tls::Off if !local => Err(ListenError::Open { address }),
        Tls::Off | Tls::On(_) => Ok(()),
    }
}

/// Serves until `shutdown`: then watches end, and other answers get [`Limits::drain`] to.
///
/// # Errors
/// When the socket cannot be used, or others could read along.
pub async fn serve(
    service: Service,
    listener: TcpListener,
    tls: Tls,
    shutdown: CancellationToken,
) -> Result<(), ListenError> {
    check(listener.local_addr()?, &tls)?;
    listener.set_nonblocking(true)?;
    let handle = Handle::new();
    let limits = service.limits().clone();
    let stop = service.stop().clone();
    let ending = CancellationToken::new();
    tokio::spawn({
        let (handle, ending, drain) = (handle.clone(), ending.clone(), limits.drain);
        async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = ending.cancelled() => {}
            }
            stop.cancel();
            handle.graceful_shutdown(Some(drain));
        }
    });
    let _ended = ending.clone().drop_guard();
    let app = router(service);
    match tls {
        Tls::Off => plain(listener, handle, app, &limits).await?,
        Tls::On(identity) => encrypted(listener, handle, app, &limits, *identity, ending).await?,
    }
    Ok(())
}

async fn plain(
    listener: TcpListener,
    handle: Handle<SocketAddr>,
    app: Router,
    limits: &Limits,
) -> io::Result<()> {
    let mut server = axum_server::from_tcp(listener)?
        .acceptor(Connections::new(limits.connections))
        .handle(handle);
    bound(&mut server, limits);
    let server = server.first_request_timeout(limits.head);
    server
        .serve(app.into_make_service_with_connect_info::<SocketAddr>())
        .await
}

async fn encrypted(
    listener: TcpListener,
    handle: Handle<SocketAddr>,
    app: Router,
    limits: &Limits,
    identity: Identity,
    ending: CancellationToken,
) -> Result<(), ListenError> {
    let config = RustlsConfig::from_config(identity.server_config()?);
    tokio::spawn(renew(identity, config.clone(), ending));
    let acceptor = RustlsAcceptor::new(config)
        .handshake_timeout(limits.handshake)
        .acceptor(Connections::new(limits.connections));
    let mut server = axum_server::from_tcp(listener)?
        .acceptor(acceptor)
        .handle(handle);
    bound(&mut server, limits);
    let server = server.first_request_timeout(limits.head);
    Ok(server
        .serve(app.into_make_service_with_connect_info::<SocketAddr>())
        .await?)
}

fn bound<A>(server: &mut Server<SocketAddr, A>, limits: &Limits) {
    server
        .http_builder()
        .http1()
        .header_read_timeout(limits.head);
    server
        .http_builder()
        .http2()
        .max_concurrent_streams(STREAMS)
        // The connection of a machine that has gone without a word ends too.
        .keep_alive_interval(PING)
        .keep_alive_timeout(limits.head);
}

/// Looks at the certificate now and then, and puts a new one in its place when it is due.
async fn renew(mut identity: Identity, config: RustlsConfig, ending: CancellationToken) {
    loop {
        let left = (identity.renew_at() - Utc::now())
            .to_std()
            .unwrap_or_default();
        let wait = left.clamp(Duration::from_secs(60), Duration::from_secs(LOOK));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = ending.cancelled() => return,
        }
        if Utc::now() < identity.renew_at() {
            continue;
        }
        let renewed = identity
            .again(Utc::now())
            .and_then(|i| i.server_config().map(|c| (i, c)));
        match renewed {
            Ok((new, tls)) => {
                config.reload_from_config(tls);
                identity = new;
                tracing::info!("renewed the certificate of the API");
            }
            // The old one is good for months yet; the next look tries again.
            Err(error) => tracing::warn!(error = %error, "cannot renew the certificate of the API"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Tls, check};

    #[test]
    fn without_tls_only_this_machine_is_served() {
        for (address, served) in [
            ("127.0.0.1:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("0.0.0.0:1", false),
            ("[::]:1", false),
            ("10.1.2.3:1", false),
        ] {
            assert_eq!(
                check(address.parse().unwrap(), &Tls::Off).is_ok(),
                served,
                "{address}"
            );
        }
    }
}
