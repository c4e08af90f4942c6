use super::super::fakes::*;
use super::step;
use crate::engine::journal::ObligationKind;
use crate::engine::step::Observation;
use crate::recipe::operator_lock::{LOCK_TAKE, LOCK_WRITE, lock_text};
use crate::recipe::parameters::{SourceFacts, parameter_file};
use crate::recipe::queries::{INTERFACES, ROUTES, SourceRoute};
use crate::recipe::records::{LOCK_PATH, PARAMETERS_PATH, Record};
use chrono::{TimeZone, Utc};

fn source_facts() -> SourceFacts {
    SourceFacts {
        now: Utc.with_ymd_and_hms(2026, 11, 23, 3, 0, 0).unwrap(),
        scpf: "1261120010000".into(),
        clone: identity(7),
        interfaces: vec!["10.0.8.11".into()],
        routes: vec![SourceRoute {
            destination: "10.9.0.0".into(),
            netmask: "255.255.0.0".into(),
            next_hop: "10.0.8.2".into(),
        }],
        asps: vec!["IASP1".into()],
    }
}

#[test]
fn the_save_is_described_with_every_key_of_the_contract_and_only_for_its_function() {
    let (mut spec, facts) = sample("SAVE21");
    let save = serde_json::json!({
        "device": "TAP01", "volumes": ["A1", "A2"], "endOption": "Unload", "clear": "All",
        "expirationDate": "2027-12-31", "omit": ["SCRATCH", "TMP*"], "controllingQueue": "QSYS/QCTL",
        "restrictedStateSeconds": 900, "replies": [{"messageId": "CPA4067", "reply": "G"}]
    });
    spec.save21 = serde_json::from_value(save).expect("a block");
    let plan = crate::recipe::Plan::new(&spec, facts).expect("a plan");
    let text = parameter_file(&plan, &source_facts()).expect("plain characters");
    let lines: Vec<&str> = text.lines().filter(|l| l.starts_with("save21.")).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    save21.device=TAP01
    save21.volumes.count=2
    save21.volumes.1=A1
    save21.volumes.2=A2
    save21.endOption=Unload
    save21.clear=All
    save21.expirationDate=2027-12-31
    save21.omit.count=2
    save21.omit.1=SCRATCH
    save21.omit.2=TMP*
    save21.controllingQueue=QSYS/QCTL
    save21.restrictedStateSeconds=900
    save21.replies.count=1
    save21.replies.1.messageId=CPA4067
    save21.replies.1.reply=G
    ");
    let user = parameter_file(&crate::recipe::fakes::plan("USER"), &source_facts());
    assert!(!user.expect("plain").contains("save21."));
}

#[test]
fn the_file_holds_every_key_of_the_contract() {
    let text = parameter_file(&plan("USER"), &source_facts()).expect("plain characters");
    let body = text.split("checksum=").next().expect("a body");
    insta::assert_snapshot!(body, @r"
    version=1
    operator=op1
    runToken=RUN00000001
    runNumber=42
    environment=nightly
    function=USER
    writtenAt=2026-11-23T03:00:00Z
    notAfter=2026-11-23T21:00:00Z
    sourceIdentity.count=1
    sourceIdentity.1=78ABCD0/3
    sourceScpf=1261120010000
    clone.serialNumber=78ABCD0
    clone.partitionId=7
    systemName=CLONE1
    hostName=clone1
    domain=example.com
    network=Shared
    interface.count=1
    interface.1.address=10.0.8.21
    interface.1.netmask=255.255.255.0
    interface.1.lineDescription=ETHLINE
    interface.1.resource=CMN03
    route.count=1
    route.1.destination=*DFTROUTE
    route.1.netmask=*NONE
    route.1.nextHop=10.0.8.1
    startSubsystem.count=1
    startSubsystem.1=QSYSWRK
    scheduledJobs=Hold
    js1.dataLibrary.count=1
    js1.dataLibrary.1=QUSRIJS
    js1.monitorJob.count=1
    js1.monitorJob.1=QIJSSCD
    releaseJobQueue.count=1
    releaseJobQueue.1=QSYS/QSYSNOMAX
    sourceInterface.count=1
    sourceInterface.1.address=10.0.8.11
    sourceRoute.count=1
    sourceRoute.1.destination=10.9.0.0
    sourceRoute.1.netmask=255.255.0.0
    sourceRoute.1.nextHop=10.0.8.2
    varyOnAsps=Yes
    asp.count=1
    asp.1=IASP1
    ");
    assert!(Record::parse(text.as_bytes()).is_ok());
}

#[test]
fn hold_releases_no_job_queue_and_a_line_without_resource_keeps_its_own() {
    let mut plan = plan("HOLD");
    plan.personality.interfaces[0].resource = None;
    let text = parameter_file(&plan, &source_facts()).expect("plain characters");
    assert!(text.contains("releaseJobQueue.count=0\n"));
    assert!(text.contains("interface.1.resource=*KEEP\n"));
}

#[tokio::test]
async fn the_file_is_written_once_and_read_back_by_its_checksum() {
    let world = world();
    world.system("source", |s| {
        s.rows.insert(
            INTERFACES.into(),
            Ok(vec![row(&[
                ("INTERNET_ADDRESS", "10.0.8.11"),
                ("LINE_DESCRIPTION", "ETHLINE"),
            ])]),
        );
        s.rows.insert(ROUTES.into(), Ok(Vec::new()));
    });
    let step = step("USER", "write-parameters", &world);
    assert_eq!(step.incurs(), [ObligationKind::RemoveParameters]);
    let mut journal = journal();
    assert_eq!(world.look(&*step, &journal).await, Observation::Absent);
    let handle = world.act(&*step, &journal).await.expect("written");
    let lock = [LOCK_WRITE, LOCK_TAKE].map(|line| format!("source: {line}"));
    let file = "source: put /ibmiclone/run.parm".to_owned();
    assert_eq!(world.sent(), [&lock[..], &[file]].concat());
    intended(&mut journal, "write-parameters", 1);
    entry(&mut journal, "write-parameters").handle = handle.clone();
    let facts = facts_of(world.look(&*step, &journal).await);
    assert!(handle.is_some_and(|h| h.starts_with(&format!("{}@", facts["sha256"]))));
    assert_eq!(facts["sourceScpf"], "1261120010000");
    assert_eq!(facts["writtenAt"], "2026-11-23T03:00:00Z");
    // Another text than the one that was sent is not this step's.
    entry(&mut journal, "write-parameters").handle = Some("other@2026-11-23T02:00:00.000Z".into());
    waiting(world.look(&*step, &journal).await);
}

#[tokio::test]
async fn a_damaged_file_or_one_of_a_run_that_is_over_is_overwritten() {
    let world = world();
    let step = step("USER", "write-parameters", &world);
    for old in [
        b"version=1\n".to_vec(),
        record(&[("operator", "op1"), ("runToken", "OLDTOKEN1")]),
    ] {
        world.system("source", |s| {
            s.files.insert(PARAMETERS_PATH.into(), old);
        });
        assert_eq!(world.look(&*step, &journal()).await, Observation::Absent);
    }
}

#[tokio::test]
async fn a_file_of_another_operator_stops_the_run() {
    let world = world();
    world.system("source", |s| {
        let file = record(&[("operator", "op2"), ("runToken", "OTHER00001")]);
        s.files.insert(PARAMETERS_PATH.into(), file);
    });
    let step = step("USER", "write-parameters", &world);
    let (reason, text) = broken(world.look(&*step, &journal()).await);
    assert_eq!(reason, "OtherOperator");
    assert!(text.contains("op2") && text.contains("op1"), "{text}");
}

#[tokio::test]
async fn a_source_that_another_operator_owns_gets_no_file_whoever_was_first() {
    let world = world();
    let step = step("USER", "write-parameters", &world);
    let theirs = lock_text("op2").expect("plain characters");
    world.system("source", |s| {
        s.files
            .insert(LOCK_PATH.into(), theirs.clone().into_bytes());
    });
    let (reason, text) = broken(world.look(&*step, &journal()).await);
    assert_eq!(reason, "OtherOperator");
    for word in ["op2", "op1", "--take-over"] {
        assert!(text.contains(word), "{text}");
    }
    // The other one was faster between look and act.
    let error = world.act(&*step, &journal()).await.unwrap_err();
    assert!(error.to_string().contains("op2"), "{error}");
    assert!(world.sent().is_empty(), "{:?}", world.sent());
}

#[tokio::test]
async fn a_file_without_the_lock_is_written_again_under_it() {
    let world = world();
    let step = step("USER", "write-parameters", &world);
    world.act(&*step, &journal()).await.expect("written");
    world.system("source", |s| drop(s.files.remove(LOCK_PATH)));
    assert_eq!(world.look(&*step, &journal()).await, Observation::Absent);
}

#[tokio::test]
async fn nothing_is_written_to_a_system_that_is_not_the_source() {
    let world = world();
    world.system("source", |s| {
        s.session.as_mut().expect("answers").system.identity = identity(7);
    });
    let step = step("USER", "write-parameters", &world);
    assert_eq!(
        broken(world.look(&*step, &journal()).await).0,
        "IdentityUnexpected"
    );
    assert!(world.act(&*step, &journal()).await.is_err());
    assert!(world.sent().is_empty());
}
