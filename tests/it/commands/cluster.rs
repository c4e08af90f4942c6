//! Commands against a real and against the embedded API server. No operator runs: the test writes what an operator would.

use super::{ibmi_clone, text};
use crate::crd_rules::environment;
use crate::server::Server;
use crate::support::wait;
use ibmi_clone_operator::api::{CloneEnvironment, CloneRun};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use macro_rules_attribute::apply;
use serde_json::{Value, json};
use std::process::Output;

/// A namespace with the environment `nightly`.
pub(super) struct Site {
    pub(super) namespace: String,
    kubeconfig: String,
    pub(super) runs: Api<CloneRun>,
}

impl Site {
    pub(super) async fn new(server: Server) -> Self {
        let (client, namespace) = server.namespace().await;
        let environments: Api<CloneEnvironment> = Api::namespaced(client.clone(), &namespace);
        let object = serde_json::from_value(environment("nightly")).unwrap();
        environments
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
        Self {
            runs: Api::namespaced(client, &namespace),
            namespace,
            kubeconfig: server.kubeconfig().display().to_string(),
        }
    }

    /// Runs the binary without blocking the test's own work.
    pub(super) async fn call(&self, arguments: &[&str]) -> Output {
        let mut command = ibmi_clone();
        command
            .args(arguments)
            .args(["-n", &self.namespace, "--kubeconfig", &self.kubeconfig])
            .timeout(wait::LIMIT);
        tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap()
    }

    pub(super) async fn write_status(&self, name: &str, status: Value) {
        let patch = Patch::Merge(json!({ "status": status }));
        self.runs
            .patch_status(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    /// The one run there is, as soon as it is there.
    pub(super) async fn the_run(&self) -> String {
        wait::found("a run", async || {
            let runs = self.runs.list(&Default::default()).await.unwrap();
            runs.items
                .first()
                .map(|run| run.name_any())
                .ok_or("there is none")
        })
        .await
    }
}

const MESSAGE: &str =
    "control group DAILY ended abnormally: CPF3770 No objects saved or restored for library ORDERS";

#[apply(on_both!)]
async fn the_exit_code_of_a_wait_is_the_outcome_of_the_run(server: Server) {
    for (phase, code) in [
        ("Succeeded", 0),
        ("Warning", 1),
        ("Failed", 2),
        ("Cancelled", 4),
        ("Skipped", 5),
    ] {
        let site = Site::new(server).await;
        let end = async {
            let name = site.the_run().await;
            site.write_status(&name, json!({"phase": "Running", "step": "stop-clone"}))
                .await;
            let last = json!({"phase": phase, "number": 7, "message": MESSAGE});
            site.write_status(&name, last).await;
            name
        };
        let (output, name) = tokio::join!(site.call(&["run", "nightly", "--wait"]), end);
        assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
        let out = text(&output.stdout);
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines[0], name);
        assert!(name.starts_with("nightly-"));
        // One result in as many lines as 80 columns need.
        assert!(lines[1].starts_with(&format!("{name}: {phase}, number 7: control")));
        let said: Vec<&str> = lines[1..]
            .iter()
            .flat_map(|l| l.split_whitespace())
            .collect();
        let whole = format!("{name}: {phase}, number 7: {MESSAGE}");
        assert_eq!(said.join(" "), whole);
        assert!(lines.iter().all(|l| l.chars().count() <= 80), "{out}");
    }
}

#[apply(on_both!)]
async fn a_wait_that_times_out_ends_with_6_and_leaves_the_run_alone(server: Server) {
    let site = Site::new(server).await;
    let output = site
        .call(&["run", "nightly", "--wait", "--timeout", "1s"])
        .await;
    assert_eq!(output.status.code(), Some(6), "{}", text(&output.stderr));
    let name = site.the_run().await;
    assert!(
        site.runs
            .get(&name)
            .await
            .unwrap()
            .metadata
            .deletion_timestamp
            .is_none()
    );
}

#[apply(on_both!)]
async fn a_run_of_an_unknown_environment_is_not_created(server: Server) {
    let site = Site::new(server).await;
    for command in [
        &["run", "nosuch"][..],
        &["verify", "nosuch"],
        &["history", "nosuch"],
        &["source-status", "nosuch"],
    ] {
        let output = site.call(command).await;
        assert_eq!(output.status.code(), Some(66), "{command:?}");
        let said = text(&output.stderr);
        assert!(
            said.lines().count() == 1 && said.contains("nosuch"),
            "{said}"
        );
    }
    assert!(
        site.runs
            .list(&Default::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
}

#[apply(on_both!)]
async fn verify_creates_a_preflight_run_and_gives_its_outcome(server: Server) {
    let site = Site::new(server).await;
    let end = async {
        let name = site.the_run().await;
        let run = site.runs.get(&name).await.unwrap();
        let last =
            json!({"phase": "Failed", "reason": "GroupEmpty", "message": "group CLONE1 is empty"});
        site.write_status(&name, last).await;
        run
    };
    let (output, run) = tokio::join!(site.call(&["verify", "nightly"]), end);
    assert_eq!(output.status.code(), Some(2));
    let spec = serde_json::to_value(&run.spec).unwrap();
    assert_eq!(spec["mode"], "Preflight");
    assert!(text(&output.stdout).contains("GroupEmpty: group CLONE1 is empty"));
}

#[apply(on_both!)]
async fn the_history_is_built_from_the_runs_and_a_run_is_found_by_its_number(server: Server) {
    let site = Site::new(server).await;
    for (number, state) in [(1, "END_FC"), (2, "USER_END")] {
        let object = json!({
            "apiVersion": "ibmiclone.dev/v1alpha1", "kind": "CloneRun",
            "metadata": {"name": format!("nightly-{number}"), "labels": {
                "ibmiclone.dev/environment": "nightly", "ibmiclone.dev/number": number.to_string(),
            }},
            "spec": {"environment": "nightly"},
        });
        let run = serde_json::from_value(object).unwrap();
        site.runs
            .create(&PostParams::default(), &run)
            .await
            .unwrap();
        let status = json!({
            "phase": "Succeeded", "state": state, "number": number, "function": "USER", "step": "settle",
            "started": "2026-11-23T00:00:02Z", "messages": 40, "errors": 0,
            "prepareOnSource": "1:37", "prepareOnClone": "31:37", "save": "7:52:35", "diskUsedPercent": 12,
        });
        site.write_status(&format!("nightly-{number}"), status)
            .await;
    }
    let output = site.call(&["history", "nightly"]).await;
    let table = text(&output.stdout);
    let rows = table.lines().skip_while(|line| !line.starts_with("NBR"));
    let rows: Vec<&str> = rows.skip(1).collect();
    assert!(
        rows[0].contains(" 2 ") && rows[0].contains("USER_END") && rows[0].ends_with("12"),
        "{table}"
    );
    assert!(rows[1].contains("END_FC"), "{table}");
    assert!(table.lines().all(|l| l.chars().count() <= 80), "{table}");

    let output = site
        .call(&["history", "-o", "json", "--function", "*USER"])
        .await;
    let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(rows[0]["name"], "nightly-2");
    assert_eq!(rows[1]["state"], "END_FC");

    let output = site.call(&["logs", "nightly/2"]).await;
    assert_eq!(output.status.code(), Some(66), "no log was kept");
    assert!(text(&output.stderr).contains("run nightly-2 has no logs"));
    let output = site.call(&["logs", "nightly/9"]).await;
    assert!(text(&output.stderr).contains("nightly/9"));
}

#[apply(on_both!)]
async fn source_status_names_what_is_owed_and_the_command_that_resumes(server: Server) {
    let site = Site::new(server).await;
    let created = site.call(&["run", "nightly"]).await;
    let name = text(&created.stdout).trim().to_owned();
    let status = json!({
        "phase": "Running",
        "obligations": [{"kind": "ResumeSource", "step": "suspend-source", "since": "2026-11-24T00:01:00Z"}],
        "journal": {"window": {"asps": ["IASP01", "*SYSBAS"]}},
    });
    site.write_status(&name, status).await;
    let output = site.call(&["source-status", "nightly"]).await;
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0));
    assert!(
        said.contains(&format!("Owed by {name}: production may be suspended")),
        "{said}"
    );
    assert!(
        said.contains("CHGASPACT ASPDEV(IASP01) OPTION(*RESUME)"),
        "{said}"
    );
}
