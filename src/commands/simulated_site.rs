//! A simulated site with all its servers, for `simulate` and `demo`: where they listen, who may log in, what they saw.

use super::CommandError;
use crate::simulators::Shared;
use crate::simulators::clock::SimulatedClock;
use crate::simulators::hmc::{OtherPort, rest as hmc_rest};
use crate::simulators::ibmi::ssh::{self, SshServers};
use crate::simulators::ledger::{RequestLine, Violation};
use crate::simulators::storage::spectrum_virtualize::rest as array_rest;
use crate::simulators::tls::Authority;
use crate::simulators::world::World;
use crate::simulators::world::file::WorldFile;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

/// Where the simulated devices listen. All of them are on loopback, and none of them is real.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoints {
    /// REST APIs of the consoles, `https://127.0.0.1:port`.
    pub hmc: Vec<String>,
    /// Other ports of the consoles, as the world file lists them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hmc_other_ports: Vec<String>,
    /// REST API of the array.
    pub array: String,
    /// SSH, by address of the world's network: which system answers depends on who holds the address.
    pub ssh: BTreeMap<String, SocketAddr>,
}

/// A user of a simulated device. Nothing here is secret: the world file says it too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Login {
    /// Device: `hmc`, `array`, or the partition.
    pub device: String,
    /// User name.
    pub name: String,
    /// Password.
    pub password: String,
}

/// What the world noticed by itself.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Always true: nobody may take these figures for those of a device.
    pub simulated: bool,
    /// Things that must never happen.
    pub violations: Vec<Violation>,
    /// Effects by kind.
    pub effects: BTreeMap<String, u64>,
    /// Requests by device.
    pub request_counts: BTreeMap<String, u64>,
    /// Newest requests, oldest first.
    pub requests: Vec<RequestLine>,
}

/// Running servers over one world.
pub struct SimulatedSite {
    /// The world.
    pub world: Shared,
    /// Where they listen.
    pub endpoints: Endpoints,
    /// Certificate of the site's own authority, PEM.
    pub authority: String,
    /// Who may log in.
    pub logins: Vec<Login>,
    /// SSH host keys, `SHA256:…`, by partition.
    pub host_keys: BTreeMap<String, String>,
    /// Dropped = stopped.
    _servers: Servers,
}

/// The running servers.
struct Servers {
    handles: Vec<Handle<SocketAddr>>,
    /// Nobody accepts here: a client connects and waits.
    _silent: Vec<TcpListener>,
    _ssh: SshServers,
}

impl Drop for Servers {
    fn drop(&mut self) {
        for handle in &self.handles {
            handle.shutdown();
        }
    }
}

fn bind(address: &str) -> Result<TcpListener, CommandError> {
    TcpListener::bind(address).map_err(|e| CommandError::io(format!("listen on {address}"), e))
}

fn url(listener: &TcpListener) -> Result<String, CommandError> {
    let address = listener
        .local_addr()
        .map_err(|e| CommandError::io("read a socket's address", e))?;
    Ok(format!("https://{address}"))
}

/// A certificate for the names a person wrote, and always for this machine's loopback.
fn certificate(authority: &Authority, names: &[String]) -> Result<RustlsConfig, CommandError> {
    let mut names = names.to_vec();
    for always in ["localhost", "127.0.0.1"] {
        if !names.iter().any(|n| n == always) {
            names.push(always.to_owned());
        }
    }
    authority
        .server(&names)
        .map_err(|e| CommandError::other(&e))
}

fn logins(file: &WorldFile) -> Vec<Login> {
    let login = |device: &str, name: &str, password: &str| Login {
        device: device.to_owned(),
        name: name.to_owned(),
        password: password.to_owned(),
    };
    let mut all: Vec<Login> = file
        .console
        .users
        .iter()
        .map(|u| login("hmc", &u.name, &u.password))
        .collect();
    all.extend(
        file.array
            .users
            .iter()
            .map(|u| login("array", &u.name, &u.password)),
    );
    for system in &file.systems {
        let with_password = system
            .users
            .iter()
            .filter_map(|u| Some((u, u.password.as_deref()?)));
        all.extend(with_password.map(|(u, password)| login(&system.partition, &u.name, password)));
    }
    all
}

impl SimulatedSite {
    /// Starts every server of a world. `scale` = world seconds per second.
    ///
    /// # Errors
    /// A world that contradicts itself, or a socket that cannot be opened.
    pub async fn start(file: &WorldFile, scale: f64) -> Result<Self, CommandError> {
        let mut world = World::from_file(file).map_err(CommandError::Other)?;
        world.ledger.keep_requests = true;
        let clock = SimulatedClock::scaled(world.now, scale);
        let world = Shared::new(world, clock);
        let authority = Authority::new().map_err(|e| CommandError::other(&e))?;
        let mut handles = Vec::new();
        let mut hmc = Vec::new();
        for (number, address) in file.console.listen.iter().enumerate() {
            let listener = bind(address)?;
            hmc.push(url(&listener)?);
            let tls = certificate(&authority, &file.console.certificate_names)?;
            let served = hmc_rest::serve(world.clone(), number, tls, listener);
            handles.push(served.map_err(|e| CommandError::io("serve the simulated HMC", e))?);
        }
        let (mut hmc_other_ports, mut silent) = (Vec::new(), Vec::new());
        for port in &file.console.other_ports {
            let listener = bind(&port.listen)?;
            hmc_other_ports.push(url(&listener)?);
            match port.serves {
                OtherPort::Hangs => silent.push(listener),
                OtherPort::Gui => {
                    let tls = certificate(&authority, &file.console.certificate_names)?;
                    let served = hmc_rest::serve_web_page(tls, listener);
                    handles
                        .push(served.map_err(|e| CommandError::io("serve the simulated HMC", e))?);
                }
            }
        }
        let listener = bind(&file.array.listen)?;
        let array = url(&listener)?;
        let tls = certificate(&authority, &file.array.certificate_names)?;
        let served = array_rest::serve(world.clone(), tls, listener);
        handles.push(served.map_err(|e| CommandError::io("serve the simulated array", e))?);
        let ssh_servers = ssh::serve(&world, &file.network)
            .await
            .map_err(|e| CommandError::io("serve the simulated network", e))?;
        let endpoints = Endpoints {
            hmc,
            hmc_other_ports,
            array,
            ssh: ssh_servers.endpoints.clone(),
        };
        Ok(Self {
            world,
            endpoints,
            authority: authority.pem(),
            logins: logins(file),
            host_keys: file
                .systems
                .iter()
                .map(|s| (s.partition.clone(), ssh::fingerprint(&s.host_key)))
                .collect(),
            _servers: Servers {
                handles,
                _silent: silent,
                _ssh: ssh_servers,
            },
        })
    }

    /// What was noticed so far.
    pub fn report(&self) -> Report {
        let world = self.world.now();
        Report {
            simulated: true,
            violations: world.ledger.violations.clone(),
            effects: world.ledger.effects.clone(),
            request_counts: world.ledger.request_counts.clone(),
            requests: world.ledger.requests.iter().cloned().collect(),
        }
    }

    /// As [`SimulatedSite::report`], after the checks that only make sense at the end: nothing may be left suspended,
    /// prepared, logged on.
    ///
    /// A client's last goodbye may still be on its way: it is waited for, two seconds at most.
    pub async fn last_report(&self) -> Report {
        for _ in 0..200 {
            if self.world.now().open_sessions() == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.world.now().check_left_behind();
        self.report()
    }
}

/// Reads a world file. The error names line and field.
///
/// # Errors
/// When the file cannot be read or is no world.
pub fn read_world(path: &Path) -> Result<WorldFile, CommandError> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| CommandError::io(format!("read {}", path.display()), e))?;
    parse_world(&text).map_err(|why| CommandError::data(path, why))
}

/// Parses a world.
///
/// # Errors
/// Line and field of what is wrong.
pub fn parse_world(text: &str) -> Result<WorldFile, String> {
    serde_saphyr::from_str(text).map_err(|e| e.to_string())
}
