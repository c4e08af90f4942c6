//! Hand-written devices for the tests of steps and checks: they answer what a test puts in and count what was sent.

mod devices;
mod journals;

pub(crate) use journals::*;

use super::log_sink::{LogKind, LogLine, LogSink};
use super::pace::Pace;
use super::plan::{Pins, Plan, ResolvedFacts};
use super::records::RecordText;
use crate::api::CloneEnvironmentSpec;
use crate::engine::journal::{Entry, EntryState, Facts, Journal, WindowRecord};
use crate::engine::step::{Observation, Step, StepContext};
use crate::engine::time::Timestamp;
use crate::site::*;
use chrono::{DateTime, TimeZone, Utc};
use devices::{Host, SourceSide};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

pub(crate) const TOKEN: &str = "RUN00000001";
pub(crate) const SOURCE_SCPF: &str = "1261120010000";

/// Everything a test may set, and what the code under test has sent.
pub(crate) struct Inner {
    pub(crate) clone: Result<PartitionStatus, DeviceError>,
    pub(crate) source: Result<PartitionStatus, DeviceError>,
    pub(crate) attachments: Result<Vec<Attachment>, DeviceError>,
    pub(crate) profiles: Vec<String>,
    pub(crate) power_job: PowerJobState,
    pub(crate) keylock_answer: Result<(), DeviceError>,
    pub(crate) virtual_io: Result<VirtualIoState, DeviceError>,
    pub(crate) inventory: Result<Inventory, DeviceError>,
    pub(crate) port_volumes: Vec<Volume>,
    pub(crate) copy: Result<CopyState, DeviceError>,
    /// What the copy becomes when it is ended or prepared.
    pub(crate) copy_after: Option<CopyPhase>,
    pub(crate) dependants: Vec<String>,
    pub(crate) usage: Result<Usage, DeviceError>,
    pub(crate) asps: Vec<AspName>,
    pub(crate) resume: Result<(), DeviceError>,
    pub(crate) watchdog: Watchdog,
    pub(crate) systems: BTreeMap<&'static str, SystemFake>,
    pub(crate) logs: BTreeMap<LogKind, Vec<LogLine>>,
    /// The log store takes nothing and says this.
    pub(crate) logs_refused: Option<String>,
    /// Somebody reads news of running jobs.
    pub(crate) news_wanted: bool,
    /// News that were handed over: job, place in its log, line.
    pub(crate) news: Vec<(String, u64, LogLine)>,
    /// How often news were asked for.
    pub(crate) asked_for_news: usize,
    /// Another run has production when the last step comes.
    pub(crate) source_is_busy: bool,
    /// SNDMSG ends abnormally.
    pub(crate) refuses_to_tell: bool,
    /// Whether effects change the world, as they do in a whole run.
    pub(crate) alive: bool,
    /// Start time the array shows after a start.
    pub(crate) copy_start: &'static str,
    /// An array that shows the start time of the last copy until the next one, through prepare too; here the start is
    /// lost with its answer, and somebody disarms the group in the same instant.
    pub(crate) start_lost: bool,
    /// How a submitted job ends.
    pub(crate) function_ends_well: bool,
    /// A submitted job never ends.
    pub(crate) function_hangs: bool,
    /// Production has no description of the tape device.
    pub(crate) missing_tape: bool,
    /// Effects, in order.
    pub(crate) sent: Vec<String>,
}

/// One IBM i.
pub(crate) struct SystemFake {
    pub(crate) session: Result<Session, DeviceError>,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) rows: BTreeMap<String, Result<Vec<Row>, DeviceError>>,
    pub(crate) run: CommandOutput,
    pub(crate) job: Option<JobStatus>,
    /// Submitted jobs of a living world, by the last part of their names.
    pub(crate) jobs: BTreeMap<String, JobStatus>,
    /// Commands that are refused, by the beginning of their text.
    pub(crate) refuses: BTreeSet<&'static str>,
    /// Answers of commands, by the beginning of their text.
    pub(crate) says: BTreeMap<&'static str, &'static str>,
    /// Rows of queries, by a part of their text.
    pub(crate) tables: BTreeMap<&'static str, Vec<Row>>,
    /// Last parts of names of jobs that end abnormally, or never.
    pub(crate) fails: BTreeSet<String>,
    pub(crate) hangs: BTreeSet<String>,
    /// So many `.part` files from now on lose their last byte when they are put.
    pub(crate) cut: u32,
    pub(crate) history: Vec<Message>,
    pub(crate) job_log: Result<Vec<Message>, DeviceError>,
    /// What a question for the newest messages of a job comes to instead of an answer.
    pub(crate) news: Option<DeviceError>,
    /// Where the history log was asked from.
    pub(crate) since: Option<String>,
}

#[derive(Clone)]
pub(crate) struct World(pub(crate) Arc<Mutex<Inner>>);

pub(crate) fn identity(n: i32) -> Identity {
    Identity::new("78ABCD0", n)
}

fn partition(name: &str, id: i32) -> PartitionStatus {
    PartitionStatus {
        uuid: PartitionUuid::new(format!("UUID-{name}")),
        name: name.into(),
        managed_system: "P10-PARIS".into(),
        identity: identity(id),
        is_ibm_i: true,
        state: PartitionState::Running,
        reference_code: "00000000".into(),
        keylock: "normal".into(),
        operation_in_progress: false,
        migration_state: "Not_Migrating".into(),
    }
}

pub(crate) fn volume(name: &str, capacity: u64) -> Volume {
    Volume {
        name: name.into(),
        uid: Uid::new(format!("UID-{name}")),
        capacity_bytes: capacity,
        hosts: Vec::new(),
        status: "online".into(),
    }
}

pub(crate) fn pair(n: u32) -> CopyPair {
    CopyPair {
        name: format!("map{n}"),
        source: volume(&format!("prod{n}"), 1000),
        target: volume(&format!("clone{n}"), 1000),
        phase: CopyPhase::Stopped,
        progress: 0,
        copy_rate: 0,
        auto_delete: false,
        remote_controlled: false,
        target_is_source_of: Vec::new(),
    }
}

pub(crate) fn path(vios: &str, n: u32, mapped: bool) -> VolumePath {
    VolumePath {
        vios: vios.into(),
        uid: volume(&format!("clone{n}"), 0).uid,
        disks: vec![format!("hdisk{n}")],
        mapped_as: mapped.then(|| format!("C1_V0{n}")),
        mapped_elsewhere: Vec::new(),
    }
}

/// A device on the clone's adapter that is none of the run's own; `uid` = the disk behind it.
pub(crate) fn stranger(place: &str, uid: Option<&str>) -> ForeignDevice {
    ForeignDevice {
        place: place.into(),
        uid: uid.map(Uid::new),
    }
}

pub(crate) fn paths(mapped: bool) -> VirtualIoState {
    VirtualIoState {
        paths: [("VIOS1", 0), ("VIOS1", 1), ("VIOS2", 0), ("VIOS2", 1)]
            .map(|(v, n)| path(v, n, mapped))
            .to_vec(),
        foreign: Vec::new(),
    }
}

pub(crate) fn copy_state(phase: CopyPhase, time: &str) -> CopyState {
    CopyState {
        phase,
        started: vec![("map0".into(), time.into()), ("map1".into(), time.into())],
        deviating: Vec::new(),
        progress: 0,
    }
}

fn system(id: i32, scpf: &str) -> SystemFake {
    SystemFake {
        session: Ok(Session {
            number: 1,
            system: SystemStatus {
                identity: identity(id),
                host_name: "PROD".into(),
                scpf_entry_time: scpf.into(),
                now: Utc.with_ymd_and_hms(2026, 11, 23, 3, 0, 0).unwrap(),
            },
        }),
        files: BTreeMap::new(),
        rows: BTreeMap::new(),
        run: CommandOutput {
            succeeded: true,
            messages: Vec::new(),
            text: String::new(),
        },
        job: None,
        jobs: BTreeMap::new(),
        refuses: BTreeSet::new(),
        says: BTreeMap::new(),
        tables: BTreeMap::new(),
        fails: BTreeSet::new(),
        hangs: BTreeSet::new(),
        cut: 0,
        history: Vec::new(),
        job_log: Ok(Vec::new()),
        news: None,
        since: None,
    }
}

/// A healthy site: production runs, the clone runs an old image, the group has two maps.
pub(crate) fn world() -> World {
    let mut source = system(3, SOURCE_SCPF);
    source.run.text = check_record(&[]);
    source
        .files
        .insert("/ibmiclone/version".into(), b"1.2.0\n".to_vec());
    World(Arc::new(Mutex::new(Inner {
        clone: Ok(partition("CLONE1", 7)),
        source: Ok(partition("PROD", 3)),
        attachments: Ok([0, 1]
            .map(|n| Attachment::Volume {
                vios: "VIOS1".into(),
                uid: Some(pair(n).source.uid),
                disk: format!("hdisk{n}"),
            })
            .to_vec()),
        profiles: vec!["CLONE_PRF".into()],
        power_job: PowerJobState::Running,
        keylock_answer: Ok(()),
        virtual_io: Ok(paths(true)),
        inventory: Ok(Inventory {
            pairs: vec![pair(0), pair(1)],
            phase: CopyPhase::Copying,
            pool_fill: Some(("Pool0".into(), 40)),
            level: "8.6.0.0".into(),
            system: "000002032CA0FF0E".into(),
        }),
        port_volumes: Vec::new(),
        copy: Ok(copy_state(CopyPhase::Copying, "1")),
        copy_after: None,
        dependants: Vec::new(),
        usage: Ok(Usage {
            disk_used_percent: Some(17),
            progress: 0,
        }),
        asps: vec![AspName::new("IASP1"), AspName::new("*SYSBAS")],
        resume: Ok(()),
        watchdog: Watchdog::Ended,
        systems: [("source", source), ("clone", system(7, "1261123050000"))].into(),
        logs: BTreeMap::new(),
        logs_refused: None,
        news_wanted: false,
        news: Vec::new(),
        asked_for_news: 0,
        source_is_busy: false,
        refuses_to_tell: false,
        alive: false,
        copy_start: "2",
        start_lost: false,
        function_ends_well: true,
        function_hangs: false,
        missing_tape: false,
        sent: Vec::new(),
    })))
}

/// A good `check` record with some values changed.
pub(crate) fn check_record(changes: &[(&str, &str)]) -> String {
    let mut values: BTreeMap<&str, &str> = [
        ("kit", "1.2.0"),
        ("serial", "78ABCD0"),
        ("partition", "3"),
        ("clock", "2026-11-23T03:00:00Z"),
        ("startup", "QGPL/CLNSTRUP"),
        ("original", "QSYS/QSTRUP"),
        ("strtcp", "No"),
        ("identities", "78ABCD0/3"),
        ("missing", "-"),
        ("canary", "Yes"),
        ("qpmlpmgt", "Yes"),
        ("jobctl", "Yes"),
        ("sshd", "Yes"),
        ("leftovers", "-"),
        ("js1", "No"),
    ]
    .into();
    values.extend(changes.iter().copied());
    let mut text = RecordText::default();
    text.line("version", "1");
    text.line("kind", "check");
    for (key, value) in values {
        text.line(key, value);
    }
    text.close().expect("plain characters")
}

/// A record of the kit from pairs.
pub(crate) fn record(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut text = RecordText::default();
    text.line("version", "1");
    for (key, value) in pairs {
        text.line(key, value);
    }
    text.close().expect("plain characters").into_bytes()
}

pub(crate) fn row(cells: &[(&str, &str)]) -> Row {
    cells
        .iter()
        .map(|(k, v)| ((*k).to_owned(), Some((*v).to_owned())))
        .collect()
}

pub(crate) fn message(id: &str, severity: u8, time: &str, job: &str, text: &str) -> Message {
    Message {
        id: id.into(),
        severity,
        kind: "DIAGNOSTIC".into(),
        subtype: String::new(),
        timestamp: time.into(),
        text: text.into(),
        second_level: "more".into(),
        job: job.into(),
    }
}

pub(crate) fn silent() -> DeviceError {
    DeviceError::unreachable("device", "no route")
}

pub(crate) fn no() -> DeviceError {
    DeviceError::refused("device", "CMMVC0000E", "no")
}

pub(crate) fn start() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 23, 2, 0, 0).unwrap()
}

impl World {
    pub(crate) fn set(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("no test panics while holding it")
    }
    pub(crate) fn clone_state(&self, state: PartitionState, code: &str) {
        let mut inner = self.set();
        let clone = inner.clone.as_mut().expect("set to an answer");
        clone.state = state;
        clone.reference_code = code.into();
    }
    pub(crate) fn system(&self, name: &'static str, change: impl FnOnce(&mut SystemFake)) {
        change(self.set().systems.get_mut(name).expect("source or clone"));
    }
    pub(crate) fn sent(&self) -> Vec<String> {
        self.set().sent.clone()
    }
    fn send(&self, what: impl Into<String>) {
        self.set().sent.push(what.into());
    }
    pub(crate) fn site(&self) -> Site {
        let me = || Arc::new(self.clone());
        Site {
            clone_partition: me(),
            source_partition: Arc::new(SourceSide(self.clone())),
            virtual_io: me(),
            copy: me(),
            source: SourceSystem(Arc::new(Host(self.clone(), "source"))),
            clone: CloneSystem(Arc::new(Host(self.clone(), "clone"))),
            freeze: me(),
            transcript: Default::default(),
        }
    }
    pub(crate) fn sink(&self) -> Arc<dyn LogSink> {
        Arc::new(self.clone())
    }
    /// Looks with one step.
    pub(crate) async fn look(&self, step: &dyn Step, journal: &Journal) -> Observation {
        self.look_at(step, journal, start()).await
    }
    pub(crate) async fn look_at(
        &self,
        step: &dyn Step,
        journal: &Journal,
        now: DateTime<Utc>,
    ) -> Observation {
        let site = self.site();
        let context = StepContext {
            site: &site,
            journal,
            now,
            release_backups: false,
        };
        step.observe(&context).await
    }
    pub(crate) async fn act(
        &self,
        step: &dyn Step,
        journal: &Journal,
    ) -> Result<Option<String>, DeviceError> {
        let site = self.site();
        let context = StepContext {
            site: &site,
            journal,
            now: start(),
            release_backups: false,
        };
        step.act(&context).await
    }
}

/// A plan of the sample environment.
pub(crate) fn plan(function: &str) -> Plan {
    let (spec, facts) = sample(function);
    Plan::new(&spec, facts).expect("the sample can be planned")
}

/// The sample environment and what the controller knows.
pub(crate) fn sample(function: &str) -> (CloneEnvironmentSpec, ResolvedFacts) {
    let mut json = serde_json::json!({
        "function": function,
        "source": {
            "partition": {"managedSystem": "P10-PARIS", "name": "PROD"},
            "host": {"address": "prod.example.com", "credentials": {"name": "prod-ssh"}},
            "identities": [{"serialNumber": "78ABCD0", "partitionId": 3}]
        },
        "clone": {
            "partition": {"managedSystem": "P10-PARIS", "name": "CLONE1", "profile": "CLONE_PRF"},
            "host": {"address": "clone1.example.com", "credentials": {"name": "clone-ssh"}},
            "personality": {
                "systemName": "CLONE1", "hostName": "clone1", "domain": "example.com",
                "interfaces": [{"address": "10.0.8.21", "netmask": "255.255.255.0", "lineDescription": "ETHLINE", "resource": "CMN03"}],
                "routes": [{"destination": "*DFTROUTE", "nextHop": "10.0.8.1"}],
                "startSubsystems": ["QSYSWRK"]
            }
        },
        "console": {"hmc": {"endpoints": ["https://hmc1.example.com"], "credentials": {"name": "hmc"}}},
        "virtualIo": {"vscsi": {"adapters": [{"server": "VIOS1", "vhost": "vhost3"}, {"server": "VIOS2", "vhost": "vhost3"}]}},
        "storage": {"spectrumVirtualize": {
            "endpoint": "https://svc.example.com:7443", "credentials": {"name": "svc"}, "consistencyGroups": ["CLONE1"]
        }}
    });
    if function == "SAVE21" {
        json["save21"] = serde_json::json!({"device": "TAP01"});
    }
    if function == "USER" {
        json["user"] = serde_json::json!({"programs": [{"program": "CLNLIB/MYSAVE", "parameters": ["it's", "B"]}]});
    }
    if function == "BRMS" {
        json["brms"] = serde_json::json!({"controlGroups": ["DAILY", "WEEKLY"]});
    }
    let spec = serde_json::from_value(json).expect("a valid environment");
    let facts = ResolvedFacts {
        namespace: "ibmi".into(),
        environment: "nightly".into(),
        run: "nightly-1".into(),
        run_token: TOKEN.into(),
        run_number: 42,
        device_number: 1,
        pins: Pins::default(),
        operator_id: "op1".into(),
        pace: Pace::default(),
        ..ResolvedFacts::default()
    };
    (spec, facts)
}
