//! `guest show` and `guest uninstall` as a person types them.

use super::guest;
use crate::failures::stage::{HOLD, Stage, as_it_is, condition, is, says_all};
use ibmi_clone_operator::simulators::ibmi::disk_of;
use ibmi_clone_operator::simulators::world::file::WorldFile;

fn start_up(stage: &Stage) -> String {
    stage.world(|w| disk_of(w, "PROD").unwrap().start_up_program())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_kit_is_shown_and_taken_off_but_not_under_a_run() {
    // Runs of other tests, which have their operators on this control plane too, do not use this source.
    let devices = |w: &mut WorldFile| {
        w.knobs.prepare_milliseconds = 600_000;
        w.console.systems[0].serial = "78AB0E1".to_owned();
    };
    let Some(stage) = Stage::new(devices, as_it_is).await else {
        return;
    };
    stage.ready(HOLD).await;
    let run = stage.run(HOLD).await;
    stage.at_step(&run, "prepare-copy").await;
    let (code, text) = guest(&stage, &["uninstall", HOLD, "--yes"]).await;
    assert_ne!(code, Some(0), "{text}");
    says_all(&text, &[&run, "nothing was changed"]);
    assert_eq!(start_up(&stage), "QGPL/CLNSTRUP");
    stage.ended(&run).await.succeeded();

    let (code, text) = guest(&stage, &["show", HOLD]).await;
    assert_eq!(code, Some(0), "{text}");
    says_all(&text, &["QGPL/CLNSTRUP, the guard", "ours (test-operator)"]);
    assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
    let (_, json) = guest(&stage, &["show", HOLD, "-o", "json"]).await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["original"], "QGPL/STRTUP");

    for dry in [&["uninstall", HOLD, "--dry-run"][..], &["uninstall", HOLD]] {
        let (code, text) = guest(&stage, dry).await;
        assert_eq!(code, Some(0), "{text}");
        says_all(
            &text,
            &["restore-start-up", "remove-directory", "nothing was sent"],
        );
        assert_eq!(start_up(&stage), "QGPL/CLNSTRUP");
    }
    let (code, text) = guest(&stage, &["uninstall", HOLD, "--yes"]).await;
    assert_eq!(code, Some(0), "{text}");
    says_all(&text, &["CHGIPLA STRTCP(*YES)"]);
    assert_eq!(start_up(&stage), "QGPL/STRTUP");
    let (code, text) = guest(&stage, &["uninstall", HOLD, "--yes"]).await;
    assert_eq!(code, Some(0), "{text}");
    says_all(&text, &["Nothing of the guest kit"]);
    let run = stage.run(HOLD).await;
    let end = stage.ended(&run).await;
    says_all(end.message(), &["guest install"]);
    stage.look_again(HOLD).await;
    let status = stage
        .environment_until(HOLD, |s| is(s, "GuestKitReady", "False"))
        .await;
    assert_eq!(condition(&status, "GuestKitReady").0, "KitNotInstalled");
    stage.unharmed().await;
}
