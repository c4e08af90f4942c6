//! AfterResume hooks that a run owes production after its failure.

use super::*;

fn owing(plan: &Plan, world: &World) -> Journal {
    let mut journal = two_programs(plan, world);
    intended(&mut journal, "before-freeze", 1);
    let now = crate::engine::time::Timestamp::new(start());
    journal.incur(ObligationKind::RunAfterResume, "before-freeze", now);
    journal
}

async fn meet(world: &World, plan: &Plan, journal: &Journal) -> (bool, String) {
    let site = world.site();
    let context = StepContext {
        site: &site,
        journal,
        now: start() + TimeDelta::minutes(5),
        release_backups: false,
    };
    let settle = SettleRun::new(Arc::new(plan.clone()));
    match settle.meet(ObligationKind::RunAfterResume, &context).await {
        Ok(Met::Yes(how) | Met::AtACost { how, .. }) => (true, how),
        Ok(Met::NotYet(what) | Met::Asking(what, _)) => (false, what),
        Err(error) => (false, error.to_string()),
    }
}

/// An application that is started while the hook that stops it still runs would stay stopped.
#[tokio::test]
async fn after_resume_never_overtakes_a_before_freeze_hook_that_still_runs() {
    let world = world();
    let plan = surrounded();
    let journal = owing(&plan, &world);
    world.system("source", |s| s.job = job("C1_16_H", JobState::Active));
    let (met, text) = meet(&world, &plan, &journal).await;
    assert!(
        !met && text.contains("wait for hook BeforeFreeze"),
        "{text}"
    );
    let step = step_of(&Arc::new(plan.clone()), "after-resume", &world);
    waiting(world.look(&*step, &journal).await);
    assert!(submitted(&world).is_empty());
    let over = JobState::Ended {
        normal: true,
        severity: 0,
    };
    world.system("source", |s| s.job = job("C1_16_H", over));
    let (met, text) = meet(&world, &plan, &journal).await;
    assert!(!met && text.contains("was submitted"), "{text}");
    assert_eq!(submitted(&world), ["source C1_16_I"]);
}

#[tokio::test]
async fn after_resume_waits_for_the_resume_and_is_not_needed_when_nothing_was_begun() {
    let world = world();
    let plan = surrounded();
    let mut journal = owing(&plan, &world);
    let now = crate::engine::time::Timestamp::new(start());
    journal.incur(ObligationKind::ResumeSource, "suspend-source", now);
    let (met, text) = meet(&world, &plan, &journal).await;
    assert!(!met && text.contains("resumed first"), "{text}");
    journal.meet(ObligationKind::ResumeSource, now, "test");
    entry(&mut journal, "before-freeze").attempts = 0;
    let (met, _) = meet(&world, &plan, &journal).await;
    assert!(met);
    assert!(submitted(&world).is_empty());
}

#[tokio::test]
async fn an_owed_after_resume_is_never_submitted_twice() {
    let world = living();
    let plan = surrounded();
    let mut journal = owing(&plan, &world);
    world.system("source", |s| assert!(s.hangs.insert("C1_16_I".into())));
    assert!(!meet(&world, &plan, &journal).await.0);
    assert!(!meet(&world, &plan, &journal).await.0);
    // Gone from every job table, known to the history log.
    world.system("source", |s| {
        s.jobs.clear();
        let name = "123456/CLN/C1_16_I";
        s.history = vec![
            message("CPF1124", 0, "2026-11-23-02.00.00.000000", name, "started"),
            message(
                "CPF1164",
                0,
                "2026-11-23-02.00.10.000000",
                name,
                "end code 0 .",
            ),
        ];
    });
    journal.obligations[0].attempts = 2;
    assert!(meet(&world, &plan, &journal).await.0);
    assert_eq!(submitted(&world).len(), 1);
}

#[tokio::test]
async fn production_that_cannot_be_reached_keeps_after_resume_owed() {
    let world = world();
    let plan = surrounded();
    let journal = owing(&plan, &world);
    world.system("source", |s| s.session = Err(silent()));
    assert!(!meet(&world, &plan, &journal).await.0);
    // A stranger at production's address gets nothing.
    world.system("source", |s| s.session = Ok(stranger()));
    assert!(!meet(&world, &plan, &journal).await.0);
    assert!(submitted(&world).is_empty());
    // On the way of a good run the step fails instead of letting go, whatever onError says.
    let plan = with("USER", json!({"hooks": hooks("Continue")}));
    let step = step_of(&Arc::new(plan), "after-resume", &world);
    world.system("source", |s| s.session = Err(silent()));
    let mut journal = journal.clone();
    entry(&mut journal, "after-resume").start = Some(crate::engine::time::Timestamp::new(start()));
    let late = start() + TimeDelta::seconds(600);
    let (reason, _) = broken(world.look_at(&*step, &journal, late).await);
    assert_eq!(reason, "HookFailed");
}
