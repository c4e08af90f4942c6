//! What verify finds at the array before anything is touched.

use super::{adapters, host, kept, npiv, seen_by, swapped, wwpns};
use crate::failures::stage::{HOLD, Stage, USER};
use ibmi_clone_operator::engine::journal::Phase;
use ibmi_clone_operator::simulators::world::file::WorldFile;

async fn refused(
    devices: impl FnOnce(&mut WorldFile),
    swap: bool,
    environment: &str,
    reason: &str,
    words: &[&str],
) {
    let Some(stage) = Stage::new(devices, npiv(swap)).await else {
        return;
    };
    stage.refuses(environment, reason, words).await;
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ports_that_no_host_object_holds_are_named() {
    let devices = |w: &mut WorldFile| {
        swapped(w);
        w.array.hosts.retain(|h| h.name != "CLONE1_LPAR");
    };
    let words = [wwpns("CLONE1")[0].clone(), wwpns("CLONE1")[3].clone()];
    let words = [words[0].as_str(), words[1].as_str(), "mkhost"];
    refused(devices, true, USER, "HostUnknown", &words).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_object_that_also_holds_a_port_of_production_is_never_touched() {
    let devices = |w: &mut WorldFile| {
        swapped(w);
        let stolen = host(w, "PROD").wwpns.pop().unwrap();
        host(w, "CLONE1_LPAR").wwpns.push(stolen);
    };
    let words = ["CLONE1_LPAR", "c050760a1b2c0013", "of the source"];
    refused(devices, true, USER, "HostOfSource", &words).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_object_that_also_holds_a_port_of_somebody_else_is_never_touched() {
    let devices = |w: &mut WorldFile| {
        kept(w);
        let strange = "100000109b00ffff".to_owned();
        host(w, "CLONE2_LPAR").wwpns.push(strange);
    };
    let words = ["CLONE2_LPAR", "100000109b00ffff", "rmhostport"];
    refused(devices, false, HOLD, "HostOfOthers", &words).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clone_with_virtual_scsi_only_has_no_ports() {
    let devices = |w: &mut WorldFile| {
        swapped(w);
        let mut partitions = w.console.partitions.iter_mut();
        let clone = partitions.find(|p| p.name == "CLONE1").unwrap();
        assert_eq!(clone.fibre_channel.len(), adapters("CLONE1").len());
        clone.fibre_channel.clear();
    };
    refused(devices, true, USER, "NoFibreChannel", &["virtualIo.vscsi"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_volume_that_the_clones_ports_see_stops_every_function() {
    let devices = |w: &mut WorldFile| {
        kept(w);
        let of_the_other = "CLONE1_3".to_owned();
        host(w, "CLONE1_LPAR").volumes.pop();
        host(w, "CLONE2_LPAR").volumes.push(of_the_other);
    };
    let words = ["CLONE2_LPAR/SCSI id 4/CLONE1_3", "rmvdiskhostmap"];
    refused(devices, false, HOLD, "ForeignMapping", &words).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_another_host_sees_is_refused() {
    let devices = |w: &mut WorldFile| {
        kept(w);
        host(w, "VIOS1").volumes.push("CLONE1_2".to_owned());
    };
    let words = ["VIOS1", "rmvdiskhostmap"];
    refused(devices, false, USER, "VolumeMappedElsewhere", &words).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mappings_that_should_stay_but_are_not_there_are_told() {
    let devices = |w: &mut WorldFile| {
        kept(w);
        host(w, "CLONE1_LPAR").volumes.remove(2);
    };
    let words = ["swapHostMappings", "mkvdiskhostmap"];
    refused(devices, false, USER, "MappingMissing", &words).await;
}

/// A person maps another volume to the clone after the run has verified: the run stops before it maps or starts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_volume_mapped_by_hand_during_the_run_stops_it_before_the_start() {
    let Some(stage) = Stage::new(swapped, npiv(true)).await else {
        return;
    };
    let run = stage.run(USER).await;
    stage.at_step(&run, "prepare-copy").await;
    stage.world(|w| {
        let stranger = w.array.vdisks.values().find(|v| v.name == "CLONE2_1");
        let stranger = stranger.unwrap().id;
        let mut hosts = w.array.hosts.values_mut();
        let host = hosts.find(|h| h.name == "CLONE1_LPAR").unwrap();
        host.luns.insert(9, stranger);
    });
    let end = stage.ended(&run).await;
    let words = ["CLONE1_LPAR/SCSI id 9/CLONE2_1", "rmvdiskhostmap"];
    end.is(Phase::Failed, "ForeignMapping", &words);
    assert_eq!(stage.effects("hmc.PowerOn.CLONE1"), 0);
    let seen = stage.world(|w| seen_by(w, "CLONE1_LPAR"));
    assert_eq!(seen, [(9, "CLONE2_1".to_owned())]);
    stage.unharmed().await;
}
