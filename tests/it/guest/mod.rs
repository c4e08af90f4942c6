//! The guest kit on production over the wire: who owns a source, what is there, how it is taken off, and what happens when
//! production wakes up on other hardware.

mod job_scheduler;
mod moved;
mod two_operators;
mod uninstall;

use crate::commands::ibmi_clone;
use crate::failures::stage::Stage;
use crate::support::kube::shared;
use crate::support::wait;

/// Text that the binary printed to both streams, and its exit code.
async fn guest(stage: &Stage, arguments: &[&str]) -> (Option<i32>, String) {
    let stack = shared().await.expect("there is an API server");
    let mut command = ibmi_clone();
    command
        .arg("guest")
        .args(arguments)
        .args(["-n", &stage.namespace])
        .args(["--operator-id", &stage.operator_id])
        .arg("--kubeconfig")
        .arg(stack.kubeconfig())
        .timeout(wait::LIMIT);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text.into_owned())
}

/// The operator's lock on production.
fn lock(stage: &Stage) -> String {
    stage.world(|w| {
        let disk = ibmi_clone_operator::simulators::ibmi::disk_of(w, "PROD").unwrap();
        let bytes = disk.files.get("/ibmiclone/operator.lock");
        let text = bytes.map(|b| String::from_utf8_lossy(b).into_owned());
        text.unwrap_or_default()
    })
}
