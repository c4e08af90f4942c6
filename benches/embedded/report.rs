//! The table, and the line of JSON.

use super::lists::{Lists, Standalone};
use super::percentile;
use super::process::Usage;
use super::server::Which;
use super::watches::Watches;
use super::writes::Writes;
use serde_json::{Value, json};

/// What was measured of one server.
pub struct Of {
    pub which: Which,
    /// Of an empty server, seconds.
    pub start: f64,
    pub idle: Usage,
    pub writes: Writes,
    pub watches: Watches,
    pub lists: Lists,
}

#[derive(Default)]
pub struct Figures {
    all: Vec<Of>,
    pub in_process: Option<Writes>,
    pub standalone: Option<Standalone>,
}

/// A line of the table: what, and how it is read from a server's figures.
type Line = (&'static str, fn(&Of) -> String);

const LINES: [Line; 19] = [
    ("start, empty, s", |of| format!("{:.2}", of.start)),
    ("RSS idle, MiB", |of| of.idle.now_mib.to_string()),
    ("status replace p50, ms", |of| ms(&of.writes.replaces, 0.5)),
    ("status replace p99, ms", |of| ms(&of.writes.replaces, 0.99)),
    ("fsync of as many bytes p50, ms", |of| {
        ms(&of.writes.fsyncs, 0.5)
    }),
    ("fsync of as many bytes p99, ms", |of| {
        ms(&of.writes.fsyncs, 0.99)
    }),
    ("p99 without fsync p99, ms (bar 2)", |of| {
        format!("{:.2}", of.writes.without_disk())
    }),
    ("bytes to the disk for each", |of| {
        of.writes.bytes.to_string()
    }),
    ("watches: lost + disordered (bar 0)", |of| {
        format!("{} + {}", of.watches.lost, of.watches.disordered)
    }),
    ("watches: all written, s", |of| {
        format!("{:.2}", of.watches.written)
    }),
    ("watches: all seen by all, s", |of| {
        format!("{:.2}", of.watches.seen)
    }),
    ("writes of the fill, /s", |of| {
        let filled = of.lists.filled;
        let writes = filled.environments + 2 * filled.runs;
        format!("{:.0}", writes as f64 / filled.seconds)
    }),
    ("start with all, s (bar 2)", |of| {
        format!("{:.2}", of.lists.start)
    }),
    ("RSS after it, MiB", |of| {
        of.lists.after_start.now_mib.to_string()
    }),
    ("kubectl get cloneruns -A, s (bar 1)", |of| {
        let times = &of.lists.kubectl;
        format!(
            "{:.2} ({:.2}-{:.2})",
            percentile(times, 0.5),
            percentile(times, 0.0),
            percentile(times, 1.0)
        )
    }),
    ("its pages without kubectl, s", |of| {
        format!("{:.2}", of.lists.pages)
    }),
    ("RSS after, peak, MiB (bar 120)", |of| {
        both(of.lists.after_lists)
    }),
    ("all in one answer, s (MB)", |of| {
        format!(
            "{:.2} ({})",
            of.lists.whole,
            of.lists.whole_bytes / 1_000_000
        )
    }),
    ("RSS after, peak, MiB", |of| both(of.lists.after_whole)),
];

fn ms(sorted: &[f64], p: f64) -> String {
    format!("{:.2}", percentile(sorted, p))
}

fn both(usage: Usage) -> String {
    format!("{}, {}", usage.now_mib, usage.peak_mib)
}

impl Figures {
    pub fn add(&mut self, of: Of) {
        self.all.push(of);
    }

    pub fn print(&self) {
        if let Some(of) = self.all.first() {
            let (filled, watches) = (of.lists.filled, of.watches);
            println!(
                "\n{} status replaces of {} bytes; {} watches, {} writes; {} environments, {} finished runs",
                of.writes.replaces.len(),
                of.writes.size,
                watches.watches,
                watches.writes,
                filled.environments,
                filled.runs
            );
        }
        print!("{:<38}", "");
        for of in &self.all {
            print!(" {:>18}", of.which.name());
        }
        println!();
        for (what, figure) in LINES {
            print!("{what:<38}");
            for of in &self.all {
                print!(" {:>18}", figure(of));
            }
            println!();
        }
        if let Some(writes) = &self.in_process {
            println!(
                "client in the process of the embedded API: status replace p50 {} ms, p99 {} ms, fsync p50 {} ms, p99 {} ms, p99 without it {:.2} ms",
                ms(&writes.replaces, 0.5),
                ms(&writes.replaces, 0.99),
                ms(&writes.fsyncs, 0.5),
                ms(&writes.fsyncs, 0.99),
                writes.without_disk()
            );
        }
        if let Some(standalone) = &self.standalone {
            println!(
                "standalone, its operator included, on the same data: ready after {:.2} s, RSS, peak {} MiB; kubectl get cloneruns -A {:.2} s, then {} MiB",
                standalone.start,
                both(standalone.after_start),
                standalone.kubectl,
                both(standalone.after_lists)
            );
        }
        println!("{}", self.line());
    }

    fn line(&self) -> Value {
        let servers: serde_json::Map<String, Value> = self
            .all
            .iter()
            .map(|of| (of.which.name().to_owned(), server(of)))
            .collect();
        let standalone = self.standalone.as_ref().map(|s| {
            json!({
                "startSeconds": s.start, "afterStart": memory(s.after_start), "kubectlSeconds": s.kubectl,
                "afterLists": memory(s.after_lists),
            })
        });
        json!({
            "who": "embedded", "servers": servers, "inProcess": self.in_process.as_ref().map(writes), "standalone": standalone,
        })
    }
}

fn server(of: &Of) -> Value {
    let (watches, lists) = (of.watches, &of.lists);
    json!({
        "startSeconds": of.start, "idle": memory(of.idle), "writes": writes(&of.writes),
        "watches": {
            "watches": watches.watches, "writes": watches.writes, "writtenSeconds": watches.written, "seenSeconds": watches.seen,
            "lost": watches.lost, "disordered": watches.disordered,
        },
        "lists": {
            "environments": lists.filled.environments, "runs": lists.filled.runs, "fillSeconds": lists.filled.seconds,
            "startSeconds": lists.start, "afterStart": memory(lists.after_start), "kubectlSeconds": lists.kubectl,
            "pagesSeconds": lists.pages, "afterLists": memory(lists.after_lists), "wholeSeconds": lists.whole,
            "wholeBytes": lists.whole_bytes, "afterWhole": memory(lists.after_whole),
        },
    })
}

fn writes(writes: &Writes) -> Value {
    let of = |times: &[f64]| {
        let p = |p| percentile(times, p);
        json!({"n": times.len(), "p50": p(0.5), "p99": p(0.99), "max": p(1.0)})
    };
    json!({
        "replaceMilliseconds": of(&writes.replaces), "fsyncMilliseconds": of(&writes.fsyncs),
        "p99WithoutFsync": writes.without_disk(), "bytesEach": writes.bytes, "objectBytes": writes.size,
    })
}

fn memory(usage: Usage) -> Value {
    json!({"rssMiB": usage.now_mib, "peakMiB": usage.peak_mib})
}
