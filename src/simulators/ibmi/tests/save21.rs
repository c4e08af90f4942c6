//! The full save of the guest kit (`ibmi/CONTRACT.md` § 14): before anything is changed, once, and with a record of its end.

use super::*;
use crate::simulators::tape::{TapeSite, file::install};
use std::collections::BTreeMap;

const SAVE: [(&str, &str); 11] = [
    ("save21.device", "TAP01"),
    ("save21.volumes.count", "1"),
    ("save21.volumes.1", "VOL001"),
    ("save21.endOption", "Rewind"),
    ("save21.clear", "None"),
    ("save21.expirationDate", "2027-12-31"),
    ("save21.omit.count", "0"),
    ("save21.controllingQueue", "QSYS/QCTL"),
    ("save21.restrictedStateSeconds", "600"),
    ("save21.replies.count", "0"),
    ("function", "SAVE21"),
];

/// A site whose next copy saves at its IPL, with one more empty cartridge.
fn saving(changes: &[(&'static str, &str)]) -> Shared {
    let shared = site(|_| {});
    let file = parameters(|pairs| {
        let mut all: BTreeMap<&'static str, String> = pairs.drain(..).collect();
        all.extend(SAVE.iter().map(|(k, v)| (*k, (*v).to_owned())));
        all.extend(changes.iter().map(|(k, v)| (*k, (*v).to_owned())));
        pairs.extend(all);
    });
    let mut world = shared.now();
    let tapes: TapeSite = serde_json::from_value(serde_json::json!({
        "cartridges": [{"volume": "VOL001"}]
    }))
    .unwrap();
    install(&mut world, &tapes).unwrap();
    // Copied with the disks, from a source that is suspended.
    let Content::Part { image, .. } = world.contents[&Uid::new(UID)] else {
        panic!("no image")
    };
    let disk = &mut world.images.get_mut(&image).unwrap().disk;
    disk.files.insert(kit::RUN_PARM.to_owned(), file);
    let now = world.now;
    let production = world.systems.get_mut("PROD").unwrap();
    production.suspended.insert("*SYSBAS".to_owned(), now);
    drop(world);
    shared
}

fn record_of(shared: &Shared, path: &str) -> Option<BTreeMap<String, String>> {
    let world = shared.now();
    record::read(disk_of(&world, "CLONE")?.files.get(path)?)
}

fn result(shared: &Shared) -> BTreeMap<String, String> {
    record_of(shared, "/ibmiclone/result").expect("a result")
}

/// IPLs the copy and moves on until `there`, at most so many minutes; boots again after a re-IPL of the kit.
fn until(shared: &Shared, there: impl Fn(&World) -> bool) {
    let running = shared.now().systems.get("CLONE").and_then(|s| s.image());
    let image = running.unwrap_or_else(|| {
        let image = copy(shared);
        boot(&mut shared.now(), "CLONE", image, false);
        image
    });
    for _ in 0..20_000 {
        shared.clock().advance(Duration::from_secs(1));
        let mut world = shared.now();
        if there(&world) {
            return;
        }
        if matches!(world.systems["CLONE"].phase(), Phase::Ending | Phase::Off) {
            boot(&mut world, "CLONE", image, false);
        }
    }
    panic!("{:#?}", shared.now().systems["CLONE"]);
}

fn effects(shared: &Shared, kind: &str) -> u64 {
    shared
        .now()
        .ledger
        .effect_count(&format!("ibmi.CLONE.{kind}"))
}

fn ready(world: &World) -> bool {
    world.ledger.effect_count("ibmi.CLONE.READY") > 0
}

fn restricted(world: &World) -> bool {
    world.systems["CLONE"].phase() == Phase::Restricted
}

#[test]
fn the_save_is_of_the_untouched_image_and_the_personality_comes_after_it() {
    let shared = saving(&[]);
    until(&shared, restricted);
    {
        let world = shared.now();
        let disk = disk_of(&world, "CLONE").unwrap();
        let before = disk_of(&world, "PROD").unwrap();
        assert_eq!(disk.system_name, before.system_name);
        assert_eq!(disk.interfaces, before.interfaces);
        assert_eq!(disk.schedule, before.schedule);
        assert_eq!(disk.job_queues, before.job_queues);
        assert_eq!(disk.strtcp, before.strtcp);
        assert_eq!(super::super::reference_code(&world, "CLONE"), "A9003C70");
        assert!(world.systems["CLONE"].addresses().is_empty(), "no network");
    }
    let begun = record_of(&shared, "/ibmiclone/save21").unwrap();
    assert_eq!(begun["state"], "SAVING");
    assert!(record_of(&shared, "/ibmiclone/result").is_none());
    until(&shared, ready);
    let result = result(&shared);
    assert_eq!(
        (result["state"].as_str(), result["endCode"].as_str()),
        ("SUCCEEDED", "0")
    );
    let steps = "SAVSYS:OK:CPC3722,SAVLIB:OK:CPC3722,SAVDLO:OK:CPC3722,SAV:OK:CPC3722";
    assert_eq!(result["steps"], steps);
    assert!(result["job"].ends_with("/SAVE21"));
    let world = shared.now();
    assert_eq!(world.ledger.violations, []);
    assert_eq!(world.tapes.cartridges["VOL001"].files.len(), 4);
    let disk = disk_of(&world, "CLONE").unwrap();
    assert_eq!(disk.system_name, "CLONE1");
    // Before the first change: the history tells the order.
    let at = |id: &str| disk.history.iter().position(|m| m.id == id).unwrap();
    assert!(at("CPF0968") < at("CLN0504") && at("CLN0504") < at("CLN0211"));
    // The job log lives on as that of an ended job.
    let job = disk.ended.iter().find(|j| j.name == result["job"]).unwrap();
    assert_eq!(job.end_code, 0);
    assert!(job.log.iter().any(|m| m.id == "CPC3722"));
}

/// Power fails in the middle: the tape may hold a good save, so it is never begun a second time.
#[test]
fn an_interrupted_save_is_a_failed_result_and_not_a_second_save() {
    let shared = saving(&[]);
    until(&shared, |w| w.ledger.effect_count("ibmi.CLONE.SAVSYS") > 0);
    let image = shared.now().systems["CLONE"].image().unwrap();
    {
        let mut world = shared.now();
        super::super::power_lost(&mut world, "CLONE");
        boot(&mut world, "CLONE", image, false);
    }
    until(&shared, ready);
    let result = result(&shared);
    assert_eq!(
        (result["state"].as_str(), result["failedId"].as_str()),
        ("FAILED", "CLN0502")
    );
    assert_eq!(result["failed"], "SAVLIB");
    assert!(result["job"].ends_with("/SAVE21") && result["startedAt"] != "-");
    // The first command may have been under way: nothing was written twice.
    let world = shared.now();
    let labels: Vec<&str> = world.tapes.cartridges["VOL001"]
        .files
        .iter()
        .map(|f| f.label.as_str())
        .collect();
    assert_eq!(labels, ["SAVSYS"]);
}

/// An IPL between the submission and the save's begin: the job may be lost, so it is submitted again, and one of them saves.
#[test]
fn a_save_that_was_submitted_and_not_begun_is_submitted_again_and_two_jobs_save_once() {
    let shared = saving(&[]);
    let queue = "QSYS/QCTL".to_owned();
    until(&shared, |w| {
        disk_of(w, "CLONE").is_some_and(|d| d.files.contains_key("/ibmiclone/save21"))
    });
    // The job that the IPL left on the queue: both are there.
    {
        let mut world = shared.now();
        let run = disk_of(&world, "CLONE").unwrap().files[kit::RUN_PARM].clone();
        let run = record::read(&run).unwrap();
        kit::submit_save_again(&mut world, "CLONE", &run, &queue);
    }
    until(&shared, ready);
    assert_eq!(effects(&shared, "ENDSBS-ALL"), 1);
    assert_eq!(result(&shared)["state"], "SUCCEEDED");
    let world = shared.now();
    assert_eq!(world.tapes.cartridges["VOL001"].files.len(), 4);
    let disk = disk_of(&world, "CLONE").unwrap();
    let refused = disk
        .ended
        .iter()
        .filter(|j| j.log.iter().any(|m| m.id == "CLN0505"));
    assert_eq!(refused.count(), 1);
}

#[test]
fn the_first_command_that_fails_ends_the_save_and_the_clone_becomes_ready() {
    for (operation, failed) in [
        ("SAVSYS", "SAVSYS"),
        ("SAVLIB", "SAVLIB"),
        ("SAV DEV", "SAV"),
    ] {
        let shared = saving(&[]);
        let kind = FaultKind::Refuse {
            code: "CPF3794".into(),
            text: "Save ended unsuccessfully.".into(),
        };
        fault(&shared, operation, kind);
        until(&shared, ready);
        let result = result(&shared);
        assert_eq!(
            (
                result["state"].as_str(),
                result["failed"].as_str(),
                result["failedId"].as_str()
            ),
            ("FAILED", failed, "CPF3794")
        );
        assert!(
            result["steps"].ends_with(&format!("{failed}:FAILED:CPF3794")),
            "{}",
            result["steps"]
        );
    }
}

#[test]
fn objects_that_were_left_out_are_a_warning_and_the_next_command_follows() {
    let shared = saving(&[]);
    let kind = FaultKind::Refuse {
        code: "CPF3777".into(),
        text: "Not all libraries saved.".into(),
    };
    fault(&shared, "SAVLIB", kind);
    until(&shared, ready);
    let result = result(&shared);
    assert_eq!(
        (
            result["state"].as_str(),
            result["endCode"].as_str(),
            result["warnings"].as_str()
        ),
        ("SUCCEEDED", "10", "CPF3777")
    );
    assert!(
        result["steps"].contains("SAVLIB:PARTIAL:CPF3777,SAVDLO:OK"),
        "{}",
        result["steps"]
    );
}

#[test]
fn a_restricted_state_that_is_not_reached_is_a_failed_result_and_nothing_is_saved() {
    let shared = saving(&[("save21.restrictedStateSeconds", "60")]);
    shared.now().knobs.restricted_state_milliseconds = 300_000;
    until(&shared, ready);
    let result = result(&shared);
    assert_eq!(
        (result["failed"].as_str(), result["failedId"].as_str()),
        ("restricted-state", "CLN0503")
    );
    assert_eq!(effects(&shared, "SAVSYS"), 0);
}

/// Nobody can answer in restricted state: it stays as it is (`ibmi.md` § 5.3), and the console shows the same code.
#[test]
fn a_tape_that_is_not_ready_waits_for_ever_in_restricted_state() {
    let shared = saving(&[]);
    fault(
        &shared,
        "SAVSYS",
        FaultKind::Special("tape-not-ready".into()),
    );
    until(&shared, restricted);
    for _ in 0..48 {
        shared.clock().advance(Duration::from_secs(3_600));
        let world = shared.now();
        assert_eq!(super::super::reference_code(&world, "CLONE"), "A9003C70");
        assert!(!ready(&world));
    }
}

/// Its end brings the controlling subsystem, the guard runs, and says that the save was interrupted.
#[test]
fn a_job_that_ends_unexpectedly_is_an_interrupted_save() {
    let shared = saving(&[]);
    fault(&shared, "SAVDLO", FaultKind::Special("job-ends".into()));
    until(&shared, ready);
    let result = result(&shared);
    assert_eq!(
        (result["failed"].as_str(), result["failedId"].as_str()),
        ("SAVDLO", "CLN0502")
    );
}

#[test]
fn an_unexpired_volume_stops_the_save_unless_it_is_cleared_or_the_reply_list_says_go() {
    let outcome = |changes: &[(&'static str, &str)]| {
        let shared = saving(changes);
        until(&shared, ready);
        let files = shared.now().tapes.cartridges["OLD001"].files.len();
        (result(&shared)["state"].clone(), files)
    };
    let old = ("save21.volumes.1", "OLD001");
    assert_eq!(outcome(&[old]).0, "FAILED");
    let (state, files) = outcome(&[old, ("save21.clear", "All")]);
    assert_eq!(
        (state.as_str(), files),
        ("SUCCEEDED", 4),
        "the first command clears, the others add"
    );
    let replies = [
        old,
        ("save21.replies.count", "1"),
        ("save21.replies.1.messageId", "CPA4067"),
        ("save21.replies.1.reply", "G"),
    ];
    assert_eq!(outcome(&replies).0, "SUCCEEDED");
}

#[test]
fn a_queue_that_does_not_exist_is_a_failed_result_and_the_clone_becomes_ready() {
    let shared = saving(&[("save21.controllingQueue", "QSYS/NOTHERE")]);
    until(&shared, ready);
    assert_eq!(result(&shared)["failed"], "submit");
}

/// A result that came with production's disks is of another run.
#[test]
fn a_result_of_another_token_does_not_keep_the_save_from_being_made() {
    let shared = saving(&[]);
    let old = record::write("result", &[("runToken", "OLDTOKEN1".to_owned())]);
    {
        let mut world = shared.now();
        let Content::Part { image, .. } = world.contents[&Uid::new(UID)] else {
            panic!("no image")
        };
        let disk = &mut world.images.get_mut(&image).unwrap().disk;
        disk.files.insert("/ibmiclone/result".to_owned(), old);
    }
    until(&shared, ready);
    assert_eq!(result(&shared)["runToken"], TOKEN);
    assert_eq!(effects(&shared, "SAVE21-SUCCEEDED"), 1);
}
