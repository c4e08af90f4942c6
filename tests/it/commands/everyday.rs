//! `history` with its archive, `status`, `next`, `schedule`, `validate` from outside.

use super::{ibmi_clone, text};
use crate::crd_rules::environment;
use crate::server::Server;
use crate::support::wait;
use ibmi_clone_operator::api::{CloneEnvironment, CloneRun};
use ibmi_clone_operator::controllers::history::archive;
use ibmi_clone_operator::controllers::history::line::ArchivedRun;
use kube::Api;
use kube::api::PostParams;
use macro_rules_attribute::apply;
use serde_json::{Value, json};
use std::process::Output;

const GOOD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/nightly-user.yaml");

fn call(arguments: &[&str]) -> Output {
    let mut command = ibmi_clone();
    let command = command.args(arguments).timeout(wait::LIMIT);
    command.output().expect("runs")
}

fn row(number: i64, phase: &str) -> CloneRun {
    let run = json!({
        "apiVersion": "ibmiclone.dev/v1alpha1", "kind": "CloneRun",
        "metadata": {"name": format!("nightly-{number}"), "uid": format!("{number:08}-0000")},
        "spec": {"environment": "nightly"},
        "status": {
            "phase": phase, "number": number, "function": "USER", "step": "settle",
            "state": if phase == "Succeeded" { "END_FC" } else { "ERROR" },
            "started": format!("2026-11-{number:02}T00:00:02Z"), "frozen": {"milliseconds": 480},
            "messages": 12, "save": "7:52:35", "message": format!("row {number}, of many"),
        },
    });
    serde_json::from_value(run).unwrap()
}

#[apply(on_both!)]
async fn history_shows_objects_and_archive_in_one_table_and_says_which_is_which(server: Server) {
    let (client, namespace) = server.namespace().await;
    let environments: Api<CloneEnvironment> = Api::namespaced(client.clone(), &namespace);
    let object: CloneEnvironment = serde_json::from_value(environment("nightly")).unwrap();
    environments
        .create(&PostParams::default(), &object)
        .await
        .unwrap();
    let lines: Vec<_> = [row(1, "Succeeded"), row(2, "Failed"), row(3, "Succeeded")]
        .iter()
        .filter_map(ArchivedRun::of)
        .collect();
    archive::add(&client, &namespace, "nightly", &lines)
        .await
        .unwrap();
    let runs: Api<CloneRun> = Api::namespaced(client.clone(), &namespace);
    // Number 3 is in both, as it is between archive and delete.
    for number in [3, 4] {
        let wanted = row(number, "Succeeded");
        let mut run = runs.create(&PostParams::default(), &wanted).await.unwrap();
        run.status = wanted.status;
        let name = format!("nightly-{number}");
        runs.replace_status(&name, &PostParams::default(), &run)
            .await
            .unwrap();
    }
    let kubeconfig = server.kubeconfig().display().to_string();
    let ask = |arguments: &[&str]| {
        let common = ["-n", &namespace, "--kubeconfig", &kubeconfig];
        let output = call(&[arguments, &common].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    for arguments in [&["history", "nightly"][..], &["history"][..]] {
        let table = ask(arguments);
        let numbers: Vec<&str> = table
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .filter(|word| word.parse::<i64>().is_ok())
            .collect();
        assert_eq!(numbers, ["4", "3", "2", "1"], "{table}");
        assert!(
            table.lines().all(|line| line.chars().count() <= 80),
            "{table}"
        );
    }
    let rows: Vec<Value> =
        serde_json::from_str(&ask(&["history", "nightly", "-o", "json"])).unwrap();
    let marks: Vec<(i64, bool)> = rows
        .iter()
        .map(|row| (row["number"].as_i64().unwrap(), row["archived"] == true))
        .collect();
    assert_eq!(marks, [(4, false), (3, false), (2, true), (1, true)]);
    assert_eq!(rows[2]["freeze"], "480 ms");
    let csv = ask(&["history", "nightly", "-o", "csv", "--limit", "3"]);
    assert_eq!(csv.lines().count(), 4, "{csv}");
    let last = csv.lines().last().unwrap();
    // Behind `archived` come the columns that an archived row without times leaves empty.
    assert!(last.ends_with("\"row 2, of many\",true,,,,,,,,,"), "{last}");
    // A row of the archive has no logs any more, and the error says so; what never was is only not found.
    let logs = |run: &str| {
        let output = call(&["logs", run, "-n", &namespace, "--kubeconfig", &kubeconfig]);
        assert_eq!(output.status.code(), Some(66), "{run}");
        text(&output.stderr)
    };
    for run in ["nightly-1", "nightly/2"] {
        let said = logs(run);
        assert!(
            said.contains("archive") && said.contains("history nightly"),
            "{said}"
        );
    }
    for run in ["nightly-9", "nightly/9", "other-1"] {
        assert!(!logs(run).contains("archive"), "{run}");
    }
    // The archive outlives environment and runs.
    let gone = Default::default();
    environments.delete("nightly", &gone).await.unwrap();
    runs.delete_collection(&gone, &Default::default())
        .await
        .unwrap();
    let table = ask(&["history", "nightly"]);
    assert!(
        table.contains("nightly (does not exist any more)"),
        "{table}"
    );
    let rows = table.lines().skip_while(|line| !line.starts_with("NBR"));
    assert_eq!(rows.skip(1).count(), 3, "{table}");
}

#[apply(on_both!)]
async fn pause_and_continue_say_what_happens_next_and_status_shows_it(server: Server) {
    let (client, namespace) = server.namespace().await;
    let environments: Api<CloneEnvironment> = Api::namespaced(client.clone(), &namespace);
    let mut object = environment("nightly");
    object["spec"]["schedule"] = json!({"cron": ["30 7 * * *"], "timeZone": "Europe/Paris"});
    for object in [object, environment("by-hand")] {
        let object: CloneEnvironment = serde_json::from_value(object).unwrap();
        environments
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
    }
    let kubeconfig = server.kubeconfig().display().to_string();
    let ask = |code: i32, arguments: &[&str]| {
        let common = ["-n", &namespace, "--kubeconfig", &kubeconfig];
        let output = call(&[arguments, &common].concat());
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        said
    };
    let paused = ask(0, &["schedule", "pause", "nightly"]);
    assert!(paused.contains("no new scheduled runs"), "{paused}");
    assert!(environments.get("nightly").await.unwrap().spec.suspend);
    assert!(ask(0, &["status", "nightly"]).contains("paused"));
    assert!(ask(0, &["next", "nightly"]).contains("is suspended"));
    let again = ask(0, &["schedule", "pause", "nightly"]);
    assert!(again.contains("was so already"), "{again}");
    let on = ask(0, &["schedule", "continue", "nightly"]);
    assert!(
        on.contains("next run ") && on.contains("07:30 Europe/Paris"),
        "{on}"
    );
    assert!(!environments.get("nightly").await.unwrap().spec.suspend);
    let none = ask(64, &["schedule", "pause", "by-hand"]);
    assert!(none.contains("has no spec.schedule"), "{none}");
    ask(66, &["schedule", "pause", "no-such"]);
    ask(66, &["status", "no-such"]);
    let all = ask(0, &["status"]);
    assert!(
        all.contains("by-hand\n") && all.contains("nightly\n"),
        "{all}"
    );
    let times = ask(0, &["next", "nightly", "--count", "3"]);
    assert_eq!(times.matches("07:30").count(), 3, "{times}");
}

#[test]
fn next_reads_a_file_without_a_cluster_and_knows_that_n_is_the_namespace() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("two.yaml");
    let good = std::fs::read_to_string(GOOD).unwrap();
    let schedule = "\nspec:\n  schedule: { cron: [\"0 0 * * 1-6\"], timeZone: Europe/Paris }\n";
    let scheduled = good.replacen("\nspec:\n", schedule, 1);
    let other = scheduled.replacen("name: nightly-user", "name: other", 1);
    std::fs::write(&file, format!("{scheduled}---\n{other}")).unwrap();
    let file = file.display().to_string();
    let output = call(&["next", "other", "-f", &file, "--count", "7"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let times = text(&output.stdout);
    assert_eq!(times.lines().count(), 9, "{times}");
    assert!(!times.contains("Sun "), "{times}");
    for (arguments, code, said) in [
        (&["next", "-f", &file][..], 64, "name one of them"),
        (
            &["next", "third", "-f", &file][..],
            66,
            "no CloneEnvironment third",
        ),
        (
            &["next", "other", "-n", "10", "-f", &file][..],
            64,
            "write --count 10",
        ),
        (
            &["next", "other", "--count", "0", "-f", &file][..],
            64,
            "1..=1000",
        ),
        (
            &["next", "-f", "/nonexistent.yaml"][..],
            74,
            "/nonexistent.yaml",
        ),
        (&["next"][..], 64, "<ENV>"),
    ] {
        let output = call(arguments);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(error.contains(said), "{arguments:?}: {error}");
    }
}

#[test]
fn validate_ends_with_2_on_findings_and_names_file_document_line_and_field() {
    let good = call(&["validate", GOOD]);
    assert_eq!(good.status.code(), Some(0), "{}", text(&good.stdout));
    assert!(text(&good.stdout).contains("by an API server only"));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("bad.yaml");
    let run = "kind: CloneRun\napiVersion: ibmiclone.dev/v1alpha1\nmetadata: { name: x }\nspec:\n  environment: a\n  mode: Never\n";
    std::fs::write(
        &file,
        format!("{run}---\nkind: Secret\napiVersion: v1\nmetadata: {{ name: s }}\n"),
    )
    .unwrap();
    let path = file.display().to_string();
    let bad = call(&["validate", GOOD, &path]);
    let said = text(&bad.stdout);
    assert_eq!(bad.status.code(), Some(2), "{said}");
    let wanted = format!("{path}:6: document 1, spec.mode: write one of ");
    assert!(said.contains(&wanted), "{said}");
    assert!(
        said.contains("document 2 (Secret s): not checked"),
        "{said}"
    );
    assert_eq!(call(&["validate"]).status.code(), Some(64));
    assert_eq!(
        call(&["validate", "/nonexistent.yaml"]).status.code(),
        Some(74)
    );
}
