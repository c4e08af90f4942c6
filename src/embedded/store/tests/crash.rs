//! A child process writes and says what was acknowledged, until it is killed. Nothing of that may be missing afterwards.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::super::{Keep, Verb};
use super::*;

const DIRECTORY: &str = "IBMICLONE_TEST_STORE_DIRECTORY";
const SEED: &str = "IBMICLONE_TEST_STORE_SEED";
/// How often the child is killed; 40 when it is not set.
const CRASHES: &str = "IBMICLONE_TEST_STORE_CRASHES";

const TASKS: u64 = 6;
const KEEP: Keep = Keep {
    changes: 300,
    age: Duration::MAX,
};

/// The child: not a test by itself.
#[test]
fn child_writes_until_it_is_killed() {
    let Ok(dir) = std::env::var(DIRECTORY) else {
        return;
    };
    let seed = std::env::var(SEED).unwrap().parse().unwrap();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build();
    runtime.unwrap().block_on(async {
        let options = Options {
            checkpoint: 200 << 10,
            compact_step: 20,
            ..Options::default()
        };
        let store = Store::open(Path::new(&dir), options).unwrap();
        let tasks = (0..TASKS).map(|task| tokio::spawn(write(store.clone(), task, seed)));
        let tasks: Vec<_> = tasks.collect();
        loop {
            store.compact(KEEP).await.unwrap();
            assert!(tasks.iter().all(|t| !t.is_finished()));
            tokio::task::yield_now().await;
        }
    });
}

/// One task's writes to its own keys, one after the other.
async fn write(store: Store, task: u64, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed * TASKS + task);
    loop {
        let key = key(&task.to_string(), &random.random_range(0..4).to_string());
        let n: u64 = random.random();
        let (verb, revision) = match store.get(&key).await.unwrap() {
            None => (
                "added",
                store.create(key.clone(), large(n)).await.unwrap().revision,
            ),
            Some(_) if random.random_bool(0.2) => {
                ("deleted", store.delete(&key, None, large(n)).await.unwrap())
            }
            Some(found) => {
                let written = store.replace(&key, found.revision, large(n)).await;
                ("modified", written.unwrap().revision)
            }
        };
        let line = format!("acknowledged {revision} {verb} {task} {} {n}\n", key.name);
        let mut out = std::io::stdout().lock();
        out.write_all(line.as_bytes()).unwrap();
        out.flush().unwrap();
    }
}

fn large(n: u64) -> Value {
    json!({"n": n, "text": n.to_string().repeat(20)})
}

struct Acknowledged {
    verb: Verb,
    key: Key,
    n: u64,
}

fn parse(line: &str) -> Option<(u64, Acknowledged)> {
    // The test harness may have begun the line.
    let (_, rest) = line.split_once("acknowledged ")?;
    let words: Vec<&str> = rest.strip_suffix('\n')?.split(' ').collect();
    let verb = match words[1] {
        "added" => Verb::Added,
        "modified" => Verb::Modified,
        "deleted" => Verb::Deleted,
        other => panic!("{other}"),
    };
    let key = key(words[2], words[3]);
    let n = words[4].parse().unwrap();
    Some((words[0].parse().unwrap(), Acknowledged { verb, key, n }))
}

fn start(dir: &Path, seed: u64) -> Child {
    let (_, module) = module_path!().split_once("::").unwrap();
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "--test-threads=1"])
        .arg(format!("{module}::child_writes_until_it_is_killed"))
        .env(DIRECTORY, dir)
        .env(SEED, seed.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Kills the child after some acknowledged writes and a little more, or soon after its start. Returns all it has said.
fn run_and_kill(dir: &Path, seed: u64, random: &mut StdRng) -> Vec<(u64, Acknowledged)> {
    let mut child = start(dir, seed);
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let wait = if random.random_bool(0.2) {
        0
    } else {
        random.random_range(1..200)
    };
    let more = if wait == 0 { 30_000 } else { 3_000 };
    let more = Duration::from_micros(random.random_range(0..more));
    let mut said = Vec::new();
    let mut line = String::new();
    while said.len() < wait {
        line.clear();
        assert_ne!(
            out.read_line(&mut line).unwrap(),
            0,
            "the child ended by itself"
        );
        said.extend(parse(&line));
    }
    let until = Instant::now() + more;
    while Instant::now() < until {
        std::hint::spin_loop();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    loop {
        line.clear();
        if out.read_line(&mut line).unwrap() == 0 {
            return said;
        }
        said.extend(parse(&line));
    }
}

#[tokio::test]
async fn a_crash_loses_nothing_that_was_acknowledged() {
    let crashes = std::env::var(CRASHES).map_or(40, |n| n.parse().unwrap());
    let mut random = StdRng::seed_from_u64(6);
    let (mut total, mut compacted) = (0, 0);
    let mut dir = directory();
    let mut last: HashMap<Key, (u64, Acknowledged)> = HashMap::new();
    let mut newest = 1;
    for crash in 0..crashes {
        if crash % 10 == 0 {
            (dir, last, newest) = (directory(), HashMap::new(), 1);
        }
        let mut said = run_and_kill(dir.path(), crash, &mut random);
        said.sort_by_key(|(revision, _)| *revision);
        total += said.len();
        let store = open(dir.path());
        let oldest = check_history(&store, &said, newest).await;
        compacted = compacted.max(oldest);
        last.extend(said.into_iter().map(|(r, a)| (a.key.clone(), (r, a))));
        check_newest(&store, &last, oldest).await;
        newest = store.revision();
    }
    assert!(total > 0 && compacted > 1, "{total} {compacted}");
    println!("{crashes} crashes, {total} acknowledged writes, none lost");
}

/// Everything that was said since the last crash is in history word for word, as far back as that goes, under new revisions.
async fn check_history(store: &Store, said: &[(u64, Acknowledged)], before: u64) -> u64 {
    let oldest = match store.changes(RUNS, None, 0, 1).await {
        Err(super::super::StoreError::Compacted { oldest }) => oldest,
        other => panic!("{other:?}"),
    };
    let changes = store.changes(RUNS, None, oldest, usize::MAX).await.unwrap();
    let revisions: Vec<u64> = changes.iter().map(|c| c.revision).collect();
    assert_eq!(
        revisions,
        (oldest + 1..=store.revision()).collect::<Vec<_>>()
    );
    let mut earlier = before;
    for (revision, write) in said {
        assert!(*revision > earlier, "revision {revision} came again");
        earlier = *revision;
        assert!(*revision <= store.revision(), "{revision} is lost");
        if *revision > oldest {
            let change = &changes[(revision - oldest - 1) as usize];
            assert_eq!((change.verb, &change.key), (write.verb, &write.key));
            assert_eq!(change.object, large(write.n));
        }
    }
    // Each task waits for its answer before it goes on, so one write of each may be there without having been said.
    for task in 0..TASKS {
        let task = task.to_string();
        let last = said.iter().rev().find(|(_, a)| a.key.namespace == task);
        let last = last.map_or(before, |(revision, _)| *revision);
        let unsaid = changes
            .iter()
            .filter(|c| c.key.namespace == task && c.revision > last);
        assert!(unsaid.count() <= 1);
    }
    oldest
}

/// Every object is in the state that was last said, or in one that history has after it.
async fn check_newest(store: &Store, last: &HashMap<Key, (u64, Acknowledged)>, oldest: u64) {
    let list = store.list(&all(None)).await.unwrap();
    let found: HashMap<&Key, &Stored> = list.items.iter().map(|s| (&s.key, s)).collect();
    let changes = store.changes(RUNS, None, oldest, usize::MAX).await.unwrap();
    for (key, (revision, write)) in last {
        let later = changes
            .iter()
            .rev()
            .find(|c| c.key == *key && c.revision > *revision);
        let (revision, verb, object) = match later {
            Some(change) => (change.revision, change.verb, change.object.clone()),
            None => (*revision, write.verb, large(write.n)),
        };
        match (verb, found.get(key)) {
            (Verb::Deleted, None) => {}
            (Verb::Added | Verb::Modified, Some(stored)) => {
                assert_eq!(
                    (stored.revision, &stored.object),
                    (revision, &object),
                    "{key}"
                );
            }
            (verb, found) => panic!("{key} {verb:?} {found:?}"),
        }
    }
}
