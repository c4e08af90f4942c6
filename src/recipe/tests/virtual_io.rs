use super::super::fakes::*;
use super::{step, step_of};
use crate::engine::step::Observation;
use crate::site::PartitionState;
use chrono::TimeDelta;
use std::sync::Arc;

fn off(world: &World) {
    world.clone_state(PartitionState::NotActivated, "00000000");
}

#[tokio::test]
async fn unmapped_on_every_vios_is_done() {
    let world = world();
    world.set().virtual_io = Ok(paths(false));
    let step = step("USER", "unmap-volumes", &world);
    assert!(matches!(
        world.look(&*step, &journal()).await,
        Observation::Done(_)
    ));
}

#[tokio::test]
async fn one_map_left_on_one_vios_is_not_done() {
    let world = world();
    off(&world);
    let mut state = paths(false);
    state.paths[3].mapped_as = Some("C1_V01".into());
    world.set().virtual_io = Ok(state);
    let step = step("USER", "unmap-volumes", &world);
    let mut journal = journal();
    assert_eq!(world.look(&*step, &journal).await, Observation::Absent);
    world.act(&*step, &journal).await.expect("accepted");
    assert_eq!(world.sent(), ["unmap 2"]);
    intended(&mut journal, "unmap-volumes", 1);
    let text = waiting(world.look(&*step, &journal).await);
    assert!(
        text.contains("1 on VIOS2") && text.contains("15 minutes"),
        "{text}"
    );
    let later = start() + TimeDelta::seconds(60);
    assert_eq!(
        world.look_at(&*step, &journal, later).await,
        Observation::Absent
    );
}

#[tokio::test]
async fn a_volume_mapped_elsewhere_is_never_touched() {
    let world = world();
    let mut state = paths(true);
    state.paths[2].mapped_elsewhere = vec!["vhost9".into()];
    world.set().virtual_io = Ok(state);
    for name in ["unmap-volumes", "map-volumes"] {
        let step = step("USER", name, &world);
        let (reason, text) = broken(world.look(&*step, &journal()).await);
        assert_eq!(reason, "VolumeMappedElsewhere");
        assert!(text.contains("VIOS2") && text.contains("vhost9"), "{text}");
    }
}

#[tokio::test]
async fn kept_mappings_are_read_and_proved_only() {
    let world = world();
    let mut plan = plan("USER");
    plan.keep_mappings = true;
    let plan = Arc::new(plan);
    let unmap = step_of(&plan, "unmap-volumes", &world);
    let map = step_of(&plan, "map-volumes", &world);
    assert_eq!(
        facts_of(world.look(&*unmap, &journal()).await),
        pairs(&[("mapped", "4")])
    );
    assert!(matches!(
        world.look(&*map, &journal()).await,
        Observation::Done(_)
    ));
    world.set().virtual_io = Ok(paths(false));
    assert_eq!(
        broken(world.look(&*map, &journal()).await).0,
        "MappingMissing"
    );
    assert!(world.sent().is_empty());
}

/// Taking the disks of a running system away, or giving them to one, is a violation whoever switched it on.
#[tokio::test]
async fn nothing_is_mapped_or_unmapped_while_the_clone_is_on() {
    let world = world();
    let unmap = step("USER", "unmap-volumes", &world);
    assert_eq!(
        broken(world.look(&*unmap, &journal()).await).0,
        "CloneStartedByOthers"
    );
    assert!(world.act(&*unmap, &journal()).await.is_err());
    world.set().virtual_io = Ok(paths(false));
    let map = step("USER", "map-volumes", &world);
    assert_eq!(
        broken(world.look(&*map, &journal()).await).0,
        "CloneStartedByOthers"
    );
    assert!(world.act(&*map, &journal()).await.is_err());
    assert!(world.sent().is_empty());
}

#[tokio::test]
async fn every_volume_is_mapped_once_on_every_vios_in_the_groups_order() {
    let world = world();
    off(&world);
    world.set().virtual_io = Ok(paths(false));
    let step = step("USER", "map-volumes", &world);
    assert_eq!(world.look(&*step, &journal()).await, Observation::Absent);
    world.act(&*step, &journal()).await.expect("accepted");
    assert_eq!(world.sent(), ["map C1_V00 C1_V01"]);
    world.set().virtual_io = Ok(paths(true));
    assert_eq!(
        facts_of(world.look(&*step, &journal()).await),
        pairs(&[("volumes", "2")])
    );
}

#[tokio::test]
async fn a_foreign_device_on_the_clones_adapter_stops_the_run() {
    let world = world();
    let mut state = paths(true);
    state.foreign = vec![stranger("VIOS1/vhost3/old", None)];
    world.set().virtual_io = Ok(state);
    let step = step("USER", "map-volumes", &world);
    let (reason, text) = broken(world.look(&*step, &journal()).await);
    assert_eq!(reason, "ForeignMapping");
    assert!(text.contains("VIOS1/vhost3/old"), "{text}");
}

#[tokio::test]
async fn two_disks_with_one_uid_are_broken_and_none_is_looked_for() {
    let world = world();
    off(&world);
    let step = step("USER", "map-volumes", &world);
    let mut twice = paths(true);
    twice.paths[0].disks.push("hdisk99".into());
    world.set().virtual_io = Ok(twice);
    let (reason, text) = broken(world.look(&*step, &journal()).await);
    assert_eq!(reason, "DiskTwice");
    assert!(text.contains("hdisk0 and hdisk99"), "{text}");
    let mut none = paths(true);
    none.paths[0].disks.clear();
    none.paths[0].mapped_as = None;
    world.set().virtual_io = Ok(none);
    assert_eq!(world.look(&*step, &journal()).await, Observation::Absent);
}

#[tokio::test]
async fn the_volumes_of_a_run_come_from_its_own_verify_only() {
    let world = world();
    let step = step("USER", "unmap-volumes", &world);
    let mut journal = journal();
    entry(&mut journal, "verify-site").output.clear();
    assert_eq!(
        broken(world.look(&*step, &journal).await).0,
        "JournalIncomplete"
    );
}

#[tokio::test]
async fn a_clone_that_cannot_be_proved_off_is_waited_for() {
    let world = world();
    let step = step("USER", "unmap-volumes", &world);
    for state in [PartitionState::NotAvailable, PartitionState::Error] {
        world.clone_state(state, "");
        let text = waiting(world.look(&*step, &journal()).await);
        assert!(text.contains("cannot be proved off"), "{text}");
    }
    assert!(world.sent().is_empty());
}
