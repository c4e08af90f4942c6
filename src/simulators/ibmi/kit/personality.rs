//! Personality and ready record (`ibmi/CONTRACT.md` §§ 7, 8).

use super::*;

type Row = (String, String);

/// § 7, on the disk.
pub(super) fn personality(disk: &mut DiskState, run: &BTreeMap<String, String>) -> Result<(), Row> {
    let row = |row: &str, id: &str| (row.to_owned(), id.to_owned());
    let need = |key: &str, at: &str| run.get(key).cloned().ok_or_else(|| row(at, "CLN0103"));
    if need("scheduledJobs", "hold-schedule")? == "Hold" {
        disk.schedule.iter_mut().for_each(|e| e.held = true);
    }
    disk.job_queues.values_mut().for_each(|q| q.held = true);
    (disk.strtcp, disk.strprtwtr) = (false, false);
    let name = need("systemName", "system-name")?;
    disk.pending_name = (disk.system_name != name).then(|| name.clone());
    (disk.control_point, disk.location) = (name.clone(), name);
    disk.alerts = "*OFF".to_owned();
    let list = |prefix: &str, suffix: &str, at: &str| {
        record::list(run, prefix, suffix).ok_or_else(|| row(at, "CLN0103"))
    };
    let routes = |prefix: &str, at: &str| -> Result<BTreeSet<Route>, Row> {
        let (to, mask, hop) = (
            list(prefix, ".destination", at)?,
            list(prefix, ".netmask", at)?,
            list(prefix, ".nextHop", at)?,
        );
        Ok(to
            .into_iter()
            .zip(mask)
            .zip(hop)
            .map(|((destination, netmask), next_hop)| Route {
                destination,
                netmask,
                next_hop,
            })
            .collect())
    };
    let gone = routes("sourceRoute", "remove-routes")?;
    disk.routes.retain(|r| !gone.contains(r));
    let gone = list("sourceInterface", ".address", "remove-interfaces")?;
    disk.interfaces.retain(|i| !gone.contains(&i.address));
    let (addresses, masks) = (
        list("interface", ".address", "add-interfaces")?,
        list("interface", ".netmask", "add-interfaces")?,
    );
    let (lines, resources) = (
        list("interface", ".lineDescription", "lines")?,
        list("interface", ".resource", "lines")?,
    );
    for (at, address) in addresses.iter().enumerate() {
        let line = lines[at].clone();
        let Some(resource) = disk.lines.get_mut(&line) else {
            return Err(row("lines", "CPF2702"));
        };
        if resources[at] != "*KEEP" {
            resource.clone_from(&resources[at]);
        }
        disk.interfaces.retain(|i| &i.address != address);
        disk.interfaces.push(Interface {
            address: address.clone(),
            netmask: masks[at].clone(),
            line,
            autostart: false,
        });
    }
    for r in routes("route", "add-routes")? {
        if !disk.routes.contains(&r) {
            disk.routes.push(r);
        }
    }
    disk.host_name = need("hostName", "host-name")?;
    if let Some(domain) = run.get("domain") {
        disk.domain.clone_from(domain);
    }
    addresses_are_exact(disk, run)
}

/// Row `read-addresses`: exactly the listed interfaces and routes, none of them starting by itself.
fn addresses_are_exact(disk: &DiskState, run: &BTreeMap<String, String>) -> Result<(), Row> {
    let wanted: BTreeSet<String> = record::list(run, "interface", ".address")
        .unwrap_or_default()
        .into_iter()
        .collect();
    let found: BTreeSet<String> = disk.interfaces.iter().map(|i| i.address.clone()).collect();
    let hops: BTreeSet<String> = record::list(run, "route", ".nextHop")
        .unwrap_or_default()
        .into_iter()
        .collect();
    let strange = disk.routes.iter().any(|r| !hops.contains(&r.next_hop));
    if wanted != found || strange || disk.interfaces.iter().any(|i| i.autostart) {
        return Err(("read-addresses".to_owned(), "CLN0212".to_owned()));
    }
    Ok(())
}

pub(super) fn start_network(world: &mut World, partition: &str, run: &BTreeMap<String, String>) {
    start_tcp(world, partition, false);
    for address in record::list(run, "interface", ".address").unwrap_or_default() {
        start_interface(world, partition, &address);
    }
    if let Some(r) = running(world, partition) {
        r.system.sshd = true;
    }
}

/// READY: network, queues, subsystems, record.
pub(super) fn ready(
    world: &mut World,
    partition: &str,
    run: &BTreeMap<String, String>,
    stage: u32,
    re_ipls: u32,
) {
    let exact = disk_of(world, partition).map(|d| addresses_are_exact(d, run));
    if let Some(Err((row, id))) = exact {
        return failed(world, partition, run, (&row, &id));
    }
    start_network(world, partition, run);
    let queues = record::list(run, "releaseJobQueue", "").unwrap_or_default();
    let subsystems = record::list(run, "startSubsystem", "").unwrap_or_default();
    let asps = record::list(run, "asp", "").unwrap_or_default();
    let vary_on = run.get("varyOnAsps").map(String::as_str) == Some("Yes");
    let mut missing = None;
    if let Some(r) = running(world, partition) {
        for q in &queues {
            match r.disk.job_queues.get_mut(q) {
                Some(queue) => queue.held = false,
                None => missing = Some(("release-queues", "CPF3307")),
            }
        }
        for asp in asps.iter().filter(|_| vary_on) {
            r.disk.asps.insert(asp.clone(), true);
        }
        r.system.subsystems.insert("QSYSWRK".to_owned());
        for s in &subsystems {
            let name = s.rsplit('/').next().unwrap_or(s);
            r.system.subsystems.insert(name.to_owned());
        }
    }
    if let Some(why) = missing {
        return failed(world, partition, run, why);
    }
    if !world.knobs.monitor_starts_before_start_up {
        job_scheduler::start_by_itself(world, partition);
    }
    write_marker(world, partition, run, (stage, "DONE", re_ipls), ("-", "-"));
    let bytes = ready_record(world, partition, run, stage, re_ipls);
    if let Some(r) = running(world, partition) {
        r.system.phase = Phase::Up;
        r.disk.files.insert(READY.to_owned(), bytes);
    }
    tell_operator(world, partition, "CLN0213", 10, "ready");
    if let Some(program) = run.get("startupProgram") {
        let known = disk_of(world, partition)
            .is_some_and(|d| d.objects.contains(&format!("{program} *PGM")));
        if !known {
            tell_operator(
                world,
                partition,
                "CLN0214",
                40,
                "start-up program of the clone failed",
            );
        }
    }
    world.ledger.effect(format!("ibmi.{partition}.READY"));
}

fn ready_record(
    world: &World,
    partition: &str,
    run: &BTreeMap<String, String>,
    stage: u32,
    re_ipls: u32,
) -> Vec<u8> {
    let get = |k: &str| run.get(k).cloned().unwrap_or_default();
    let Some((system, disk)) = view(world, partition) else {
        return Vec::new();
    };
    let mut interfaces: Vec<String> = disk
        .interfaces
        .iter()
        .map(|i| format!("{}/{}/{}", i.address, i.netmask, i.line))
        .collect();
    interfaces.sort();
    let routes: Vec<String> = disk
        .routes
        .iter()
        .map(|r| format!("{}/{}/{}", r.destination, r.netmask, r.next_hop))
        .collect();
    let (js1, js1_monitors) = job_scheduler::read_back(system, disk, run);
    let held = disk.job_queues.values().filter(|q| q.held).count();
    let schedule_held = disk.schedule.iter().filter(|e| e.held).count();
    record::write(
        "ready",
        &[
            ("runToken", get("runToken")),
            ("runNumber", get("runNumber")),
            ("stage", stage.to_string()),
            ("scpf", scpf(world, partition)),
            ("sourceScpf", get("sourceScpf")),
            ("serialNumber", get("clone.serialNumber")),
            ("partitionId", get("clone.partitionId")),
            ("systemName", disk.system_name.clone()),
            ("hostName", disk.host_name.clone()),
            ("interfaces", interfaces.join(",")),
            ("routes", routes.join(",")),
            (
                "jobsScheduled",
                (disk.schedule.len() - schedule_held).to_string(),
            ),
            ("jobsHeld", schedule_held.to_string()),
            ("queuesHeld", held.to_string()),
            ("queuesReleased", (disk.job_queues.len() - held).to_string()),
            ("subsystems", system.subsystems().join(",")),
            ("reIpls", re_ipls.to_string()),
            ("warnings", "-".to_owned()),
            ("readyAt", clock(world, partition)),
            ("js1", js1),
            ("js1Monitors", js1_monitors),
        ],
    )
}
