//! Speed and memory of the embedded API beside a real kube-apiserver with etcd (`make bench-embedded`).
//!
//! One server after the other, each a process of its own behind TLS with a token or a certificate, as users get it, on a new
//! directory of the same disk:
//!
//! * **Start and memory** of an empty server.
//! * **Writes**: status replaces of a CloneRun at work, one client, one after the other; between them the disk's own fsync, in
//!   the same directory and with as many bytes as a write puts there. The embedded API also through the client of its process.
//! * **Watches**: one writer, many watches, each of which must see every write once and in order.
//! * **Lists**: environments and finished runs of some years; start and memory with them, `kubectl get cloneruns -A`, the same
//!   pages without kubectl, and everything in one answer.
//!
//! The embedded API here is store, registry and HTTP service as `standalone` starts them, without its operator; how long
//! `standalone` takes and what it needs with the same data is measured at the end. Prints a table and one line of JSON.
//! Figures, not tests: nothing fails when they are large, only what a watch loses does.
//!
//! `BENCH_EMBEDDED_WRITES` (2000), `BENCH_EMBEDDED_ENVIRONMENTS` (1000), `BENCH_EMBEDDED_RUNS` (20 of each environment),
//! `BENCH_EMBEDDED_WATCHES` (200), `BENCH_EMBEDDED_EVENTS` (1000), `BENCH_EMBEDDED_SERVERS` (embedded,kubernetes),
//! `BENCH_EMBEDDED_PROGRAM` (a program that serves the embedded API in the place of this one, called as it calls itself: to
//! compare versions), `IBMICLONE_KUBE_BINARIES`.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]
#![recursion_limit = "256"]

mod lists;
#[path = "../shared/process.rs"]
#[allow(
    dead_code,
    reason = "starting an operator and CPU time are for other benches"
)]
mod process;
mod report;
mod rows;
mod server;
#[path = "../shared/stack.rs"]
mod stack;
mod watches;
mod writes;

use report::{Figures, Of};
use server::{Server, Which};
use std::path::Path;
use std::time::Duration;

/// Requests of the bench itself at the same time.
pub const AT_ONCE: usize = 32;
/// Background work of a start has ended by then.
const SETTLED: Duration = Duration::from_secs(10);
/// Starts of an empty server, of which the median counts.
const STARTS: usize = 3;

pub fn number(name: &str, default: usize) -> usize {
    let text = std::env::var(format!("BENCH_EMBEDDED_{name}"));
    text.ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// The element at a share of a sorted list.
pub fn percentile(sorted: &[f64], p: f64) -> f64 {
    let at = ((sorted.len() as f64 - 1.0) * p).round() as usize;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

#[tokio::main]
async fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, serve, dir] = arguments.as_slice()
        && serve == server::SERVE
    {
        return server::serve(Path::new(dir)).await;
    }
    let workdir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-embedded");
    let _ = std::fs::remove_dir_all(&workdir);
    let wanted = std::env::var("BENCH_EMBEDDED_SERVERS");
    let wanted = wanted.unwrap_or_else(|_| "embedded,kubernetes".to_owned());
    let mut figures = Figures::default();
    for which in [Which::Embedded, Which::Kubernetes] {
        if wanted.split(',').any(|w| w == which.name()) {
            let of = measure(which, &workdir.join(which.name())).await;
            figures.add(of);
        }
    }
    if wanted.contains(Which::Embedded.name()) {
        figures.in_process = Some(writes::in_process(&workdir.join("in-process")).await);
        let data = workdir.join(Which::Embedded.name());
        figures.standalone = Some(lists::standalone(&data).await);
    }
    figures.print();
    let _ = std::fs::remove_dir_all(workdir);
}

async fn measure(which: Which, dir: &Path) -> Of {
    eprintln!("{}: start", which.name());
    let mut starts = Vec::new();
    for n in 0..STARTS {
        let server = Server::start(which, &dir.join(format!("empty-{n}"))).await;
        starts.push(server.took.as_secs_f64());
        server.stop().await;
    }
    starts.sort_by(f64::total_cmp);
    let server = Server::start(which, dir).await;
    tokio::time::sleep(SETTLED).await;
    let idle = server.memory();
    eprintln!("{}: writes", which.name());
    lists::namespaces(&server.client).await;
    let writes = writes::measure(&server).await;
    eprintln!("{}: watches", which.name());
    let watches = watches::measure(&server).await;
    eprintln!("{}: lists", which.name());
    let filled = lists::fill(&server).await;
    server.stop().await;
    let lists = lists::measure(which, dir, filled).await;
    Of {
        which,
        start: percentile(&starts, 0.5),
        idle,
        writes,
        watches,
        lists,
    }
}
