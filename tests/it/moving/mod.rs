//! A history moves from one API to another: `export` and `import`, the embedded API and the real one, with an operator at work
//! where it arrives.

mod guard;
mod refused;
mod round;

use crate::commands::{ibmi_clone, text};
use crate::controllers::field::Field;
use crate::history::finished_as;
use crate::support::kube::{namespace, shared};
use crate::support::wait;
use ibmi_clone_operator::api::{CloneRun, NUMBER_LABEL};
use ibmi_clone_operator::commands::embedded_api::{EmbeddedApi, Place};
use ibmi_clone_operator::controllers::history::archive;
use ibmi_clone_operator::controllers::history::line::ArchivedRun;
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Output;
use tempfile::TempDir;

/// One side of a move: an API with a namespace and credentials, in which an operator may work.
pub struct Side {
    pub field: Field,
    kubeconfig: PathBuf,
    _embedded: Option<(EmbeddedApi, TempDir)>,
}

impl Side {
    /// On the embedded API, as `standalone` starts it.
    pub async fn embedded() -> Self {
        let files = tempfile::tempdir().unwrap();
        // Devices are named after it, and on a cluster many tests meet.
        let namespace = format!("m-{:08x}", rand::random::<u32>());
        let place = Place {
            data: files.path().join("data"),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            names: Vec::new(),
            namespace: namespace.clone(),
        };
        let api = EmbeddedApi::start(&place).await.unwrap();
        let field = Field::on(api.client(&namespace), namespace).await;
        Self {
            field,
            kubeconfig: api.kubeconfig().to_owned(),
            _embedded: Some((api, files)),
        }
    }

    /// On the real one; `None` = there is none here.
    pub async fn real() -> Option<Self> {
        let stack = shared().await?;
        let (client, namespace) = namespace(stack).await;
        Some(Self {
            field: Field::on(client, namespace).await,
            kubeconfig: stack.kubeconfig().to_owned(),
            _embedded: None,
        })
    }

    /// A command that talks to this side's namespace.
    pub fn command(&self, arguments: &[&str]) -> assert_cmd::Command {
        let mut command = ibmi_clone();
        command.args(arguments);
        command.args(["-n", &self.field.namespace, "--kubeconfig"]);
        command.arg(&self.kubeconfig).timeout(wait::LIMIT);
        command
    }

    pub async fn call(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap()
    }

    /// What a command prints that must go well.
    pub async fn says(&self, arguments: &[&str]) -> String {
        let output = self.call(arguments).await;
        let said = text(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        text(&output.stdout)
    }

    /// What a command says that must not, and how it ends.
    pub async fn refuses(&self, arguments: &[&str]) -> (String, Option<i32>) {
        let output = self.call(arguments).await;
        assert!(!output.status.success(), "{}", text(&output.stdout));
        (text(&output.stderr), output.status.code())
    }

    /// The export, in a file.
    pub async fn export(&self, to: &Path, more: &[&str]) {
        let file = to.display().to_string();
        let arguments = [&["export", "--output", &file][..], more].concat();
        self.says(&arguments).await;
    }

    pub async fn import(&self, from: &Path) -> String {
        self.says(&["import", &from.display().to_string()]).await
    }

    /// The history as `-o json` tells it, without the namespace.
    pub async fn history(&self) -> Vec<Value> {
        let rows: Value =
            serde_json::from_str(&self.says(&["history", "-o", "json"]).await).unwrap();
        let mut rows = rows.as_array().unwrap().clone();
        rows.iter_mut()
            .for_each(|row| drop(row.as_object_mut().unwrap().remove("namespace")));
        rows
    }

    /// Three nights that an operator ran here with the steps of the fakes, a check, and what earlier years have left: rows that
    /// nobody named, one that was skipped, one that was cancelled before it was opened, an archive. No image is left.
    pub async fn lived(&self) {
        let field = &self.field;
        let environment = field
            .environment("nightly", |spec| {
                spec["schedule"] = json!({"cron": ["0 3 29 2 *"], "timeZone": "Europe/Paris"});
            })
            .await;
        let operator = field.operator();
        for name in ["one", "two", "three"] {
            field.run(name, "nightly").await;
            field.ended(name).await;
        }
        operator.ends().await;
        for (number, phase) in [(4, "Failed"), (5, "Succeeded")] {
            finished_as(field, "nightly", number, phase, |run| {
                run["metadata"]["annotations"] = json!({"ibmiclone.dev/opened": "its-own"});
            })
            .await;
        }
        finished_as(field, "nightly", 0, "Skipped", |run| {
            run["metadata"]["name"] = json!("nightly-20260228t0200z");
            without_number(run);
            run["metadata"]["ownerReferences"] = json!([{
                "apiVersion": "ibmiclone.dev/v1alpha1", "kind": "CloneEnvironment",
                "name": "nightly", "uid": environment.uid(), "controller": true,
            }]);
            run["spec"]["trigger"] = json!("Schedule");
            run["spec"]["scheduledTime"] = json!("2026-02-28T02:00:00Z");
            run["status"] = json!({"phase": "Skipped", "state": "SKIPPED", "reason": "DeadlineExceeded",
                "finishedAt": "2026-02-28T02:20:00.000Z", "message": "the operator was down"});
        })
        .await;
        // Never opened: no annotation tells that it was seen. It could be taken for one that waits.
        finished_as(field, "nightly", 0, "Cancelled", |run| {
            run["metadata"]["name"] = json!("unwanted");
            without_number(run);
            run["spec"]["cancel"] = json!("Stop");
            run["status"] =
                json!({"phase": "Cancelled", "state": "CANCELLED", "reason": "Aborted"});
        })
        .await;
        let old = |name: &str, number| ArchivedRun {
            uid: format!("uid-{name}"),
            name: name.to_owned(),
            number: Some(number),
            ..ArchivedRun::of(&the_model()).unwrap()
        };
        let rows = [old("years-ago-1", 1001), old("years-ago-2", 1002)];
        archive::add(&field.client, &field.namespace, "nightly", &rows)
            .await
            .unwrap();
        self.close_images().await;
    }

    /// As `end` does: nothing of the site's images is on the devices any more.
    async fn close_images(&self) {
        let runs = self.field.runs();
        let closed = json!({"status": {"image": null, "partitionActive": "12:00", "flashCopyActive": "13:07"}});
        for run in runs.list(&ListParams::default()).await.unwrap() {
            let live = run.status.as_ref().is_some_and(|s| s.started_at.is_some());
            if live {
                let (name, patch) = (run.name_any(), Patch::Merge(&closed));
                let parameters = PatchParams::default();
                runs.patch_status(&name, &parameters, &patch).await.unwrap();
            }
        }
    }
}

fn without_number(run: &mut Value) {
    let labels = run["metadata"]["labels"].as_object_mut().unwrap();
    labels.remove(NUMBER_LABEL);
}

/// A finished run, for a line of an archive.
fn the_model() -> CloneRun {
    serde_json::from_value(json!({
        "apiVersion": "ibmiclone.dev/v1alpha1", "kind": "CloneRun",
        "metadata": {"name": "x", "creationTimestamp": "2021-11-23T07:00:00Z"},
        "spec": {"environment": "nightly"},
        "status": {"phase": "Succeeded", "state": "END_FC", "started": "2021-11-23T07:00:12Z", "duration": "1:00:00"},
    }))
    .unwrap()
}

/// Statuses of the rows by name, as they must be the same on both sides.
pub async fn statuses(side: &Side) -> Vec<(String, Value)> {
    let runs = side
        .field
        .runs()
        .list(&ListParams::default())
        .await
        .unwrap();
    let status = |run: &CloneRun| {
        let mut status = serde_json::to_value(&run.status).unwrap();
        // What names objects of one side.
        status["observedGeneration"] = Value::Null;
        status["resolved"]["environmentUID"] = Value::Null;
        (run.name_any(), status)
    };
    runs.iter().map(status).collect()
}
