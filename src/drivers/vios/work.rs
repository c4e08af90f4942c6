//! Changing one VIOS: never with force, only virtual target devices of the wanted volumes on the clone's adapters.

use super::look::{COMMAND_LIMIT, Look};
use super::plan::{self, Bad};
use super::unique_id::UniqueId;
use super::{HmcVirtualIo, Station, lsdev};
use crate::drivers::hmc::ViosDisk;
use crate::drivers::transport::http::Intent;
use crate::site::{DeviceError, WantedVolume};
use std::time::Duration;

/// cfgdev waits for every dead path (`hmc.md` § 5.2: minutes).
const CFGDEV_LIMIT: Duration = Duration::from_secs(600);

impl HmcVirtualIo {
    pub(super) async fn unmap_one(&self, station: &Station) -> Result<(), DeviceError> {
        let turn = self.clone.console().vios_turn(&station.vios.uuid);
        let _turn = turn.lock().await;
        let look = self.look(station).await?;
        let names: Vec<&ViosDisk> = station
            .served
            .volumes
            .iter()
            .map(|(w, _)| w)
            .chain(&station.served.left_out)
            .flat_map(|w| plan::disks_of(&w.uid, &look.disks))
            .collect();
        for adapter in &look.adapters {
            if !station.served.vhosts.contains(&adapter.vhost) {
                continue;
            }
            let ours = adapter
                .devices
                .iter()
                .filter(|d| names.iter().any(|n| n.name == d.backing));
            for device in ours {
                self.remove_device(station, &device.vtd).await?;
            }
        }
        for disk in names {
            self.forget_disk(station, &look, disk).await?;
        }
        Ok(())
    }

    async fn remove_device(&self, station: &Station, vtd: &str) -> Result<(), DeviceError> {
        let command = format!("rmvdev -vtd {vtd}");
        let removed = self
            .command(station, &command, Intent::Effect, COMMAND_LIMIT)
            .await;
        match removed {
            Ok(_) => Ok(()),
            // Somebody was quicker: it is not there, which is what was wanted.
            Err(error) if error.code() == Some("0514-519") => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Takes the disk out of the VIOS, so that it does not meet the errors of a target being prepared, and reads the
    /// new image afresh. That it stays is not fatal (`hmc.md` § 2.3).
    async fn forget_disk(
        &self,
        station: &Station,
        look: &Look,
        disk: &ViosDisk,
    ) -> Result<(), DeviceError> {
        let mapped_by_others = look.adapters.iter().any(|a| {
            !station.served.vhosts.contains(&a.vhost)
                && a.devices.iter().any(|d| d.backing == disk.name)
        });
        if mapped_by_others {
            return Ok(());
        }
        let command = format!("rmdev -dev {}", disk.name);
        let gone = self
            .command(station, &command, Intent::Effect, COMMAND_LIMIT)
            .await;
        match gone {
            Ok(_) => Ok(()),
            Err(error @ DeviceError::Indeterminate { .. }) => Err(error),
            Err(error) => {
                tracing::warn!(%error, vios = station.vios.name, disk = disk.name, "the disk stays on the VIOS");
                Ok(())
            }
        }
    }

    pub(super) async fn map_one(&self, station: &Station) -> Result<(), DeviceError> {
        let turn = self.clone.console().vios_turn(&station.vios.uuid);
        let _turn = turn.lock().await;
        let mut look = self.look(station).await?;
        let missing = |look: &Look| {
            station
                .served
                .volumes
                .iter()
                .any(|(w, _)| plan::disks_of(&w.uid, &look.disks).is_empty())
        };
        if missing(&look) {
            self.command(station, "cfgdev", Intent::Effect, CFGDEV_LIMIT)
                .await?;
            look.disks = self.clone.console().vios_disks(&station.vios).await?;
        }
        // All are judged before the first is mapped: a half-mapped clone helps nobody.
        let mut todo = Vec::new();
        for (wanted, vhost) in &station.served.volumes {
            let ready = judge(station, &look, wanted).map_err(|bad| self.refuse(station, bad))?;
            if let Some(disk) = ready {
                todo.push((wanted, vhost, disk));
            }
        }
        for (wanted, vhost, disk) in todo {
            self.map_disk(station, wanted, vhost, disk).await?;
        }
        Ok(())
    }

    async fn map_disk(
        &self,
        station: &Station,
        wanted: &WantedVolume,
        vhost: &str,
        disk: &ViosDisk,
    ) -> Result<(), DeviceError> {
        self.still_that_disk(station, wanted, disk).await?;
        let name = &disk.name;
        if !disk.no_reserve {
            // Two VIOSes share the disk; a reservation of one would lock the other out.
            let command = format!("chdev -dev {name} -attr reserve_policy=no_reserve");
            self.command(station, &command, Intent::Effect, COMMAND_LIMIT)
                .await?;
        }
        // Without -f: with it the VIOS maps a disk that another client writes to.
        let command = format!("mkvdev -vdev {name} -vadapter {vhost} -dev {}", wanted.vtd);
        self.command(station, &command, Intent::Effect, COMMAND_LIMIT)
            .await?;
        Ok(())
    }

    /// hdisk numbers move when somebody removes and finds disks: the identity is read again just before the disk is
    /// used.
    async fn still_that_disk(
        &self,
        station: &Station,
        wanted: &WantedVolume,
        disk: &ViosDisk,
    ) -> Result<(), DeviceError> {
        let command = format!("lsdev -dev {} -attr unique_id", disk.name);
        let text = self
            .command(station, &command, Intent::Read, COMMAND_LIMIT)
            .await?;
        let told = lsdev::attribute(&text).and_then(UniqueId::parse);
        match told.as_ref().map(UniqueId::storage_uid) {
            Some(Some(uid)) if uid == wanted.uid => Ok(()),
            // An identity without the array's number (T10): the console's page 83 stands.
            Some(None) => Ok(()),
            Some(Some(other)) => Err(DeviceError::busy(
                self.vios_device(station),
                format!(
                    "{} is now disk {other}, no longer {}: somebody renumbers disks; looked at again",
                    disk.name, wanted.uid
                ),
            )),
            None => Err(DeviceError::busy(
                self.vios_device(station),
                format!("the identity of {} cannot be read: {text}", disk.name),
            )),
        }
    }
}

/// The disk to map, or `None` when it is mapped already.
fn judge<'a>(
    station: &Station,
    look: &'a Look,
    wanted: &WantedVolume,
) -> Result<Option<&'a ViosDisk>, Bad> {
    let served = &station.served;
    let vios = &station.vios.name;
    let path = plan::path(served, &look.adapters, &look.disks, &wanted.uid);
    if !path.mapped_elsewhere.is_empty() {
        return Err(Bad::new(
            "MappedElsewhere",
            format!(
                "volume {} ({}) is mapped by {} of VIOS {vios}, which is none of the clone's adapters: remove that mapping there first",
                wanted.uid,
                path.disks.join(", "),
                path.mapped_elsewhere.join(", ")
            ),
        ));
    }
    let disks = plan::disks_of(&wanted.uid, &look.disks);
    let disk = match disks.as_slice() {
        [disk] => *disk,
        [] => {
            return Err(Bad::new(
                "DiskMissing",
                format!(
                    "VIOS {vios} sees no disk with UID {} even after cfgdev: check on the array that the volume is mapped to this VIOS's host, and its zoning",
                    wanted.uid
                ),
            ));
        }
        _ => {
            return Err(Bad::new(
                "DiskAmbiguous",
                format!(
                    "VIOS {vios} sees volume {} as {}: remove the stale ones there (rmdev -dev)",
                    wanted.uid,
                    path.disks.join(" and ")
                ),
            ));
        }
    };
    if path.mapped_as.is_some() {
        return Ok(None);
    }
    let taken = look
        .adapters
        .iter()
        .flat_map(|a| a.devices.iter().map(move |d| (a, d)))
        .find(|(_, d)| d.vtd == wanted.vtd);
    if let Some((adapter, device)) = taken {
        return Err(Bad::new(
            "VtdTaken",
            format!(
                "VIOS {vios} has a device {} already, on {} for {}: remove it there (rmvdev -vtd {})",
                wanted.vtd, adapter.vhost, device.backing, wanted.vtd
            ),
        ));
    }
    Ok(Some(disk))
}
