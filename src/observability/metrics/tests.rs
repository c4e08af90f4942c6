use super::parse::Scrape;
use super::*;
use crate::api::{CloneEnvironment, CloneRun};
use crate::engine::step::LockKind;
use crate::site::transcript::Listener;
use kube::core::DeserializeGuard;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A term as the tests want it.
struct Fake {
    leads: bool,
    objects: Option<(Vec<Value>, Vec<Value>)>,
}

impl Caches for Fake {
    fn leads(&self) -> bool {
        self.leads
    }
    fn objects(&self) -> Option<Objects> {
        let (environments, runs) = self.objects.clone()?;
        Some(Objects {
            environments: environments
                .into_iter()
                .map(read::<CloneEnvironment>)
                .collect(),
            runs: runs.into_iter().map(read::<CloneRun>).collect(),
            ..Objects::default()
        })
    }
}

fn read<K: serde::de::DeserializeOwned>(object: Value) -> Arc<DeserializeGuard<K>> {
    Arc::new(DeserializeGuard(
        Ok(serde_json::from_value(object).unwrap()),
    ))
}

fn environment(name: &str, status: Value) -> Value {
    let yaml = include_str!("../../controllers/testdata/environment.yaml");
    let spec: Value = serde_saphyr::from_str(yaml).unwrap();
    json!({
        "apiVersion": "ibmiclone.dev/v1alpha1", "kind": "CloneEnvironment",
        "metadata": {"name": name, "namespace": "ibmi", "creationTimestamp": "2026-11-01T00:00:00Z"},
        "spec": spec, "status": status,
    })
}

fn run(name: &str, environment: &str, created: &str, status: Value) -> Value {
    json!({
        "apiVersion": "ibmiclone.dev/v1alpha1", "kind": "CloneRun",
        "metadata": {"name": name, "namespace": "ibmi", "creationTimestamp": created},
        "spec": {"environment": environment}, "status": status,
    })
}

fn full() -> Value {
    let condition = |kind: &str, status: &str, reason: &str| {
        json!({"type": kind, "status": status, "reason": reason, "message": "",
               "lastTransitionTime": "2026-11-01T00:00:00Z"})
    };
    json!({
        "conditions": [condition("Ready", "False", "LoginFailed"), condition("Overdue", "True", "NoRecentSuccess")],
        "schedule": [
            {"cron": "0 0 * * *", "timeZone": "UTC", "next": "2026-11-25T00:00:00.000Z", "baseline": "2026-11-01T00:00:00.000Z", "valid": true},
            {"cron": "30 12 * * 1-5", "timeZone": "UTC", "next": "2026-11-24T12:30:00.000Z", "baseline": "2026-11-01T00:00:00.000Z", "valid": true},
        ],
        "expectedIntervalSeconds": 43200,
        "lastRun": {"name": "n-1", "number": 1, "phase": "Warning", "startedAt": "2026-11-24T00:00:01.500Z", "durationSeconds": 1800, "messages": 12, "errors": 2},
        "lastSuccessTime": "2026-11-24T00:30:01.500Z",
        "consecutiveFailures": 0,
        "clone": {"state": "running"},
        "image": {"state": "copying", "progressPercent": 40, "diskUsedPercent": 63},
    })
}

fn owing() -> Value {
    json!({
        "phase": "Running", "step": "resume-source", "startedAt": "2026-11-24T12:30:02.000Z",
        "obligations": [
            {"kind": "ResumeSource", "step": "suspend-source", "since": "2026-11-24T12:31:00.000Z"},
            {"kind": "RemoveParameters", "step": "write-parameters", "since": "2026-11-24T12:30:10.000Z", "met": "2026-11-24T12:30:20.000Z"},
            {"kind": "RunAfterResume", "step": "suspend-source", "since": "2026-11-24T12:31:00.000Z"},
        ],
    })
}

/// The scrape of a leader with these objects.
fn scrape(metrics: &Metrics, environments: Vec<Value>, runs: Vec<Value>) -> Scrape {
    let term: Arc<dyn Caches> = Arc::new(Fake {
        leads: true,
        objects: Some((environments, runs)),
    });
    metrics.follow(Arc::downgrade(&term));
    Scrape::of(&metrics.encode().unwrap())
}

fn everything(metrics: &Metrics) -> Scrape {
    let counted = &metrics.counted;
    let labels = RunLabels {
        namespace: "ibmi".into(),
        environment: "nightly".into(),
        function: "HOLD".into(),
        trigger: "Schedule".into(),
        result: "succeeded".into(),
    };
    counted.ended(&labels, Some(1800.0));
    counted.frozen("ibmi", "nightly", Duration::from_millis(4200));
    let step = StepLabels {
        step: "start-copy".into(),
        result: "done",
    };
    counted.step_ended(&step, 0.4);
    counted.created(Duration::from_millis(20));
    counted.missed("ibmi", "nightly", "DeadlineExceeded", 3);
    counted.resumed("ibmi", "nightly", "start-copy");
    counted.reconciled("CloneRun", Duration::from_millis(3), true);
    metrics.tell_steps();
    counted.last_step("ibmi", "nightly", "start-copy", 0.4);
    counted.last_step("ibmi", "gone", "start-copy", 0.4);
    counted.waited(LockKind::TargetSet, Duration::from_secs(40));
    metrics.exchanged("hmc", 1_500_000);
    counted.requested("get", "200".into(), Some(Duration::from_millis(3)));
    metrics.scheduler_ticked();
    let queue = json!({"position": 1, "blockedBy": "ibmi/weekly-1 (target set CLONE1 on svc)"});
    let waiting = run(
        "n-3",
        "nightly",
        "2026-11-24T12:31:00Z",
        json!({"phase": "Queued", "queue": queue}),
    );
    let runs = vec![
        waiting,
        run("n-2", "nightly", "2026-11-24T12:30:00Z", owing()),
    ];
    scrape(metrics, vec![environment("nightly", full())], runs)
}

/// Rows of the table of docs/metrics.md: name, type, labels, buckets.
fn page() -> BTreeMap<String, (String, BTreeSet<String>, Vec<f64>)> {
    let text = include_str!("../../../docs/metrics.md");
    let words = |cell: &str| -> Vec<String> {
        let parts = cell
            .split(',')
            .map(|w| w.trim().trim_matches('`').to_owned());
        parts.filter(|w| !w.is_empty()).collect()
    };
    let rows = text.lines().filter(|l| l.starts_with("| `ibmiclone_"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let name = cells[0].trim_matches('`').to_owned();
        let (kind, buckets) = match cells[1].split_once(' ') {
            Some((kind, list)) => (
                kind,
                words(list).iter().map(|b| b.parse().unwrap()).collect(),
            ),
            None => (cells[1], Vec::new()),
        };
        (
            name,
            (
                kind.to_owned(),
                words(cells[2]).into_iter().collect(),
                buckets,
            ),
        )
    })
    .collect()
}

#[test]
fn names_types_labels_and_buckets_are_those_of_the_page() {
    let found = everything(&Metrics::default());
    let mut told = BTreeMap::new();
    for (family, kind) in &found.families {
        let name = match kind.as_str() {
            "counter" => format!("{family}_total"),
            _ => family.clone(),
        };
        let suffix = if kind == "histogram" { "_bucket" } else { "" };
        let series = format!("{name}{suffix}");
        let samples: Vec<_> = found.samples.iter().filter(|s| s.name == series).collect();
        assert!(!samples.is_empty(), "{name} is never told in this test");
        let mut labels: BTreeSet<String> = samples
            .iter()
            .flat_map(|s| s.labels.keys().cloned())
            .collect();
        labels.remove("le");
        assert!(labels.iter().all(|l| l != "run"), "{name} names runs");
        let bounds = samples
            .iter()
            .filter_map(|s| s.labels.get("le")?.parse::<f64>().ok());
        let buckets: Vec<f64> = bounds.filter(|b| b.is_finite()).collect();
        told.insert(name, (kind.clone(), labels, buckets));
    }
    let page = page();
    let (told_names, page_names): (Vec<_>, Vec<_>) = (told.keys().collect(), page.keys().collect());
    assert_eq!(told_names, page_names);
    assert_eq!(told, page);
}

#[test]
fn who_waits_is_told_by_the_lock_it_misses_and_steps_only_where_asked_for() {
    let found = everything(&Metrics::default());
    let length = |lock| found.value("ibmiclone_queue_length", &[("lock", lock)]);
    let lengths = ["clone", "target", "source"].map(length);
    assert_eq!(lengths, [Some(0.0), Some(1.0), Some(0.0)]);
    let steps = |found: &Scrape| {
        let name = "ibmiclone_environment_last_step_duration_seconds";
        let of = |s: &&super::parse::Sample| s.name == name;
        found.samples.iter().filter(of).count()
    };
    assert_eq!(steps(&found), 1, "an environment that is gone is not told");
    let quiet = Metrics::default();
    quiet
        .counted
        .last_step("ibmi", "nightly", "start-copy", 0.4);
    let found = scrape(&quiet, vec![environment("nightly", full())], Vec::new());
    assert_eq!(steps(&found), 0);
}

#[test]
fn an_environment_is_told_as_its_object_and_its_open_runs_show_it() {
    let found = everything(&Metrics::default());
    let value = |name: &str, labels: &[(&str, &str)]| {
        let name = format!("ibmiclone_environment_{name}");
        found.value(&name, labels)
    };
    assert_eq!(value("ready", &[("reason", "LoginFailed")]), Some(0.0));
    assert_eq!(value("overdue", &[]), Some(1.0));
    assert_eq!(
        value(
            "next_run_timestamp_seconds",
            &[("schedule", "30 12 * * 1-5")]
        ),
        Some(1_795_523_400.0)
    );
    assert_eq!(
        value("last_run_timestamp_seconds", &[]),
        Some(1_795_478_401.5)
    );
    assert_eq!(
        value("last_failure_timestamp_seconds", &[]),
        Some(0.0),
        "never"
    );
    assert_eq!(
        value("last_run_status", &[("status", "warning")]),
        Some(1.0)
    );
    assert_eq!(value("last_run_status", &[("status", "failed")]), Some(0.0));
    assert_eq!(value("flashcopy_progress_ratio", &[]), Some(0.4));
    assert_eq!(value("clone_disk_used_ratio", &[]), Some(0.63));
    // The run that has begun, though another is there too.
    assert_eq!(
        value("active_run_phase", &[("phase", "running")]),
        Some(1.0)
    );
    assert_eq!(value("active_run_phase", &[("phase", "queued")]), Some(0.0));
    assert_eq!(
        value(
            "active_run_start_timestamp_seconds",
            &[("step", "resume-source")]
        ),
        Some(1_795_523_402.0)
    );
    assert_eq!(
        value("obligations_open", &[("obligation", "ResumeSource")]),
        Some(1.0)
    );
    assert_eq!(
        value("obligations_open", &[("obligation", "RemoveParameters")]),
        Some(0.0),
        "met"
    );
    let hook = [("obligation", "RunAfterResume")];
    assert_eq!(value("obligations_open", &hook), Some(1.0));
    assert_eq!(value("source_frozen", &[]), Some(1.0));
    assert_eq!(found.value("ibmiclone_leader", &[]), Some(1.0));
}

#[test]
fn what_is_not_known_is_absent_and_never_zero_by_guess() {
    let metrics = Metrics::default();
    let found = scrape(&metrics, vec![environment("new", json!({}))], Vec::new());
    let value = |name: &str| found.value(&format!("ibmiclone_environment_{name}"), &[]);
    for absent in [
        "ready",
        "next_run_timestamp_seconds",
        "last_run_duration_seconds",
        "clone_active",
        "flashcopy_active",
        "active_run_start_timestamp_seconds",
    ] {
        assert_eq!(value(absent), None, "{absent}");
    }
    assert_eq!(
        found.value(
            "ibmiclone_environment_last_run_status",
            &[("status", "none")]
        ),
        Some(1.0)
    );
    assert_eq!(value("last_success_timestamp_seconds"), Some(0.0));
    assert_eq!(value("source_frozen"), Some(0.0));
}

#[test]
fn what_a_run_owes_is_told_though_its_environment_is_gone() {
    let orphan = run("n-2", "gone", "2026-11-24T12:30:00Z", owing());
    let found = scrape(&Metrics::default(), Vec::new(), vec![orphan]);
    let labels = [("namespace", "ibmi"), ("environment", "gone")];
    assert_eq!(
        found.value("ibmiclone_environment_source_frozen", &labels),
        Some(1.0)
    );
    assert_eq!(
        found.value(
            "ibmiclone_environment_last_success_timestamp_seconds",
            &labels
        ),
        None
    );
}

#[test]
fn two_scrapes_agree_and_awkward_words_come_back_as_they_were() {
    let metrics = Metrics::default();
    let mut status = full();
    status["schedule"][0]["cron"] = json!("quote \" slash \\ line\nend");
    let objects = || {
        vec![
            environment("a", status.clone()),
            environment("b", json!({})),
        ]
    };
    let first = scrape(&metrics, objects(), Vec::new());
    assert_eq!(first, scrape(&metrics, objects(), Vec::new()));
    let awkward = [("schedule", "quote \" slash \\ line\nend")];
    let told = first.value("ibmiclone_environment_next_run_timestamp_seconds", &awkward);
    assert!(told.is_some());
    // Of two with the same lines each is told.
    assert_eq!(
        first.value("ibmiclone_environment_suspended", &[("environment", "b")]),
        Some(0.0)
    );
}

#[test]
fn only_a_leader_that_knows_all_tells_of_objects_and_a_stand_by_of_itself() {
    let metrics = Metrics::default();
    assert_eq!(
        Scrape::of(&metrics.encode().unwrap()).value("ibmiclone_leader", &[]),
        Some(0.0)
    );
    let nightly = || Some((vec![environment("nightly", full())], Vec::new()));
    let follow = |leads, objects| {
        let term: Arc<dyn Caches> = Arc::new(Fake { leads, objects });
        metrics.follow(Arc::downgrade(&term));
        term
    };
    let _stand_by = follow(false, nightly());
    let found = Scrape::of(&metrics.encode().unwrap());
    assert_eq!(found.value("ibmiclone_leader", &[]), Some(0.0));
    assert!(
        found
            .families
            .keys()
            .all(|f| !f.starts_with("ibmiclone_environment"))
    );
    let seeding = follow(true, None);
    assert_eq!(metrics.encode(), Err(NotYet::Seeding));
    // Its term is over: what it knew is not told any more.
    drop(seeding);
    assert!(metrics.encode().is_ok());
}
