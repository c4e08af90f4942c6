//! A simulated site with all its servers, for `simulate` and `demo`: where they listen, who may log in, what they saw.

use super::CommandError;
use crate::simulators::Shared;
use crate::simulators::ledger::{RequestLine, Violation};
use crate::simulators::world::file::WorldFile;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

/// Where the simulated devices listen. All of them are on loopback, and none of them is real.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoints {
    /// REST APIs of the consoles, `https://127.0.0.1:port`.
    pub hmc: Vec<String>,
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
}

impl SimulatedSite {
    /// Starts every server of a world. `scale` = world seconds per second.
    ///
    /// # Errors
    /// A world that contradicts itself, or a socket that cannot be opened.
    pub async fn start(file: &WorldFile, scale: f64) -> Result<Self, CommandError> {
        let _ = (file, scale);
        Err(CommandError::Other(
            "this build has no simulated devices: their servers are missing".to_owned(),
        ))
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
    pub fn last_report(&self) -> Report {
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
