//! BRMS and the batch restricted state as the driver meets them on a real socket (`ibmi.md` §§ 4.4, 5.3).

use super::Bench;
use ibmi_clone_operator::simulators::ibmi::{brms::BrmsFile, reference_code};
use ibmi_clone_operator::site::{ClCommand, IbmI, JobState, Submission};
use std::time::Duration;

fn brms() -> BrmsFile {
    serde_json::from_value(serde_json::json!({
        "controlGroups": [{"name": "DAILY"}, {"name": "*SYSGRP", "restricted": true, "items": ["*SAVSYS"]}],
        "media": [{"volume": "A00001"}, {"volume": "A00002"}]
    }))
    .unwrap()
}

async fn with_brms() -> Bench {
    Bench::with(|f| f.brms = Some(brms())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restricted_state_ends_the_session_and_a_new_one_finds_the_end_of_its_job() {
    let bench = with_brms().await;
    let system = bench.system();
    let session = system.connect().await.unwrap();
    let save = ClCommand::new("STRBKUBRM CTLGRP(*SYSGRP) SBMJOB(*CTLSBS)");
    assert!(system.run(&session, &save).await.unwrap().succeeded);
    bench.advance(Duration::from_secs(31));
    let look = ClCommand::new("DSPLOGBRM OUTPUT(*PRINT)");
    let lost = system.run(&session, &look).await.unwrap_err();
    assert!(
        ["Indeterminate", "Unreachable"].contains(&lost.reason()),
        "{lost}"
    );
    assert_eq!(reference_code(&bench.shared.now(), "PROD"), "A9003C70");
    bench.advance(Duration::from_secs(3600));
    assert_eq!(reference_code(&bench.shared.now(), "PROD"), "00000000");
    let again = bench.system();
    let session = again.connect().await.unwrap();
    let job = again.job(&session, "BRMSBKU").await.unwrap().unwrap();
    assert_eq!(
        job.state,
        JobState::Ended {
            normal: true,
            severity: 0
        }
    );
    let log = "SELECT MESSAGE_ID FROM QUSRBRM.BRMS_LOG_INFO WHERE CONTROL_GROUP = '*SYSGRP' AND MESSAGE_ID IN ('BRM1380', 'BRM1049', 'BRM1744') ORDER BY MESSAGE_TIMESTAMP";
    let rows = again.query(&session, log).await.unwrap();
    let ids: Vec<&str> = rows
        .iter()
        .filter_map(|r| r["MESSAGE_ID"].as_deref())
        .collect();
    assert_eq!(ids, ["BRM1380", "BRM1049"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submitted_group_is_followed_and_the_library_comes_over_the_wire_as_it_is() {
    let bench = with_brms().await;
    let system = bench.system();
    let session = system.connect().await.unwrap();
    let job = Submission {
        name: "C1B1".to_owned(),
        command: ClCommand::new("STRBKUBRM CTLGRP(DAILY) SBMJOB(*NO)"),
        job_queue: "QSYS/QSYSNOMAX".to_owned(),
        user: None,
    };
    system.submit(&session, &job).await.unwrap();
    let state = || async { system.job(&session, "C1B1").await.unwrap().unwrap() };
    assert_eq!(state().await.state, JobState::Active);
    bench.advance(Duration::from_secs(3601));
    let ended = state().await;
    assert!(
        matches!(ended.state, JobState::Ended { normal: true, .. }),
        "{ended:?}"
    );
    for text in [
        "CRTSAVF FILE(QGPL/HIST)",
        "SAVLIB LIB(QUSRBRM) DEV(*SAVF) SAVF(QGPL/HIST) OMITOBJ((*ALL *JRN) (*ALL *JRNRCV))",
    ] {
        let done = system.run(&session, &ClCommand::new(text)).await;
        assert!(done.unwrap().succeeded, "{text}");
    }
    let path = "/QSYS.LIB/QGPL.LIB/HIST.FILE";
    let bytes = system.get(&session, path).await.unwrap().unwrap();
    let world = bench.shared.now();
    let disk = ibmi_clone_operator::simulators::ibmi::disk_of(&world, "PROD").unwrap();
    assert_eq!(bytes, disk.save_files["QGPL/HIST"]);
}
