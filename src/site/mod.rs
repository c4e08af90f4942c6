//! The border to the devices: five narrow roles, four errors, names that cannot be mixed up.
//!
//! The roles are *bound* when they are opened (to the clone's partition, to one target set, to one host), so that
//! production cannot even be named where it must not be touched (`architecture.md` § 6). The engine and the steps know
//! devices only through this module; `drivers` implements it over the wire, `simulators` implements it in process for
//! the crash matrix.

mod copy;
pub mod errand;
mod error;
mod freeze;
mod host_mappings;
mod ibmi;
mod names;
mod partition;
pub mod transcript;
mod virtual_io;

pub use copy::{
    ArrayFamily, CopyPair, CopyPhase, CopyServices, CopyState, Inventory, Usage, Volume,
};
pub use error::DeviceError;
pub use freeze::{
    Canary, DeviceTime, FreezePlan, FreezeSession, HelperState, OnBoundaryTimeout, SourceFreeze,
    Watchdog,
};
pub use host_mappings::{HostMappings, HostObject, HostVolume, MappedVolume};
pub use ibmi::{
    ClCommand, CloneSystem, CommandOutput, EachMessage, IbmI, Inquiry, InquiryPlace, JobState,
    JobStatus, LogSource, Message, ProofError, ProvenClone, ProvenSource, Row, Session,
    ShellOutput, SourceSystem, Submission, SystemStatus, cl_quote,
};
pub use names::{AspName, Identity, JobName, PartitionUuid, Uid, Wwpn};
pub use partition::{
    Activation, Attachment, Keylock, PartitionControl, PartitionState, PartitionStatus,
    PartitionView, PowerJob, PowerJobState,
};
pub use virtual_io::{ForeignDevice, VirtualIo, VirtualIoState, VolumePath, WantedVolume};

use std::sync::Arc;

/// One handle per role, opened for one environment.
#[derive(Clone)]
pub struct Site {
    /// The clone's partition.
    pub clone_partition: Arc<dyn PartitionControl>,
    /// The source's partition, to look at only.
    pub source_partition: Arc<dyn PartitionView>,
    /// The VIOSes of the clone.
    pub virtual_io: Arc<dyn VirtualIo>,
    /// The target set's copy.
    pub copy: Arc<dyn CopyServices>,
    /// Production's IBM i.
    pub source: SourceSystem,
    /// The clone's IBM i.
    pub clone: CloneSystem,
    /// Suspending production.
    pub freeze: Arc<dyn SourceFreeze>,
    /// What was said to the devices, redacted; the run's `devices` log.
    pub transcript: transcript::Transcript,
}
