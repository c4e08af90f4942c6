//! Source and clone: partitions, hosts, and what the clone becomes.

use super::devices::{Console, ObjectName};
use crate::site::Identity;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Production: looked at, force-written, suspended and resumed; never stopped, never written to otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// Its partition.
    pub partition: SourcePartition,
    /// Its address.
    pub host: Host,
    /// Every (serial, partition id) under which production may live: LPM targets, disaster recovery box. When empty,
    /// the first verify learns one into status.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub identities: Vec<Identity>,
    /// Only when the source hangs on another console than the clone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub console: Option<Console>,
}

/// A partition of the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourcePartition {
    /// Name of the managed system at the console.
    #[schemars(length(min = 1, max = 64))]
    pub managed_system: String,
    /// Name of the partition; immutable.
    #[schemars(length(min = 1, max = 47))]
    pub name: String,
}

/// An IBM i over SSH.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Host {
    /// Name or address.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new(r"self.matches(r'^[A-Za-z0-9.:_\-]+$')").message("address: write a host name or an IP address, without port and without user"))]
    pub address: String,
    /// SSH port. Default 22.
    #[serde(default = "ssh_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// Secret of type kubernetes.io/ssh-auth or kubernetes.io/basic-auth; key `username` names the profile.
    pub credentials: ObjectName,
    /// Pinned host keys, `SHA256:…` as `ssh-keygen -lf` prints them. The clone's default to the source's: they are
    /// copied with the disks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 50, max = 60)))]
    #[x_kube(validation = Rule::new(r"self.all(x, x.matches(r'^SHA256:[A-Za-z0-9+/]{43}$'))").message("hostKeys: write each key as SHA256: and 43 characters, as `ssh-keygen -lf` prints it"))]
    pub host_keys: Vec<String>,
}

fn ssh_port() -> i32 {
    22
}

/// The clone: overwritten by every run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloneSide {
    /// Its partition.
    pub partition: ClonePartition,
    /// Its address after the personality.
    pub host: Host,
    /// Isolated: no network path to production's users. Default Shared.
    #[serde(default)]
    pub network: Network,
    /// What the clone becomes.
    pub personality: Personality,
}

/// A partition of the clone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClonePartition {
    /// Name of the managed system at the console.
    #[schemars(length(min = 1, max = 64))]
    pub managed_system: String,
    /// Name of the partition; immutable.
    #[schemars(length(min = 1, max = 47))]
    pub name: String,
    /// Profile to activate; default the partition's default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub profile: Option<String>,
    /// IPL source. Default B.
    #[serde(default)]
    pub ipl_source: IplSource,
}

/// Where the LIC is loaded from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum IplSource {
    /// Permanent LIC only.
    A,
    /// With temporary PTFs: normal operation.
    #[default]
    B,
}

/// Whether the clone can reach production's users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Network {
    /// Same network: the guest kit's STRTCP check must pass.
    #[default]
    Shared,
    /// No path to production's users.
    Isolated,
}

/// What the clone becomes, in the hands of the guest kit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Personality {
    /// System name (CHGNETA SYSNAME).
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(validation = Rule::new(r"self.matches(r'^[A-Z$#@][A-Z0-9$#@]{0,7}$')").message("systemName: write 1 to 8 upper-case letters, digits, $, # or @, not beginning with a digit"))]
    pub system_name: String,
    /// Exactly these IPv4 interfaces: all others are removed before TCP starts.
    #[schemars(length(min = 1, max = 16))]
    pub interfaces: Vec<Interface>,
    /// Exactly these routes. Default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub routes: Vec<Route>,
    /// TCP/IP host name.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = Rule::new(r"self.matches(r'^[A-Za-z0-9][A-Za-z0-9\-]*$')").message("hostName: write the host name without domain: letters, digits and hyphens"))]
    pub host_name: String,
    /// TCP/IP domain. Default unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub domain: Option<String>,
    /// `LIB/PROGRAM`, called last by the guard. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 21))]
    #[x_kube(validation = Rule::new(r"self.matches(r'^[A-Z$#@][A-Z0-9$#@_.]{0,9}/[A-Z$#@][A-Z0-9$#@_.]{0,9}$')").message("startupProgram: write LIBRARY/PROGRAM in upper case"))]
    pub startup_program: Option<String>,
    /// Subsystems to start, `NAME` or `LIB/NAME`; none else is. Default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 21)))]
    #[x_kube(validation = Rule::new(r"self.all(x, x.matches(r'^([A-Z$#@][A-Z0-9$#@_.]{0,9}/)?[A-Z$#@][A-Z0-9$#@_.]{0,9}$'))").message("startSubsystems: write each as SUBSYSTEM or LIBRARY/SUBSYSTEM in upper case"))]
    pub start_subsystems: Vec<String>,
    /// Whether job schedule entries and the Advanced Job Scheduler are held. Default Hold.
    #[serde(default)]
    pub scheduled_jobs: ScheduledJobs,
    /// Names that the Advanced Job Scheduler (5770-JS1) has on production; where the product is not installed nothing is
    /// done. Held, or left alone, as `scheduledJobs` says.
    #[serde(default)]
    pub job_scheduler: JobScheduler,
    /// Whether independent ASPs are varied on. Default true.
    #[serde(default = "yes")]
    pub vary_on_asps: bool,
}

fn yes() -> bool {
    true
}

/// Where production's Advanced Job Scheduler (5770-JS1) keeps its jobs, and who submits them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobScheduler {
    /// Its data libraries: their monitors are ended on the clone and may not be started there (ENDJS, CHGDLJS MON(*NO)).
    /// Default QUSRIJS.
    #[serde(default = "scheduler_libraries")]
    #[schemars(length(min = 1, max = 8), inner(length(min = 1, max = 10)))]
    #[x_kube(validation = Rule::new(r"self.all(x, x.matches(r'^[A-Z$#@][A-Z0-9$#@_.]{0,9}$'))").message("dataLibraries: write each as the name of a library, at most 10 characters, upper case"))]
    pub data_libraries: Vec<String>,
    /// Job names of its monitors (CHGDLJS MONJOBNAM), looked for on the clone. Default QIJSSCD.
    #[serde(default = "scheduler_jobs")]
    #[schemars(length(min = 1, max = 8), inner(length(min = 1, max = 10)))]
    #[x_kube(validation = Rule::new(r"self.all(x, x.matches(r'^[A-Z$#@][A-Z0-9$#@_.]{0,9}$'))").message("monitorJobs: write each as the name of a job, at most 10 characters, upper case"))]
    pub monitor_jobs: Vec<String>,
}

impl Default for JobScheduler {
    fn default() -> Self {
        Self {
            data_libraries: scheduler_libraries(),
            monitor_jobs: scheduler_jobs(),
        }
    }
}

fn scheduler_libraries() -> Vec<String> {
    vec!["QUSRIJS".to_owned()]
}

fn scheduler_jobs() -> Vec<String> {
    vec!["QIJSSCD".to_owned()]
}

/// What happens to job schedule entries, and to the Advanced Job Scheduler, on the clone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum ScheduledJobs {
    /// All are held and read back.
    #[default]
    Hold,
    /// Left as they are.
    Keep,
}

/// One IPv4 interface of the clone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Interface {
    /// IPv4 address.
    #[schemars(length(max = 15))]
    #[x_kube(validation = Rule::new(r"self.matches(r'^(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])(\.(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])){3}$')").message("address: write an IPv4 address such as 10.0.8.21"))]
    pub address: String,
    /// Subnet mask.
    #[schemars(length(max = 15))]
    #[x_kube(validation = Rule::new(r"self.matches(r'^(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])(\.(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])){3}$')").message("netmask: write an IPv4 mask such as 255.255.255.0"))]
    pub netmask: String,
    /// Line description.
    #[schemars(length(min = 1, max = 10))]
    #[x_kube(validation = Rule::new(r"self.matches(r'^[A-Z$#@][A-Z0-9$#@_.]{0,9}$')").message("lineDescription: write the name of a line description, at most 10 characters, upper case"))]
    pub line_description: String,
    /// Communications resource of the clone's adapter; default the line's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 10))]
    #[x_kube(validation = Rule::new(r"self.matches(r'^[A-Z][A-Z0-9]{0,9}$')").message("resource: write a communications resource such as CMN03"))]
    pub resource: Option<String>,
}

/// One route of the clone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    /// `*DFTROUTE` or a network `address/mask`.
    #[schemars(length(min = 7, max = 31))]
    #[x_kube(validation = Rule::new(r"self.matches(r'^(\*DFTROUTE|[0-9.]+/[0-9.]+)$')").message("destination: write *DFTROUTE or NETWORK/MASK such as 10.1.0.0/255.255.0.0"))]
    pub destination: String,
    /// IPv4 address of the next hop.
    #[schemars(length(max = 15))]
    #[x_kube(validation = Rule::new(r"self.matches(r'^(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])(\.(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])){3}$')").message("nextHop: write an IPv4 address such as 10.0.8.1"))]
    pub next_hop: String,
}
