//! Jobs: parameters, ends, cancelling, forgetting, CLIRunner.

use super::{Client, outcome, text, world};
use crate::simulators::faults::{Device, Fault, FaultKind};
use crate::simulators::hmc::{PowerState, is_on};

fn power(client: &mut Client, partition: &str, operation: &str, with: &[(&str, &str)]) -> String {
    let path = format!("LogicalPartition/{}/do/{operation}", client.uuid(partition));
    let reply = client.put(&path, with);
    assert_eq!(reply.status, 200, "{}", reply.body);
    text(&reply.body, "JobID")
}

fn ended(client: &mut Client, id: &str) -> (String, String, String) {
    client.pass(1_000);
    outcome(&client.get(&format!("jobs/{id}")).body)
}

#[test]
fn a_refused_power_job_is_accepted_and_ends_with_the_code() {
    let mut client = Client::usual();
    let off = [("operation", "shutdown"), ("immediate", "true")];
    let id = power(&mut client, "CLONE1", "PowerOff", &off);
    let (status, code, result) = ended(&mut client, &id);
    assert_eq!(
        (status.as_str(), code.as_str()),
        ("COMPLETED_WITH_ERROR", "1")
    );
    assert!(result.starts_with("HSCL1558"), "{result}");
    client
        .world
        .console
        .partitions
        .get_mut("CLONE1")
        .unwrap()
        .fresh = true;
    let id = power(&mut client, "CLONE1", "PowerOn", &[]);
    assert!(ended(&mut client, &id).2.starts_with("HSCL3680"));
    let id = power(
        &mut client,
        "CLONE1",
        "PowerOn",
        &[("LogicalPartitionProfile", "CLONE_PRF")],
    );
    assert_eq!(ended(&mut client, &id).0, "COMPLETED_OK");
    let id = power(&mut client, "CLONE1", "PowerOn", &[]);
    assert!(ended(&mut client, &id).2.starts_with("HSCL3681"));
}

#[test]
fn wrong_parameters_are_refused_before_there_is_a_job() {
    let mut client = Client::usual();
    let uuid = client.uuid("CLONE1");
    for (operation, parameters) in [
        ("PowerOff", vec![]),
        ("PowerOff", vec![("operation", "halt")]),
        (
            "PowerOff",
            vec![("operation", "shutdown"), ("immediate", "yes")],
        ),
        ("PowerOn", vec![("keylock", "open")]),
        ("PowerOn", vec![("iIPLsource", "x")]),
        ("PowerOn", vec![("OperationType", "changeKeylock")]),
    ] {
        let reply = client.put(
            &format!("LogicalPartition/{uuid}/do/{operation}"),
            &parameters,
        );
        assert_eq!(reply.status, 400, "{operation} {parameters:?}");
    }
    assert!(client.world.console.jobs.is_empty());
    let reply = client.put(&format!("LogicalPartition/{uuid}/do/Explode"), &[]);
    assert_eq!(reply.status, 404);
}

#[test]
fn shutdown_with_restart_but_not_immediate_is_a_dump_restart() {
    let mut client = Client::usual();
    let with = [
        ("operation", "shutdown"),
        ("immediate", "false"),
        ("restart", "true"),
    ];
    power(&mut client, "CLONE1", "PowerOn", &[]);
    client.pass(6_000);
    power(&mut client, "CLONE1", "PowerOff", &with);
    assert_eq!(
        client.world.ledger.effect_count("hmc.DumpRestart.CLONE1"),
        1
    );
    assert!(is_on(&client.world, "CLONE1"));
}

#[test]
fn a_job_is_found_by_its_number_only_and_not_deleted_while_it_runs() {
    let mut client = Client::usual();
    let id = power(&mut client, "CLONE1", "PowerOn", &[]);
    let entry = client.get("jobs/45a60a53-ac37-3a0d-b8de-0baea66b7227");
    assert_eq!(entry.status, 400);
    let path = format!("uom/jobs/{id}");
    assert_eq!(client.send("DELETE", &path, "", "").status, 409);
    client.pass(1_000);
    assert_eq!(client.send("DELETE", &path, "", "").status, 204);
    assert_eq!(client.get(&format!("jobs/{id}")).status, 404);
}

#[test]
fn a_cancelled_job_ends_but_what_it_began_goes_on() {
    let mut client = Client::usual();
    let id = power(&mut client, "CLONE1", "PowerOn", &[]);
    client.pass(500);
    let cancel = format!("uom/jobs/{id}/cancel");
    assert_eq!(client.send("POST", &cancel, "", "").status, 204);
    assert_eq!(ended(&mut client, &id).0, "CANCELED_WHILE_RUNNING");
    assert_eq!(client.send("POST", &cancel, "", "").status, 409);
    assert!(is_on(&client.world, "CLONE1"));
}

#[test]
fn an_ended_job_is_forgotten_after_its_minutes() {
    let mut client = Client::of(world(|w| w.console.job_minutes = 10));
    let id = power(&mut client, "CLONE1", "PowerOn", &[]);
    client.pass(9 * 60_000);
    assert_eq!(client.get(&format!("jobs/{id}")).status, 200);
    client.pass(2 * 60_000);
    assert_eq!(client.get(&format!("jobs/{id}")).status, 404);
}

#[test]
fn each_console_has_its_own_identity_and_jobs() {
    let mut first = Client::usual();
    let id = power(&mut first, "CLONE1", "PowerOn", &[]);
    let console = text(&first.get("ManagementConsole").body, "AtomID");
    let mut second = first.at(1);
    assert_eq!(
        second.get(&format!("jobs/{id}")).status,
        401,
        "a session of the other"
    );
    assert_eq!(second.log_on("cloneop", "simulated-hmc"), 200);
    assert_eq!(second.get(&format!("jobs/{id}")).status, 404);
    assert_ne!(
        text(&second.get("ManagementConsole").body, "AtomID"),
        console
    );
    let path = format!("ManagementConsole/{console}/do/CLIRunner");
    assert_eq!(second.put(&path, &[]).status, 404);
}

#[test]
fn a_stuck_job_runs_for_ever_although_the_state_changed() {
    let mut client = Client::usual();
    client.world.faults.add(Fault {
        device: Device::Hmc,
        name: "hmc1".into(),
        operation: "PowerOn".into(),
        kind: FaultKind::Special("stuck-job".into()),
        times: 1,
    });
    let id = power(&mut client, "CLONE1", "PowerOn", &[]);
    client.pass(3_600_000);
    assert_eq!(
        outcome(&client.get(&format!("jobs/{id}")).body).0,
        "RUNNING"
    );
    assert_ne!(
        client.world.console.partitions["CLONE1"].state,
        PowerState::NotActivated
    );
}

#[test]
fn a_vios_command_comes_back_as_it_was_printed_and_fails_with_a_code() {
    let mut client = Client::usual();
    let (status, code, result) = client.run("VIOS1", "ioslevel");
    assert_eq!((status.as_str(), code.as_str()), ("COMPLETED_OK", "0"));
    assert_eq!(result, "3.1.4.21\n");
    let (status, code, result) = client.run("VIOS1", "rmvdev -vtd none");
    assert_eq!(
        (status.as_str(), code.as_str()),
        ("COMPLETED_WITH_ERROR", "1")
    );
    assert!(result.starts_with("HSCL2970"), "{result}");
    assert!(result.contains("0514-519"), "{result}");
}

#[test]
fn a_vios_without_rmc_or_a_system_without_connection_runs_nothing() {
    let mut client = Client::of(world(|w| w.vioses[1].rmc = false));
    let (status, _, result) = client.run("VIOS2", "cfgdev");
    assert_eq!(status, "COMPLETED_WITH_ERROR");
    assert!(result.starts_with("HSCL294C"), "{result}");
    client.world.console.systems[0].state = "no connection".into();
    assert!(client.run("VIOS1", "cfgdev").2.starts_with("HSCL0238"));
    assert_eq!(client.world.ledger.effect_count("vios.VIOS1.cfgdev"), 0);
}

#[test]
fn a_command_must_be_acknowledged_and_may_name_the_vios_by_id_and_serial() {
    let mut client = Client::usual();
    let path = format!(
        "ManagementConsole/{}/do/CLIRunner",
        super::super::atom::console_uuid(0)
    );
    let line = "viosvrcmd -m '9105-42A*78ABCD0' --id 2 -c 'lsdev -dev hdisk4 -attr unique_id'";
    assert_eq!(client.put(&path, &[("cmd", line)]).status, 400);
    let with = [
        ("cmd", line),
        ("acknowledgeThisAPIMayGoAwayInTheFuture", "true"),
    ];
    let id = text(&client.put(&path, &with).body, "JobID");
    let (status, _, result) = ended(&mut client, &id);
    assert_eq!(status, "COMPLETED_OK");
    assert!(result.starts_with("value\n\n3321"), "{result}");
}
