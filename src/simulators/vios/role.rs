//! `VirtualIo` in process, for the crash matrix: the same commands as over the wire.

use super::commands::{Output, command};
use crate::simulators::Shared;
use crate::simulators::world::World;
use crate::site::*;
use async_trait::async_trait;

/// The clone's server adapters on every VIOS.
pub struct VirtualIoRole {
    shared: Shared,
    adapters: Vec<(String, String)>,
}

impl VirtualIoRole {
    /// Bound to (VIOS, vhost) pairs.
    pub fn new(shared: Shared, adapters: &[(&str, &str)]) -> Self {
        let adapters = adapters
            .iter()
            .map(|(v, h)| ((*v).to_owned(), (*h).to_owned()))
            .collect();
        Self { shared, adapters }
    }
}

fn run(world: &mut World, vios: &str, line: &str) -> Result<String, DeviceError> {
    let Output { status, text } = command(world, vios, line);
    match status {
        0 => Ok(text),
        _ if text.contains("HSCL3205") => Err(DeviceError::busy(vios, text)),
        _ => Err(DeviceError::refused(vios, format!("rc={status}"), text)),
    }
}

fn disks_of(world: &World, vios: &str, uid: &Uid) -> Vec<String> {
    let disks = world
        .vioses
        .get(vios)
        .map(|v| v.hdisks.as_slice())
        .unwrap_or_default();
    disks
        .iter()
        .filter(|d| d.uid.as_ref() == Some(uid))
        .map(|d| d.name.clone())
        .collect()
}

#[async_trait]
impl VirtualIo for VirtualIoRole {
    async fn observe(&self, volumes: &[WantedVolume]) -> Result<VirtualIoState, DeviceError> {
        let world = self.shared.now();
        let mut state = VirtualIoState::default();
        for (vios, vhost) in &self.adapters {
            let Some(v) = world.vioses.get(vios).filter(|v| v.rmc) else {
                return Err(DeviceError::unreachable(
                    vios,
                    "the VIOS has no RMC session to its console",
                ));
            };
            for wanted in volumes {
                let disks = disks_of(&world, vios, &wanted.uid);
                let on = |here: bool| {
                    v.vtds
                        .iter()
                        .filter(move |t| (&t.vhost == vhost) == here)
                        .filter(|t| disks.contains(&t.hdisk))
                };
                state.paths.push(VolumePath {
                    vios: vios.clone(),
                    uid: wanted.uid.clone(),
                    mapped_as: on(true).map(|t| t.name.clone()).next(),
                    mapped_elsewhere: on(false).map(|t| t.vhost.clone()).collect(),
                    disks: disks.clone(),
                });
            }
            let ours: Vec<String> = volumes
                .iter()
                .flat_map(|w| disks_of(&world, vios, &w.uid))
                .collect();
            let foreign = v
                .vtds
                .iter()
                .filter(|t| &t.vhost == vhost && !ours.contains(&t.hdisk));
            let uid = |hdisk: &str| {
                let disk = v.hdisks.iter().find(|d| d.name == hdisk);
                disk.and_then(|d| d.uid.clone())
            };
            state.foreign.extend(foreign.map(|t| ForeignDevice {
                place: format!("{vios}/{vhost}/{}", t.name),
                uid: uid(&t.hdisk),
            }));
        }
        Ok(state)
    }

    async fn unmap(&self, volumes: &[WantedVolume]) -> Result<(), DeviceError> {
        let mut world = self.shared.now();
        for (vios, vhost) in &self.adapters {
            for wanted in volumes {
                for disk in disks_of(&world, vios, &wanted.uid) {
                    let vtds = world
                        .vioses
                        .get(vios)
                        .map(|v| v.vtds.clone())
                        .unwrap_or_default();
                    for vtd in vtds.iter().filter(|t| t.hdisk == disk && &t.vhost == vhost) {
                        run(&mut world, vios, &format!("rmvdev -vtd {}", vtd.name))?;
                    }
                    if vtds.iter().all(|t| t.hdisk != disk || &t.vhost == vhost) {
                        run(&mut world, vios, &format!("rmdev -dev {disk}"))?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn map(&self, volumes: &[WantedVolume]) -> Result<(), DeviceError> {
        let mut world = self.shared.now();
        for (vios, vhost) in &self.adapters {
            if volumes
                .iter()
                .any(|w| disks_of(&world, vios, &w.uid).is_empty())
            {
                run(&mut world, vios, "cfgdev")?;
            }
            for wanted in volumes {
                let disks = disks_of(&world, vios, &wanted.uid);
                let [disk] = disks.as_slice() else {
                    return Err(DeviceError::refused(
                        vios,
                        "NoDisk",
                        format!("{} has {} disks", wanted.uid, disks.len()),
                    ));
                };
                let mapped = world
                    .vioses
                    .get(vios)
                    .is_some_and(|v| v.vtds.iter().any(|t| &t.hdisk == disk && &t.vhost == vhost));
                if !mapped {
                    run(
                        &mut world,
                        vios,
                        &format!("chdev -dev {disk} -attr reserve_policy=no_reserve"),
                    )?;
                    run(
                        &mut world,
                        vios,
                        &format!("mkvdev -vdev {disk} -vadapter {vhost} -dev {}", wanted.vtd),
                    )?;
                }
            }
        }
        Ok(())
    }
}
