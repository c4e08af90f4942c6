//! Storage Virtualize: the driver against the simulated array on a real TLS socket, and the array's own rules.

mod commands;
mod cycle;
mod failures;
mod freeze;
mod login;
mod maps;
mod reach;
mod server;
mod states;

use crate::support::wait;
use axum_server::Handle;
use ibmi_clone_operator::drivers::storage::spectrum_virtualize::{
    ArrayOptions, RestClient, SpectrumVirtualize,
};
use ibmi_clone_operator::drivers::transport::tls::TlsOptions;
use ibmi_clone_operator::simulators::Shared;
use ibmi_clone_operator::simulators::clock::SimulatedClock;
use ibmi_clone_operator::simulators::faults::{Device, Fault, FaultKind};
use ibmi_clone_operator::simulators::storage::spectrum_virtualize::rest;
use ibmi_clone_operator::simulators::tls::Authority;
use ibmi_clone_operator::simulators::world::World;
use ibmi_clone_operator::simulators::world::file::WorldFile;
use ibmi_clone_operator::site::transcript::Transcript;
use ibmi_clone_operator::site::{CopyPhase, CopyServices};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

const WORLD: &str = r#"
start: 2026-11-23T00:00:00Z
sources: [PROD]
console:
  name: hmc1
  listen: ["127.0.0.1:0"]
  users: [{ name: cloneop, password: x }]
  systems: [{ name: P10, typeModel: 9105-42A, serial: 78ABCD0 }]
  partitions: []
vioses: []
array:
  name: svc
  users: [{ name: cloneop, password: right }, { name: watcher, password: right, readOnly: true }]
  pools: [{ name: P0, gib: 1000, usedPercent: 50 }, { name: P1, gib: 1000, usedPercent: 10 }]
  volumes:
    - { name: PROD_0, gib: 100, pool: P0 }
    - { name: PROD_1, gib: 200, pool: P0 }
    - { name: CLN_0, gib: 100, pool: P1, thin: true }
    - { name: CLN_1, gib: 200, pool: P1, thin: true }
    - { name: OLD_0, gib: 100, pool: P1, thin: true }
  hosts:
    - { name: VIOS1, wwpns: ["C0:50:76:00:00:00:00:01"], volumes: [PROD_0, PROD_1, CLN_0, CLN_1] }
    - { name: OTHER, wwpns: [c050760000000009] }
  groups:
    - name: CLONE1
      maps: [{ name: m0, source: PROD_0, target: CLN_0 }, { name: m1, source: PROD_1, target: CLN_1 }]
    - { name: SPARE, maps: [] }
systems: []
network: []
knobs: { prepareMilliseconds: 3000, startCopyMilliseconds: 1000, stoppingMilliseconds: 5000 }
"#;

/// The small array as its file, for tests that change it.
pub fn file() -> WorldFile {
    serde_saphyr::from_str(WORLD).unwrap()
}

/// A simulated array that serves, on a clock that stands still until moved.
pub struct Bench {
    pub shared: Shared,
    pub authority: Authority,
    pub address: SocketAddr,
    handle: Handle<SocketAddr>,
}

impl Bench {
    pub fn start(file: &WorldFile) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let world = World::from_file(file).unwrap();
        let clock = SimulatedClock::manual(world.now);
        let shared = Shared::new(world, clock);
        shared.now().ledger.keep_requests = true;
        let authority = Authority::new().unwrap();
        let address = listener.local_addr().unwrap();
        let handle = serve(&shared, &authority, listener);
        Self {
            shared,
            authority,
            address,
            handle,
        }
    }
    pub fn small() -> Self {
        Self::start(&file())
    }
    /// Closes socket and connections.
    pub async fn stop(&self) {
        self.handle.shutdown();
        wait::until("the closed socket", async || {
            std::net::TcpStream::connect(self.address).is_err()
        })
        .await;
    }
    /// Serves again at the same address.
    pub fn again(&mut self) {
        let listener = TcpListener::bind(self.address).unwrap();
        self.handle = serve(&self.shared, &self.authority, listener);
    }
    pub fn options(&self) -> ArrayOptions {
        ArrayOptions {
            endpoint: format!("https://{}", self.address),
            username: "cloneop".to_owned(),
            password: "right".to_owned().into(),
            tls: TlsOptions {
                ca_pem: Some(self.authority.pem()),
                ..TlsOptions::default()
            },
            transcript: Transcript::default(),
        }
    }
    pub fn copy(&self) -> SpectrumVirtualize {
        self.copy_of("CLONE1")
    }
    /// Reads do not hold back: this array has no rate limit unless a test gives it one.
    pub fn copy_of(&self, group: &str) -> SpectrumVirtualize {
        let client = RestClient::new(self.options()).unwrap().paced(1000.0);
        SpectrumVirtualize::on(Arc::new(client), group)
    }
    /// As the operator opens it for a real array.
    pub fn paced_copy(&self) -> SpectrumVirtualize {
        SpectrumVirtualize::open(self.options(), "CLONE1").unwrap()
    }
    pub fn fault(&self, operation: &str, kind: FaultKind) {
        self.shared.now().faults.add(Fault {
            device: Device::Array,
            name: String::new(),
            operation: operation.to_owned(),
            kind,
            times: 1,
        });
    }
    pub fn effects(&self, kind: &str) -> u64 {
        self.shared.now().ledger.effect_count(kind)
    }
    /// Operations and answers since the start, without the logins.
    pub fn requests(&self) -> Vec<(String, String)> {
        let world = self.shared.now();
        let lines = world.ledger.requests.iter();
        lines
            .filter(|l| l.operation != "POST auth")
            .map(|l| (l.operation.clone(), l.answer.clone()))
            .collect()
    }
    pub fn pass(&self, seconds: u64) {
        self.shared.clock().advance(Duration::from_secs(seconds));
    }
    /// Prepared and started.
    pub async fn started(&self, copy: &SpectrumVirtualize) {
        copy.prepare().await.unwrap();
        self.pass(3);
        assert_eq!(copy.observe().await.unwrap().phase, CopyPhase::Prepared);
        copy.start().await.unwrap();
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.handle.shutdown();
    }
}

fn serve(shared: &Shared, authority: &Authority, listener: TcpListener) -> Handle<SocketAddr> {
    let tls = authority.server(&["127.0.0.1".to_owned()]).unwrap();
    rest::serve(shared.clone(), tls, listener).unwrap()
}
