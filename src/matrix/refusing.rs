//! A system that refuses one command again and again, which no single fault shows: what is owed stays owed until it is
//! done, and a command of BRMS that ends badly leaves neither production frozen nor a tape unknown to it.

use super::scenario::{RunUnderTest, Setting};
use super::stage::Stage;
use super::tests::setting;
use crate::simulators::faults::{Device, Fault, FaultKind};

/// One run in which this command is refused so often; what does not hold.
fn refused(
    stage: &Stage,
    setting: Setting,
    (partition, command): (&str, &str),
    times: u32,
) -> Vec<String> {
    let run = RunUnderTest::new(stage, setting, 2, &[]);
    run.shared.now().faults.add(Fault {
        device: Device::IbmI,
        name: partition.to_owned(),
        operation: command.to_owned(),
        kind: FaultKind::Refuse {
            code: "CPF9898".into(),
            text: "It cannot be done now.".into(),
        },
        times,
    });
    run.arm();
    let journal = run.to_end();
    let mut found = run.broken(&journal);
    let unused = run
        .shared
        .now()
        .faults
        .take(Device::IbmI, partition, command);
    if times == 1 && unused.is_some() {
        found.push("the command was never sent".to_owned());
    }
    let told = found.into_iter();
    told.map(|text| format!("{setting:?} {partition} {command} x{times}: {text}"))
        .collect()
}

fn none(found: Vec<String>) {
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_resume_that_is_refused_for_a_while_stays_owed_until_production_runs() {
    let stage = Stage::prepared();
    for canary in [false, true] {
        for times in [1, 4, 30, 300] {
            let resume = ("PROD", "CHGASPACT RESUME");
            none(refused(&stage, setting("HOLD", canary), resume, times));
        }
    }
}

#[test]
fn a_command_of_brms_that_ends_badly_leaves_nothing_frozen_and_no_tape_unknown() {
    let brms = setting("BRMS", false);
    let stage = Stage::prepared_for(brms);
    for command in [
        ("PROD", "INZBRM OPTION(*FLASHCOPY) STATE(*STRPRC)"),
        ("CLONE1", "INZBRM OPTION(*FLASHCOPY) STATE(*STRBKU)"),
        ("CLONE1", "STRBKUBRM"),
        ("CLONE1", "STRMNTBRM"),
        ("CLONE1", "INZBRM OPTION(*FLASHCOPY) STATE(*ENDBKU)"),
        ("CLONE1", "SAVLIB LIB(QUSRBRM)"),
        ("PROD", "RSTLIB SAVLIB(QUSRBRM)"),
        ("PROD", "INZBRM OPTION(*FLASHCOPY) STATE(*ENDPRC)"),
    ] {
        for times in [1, 3] {
            none(refused(&stage, brms, command, times));
        }
    }
}

/// The run has failed before a save, and only owes ENDPRC.
#[test]
fn a_release_that_is_only_owed_is_tried_until_it_ends_well() {
    let brms = setting("BRMS", false);
    let stage = Stage::prepared_for(brms);
    let run = RunUnderTest::new(&stage, brms, 2, &[]);
    for (partition, state, times) in [("CLONE1", "*STRBKU", 1), ("PROD", "*ENDPRC", 3)] {
        run.shared.now().faults.add(Fault {
            device: Device::IbmI,
            name: partition.to_owned(),
            operation: format!("INZBRM OPTION(*FLASHCOPY) STATE({state})"),
            kind: FaultKind::Refuse {
                code: "BRM40FC".into(),
                text: "It cannot be done now.".into(),
            },
            times,
        });
    }
    run.arm();
    let journal = run.to_end();
    let reason = journal.verdict.as_ref().map(|v| v.reason.as_str());
    assert_eq!(reason, Some("BackupNotBegun"));
    none(run.broken(&journal));
}
