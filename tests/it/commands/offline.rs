//! Commands that need no cluster, and what is said when there is none.

use super::{ibmi_clone, text};
use std::path::Path;

#[test]
fn a_wrong_command_line_ends_with_64_and_help_with_0() {
    for line in [
        &[][..],
        &["no-such-command"],
        &["run"],
        &["run", "env", "--timeout", "5m"],
        &["run", "env", "--wait", "--timeout", "soon"],
        &["history", "--function", "*NOSUCH"],
        &["history", "-o", "xml"],
        &["logs", "run", "--kind", "nosuch"],
        &["demo", "--time-scale", "0"],
        &["standalone"],
        &["standalone", "--data", ".", "--listen", "0.0.0.0:0"],
        &["simulate"],
    ] {
        let output = ibmi_clone().args(line).output().expect("runs");
        assert_eq!(output.status.code(), Some(64), "{line:?}");
        assert!(
            !output.stderr.is_empty() && output.stdout.is_empty(),
            "{line:?}"
        );
    }
    for line in [&["--help"][..], &["--version"], &["run", "--help"]] {
        ibmi_clone().args(line).assert().code(0);
    }
}

#[test]
fn functions_are_taken_with_an_asterisk() {
    // Not 64: the line is right, only the cluster is missing.
    ibmi_clone()
        .args([
            "history",
            "--function",
            "*hold",
            "--kubeconfig",
            "/nonexistent",
        ])
        .assert()
        .code(69);
}

#[test]
fn printed_definitions_are_those_of_the_tree() {
    let output = ibmi_clone().arg("crd").output().expect("runs");
    assert!(output.status.success());
    let kept: String = ["cloneenvironments", "cloneruns"]
        .iter()
        .map(|kind| format!("---\n{}", definition(kind)))
        .collect();
    assert!(
        text(&output.stdout) == kept,
        "`make crds` writes crds/ anew"
    );
}

#[test]
fn written_definitions_are_those_of_the_tree() {
    let directory = tempfile::tempdir().expect("a directory for temporary files");
    let target = directory.path().join("new");
    ibmi_clone()
        .args(["crd", "--output"])
        .arg(&target)
        .assert()
        .success();
    let mut names: Vec<String> = std::fs::read_dir(&target)
        .expect("was made")
        .map(|e| {
            e.expect("is readable")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "cloneenvironments.ibmiclone.dev.yaml",
            "cloneruns.ibmiclone.dev.yaml"
        ]
    );
    for kind in ["cloneenvironments", "cloneruns"] {
        let path = target.join(format!("{kind}.ibmiclone.dev.yaml"));
        assert!(std::fs::read_to_string(path).expect("was written") == definition(kind));
    }
}

fn definition(kind: &str) -> String {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("crds/{kind}.ibmiclone.dev.yaml"));
    std::fs::read_to_string(path).expect("crds/ is complete")
}

#[test]
fn without_a_cluster_every_command_says_so_in_one_line() {
    for line in [
        &["history"][..],
        &["run", "nightly-user"],
        &["logs", "nightly-user/1"],
        &["verify", "nightly-user"],
        &["operator"],
    ] {
        let output = ibmi_clone()
            .args(line)
            .args(["--kubeconfig", "/nonexistent/kubeconfig"])
            .output()
            .expect("runs");
        assert_eq!(output.status.code(), Some(69), "{line:?}");
        let said = text(&output.stderr);
        assert_eq!(said.lines().count(), 1, "{line:?}: {said}");
        assert!(
            said.contains("/nonexistent/kubeconfig") && said.contains("--kubeconfig"),
            "{said}"
        );
    }
}

#[test]
fn watch_without_a_terminal_names_the_command_that_prints() {
    let output = ibmi_clone().arg("watch").output().expect("runs");
    assert_eq!(output.status.code(), Some(64));
    let said = text(&output.stderr);
    assert!(
        said.contains("needs a terminal") && said.contains("ibmi-clone history"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn without_a_cluster_the_way_to_resume_production_is_printed_all_the_same() {
    let output = ibmi_clone()
        .args([
            "source-status",
            "nightly-user",
            "--kubeconfig",
            "/nonexistent",
        ])
        .output()
        .expect("runs");
    assert_eq!(output.status.code(), Some(69));
    assert!(text(&output.stdout).contains("CHGASPACT ASPDEV(*SYSBAS) OPTION(*RESUME)"));
}

#[test]
fn a_wrong_world_file_is_named_with_its_field() {
    let directory = tempfile::tempdir().expect("a directory for temporary files");
    let path = directory.path().join("world.yaml");
    std::fs::write(&path, "sources: [PROD]\nnoSuchField: 1\n").expect("is writable");
    let output = ibmi_clone()
        .args(["simulate", "--file"])
        .arg(&path)
        .output()
        .expect("runs");
    assert_eq!(output.status.code(), Some(65));
    let said = text(&output.stderr);
    assert!(
        said.contains("world.yaml") && said.contains("noSuchField") && said.contains("knobs"),
        "{said}"
    );
}

#[test]
fn the_demo_names_a_directory_that_it_cannot_use_and_leaves_it_as_it_is() {
    let directory = tempfile::tempdir().expect("a directory for temporary files");
    let file = directory.path().join("mine");
    std::fs::write(&file, "mine").expect("written");
    let output = ibmi_clone()
        .args(["demo", "--workdir"])
        .arg(&file)
        .output()
        .expect("runs");
    assert_eq!(output.status.code(), Some(70));
    let said = text(&output.stderr);
    assert!(said.contains(file.to_str().expect("UTF-8")), "{said}");
    assert_eq!(std::fs::read_to_string(&file).expect("is there"), "mine");
}
