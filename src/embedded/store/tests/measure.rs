//! What the store costs. Run by hand, with optimisation, one at a time:
//! `cargo test --release --lib store::tests::measure -- --ignored --nocapture`.

use std::fs::{self, File};
use std::io::Write;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream;

use super::*;

/// Objects are compressed from this many bytes on; the store's default when it is not set.
const COMPRESS: &str = "IBMICLONE_TEST_STORE_COMPRESS";

/// Like a finished run: 4 KB, with the repetition of real ones.
fn run(n: u64) -> Value {
    let word = |i: u64| {
        let mixed = (n * 1_000 + i).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        format!("{mixed:016x}")
    };
    let steps = (0..22).map(|i| {
        json!({"step": format!("resume-source-{i}"), "state": "Done", "attempt": 1,
            "started": format!("2026-03-01T02:{i:02}:00.{:03}Z", n % 1_000), "mark": word(i),
            "message": "the volumes of the copy are mapped"})
    });
    json!({"apiVersion": "ibmiclone.dev/v1alpha1", "kind": "CloneRun",
        "metadata": {"name": format!("night-{n}"), "namespace": "prod", "uid": word(99)},
        "spec": {"environment": "night"}, "status": {"phase": "Succeeded", "steps": steps.collect::<Vec<_>>()}})
}

fn rss() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = pages.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4 / 1_024
}

/// Of the whole process, in ticks of 10 ms: other work on the machine distorts it less than the time by the clock.
fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.split(' ').collect();
    let ticks = [13, 14].map(|i: usize| fields[i].parse::<u64>().unwrap());
    Duration::from_millis(10 * (ticks[0] + ticks[1]))
}

fn percentiles(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |p: usize| times[(times.len() - 1) * p / 100];
    format!("p50 {:?} p99 {:?} max {:?}", at(50), at(99), at(100))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn twenty_thousand_runs() {
    let dir = directory();
    let mut options = Options::default();
    if let Ok(from) = std::env::var(COMPRESS) {
        options.compress_from = from.parse().unwrap();
    }
    println!(
        "object {} bytes, compressed from {}",
        run(1).to_string().len(),
        options.compress_from
    );
    let store = Store::open(dir.path(), options.clone()).unwrap();
    let begun = Instant::now();
    stream::iter(0..21_000)
        .for_each_concurrent(64, |n| {
            let store = store.clone();
            async move {
                let key = key("prod", &format!("night-{n:05}"));
                store.create(key, run(n)).await.unwrap();
            }
        })
        .await;
    println!("21,000 creates, 64 at a time: {:?}", begun.elapsed());
    drop(store);
    let size = fs::metadata(dir.path().join("store.db")).unwrap().len() >> 20;
    let begun = Instant::now();
    let store = Store::open(dir.path(), options).unwrap();
    println!(
        "file {size} MiB, opened in {:?}, RSS {} MiB",
        begun.elapsed(),
        rss()
    );
    replaces(&store, dir.path()).await;
    println!("RSS {} MiB", rss());
    lists(&store).await;
    compaction(&store).await;
    let begun = Instant::now();
    store.backup(&dir.path().join("saved")).await.unwrap();
    println!("backup {:?}, RSS {} MiB", begun.elapsed(), rss());
}

async fn replaces(store: &Store, dir: &Path) {
    let (mut times, mut reads) = (Vec::new(), Vec::new());
    for n in 0..3_000_u64 {
        let key = key("prod", &format!("night-{:05}", n * 7 % 21_000));
        let begun = Instant::now();
        let found = store.get(&key).await.unwrap().unwrap();
        reads.push(begun.elapsed());
        let object = run(n + 100_000);
        let begun = Instant::now();
        store.replace(&key, found.revision, object).await.unwrap();
        times.push(begun.elapsed());
    }
    println!("get {}", percentiles(reads));
    println!("replace {}", percentiles(times));
    let mut file = File::create(dir.join("flushed")).unwrap();
    let mut flushes = Vec::new();
    for _ in 0..1_000 {
        let begun = Instant::now();
        file.write_all(&[7; 20_480]).unwrap();
        file.sync_data().unwrap();
        flushes.push(begun.elapsed());
    }
    println!("20 KB and a flush, for comparison {}", percentiles(flushes));
}

async fn lists(store: &Store) {
    let (begun, worked) = (Instant::now(), cpu());
    let mut query = all(None);
    query.limit = Some(500);
    let mut found = 0;
    loop {
        let page = store.list(&query).await.unwrap();
        found += page.items.len();
        query.at = Some(page.revision);
        let last = page.items.last().unwrap();
        query.after = Some((last.key.namespace.clone(), last.key.name.clone()));
        if page.remaining == 0 {
            break;
        }
    }
    println!(
        "{found} in pages of 500: {:?}, CPU {:?}, RSS {} MiB",
        begun.elapsed(),
        cpu() - worked,
        rss()
    );
    query.after = None;
    query.at = Some(store.revision() - 1_000);
    let begun = Instant::now();
    let then = store.list(&query).await.unwrap();
    println!(
        "500 as of 1,000 changes ago: {:?}, {} more",
        begun.elapsed(),
        then.remaining
    );
    let (begun, worked) = (Instant::now(), cpu());
    let whole = store.list(&all(None)).await.unwrap();
    println!(
        "{} at once: {:?}, CPU {:?}, RSS {} MiB",
        whole.items.len(),
        begun.elapsed(),
        cpu() - worked,
        rss()
    );
}

async fn compaction(store: &Store) {
    let keep = super::super::Keep {
        changes: 1_000,
        age: Duration::MAX,
    };
    let begun = Instant::now();
    let oldest = store.compact(keep).await.unwrap();
    println!("compacted to {oldest}: {:?}", begun.elapsed());
}
