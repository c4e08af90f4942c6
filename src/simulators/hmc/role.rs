//! `PartitionView` and `PartitionControl` in process, for the crash matrix.

use super::file::PartitionKind;
use super::jobs::JobStatus;
use super::partition::{Partition, PowerState};
use super::power;
use crate::simulators::world::{World, coupling};
use crate::simulators::{Shared, vios};
use crate::site::*;
use async_trait::async_trait;

/// A partition to look at.
pub struct ViewRole {
    shared: Shared,
    partition: String,
}

/// The clone's partition.
pub struct ControlRole(ViewRole);

impl ViewRole {
    /// Bound to one partition.
    pub fn new(shared: Shared, partition: &str) -> Self {
        Self {
            shared,
            partition: partition.to_owned(),
        }
    }
    fn find<'w>(&self, world: &'w World) -> Result<&'w Partition, DeviceError> {
        world
            .console
            .partitions
            .get(&self.partition)
            .ok_or_else(|| {
                DeviceError::refused(
                    "simulated console",
                    "HSCL8012",
                    format!("no partition {}", self.partition),
                )
            })
    }
}

impl ControlRole {
    /// Bound to one partition.
    pub fn new(shared: Shared, partition: &str) -> Self {
        Self(ViewRole::new(shared, partition))
    }
}

/// What the console shows as state: `not activated` during a re-IPL with the knob.
pub(super) fn shown_state(p: &Partition) -> PartitionState {
    if p.off_until.is_some() {
        return PartitionState::NotActivated;
    }
    match p.state {
        PowerState::NotActivated => PartitionState::NotActivated,
        PowerState::Starting { .. } => PartitionState::Starting,
        PowerState::Running => PartitionState::Running,
        PowerState::ShuttingDown { .. } => PartitionState::ShuttingDown,
        PowerState::Error => PartitionState::Error,
    }
}

#[async_trait]
impl PartitionView for ViewRole {
    async fn status(&self) -> Result<PartitionStatus, DeviceError> {
        let world = self.shared.now();
        let p = self.find(&world)?;
        Ok(PartitionStatus {
            uuid: p.uuid.clone(),
            name: p.name.clone(),
            managed_system: p.system.clone(),
            identity: p.identity.clone(),
            is_ibm_i: p.kind == PartitionKind::OS400,
            state: shown_state(p),
            reference_code: power::reference_code(&world, &self.partition),
            keylock: p.keylock.clone(),
            operation_in_progress: false,
            migration_state: "Not_Migrating".to_owned(),
        })
    }
    async fn attachments(&self) -> Result<Vec<Attachment>, DeviceError> {
        let world = self.shared.now();
        let p = self.find(&world)?;
        let mut found: Vec<Attachment> = vios::client_disks(&world, &self.partition)
            .into_iter()
            .map(|d: coupling::SeenDisk| Attachment::Volume {
                vios: d.path,
                uid: Some(d.uid.clone()),
                disk: d.uid.to_string(),
            })
            .collect();
        let ports = p
            .fibre_channel
            .iter()
            .map(|a| a.wwpns.iter().map(Wwpn::new).collect());
        found.extend(ports.map(Attachment::Ports));
        Ok(found)
    }
    async fn unconnected(&self) -> Result<Vec<(String, Wwpn)>, DeviceError> {
        let world = self.shared.now();
        let p = self.find(&world)?;
        let left = p.fibre_channel.iter().filter(|a| !a.connected);
        Ok(left
            .filter_map(|a| Some((a.vios.clone(), Wwpn::new(a.wwpns.first()?))))
            .collect())
    }
}

#[async_trait]
impl PartitionView for ControlRole {
    async fn status(&self) -> Result<PartitionStatus, DeviceError> {
        self.0.status().await
    }
    async fn attachments(&self) -> Result<Vec<Attachment>, DeviceError> {
        self.0.attachments().await
    }
    async fn unconnected(&self) -> Result<Vec<(String, Wwpn)>, DeviceError> {
        self.0.unconnected().await
    }
}

#[async_trait]
impl PartitionControl for ControlRole {
    async fn profiles(&self) -> Result<Vec<String>, DeviceError> {
        let world = self.0.shared.now();
        Ok(self
            .0
            .find(&world)?
            .profiles
            .iter()
            .map(|(_, name)| name.clone())
            .collect())
    }
    async fn power_off(&self) -> Result<PowerJob, DeviceError> {
        Ok(PowerJob(
            power::power_off(&mut self.0.shared.now(), &self.0.partition).to_string(),
        ))
    }
    async fn activate(&self, how: &Activation) -> Result<PowerJob, DeviceError> {
        let manual = match how.keylock {
            Keylock::Normal => false,
            Keylock::Manual => true,
        };
        let mut world = self.0.shared.now();
        let job = power::power_on(
            &mut world,
            &self.0.partition,
            how.profile.as_deref(),
            Some(manual),
            Some(how.ipl_source),
        );
        Ok(PowerJob(job.to_string()))
    }
    async fn set_keylock(&self, to: Keylock) -> Result<PowerJob, DeviceError> {
        let mut world = self.0.shared.now();
        let job = power::change_keylock(&mut world, &self.0.partition, to == Keylock::Manual);
        Ok(PowerJob(job.to_string()))
    }
    async fn job(&self, job: &PowerJob) -> Result<PowerJobState, DeviceError> {
        let world = self.0.shared.now();
        let Some(job) = job
            .0
            .parse()
            .ok()
            .and_then(|id: u64| world.console.jobs.get(&id))
        else {
            return Ok(PowerJobState::Forgotten);
        };
        let status = job.status(world.now);
        Ok(match status {
            JobStatus::NotStarted | JobStatus::Running => PowerJobState::Running,
            JobStatus::CompletedOk => PowerJobState::Ended,
            JobStatus::CompletedWithError
            | JobStatus::FailedBeforeCompletion
            | JobStatus::CanceledBeforeStart
            | JobStatus::CanceledWhileRunning => {
                let (code, text) = job
                    .result
                    .split_once(' ')
                    .unwrap_or((status.as_str(), &job.result));
                PowerJobState::Failed {
                    code: code.to_owned(),
                    text: text.to_owned(),
                }
            }
        })
    }
}
