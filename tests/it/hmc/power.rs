//! Power: one job per effect, and the partition's state decides.

use crate::support::console::{ConsoleSite, clone1, until_ended, until_state};
use ibmi_clone_operator::drivers::hmc::HmcControl;
use ibmi_clone_operator::simulators::faults::{Device, FaultKind};
use ibmi_clone_operator::simulators::hmc::start_by_hand;
use ibmi_clone_operator::site::{
    Activation, Keylock, PartitionControl, PartitionState, PartitionUuid, PartitionView,
    PowerJobState,
};

fn how(profile: Option<&str>) -> Activation {
    Activation {
        profile: profile.map(str::to_owned),
        ipl_source: 'b',
        keylock: Keylock::Normal,
    }
}

/// CLONE1 is on, started by a person.
async fn running(site: &ConsoleSite, control: &HmcControl) {
    start_by_hand(&mut site.world.now(), "CLONE1");
    // It has no disks here: firmware reports an error, which is on, too.
    until_state(control, PartitionState::Error).await;
}

#[tokio::test]
async fn the_clone_is_switched_off_by_one_job_that_ends_and_is_deleted() {
    let site = ConsoleSite::usual();
    let console = site.console();
    let control = clone1(&console);
    running(&site, &control).await;
    let job = control.power_off().await.unwrap();
    assert_eq!(until_ended(&control, &job).await, PowerJobState::Ended);
    until_state(&control, PartitionState::NotActivated).await;
    assert_eq!(site.effects("hmc.PowerOff.CLONE1"), 1);
    assert!(site.world.now().console.jobs.is_empty(), "deleted");
    let gone = control.job(&job).await.unwrap();
    assert_eq!(gone, PowerJobState::Forgotten);
    console.close().await;
    assert_eq!(site.sessions(), 0);
    site.assert_clean();
}

#[tokio::test]
async fn the_clone_is_started_with_its_profile_key_and_source() {
    let site = ConsoleSite::usual();
    let control = clone1(&site.console());
    assert_eq!(control.profiles().await.unwrap(), ["CLONE_PRF"]);
    for profile in [Some("CLONE_PRF"), None] {
        let job = control.activate(&how(profile)).await.unwrap();
        assert_eq!(until_ended(&control, &job).await, PowerJobState::Ended);
        until_state(&control, PartitionState::Error).await;
        let status = control.status().await.unwrap();
        assert_eq!(status.reference_code, "B2003110", "no disk is mapped");
        assert_eq!((status.keylock.as_str(), status.is_ibm_i), ("normal", true));
        assert_eq!(status.identity.to_string(), "serial 78ABCD0 partition 4");
        control.power_off().await.unwrap();
        until_state(&control, PartitionState::NotActivated).await;
    }
    let error = control.activate(&how(Some("FLASH"))).await.unwrap_err();
    assert_eq!(error.code(), Some("ProfileUnknown"));
    assert!(error.to_string().contains("CLONE_PRF"), "{error}");
    assert_eq!(site.effects("hmc.PowerOn.CLONE1"), 2);
}

#[tokio::test]
async fn a_fresh_partition_needs_the_profile_that_is_always_sent() {
    let site = ConsoleSite::start(|w| {
        for p in &mut w.console.partitions {
            p.fresh = true;
        }
    });
    let control = clone1(&site.console());
    let job = control.activate(&how(None)).await.unwrap();
    assert_eq!(until_ended(&control, &job).await, PowerJobState::Ended);
}

#[tokio::test]
async fn a_clone_switched_on_by_a_person_is_refused_by_the_console_and_shown_as_on() {
    let site = ConsoleSite::usual();
    let control = clone1(&site.console());
    running(&site, &control).await;
    let job = control.activate(&how(None)).await.unwrap();
    match until_ended(&control, &job).await {
        PowerJobState::Failed { code, .. } => assert_eq!(code, "HSCL3681"),
        other => panic!("{other:?}"),
    }
    assert_eq!(site.effects("hmc.PowerOn.CLONE1"), 0);
}

#[tokio::test]
async fn switching_off_what_is_off_gives_the_consoles_code() {
    let site = ConsoleSite::usual();
    let control = clone1(&site.console());
    let job = control.power_off().await.unwrap();
    match until_ended(&control, &job).await {
        PowerJobState::Failed { code, .. } => assert_eq!(code, "HSCL1558"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_lost_answer_is_unknown_the_state_tells_and_nothing_is_sent_twice() {
    let site = ConsoleSite::usual();
    let control = clone1(&site.both());
    control.status().await.unwrap();
    site.fault(
        Device::Hmc,
        "PUT /rest/api/uom/LogicalPartition",
        FaultKind::AnswerLost,
    );
    let error = control.activate(&how(None)).await.unwrap_err();
    assert_eq!(error.reason(), "Indeterminate", "{error}");
    assert_ne!(
        control.status().await.unwrap().state,
        PartitionState::NotActivated
    );
    assert_eq!(site.effects("hmc.PowerOn.CLONE1"), 1);
    assert_eq!(site.requests("PUT /rest/api/uom/LogicalPartition"), 1);
}

#[tokio::test]
async fn a_session_that_expires_between_polls_does_not_lose_the_job() {
    let site = ConsoleSite::usual();
    let control = clone1(&site.console());
    let job = control.activate(&how(None)).await.unwrap();
    site.fault(
        Device::Hmc,
        "GET /rest/api/uom/jobs",
        FaultKind::Special("expire".into()),
    );
    assert_eq!(until_ended(&control, &job).await, PowerJobState::Ended);
    assert_eq!(site.effects("hmc.PowerOn.CLONE1"), 1);
}

#[tokio::test]
async fn an_effect_in_an_expired_session_is_not_repeated_by_the_driver() {
    let site = ConsoleSite::usual();
    let control = clone1(&site.console());
    running(&site, &control).await;
    site.fault(
        Device::Hmc,
        "PUT /rest/api/uom/LogicalPartition",
        FaultKind::Special("expire".into()),
    );
    let error = control.power_off().await.unwrap_err();
    assert_eq!(error.reason(), "Busy");
    assert_eq!(site.effects("hmc.PowerOff.CLONE1"), 0);
    control.power_off().await.unwrap();
    assert_eq!(site.effects("hmc.PowerOff.CLONE1"), 1);
}

#[tokio::test]
async fn a_job_that_stays_running_does_not_hide_the_state() {
    let site = ConsoleSite::usual();
    let control = clone1(&site.console());
    running(&site, &control).await;
    site.fault(
        Device::Hmc,
        "special PowerOff",
        FaultKind::Special("stuck-job".into()),
    );
    let job = control.power_off().await.unwrap();
    until_state(&control, PartitionState::NotActivated).await;
    let state = control.job(&job).await.unwrap();
    assert_eq!(state, PowerJobState::Running);
}

#[tokio::test]
async fn a_job_the_console_forgot_is_told_as_forgotten() {
    let site = ConsoleSite::usual();
    let control = clone1(&site.console());
    let job = control.set_keylock(Keylock::Manual).await.unwrap();
    site.world.now().console.jobs.clear();
    let state = control.job(&job).await.unwrap();
    assert_eq!(state, PowerJobState::Forgotten);
    assert_eq!(control.status().await.unwrap().keylock, "manual");
    assert_eq!(
        control.status().await.unwrap().state,
        PartitionState::NotActivated,
        "the key alone starts nothing"
    );
}

#[tokio::test]
async fn another_uuid_than_the_recorded_one_gets_no_power_command() {
    let site = ConsoleSite::usual();
    let console = site.console();
    let production = console.view("P10-PARIS", "PROD").status().await.unwrap();
    // Somebody wrote production's name where the clone's was recorded.
    let clone = clone1(&console).status().await.unwrap().uuid;
    let control = console.control("P10-PARIS", "PROD", Some(clone));
    let error = control.power_off().await.unwrap_err();
    assert_eq!(error.code(), Some("PartitionReplaced"));
    assert_ne!(production.uuid, PartitionUuid::new("x"));
    assert_eq!(site.requests("PUT /rest/api/uom"), 0);
    site.assert_clean();
}
