//! A disaster, rehearsed with the real drivers from the lost production to the first copy of the one that is back: what
//! `docs/operations.md` tells a person to do, and that no time of the schedule destroys it meanwhile.

use super::wire::{about, power_off_production, run, state, targets};
use crate::failures::stage::{HOLD, SCALE, Stage, as_it_is, environments};
use crate::support::wait;
use ibmi_clone_operator::api::CloneRun;
use ibmi_clone_operator::api::run::Trigger;
use ibmi_clone_operator::controllers::ScheduleClock;
use ibmi_clone_operator::engine::journal::Phase;
use ibmi_clone_operator::simulators::hmc::{PowerState, start_by_hand};
use ibmi_clone_operator::simulators::world::Content;
use serde_json::json;
use std::time::Duration;

/// Two hours of the schedule in a second.
const FAST: f64 = 7_200.0;

/// The scheduled runs that are over, oldest first.
async fn slots(stage: &Stage) -> Vec<CloneRun> {
    let mut all = stage.runs().list(&Default::default()).await.unwrap().items;
    all.retain(|r| r.spec.trigger == Trigger::Schedule && phase(r).is_final());
    all.sort_by_key(|r| r.spec.scheduled_time.as_ref().map(|t| t.0));
    all
}

fn phase(run: &CloneRun) -> Phase {
    run.status.as_ref().map(|s| s.phase).unwrap_or_default()
}

fn reason(run: &CloneRun) -> &str {
    let status = run.status.as_ref();
    status.and_then(|s| s.reason.as_deref()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_production_stands_up_from_its_held_image_and_no_night_takes_it_away() {
    let change = environments(|s| {
        if s["function"] == "HOLD" {
            s["suspend"] = json!(true);
            s["schedule"] = json!({
                "cron": ["0 7 * * *", "30 12 * * *"], "startingDeadlineSeconds": 36_000,
            });
        }
    });
    let Some(mut stage) = Stage::without_operator(as_it_is, change).await else {
        return;
    };
    let start = "2026-11-23T13:00:00Z".parse().unwrap();
    let clock = ScheduleClock::scaled(start, FAST);
    stage.start_operator_with(SCALE, |config| config.schedule_clock = clock.clone());
    stage.ready(HOLD).await;
    let image = stage.run(HOLD).await;
    stage.ended(&image).await.succeeded();

    // The machine with production is gone: the console does not even show the partition.
    let lost = stage.world(|w| {
        power_off_production(w);
        w.console.partitions.remove("PROD").unwrap()
    });
    let unsaid = about(&stage, HOLD, "StartHeld", &image).await;
    let unsaid = stage.ended(&unsaid).await;
    unsaid.is(Phase::Failed, "SourceNotSeen", &["--source-is-down"]);
    let said = json!({"mode": "StartHeld", "run": image, "sourceIsDown": true});
    let started = run(&stage, HOLD, said).await;
    let words = ["a person's word"];
    let end = stage.ended(&started).await;
    end.is(Phase::Warning, "CompletedWithWarnings", &words);
    stage.world(|w| {
        let held = targets(w);
        let clone = &w.console.partitions["CLONE2"];
        assert_eq!(clone.keylock, "manual");
        assert_eq!(clone.state, PowerState::Running);
        let Some(Content::Part { image, .. }) = w.contents.get(&held[0]).copied() else {
            panic!("the held image is not on its disks");
        };
        assert_eq!(w.systems["CLONE2"].image(), Some(image));
        w.pinned.extend(held);
    });

    // Two days pass: every time of the schedule is skipped, and nobody ends the image.
    stage.change_spec(HOLD, json!({"suspend": false})).await;
    let days = Duration::from_secs(60);
    let skipped = wait::found_within(days, "four skipped times", async || {
        let slots = slots(&stage).await;
        if slots.len() >= 4 {
            return Ok(slots);
        }
        Err(format!("{} so far", slots.len()))
    })
    .await;
    for slot in &skipped {
        assert_eq!(
            (phase(slot), reason(slot)),
            (Phase::Skipped, "HeldImageInUse"),
            "{slot:#?}"
        );
    }
    let end = about(&stage, HOLD, "End", &image).await;
    let release = format!("release-held {image}");
    let refused = stage.ended(&end).await;
    refused.is(Phase::Failed, "HeldImageInUse", &[&release]);
    assert_eq!(state(&stage, &image).await, "HOLD");

    // Production is back; the image is not needed any more.
    stage.world(|w| {
        w.console.partitions.insert("PROD".to_owned(), lost);
        start_by_hand(w, "PROD");
    });
    stage.ready(HOLD).await;
    let before = slots(&stage).await.len();
    let released = about(&stage, HOLD, "ReleaseHeld", &image).await;
    stage.ended(&released).await.succeeded();
    stage.world(|w| w.pinned.clear());
    let next = wait::found_within(days, "the next time of the schedule", async || {
        let slots = slots(&stage).await;
        let mut runs = slots.into_iter().skip(before);
        let run = runs.find(|r| reason(r) != "HeldImageInUse");
        run.ok_or_else(|| "none yet".to_owned())
    })
    .await;
    assert_eq!(phase(&next), Phase::Succeeded, "{next:#?}");
    assert_eq!(state(&stage, &image).await, "END_FC");
    stage.unharmed().await;
}
