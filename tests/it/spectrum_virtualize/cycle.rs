//! The whole life of a copy over the wire, and what it costs.

use super::{Bench, file};
use ibmi_clone_operator::site::{ArrayFamily, CopyPhase, CopyServices, Uid, Wwpn};

#[tokio::test]
async fn a_group_is_prepared_started_and_ended() {
    let bench = Bench::small();
    let copy = bench.copy();
    assert_eq!(copy.family(), ArrayFamily::Overwrite);
    let before = copy.observe().await.unwrap();
    assert_eq!((before.phase, before.exists()), (CopyPhase::Idle, false));

    copy.prepare().await.unwrap();
    assert_eq!(copy.observe().await.unwrap().phase, CopyPhase::Preparing);
    bench.pass(3);
    let armed = copy.observe().await.unwrap();
    assert_eq!((armed.phase, armed.exists()), (CopyPhase::Prepared, false));

    copy.start().await.unwrap();
    let running = copy.observe().await.unwrap();
    assert_eq!(running.phase, CopyPhase::Copying);
    assert!(running.exists() && running.deviating.is_empty());
    // The point in time is at the beginning of the command, not at its answer a second later.
    assert_eq!(running.mark(), "m0=261123000003,m1=261123000003");

    copy.end().await.unwrap();
    let ended = copy.observe().await.unwrap();
    assert_eq!((ended.phase, ended.exists()), (CopyPhase::Stopped, false));
    for verb in ["prestart", "start", "stop"] {
        assert_eq!(bench.effects(&format!("array.{verb}fcconsistgrp")), 1);
    }
    assert_eq!(bench.effects("array.auth"), 1);
    assert_eq!(bench.shared.now().ledger.violations, vec![]);
}

#[tokio::test]
async fn a_second_copy_has_another_mark() {
    let bench = Bench::small();
    let copy = bench.copy();
    bench.started(&copy).await;
    let first = copy.observe().await.unwrap().mark();
    copy.end().await.unwrap();
    bench.started(&copy).await;
    assert_ne!(copy.observe().await.unwrap().mark(), first);
}

#[tokio::test]
async fn inside_the_window_a_start_is_one_request_and_a_look_is_one() {
    let bench = Bench::small();
    let copy = bench.copy();
    copy.prepare().await.unwrap();
    bench.pass(3);
    copy.observe().await.unwrap();
    let before = bench.requests().len();
    copy.start().await.unwrap();
    copy.observe().await.unwrap();
    let operations: Vec<String> = bench.requests().into_iter().map(|r| r.0).collect();
    assert_eq!(
        operations[before..],
        [
            "POST startfcconsistgrp/CLONE1",
            "POST lsfcmap group_name=CLONE1"
        ]
    );
}

#[tokio::test]
async fn an_end_without_a_copy_is_a_success_and_an_armed_group_is_disarmed() {
    let bench = Bench::small();
    let copy = bench.copy();
    copy.end().await.unwrap();
    assert_eq!(copy.observe().await.unwrap().phase, CopyPhase::Idle);
    copy.prepare().await.unwrap();
    bench.pass(3);
    copy.end().await.unwrap();
    assert_eq!(copy.observe().await.unwrap().phase, CopyPhase::Stopped);
    copy.end().await.unwrap();
    let mut world = bench.shared.now();
    world.check_left_behind();
    assert_eq!(world.ledger.violations, vec![]);
}

#[tokio::test]
async fn the_inventory_tells_pairs_hosts_pools_and_level() {
    let mut file = file();
    file.array.groups[0].maps[1].autodelete = true;
    file.array.groups[0].maps[1].copy_rate = 50;
    file.array.groups[0].maps[0].rc_controlled = true;
    let bench = Bench::start(&file);
    let found = bench.copy().inventory().await.unwrap();
    let [m0, m1] = found.pairs.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!((m0.name.as_str(), m1.name.as_str()), ("m0", "m1"));
    assert_eq!(m0.source.name, "PROD_0");
    assert_eq!(m0.source.uid, Uid::new("60050768018A00000000000000000000"));
    assert_eq!(m1.target.capacity_bytes, 200 << 30);
    assert_eq!(m1.target.hosts, ["VIOS1"]);
    assert_eq!((m0.auto_delete, m1.auto_delete), (false, true));
    assert_eq!((m0.remote_controlled, m1.remote_controlled), (true, false));
    assert_eq!((m0.copy_rate, m1.copy_rate), (0, 50));
    assert_eq!(found.pool_fill, Some(("P1".to_owned(), 10)));
    assert!(found.level.starts_with("8.6.0.3"));
    let unfiltered = ("POST lsvdisk".to_owned(), "200".to_owned());
    assert!(!bench.requests().contains(&unfiltered));
}

#[tokio::test]
async fn volumes_are_found_by_any_spelling_of_a_port() {
    let bench = Bench::small();
    let copy = bench.copy();
    let found = copy
        .volumes_of_ports(&[Wwpn::new("c050760000000001")])
        .await
        .unwrap();
    let names: Vec<&str> = found.iter().map(|v| v.name.as_str()).collect();
    assert_eq!(names, ["CLN_0", "CLN_1", "PROD_0", "PROD_1"]);
    for unused in ["c050760000000009", "c0507600000000ff"] {
        let found = copy.volumes_of_ports(&[Wwpn::new(unused)]).await.unwrap();
        assert_eq!(found, vec![]);
    }
}

#[tokio::test]
async fn disk_used_grows_while_copying_and_is_unknown_in_a_data_reduction_pool() {
    let bench = Bench::small();
    let copy = bench.copy();
    bench.started(&copy).await;
    assert_eq!(copy.usage().await.unwrap().disk_used_percent, Some(1));
    bench.pass(61 * 60);
    assert_eq!(copy.usage().await.unwrap().disk_used_percent, Some(7));

    let mut reducing = file();
    reducing.array.pools[1].data_reduction = true;
    let bench = Bench::start(&reducing);
    assert_eq!(bench.copy().usage().await.unwrap().disk_used_percent, None);

    let mut thick = file();
    for volume in &mut thick.array.volumes {
        volume.thin = false;
    }
    let bench = Bench::start(&thick);
    assert_eq!(
        bench.copy().usage().await.unwrap().disk_used_percent,
        Some(100)
    );
}

#[tokio::test]
async fn a_complete_background_copy_is_idle_and_still_a_copy() {
    let mut file = file();
    for map in &mut file.array.groups[0].maps {
        map.copy_rate = 100;
    }
    let bench = Bench::start(&file);
    let copy = bench.copy();
    bench.started(&copy).await;
    let mark = copy.observe().await.unwrap().mark();
    bench.pass(1_700);
    let half = copy.observe().await.unwrap();
    assert_eq!((half.phase, half.exists()), (CopyPhase::Copying, true));
    assert_eq!(half.deviating, ["m0 idle_or_copied"]);
    bench.pass(1_700);
    let whole = copy.observe().await.unwrap();
    assert_eq!((whole.phase, whole.progress), (CopyPhase::Idle, 100));
    assert!(whole.exists());
    assert_eq!(whole.mark(), mark);
}
