//! The roles of the simulated site, with a numbered point in front of every effect.

use super::controls::{Controls, Injected, Point};
use crate::site::*;
use async_trait::async_trait;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Wraps every role of a site.
pub fn faulty(site: &Site, controls: &Controls) -> Site {
    let c = || controls.clone();
    Site {
        clone_partition: Arc::new(Faulty(site.clone_partition.clone(), c())),
        source_partition: site.source_partition.clone(),
        virtual_io: Arc::new(Faulty(site.virtual_io.clone(), c())),
        copy: Arc::new(Faulty(site.copy.clone(), c())),
        source: SourceSystem(Arc::new(Faulty(site.source.0.clone(), c()))),
        clone: CloneSystem(Arc::new(Faulty(site.clone.0.clone(), c()))),
        freeze: Arc::new(Faulty(site.freeze.clone(), c())),
        transcript: site.transcript.clone(),
    }
}

struct Faulty<T: ?Sized>(Arc<T>, Controls);

macro_rules! effect {
    ($controls:expr, $name:expr, $call:expr) => {{
        let injected = $controls.before(Point::Effect, $name).await;
        match injected {
            Some(Injected::NotSent) => Err(DeviceError::unreachable($name, "injected")),
            Some(Injected::Refused) => {
                Err(DeviceError::refused($name, "INJECTED", "injected refusal"))
            }
            Some(Injected::Busy) => Err(DeviceError::busy($name, "injected")),
            _ => {
                let answer = $call.await;
                $controls.after(injected).await;
                if injected == Some(Injected::AnswerLost) {
                    Err(DeviceError::indeterminate($name, "injected"))
                } else {
                    answer
                }
            }
        }
    }};
}

#[async_trait]
impl PartitionView for Faulty<dyn PartitionControl> {
    async fn status(&self) -> Result<PartitionStatus, DeviceError> {
        self.0.status().await
    }
    async fn attachments(&self) -> Result<Vec<Attachment>, DeviceError> {
        self.0.attachments().await
    }
}

#[async_trait]
impl PartitionControl for Faulty<dyn PartitionControl> {
    async fn profiles(&self) -> Result<Vec<String>, DeviceError> {
        self.0.profiles().await
    }
    async fn power_off(&self) -> Result<PowerJob, DeviceError> {
        effect!(self.1, "power-off", self.0.power_off())
    }
    async fn activate(&self, how: &Activation) -> Result<PowerJob, DeviceError> {
        effect!(self.1, "activate", self.0.activate(how))
    }
    async fn set_keylock(&self, to: Keylock) -> Result<PowerJob, DeviceError> {
        effect!(self.1, "keylock", self.0.set_keylock(to))
    }
    async fn job(&self, job: &PowerJob) -> Result<PowerJobState, DeviceError> {
        self.0.job(job).await
    }
}

#[async_trait]
impl VirtualIo for Faulty<dyn VirtualIo> {
    async fn observe(&self, volumes: &[WantedVolume]) -> Result<VirtualIoState, DeviceError> {
        self.0.observe(volumes).await
    }
    async fn unmap(&self, volumes: &[WantedVolume]) -> Result<(), DeviceError> {
        effect!(self.1, "unmap", self.0.unmap(volumes))
    }
    async fn map(&self, volumes: &[WantedVolume]) -> Result<(), DeviceError> {
        effect!(self.1, "map", self.0.map(volumes))
    }
}

/// A point in front of every single host mapping, inside the effects of the role above it.
pub fn host_mappings(array: Arc<dyn HostMappings>, controls: &Controls) -> Arc<dyn HostMappings> {
    Arc::new(Faulty(array, controls.clone()))
}

#[async_trait]
impl HostMappings for Faulty<dyn HostMappings> {
    async fn hosts_of(&self, ports: &[Wwpn]) -> Result<Vec<HostObject>, DeviceError> {
        self.0.hosts_of(ports).await
    }
    async fn volumes(&self, uids: &[Uid]) -> Result<Vec<MappedVolume>, DeviceError> {
        self.0.volumes(uids).await
    }
    async fn map(&self, host: &str, volume: &str, scsi_id: u32) -> Result<(), DeviceError> {
        effect!(self.1, "map", self.0.map(host, volume, scsi_id))
    }
    async fn unmap(&self, host: &str, volume: &str) -> Result<(), DeviceError> {
        effect!(self.1, "unmap", self.0.unmap(host, volume))
    }
}

#[async_trait]
impl CopyServices for Faulty<dyn CopyServices> {
    fn family(&self) -> ArrayFamily {
        self.0.family()
    }
    async fn inventory(&self) -> Result<Inventory, DeviceError> {
        self.0.inventory().await
    }
    async fn targets(&self) -> Result<Vec<Uid>, DeviceError> {
        self.0.targets().await
    }
    async fn volumes_of_ports(&self, ports: &[Wwpn]) -> Result<Vec<Volume>, DeviceError> {
        self.0.volumes_of_ports(ports).await
    }
    async fn observe(&self) -> Result<CopyState, DeviceError> {
        self.0.observe().await
    }
    async fn dependants(&self) -> Result<Vec<String>, DeviceError> {
        self.0.dependants().await
    }
    async fn prepare(&self) -> Result<(), DeviceError> {
        effect!(self.1, "prepare", self.0.prepare())
    }
    async fn start(&self) -> Result<(), DeviceError> {
        effect!(self.1, "start-copy", self.0.start())
    }
    async fn end(&self) -> Result<(), DeviceError> {
        effect!(self.1, "end-copy", self.0.end())
    }
    async fn usage(&self) -> Result<Usage, DeviceError> {
        self.0.usage().await
    }
}

#[async_trait]
impl IbmI for Faulty<dyn IbmI> {
    fn address(&self) -> String {
        self.0.address()
    }
    async fn connect(&self) -> Result<Session, DeviceError> {
        self.0.connect().await
    }
    async fn run(
        &self,
        session: &Session,
        command: &ClCommand,
    ) -> Result<CommandOutput, DeviceError> {
        effect!(self.1, "run", self.0.run(session, command))
    }
    async fn query(&self, session: &Session, sql: &str) -> Result<Vec<Row>, DeviceError> {
        self.0.query(session, sql).await
    }
    async fn submit(&self, session: &Session, job: &Submission) -> Result<JobName, DeviceError> {
        effect!(self.1, "submit", self.0.submit(session, job))
    }
    async fn job(&self, session: &Session, name: &str) -> Result<Option<JobStatus>, DeviceError> {
        self.0.job(session, name).await
    }
    async fn messages(
        &self,
        session: &Session,
        source: &LogSource,
        each: EachMessage<'_>,
    ) -> Result<(), DeviceError> {
        self.0.messages(session, source, each).await
    }
    async fn reply(
        &self,
        session: &Session,
        place: &InquiryPlace,
        text: &str,
    ) -> Result<(), DeviceError> {
        effect!(self.1, "reply", self.0.reply(session, place, text))
    }
    async fn put(&self, session: &Session, path: &str, content: &[u8]) -> Result<(), DeviceError> {
        effect!(self.1, "put", self.0.put(session, path, content))
    }
    async fn get(&self, session: &Session, path: &str) -> Result<Option<Vec<u8>>, DeviceError> {
        self.0.get(session, path).await
    }
    async fn exists(&self, session: &Session, path: &str) -> Result<bool, DeviceError> {
        self.0.exists(session, path).await
    }
    async fn read_pieces(
        &self,
        session: &Session,
        path: &str,
        pieces: mpsc::Sender<Vec<u8>>,
    ) -> Result<(), DeviceError> {
        self.0.read_pieces(session, path, pieces).await
    }
    async fn write_pieces(
        &self,
        session: &Session,
        path: &str,
        pieces: mpsc::Receiver<Vec<u8>>,
    ) -> Result<(), DeviceError> {
        effect!(
            self.1,
            "write-pieces",
            self.0.write_pieces(session, path, pieces)
        )
    }
    async fn rename(&self, session: &Session, from: &str, to: &str) -> Result<(), DeviceError> {
        effect!(self.1, "rename", self.0.rename(session, from, to))
    }
    async fn remove(&self, session: &Session, path: &str) -> Result<(), DeviceError> {
        effect!(self.1, "remove", self.0.remove(session, path))
    }
    async fn shell(
        &self,
        session: &Session,
        line: &str,
        input: &[u8],
    ) -> Result<ShellOutput, DeviceError> {
        effect!(self.1, "shell", self.0.shell(session, line, input))
    }
    async fn disconnect(&self) {
        self.0.disconnect().await;
    }
}

#[async_trait]
impl SourceFreeze for Faulty<dyn SourceFreeze> {
    async fn open(&self, plan: &FreezePlan) -> Result<Box<dyn FreezeSession>, DeviceError> {
        let inner = effect!(self.1, "open-helper", self.0.open(plan))?;
        Ok(Box::new(FaultySession(inner, self.1.clone())))
    }
    async fn asps(&self) -> Result<Vec<AspName>, DeviceError> {
        self.0.asps().await
    }
    async fn resume_anyway(&self, asps: &[AspName]) -> Result<(), DeviceError> {
        effect!(self.1, "resume-anyway", self.0.resume_anyway(asps))
    }
    async fn disarm_watchdog(&self, run_token: &str) -> Result<Watchdog, DeviceError> {
        effect!(self.1, "disarm-watchdog", self.0.disarm_watchdog(run_token))
    }
}

struct FaultySession(Box<dyn FreezeSession>, Controls);

#[async_trait]
impl FreezeSession for FaultySession {
    async fn state(&mut self) -> Result<HelperState, DeviceError> {
        self.0.state().await
    }
    async fn suspend(
        &mut self,
        asp: &AspName,
        boundary_seconds: u32,
        on_timeout: OnBoundaryTimeout,
    ) -> Result<DeviceTime, DeviceError> {
        self.1.set_frozen(true);
        effect!(
            self.1,
            "suspend",
            self.0.suspend(asp, boundary_seconds, on_timeout)
        )
    }
    async fn start_canary(&mut self) -> Result<(), DeviceError> {
        effect!(self.1, "canary", self.0.start_canary())
    }
    async fn force_write(&mut self, asp: &AspName) -> Result<DeviceTime, DeviceError> {
        effect!(self.1, "force-write", self.0.force_write(asp))
    }
    async fn resume(&mut self, asp: &AspName) -> Result<DeviceTime, DeviceError> {
        let answer = effect!(self.1, "resume", self.0.resume(asp));
        self.1.set_frozen(false);
        answer
    }
    async fn close(&mut self) -> Result<Watchdog, DeviceError> {
        effect!(self.1, "close-helper", self.0.close())
    }
}
