//! `standalone` under writes over HTTP, killed with SIGKILL at random points and started again: everything that a client was
//! told is there, with the history that watches are served from. What clients were told is a whole answer that they have read.
//!
//! (That a commit has reached the disk when it is answered, which no killed process can show, is the store's to prove.)

mod writer;

use super::Standalone;
use crate::server;
use crate::support::wait;
use futures::StreamExt;
use kube::api::{DynamicObject, ListParams, WatchEvent, WatchParams};
use kube::{Api, Client, ResourceExt};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::sync::watch;
use writer::{KINDS, Kind, LABEL, Said, Verb, Writer, revision_of};

/// How often the process is killed; [`FEW`] when it is not set.
const KILLS: &str = "IBMICLONE_TEST_API_KILLS";
const FEW: u64 = 12;
/// So often one directory sees it.
const OF_A_DIRECTORY: u64 = 10;
const WRITERS: usize = 6;
/// The operator looks at runs of an environment that is not there, and leaves them alone for 30 s times this.
const UNHURRIED: [&str; 2] = ["--simulated-time-scale", "0.01"];

#[derive(Default)]
struct Total {
    acknowledged: usize,
    unanswered: usize,
    /// Of the unanswered ones.
    there: usize,
}

/// A directory, and what was written to it.
struct Storm {
    directory: TempDir,
    writers: Vec<Writer>,
    /// What was written since is not checked yet.
    before: Option<u64>,
    /// How long the process takes to answer.
    boot: Duration,
}

impl Storm {
    fn new() -> Self {
        let writer = |number| Writer::new(KINDS[number % KINDS.len()], number);
        Self {
            directory: tempfile::tempdir().unwrap(),
            writers: (0..WRITERS).map(writer).collect(),
            before: None,
            boot: Duration::from_millis(500),
        }
    }

    fn start(&self) -> Standalone {
        Standalone::start(self.directory.path(), &UNHURRIED)
    }

    async fn start_and_check(&mut self, total: &mut Total) -> (Standalone, Client) {
        let begun = Instant::now();
        let process = self.start();
        wait::found("the API", async || match process.log() {
            log if log.contains("export KUBECONFIG=") => Ok(()),
            log => Err(log),
        })
        .await;
        self.boot = begun.elapsed();
        let kubeconfig = self.directory.path().join("data/kubeconfig");
        let client = Client::try_from(server::config(&kubeconfig).await).unwrap();
        self.check(&client, total).await;
        (process, client)
    }

    /// Writes until the process is killed.
    async fn round(&mut self, random: &mut StdRng, total: &mut Total) {
        let (process, client) = self.start_and_check(total).await;
        let (answered, mut count) = watch::channel(0);
        let writers = self.writers.drain(..).map(|writer| {
            let random = StdRng::seed_from_u64(random.random());
            tokio::spawn(writer.writes(client.clone(), random, answered.clone()))
        });
        let writers: Vec<_> = writers.collect();
        drop(answered);
        let enough = random.random_range(1..200);
        let reached = count.wait_for(|count| *count >= enough);
        wait::finished("enough answers", reached).await.unwrap();
        pause(random, Duration::from_millis(3));
        process.kill();
        for writer in writers {
            let writer = wait::finished("a writer", writer).await.unwrap();
            total.acknowledged += writer.said.len();
            total.unanswered += usize::from(writer.under_way.is_some());
            self.writers.push(writer);
        }
    }

    fn kill_while_it_starts(&self, random: &mut StdRng) {
        let process = self.start();
        pause(random, self.boot);
        process.kill();
    }

    /// Compares what is there with what was said.
    async fn check(&mut self, client: &Client, total: &mut Total) {
        let mut newest = 0;
        for kind in KINDS {
            let api = kind.api(client.clone());
            let list = api.list(&ListParams::default().labels(LABEL)).await;
            let list = list.unwrap();
            let now = revision_of(&list.metadata.resource_version);
            newest = newest.max(now);
            let mut found: BTreeMap<String, DynamicObject> = BTreeMap::new();
            found.extend(list.items.into_iter().map(|o| (o.name_any(), o)));
            let mut said = Vec::new();
            for writer in self.writers.iter_mut().filter(|w| w.kind == kind) {
                let own = found.extract_if(.., |name, _| writer.owns(name)).collect();
                total.there += usize::from(writer.compare(own, self.before.unwrap_or(0), now));
                said.append(&mut writer.said);
            }
            assert!(found.is_empty(), "nobody has made {:?}", found.keys());
            if let Some(before) = self.before {
                history(&api, kind, before, &said).await;
            }
        }
        self.before = Some(newest);
    }
}

/// A watch from before the writes tells of each of them, and of no other.
async fn history(api: &Api<DynamicObject>, kind: Kind, before: u64, said: &[Said]) {
    let mut awaited: BTreeMap<&str, VecDeque<&Said>> = BTreeMap::new();
    for write in said {
        awaited.entry(&write.name).or_default().push_back(write);
    }
    let parameters = WatchParams::default().labels(LABEL).timeout(60);
    let events = api.watch(&parameters, &before.to_string()).await.unwrap();
    let mut events = std::pin::pin!(events);
    for _ in said {
        let event = wait::finished("an event", events.next()).await;
        let (verb, object) = match event.expect("history ends too soon").unwrap() {
            WatchEvent::Added(object) => (Verb::Added, object),
            WatchEvent::Modified(object) => (Verb::Modified, object),
            WatchEvent::Deleted(object) => (Verb::Deleted, object),
            other @ (WatchEvent::Bookmark(_) | WatchEvent::Error(_)) => panic!("{other:?}"),
        };
        let name = object.name_any();
        let next = awaited.get_mut(name.as_str()).and_then(VecDeque::pop_front);
        let next = next.unwrap_or_else(|| panic!("{verb:?} {object:?} was not said"));
        assert!(
            next.is(verb, &object, kind),
            "{next:?} is {verb:?} {object:?}"
        );
    }
}

fn pause(random: &mut StdRng, at_most: Duration) {
    std::thread::sleep(at_most.mul_f64(random.random_range(0.0..1.0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn standalone_that_is_killed_at_random_points_loses_nothing_it_has_acknowledged() {
    let kills = std::env::var(KILLS).map_or(FEW, |n| n.parse().unwrap());
    let mut random = StdRng::seed_from_u64(6);
    let (mut total, mut storm) = (Total::default(), Storm::new());
    for kill in 1..=kills {
        if random.random_bool(0.2) {
            storm.kill_while_it_starts(&mut random);
        } else {
            storm.round(&mut random, &mut total).await;
        }
        if kill % OF_A_DIRECTORY == 0 || kill == kills {
            let (process, _) = storm.start_and_check(&mut total).await;
            process.kill();
            storm = Storm::new();
        }
    }
    let Total {
        acknowledged,
        unanswered,
        there,
    } = total;
    println!(
        "{kills} kills: {acknowledged} writes acknowledged, 0 lost; {unanswered} without an answer, of which {there} were carried out"
    );
    assert!(acknowledged > 0 && unanswered > 0);
}
