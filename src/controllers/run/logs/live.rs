//! The live tail of a run that is under way: one plain ConfigMap `<run>-log-live` with the last 64 KiB of what happened,
//! for `logs -f`. It goes when the run is final; the kept logs have it all then.
//!
//! Writes are few: a run at most every 10 s, an operator at most five a second over all runs. What is not written now is
//! written after a later pass. Nothing here can fail a run.

use super::{LOG_LABEL, RUN_LABEL};
use crate::api::{CloneRun, ENVIRONMENT_LABEL, FIELD_MANAGER};
use crate::controllers::run::store::call;
use crate::engine::journal::{EntryState, Journal};
use crate::engine::ports::StoreError;
use crate::recipe::LogLine;
use chrono::{DateTime, SecondsFormat, Utc};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::json;
use std::collections::{HashMap, VecDeque};
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
/// Writes per second over all runs, and how many may come at once.
const WRITES_PER_SECOND: f64 = 5.0;
/// Value of the log label.
pub(super) const LIVE: &str = "live";

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

    /// What another process of this operator has written comes first.
    fn begin_with(&mut self, earlier: &str) {
        let own = std::mem::take(&mut self.lines);
        self.bytes = 0;
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

/// What changed from one journal to the next, as lines.
pub fn changes(previous: &Journal, next: &Journal, now: DateTime<Utc>) -> Vec<LogLine> {
    let ts = now.to_rfc3339_opts(SecondsFormat::Millis, true);
    let line = |job: &str, id: &str, sev: u8, text: String| LogLine {
        ts: ts.clone(),
        part: "operator".to_owned(),
        job: job.to_owned(),
        id: id.to_owned(),
        sev,
        text,
        ..LogLine::default()
    };
    let mut lines = Vec::new();
    for entry in &next.steps {
        let before = previous.entry(&entry.name);
        let state = before.map_or(EntryState::Pending, |e| e.state);
        let said = before.and_then(|e| e.message.as_deref());
        let message = entry.message.as_deref().filter(|m| !m.is_empty());
        let (sev, word) = match entry.state {
            EntryState::Pending => (0, "waits"),
            EntryState::Intended => (0, "begun"),
            EntryState::Done => (0, "done"),
            EntryState::Skipped => (0, "not needed"),
            EntryState::Failed => (40, "failed"),
        };
        let text = match (entry.state == state, message) {
            (true, Some(message)) if said != Some(message) => message.to_owned(),
            (true, Some(_) | None) => continue,
            (false, Some(message)) => format!("{word}: {message}"),
            (false, None) => word.to_owned(),
        };
        lines.push(line(&entry.name, "STEP", sev, text));
    }
    for (kind, sev, before, after) in [
        ("WARNING", 20, &previous.warnings, &next.warnings),
        ("NOTE", 0, &previous.notes, &next.notes),
    ] {
        let new = after.iter().skip(before.len());
        lines.extend(new.map(|text| line("", kind, sev, text.clone())));
    }
    if previous.phase != next.phase {
        let why = next.verdict.as_ref();
        let why = why.map_or(String::new(), |v| format!(": {} {}", v.reason, v.message));
        lines.push(line("", "RUN", 0, format!("{:?}{why}", next.phase)));
    }
    lines
}

/// The same lines on standard output, as JSON with the run's fields (`product.md` § 9).
pub fn tell(lines: &[LogLine]) {
    for line in lines {
        tracing::info!(
            target: "ibmi_clone::run_log",
            ts = line.ts,
            part = line.part,
            job = line.job,
            id = line.id,
            sev = line.sev,
            text = line.text,
            "run log"
        );
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::engine::journal::Entry;

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
    fn what_an_earlier_process_wrote_comes_first() {
        let tail = LiveTail::new();
        tail.add(&[line("ours")]);
        tail.lock().begin_with("{\"theirs\":1}\n");
        let text = tail.lock().text();
        let places = (text.find("theirs").unwrap(), text.find("ours").unwrap());
        assert!(places.0 < places.1);
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

    #[test]
    fn a_change_is_told_once() {
        let mut journal = Journal {
            steps: vec![Entry {
                name: "await-clone".to_owned(),
                ..Entry::default()
            }],
            ..Journal::default()
        };
        let before = journal.clone();
        journal.steps[0].state = EntryState::Intended;
        journal.steps[0].message = Some("C6004050".to_owned());
        let lines = changes(&before, &journal, Utc::now());
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].text, "begun: C6004050");
        assert_eq!(changes(&journal, &journal, Utc::now()), Vec::new());
        let mut next = journal.clone();
        next.steps[0].message = Some("00000000".to_owned());
        let lines = changes(&journal, &next, Utc::now());
        assert_eq!(
            (lines[0].text.as_str(), lines[0].job.as_str()),
            ("00000000", "await-clone")
        );
    }
}
