//! Reading one VIOS.

use super::lsmap::{self, ServerAdapter};
use super::unique_id::UniqueId;
use super::{HmcVirtualIo, Station, lsdev, plan};
use crate::drivers::hmc::ViosDisk;
use crate::drivers::transport::http::Intent;
use crate::site::{DeviceError, ForeignDevice, VolumePath, WantedVolume};
use std::time::Duration;

/// Longest wait for a usual VIOS command.
pub(super) const COMMAND_LIMIT: Duration = Duration::from_secs(120);

/// What one VIOS says at one time.
pub(super) struct Look {
    pub(super) adapters: Vec<ServerAdapter>,
    pub(super) disks: Vec<ViosDisk>,
}

impl HmcVirtualIo {
    /// Runs one command on the VIOS.
    pub(super) async fn command(
        &self,
        station: &Station,
        command: &str,
        intent: Intent,
        limit: Duration,
    ) -> Result<String, DeviceError> {
        self.clone
            .console()
            .vios_command(&station.system, &station.vios, command, intent, limit)
            .await
    }

    /// The VIOS in the user's words.
    pub(super) fn vios_device(&self, station: &Station) -> String {
        format!("VIOS {} at {}", station.vios.name, self.device())
    }

    pub(super) fn refuse(&self, station: &Station, bad: plan::Bad) -> DeviceError {
        DeviceError::refused(self.vios_device(station), bad.code, bad.text)
    }

    /// Mappings by the VIOS's own word, disks by the console's list; the clone's adapters must be there.
    pub(super) async fn look(&self, station: &Station) -> Result<Look, DeviceError> {
        let command = "lsmap -all -fmt :";
        let text = self
            .command(station, command, Intent::Read, COMMAND_LIMIT)
            .await?;
        let adapters = lsmap::parse(&text)
            .map_err(|bad| DeviceError::unreachable(self.vios_device(station), bad))?;
        plan::check_adapters(
            &station.served,
            &adapters,
            station.clone_id,
            &self.clone.label(),
        )
        .map_err(|bad| self.refuse(station, bad))?;
        let disks = self.clone.console().vios_disks(&station.vios).await?;
        let mut look = Look { adapters, disks };
        self.identify_mapped(station, &mut look).await?;
        Ok(look)
    }

    /// A disk behind the clone's adapter that the console does not list (only `Defined`, or a partial list) is asked
    /// for by itself: an incomplete list must never look like "not mapped".
    async fn identify_mapped(&self, station: &Station, look: &mut Look) -> Result<(), DeviceError> {
        let unlisted: Vec<String> = look
            .adapters
            .iter()
            .filter(|a| station.served.vhosts.contains(&a.vhost))
            .flat_map(|a| &a.devices)
            .filter(|d| is_disk_name(&d.backing))
            .filter(|d| {
                !look
                    .disks
                    .iter()
                    .any(|k| k.name == d.backing && k.uid.is_some())
            })
            .map(|d| d.backing.clone())
            .collect();
        for name in unlisted {
            let command = format!("lsdev -dev {name} -attr unique_id");
            let told = self
                .command(station, &command, Intent::Read, COMMAND_LIMIT)
                .await;
            let uid = match told {
                Ok(text) => lsdev::attribute(&text)
                    .and_then(UniqueId::parse)
                    .and_then(|id| id.storage_uid()),
                // The VIOS itself no longer knows the disk: what is mapped there is none of the wanted volumes.
                Err(DeviceError::Refused { .. }) => None,
                Err(error) => return Err(error),
            };
            if uid.is_some() {
                look.disks.push(ViosDisk {
                    name,
                    uid,
                    no_reserve: false,
                });
            }
        }
        Ok(())
    }

    pub(super) async fn observe_one(
        &self,
        station: &Station,
        wanted: &[WantedVolume],
    ) -> Result<(Vec<VolumePath>, Vec<ForeignDevice>), DeviceError> {
        let turn = self.clone.console().vios_turn(&station.vios.uuid);
        let _turn = turn.lock().await;
        let look = self.look(station).await?;
        let served = &station.served;
        let path = |w: &WantedVolume| plan::path(served, &look.adapters, &look.disks, &w.uid);
        let ours = served.volumes.iter().map(|(w, _)| path(w));
        // A VIOS that does not serve a volume must not map it either, to nobody.
        let left = served.left_out.iter().map(path);
        let left = left.filter(|p| p.mapped_as.is_some() || !p.mapped_elsewhere.is_empty());
        let paths = ours.chain(left).collect();
        let foreign = plan::foreign(served, &look.adapters, &look.disks, wanted);
        Ok((paths, foreign))
    }
}

/// `hdisk` or `hdiskpower` and a number; files and logical volumes have no identity to ask for.
fn is_disk_name(text: &str) -> bool {
    let number = text
        .strip_prefix("hdiskpower")
        .or_else(|| text.strip_prefix("hdisk"));
    number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}
