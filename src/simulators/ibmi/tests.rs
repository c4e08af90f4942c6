//! The roles in process, against the world: what the crash matrix stands on.

mod ipl;
mod job_log;
mod job_scheduler;
mod save21;
mod saving;

use super::{
    Phase, SystemFile, boot, disk_of, kit, quality, record, role, run_at_start, set_identity,
};
use crate::drivers::ibmi::IbmIDriver;
use crate::simulators::Shared;
use crate::simulators::clock::SimulatedClock;
use crate::simulators::faults::{Device, Fault, FaultKind};
use crate::simulators::ledger::ViolationKind;
use crate::simulators::world::file::{Knobs, WorldFile};
use crate::simulators::world::{Content, ImageId, Quality, World, coupling};
use crate::site::{
    AspName, Canary, ClCommand, DeviceError, FreezePlan, FreezeSession, IbmI, Identity, JobState,
    LogSource, Message, OnBoundaryTimeout, Session, SourceFreeze, SourceSystem, Submission, Uid,
    Watchdog,
};
use std::sync::Arc;
use std::time::Duration;

const UID: &str = "60050768000000000000000000000001";
const TARGET: &str = "60050768000000000000000000000002";
const PROD_ADDRESS: &str = "10.0.8.11";
const CLONE_ADDRESS: &str = "10.0.9.11";
const TOKEN: &str = "RUNTOKEN1";

fn production() -> Identity {
    Identity::new("7812345", 3)
}

fn clone() -> Identity {
    Identity::new("7812345", 9)
}

fn site(change: impl FnOnce(&mut SystemFile)) -> Shared {
    let mut file = SystemFile::simple("PROD", &[UID], PROD_ADDRESS);
    change(&mut file);
    let whole: WorldFile = serde_json::from_value(serde_json::json!({
        "start": "2026-11-23T20:00:00Z",
        "sources": ["PROD"],
        "console": {"name": "hmc1", "listen": [], "users": [],
            "systems": [{"name": "P10", "typeModel": "9105-42A", "serial": "7812345"}],
            "partitions": [
                {"name": "PROD", "system": "P10", "id": 3, "kind": "OS400"},
                {"name": "CLONE", "system": "P10", "id": 9, "kind": "OS400"}
            ]},
        "vioses": [],
        "array": {"name": "svc", "users": [], "pools": [], "volumes": []},
        "tapes": {"drives": [{"device": "TAP01"}, {"device": "TAP02", "library": false, "loaded": "OLD001"}],
            "cartridges": [{"volume": "A00001"}, {"volume": "A00002"}, {"volume": "BAD001", "broken": true},
                {"volume": "OLD001", "unexpiredDays": 30}]},
        "systems": [],
        "network": []
    }))
    .unwrap_or_else(|e| panic!("{e}"));
    let mut world = World::from_file(&whole).unwrap();
    world.knobs = Knobs {
        ipl_milliseconds: 300_000,
        ..Knobs::default()
    };
    set_identity(&mut world, "PROD", production());
    set_identity(&mut world, "CLONE", clone());
    super::install(&mut world, &[file]).unwrap();
    if world.systems["PROD"].image().is_none() {
        let Content::Part { image, .. } = world.contents[&Uid::new(UID)] else {
            panic!("no image")
        };
        run_at_start(&mut world, "PROD", image);
    }
    let clock = SimulatedClock::manual(world.now);
    Shared::new(world, clock)
}

fn system(shared: &Shared) -> Arc<crate::drivers::ibmi::IbmIDriver> {
    role::ibmi(shared, PROD_ADDRESS, "CLONEOP", "cloneop-secret")
}

fn freeze(shared: &Shared) -> crate::drivers::ibmi::IbmIFreeze {
    role::freeze(
        shared,
        PROD_ADDRESS,
        ("CLONEOP", "cloneop-secret"),
        vec![production()],
    )
}

fn plan() -> FreezePlan {
    FreezePlan {
        run_token: TOKEN.to_owned(),
        asps: vec![AspName::new("*SYSBAS")],
        watchdog_seconds: 90,
        canary: true,
    }
}

fn copy(shared: &Shared) -> ImageId {
    let mut world = shared.now();
    coupling::copy_started(&mut world, &[(Uid::new(UID), Uid::new(TARGET))]);
    let Content::Part { image, .. } = world.contents[&Uid::new(TARGET)] else {
        panic!("nothing copied")
    };
    image
}

fn fault(shared: &Shared, operation: &str, kind: FaultKind) {
    shared.now().faults.add(Fault {
        device: Device::IbmI,
        name: String::new(),
        operation: operation.to_owned(),
        kind,
        times: 1,
    });
}

fn suspended(shared: &Shared) -> Vec<String> {
    shared.now().systems["PROD"].suspended()
}

fn sysbas() -> AspName {
    AspName::new("*SYSBAS")
}

async fn suspend(session: &mut Box<dyn FreezeSession>) -> Result<(), DeviceError> {
    session
        .suspend(&sysbas(), 30, OnBoundaryTimeout::Abort)
        .await
        .map(drop)
}

/// A parameter file that names the clone, as the operator writes it.
pub(crate) fn parameters(change: impl FnOnce(&mut Vec<(&'static str, String)>)) -> Vec<u8> {
    let mut pairs: Vec<(&'static str, String)> = [
        ("runToken", TOKEN),
        ("runNumber", "7"),
        ("environment", "e"),
        ("function", "USER"),
        ("operator", "op"),
        ("writtenAt", "2026-11-23T20:00:00Z"),
        ("notAfter", "2026-11-24T20:00:00Z"),
        ("sourceIdentity.count", "1"),
        ("sourceIdentity.1", "7812345/3"),
        ("sourceScpf", "1261024200000"),
        ("clone.serialNumber", "7812345"),
        ("clone.partitionId", "9"),
        ("systemName", "CLONE1"),
        ("hostName", "clone1"),
        ("network", "Shared"),
        ("interface.count", "1"),
        ("interface.1.address", CLONE_ADDRESS),
        ("interface.1.netmask", "255.255.255.0"),
        ("interface.1.lineDescription", "ETHLINE"),
        ("interface.1.resource", "CMN03"),
        ("route.count", "0"),
        ("sourceInterface.count", "1"),
        ("sourceInterface.1.address", PROD_ADDRESS),
        ("sourceRoute.count", "0"),
        ("startSubsystem.count", "1"),
        ("startSubsystem.1", "QBATCH"),
        ("scheduledJobs", "Hold"),
        ("js1.dataLibrary.count", "1"),
        ("js1.dataLibrary.1", "QUSRIJS"),
        ("js1.monitorJob.count", "1"),
        ("js1.monitorJob.1", "QIJSSCD"),
        ("releaseJobQueue.count", "1"),
        ("releaseJobQueue.1", "QGPL/QBATCH"),
        ("varyOnAsps", "No"),
        ("asp.count", "0"),
    ]
    .map(|(k, v)| (k, v.to_owned()))
    .to_vec();
    change(&mut pairs);
    record::write("run", &pairs)
}

/// Copies production's disks and IPLs them as the clone until nothing moves any more.
fn ipl_clone(shared: &Shared) {
    let image = copy(shared);
    boot(&mut shared.now(), "CLONE", image, false);
    for _ in 0..40 {
        shared.clock().advance(Duration::from_secs(60));
        let mut world = shared.now();
        if matches!(world.systems["CLONE"].phase(), Phase::Ending | Phase::Off) {
            // What the hypervisor does after PWRDWNSYS RESTART(*YES).
            boot(&mut world, "CLONE", image, false);
        }
    }
}

/// A whole log.
async fn log_of(system: &IbmIDriver, session: &Session, source: &LogSource) -> Vec<Message> {
    let mut all = Vec::new();
    let mut each = |m| all.push(m);
    system.messages(session, source, &mut each).await.unwrap();
    all
}

#[tokio::test]
async fn a_copy_between_suspend_and_resume_is_of_a_suspended_source() {
    let shared = site(|_| {});
    let freeze = freeze(&shared);
    let mut session = freeze.open(&plan()).await.unwrap();
    suspend(&mut session).await.unwrap();
    session.start_canary().await.unwrap();
    shared.clock().advance(Duration::from_secs(1));
    let state = session.state().await.unwrap();
    assert_eq!(
        (state.canary, state.watchdog),
        (Canary::Pending, Watchdog::Armed)
    );
    assert_eq!(quality(&shared.now(), "PROD"), Quality::Suspended);
    copy(&shared);
    let time = session.resume(&sysbas()).await.unwrap();
    assert_eq!(time.milliseconds, 500);
    assert_eq!(session.state().await.unwrap().canary, Canary::Completed);
    assert_eq!(session.close().await.unwrap(), Watchdog::Ended);
    drop(session);
    let mut world = shared.now();
    world.check_left_behind();
    assert_eq!(world.ledger.violations, []);
}

#[tokio::test]
async fn an_operator_that_dies_while_suspended_leaves_a_running_source() {
    let shared = site(|_| {});
    let freeze = freeze(&shared);
    let mut session = freeze.open(&plan()).await.unwrap();
    suspend(&mut session).await.unwrap();
    assert_eq!(suspended(&shared), ["*SYSBAS"]);
    drop(session);
    assert_eq!(suspended(&shared), Vec::<String>::new());
}

#[tokio::test]
async fn a_silent_network_is_ended_by_the_watchdog_and_the_image_is_not_clean() {
    let shared = site(|_| {});
    let freeze = freeze(&shared);
    let mut session = freeze.open(&plan()).await.unwrap();
    fault(&shared, "EOF", FaultKind::Special("silent-loss".to_owned()));
    suspend(&mut session).await.unwrap();
    drop(session);
    drop(freeze);
    assert_eq!(suspended(&shared), ["*SYSBAS"]);
    shared.clock().advance(Duration::from_secs(95));
    assert_eq!(suspended(&shared), Vec::<String>::new());
    let again = self::freeze(&shared);
    assert_eq!(again.disarm_watchdog(TOKEN).await.unwrap(), Watchdog::Fired);
    assert_eq!(
        again.disarm_watchdog("ANOTHER1").await.unwrap(),
        Watchdog::Ended
    );
    copy(&shared);
    let world = shared.now();
    assert_eq!(
        world.ledger.violations[0].kind,
        ViolationKind::CopyWithoutSuspension
    );
}

#[tokio::test]
async fn a_refused_suspend_suspends_nothing() {
    let shared = site(|f| f.long_transaction_seconds = 45);
    let freeze = freeze(&shared);
    let mut session = freeze.open(&plan()).await.unwrap();
    let refused = suspend(&mut session).await.unwrap_err();
    assert_eq!(refused.reason(), "Refused");
    assert_eq!(suspended(&shared), Vec::<String>::new());
    let kept = session
        .suspend(&sysbas(), 30, OnBoundaryTimeout::KeepSuspended)
        .await
        .unwrap();
    assert_eq!(kept.milliseconds, 30_000);
    assert_eq!(suspended(&shared), ["*SYSBAS"]);
}

#[tokio::test]
async fn the_spare_resumes_what_a_silent_helper_left() {
    let shared = site(|_| {});
    let freeze = freeze(&shared);
    let mut session = freeze.open(&plan()).await.unwrap();
    fault(
        &shared,
        "CHGASPACT SUSPEND",
        FaultKind::Special("silent".to_owned()),
    );
    let lost = suspend(&mut session).await.unwrap_err();
    assert_eq!(lost.reason(), "Indeterminate");
    assert_eq!(suspended(&shared), ["*SYSBAS"]);
    freeze.resume_anyway(&[sysbas()]).await.unwrap();
    assert_eq!(suspended(&shared), Vec::<String>::new());
}

#[tokio::test]
async fn without_a_kit_no_window_opens_and_a_plain_resume_still_works() {
    let shared = site(|f| f.kit_installed = false);
    let freeze = freeze(&shared);
    assert_eq!(
        freeze.open(&plan()).await.err().unwrap().reason(),
        "Unreachable"
    );
    freeze.resume_anyway(&[sysbas()]).await.unwrap();
    shared.now().knobs.resume_when_running_fails = true;
    assert_eq!(
        freeze
            .resume_anyway(&[sysbas()])
            .await
            .unwrap_err()
            .reason(),
        "Refused"
    );
}

#[tokio::test]
async fn independent_asps_come_before_sysbas() {
    let shared = site(|f| {
        for (name, available) in [("IASP2", true), ("IASP1", true), ("IASP3", false)] {
            f.asps.push(super::file::AspFile {
                name: name.to_owned(),
                available,
            });
        }
    });
    let asps = freeze(&shared).asps().await.unwrap();
    let names: Vec<&str> = asps.iter().map(AspName::as_str).collect();
    assert_eq!(names, ["IASP1", "IASP2", "*SYSBAS"]);
}

#[tokio::test]
async fn the_probe_tells_who_answers_and_a_hidden_identity_says_what_to_grant() {
    let shared = site(|_| {});
    let session = system(&shared).connect().await.unwrap();
    assert_eq!(session.system.identity, production());
    assert_eq!(session.system.scpf_entry_time, "1261024200000");
    assert_eq!(session.system.now, shared.now().now);
    let hidden = site(|f| f.users[0].qpmlpmgt = false);
    let error = system(&hidden).connect().await.unwrap_err();
    assert_eq!(error.code(), Some("IdentityHidden"));
    assert!(error.to_string().contains("QPMLPMGT"), "{error}");
}

#[tokio::test]
async fn a_job_is_followed_to_its_end_and_its_log_is_found() {
    let shared = site(|f| {
        for (name, result) in [
            ("MYSAVE", super::file::ProgramResult::Normal),
            ("BAD", super::file::ProgramResult::Abnormal),
            ("ASKS", super::file::ProgramResult::Msgw),
            ("GONE", super::file::ProgramResult::Vanish),
        ] {
            f.programs.push(super::file::ProgramFile {
                program: format!("CLNLIB/{name}"),
                seconds: Some(600),
                result,
                messages: Vec::new(),
            });
        }
    });
    let i = system(&shared);
    let session = i.connect().await.unwrap();
    for name in ["MYSAVE", "BAD", "ASKS", "GONE"] {
        let job = Submission {
            name: name.to_owned(),
            command: ClCommand::new(format!("CALL PGM(CLNLIB/{name})")),
            job_queue: "QGPL/QBATCH".to_owned(),
            user: None,
        };
        let submitted = i.submit(&session, &job).await.unwrap();
        assert!(submitted.as_str().ends_with(name));
        assert_eq!(
            i.job(&session, name).await.unwrap().unwrap().state,
            JobState::Active
        );
        assert_eq!(
            log_of(&i, &session, &LogSource::JobLog(submitted)).await[0].id,
            "CPF1124"
        );
    }
    shared.clock().advance(Duration::from_secs(601));
    let state = async |name: &str| i.job(&session, name).await.unwrap().unwrap();
    assert_eq!(
        state("MYSAVE").await.state,
        JobState::Ended {
            normal: true,
            severity: 0
        }
    );
    assert_eq!(state("MYSAVE").await.active_milliseconds, Some(601_000));
    assert_eq!(
        state("BAD").await.state,
        JobState::Ended {
            normal: false,
            severity: 40
        }
    );
    assert!(
        matches!(state("ASKS").await.state, JobState::MessageWait(q) if q.text.contains("CPA4278") && q.place.is_some())
    );
    assert_eq!(
        state("GONE").await.state,
        JobState::Ended {
            normal: true,
            severity: 0
        }
    );
    let bad = state("BAD").await.name;
    let log = log_of(&i, &session, &LogSource::JobLog(bad)).await;
    assert!(
        log.iter()
            .any(|m| m.id == "CEE9901" && m.severity == 40 && !m.second_level.is_empty()),
        "{log:?}"
    );
    assert_eq!(i.job(&session, "NEVER").await.unwrap(), None);
}

#[tokio::test]
async fn an_unknown_command_and_an_unknown_table_are_refused() {
    let shared = site(|_| {});
    let i = system(&shared);
    let session = i.connect().await.unwrap();
    let done = i
        .run(&session, &ClCommand::new("MAKECOFFEE"))
        .await
        .unwrap();
    assert!(!done.succeeded);
    let ids: Vec<&str> = done.messages.iter().map(|m| m.id.as_str()).collect();
    assert_eq!(ids, ["CPD0030", "CPF0006"]);
    let error = i
        .query(&session, "SELECT A FROM QSYS2.NOTHING")
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some("42704"));
    let error = i
        .query(&session, "SELECT NOTHING FROM QSYS2.PTF_INFO")
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some("42703"));
}

#[tokio::test]
async fn new_work_hangs_while_suspended_or_not_as_the_knob_says() {
    let shared = site(|_| {});
    let i = system(&shared);
    let session = i.connect().await.unwrap();
    let freeze = freeze(&shared);
    let mut window = freeze
        .open(&FreezePlan {
            watchdog_seconds: 720,
            ..plan()
        })
        .await
        .unwrap();
    suspend(&mut window).await.unwrap();
    let lost = i
        .query(&session, "SELECT HOST_NAME FROM QSYS2.SYSTEM_STATUS_INFO")
        .await;
    assert_eq!(lost.unwrap_err().reason(), "Indeterminate");
    shared.now().knobs.exec_hangs_while_suspended = false;
    let session = i.connect().await.unwrap();
    assert!(
        i.query(&session, "SELECT HOST_NAME FROM QSYS2.SYSTEM_STATUS_INFO")
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn the_source_is_proved_before_anything_is_sent() {
    let shared = site(|_| {});
    let source = SourceSystem(system(&shared));
    assert!(source.prove(&[production()]).await.is_ok());
    assert!(source.prove(&[clone()]).await.is_err());
    let wrong = role::freeze(
        &shared,
        PROD_ADDRESS,
        ("CLONEOP", "cloneop-secret"),
        vec![clone()],
    );
    assert_eq!(
        wrong.open(&plan()).await.err().unwrap().code(),
        Some("IdentityUnexpected")
    );
}
