//! Volumes of a clone with virtual Fibre Channel adapters: no VIOS maps anything, the array maps the targets to the host
//! object that holds the clone's WWPNs (`hmc.md` § 2.2, `storage-virtualize.md` § 5).
//!
//! Who the clone is at the array is found anew at every look: the console tells its WWPNs, the array the host objects with
//! them. A host object that holds any other port is never touched, whoever that port belongs to.

mod plan;

use crate::site::{
    Attachment, DeviceError, HostMappings, HostObject, MappedVolume, PartitionView, Uid, VirtualIo,
    VirtualIoState, WantedVolume, Wwpn,
};
use async_trait::async_trait;
use plan::Bad;
use std::sync::Arc;

/// In messages, where no single device is meant.
const DEVICE: &str = "virtual Fibre Channel";

/// The clone's volumes at the array.
pub struct NpivVirtualIo {
    clone: Arc<dyn PartitionView>,
    source: Arc<dyn PartitionView>,
    array: Arc<dyn HostMappings>,
    /// Mappings are removed and made by runs; else they are only read.
    swap: bool,
}

/// What console and array say at one time, proved to be the clone's alone.
struct Look {
    hosts: Vec<HostObject>,
    volumes: Vec<MappedVolume>,
}

fn refused(bad: Bad) -> DeviceError {
    DeviceError::refused(DEVICE, bad.code, bad.text)
}

impl NpivVirtualIo {
    /// `source` is asked for production's WWPNs only, so that none of them is ever taken for the clone's.
    pub fn new(
        clone: Arc<dyn PartitionView>,
        source: Arc<dyn PartitionView>,
        array: Arc<dyn HostMappings>,
        swap: bool,
    ) -> Self {
        Self {
            clone,
            source,
            array,
            swap,
        }
    }

    /// Production's ports. A console that has no such partition tells none: then the clone's host objects are still known
    /// to hold the clone's ports only.
    async fn source_ports(&self) -> Result<Vec<Wwpn>, DeviceError> {
        match self.source.fibre_channel().await {
            Ok(adapters) => Ok(adapters.concat()),
            Err(DeviceError::Refused { .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// The clone's adapters and host objects, proved to be its alone.
    async fn hosts(&self) -> Result<(Vec<Vec<Wwpn>>, Vec<HostObject>), DeviceError> {
        let adapters = self.clone.fibre_channel().await?;
        let of_source = self.source_ports().await?;
        let ports = plan::ports(&adapters, &of_source).map_err(refused)?;
        let hosts = self.array.hosts_of(&ports).await?;
        plan::check_hosts(&hosts, &ports, &of_source, self.swap).map_err(refused)?;
        Ok((adapters, hosts))
    }

    async fn look(&self, volumes: &[WantedVolume]) -> Result<Look, DeviceError> {
        let (_, hosts) = self.hosts().await?;
        let uids: Vec<Uid> = volumes.iter().map(|v| v.uid.clone()).collect();
        let volumes = self.array.volumes(&uids).await?;
        Ok(Look { hosts, volumes })
    }

    /// The one host object that runs may change, with what is to be done there.
    fn only_host<'a>(&self, look: &'a Look) -> Result<&'a HostObject, DeviceError> {
        match look.hosts.as_slice() {
            [host] if self.swap => Ok(host),
            _ => Err(refused(Bad::new(
                "MappingsFixed",
                "host mappings are only read here: set virtualIo.npiv.swapHostMappings: true to let runs change them".to_owned(),
            ))),
        }
    }

    /// Sentences about VIOSes and vSCSI; what cannot be asked is a sentence too.
    async fn about_paths(&self, remarks: &mut Vec<String>) {
        match self.clone.attachments().await {
            Ok(found) => remarks.extend(found.into_iter().filter_map(|a| match a {
                Attachment::Volume { vios, disk, .. } => Some(format!(
                    "VIOS {vios} maps {disk} to a virtual SCSI adapter of the clone, beside its virtual Fibre Channel adapters: the clone would see a disk of another system, remove that mapping (rmvdev -vtd)"
                )),
                Attachment::Ports(_) => None,
            })),
            Err(error) => remarks.push(format!(
                "whether the clone has virtual SCSI disks beside its virtual Fibre Channel adapters is not known: {error}"
            )),
        }
        match self.clone.unconnected().await {
            Ok(left) => remarks.extend(left.into_iter().map(|(vios, wwpn)| {
                format!("VIOS {vios} connects the clone's virtual Fibre Channel adapter with WWPN {wwpn} to no physical port: vfcmap -vadapter VFCHOST -fcp FCS there, the clone has one path less")
            })),
            Err(error) => remarks.push(format!(
                "whether the VIOSes connect the clone's virtual Fibre Channel adapters is not known: {error}"
            )),
        }
    }
}

#[async_trait]
impl VirtualIo for NpivVirtualIo {
    async fn observe(&self, volumes: &[WantedVolume]) -> Result<VirtualIoState, DeviceError> {
        let look = self.look(volumes).await?;
        Ok(plan::state(&look.hosts, &look.volumes, self.swap))
    }

    async fn unmap(&self, volumes: &[WantedVolume]) -> Result<(), DeviceError> {
        let look = self.look(volumes).await?;
        let host = self.only_host(&look)?;
        for name in plan::to_unmap(host, &look.volumes) {
            self.array.unmap(&host.name, &name).await?;
        }
        Ok(())
    }

    async fn map(&self, volumes: &[WantedVolume]) -> Result<(), DeviceError> {
        let look = self.look(volumes).await?;
        let host = self.only_host(&look)?;
        for (scsi_id, name) in plan::to_map(host, &look.volumes).map_err(refused)? {
            self.array.map(&host.name, &name, scsi_id).await?;
        }
        Ok(())
    }

    async fn remarks(&self, volumes: &[WantedVolume]) -> Vec<String> {
        let mut remarks = Vec::new();
        self.about_paths(&mut remarks).await;
        // What makes the look fail has been told by `observe`.
        if let Ok((adapters, hosts)) = self.hosts().await {
            remarks.extend(plan::remarks(&adapters, &hosts, volumes));
        }
        remarks
    }
}
