//! HMC over its REST API (`hmc.md` §§ 0–2): inventory, power jobs, and VIOS commands through CLIRunner.
//!
//! One [`HmcConsole`] per console and credential, shared by all runs. It hands out partitions bound to one name (and,
//! for the clone, one UUID), so that no power command can name production.

mod cli;
mod endpoint;
mod errors;
mod inventory;
mod job;
mod lpar;
mod partition;
mod quick;
mod session;
mod storage;
#[cfg(test)]
pub(in crate::drivers) mod tests;
mod xml;

pub(crate) use inventory::{System, ViosPartition};
pub use partition::{HmcControl, HmcView};
pub(crate) use storage::ViosDisk;

use crate::drivers::transport::http::HttpDevice;
use crate::drivers::transport::latch::Version;
use crate::drivers::transport::tls::{TlsError, TlsOptions};
use crate::drivers::transport::transcript::Transcript;
use crate::site::{DeviceError, PartitionUuid};
use endpoint::Endpoint;
use secrecy::SecretString;
use session::Sessions;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How to reach a console.
#[derive(Debug, Clone)]
pub struct HmcOptions {
    /// `https://HOST[:PORT]`, one or two that manage the same systems; without a port 443, then 12443.
    pub endpoints: Vec<String>,
    /// User with remote access via the web.
    pub user: String,
    /// Its password; REST takes no keys (`hmc.md` § 0.1).
    pub password: SecretString,
    /// Certificate checks, the same for both endpoints.
    pub tls: TlsOptions,
    /// Where exchanges are noted.
    pub transcript: Transcript,
    /// Written to the console's audit log with every request (ASCII).
    pub audit: String,
    /// Logoff after this time without requests; 60 s in production.
    pub idle: Duration,
}

impl HmcOptions {
    /// Options with the usual audit text and idle time.
    pub fn new(
        endpoints: Vec<String>,
        user: String,
        password: SecretString,
        tls: TlsOptions,
        transcript: Transcript,
    ) -> Self {
        Self {
            endpoints,
            user,
            password,
            tls,
            transcript,
            audit: "ibmi-clone-operator".to_owned(),
            idle: Duration::from_secs(60),
        }
    }
}

/// The options cannot be used; nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HmcOptionsError {
    /// No address.
    #[error("console: hmc: endpoints is empty: write https://HOST or https://HOST:PORT")]
    NoEndpoint,
    /// An address is not understood.
    #[error(
        "endpoint {0} is not understood: write https://HOST or https://HOST:PORT, without a path"
    )]
    BadEndpoint(String),
    /// Certificate options.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// One console. Cheap to clone; all clones share its session.
#[derive(Clone)]
pub struct HmcConsole {
    console: Arc<Console>,
}

impl std::fmt::Debug for HmcConsole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HmcConsole({})", self.console.device())
    }
}

/// What all handles of one console share.
pub(crate) struct Console {
    sessions: Arc<Sessions>,
    /// (place, UUID of the console there), at most one.
    own_uuids: Mutex<Vec<(String, String)>>,
    /// One command at a time per VIOS (`hmc.md` § 1.12), by the VIOS's UUID.
    vios_turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Console {
    /// The console in the user's words.
    pub(crate) fn device(&self) -> &str {
        self.sessions.name()
    }

    /// The turn of a VIOS: whoever holds it may command the VIOS.
    pub(crate) fn vios_turn(&self, uuid: &str) -> Arc<tokio::sync::Mutex<()>> {
        self.vios_turns
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(uuid.to_ascii_uppercase())
            .or_default()
            .clone()
    }

    /// All disks that a VIOS sees now, with their storage identities, in one request.
    pub(crate) async fn vios_disks(
        &self,
        vios: &ViosPartition,
    ) -> Result<Vec<ViosDisk>, DeviceError> {
        let path = format!(
            "/rest/api/uom/VirtualIOServer/{}?group=ViosStorage",
            vios.uuid
        );
        let reply = self.get(&path, inventory::ATOM, inventory::LONG).await?;
        storage::disks(&reply.answer.body).ok_or_else(|| {
            errors::unreadable(
                &reply.device,
                &path,
                &reply.answer.body,
                crate::drivers::transport::http::Intent::Read,
            )
        })
    }
}

impl HmcConsole {
    /// Prepares a console; no network is needed until the first question.
    ///
    /// # Errors
    /// When an endpoint or certificate option cannot be used; the text says what to write.
    pub fn open(options: HmcOptions) -> Result<Self, HmcOptionsError> {
        if options.endpoints.is_empty() {
            return Err(HmcOptionsError::NoEndpoint);
        }
        let mut endpoints = Vec::new();
        for text in &options.endpoints {
            let address = endpoint::address(text)
                .ok_or_else(|| HmcOptionsError::BadEndpoint(text.clone()))?;
            let name = format!("HMC {}", address.host);
            let wire = HttpDevice::new(&name, &options.tls, options.transcript.clone())?;
            endpoints.push(Endpoint::new(address, Arc::new(wire)));
        }
        Ok(Self::over(endpoints, options))
    }

    /// What the login is made from: a change releases a refused one.
    pub fn made_from(&self, versions: &[Version]) {
        self.console.sessions.made_from(versions);
    }

    fn over(endpoints: Vec<Endpoint>, options: HmcOptions) -> Self {
        let sessions = Sessions::new(
            endpoints,
            options.user,
            options.password,
            options.audit,
            options.idle,
        );
        Self {
            console: Arc::new(Console {
                sessions: Arc::new(sessions),
                own_uuids: Mutex::new(Vec::new()),
                vios_turns: Mutex::new(HashMap::new()),
            }),
        }
    }

    /// Read-only view of a partition, found by name at the first question.
    pub fn view(&self, managed_system: &str, name: &str) -> HmcView {
        HmcView::new(self.console.clone(), managed_system, name, None)
    }

    /// Power over one partition. With a pin it tells of a partition of another UUID and refuses to switch it; without one
    /// it stays bound to the UUID found first.
    pub fn control(
        &self,
        managed_system: &str,
        name: &str,
        pinned: Option<PartitionUuid>,
    ) -> HmcControl {
        HmcControl::new(HmcView::new(
            self.console.clone(),
            managed_system,
            name,
            pinned,
        ))
    }

    /// Text for the console's audit log from now on, for requests that no [`crate::site::errand`] names.
    pub fn audit(&self, text: &str) {
        self.console.sessions.set_audit(text);
    }

    /// Logs off. A later question logs on again.
    pub async fn close(&self) {
        self.console.sessions.close().await;
    }
}
