//! What a run reads of BRMS: catalog, log, change times, jobs, listings, files (`ibmi.md` §§ 4.5, 6, 8, 11).

use super::*;

const LOG: &str = "SELECT MESSAGE_ID, MESSAGE_SEVERITY FROM QUSRBRM.BRMS_LOG_INFO WHERE CONTROL_GROUP = 'DAILY' ORDER BY MESSAGE_TIMESTAMP";

#[test]
fn the_catalog_tells_how_the_severity_column_is_spelled() {
    for column in ["MESSAGE_SEVERITY", "SEVERITY"] {
        let shared = site_with(|b| b.knobs.severity_column = column.to_owned());
        let catalog = "SELECT COLUMN_NAME FROM QSYS2.SYSCOLUMNS WHERE TABLE_SCHEMA = 'QUSRBRM' AND TABLE_NAME = 'BRMS_LOG_INFO' AND COLUMN_NAME LIKE '%SEVERITY'";
        let found = rows(&shared, "PROD", catalog);
        assert_eq!(found[0]["COLUMN_NAME"].as_deref(), Some(column));
        done(&shared, "PROD", DAILY);
        let text = LOG.replace("MESSAGE_SEVERITY", column);
        let noise = rows(&shared, "PROD", &text);
        let noise = noise
            .iter()
            .find(|r| r["MESSAGE_ID"].as_deref() == Some("BRM10A1"));
        assert_eq!(noise.unwrap()[column].as_deref(), Some("20"));
        let wrong = LOG.replace("MESSAGE_SEVERITY", "SEVERITY_NO");
        let refused = sql::query(&shared.now(), "PROD", "CLONEOP", &wrong).unwrap_err();
        assert_eq!(refused.code, -206);
    }
}

#[test]
fn the_sql_services_are_there_once_they_were_made() {
    let shared = site_with(|b| b.sql_services = false);
    let refused = sql::query(&shared.now(), "PROD", "CLONEOP", LOG).unwrap_err();
    assert_eq!(refused.code, -204);
    done(&shared, "PROD", "INZBRM OPTION(*SQLSRVINZ)");
    assert_eq!(rows(&shared, "PROD", LOG), []);
    done(&shared, "PROD", DAILY);
    let file = rows(
        &shared,
        "PROD",
        "SELECT LGMID, LGDATE, LGCGNAM FROM QUSRBRM.QA1ALG WHERE LGMID = 'BRM1049'",
    );
    assert_eq!(file[0]["LGDATE"].as_deref(), Some("1261123"));
    let media = rows(
        &shared,
        "PROD",
        "SELECT TMCVSR FROM QUSRBRM.QA1AMM WHERE TMCCRT IS NOT NULL",
    );
    assert_eq!(media[0]["TMCVSR"].as_deref(), Some("A00001"));
}

const CHANGED: &str = "SELECT OBJNAME, CHANGE_TIMESTAMP FROM TABLE(QSYS2.OBJECT_STATISTICS('QUSRBRM', '*FILE')) X ORDER BY OBJNAME";
const MEMBERS: &str = "SELECT TABLE_NAME, LAST_CHANGE_TIMESTAMP FROM QSYS2.SYSPARTITIONSTAT WHERE TABLE_SCHEMA = 'QUSRBRM' ORDER BY TABLE_NAME";

#[test]
fn nothing_of_a_frozen_library_changes_until_somebody_changes_it() {
    for logged in [false, true] {
        let shared = site_with(|b| b.knobs.refusals_are_logged = logged);
        done(&shared, "PROD", &process("*STRPRC"));
        let before = rows(&shared, "PROD", CHANGED);
        assert!(before.len() >= 4 && before.iter().all(|r| r["CHANGE_TIMESTAMP"].is_some()));
        wait(&shared, 3600);
        assert_eq!(rows(&shared, "PROD", CHANGED), before);
        refused(&shared, "PROD", DAILY, "BRM40FC");
        assert_eq!(rows(&shared, "PROD", CHANGED) != before, logged);
        done(&shared, "PROD", SET_NAME);
        assert_ne!(rows(&shared, "PROD", CHANGED), before);
    }
}

#[test]
fn objects_may_not_tell_what_members_tell() {
    let shared = site_with(|b| b.knobs.object_change_follows_records = false);
    let (objects, members) = (
        rows(&shared, "PROD", CHANGED),
        rows(&shared, "PROD", MEMBERS),
    );
    done(&shared, "PROD", DAILY);
    assert_eq!(rows(&shared, "PROD", CHANGED), objects);
    assert_ne!(rows(&shared, "PROD", MEMBERS), members);
}

#[test]
fn jobs_of_brms_are_seen_while_they_run() {
    let shared = site_with(|_| {});
    let network = "SELECT JOB_NAME FROM QSYS2.ACTIVE_JOB_INFO WHERE SUBSYSTEM = 'Q1ABRMNET'";
    let saves = "SELECT JOB_NAME FROM TABLE(QSYS2.ACTIVE_JOB_INFO()) X WHERE FUNCTION_TYPE = 'CMD' AND FUNCTION LIKE 'STRBKUBRM%'";
    assert_eq!(rows(&shared, "PROD", network).len(), 4);
    done(
        &shared,
        "PROD",
        &format!("SBMJOB CMD({DAILY}) JOB(NIGHT) JOBQ(QGPL/QBATCH)"),
    );
    wait(&shared, 60);
    assert_eq!(rows(&shared, "PROD", saves).len(), 1);
    // A running control group is activity of BRMS: no FlashCopy process begins, and its library is locked.
    refused(&shared, "PROD", &process("*STRPRC"), "BRM40FD");
    wait(&shared, 3600);
    assert_eq!(rows(&shared, "PROD", saves), []);
    done(&shared, "PROD", &process("*STRPRC"));
    network_ended(&shared);
    assert_eq!(rows(&shared, "PROD", network), []);
    let ends = site_with(|b| b.knobs.start_process_ends_network = true);
    done(&ends, "PROD", &process("*STRPRC"));
    assert_eq!(rows(&ends, "PROD", network), []);
    done(&ends, "PROD", &process("*ENDPRC"));
    assert_eq!(rows(&ends, "PROD", network).len(), 4);
}

fn listed(shared: &Shared, partition: &str, text: &str) -> Vec<String> {
    let answer = commands::run(&mut shared.now(), partition, "CLONEOP", text);
    assert!(answer.ok, "{answer:?}");
    answer.listing
}

#[test]
fn maintenance_prints_the_recovery_report_and_starts_the_network() {
    let shared = site_with(|_| {});
    clone_of_frozen(&shared);
    done(&shared, "CLONE", &process("*STRBKU"));
    done(&shared, "CLONE", DAILY);
    done(
        &shared,
        "CLONE",
        "SBMJOB CMD(STRMNTBRM MOVMED(*YES) RUNCLNUP(*YES) PRTRCYRPT(*ALL)) JOB(MAINT) JOBQ(QGPL/QBATCH)",
    );
    wait(&shared, 130);
    let world = shared.now();
    let disk = disk_of(&world, "CLONE").unwrap();
    let job = disk
        .ended
        .iter()
        .find(|j| j.name.ends_with("/MAINT"))
        .unwrap();
    assert_eq!(job.end_code, 0);
    let name = job.name.clone();
    assert!(
        world.systems["CLONE"]
            .subsystems()
            .contains(&"Q1ABRMNET".to_owned())
    );
    drop(world);
    let copy =
        |file: &str| format!("CPYSPLF FILE({file}) TOFILE(*TOSTMF) JOB({name}) TOSTMF('/tmp/out')");
    refused(&shared, "CLONE", &copy("NOSUCH"), "CPF3303");
    done(&shared, "CLONE", &copy("QPJOBLOG"));
    done(&shared, "CLONE", &copy("QP1ARCY"));
    let world = shared.now();
    let text =
        String::from_utf8(disk_of(&world, "CLONE").unwrap().files["/tmp/out"].clone()).unwrap();
    assert!(text.contains("A00001"), "{text}");
}

#[test]
fn active_volumes_are_listed_by_class_and_kind() {
    let shared = site_with(|_| {});
    let active = "WRKMEDBRM TYPE(*ACT) OUTPUT(*PRINT)";
    assert_eq!(listed(&shared, "PROD", active), Vec::<String>::new());
    assert_eq!(
        cl(&shared, "PROD", "WRKMEDBRM TYPE(*TRF)"),
        (true, "BRM1134".to_owned())
    );
    done(&shared, "PROD", DAILY);
    let lines = listed(&shared, "PROD", active);
    let words: Vec<&str> = lines[0].split_whitespace().collect();
    // Saved until 21:00 on 23 November, kept for 35 days from its beginning.
    assert_eq!((lines.len(), words[0], words[5]), (1, "A00001", "12/28/26"));
    assert_eq!(words.last(), Some(&"PROD"));
    assert_eq!(listed(&shared, "PROD", "WRKMEDBRM TYPE(*EXP)").len(), 1);
    let log = listed(&shared, "PROD", "DSPLOGBRM OUTPUT(*PRINT)").join("\n");
    assert!(log.contains("BRM1049"), "{log}");
    assert_eq!(
        listed(&shared, "PROD", "WRKCFGSTS CFGTYPE(*DEV) CFGD(*TAP)").len(),
        4
    );
}

#[tokio::test]
async fn a_save_file_is_read_in_parts_digested_and_written_again_by_the_shell() {
    let shared = site_with(|_| {});
    done(&shared, "PROD", "CRTSAVF FILE(QGPL/S)");
    done(
        &shared,
        "PROD",
        "SAVLIB LIB(QUSRBRM) DEV(*SAVF) SAVF(QGPL/S)",
    );
    let source = system(&shared);
    let session = source.connect().await.unwrap();
    let say = |line: String, input: Vec<u8>| {
        let (source, session) = (source.clone(), session.clone());
        async move { source.shell(&session, &line, &input).await.unwrap() }
    };
    let path = "/QSYS.LIB/QGPL.LIB/S.FILE";
    let whole = say(format!("cat {path}"), Vec::new()).await.output;
    assert!(
        whole.len() > 65_536 && std::str::from_utf8(&whole).is_err(),
        "binary, {}",
        whole.len()
    );
    let mut parts = Vec::new();
    for skip in 0.. {
        let part = say(
            format!("dd if={path} bs=10000 skip={skip} count=1"),
            Vec::new(),
        )
        .await;
        if part.output.is_empty() {
            break;
        }
        parts.push(part.output);
    }
    assert_eq!(parts.concat(), whole);
    for (at, part) in parts.into_iter().enumerate() {
        let sign = if at == 0 { ">" } else { ">>" };
        assert!(say(format!("cat {sign} /tmp/s"), part).await.succeeded);
    }
    let digest = |path: &str| say(format!("openssl dgst -sha256 {path}"), Vec::new());
    let digests = [digest(path).await.output, digest("/tmp/s").await.output];
    let hex = digests.map(|d| {
        String::from_utf8(d)
            .unwrap()
            .split("= ")
            .last()
            .unwrap()
            .to_owned()
    });
    assert_eq!(hex[0], hex[1]);
    shared.now().knobs.openssl_in_shell = false;
    assert!(!digest(path).await.succeeded);
    assert!(
        !say("cat > /QSYS.LIB/QGPL.LIB/NONE.FILE".to_owned(), vec![1])
            .await
            .succeeded
    );
    assert!(say(format!("cat > {path}"), vec![1]).await.succeeded);
    refused(
        &shared,
        "PROD",
        "RSTLIB SAVLIB(QUSRBRM) DEV(*SAVF) SAVF(QGPL/S) RSTLIB(TMP)",
        "CPF9898",
    );
}

/// Both forms of a timestamp are the same instant, as on the system: the log since a time is not empty for its spelling.
#[test]
fn the_log_since_a_time_has_what_came_later_on_the_same_day() {
    let shared = site_with(|_| {});
    done(&shared, "PROD", DAILY);
    let all = rows(&shared, "PROD", LOG);
    let since = |time: &str| {
        let wanted = format!("'DAILY' AND MESSAGE_TIMESTAMP >= TIMESTAMP('{time}')");
        LOG.replace("'DAILY'", &wanted)
    };
    assert!(!all.is_empty());
    for (time, wanted) in [
        ("2026-11-23-00.00.00.000000", all.as_slice()),
        ("2026-11-23 00:00:00.000000", all.as_slice()),
        ("2026-11-23-23.59.59.000000", &[]),
    ] {
        assert_eq!(rows(&shared, "PROD", &since(time)), wanted, "{time}");
    }
    let refused = sql::query(&shared.now(), "PROD", "CLONEOP", &since("yesterday")).unwrap_err();
    assert_eq!((refused.state, refused.code), ("22007", -180));
}
