//! Answers against answers recorded from real consoles: no invented element, the same order, the same words.

use super::{Client, LocalName, world};
use crate::simulators::hmc::PartitionKind;
use roxmltree::{Document, Node};
use std::collections::{BTreeMap, BTreeSet};

fn recorded(name: &str) -> Option<String> {
    let folder = crate::drivers::captures("hmc")?;
    Some(std::fs::read_to_string(folder.join(name)).unwrap())
}

/// Every path of element names below the objects of a type, and the orders in which children occur.
#[derive(Default)]
struct Shape {
    paths: BTreeSet<String>,
    /// Parent path → pairs (earlier, later) seen among its children.
    orders: BTreeMap<String, BTreeSet<(String, String)>>,
    attributes: BTreeSet<String>,
}

impl Shape {
    fn read(&mut self, body: &str, kind: &str) {
        let document = Document::parse(body.trim_start()).unwrap();
        let objects = document
            .descendants()
            .filter(|n| n.has_tag_name_local(kind));
        for object in objects {
            self.node(object, kind.to_owned());
        }
    }
    fn node(&mut self, node: Node<'_, '_>, path: String) {
        let children: Vec<Node<'_, '_>> = node.children().filter(Node::is_element).collect();
        for (n, earlier) in children.iter().enumerate() {
            for later in &children[n + 1..] {
                let pair = [earlier, later].map(|c| c.tag_name().name().to_owned());
                let [earlier, later] = pair;
                self.orders
                    .entry(path.clone())
                    .or_default()
                    .insert((earlier, later));
            }
        }
        for attribute in node.attributes() {
            self.attributes.insert(attribute.name().to_owned());
        }
        for child in children {
            self.node(child, format!("{path}/{}", child.tag_name().name()));
        }
        self.paths.insert(path);
    }
}

/// Every element the simulator writes occurs in the recordings at the same place, and no two of them in the other order.
fn assert_shape(kind: &str, recordings: &[&str], simulated: &[String]) {
    let mut real = Shape::default();
    for name in recordings {
        let Some(body) = recorded(name) else { return };
        real.read(&body, kind);
    }
    let mut ours = Shape::default();
    for body in simulated {
        ours.read(body, kind);
    }
    assert!(ours.paths.len() > 2, "{kind}: {:?}", ours.paths);
    let invented: Vec<_> = ours.paths.difference(&real.paths).collect();
    assert_eq!(invented, Vec::<&String>::new(), "{kind}: invented elements");
    for (path, pairs) in &ours.orders {
        let seen = &real.orders[path];
        for (earlier, later) in pairs {
            let turned = seen.contains(&(later.clone(), earlier.clone()))
                && !seen.contains(&(earlier.clone(), later.clone()));
            assert!(!turned, "{path}: {earlier} comes after {later}");
        }
    }
    let invented: Vec<_> = ours.attributes.difference(&real.attributes).collect();
    assert_eq!(invented, Vec::<&String>::new(), "{kind}: attributes");
}

fn mapped() -> Client {
    let mut client = Client::of(world(|w| {
        w.console.partitions[4].kind = PartitionKind::AixLinux;
    }));
    let (status, ..) = client.run("VIOS1", "mkvdev -vdev hdisk1 -vadapter vhost3 -dev c1_00");
    assert_eq!(status, "COMPLETED_OK");
    client
}

#[test]
fn partitions_have_the_recorded_shape() {
    let mut client = mapped();
    let system = client.world.console.systems[0].uuid.clone();
    let bodies = [
        client
            .get(&format!("ManagedSystem/{system}/LogicalPartition"))
            .body,
        client
            .get(&format!(
                "LogicalPartition/{}?group=None",
                client.uuid("CLONE1")
            ))
            .body,
    ];
    let real = [
        "lpar-feed-ibmi-power9.xml",
        "lpar-feed-pollux.xml",
        "lpar-entry-646AE0BC.xml",
    ];
    assert_shape("LogicalPartition", &real, &bodies);
    assert_shape("entry", &real, &[bodies[1].clone()]);
    assert_shape("feed", &real, &[bodies[0].clone()]);
}

#[test]
fn consoles_and_systems_have_the_recorded_shape() {
    let mut client = mapped();
    let console = client.get("ManagementConsole").body;
    assert_shape("feed", &["managementconsole-v8r8.xml"], &[console]);
    let systems = client.get("ManagedSystem").body;
    let real = [
        "managedsystem-porthos-systemnetwork.xml",
        "managedsystem-feed-2013.xml",
    ];
    assert_shape("ManagedSystem", &real, &[systems]);
}

#[test]
fn a_vios_has_the_recorded_shape_in_every_group() {
    let mut client = mapped();
    let vios = client.uuid("VIOS1");
    let groups = "ViosFCMapping,ViosSCSIMapping,ViosStorage";
    let body = client
        .get(&format!("VirtualIOServer/{vios}?group={groups}"))
        .body;
    for wanted in [
        "VirtualFibreChannelMapping",
        "PhysicalVolumeVirtualTargetDevice",
    ] {
        assert!(body.contains(wanted), "{wanted}");
    }
    let real = ["vios-feed-pollux.xml", "vios-feed-ssp-npiv.xml"];
    assert_shape("VirtualIOServer", &real, &[body]);
}

#[test]
fn client_adapters_have_the_recorded_shape() {
    let mut client = mapped();
    let (clone, production) = (client.uuid("CLONE1"), client.uuid("PROD"));
    let scsi = client.get(&format!(
        "LogicalPartition/{clone}/VirtualSCSIClientAdapter"
    ));
    let real = ["vscsi-client-adapters-646AE0BC.xml"];
    assert_shape("feed", &real, &[scsi.body]);
    let fibre = format!("LogicalPartition/{production}/VirtualFibreChannelClientAdapter");
    let real = [
        "vfc-client-adapters-684292A4.xml",
        "vfc-client-adapters-novalink.xml",
    ];
    assert_shape("feed", &real, &[client.get(&fibre).body]);
}

#[test]
fn jobs_have_the_recorded_shape_from_submission_to_each_end() {
    let mut client = mapped();
    let path = format!("LogicalPartition/{}/do/PowerOff", client.uuid("CLONE1"));
    let submitted = client.put(&path, &[("operation", "shutdown"), ("immediate", "true")]);
    let id = super::text(&submitted.body, "JobID");
    client.pass(500);
    let running = client.get(&format!("jobs/{id}"));
    client.pass(1_000);
    let refused = client.get(&format!("jobs/{id}"));
    assert_eq!(super::text(&refused.body, "Status"), "COMPLETED_WITH_ERROR");
    let real = [
        "clirunner-viosvrcmd-1-submit.xml",
        "clirunner-viosvrcmd-2-poll-running.xml",
        "clirunner-viosvrcmd-3-poll-completed.xml",
        "job-completed-with-error-hscl05df.xml",
        "job-failed-before-completion.xml",
    ];
    assert_shape("entry", &real[..1], &[submitted.body]);
    assert_shape("entry", &real[..2], &[running.body]);
    assert_shape("entry", &real[..4], &[refused.body]);
    let template = client.get(&path);
    assert_shape("entry", &["job-template-poweroff.xml"], &[template.body]);
    let console = super::super::atom::console_uuid(0);
    let unsupported = client.put(
        &format!("ManagementConsole/{console}/do/CLIRunner"),
        &[
            ("cmd", "lssyscfg -r sys"),
            ("acknowledgeThisAPIMayGoAwayInTheFuture", "true"),
        ],
    );
    client.pass(1_000);
    let id = super::text(&unsupported.body, "JobID");
    let failed = client.get(&format!("jobs/{id}"));
    assert!(failed.body.contains("Unsupported commmand lssyscfg"));
    assert_shape("entry", &real, &[failed.body]);
}

#[test]
fn errors_and_the_logon_have_the_recorded_shape() {
    let mut client = Client::usual();
    let gone = client.get("VirtualIOServer/646AE0BC-CF06-4F6B-83CB-7A3ECCF903E3");
    assert_eq!(gone.status, 404);
    assert_shape(
        "entry",
        &["httperror-404-vios.xml"],
        std::slice::from_ref(&gone.body),
    );
    if let Some(real) = recorded("httperror-404-vios.xml") {
        for field in ["ReasonCode", "Message", "RequestURI"] {
            assert_eq!(super::text(&gone.body, field), super::text(&real, field));
        }
    }
    let body =
        "<LogonRequest><UserID>cloneop</UserID><Password>simulated-hmc</Password></LogonRequest>";
    let logon = client.send("PUT", "web/Logon", body, "");
    assert_shape("LogonResponse", &["logon-v8r8.xml"], &[logon.body]);
    assert!(
        (200..=250).contains(&client.token.len()),
        "{}",
        client.token.len()
    );
}

#[test]
fn quick_objects_have_only_recorded_keys_with_recorded_types() {
    let mut client = mapped();
    let system = client.world.console.systems[0].uuid.clone();
    let cases = [
        (
            "managedsystem-quick-all.json",
            "ManagedSystem/quick/All".to_owned(),
        ),
        (
            "vios-quick-all-porthos.json",
            format!("ManagedSystem/{system}/VirtualIOServer/quick/All"),
        ),
    ];
    for (name, path) in cases {
        let Some(real) = recorded(name) else { return };
        let parse = |text: &str| -> Vec<BTreeMap<String, serde_json::Value>> {
            serde_json::from_str(text).unwrap()
        };
        let real = parse(&real);
        for ours in parse(&client.get(&path).body) {
            for (key, value) in ours {
                let types: Vec<_> = real
                    .iter()
                    .map(|o| std::mem::discriminant(o.get(&key).expect(&key)))
                    .collect();
                let fits = value.is_null() || types.contains(&std::mem::discriminant(&value));
                assert!(fits, "{path}: {key} = {value}");
            }
        }
    }
}
