//! `standalone` as a process: what it keeps, whom it refuses, and the directory that it follows.

mod killed;

use super::{ibmi_clone, text};
use crate::server;
use crate::support::wait;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The process and what it writes.
pub(super) struct Standalone {
    child: Child,
    log: PathBuf,
}

impl Standalone {
    pub(super) fn start(directory: &Path, more: &[&str]) -> Self {
        let log = directory.join("log");
        let output = std::fs::File::create(&log).unwrap();
        let child = Command::new(assert_cmd::cargo::cargo_bin("ibmi-clone"))
            .args(["standalone", "--listen", "127.0.0.1:0", "--data"])
            .arg(directory.join("data"))
            .args(more)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        Self { child, log }
    }

    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// A client by the kubeconfig, when this process has written it.
    pub(super) async fn client(&self, directory: &Path) -> Client {
        wait::until("the operator runs", async || {
            self.log().contains("operator started")
        })
        .await;
        let file = directory.join("data/kubeconfig");
        Client::try_from(server::config(&file).await).unwrap()
    }

    pub(super) async fn stop(mut self) {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        let ended = wait::found("the end of standalone", async || {
            let ended = self.child.try_wait().unwrap();
            ended.ok_or_else(|| self.log())
        });
        assert!(ended.await.success(), "{}", self.log());
    }

    pub(super) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Standalone {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn config_map(name: &str) -> ConfigMap {
    let mut map = ConfigMap {
        data: Some(BTreeMap::from([("a".to_owned(), "b".to_owned())])),
        ..ConfigMap::default()
    };
    map.metadata.name = Some(name.to_owned());
    map
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn standalone_restarts_where_it_was_also_when_it_was_killed() {
    let directory = tempfile::tempdir().unwrap();
    let first = Standalone::start(directory.path(), &[]);
    let maps: Api<ConfigMap> = Api::default_namespaced(first.client(directory.path()).await);
    let made = maps
        .create(&PostParams::default(), &config_map("one"))
        .await;
    let made = made.unwrap();
    first.kill();
    let second = Standalone::start(directory.path(), &[]);
    let maps: Api<ConfigMap> = Api::default_namespaced(second.client(directory.path()).await);
    assert_eq!(maps.get("one").await.unwrap(), made);
    maps.delete("one", &DeleteParams::default()).await.unwrap();
    second.stop().await;
    let third = Standalone::start(directory.path(), &[]);
    let maps: Api<ConfigMap> = Api::default_namespaced(third.client(directory.path()).await);
    assert_eq!(maps.get_opt("one").await.unwrap(), None);
    third.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_on_the_same_directory_is_refused_and_the_first_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let first = Standalone::start(directory.path(), &[]);
    let maps: Api<ConfigMap> = Api::default_namespaced(first.client(directory.path()).await);
    let data = directory.path().join("data");
    let second = tokio::task::spawn_blocking({
        let data = data.clone();
        move || {
            let mut command = ibmi_clone();
            command.args(["standalone", "--listen", "127.0.0.1:0", "--data"]);
            command.arg(data).timeout(wait::LIMIT).output().unwrap()
        }
    });
    let second = second.await.unwrap();
    assert_eq!(second.status.code(), Some(70));
    let said = text(&second.stderr);
    assert!(said.contains(data.to_str().unwrap()), "{said}");
    maps.create(&PostParams::default(), &config_map("one"))
        .await
        .unwrap();
    first.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_files_of_a_directory_are_applied_followed_and_pruned_and_a_bad_one_keeps_what_it_had()
{
    let directory = tempfile::tempdir().unwrap();
    let files = directory.path().join("files");
    std::fs::create_dir(&files).unwrap();
    let write = |name: &str, text: &str| {
        // Renamed into place, as git and editors do: a half-written file is none.
        let fresh = directory.path().join("fresh");
        std::fs::write(&fresh, text).unwrap();
        std::fs::rename(&fresh, files.join(name)).unwrap();
    };
    let map = |name: &str, value: &str| {
        format!(
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: {value}}}\n"
        )
    };
    write("both.yaml", &(map("one", "x") + &map("two", "x")));
    write("bad.yaml", &map("three", "x"));
    let follow = [
        "--manifests-every",
        "1",
        "--manifests",
        files.to_str().unwrap(),
    ];
    let standalone = Standalone::start(directory.path(), &follow);
    let maps: Api<ConfigMap> = Api::default_namespaced(standalone.client(directory.path()).await);
    let shows = async |name: &str, value: Option<&str>| {
        wait::found(name, async || {
            let found = maps.get_opt(name).await.unwrap();
            let found = found.and_then(|m| m.data.unwrap_or_default().get("a").cloned());
            if found.as_deref() == value {
                return Ok(());
            }
            Err(format!("{found:?}\n{}", standalone.log()))
        })
        .await;
    };
    for name in ["one", "two", "three"] {
        shows(name, Some("x")).await;
    }
    maps.create(&PostParams::default(), &config_map("mine"))
        .await
        .unwrap();
    write("bad.yaml", "kind: [ConfigMap");
    write("both.yaml", &map("one", "new"));
    shows("one", Some("new")).await;
    shows("two", None).await;
    shows("three", Some("x")).await;
    shows("mine", Some("b")).await;
    let log = standalone.log();
    assert!(log.contains("bad.yaml is left as it was"), "{log}");
    write("bad.yaml", &map("four", "x"));
    shows("four", Some("x")).await;
    shows("three", None).await;
    standalone.stop().await;
}
