//! An SSH server that does what its command says: the ways in which a connection can end.

use russh::keys::{Algorithm, HashAlg, PrivateKey};
use russh::server::{Auth, ChannelOpenHandle, Config, Handle, Handler, Msg, Session};
use russh::{Channel, ChannelId, Preferred, Sig};
use std::borrow::Cow;
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// Where it listens and which key it shows.
pub struct Rude {
    pub address: SocketAddr,
    pub host_key: String,
}

impl Rude {
    pub async fn start(preferred: Option<Preferred>) -> Self {
        let key =
            PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).unwrap();
        let host_key = key.public_key().fingerprint(HashAlg::Sha256).to_string();
        let config = Arc::new(Config {
            keys: vec![key],
            preferred: preferred.unwrap_or_default(),
            auth_rejection_time_initial: Some(Duration::ZERO),
            ..Config::default()
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(serve(Arc::clone(&config), tcp));
            }
        });
        Self { address, host_key }
    }
}

/// Only algorithms that the bundled libssh2 does not offer.
pub fn old_algorithms() -> Preferred {
    Preferred {
        kex: Cow::Borrowed(&[russh::kex::DH_G14_SHA1]),
        ..Preferred::default()
    }
}

async fn serve(config: Arc<Config>, tcp: TcpStream) {
    tcp.set_nodelay(true).unwrap();
    let plain = tcp.into_std().unwrap();
    let socket = Arc::new(plain.try_clone().unwrap());
    let handler = Connection { socket };
    let tcp = TcpStream::from_std(plain).unwrap();
    if let Ok(running) = russh::server::run_stream(config, tcp, handler).await {
        // Every test ends it in its own way.
        let _ = running.await;
    }
}

struct Connection {
    socket: Arc<std::net::TcpStream>,
}

impl Handler for Connection {
    type Error = russh::Error;

    async fn auth_password(&mut self, _: &str, _: &str) -> Result<Auth, Self::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let command = String::from_utf8_lossy(data).into_owned();
        if command == "refuse" {
            return session.channel_failure(channel);
        }
        session.channel_success(channel)?;
        let socket = Arc::clone(&self.socket);
        tokio::spawn(behave(session.handle(), channel, command, socket));
        Ok(())
    }

    /// The line channel's other side: `echo` answers, `noise` says something else first.
    async fn data(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        for line in String::from_utf8_lossy(data).lines() {
            let (key, rest) = line.split_once(' ').unwrap_or((line, ""));
            let answer = match rest {
                "silence" => continue,
                "noise" => format!("login noise\nOTHER OK\n{key} OK\n"),
                other => format!("{key} {other}\n"),
            };
            session.data(channel, answer.into_bytes())?;
        }
        Ok(())
    }
}

/// A client that has gone by now is what some of these are about.
async fn behave(
    handle: Handle,
    channel: ChannelId,
    command: String,
    socket: Arc<std::net::TcpStream>,
) {
    let marks = "M1\nbody\nM1 0\n";
    match command.as_str() {
        "lines" | "hang" => return,
        "killed" => {
            let _ = handle.data(channel, marks).await;
            let _ = handle
                .exit_signal_request(channel, Sig::KILL, false, String::new(), String::new())
                .await;
        }
        "no-status" => {
            let _ = handle.data(channel, "M1\nbody\n").await;
        }
        "drop" => {
            let _ = handle.data(channel, marks).await;
            let _ = socket.shutdown(Shutdown::Both);
            return;
        }
        "both" => {
            let block = vec![b'x'; 1 << 20];
            for _ in 0..5 {
                let _ = handle.extended_data(channel, 1, block.clone()).await;
            }
            for _ in 0..5 {
                let _ = handle.data(channel, block.clone()).await;
            }
            let _ = handle.exit_status_request(channel, 0).await;
        }
        "drip" => loop {
            if handle.data(channel, "x").await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        },
        status => {
            let _ = handle.data(channel, marks).await;
            let _ = handle
                .exit_status_request(channel, status.parse().unwrap_or(0))
                .await;
        }
    }
    let _ = handle.eof(channel).await;
    let _ = handle.close(channel).await;
}
