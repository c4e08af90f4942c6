//! What a VIOS maps and which disks it has, and the ports of a partition (`hmc.md` §§ 2.2, 5.5).

use super::xml;
use crate::drivers::vios::unique_id::{UniqueId, page_83};
use crate::site::{PartitionUuid, Uid, Wwpn};
use roxmltree::Node;

/// A disk that a VIOS sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ViosDisk {
    /// `hdisk5`.
    pub(crate) name: String,
    /// Storage identity, when it has a readable one.
    pub(crate) uid: Option<Uid>,
    /// `reserve_policy=no_reserve` is set.
    pub(crate) no_reserve: bool,
}

/// One virtual SCSI mapping with storage behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mapping {
    pub(super) client: Option<PartitionUuid>,
    pub(super) client_id: Option<i32>,
    pub(super) backing: ViosDisk,
}

fn disk(volume: Node<'_, '_>) -> Option<ViosDisk> {
    let field = |name: &str| xml::child_text(volume, name);
    let by_odm = field("VolumeUniqueID").and_then(|t| UniqueId::parse(&t)?.storage_uid());
    Some(ViosDisk {
        name: field("VolumeName")?,
        uid: by_odm.or_else(|| field("DescriptorPage83").and_then(|t| page_83(&t))),
        no_reserve: field("ReservePolicy").as_deref() == Some("NoReserve"),
    })
}

/// All physical volumes of a VIOS entry (`group=ViosStorage`), each once: a disk is shown under every port that
/// reaches it. `None` when it is no VIOS.
pub(crate) fn disks(body: &str) -> Option<Vec<ViosDisk>> {
    let document = xml::parse(body)?;
    let vios = xml::objects(&document, "VirtualIOServer")
        .into_iter()
        .next()?;
    let mut disks: Vec<ViosDisk> = Vec::new();
    for volume in vios.descendants() {
        if volume.tag_name().name() != "PhysicalVolume" {
            continue;
        }
        let Some(found) = disk(volume) else { continue };
        if !disks
            .iter()
            .any(|d| d.name == found.name && d.uid == found.uid)
        {
            disks.push(found);
        }
    }
    Some(disks)
}

/// The mappings of a VIOS entry (`group=ViosSCSIMapping`) that have storage. Optical media are no disks. `None` when it
/// is no VIOS.
pub(super) fn mappings(body: &str) -> Option<Vec<Mapping>> {
    let document = xml::parse(body)?;
    let vios = xml::objects(&document, "VirtualIOServer")
        .into_iter()
        .next()?;
    let all = vios
        .descendants()
        .filter(|n| n.tag_name().name() == "VirtualSCSIMapping");
    Some(all.filter_map(mapping).collect())
}

fn mapping(mapping: Node<'_, '_>) -> Option<Mapping> {
    let storage = xml::child(mapping, "Storage")?;
    let kind = storage
        .children()
        .find(|n| n.is_element() && n.tag_name().name() != "Metadata")?;
    let backing = match kind.tag_name().name() {
        "VirtualOpticalMedia" => return None,
        "PhysicalVolume" => disk(kind).unwrap_or_else(|| unidentified(mapping, kind)),
        // Logical volume, file, shared storage pool: a disk of the client without an identity of the array.
        _ => unidentified(mapping, kind),
    };
    Some(Mapping {
        client: xml::child(mapping, "AssociatedLogicalPartition")
            .and_then(xml::href_tail)
            .map(PartitionUuid::new),
        client_id: xml::at(mapping, &["ClientAdapter", "LocalPartitionID"])
            .and_then(xml::text)
            .and_then(|t| t.parse().ok()),
        backing,
    })
}

/// A disk of the client of which only the name is known: it must be told, or it would look as if it were not mapped.
fn unidentified(mapping: Node<'_, '_>, kind: Node<'_, '_>) -> ViosDisk {
    let name = ["DiskName", "UnitName", "LogicalUnitName", "VolumeName"]
        .iter()
        .find_map(|name| xml::child_text(kind, name))
        .or_else(|| {
            let server = xml::child(mapping, "ServerAdapter")?;
            xml::child_text(server, "BackingDeviceName")
        });
    ViosDisk {
        name: name.unwrap_or_else(|| kind.tag_name().name().to_owned()),
        uid: None,
        no_reserve: false,
    }
}

/// Partition ids of the VIOSes to which a partition's virtual SCSI client adapters connect; `None` when one connects to
/// any, or it cannot be read. This is hypervisor data: it is right even when a VIOS does not answer.
pub(super) fn serving_vioses(body: &str) -> Option<Vec<i32>> {
    of_each(body, "VirtualSCSIClientAdapter", |adapter| {
        partition_id(adapter, "RemoteLogicalPartitionID")
    })
}

/// As [`serving_vioses`], for virtual Fibre Channel client adapters.
pub(super) fn fibre_channel_vioses(body: &str) -> Option<Vec<i32>> {
    of_each(body, "VirtualFibreChannelClientAdapter", |adapter| {
        partition_id(adapter, "ConnectingPartitionID")
    })
}

/// World wide port names of a partition's virtual Fibre Channel adapters, one list per adapter.
pub(super) fn ports(body: &str) -> Option<Vec<Vec<Wwpn>>> {
    of_each(body, "VirtualFibreChannelClientAdapter", |adapter| {
        let names = xml::child_text(adapter, "WWPNs")?;
        Some(names.split_whitespace().map(Wwpn::new).collect())
    })
}

/// What `read` finds in each adapter of a feed; a partition without any has an empty body. `None` when one cannot be read.
fn of_each<T>(body: &str, kind: &str, read: impl Fn(Node<'_, '_>) -> Option<T>) -> Option<Vec<T>> {
    if body.trim().is_empty() {
        return Some(Vec::new());
    }
    let document = xml::parse(body)?;
    let adapters = xml::objects(&document, kind).into_iter();
    adapters.map(read).collect()
}

/// 65535 stands for any partition.
fn partition_id(adapter: Node<'_, '_>, field: &str) -> Option<i32> {
    let id = xml::child_text(adapter, field)?.parse().ok()?;
    (id != 65535).then_some(id)
}

/// One virtual Fibre Channel adapter as a VIOS serves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FibreChannelMapping {
    pub(super) client_id: Option<i32>,
    pub(super) wwpns: Vec<Wwpn>,
    /// A physical port of the VIOS stands behind it.
    pub(super) connected: bool,
}

/// Mappings of a VIOS entry (`group=ViosFCMapping`): `Port` is absent when the adapter is not mapped (`hmc.md` § 2.2).
pub(super) fn fibre_channel(body: &str) -> Option<Vec<FibreChannelMapping>> {
    let document = xml::parse(body)?;
    let vios = xml::objects(&document, "VirtualIOServer")
        .into_iter()
        .next()?;
    let all = vios
        .descendants()
        .filter(|n| n.tag_name().name() == "VirtualFibreChannelMapping");
    let read = all.map(|mapping| {
        let client = |name| xml::at(mapping, &["ClientAdapter", name]).and_then(xml::text);
        FibreChannelMapping {
            client_id: client("LocalPartitionID").and_then(|t| t.parse().ok()),
            wwpns: client("WWPNs")
                .map(|t| t.split_whitespace().map(Wwpn::new).collect())
                .unwrap_or_default(),
            connected: xml::child(mapping, "Port").is_some(),
        }
    });
    Some(read.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vios(mappings: &str) -> String {
        format!(
            "<V:VirtualIOServer xmlns:V='u' xmlns='u'><VirtualSCSIMappings>{mappings}</VirtualSCSIMappings></V:VirtualIOServer>"
        )
    }

    #[test]
    fn an_optical_medium_is_no_disk_and_a_file_is_one_without_identity() {
        let body = vios(
            "<VirtualSCSIMapping><Storage><VirtualOpticalMedia/></Storage></VirtualSCSIMapping><VirtualSCSIMapping/><VirtualSCSIMapping><Storage><VirtualDisk><DiskName>lv1</DiskName></VirtualDisk></Storage></VirtualSCSIMapping>",
        );
        let mappings = mappings(&body).unwrap();
        assert_eq!(mappings.len(), 1);
        assert_eq!(mappings[0].backing.name, "lv1");
        assert_eq!(mappings[0].backing.uid, None);
    }

    #[test]
    fn a_volume_without_a_name_is_still_told() {
        let body = vios(
            "<VirtualSCSIMapping><ServerAdapter><BackingDeviceName>hdisk7</BackingDeviceName></ServerAdapter><Storage><Metadata/><PhysicalVolume/></Storage></VirtualSCSIMapping>",
        );
        let mappings = mappings(&body).unwrap();
        assert_eq!(mappings[0].backing.name, "hdisk7");
        assert_eq!(mappings[0].backing.uid, None);
    }

    #[test]
    fn an_adapter_that_connects_to_any_vios_leaves_the_question_open() {
        let feed = |id: &str| {
            format!(
                "<feed><entry><content><A:VirtualSCSIClientAdapter xmlns:A='u' xmlns='u'><RemoteLogicalPartitionID>{id}</RemoteLogicalPartitionID></A:VirtualSCSIClientAdapter></content></entry></feed>"
            )
        };
        assert_eq!(serving_vioses(&feed("2")), Some(vec![2]));
        assert_eq!(serving_vioses(&feed("65535")), None);
        assert_eq!(serving_vioses("no xml"), None);
    }
}
