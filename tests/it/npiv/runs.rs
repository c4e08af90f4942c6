//! Runs that succeed, and what they did to the host mappings.

use super::{in_order, kept, npiv, seen_by, swapped};
use crate::failures::stage::{HOLD, Stage, USER};
use crate::server::Server;
use ibmi_clone_operator::engine::journal::Phase;
use ibmi_clone_operator::simulators::faults::{Device, FaultKind};
use ibmi_clone_operator::simulators::world::file::WorldFile;
use macro_rules_attribute::apply;
use serde_json::{Value, json};

const MAPPED: &str = "array.mkvdiskhostmap";
const UNMAPPED: &str = "array.rmvdiskhostmap";

#[apply(on_both!)]
async fn swapped_mappings_leave_before_the_copy_and_come_back_in_order(server: Server) {
    let stage = Stage::at(server, swapped, npiv(true)).await;
    // What a safety copy does not start it does not map.
    let run = stage.run(HOLD).await;
    stage.ended(&run).await.succeeded();
    assert_eq!((stage.effects(MAPPED), stage.effects(UNMAPPED)), (0, 0));
    for turn in 1..=2 {
        let run = stage.run(USER).await;
        stage.ended(&run).await.succeeded();
        assert_eq!(stage.effects(MAPPED), 4 * turn);
        assert_eq!(stage.effects(UNMAPPED), 4 * (turn - 1));
        let seen = stage.world(|w| seen_by(w, "CLONE1_LPAR"));
        assert_eq!(seen, in_order("CLONE1"));
    }
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mappings_that_stay_are_only_read_and_the_clone_is_off_while_they_change() {
    let Some(stage) = Stage::new(kept, npiv(false)).await else {
        return;
    };
    for environment in [USER, USER, HOLD] {
        let run = stage.run(environment).await;
        stage.ended(&run).await.succeeded();
    }
    assert_eq!((stage.effects(MAPPED), stage.effects(UNMAPPED)), (0, 0));
    // The second run found its clone at work on the first one's image.
    assert_eq!(stage.effects("hmc.PowerOff.CLONE1"), 1);
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_answers_of_the_array_neither_fail_a_swap_nor_repeat_it() {
    let Some(stage) = Stage::new(swapped, npiv(true)).await else {
        return;
    };
    let lose = |verb| stage.fault(Device::Array, "", verb, FaultKind::AnswerLost, 2);
    lose("mkvdiskhostmap");
    let run = stage.run(USER).await;
    stage.ended(&run).await.succeeded();
    lose("rmvdiskhostmap");
    let run = stage.run(USER).await;
    stage.ended(&run).await.succeeded();
    assert_eq!((stage.effects(MAPPED), stage.effects(UNMAPPED)), (8, 4));
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn volume_protection_is_waited_for_and_said() {
    let devices = |w: &mut WorldFile| {
        swapped(w);
        w.array.protection_minutes = 4;
    };
    let Some(stage) = Stage::new(devices, npiv(true)).await else {
        return;
    };
    let run = stage.run(USER).await;
    stage.ended(&run).await.succeeded();
    let run = stage.run(USER).await;
    let said = stage.says(&run, "unmap-volumes", "protection").await;
    assert!(said.contains("15 minutes"), "{said}");
    stage.ended(&run).await.succeeded();
    assert_eq!(stage.effects(UNMAPPED), 4);
    stage.unharmed().await;
}

/// Two target sets, one partition: the safety copy on the second set leaves the clone at work on the first one alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_safety_copy_on_another_set_leaves_the_clone_and_its_mappings_alone() {
    let one_clone = |object: &mut Value| {
        npiv(true)(object);
        if object["metadata"]["name"] == HOLD {
            object["spec"]["clone"]["partition"]["name"] = json!("CLONE1");
        }
    };
    let Some(stage) = Stage::new(swapped, one_clone).await else {
        return;
    };
    let run = stage.run(USER).await;
    stage.ended(&run).await.succeeded();
    let before = stage.world(|w| w.systems["CLONE1"].image());
    let run = stage.run(HOLD).await;
    stage.ended(&run).await.succeeded();
    assert!(before.is_some());
    assert_eq!(stage.world(|w| w.systems["CLONE1"].image()), before);
    let seen = stage.world(|w| seen_by(w, "CLONE1_LPAR"));
    assert_eq!(seen, in_order("CLONE1"));
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_adapter_without_a_physical_port_is_a_warning() {
    let devices = |w: &mut WorldFile| {
        kept(w);
        let mut partitions = w.console.partitions.iter_mut();
        let clone = partitions.find(|p| p.name == "CLONE1").unwrap();
        clone.fibre_channel[1].connected = false;
    };
    let Some(stage) = Stage::new(devices, npiv(false)).await else {
        return;
    };
    stage.ready(USER).await;
    let run = stage.run(USER).await;
    let end = stage.ended(&run).await;
    assert_eq!(end.outcome().0, Phase::Warning, "{}", end.message());
    let facts = format!("{:?}", end.0.status);
    for word in ["VIOS2", "c050760a1b2c0122", "vfcmap"] {
        assert!(facts.contains(word), "{word}: {facts}");
    }
    stage.unharmed().await;
}

/// Two target sets of one environment take turns on the clone: its ports never see both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_target_sets_take_turns_at_the_clones_host_object() {
    let two_sets = |object: &mut Value| {
        npiv(true)(object);
        if object["metadata"]["name"] == USER {
            let array = &mut object["spec"]["storage"]["spectrumVirtualize"];
            array["consistencyGroups"] = json!(["CLONE1", "CLONE2"]);
        }
    };
    let Some(stage) = Stage::new(swapped, two_sets).await else {
        return;
    };
    for set in ["CLONE1", "CLONE2", "CLONE1"] {
        let run = stage.run(USER).await;
        stage.ended(&run).await.succeeded();
        let seen = stage.world(|w| seen_by(w, "CLONE1_LPAR"));
        assert_eq!(seen, in_order(set));
    }
    stage.unharmed().await;
}
