//! The control plane does what tests and demo rely on: ready, access rules, garbage collection, loss and return.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use ibmi_clone_operator::commands::kube_stack::{KubeStack, KubeStackError};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Resource, ResourceExt};

use crate::support::kube::{binaries, namespace, own, shared};
use crate::support::wait;

fn config_map(name: &str) -> ConfigMap {
    serde_json::from_value(serde_json::json!({"metadata": {"name": name}})).unwrap()
}

#[tokio::test]
async fn each_test_has_a_namespace() {
    let Some(stack) = shared().await else { return };
    let (client, first) = namespace(stack).await;
    let (_, second) = namespace(stack).await;
    assert_ne!(first, second);
    let seen = Api::<Namespace>::all(client.clone())
        .get(&first)
        .await
        .unwrap();
    assert_eq!(seen.status.unwrap().phase.as_deref(), Some("Active"));
    Api::default_namespaced(client.clone())
        .create(&PostParams::default(), &config_map("here"))
        .await
        .unwrap();
    Api::<ConfigMap>::namespaced(client, &first)
        .get("here")
        .await
        .unwrap();
}

#[tokio::test]
async fn kubectl_and_server_have_one_version() {
    let Some(stack) = shared().await else { return };
    let mode = std::fs::metadata(stack.kubeconfig())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let output = Command::new(stack.kubectl())
        .args(["version", "--output=json", "--kubeconfig"])
        .arg(stack.kubeconfig())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let version: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let [client, server] = ["clientVersion", "serverVersion"]
        .map(|side| version[side]["gitVersion"].as_str().unwrap());
    assert_eq!(client, server);
    assert!(server.starts_with("v1."), "{server}");
}

#[tokio::test]
async fn owned_objects_are_collected() {
    let Some(stack) = shared().await else { return };
    let (client, _) = namespace(stack).await;
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    let owner = api
        .create(&PostParams::default(), &config_map("owner"))
        .await
        .unwrap();
    let mut owned = config_map("owned");
    owned.owner_references_mut().push(OwnerReference {
        api_version: ConfigMap::api_version(&()).into_owned(),
        kind: ConfigMap::kind(&()).into_owned(),
        name: owner.name_any(),
        uid: owner.uid().unwrap(),
        ..OwnerReference::default()
    });
    let owned = api.create(&PostParams::default(), &owned).await.unwrap();
    let uid = owned.uid().unwrap();
    let gone = await_condition(api.clone(), "owned", conditions::is_deleted(&uid));
    api.delete("owner", &DeleteParams::background())
        .await
        .unwrap();
    wait::finished("what the deleted owner owned", gone)
        .await
        .unwrap();
}

#[tokio::test]
async fn other_users_may_do_what_roles_allow() {
    let Some(stack) = shared().await else { return };
    let (_, name) = namespace(stack).await;
    let stranger = stack.access_for("jane", None).await.unwrap();
    let api: Api<ConfigMap> = Api::namespaced(stranger.client().unwrap(), &name);
    match api.list(&Default::default()).await {
        Err(kube::Error::Api(status)) => assert!(status.is_forbidden(), "{status:?}"),
        other => panic!("{other:?}"),
    }
    let admin = stack
        .access_for("joe", Some("system:masters"))
        .await
        .unwrap();
    Api::<ConfigMap>::namespaced(admin.client().unwrap(), &name)
        .list(&Default::default())
        .await
        .unwrap();
}

#[tokio::test]
async fn the_api_can_be_lost_and_come_back() {
    let Some(mut stack) = own().await else { return };
    let (client, name) = namespace(&stack).await;
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    api.create(&PostParams::default(), &config_map("before"))
        .await
        .unwrap();

    stack.kill_api_server();
    api.get("before").await.expect_err("the API is gone");

    stack.restart_api_server().await.unwrap();
    api.get("before").await.unwrap();

    let workdir = stack.kubeconfig().parent().unwrap().to_owned();
    let binaries = binaries().unwrap();
    let second = KubeStack::start(&binaries, &workdir).await;
    assert!(
        matches!(second, Err(KubeStackError::InUse { .. })),
        "{second:?}"
    );
    stack.stop();
    assert!(!KubeStack::runs_in(&workdir));

    let again = KubeStack::start(&binaries, &workdir).await.unwrap();
    let api: Api<ConfigMap> = Api::namespaced(again.client().unwrap(), &name);
    api.get("before").await.unwrap();
}

#[tokio::test]
async fn missing_binaries_say_how_to_get_them() {
    let directory = tempfile::tempdir().unwrap();
    let error = KubeStack::start(directory.path(), directory.path())
        .await
        .unwrap_err();
    assert!(
        error.to_string().ends_with("`make kube` builds it"),
        "{error}"
    );
}

/// A test run that is killed leaves no servers behind: they end when the pipe to them does.
#[test]
fn servers_end_with_the_process_that_started_them() {
    let Some(binaries) = binaries() else { return };
    let data = tempfile::tempdir().unwrap();
    let mut server = Command::new(binaries.join("etcd"))
        .arg(format!("--data-dir={}", data.path().display()))
        .args([
            "--listen-client-urls=http://127.0.0.1:0",
            "--advertise-client-urls=http://127.0.0.1:0",
        ])
        .arg("--listen-peer-urls=http://127.0.0.1:0")
        .env("IBMICLONE_EXIT_ON_STDIN_EOF", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(server.stderr.take().unwrap())
        .lines()
        .map(Result::unwrap);
    assert!(
        log.any(|line| line.contains("ready to serve client requests")),
        "it runs while its stdin is open"
    );
    drop(server.stdin.take());
    // The log ends when the server does: without the rule it would go on for ever.
    let (ended, rest) = std::sync::mpsc::channel();
    std::thread::spawn(move || ended.send(log.count()));
    let Ok(rest) = rest.recv_timeout(wait::LIMIT) else {
        server.kill().unwrap();
        panic!("it runs on without its stdin");
    };
    assert!(server.wait().unwrap().success(), "after {rest} more lines");
}
