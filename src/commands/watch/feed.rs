//! What comes from the API: watches of runs, environments and the operator's Lease; archives and logs when asked for.

use super::logs::{self, Log};
use crate::api::{CloneEnvironment, CloneRun};
use crate::commands::cluster::Cluster;
use crate::commands::error::chain;
use crate::commands::history::{Row, read};
use crate::commands::operator_state::{LeaseFlags, OperatorState, key, refusal};
use futures::{Stream, StreamExt};
use k8s_openapi::api::coordination::v1::Lease;
use kube::core::DeserializeGuard;
use kube::runtime::watcher::{Config, Error, Event};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, ResourceExt};
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;

/// Archives and logs asked for at the same time.
const AT_ONCE: usize = 8;
/// Before a watch that broke begins anew: doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Something that was heard.
#[derive(Debug)]
pub enum Feed {
    /// All environments there are.
    Environments(Vec<CloneEnvironment>),
    /// An environment is new or changed.
    Environment(Box<CloneEnvironment>),
    /// An environment is gone.
    EnvironmentGone(String),
    /// All runs there are.
    Runs(Vec<CloneRun>),
    /// A run is new or changed.
    Run(Box<CloneRun>),
    /// A run is gone; if it was finished, its row is in the archive now.
    RunGone(Box<CloneRun>),
    /// The operator's Lease.
    Operator(OperatorState),
    /// The rows of an environment's archive, or why they cannot be read.
    Archive(String, Result<Vec<Row>, String>),
    /// The logs of a run, or why they cannot be read.
    Logs(String, Result<Vec<Log>, String>),
    /// A watch hears nothing; why. Empty = it hears again.
    Silent(&'static str, String),
}

/// The tasks behind it. Dropped = ended.
pub struct Feeder {
    cluster: Cluster,
    only: Option<String>,
    leases: LeaseFlags,
    sender: Sender<Feed>,
    watches: JoinSet<()>,
    reads: JoinSet<()>,
    room: Arc<Semaphore>,
}

impl Feeder {
    /// Begins to watch: one environment, or all of the namespace.
    pub fn start(
        cluster: Cluster,
        only: Option<String>,
        leases: LeaseFlags,
        sender: Sender<Feed>,
    ) -> Self {
        let mut feeder = Self {
            cluster,
            only,
            leases,
            sender,
            watches: JoinSet::new(),
            reads: JoinSet::new(),
            room: Arc::new(Semaphore::new(AT_ONCE)),
        };
        feeder.watch();
        feeder
    }

    /// Reads everything again.
    pub fn refresh(&mut self) {
        self.watches.abort_all();
        self.watches.detach_all();
        self.watch();
    }

    fn watch(&mut self) {
        let select = |field: &str| match &self.only {
            Some(name) => Config::default().fields(&format!("{field}={name}")),
            None => Config::default(),
        };
        let environments: Api<DeserializeGuard<CloneEnvironment>> =
            Api::namespaced(self.cluster.client.clone(), &self.cluster.namespace);
        let runs: Api<DeserializeGuard<CloneRun>> =
            Api::namespaced(self.cluster.client.clone(), &self.cluster.namespace);
        let selected = select("metadata.name");
        let stream = move || watcher(environments.clone(), selected.clone());
        self.watches.spawn(hear(
            stream,
            "environments",
            self.sender.clone(),
            environment_feed,
        ));
        let selected = select("spec.environment");
        let stream = move || watcher(runs.clone(), selected.clone());
        self.watches
            .spawn(hear(stream, "runs", self.sender.clone(), run_feed));
        let (leases, label) = self.leases.leases(&self.cluster);
        let stream = watcher(leases, Config::default().labels(label)).default_backoff();
        self.watches
            .spawn(hear_operator(stream, self.sender.clone()));
    }

    /// Reads an archive.
    pub fn read_archive(&mut self, environment: String) {
        let (cluster, sender) = (self.cluster.clone(), self.sender.clone());
        let room = self.room.clone();
        self.reads.spawn(async move {
            let _room = room.acquire().await;
            let rows = read::archive_of(&cluster, &cluster.namespace, &environment).await;
            let rows = rows.map_err(|e| e.to_string());
            // The error is that the screen is closed.
            let _ = sender.send(Feed::Archive(environment, rows)).await;
        });
    }

    /// Reads all logs of a run.
    pub fn read_logs(&mut self, run: String) {
        let (cluster, sender) = (self.cluster.clone(), self.sender.clone());
        self.reads.spawn(async move {
            let logs = logs::read(&cluster, &run).await;
            let _ = sender.send(Feed::Logs(run, logs)).await;
        });
    }

    /// Waits for a task that ended badly. Those that ended well are forgotten.
    pub async fn broken(&mut self) -> tokio::task::JoinError {
        loop {
            let ended = tokio::select! {
                Some(ended) = self.watches.join_next() => ended,
                Some(ended) = self.reads.join_next() => ended,
                else => std::future::pending().await,
            };
            if let Err(error) = ended
                && error.is_panic()
            {
                return error;
            }
        }
    }
}

/// What a change of an object is called.
enum Change<K> {
    All(Vec<K>),
    One(K),
    Gone(K),
}

fn environment_feed(change: Change<CloneEnvironment>) -> Feed {
    match change {
        Change::All(all) => Feed::Environments(all),
        Change::One(one) => Feed::Environment(Box::new(one)),
        Change::Gone(gone) => Feed::EnvironmentGone(gone.name_any()),
    }
}

fn run_feed(change: Change<CloneRun>) -> Feed {
    match change {
        Change::All(all) => Feed::Runs(all),
        Change::One(one) => Feed::Run(Box::new(one)),
        Change::Gone(gone) => Feed::RunGone(Box::new(gone)),
    }
}

/// Tells of every change, and when nothing is heard. An object that this version cannot read hides no other.
///
/// After an error a new watch begins with a list: one that only goes on says nothing before something changes, and nobody
/// could tell an API that is quiet from one that is gone.
async fn hear<K, S>(
    watch: impl Fn() -> S,
    what: &'static str,
    sender: Sender<Feed>,
    feed: fn(Change<K>) -> Feed,
) where
    S: Stream<Item = Result<Event<DeserializeGuard<K>>, Error>>,
{
    let mut pause = FIRST_PAUSE;
    loop {
        let mut stream = pin!(watch());
        let mut listed = Vec::new();
        while let Some(event) = stream.next().await {
            let change = match event {
                // Comes before anything is asked.
                Ok(Event::Init) => continue,
                Ok(Event::InitApply(object)) => {
                    listed.extend(object.0);
                    continue;
                }
                Ok(Event::InitDone) => {
                    pause = FIRST_PAUSE;
                    let heard = Feed::Silent(what, String::new());
                    if sender.send(heard).await.is_err() {
                        return;
                    }
                    Some(Change::All(std::mem::take(&mut listed)))
                }
                Ok(Event::Apply(object)) => object.0.ok().map(Change::One),
                Ok(Event::Delete(object)) => object.0.ok().map(Change::Gone),
                Err(error) => {
                    let why = chain(&error);
                    if sender.send(Feed::Silent(what, why)).await.is_err() {
                        return;
                    }
                    break;
                }
            };
            if let Some(change) = change
                && sender.send(feed(change)).await.is_err()
            {
                return;
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Ends when Leases may not be read.
async fn hear_operator(
    stream: impl Stream<Item = Result<Event<Lease>, Error>>,
    sender: Sender<Feed>,
) {
    let mut stream = pin!(stream);
    let mut leases: BTreeMap<String, Lease> = BTreeMap::new();
    while let Some(event) = stream.next().await {
        let mut whole = true;
        match event {
            Ok(Event::Init) => {
                leases.clear();
                whole = false;
            }
            Ok(Event::InitApply(lease)) => {
                leases.insert(key(&lease), lease);
                whole = false;
            }
            Ok(Event::Apply(lease)) => drop(leases.insert(key(&lease), lease)),
            Ok(Event::Delete(lease)) => drop(leases.remove(&key(&lease))),
            Ok(Event::InitDone) => {}
            Err(error) => {
                if let Some(why) = forbidden(&error) {
                    let _ = sender
                        .send(Feed::Operator(OperatorState::NotTold(why)))
                        .await;
                    return;
                }
                // The watches of runs say that the API is silent.
                whole = false;
            }
        }
        let state = || Feed::Operator(OperatorState::of(leases.values()));
        if whole && sender.send(state()).await.is_err() {
            return;
        }
    }
}

fn forbidden(error: &Error) -> Option<String> {
    let answer = match error {
        Error::InitialListFailed(e) | Error::WatchStartFailed(e) | Error::WatchFailed(e) => e,
        Error::WatchError(_) | Error::NoResourceVersion => return None,
    };
    match answer {
        kube::Error::Api(status) if status.code == 403 => Some(refusal(answer)),
        _ => None,
    }
}
