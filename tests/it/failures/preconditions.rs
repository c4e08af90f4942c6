//! What verify finds before anything is touched: names that do not exist, groups that cannot be copied.

use super::stage::{HOLD, Stage, USER, as_it_is, condition, environments, is, says_all};
use ibmi_clone_operator::api::CloneRun;
use ibmi_clone_operator::simulators::world::file::WorldFile;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_partition_is_named_and_nothing_is_touched() {
    let change = environments(|s| s["clone"]["partition"]["name"] = json!("CLONE9"));
    let Some(stage) = Stage::new(as_it_is, change).await else {
        return;
    };
    stage
        .refuses(
            HOLD,
            "PartitionUnknown",
            &["CLONE9", "correct clone.partition"],
        )
        .await;
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_profile_is_named_beside_those_that_exist() {
    let change = environments(|s| s["clone"]["partition"]["profile"] = json!("NIGHT_PRF"));
    let Some(stage) = Stage::new(as_it_is, change).await else {
        return;
    };
    let words = ["NIGHT_PRF", "CLONE_PRF", "correct clone.partition.profile"];
    stage.refuses(USER, "ProfileUnknown", &words).await;
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_consistency_group_is_named() {
    let change = environments(|s| {
        s["storage"]["spectrumVirtualize"]["consistencyGroups"] = json!(["CLONE9"]);
    });
    let Some(stage) = Stage::new(as_it_is, change).await else {
        return;
    };
    let words = ["CLONE9", "consistencyGroups"];
    stage.refuses(HOLD, "DeviceRefused", &words).await;
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_vios_is_named() {
    let change = environments(|s| {
        s["virtualIo"]["vscsi"]["adapters"][1]["server"] = json!("VIOS7");
    });
    let Some(stage) = Stage::new(as_it_is, change).await else {
        return;
    };
    stage
        .refuses(HOLD, "DeviceRefused", &["VIOS7", "virtualIo"])
        .await;
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn volume_name_of_no_target_is_named_beside_those_that_exist() {
    let change = environments(|s| {
        s["virtualIo"]["vscsi"]["adapters"][1]["volumes"] = json!(["CLONE*", "CLONE_LS"]);
    });
    let Some(stage) = Stage::new(as_it_is, change).await else {
        return;
    };
    let words = ["VIOS2", "CLONE_LS", "CLONE2_0, CLONE2_1", "virtualIo.vscsi"];
    stage.refuses(HOLD, "DeviceRefused", &words).await;
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vios_without_rmc_is_named_and_waited_for() {
    let devices = |w: &mut WorldFile| w.vioses[1].rmc = false;
    let Some(stage) = Stage::new(devices, as_it_is).await else {
        return;
    };
    let status = stage.not_ready(HOLD, "Unreachable").await;
    let words = ["VIOS2", "RMC", "rmcdomainstatus on the VIOS"];
    says_all(&condition(&status, "Ready").1, &words);
    let run = stage.run(HOLD).await;
    let waits = |r: &CloneRun| {
        let message = r.status.as_ref().and_then(|s| s.message.as_deref());
        message.is_some_and(|m| words.iter().all(|w| m.contains(w)))
    };
    stage.until(&run, waits).await;
    stage.untouched();
    stage.world(|w| w.vioses.get_mut("VIOS2").unwrap().rmc = true);
    stage.ended(&run).await.succeeded();
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn empty_group_is_refused() {
    let devices = |w: &mut WorldFile| group(w, "CLONE2").maps.clear();
    let Some(stage) = Stage::new(devices, as_it_is).await else {
        return;
    };
    let words = ["CLONE2", "has no map", "create one map per volume"];
    stage.refuses(HOLD, "GroupEmpty", &words).await;
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suspended_map_is_refused_until_a_person_repairs_the_array() {
    let devices = |w: &mut WorldFile| group(w, "CLONE2").maps[2].state = Some("suspended".into());
    let Some(stage) = Stage::new(devices, as_it_is).await else {
        return;
    };
    let words = ["C2MAP_2", "suspended", "repair the array"];
    stage.refuses(HOLD, "CopySuspended", &words).await;
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn target_that_another_partition_uses_is_refused() {
    // The HOLD clone's first target is mapped to the other clone's adapter.
    let devices = |w: &mut WorldFile| {
        let vtd = json!({"vhost": "vhost3", "vtd": "vtforeign", "volume": "CLONE2_0"});
        w.vioses[0].vtds.push(serde_json::from_value(vtd).unwrap());
    };
    let Some(stage) = Stage::new(devices, as_it_is).await else {
        return;
    };
    let words = ["vhost3", "VIOS1", "remove that map"];
    stage.refuses(HOLD, "VolumeMappedElsewhere", &words).await;
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pool_above_its_limit_is_refused() {
    let devices = |w: &mut WorldFile| w.array.pools[0].used_percent = 88;
    let Some(stage) = Stage::new(devices, as_it_is).await else {
        return;
    };
    let words = ["POOL0", "88 %", "add capacity"];
    stage.refuses(HOLD, "PoolFull", &words).await;
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn volume_of_production_without_a_map_is_drift() {
    let devices = |w: &mut WorldFile| {
        group(w, "CLONE2").maps.pop();
    };
    let Some(stage) = Stage::new(devices, as_it_is).await else {
        return;
    };
    let uid = stage.world(|w| {
        let id = w.array.vdisks.values().find(|v| v.name == "PROD_3");
        id.unwrap().uid.to_string()
    });
    let words = [uid.as_str(), "CLONE2", "add a map for each", "allowPartial"];
    stage.refuses(HOLD, "VolumeDrift", &words).await;
    let status = stage.not_ready(HOLD, "VolumeDrift").await;
    assert!(is(&status, "VolumeDrift", "True"));
    says_all(&condition(&status, "VolumeDrift").1, &words);
    assert_eq!(status.volumes.unwrap().drift, vec![uid.clone()]);
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_waits_for_the_sibling_maps_and_names_them() {
    // Both groups copy production; the older image depends on the younger's maps.
    let devices = |w: &mut WorldFile| w.knobs.stopping_milliseconds = 120_000;
    let Some(stage) = Stage::new(devices, as_it_is).await else {
        return;
    };
    for environment in [HOLD, USER] {
        stage.ready(environment).await;
    }
    for environment in [HOLD, USER] {
        let run = stage.run(environment).await;
        stage.ended(&run).await.succeeded();
    }
    // The younger one: reads of the older image go through its targets.
    let run = stage.run(USER).await;
    let message = stage
        .says(&run, "end-image", "maps that depend on it")
        .await;
    says_all(&message, &["CLONE1 is stopping", "C2MAP_0", "never forced"]);
    stage.ended(&run).await.succeeded();
    stage.unharmed().await;
}

fn group<'w>(
    world: &'w mut WorldFile,
    name: &str,
) -> &'w mut ibmi_clone_operator::simulators::storage::spectrum_virtualize::GroupFile {
    let found = world.array.groups.iter_mut().find(|g| g.name == name);
    found.unwrap()
}
