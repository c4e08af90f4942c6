//! The checks of `product.md` § 7.2–7.4: one look at everything, without changing anything. Used by step `verify-site`, by
//! the environment's own verify, and by mode Preflight.
//!
//! Reading and judging are apart: the judges are pure, and every message names the object and says what to do.

mod kit;
mod partitions;
mod source;
mod virtual_io;
mod volumes;

use super::plan::Plan;
use crate::site::{CopyPhase, DeviceError, Identity, PartitionUuid, Site, Uid};

/// What a finding means for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// No run may start.
    Fatal,
    /// A run may start; a person must read it.
    Warning,
    /// Good to know.
    Note,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it means for a run.
    pub level: Level,
    /// One word of a fixed list, CamelCase.
    pub reason: &'static str,
    /// What was found, where, and what a person can do.
    pub message: String,
    /// Condition of the environment that it sets, besides `Ready`: `VolumeDrift`, `GuestKitReady`.
    pub condition: Option<&'static str>,
}

impl Finding {
    pub(crate) fn new(level: Level, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            level,
            reason,
            message: message.into(),
            condition: None,
        }
    }
    pub(crate) fn fatal(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(Level::Fatal, reason, message)
    }
    pub(crate) fn about(self, condition: &'static str) -> Self {
        Self {
            condition: Some(condition),
            ..self
        }
    }
}

/// Condition set by a difference between production's volumes and the group's sources.
pub const VOLUME_DRIFT: &str = "VolumeDrift";
/// Condition set by whatever is wrong with the guest kit on the source.
pub const GUEST_KIT: &str = "GuestKitReady";

/// How far a look goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Reads only.
    Look,
    /// One CHGASPACT *FRCWRT per ASP proves the authority to suspend. Only for a caller that holds the source's lock.
    Full,
}

/// What was learned on the way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SiteFacts {
    /// UUID of the clone's partition.
    pub clone_uuid: Option<PartitionUuid>,
    /// UUID of the source's partition.
    pub source_uuid: Option<PartitionUuid>,
    /// The console's pair of the clone.
    pub clone_identity: Option<Identity>,
    /// Who answers as production.
    pub source_identity: Option<Identity>,
    /// The console's word for the clone.
    pub clone_state: Option<String>,
    /// The clone's reference code.
    pub reference_code: Option<String>,
    /// Volumes production uses, found from outside, sorted.
    pub source_volumes: Vec<Uid>,
    /// Targets in the array's order of maps.
    pub targets: Vec<Uid>,
    /// UIDs (or `VIOS/disk`) that are in only one of production and group, sorted.
    pub drift: Vec<String>,
    /// Whether a target is mapped to the clone on any VIOS; absent = not told.
    pub attached: Option<bool>,
    /// State of the group.
    pub phase: Option<CopyPhase>,
    /// Lowest background progress, percent.
    pub copy_progress: Option<u8>,
    /// The copy on the target set, where there is one.
    pub image: Option<SeenImage>,
    /// Worst physical fill of a target pool, with its name.
    pub pool_fill: Option<(String, u8)>,
    /// Code level of the array.
    pub storage_level: Option<String>,
    /// The array's own identity.
    pub array: Option<String>,
    /// Version of the guest kit on the source.
    pub kit_version: Option<String>,
}

/// A copy as the array shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenImage {
    /// [`crate::recipe::image_mark`] of it: whose it is.
    pub mark: String,
    /// Lowest background progress, percent.
    pub progress: u8,
    /// Σ used / Σ capacity of the target volumes, percent; `None` where the array cannot say.
    pub disk_used_percent: Option<u8>,
}

/// The result of one look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SiteReport {
    /// Everything found, fatal ones first.
    pub findings: Vec<Finding>,
    /// What was learned.
    pub facts: SiteFacts,
    /// Devices that could not be asked now: nothing is known of them, look again.
    pub unanswered: Vec<DeviceError>,
}

impl SiteReport {
    /// Findings that forbid a run.
    pub fn fatal(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|f| f.level == Level::Fatal)
    }
    /// Everything was asked, and nothing forbids a run.
    pub fn ready(&self) -> bool {
        self.unanswered.is_empty() && self.fatal().next().is_none()
    }
    pub(crate) fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }
    /// Keeps an answer; a refusal is a finding, silence is remembered.
    fn take<T>(&mut self, answer: Result<T, DeviceError>) -> Option<T> {
        match answer {
            Ok(value) => Some(value),
            Err(error @ DeviceError::Refused { .. }) => {
                // One cause refuses several questions; it is said once.
                let text = error.to_string();
                if !self.findings.iter().any(|f| f.message.contains(&text)) {
                    self.add(Finding::fatal(refusal(&error), text));
                }
                None
            }
            Err(error) => {
                self.unanswered.push(error);
                None
            }
        }
    }
}

/// Our own codes of what a person must change are the reason themselves; a device's code is in the text.
fn refusal(error: &DeviceError) -> &'static str {
    match error.code() {
        Some("LoginFailed") => "LoginFailed",
        Some("CertificateNotTrusted") => "CertificateNotTrusted",
        Some("NoFibreChannel") => "NoFibreChannel",
        Some("PortOfSource") => "PortOfSource",
        Some("HostUnknown") => "HostUnknown",
        Some("HostOfSource") => "HostOfSource",
        Some("HostOfOthers") => "HostOfOthers",
        Some("SeveralHosts") => "SeveralHosts",
        Some("SharedMapping") => "SharedMapping",
        Some(_) | None => "DeviceRefused",
    }
}

/// Looks at the whole site.
pub async fn inspect(site: &Site, plan: &Plan, depth: Depth) -> SiteReport {
    let mut report = SiteReport::default();
    let (seen, group, production) = futures::join!(
        partitions::Seen::read(site),
        volumes::Group::read(site),
        source::Production::read(site, plan),
    );
    let pair = seen.source_identity();
    partitions::judge(seen, plan, &mut report);
    volumes::judge(group, plan, &mut report);
    source::judge(production, pair.as_ref(), plan, &mut report);
    virtual_io::inspect(site, plan, &mut report).await;
    source::authority(site, plan, depth, &mut report).await;
    report.findings.sort_by_key(|f| f.level);
    report
}

/// Looks at one more target set of an environment: its maps, and its volumes on the VIOSes.
pub async fn inspect_set(site: &Site, plan: &Plan) -> SiteReport {
    let mut report = SiteReport::default();
    let (seen, group) = futures::join!(partitions::Seen::read(site), volumes::Group::read(site));
    partitions::judge(seen, plan, &mut report);
    volumes::judge(group, plan, &mut report);
    virtual_io::inspect(site, plan, &mut report).await;
    report.findings.sort_by_key(|f| f.level);
    report
}

impl SiteReport {
    /// Takes up the report about another target set: what it found, once; the facts stay those of the first set.
    pub(crate) fn join(&mut self, other: SiteReport, set: &str, first: &str) {
        let shared = self.facts.targets.iter();
        let shared: Vec<&str> = shared
            .filter(|uid| other.facts.targets.contains(uid))
            .map(Uid::as_str)
            .collect();
        if !shared.is_empty() {
            let text = format!(
                "consistency groups {first} and {set} have the same targets: {}; an image that is kept would be overwritten with the other, give each group volumes of its own",
                shared.join(", ")
            );
            self.add(Finding::fatal("TargetShared", text));
        }
        for finding in other.findings {
            if !self.findings.iter().any(|f| f.message == finding.message) {
                self.add(finding);
            }
        }
        for error in other.unanswered {
            if !self.unanswered.contains(&error) {
                self.unanswered.push(error);
            }
        }
        self.findings.sort_by_key(|f| f.level);
    }
}
