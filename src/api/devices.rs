//! Where the devices are: console, VIOS, array. Unions are structs of options with one rule, because an externally
//! tagged enum gives an unreadable `oneOf` error.

use super::CloneEnvironmentSpec;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Name of a Secret or ConfigMap in the environment's namespace.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectName {
    /// Name of the object.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// How the certificate of an https device is checked. Empty = the public roots, which no device of this world uses.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// ConfigMap whose key `ca.crt` holds the certificates to trust (PEM).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<ObjectName>,
    /// SHA-256 fingerprints (`SHA256:` and base64 without `=`, or 64 hex digits) of the device's own certificate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 32, max = 128)))]
    pub fingerprints: Vec<String>,
    /// Name in the certificate when it differs from the endpoint's host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub server_name: Option<String>,
    /// Accept any certificate. Sets condition InsecureTransport. Default false.
    #[serde(default)]
    pub insecure_skip_verify: bool,
}

/// The console that serves the partitions; exactly one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.hmc)").message("write exactly one console: hmc: { endpoints, credentials, tls }"))]
pub struct Console {
    /// Hardware Management Console over its REST API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hmc: Option<Hmc>,
}

/// One HMC, or two that manage the same systems.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Hmc {
    /// `https://host[:port]`; the second is used when the first cannot be reached. Without a port: 443, then 12443.
    #[schemars(length(min = 1, max = 2), inner(length(min = 9, max = 300)))]
    #[x_kube(validation = Rule::new(r"self.all(x, x.matches(r'^https://[^/]+$'))").message("endpoints: write https://HOST or https://HOST:PORT, without a path"))]
    pub endpoints: Vec<String>,
    /// Secret of type kubernetes.io/basic-auth.
    pub credentials: ObjectName,
    /// Certificate checks.
    #[serde(default)]
    pub tls: Tls,
}

/// How the clone's volumes reach its partition; exactly one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.vscsi)").message("write exactly one of virtualIo: vscsi: { adapters }"))]
pub struct VirtualIoSpec {
    /// Virtual SCSI through one or more VIOSes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vscsi: Option<Vscsi>,
}

/// Virtual SCSI adapters of the clone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Vscsi {
    /// Every server adapter (vhost) that serves the clone, on every VIOS.
    #[schemars(length(min = 1, max = 16))]
    pub adapters: Vec<VscsiAdapter>,
    /// Leave the mappings in place over the copy; they are only read and proved. Default false.
    #[serde(default)]
    pub keep_mappings: bool,
}

/// One server adapter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct VscsiAdapter {
    /// Name of the VIOS partition.
    #[schemars(length(min = 1, max = 47))]
    pub server: String,
    /// Server adapter on that VIOS.
    #[schemars(length(min = 6, max = 9))]
    #[x_kube(validation = Rule::new(r"self.matches(r'^vhost[0-9]{1,4}$')").message("vhost: write the server adapter as the VIOS names it, such as vhost3"))]
    pub vhost: String,
    /// Array names of the target volumes behind this adapter; `*` stands for any characters (`CLONE1_*`), and alone for all
    /// that no other adapter of this VIOS names. Every target must be behind at least one adapter; with more than one
    /// consistency group each name must fit a target of every group (`CLONE*_0`). Default all.
    #[serde(default = "all_volumes")]
    #[schemars(length(min = 1, max = 256), inner(length(min = 1, max = 63)))]
    pub volumes: Vec<String>,
}

fn all_volumes() -> Vec<String> {
    vec!["*".to_owned()]
}

/// The array that copies; exactly one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.spectrumVirtualize)").message("write exactly one of storage: spectrumVirtualize: { endpoint, credentials, consistencyGroups }"))]
pub struct Storage {
    /// IBM Storage Virtualize: SVC, Storwize, FlashSystem.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spectrum_virtualize: Option<SpectrumVirtualize>,
    /// UIDs of volumes of production that are knowingly left out of the copy. Default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 4, max = 64)))]
    pub allow_partial: Vec<String>,
}

/// One Storage Virtualize system and the group that is copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpectrumVirtualize {
    /// `https://host:7443`.
    #[schemars(length(min = 9, max = 300))]
    #[x_kube(validation = Rule::new(r"self.matches(r'^https://[^/]+$')").message("endpoint: write https://HOST:7443, without a path"))]
    pub endpoint: String,
    /// Secret of type kubernetes.io/basic-auth.
    pub credentials: ObjectName,
    /// Certificate checks.
    #[serde(default)]
    pub tls: Tls,
    /// FlashCopy consistency groups, each with one map per volume of production; made by the storage administrator. More
    /// than one = target sets used in turn, so that older images stay: a run overwrites a set without image, else the one
    /// with the oldest image, never one that is pinned or whose run is at work.
    #[schemars(length(min = 1, max = 8), inner(length(min = 1, max = 63)))]
    #[x_kube(validation = Rule::new(r"self.all(x, x.matches(r'^[A-Za-z_][A-Za-z0-9_.\-]*$'))").message("consistencyGroups: write the names of FlashCopy consistency groups as the array shows them"))]
    #[x_kube(validation = Rule::new("self.all(x, self.exists_one(y, y == x))").message("consistencyGroups: write each group once"))]
    pub consistency_groups: Vec<String>,
    /// What the maps must be like.
    #[serde(default)]
    pub copy: Copy,
    /// Limits of the pool's physical fill.
    #[serde(default)]
    pub pool: Pool,
}

/// What the maps of the group must be like.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Copy {
    /// SpaceEfficient: background copy rate 0. Full: above 0. Default SpaceEfficient.
    #[serde(default)]
    pub kind: CopyKind,
}

/// Space-efficient or full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum CopyKind {
    /// Only changed data is copied; the targets depend on production's volumes.
    #[default]
    SpaceEfficient,
    /// Everything is copied in the background.
    Full,
}

/// Limits of the pool's physical fill, percent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.refuseAbovePercent <= self.alarmPercent").message("refuseAbovePercent must not be above alarmPercent"))]
pub struct Pool {
    /// No run starts above this fill. Default 85.
    #[serde(default = "refuse_default")]
    #[schemars(range(min = 1, max = 100))]
    pub refuse_above_percent: i32,
    /// Above this fill the environment is loud. Default 92.
    #[serde(default = "alarm_default")]
    #[schemars(range(min = 1, max = 100))]
    pub alarm_percent: i32,
}

fn refuse_default() -> i32 {
    85
}
fn alarm_default() -> i32 {
    92
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            refuse_above_percent: refuse_default(),
            alarm_percent: alarm_default(),
        }
    }
}

impl CloneEnvironmentSpec {
    /// Names of the target sets, in the order written.
    pub fn target_sets(&self) -> Vec<String> {
        let array = self.storage.spectrum_virtualize.as_ref();
        array.map_or_else(Vec::new, |a| a.consistency_groups.clone())
    }

    /// The same environment with one target set only: what a run is opened with, and what devices are opened for.
    pub fn with_target_set(&self, set: &str) -> Self {
        let mut spec = self.clone();
        if let Some(array) = &mut spec.storage.spectrum_virtualize {
            array.consistency_groups = vec![set.to_owned()];
        }
        spec
    }
}
