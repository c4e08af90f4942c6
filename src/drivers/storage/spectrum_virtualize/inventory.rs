//! Everything `verify-site` needs of the array, read object by object: an unfiltered list of thousands of volumes may
//! restart the array's REST service (§ 1.1).

use super::client::RestClient;
use super::parse::{self, FcMap, bytes, text};
use crate::site::{CopyPair, CopyPhase, DeviceError, Inventory, Uid, Usage, Volume, Wwpn};
use serde_json::json;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Reads the group's pairs with volumes, host mappings, siblings and pools.
pub(super) async fn read(
    client: &RestClient,
    maps: &[FcMap],
    phase: CopyPhase,
) -> Result<Inventory, DeviceError> {
    let mut pairs = Vec::new();
    let mut pools: Vec<String> = Vec::new();
    for map in maps {
        let (source, _) = volume(client, &map.source).await?;
        let (target, of_target) = volume(client, &map.target).await?;
        pools.extend(of_target);
        let object = client.list("lsfcmap", Some(&map.name), json!({})).await?;
        let auto_delete = object
            .first()
            .is_some_and(|o| text(o, "autodelete") == "on");
        let others = json!({"filtervalue": format!("source_vdisk_name={}", map.target)});
        let others = client.list("lsfcmap", None, others).await?;
        let others = others
            .iter()
            .filter(|r| text(r, "source_vdisk_name") == map.target)
            .map(|r| text(r, "name"));
        pairs.push(CopyPair {
            name: map.name.clone(),
            source,
            target,
            phase: map.phase,
            progress: map.progress,
            copy_rate: map.copy_rate,
            auto_delete,
            remote_controlled: map.rc_controlled,
            target_is_source_of: others.collect(),
        });
    }
    pools.sort();
    pools.dedup();
    let system = client.list("lssystem", None, json!({})).await?;
    let said = |key| system.first().map(|s| text(s, key)).unwrap_or_default();
    Ok(Inventory {
        pairs,
        phase,
        pool_fill: fullest(client, &pools).await?,
        level: said("code_level"),
        system: said("id"),
    })
}

/// Identities of the targets, one read each.
pub(super) async fn targets(client: &RestClient, maps: &[FcMap]) -> Result<Vec<Uid>, DeviceError> {
    let mut uids = Vec::new();
    for map in maps {
        let sections = client
            .list("lsvdisk", Some(&map.target), json!({"bytes": true}))
            .await?;
        let uid = sections.first().map(|s| text(s, "vdisk_UID"));
        let Some(uid) = uid.filter(|uid| !uid.is_empty()) else {
            return Err(no_identity(client, &map.target));
        };
        uids.push(Uid::new(uid));
    }
    Ok(uids)
}

fn no_identity(client: &RestClient, name: &str) -> DeviceError {
    client.refused(
        "UnexpectedAnswer",
        format!("lsvdisk/{name} has no vdisk_UID or capacity in bytes"),
    )
}

/// A volume with the hosts it is mapped to, and its pools.
async fn volume(client: &RestClient, name: &str) -> Result<(Volume, Vec<String>), DeviceError> {
    let sections = client
        .list("lsvdisk", Some(name), json!({"bytes": true}))
        .await?;
    let Some(summary) = sections.first() else {
        return Err(client.refused(
            "UnexpectedAnswer",
            format!("lsvdisk/{name} answered nothing"),
        ));
    };
    let hosts = client.list("lsvdiskhostmap", Some(name), json!({})).await?;
    let mut hosts: Vec<String> = hosts
        .iter()
        .map(|h| text(h, "host_name"))
        .filter(|h| !h.is_empty())
        .collect();
    hosts.sort();
    hosts.dedup();
    let uid = text(summary, "vdisk_UID");
    let capacity = bytes(summary, "capacity");
    let (false, Some(capacity_bytes)) = (uid.is_empty(), capacity) else {
        return Err(no_identity(client, name));
    };
    Ok((
        Volume {
            name: name.to_owned(),
            uid: Uid::new(uid),
            capacity_bytes,
            hosts,
            status: text(summary, "status"),
        },
        parse::pools(&sections),
    ))
}

/// The fullest of the pools. Pool by pool: the list view leaves the physical figures out.
async fn fullest(
    client: &RestClient,
    pools: &[String],
) -> Result<Option<(String, u8)>, DeviceError> {
    let mut worst: Option<(String, u8)> = None;
    for name in pools {
        let rows = client
            .list("lsmdiskgrp", Some(name), json!({"bytes": true}))
            .await?;
        if let Some(fill) = rows.first().and_then(parse::pool_fill)
            && worst.as_ref().is_none_or(|(_, most)| fill > *most)
        {
            worst = Some((name.clone(), fill));
        }
    }
    Ok(worst)
}

/// Volumes of the hosts that hold any of these ports.
pub(super) async fn volumes_of_ports(
    client: &RestClient,
    ports: &[Wwpn],
) -> Result<Vec<Volume>, DeviceError> {
    let mut found: BTreeMap<String, Volume> = BTreeMap::new();
    for host in client.list("lshost", None, json!({})).await? {
        let name = text(&host, "name");
        let detail = client.list("lshost", Some(&name), json!({})).await?;
        let held = detail.first().map(parse::ports).unwrap_or_default();
        if !held.iter().any(|p| ports.contains(p)) {
            continue;
        }
        for row in client
            .list("lshostvdiskmap", Some(&name), json!({}))
            .await?
        {
            let vdisk = text(&row, "vdisk_name");
            if let Entry::Vacant(place) = found.entry(vdisk) {
                let (volume, _) = volume(client, place.key()).await?;
                place.insert(volume);
            }
        }
    }
    Ok(found.into_values().collect())
}

/// Σ used / Σ capacity of the targets; a data reduction pool leaves it blank.
pub(super) async fn usage(client: &RestClient, maps: &[FcMap]) -> Result<Usage, DeviceError> {
    let (mut used, mut capacity, mut known) = (0u64, 0u64, true);
    for map in maps {
        let sections = client
            .list("lsvdisk", Some(&map.target), json!({"bytes": true}))
            .await?;
        let copy = sections.iter().find(|s| s.get("used_capacity").is_some());
        match copy.and_then(|c| {
            Some((
                bytes(c, "used_capacity")?,
                bytes(c, "capacity").or_else(|| bytes(sections.first()?, "capacity"))?,
            ))
        }) {
            Some((u, c)) => {
                used = used.saturating_add(u);
                capacity = capacity.saturating_add(c);
            }
            None => known = false,
        }
    }
    let percent = used
        .saturating_mul(100)
        .checked_div(capacity)
        .and_then(|p| u8::try_from(p).ok());
    Ok(Usage {
        disk_used_percent: percent.filter(|_| known),
        progress: maps.iter().map(|m| m.progress).min().unwrap_or(0),
    })
}
