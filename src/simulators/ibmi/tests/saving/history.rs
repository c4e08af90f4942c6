//! The FlashCopy process of BRMS and the way of its history (`ibmi.md` §§ 4.1–4.3, 4.6).

use super::*;

const STATES: [BrmsState; 4] = [
    BrmsState::Normal,
    BrmsState::StartProcess,
    BrmsState::StartBackup,
    BrmsState::EndBackup,
];

/// Brings production into a state by the only way there is.
fn brought_to(shared: &Shared, to: BrmsState) {
    for (state, word) in STATES[1..].iter().zip(["*STRPRC", "*STRBKU", "*ENDBKU"]) {
        if super::state(shared, "PROD") == to {
            return;
        }
        done(shared, "PROD", &process(word));
        assert_eq!(super::state(shared, "PROD"), *state);
    }
}

#[test]
fn every_order_but_the_right_one_is_refused_with_the_configured_id() {
    for from in STATES {
        for to in STATES {
            let shared = site_with(|b| b.knobs.wrong_order_id = "BRM4321".to_owned());
            brought_to(&shared, from);
            let right = [
                (BrmsState::Normal, BrmsState::StartProcess),
                (BrmsState::StartProcess, BrmsState::StartBackup),
                (BrmsState::StartBackup, BrmsState::EndBackup),
                (BrmsState::StartProcess, BrmsState::Normal),
                (BrmsState::EndBackup, BrmsState::Normal),
            ];
            if right.contains(&(from, to)) {
                done(&shared, "PROD", &process(to.word()));
                assert_eq!(state(&shared, "PROD"), to);
            } else {
                refused(&shared, "PROD", &process(to.word()), "BRM4321");
                assert_eq!(state(&shared, "PROD"), from, "a refusal changes nothing");
            }
        }
    }
}

#[test]
fn a_repeated_state_and_an_early_end_are_taken_when_the_knobs_say_so() {
    let shared = site_with(|b| {
        b.knobs.repeated_state_fails = false;
        b.knobs.end_process_during_backup = true;
    });
    for word in [
        "*ENDPRC", "*STRPRC", "*STRPRC", "*STRBKU", "*STRBKU", "*ENDPRC",
    ] {
        done(&shared, "PROD", &process(word));
    }
    refused(&shared, "PROD", &process("*NOSUCH"), "CPF0006");
}

#[test]
fn a_frozen_production_neither_saves_nor_maintains_until_it_is_released() {
    let shared = site_with(|b| b.knobs.frozen_id = "BRM4322".to_owned());
    done(&shared, "PROD", &process("*STRPRC"));
    for command in [
        DAILY,
        "STRBKUBRM CTLGRP(DAILY) SBMJOB(*CTLSBS)",
        "STRMNTBRM MOVMED(*YES) RUNCLNUP(*YES) PRTRCYRPT(*ALL)",
        "MOVMEDBRM",
    ] {
        refused(&shared, "PROD", command, "BRM4322");
    }
    assert_eq!(shared.now().tapes.cartridges["A00001"].files, []);
    done(&shared, "PROD", "CRTSAVF FILE(QGPL/S)");
    done(
        &shared,
        "PROD",
        "SAVLIB LIB(QUSRBRM) DEV(*SAVF) SAVF(QGPL/S)",
    );
    done(&shared, "PROD", &process("*ENDPRC"));
    done(&shared, "PROD", DAILY);
    assert_eq!(left_behind(&shared), [], "production knows its own tapes");
}

#[test]
fn without_brms_its_commands_do_not_exist() {
    let shared = site(|_| {});
    refused(&shared, "PROD", &process("*STRPRC"), "CPF0006");
    refused(&shared, "PROD", SET_NAME, "CPD0170");
}

#[test]
fn a_clone_starts_frozen_and_saves_between_strbku_and_endbku_only() {
    let shared = site_with(|_| {});
    clone_of_frozen(&shared);
    assert_eq!(state(&shared, "CLONE"), BrmsState::StartProcess);
    refused(&shared, "CLONE", DAILY, "BRM40FC");
    done(&shared, "CLONE", &process("*STRBKU"));
    done(&shared, "CLONE", DAILY);
    done(&shared, "CLONE", &process("*ENDBKU"));
    refused(&shared, "CLONE", DAILY, "BRM40FC");
    let image = shared.now().systems["CLONE"].image().unwrap();
    let mut world = shared.now();
    let disk = &mut world.images.get_mut(&image).unwrap().disk;
    disk.brms
        .as_mut()
        .unwrap()
        .file
        .knobs
        .saves_after_end_backup = true;
    drop(world);
    done(&shared, "CLONE", DAILY);
    assert_eq!(state(&shared, "PROD"), BrmsState::StartProcess);
}

#[test]
fn a_renamed_clone_saves_in_its_own_name_unless_it_is_given_productions() {
    for (named, system) in [(true, "PROD"), (false, "CLONE1")] {
        let shared = site_with(|_| {});
        clone_of_frozen(&shared);
        if named {
            done(&shared, "CLONE", SET_NAME);
        }
        done(&shared, "CLONE", &process("*STRBKU"));
        done(&shared, "CLONE", DAILY);
        let world = shared.now();
        let brms = disk_of(&world, "CLONE").unwrap().brms.as_ref().unwrap();
        assert_eq!(brms.history[0].system, system);
        let written = world.tapes.cartridges["A00001"].files[0].brms.as_deref();
        assert_eq!(written, Some(system));
    }
}

#[test]
fn parameters_of_the_old_program_of_another_length_are_refused() {
    let shared = site_with(|_| {});
    for parameters in [
        "'BRMSYSNAME' '*SET' 'PROD    '",
        "'BRMSYSNAME' '*SET      ' 'PROD'",
        "'BRMSYSNAME' '*SETX     ' 'PROD    '",
    ] {
        let call = format!("CALL PGM(QBRM/Q1AOLD) PARM({parameters})");
        refused(&shared, "PROD", &call, "CPF9898");
    }
}

#[test]
fn a_flash_time_is_not_later_than_now_and_needs_the_advanced_feature() {
    let call = |kind: &str, time: &str| {
        format!(
            "CALL PGM(QBRM/Q1AOLD) PARM('FLASHTIME ' '*ENABLE   ' '*SYSBAS   ' '{kind}' '{time}')"
        )
    };
    let shared = site_with(|_| {});
    // It is 2026-11-23 20:00:00 there.
    done(&shared, "PROD", &call("*QSYS", "1261123195959"));
    done(&shared, "PROD", &call("*IFS ", "1261123195959"));
    refused(&shared, "PROD", &call("*QSYS", "1261123200001"), "CPF9898");
    refused(&shared, "PROD", &call("*IFS", "1261123195959"), "CPF9898");
    done(&shared, "PROD", DAILY);
    let flash = |shared: &Shared| {
        let world = shared.now();
        let brms = disk_of(&world, "PROD").unwrap().brms.as_ref().unwrap();
        brms.history[0].flash_time.clone()
    };
    assert_eq!(flash(&shared).as_deref(), Some("1261123195959"));
    let without = site_with(|b| b.advanced_feature = false);
    refused(&without, "PROD", &call("*QSYS", "1261123195959"), "CPF9898");
}

#[test]
fn a_restored_history_knows_the_clones_tapes_and_production_is_released() {
    let shared = site_with(|_| {});
    saved(&shared);
    transferred(&shared, |_| {});
    network_ended(&shared);
    done(&shared, "PROD", RESTORE);
    assert_eq!(
        state(&shared, "PROD"),
        BrmsState::EndBackup,
        "the clone's state came with it"
    );
    done(&shared, "PROD", &process("*ENDPRC"));
    assert_eq!(state(&shared, "PROD"), BrmsState::Normal);
    let world = shared.now();
    let brms = disk_of(&world, "PROD").unwrap().brms.as_ref().unwrap();
    assert_eq!(brms.history[0].volumes, ["A00001"]);
    assert!(
        world.systems["PROD"]
            .subsystems()
            .contains(&"Q1ABRMNET".to_owned())
    );
    drop(world);
    assert_eq!(left_behind(&shared), []);
    done(&shared, "PROD", DAILY);
    let world = shared.now();
    assert_eq!(world.tapes.cartridges["A00002"].files[0].partition, "PROD");
}

#[test]
fn a_release_without_the_history_leaves_tapes_that_production_overwrites_one_day() {
    let shared = site_with(|_| {});
    saved(&shared);
    assert_eq!(
        left_behind(&shared),
        [],
        "as long as it is frozen nothing can happen"
    );
    done(&shared, "PROD", &process("*ENDPRC"));
    let found = left_behind(&shared);
    assert_eq!(kinds(&found), [ViolationKind::TapeUnknownToProduction]);
    assert!(found[0].text.contains("A00001"), "{}", found[0].text);
    done(&shared, "PROD", DAILY);
    let found = shared.now().ledger.violations.clone();
    assert_eq!(
        kinds(&found),
        [
            ViolationKind::TapeUnknownToProduction,
            ViolationKind::BackupTapeOverwritten
        ]
    );
}

#[test]
fn a_listed_volume_is_counted_and_is_no_violation() {
    let shared = site_with(|_| {});
    saved(&shared);
    done(&shared, "PROD", &process("*ENDPRC"));
    shared.now().tapes.protected.insert("A00001".to_owned());
    assert_eq!(left_behind(&shared), []);
    assert_eq!(
        shared.now().ledger.effect_count("tape.unknown-but-listed"),
        1
    );
}

#[test]
fn a_merge_brings_history_and_media_that_it_is_asked_for() {
    for (kinds_of, loses, unknown) in [
        ("*ARC *BKU *MED", false, 0),
        ("*ARC *BKU", false, 1),
        ("*ARC *BKU *MED", true, 1),
    ] {
        let shared = site_with(|b| b.knobs.merge_loses_newest_volume = loses);
        saved(&shared);
        transferred(&shared, |_| {});
        let merge =
            format!("INZBRM OPTION(*MERGE) FROMLIB(TMPBRM) TOLIB(QUSRBRM) MERGE({kinds_of})");
        refused(&shared, "PROD", &merge, "CPF2110");
        // To another library although the network runs: nothing of that is in use.
        done(
            &shared,
            "PROD",
            &RESTORE.replace("RSTLIB(QUSRBRM)", "RSTLIB(TMPBRM)"),
        );
        done(&shared, "PROD", &merge);
        done(&shared, "PROD", "DLTLIB LIB(TMPBRM)");
        refused(&shared, "PROD", &merge, "CPF2110");
        assert_eq!(
            state(&shared, "PROD"),
            BrmsState::StartProcess,
            "a merge is no state"
        );
        done(&shared, "PROD", &process("*ENDPRC"));
        let world = shared.now();
        let brms = disk_of(&world, "PROD").unwrap().brms.as_ref().unwrap();
        assert_eq!(brms.history.len(), 1);
        drop(world);
        assert_eq!(left_behind(&shared).len(), unknown, "{kinds_of} {loses}");
    }
}

#[test]
fn a_locked_library_is_not_restored_and_its_subsystem_takes_its_time_to_end() {
    let shared = site_with(|_| {});
    saved(&shared);
    transferred(&shared, |_| {});
    refused(&shared, "PROD", RESTORE, "CPF3773");
    done(&shared, "PROD", "ENDSBS SBS(Q1ABRMNET) OPTION(*IMMED)");
    let answer = commands::run(&mut shared.now(), "PROD", "CLONEOP", RESTORE);
    assert!(!answer.ok, "it is still ending");
    assert_eq!(state(&shared, "PROD"), BrmsState::StartProcess);
    wait(&shared, 3);
    refused(&shared, "PROD", "ENDSBS SBS(Q1ABRMNET)", "CPF1054");
    done(&shared, "PROD", RESTORE);
}

#[test]
fn a_save_file_that_was_cut_or_converted_is_refused() {
    let shared = site_with(|_| {});
    saved(&shared);
    transferred(&shared, |bytes| bytes.truncate(bytes.len() - 1));
    network_ended(&shared);
    refused(&shared, "PROD", RESTORE, "CPF9898");
    let converted = "CPYFRMSTMF FROMSTMF('/tmp/hist') TOMBR('/QSYS.LIB/IBMICLONE.LIB/HIST.FILE') MBROPT(*REPLACE)";
    refused(&shared, "PROD", converted, "CPF9898");
    assert_eq!(state(&shared, "PROD"), BrmsState::StartProcess);
}

#[test]
fn a_history_saved_before_the_end_of_the_backup_keeps_production_frozen() {
    let shared = site_with(|_| {});
    clone_of_frozen(&shared);
    done(&shared, "CLONE", &process("*STRBKU"));
    transferred(&shared, |_| {});
    network_ended(&shared);
    done(&shared, "PROD", RESTORE);
    refused(&shared, "PROD", &process("*ENDPRC"), "BRM40FD");
}

#[test]
fn a_group_without_media_is_refused_with_brm415a_and_an_unknown_one_too() {
    let shared = site_with(|b| b.media[1].active_days = 3);
    done(&shared, "PROD", DAILY);
    let answer = commands::run(&mut shared.now(), "PROD", "CLONEOP", DAILY);
    let ids: Vec<&str> = answer.messages.iter().map(|m| m.id.as_str()).collect();
    assert_eq!((answer.ok, ids), (false, vec!["BRM415A", "BRM40FB"]));
    assert!(log_ids(&shared, "PROD").contains(&"BRM415A".to_owned()));
    refused(
        &shared,
        "PROD",
        "STRBKUBRM CTLGRP(NOSUCH) SBMJOB(*NO)",
        "CPF9898",
    );
    // Four days later the second volume has expired.
    wait(&shared, 4 * 86_400);
    done(&shared, "PROD", DAILY);
}

#[test]
fn a_group_ends_as_it_is_told_and_leaves_its_messages() {
    for (result, ok, history) in [
        (GroupResult::Normal, true, 1),
        (GroupResult::Unsaved, false, 1),
        (GroupResult::Failed, false, 0),
    ] {
        let shared = site_with(|b| {
            b.control_groups[0].result = result;
            b.control_groups[0].messages = vec![super::super::super::file::ProgramMessage {
                id: "CPF3770".to_owned(),
                severity: 30,
                kind: "DIAGNOSTIC".to_owned(),
                text: "No objects saved for library X.".to_owned(),
                repeat: 1,
            }];
        });
        assert_eq!(cl(&shared, "PROD", DAILY).0, ok);
        let ids = log_ids(&shared, "PROD");
        for id in ["BRM1380", "BRM10A1", "CPC3701", "CPF3770"] {
            assert!(ids.contains(&id.to_owned()), "{id} {ids:?}");
        }
        assert_eq!(ids.contains(&"BRM1049".to_owned()), ok);
        let world = shared.now();
        let brms = disk_of(&world, "PROD").unwrap().brms.as_ref().unwrap();
        assert_eq!(brms.history.len(), history);
        // Begun is written, whatever came of it.
        assert_eq!(world.tapes.cartridges["A00001"].files.len(), 1);
    }
}
