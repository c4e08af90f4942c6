//! The week of the examples for simulated devices: the environments that a user finds in `examples/`, with nothing changed
//! but where the devices listen.

use super::objects::{SITE, objects, placeholders};
use crate::api::CloneEnvironment;
use crate::commands::CommandError;
use crate::commands::simulated_site::{Endpoints, SimulatedSite};
use kube::ResourceExt;
use kube::api::DynamicObject;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

/// The simulated devices that the examples name.
pub const WORLD: &str = include_str!("../../../examples/demo/week-world.yaml");
/// Address of production in that world; those of the clones are in their personalities.
const PRODUCTION: &str = "10.0.8.20";

/// The examples: the week, and the night's clone with a program of one's own.
const EXAMPLES: [&str; 5] = [
    include_str!("../../../examples/midday-hold.yaml"),
    include_str!("../../../examples/nightly-user.yaml"),
    include_str!("../../../examples/nightly-brms.yaml"),
    include_str!("../../../examples/weekly-test.yaml"),
    include_str!("../../../examples/sunday-save21.yaml"),
];

/// Where the devices of a site are.
pub struct Places<'a> {
    /// Sockets.
    pub endpoints: &'a Endpoints,
    /// SSH host keys, `SHA256:…`, by partition.
    pub host_keys: &'a BTreeMap<String, String>,
}

impl<'a> From<&'a SimulatedSite> for Places<'a> {
    fn from(site: &'a SimulatedSite) -> Self {
        Self {
            endpoints: &site.endpoints,
            host_keys: &site.host_keys,
        }
    }
}

/// The environments of the examples, on these devices, without a namespace.
///
/// # Errors
/// When the devices have not what an example names.
pub fn environments(places: &Places<'_>) -> Result<Vec<CloneEnvironment>, CommandError> {
    let examples = EXAMPLES.iter();
    examples.map(|text| environment(text, places)).collect()
}

fn environment(text: &str, places: &Places<'_>) -> Result<CloneEnvironment, CommandError> {
    let mut read: CloneEnvironment = serde_saphyr::from_str(text)
        .map_err(|e| CommandError::data(Path::new("examples"), e.to_string()))?;
    let name = read.name_any();
    let missing =
        |what: &str| CommandError::Other(format!("examples/{name}.yaml: its world has no {what}"));
    let socket = |address: &str| {
        let found = places.endpoints.ssh.get(address);
        found.copied().ok_or_else(|| missing(address))
    };
    let key = |partition: &str| {
        let found = places.host_keys.get(partition);
        found.cloned().ok_or_else(|| missing(partition))
    };
    let spec = &mut read.spec;
    let source = &mut spec.source;
    at(&mut source.host, socket(PRODUCTION)?);
    source.host.host_keys = vec![key(&source.partition.name)?];
    let own = spec.clone.personality.interfaces.first();
    let own = own.ok_or_else(|| missing("address of the clone"))?;
    let own = socket(&own.address)?;
    at(&mut spec.clone.host, own);
    let console = spec.console.hmc.as_mut();
    console.ok_or_else(|| missing("HMC"))?.endpoints = places.endpoints.hmc.clone();
    let array = spec.storage.spectrum_virtualize.as_mut();
    array.ok_or_else(|| missing("array"))?.endpoint = places.endpoints.array.clone();
    read.metadata.namespace = None;
    Ok(read)
}

fn at(host: &mut crate::api::clone_side::Host, socket: SocketAddr) {
    host.address = socket.ip().to_string();
    host.port = i32::from(socket.port());
}

/// Secrets and authority of a site for these environments: those of the small site's file.
///
/// # Errors
/// When that file cannot be filled in.
pub fn secrets(site: &SimulatedSite) -> Result<Vec<DynamicObject>, CommandError> {
    let mut found = objects(SITE, &placeholders(site)?)
        .map_err(|why| CommandError::data(Path::new("examples/demo/site.yaml"), why))?;
    found.retain(|o| {
        let kind = o.types.as_ref().map(|t| t.kind.as_str());
        kind != Some("CloneEnvironment")
    });
    Ok(found)
}

/// As `objects::apply` wants them.
///
/// # Errors
/// What cannot be written as JSON.
pub fn dynamic(environment: &CloneEnvironment) -> Result<DynamicObject, CommandError> {
    serde_json::to_value(environment)
        .and_then(serde_json::from_value)
        .map_err(|e| CommandError::other(&e))
}
