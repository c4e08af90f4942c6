//! Pure part: whose host objects these are, and what their mappings mean for the clone.

use crate::site::{
    ForeignDevice, HostObject, HostVolume, MappedVolume, VirtualIoState, VolumePath, WantedVolume,
    Wwpn,
};

/// Something a person must change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bad {
    pub(super) code: &'static str,
    pub(super) text: String,
}

impl Bad {
    pub(super) fn new(code: &'static str, text: String) -> Self {
        Self { code, text }
    }
}

fn list<T: ToString>(items: impl Iterator<Item = T>) -> String {
    let texts: Vec<String> = items.map(|i| i.to_string()).collect();
    texts.join(", ")
}

/// The clone's ports, both of every adapter; none of them may be production's.
pub(super) fn ports(adapters: &[Vec<Wwpn>], of_source: &[Wwpn]) -> Result<Vec<Wwpn>, Bad> {
    let ports: Vec<Wwpn> = adapters.concat();
    if ports.is_empty() {
        return Err(Bad::new(
            "NoFibreChannel",
            "the console shows no virtual Fibre Channel client adapter at the clone's partition: correct clone.partition, or write virtualIo.vscsi instead of virtualIo.npiv".to_owned(),
        ));
    }
    match ports.iter().find(|p| of_source.contains(p)) {
        Some(port) => Err(Bad::new(
            "PortOfSource",
            format!(
                "WWPN {port} is shown by the console at the clone and at the source: what is mapped to it is production's; correct clone.partition or the adapters"
            ),
        )),
        None => Ok(ports),
    }
}

/// The host objects must hold the clone's ports and nothing else: through any other port somebody else would see, and
/// write to, what is mapped for the clone.
pub(super) fn check_hosts(
    hosts: &[HostObject],
    ports: &[Wwpn],
    of_source: &[Wwpn],
    swap: bool,
) -> Result<(), Bad> {
    if hosts.is_empty() {
        return Err(Bad::new(
            "HostUnknown",
            format!(
                "no host object of the array holds any WWPN of the clone ({}): create one with exactly these (mkhost -fcwwpn), and zone them",
                list(ports.iter())
            ),
        ));
    }
    for host in hosts {
        check_strangers(host, ports, of_source)?;
    }
    if !swap {
        return Ok(());
    }
    if hosts.len() > 1 {
        return Err(Bad::new(
            "SeveralHosts",
            format!(
                "the clone's WWPNs are spread over host objects {}: with swapHostMappings: true put all of them into one (addhostport), a second mapping of a volume would need force",
                list(hosts.iter().map(|h| &h.name))
            ),
        ));
    }
    let all = || {
        hosts
            .iter()
            .flat_map(|h| h.volumes.iter().map(move |v| (h, v)))
    };
    match all().find(|(_, v)| v.shared) {
        Some((host, volume)) => Err(Bad::new(
            "SharedMapping",
            format!(
                "volume {} is mapped to the host cluster of host {}: with swapHostMappings: true take the host out of its cluster, mappings must be its own",
                volume.name, host.name
            ),
        )),
        None => Ok(()),
    }
}

fn check_strangers(host: &HostObject, ports: &[Wwpn], of_source: &[Wwpn]) -> Result<(), Bad> {
    let strangers: Vec<&Wwpn> = host.ports.iter().filter(|p| !ports.contains(p)).collect();
    if let Some(port) = strangers.iter().find(|p| of_source.contains(p)) {
        return Err(Bad::new(
            "HostOfSource",
            format!(
                "host {} of the array holds WWPN {port} of the source beside the clone's: nothing is mapped or unmapped there; give the clone a host object of its own",
                host.name
            ),
        ));
    }
    if strangers.is_empty() {
        return Ok(());
    }
    Err(Bad::new(
        "HostOfOthers",
        format!(
            "host {} of the array also holds WWPNs that the console does not show at the clone: {}; whoever has them would see the clone's volumes: take them out of it (rmhostport)",
            host.name,
            list(strangers.into_iter())
        ),
    ))
}

/// SCSI id of the volume with this place in the group: the load source is 0.
fn scsi_id(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// One path per host object and wanted volume. With a swap a volume under another SCSI id than its own counts as mapped,
/// not as usable: it is taken away like any other, and no start follows it.
pub(super) fn state(hosts: &[HostObject], volumes: &[MappedVolume], swap: bool) -> VirtualIoState {
    let mut state = VirtualIoState::default();
    for host in hosts {
        for (place, volume) in volumes.iter().enumerate() {
            let mapped = host.volumes.iter().find(|v| v.uid == volume.uid);
            let displaced = swap && mapped.is_some_and(|m| m.scsi_id != scsi_id(place));
            let elsewhere = volume.hosts.iter();
            state.paths.push(VolumePath {
                vios: host.name.clone(),
                uid: volume.uid.clone(),
                disks: if displaced {
                    Vec::new()
                } else {
                    vec![volume.name.clone()]
                },
                mapped_as: mapped.map(|m| format!("SCSI id {}", m.scsi_id)),
                mapped_elsewhere: elsewhere
                    .filter(|h| hosts.iter().all(|ours| ours.name != **h))
                    .cloned()
                    .collect(),
            });
        }
        let others = host
            .volumes
            .iter()
            .filter(|seen| volumes.iter().all(|v| v.uid != seen.uid));
        let devices = others.map(|v| ForeignDevice {
            place: format!("{}/SCSI id {}/{}", host.name, v.scsi_id, v.name),
            uid: Some(v.uid.clone()),
        });
        state.foreign.extend(devices);
    }
    state
}

/// Names of the volumes that the host sees, in the order given.
pub(super) fn to_unmap(host: &HostObject, volumes: &[MappedVolume]) -> Vec<String> {
    let seen = |v: &&MappedVolume| host.volumes.iter().any(|m| m.uid == v.uid);
    volumes
        .iter()
        .filter(seen)
        .map(|v| v.name.clone())
        .collect()
}

/// SCSI id and name of every volume that is still to be mapped, load source first. Everything is checked before the first
/// command.
pub(super) fn to_map(
    host: &HostObject,
    volumes: &[MappedVolume],
) -> Result<Vec<(u32, String)>, Bad> {
    let strange = |v: &&HostVolume| volumes.iter().all(|w| w.uid != v.uid);
    if let Some(other) = host.volumes.iter().find(strange) {
        return Err(Bad::new(
            "ForeignMapping",
            format!(
                "host {} of the clone has volume {} under SCSI id {}, which is none of this run's: remove it (rmvdiskhostmap), two systems' disks must never be seen together",
                host.name, other.name, other.scsi_id
            ),
        ));
    }
    let mut left = Vec::new();
    for (place, volume) in volumes.iter().enumerate() {
        if let Some(other) = volume.hosts.iter().find(|h| **h != host.name) {
            return Err(Bad::new(
                "VolumeMappedElsewhere",
                format!(
                    "volume {} is mapped to host {other}, which is not the clone's: remove that mapping (rmvdiskhostmap)",
                    volume.name
                ),
            ));
        }
        let wanted = scsi_id(place);
        match host.volumes.iter().find(|m| m.uid == volume.uid) {
            None => left.push((wanted, volume.name.clone())),
            Some(mapped) if mapped.scsi_id == wanted => {}
            Some(mapped) => {
                return Err(Bad::new(
                    "ScsiIdTaken",
                    format!(
                        "volume {} is mapped to host {} under SCSI id {}, not {wanted}: somebody mapped it by hand; remove that mapping (rmvdiskhostmap) and run again",
                        volume.name, host.name, mapped.scsi_id
                    ),
                ));
            }
        }
    }
    Ok(left)
}

/// What stops no run: a port that the array does not know is only missed when the partition moves, or when its fabric is
/// the one that is left.
pub(super) fn remarks(
    adapters: &[Vec<Wwpn>],
    hosts: &[HostObject],
    volumes: &[WantedVolume],
) -> Vec<String> {
    let known = |port: &&Wwpn| hosts.iter().any(|h| h.ports.contains(port));
    let missing: Vec<&Wwpn> = adapters.iter().flatten().filter(|p| !known(p)).collect();
    let mut remarks = Vec::new();
    if !missing.is_empty() {
        remarks.push(format!(
            "no host object of the array holds WWPN {} of the clone: add both WWPNs of every adapter (addhostport), the second is used when the partition moves",
            list(missing.into_iter())
        ));
    }
    for adapter in adapters.iter().filter(|a| a.len() != 2) {
        remarks.push(format!(
            "a virtual Fibre Channel adapter of the clone shows {} WWPNs at the console, not 2: {}",
            adapter.len(),
            list(adapter.iter())
        ));
    }
    for host in hosts {
        let ours = |v: &&HostVolume| volumes.iter().any(|w| w.uid == v.uid);
        let first = host.volumes.iter().find(ours);
        if let (Some(first), Some(load_source)) = (first, volumes.first())
            && first.uid != load_source.uid
        {
            remarks.push(format!(
                "host {} has {} under the lowest SCSI id, not the load source {}: if the clone does not find its load source, map them in the order of the consistency group",
                host.name, first.name, load_source.uid
            ));
        }
    }
    remarks
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
