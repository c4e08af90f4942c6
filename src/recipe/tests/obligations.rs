use super::super::fakes::*;
use super::super::settle::SettleRun;
use crate::engine::journal::ObligationKind;
use crate::engine::ports::{Met, Settle};
use crate::engine::step::StepContext;
use crate::recipe::records::PARAMETERS_PATH;
use crate::site::{CopyPhase, DeviceError, Watchdog};
use std::sync::Arc;

async fn meet(world: &World, kind: ObligationKind) -> Result<Met, DeviceError> {
    let site = world.site();
    let journal = journal();
    let context = StepContext {
        site: &site,
        journal: &journal,
        now: start(),
        release_backups: false,
    };
    SettleRun::new(Arc::new(plan("HOLD")))
        .meet(kind, &context)
        .await
}

fn text(met: Result<Met, DeviceError>) -> (bool, String) {
    match met.expect("devices answer") {
        Met::Yes(text) | Met::AtACost { how: text, .. } => (true, text),
        Met::NotYet(text) | Met::Asking(text, _) => (false, text),
    }
}

#[tokio::test]
async fn every_asp_of_the_window_is_resumed() {
    let world = world();
    let (met, _) = text(meet(&world, ObligationKind::ResumeSource).await);
    assert!(met);
    assert_eq!(world.sent(), ["resume IASP1 *SYSBAS"]);
    world.set().resume = Err(silent());
    assert_eq!(
        meet(&world, ObligationKind::ResumeSource).await,
        Err(silent())
    );
}

#[tokio::test]
async fn a_watchdog_that_fired_has_ended_and_it_is_said() {
    let world = world();
    world.set().watchdog = Watchdog::Fired;
    let (met, how) = text(meet(&world, ObligationKind::StopWatchdog).await);
    assert!(met && how.contains("not clean"), "{how}");
    world.set().watchdog = Watchdog::Armed;
    let (met, how) = text(meet(&world, ObligationKind::StopWatchdog).await);
    assert!(!met && how.contains("CLNWDOG"), "{how}");
    assert_eq!(world.sent()[0], format!("disarm {TOKEN}"));
}

#[tokio::test]
async fn an_armed_group_is_disarmed_and_looked_at_again() {
    let world = world();
    world.set().copy = Ok(copy_state(CopyPhase::Prepared, ""));
    let (met, _) = text(meet(&world, ObligationKind::LeavePrepared).await);
    assert!(!met, "still prepared");
    world.set().copy_after = Some(CopyPhase::Stopped);
    let (met, how) = text(meet(&world, ObligationKind::LeavePrepared).await);
    assert!(met && how.contains("stopped"), "{how}");
    assert_eq!(world.sent(), ["end copy", "end copy"]);
}

/// The copy of a run that got through its window must survive its own obligations.
#[tokio::test]
async fn a_started_copy_is_not_ended_to_leave_prepared() {
    let world = world();
    let (met, _) = text(meet(&world, ObligationKind::LeavePrepared).await);
    assert!(met);
    assert!(world.sent().is_empty());
}

#[tokio::test]
async fn the_parameter_file_is_removed_and_its_absence_read() {
    let world = world();
    world.system("source", |s| {
        s.files.insert(PARAMETERS_PATH.into(), vec![1]);
    });
    let (met, _) = text(meet(&world, ObligationKind::RemoveParameters).await);
    assert!(met);
    assert_eq!(world.sent(), ["source: remove /ibmiclone/run.parm"]);
}

#[tokio::test]
async fn nothing_is_removed_from_a_system_that_is_not_the_source() {
    let world = world();
    world.system("source", |s| {
        s.session.as_mut().expect("answers").system.identity = identity(9);
    });
    let (met, how) = text(meet(&world, ObligationKind::RemoveParameters).await);
    assert!(!met && how.contains("78ABCD0/3"), "{how}");
    assert!(world.sent().is_empty());
}
