//! What a morning looks like: a run that ended in the night, one under way, a held copy, a row of the archive. Written as
//! an operator writes it; none runs.

use super::user::User;
use crate::crd_rules::environment;
use crate::support::kube::namespace;
use chrono::{DateTime, TimeDelta, Utc};
use ibmi_clone_operator::api::run::{CloneRunStatus, RunMode};
use ibmi_clone_operator::api::{CloneEnvironment, CloneRun, ENVIRONMENT_LABEL, NUMBER_LABEL};
use ibmi_clone_operator::commands::kube_stack::KubeStack;
use ibmi_clone_operator::controllers::history::archive;
use ibmi_clone_operator::controllers::history::line::ArchivedRun;
use ibmi_clone_operator::controllers::run::logs::RunLogs;
use ibmi_clone_operator::controllers::run::status::{RowFacts, build};
use ibmi_clone_operator::engine::journal::{Entry, EntryState, Journal, Phase, WindowRecord};
use ibmi_clone_operator::engine::time::Timestamp;
use ibmi_clone_operator::recipe::{LogKind, LogLine, LogSink};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;

/// Messages in the job log of a run that ended.
const MESSAGES: usize = 40;

/// A namespace with the environments `nightly` and `midday`.
pub struct Morning {
    pub client: Client,
    pub namespace: String,
    pub user: User,
    pub runs: Api<CloneRun>,
}

/// Steps with their begin and end, milliseconds after the start.
const STEPS: [(&str, i64, i64); 8] = [
    ("verify-site", 0, 12_000),
    ("suspend-source", 60_100, 60_500),
    ("start-copy", 60_500, 61_900),
    ("resume-source", 62_000, 97_600),
    ("start-clone", 120_000, 180_300),
    ("await-clone", 180_300, 2_017_900),
    ("run-function", 2_018_000, 30_373_800),
    ("settle", 30_374_000, 30_380_000),
];

/// The journal of a run that began then and has come so far: steps done.
pub fn journal(start: DateTime<Utc>, done: usize, phase: Phase) -> Journal {
    let at = |ms: i64| Some(Timestamp::new(start + TimeDelta::milliseconds(ms)));
    let steps = STEPS.iter().enumerate().map(|(n, (name, from, to))| {
        let state = match n {
            n if n < done => EntryState::Done,
            n if n == done => EntryState::Intended,
            _ => EntryState::Pending,
        };
        let mut entry = Entry {
            name: (*name).to_owned(),
            state,
            attempts: i32::from(n <= done),
            start: at(*from).filter(|_| n <= done),
            end: at(*to).filter(|_| n < done),
            ..Entry::default()
        };
        if *name == "run-function" && n < done {
            let facts = [
                ("messages", MESSAGES.to_string()),
                ("errors", "2".to_owned()),
            ];
            entry.output = facts.map(|(k, v)| (k.to_owned(), v)).into();
            entry.output.insert("diskUsedPercent".into(), "12".into());
        }
        entry
    });
    Journal {
        phase,
        steps: steps.collect(),
        window: Some(WindowRecord {
            started_at: at(60_100),
            ended_at: at(62_580),
            milliseconds: Some(2480),
            ..WindowRecord::default()
        }),
        started_at: at(0),
        finished_at: at(30_380_000).filter(|_| phase.is_final()),
        ..Journal::default()
    }
}

/// The status that an operator writes from a journal.
pub fn status(journal: &Journal, number: i64, function: &str) -> CloneRunStatus {
    let previous = CloneRunStatus {
        number: Some(number),
        function: Some(function.to_owned()),
        ..CloneRunStatus::default()
    };
    let facts = RowFacts {
        generation: Some(1),
        mode: RunMode::Clone,
        now: Timestamp::new(Utc::now()),
    };
    build(&previous, journal, &facts)
}

fn run(environment: &str, number: i64) -> CloneRun {
    let object = json!({
        "apiVersion": "ibmiclone.dev/v1alpha1", "kind": "CloneRun",
        "metadata": {
            "name": format!("{environment}-{number}"),
            // As opening writes them: a run is found by its number through them.
            "labels": {ENVIRONMENT_LABEL: environment, NUMBER_LABEL: number.to_string()},
        },
        "spec": {"environment": environment},
    });
    serde_json::from_value(object).unwrap()
}

impl Morning {
    pub async fn new(stack: &KubeStack) -> Self {
        let (client, namespace) = namespace(stack).await;
        let morning = Self {
            runs: Api::namespaced(client.clone(), &namespace),
            client,
            user: User {
                namespace: namespace.clone(),
                kubeconfig: stack.kubeconfig().display().to_string(),
            },
            namespace,
        };
        let now = Utc::now();
        morning.environments(now).await;
        morning.operator(now).await;
        // Last night's, whose disks the one under way has taken.
        let ended = now - TimeDelta::hours(25);
        let mut row = status(&journal(ended, STEPS.len(), Phase::Succeeded), 18, "USER");
        row.state = Some("END_FC".into());
        row.partition_active = Some("23:51:07".into());
        row.flash_copy_active = Some("23:52:59".into());
        let run = morning.write("nightly", 18, &row).await;
        morning.logs(&run, ended).await;
        let began = now - TimeDelta::minutes(90);
        let open = status(&journal(began, 6, Phase::Running), 19, "USER");
        morning.write("nightly", 19, &open).await;
        // A HOLD: no clone was started, the image lives.
        let mut held = journal(now - TimeDelta::hours(30), STEPS.len(), Phase::Succeeded);
        held.steps
            .retain(|e| !["start-clone", "await-clone", "run-function"].contains(&e.name.as_str()));
        morning.write("midday", 4, &status(&held, 4, "HOLD")).await;
        morning.archive().await;
        morning
    }

    async fn environments(&self, now: DateTime<Utc>) {
        let api: Api<CloneEnvironment> = Api::namespaced(self.client.clone(), &self.namespace);
        for (name, cron) in [("nightly", Some("0 0 * * *")), ("midday", None)] {
            let mut object = environment(name);
            if let Some(cron) = cron {
                object["spec"]["schedule"] = json!({"cron": [cron]});
            } else {
                object["spec"]["function"] = json!("HOLD");
                object["spec"].as_object_mut().unwrap().remove("user");
            }
            let object = serde_json::from_value(object).unwrap();
            api.create(&PostParams::default(), &object).await.unwrap();
            let seen = Timestamp::new(now - TimeDelta::minutes(5)).to_string();
            let status = json!({"status": {
                "clone": {"state": "running", "referenceCode": ""}, "observedAt": seen,
                "nextRunTime": "2099-11-25T00:00:00Z",
            }});
            let parameters = PatchParams::default();
            let patch = Patch::Merge(status);
            api.patch_status(name, &parameters, &patch).await.unwrap();
        }
    }

    /// The Lease of an operator that works since an hour.
    async fn operator(&self, now: DateTime<Utc>) {
        let api: Api<Lease> = Api::namespaced(self.client.clone(), &self.namespace);
        let time = |at: DateTime<Utc>| at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        let lease = json!({
            "metadata": {"name": "ibmi-clone-operator-leader", "labels": {"ibmiclone.dev/operator": "leader"}},
            "spec": {
                "holderIdentity": "operator-0", "leaseDurationSeconds": 3600,
                "acquireTime": time(now - TimeDelta::hours(1)), "renewTime": time(now),
            },
        });
        let lease = serde_json::from_value(lease).unwrap();
        api.create(&PostParams::default(), &lease).await.unwrap();
    }

    /// Creates a run with its status.
    pub async fn write(&self, environment: &str, number: i64, status: &CloneRunStatus) -> CloneRun {
        let parameters = PostParams::default();
        let run = run(environment, number);
        let run = self.runs.create(&parameters, &run).await.unwrap();
        self.change(&format!("{environment}-{number}"), status)
            .await;
        run
    }

    /// Writes a status.
    pub async fn change(&self, name: &str, status: &CloneRunStatus) {
        let mut run = self.runs.get(name).await.unwrap();
        run.status = Some(status.clone());
        let parameters = PostParams::default();
        self.runs
            .replace_status(name, &parameters, &run)
            .await
            .unwrap();
    }

    /// Steps, job log and system log of a run.
    async fn logs(&self, run: &CloneRun, began: DateTime<Utc>) {
        let logs = RunLogs::new(self.client.clone(), run, Some(18), 524_288);
        let journal = journal(began, STEPS.len(), Phase::Succeeded);
        logs.put_record(&journal).await.unwrap();
        let line = |n: usize| LogLine {
            ts: format!("2026-11-23-02.{:02}.00.000000", n % 60),
            part: "clone".into(),
            job: "012345/CLNUSER/MYSAVE".into(),
            id: if n % 20 == 19 {
                "CPF3770".into()
            } else {
                "CPC3701".into()
            },
            sev: if n % 20 == 19 { 40 } else { 0 },
            text: format!("{n} objects saved from library ORDERS{n}"),
            ..LogLine::default()
        };
        let lines = (0..MESSAGES).map(line).collect();
        logs.put(LogKind::JobLog, lines).await.unwrap();
        let ipl = LogLine {
            ts: "2026-11-23-00.31.00.000000".into(),
            part: "clone".into(),
            id: "CPF0934".into(),
            text: "IPL of the clone completed".into(),
            ..LogLine::default()
        };
        logs.put(LogKind::History, vec![ipl]).await.unwrap();
    }

    async fn archive(&self) {
        let began = "2026-11-02T00:00:02.250Z".parse().unwrap();
        let mut old = run("nightly", 2);
        old.metadata.uid = Some("00000002-0000".into());
        let mut row = status(&journal(began, STEPS.len(), Phase::Succeeded), 2, "USER");
        // Only a run whose image is gone is archived.
        row.state = Some("END_FC".into());
        row.partition_active = Some("23:50:01".into());
        row.flash_copy_active = Some("23:52:03".into());
        old.status = Some(row);
        let lines = [ArchivedRun::of(&old).unwrap()];
        archive::add(&self.client, &self.namespace, "nightly", &lines)
            .await
            .unwrap();
    }

    /// Where the binary finds it.
    pub fn place(&self) -> [&str; 4] {
        self.user.place()
    }
}
