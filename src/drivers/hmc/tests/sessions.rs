//! Sessions are shared, renewed once, always closed; effects are sent at most once.

use super::wire::{Scripted, answer, console, down, job, lost, lpar, token, usual};
use crate::site::{
    Activation, DeviceError, Keylock, PartitionControl, PartitionState, PartitionUuid,
    PartitionView, PowerJob, PowerJobState, errand,
};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);
const ONE: &[&str] = &["https://hmc1:12443"];
const TWO: &[&str] = &["https://hmc1:12443", "https://hmc2:12443"];

#[tokio::test]
async fn a_wrong_password_is_sent_once_and_never_again() {
    let wire = Scripted::new(|_, _| answer(401, ""));
    let console = console(&wire, TWO, LONG);
    let view = console.view("P10", "CLONE1");
    for _ in 0..5 {
        let error = view.status().await.unwrap_err();
        assert_eq!(error.code(), Some("LoginFailed"));
        assert!(error.to_string().contains("Secret"), "{error}");
        assert!(!error.to_string().contains("pass<"), "{error}");
    }
    let other = console.view("P10", "PROD");
    let both = futures::join!(view.status(), other.status());
    assert!(both.0.is_err() && both.1.is_err());
    assert_eq!(wire.sent(), ["PUT hmc1:12443/rest/api/web/Logon"]);
}

#[tokio::test]
async fn many_questions_share_one_session_and_close_ends_it() {
    let wire = Scripted::new(|line, request| {
        if line.contains("/uom/") {
            assert_eq!(
                request.headers["x-api-session"], "abcdef",
                "white space removed"
            );
            assert_eq!(request.headers["x-audit-memento"], "run-7");
        }
        usual(line).unwrap()
    });
    let console = console(&wire, ONE, LONG);
    console.audit("run-7");
    let (a, b) = (console.view("P10", "CLONE1"), console.view("P10", "CLONE1"));
    let (first, second) = futures::join!(a.status(), b.status());
    assert_eq!(first.unwrap().identity, second.unwrap().identity);
    assert_eq!(wire.count("PUT hmc1:12443/rest/api/web/Logon"), 1);
    console.close().await;
    console.close().await;
    assert_eq!(wire.count("DELETE hmc1:12443/rest/api/web/Logon"), 1);
}

/// One session serves many runs; the console's audit log must name the run of each request.
#[tokio::test]
async fn each_request_names_the_run_it_is_sent_for_although_the_session_is_shared() {
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = seen.clone();
    let wire = Scripted::new(move |line, request| {
        let memento = request.headers["x-audit-memento"].to_str().unwrap();
        log.lock()
            .unwrap()
            .push((line.contains("/LogicalPartition/C-1"), memento.to_owned()));
        usual(line).unwrap()
    });
    let console = console(&wire, ONE, LONG);
    console.audit("operator O1");
    let view = || console.view("P10", "CLONE1");
    view().status().await.unwrap();
    for run in ["operator O1 run a/1", "operator O1 run b/2"] {
        let view = view();
        errand::on_behalf_of(run, view.status()).await.unwrap();
    }
    let seen = seen.lock().unwrap();
    let mementos: Vec<&str> = seen
        .iter()
        .filter(|(partition, _)| *partition)
        .map(|(_, memento)| memento.as_str())
        .collect();
    assert_eq!(
        mementos,
        ["operator O1", "operator O1 run a/1", "operator O1 run b/2"]
    );
}

#[tokio::test]
async fn a_session_without_questions_is_logged_off_by_itself_and_a_dropped_one_too() {
    let wire = Scripted::new(|line, _| usual(line).unwrap());
    let idle = console(&wire, ONE, Duration::from_millis(10));
    idle.view("P10", "CLONE1").status().await.unwrap();
    wait_for(|| wire.count("DELETE") == 1).await;

    let dropped = console(&wire, ONE, LONG);
    dropped.view("P10", "CLONE1").status().await.unwrap();
    drop(dropped);
    wait_for(|| wire.count("DELETE") == 2).await;
}

async fn wait_for(condition: impl Fn() -> bool) {
    tokio::time::timeout(Duration::from_secs(10), async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
    .expect("the condition comes true");
}

#[tokio::test]
async fn an_expired_session_is_renewed_once_for_a_read() {
    let mut logons = 0;
    let wire = Scripted::new(move |line, request| {
        if line.starts_with("PUT") {
            logons += 1;
            return answer(200, &token(&format!("t{logons}")));
        }
        match request.headers["x-api-session"].to_str().unwrap() {
            "t1" => answer(401, ""),
            _ => usual(line).unwrap(),
        }
    });
    let console = console(&wire, ONE, LONG);
    console.view("P10", "CLONE1").status().await.unwrap();
    assert_eq!(wire.count("PUT"), 2);
}

#[tokio::test]
async fn a_401_in_a_fresh_session_ends_the_question_and_does_not_loop() {
    let wire = Scripted::new(|line, _| match line.contains("/web/") {
        true => usual(line).unwrap(),
        false => answer(401, ""),
    });
    let console = console(&wire, ONE, LONG);
    let error = console.view("P10", "CLONE1").status().await.unwrap_err();
    assert_eq!(error.code(), Some("HTTP401"));
    assert_eq!(wire.count("PUT"), 2);
}

#[tokio::test]
async fn a_401_to_an_effect_is_busy_and_the_effect_is_not_sent_again() {
    let wire = Scripted::new(|line, _| match line.contains("/do/") {
        true => answer(401, ""),
        false => usual(line).unwrap(),
    });
    let console = console(&wire, ONE, LONG);
    let error = console
        .control("P10", "CLONE1", None)
        .power_off()
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "Busy");
    assert_eq!(wire.count("/do/PowerOff"), 1);
}

#[tokio::test]
async fn an_effect_whose_answer_is_lost_is_unknown_and_not_sent_to_the_other_console() {
    let wire = Scripted::new(|line, request| match line.contains("/do/") {
        true => lost(request),
        false => usual(line).unwrap(),
    });
    let console = console(&wire, TWO, LONG);
    let error = console
        .control("P10", "CLONE1", None)
        .power_off()
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "Indeterminate");
    assert_eq!(wire.count("/do/PowerOff"), 1);
    assert_eq!(wire.count("hmc2"), 0);
}

#[tokio::test]
async fn without_a_port_443_is_tried_and_then_12443_once() {
    let wire = Scripted::new(|line, _| match line.contains("hmc1:443/") {
        true => down(),
        false => usual(line).unwrap(),
    });
    let console = console(&wire, &["https://hmc1"], LONG);
    let view = console.view("P10", "CLONE1");
    view.status().await.unwrap();
    console.close().await;
    view.status().await.unwrap();
    assert_eq!(wire.count("hmc1:443/"), 1, "the port is learned");
}

#[tokio::test]
async fn an_http_answer_on_443_never_leads_to_12443() {
    let wire = Scripted::new(|_, _| answer(404, "<html>GUI</html>"));
    let console = console(&wire, &["https://hmc1"], LONG);
    let error = console.view("P10", "CLONE1").status().await.unwrap_err();
    assert!(error.to_string().contains("12443"), "{error}");
    assert_eq!(wire.sent().len(), 1);
}

#[tokio::test]
async fn a_console_that_goes_down_hands_over_and_its_session_is_closed_later() {
    let up = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let switch = up.clone();
    let wire = Scripted::new(move |line, _| {
        let first_is_down = !switch.load(std::sync::atomic::Ordering::SeqCst);
        match first_is_down && line.contains("hmc1") {
            true => down(),
            false => usual(line).unwrap(),
        }
    });
    let console = console(&wire, TWO, LONG);
    let view = console.view("P10", "CLONE1");
    view.status().await.unwrap();
    up.store(false, std::sync::atomic::Ordering::SeqCst);
    view.status().await.unwrap();
    assert_eq!(wire.count("PUT hmc2:12443/rest/api/web/Logon"), 1);
    up.store(true, std::sync::atomic::Ordering::SeqCst);
    console.close().await;
    assert_eq!(wire.count("DELETE hmc1"), 1);
    assert_eq!(wire.count("DELETE hmc2"), 1);
}

#[tokio::test]
async fn when_every_console_is_down_both_are_named_and_the_session_is_kept() {
    let up = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let switch = up.clone();
    let wire =
        Scripted::new(
            move |line, _| match switch.load(std::sync::atomic::Ordering::SeqCst) {
                true => usual(line).unwrap(),
                false => Err(DeviceError::unreachable("x", format!("{line} refused"))),
            },
        );
    let console = console(&wire, TWO, LONG);
    let view = console.view("P10", "CLONE1");
    view.status().await.unwrap();
    up.store(false, std::sync::atomic::Ordering::SeqCst);
    let error = view.status().await.unwrap_err();
    let text = error.to_string();
    assert_eq!(error.reason(), "Unreachable");
    assert!(text.contains("hmc1") && text.contains("hmc2"), "{text}");
    up.store(true, std::sync::atomic::Ordering::SeqCst);
    view.status().await.unwrap();
    assert_eq!(wire.count("PUT hmc1"), 1, "no second session");
}

#[tokio::test]
async fn a_control_refuses_another_uuid_than_the_recorded_one() {
    let wire = Scripted::new(|line, _| usual(line).unwrap());
    let console = console(&wire, ONE, LONG);
    let pin = Some(PartitionUuid::new("C-9"));
    let control = console.control("P10", "CLONE1", pin);
    let error = control.power_off().await.unwrap_err();
    assert_eq!(error.code(), Some("PartitionReplaced"));
    assert_eq!(wire.count("/do/"), 0);
}

#[tokio::test]
async fn a_control_refuses_when_its_uuid_now_carries_another_name() {
    let wire = Scripted::new(|line, _| match line.contains("/uom/LogicalPartition/C-1") {
        true => answer(200, &lpar("C-1", "PROD", "running")),
        false => usual(line).unwrap(),
    });
    let console = console(&wire, ONE, LONG);
    let error = console
        .control("P10", "CLONE1", None)
        .power_off()
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some("PartitionReplaced"));
    assert_eq!(wire.count("/do/"), 0);
}

#[tokio::test]
async fn names_that_do_not_exist_are_answered_with_those_that_do() {
    let wire = Scripted::new(|line, _| usual(line).unwrap());
    let console = console(&wire, ONE, LONG);
    let error = console.view("P10", "CLONE2").status().await.unwrap_err();
    assert!(error.to_string().contains("CLONE1, PROD"), "{error}");
    let error = console.view("P9", "CLONE1").status().await.unwrap_err();
    assert!(error.to_string().contains("it has: P10"), "{error}");
}

#[tokio::test]
async fn the_power_off_that_is_sent_is_the_immediate_one_without_restart() {
    let wire = Scripted::new(|line, request| {
        if !line.contains("/do/") {
            return usual(line).unwrap();
        }
        let body =
            String::from_utf8_lossy(&request.body).replace("</ParameterName><ParameterValue>", "=");
        for part in ["operation=shutdown", "immediate=true", "restart=false"] {
            assert!(body.contains(part), "{body}");
        }
        answer(200, &job("17", "C-1", "NOT_STARTED"))
    });
    let console = console(&wire, ONE, LONG);
    let job = console
        .control("P10", "CLONE1", None)
        .power_off()
        .await
        .unwrap();
    assert_eq!(job, PowerJob("17@https://hmc1:12443".into()));
}

#[tokio::test]
async fn an_unknown_profile_is_refused_before_anything_is_started() {
    let wire = Scripted::new(|line, _| match line.contains("LogicalPartitionProfile") {
        true => answer(204, ""),
        false => usual(line).unwrap(),
    });
    let console = console(&wire, ONE, LONG);
    let how = Activation {
        profile: Some("FLASH".into()),
        ipl_source: 'b',
        keylock: Keylock::Normal,
    };
    let control = console.control("P10", "CLONE1", None);
    let error = control.activate(&how).await.unwrap_err();
    assert_eq!(error.code(), Some("ProfileUnknown"));
    assert!(error.to_string().contains("it has: none"), "{error}");
    assert_eq!(wire.count("/do/"), 0);
}

#[tokio::test]
async fn a_job_of_another_partition_or_console_is_forgotten_and_not_believed() {
    let wire = Scripted::new(|line, _| match line.contains("/jobs/") {
        true => answer(200, &job("17", "P-1", "COMPLETED_OK")),
        false => usual(line).unwrap(),
    });
    let console = console(&wire, ONE, LONG);
    let control = console.control("P10", "CLONE1", None);
    for handle in [
        "17@https://hmc1:12443",
        "17@https://hmc2:12443",
        "17",
        "../17@https://hmc1:12443",
    ] {
        let state = control.job(&PowerJob(handle.into())).await.unwrap();
        assert_eq!(state, PowerJobState::Forgotten, "{handle}");
    }
    assert_eq!(wire.count("DELETE"), 0, "a stranger's job is left alone");
}

#[tokio::test]
async fn an_ended_job_is_told_and_then_deleted() {
    let wire = Scripted::new(|line, _| match line.contains("/jobs/") {
        true if line.starts_with("DELETE") => answer(204, ""),
        true => answer(200, &job("17", "c-1", "COMPLETED_OK")),
        false => usual(line).unwrap(),
    });
    let console = console(&wire, ONE, LONG);
    let control = console.control("P10", "CLONE1", None);
    let handle = PowerJob("17@https://hmc1:12443".into());
    assert_eq!(control.job(&handle).await.unwrap(), PowerJobState::Ended);
    assert_eq!(wire.count("DELETE hmc1:12443/rest/api/uom/jobs/17"), 1);
}

#[tokio::test]
async fn a_page_of_a_proxy_is_no_state() {
    for body in ["<html>maintenance</html>", "", "{}"] {
        let wire = Scripted::new(
            move |line, _| match line.contains("/uom/LogicalPartition/") {
                true => answer(200, body),
                false => usual(line).unwrap(),
            },
        );
        let console = console(&wire, ONE, LONG);
        let error = console.view("P10", "CLONE1").status().await.unwrap_err();
        assert_eq!(error.reason(), "Unreachable", "{body}");
    }
    let wire = Scripted::new(|line, _| usual(line).unwrap());
    let status = console(&wire, ONE, LONG)
        .view("P10", "CLONE1")
        .status()
        .await
        .unwrap();
    assert_eq!(status.state, PartitionState::Running);
}
