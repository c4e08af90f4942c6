//! Real programs: kubectl, in the newest and the oldest version that is promised, and Helm, do the same with both servers. The
//! scripts are in `kubectl.txt` and `helm.txt`; each has a namespace and a directory of its own, with a copy of `files/`.

mod words;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use futures::{StreamExt, stream};
use tokio::process::Command;

use super::place::Place;
use super::{Held, compare, embedded};
use crate::support::kube;

/// Programs at once. Each is mostly its own start, which is work for a processor.
const AT_ONCE: usize = 3;

/// Of the oldest kubectl only these are run: what it sends differs from the newest's at most here (`kubernetes-api.md` 3.2).
const OLDEST: [&str; 6] = ["apply", "create", "edit", "explain", "get", "wait"];

/// What comes before every script: `run` for what must succeed, `fails` for what must not.
const PRELUDE: &str = r#"
set -u
kubectl() { command kubectl -n "$NS" "$@"; }
export -f kubectl
run() { echo "\$ $*"; "$@" 2>&1; local s=$?; [ $s = 0 ] || echo "UNEXPECTED exit $s"; }
fails() { echo "! $*"; "$@" 2>&1; local s=$?; if [ $s = 0 ]; then echo "UNEXPECTED success"; else echo "exit $s"; fi; }
"#;

/// A script of one of the files.
struct Script {
    id: String,
    rule: String,
    lines: String,
}

/// A server as a program knows it.
struct Server {
    place: Place,
    kubeconfig: PathBuf,
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/conformance/programs")
}

/// The ids of all scripts.
pub fn ids() -> Vec<String> {
    let scripts = ["kubectl.txt", "helm.txt"].map(scripts);
    scripts
        .into_iter()
        .flatten()
        .map(|script| script.id)
        .collect()
}

fn scripts(file: &str) -> Vec<Script> {
    let text = std::fs::read_to_string(directory().join(file)).unwrap();
    let mut scripts: Vec<Script> = Vec::new();
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("=== ") {
            let (id, rule) = head.split_once("  ").unwrap();
            scripts.push(Script {
                id: id.to_owned(),
                rule: rule.to_owned(),
                lines: PRELUDE.to_owned(),
            });
        } else if let Some(script) = scripts.last_mut() {
            let line = match (line.strip_prefix("$ "), line.strip_prefix("! ")) {
                (Some(command), _) => format!("run {command}"),
                (_, Some(command)) => format!("fails {command}"),
                _ => line.to_owned(),
            };
            script.lines.push_str(&line);
            script.lines.push('\n');
        }
    }
    scripts
}

/// Runs the scripts of a file with the programs of a directory.
async fn held(server: &Server, file: &str, programs: &Path) -> Vec<Held> {
    let wanted = std::env::var("IBMICLONE_CONFORMANCE_CASES").unwrap_or_default();
    let oldest = programs.join("oldest").exists();
    let mut scripts = scripts(file);
    scripts.retain(|script| {
        let subject = script.id.split('.').nth(1).unwrap_or_default();
        script.id.contains(&wanted)
            && (!oldest || OLDEST.iter().any(|first| subject.starts_with(first)))
    });
    let cache = tempfile::tempdir().unwrap();
    let held = scripts
        .iter()
        .map(|script| hold(server, script, programs, cache.path()));
    let started = Instant::now();
    let held: Vec<_> = stream::iter(held).buffered(AT_ONCE).collect().await;
    compare::took(
        &format!("{file} with the {} server", server.place.name),
        started,
    );
    compare::keep(server.place.name, &held);
    held
}

async fn hold(server: &Server, script: &Script, programs: &Path, cache: &Path) -> Held {
    let namespace = super::namespace(&server.place).await;
    let work = tempfile::tempdir().unwrap();
    copy(&directory().join("files"), work.path());
    let path = std::env::var("PATH").unwrap();
    let output = Command::new("bash")
        .args(["-c", &script.lines])
        .current_dir(work.path())
        .env("PATH", format!("{}:{path}", programs.display()))
        .env("KUBECONFIG", &server.kubeconfig)
        .env("KUBECACHEDIR", cache)
        .env("HOME", work.path())
        .env("NS", &namespace)
        .env("HELM_NAMESPACE", &namespace)
        .env("TZ", "UTC")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(crate::support::wait::LIMIT, output).await;
    let text = match output {
        Ok(output) => {
            let output = output.unwrap();
            let [out, err] =
                [output.stdout, output.stderr].map(|b| String::from_utf8_lossy(&b).into_owned());
            out + &err
        }
        Err(_) => "UNEXPECTED: it has no end".to_owned(),
    };
    let unexpected = text.contains("UNEXPECTED").then(|| text.clone());
    Held {
        id: script.id.clone(),
        rule: script.rule.clone(),
        text: words::normal(&text, &namespace, work.path()),
        trouble: unexpected,
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&to).unwrap();
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), &to).unwrap();
        }
    }
}

/// A directory with the programs under the names people call them by.
fn programs(kubectl: &Path, helm: Option<&Path>) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(kubectl, directory.path().join("kubectl")).unwrap();
    if let Some(helm) = helm {
        std::os::unix::fs::symlink(helm, directory.path().join("helm")).unwrap();
    }
    directory
}

/// Runs a file of scripts on both servers and compares what the programs said.
async fn both(file: &str, programs: &Path) {
    let Some(stack) = kube::shared().await else {
        return;
    };
    let real = Server {
        place: Place::of("real", stack.config()),
        kubeconfig: stack.kubeconfig().to_owned(),
    };
    let embedded = embedded::start().await;
    let other = Server {
        place: embedded.place.clone(),
        kubeconfig: embedded.kubeconfig.clone(),
    };
    super::ready(&other.place).await;
    let (first, second) = tokio::join!(held(&real, file, programs), held(&other, file, programs));
    let troubles: Vec<_> = first
        .iter()
        .filter_map(|held| Some(format!("{}:\n{}", held.id, held.trouble.as_ref()?)))
        .collect();
    assert!(
        troubles.is_empty(),
        "with the real server:\n{}",
        troubles.join("\n\n")
    );
    let complaints = compare::complaints(&first, &second, &compare::accepted());
    assert!(complaints.is_empty(), "{}", complaints.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_does_the_same_with_both() {
    let Some(stack) = kube::shared().await else {
        return;
    };
    let programs = programs(&stack.kubectl(), None);
    both("kubectl.txt", programs.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_kubectl_does_the_same_with_both() {
    let Some(oldest) = kube::tool("kubectl-1.32") else {
        return;
    };
    let programs = programs(&oldest, None);
    std::fs::write(programs.path().join("oldest"), "").unwrap();
    both("kubectl.txt", programs.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_does_the_same_with_both() {
    let Some(stack) = kube::shared().await else {
        return;
    };
    let Some(helm) = kube::helm() else { return };
    let programs = programs(&stack.kubectl(), Some(&helm));
    both("helm.txt", programs.path()).await;
}
