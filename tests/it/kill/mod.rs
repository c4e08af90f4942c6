//! kill −9 of the operator process at each step of a HOLD, a USER and a SAVE21 run, on the real API server, against devices on real
//! sockets: `architecture.md` § 4. Nothing is lost: the next process ends the run with a clean image, except when the
//! kill fell into the freeze window; then the run fails `WindowInterrupted`. Production runs in any case.

use crate::brms;
use crate::failures::save21;
use crate::failures::stage::{End, HOLD, SCALE, Stage, USER, environments};
use crate::failures::surroundings::{programs, surrounded};
use crate::support::kube::shared;
use crate::support::wait;
use futures::StreamExt;
use ibmi_clone_operator::api::CloneRun;
use ibmi_clone_operator::api::options::Function;
use ibmi_clone_operator::api::run::RunMode;
use ibmi_clone_operator::engine::journal::Phase;
use ibmi_clone_operator::recipe::{Mapping, step_names};
use ibmi_clone_operator::simulators::faults::{Device, FaultKind};
use ibmi_clone_operator::simulators::ledger::ViolationKind;
use ibmi_clone_operator::simulators::world::file::WorldFile;
use ibmi_clone_operator::site::ArrayFamily;
use serde_json::json;
use std::io::Write;
use std::process::Stdio;
use tokio::process::{Child, Command};

/// Sites at the same time.
const AT_ONCE: usize = 6;
/// Beside the steps: as soon as the journal says that the window is open.
const WINDOW: &str = "(open window)";

/// What the environment adds to the recipe's list.
#[derive(Debug, Clone, Copy)]
enum Around {
    Nothing,
    HooksAndEnd,
    /// The full save instead of programs.
    Save21,
    Saving,
}

/// What a kill led to.
struct Row {
    at: String,
    then: String,
    inside: bool,
    end: End,
}

/// The real binary, in a process of its own.
fn operator(stage: &Stage, kubeconfig: &std::path::Path) -> Child {
    let log = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("kill-{}.log", stage.namespace));
    let log = std::fs::File::options().append(true).create(true).open(log);
    let scale = SCALE.to_string();
    Command::new(env!("CARGO_BIN_EXE_ibmi-clone"))
        .args(["operator", "--log-format", "text", "--operator-id", "test"])
        .args(["--lease-namespace", &stage.namespace])
        .args(["--watch", &stage.namespace])
        .args(["--simulated-time-scale", &scale])
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log.unwrap())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

fn window_open(run: &CloneRun) -> bool {
    let journal = run.status.as_ref().and_then(|s| s.journal.as_ref());
    let window = journal.and_then(|j| j.window.as_ref());
    window.is_some_and(|w| w.opened.is_some() && w.closed.is_none())
}

fn step_of(run: &CloneRun) -> String {
    let status = run.status.as_ref();
    status.and_then(|s| s.step.clone()).unwrap_or_default()
}

async fn case(environment: &'static str, at: &'static str, around: Around) -> Option<Row> {
    let kubeconfig = shared().await?.kubeconfig().to_owned();
    // The window is long enough to be hit.
    let devices = |w: &mut WorldFile| {
        w.knobs.start_copy_milliseconds = 30_000;
        programs(w);
        save21::tapes(w);
        if let Around::Saving = around {
            brms::with_brms(w);
        }
    };
    let change = environments(|s| {
        s["freeze"] = json!({"maxSeconds": 240});
        match around {
            Around::Nothing => {}
            Around::Save21 => save21::saves(s),
            Around::Saving => brms::save_with(s, &json!({})),
            Around::HooksAndEnd => {
                surrounded(s);
                s["after"] = json!({"clone": "PowerOff", "image": "End"});
            }
        }
    });
    // Only the tested one: `after` is not for the other's function.
    let change = |object: &mut serde_json::Value| {
        let other =
            object["kind"] == "CloneEnvironment" && object["metadata"]["name"] != environment;
        if other {
            *object = serde_json::Value::Null;
        } else {
            change(object);
        }
    };
    let stage = Stage::without_operator(devices, change).await?;
    let mut process = operator(&stage, &kubeconfig);
    stage.ready(environment).await;
    if at == "resume-source" {
        // Done, and the answer does not come: the process is still in the window when it is killed.
        let silent = FaultKind::Special("silent".into());
        stage.fault(Device::IbmI, "PROD", "CHGASPACT RESUME", silent, 1);
    }
    let run = stage.run(environment).await;
    reached(&stage, &run, at).await;
    process.kill().await.unwrap();
    // Nobody writes now: this is what the next process finds.
    let left = stage.runs().get(&run).await.unwrap();
    let (then, inside) = (step_of(&left), window_open(&left));
    let next = operator(&stage, &kubeconfig);
    let end = stage.ended(&run).await;
    let row = Row {
        at: at.to_owned(),
        then,
        inside,
        end,
    };
    let wanted = match (row.inside, row.end.outcome()) {
        (true, (Phase::Failed, "WindowInterrupted")) => true,
        (false, (Phase::Succeeded, _)) => true,
        (true | false, _) => false,
    };
    assert!(
        wanted,
        "{environment}: {}, {}",
        row.line(),
        row.end.message()
    );
    let copies = stage.effects("array.startfcconsistgrp");
    assert!(
        copies <= 1,
        "{environment}: {} copies, {}",
        copies,
        row.line()
    );
    let twice = twice(&stage);
    assert!(twice.is_empty(), "{environment}: {twice:?}, {}", row.line());
    drop(next);
    stage.unharmed_but(&[ViolationKind::SessionLeaked]).await;
    Some(row)
}

/// Jobs that were submitted more than once.
fn twice(stage: &Stage) -> Vec<String> {
    let effects = stage.world(|w| w.ledger.effects.clone());
    let jobs = effects
        .into_iter()
        .filter(|(kind, _)| kind.contains(".job.C") || kind.ends_with(".job.SAVE21"));
    let twice = jobs.filter(|(_, count)| *count > 1);
    twice
        .map(|(kind, count)| format!("{kind} {count}"))
        .collect()
}

/// Waits until the run is there. Between the opening and the closing write of the window the journal tells nothing, but
/// the devices do.
async fn reached(stage: &Stage, run: &str, at: &str) {
    let effect = match at {
        "start-copy" => "array.startfcconsistgrp",
        "resume-source" => "ibmi.PROD.RESUME",
        _ => {
            let there = |r: &CloneRun| match at {
                WINDOW => window_open(r),
                step => step_of(r) == step,
            };
            stage.until(run, there).await;
            return;
        }
    };
    wait::until(effect, async || stage.effects(effect) > 0).await;
}

impl Row {
    fn line(&self) -> String {
        let (phase, reason) = self.end.outcome();
        let inside = if self.inside { "open" } else { "-" };
        format!(
            "{:<18} {:<18} {inside:<7} {phase:?} {reason}",
            self.at, self.then
        )
    }
}

async fn every_step(environment: &'static str, function: Function, around: Around) {
    let steps = step_names(
        function,
        RunMode::Clone,
        ArrayFamily::Overwrite,
        Mapping::Vscsi,
    );
    let kills = steps.unwrap().iter().copied().chain([WINDOW]);
    killed_at(environment, kills.collect(), around).await;
}

async fn killed_at(environment: &'static str, kills: Vec<&'static str>, around: Around) {
    let rows: Vec<Option<Row>> = futures::stream::iter(kills)
        .map(|at| case(environment, at, around))
        .buffered(AT_ONCE)
        .collect()
        .await;
    let rows: Vec<Row> = rows.into_iter().flatten().collect();
    if rows.is_empty() {
        return;
    }
    let lines: Vec<String> = rows.iter().map(Row::line).collect();
    let table = format!(
        "kill -9 of the operator, {environment}\n{:<18} {:<18} {:<7} {}\n{}\n",
        "killed at",
        "journal at",
        "window",
        "end",
        lines.join("\n")
    );
    // Not eprintln!, which the test harness swallows.
    std::io::stderr().write_all(table.as_bytes()).unwrap();
    for row in rows {
        let must_be_inside = ["start-copy", "resume-source", WINDOW].contains(&row.at.as_str());
        assert!(row.inside || !must_be_inside, "{}", row.line());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_04_killed_at_each_step_of_a_hold_run() {
    every_step(HOLD, Function::Hold, Around::Nothing).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_each_step_of_a_user_run() {
    every_step(USER, Function::User, Around::Nothing).await;
}

/// The save is made once, whoever watches it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_each_step_of_a_full_save() {
    every_step(USER, Function::Save21, Around::Save21).await;
}

/// Production's BRMS is frozen while the operator is dead: no save twice, and its history comes home.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_each_step_of_a_brms_run() {
    every_step(USER, Function::Brms, Around::Saving).await;
}

/// Hooks are jobs of production and of the clone: none may be called twice, and none be forgotten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_each_hook_and_at_what_comes_after() {
    let kills = vec![
        "before-freeze",
        "after-resume",
        "clone-ready",
        "run-function-2",
        "after-function",
        "always",
        "power-off-clone",
        "unmap-after",
        "end-copy",
        WINDOW,
    ];
    killed_at(USER, kills, Around::HooksAndEnd).await;
}
