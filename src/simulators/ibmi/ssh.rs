//! sshd of the simulated systems, on real sockets: one per address of the simulated network. Who answers is whoever holds
//! the address when a connection begins.
//!
//! What the shell behind it understands is listed at [`super::shell`]; a line may put any marks around it
//! (`echo mark; …; rc=$?; echo "mark $rc"; exit $rc`). The helper is started by the contract's own line
//! (`ibmi/CONTRACT.md` § 10, `helper-start`) and then answers lines. SQL is `qsh -c 'db2 -S "…"'`, a file is written with
//! `umask 077; cat > path` and the content on standard input. There is no SFTP.
//!
//! Faults under `LOGIN`: `Refused` closes at once, `NoAnswer` says nothing, `Delay`, `Refuse` rejects the login,
//! `Special("wrong-host-key")`. A connection to an address that nobody holds waits in silence, as packets into nowhere do,
//! and goes on when somebody takes the address.

mod channel;

use channel::Running;

use super::helper::{self, Reply};
use super::shell::{self, Login, Outcome};
use super::system::{Answering, answering, view};
use crate::simulators::Shared;
use crate::simulators::faults::{Device, FaultKind};
use crate::simulators::ledger::RequestLine;
use crate::simulators::world::file::NetworkAddress;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::keys::{HashAlg, PrivateKey};
use russh::server::{Auth, ChannelOpenHandle, Handle, Handler, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

/// How often a waiting connection looks at the world, machine time.
const LOOK: Duration = Duration::from_millis(3);

/// The running listeners; dropped = stopped, open connections end with their clients.
pub struct SshServers {
    /// Address of the world → socket that stands for it.
    pub endpoints: BTreeMap<String, SocketAddr>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for SshServers {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Serves every address of the network.
///
/// # Errors
/// A socket that cannot be opened.
pub async fn serve(shared: &Shared, network: &[NetworkAddress]) -> std::io::Result<SshServers> {
    let mut servers = SshServers {
        endpoints: BTreeMap::new(),
        tasks: Vec::new(),
    };
    for entry in network {
        let listener = TcpListener::bind(&entry.listen).await?;
        servers
            .endpoints
            .insert(entry.address.clone(), listener.local_addr()?);
        let (shared, address) = (shared.clone(), entry.address.clone());
        servers.tasks.push(tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(connection(shared.clone(), address.clone(), tcp));
            }
        }));
    }
    Ok(servers)
}

fn host_key(seed: &str) -> Option<PrivateKey> {
    let digest = Sha256::digest(seed.as_bytes());
    let mut bytes = [0_u8; 32];
    bytes.copy_from_slice(&digest);
    let pair = Ed25519Keypair::from_seed(&bytes);
    PrivateKey::new(KeypairData::Ed25519(pair), "simulated").ok()
}

/// Fingerprint of a host key, `SHA256:…`, by its seed in `world.yaml`.
pub fn fingerprint(seed: &str) -> String {
    host_key(seed).map_or_else(String::new, |key| {
        key.public_key().fingerprint(HashAlg::Sha256).to_string()
    })
}

/// Waits until somebody answers at the address; `None` = refused.
async fn whoever_answers(shared: &Shared, address: &str) -> Option<String> {
    loop {
        match answering(&mut shared.now(), address) {
            Answering::Partition(p) => return Some(p),
            Answering::Refused(_) => return None,
            Answering::Nobody => {}
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn connection(shared: Shared, address: String, tcp: TcpStream) {
    let Some(partition) = whoever_answers(&shared, &address).await else {
        return;
    };
    let (fault, seed, login) = {
        let mut world = shared.now();
        let fault = world.faults.take(Device::IbmI, &partition, "LOGIN");
        let Some((system, disk)) = view(&world, &partition) else {
            return;
        };
        let login = Login {
            generation: system.generation(),
            user: String::new(),
            partition: partition.clone(),
        };
        (fault, disk.host_key.clone(), login)
    };
    let mut seed = seed;
    let mut rejects = false;
    match fault {
        Some(FaultKind::Refused | FaultKind::AnswerLost | FaultKind::Busy) => return,
        Some(FaultKind::NoAnswer) => {
            tokio::time::sleep(Duration::from_secs(600)).await;
            return;
        }
        Some(FaultKind::Delay { milliseconds }) => {
            shared
                .clock()
                .sleep(Duration::from_millis(milliseconds))
                .await;
        }
        Some(FaultKind::Refuse { .. }) => rejects = true,
        Some(FaultKind::Special(name)) if name == "wrong-host-key" => seed.push_str(" changed"),
        Some(FaultKind::Special(_)) | None => {}
    }
    let Some(key) = host_key(&seed) else { return };
    let config = russh::server::Config {
        keys: vec![key],
        auth_rejection_time: Duration::from_millis(1),
        auth_rejection_time_initial: Some(Duration::ZERO),
        inactivity_timeout: None,
        ..russh::server::Config::default()
    };
    // Without it a short answer waits 40 ms; `nodelay` of the configuration has no effect here.
    let _ = tcp.set_nodelay(true);
    let Ok(plain) = tcp.into_std() else { return };
    let (Ok(copy), Ok(tcp)) = (plain.try_clone(), TcpStream::from_std(plain)) else {
        return;
    };
    let wire = Arc::new(Wire {
        shared,
        socket: copy,
        closed: AtomicBool::new(false),
    });
    let watch = tokio::spawn(watch(Arc::clone(&wire), login.clone()));
    let handler = Connection {
        wire: Arc::clone(&wire),
        login,
        counted: false,
        rejects,
        inputs: BTreeMap::new(),
    };
    if let Ok(running) = russh::server::run_stream(Arc::new(config), tcp, handler).await {
        // A client that goes away is no failure of ours.
        let _ = running.await;
    }
    wire.cut();
    watch.abort();
}

/// Cuts the connection when its system goes down.
async fn watch(wire: Arc<Wire>, login: Login) {
    while !wire.closed.load(Ordering::Acquire) {
        let alive = shell::alive(&wire.shared.now(), &login);
        if !alive {
            wire.cut();
        }
        tokio::time::sleep(LOOK * 5).await;
    }
}

struct Wire {
    shared: Shared,
    socket: std::net::TcpStream,
    closed: AtomicBool,
}

impl Wire {
    fn cut(&self) {
        self.closed.store(true, Ordering::Release);
        // The client may have been quicker.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

enum Input {
    Bytes(Vec<u8>),
    End,
}

struct Connection {
    wire: Arc<Wire>,
    login: Login,
    counted: bool,
    rejects: bool,
    inputs: BTreeMap<ChannelId, UnboundedSender<Input>>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.wire.closed.store(true, Ordering::Release);
        self.inputs.clear();
        if self.counted {
            let mut world = self.wire.shared.now();
            if let Some(system) = world.systems.get_mut(&self.login.partition)
                && system.generation() == self.login.generation
            {
                system.connections = system.connections.saturating_sub(1);
            }
        }
    }
}

impl Connection {
    /// The login's time; a suspended system does not answer it at all when the knob says so.
    async fn log_in(&mut self, user: &str, allowed: bool) -> Auth {
        let wait = self.wire.shared.now().knobs.login_milliseconds;
        self.wire
            .shared
            .clock()
            .sleep(Duration::from_millis(wait))
            .await;
        while shell::hangs(&self.wire.shared.now(), &self.login.partition) {
            if self.wire.is_closed() {
                return Auth::reject();
            }
            tokio::time::sleep(LOOK).await;
        }
        let mut world = self.wire.shared.now();
        let at = world.now;
        let allowed = allowed && !self.rejects;
        world.ledger.request(RequestLine {
            at,
            device: self.login.partition.clone(),
            operation: format!("LOGIN {user}"),
            answer: if allowed { "ok" } else { "rejected" }.to_owned(),
            milliseconds: wait,
            microseconds: None,
        });
        if !allowed {
            let partition = &self.login.partition;
            world
                .ledger
                .effect(format!("ibmi.{partition}.LOGIN-REJECTED"));
            return Auth::reject();
        }
        self.login.user = user.to_ascii_uppercase();
        if let Some(system) = world.systems.get_mut(&self.login.partition) {
            system.connections += 1;
            self.counted = true;
        }
        Auth::Accept
    }

    fn profile(&self, user: &str) -> Option<super::file::SystemUser> {
        view(&self.wire.shared.now(), &self.login.partition)
            .and_then(|(_, disk)| disk.user(user).cloned())
    }
}

impl Handler for Connection {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        let allowed = self
            .profile(user)
            .is_some_and(|p| p.password.as_deref() == Some(password));
        Ok(self.log_in(user, allowed).await)
    }

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        let shown = key.public_key.to_openssh().unwrap_or_default();
        let body = |text: &str| {
            text.split_whitespace()
                .take(2)
                .collect::<Vec<_>>()
                .join(" ")
        };
        let allowed = self
            .profile(user)
            .is_some_and(|p| p.public_keys.iter().any(|k| body(k) == body(&shown)));
        Ok(self.log_in(user, allowed).await)
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
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
        session.channel_success(channel)?;
        let (sender, input) = unbounded_channel();
        self.inputs.insert(channel, sender);
        let running = Running {
            wire: Arc::clone(&self.wire),
            login: self.login.clone(),
            handle: session.handle(),
            channel,
            input,
        };
        let command = String::from_utf8_lossy(data).into_owned();
        if shell::starts_helper(&command) {
            tokio::spawn(running.helper());
        } else {
            tokio::spawn(running.command(command));
        }
        Ok(())
    }

    async fn data(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        if let Some(input) = self.inputs.get(&channel) {
            // The command may have ended without reading everything.
            let _ = input.send(Input::Bytes(data.to_vec()));
        }
        Ok(())
    }

    async fn channel_eof(
        &mut self,
        channel: ChannelId,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        if let Some(input) = self.inputs.get(&channel) {
            let _ = input.send(Input::End);
        }
        Ok(())
    }

    async fn channel_close(
        &mut self,
        channel: ChannelId,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.inputs.remove(&channel);
        Ok(())
    }
}
