//! A clone partition that had another target set before: what the operator recorded is taken away, nothing else is.

use super::super::fakes::*;
use super::super::recorded::{RecordedSet, RecordedSets, Stays};
use super::step_with;
use crate::engine::ports::StoreError;
use crate::engine::step::Observation;
use crate::recipe::Plan;
use crate::recipe::checks::{Depth, Level, SiteReport, inspect};
use crate::site::{PartitionState, PartitionUuid, Uid};
use async_trait::async_trait;
use std::sync::Arc;

#[derive(Debug)]
struct Record(Result<Vec<RecordedSet>, StoreError>);

#[async_trait]
impl RecordedSets for Record {
    async fn on_clone(&self, clone: &PartitionUuid) -> Result<Vec<RecordedSet>, StoreError> {
        assert_eq!(clone.to_string(), "UUID-CLONE1", "the partition seen now");
        self.0.clone()
    }
}

/// The weekly test's set, with the one volume that the VIOSes show beside the run's own.
fn weekly(stays: Option<Stays>) -> RecordedSet {
    RecordedSet {
        device: "target set WEEKLY on svc.example.com".into(),
        run: "ibmi/weekly-7".into(),
        volumes: [Uid::new("UID-WEEKLY0")].into(),
        stays,
    }
}

fn plan_with(function: &str, record: Result<Vec<RecordedSet>, StoreError>) -> Plan {
    let (spec, mut facts) = sample(function);
    facts.recorded = Some(Arc::new(Record(record)));
    facts.pins.clone_partition = Some(PartitionUuid::new("UUID-CLONE1"));
    Plan::new(&spec, facts).expect("the sample can be planned")
}

/// The run's own volumes are not mapped; a device with this disk behind it is.
fn world_with(uid: Option<&str>, state: PartitionState) -> World {
    let world = world();
    let mut seen = paths(false);
    seen.foreign = vec![stranger("VIOS1/vhost3/C2_V00", uid)];
    world.set().virtual_io = Ok(seen);
    world.clone_state(state, "00000000");
    world
}

/// The checks ask the source; what counts is that no VIOS was told anything.
fn nothing_unmapped(world: &World) -> bool {
    !world.sent().iter().any(|s| s.starts_with("unmap"))
}

async fn look(world: &World, plan: &Plan) -> SiteReport {
    inspect(&world.site(), plan, Depth::Look).await
}

fn finding(report: &SiteReport, reason: &str) -> (Level, String) {
    let found = report.findings.iter().find(|f| f.reason == reason);
    let found = found.unwrap_or_else(|| panic!("no {reason}: {:#?}", report.findings));
    (found.level, found.message.clone())
}

#[tokio::test]
async fn what_another_run_was_mapped_with_does_not_forbid_the_run_and_is_said() {
    let world = world_with(Some("UID-WEEKLY0"), PartitionState::Running);
    let report = look(&world, &plan_with("USER", Ok(vec![weekly(None)]))).await;
    assert!(report.ready(), "{:#?}", report.findings);
    let (level, text) = finding(&report, "TakesTurns");
    assert_eq!(level, Level::Note);
    assert!(
        text.contains("WEEKLY") && text.contains("ibmi/weekly-7"),
        "{text}"
    );
}

#[tokio::test]
async fn what_nobody_recorded_stops_the_run_and_is_named() {
    for (uid, record) in [
        (Some("UID-OTHER"), Ok(vec![weekly(None)])),
        (Some("UID-WEEKLY0"), Ok(Vec::new())),
        (None, Ok(vec![weekly(None)])),
    ] {
        let world = world_with(uid, PartitionState::NotActivated);
        let plan = plan_with("USER", record);
        let (level, text) = finding(&look(&world, &plan).await, "ForeignMapping");
        assert_eq!(level, Level::Fatal);
        assert!(text.contains("VIOS1/vhost3/C2_V00"), "{text}");
        let step = step_with(plan, "unmap-volumes", &world);
        let (reason, _) = broken(world.look(&*step, &journal()).await);
        assert_eq!(reason, "ForeignMapping");
        assert!(world.act(&*step, &journal()).await.is_err());
        assert!(nothing_unmapped(&world));
    }
}

#[tokio::test]
async fn a_pinned_image_and_kept_mappings_are_never_taken_away() {
    for (stays, wanted) in [
        (Stays::Pinned, "HeldImageInUse"),
        (Stays::MappingsKept, "MappingKept"),
    ] {
        let world = world_with(Some("UID-WEEKLY0"), PartitionState::NotActivated);
        let plan = plan_with("USER", Ok(vec![weekly(Some(stays))]));
        let (level, text) = finding(&look(&world, &plan).await, wanted);
        assert_eq!(level, Level::Fatal);
        assert!(text.contains("ibmi/weekly-7"), "{text}");
        let step = step_with(plan, "unmap-volumes", &world);
        let (reason, _) = broken(world.look(&*step, &journal()).await);
        assert_eq!(reason, wanted);
        assert!(world.act(&*step, &journal()).await.is_err());
        assert!(nothing_unmapped(&world));
    }
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_waited_for_and_nothing_is_sent() {
    let world = world_with(Some("UID-WEEKLY0"), PartitionState::NotActivated);
    let plan = plan_with("USER", Err(StoreError::Lost("connection refused".into())));
    let report = look(&world, &plan).await;
    assert!(!report.ready() && report.fatal().next().is_none());
    let step = step_with(plan, "unmap-volumes", &world);
    let text = waiting(world.look(&*step, &journal()).await);
    assert!(text.contains("API server"), "{text}");
    assert!(world.act(&*step, &journal()).await.is_err());
    assert!(nothing_unmapped(&world));
}

#[tokio::test]
async fn the_last_turns_volumes_are_taken_away_only_while_the_clone_is_off() {
    let world = world_with(Some("UID-WEEKLY0"), PartitionState::Running);
    let plan = plan_with("USER", Ok(vec![weekly(None)]));
    let step = step_with(plan.clone(), "unmap-volumes", &world);
    let (reason, _) = broken(world.look(&*step, &journal()).await);
    assert_eq!(reason, "CloneStartedByOthers");
    assert!(world.act(&*step, &journal()).await.is_err());
    assert!(nothing_unmapped(&world));

    world.clone_state(PartitionState::NotActivated, "00000000");
    assert_eq!(world.look(&*step, &journal()).await, Observation::Absent);
    world.act(&*step, &journal()).await.expect("accepted");
    assert_eq!(world.sent(), ["unmap 3"], "both of its own and the other's");
    let mut journal = journal();
    intended(&mut journal, "unmap-volumes", 1);
    let text = waiting(world.look(&*step, &journal).await);
    assert!(text.contains("WEEKLY"), "{text}");
}

#[tokio::test]
async fn a_hold_leaves_the_clone_and_what_it_has_alone() {
    let world = world_with(Some("UID-WEEKLY0"), PartitionState::Running);
    let plan = plan_with("HOLD", Ok(vec![weekly(None)]));
    let report = look(&world, &plan).await;
    assert!(report.ready(), "{:#?}", report.findings);
    assert_eq!(finding(&report, "ForeignMapping").0, Level::Note);
    let step = step_with(plan, "unmap-volumes", &world);
    let seen = world.look(&*step, &journal()).await;
    assert!(matches!(seen, Observation::Done(_)), "{seen:?}");
}
