//! POST of a VIOS's mappings with If-Match, VIOS jobs, single adapters.

use super::{Client, outcome, text, world};

const GROUP: &str = "group=ViosSCSIMapping";

fn path(client: &Client) -> String {
    format!("VirtualIOServer/{}?{GROUP}", client.uuid("VIOS1"))
}

/// The VIOS as a client reads it, changed, and sent back.
fn send_back(client: &mut Client, etag: &str, change: impl FnOnce(&str) -> String) -> super::Reply {
    let path = path(client);
    let entry = client.get(&path).body;
    let begin = entry.find("<VirtualIOServer:VirtualIOServer").unwrap();
    let end = "</VirtualIOServer:VirtualIOServer>";
    let vios = &entry[begin..entry.find(end).unwrap() + end.len()];
    client.send("POST", &format!("uom/{path}"), &change(vios), etag)
}

fn etag(client: &mut Client) -> String {
    let path = path(client);
    client.get(&path).etag.unwrap().to_string()
}

fn mapping(vhost: &str, disk: &str, name: &str) -> String {
    format!(
        "<VirtualSCSIMapping><ServerAdapter><AdapterName>{vhost}</AdapterName></ServerAdapter>\
         <Storage><PhysicalVolume><VolumeName>{disk}</VolumeName></PhysicalVolume></Storage>\
         <TargetDevice><PhysicalVolumeVirtualTargetDevice><TargetName>{name}</TargetName>\
         </PhysicalVolumeVirtualTargetDevice></TargetDevice></VirtualSCSIMapping></VirtualSCSIMappings>"
    )
}

fn with(vios: &str, mapping: &str) -> String {
    vios.replace("</VirtualSCSIMappings>", mapping)
}

fn names(client: &Client) -> Vec<String> {
    let vtds = client.world.vioses["VIOS1"].vtds.iter();
    vtds.map(|t| t.name.clone()).collect()
}

#[test]
fn a_mapping_is_made_and_removed_by_sending_the_whole_vios_back() {
    let mut client = Client::usual();
    let tag = etag(&mut client);
    let reply = send_back(&mut client, &tag, |v| {
        with(v, &mapping("vhost3", "hdisk1", "one"))
    });
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(names(&client), ["one"]);
    assert!(
        reply
            .body
            .contains("<TargetName kb=\"ROR\" kxe=\"false\">one<")
    );
    assert_ne!(reply.etag.unwrap().to_string(), tag);
    // Sent back unchanged: nothing happens.
    let tag = etag(&mut client);
    assert_eq!(send_back(&mut client, &tag, str::to_owned).status, 200);
    assert_eq!(names(&client), ["one"]);
    assert_eq!(client.world.ledger.effect_count("vios.VIOS1.mkvdev"), 1);
    // The client drops the group of mappings' content.
    let reply = send_back(&mut client, &tag, |v| {
        let begin = v.find("<VirtualSCSIMappings").unwrap();
        let end = v.find("</VirtualSCSIMappings>").unwrap();
        format!("{}<VirtualSCSIMappings>{}", &v[..begin], &v[end..])
    });
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert!(names(&client).is_empty());
}

#[test]
fn a_stale_or_missing_if_match_is_412_and_changes_nothing() {
    let mut client = Client::usual();
    let stale = etag(&mut client);
    client.run("VIOS1", "mkvdev -vdev hdisk2 -vadapter vhost4 -dev other");
    for tag in [stale.as_str(), "", "*"] {
        let reply = send_back(&mut client, tag, |v| {
            with(v, &mapping("vhost3", "hdisk1", "one"))
        });
        assert_eq!(reply.status, 412, "{tag}");
    }
    assert_eq!(names(&client), ["other"]);
    let tag = etag(&mut client);
    let reply = send_back(&mut client, &tag, |v| {
        with(v, &mapping("vhost3", "hdisk1", "one"))
    });
    assert_eq!((reply.status, names(&client).len()), (200, 2));
}

#[test]
fn what_the_vios_refuses_is_a_500_with_its_text() {
    let mut client = Client::usual();
    client.run("VIOS1", "mkvdev -vdev hdisk2 -vadapter vhost4 -dev other");
    for (disk, name, says) in [
        ("hdisk2", "one", "already being used as a backing device"),
        ("hdisk1", "other", "0514-520"),
        ("hdisk77", "one", "not in AVAILABLE state"),
    ] {
        let tag = etag(&mut client);
        let reply = send_back(&mut client, &tag, |v| {
            with(v, &mapping("vhost3", disk, name))
        });
        assert_eq!(reply.status, 500, "{disk}");
        let message = text(&reply.body, "Message");
        assert!(
            message.starts_with("HSCL2970") && message.contains(says),
            "{message}"
        );
        assert_eq!(names(&client), ["other"]);
    }
}

#[test]
fn a_body_that_is_no_vios_is_400_and_a_reader_may_not_change() {
    let mut client = Client::usual();
    let path = format!("uom/{}", path(&client));
    let tag = etag(&mut client);
    for body in ["", "<LogicalPartition/>"] {
        assert_eq!(client.send("POST", &path, body, &tag).status, 400, "{body}");
    }
    let mut reader = Client::of(world(|w| w.console.users[0].read_only = true));
    let tag = etag(&mut reader);
    let reply = send_back(&mut reader, &tag, |v| {
        with(v, &mapping("vhost3", "hdisk1", "one"))
    });
    assert_eq!(reply.status, 403);
    assert!(names(&reader).is_empty());
}

#[test]
fn a_mapping_with_the_next_slot_makes_both_adapters_at_once() {
    let mut client = Client::usual();
    let tag = etag(&mut client);
    let uuid = client.uuid("CLONE1");
    let pair = |uuid: &str| {
        format!(
            "<VirtualSCSIMapping><AssociatedLogicalPartition href=\"https://h/rest/api/uom/LogicalPartition/{uuid}\"/>\
             <ClientAdapter><UseNextAvailableSlotID>true</UseNextAvailableSlotID></ClientAdapter>\
             <Storage><PhysicalVolume><VolumeName>hdisk1</VolumeName></PhysicalVolume></Storage>\
             </VirtualSCSIMapping></VirtualSCSIMappings>"
        )
    };
    let reply = send_back(&mut client, &tag, |v| with(v, &pair("0000")));
    assert_eq!(reply.status, 400, "no such partition");
    let before = client.world.console.partitions["CLONE1"].scsi.len();
    let reply = send_back(&mut client, &tag, |v| with(v, &pair(&uuid)));
    assert_eq!(reply.status, 200, "{}", reply.body);
    let adapters = &client.world.console.partitions["CLONE1"].scsi;
    assert_eq!(adapters.len(), before + 1);
    let made = adapters.last().unwrap();
    let vtd = &client.world.vioses["VIOS1"].vtds[0];
    assert_eq!(vtd.vhost, made.vhost);
}

#[test]
fn config_device_finds_disks_and_remove_device_says_what_is_missing() {
    let mut client = Client::usual();
    let vios = format!("VirtualIOServer/{}/do", client.uuid("VIOS1"));
    let mut job = |operation: &str, parameters: &[(&str, &str)]| {
        let reply = client.put(&format!("{vios}/{operation}"), parameters);
        if reply.status != 200 {
            return (reply.status.to_string(), String::new(), String::new());
        }
        let id = text(&reply.body, "JobID");
        client.pass(1_000);
        outcome(&client.get(&format!("jobs/{id}")).body)
    };
    assert_eq!(
        job("RemoveDevice", &[("devName", "hdisk3")]).0,
        "COMPLETED_OK"
    );
    let gone = job("RemoveDevice", &[("devName", "hdisk3")]);
    assert_eq!(gone.0, "COMPLETED_WITH_ERROR");
    assert!(gone.2.contains("0514-519"), "{}", gone.2);
    assert_eq!(job("RemoveDevice", &[]).0, "400");
    assert_eq!(job("ConfigDevice", &[]).0, "COMPLETED_OK");
    assert_eq!(client.world.ledger.effect_count("vios.VIOS1.cfgdev"), 1);
}

#[test]
fn one_adapter_is_an_entry_and_an_unknown_one_404() {
    let mut client = Client::usual();
    let lists = [
        (format!(
            "LogicalPartition/{}/VirtualSCSIClientAdapter",
            client.uuid("CLONE1")
        )),
        (format!(
            "LogicalPartition/{}/VirtualFibreChannelClientAdapter",
            client.uuid("PROD")
        )),
        (format!(
            "VirtualIOServer/{}/VirtualSCSIServerAdapter",
            client.uuid("VIOS1")
        )),
    ];
    for list in lists {
        let id = text(&client.get(&list).body, "AtomID");
        let one = client.get(&format!("{list}/{id}"));
        assert_eq!(one.status, 200, "{list}");
        assert_eq!(text(&one.body, "AtomID"), id);
        assert_eq!(client.get(&format!("{list}/none")).status, 404, "{list}");
    }
}
