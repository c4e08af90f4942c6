//! IBM i: the driver against the simulated system's sshd on real sockets (`ibmi.md` § 11), and the SSH transport against
//! a server that misbehaves.

mod freeze;
mod logs;
mod resume;
mod rude;
mod saving;
mod session;
mod system;
mod transport;
mod work;

use crate::support::wait;
use ibmi_clone_operator::drivers::ibmi::{IbmIDriver, IbmIFreeze, IbmiSsh, Limits, SshLink};
use ibmi_clone_operator::drivers::transport::ssh::Credential;
use ibmi_clone_operator::simulators::Shared;
use ibmi_clone_operator::simulators::clock::SimulatedClock;
use ibmi_clone_operator::simulators::faults::{Device, Fault, FaultKind};
use ibmi_clone_operator::simulators::ibmi::ssh::{SshServers, fingerprint, serve};
use ibmi_clone_operator::simulators::ibmi::{self, SystemFile};
use ibmi_clone_operator::simulators::world::file::{NetworkAddress, WorldFile};
use ibmi_clone_operator::simulators::world::{Content, World};
use ibmi_clone_operator::site::transcript::Transcript;
use ibmi_clone_operator::site::{AspName, FreezePlan, Identity, Uid};
use std::sync::Arc;
use std::time::Duration;

const UID: &str = "60050768000000000000000000000001";
pub const ADDRESS: &str = "10.0.8.11";
pub const TOKEN: &str = "RUNTOKEN1";

pub fn production() -> Identity {
    Identity::new("7812345", 3)
}

/// Production on a clock that stands still until moved, with sshd on a loopback socket.
pub struct Bench {
    pub shared: Shared,
    servers: SshServers,
    host_key: String,
}

impl Bench {
    pub async fn with(change: impl FnOnce(&mut SystemFile)) -> Self {
        let mut file = SystemFile::simple("PROD", &[UID], ADDRESS);
        change(&mut file);
        let host_key = fingerprint(&file.host_key);
        let whole: WorldFile = serde_json::from_value(serde_json::json!({
            "start": "2026-11-23T20:00:00Z",
            "sources": ["PROD"],
            "console": {
                "name": "hmc1", "listen": [], "users": [],
                "systems": [], "partitions": []
            },
            "vioses": [],
            "tapes": {"drives": [{"device": "TAP01"}], "cartridges": [{"volume": "A00001"}, {"volume": "A00002"}]},
            "array": {"name": "svc", "users": [], "pools": [], "volumes": []},
            "systems": [],
            "network": []
        }))
        .unwrap();
        let mut world = World::from_file(&whole).unwrap();
        ibmi::set_identity(&mut world, "PROD", production());
        ibmi::install(&mut world, &[file]).unwrap();
        let Content::Part { image, .. } = world.contents[&Uid::new(UID)] else {
            panic!("no image")
        };
        ibmi::run_at_start(&mut world, "PROD", image);
        world.ledger.keep_requests = true;
        let clock = SimulatedClock::manual(world.now);
        let shared = Shared::new(world, clock);
        let network = [NetworkAddress {
            address: ADDRESS.to_owned(),
            listen: "127.0.0.1:0".to_owned(),
        }];
        let servers = serve(&shared, &network).await.unwrap();
        Self {
            shared,
            servers,
            host_key,
        }
    }

    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub fn options(&self) -> IbmiSsh {
        let at = self.servers.endpoints[ADDRESS];
        IbmiSsh {
            address: at.ip().to_string(),
            port: at.port(),
            username: "CLONEOP".to_owned(),
            credential: Credential::Password("cloneop-secret".to_owned().into()),
            host_keys: vec![self.host_key.clone()],
            host_keys_field: "source.host.hostKeys".to_owned(),
            connect_limit: Duration::from_secs(5),
            limits: Limits {
                alive: Duration::from_millis(500),
                read: Duration::from_secs(5),
                command: Duration::from_secs(5),
            },
            transcript: Transcript::default(),
        }
    }

    pub fn link(&self) -> SshLink {
        SshLink::new(self.options())
    }

    pub fn system(&self) -> Arc<IbmIDriver> {
        self.link().system()
    }

    pub fn freeze(&self) -> IbmIFreeze {
        let link = self.link();
        link.freeze(link.system(), vec![production()])
    }

    pub fn fault(&self, operation: &str, kind: FaultKind) {
        self.shared.now().faults.add(Fault {
            device: Device::IbmI,
            name: String::new(),
            operation: operation.to_owned(),
            kind,
            times: 1,
        });
    }

    pub fn suspended(&self) -> Vec<String> {
        self.shared.now().systems["PROD"].suspended()
    }

    pub fn advance(&self, by: Duration) {
        self.shared.clock().advance(by);
    }

    /// How often an operation was asked for.
    pub fn asked(&self, operation: &str) -> usize {
        let world = self.shared.now();
        let requests = world.ledger.requests.iter();
        requests.filter(|r| r.operation.contains(operation)).count()
    }

    /// Waits until a fact about the world holds.
    pub async fn until(&self, what: &str, holds: impl Fn(&World) -> bool) {
        wait::found(what, async || {
            holds(&self.shared.now()).then_some(()).ok_or("never")
        })
        .await;
    }

    /// Nothing is left suspended, no helper, no session.
    pub async fn nothing_is_left(&self) {
        self.until("all sessions ended", |w| {
            w.systems["PROD"].connections() == 0 && w.systems["PROD"].suspended().is_empty()
        })
        .await;
        let mut world = self.shared.now();
        world.check_left_behind();
        assert_eq!(world.ledger.violations, []);
    }
}

pub fn sysbas() -> AspName {
    AspName::new("*SYSBAS")
}

pub fn plan() -> FreezePlan {
    FreezePlan {
        run_token: TOKEN.to_owned(),
        asps: vec![sysbas()],
        watchdog_seconds: 90,
        canary: true,
    }
}
