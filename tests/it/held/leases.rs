//! Pins on a real and on the embedded API server: who may take a pinned lock, and what the schedule makes of it.

use crate::controllers::field::{Field, phase, reason};
use crate::server::Server;
use ibmi_clone_operator::api::schedule::SkipReason;
use ibmi_clone_operator::api::{CloneRun, CloneRunSpec};
use ibmi_clone_operator::controllers::ScheduleClock;
use ibmi_clone_operator::controllers::locks::lease::PINNED;
use ibmi_clone_operator::controllers::locks::{DeviceLock, KubeLocks, device_locks};
use ibmi_clone_operator::engine::journal::Phase;
use ibmi_clone_operator::engine::ports::{Acquired, Locks};
use ibmi_clone_operator::engine::step::LockKind;
use ibmi_clone_operator::recipe::Pins;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::Patch;
use kube::{Api, ResourceExt};
use macro_rules_attribute::apply;
use serde_json::json;
use std::time::Duration;

const HELD: &[LockKind] = &[LockKind::Clone, LockKind::TargetSet];

/// A run about `image` whose object says so, as the opening writes it; no operator serves it.
async fn about(field: &Field, name: &str, mode: &str, image: &CloneRun) -> CloneRun {
    let spec = json!({"environment": "nightly", "mode": mode, "run": image.name_any()});
    let spec: CloneRunSpec = serde_json::from_value(spec).unwrap();
    let run = CloneRun::new(name, spec);
    let mut run = field
        .runs()
        .create(&Default::default(), &run)
        .await
        .unwrap();
    let status = json!({
        "phase": "Running",
        "resolved": {"image": {"run": image.name_any(), "uid": image.uid()}},
    });
    run.status = Some(serde_json::from_value(status).unwrap());
    let runs = field.runs();
    runs.replace_status(name, &Default::default(), &run)
        .await
        .unwrap()
}

fn locks(field: &Field, run: &CloneRun, of: &[DeviceLock]) -> KubeLocks {
    let grace = Duration::from_secs(600);
    KubeLocks::new(
        field.client.clone(),
        &field.namespace,
        run,
        of.to_vec(),
        grace,
    )
}

async fn pinned(field: &Field) -> usize {
    let leases: Api<Lease> = Api::namespaced(field.client.clone(), &field.namespace);
    let all = leases.list(&Default::default()).await.unwrap();
    all.iter()
        .filter(|l| l.annotations().contains_key(PINNED))
        .count()
}

#[apply(on_both!)]
async fn a_pin_outlives_its_run_and_lets_only_its_own_image_be_started_or_released(server: Server) {
    let field = Field::new(server).await;
    let environment = field.environment("nightly", |_| {}).await;
    let of = device_locks(&environment.spec, &Pins::default());
    let image = field.run("image", "nightly").await;
    let other = field.run("other", "nightly").await;
    let start = about(&field, "start", "StartHeld", &image).await;
    let start = locks(&field, &start, &of);
    start.pin_image().await.unwrap_err();
    assert_eq!(pinned(&field).await, 0, "no pin without the locks");
    assert_eq!(start.acquire(HELD).await.unwrap(), Acquired::All);
    start.pin_image().await.unwrap();
    start.pin_image().await.unwrap();
    start.let_go().await.unwrap();
    assert_eq!(pinned(&field).await, 2, "production is not pinned");
    assert!(
        start.holds(LockKind::TargetSet).await.unwrap(),
        "it keeps its holder"
    );
    field
        .runs()
        .delete("start", &Default::default())
        .await
        .unwrap();

    let refused = |answer: &Acquired| matches!(answer, Acquired::Refused { reason: "HeldImageInUse", message } if message.contains("release-held image"));
    let of_others = [
        locks(&field, &other, &of),
        locks(&field, &about(&field, "end", "End", &image).await, &of),
        locks(
            &field,
            &about(&field, "wrong", "ReleaseHeld", &other).await,
            &of,
        ),
    ];
    for locks in &of_others {
        let answer = locks.acquire(HELD).await.unwrap();
        assert!(refused(&answer), "{answer:?}");
        locks.unpin_image().await.unwrap();
        assert_eq!(pinned(&field).await, 2);
    }
    // Production itself is free for all.
    let source = of_others[0].acquire(&[LockKind::Source]).await.unwrap();
    assert_eq!(source, Acquired::All);

    let release = about(&field, "release", "ReleaseHeld", &image).await;
    let release = locks(&field, &release, &of);
    assert_eq!(release.acquire(HELD).await.unwrap(), Acquired::All);
    release.unpin_image().await.unwrap();
    release.let_go().await.unwrap();
    assert_eq!(pinned(&field).await, 0);
    assert_eq!(of_others[0].acquire(HELD).await.unwrap(), Acquired::All);
}

#[apply(on_both!)]
async fn the_schedule_skips_while_an_image_on_its_devices_is_held(server: Server) {
    let field = Field::new(server).await;
    let partition = format!("SHARED-{}", field.namespace);
    for name in ["nightly", "weekly"] {
        let partition = partition.clone();
        let change = move |spec: &mut serde_json::Value| {
            spec["clone"]["partition"]["name"] = json!(partition);
        };
        field.environment(name, change).await;
    }
    // Verified first: the locks are named after what the devices said.
    let learning = field.operator();
    field.verified("nightly").await;
    field.verified("weekly").await;
    learning.ends().await;
    let environment = field.environments().get("nightly").await.unwrap();
    let pins = environment.annotations()["ibmiclone.dev/pins"].clone();
    let pins = Pins::from_facts(&serde_json::from_str(&pins).unwrap());
    let of = device_locks(&environment.spec, &pins);
    let image = field.run("image", "nightly").await;
    let start = about(&field, "start", "StartHeld", &image).await;
    let held = locks(&field, &start, &of);
    assert_eq!(held.acquire(HELD).await.unwrap(), Acquired::All);
    held.pin_image().await.unwrap();
    for name in ["image", "start"] {
        field
            .runs()
            .delete(name, &Default::default())
            .await
            .unwrap();
    }

    let midnight = json!({"spec": {"schedule": {"cron": ["0 0 * * *"]}}});
    for name in ["nightly", "weekly"] {
        let patch = Patch::Merge(&midnight);
        let patched = field
            .environments()
            .patch(name, &Default::default(), &patch)
            .await;
        patched.unwrap();
    }
    let start = "2026-11-23T23:59:55Z".parse().unwrap();
    let clock = ScheduleClock::scaled(start, 1.0);
    let _operator = field.operator_with(|config| config.schedule_clock = clock.clone());
    // The other environment has another target set, but the same partition.
    for name in ["nightly", "weekly"] {
        let slot = field.ended(&format!("{name}-20261124t0000z")).await;
        assert_eq!(phase(&slot), Phase::Skipped);
        assert_eq!(reason(&slot), "HeldImageInUse");
        let skip = slot.spec.skip.clone().expect("created as skipped");
        assert_eq!(skip.reason, SkipReason::HeldImageInUse);
    }
    let manual = field.run("manual", "nightly").await;
    let manual = field.ended(&manual.name_any()).await;
    assert_eq!(
        (phase(&manual), reason(&manual)),
        (Phase::Skipped, "HeldImageInUse")
    );
    assert!(field.world.acts().is_empty());
}

#[apply(on_both!)]
async fn a_run_that_waits_is_skipped_when_its_device_becomes_pinned(server: Server) {
    let field = Field::new(server).await;
    let environment = field.environment("nightly", |_| {}).await;
    let operator = field.operator();
    field.verified("nightly").await;
    operator.ends().await;
    let environment = field
        .environments()
        .get(&environment.name_any())
        .await
        .unwrap();
    let pins = environment.annotations()["ibmiclone.dev/pins"].clone();
    let pins = Pins::from_facts(&serde_json::from_str(&pins).unwrap());
    let of = device_locks(&environment.spec, &pins);
    // Where no operator of this test looks: the run stays open.
    let elsewhere = Field::new(server).await;
    let image = elsewhere.run("image", "nightly").await;
    let start = about(&elsewhere, "start", "StartHeld", &image).await;
    let held = locks(&field, &start, &of);
    assert_eq!(held.acquire(HELD).await.unwrap(), Acquired::All);
    let _operator = field.operator();
    field.run("waits", "nightly").await;
    let queued = |r: &CloneRun| r.status.as_ref().is_some_and(|s| s.queue.is_some());
    field.until("waits", queued).await;
    held.pin_image().await.unwrap();
    let waits = field.ended("waits").await;
    assert_eq!(
        (phase(&waits), reason(&waits)),
        (Phase::Skipped, "HeldImageInUse")
    );
    assert!(waits.status.unwrap().started.is_some());
    assert_eq!(field.world.acts_of("waits"), 0);
}
