//! Objects as an installation of some years has them: sizes, labels, owners and fields of what the operator writes.

use ibmi_clone_operator::api::run::{CloneRunSpec, CloneRunStatus, RunMode, Trigger};
use ibmi_clone_operator::api::{CloneEnvironment, CloneRun, ENVIRONMENT_LABEL, OUTCOME_LABEL};
use serde_json::{Value, json};

/// Namespaces over which objects are spread.
pub const NAMESPACES: usize = 10;

/// The recipe of the function USER.
const STEPS: [&str; 15] = [
    "verify-site",
    "power-off-clone-first",
    "unmap",
    "stop-old-copy",
    "prepare-copy",
    "suspend-source",
    "start-copy",
    "resume-source",
    "map",
    "start-clone",
    "await-clone",
    "set-personality",
    "restart-clone",
    "run-function",
    "collect-logs",
];

pub fn namespace_of(i: usize) -> String {
    format!("site-{}", i % NAMESPACES)
}

pub fn environment_name(i: usize) -> String {
    format!("nightly-user-{i:04}")
}

/// An environment like that of the examples.
pub fn environment(i: usize) -> CloneEnvironment {
    let text = include_str!("../../examples/nightly-user.yaml");
    let mut environment: CloneEnvironment = serde_saphyr::from_str(text).unwrap();
    environment.metadata.name = Some(environment_name(i));
    environment.metadata.namespace = Some(namespace_of(i));
    environment
}

/// Run number `n` of environment `i`, as the schedule creates it.
pub fn run(i: usize, n: usize, environment_uid: &str) -> CloneRun {
    let spec = CloneRunSpec {
        environment: environment_name(i),
        mode: RunMode::Clone,
        trigger: Trigger::Schedule,
        requested_by: "schedule".to_owned(),
        scheduled_time: serde_json::from_value(json!(format!("{}Z", &time(n, 9_000)[..19])))
            .unwrap(),
        ..CloneRunSpec::default()
    };
    let mut run = CloneRun::new(&format!("{}-{n:05}", environment_name(i)), spec);
    run.metadata.namespace = Some(namespace_of(i));
    run.metadata.labels = Some(
        [
            (ENVIRONMENT_LABEL.to_owned(), environment_name(i)),
            (OUTCOME_LABEL.to_owned(), "Succeeded".to_owned()),
        ]
        .into(),
    );
    run.metadata.owner_references = serde_json::from_value(json!([{
        "apiVersion": "ibmiclone.dev/v1alpha1", "kind": "CloneEnvironment", "name": environment_name(i), "uid": environment_uid,
    }]))
    .unwrap();
    run
}

fn time(day: usize, second: usize) -> String {
    let (month, day) = (day / 28 % 12 + 1, day % 28 + 1);
    let (hour, minute) = (second / 3600 % 24, second / 60 % 60);
    format!(
        "2026-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}.{:03}Z",
        second % 60,
        second * 7 % 1000
    )
}

fn steps(n: usize, done: usize) -> Vec<Value> {
    let entry = |(at, name): (usize, &&str)| {
        let begun = 9_000 + at * 131 + n % 97;
        if at >= done {
            return json!({"name": name, "state": "Pending"});
        }
        json!({
            "name": name, "state": "Done", "attempts": 1 + n % 3,
            "start": time(n, begun), "end": time(n, begun + 60 + n % 41),
            "message": format!("{name}: done after {} s, asked {} times", 60 + n % 41, 3 + n % 19),
        })
    };
    STEPS.iter().enumerate().map(entry).collect()
}

fn digest(n: usize) -> String {
    let word = (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("{word:016x}").repeat(4)
}

fn common(n: usize, done: usize) -> Value {
    json!({
        "observedGeneration": 1, "number": n, "function": "USER",
        "started": format!("2026-{:02}-{:02} 02:30:{:02}", n / 28 % 12 + 1, n % 28 + 1, n % 60),
        "startedAt": time(n, 9_000), "step": STEPS[done.min(STEPS.len() - 1)], "progress": format!("{done}/15"),
        "frozen": {
            "startedAt": time(n, 9_700), "endedAt": time(n, 9_701), "milliseconds": 480 + n % 211, "suspensionProof": "Canary",
        },
        "prepareOnSource": format!("{}:{:02}", 1 + n % 3, n % 60), "prepareOnClone": format!("{}:{:02}", 9 + n % 7, n % 60),
        "image": {"targetSet": "000002032CA0FF0E/CLONE1", "mark": digest(n), "takenAt": time(n, 9_701), "copiedPercent": n % 100},
        "messages": 1_200 + n % 977, "errors": n % 2, "diskUsedPercent": 20 + n % 60,
        "steps": steps(n, done),
        "obligations": [
            {"kind": "ResumeSource", "step": "suspend-source", "since": time(n, 9_700), "met": time(n, 9_701), "message": "production answered the resume"},
            {"kind": "StopWatchdog", "step": "suspend-source", "since": time(n, 9_699), "met": time(n, 9_702), "message": "the watchdog has ended"},
            {"kind": "RemoveParameters", "step": "suspend-source", "since": time(n, 9_690), "met": time(n, 9_703), "message": "removed from production"},
        ],
        "journal": {
            "recipe": "user-overwrite-vscsi-v1", "runToken": &digest(n)[..32], "revision": 60 + n % 31,
            "writer": "ibmi-clone-operator-5d4f8b7c9-x7k2p-1-0a1b2c3d",
            "window": {
                "attempt": 1, "token": &digest(n + 1)[..32], "opened": time(n, 9_699), "maxSeconds": 30, "asps": ["*SYSBAS", "IASP1"],
                "startedAt": time(n, 9_700), "endedAt": time(n, 9_701), "milliseconds": 480 + n % 211, "microseconds": 480_211 + n % 1_000,
                "deviceMilliseconds": 470 + n % 211, "suspensionProof": "Canary", "closed": time(n, 9_702),
                "parts": [
                    {"what": "suspend", "microseconds": 301_112 + n % 1_000, "deviceMilliseconds": 300},
                    {"what": "start copy", "microseconds": 101_734 + n % 1_000, "deviceMilliseconds": 100},
                    {"what": "resume", "microseconds": 71_913 + n % 1_000, "deviceMilliseconds": 70},
                ],
            },
        },
    })
}

fn condition(kind: &str, status: &str, reason: &str, n: usize) -> Value {
    json!({
        "type": kind, "status": status, "reason": reason, "message": format!("{reason}: run {n} of this environment"),
        "lastTransitionTime": &format!("{}Z", &time(n, 11_000)[..19]), "observedGeneration": 1,
    })
}

/// Of a run that succeeded.
pub fn finished(n: usize) -> CloneRunStatus {
    let mut status = common(n, STEPS.len());
    let fields = json!({
        "phase": "Succeeded", "state": "USER_END", "reason": "Succeeded", "message": "the clone works on the image of this run",
        "finishedAt": time(n, 11_300), "durationSeconds": 2_300, "duration": "38:20", "save": format!("0:{:02}:17", n % 60),
        "partitionActive": "26:11", "flashCopyActive": "since 02:41Z",
        "logs": [
            {"kind": "steps", "configMap": format!("run-{n}-steps"), "parts": 1, "lines": 64},
            {"kind": "joblog", "configMap": format!("run-{n}-joblog"), "parts": 2, "lines": 1_400 + n % 977},
            {"kind": "history", "configMap": format!("run-{n}-history"), "parts": 1, "lines": 212},
            {"kind": "devices", "configMap": format!("run-{n}-devices"), "parts": 1, "lines": 611},
        ],
        "conditions": [
            condition("Succeeded", "True", "Succeeded", n), condition("SourceResumed", "True", "Resumed", n),
            condition("LogsCollected", "True", "Collected", n), condition("NeedsAttention", "False", "Fine", n),
        ],
        "resolved": {"environmentUID": format!("{}", &digest(n)[..36]), "generation": 1, "sha256": digest(n + 2), "deviceNumber": n % 1000},
    });
    merge(&mut status, fields);
    serde_json::from_value(status).unwrap()
}

/// Of a run at work after `turn` writes, with the environment frozen in it.
pub fn at_work(turn: usize) -> CloneRunStatus {
    let mut status = common(turn, 5 + turn % 10);
    let environment = environment(0);
    let fields = json!({
        "phase": "Running", "state": "RUNNING", "message": format!("looked at the clone {turn} times"),
        "conditions": [condition("Reconciling", "True", "Running", turn)],
        "resolved": {
            "environmentUID": &digest(0)[..36], "generation": 1, "sha256": digest(2), "deviceNumber": 1, "spec": environment.spec,
        },
    });
    merge(&mut status, fields);
    status["journal"]["revision"] = json!(turn);
    serde_json::from_value(status).unwrap()
}

fn merge(into: &mut Value, fields: Value) {
    let (Some(into), Value::Object(fields)) = (into.as_object_mut(), fields) else {
        return;
    };
    into.extend(fields);
}
