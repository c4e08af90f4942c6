//! Two consoles that manage the same systems have their own identities, sessions and job numbers.

use crate::support::console::{ConsoleSite, clone1, virtual_io};
use ibmi_clone_operator::site::{
    Activation, Keylock, PartitionControl, PartitionState, PartitionView, PowerJobState, VirtualIo,
};

#[tokio::test]
async fn after_a_failover_the_vios_is_reached_through_the_other_console() {
    let site = ConsoleSite::usual();
    let console = site.both();
    let virtual_io = virtual_io(&console);
    let wanted = site.wanted();
    assert!(virtual_io.observe(&wanted).await.unwrap().all_unmapped());
    site.down(0).await;
    // The console that answers now does not know the identity of the first one: nothing was done, ask again.
    if let Err(error) = virtual_io.map(&wanted).await {
        assert_eq!(error.reason(), "Busy", "{error}");
        virtual_io.map(&wanted).await.unwrap();
    }
    assert!(virtual_io.observe(&wanted).await.unwrap().all_mapped());
    for server in ["VIOS1", "VIOS2"] {
        assert_eq!(site.effects(&format!("vios.{server}.mkvdev")), 4, "once");
    }
    site.assert_clean();
}

#[tokio::test]
async fn a_job_of_the_console_that_went_down_is_forgotten_and_the_state_decides() {
    let site = ConsoleSite::usual();
    let console = site.both();
    let control = clone1(&console);
    let how = Activation {
        profile: Some("CLONE_PRF".into()),
        keylock: Keylock::Normal,
        ipl_source: 'b',
    };
    let job = control.activate(&how).await.unwrap();
    site.down(0).await;
    assert_eq!(control.job(&job).await.unwrap(), PowerJobState::Forgotten);
    let state = control.status().await.unwrap().state;
    assert_ne!(state, PartitionState::NotActivated);
    assert_eq!(site.effects("hmc.PowerOn.CLONE1"), 1);
}
