//! What a partition reaches is found from outside, completely or not at all.

use crate::support::console::{ConsoleSite, clone1, virtual_io};
use ibmi_clone_operator::site::{Attachment, PartitionView, VirtualIo, Wwpn};

#[tokio::test]
async fn production_is_found_by_the_ports_of_its_adapters() {
    let site = ConsoleSite::usual();
    let found = site.console().view("P10-PARIS", "PROD").attachments().await;
    let pair = |a: &str, b: &str| Attachment::Ports(vec![Wwpn::new(a), Wwpn::new(b)]);
    assert_eq!(
        found.unwrap(),
        [
            pair("c050760a1b2c0010", "c050760a1b2c0011"),
            pair("c050760a1b2c0012", "c050760a1b2c0013"),
        ]
    );
}

#[tokio::test]
async fn volumes_behind_every_vios_are_found_by_identity() {
    let site = ConsoleSite::usual();
    let console = site.console();
    virtual_io(&console).map(&site.wanted()).await.unwrap();
    let found = clone1(&console).attachments().await.unwrap();
    for server in ["VIOS1", "VIOS2"] {
        let uids: Vec<_> = found
            .iter()
            .filter_map(|a| match a {
                Attachment::Volume { vios, uid, .. } if vios == server => uid.clone(),
                Attachment::Volume { .. } | Attachment::Ports(_) => None,
            })
            .collect();
        let wanted: Vec<_> = site.wanted().into_iter().map(|w| w.uid).collect();
        assert_eq!(uids, wanted, "{server}");
    }
    assert_eq!(found.len(), 8);
}

#[tokio::test]
async fn a_vios_without_rmc_is_an_error_only_where_it_serves_the_partition() {
    let site = ConsoleSite::start(|w| w.vioses[1].rmc = false);
    let console = site.console();
    let error = clone1(&console).attachments().await.unwrap_err();
    assert_eq!(error.reason(), "Unreachable");
    assert!(error.to_string().contains("VIOS2"), "{error}");
    // No virtual SCSI adapter of production connects to it: the hypervisor says so without asking the VIOS.
    let production = console.view("P10-PARIS", "PROD").attachments().await;
    assert_eq!(production.unwrap().len(), 2);
}
