//! Devices that cannot be trusted, or cannot be reached for a while.

use super::stage::{HOLD, Stage, as_it_is, condition, environments, says_all};
use crate::support::wait;
use chrono::TimeDelta;
use ibmi_clone_operator::api::CloneRun;
use ibmi_clone_operator::simulators::faults::{Device, Fault, FaultKind};
use ibmi_clone_operator::simulators::tls::Authority;
use ibmi_clone_operator::simulators::world::file::WorldFile;
use serde_json::{Value, json};

fn always(device: Device, name: &str, operation: &str, kind: FaultKind) -> Fault {
    Fault {
        device,
        name: name.to_owned(),
        operation: operation.to_owned(),
        kind,
        times: u32::MAX,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificate_that_is_not_trusted_is_said_and_a_new_ca_is_used() {
    let other = Authority::new().unwrap().pem();
    let change = move |o: &mut Value| {
        if o["kind"] == "ConfigMap" {
            o["data"]["ca.crt"] = json!(other);
        }
    };
    let Some(stage) = Stage::new(as_it_is, change).await else {
        return;
    };
    let words = [
        "certificate is not trusted",
        "tls.caBundle",
        "tls.fingerprints",
        "SHA256:",
    ];
    // Waiting does not cure it: said at once, and a run fails at once.
    stage.refuses(HOLD, "CertificateNotTrusted", &words).await;
    assert_eq!(stage.effects("hmc.logon") + stage.effects("array.auth"), 0);
    stage.untouched();
    stage.trust_the_site().await;
    stage.ready(HOLD).await;
    let run = stage.run(HOLD).await;
    stage.ended(&run).await.succeeded();
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_host_key_ends_it_before_the_login() {
    let devices = |w: &mut WorldFile| {
        let changed = FaultKind::Special("wrong-host-key".into());
        w.faults
            .push(always(Device::IbmI, "PROD", "LOGIN", changed));
    };
    let Some(stage) = Stage::new(devices, as_it_is).await else {
        return;
    };
    let pinned = stage.site.host_keys["PROD"].clone();
    let words = [
        "HostKeyChanged",
        pinned.as_str(),
        "find out which",
        "hostKeys",
    ];
    stage.refuses(HOLD, "DeviceRefused", &words).await;
    let logins = stage.world(|w| {
        let all = w.ledger.requests.iter();
        all.filter(|r| r.device == "PROD").count()
    });
    assert_eq!(logins, 0, "no name and no password may be shown to it");
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn device_that_refuses_its_port_is_named_and_waited_for() {
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("https://{}", listener.local_addr().unwrap())
    };
    let endpoint = closed.clone();
    let change =
        environments(move |s| s["storage"]["spectrumVirtualize"]["endpoint"] = json!(endpoint));
    let Some(stage) = Stage::new(as_it_is, change).await else {
        return;
    };
    let status = stage.not_ready(HOLD, "Unreachable").await;
    let port = closed.rsplit(':').next().unwrap();
    says_all(&condition(&status, "Ready").1, &[port, "refused"]);
    let run = stage.run(HOLD).await;
    // Its target set cannot be locked before the array has told who it is: the run waits unopened, and says why.
    let waits = |r: &CloneRun| {
        let status = r.status.as_ref();
        status.is_some_and(|s| s.message.as_deref().is_some_and(|m| m.contains(port)))
    };
    let status = stage.until(&run, waits).await.status.unwrap();
    assert!(!status.phase.is_final());
    says_all(&status.message.unwrap(), &["array", "refused"]);
    stage.untouched();
    let right = json!(stage.site.endpoints.array);
    let spec = json!({"storage": {"spectrumVirtualize": {"endpoint": right}}});
    stage.change_spec(HOLD, spec).await;
    stage.ended(&run).await.succeeded();
    stage.unharmed().await;
}

/// World minutes, on the devices' clock.
async fn minutes_pass(stage: &Stage, minutes: i64) {
    let until = stage.world(|w| w.now) + TimeDelta::minutes(minutes);
    let what = format!("{minutes} minutes of the world");
    wait::until(&what, async || stage.world(|w| w.now) >= until).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn console_down_for_ten_minutes_is_waited_for() {
    let Some(stage) = Stage::new(as_it_is, as_it_is).await else {
        return;
    };
    stage.ready(HOLD).await;
    stage.fault(Device::Hmc, "", "", FaultKind::Refused, u32::MAX);
    let run = stage.run(HOLD).await;
    stage.says(&run, "verify-site", "HMC 127.0.0.1").await;
    minutes_pass(&stage, 10).await;
    stage.untouched();
    stage.world(|w| w.faults.clear());
    stage.ended(&run).await.succeeded();
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn array_down_for_ten_minutes_in_the_middle_of_a_run_is_waited_for() {
    let devices = |w: &mut WorldFile| w.knobs.prepare_milliseconds = 60_000;
    let Some(stage) = Stage::new(devices, as_it_is).await else {
        return;
    };
    stage.ready(HOLD).await;
    let run = stage.run(HOLD).await;
    stage.at_step(&run, "prepare-copy").await;
    stage.fault(Device::Array, "", "", FaultKind::Refused, u32::MAX);
    minutes_pass(&stage, 10).await;
    assert_eq!(stage.effects("ibmi.PROD.SUSPEND"), 0);
    stage.world(|w| w.faults.clear());
    let end = stage.ended(&run).await;
    end.succeeded();
    assert_eq!(stage.effects("array.startfcconsistgrp"), 1);
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn production_down_for_ten_minutes_is_waited_for() {
    let Some(stage) = Stage::new(as_it_is, as_it_is).await else {
        return;
    };
    stage.ready(HOLD).await;
    stage.fault(Device::IbmI, "PROD", "", FaultKind::Refused, u32::MAX);
    let run = stage.run(HOLD).await;
    stage.says(&run, "verify-site", "IBM i 127.0.0.1").await;
    minutes_pass(&stage, 10).await;
    stage.untouched();
    stage.world(|w| w.faults.clear());
    stage.ended(&run).await.succeeded();
    stage.unharmed().await;
}
