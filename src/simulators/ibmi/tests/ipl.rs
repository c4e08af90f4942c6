//! IPLs of a copy: guard, personality, and what happens without them.

use super::*;

#[tokio::test]
async fn the_clone_becomes_the_clone_and_nothing_of_production_starts() {
    let shared = site(|_| {});
    let source = system(&shared);
    let session = source.connect().await.unwrap();
    let file = parameters(|_| {});
    source.put(&session, kit::RUN_PARM, &file).await.unwrap();
    let freeze = freeze(&shared);
    let mut window = freeze.open(&plan()).await.unwrap();
    suspend(&mut window).await.unwrap();
    ipl_clone(&shared);
    drop(window);
    let clone_role = role::ibmi(&shared, CLONE_ADDRESS, "CLONEOP", "cloneop-secret");
    let found = clone_role.connect().await.unwrap();
    assert_eq!(found.system.identity, clone());
    let bytes = clone_role
        .get(&found, "/ibmiclone/ready")
        .await
        .unwrap()
        .unwrap();
    let ready = record::read(&bytes).unwrap();
    assert_eq!(ready["stage"], "2");
    assert_eq!(ready["systemName"], "CLONE1");
    assert_eq!(ready["scpf"], found.system.scpf_entry_time);
    assert_eq!(
        (ready["jobsScheduled"].as_str(), ready["reIpls"].as_str()),
        ("0", "1")
    );
    assert_eq!(ready["interfaces"], "10.0.9.11/255.255.255.0/ETHLINE");
    let world = shared.now();
    assert_eq!(world.ledger.violations, []);
}

#[tokio::test]
async fn a_clone_without_a_guard_answers_as_production_and_the_world_notices() {
    let shared = site(|f| f.kit_installed = false);
    shared
        .now()
        .systems
        .get_mut("PROD")
        .unwrap()
        .suspended
        .insert("*SYSBAS".to_owned(), shared.clock().now());
    ipl_clone(&shared);
    let world = shared.now();
    let kinds: Vec<ViolationKind> = world.ledger.violations.iter().map(|v| v.kind).collect();
    assert!(
        kinds.contains(&ViolationKind::DuplicateAddress),
        "{kinds:?}"
    );
    assert!(
        kinds.contains(&ViolationKind::ProductionJobsOnClone),
        "{kinds:?}"
    );
}

#[tokio::test]
async fn strtcp_starts_the_network_before_the_guard_can_help() {
    let shared = site(|f| f.strtcp = true);
    ipl_clone(&shared);
    let world = shared.now();
    assert!(
        world
            .ledger
            .violations
            .iter()
            .any(|v| v.kind == ViolationKind::DuplicateAddress)
    );
}

#[tokio::test]
async fn an_unknown_or_late_partition_starts_nothing() {
    for change in [
        None,
        Some(("notAfter", "2026-11-23T19:00:00Z")),
        Some(("clone.partitionId", "8")),
        Some(("sourceIdentity.1", "7812345/9")),
    ] {
        let shared = site(|_| {});
        let expected = match change {
            Some(("notAfter", _)) => "CLN0203",
            _ => "CLN0205",
        };
        if let Some((key, value)) = change {
            let file = parameters(|p| {
                p.iter_mut()
                    .filter(|(k, _)| *k == key)
                    .for_each(|(_, v)| *v = value.to_owned());
            });
            let source = system(&shared);
            let session = source.connect().await.unwrap();
            source.put(&session, kit::RUN_PARM, &file).await.unwrap();
        }
        ipl_clone(&shared);
        let world = shared.now();
        assert_eq!(world.systems["CLONE"].addresses(), Vec::<String>::new());
        let told = disk_of(&world, "CLONE")
            .unwrap()
            .operator_queue
            .last()
            .unwrap();
        assert_eq!(told.id, expected, "{change:?}");
    }
}

#[tokio::test]
async fn a_failed_personality_says_which_action_and_starts_nothing() {
    let shared = site(|f| {
        f.interfaces
            .push(crate::simulators::ibmi::file::InterfaceFile {
                address: "10.0.8.12".to_owned(),
                netmask: "255.255.255.0".to_owned(),
                line_description: "ETHLINE".to_owned(),
                autostart: true,
            });
    });
    let source = system(&shared);
    let session = source.connect().await.unwrap();
    let file = parameters(|_| {});
    source.put(&session, kit::RUN_PARM, &file).await.unwrap();
    ipl_clone(&shared);
    let world = shared.now();
    let disk = disk_of(&world, "CLONE").unwrap();
    let marker = record::read(&disk.files["/ibmiclone/marker"]).unwrap();
    assert_eq!(
        (marker["state"].as_str(), marker["failed"].as_str()),
        ("FAILED", "read-addresses")
    );
    assert_eq!(world.systems["CLONE"].addresses(), Vec::<String>::new());
}
