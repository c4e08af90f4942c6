//! Batch restricted state: STRBKUBRM SBMJOB(*CTLSBS), and what the outside sees of it (`ibmi.md` §§ 4.4, 5.2, 5.3).

use super::*;
use crate::simulators::ibmi::{Answering, answering, attention};

const SYSTEM: &str = "STRBKUBRM CTLGRP(*SYSGRP) SBMJOB(*CTLSBS)";

/// The clone, ready to save.
fn clone(change: impl FnOnce(&mut BrmsFile)) -> Shared {
    let shared = site_with(change);
    clone_of_frozen(&shared);
    done(&shared, "CLONE", SET_NAME);
    done(&shared, "CLONE", &process("*STRBKU"));
    shared
}

fn seen(shared: &Shared) -> (String, bool, bool) {
    let mut world = shared.now();
    let answers = answering(&mut world, CLONE_ADDRESS) == Answering::Partition("CLONE".to_owned());
    (
        reference_code(&world, "CLONE"),
        attention(&world, "CLONE"),
        answers,
    )
}

fn saving() -> (String, bool, bool) {
    ("A9003C70".to_owned(), true, false)
}

fn back() -> (String, bool, bool) {
    ("00000000".to_owned(), false, true)
}

fn ended(shared: &Shared) -> u32 {
    let world = shared.now();
    let ended = &disk_of(&world, "CLONE").unwrap().ended;
    ended
        .iter()
        .rfind(|j| j.name.ends_with("/BRMSBKU"))
        .unwrap()
        .end_code
}

fn ready_stage(shared: &Shared) -> String {
    let world = shared.now();
    let bytes = &disk_of(&world, "CLONE").unwrap().files["/ibmiclone/ready"];
    record::read(bytes).unwrap()["stage"].clone()
}

#[test]
fn a_system_group_runs_in_restricted_state_and_the_guard_runs_again_behind_it() {
    let shared = clone(|_| {});
    done(
        &shared,
        "CLONE",
        "SBMJOB CMD(DLYJOB DLY(100000)) JOB(OTHER) JOBQ(QGPL/QBATCH)",
    );
    done(&shared, "CLONE", SYSTEM);
    assert_eq!(seen(&shared), back(), "the session lives for a moment");
    wait(&shared, 31);
    assert_eq!(seen(&shared), saving());
    {
        let world = shared.now();
        let disk = disk_of(&world, "CLONE").unwrap();
        let ids: Vec<&str> = disk.history.iter().map(|m| m.id.as_str()).collect();
        assert!(
            ids.contains(&"CPF0994") && ids.contains(&"CPF0968"),
            "{ids:?}"
        );
        let other = disk.ended.iter().find(|j| j.name.ends_with("/OTHER"));
        assert_eq!(other.map(|j| j.end_code), Some(50));
        assert_eq!(world.systems["CLONE"].subsystems(), Vec::<String>::new());
    }
    wait(&shared, 3500);
    assert_eq!(seen(&shared), saving());
    wait(&shared, 100);
    assert_eq!(seen(&shared), back());
    assert_eq!((ended(&shared), ready_stage(&shared)), (0, "3".to_owned()));
    let world = shared.now();
    let brms = disk_of(&world, "CLONE").unwrap().brms.as_ref().unwrap();
    let items: Vec<&str> = brms.history.iter().map(|h| h.item.as_str()).collect();
    assert_eq!(items, ["*SAVSYS", "*IBM"]);
    assert_eq!(world.ledger.violations, []);
}

#[test]
fn a_system_group_beside_other_work_bypasses_the_system() {
    let shared = clone(|_| {});
    refused(
        &shared,
        "CLONE",
        "STRBKUBRM CTLGRP(*SYSGRP) SBMJOB(*NO)",
        "BRM40FB",
    );
    assert!(log_ids(&shared, "CLONE").contains(&"BRM1744".to_owned()));
}

#[test]
fn a_restricted_state_beyond_the_job_end_limit_bypasses_the_system() {
    let shared = clone(|_| {});
    shared.now().knobs.restricted_state_milliseconds = 200_000;
    done(&shared, "CLONE", SYSTEM);
    wait(&shared, 121);
    assert_eq!(seen(&shared), back(), "the save runs beside the rest");
    wait(&shared, 100);
    assert_eq!(seen(&shared), saving());
    wait(&shared, 3700);
    assert_eq!((seen(&shared), ended(&shared)), (back(), 30));
    assert!(log_ids(&shared, "CLONE").contains(&"BRM1744".to_owned()));
    let world = shared.now();
    let brms = disk_of(&world, "CLONE").unwrap().brms.as_ref().unwrap();
    let items: Vec<&str> = brms.history.iter().map(|h| h.item.as_str()).collect();
    assert_eq!(items, ["*IBM"]);
}

#[test]
fn a_held_controlling_queue_and_a_forbidding_policy_start_nothing() {
    let shared = clone(|_| {});
    done(&shared, "CLONE", "HLDJOBQ JOBQ(QSYS/QCTL)");
    done(&shared, "CLONE", SYSTEM);
    wait(&shared, 4000);
    assert_eq!(seen(&shared), back());
    let without = clone(|b| b.allow_batch = false);
    refused(&without, "CLONE", SYSTEM, "CPF9898");
}

#[test]
fn the_time_limit_of_the_policy_cuts_the_save() {
    let shared = clone(|b| b.restricted_minutes = 10);
    done(&shared, "CLONE", SYSTEM);
    wait(&shared, 31);
    wait(&shared, 650);
    assert_eq!(seen(&shared), back());
    assert_eq!(ended(&shared), 30);
}

#[test]
fn a_restricted_state_that_never_ends_shows_its_code_for_ever() {
    let shared = clone(|_| {});
    shared.now().knobs.restricted_state_ends = false;
    done(&shared, "CLONE", SYSTEM);
    wait(&shared, 31);
    wait(&shared, 100_000);
    assert_eq!(seen(&shared), saving());
}

#[test]
fn a_network_that_does_not_come_back_leaves_a_silent_running_partition() {
    let shared = clone(|_| {});
    shared.now().knobs.tcp_returns_after_restricted_state = false;
    done(&shared, "CLONE", SYSTEM);
    wait(&shared, 31);
    wait(&shared, 3700);
    assert_eq!(seen(&shared), ("00000000".to_owned(), false, false));
    done(&shared, "CLONE", "STRTCP");
    assert!(!seen(&shared).2);
}

#[test]
fn a_tape_that_is_not_ready_looks_like_a_healthy_save() {
    let shared = clone(|_| {});
    fault(
        &shared,
        "STRBKUBRM",
        FaultKind::Special("tape-not-ready".to_owned()),
    );
    done(&shared, "CLONE", SYSTEM);
    // The fault waits for the job's command, not for its submission.
    wait(&shared, 31);
    wait(&shared, 100_000);
    assert_eq!(seen(&shared), saving());
    let world = shared.now();
    assert_eq!(world.tapes.cartridges["A00001"].files, []);
}

#[test]
fn a_job_that_ends_unexpectedly_ends_the_restricted_state() {
    let shared = clone(|_| {});
    fault(
        &shared,
        "STRBKUBRM",
        FaultKind::Special("job-ends".to_owned()),
    );
    done(&shared, "CLONE", SYSTEM);
    wait(&shared, 31);
    assert_eq!(seen(&shared), back());
    assert_eq!(ended(&shared), 50);
}

#[test]
fn a_clone_switched_off_in_the_middle_leaves_a_written_tape() {
    let shared = clone(|_| {});
    done(&shared, "CLONE", SYSTEM);
    wait(&shared, 31);
    wait(&shared, 600);
    hmc::stop_by_hand(&mut shared.now(), "CLONE");
    done(&shared, "PROD", &process("*ENDPRC"));
    let found = left_behind(&shared);
    assert_eq!(kinds(&found), [ViolationKind::TapeUnknownToProduction]);
}
