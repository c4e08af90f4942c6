//! `backup` beside a running `standalone`, and what a restored store does.

use super::standalone::{Standalone, config_map};
use super::{ibmi_clone, text};
use crate::crd_rules::environment;
use crate::support::wait;
use ibmi_clone_operator::api::{CloneEnvironment, CloneRun};
use ibmi_clone_operator::engine::journal::Phase;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::PostParams;
use kube::{Api, ResourceExt};
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Does something to a file.
type Change<'c> = &'c dyn Fn(&Path);

async fn backup(data: &Path, file: &Path, more: &[&str]) -> Output {
    let mut command = ibmi_clone();
    command
        .args(["backup", "--data"])
        .arg(data)
        .arg(file)
        .args(more);
    command.timeout(wait::LIMIT);
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

/// An empty directory of 0700, the backup as store.db, the key beside it.
fn restored(backup: &Path, key: &Path) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
    fs::copy(backup, data.join("store.db")).unwrap();
    fs::copy(key, data.join("secrets.key")).unwrap();
    directory
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_before_a_backup_in_a_write_storm_is_there_after_it_was_restored() {
    let (directory, saved) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = Standalone::start(directory.path(), &[]);
    let client = first.client(directory.path()).await;
    let maps: Api<ConfigMap> = Api::default_namespaced(client);
    let acknowledged = Arc::new(AtomicU32::new(0));
    let storm = tokio::spawn({
        let (maps, acknowledged) = (maps.clone(), acknowledged.clone());
        async move {
            loop {
                let n = acknowledged.load(Ordering::SeqCst);
                let map = config_map(&format!("storm-{n:06}"));
                maps.create(&PostParams::default(), &map).await.unwrap();
                acknowledged.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    let data = directory.path().join("data");
    for round in 1..=3 {
        wait::until("writes", async || {
            acknowledged.load(Ordering::SeqCst) > round * 50
        })
        .await;
        let before = acknowledged.load(Ordering::SeqCst);
        let file = saved.path().join(format!("{round}.db"));
        let output = backup(&data, &file, &[]).await;
        let said = text(&output.stdout);
        assert!(output.status.success(), "{}", text(&output.stderr));
        for wanted in [
            "objects, revision",
            "KiB, checked",
            "secrets.key is not in it",
        ] {
            assert!(said.contains(wanted), "{said}");
        }
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(saved.path()).unwrap().count() as u32, round);
        let second = restored(&file, &data.join("secrets.key"));
        let standalone = Standalone::start(second.path(), &[]);
        let copy: Api<ConfigMap> = Api::default_namespaced(standalone.client(second.path()).await);
        let there = copy.list(&Default::default()).await.unwrap();
        let of_storm = there.iter().filter(|m| m.name_any().starts_with("storm-"));
        assert!(
            of_storm.count() as u32 >= before,
            "{before} were acknowledged"
        );
        standalone.stop().await;
    }
    storm.abort();
    // The writer was neither stopped nor changed by its readers.
    first.stop().await;
    let again = Standalone::start(directory.path(), &[]);
    let maps: Api<ConfigMap> = Api::default_namespaced(again.client(directory.path()).await);
    let there = maps.list(&Default::default()).await.unwrap().items.len() as u32;
    assert!(there >= acknowledged.load(Ordering::SeqCst));
    again.stop().await;
}

/// An environment whose devices do not answer, not paused, and a run that waits: half a minute for an environment that may come.
async fn a_run_that_waits(standalone: &Standalone, directory: &Path) {
    let client = standalone.client(directory).await;
    let secrets: Api<Secret> = Api::default_namespaced(client.clone());
    for name in ["prod-ssh", "clone-ssh", "hmc", "svc"] {
        let secret = json!({
            "metadata": {"name": name, "labels": {"ibmiclone.dev/credentials": "true"}},
            "type": "kubernetes.io/basic-auth", "stringData": {"username": "u", "password": "p"},
        });
        let secret = serde_json::from_value(secret).unwrap();
        secrets
            .create(&PostParams::default(), &secret)
            .await
            .unwrap();
    }
    let mut object = environment("nightly");
    for (side, address) in [("source", "127.0.0.1"), ("clone", "127.0.0.2")] {
        object["spec"][side]["host"]["address"] = json!(address);
        object["spec"][side]["host"]["port"] = json!(1);
    }
    object["spec"]["console"]["hmc"]["endpoints"] = json!(["https://127.0.0.1:1"]);
    object["spec"]["storage"]["spectrumVirtualize"]["endpoint"] = json!("https://127.0.0.1:1");
    let object: CloneEnvironment = serde_json::from_value(object).unwrap();
    let environments: Api<CloneEnvironment> = Api::default_namespaced(client.clone());
    environments
        .create(&PostParams::default(), &object)
        .await
        .unwrap();
    let runs: Api<CloneRun> = Api::default_namespaced(client);
    let mut run = CloneRun::new("waits", Default::default());
    run.spec.environment = "absent".to_owned();
    runs.create(&PostParams::default(), &run).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_store_pauses_its_environments_and_executes_no_run_of_the_backup() {
    let (directory, saved) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = Standalone::start(directory.path(), &[]);
    a_run_that_waits(&first, directory.path()).await;
    let (data, file) = (directory.path().join("data"), saved.path().join("b.db"));
    assert!(backup(&data, &file, &[]).await.status.success());
    first.kill();

    let second = restored(&file, &data.join("secrets.key"));
    let manifests = second.path().join("manifests");
    fs::create_dir(&manifests).unwrap();
    let mut command = ibmi_clone();
    command.args(["standalone", "--listen", "127.0.0.1:0", "--data"]);
    command
        .arg(second.path().join("data"))
        .arg("--manifests")
        .arg(&manifests);
    command.timeout(wait::LIMIT);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = output.await.unwrap();
    assert_eq!(output.status.code(), Some(64));
    let said = text(&output.stderr);
    assert!(said.contains("once without --manifests"), "{said}");

    let standalone = Standalone::start(second.path(), &[]);
    let client = standalone.client(second.path()).await;
    let runs: Api<CloneRun> = Api::default_namespaced(client.clone());
    wait::until("the run is no run any more", async || {
        let status = runs.get("waits").await.unwrap().status;
        let reason = status.as_ref().and_then(|s| s.reason.clone());
        status.is_some_and(|s| s.phase == Phase::Skipped) && reason.as_deref() == Some("Restored")
    })
    .await;
    let environments: Api<CloneEnvironment> = Api::default_namespaced(client);
    assert!(environments.get("nightly").await.unwrap().spec.suspend);
    let log = standalone.log();
    assert!(
        log.contains("restored from a backup") && log.contains("schedule continue"),
        "{log}"
    );
    standalone.kill();
    // Once: a person's `continue` is not undone by the next start.
    let standalone = Standalone::start(second.path(), &[]);
    standalone.client(second.path()).await;
    assert!(!standalone.log().contains("restored from a backup"));
    standalone.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_store_or_would_overwrite_something_is_refused_and_left_as_it_is() {
    let (directory, saved) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = Standalone::start(directory.path(), &[]);
    first.client(directory.path()).await;
    first.stop().await;
    let data = directory.path().join("data");
    let refused = async |data: &Path, file: &Path, more: &[&str], code: i32, wanted: &str| {
        let output = backup(data, file, more).await;
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(wanted), "{wanted}: {said}");
    };
    let file = saved.path().join("b.db");
    refused(saved.path(), &file, &[], 66, "there is no store in").await;
    refused(
        &saved.path().join("nowhere"),
        &file,
        &[],
        66,
        "there is no store in",
    )
    .await;
    refused(
        &data,
        &data.join("b.db"),
        &[],
        64,
        "choose another directory",
    )
    .await;
    refused(
        &data,
        &data.join("store.db"),
        &["--force"],
        64,
        "choose another directory",
    )
    .await;
    refused(
        &data,
        &saved.path().join("no/b.db"),
        &[],
        74,
        "No such file",
    )
    .await;
    fs::write(&file, "precious").unwrap();
    refused(&data, &file, &[], 64, "--force").await;
    assert_eq!(fs::read(&file).unwrap(), b"precious");
    assert!(backup(&data, &file, &["--force"]).await.status.success());
    assert!(fs::read(&file).unwrap().starts_with(b"SQLite format 3"));

    let wrong = |change: &dyn Fn(&Path)| -> (tempfile::TempDir, PathBuf) {
        let directory = restored(&file, &data.join("secrets.key"));
        let data = directory.path().join("data");
        change(&data.join("store.db"));
        (directory, data)
    };
    let newer = |path: &Path| {
        let database = rusqlite::Connection::open(path).unwrap();
        database.pragma_update(None, "user_version", 99).unwrap();
    };
    let foreign = |path: &Path| {
        let database = rusqlite::Connection::open(path).unwrap();
        database.pragma_update(None, "application_id", 7).unwrap();
    };
    let text_file = |path: &Path| fs::write(path, "no database at all".repeat(500)).unwrap();
    let torn = |path: &Path| {
        let mut bytes = fs::read(path).unwrap();
        let half = bytes.len() / 2;
        bytes[half..].fill(0x55);
        fs::write(path, bytes).unwrap();
    };
    let cases: [(Change<'_>, &str); 4] = [
        (&newer, "has format 99"),
        (&foreign, "another program"),
        (&text_file, "is not a SQLite database"),
        (&torn, ""),
    ];
    for (change, wanted) in cases {
        let (_directory, data) = wrong(change);
        let before = fs::read(data.join("store.db")).unwrap();
        let target = saved.path().join("none.db");
        refused(&data, &target, &[], 70, wanted).await;
        assert!(!target.exists() && !saved.path().join("none.db.partial").exists());
        assert_eq!(fs::read(data.join("store.db")).unwrap(), before);
    }
}
