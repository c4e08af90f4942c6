//! The journal in `CloneRun.status`: replaced conditionally, with the resourceVersion that was read.
//!
//! Rule 2 of `architecture.md` § 4: on a conflict we read again; if the journal is still the one we left (own revision
//! and writer; somebody touched a label) we replace with the fresh resourceVersion, otherwise we have lost. The closing
//! write of a window must not lose its evidence to a label.

use super::logs::RunLogs;
use super::logs::lines;
use super::logs::live::{LIVE, LiveTail};
use super::status::{RowFacts, build, journal_of};
use super::tally::Tally;
use crate::api::run::{CancelMode, LogRef, Reply};
use crate::api::{CloneRun, CloneRunStatus};
use crate::controllers::answer::store_error;
use crate::controllers::events::{Transition, transitions};
use crate::controllers::forget_bookkeeping;
use crate::controllers::locks::waits_for;
use crate::engine::drive::Cancel;
use crate::engine::journal::Journal;
use crate::engine::ports::{Answer, JournalStore, StoreError, Wishes};
use crate::engine::time::Timestamp;
use crate::observability::metrics::Metrics;
use crate::site::transcript::Transcript;
use async_trait::async_trait;
use chrono::Utc;
use kube::api::PostParams;
use kube::{Api, ResourceExt};
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Longest wait for one answer: kube's client has no read time-out of its own (`rust-dependencies.md` § 5).
const CALL: Duration = Duration::from_secs(5);
/// Longest time spent on one replace, all tries together.
const REPLACE: Duration = Duration::from_secs(20);
/// Longest time spent on storing the record of an ended run.
const RECORD: Duration = Duration::from_secs(15);
/// Between tries after a lost answer.
const PAUSE: Duration = Duration::from_millis(200);

/// One run's journal on the API server.
pub struct KubeStore {
    api: Api<CloneRun>,
    name: String,
    uid: String,
    /// The object as it was read or written last: its resourceVersion makes the next write conditional.
    last: Mutex<Option<CloneRun>>,
    events: Mutex<Vec<Transition>>,
    logs: Option<(Arc<RunLogs>, Transcript)>,
    tally: Tally,
    metrics: Option<Arc<Metrics>>,
    live: Option<Arc<LiveTail>>,
}

impl KubeStore {
    /// Bound to this very object: a run of the same name with another UID is another run.
    pub fn new(api: Api<CloneRun>, run: &CloneRun) -> Self {
        Self {
            api,
            name: run.name_any(),
            uid: run.uid().unwrap_or_default(),
            last: Mutex::new(None),
            events: Mutex::new(Vec::new()),
            logs: None,
            tally: Tally::of(run),
            metrics: None,
            live: None,
        }
    }

    /// What changes is added to the live tail of the run.
    #[must_use]
    pub fn told_by(self, live: Arc<LiveTail>) -> Self {
        Self {
            live: Some(live),
            ..self
        }
    }

    /// Accepted writes are counted there.
    #[must_use]
    pub fn counted_by(self, metrics: Arc<Metrics>) -> Self {
        Self {
            metrics: Some(metrics),
            ..self
        }
    }

    /// With the run's logs: the final write stores the whole record there before the row drops it, and lists what is
    /// stored.
    #[must_use]
    pub fn with_logs(self, logs: Arc<RunLogs>, transcript: Transcript) -> Self {
        Self {
            logs: Some((logs, transcript)),
            ..self
        }
    }

    /// The verdict does not wait for logs: what cannot be stored is missing from the list and said in the log of the
    /// operator.
    async fn keep_record(&self, next: &Journal) -> Option<Vec<LogRef>> {
        let (logs, transcript) = self.logs.as_ref().filter(|_| next.phase.is_final())?;
        let store = async {
            logs.put_record(next).await?;
            logs.put_exchanges(next, transcript).await?;
            logs.stored().await
        };
        match tokio::time::timeout(RECORD, store).await {
            Ok(Ok(refs)) => Some(refs),
            Ok(Err(error)) => {
                tracing::warn!(run = self.name, %error, "the record of the run is not stored");
                None
            }
            Err(_) => None,
        }
    }

    /// What changed in the accepted writes since the last call, for events: sent after the pass, never inside a window.
    pub fn take_events(&self) -> Vec<Transition> {
        self.events
            .lock()
            .map(|mut list| std::mem::take(&mut *list))
            .unwrap_or_default()
    }

    /// The object as it was read or written last.
    pub fn last(&self) -> Option<CloneRun> {
        self.last.lock().ok()?.clone()
    }

    fn remember(&self, mut run: Option<CloneRun>) {
        // More than the journal itself, held and copied as long as a pass takes, and never read.
        run.iter_mut().for_each(forget_bookkeeping);
        if let Ok(mut last) = self.last.lock() {
            *last = run;
        }
    }

    async fn read(&self) -> Result<CloneRun, StoreError> {
        let mut run = call(self.api.get_opt(&self.name))
            .await?
            .filter(|run| run.uid().as_deref() == Some(self.uid.as_str()))
            .ok_or(StoreError::Gone)?;
        forget_bookkeeping(&mut run);
        self.remember(Some(run.clone()));
        Ok(run)
    }

    /// One conditional write. `Ok(false)` = somebody else wrote in between, read again.
    async fn write(
        &self,
        run: &CloneRun,
        next: &Journal,
        logs: Option<&Vec<LogRef>>,
    ) -> Result<bool, StoreError> {
        let mut object = run.clone();
        let mut before = run.status.clone().unwrap_or_default();
        if let Some(logs) = logs {
            before.logs = logs.clone();
        }
        object.status = Some(build(&before, next, &row_facts(run)));
        let parameters = writes_as_us();
        let request = self.api.replace_status(&self.name, &parameters, &object);
        match tokio::time::timeout(CALL, request).await {
            Ok(Ok(written)) => {
                self.queue_left(run, &written);
                self.remember(Some(written));
                Ok(true)
            }
            Ok(Err(kube::Error::Api(status))) if status.is_conflict() => Ok(false),
            Ok(Err(error)) => Err(lost(error)),
            Err(_) => Err(StoreError::Lost(no_answer())),
        }
    }

    /// Counts a wait that is over.
    fn queue_left(&self, before: &CloneRun, after: &CloneRun) {
        let queue = |run: &CloneRun| run.status.as_ref().and_then(|s| s.queue.clone());
        let (Some(metrics), Some(waited), None) = (&self.metrics, queue(before), queue(after))
        else {
            return;
        };
        let now = Timestamp::new(Utc::now());
        let took = waited
            .since
            .and_then(|since| u64::try_from(now.since(since)).ok());
        if let (Some(lock), Some(took)) = (waits_for(&waited.blocked_by), took) {
            metrics.counted.waited(lock, Duration::from_millis(took));
        }
    }

    fn accepted(&self, previous: &Journal, next: &Journal) {
        if let Ok(mut events) = self.events.lock() {
            events.extend(transitions(previous, next));
        }
        if let Some(metrics) = &self.metrics {
            self.tally.accepted(&metrics.counted, previous, next);
        }
        if let Some(live) = &self.live {
            // In memory only: this may be inside the window.
            let lines = lines::changes(previous, next, Utc::now());
            lines.iter().for_each(|line| lines::tell(LIVE, line));
            live.add(&lines);
        }
    }
}

/// Our field manager on every write.
pub fn writes_as_us() -> PostParams {
    PostParams {
        field_manager: Some(crate::api::FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    }
}

fn row_facts(run: &CloneRun) -> RowFacts {
    RowFacts {
        generation: run.metadata.generation,
        mode: run.spec.mode,
        now: Timestamp::new(Utc::now()),
    }
}

/// What a person has asked of a run. Deleting a run ends it like an abort: the finalizer stays until the verdict.
pub fn wishes_of(run: &CloneRun) -> Wishes {
    let cancel = match (run.metadata.deletion_timestamp.is_some(), run.spec.cancel) {
        (true, _) | (false, Some(CancelMode::Abort)) => Cancel::Abort,
        (false, Some(CancelMode::Stop)) => Cancel::Stop,
        (false, None) => Cancel::No,
    };
    Wishes {
        cancel,
        resumed_by_hand: run.spec.resumed_by_hand == Some(true),
        release_backups: run.spec.release_backups == Some(true),
        keep_image: run
            .spec
            .keep_until
            .as_ref()
            .is_some_and(|until| until.0 > k8s_openapi::jiff::Timestamp::now()),
        replies: run.spec.replies.iter().map(answer_of).collect(),
    }
}

fn answer_of(reply: &Reply) -> Answer {
    Answer {
        key: reply.key.clone(),
        text: reply.text.clone(),
    }
}

/// The journal of a run object; an empty one when it was never opened.
pub fn journal_of_run(run: &CloneRun) -> Journal {
    run.status.as_ref().map(journal_of).unwrap_or_default()
}

/// Whether the run was opened by an operator: it has a journal.
pub fn is_open(status: Option<&CloneRunStatus>) -> bool {
    status.is_some_and(|s| s.journal.is_some())
}

fn same_writer(a: &Journal, b: &Journal) -> bool {
    a.revision == b.revision && a.writer == b.writer
}

fn lost(error: kube::Error) -> StoreError {
    match error {
        kube::Error::Api(status) if status.is_not_found() => StoreError::Gone,
        other => store_error(other),
    }
}

fn no_answer() -> String {
    format!("the API server did not answer within {} s", CALL.as_secs())
}

/// A call with a time limit.
pub async fn call<T>(
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(CALL, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(lost(error)),
        Err(_) => Err(StoreError::Lost(no_answer())),
    }
}

#[async_trait]
impl JournalStore for KubeStore {
    async fn load(&self) -> Result<Journal, StoreError> {
        Ok(journal_of_run(&self.read().await?))
    }

    fn wishes(&self) -> Wishes {
        let last = self.last.lock().ok();
        last.and_then(|run| run.as_ref().map(wishes_of))
            .unwrap_or_default()
    }

    async fn replace(&self, previous: &Journal, next: &Journal) -> Result<(), StoreError> {
        let until = Instant::now() + REPLACE;
        let mut known = self
            .last()
            .filter(|run| same_writer(&journal_of_run(run), previous));
        let record = self.keep_record(next).await;
        // After a lost answer the write may have happened: only then our own `next` in the store counts as success.
        let mut sent_blindly = false;
        loop {
            let read = match known.take() {
                Some(run) => Ok(run),
                None => self.read().await,
            };
            let trouble = match read {
                Ok(run) => {
                    let stored = journal_of_run(&run);
                    if sent_blindly && same_writer(&stored, next) {
                        self.accepted(previous, next);
                        return Ok(());
                    }
                    if !same_writer(&stored, previous) {
                        return Err(StoreError::Conflict);
                    }
                    match self.write(&run, next, record.as_ref()).await {
                        Ok(true) => {
                            self.accepted(previous, next);
                            return Ok(());
                        }
                        Ok(false) => StoreError::Conflict,
                        Err(StoreError::Gone) => return Err(StoreError::Gone),
                        Err(error) => {
                            sent_blindly = true;
                            error
                        }
                    }
                }
                Err(StoreError::Gone) => return Err(StoreError::Gone),
                Err(error) => error,
            };
            if Instant::now() >= until {
                self.remember(None);
                return Err(match trouble {
                    // Somebody touches the object all the time: as good as lost.
                    StoreError::Conflict => {
                        StoreError::Lost("the run object changes all the time".to_owned())
                    }
                    StoreError::Gone => StoreError::Gone,
                    StoreError::Lost(text) => StoreError::Lost(text),
                    StoreError::Forbidden(what) => StoreError::Forbidden(what),
                });
            }
            if trouble != StoreError::Conflict {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
