//! The full save in a job of the controlling subsystem, command by command (`ibmi.md` §§ 5.1–5.5).

use super::*;
use crate::simulators::ibmi::script::{self, Outcome, Script, Step};

const END_ALL: &str = "ENDSBS SBS(*ALL) OPTION(*IMMED)";

fn command(text: &str) -> Step {
    Step::Command(text.to_owned())
}

fn keep(world: &mut World, partition: &str, _job: &str, outcomes: &[Outcome]) {
    let text = outcomes.iter().map(|o| {
        let word = o.command.split(' ').next().unwrap_or_default();
        format!("{word} {} {}\n", o.ok, o.ids.join(","))
    });
    let image = world.systems[partition].image().unwrap();
    let disk = &mut world.images.get_mut(&image).unwrap().disk;
    disk.files
        .insert("/result".to_owned(), text.collect::<String>().into_bytes());
}

/// What the program of a full save does, with these saves, on a system that is not production's here.
fn run(shared: &Shared, saves: &[&str]) -> String {
    let mut steps = vec![
        command("ENDHOSTSVR SERVER(*ALL)"),
        command("ENDTCPSVR SERVER(*ALL)"),
        command("ENDTCP OPTION(*IMMED)"),
        command(END_ALL),
        Step::AwaitRestricted {
            milliseconds: 600_000,
        },
        command("VRYCFG CFGOBJ(TAP01) CFGTYPE(*DEV) STATUS(*ON)"),
        command("VRYCFG CFGOBJ(TAP02) CFGTYPE(*DEV) STATUS(*ON)"),
    ];
    steps.extend(saves.iter().map(|s| command(s)));
    steps.extend([Step::Act(keep), command("STRSBS SBSD(QSYS/QCTL)")]);
    let script = Script::new(steps).going_on();
    let job = script::submit(
        &mut shared.now(),
        "PROD",
        ("QSYS", "SAVE21", "QSYS/QCTL"),
        script,
    );
    for _ in 0..200 {
        wait(shared, 60);
    }
    job
}

fn result(shared: &Shared) -> Vec<String> {
    let world = shared.now();
    let bytes = disk_of(&world, "PROD")
        .unwrap()
        .files
        .get("/result")
        .cloned();
    let text = String::from_utf8(bytes.unwrap_or_default()).unwrap();
    text.lines().map(str::to_owned).collect()
}

const SAVES: [&str; 4] = [
    "SAVSYS DEV(TAP01) VOL(A00001) ENDOPT(*LEAVE) CLEAR(*NONE)",
    "SAVLIB LIB(*NONSYS) DEV(TAP01) VOL(A00001) ENDOPT(*LEAVE) ACCPTH(*YES)",
    "SAVDLO DLO(*ALL) FLR(*ANY) DEV(TAP01) VOL(A00001) ENDOPT(*LEAVE)",
    "SAV DEV('/QSYS.LIB/TAP01.DEVD') OBJ(('/*') ('/QSYS.LIB' *OMIT) ('/QDLS' *OMIT)) VOL(A00001) ENDOPT(*REWIND)",
];

#[test]
fn a_full_save_writes_its_four_parts_behind_one_another_and_remembers_the_dates() {
    let shared = site(|_| {});
    run(&shared, &SAVES);
    assert_eq!(
        result(&shared)[7..],
        [
            "SAVSYS true CPC3722",
            "SAVLIB true CPC3722",
            "SAVDLO true CPC3722",
            "SAV true CPC3722"
        ]
    );
    let world = shared.now();
    let labels: Vec<&str> = world.tapes.cartridges["A00001"]
        .files
        .iter()
        .map(|f| f.label.as_str())
        .collect();
    assert_eq!(labels, ["SAVSYS", "NONSYS", "SAVDLO", "SAV"]);
    let disk = disk_of(&world, "PROD").unwrap();
    for area in ["QSYS/QSAVSYS", "QSYS/QSAVLIBALL"] {
        assert!(disk.data_areas.contains_key(area), "{area}");
    }
    // Started again by the job itself, with production's own start-up program.
    assert!(
        world.systems["PROD"]
            .subsystems()
            .contains(&"QBATCH".to_owned())
    );
    assert_eq!(world.systems["PROD"].phase(), Phase::Up);
}

#[test]
fn saves_of_the_system_need_the_restricted_state_a_drive_and_a_varied_on_device() {
    let shared = site(|_| {});
    refused(&shared, "PROD", END_ALL, "CPF9898");
    refused(&shared, "PROD", "SAVSYS DEV(TAP09)", "CPF9814");
    refused(&shared, "PROD", SAVES[0], "CPF9898");
    refused(
        &shared,
        "PROD",
        "VRYCFG CFGOBJ(TAP09) CFGTYPE(*DEV) STATUS(*ON)",
        "CPF2702",
    );
    done(
        &shared,
        "PROD",
        "VRYCFG CFGOBJ(TAP01) CFGTYPE(*DEV) STATUS(*ON)",
    );
    refused(&shared, "PROD", SAVES[0], "CPF3785");
    refused(&shared, "PROD", SAVES[1], "CPF3785");
    done(&shared, "PROD", SAVES[2]);
    refused(
        &shared,
        "PROD",
        "SAVDLO DLO(*ALL) DEV(TAP01) VOL(BAD001)",
        "CPF9898",
    );
}

#[test]
fn active_files_stop_a_save_that_does_not_clear_and_the_reply_list_answers_for_it() {
    let old = "SAVDLO DLO(*ALL) FLR(*ANY) DEV(TAP02) CLEAR(*NONE)";
    let asked = site(|_| {});
    let job = run(&asked, &[old]);
    {
        let world = asked.now();
        let (system, disk) = super::super::super::system::view(&world, "PROD").unwrap();
        assert_eq!(system.phase(), Phase::Restricted, "nobody can answer");
        assert_eq!(disk.operator_queue.last().unwrap().id, "CPA4067");
        assert_eq!(world.tapes.cartridges["OLD001"].files[0].label, "BEFORE");
    }
    script::answered(&mut asked.now(), "PROD", &job, "C");
    wait(&asked, 60);
    assert_eq!(result(&asked).last().unwrap(), "SAVDLO false CPF9898");

    // A job that does not use the reply list asks all the same.
    let unlisted = site(|_| {});
    done(
        &unlisted,
        "PROD",
        "ADDRPYLE SEQNBR(1) MSGID(CPA4067) RPY(G)",
    );
    run(&unlisted, &[old]);
    assert_eq!(result(&unlisted), Vec::<String>::new());
    assert_eq!(reference_code(&unlisted.now(), "PROD"), "A9003C70");
    let listed = site(|_| {});
    done(&listed, "PROD", "ADDRPYLE SEQNBR(1) MSGID(CPA4067) RPY(G)");
    run(&listed, &["CHGJOB INQMSGRPY(*SYSRPYL)", old]);
    assert_eq!(result(&listed).last().unwrap(), "SAVDLO true CPC3722");
    let cleared = site(|_| {});
    run(&cleared, &["SAVDLO DLO(*ALL) DEV(TAP02) CLEAR(*ALL)"]);
    assert_eq!(result(&cleared).last().unwrap(), "SAVDLO true CPC3722");
    let label = |s: &Shared| s.now().tapes.cartridges["OLD001"].files[0].label.clone();
    assert_eq!(
        (label(&listed), label(&cleared)),
        ("SAVDLO".into(), "SAVDLO".into())
    );
}

#[test]
fn a_drive_that_is_not_ready_waits_and_a_media_error_is_told() {
    let shared = site(|_| {});
    shared.now().tapes.drives.get_mut("TAP01").unwrap().ready = false;
    let job = run(&shared, &SAVES[..1]);
    assert_eq!(reference_code(&shared.now(), "PROD"), "A9003C70");
    shared.now().tapes.drives.get_mut("TAP01").unwrap().ready = true;
    script::answered(&mut shared.now(), "PROD", &job, "G");
    wait(&shared, 60);
    assert_eq!(result(&shared).last().unwrap(), "SAVSYS true CPC3722");
    let broken = site(|_| {});
    fault(
        &broken,
        "SAVLIB LIB(*NONSYS)",
        FaultKind::Refuse {
            code: "CPF5003".to_owned(),
            text: "Media error.".to_owned(),
        },
    );
    run(&broken, &SAVES);
    assert_eq!(result(&broken)[8], "SAVLIB false CPF5003");
    assert_eq!(
        result(&broken)[9],
        "SAVDLO true CPC3722",
        "the program decides whether to go on"
    );
}

#[test]
fn a_script_that_stops_ends_its_job_abnormally_at_the_first_failure() {
    let shared = site(|_| {});
    let script = Script::new(vec![command("DSPLIB LIB(NOSUCH)"), Step::Act(keep)]);
    script::submit(
        &mut shared.now(),
        "PROD",
        ("QSYS", "TWO", "QSYS/QCTL"),
        script,
    );
    wait(&shared, 1);
    assert_eq!(result(&shared), Vec::<String>::new());
    let world = shared.now();
    assert_eq!(disk_of(&world, "PROD").unwrap().ended[0].end_code, 30);
}

#[test]
fn a_submitted_command_is_run_and_ends_as_it_ends() {
    let shared = site(|_| {});
    done(
        &shared,
        "PROD",
        "SBMJOB CMD(CRTLIB LIB(NEWLIB)) JOB(MAKE) JOBQ(QGPL/QBATCH)",
    );
    done(
        &shared,
        "PROD",
        "SBMJOB CMD(CRTLIB LIB(NEWLIB)) JOB(AGAIN) JOBQ(QGPL/QBATCH)",
    );
    wait(&shared, 1);
    let world = shared.now();
    let disk = disk_of(&world, "PROD").unwrap();
    assert!(disk.objects.contains("QSYS/NEWLIB *LIB"));
    let codes: Vec<u32> = disk.ended.iter().map(|j| j.end_code).collect();
    assert_eq!(codes, [0, 30]);
    assert!(disk.ended[1].log.iter().any(|m| m.id == "CPF2111"));
}

#[test]
fn what_was_saved_to_a_file_comes_back_and_what_was_not_is_refused() {
    let shared = site(|_| {});
    let objects = |change: &dyn Fn(&mut std::collections::BTreeSet<String>)| {
        let mut world = shared.now();
        let image = world.systems["PROD"].image().unwrap();
        change(&mut world.images.get_mut(&image).unwrap().disk.objects);
    };
    let library = || "QSYS/ORDERS *LIB".to_owned();
    let file = || "ORDERS/DATA *FILE".to_owned();
    let save = "SAVLIB LIB(ORDERS) DEV(*SAVF) SAVF(QGPL/S1)";
    let restore = "RSTLIB SAVLIB(ORDERS) DEV(*SAVF) SAVF(QGPL/S1)";
    refused(&shared, "PROD", save, "CPF2110");
    objects(&|o| o.extend([library(), file()]));
    refused(&shared, "PROD", save, "CPF9801");
    refused(&shared, "PROD", "CRTSAVF FILE(NOLIB/S1)", "CPF2110");
    done(&shared, "PROD", "CRTSAVF FILE(QGPL/S1)");
    refused(&shared, "PROD", "CRTSAVF FILE(QGPL/S1)", "CPF5813");
    refused(&shared, "PROD", restore, "CPF9898");
    done(&shared, "PROD", save);
    refused(&shared, "PROD", save, "CPF9898");
    objects(&|o| o.retain(|x| *x != library() && *x != file()));
    done(&shared, "PROD", restore);
    objects(&|o| assert!(o.contains(&library()) && o.contains(&file())));
    refused(
        &shared,
        "PROD",
        &save.replace("*SAVF)", "TAP09)"),
        "CPF9814",
    );
    done(&shared, "PROD", "CLRSAVF FILE(QGPL/S1)");
    refused(&shared, "PROD", restore, "CPF9898");
    done(&shared, "PROD", "DLTF FILE(QGPL/S1)");
    refused(&shared, "PROD", "DLTF FILE(QGPL/S1)", "CPF2105");
}
