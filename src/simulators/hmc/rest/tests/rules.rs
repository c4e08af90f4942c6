//! Sessions, errors, empty answers, etags, what the console does not see.

use super::{Client, text, world};
use crate::simulators::hmc::rest::route;

#[test]
fn three_wrong_passwords_lock_the_account_for_five_minutes_and_a_try_starts_them_anew() {
    let mut client = Client::usual();
    for _ in 0..3 {
        assert_eq!(client.log_on("cloneop", "wrong"), 401);
    }
    client.pass(4 * 60_000);
    assert_eq!(client.log_on("cloneop", "simulated-hmc"), 401, "locked");
    client.pass(4 * 60_000);
    assert_eq!(
        client.log_on("cloneop", "simulated-hmc"),
        401,
        "locked anew"
    );
    client.pass(5 * 60_000);
    assert_eq!(client.log_on("cloneop", "simulated-hmc"), 200);
}

#[test]
fn sessions_end_by_idleness_and_by_age_and_are_limited() {
    let mut client = Client::of(world(|w| {
        w.console.idle_minutes = 15;
        w.console.session_minutes = 60;
        w.console.max_sessions = 1;
    }));
    assert_eq!(client.log_on("cloneop", "simulated-hmc"), 503, "one only");
    for _ in 0..5 {
        client.pass(10 * 60_000);
        assert_eq!(client.get("ManagementConsole").status, 200);
    }
    client.pass(11 * 60_000);
    assert_eq!(client.get("ManagementConsole").status, 401, "too old");
    assert_eq!(client.log_on("cloneop", "simulated-hmc"), 200);
    client.pass(16 * 60_000);
    assert_eq!(client.get("ManagementConsole").status, 401, "idle");
}

#[test]
fn a_dead_session_makes_room_for_a_logon() {
    let mut client = Client::of(world(|w| {
        w.console.idle_minutes = 15;
        w.console.max_sessions = 1;
    }));
    client.pass(16 * 60_000);
    assert_eq!(client.log_on("cloneop", "simulated-hmc"), 200);
}

#[test]
fn logging_off_ends_the_session_and_nothing_is_left_behind() {
    let mut client = Client::usual();
    assert_eq!(client.send("DELETE", "web/Logon", "", "").status, 204);
    assert_eq!(client.get("ManagementConsole").status, 401);
    client.world.check_left_behind();
    assert_eq!(client.world.ledger.violations, Vec::new());
}

#[test]
fn a_user_who_may_only_look_starts_nothing() {
    let mut client = Client::of(world(|w| w.console.users[0].read_only = true));
    assert_eq!(client.get("ManagementConsole").status, 200);
    let path = format!("LogicalPartition/{}/do/PowerOn", client.uuid("CLONE1"));
    let reply = client.put(&path, &[]);
    assert_eq!(reply.status, 403);
    assert!(text(&reply.body, "Message").starts_with("HSCL350B"));
    assert_eq!(client.world.ledger.effect_count("hmc.PowerOn.CLONE1"), 0);
}

#[test]
fn an_unchanged_object_is_304_and_a_changed_one_is_sent() {
    let mut client = Client::usual();
    let path = format!("uom/LogicalPartition/{}", client.uuid("CLONE1"));
    let etag = client.send("GET", &path, "", "").etag.unwrap().to_string();
    let again = client.send("GET", &path, "", &etag);
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    crate::simulators::hmc::start_by_hand(&mut client.world, "CLONE1");
    assert_eq!(client.send("GET", &path, "", &etag).status, 200);
}

#[test]
fn an_empty_collection_is_204_and_an_unknown_object_404() {
    let mut client = Client::usual();
    let production = client.uuid("PROD");
    let scsi = format!("LogicalPartition/{production}/VirtualSCSIClientAdapter");
    let reply = client.get(&scsi);
    assert_eq!((reply.status, reply.body.as_str()), (204, ""));
    assert_eq!(
        client
            .get("ManagedSystem/search/(SystemName=='NOT')")
            .status,
        204
    );
    assert_eq!(
        client
            .get("ManagedSystem/search/(SystemName==P10-PARIS)")
            .status,
        200
    );
    assert_eq!(
        client
            .get("ManagedSystem/search/(Name=='P10-PARIS')")
            .status,
        400
    );
    assert_eq!(client.get("LogicalPartition/0000").status, 404);
    // A VIOS is no LogicalPartition, and the other way round.
    let vios = client.uuid("VIOS1");
    assert_eq!(client.get(&format!("LogicalPartition/{vios}")).status, 404);
    assert_eq!(
        client.get(&format!("VirtualIOServer/{production}")).status,
        404
    );
    assert_eq!(
        client
            .get(&format!("VirtualIOServer/{vios}?group=Wrong"))
            .status,
        400
    );
}

#[test]
fn uuids_are_found_in_any_case_and_some_levels_write_them_the_other_way_round() {
    let mut client = Client::of(world(|w| w.console.swapped_uuid_case = true));
    let upper = client.uuid("CLONE1").to_ascii_uppercase();
    let body = client.get(&format!("LogicalPartition/{upper}")).body;
    assert_eq!(text(&body, "PartitionUUID"), upper.to_ascii_lowercase());
    assert_eq!(text(&body, "AtomID"), upper.to_ascii_lowercase());
}

#[test]
fn a_system_without_connection_takes_its_partitions_out_of_sight() {
    let mut client = Client::usual();
    let clone = client.uuid("CLONE1");
    let system = client.world.console.systems[0].uuid.clone();
    client.world.console.systems[0].state = "no connection".into();
    let systems = client.get("ManagedSystem/quick/All");
    assert!(systems.body.contains("no connection"));
    assert_eq!(client.get(&format!("LogicalPartition/{clone}")).status, 404);
    let all = format!("ManagedSystem/{system}/LogicalPartition/quick/All");
    assert_eq!(client.get(&all).status, 204);
}

#[test]
fn a_vios_without_rmc_fails_the_feed_unless_errors_are_ignored() {
    let mut client = Client::of(world(|w| w.vioses[1].rmc = false));
    let system = client.world.console.systems[0].uuid.clone();
    let feed = format!("ManagedSystem/{system}/VirtualIOServer?group=ViosStorage");
    let reply = client.get(&feed);
    assert_eq!(reply.status, 500);
    assert!(text(&reply.body, "Message").contains("VIOS2"));
    let reply = client.get(&format!("{feed}&ignoreError=true"));
    assert_eq!(reply.status, 200);
    let document = roxmltree::Document::parse(&reply.body).unwrap();
    let count = |name: &str| {
        let all = document.descendants();
        all.filter(|n| n.tag_name().name() == name).count()
    };
    assert_eq!(count("entry"), 2, "partial data, not none");
    assert_eq!(count("PhysicalVolumes"), 1);
}

#[test]
fn a_typed_accept_on_quick_is_406() {
    let mut client = Client::usual();
    let ask = super::Ask {
        method: "GET",
        path: "uom/ManagedSystem/quick/All",
        query: "",
        host: "h",
        accept: "application/vnd.ibm.powervm.uom+xml; type=ManagedSystem",
        token: &client.token,
        if_match: "",
        if_none_match: "",
        body: "",
        endpoint: 0,
    };
    assert_eq!(route(&mut client.world, &ask).status, 406);
}

#[test]
fn the_reference_code_is_blank_space_on_a_running_vios_and_digits_on_ibm_i() {
    let mut client = Client::usual();
    let vios = format!("VirtualIOServer/{}", client.uuid("VIOS1"));
    let blank = text(&client.get(&vios).body, "ReferenceCode");
    assert!(!blank.is_empty() && blank.trim().is_empty(), "{blank:?}");
    let production = format!("LogicalPartition/{}", client.uuid("PROD"));
    assert_eq!(
        text(&client.get(&production).body, "ReferenceCode"),
        "00000000"
    );
}

#[test]
fn the_console_reads_the_partition_state_as_one_word_of_json() {
    let mut client = Client::usual();
    let path = format!(
        "LogicalPartition/{}/quick/PartitionState",
        client.uuid("CLONE1")
    );
    let reply = client.get(&path);
    assert_eq!(
        (reply.content_type, reply.body.as_str()),
        ("application/json", "\"not activated\"")
    );
}
