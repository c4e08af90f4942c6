//! Ending a run early: what a stop waits for, what an abort interrupts, what a person's word stands for.

use super::*;
use crate::engine::obligations::RESUMED_BY_HAND;
use crate::engine::ports::Wishes;
use crate::engine::time::Timestamp;

fn waiting(text: &str) -> Observation {
    Observation::underway(AGAIN, text)
}

fn of(cancel: Cancel) -> Wishes {
    Wishes {
        cancel,
        ..Wishes::default()
    }
}

fn paused(bench: &Bench) -> Journal {
    match bench.pass(Cancel::No) {
        Some(Pass::Again(wait, journal)) => {
            bench.clock.clock.advance(wait);
            *journal
        }
        other => panic!("must wait: {other:?}"),
    }
}

fn message(journal: &Journal) -> &str {
    &journal.verdict.as_ref().unwrap().message
}

#[test]
fn a_stop_lets_the_step_under_way_end_and_takes_no_further_one() {
    let one = Toy::new("one", &[Observation::Absent, waiting("on its way"), done()]);
    let two = Toy::new("two", &[Observation::Absent, done()]);
    let bench = Bench::new(&[one.clone(), two.clone()]);
    paused(&bench);
    bench.store.wish(0, of(Cancel::Stop));
    one.seen.lock().unwrap().push_front(waiting("still"));
    let journal = paused(&bench);
    assert_eq!(
        journal.phase,
        Phase::Cancelling,
        "seen before the step ends"
    );
    assert!(journal.verdict.is_none());
    let journal = bench.to_end();
    assert_eq!(journal.phase, Phase::Cancelled);
    assert_eq!(journal.steps[0].state, EntryState::Done);
    assert_eq!((one.sent(), two.sent()), (1, 0));
    assert!(message(&journal).contains("stopped after one, before two"));
}

#[test]
fn a_stop_seen_in_the_middle_of_a_pass_is_followed_in_that_pass() {
    let one = Toy::new("one", &[Observation::Absent, done()]);
    let two = Toy::new("two", &[Observation::Absent, done()]);
    let bench = Bench::new(&[one.clone(), two.clone()]);
    // Start, intent: the wish comes while the first step is under way.
    bench.store.wish(2, of(Cancel::Stop));
    assert!(matches!(bench.pass(Cancel::No), Some(Pass::Final(_))));
    assert_eq!((one.sent(), two.sent()), (1, 0));
}

#[test]
fn a_stop_that_finds_every_step_done_cancels_nothing() {
    let one = Toy::new("one", &[Observation::Absent, done()]);
    let bench = Bench::new(std::slice::from_ref(&one));
    bench.store.wish(2, of(Cancel::Stop));
    assert_eq!(bench.to_end().phase, Phase::Succeeded);
}

#[test]
fn an_abort_after_a_stop_interrupts_the_step_the_stop_waits_for() {
    let one = Toy::new("one", &[waiting("for ever")]);
    let bench = Bench::new(std::slice::from_ref(&one));
    paused(&bench);
    bench.store.wish(0, of(Cancel::Stop));
    assert_eq!(paused(&bench).phase, Phase::Cancelling);
    bench.store.wish(0, of(Cancel::Abort));
    let journal = bench.to_end();
    assert_eq!(journal.phase, Phase::Cancelled);
    assert!(message(&journal).contains("cancelled during one"));
}

#[test]
fn a_queued_run_is_cancelled_at_once_without_an_effect() {
    for cancel in [Cancel::Stop, Cancel::Abort] {
        let toy = Toy::new("one", &[Observation::Absent, done()]);
        let bench = Bench::new(std::slice::from_ref(&toy));
        *bench.locks.denied.lock().unwrap() = true;
        assert_eq!(paused(&bench).phase, Phase::Queued);
        bench.store.wish(0, of(cancel));
        let Some(Pass::Final(journal)) = bench.pass(Cancel::No) else {
            panic!("must end at once")
        };
        assert_eq!((journal.phase, toy.sent()), (Phase::Cancelled, 0));
        assert_eq!(journal.steps[0].message, None, "it waits nowhere any more");
    }
}

#[test]
fn what_is_owed_is_met_before_a_cancelled_run_is_final() {
    let mut toy = Toy::new("one", &[Observation::Absent, waiting("long")]);
    toy.owes = &[ObligationKind::LeavePrepared];
    let refused = Err(DeviceError::unreachable("array", "no route"));
    let bench = Bench::with(std::slice::from_ref(&toy), &[], vec![refused]);
    paused(&bench);
    bench.store.wish(0, of(Cancel::Abort));
    let journal = paused(&bench);
    assert_eq!(journal.phase, Phase::Cancelling);
    assert!(journal.owes(ObligationKind::LeavePrepared));
    let journal = bench.to_end();
    assert_eq!(journal.phase, Phase::Cancelled);
    assert!(journal.owed_nothing());
}

#[test]
fn a_persons_word_stands_for_the_resume_and_for_nothing_else() {
    let kinds = [
        ObligationKind::ResumeSource,
        ObligationKind::RemoveParameters,
    ];
    let unreachable = || Err(DeviceError::unreachable("prod", "no route"));
    let toy = Toy::new("one", &[waiting("long")]);
    let owed = vec![unreachable(), unreachable(), unreachable(), unreachable()];
    let bench = Bench::with(std::slice::from_ref(&toy), &[], owed);
    let mut journal = bench.store.get();
    for kind in kinds {
        journal.incur(kind, "one", Timestamp::new(fakes::start()));
    }
    journal.window = Some(Default::default());
    *bench.store.journal.lock().unwrap() = journal;
    bench.store.wish(0, of(Cancel::Abort));
    assert!(paused(&bench).owes(ObligationKind::ResumeSource));
    let wishes = Wishes {
        cancel: Cancel::Abort,
        resumed_by_hand: true,
        ..Wishes::default()
    };
    bench.store.wish(0, wishes);
    let journal = paused(&bench);
    assert!(!journal.owes(ObligationKind::ResumeSource));
    assert!(
        journal.owes(ObligationKind::RemoveParameters),
        "still tried"
    );
    let window = journal.window.as_ref().unwrap();
    assert_eq!(window.suspension_proof.as_deref(), Some(RESUMED_BY_HAND));
    assert_eq!(journal.notes.len(), 1);
    assert_eq!(bench.to_end().phase, Phase::Cancelled);
}

#[test]
fn a_resume_that_gets_through_needs_no_persons_word() {
    let toy = Toy::new("one", &[waiting("long")]);
    let bench = Bench::new(std::slice::from_ref(&toy));
    let mut journal = bench.store.get();
    journal.incur(
        ObligationKind::ResumeSource,
        "one",
        Timestamp::new(fakes::start()),
    );
    *bench.store.journal.lock().unwrap() = journal;
    let wishes = Wishes {
        cancel: Cancel::Abort,
        resumed_by_hand: true,
        ..Wishes::default()
    };
    bench.store.wish(0, wishes);
    let journal = bench.to_end();
    assert_eq!(journal.obligations[0].message.as_deref(), Some("met"));
    assert!(journal.notes.is_empty());
}

#[test]
fn an_image_that_a_person_keeps_is_not_ended_by_its_own_run() {
    let ends = || Toy::new("end-copy", &[Observation::Absent, done()]);
    for (keep_image, sent, state) in [(false, 1, EntryState::Done), (true, 0, EntryState::Skipped)]
    {
        let toy = ends();
        let bench = Bench::new(std::slice::from_ref(&toy));
        let wishes = Wishes {
            keep_image,
            ..Wishes::default()
        };
        bench.store.wish(0, wishes);
        let journal = bench.to_end();
        assert_eq!(journal.phase, Phase::Succeeded);
        assert_eq!((toy.sent(), journal.steps[0].state), (sent, state));
    }
}

/// The lock no longer names a run whose image the run itself has ended.
#[test]
fn a_run_that_has_ended_its_own_image_owns_none() {
    let toy = Toy::new("end-copy", &[Observation::Absent, done()]);
    let bench = Bench::new(std::slice::from_ref(&toy));
    *bench.locks.owned.lock().unwrap() = true;
    assert_eq!(bench.to_end().phase, Phase::Succeeded);
    assert!(!*bench.locks.owned.lock().unwrap());
}
