//! The Advanced Job Scheduler on a copy: held by the kit, or noticed by the world.

use super::*;
use crate::simulators::ibmi::commands;
use crate::simulators::ibmi::file::{DataLibraryFile, JobSchedulerFile, SchedulerJobFile};

fn library(name: &str, autostart: bool) -> DataLibraryFile {
    DataLibraryFile {
        name: name.to_owned(),
        monitor_job: if name == "QUSRIJS" {
            "QIJSSCD"
        } else {
            "TESTMON"
        }
        .to_owned(),
        autostart,
        jobs: vec![SchedulerJobFile {
            name: "INVOICES".to_owned(),
            held: false,
            recovers: true,
        }],
    }
}

fn scheduler(libraries: Vec<DataLibraryFile>) -> impl FnOnce(&mut SystemFile) {
    |f| {
        f.job_scheduler = Some(JobSchedulerFile {
            data_libraries: libraries,
        });
    }
}

/// Copies production with this parameter file and IPLs the copy.
async fn clone_of(shared: &Shared, change: impl FnOnce(&mut Vec<(&'static str, String)>)) {
    let source = system(shared);
    let session = source.connect().await.unwrap();
    let file = parameters(change);
    source.put(&session, kit::RUN_PARM, &file).await.unwrap();
    let freeze = freeze(shared);
    let mut window = freeze.open(&plan()).await.unwrap();
    suspend(&mut window).await.unwrap();
    ipl_clone(shared);
    drop(window);
}

fn set(pairs: &mut [(&'static str, String)], key: &str, value: &str) {
    for (_, v) in pairs.iter_mut().filter(|(k, _)| *k == key) {
        value.clone_into(v);
    }
}

fn read(shared: &Shared, path: &str) -> std::collections::BTreeMap<String, String> {
    let world = shared.now();
    let disk = disk_of(&world, "CLONE").unwrap();
    let bytes = disk.files.get(path);
    bytes.and_then(|b| record::read(b)).unwrap_or_default()
}

fn work_done_twice(shared: &Shared) -> bool {
    let world = shared.now();
    let mut kinds = world.ledger.violations.iter().map(|v| v.kind);
    kinds.any(|k| k == ViolationKind::ProductionJobsOnClone)
}

fn js1(shared: &Shared) -> (String, String) {
    let ready = read(shared, "/ibmiclone/ready");
    let get = |key: &str| ready.get(key).cloned().unwrap_or_default();
    (get("js1"), get("js1Monitors"))
}

fn failed(shared: &Shared) -> (String, String) {
    let marker = read(shared, "/ibmiclone/marker");
    let get = |key: &str| marker.get(key).cloned().unwrap_or_default();
    (get("failed"), get("failedId"))
}

fn pair(a: &str, b: &str) -> (String, String) {
    (a.to_owned(), b.to_owned())
}

#[tokio::test]
async fn a_monitor_that_starts_with_its_subsystem_is_held_on_the_clone_and_cannot_be_started_there()
{
    let both = vec![library("QUSRIJS", true), library("TESTJS", true)];
    let shared = site(scheduler(both));
    clone_of(&shared, |p| {
        set(p, "js1.dataLibrary.count", "2");
        set(p, "js1.monitorJob.count", "2");
        p.push(("js1.dataLibrary.2", "TESTJS".to_owned()));
        p.push(("js1.monitorJob.2", "TESTMON".to_owned()));
    })
    .await;
    assert_eq!(js1(&shared), pair("Held", "0"));
    let mut world = shared.now();
    let started = "STRJS OPTION(*MONITOR) DTALIB(QUSRIJS)";
    assert!(!commands::run(&mut world, "CLONE", "CLONEOP", started).ok);
    assert!(disk_of(&world, "PROD").unwrap().scheduler["QUSRIJS"].monitored);
    assert_eq!(world.ledger.violations, []);
}

#[tokio::test]
async fn without_the_product_there_is_nothing_to_hold() {
    let shared = site(|_| {});
    clone_of(&shared, |_| {}).await;
    assert_eq!(js1(&shared), pair("Absent", "0"));
}

#[tokio::test]
async fn a_data_library_that_nobody_named_submits_productions_jobs() {
    // What the parameter file does not name, the kit cannot hold: the world notices.
    let both = vec![library("QUSRIJS", false), library("TESTJS", true)];
    let shared = site(scheduler(both));
    clone_of(&shared, |_| {}).await;
    assert!(work_done_twice(&shared));
}

#[tokio::test]
async fn a_product_without_a_known_data_library_stops_the_clone() {
    let shared = site(scheduler(vec![library("TESTJS", false)]));
    clone_of(&shared, |_| {}).await;
    assert_eq!(failed(&shared), pair("hold-js1", "CLN0216"));
    assert_eq!(
        shared.now().systems["CLONE"].addresses(),
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn keep_leaves_the_scheduler_alone_and_says_that_it_runs() {
    let shared = site(scheduler(vec![library("QUSRIJS", true)]));
    clone_of(&shared, |p| set(p, "scheduledJobs", "Keep")).await;
    assert_eq!(js1(&shared), pair("Active", "1"));
    assert!(!work_done_twice(&shared));
}

#[tokio::test]
async fn a_monitor_that_was_faster_than_the_guard_gives_the_clone_up() {
    for endjs_works in [true, false] {
        let shared = site(scheduler(vec![library("QUSRIJS", true)]));
        {
            let knobs = &mut shared.now().knobs;
            knobs.monitor_starts_before_start_up = true;
            knobs.endjs_works = endjs_works;
        }
        clone_of(&shared, |_| {}).await;
        assert!(work_done_twice(&shared));
        let id = if endjs_works { "CLN0215" } else { "CPF9898" };
        assert_eq!(failed(&shared), pair("hold-js1", id));
        let world = shared.now();
        assert_eq!(world.systems["CLONE"].addresses(), Vec::<String>::new());
        let runs = world.systems["CLONE"].jobs.values();
        let monitors = runs.filter(|j| j.short_name() == "QIJSSCD").count();
        assert_eq!(monitors, usize::from(!endjs_works));
    }
}

#[tokio::test]
async fn a_monitor_that_only_the_start_up_program_starts_never_runs_on_the_clone() {
    // The advice of CLN0215: AUTOSTART(*NO) and STRJS in production's start-up program. It needs no ENDJS.
    let shared = site(scheduler(vec![library("QUSRIJS", false)]));
    {
        let knobs = &mut shared.now().knobs;
        knobs.monitor_starts_before_start_up = true;
        knobs.endjs_works = false;
    }
    clone_of(&shared, |_| {}).await;
    assert_eq!(js1(&shared), pair("Held", "0"));
    assert!(!work_done_twice(&shared));
    let world = shared.now();
    let mut jobs = world.systems["PROD"].jobs.values();
    assert!(
        jobs.any(|j| j.short_name() == "QIJSSCD"),
        "production's own"
    );
}

#[tokio::test]
async fn jobs_are_held_one_by_one_and_a_monitored_library_is_not_switched_off() {
    let shared = site(scheduler(vec![library("QUSRIJS", true)]));
    let mut world = shared.now();
    let mut ok = |text: &str| commands::run(&mut world, "PROD", "CLONEOP", text).ok;
    assert!(!ok("HLDJOBJS JOB(*ALL)"), "there is no *ALL form");
    assert!(ok("HLDJOBJS JOB(INVOICES)"));
    assert!(!ok("CHGDLJS DTALIB(QUSRIJS) MON(*NO)"), "monitor active");
    assert!(ok("ENDJS OPTION(*MONITOR) DTALIB(*ALL)"));
    assert!(ok("CHGDLJS DTALIB(QUSRIJS) MON(*NO) AUTOSTART(*NO)"));
    assert!(!ok("STRJS OPTION(*MONITOR) DTALIB(QUSRIJS)"));
}
