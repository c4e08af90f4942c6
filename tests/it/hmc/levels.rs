//! Consoles of other levels, and what stands between.

use crate::support::console::{ConsoleSite, clone1, virtual_io};
use ibmi_clone_operator::drivers::hmc::HmcConsole;
use ibmi_clone_operator::simulators::faults::{Device, FaultKind};
use ibmi_clone_operator::site::{PartitionControl, PartitionState, PartitionView, VirtualIo};

#[tokio::test]
async fn uuids_in_the_other_case_are_the_same_objects() {
    let site = ConsoleSite::start(|w| w.console.swapped_uuid_case = true);
    let usual = ConsoleSite::usual();
    let pin = clone1(&usual.console()).status().await.unwrap().uuid;
    let console = site.console();
    // The pin was written down at another level; it is still this partition, for commands, too.
    let control = console.control("P10-PARIS", "CLONE1", Some(pin));
    assert_eq!(
        control.status().await.unwrap().state,
        PartitionState::NotActivated
    );
    control
        .set_keylock(ibmi_clone_operator::site::Keylock::Manual)
        .await
        .unwrap();
    assert_eq!(control.status().await.unwrap().keylock, "manual");
    let virtual_io = virtual_io(&console);
    virtual_io.map(&site.wanted()).await.unwrap();
    assert_eq!(control.attachments().await.unwrap().len(), 8);
}

#[tokio::test]
async fn a_page_of_a_proxy_is_no_state_and_a_503_is_busy() {
    let site = ConsoleSite::usual();
    let control = clone1(&site.console());
    control.status().await.unwrap();
    let path = "GET /rest/api/uom/LogicalPartition";
    site.fault(Device::Hmc, path, FaultKind::Special("html".into()));
    let error = control.status().await.unwrap_err();
    assert_eq!(error.reason(), "Unreachable");
    assert!(error.to_string().contains("proxy"), "{error}");
    let kind = FaultKind::Refuse {
        code: "503".into(),
        text: "starting".into(),
    };
    site.fault(Device::Hmc, path, kind);
    assert_eq!(control.status().await.unwrap_err().reason(), "Busy");
    control.status().await.unwrap();
}

#[tokio::test]
async fn the_web_page_of_a_console_is_told_from_its_rest_api_with_the_port_to_write() {
    let mut site = ConsoleSite::usual();
    let page = site.web_page();
    let console = HmcConsole::open(site.options(std::slice::from_ref(&page))).unwrap();
    let error = clone1(&console).status().await.unwrap_err().to_string();
    assert!(
        error.contains(&page) && error.contains("no REST API") && error.contains("12443"),
        "{error}"
    );
    assert_eq!(site.sessions(), 0);
}

#[tokio::test]
async fn a_user_who_may_only_look_is_told_the_consoles_code() {
    let site = ConsoleSite::start(|w| w.console.users[0].read_only = true);
    let control = clone1(&site.console());
    control.status().await.unwrap();
    let error = control.power_off().await.unwrap_err();
    assert_eq!(error.code(), Some("HSCL350B"), "{error}");
}
