//! Function BRMS over the wire: real drivers, a real API server, simulated BRMS, tapes and restricted state.

mod history;
mod release;
mod replies;
mod saves;
mod several;

use crate::failures::stage::{Stage, environments};
use crate::server::Server;
use ibmi_clone_operator::api::CloneRun;
use ibmi_clone_operator::engine::journal::ObligationKind;
use ibmi_clone_operator::simulators::ibmi::brms::{BrmsFile, BrmsState, state_of};
use ibmi_clone_operator::simulators::world::file::WorldFile;
use kube::api::Patch;
use serde_json::{Value, json};

/// The environment of the demo's site that saves here; the other one is `midday-hold`.
pub const BRMS: &str = "nightly-user";

/// Production has BRMS with three groups, and tapes for two of them.
pub fn with_brms(world: &mut WorldFile) {
    with(world, |_| {});
}

pub fn with(world: &mut WorldFile, change: impl FnOnce(&mut BrmsFile)) {
    let mut brms: BrmsFile = serde_json::from_value(json!({
        "controlGroups": [
            {"name": "DAILY", "seconds": 20},
            {"name": "WEEKLY", "seconds": 10},
            {"name": "*SYSGRP", "seconds": 900, "restricted": true, "items": ["*SAVSYS", "*IBM"]}
        ],
        "media": [{"volume": "VOL001"}, {"volume": "VOL002"}, {"volume": "VOL003"}],
        "knobs": {"libraryMilliseconds": 5000, "maintenanceMilliseconds": 5000}
    }))
    .unwrap();
    change(&mut brms);
    world.tapes = serde_json::from_value(json!({
        "drives": [{"device": "TAP01"}],
        "cartridges": [{"volume": "VOL001"}, {"volume": "VOL002"}, {"volume": "VOL003"}]
    }))
    .unwrap();
    let mut systems = world.systems.iter_mut();
    systems.find(|s| s.partition == "PROD").unwrap().brms = Some(brms);
    world.knobs.restricted_state_milliseconds = 5_000;
}

/// The site, ready to save with this block; `None` without a control plane.
pub async fn ready_to_save(block: Value) -> Option<Stage> {
    Some(ready_to_save_at(Server::real().await?, block).await)
}

/// The same on this server.
pub async fn ready_to_save_at(server: Server, block: Value) -> Stage {
    let stage = Stage::at(server, with_brms, saving(block)).await;
    stage.ready(BRMS).await;
    stage
}

/// `nightly-user` saves with this block; `midday-hold` stays as it is.
pub fn saving(block: Value) -> impl Fn(&mut Value) {
    move |object| {
        if object["metadata"]["name"] != BRMS {
            return;
        }
        environments(|spec| save_with(spec, &block))(object);
    }
}

/// Turns an environment's spec into one that saves.
pub fn save_with(spec: &mut Value, block: &Value) {
    let mut brms = json!({"controlGroups": ["DAILY", "WEEKLY"]});
    for (key, value) in block.as_object().unwrap() {
        brms[key] = value.clone();
    }
    spec["function"] = json!("BRMS");
    spec["brms"] = brms;
    spec.as_object_mut().unwrap().remove("user");
}

pub fn state(stage: &Stage) -> Option<BrmsState> {
    stage.world(|w| state_of(w, "PROD"))
}

/// Groups that production's history has an entry of.
pub fn known_saves(stage: &Stage) -> Vec<String> {
    stage.world(|w| {
        let disk = ibmi_clone_operator::simulators::ibmi::disk_of(w, "PROD").unwrap();
        let mut groups: Vec<String> = disk
            .brms
            .iter()
            .flat_map(|b| b.history.iter().map(|h| h.group.clone()))
            .collect();
        groups.dedup();
        groups
    })
}

pub async fn set(stage: &Stage, run: &str, spec: Value) {
    let change = json!({"spec": spec});
    let patch = Patch::Merge(&change);
    let runs = stage.runs();
    runs.patch(run, &Default::default(), &patch).await.unwrap();
}

pub fn owes_release(run: &CloneRun) -> bool {
    let obligations = run.status.as_ref().map(|s| s.obligations.as_slice());
    let mut open = obligations.unwrap_or_default().iter();
    open.any(|o| o.kind == ObligationKind::ReleaseBackups && o.met.is_none())
}

/// The simulated world is told which volumes the run's message names: a person protects them.
pub fn protect(stage: &Stage, message: &str) {
    let named = ["VOL001", "VOL002", "VOL003"].into_iter();
    let named: Vec<String> = named
        .filter(|volume| message.contains(volume))
        .map(str::to_owned)
        .collect();
    stage.world(|w| w.tapes.protected.extend(named));
}
