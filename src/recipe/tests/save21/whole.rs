//! Whole runs that save, and what they leave alone.

use super::*;

fn saved(world: &World) {
    result(world, &[]);
    write(world, READY_PATH, &READY, &[]);
}

#[tokio::test]
async fn a_whole_run_saves_and_sends_nothing_to_the_clone() {
    let world = living();
    saved(&world);
    let journal = run(&world, &plan("SAVE21")).await;
    assert_eq!(journal.phase, Phase::Succeeded, "{:#?}", journal.verdict);
    assert_eq!(state(&journal, "await-clone"), EntryState::Done);
    let sent = effects(&world);
    assert_eq!(
        sent.iter().filter(|s| *s == "power off").count(),
        1,
        "before the copy"
    );
    assert!(!sent.iter().any(|s| s.starts_with("clone: ")), "{sent:?}");
    let kinds: Vec<LogKind> = world.set().logs.keys().copied().collect();
    assert_eq!(kinds, [LogKind::Steps, LogKind::JobLog, LogKind::History]);
}

#[tokio::test]
async fn a_failed_save_fails_the_run_with_row_and_id_after_its_logs_are_kept() {
    let world = living();
    saved(&world);
    for (id, words) in [
        ("CLN0502", "not begun a second time"),
        ("CLN0503", "restrictedStateSeconds"),
        ("CPF3794", "SAVSYS"),
    ] {
        result(
            &world,
            &[("state", "FAILED"), ("failed", "SAVSYS"), ("failedId", id)],
        );
        let journal = run(&world, &plan("SAVE21")).await;
        assert_eq!(reason(&journal), (Phase::Failed, "FunctionFailed"));
        let text = journal.verdict.expect("one").message;
        assert!(text.contains(id) && text.contains(words), "{text}");
        assert!(world.set().logs.contains_key(&LogKind::JobLog));
    }
}

/// Whatever `after` says: a clone that may be saving is not switched off, and its image is not ended.
#[tokio::test]
async fn no_time_limit_and_no_onfailure_switches_a_saving_clone_off() {
    let world = living();
    silence(&world);
    let mut plan = with(
        "SAVE21",
        json!({"after": {"clone": "PowerOff", "image": "End", "onFailure": "Apply"}}),
    );
    plan.function_seconds = 300;
    let journal = run(&world, &plan).await;
    assert_eq!(reason(&journal), (Phase::Failed, "OutcomeUnknown"));
    for step in ["power-off-clone", "unmap-after", "end-copy"] {
        assert_eq!(state(&journal, step), EntryState::Pending, "{step}");
    }
    let offs = effects(&world).iter().filter(|s| *s == "power off").count();
    assert_eq!(offs, 1, "only the one before the copy");
}

/// The time of the whole run may be over before that of the function: no step can say it then.
#[tokio::test]
async fn the_end_of_the_runs_own_time_leaves_the_save_too_and_says_so() {
    let world = living();
    silence(&world);
    let mut plan = with(
        "SAVE21",
        json!({"after": {"clone": "PowerOff", "image": "End", "onFailure": "Apply"}}),
    );
    plan.run_seconds = 1_800;
    let journal = run(&world, &plan).await;
    assert_eq!(reason(&journal), (Phase::Failed, "RunTimedOut"));
    let text = journal.verdict.clone().expect("one").message;
    assert!(
        text.contains("nobody ended it") && text.contains("do not switch the clone off"),
        "{text}"
    );
    assert_eq!(state(&journal, "power-off-clone"), EntryState::Pending);
    let offs = effects(&world).iter().filter(|s| *s == "power off").count();
    assert_eq!(offs, 1, "only the one before the copy");
}

/// The same list, and the save has ended badly: then it is over, and `after` is applied.
#[tokio::test]
async fn a_save_that_is_over_does_not_keep_the_clone_on() {
    let world = living();
    saved(&world);
    result(
        &world,
        &[
            ("state", "FAILED"),
            ("failed", "SAV"),
            ("failedId", "CPF383E"),
        ],
    );
    let plan = with(
        "SAVE21",
        json!({"after": {"clone": "PowerOff", "onFailure": "Apply"}}),
    );
    let journal = run(&world, &plan).await;
    assert_eq!(reason(&journal), (Phase::Failed, "FunctionFailed"));
    assert_eq!(state(&journal, "power-off-clone"), EntryState::Done);
}

fn at_function(journal: &Journal) -> bool {
    journal
        .entry(ID)
        .is_some_and(|e: &Entry| e.state == EntryState::Intended)
}

#[tokio::test]
async fn an_abort_leaves_the_save_as_it_is_and_says_so() {
    let world = living();
    world.clone_state(PartitionState::Running, "00000000");
    silence(&world);
    let plan = with(
        "SAVE21",
        json!({"after": {"clone": "PowerOff", "onFailure": "Apply"}}),
    );
    let (journal, _) = run_wishing(&world, &plan, |j| match at_function(j) {
        true => Cancel::Abort,
        false => Cancel::No,
    })
    .await;
    assert_eq!(reason(&journal), (Phase::Cancelled, "Aborted"));
    let text = journal.verdict.clone().expect("one").message;
    assert!(
        text.contains("nobody ended it") && text.contains("do not switch the clone off"),
        "{text}"
    );
    assert_eq!(journal.output(ID, "result"), Some("left"));
    let offs = effects(&world).iter().filter(|s| *s == "power off").count();
    assert_eq!(offs, 1);
}

#[tokio::test]
async fn a_stop_waits_for_the_save_and_keeps_its_logs() {
    let world = living();
    saved(&world);
    let saving = std::sync::atomic::AtomicU32::new(0);
    silence(&world);
    let (journal, _) = run_wishing(&world, &plan("SAVE21"), |j| {
        if !at_function(j) {
            return match saving.load(std::sync::atomic::Ordering::Relaxed) {
                0 => Cancel::No,
                _ => Cancel::Stop,
            };
        }
        // The save ends a while after the wish.
        if saving.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 5 {
            let answers = living().set().systems["clone"].session.clone();
            world.system("clone", |s| s.session = answers);
        }
        Cancel::Stop
    })
    .await;
    assert_eq!(reason(&journal), (Phase::Cancelled, "Stopped"));
    assert_eq!(state(&journal, ID), EntryState::Done);
    assert_eq!(state(&journal, "collect-logs"), EntryState::Done);
    assert!(world.set().logs.contains_key(&LogKind::JobLog));
}

/// What the matrix of two runs shows of a USER run's locks holds for this one too: it has the same ones.
#[tokio::test]
async fn clone_and_target_set_are_held_until_the_save_is_over_and_production_is_not() {
    let world = living();
    saved(&world);
    let (journal, released) = run_watching_locks(&world, &plan("SAVE21")).await;
    assert_eq!(journal.phase, Phase::Succeeded, "{:#?}", journal.verdict);
    let at = |kind: LockKind| -> Vec<&str> {
        let of = released.iter().filter(|(k, _)| *k == kind);
        of.map(|(_, at)| at.as_str()).collect()
    };
    assert_eq!(at(LockKind::Clone), ["end"]);
    assert_eq!(at(LockKind::TargetSet), ["end"]);
    assert_eq!(at(LockKind::Source).first(), Some(&"map-volumes"));
    let set = |function: &str| {
        let recipe = crate::recipe::build(&plan(function), world.sink());
        (recipe.lock_set)(&journal)
    };
    assert_eq!(set("SAVE21"), set("USER"));
}
