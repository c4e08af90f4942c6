//! The logs of a run in ConfigMaps, in the format of `product.md` § 9: `<run>-log-<kind>-<nnn>`, immutable, gzip members
//! of at most 512 KiB cut on lines, owned by the run. Names are deterministic, so that collecting twice changes nothing.

pub mod budget;
pub mod lines;
pub mod live;
pub mod pack;
pub mod read;
pub mod record;
mod retain;

pub use read::{LogReadError, StoredLog, read_live, read_logs};
pub use retain::forget_old_logs;

use crate::api::run::LogRef;
use crate::api::{CloneRun, ENVIRONMENT_LABEL, NUMBER_LABEL};
use crate::controllers::answer::store_error;
use crate::controllers::run::store::{call, writes_as_us};
use crate::engine::journal::Journal;
use crate::engine::ports::StoreError;
use crate::recipe::{LogKind, LogLine, LogSink, LogSummary, LogWriter};
use crate::site::JobName;
use crate::site::transcript::Transcript;
use async_trait::async_trait;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::{DeleteParams, ListParams};
use kube::{Api, Client, Resource, ResourceExt};
use live::{LIVE, LiveTail};
use pack::{Packed, Packer};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Label: name of the run.
pub const RUN_LABEL: &str = "ibmiclone.dev/run";
/// Label: kind of the log.
pub const LOG_LABEL: &str = "ibmiclone.dev/log";

/// Chooses the parts of logs. Live tails go with their runs.
pub fn stored() -> ListParams {
    ListParams::default().labels(&format!("{RUN_LABEL},{LOG_LABEL},{LOG_LABEL}!={LIVE}"))
}
/// Key of the gzip member in `binaryData`.
pub const LOG_KEY: &str = "log.jsonl.gz";
pub(super) const DIGEST: &str = "ibmiclone.dev/log-digest";
pub(super) const SHA256: &str = "ibmiclone.dev/sha256";
pub(super) const PARTS: &str = "ibmiclone.dev/log-parts";
pub(super) const LINES: &str = "ibmiclone.dev/log-lines";
/// Annotation of a run whose logs were removed before their time: why.
pub const LOGS_REMOVED: &str = "ibmiclone.dev/logs-removed";
/// Compressed bytes of the log, all its parts.
pub(super) const BYTES: &str = "ibmiclone.dev/log-bytes";
const FROM: &str = "ibmiclone.dev/log-from";
const TO: &str = "ibmiclone.dev/log-to";

/// Tries to store a log where an older one of this run was just removed.
const ROOM_TRIES: u32 = 6;
const ROOM_PAUSE: Duration = Duration::from_millis(500);

/// Every kind, in the order in which they are shown.
pub const KINDS: [LogKind; 36] = [
    LogKind::Steps,
    LogKind::JobLog,
    LogKind::JobLogOf(2),
    LogKind::JobLogOf(3),
    LogKind::JobLogOf(4),
    LogKind::JobLogOf(5),
    LogKind::JobLogOf(6),
    LogKind::JobLogOf(7),
    LogKind::JobLogOf(8),
    LogKind::JobLogOf(9),
    LogKind::JobLogOf(10),
    LogKind::JobLogOf(11),
    LogKind::JobLogOf(12),
    LogKind::JobLogOf(13),
    LogKind::JobLogOf(14),
    LogKind::JobLogOf(15),
    LogKind::JobLogOf(16),
    LogKind::HookLog(1),
    LogKind::HookLog(2),
    LogKind::HookLog(3),
    LogKind::HookLog(4),
    LogKind::HookLog(5),
    LogKind::HookLog(6),
    LogKind::HookLog(7),
    LogKind::HookLog(8),
    LogKind::HookLog(9),
    LogKind::HookLog(10),
    LogKind::HookLog(11),
    LogKind::HookLog(12),
    LogKind::HookLog(13),
    LogKind::HookLog(14),
    LogKind::HookLog(15),
    LogKind::HookLog(16),
    LogKind::History,
    LogKind::Brms,
    LogKind::Devices,
];

/// `<run>-log-<kind>-<nnn>`, counting from 1.
pub fn part_name(run: &str, kind: LogKind, part: usize) -> String {
    format!("{run}-log-{}-{part:03}", kind.as_str())
}

/// The log sink of one run.
pub struct RunLogs {
    client: Client,
    namespace: String,
    maps: Api<ConfigMap>,
    run: String,
    owner: Option<OwnerReference>,
    labels: BTreeMap<String, String>,
    max_bytes: usize,
    /// Jobs of the function and of hooks: they share what the job logs may take.
    programs: usize,
    /// The live tail of the run, and how much faster than real the devices are.
    tail: Option<(Arc<LiveTail>, f64)>,
}

impl RunLogs {
    /// Bound to one run. `max_bytes` is `logs.maxBytesPerRun` of its environment: compressed bytes of all kinds.
    pub fn new(client: Client, run: &CloneRun, number: Option<i64>, max_bytes: i32) -> Self {
        let namespace = run.namespace().unwrap_or_default();
        let mut labels = BTreeMap::from([
            (RUN_LABEL.to_owned(), run.name_any()),
            (ENVIRONMENT_LABEL.to_owned(), run.spec.environment.clone()),
        ]);
        labels.extend(number.map(|n| (NUMBER_LABEL.to_owned(), n.to_string())));
        Self {
            maps: Api::namespaced(client.clone(), &namespace),
            client,
            namespace,
            run: run.name_any(),
            owner: run.controller_owner_ref(&()),
            labels,
            max_bytes: usize::try_from(max_bytes).unwrap_or_default(),
            programs: 1,
            tail: None,
        }
    }

    /// With the live tail of the run. `faster` as for [`live::LiveTails::write`].
    #[must_use]
    pub fn with_tail(mut self, tail: Arc<LiveTail>, faster: f64) -> Self {
        self.tail = Some((tail, faster));
        self
    }

    /// With so many job logs instead of one.
    #[must_use]
    pub fn with_programs(mut self, programs: usize) -> Self {
        self.programs = programs.max(1);
        self
    }

    /// Share of one kind in the run's budget: fixed, so that the same lines give the same objects whatever was stored
    /// before.
    fn budget(&self, kind: LogKind) -> usize {
        match kind {
            LogKind::JobLog | LogKind::JobLogOf(_) | LogKind::HookLog(_) => {
                self.max_bytes / 2 / self.programs
            }
            LogKind::Steps | LogKind::History | LogKind::Brms | LogKind::Devices => {
                self.max_bytes / 8
            }
        }
    }

    /// The whole record of the run as its `steps` log, before the final row drops it.
    ///
    /// # Errors
    /// When the API server does not take it; the verdict does not wait for that.
    pub async fn put_record(&self, journal: &Journal) -> Result<LogSummary, StoreError> {
        self.put(LogKind::Steps, record::record(journal)).await
    }

    /// What was said to the devices during the run, redacted, as its `devices` log. Nothing is stored when nothing was.
    ///
    /// # Errors
    /// When the API server does not take it.
    pub async fn put_exchanges(
        &self,
        journal: &Journal,
        transcript: &Transcript,
    ) -> Result<(), StoreError> {
        let Some(started) = journal.started_at else {
            return Ok(());
        };
        let mut said = transcript.since(started.utc()).peekable();
        if said.peek().is_none() {
            return Ok(());
        }
        // Line by line: many runs may end together.
        let mut log = self.begin(LogKind::Devices);
        said.for_each(|exchange| log.line(&record::exchange(&exchange)));
        log.finish().await?;
        Ok(())
    }

    /// What is stored now, for `status.logs`.
    ///
    /// # Errors
    /// When the API server cannot be asked.
    pub async fn stored(&self) -> Result<Vec<LogRef>, StoreError> {
        let selector = format!("{RUN_LABEL}={},{LOG_LABEL}", self.run);
        let parameters = ListParams::default().labels(&selector);
        let found = call(self.maps.list_metadata(&parameters)).await?;
        let stored = |kind: LogKind| {
            let first = part_name(&self.run, kind, 1);
            let map = found.iter().find(|m| m.name_any() == first)?;
            let summary = summary_of(map).filter(|_| self.is_mine(map))?;
            Some(LogRef {
                kind: kind.as_str().to_owned(),
                config_map: summary.config_map,
                parts: summary.parts,
                lines: summary.lines,
            })
        };
        Ok(KINDS.into_iter().filter_map(stored).collect())
    }

    fn map(&self, kind: LogKind, part: usize, packed: &Packed) -> ConfigMap {
        let member = &packed.members[part];
        let mut labels = self.labels.clone();
        labels.insert(LOG_LABEL.to_owned(), kind.as_str().to_owned());
        let annotations = BTreeMap::from([
            (DIGEST.to_owned(), packed.digest.clone()),
            (SHA256.to_owned(), member.sha256.clone()),
            (PARTS.to_owned(), packed.members.len().to_string()),
            (LINES.to_owned(), packed.lines.to_string()),
            (BYTES.to_owned(), packed.bytes().to_string()),
            (FROM.to_owned(), member.from.clone()),
            (TO.to_owned(), member.to.clone()),
        ]);
        ConfigMap {
            metadata: ObjectMeta {
                name: Some(part_name(&self.run, kind, part + 1)),
                labels: Some(labels),
                annotations: Some(annotations),
                owner_references: self.owner.clone().map(|o| vec![o]),
                ..ObjectMeta::default()
            },
            binary_data: Some(BTreeMap::from([(
                LOG_KEY.to_owned(),
                ByteString(member.gzip.clone()),
            )])),
            immutable: Some(true),
            ..ConfigMap::default()
        }
    }

    async fn create_patiently(
        &self,
        map: &ConfigMap,
        tries: u32,
    ) -> Result<Option<String>, StoreError> {
        for _ in 1..tries {
            match self.create(map).await? {
                None => return Ok(None),
                Some(_) => tokio::time::sleep(ROOM_PAUSE).await,
            }
        }
        self.create(map).await
    }

    /// Creates one part. `Some` = the API server refuses it, and would again: what it said.
    async fn create(&self, map: &ConfigMap) -> Result<Option<String>, StoreError> {
        let parameters = writes_as_us();
        let mut left_by_an_earlier_try = false;
        for _ in 0..2 {
            let request = self.maps.create(&parameters, map);
            match tokio::time::timeout(Duration::from_secs(10), request).await {
                Ok(Ok(_)) => return Ok(None),
                // Stopped half-way: made of the same or of older lines.
                Ok(Err(kube::Error::Api(status)))
                    if status.is_already_exists() && !left_by_an_earlier_try =>
                {
                    left_by_an_earlier_try = true;
                    let name = map.name_any();
                    call(self.maps.delete(&name, &DeleteParams::default())).await?;
                }
                Ok(Err(kube::Error::Api(status))) if is_refusal(status.code) => {
                    return Ok(Some(status.message.clone()));
                }
                Ok(Err(error)) => return Err(store_error(error)),
                Err(_) => return Err(StoreError::Lost("the API server did not answer".into())),
            }
        }
        Err(StoreError::Lost(format!(
            "{} is there again as soon as it is deleted",
            map.name_any()
        )))
    }

    /// A map of an earlier run of the same name is about to be collected: it is not this run's log.
    fn is_mine(&self, map: &impl ResourceExt) -> bool {
        let uid = self.owner.as_ref().map(|o| o.uid.as_str());
        let owners = map.owner_references();
        owners.iter().any(|o| Some(o.uid.as_str()) == uid)
    }

    /// Removes what is stored of a kind, the first part first: without it the log counts as absent.
    async fn remove(&self, kind: LogKind) -> Result<(), StoreError> {
        let selector = format!("{RUN_LABEL}={},{LOG_LABEL}={}", self.run, kind.as_str());
        let found = call(
            self.maps
                .list_metadata(&ListParams::default().labels(&selector)),
        )
        .await?;
        let mut names: Vec<String> = found.iter().map(ResourceExt::name_any).collect();
        names.sort();
        for name in names {
            match call(self.maps.delete(&name, &DeleteParams::default())).await {
                Ok(_) | Err(StoreError::Gone) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// A quota, a namespace that is being deleted, a missing permission, an object that is too large: a person must change
/// something, waiting does not help.
fn is_refusal(code: u16) -> bool {
    matches!(code, 403 | 413 | 422)
}

/// Compressed bytes of one part: each part names those of the whole log.
pub(super) fn part_bytes(map: &impl ResourceExt) -> u64 {
    let note = |key| {
        map.annotations()
            .get(key)
            .and_then(|n| n.parse::<u64>().ok())
    };
    note(BYTES).unwrap_or(0) / note(PARTS).unwrap_or(1).max(1)
}

pub(super) fn summary_of(map: &impl ResourceExt) -> Option<LogSummary> {
    let notes = map.annotations();
    Some(LogSummary {
        config_map: map.name_any(),
        parts: notes.get(PARTS)?.parse().ok()?,
        lines: notes.get(LINES)?.parse().ok()?,
        digest: notes.get(DIGEST)?.clone(),
        bytes: notes.get(BYTES).and_then(|n| n.parse().ok()).unwrap_or(0),
        refused: None,
    })
}

/// A log on its way.
struct Writing<'l> {
    logs: &'l RunLogs,
    kind: LogKind,
    packer: Packer,
}

#[async_trait]
impl LogWriter for Writing<'_> {
    fn line(&mut self, line: &LogLine) {
        self.packer.line(line);
    }

    async fn finish(self: Box<Self>) -> Result<LogSummary, StoreError> {
        let (logs, kind, packed) = (self.logs, self.kind, self.packer.finish());
        let mut tries = 1;
        if let Some(stored) = logs.has(kind).await? {
            if stored.digest == packed.digest {
                return Ok(stored);
            }
            logs.remove(kind).await?;
            // A quota learns only after a moment that there is room again.
            tries = ROOM_TRIES;
        }
        // The first part last: its presence says that the log is whole.
        for part in (0..packed.members.len()).rev() {
            let map = logs.map(kind, part, &packed);
            if let Some(why) = logs.create_patiently(&map, tries).await? {
                tracing::warn!(
                    run = logs.run,
                    log = kind.as_str(),
                    why,
                    "a log is not stored"
                );
                // Parts without the first one take room and nobody reads them.
                if let Err(error) = logs.remove(kind).await {
                    tracing::warn!(run = logs.run, log = kind.as_str(), %error, "parts of it are left");
                }
                return Ok(LogSummary {
                    refused: Some(why),
                    ..LogSummary::default()
                });
            }
        }
        packed.each_line(|line| lines::tell(kind.as_str(), line));
        Ok(LogSummary {
            config_map: part_name(&logs.run, kind, 1),
            parts: i32::try_from(packed.members.len()).unwrap_or(i32::MAX),
            lines: packed.lines,
            bytes: packed.bytes(),
            digest: packed.digest,
            refused: None,
        })
    }
}

#[async_trait]
impl LogSink for RunLogs {
    fn begin(&self, kind: LogKind) -> Box<dyn LogWriter + '_> {
        Box::new(Writing {
            logs: self,
            kind,
            packer: Packer::new(self.budget(kind)),
        })
    }

    async fn text(&self, kind: LogKind, limit: usize) -> Result<Option<String>, StoreError> {
        let (client, namespace) = (&self.client, &self.namespace);
        read::beginning(client, namespace, &self.run, kind, limit)
            .await
            .map_err(|error| StoreError::Lost(error.to_string()))
    }

    fn wants_news(&self) -> bool {
        self.tail
            .as_ref()
            .is_some_and(|(tail, _)| tail.wants_news())
    }

    fn news(&self, job: &JobName, lines: Vec<(u64, LogLine)>, took: Duration) {
        if let Some((tail, faster)) = &self.tail {
            tail.add_news(job, lines, took, *faster);
        }
    }

    async fn has(&self, kind: LogKind) -> Result<Option<LogSummary>, StoreError> {
        let name = part_name(&self.run, kind, 1);
        let found = call(self.maps.get_opt(&name)).await?;
        Ok(found
            .filter(|m| self.is_mine(m))
            .as_ref()
            .and_then(summary_of))
    }
}
