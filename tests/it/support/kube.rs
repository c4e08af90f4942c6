//! A real Kubernetes API for tests: one control plane for the whole run, a namespace per test.
//!
//! ```ignore
//! let Some(stack) = support::kube::shared().await else { return };
//! let (client, namespace) = support::kube::namespace(stack).await;
//! ```
//!
//! A test that kills or restarts a part takes one of its own with [`own`]; the shared one is immutable.

use std::io::Write;
use std::path::{Path, PathBuf};

use ibmi_clone_operator::commands::kube_stack::{KubeStack, KubeStackError, usual_binaries};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, Client, ResourceExt};
use tokio::sync::OnceCell;

/// What `start-held` writes on a lock, for a run that is nobody's here. A pin that cannot be read would count for everybody on a
/// control plane that tests share.
pub const PIN: &str = r#"{"uid":"elsewhere","namespace":"elsewhere","run":"a-test"}"#;

/// A static is never dropped: the servers end with this process because their stdin does.
static SHARED: OnceCell<Result<KubeStack, KubeStackError>> = OnceCell::const_new();

/// The control plane all tests share, or nothing when the test is to be skipped.
pub async fn shared() -> Option<&'static KubeStack> {
    let binaries = binaries()?;
    // A failure is kept too: what does not start once does not start for each of the other tests either.
    let stack = SHARED
        .get_or_init(async || start(&binaries, "shared").await)
        .await;
    Some(stack.as_ref().unwrap_or_else(|error| panic!("{error}")))
}

/// A control plane for one test that breaks it. It is killed when the test drops it.
pub async fn own() -> Option<KubeStack> {
    let name = std::thread::current()
        .name()
        .unwrap_or("unnamed")
        .replace("::", "-");
    Some(
        start(&binaries()?, &name)
            .await
            .unwrap_or_else(|error| panic!("{error}")),
    )
}

/// A control plane without our definitions, for tests of what installs them. Its `name` is the directory of its logs.
pub async fn bare(name: &str) -> Result<KubeStack, KubeStackError> {
    let binaries = binaries().expect("asked before");
    let mut stack = KubeStack::start(&binaries, &workdir(name)).await?;
    stack.start_controller_manager().await?;
    Ok(stack)
}

/// A control plane without controllers: a namespace that is deleted stays as it is, for ever on its way out.
pub async fn without_controllers() -> Option<KubeStack> {
    let workdir = workdir("without-controllers");
    let started = KubeStack::start(&binaries()?, &workdir).await;
    let stack = started.unwrap_or_else(|error| panic!("{error}"));
    stack.install_crds(&crds()).await.unwrap();
    Some(stack)
}

/// The Helm that `make kube` puts beside the control plane; nothing, with a word about it, when it did not.
pub fn helm() -> Option<PathBuf> {
    tool("helm")
}

/// A program that `make kube` puts beside the control plane; nothing, with a word about it, when it did not.
pub fn tool(name: &str) -> Option<PathBuf> {
    let tool = binaries()?.join(name);
    if tool.is_file() {
        return Some(tool);
    }
    let place = tool.display();
    assert!(
        std::env::var_os("CI").is_none_or(|ci| ci != "true"),
        "{name} is needed in CI: there is no {place}"
    );
    let mut terminal = std::io::stderr();
    writeln!(terminal, "SKIPPED: no {place}; `make kube` builds it").unwrap();
    None
}

/// Makes a namespace nobody else uses, and a client whose default it is. Nobody waits for its end: that takes 5 s.
pub async fn namespace(stack: &KubeStack) -> (Client, String) {
    let name = create_namespace(stack.client().unwrap()).await;
    let mut config = stack.config().clone();
    config.default_namespace = name.clone();
    (Client::try_from(config).unwrap(), name)
}

/// Makes a namespace nobody else uses.
pub async fn create_namespace(client: Client) -> String {
    let namespace =
        serde_json::from_value(serde_json::json!({"metadata": {"generateName": "test-"}})).unwrap();
    let created = Api::<Namespace>::all(client)
        .create(&Default::default(), &namespace)
        .await;
    created.unwrap().name_any()
}

/// Where `make kube` put the binaries; nothing, with a word about it, when it did not. In CI that is a failure.
pub fn binaries() -> Option<PathBuf> {
    let directory = usual_binaries().expect("HOME or IBMICLONE_KUBE_BINARIES is set");
    if directory.join("kube-apiserver").is_file() {
        return Some(directory);
    }
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let place = directory.display();
    assert!(
        std::env::var_os("CI").is_none_or(|ci| ci != "true"),
        "{test} needs a Kubernetes API in CI: none in {place}"
    );
    // Not eprintln!, which the test harness swallows.
    let mut terminal = std::io::stderr();
    writeln!(
        terminal,
        "SKIPPED {test}: no kube-apiserver in {place}; `make kube` builds it"
    )
    .unwrap();
    None
}

/// The definitions come before the controller manager, which would notice later ones only after 30 s.
async fn start(binaries: &Path, name: &str) -> Result<KubeStack, KubeStackError> {
    let mut stack = KubeStack::start(binaries, &workdir(name)).await?;
    stack.install_crds(&crds()).await?;
    stack.start_controller_manager().await?;
    Ok(stack)
}

/// A new directory below the build directory. It stays after the run, for its logs, and is removed by the next run.
fn workdir(name: &str) -> PathBuf {
    let parent = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kube");
    std::fs::create_dir_all(&parent).unwrap();
    for entry in std::fs::read_dir(&parent).unwrap().flatten() {
        let own = format!("-{}", std::process::id());
        let in_use = entry.file_name().to_string_lossy().ends_with(&own)
            || KubeStack::runs_in(&entry.path());
        if !in_use {
            // Another run may be removing it too.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    parent.join(format!("{name}-{}", std::process::id()))
}

/// The definitions in `crds/`, as users install them.
pub fn crds() -> Vec<CustomResourceDefinition> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "yaml")
    });
    paths.sort();
    let parse = |path: &PathBuf| -> Vec<CustomResourceDefinition> {
        let documents = std::fs::read_to_string(path).unwrap();
        serde_saphyr::from_multiple(&documents)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    paths.iter().flat_map(parse).collect()
}
