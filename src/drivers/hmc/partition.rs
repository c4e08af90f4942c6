//! One partition: looked at, and for the clone switched. Every effect first reads the partition again and compares its
//! UUID and name with what this object was bound to.

use super::cli::{Polled, is_gone};
use super::inventory::{ATOM, LONG, SHORT, System, ViosPartition};
use super::lpar::{self, Lpar, Profile};
use super::{Console, errors, job, storage};
use crate::drivers::transport::http::Intent;
use crate::site::{
    Activation, Attachment, DeviceError, Keylock, PartitionControl, PartitionStatus, PartitionUuid,
    PartitionView, PowerJob, PowerJobState, Wwpn,
};
use async_trait::async_trait;
use std::sync::Arc;

/// Read-only view of one partition.
#[derive(Clone)]
pub struct HmcView {
    console: Arc<Console>,
    managed_system: String,
    name: String,
    pinned: Option<PartitionUuid>,
    /// Once bound, never bound to another UUID.
    sticky: bool,
    bound: Arc<tokio::sync::Mutex<Option<Bound>>>,
}

/// Where the name led to.
#[derive(Debug, Clone)]
pub(crate) struct Bound {
    pub(crate) system: System,
    pub(crate) uuid: PartitionUuid,
}

impl HmcView {
    pub(super) fn new(
        console: Arc<Console>,
        managed_system: &str,
        name: &str,
        pinned: Option<PartitionUuid>,
    ) -> Self {
        Self {
            console,
            managed_system: managed_system.to_owned(),
            name: name.to_owned(),
            pinned,
            sticky: false,
            bound: Arc::default(),
        }
    }

    fn path(uuid: &PartitionUuid) -> String {
        format!("/rest/api/uom/LogicalPartition/{uuid}")
    }

    /// System and UUID; asked once. A partition that is not the pinned one is never bound, only told.
    async fn bind(&self) -> Result<Bound, DeviceError> {
        let mut bound = self.bound.lock().await;
        if let Some(known) = bound.as_ref() {
            return Ok(known.clone());
        }
        let system = self.console.system(&self.managed_system).await?;
        let uuid = self.console.partition_uuid(&system, &self.name).await?;
        let found = Bound { system, uuid };
        if self.is_pinned(&found).is_ok() {
            *bound = Some(found.clone());
        }
        Ok(found)
    }

    /// Before every effect: the partition is the pinned one. A look tells what is there instead, so that the checks can
    /// say which UUID the name leads to now.
    fn is_pinned(&self, found: &Bound) -> Result<(), DeviceError> {
        match &self.pinned {
            Some(pin) if *pin != found.uuid => {
                Err(self.replaced(&format!("its UUID is {}, pinned is {pin}", found.uuid)))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// A view may look for the name again at the next question; a control stays with its UUID.
    async fn unbind(&self) {
        if !self.sticky {
            *self.bound.lock().await = None;
        }
    }

    fn replaced(&self, what: &str) -> DeviceError {
        DeviceError::refused(
            self.console.device(),
            "PartitionReplaced",
            format!(
                "partition {} on {} is not the one this environment was opened for: {what}; if it was re-created on purpose, remove annotation ibmiclone.dev/pins from the environment",
                self.name, self.managed_system
            ),
        )
    }

    /// The partition now. Under a name that moved, nothing is told.
    async fn read(&self) -> Result<(Bound, Lpar), DeviceError> {
        let bound = self.bind().await?;
        let path = format!("{}?group=None", Self::path(&bound.uuid));
        let reply = match self.console.get(&path, ATOM, SHORT).await {
            Ok(reply) => reply,
            Err(error) if is_gone(&error) => {
                self.unbind().await;
                return Err(self.replaced(&format!("the console no longer knows {}", bound.uuid)));
            }
            Err(error) => return Err(error),
        };
        let lpar = Lpar::parse(&reply.answer.body).ok_or_else(|| {
            errors::unreadable(&reply.device, &path, &reply.answer.body, Intent::Read)
        })?;
        if lpar.uuid != bound.uuid || lpar.name != self.name {
            self.unbind().await;
            return Err(self.replaced(&format!("{} is now called {}", bound.uuid, lpar.name)));
        }
        Ok((bound, lpar))
    }

    /// System and partition id, for those that must know whom a VIOS serves; of the pinned partition only.
    pub(crate) async fn place(&self) -> Result<(System, i32), DeviceError> {
        let (bound, lpar) = self.read().await?;
        self.is_pinned(&bound)?;
        Ok((bound.system, lpar.id))
    }

    pub(crate) fn label(&self) -> String {
        format!("{} on {}", self.name, self.managed_system)
    }

    pub(crate) fn console(&self) -> &Arc<Console> {
        &self.console
    }

    async fn volumes(&self, bound: &Bound, id: i32) -> Result<Vec<Attachment>, DeviceError> {
        let path = format!("{}/VirtualSCSIClientAdapter", Self::path(&bound.uuid));
        let adapters = self.console.get(&path, ATOM, SHORT).await?;
        let serving = storage::serving_vioses(&adapters.answer.body);
        let mut found = Vec::new();
        for vios in self.console.vioses(&bound.system).await? {
            let serves = serving.as_ref().is_none_or(|ids| ids.contains(&vios.id));
            if !serves {
                // The hypervisor says that no adapter of this partition connects to this VIOS.
                continue;
            }
            vios.must_answer(self.console.device())?;
            let path = format!(
                "/rest/api/uom/VirtualIOServer/{}?group=ViosSCSIMapping",
                vios.uuid
            );
            let reply = self.console.get(&path, ATOM, LONG).await?;
            let mappings = storage::mappings(&reply.answer.body).ok_or_else(|| {
                errors::unreadable(&reply.device, &path, &reply.answer.body, Intent::Read)
            })?;
            let ours = mappings.into_iter().filter(|m| match &m.client {
                Some(client) => *client == bound.uuid,
                None => m.client_id == Some(id),
            });
            found.extend(ours.map(|m| Attachment::Volume {
                vios: vios.name.clone(),
                uid: m.backing.uid,
                disk: m.backing.name,
            }));
        }
        Ok(found)
    }

    async fn ports(&self, bound: &Bound) -> Result<Vec<Vec<Wwpn>>, DeviceError> {
        let path = format!(
            "{}/VirtualFibreChannelClientAdapter",
            Self::path(&bound.uuid)
        );
        let reply = self.console.get(&path, ATOM, SHORT).await?;
        storage::ports(&reply.answer.body).ok_or_else(|| {
            errors::unreadable(&reply.device, &path, &reply.answer.body, Intent::Read)
        })
    }

    /// Adapters of this partition that one VIOS connects to no physical port.
    async fn unconnected_at(
        &self,
        vios: &ViosPartition,
        id: i32,
    ) -> Result<Vec<(String, Wwpn)>, DeviceError> {
        vios.must_answer(self.console.device())?;
        let path = format!(
            "/rest/api/uom/VirtualIOServer/{}?group=ViosFCMapping",
            vios.uuid
        );
        let reply = self.console.get(&path, ATOM, LONG).await?;
        let mappings = storage::fibre_channel(&reply.answer.body).ok_or_else(|| {
            errors::unreadable(&reply.device, &path, &reply.answer.body, Intent::Read)
        })?;
        let ours = mappings
            .into_iter()
            .filter(|m| m.client_id == Some(id) && !m.connected);
        Ok(ours
            .filter_map(|m| Some((vios.name.clone(), m.wwpns.first()?.clone())))
            .collect())
    }

    async fn profile_list(&self, bound: &Bound) -> Result<Vec<Profile>, DeviceError> {
        let path = format!("{}/LogicalPartitionProfile", Self::path(&bound.uuid));
        let reply = self.console.get(&path, ATOM, SHORT).await?;
        lpar::profiles(&reply.answer.body).ok_or_else(|| {
            errors::unreadable(&reply.device, &path, &reply.answer.body, Intent::Read)
        })
    }
}

#[async_trait]
impl PartitionView for HmcView {
    async fn status(&self) -> Result<PartitionStatus, DeviceError> {
        let (bound, lpar) = self.read().await?;
        Ok(lpar.status(&bound.system))
    }

    async fn attachments(&self) -> Result<Vec<Attachment>, DeviceError> {
        let (bound, lpar) = self.read().await?;
        let mut found = self.volumes(&bound, lpar.id).await?;
        let ports = self.ports(&bound).await?;
        found.extend(ports.into_iter().map(Attachment::Ports));
        Ok(found)
    }

    async fn fibre_channel(&self) -> Result<Vec<Vec<Wwpn>>, DeviceError> {
        let (bound, _) = self.read().await?;
        self.is_pinned(&bound)?;
        self.ports(&bound).await
    }

    async fn unconnected(&self) -> Result<Vec<(String, Wwpn)>, DeviceError> {
        let (bound, lpar) = self.read().await?;
        let path = format!(
            "{}/VirtualFibreChannelClientAdapter",
            Self::path(&bound.uuid)
        );
        let reply = self.console.get(&path, ATOM, SHORT).await?;
        let serving = storage::fibre_channel_vioses(&reply.answer.body);
        let mut found = Vec::new();
        for vios in self.console.vioses(&bound.system).await? {
            if serving.as_ref().is_none_or(|ids| ids.contains(&vios.id)) {
                found.extend(self.unconnected_at(&vios, lpar.id).await?);
            }
        }
        Ok(found)
    }
}

/// Power over one partition.
#[derive(Clone)]
pub struct HmcControl {
    view: HmcView,
}

impl HmcControl {
    pub(super) fn new(view: HmcView) -> Self {
        Self {
            view: HmcView {
                sticky: true,
                ..view
            },
        }
    }

    /// The same partition, read-only.
    pub fn view(&self) -> &HmcView {
        &self.view
    }

    /// The partition as it is just before an effect: its name, its UUID and the pin agree.
    async fn proved(&self) -> Result<(Bound, Lpar), DeviceError> {
        let (bound, lpar) = self.view.read().await?;
        self.view.is_pinned(&bound)?;
        Ok((bound, lpar))
    }

    /// Submits one power job, once. The partition was read just before, so the session is fresh and the UUID proved.
    async fn power(
        &self,
        bound: &Bound,
        operation: &str,
        parameters: &[(&str, &str)],
    ) -> Result<PowerJob, DeviceError> {
        let path = format!("{}/do/{operation}", HmcView::path(&bound.uuid));
        let body = job::request("LogicalPartition", operation, parameters);
        let shown: Vec<String> = parameters.iter().map(|(n, v)| format!("{n}={v}")).collect();
        let label = format!("PUT {operation} {} {}", self.view.name, shown.join(" "));
        let (job, place) = self
            .view
            .console
            .submit(&path, body, label, Intent::Effect)
            .await?;
        // Job numbers are only good at the console that gave them.
        Ok(PowerJob(format!("{}@{place}", job.id)))
    }

    /// UUID of the profile to start with.
    async fn profile(
        &self,
        bound: &Bound,
        lpar: &Lpar,
        wanted: Option<&str>,
    ) -> Result<String, DeviceError> {
        let Some(wanted) = wanted else {
            return lpar.default_profile.clone().ok_or_else(|| {
                DeviceError::refused(
                    self.view.console.device(),
                    "ProfileUnknown",
                    format!(
                        "partition {} has no default profile: write clone.partition.profile",
                        self.view.label()
                    ),
                )
            });
        };
        let all = self.view.profile_list(bound).await?;
        if let Some(found) = all.iter().find(|p| p.name == wanted) {
            return Ok(found.uuid.clone());
        }
        let names: Vec<&str> = all.iter().map(|p| p.name.as_str()).collect();
        Err(DeviceError::refused(
            self.view.console.device(),
            "ProfileUnknown",
            format!(
                "partition {} has no profile {wanted}; it has: {}",
                self.view.label(),
                if names.is_empty() {
                    "none".to_owned()
                } else {
                    names.join(", ")
                }
            ),
        ))
    }
}

fn key(position: Keylock) -> &'static str {
    match position {
        Keylock::Normal => "norm",
        Keylock::Manual => "manual",
    }
}

#[async_trait]
impl PartitionView for HmcControl {
    async fn status(&self) -> Result<PartitionStatus, DeviceError> {
        self.view.status().await
    }
    async fn attachments(&self) -> Result<Vec<Attachment>, DeviceError> {
        self.view.attachments().await
    }

    async fn fibre_channel(&self) -> Result<Vec<Vec<Wwpn>>, DeviceError> {
        self.view.fibre_channel().await
    }

    async fn unconnected(&self) -> Result<Vec<(String, Wwpn)>, DeviceError> {
        self.view.unconnected().await
    }
}

#[async_trait]
impl PartitionControl for HmcControl {
    async fn profiles(&self) -> Result<Vec<String>, DeviceError> {
        let bound = self.view.bind().await?;
        let all = self.view.profile_list(&bound).await?;
        Ok(all.into_iter().map(|p| p.name).collect())
    }

    async fn power_off(&self) -> Result<PowerJob, DeviceError> {
        let (bound, _) = self.proved().await?;
        // Never restart=true: with immediate=false that is a dump restart (hmc.md § 0.6).
        self.power(
            &bound,
            "PowerOff",
            &[
                ("operation", "shutdown"),
                ("immediate", "true"),
                ("restart", "false"),
            ],
        )
        .await
    }

    async fn activate(&self, how: &Activation) -> Result<PowerJob, DeviceError> {
        let (bound, lpar) = self.proved().await?;
        let profile = self.profile(&bound, &lpar, how.profile.as_deref()).await?;
        let source = how.ipl_source.to_string();
        self.power(
            &bound,
            "PowerOn",
            &[
                ("LogicalPartitionProfile", profile.as_str()),
                ("force", "false"),
                ("novsi", "true"),
                ("bootmode", "norm"),
                ("keylock", key(how.keylock)),
                ("iIPLsource", source.as_str()),
            ],
        )
        .await
    }

    async fn set_keylock(&self, to: Keylock) -> Result<PowerJob, DeviceError> {
        let (bound, _) = self.proved().await?;
        self.power(
            &bound,
            "PowerOn",
            &[("OperationType", "changeKeylock"), ("keylock", key(to))],
        )
        .await
    }

    async fn job(&self, job: &PowerJob) -> Result<PowerJobState, DeviceError> {
        let Some((id, place)) = job.0.split_once('@') else {
            return Ok(PowerJobState::Forgotten);
        };
        if id.is_empty() || !id.bytes().all(|b| b.is_ascii_digit()) {
            return Ok(PowerJobState::Forgotten);
        }
        let bound = self.view.bind().await?;
        let console = &self.view.console;
        let mut polled = console.poll(id, place).await?;
        if matches!(polled, Polled::Unknown) {
            // Confirmed once: a console under load has answered 404 for a job it still had.
            polled = console.poll(id, place).await?;
        }
        let Polled::Known(found) = polled else {
            return Ok(PowerJobState::Forgotten);
        };
        let ours = found
            .target
            .as_deref()
            .is_none_or(|t| PartitionUuid::new(t) == bound.uuid);
        if !ours {
            // The console was restarted and counts anew: this number is now somebody else's job.
            return Ok(PowerJobState::Forgotten);
        }
        if !found.is_terminal() {
            return Ok(PowerJobState::Running);
        }
        console.delete_job(id).await;
        if found.succeeded() {
            return Ok(PowerJobState::Ended);
        }
        Ok(PowerJobState::Failed {
            code: found.code(),
            text: found.text,
        })
    }
}
