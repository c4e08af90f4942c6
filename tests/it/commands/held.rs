//! `end`, `start-held`, `release-held` from outside: what they create, what they print, how they end.

use super::cluster::Site;
use super::{ibmi_clone, text};
use crate::server::Server;
use crate::support::wait;
use ibmi_clone_operator::api::{CloneRun, CloneRunSpec, NUMBER_LABEL};
use kube::ResourceExt;
use kube::api::{ObjectMeta, PostParams};
use macro_rules_attribute::apply;
use serde_json::{Value, json};

/// A run that has ended, number 7 of the environment.
async fn image(site: &Site) -> String {
    let spec = json!({"environment": "nightly"});
    let spec: CloneRunSpec = serde_json::from_value(spec).unwrap();
    let mut run = CloneRun::new("", spec);
    let labels = [
        (NUMBER_LABEL.to_owned(), "7".to_owned()),
        ("ibmiclone.dev/environment".to_owned(), "nightly".to_owned()),
    ];
    run.metadata = ObjectMeta {
        generate_name: Some("nightly-".to_owned()),
        labels: Some(labels.into()),
        ..ObjectMeta::default()
    };
    let run = site
        .runs
        .create(&PostParams::default(), &run)
        .await
        .unwrap();
    let status = json!({"phase": "Succeeded", "number": 7, "state": "HOLD"});
    site.write_status(&run.name_any(), status).await;
    run.name_any()
}

/// The run of this mode, as soon as it is there.
async fn of_mode(site: &Site, mode: &str) -> CloneRun {
    wait::found(mode, async || {
        let runs = site.runs.list(&Default::default()).await.unwrap();
        let found = runs.items.into_iter();
        let mut found = found.filter(|r| format!("{:?}", r.spec.mode) == mode);
        found.next().ok_or("there is none")
    })
    .await
}

fn spec_of(run: &CloneRun) -> Value {
    serde_json::to_value(&run.spec).unwrap()
}

fn in_80_columns(said: &str) {
    let wide = said.lines().find(|line| line.chars().count() > 80);
    assert_eq!(wide, None);
}

#[test]
fn what_is_no_command_line_ends_with_64_and_says_what_is_missing() {
    for (arguments, said) in [
        (&["end"][..], "<RUN>"),
        (&["start-held"], "<RUN>"),
        (&["release-held"], "<RUN>"),
        (&["end", "x", "y"], "'y'"),
        (&["end", "x", "--source-is-down"], "--source-is-down"),
        (
            &["release-held", "x", "--source-is-down"],
            "--source-is-down",
        ),
        (
            &["start-held", "x", "--environment", "nightly"],
            "--environment",
        ),
        (&["start-held", "x", "--timeout", "1m"], "--wait"),
        (&["end", "x", "--wait", "--timeout", "soon"], "soon"),
    ] {
        let output = ibmi_clone().args(arguments).output().unwrap();
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {error}");
        assert!(error.contains(said), "{arguments:?}: {error}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn their_help_fits_a_terminal_of_80_columns_and_tells_what_happens_to_the_clone() {
    for (command, said) in [
        ("end", "switch the clone off"),
        ("start-held", "at the console only"),
        ("release-held", "image and clone stay"),
    ] {
        let output = ibmi_clone().args([command, "--help"]).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        let help = text(&output.stdout);
        in_80_columns(&help);
        let words: Vec<&str> = help.split_whitespace().collect();
        assert!(words.join(" ").contains(said), "{help}");
    }
}

#[apply(on_both!)]
async fn each_creates_the_run_that_its_words_say_and_prints_its_name_alone(server: Server) {
    let site = Site::new(server).await;
    let image = image(&site).await;
    for (arguments, mode, more) in [
        (&["end", image.as_str()][..], "End", json!({})),
        (
            &[
                "start-held",
                "nightly/7",
                "--source-is-down",
                "--requested-by",
                "jane",
            ],
            "StartHeld",
            json!({"sourceIsDown": true, "requestedBy": "jane"}),
        ),
        (&["release-held", image.as_str()], "ReleaseHeld", json!({})),
    ] {
        let output = site.call(arguments).await;
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let run = of_mode(&site, mode).await;
        assert_eq!(text(&output.stdout), format!("{}\n", run.name_any()));
        let word = arguments[0];
        let prefix = format!("nightly-{word}-");
        assert!(run.name_any().starts_with(&prefix), "{}", run.name_any());
        let mut wanted =
            json!({"environment": "nightly", "mode": mode, "run": image, "trigger": "Manual"});
        for (field, value) in more.as_object().unwrap() {
            wanted[field] = value.clone();
        }
        assert_eq!(spec_of(&run), wanted);
        in_80_columns(&text(&output.stdout));
    }
}

/// The run may be deleted by now; the pins are not.
#[apply(on_both!)]
async fn an_image_without_its_run_is_released_when_its_environment_is_named(server: Server) {
    let site = Site::new(server).await;
    let unknown = format!("run gone-1 in namespace {}", site.namespace);
    for command in ["end", "start-held", "release-held"] {
        let output = site.call(&[command, "gone-1"]).await;
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(66), "{command}: {error}");
        assert_eq!(error.lines().count(), 1);
        assert!(error.contains(&unknown), "{error}");
    }
    let runs = site.runs.list(&Default::default()).await.unwrap();
    assert!(runs.items.is_empty(), "nothing was created");
    let named = ["release-held", "gone-1", "--environment"];
    let output = site.call(&[&named[..], &["nosuch"]].concat()).await;
    assert_eq!(output.status.code(), Some(66), "{}", text(&output.stderr));
    let output = site.call(&[&named[..], &["nightly"]].concat()).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let run = of_mode(&site, "ReleaseHeld").await;
    assert_eq!(run.spec.run.as_deref(), Some("gone-1"));
}

#[apply(on_both!)]
async fn a_wait_tells_the_outcome_by_its_code_and_its_last_line(server: Server) {
    for (command, mode, phase, state, code) in [
        ("end", "End", "Succeeded", "END", 0),
        ("start-held", "StartHeld", "Warning", "START_HELD", 1),
        (
            "release-held",
            "ReleaseHeld",
            "Succeeded",
            "RELEASE_HELD",
            0,
        ),
        ("end", "End", "Failed", "ERROR", 2),
        ("start-held", "StartHeld", "Cancelled", "CANCELLED", 4),
        ("end", "End", "Skipped", "SKIPPED", 5),
    ] {
        let site = Site::new(server).await;
        let image = image(&site).await;
        let end = async {
            let name = of_mode(&site, mode).await.name_any();
            let under_way = json!({"phase": "Running", "step": "verify-image"});
            site.write_status(&name, under_way).await;
            let last = json!({"phase": phase, "state": state, "number": 8, "reason": "Why",
                "message": "what happened"});
            site.write_status(&name, last).await;
            name
        };
        let arguments = [command, image.as_str(), "--wait"];
        let (output, name) = tokio::join!(site.call(&arguments), end);
        assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
        let out = text(&output.stdout);
        assert_eq!(out.lines().next(), Some(name.as_str()));
        let result: Vec<&str> = out.split_whitespace().skip(1).collect();
        let whole = format!("{name}: {phase}, {state}, number 8, Why: what happened");
        assert_eq!(result.join(" "), whole);
        assert!(out.lines().all(|l| l.chars().count() <= 80), "{out}");
    }
}

#[apply(on_both!)]
async fn a_wait_that_times_out_ends_with_6_and_the_run_goes_on(server: Server) {
    let site = Site::new(server).await;
    let image = image(&site).await;
    let arguments = ["end", image.as_str(), "--wait", "--timeout", "1s"];
    let output = site.call(&arguments).await;
    assert_eq!(output.status.code(), Some(6), "{}", text(&output.stderr));
    let run = of_mode(&site, "End").await;
    assert_eq!(run.spec.cancel, None);
    assert!(text(&output.stdout).contains("the run goes on"));
}
