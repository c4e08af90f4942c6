//! Runs about a held image where the array's host mappings stand for the maps of the VIOSes.

use super::{in_order, kept, npiv, seen_by, swapped};
use crate::failures::stage::{HOLD, Stage, USER};
use crate::held::wire::{about, state};
use ibmi_clone_operator::engine::journal::{EntryState, Phase};
use ibmi_clone_operator::simulators::hmc::{PowerState, stop_by_hand};
use ibmi_clone_operator::simulators::storage::spectrum_virtualize::uid_of;
use ibmi_clone_operator::simulators::world::World;
use ibmi_clone_operator::simulators::world::file::WorldFile;

const MAPPED: &str = "array.mkvdiskhostmap";
const UNMAPPED: &str = "array.rmvdiskhostmap";

fn clone2(world: &mut World) -> (PowerState, String) {
    let clone = &world.console.partitions["CLONE2"];
    (clone.state, clone.keylock.clone())
}

/// From the copy to the end of its image, with production dead; gives how often the array mapped and unmapped.
async fn rehearsed(devices: fn(&mut WorldFile), swap: bool) -> Option<(u64, u64)> {
    let stage = Stage::new(devices, npiv(swap)).await?;
    stage.ready(HOLD).await;
    let image = stage.run(HOLD).await;
    stage.ended(&image).await.succeeded();
    stage.world(|w| stop_by_hand(w, "PROD"));

    let start = about(&stage, HOLD, "StartHeld", &image).await;
    let start = stage.ended(&start).await;
    start.succeeded();
    assert_eq!(start.step("map-volumes").state, EntryState::Done);
    let seen = stage.world(|w| seen_by(w, "CLONE2_LPAR"));
    assert_eq!(seen, in_order("CLONE2"));
    let manual = (PowerState::Running, "manual".to_owned());
    assert_eq!(stage.world(clone2), manual);
    stage.world(|w| {
        let held = seen.iter().filter_map(|(_, volume)| uid_of(w, volume));
        let held: Vec<_> = held.collect();
        w.pinned.extend(held);
    });

    let refused = about(&stage, HOLD, "End", &image).await;
    let refused = stage.ended(&refused).await;
    refused.is(Phase::Failed, "HeldImageInUse", &["release-held"]);
    let release = about(&stage, HOLD, "ReleaseHeld", &image).await;
    stage.ended(&release).await.succeeded();
    assert_eq!(stage.world(clone2), manual, "a release ends nothing");
    stage.world(|w| w.pinned.clear());

    let end = about(&stage, HOLD, "End", &image).await;
    let ended = stage.ended(&end).await;
    ended.succeeded();
    for step in ["stop-clone", "end-image"] {
        assert_eq!(ended.step(step).state, EntryState::Done, "{step}");
    }
    assert_eq!(stage.world(clone2).0, PowerState::NotActivated);
    assert_eq!(state(&stage, &image).await, "END_FC");
    let left = stage.world(|w| seen_by(w, "CLONE2_LPAR"));
    let wanted = if swap { Vec::new() } else { in_order("CLONE2") };
    assert_eq!(left, wanted);
    let counts = (stage.effects(MAPPED), stage.effects(UNMAPPED));
    stage.unharmed().await;
    Some(counts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_image_is_mapped_for_its_start_and_unmapped_by_its_end() {
    let Some(counts) = rehearsed(swapped, true).await else {
        return;
    };
    assert_eq!(counts, (4, 4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_mappings_that_stay_a_held_image_is_started_released_and_ended_without_touching_them()
{
    let Some(counts) = rehearsed(kept, false).await else {
        return;
    };
    assert_eq!(counts, (0, 0));
}

/// The clone is at work on the image that is ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_clones_image_takes_its_mappings_away_after_it_is_off() {
    let Some(stage) = Stage::new(swapped, npiv(true)).await else {
        return;
    };
    stage.ready(USER).await;
    let image = stage.run(USER).await;
    stage.ended(&image).await.succeeded();
    let end = about(&stage, USER, "End", &image).await;
    stage.ended(&end).await.succeeded();
    assert_eq!(stage.effects("hmc.PowerOff.CLONE1"), 1);
    assert!(stage.world(|w| seen_by(w, "CLONE1_LPAR")).is_empty());
    assert_eq!(state(&stage, &image).await, "END_FC");
    stage.unharmed().await;
}
