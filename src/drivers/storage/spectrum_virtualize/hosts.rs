//! Host objects and their mappings (`storage-virtualize.md` § 5): what NPIV needs, nothing of FlashCopy.

use super::client::RestClient;
use super::parse::{self, text};
use crate::site::{DeviceError, HostMappings, HostObject, HostVolume, MappedVolume, Uid, Wwpn};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};

/// Host mappings of one array, on the client it shares with the groups.
pub struct ArrayHosts {
    client: Arc<RestClient>,
    /// Names of the host objects found last: the next look need not read all of the array's.
    known: Mutex<Vec<String>>,
}

impl ArrayHosts {
    /// No network is needed until the first question.
    pub fn on(client: Arc<RestClient>) -> Self {
        Self {
            client,
            known: Mutex::default(),
        }
    }

    /// The host object with all its ports and volumes; `None` when it holds none of the ports, or is gone.
    async fn host(&self, name: &str, ports: &[Wwpn]) -> Result<Option<HostObject>, DeviceError> {
        let detail = match self.client.list("lshost", Some(name), json!({})).await {
            Err(error) if error.code().is_some_and(is_absent) => return Ok(None),
            other => other?,
        };
        let held: Vec<Wwpn> = detail.first().map(parse::ports).unwrap_or_default();
        if !held.iter().any(|p| ports.contains(p)) {
            return Ok(None);
        }
        let rows = self
            .client
            .list("lshostvdiskmap", Some(name), json!({}))
            .await?;
        let volumes: Result<Vec<HostVolume>, String> = rows.iter().map(host_volume).collect();
        let mut volumes = self.client.parsed(volumes)?;
        volumes.sort_by_key(|v| v.scsi_id);
        Ok(Some(HostObject {
            name: name.to_owned(),
            ports: held,
            volumes,
        }))
    }

    async fn among(
        &self,
        names: &[String],
        ports: &[Wwpn],
    ) -> Result<Vec<HostObject>, DeviceError> {
        let mut found = Vec::new();
        for name in names {
            found.extend(self.host(name, ports).await?);
        }
        Ok(found)
    }

    async fn volume(&self, uid: &Uid) -> Result<MappedVolume, DeviceError> {
        let filter = json!({"filtervalue": format!("vdisk_UID={uid}")});
        let rows = self.client.list("lsvdisk", None, filter).await?;
        // A filter may be ignored (§ 1.3).
        let row = rows.iter().find(|r| Uid::new(text(r, "vdisk_UID")) == *uid);
        let Some(name) = row.map(|r| text(r, "name")).filter(|n| !n.is_empty()) else {
            return Err(self.client.refused(
                "VolumeUnknown",
                format!("the array has no volume with UID {uid}"),
            ));
        };
        let rows = self
            .client
            .list("lsvdiskhostmap", Some(&name), json!({}))
            .await?;
        let mut hosts: Vec<String> = rows.iter().map(|h| text(h, "host_name")).collect();
        hosts.retain(|h| !h.is_empty());
        hosts.sort();
        hosts.dedup();
        Ok(MappedVolume {
            name,
            uid: uid.clone(),
            hosts,
        })
    }

    async fn command(&self, verb: &str, volume: &str, body: Value) -> Result<(), DeviceError> {
        self.client.effect(verb, volume, body).await
    }
}

fn is_absent(code: &str) -> bool {
    matches!(code, "CMMVC5753E" | "CMMVC5754E" | "CMMVC5804E")
}

/// A row of `lshostvdiskmap`. A mapping that cannot be read must never look like none.
fn host_volume(row: &Value) -> Result<HostVolume, String> {
    let (name, uid) = (text(row, "vdisk_name"), text(row, "vdisk_UID"));
    let scsi_id = text(row, "SCSI_id").parse();
    match (name.is_empty() || uid.is_empty(), scsi_id) {
        (false, Ok(scsi_id)) => Ok(HostVolume {
            name,
            uid: Uid::new(uid),
            scsi_id,
            shared: text(row, "mapping_type") == "shared",
        }),
        _ => Err(format!(
            "a host mapping without volume, UID or SCSI id: {row}"
        )),
    }
}

#[async_trait]
impl HostMappings for ArrayHosts {
    async fn hosts_of(&self, ports: &[Wwpn]) -> Result<Vec<HostObject>, DeviceError> {
        let known = self
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let found = self.among(&known, ports).await?;
        // A port belongs to one host object: when all are found, no other can hold one.
        let all = ports
            .iter()
            .all(|p| found.iter().any(|h| h.ports.contains(p)));
        if all && !ports.is_empty() {
            return Ok(found);
        }
        let rows = self.client.list("lshost", None, json!({})).await?;
        let names: Vec<String> = rows.iter().map(|h| text(h, "name")).collect();
        let found = self.among(&names, ports).await?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known = found.iter().map(|h| h.name.clone()).collect();
        Ok(found)
    }

    async fn volumes(&self, uids: &[Uid]) -> Result<Vec<MappedVolume>, DeviceError> {
        let mut found = Vec::new();
        for uid in uids {
            found.push(self.volume(uid).await?);
        }
        Ok(found)
    }

    async fn map(&self, host: &str, volume: &str, scsi_id: u32) -> Result<(), DeviceError> {
        let body = json!({"host": host, "scsi": scsi_id.to_string()});
        match self.command("mkvdiskhostmap", volume, body).await {
            // Mapped to this host already: the next look says whether under this SCSI id.
            Err(error) if error.code() == Some("CMMVC5878E") => Ok(()),
            other => other,
        }
    }

    async fn unmap(&self, host: &str, volume: &str) -> Result<(), DeviceError> {
        let body = json!({"host": host});
        match self.command("rmvdiskhostmap", volume, body).await {
            // No such mapping, as a real array and as others say it: the next look proves it.
            Err(error) if matches!(error.code(), Some("CMMVC5842E" | "CMMVC5753E")) => Ok(()),
            Err(DeviceError::Refused { device, code, text }) if code == "CMMVC8855E" => {
                Err(DeviceError::Busy {
                    device,
                    text: format!(
                        "{code} volume {volume} cannot be unmapped from host {host} yet: {text}; it is tried again, usually for 15 minutes at most (vdisk_protection_time of lssystem)"
                    ),
                })
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_that_cannot_be_read_is_an_error_and_never_no_mapping() {
        let row = json!({"vdisk_name": "CLN_0", "vdisk_UID": "6005", "SCSI_id": "3", "mapping_type": "shared"});
        let read = host_volume(&row).unwrap();
        assert_eq!((read.scsi_id, read.shared), (3, true));
        for key in ["vdisk_name", "vdisk_UID", "SCSI_id"] {
            let mut row = row.clone();
            row[key] = json!("");
            assert!(host_volume(&row).is_err(), "{key}");
        }
    }
}
