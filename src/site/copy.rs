//! The array's role: the copy of one target set (one FlashCopy consistency group), and nothing else of the array.

use super::{DeviceError, Uid, Wwpn};
use async_trait::async_trait;

/// Whether the array overwrites targets at once or takes a snapshot first (`product.md` § 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArrayFamily {
    /// Clone off and unmapped before prepare: Storage Virtualize groups, DS8000.
    Overwrite,
    /// Snapshot inside the freeze, exposed later: PowerMax, FlashArray, volume-group snapshots.
    Snapshot,
}

/// State of a group or of one map (`storage-virtualize.md` § 3.1; other arrays translate to these words).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyPhase {
    /// The group has no member.
    Empty,
    /// Never started, or fully copied.
    Idle,
    /// Flushing the sources; targets are unusable from here on.
    Preparing,
    /// Armed: a start takes effect at once. The sources are in write-through.
    Prepared,
    /// The copy exists.
    Copying,
    /// Being stopped; may clean for hours when others depend on it.
    Stopping,
    /// Stopped: targets are offline.
    Stopped,
    /// Lost access to its bitmap or storage.
    Suspended,
}

/// One volume as the array knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// The array's name of it.
    pub name: String,
    /// Storage identity.
    pub uid: Uid,
    /// Virtual capacity in bytes.
    pub capacity_bytes: u64,
    /// Names of host objects it is mapped to.
    pub hosts: Vec<String>,
    /// `online`, `offline`, `degraded`.
    pub status: String,
}

/// One source and its target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyPair {
    /// The map's name.
    pub name: String,
    /// Where production lives.
    pub source: Volume,
    /// What is overwritten.
    pub target: Volume,
    /// This map's own state.
    pub phase: CopyPhase,
    /// Background copy progress, percent.
    pub progress: u8,
    /// The array's background copy rate (0 = space efficient).
    pub copy_rate: u8,
    /// The map deletes itself when complete: refused (`product.md` § 7.3).
    pub auto_delete: bool,
    /// Owned by remote copy: never touched.
    pub remote_controlled: bool,
    /// The target is itself the source of other maps (their names).
    pub target_is_source_of: Vec<String>,
}

/// Everything `verify-site` needs of the array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// Pairs in the array's order of maps.
    pub pairs: Vec<CopyPair>,
    /// State of the group.
    pub phase: CopyPhase,
    /// Physical fill of the pools of the targets, percent, the worst one, with its name.
    pub pool_fill: Option<(String, u8)>,
    /// Code level, for messages.
    pub level: String,
    /// The array's own identity, whatever name or address it is reached by (`id` of `lssystem`); `""` = it told none.
    pub system: String,
}

/// State of the target set, now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyState {
    /// Group state.
    pub phase: CopyPhase,
    /// Start time per map as the array prints it (its own clock, one second fine); `""` = never or stopped. Compared
    /// for *difference* only, never with our clock.
    pub started: Vec<(String, String)>,
    /// Names of maps in a state that differs from the group's, with their state word; every suspended map is among them,
    /// so that a message can name it.
    pub deviating: Vec<String>,
    /// Lowest background progress, percent.
    pub progress: u8,
}

impl CopyState {
    /// The copy's identity as one text, for journal and comparison.
    pub fn mark(&self) -> String {
        let mut parts: Vec<String> = self
            .started
            .iter()
            .map(|(m, t)| format!("{m}={t}"))
            .collect();
        parts.sort();
        parts.join(",")
    }
    /// Every map has a start time and is in state copying or idle (fully copied): a copy exists.
    pub fn exists(&self) -> bool {
        matches!(self.phase, CopyPhase::Copying | CopyPhase::Idle)
            && !self.started.is_empty()
            && self.started.iter().all(|(_, t)| !t.is_empty())
    }
}

/// Space used by the targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// Σ used / Σ capacity of the targets, percent; `None` where the array cannot say.
    pub disk_used_percent: Option<u8>,
    /// Background progress, percent.
    pub progress: u8,
}

/// The copy of one target set.
#[async_trait]
pub trait CopyServices: Send + Sync {
    /// Decides the order of the recipe.
    fn family(&self) -> ArrayFamily;
    /// Everything about the set; slow, outside the window only.
    async fn inventory(&self) -> Result<Inventory, DeviceError>;
    /// Target volumes of the set, in the order of its maps: whether it is still the set that was verified.
    async fn targets(&self) -> Result<Vec<Uid>, DeviceError> {
        let inventory = self.inventory().await?;
        Ok(inventory.pairs.into_iter().map(|p| p.target.uid).collect())
    }
    /// Volumes that the array maps to host objects with any of these ports.
    async fn volumes_of_ports(&self, ports: &[Wwpn]) -> Result<Vec<Volume>, DeviceError>;
    /// State now; cheap (used inside the window).
    async fn observe(&self) -> Result<CopyState, DeviceError>;
    /// Names of the maps that depend on this set's maps (they make a stop slow); for messages.
    async fn dependants(&self) -> Result<Vec<String>, DeviceError>;
    /// Effect: flush and arm. Destroys the targets' content from here on.
    async fn prepare(&self) -> Result<(), DeviceError>;
    /// Effect: the point in time. Refused by the array unless prepared.
    async fn start(&self) -> Result<(), DeviceError>;
    /// Effect: stop the copy, or disarm it when prepared; never with force.
    async fn end(&self) -> Result<(), DeviceError>;
    /// Space used by the targets.
    async fn usage(&self) -> Result<Usage, DeviceError>;
}
