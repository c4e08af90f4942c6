//! The Advanced Job Scheduler through a whole run.

use crate::failures::stage::{Stage, USER, as_it_is, environments, says_all};
use ibmi_clone_operator::simulators::ibmi::disk_of;
use ibmi_clone_operator::simulators::world::file::WorldFile;
use serde_json::json;

fn with_scheduler(world: &mut WorldFile, library: &str) {
    let scheduler = json!({"dataLibraries": [
        {"name": library, "autostart": true, "jobs": [{"name": "INVOICES"}]}
    ]});
    world.systems[0].job_scheduler = serde_json::from_value(scheduler).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn productions_scheduler_submits_nothing_on_the_clone() {
    let Some(stage) = Stage::new(|w| with_scheduler(w, "QUSRIJS"), as_it_is).await else {
        return;
    };
    stage.ready(USER).await;
    let run = stage.run(USER).await;
    stage.ended(&run).await.succeeded();
    stage.world(|w| {
        assert!(!disk_of(w, "CLONE1").unwrap().scheduler["QUSRIJS"].monitored);
        assert!(disk_of(w, "PROD").unwrap().scheduler["QUSRIJS"].monitored);
    });
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_library_with_another_name_is_held_by_the_environments_word() {
    let named = environments(|s| {
        s["clone"]["personality"]["jobScheduler"] = json!({"dataLibraries": ["SITEJS"]});
    });
    let Some(stage) = Stage::new(|w| with_scheduler(w, "SITEJS"), named).await else {
        return;
    };
    stage.ready(USER).await;
    let run = stage.run(USER).await;
    stage.ended(&run).await.succeeded();
    stage.world(|w| assert!(!disk_of(w, "CLONE1").unwrap().scheduler["SITEJS"].monitored));
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clone_whose_scheduler_cannot_be_held_never_becomes_ready() {
    let Some(stage) = Stage::new(|w| with_scheduler(w, "SITEJS"), as_it_is).await else {
        return;
    };
    stage.ready(USER).await;
    let run = stage.run(USER).await;
    let queue = crate::support::wait::found("a message on the clone", async || {
        let message = stage.world(|w| {
            let disk = disk_of(w, "CLONE1")?;
            let mut queue = disk.operator_queue.iter();
            queue.find(|m| m.id == "CLN0212").map(|m| m.text.clone())
        });
        message.ok_or("none yet")
    })
    .await;
    says_all(&queue, &["hold-js1", "CLN0216"]);
    stage.world(|w| assert_eq!(w.systems["CLONE1"].addresses(), Vec::<String>::new()));
    stage.delete(&run).await;
    stage.unharmed().await;
}
