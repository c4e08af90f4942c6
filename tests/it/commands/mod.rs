//! The binary from outside: command line, exit codes, output; with a real Kubernetes API where it needs one.

mod agree;
mod backup;
mod cluster;
mod everyday;
mod examples;
mod held;
pub mod morning;
mod offline;
mod standalone;
mod told;
pub mod user;
mod watch;
pub mod whole;
mod world_file;

use assert_cmd::Command;

/// The binary, with nothing of this machine's Kubernetes access in its environment.
pub fn ibmi_clone() -> Command {
    let mut command = Command::cargo_bin("ibmi-clone").expect("the binary is built");
    command
        .env_remove("KUBECONFIG")
        .env_remove("KUBERNETES_SERVICE_HOST")
        .env_remove("IBMICLONE_KUBE_BINARIES")
        .env("HOME", "/nonexistent");
    command
}

/// What a command printed to one of its streams.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("commands write UTF-8")
}
