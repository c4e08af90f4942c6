//! A real control plane with our kinds, without a controller manager.

use ibmi_clone_operator::api::{CloneEnvironment, CloneRun};
use ibmi_clone_operator::commands::kube_stack::{KubeStack, usual_binaries};
use kube::CustomResourceExt;
use std::path::Path;

/// Starts it in this directory.
#[allow(
    dead_code,
    reason = "a bench that measures the start itself makes the kinds known later"
)]
pub async fn start(workdir: &Path) -> KubeStack {
    let stack = bare(workdir).await;
    define(&stack).await;
    stack
}

/// Starts it without our kinds, unless they are in the directory already.
pub async fn bare(workdir: &Path) -> KubeStack {
    KubeStack::start(&usual_binaries().expect("HOME is set"), workdir)
        .await
        .expect("run `make kube` first")
}

/// Makes our kinds known.
pub async fn define(stack: &KubeStack) {
    let kinds = [CloneEnvironment::crd(), CloneRun::crd()];
    stack.install_crds(&kinds).await.unwrap();
}
