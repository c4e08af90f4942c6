//! Production wakes up on another server: rehearsed with ISPROD, at its console.

use crate::failures::stage::{HOLD, Stage, as_it_is, condition, says_all};
use ibmi_clone_operator::engine::journal::Phase;
use ibmi_clone_operator::simulators::ibmi::{boot, commands, disk_of, power_lost};
use ibmi_clone_operator::simulators::world::file::WorldFile;
use ibmi_clone_operator::site::Identity;
use serde_json::json;

const MOVED: &str = "78FFFF9";

/// A second server at the same console.
fn two_servers(world: &mut WorldFile) {
    let server = json!({"name": "P11-LYON", "typeModel": "9105-42A", "serial": MOVED});
    let server = serde_json::from_value(server).unwrap();
    world.console.systems.push(server);
}

/// The same partition with the same disks, on the other server.
fn wakes_up_elsewhere(stage: &Stage) {
    stage.world(|w| {
        let image = w.systems["PROD"].image().unwrap();
        power_lost(w, "PROD");
        let partition = w.console.partitions.get_mut("PROD").unwrap();
        partition.system = "P11-LYON".to_owned();
        partition.identity = Identity::new(MOVED, partition.identity.partition_id);
        boot(w, "PROD", image, false);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moved_production_starts_nothing_until_isprod_and_no_run_until_the_environment_knows() {
    let Some(stage) = Stage::new(two_servers, as_it_is).await else {
        return;
    };
    stage.ready(HOLD).await;
    wakes_up_elsewhere(&stage);
    let told = || {
        stage.world(|w| {
            let queue = &disk_of(w, "PROD").unwrap().operator_queue;
            queue.last().map(|m| (m.id.clone(), m.text.clone()))
        })
    };
    let says = crate::support::wait::found("a message in QSYSOPR", async || {
        told().filter(|m| m.0 == "CLN0205").ok_or("none yet")
    })
    .await;
    says_all(
        &says.1,
        &[MOVED, "nothing started", "CALL IBMICLONE/ISPROD"],
    );
    stage.world(|w| {
        assert_eq!(w.systems["PROD"].addresses(), Vec::<String>::new());
        assert_eq!(w.systems["PROD"].subsystems(), ["QCTL"]);
    });

    // A person at the console of the moved production.
    stage.world(|w| {
        let call = "CALL PGM(IBMICLONE/ISPROD) PARM('*START')";
        let answer = commands::run(w, "PROD", "CLONEOP", call);
        assert!(answer.ok, "{answer:?}");
        assert_eq!(w.systems["PROD"].addresses(), ["10.0.8.20"]);
    });
    // Where the console has it now is the first thing to correct; who answers is no production either.
    stage.look_again(HOLD).await;
    let status = stage.not_ready(HOLD, "DeviceRefused").await;
    let words = ["PartitionUnknown", "P10-PARIS has no partition PROD"];
    says_all(&condition(&status, "Ready").1, &words);
    let (reason, text) = condition(&status, "GuestKitReady");
    assert_eq!(reason, "IdentityChanged");
    says_all(&text, &[MOVED, "source.identities", "ISPROD"]);
    let server = json!({"source": {"partition": {"managedSystem": "P11-LYON"}}});
    stage.change_spec(HOLD, server).await;
    stage
        .environment_until(HOLD, |s| condition(s, "Ready").0 == "IdentityChanged")
        .await;
    let run = stage.run(HOLD).await;
    let end = stage.ended(&run).await;
    assert_eq!(end.outcome(), (Phase::Failed, "IdentityChanged"));
    says_all(end.message(), &[MOVED, "source.identities", "ISPROD"]);
    assert_eq!(stage.effects("ibmi.PROD.SUSPEND"), 0);

    let old = stage.world(|w| {
        w.console.partitions["CLONE1"]
            .identity
            .serial_number
            .clone()
    });
    let pairs = json!([
        {"serialNumber": old, "partitionId": 3},
        {"serialNumber": MOVED, "partitionId": 3},
    ]);
    stage
        .change_spec(HOLD, json!({"source": {"identities": pairs}}))
        .await;
    stage.ready(HOLD).await;
    let run = stage.run(HOLD).await;
    stage.ended(&run).await.succeeded();
    assert_eq!(stage.effects("ibmi.PROD.SUSPEND"), 1);
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moved_production_that_went_down_again_comes_up_by_itself() {
    let Some(stage) = Stage::new(two_servers, as_it_is).await else {
        return;
    };
    stage.ready(HOLD).await;
    wakes_up_elsewhere(&stage);
    stage.until_effects("ibmi.PROD.IPL", 1).await;
    stage.world(|w| {
        let answer = commands::run(w, "PROD", "CLONEOP", "CALL PGM(IBMICLONE/ISPROD)");
        assert!(answer.ok, "{answer:?}");
        let image = w.systems["PROD"].image().unwrap();
        boot(w, "PROD", image, false);
    });
    crate::support::wait::until("production's address", async || {
        stage.world(|w| w.systems["PROD"].addresses() == ["10.0.8.20"])
    })
    .await;
    stage.unharmed().await;
}
