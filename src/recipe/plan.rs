//! The plan of one run: a pure value with everything the steps need, made once from the frozen environment.

mod check;

use super::pace::Pace;
pub use super::pins::{Pins, identity_text, parse_identity};
use super::recorded::RecordedSets;
use crate::api::CloneEnvironmentSpec;
use crate::api::clone_side::{IplSource, Network, Personality};
use crate::api::devices::CopyKind;
use crate::api::options::{Freeze, FreezeMode, Function, Logs, OnTimeout, Proof, UserProgram};
use crate::api::run::{ImageOfRun, RunMode};
use crate::api::saves::{Brms, Save21};
use crate::api::surroundings::{After, AfterClone, Hook};
use crate::engine::ports::WindowPlan;
use crate::site::{ArrayFamily, Identity, OnBoundaryTimeout, PartitionUuid, Uid};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// How the clone's volumes reach its partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mapping {
    /// VIOS maps (vSCSI).
    Vscsi,
    /// The array maps to the clone's own ports (NPIV).
    Npiv,
}

impl Mapping {
    /// As in names of recipes.
    pub fn as_str(self) -> &'static str {
        match self {
            Mapping::Vscsi => "vscsi",
            Mapping::Npiv => "npiv",
        }
    }

    /// Command that removes one mapping, for messages.
    pub(super) fn removed_by(self) -> &'static str {
        match self {
            Mapping::Vscsi => "rmvdev -vtd",
            Mapping::Npiv => "rmvdiskhostmap",
        }
    }

    /// The setting with which several target sets can have the clone in turn.
    pub(super) fn for_turns(self) -> &'static str {
        match self {
            Mapping::Vscsi => "keepMappings: false",
            Mapping::Npiv => "swapHostMappings: true",
        }
    }

    /// The setting that leaves mappings in place, and how to go on when one is missing.
    pub(super) fn kept(self) -> (&'static str, &'static str) {
        match self {
            Mapping::Vscsi => (
                "keepMappings is true",
                "map them once by hand, or set keepMappings: false",
            ),
            Mapping::Npiv => (
                "swapHostMappings is false",
                "map them once by hand (mkvdiskhostmap, load source first), or set swapHostMappings: true",
            ),
        }
    }
}

/// What the controller knows besides the environment's spec.
#[derive(Debug, Clone, Default)]
pub struct ResolvedFacts {
    /// Namespace of environment and run.
    pub namespace: String,
    /// Name of the environment.
    pub environment: String,
    /// Name of the run; empty for the environment's own verify.
    pub run: String,
    /// The whole recipe or the checks only.
    pub mode: RunMode,
    /// The image that a run of mode StartHeld or End is about.
    pub image: Option<ImageOfRun>,
    /// A person says that production is down, whatever the console shows of it.
    pub source_is_down: bool,
    /// Token of the run, `[A-Z0-9]{8,32}`.
    pub run_token: String,
    /// Number of the run within the environment.
    pub run_number: i64,
    /// Number of the environment behind names on devices, unique in the cluster.
    pub device_number: i64,
    /// Pinned UUIDs and learned identity.
    pub pins: Pins,
    /// Pinned source partitions of all environments: none of them may ever be this clone.
    pub pinned_sources: Arc<BTreeSet<PartitionUuid>>,
    /// Id of this operator, as in the guest kit's `operator.lock`.
    pub operator_id: String,
    /// Target sets that runs have mapped to a clone; `None` = nothing is known of any.
    pub recorded: Option<Arc<dyn RecordedSets>>,
    /// Polls, limits and cap.
    pub pace: Pace,
}

/// Why no plan can be made. The environment must be changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A union of the spec has no member that this version drives.
    #[error("{field}: nothing this operator drives is configured; write {write}")]
    Missing {
        /// Field of the spec.
        field: &'static str,
        /// What to write.
        write: &'static str,
    },
    /// A value that cannot be used.
    #[error("{field}: {why}")]
    Unusable {
        /// Field of the spec, or fact of the controller.
        field: &'static str,
        /// Why, and what to write.
        why: String,
    },
}

/// Everything the steps of one run need.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Namespace of environment and run.
    pub namespace: String,
    /// Name of the environment.
    pub environment: String,
    /// Name of the run; empty for the environment's own verify.
    pub run: String,
    /// The whole recipe or the checks only.
    pub mode: RunMode,
    /// The image that a run of mode StartHeld or End is about.
    pub image: Option<ImageOfRun>,
    /// A person says that production is down, whatever the console shows of it.
    pub source_is_down: bool,
    /// What the clone is for.
    pub function: Function,
    /// Decides the order of the recipe.
    pub family: ArrayFamily,
    /// How volumes reach the clone.
    pub mapping: Mapping,
    /// Leave VIOS maps, or with NPIV the host mappings, in place over the copy: they are only read and proved.
    pub keep_mappings: bool,
    /// Name of the consistency group, for messages.
    pub copy_group: String,
    /// Rate 0, or above.
    pub copy_kind: CopyKind,
    /// No run starts above this physical fill, percent.
    pub refuse_above_percent: u8,
    /// Loud above this physical fill, percent.
    pub alarm_percent: u8,
    /// Volumes of production that are knowingly left out.
    pub allow_partial: BTreeSet<Uid>,
    /// Managed system and name of the source's partition.
    pub source_partition: (String, String),
    /// Managed system and name of the clone's partition.
    pub clone_partition: (String, String),
    /// Profile for the start; `None` = the partition's default one.
    pub profile: Option<String>,
    /// Where the LIC is loaded from: `a` or `b`.
    pub ipl_source: char,
    /// Whether the clone can reach production's users.
    pub network: Network,
    /// What the clone becomes.
    pub personality: Personality,
    /// VIOS and vhost of every adapter, for messages and checks; none with NPIV.
    pub adapters: Vec<(String, String)>,
    /// Every identity under which production may live: given ones, or the learned one.
    pub source_identities: Vec<Identity>,
    /// Whether the identities were given in the spec.
    pub identities_given: bool,
    /// Pinned UUIDs and learned identity.
    pub pins: Pins,
    /// Pinned source partitions of all environments.
    pub pinned_sources: Arc<BTreeSet<PartitionUuid>>,
    /// Token of the run.
    pub run_token: String,
    /// Number of the run.
    pub run_number: i64,
    /// Number of the environment behind names on devices.
    pub device_number: i64,
    /// Id of this operator.
    pub operator_id: String,
    /// How production is suspended.
    pub freeze: Freeze,
    /// The programs of function USER, in order; empty with every other function.
    pub programs: Vec<UserProgram>,
    /// Control groups and history; only with function BRMS.
    pub brms: Option<Brms>,
    /// The tape; only with function SAVE21.
    pub save21: Option<Save21>,
    /// Programs called at points of the run; their place in this list is part of their job's name.
    pub hooks: Vec<Hook>,
    /// What becomes of clone and image.
    pub after: After,
    /// What is kept and counted of the logs.
    pub logs: Logs,
    /// Whole run, seconds of device time.
    pub run_seconds: u64,
    /// Activation → ready, seconds of device time.
    pub ipl_seconds: u64,
    /// The function, seconds of device time.
    pub function_seconds: u64,
    /// Target sets that runs have mapped to a clone.
    pub recorded: Option<Arc<dyn RecordedSets>>,
    /// Polls, limits and cap.
    pub pace: Pace,
}

/// Wait beyond the cap for watchdog and take-over, seconds (`ibmi/CONTRACT.md` § 4 recommends 30).
const MARGIN_SECONDS: u32 = 30;

impl Plan {
    /// Makes the plan; refuses what the guest kit or a device could not take.
    pub fn new(spec: &CloneEnvironmentSpec, facts: ResolvedFacts) -> Result<Self, PlanError> {
        let storage = spec
            .storage
            .spectrum_virtualize
            .as_ref()
            .ok_or(PlanError::Missing {
                field: "storage",
                write: "spectrumVirtualize: { endpoint, credentials, consistencyGroups }",
            })?;
        let (mapping, keep_mappings, adapters) = mapping(spec)?;
        let plan = Self {
            mode: facts.mode,
            image: facts.image,
            source_is_down: facts.source_is_down,
            function: spec.function,
            family: ArrayFamily::Overwrite,
            mapping,
            keep_mappings,
            copy_group: storage
                .consistency_groups
                .first()
                .cloned()
                .unwrap_or_default(),
            copy_kind: storage.copy.kind,
            refuse_above_percent: percent(storage.pool.refuse_above_percent),
            alarm_percent: percent(storage.pool.alarm_percent),
            allow_partial: spec.storage.allow_partial.iter().map(Uid::new).collect(),
            source_partition: (
                spec.source.partition.managed_system.clone(),
                spec.source.partition.name.clone(),
            ),
            clone_partition: (
                spec.clone.partition.managed_system.clone(),
                spec.clone.partition.name.clone(),
            ),
            profile: spec.clone.partition.profile.clone(),
            ipl_source: match spec.clone.partition.ipl_source {
                IplSource::A => 'a',
                IplSource::B => 'b',
            },
            network: spec.clone.network,
            personality: spec.clone.personality.clone(),
            adapters,
            source_identities: identities(spec, &facts.pins),
            identities_given: !spec.source.identities.is_empty(),
            pins: facts.pins,
            pinned_sources: facts.pinned_sources,
            namespace: facts.namespace,
            environment: facts.environment,
            run: facts.run,
            run_token: facts.run_token,
            run_number: facts.run_number,
            device_number: facts.device_number,
            operator_id: facts.operator_id,
            freeze: spec.freeze.clone(),
            programs: spec.user.iter().flat_map(|u| u.programs.clone()).collect(),
            brms: spec.brms.clone(),
            save21: spec.save21.clone(),
            hooks: spec.hooks.clone(),
            after: spec.after.clone(),
            logs: spec.logs.clone(),
            run_seconds: seconds(spec.timeouts.run_seconds),
            ipl_seconds: seconds(spec.timeouts.ipl_seconds),
            function_seconds: seconds(spec.timeouts.function_seconds),
            recorded: facts.recorded,
            pace: facts.pace,
        };
        plan.check()?;
        Ok(plan)
    }

    /// Whether this recipe starts the clone.
    pub fn starts_clone(&self) -> bool {
        match self.mode {
            RunMode::StartHeld => true,
            RunMode::Clone | RunMode::Preflight => self.function.starts_clone(),
            RunMode::End | RunMode::ReleaseHeld => false,
        }
    }

    /// Job queues of the clone on which jobs of this run are submitted, each once.
    pub fn clone_queues(&self) -> Vec<&str> {
        let programs = self.programs.iter().map(|p| p.job_queue.as_str());
        let hooks = self.hooks.iter().filter(|h| !h.at.on_source());
        let hooks = hooks.map(|h| h.job_queue.as_str());
        let mut queues: Vec<&str> = Vec::new();
        for queue in programs.chain(self.brms_queues()).chain(hooks) {
            if !queues.contains(&queue) {
                queues.push(queue);
            }
        }
        queues
    }

    /// Whether this run needs the clone's partition: it starts it, or maps volumes to it. Any other run leaves a partition
    /// alone that has none of its volumes; so does the end of a mapped HOLD's image.
    pub fn uses_clone(&self) -> bool {
        let maps = match self.mode {
            RunMode::Clone | RunMode::Preflight => self.after.map,
            RunMode::StartHeld | RunMode::ReleaseHeld | RunMode::End => false,
        };
        self.starts_clone() || maps
    }

    /// Whether the end of an image leaves the clone at work: on a full copy it keeps its disks, and only the relation to
    /// production ends, once everything is copied (`product.md` § 7.10). The clone of a HOLD is not at work.
    pub fn ends_relation_only(&self) -> bool {
        self.mode == RunMode::End
            && self.function != Function::Hold
            && self.copy_kind == CopyKind::Full
            && self.after.clone == AfterClone::KeepRunning
    }

    /// How the window is run. Seconds are the devices' own; `cap` and `margin` are the same on our clock.
    pub fn window(&self) -> WindowPlan {
        let max_seconds = self.freeze.max_seconds.unsigned_abs();
        WindowPlan {
            suspend: match self.freeze.mode {
                FreezeMode::Suspend => true,
                FreezeMode::ForceWrite => false,
            },
            on_boundary_timeout: match self.freeze.on_timeout {
                OnTimeout::Abort | OnTimeout::ForceWrite => OnBoundaryTimeout::Abort,
                OnTimeout::KeepSuspended => OnBoundaryTimeout::KeepSuspended,
            },
            fall_back_to_force_write: match self.freeze.on_timeout {
                OnTimeout::ForceWrite => true,
                OnTimeout::Abort | OnTimeout::KeepSuspended => false,
            },
            retries: self.freeze.retries,
            boundary_seconds: self.freeze.commit_boundary_seconds.unsigned_abs(),
            max_seconds,
            canary: match self.freeze.proof {
                Proof::Canary => true,
                Proof::Assumed => false,
            },
            margin_seconds: MARGIN_SECONDS,
            cap: self.pace.seconds(max_seconds.into()),
            margin: self.pace.seconds(MARGIN_SECONDS.into()),
        }
    }

    /// Limit of the whole run on our clock.
    pub fn run_limit(&self) -> Duration {
        self.pace.seconds(self.run_seconds)
    }

    /// The clone for messages: `CLONE1 on P10-PARIS`.
    pub fn clone_label(&self) -> String {
        format!("{} on {}", self.clone_partition.1, self.clone_partition.0)
    }

    /// The source for messages.
    pub fn source_label(&self) -> String {
        format!("{} on {}", self.source_partition.1, self.source_partition.0)
    }

    /// Which system a job runs on, as [`Question::system`](crate::engine::journal::Question::system).
    pub(in crate::recipe) fn clone_system(&self) -> String {
        format!("clone {}", self.clone_label())
    }

    /// The same of production.
    pub(in crate::recipe) fn source_system(&self) -> String {
        format!("source {}", self.source_label())
    }
}

/// How the volumes reach the clone, whether the mappings stay, and VIOS and vhost of every adapter.
type MappingPlan = (Mapping, bool, Vec<(String, String)>);

fn mapping(spec: &CloneEnvironmentSpec) -> Result<MappingPlan, PlanError> {
    let kept = spec.virtual_io.keeps_mappings();
    match (&spec.virtual_io.vscsi, &spec.virtual_io.npiv) {
        (Some(vscsi), None) => {
            let adapters = vscsi.adapters.iter();
            let adapters = adapters.map(|a| (a.server.clone(), a.vhost.clone()));
            Ok((Mapping::Vscsi, kept, adapters.collect()))
        }
        (None, Some(_)) => Ok((Mapping::Npiv, kept, Vec::new())),
        (None, None) | (Some(_), Some(_)) => Err(PlanError::Missing {
            field: "virtualIo",
            write: "exactly one of vscsi: { adapters } and npiv: { swapHostMappings }",
        }),
    }
}

fn unusable(field: &'static str, why: &str) -> PlanError {
    PlanError::Unusable {
        field,
        why: why.to_owned(),
    }
}

fn identities(spec: &CloneEnvironmentSpec, pins: &Pins) -> Vec<Identity> {
    if spec.source.identities.is_empty() {
        return pins.source_identity.iter().cloned().collect();
    }
    let given = spec.source.identities.iter();
    // Blanks and case in a hand-written serial must not make production look like a stranger.
    given
        .map(|i| Identity::new(&i.serial_number, i.partition_id))
        .collect()
}

fn percent(value: i32) -> u8 {
    u8::try_from(value.clamp(0, 100)).unwrap_or(100)
}

fn seconds(value: i32) -> u64 {
    u64::from(value.unsigned_abs())
}
