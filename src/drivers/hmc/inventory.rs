//! Finding managed systems, partitions, VIOSes and the console itself by name, through the cheap quick lists.

use super::quick::{self, Quick};
use super::session::{Call, Reply};
use super::{Console, errors, xml};
use crate::drivers::transport::http::Intent;
use crate::site::{DeviceError, PartitionUuid};
use reqwest::Method;
use std::sync::PoisonError;
use std::time::Duration;

/// Quick lists and single objects.
pub(super) const SHORT: Duration = Duration::from_secs(60);
/// Objects for which the console asks every VIOS (`hmc.md` § 1.1: tens of seconds).
pub(super) const LONG: Duration = Duration::from_secs(300);
/// Safe everywhere for feeds and entries.
pub(super) const ATOM: &str = "application/atom+xml";
/// A typed Accept on quick is answered 406 by some levels.
pub(super) const ANY: &str = "*/*";

/// A managed system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct System {
    pub(crate) uuid: String,
    pub(crate) name: String,
    /// `8284-22A*21FD4AV`.
    pub(crate) mtms: String,
}

impl System {
    /// Serial number, the part behind the `*`.
    pub(crate) fn serial(&self) -> &str {
        self.mtms.rsplit('*').next().unwrap_or(&self.mtms)
    }
}

/// A VIOS of a managed system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ViosPartition {
    pub(crate) uuid: String,
    pub(crate) name: String,
    pub(crate) id: i32,
    pub(crate) state: String,
    /// `active` or anything else.
    pub(crate) rmc: String,
}

impl ViosPartition {
    /// Fails when the console cannot talk to the VIOS: what it maps is then unknown, which is not "nothing".
    pub(crate) fn must_answer(&self, device: &str) -> Result<(), DeviceError> {
        if self.rmc.eq_ignore_ascii_case("active") {
            return Ok(());
        }
        Err(DeviceError::unreachable(
            format!("VIOS {} at {device}", self.name),
            format!(
                "the VIOS is {} with RMC {}; {}",
                self.state,
                self.rmc,
                errors::RMC_ADVICE
            ),
        ))
    }
}

impl Console {
    /// GET of a path; anything but 2xx is an error.
    pub(super) async fn get(
        &self,
        path: &str,
        accept: &'static str,
        timeout: Duration,
    ) -> Result<Reply, DeviceError> {
        let call = Call {
            method: Method::GET,
            path: path.to_owned(),
            accept,
            content_type: None,
            body: String::new(),
            intent: Intent::Read,
            label: format!("GET {}", path.trim_start_matches("/rest/api/uom")),
            timeout,
        };
        let reply = self.sessions.call(&call).await?;
        match reply.answer.status {
            200..=299 => Ok(reply),
            status => Err(errors::failed(
                &reply.device,
                status,
                &reply.answer.body,
                Intent::Read,
            )),
        }
    }

    async fn quick(&self, path: &str) -> Result<Vec<Quick>, DeviceError> {
        let reply = self.get(path, ANY, SHORT).await?;
        quick::objects(&reply.answer.body).ok_or_else(|| {
            errors::unreadable(&reply.device, path, &reply.answer.body, Intent::Read)
        })
    }

    /// The managed system of this name; it must be operating, because a console that does not see the system tells
    /// nothing of its partitions.
    pub(crate) async fn system(&self, name: &str) -> Result<System, DeviceError> {
        let systems = self.quick("/rest/api/uom/ManagedSystem/quick/All").await?;
        let found = systems
            .iter()
            .find(|s| quick::text(s, "SystemName").as_deref() == Some(name));
        let Some(found) = found else {
            return Err(DeviceError::refused(
                self.device(),
                "SystemUnknown",
                format!(
                    "the console manages no system {name}; it has: {}",
                    names(&systems, "SystemName")
                ),
            ));
        };
        let state = quick::text(found, "State").unwrap_or_default();
        if !state.eq_ignore_ascii_case("operating") {
            return Err(DeviceError::unreachable(
                self.device(),
                format!(
                    "managed system {name} is in state '{state}', not 'operating': look at its connection and power at the console"
                ),
            ));
        }
        match (quick::text(found, "UUID"), quick::text(found, "MTMS")) {
            (Some(uuid), Some(mtms)) => Ok(System {
                uuid,
                name: name.to_owned(),
                mtms,
            }),
            _ => Err(DeviceError::unreachable(
                self.device(),
                format!("managed system {name} has no UUID or serial number in the quick list"),
            )),
        }
    }

    /// The UUID of the partition of this name on a system.
    pub(crate) async fn partition_uuid(
        &self,
        system: &System,
        name: &str,
    ) -> Result<PartitionUuid, DeviceError> {
        let path = format!(
            "/rest/api/uom/ManagedSystem/{}/LogicalPartition/quick/All",
            system.uuid
        );
        let partitions = self.quick(&path).await?;
        partitions
            .iter()
            .find(|p| quick::text(p, "PartitionName").as_deref() == Some(name))
            .and_then(|p| quick::text(p, "UUID"))
            .map(PartitionUuid::new)
            .ok_or_else(|| {
                DeviceError::refused(
                    self.device(),
                    "PartitionUnknown",
                    format!(
                        "managed system {} has no partition {name}; it has: {}",
                        system.name,
                        names(&partitions, "PartitionName")
                    ),
                )
            })
    }

    /// Every VIOS of a system.
    pub(crate) async fn vioses(&self, system: &System) -> Result<Vec<ViosPartition>, DeviceError> {
        let path = format!(
            "/rest/api/uom/ManagedSystem/{}/VirtualIOServer/quick/All",
            system.uuid
        );
        self.quick(&path)
            .await?
            .iter()
            .map(|v| {
                vios(v).ok_or_else(|| {
                    DeviceError::unreachable(
                        self.device(),
                        format!(
                            "a VIOS of managed system {} has no name, id or UUID in the quick list",
                            system.name
                        ),
                    )
                })
            })
            .collect()
    }

    /// UUID of the console that answers at the moment, needed to run its commands.
    pub(super) async fn own_uuid(&self) -> Result<(String, String), DeviceError> {
        let path = "/rest/api/uom/ManagementConsole";
        let known = self
            .own_uuids
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let [(place, uuid)] = known.as_slice() {
            return Ok((place.clone(), uuid.clone()));
        }
        let reply = self.get(path, ATOM, LONG).await?;
        let uuid = xml::parse(&reply.answer.body).and_then(|document| {
            let console = xml::objects(&document, "ManagementConsole")
                .into_iter()
                .next()?;
            xml::uuid(console)
        });
        let uuid = uuid.ok_or_else(|| {
            errors::unreadable(&reply.device, path, &reply.answer.body, Intent::Read)
        })?;
        let mut known = self
            .own_uuids
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *known = vec![(reply.place.clone(), uuid.clone())];
        Ok((reply.place, uuid))
    }

    /// Another console answers now, or this one was reinstalled.
    pub(super) fn forget_own_uuid(&self) {
        self.own_uuids
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

fn vios(object: &Quick) -> Option<ViosPartition> {
    Some(ViosPartition {
        uuid: quick::text(object, "UUID")?,
        name: quick::text(object, "PartitionName")?,
        id: quick::whole(object, "PartitionID")?,
        state: quick::text(object, "PartitionState").unwrap_or_else(|| "unknown".to_owned()),
        rmc: quick::text(object, "RMCState").unwrap_or_else(|| "unknown".to_owned()),
    })
}

fn names(objects: &[Quick], key: &str) -> String {
    let mut names: Vec<String> = objects.iter().filter_map(|o| quick::text(o, key)).collect();
    names.sort();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}
