//! The simulated console and its VIOSes on real TLS sockets, and the driver that talks to them.

use super::wait;
use axum_server::Handle;
use ibmi_clone_operator::drivers::hmc::{HmcConsole, HmcControl, HmcOptions};
use ibmi_clone_operator::drivers::transport::tls::TlsOptions;
use ibmi_clone_operator::drivers::vios::{Adapter, HmcVirtualIo};
use ibmi_clone_operator::simulators::Shared;
use ibmi_clone_operator::simulators::clock::SimulatedClock;
use ibmi_clone_operator::simulators::faults::{Device, Fault, FaultKind};
use ibmi_clone_operator::simulators::hmc::rest;
use ibmi_clone_operator::simulators::storage::spectrum_virtualize;
use ibmi_clone_operator::simulators::tls::Authority;
use ibmi_clone_operator::simulators::world::World;
use ibmi_clone_operator::simulators::world::file::WorldFile;
use ibmi_clone_operator::site::{
    PartitionControl, PartitionState, PartitionView, PowerJob, PowerJobState, WantedVolume,
};
use std::net::{SocketAddr, TcpListener};

/// World seconds per second.
const SCALE: f64 = 100.0;

pub struct ConsoleSite {
    pub world: Shared,
    authority: Authority,
    addresses: Vec<SocketAddr>,
    handles: Vec<Handle<SocketAddr>>,
}

impl Drop for ConsoleSite {
    fn drop(&mut self) {
        for handle in &self.handles {
            handle.shutdown();
        }
    }
}

impl ConsoleSite {
    /// The world of the demo, its console on two sockets, after a person's changes.
    pub fn start(change: impl FnOnce(&mut WorldFile)) -> Self {
        let text = include_str!("../../../examples/demo/world.yaml");
        let mut file: WorldFile = serde_saphyr::from_str(text).unwrap();
        change(&mut file);
        let mut world = World::from_file(&file).unwrap();
        world.ledger.keep_requests = true;
        let clock = SimulatedClock::scaled(world.now, SCALE);
        let mut site = Self {
            world: Shared::new(world, clock),
            authority: Authority::new().unwrap(),
            addresses: Vec::new(),
            handles: Vec::new(),
        };
        for number in 0..2 {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            site.addresses.push(listener.local_addr().unwrap());
            let handle = site.serve(number, listener);
            site.handles.push(handle);
        }
        site
    }

    pub fn usual() -> Self {
        Self::start(|_| {})
    }

    fn serve(&self, number: usize, listener: TcpListener) -> Handle<SocketAddr> {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let tls = self.authority.server(&names).unwrap();
        rest::serve(self.world.clone(), number, tls, listener).unwrap()
    }

    /// Console `number` stops answering: connections are refused from now on.
    pub async fn down(&self, number: usize) {
        self.handles[number].shutdown();
        let address = self.addresses[number];
        until("the socket is closed", || async {
            tokio::net::TcpStream::connect(address).await.is_err()
        })
        .await;
    }

    /// It answers again, at the same address and with the sessions it had.
    pub async fn back(&mut self, number: usize) {
        let address = self.addresses[number];
        let listener = TcpListener::bind(address).unwrap();
        self.handles[number] = self.serve(number, listener);
    }

    /// Address of the console's web page, behind which there is no REST API.
    pub fn web_page(&mut self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let tls = self.authority.server(&["127.0.0.1".to_owned()]).unwrap();
        let handle = rest::serve_web_page(tls, listener).unwrap();
        self.handles.push(handle);
        format!("https://{address}")
    }

    pub fn url(&self, number: usize) -> String {
        format!("https://{}", self.addresses[number])
    }

    /// Certificate of whoever signed the console's, PEM.
    pub fn authority(&self) -> String {
        self.authority.pem()
    }

    pub fn options(&self, endpoints: &[String]) -> HmcOptions {
        HmcOptions::new(
            endpoints.to_vec(),
            "cloneop".into(),
            "simulated-hmc".to_owned().into(),
            TlsOptions {
                ca_pem: Some(self.authority.pem()),
                ..TlsOptions::default()
            },
            Default::default(),
        )
    }

    /// The driver, at the first socket.
    pub fn console(&self) -> HmcConsole {
        HmcConsole::open(self.options(&[self.url(0)])).unwrap()
    }

    /// The driver, with both sockets.
    pub fn both(&self) -> HmcConsole {
        HmcConsole::open(self.options(&[self.url(0), self.url(1)])).unwrap()
    }

    /// The next request whose line begins so.
    pub fn fault(&self, device: Device, operation: &str, kind: FaultKind) {
        self.fault_named(device, "", operation, kind);
    }

    /// The next command of VIOS1 that begins so.
    pub fn fault_at_vios1(&self, command: &str, kind: FaultKind) {
        self.fault_named(Device::Vios, "VIOS1", command, kind);
    }

    fn fault_named(&self, device: Device, name: &str, operation: &str, kind: FaultKind) {
        self.world.now().faults.add(Fault {
            device,
            name: name.to_owned(),
            operation: operation.to_owned(),
            kind,
            times: 1,
        });
    }

    /// How often an effect happened.
    pub fn effects(&self, kind: &str) -> u64 {
        self.world.now().ledger.effect_count(kind)
    }

    /// Requests whose line begins so.
    pub fn requests(&self, start: &str) -> usize {
        let world = self.world.now();
        let lines = world.ledger.requests.iter();
        lines.filter(|r| r.operation.starts_with(start)).count()
    }

    pub fn sessions(&self) -> usize {
        self.world.now().console.sessions.len()
    }

    /// Nothing that must never happen did.
    pub fn assert_clean(&self) {
        let world = self.world.now();
        assert_eq!(world.ledger.violations, Vec::new());
    }

    pub fn uid(&self, volume: &str) -> ibmi_clone_operator::site::Uid {
        spectrum_virtualize::uid_of(&self.world.now(), volume).unwrap()
    }

    /// The four targets of CLONE1, load source first.
    pub fn wanted(&self) -> Vec<WantedVolume> {
        (0..4)
            .map(|n| WantedVolume {
                uid: self.uid(&format!("CLONE1_{n}")),
                vtd: format!("clone1_{n:02}"),
            })
            .collect()
    }

    /// Runs a padmin command as a person would.
    pub fn padmin(&self, vios: &str, line: &str) -> String {
        let mut world = self.world.now();
        let output = ibmi_clone_operator::simulators::vios::command(&mut world, vios, line);
        assert_eq!(output.status, 0, "{}", output.text);
        output.text
    }
}

pub fn adapter(server: &str, vhost: &str) -> Adapter {
    Adapter {
        server: server.into(),
        vhost: vhost.into(),
        volumes: vec!["*".into()],
    }
}

/// CLONE1's disks through both VIOSes.
pub fn virtual_io(console: &HmcConsole) -> HmcVirtualIo {
    let adapters = vec![adapter("VIOS1", "vhost3"), adapter("VIOS2", "vhost3")];
    HmcVirtualIo::new(&console.view("P10-PARIS", "CLONE1"), adapters)
}

pub fn clone1(console: &HmcConsole) -> HmcControl {
    console.control("P10-PARIS", "CLONE1", None)
}

/// Waits until a condition holds.
pub async fn until<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    wait::until(what, async || condition().await).await;
}

/// Waits until the console shows a state.
pub async fn until_state(control: &HmcControl, state: PartitionState) {
    until("the state", || async {
        control.status().await.unwrap().state == state
    })
    .await;
}

/// Waits for the end of a job.
pub async fn until_ended(control: &HmcControl, job: &PowerJob) -> PowerJobState {
    wait::found("the end of the job", async || {
        match control.job(job).await.unwrap() {
            PowerJobState::Running => Err("it runs"),
            ended => Ok(ended),
        }
    })
    .await
}
