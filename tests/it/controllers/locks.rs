//! Devices shared by runs: one at a time, first come first served, and the row of an ended image.

use super::field::{Field, phase};
use crate::server::Server;
use crate::support::wait;
use ibmi_clone_operator::controllers::locks::{KubeLocks, device_locks};
use ibmi_clone_operator::engine::journal::Phase;
use ibmi_clone_operator::engine::ports::{Acquired, Locks};
use ibmi_clone_operator::engine::step::LockKind;
use ibmi_clone_operator::recipe::Pins;
use macro_rules_attribute::apply;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const ALL: &[LockKind] = &[LockKind::Clone, LockKind::TargetSet, LockKind::Source];

#[apply(on_both!)]
async fn two_runs_on_one_device_queue(server: Server) {
    let field = Field::new(server).await;
    let partition = format!("SHARED-{}", field.namespace);
    for name in ["left", "right"] {
        let partition = partition.clone();
        field
            .environment(name, move |spec| {
                spec["clone"]["partition"]["name"] = json!(partition);
            })
            .await;
    }
    field.world.hold("run-function");
    let _operator = field.operator();
    field.run("first", "left").await;
    field
        .until("first", |r| {
            r.status.as_ref().and_then(|s| s.step.as_deref()) == Some("run-function")
        })
        .await;
    field.run("second", "right").await;
    let queued = field.until("second", |r| phase(r) == Phase::Queued).await;
    let queue = queued.status.unwrap().queue.unwrap();
    assert_eq!(queue.position, 1);
    let blocker = format!("{}/first (clone partition", field.namespace);
    assert!(
        queue.blocked_by.starts_with(&blocker),
        "{}",
        queue.blocked_by
    );
    assert_eq!(
        field.world.acts_of("second"),
        0,
        "no effect without the lock"
    );
    field.world.let_go("run-function");
    assert_eq!(phase(&field.ended("first").await), Phase::Succeeded);
    let second = field.ended("second").await;
    assert_eq!(phase(&second), Phase::Succeeded);
    assert_eq!(second.status.unwrap().queue, None);
}

#[apply(on_both!)]
async fn locks_are_taken_all_or_none_and_a_final_holder_gives_way(server: Server) {
    let field = Field::new(server).await;
    let environment = field.environment("nightly", |_| {}).await;
    let mut runs = Vec::new();
    for name in ["a", "b", "c"] {
        runs.push(field.run(name, "nightly").await);
    }
    let pins = Pins {
        source_identity: Some(ibmi_clone_operator::site::Identity::new(
            &field.namespace,
            3,
        )),
        ..Pins::default()
    };
    let wanted = device_locks(&environment.spec, &pins);
    let grace = Duration::from_millis(300);
    let of = |run: &_, locks: Vec<_>| {
        KubeLocks::new(field.client.clone(), &field.namespace, run, locks, grace)
    };
    let [a, b, c] = [0, 1, 2].map(|n: usize| of(&runs[n], wanted.clone()));
    let only_source: Vec<_> = wanted
        .iter()
        .filter(|l| l.kind == LockKind::Source)
        .cloned()
        .collect();
    let source = of(&runs[0], only_source);

    // b misses the last of its locks and keeps none.
    assert_eq!(source.acquire(ALL).await.unwrap(), Acquired::All);
    let waits = b.acquire(ALL).await.unwrap();
    assert!(
        matches!(&waits, Acquired::Queued { position: 1, blocked_by } if blocked_by.contains("/a (source")),
        "{waits:?}"
    );
    assert!(!b.holds(LockKind::Clone).await.unwrap());
    // First come, first served: c waits behind b although the lock is free by now.
    assert!(matches!(
        c.acquire(ALL).await.unwrap(),
        Acquired::Queued { position: 2, .. }
    ));
    source.release(LockKind::Source).await.unwrap();
    assert!(matches!(
        c.acquire(ALL).await.unwrap(),
        Acquired::Queued { position: 2, .. }
    ));
    assert_eq!(b.acquire(ALL).await.unwrap(), Acquired::All);
    assert_eq!(
        b.acquire(ALL).await.unwrap(),
        Acquired::All,
        "taking twice changes nothing"
    );

    // A second look has found that the clone's partition is not needed.
    let fewer = &[LockKind::TargetSet, LockKind::Source];
    assert_eq!(b.acquire(fewer).await.unwrap(), Acquired::All);
    assert!(!b.holds(LockKind::Clone).await.unwrap());
    assert!(b.holds(LockKind::Source).await.unwrap());
    assert_eq!(b.acquire(ALL).await.unwrap(), Acquired::All);

    // A holder whose object is gone is respected for a while: its process may be in the window.
    let deleted = Instant::now();
    field.runs().delete("b", &Default::default()).await.unwrap();
    assert!(matches!(
        c.acquire(ALL).await.unwrap(),
        Acquired::Queued { .. }
    ));
    wait::until("the end of the grace", async || {
        c.acquire(ALL).await.unwrap() == Acquired::All
    })
    .await;
    assert!(deleted.elapsed() >= grace, "it was taken too early");

    // A final holder gives way at once, also one that never gave its locks back.
    let mut over = field.runs().get("c").await.unwrap();
    over.status = Some(serde_json::from_value(json!({"phase": "Failed"})).unwrap());
    field
        .runs()
        .replace_status("c", &Default::default(), &over)
        .await
        .unwrap();
    assert_eq!(a.acquire(ALL).await.unwrap(), Acquired::All);
    assert!(!c.holds(LockKind::Source).await.unwrap());
}

#[apply(on_both!)]
async fn the_row_whose_image_a_later_run_ends_turns_end_fc(server: Server) {
    let field = Field::new(server).await;
    let environment = field.environment("nightly", |_| {}).await;
    let operator = field.operator();
    field.run("owner", "nightly").await;
    let owner = field.ended("owner").await;
    assert_eq!(
        owner.status.as_ref().unwrap().state.as_deref(),
        Some("USER_END")
    );
    drop(operator);

    let later = field.run("later", "nightly").await;
    let pins = Pins::default();
    let locks = device_locks(&environment.spec, &pins);
    let of = |run: &_| {
        let grace = Duration::from_secs(1);
        KubeLocks::new(
            field.client.clone(),
            &field.namespace,
            run,
            locks.clone(),
            grace,
        )
    };
    let (owner, later) = (of(&owner), of(&later));
    assert_eq!(owner.acquire(ALL).await.unwrap(), Acquired::All);
    assert_eq!(owner.own_image().await.unwrap(), None);
    owner.close_image().await.unwrap();
    let row = field.runs().get("owner").await.unwrap().status.unwrap();
    assert_eq!(
        row.state.as_deref(),
        Some("USER_END"),
        "nobody closes his own row"
    );
    owner.let_go().await.unwrap();

    assert_eq!(later.acquire(ALL).await.unwrap(), Acquired::All);
    later.close_image().await.unwrap();
    later.close_image().await.unwrap();
    let row = field.runs().get("owner").await.unwrap().status.unwrap();
    assert_eq!(row.state.as_deref(), Some("END_FC"));
    assert_eq!(row.phase, Phase::Succeeded);
    assert!(!row.flash_copy_active.unwrap().starts_with("since"));
    assert_eq!(later.own_image().await.unwrap(), None);
}

#[apply(on_both!)]
async fn many_runs_on_one_device_never_hold_it_together(server: Server) {
    let field = Field::new(server).await;
    let environment = field.environment("nightly", |_| {}).await;
    let locks = device_locks(&environment.spec, &Pins::default());
    let inside = Arc::new(AtomicUsize::new(0));
    let mut tasks = Vec::new();
    for n in 0..6 {
        let run = field.run(&format!("run-{n}"), "nightly").await;
        let grace = Duration::from_secs(60);
        let client = field.client.clone();
        let lock = KubeLocks::new(client, &field.namespace, &run, locks.clone(), grace);
        let inside = inside.clone();
        tasks.push(tokio::spawn(async move {
            let mut turns = 0;
            while turns < 3 {
                if lock.acquire(ALL).await.unwrap() != Acquired::All {
                    continue;
                }
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two holders");
                assert!(lock.holds(LockKind::TargetSet).await.unwrap());
                inside.fetch_sub(1, Ordering::SeqCst);
                lock.let_go().await.unwrap();
                turns += 1;
            }
        }));
    }
    for task in tasks {
        // Nobody starves.
        wait::finished("a run", task).await.unwrap();
    }
}
