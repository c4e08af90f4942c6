//! The live tail of a run that is under way: one plain ConfigMap `<run>-log-live` with the last 64 KiB of what happened,
//! for `logs -f`. It goes when the run is final; the kept logs have it all then.
//!
//! Writes are few: a run at most every 10 s, an operator at most five a second over all runs. What is not written now is
//! written after a later pass. Nothing here can fail a run.

use super::{LOG_LABEL, RUN_LABEL};
use crate::api::{CloneRun, ENVIRONMENT_LABEL, FIELD_MANAGER};
use crate::controllers::run::store::call;
use crate::engine::ports::StoreError;
use crate::recipe::LogLine;
use crate::site::JobName;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::json;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Key of the lines in `data`.
pub const LIVE_KEY: &str = "log.jsonl";
/// Bytes of lines that are kept.
const KEPT: usize = 64 << 10;
/// A line longer than this is cut: one message must not push everything else out.
const LONGEST: usize = 4 << 10;
/// Between two writes of one run.
const EVERY: Duration = Duration::from_secs(10);
/// Asking for news rests so many times as long as it took: a system reads a long job log from its beginning, and what it
/// does there is to save.
const REST: u32 = 50;
/// Writes per second over all runs, and how many may come at once.
const WRITES_PER_SECOND: f64 = 5.0;
/// Value of the log label.
pub(in crate::controllers::run) const LIVE: &str = "live";

/// `<run>-log-live`.
pub fn live_name(run: &str) -> String {
    format!("{run}-log-live")
}

/// The live tails of all open runs of this process, by the UID of the run.
#[derive(Default)]
pub struct LiveTails {
    runs: Mutex<HashMap<String, Arc<LiveTail>>>,
    pace: Mutex<Pace>,
}

/// A bucket of writes.
struct Pace {
    left: f64,
    at: Instant,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            left: WRITES_PER_SECOND,
            at: Instant::now(),
        }
    }
}

impl Pace {
    fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed * WRITES_PER_SECOND).min(WRITES_PER_SECOND);
        self.at = now;
        let free = self.left >= 1.0;
        self.left -= if free { 1.0 } else { 0.0 };
        free
    }
}

/// The last lines of one run.
pub struct LiveTail {
    state: Mutex<State>,
}

struct State {
    lines: VecDeque<String>,
    bytes: usize,
    changed: bool,
    /// When it was written last, or the tail began.
    written: Instant,
    /// Last place in the log of each job that was told.
    told: HashMap<String, u64>,
    /// When the log of a running job is looked into next.
    next_look: Instant,
    /// There is a ConfigMap, as far as this process knows.
    there: Option<bool>,
}

impl LiveTail {
    fn new() -> Self {
        Self {
            state: Mutex::new(State {
                lines: VecDeque::new(),
                bytes: 0,
                changed: false,
                written: Instant::now(),
                told: HashMap::new(),
                next_look: Instant::now(),
                there: None,
            }),
        }
    }

    /// Adds lines at the end.
    pub fn add(&self, lines: &[LogLine]) {
        let mut state = self.lock();
        for line in lines {
            let text = LogLine {
                text: short(&line.text),
                second: String::new(),
                ..line.clone()
            };
            state.push(serde_json::to_string(&text).unwrap_or_default());
        }
    }

    /// Whether the log of a running job should be looked into now.
    pub fn wants_news(&self) -> bool {
        Instant::now() >= self.lock().next_look
    }

    /// Adds those lines of a job that were not added before; where messages between two looks are missing, a line says how
    /// many. `took` = how long it took to ask, `faster` as for [`LiveTails::write`].
    pub fn add_news(&self, job: &JobName, lines: Vec<(u64, LogLine)>, took: Duration, faster: f64) {
        let mut new = Vec::new();
        {
            let mut state = self.lock();
            let every = EVERY.div_f64(faster.max(1.0));
            state.next_look = Instant::now() + every.max(took * REST);
            let told = state.told.entry(job.as_str().to_owned()).or_default();
            // The log was full and began anew: its places mean something else now.
            if lines.last().is_some_and(|(newest, _)| newest < told) {
                *told = 0;
            }
            for (place, line) in lines {
                if place <= *told {
                    continue;
                }
                // What came before the first look may have been told by an earlier process.
                let missing = place - *told - 1;
                if *told > 0 && missing > 0 {
                    new.push(not_shown(&line, missing));
                }
                *told = place;
                new.push(line);
            }
        }
        self.add(&new);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push(&mut self, line: String) {
        self.bytes += line.len() + 1;
        self.lines.push_back(line);
        self.changed = true;
        while self.bytes > KEPT
            && let Some(oldest) = self.lines.pop_front()
        {
            self.bytes -= oldest.len() + 1;
        }
    }

    /// What another process of this operator has written comes first, and is not said twice.
    fn begin_with(&mut self, earlier: &str) {
        let mut own = std::mem::take(&mut self.lines);
        self.bytes = 0;
        let told: HashSet<&str> = earlier.lines().collect();
        own.retain(|line| !told.contains(line.as_str()));
        for line in earlier.lines().map(str::to_owned).chain(own) {
            self.push(line);
        }
    }

    fn text(&self) -> String {
        let mut text = String::with_capacity(self.bytes);
        for line in &self.lines {
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}

/// Stands for messages of a job that came too fast for the tail.
fn not_shown(next: &LogLine, count: u64) -> LogLine {
    LogLine {
        ts: next.ts.clone(),
        part: next.part.clone(),
        job: next.job.clone(),
        text: format!("{count} messages are not shown here; the log that is kept will have them"),
        ..LogLine::default()
    }
}

fn short(text: &str) -> String {
    let end = text.floor_char_boundary(LONGEST);
    match text.len() - end {
        0 => text.to_owned(),
        more => format!("{} … ({more} more bytes)", &text[..end]),
    }
}

impl LiveTails {
    /// The tail of a run.
    pub fn of(&self, uid: &str) -> Arc<LiveTail> {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let tail = runs.entry(uid.to_owned());
        Arc::clone(tail.or_insert_with(|| Arc::new(LiveTail::new())))
    }

    /// Writes the tail of a run, if it has changed and its turn has come. `faster` divides the time between two writes
    /// where the devices' clock runs faster.
    pub async fn write(&self, client: &Client, run: &CloneRun, faster: f64) {
        let tail = self.of(&run.uid().unwrap_or_default());
        let every = EVERY.div_f64(faster.max(1.0));
        {
            let state = tail.lock();
            if !state.changed || state.written.elapsed() < every {
                return;
            }
        }
        if !self.turn() {
            return;
        }
        if let Err(error) = put(client, run, &tail).await {
            tracing::debug!(run = run.name_any(), %error, "the live tail is written later");
        }
    }

    fn turn(&self) -> bool {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        pace.take(Instant::now())
    }

    /// Removes the tail of a run that is final. `faster` as for [`Self::write`].
    ///
    /// # Errors
    /// When the API server cannot be asked.
    pub async fn end(
        &self,
        client: &Client,
        run: &CloneRun,
        faster: f64,
    ) -> Result<(), StoreError> {
        let known = {
            let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
            runs.remove(&run.uid().unwrap_or_default())
        };
        // Another process may have written it, unless the run was over before the first write.
        let spent = run.status.as_ref().and_then(|s| s.duration_seconds);
        let spent = u64::try_from(spent.unwrap_or(0)).unwrap_or(0);
        let long = Duration::from_secs(spent + 1) >= EVERY.div_f64(faster.max(1.0));
        let there = known.and_then(|tail| tail.lock().there);
        if !there.unwrap_or(long) {
            return Ok(());
        }
        let maps = maps(client, run);
        let name = live_name(&run.name_any());
        match call(maps.delete(&name, &DeleteParams::default())).await {
            Ok(_) | Err(StoreError::Gone) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn maps(client: &Client, run: &CloneRun) -> Api<ConfigMap> {
    Api::namespaced(client.clone(), &run.namespace().unwrap_or_default())
}

async fn put(client: &Client, run: &CloneRun, tail: &LiveTail) -> Result<(), StoreError> {
    let (maps, name) = (maps(client, run), live_name(&run.name_any()));
    if tail.lock().there.is_none() {
        let found = call(maps.get_opt(&name)).await?;
        let earlier = found.as_ref().filter(|map| is_of(map, run));
        let earlier = earlier.and_then(|map| map.data.as_ref()?.get(LIVE_KEY));
        let mut state = tail.lock();
        state.begin_with(earlier.map(String::as_str).unwrap_or_default());
        state.there = Some(found.is_some());
    }
    let text = {
        let mut state = tail.lock();
        // Also when the write fails: the next try waits as long as any other.
        (state.changed, state.written) = (false, Instant::now());
        state.text()
    };
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "labels": {
                RUN_LABEL: run.name_any(), LOG_LABEL: LIVE, ENVIRONMENT_LABEL: run.spec.environment,
            },
            "ownerReferences": run.controller_owner_ref(&()).map(|o| vec![o]).unwrap_or_default(),
        },
        "data": {LIVE_KEY: text},
    });
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    let written = call(maps.patch(&name, &parameters, &Patch::Apply(&map))).await;
    let mut state = tail.lock();
    state.changed |= written.is_err();
    // A write whose answer was lost may have happened.
    state.there = Some(true);
    written.map(drop)
}

/// A ConfigMap of an earlier run of the same name is about to be collected.
pub(super) fn is_of(map: &ConfigMap, run: &CloneRun) -> bool {
    let uid = run.uid();
    map.owner_references()
        .iter()
        .any(|o| Some(&o.uid) == uid.as_ref())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn line(text: &str) -> LogLine {
        LogLine {
            ts: "2026-11-23T00:00:00.000Z".to_owned(),
            part: "operator".to_owned(),
            text: text.to_owned(),
            ..LogLine::default()
        }
    }

    #[test]
    fn a_tail_holds_the_last_64_kib_and_no_message_pushes_all_others_out() {
        let tail = LiveTail::new();
        for n in 0..2_000 {
            tail.add(&[line(&format!("line {n} {}", "x".repeat(60)))]);
        }
        tail.add(&[line(&"é".repeat(1 << 20))]);
        let text = tail.lock().text();
        assert!(text.len() <= KEPT, "{}", text.len());
        assert!(text.contains("line 1999 ") && !text.contains("line 0 "));
        assert!(text.contains("more bytes)"));
        for line in text.lines() {
            serde_json::from_str::<LogLine>(line).unwrap();
        }
    }

    #[test]
    fn a_line_of_a_job_is_told_once_and_a_gap_is_said() {
        let tail = LiveTail::new();
        let tell = |job: &str, places: &[u64]| {
            let lines = places.iter().map(|n| (*n, line(&format!("message {n}"))));
            let job = JobName::new(job);
            tail.add_news(&job, lines.collect(), Duration::ZERO, 1.0);
        };
        let texts = || -> Vec<String> {
            let text = tail.lock().text();
            let lines = text.lines().map(serde_json::from_str::<LogLine>);
            lines.map(|line| line.unwrap().text).collect()
        };
        tell("123456/CLN/C1_16", &[1, 2]);
        tell("123456/CLN/C1_16", &[2, 3]);
        assert_eq!(texts(), ["message 1", "message 2", "message 3"]);
        tell("123456/CLN/C1_16", &[8, 9]);
        assert!(texts()[3].starts_with("4 messages are not shown"));
        assert_eq!(texts()[4..], ["message 8", "message 9"]);
        // Another job has places of its own.
        tell("123457/CLN/C1_16_2", &[1]);
        assert_eq!(texts()[6..], ["message 1"]);
        // A full log that wraps is shorter than before.
        tell("123456/CLN/C1_16", &[4, 5]);
        assert_eq!(texts()[7..], ["message 4", "message 5"]);
    }

    #[test]
    fn a_job_log_is_looked_into_at_the_tails_pace_and_less_often_where_that_is_slow() {
        let wait = |took: Duration, faster: f64| {
            let tail = LiveTail::new();
            assert!(tail.wants_news());
            let asked = Instant::now();
            tail.add_news(&JobName::new("1/U/J"), Vec::new(), took, faster);
            assert!(!tail.wants_news());
            tail.lock().next_look - asked
        };
        let near = |wait: Duration, seconds: u64| wait.as_secs_f64() - seconds as f64;
        assert!((0.0..1.0).contains(&near(wait(Duration::ZERO, 1.0), 10)));
        assert!((0.0..1.0).contains(&near(wait(Duration::ZERO, 5.0), 2)));
        assert!((0.0..1.0).contains(&near(wait(Duration::from_secs(2), 5.0), 100)));
    }

    #[test]
    fn what_an_earlier_process_wrote_comes_first_and_once() {
        let earlier = LiveTail::new();
        earlier.add(&[line("theirs"), line("both")]);
        let tail = LiveTail::new();
        tail.add(&[line("both"), line("ours")]);
        let written = earlier.lock().text();
        tail.lock().begin_with(&written);
        let text = tail.lock().text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        for (line, wanted) in lines.iter().zip(["theirs", "both", "ours"]) {
            assert!(line.contains(wanted), "{text}");
        }
    }

    #[test]
    fn at_most_five_writes_a_second_over_all_runs() {
        let start = Instant::now();
        let mut pace = Pace {
            left: WRITES_PER_SECOND,
            at: start,
        };
        let mut count = |from: u64, to: u64| {
            let times = (from..to).map(|ms| start + Duration::from_millis(ms));
            times.filter(|at| pace.take(*at)).count()
        };
        assert_eq!(count(0, 1), 1);
        let ten_seconds = count(1, 10_000);
        assert!((50..=54).contains(&ten_seconds), "{ten_seconds}");
    }
}
