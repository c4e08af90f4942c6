//! How long a validation takes. Run with `--release -- --ignored --nocapture`.

use super::*;
use std::time::Instant;

fn measure(name: &str, structural: &Structural, object: &Value, old: Option<&Value>) {
    let rounds = 500;
    assert_eq!(structural.validate(object, old), Vec::new(), "{name}");
    let start = Instant::now();
    for _ in 0..rounds {
        assert!(structural.validate(object, old).is_empty());
    }
    let each = start.elapsed() / rounds;
    println!("{name}: {} bytes, {each:?}", object.to_string().len());
}

#[test]
#[ignore = "a measurement"]
fn validation_takes_well_under_a_millisecond() {
    let environments = structural(ENVIRONMENT);
    let runs = structural(RUN);
    for (name, text) in [
        (
            "nightly-user",
            include_str!("../../../../examples/nightly-user.yaml"),
        ),
        (
            "sunday-save21",
            include_str!("../../../../examples/sunday-save21.yaml"),
        ),
    ] {
        let object = taken(&environments, serde_saphyr::from_str(text).unwrap());
        measure(
            &format!("new environment {name}"),
            &environments,
            &object,
            None,
        );
        let mut changed = object.clone();
        changed["metadata"]["labels"] = json!({"a": "b"});
        changed["spec"]["suspend"] = json!(true);
        measure(
            &format!("changed environment {name}"),
            &environments,
            &changed,
            Some(&object),
        );
    }
    let run = large_run();
    let run = taken(&runs, run);
    let mut new = run.clone();
    new.as_object_mut().unwrap().remove("status");
    measure("new run", &runs, &new, None);
    let mut changed = run.clone();
    changed["metadata"]["resourceVersion"] = json!("8");
    changed["status"]["state"] = json!("END_FC");
    measure("run, status changed", &runs, &changed, Some(&run));
    let start = Instant::now();
    for _ in 0..100 {
        let mut object = run.clone();
        runs.prune(&mut object);
        runs.default(&mut object);
    }
    println!(
        "copy, prune, default of the run: {:?}",
        start.elapsed() / 100
    );
    let start = Instant::now();
    structural(ENVIRONMENT);
    println!(
        "compiling the environment's definition: {:?}",
        start.elapsed()
    );
}

/// A run as it is near its end: 40 steps, 6 obligations.
fn large_run() -> Value {
    let at = "2026-11-23T00:00:00Z";
    let obligation =
        json!({"kind": "ResumeSource", "since": at, "met": at, "step": "suspend-source"});
    json!({
        "apiVersion": "ibmiclone.dev/v1alpha1", "kind": "CloneRun",
        "metadata": {"name": "nightly-1", "namespace": "default", "resourceVersion": "7", "uid": "u"},
        "spec": {"environment": "nightly"},
        "status": {"phase": "Running", "state": "RUN", "obligations": vec![obligation; 6]},
    })
}
