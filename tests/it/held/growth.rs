//! What is shown of an image while it lives: age, space, background copy, as the array tells them at each look.

use crate::failures::stage::{HOLD, Stage, as_it_is};
use crate::support::wait;
use chrono::TimeDelta;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_image_shows_its_age_and_its_growth_at_each_look() {
    let Some(stage) = Stage::new(as_it_is, as_it_is).await else {
        return;
    };
    stage.ready(HOLD).await;
    let run = stage.run(HOLD).await;
    stage.ended(&run).await.succeeded();
    let status = stage
        .environment_until(HOLD, |s| s.image.as_ref().is_some_and(|i| i.run.is_some()))
        .await;
    let image = status.image.unwrap();
    assert_eq!(image.run.as_deref(), Some(run.as_str()));
    let row = stage.runs().get(&run).await.unwrap().status.unwrap();
    assert_eq!(image.taken_at, row.image.as_ref().unwrap().taken_at);
    let first = image.disk_used_percent.unwrap();
    assert_eq!(image.growth.len(), 1);

    // Production goes on writing: the array keeps the old content for the targets. A change of the spec is looked at once.
    let minutes = stage.world(|w| {
        w.array.growth_per_mille = 50;
        w.now + TimeDelta::minutes(5)
    });
    wait::until("five minutes", async || stage.world(|w| w.now) > minutes).await;
    stage
        .change_spec(HOLD, json!({"logs": {"retainRuns": 6}}))
        .await;
    let status = stage
        .environment_until(HOLD, |s| {
            let used = s.image.as_ref().and_then(|i| i.disk_used_percent);
            used.is_some_and(|used| used > first)
        })
        .await;
    let image = status.image.unwrap();
    assert_eq!(image.run.as_deref(), Some(run.as_str()));
    assert_eq!(image.growth.first().unwrap().disk_used_percent, Some(first));
    let used = image.disk_used_percent;
    stage
        .until(&run, |r| {
            r.status
                .as_ref()
                .is_some_and(|s| s.disk_used_percent == used)
        })
        .await;
    stage.unharmed().await;
}
