//! Somebody at a terminal, with the access of a kubeconfig to one namespace.

use super::{ibmi_clone, text};
use serde_json::Value;
use std::process::Output;
use std::time::Duration;

pub struct User {
    pub namespace: String,
    pub kubeconfig: String,
}

impl User {
    /// Where the binary and kubectl find the cluster.
    pub fn place(&self) -> [&str; 4] {
        ["-n", &self.namespace, "--kubeconfig", &self.kubeconfig]
    }

    pub async fn types(&self, arguments: &[&str]) -> Output {
        let mut command = ibmi_clone();
        command.args(arguments).args(self.place());
        command.timeout(Duration::from_secs(300));
        tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap()
    }

    /// What a command prints that must succeed.
    pub async fn prints(&self, arguments: &[&str]) -> String {
        let output = self.types(arguments).await;
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Rows of `history -o json`, newest first.
    pub async fn rows(&self) -> Vec<Value> {
        serde_json::from_str(&self.prints(&["history", "-o", "json"]).await).unwrap()
    }

    /// Lines of a log that is kept.
    pub async fn log(&self, run: &str, kind: &str) -> Vec<Value> {
        let text = self
            .prints(&["logs", run, "--kind", kind, "-o", "json"])
            .await;
        let lines = text.lines().map(serde_json::from_str);
        lines.collect::<Result<_, _>>().unwrap()
    }
}
