//! `CopyServices` in process, for the crash matrix: the same commands as over the wire, without a wire.

use super::commands::{Answer, Command, request};
use super::model::{FcMap, MapState, Vdisk, find};
use crate::simulators::Shared;
use crate::simulators::world::World;
use crate::site::*;
use async_trait::async_trait;
use std::time::Duration;

/// The copy of one consistency group of the simulated array.
pub struct ArrayRole {
    shared: Shared,
    group: String,
}

impl ArrayRole {
    /// Bound to one group.
    pub fn new(shared: Shared, group: &str) -> Self {
        Self {
            shared,
            group: group.to_owned(),
        }
    }

    fn command(&self, verb: &str) -> Result<(), DeviceError> {
        self.execute(Command::new(verb, Some(&self.group)))
    }

    fn execute(&self, command: Command) -> Result<(), DeviceError> {
        let verb = command.verb.clone();
        match request(&mut self.shared.now(), command) {
            Answer::Refused { code, text } => {
                Err(DeviceError::refused("simulated array", code, text))
            }
            Answer::UnknownCommand => Err(DeviceError::refused("simulated array", "HTTP404", verb)),
            Answer::Rows(_)
            | Answer::Object(_)
            | Answer::Sections(_)
            | Answer::Created { .. }
            | Answer::Nothing => Ok(()),
        }
    }

    fn group_id(&self, world: &World) -> Result<u32, DeviceError> {
        find(&world.array.groups, &self.group)
            .map(|g| g.id)
            .ok_or_else(|| {
                DeviceError::refused(
                    "simulated array",
                    "CMMVC5754E",
                    format!("no group {}", self.group),
                )
            })
    }
}

fn phase(state: MapState) -> CopyPhase {
    match state {
        MapState::IdleOrCopied => CopyPhase::Idle,
        MapState::Preparing => CopyPhase::Preparing,
        MapState::Prepared => CopyPhase::Prepared,
        MapState::Copying => CopyPhase::Copying,
        MapState::Stopping => CopyPhase::Stopping,
        MapState::Stopped => CopyPhase::Stopped,
        MapState::Suspended => CopyPhase::Suspended,
    }
}

fn group_phase(world: &World, group: u32) -> CopyPhase {
    match world.array.group_state(group) {
        "empty" => CopyPhase::Empty,
        word => MapState::parse(word).map_or(CopyPhase::Suspended, phase),
    }
}

fn volume(world: &World, v: &Vdisk) -> Volume {
    Volume {
        name: v.name.clone(),
        uid: v.uid.clone(),
        capacity_bytes: v.capacity,
        hosts: world
            .array
            .hosts_of(v.id)
            .iter()
            .map(|(_, h)| h.name.clone())
            .collect(),
        status: if world.array.lost(v, world.now).is_none() {
            "online"
        } else {
            "offline"
        }
        .to_owned(),
    }
}

fn members(world: &World, group: u32) -> Vec<FcMap> {
    world
        .array
        .maps
        .values()
        .filter(|m| m.group == Some(group))
        .cloned()
        .collect()
}

#[async_trait]
impl CopyServices for ArrayRole {
    fn family(&self) -> ArrayFamily {
        ArrayFamily::Overwrite
    }

    async fn inventory(&self) -> Result<Inventory, DeviceError> {
        let world = self.shared.now();
        let group = self.group_id(&world)?;
        let array = &world.array;
        let pairs = members(&world, group)
            .iter()
            .filter_map(|m| {
                let (source, target) = (array.vdisks.get(&m.source)?, array.vdisks.get(&m.target)?);
                let others = array
                    .maps
                    .values()
                    .filter(|o| o.source == m.target)
                    .map(|o| o.name.clone());
                Some(CopyPair {
                    name: m.name.clone(),
                    source: volume(&world, source),
                    target: volume(&world, target),
                    phase: phase(m.state),
                    progress: array.progress(m, world.now),
                    copy_rate: m.copy_rate,
                    auto_delete: m.autodelete,
                    remote_controlled: m.rc_controlled,
                    target_is_source_of: others.collect(),
                })
            })
            .collect();
        let fill = array.pools.values().map(|p| {
            (
                p.name.clone(),
                u8::try_from(array.pool_used(p, world.now) * 100 / p.capacity.max(1))
                    .unwrap_or(100),
            )
        });
        Ok(Inventory {
            pairs,
            phase: group_phase(&world, group),
            pool_fill: fill.max_by_key(|(_, f)| *f),
            level: array.level.clone(),
            system: super::system_id(&world),
        })
    }

    async fn volumes_of_ports(&self, ports: &[Wwpn]) -> Result<Vec<Volume>, DeviceError> {
        let world = self.shared.now();
        let uids = super::volumes_of_ports(&world, ports);
        let found = world
            .array
            .vdisks
            .values()
            .filter(|v| uids.contains(&v.uid));
        Ok(found.map(|v| volume(&world, v)).collect())
    }

    async fn observe(&self) -> Result<CopyState, DeviceError> {
        let world = self.shared.now();
        let group = self.group_id(&world)?;
        let maps = members(&world, group);
        let of_group = group_phase(&world, group);
        Ok(CopyState {
            phase: of_group,
            started: maps
                .iter()
                .map(|m| (m.name.clone(), m.start_time.clone()))
                .collect(),
            deviating: maps
                .iter()
                .filter(|m| phase(m.state) != of_group || m.state == MapState::Suspended)
                .map(|m| format!("{} {}", m.name, m.state.as_str()))
                .collect(),
            progress: maps
                .iter()
                .map(|m| world.array.progress(m, world.now))
                .min()
                .unwrap_or(0),
        })
    }

    async fn dependants(&self) -> Result<Vec<String>, DeviceError> {
        let world = self.shared.now();
        let group = self.group_id(&world)?;
        Ok(world
            .array
            .members(group)
            .into_iter()
            .flat_map(|m| world.array.dependants(m))
            .collect())
    }

    async fn prepare(&self) -> Result<(), DeviceError> {
        self.command("prestartfcconsistgrp")
    }

    async fn start(&self) -> Result<(), DeviceError> {
        let wait = self.shared.now().knobs.start_copy_milliseconds;
        let answer = self.command("startfcconsistgrp");
        self.shared.clock().sleep(Duration::from_millis(wait)).await;
        answer
    }

    async fn end(&self) -> Result<(), DeviceError> {
        self.command("stopfcconsistgrp")
    }

    async fn usage(&self) -> Result<Usage, DeviceError> {
        let world = self.shared.now();
        let group = self.group_id(&world)?;
        let targets: Vec<Vdisk> = members(&world, group)
            .iter()
            .filter_map(|m| world.array.vdisks.get(&m.target))
            .cloned()
            .collect();
        let used: u64 = targets
            .iter()
            .map(|v| world.array.used_by(v, world.now))
            .sum();
        let capacity: u64 = targets.iter().map(|v| v.capacity).sum();
        let progress = members(&world, group)
            .iter()
            .map(|m| world.array.progress(m, world.now))
            .min();
        Ok(Usage {
            disk_used_percent: (used * 100)
                .checked_div(capacity)
                .and_then(|p| u8::try_from(p).ok()),
            progress: progress.unwrap_or(0),
        })
    }
}

#[async_trait]
impl HostMappings for ArrayRole {
    async fn hosts_of(&self, ports: &[Wwpn]) -> Result<Vec<HostObject>, DeviceError> {
        let world = self.shared.now();
        let array = &world.array;
        let mut found = Vec::new();
        for host in array.hosts.values() {
            let held: Vec<Wwpn> = host.wwpns.iter().map(Wwpn::new).collect();
            if !held.iter().any(|p| ports.contains(p)) {
                continue;
            }
            let volumes = host.luns.iter().filter_map(|(scsi_id, id)| {
                let vdisk = array.vdisks.get(id)?;
                Some(HostVolume {
                    name: vdisk.name.clone(),
                    uid: vdisk.uid.clone(),
                    scsi_id: *scsi_id,
                    shared: false,
                })
            });
            found.push(HostObject {
                name: host.name.clone(),
                ports: held,
                volumes: volumes.collect(),
            });
        }
        Ok(found)
    }

    async fn volumes(&self, uids: &[Uid]) -> Result<Vec<MappedVolume>, DeviceError> {
        let world = self.shared.now();
        let find = |uid: &Uid| {
            let vdisk = world.array.vdisks.values().find(|v| v.uid == *uid);
            let vdisk = vdisk.ok_or_else(|| {
                DeviceError::refused(
                    "simulated array",
                    "VolumeUnknown",
                    format!("no volume {uid}"),
                )
            })?;
            Ok(MappedVolume {
                name: vdisk.name.clone(),
                uid: uid.clone(),
                hosts: volume(&world, vdisk).hosts,
            })
        };
        uids.iter().map(find).collect()
    }

    async fn map(&self, host: &str, volume: &str, scsi_id: u32) -> Result<(), DeviceError> {
        let command = Command::new("mkvdiskhostmap", Some(volume))
            .with("host", host)
            .with("scsi", scsi_id.to_string());
        match self.execute(command) {
            Err(error) if error.code() == Some("CMMVC5878E") => Ok(()),
            other => other,
        }
    }

    async fn unmap(&self, host: &str, volume: &str) -> Result<(), DeviceError> {
        let command = Command::new("rmvdiskhostmap", Some(volume)).with("host", host);
        match self.execute(command) {
            Err(error) if error.code() == Some("CMMVC5842E") => Ok(()),
            Err(DeviceError::Refused { device, code, text }) if code == "CMMVC8855E" => {
                Err(DeviceError::busy(device, format!("{code} {text}")))
            }
            other => other,
        }
    }
}
