use super::super::fakes::*;
use super::step;
use crate::engine::journal::{EntryState, ObligationKind, WindowRecord};
use crate::engine::step::{Observation, StepKind};
use crate::engine::time::Timestamp;

#[tokio::test]
async fn a_suspend_that_was_intended_is_unknown_after_a_restart() {
    let world = world();
    let step = step("HOLD", "suspend-source", &world);
    let mut journal = journal();
    journal.window = None;
    assert_eq!(world.look(&*step, &journal).await, Observation::Absent);
    intended(&mut journal, "suspend-source", 1);
    // The helper was being started: nothing is suspended before the opening write.
    assert_eq!(world.look(&*step, &journal).await, Observation::Absent);
    journal.window = Some(WindowRecord {
        opened: Some(Timestamp::new(start())),
        ..WindowRecord::default()
    });
    let seen = world.look(&*step, &journal).await;
    assert!(matches!(seen, Observation::Unknown(_)), "{seen:?}");
    assert_eq!(broken(seen).0, "WindowInterrupted");
}

#[tokio::test]
async fn suspend_and_resume_are_sent_by_the_window_only() {
    let world = world();
    for name in ["suspend-source", "resume-source"] {
        let step = step("HOLD", name, &world);
        assert_eq!(step.kind(), StepKind::Window);
        assert!(world.act(&*step, &journal()).await.is_err());
    }
    assert!(world.sent().is_empty());
}

#[tokio::test]
async fn resumed_means_that_the_obligation_is_met() {
    let world = world();
    let step = step("HOLD", "resume-source", &world);
    let mut journal = journal();
    let now = Timestamp::new(start());
    intended(&mut journal, "resume-source", 1);
    journal.incur(ObligationKind::ResumeSource, "suspend-source", now);
    waiting(world.look(&*step, &journal).await);
    journal.meet(ObligationKind::ResumeSource, now, "RESUME 0");
    assert_eq!(world.look(&*step, &journal).await, Observation::done());
    entry(&mut journal, "resume-source").state = EntryState::Done;
    assert_eq!(world.look(&*step, &journal).await, Observation::done());
}

#[test]
fn what_suspend_owes_resume_meets() {
    let world = world();
    let suspend = step("HOLD", "suspend-source", &world);
    let resume = step("HOLD", "resume-source", &world);
    assert_eq!(
        suspend.incurs(),
        [ObligationKind::ResumeSource, ObligationKind::StopWatchdog]
    );
    assert_eq!(resume.discharges(), suspend.incurs());
}
