//! Advanced Job Scheduler (5770-JS1): data libraries with jobs, and monitors that submit them (`ibmi.md` § 3.4; ENDJS, CHGDLJS
//! and HLDJOBJS as IBM's CL reference has them).
//!
//! What nobody has seen on a real system is a knob: whether ENDJS is there, and whether a monitor with AUTOSTART(*YES) starts
//! before the start-up program (`monitorStartsBeforeStartUp`) or with QSYSWRK after it.

use super::cl::Command;
use super::commands::ClAnswer;
use super::disk::DiskState;
use super::file::JobSchedulerFile;
use super::jobs;
use super::kit::RUN_PARM;
use super::record;
use super::system::{System, disk_of, running, view};
use crate::simulators::ledger::ViolationKind;
use crate::simulators::world::World;
use std::collections::BTreeMap;

/// What the product keeps on disk, by the name of its data library.
pub type DataLibraries = BTreeMap<String, DataLibrary>;

/// One scheduling environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataLibrary {
    /// CHGDLJS MON: whether it can be monitored at all.
    pub monitored: bool,
    /// CHGDLJS AUTOSTART.
    pub autostart: bool,
    /// CHGDLJS MONJOBNAM.
    pub monitor_job: String,
    /// Its jobs.
    pub jobs: Vec<ScheduledJob>,
}

/// A job of the product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduledJob {
    /// Name.
    pub name: String,
    /// Held by HLDJOBJS.
    pub held: bool,
    /// What became due while no monitor ran is submitted when one starts.
    pub recovers: bool,
}

/// Puts the product on a disk.
pub(super) fn install(disk: &mut DiskState, file: &JobSchedulerFile) {
    disk.objects.insert("QSYS/QIJS *LIB".to_owned());
    for library in &file.data_libraries {
        disk.objects.insert(format!("QSYS/{} *LIB", library.name));
        let jobs = library.jobs.iter().map(|j| ScheduledJob {
            name: j.name.clone(),
            held: j.held,
            recovers: j.recovers,
        });
        let found = DataLibrary {
            monitored: true,
            autostart: library.autostart,
            monitor_job: library.monitor_job.clone(),
            jobs: jobs.collect(),
        };
        disk.scheduler.insert(library.name.clone(), found);
    }
}

fn installed(disk: &DiskState) -> bool {
    disk.objects.contains("QSYS/QIJS *LIB")
}

/// Active monitors among these job names.
fn active<'a>(system: &System, names: impl Iterator<Item = &'a String>) -> usize {
    names
        .filter(|name| system.jobs.values().any(|j| j.short_name() == *name))
        .count()
}

fn is_active(system: &System, library: &DataLibrary) -> bool {
    active(system, std::iter::once(&library.monitor_job)) > 0
}

/// QSYSWRK was started, or the IPL is over: monitors that start by themselves do.
pub(super) fn start_by_itself(world: &mut World, partition: &str) {
    let due: Vec<String> = disk_of(world, partition)
        .map(|d| d.scheduler.iter())
        .into_iter()
        .flatten()
        .filter(|(_, l)| l.autostart && l.monitored)
        .map(|(name, _)| name.clone())
        .collect();
    for name in due {
        start(world, partition, &name);
    }
}

/// STRJS: a monitor starts and submits what is due. On a partition that is no source that is production's work done twice, unless
/// the run's own parameters leave the scheduler alone.
pub(super) fn start(world: &mut World, partition: &str, library: &str) {
    let Some((system, disk)) = view(world, partition) else {
        return;
    };
    let Some(found) = disk.scheduler.get(library) else {
        return;
    };
    if is_active(system, found) || !found.monitored {
        return;
    }
    let (job, due) = (found.monitor_job.clone(), due(found));
    let kept = disk
        .files
        .get(RUN_PARM)
        .and_then(|b| record::read(b))
        .is_some_and(|run| run.get("scheduledJobs").map(String::as_str) == Some("Keep"));
    jobs::start_service(world, partition, "QIJS", &job, "STRJS");
    let is_source = world.sources.iter().any(|s| s == partition);
    if !due.is_empty() && !is_source && !kept {
        let text = format!(
            "monitor {job} of {library} submitted {} on {partition}",
            due.join(", ")
        );
        world.violation(ViolationKind::ProductionJobsOnClone, text);
    }
}

fn due(library: &DataLibrary) -> Vec<String> {
    let due = library.jobs.iter().filter(|j| j.recovers && !j.held);
    due.map(|j| j.name.clone()).collect()
}

/// The product's commands; `None` = another command, or the product is not there.
pub(super) fn run(world: &mut World, partition: &str, command: &Command) -> Option<ClAnswer> {
    if !disk_of(world, partition).is_some_and(installed) {
        return None;
    }
    let word = |key: &str| command.word(key);
    match command.name.as_str() {
        "ENDJS" if !world.knobs.endjs_works => None,
        "STRJS" | "ENDJS" => {
            let library = word("DTALIB").unwrap_or_else(|| "*USRPRF".to_owned());
            Some(start_or_end(world, partition, &command.name, &library))
        }
        "CHGDLJS" => Some(change(world, partition, command)),
        "HLDJOBJS" | "RLSJOBJS" => {
            let held = command.name == "HLDJOBJS";
            let name = word("JOB").unwrap_or_default();
            let r = running(world, partition)?;
            let mut jobs = r.disk.scheduler.values_mut().flat_map(|l| &mut l.jobs);
            // There is no *ALL form.
            Some(match jobs.find(|j| j.name == name) {
                Some(job) => {
                    job.held = held;
                    ClAnswer::completed("", format!("Job {name} changed."))
                }
                None => ClAnswer::escape("CPF9898", format!("Job {name} not found.")),
            })
        }
        _ => None,
    }
}

/// `*ALL`, one library, or the default one.
fn named(disk: &DiskState, library: &str) -> Vec<String> {
    let all = disk.scheduler.iter();
    all.filter(|(name, l)| match library {
        "*ALL" => l.monitored,
        "*USRPRF" => name.as_str() == "QUSRIJS",
        other => name.as_str() == other,
    })
    .map(|(name, _)| name.clone())
    .collect()
}

fn start_or_end(world: &mut World, partition: &str, command: &str, library: &str) -> ClAnswer {
    let Some(disk) = disk_of(world, partition) else {
        return ClAnswer::escape("CPF9999", "Function check.");
    };
    let names = named(disk, library);
    let refused = names
        .iter()
        .any(|n| disk.scheduler.get(n).is_none_or(|l| !l.monitored));
    if names.is_empty() || (command == "STRJS" && refused) {
        return ClAnswer::escape("CPF9898", format!("{library} cannot be monitored."));
    }
    for name in names {
        if command == "STRJS" {
            start(world, partition, &name);
            continue;
        }
        if let Some(r) = running(world, partition)
            && let Some(library) = r.disk.scheduler.get(&name)
        {
            end_monitor(r.system, &library.monitor_job);
        }
    }
    ClAnswer::completed("", format!("{command} completed."))
}

fn end_monitor(system: &mut System, job: &str) {
    system.jobs.retain(|_, j| j.short_name() != job);
}

/// MON(*NO) is refused while the monitor is active.
fn change(world: &mut World, partition: &str, command: &Command) -> ClAnswer {
    let Some(r) = running(world, partition) else {
        return ClAnswer::escape("CPF9999", "Function check.");
    };
    let name = command.word("DTALIB").unwrap_or_default();
    let Some(library) = r.disk.scheduler.get_mut(&name) else {
        return ClAnswer::escape("CPF9898", format!("Data library {name} not found."));
    };
    let to = |key: &str| match command.word(key).as_deref() {
        Some("*YES") => Some(true),
        Some("*NO") => Some(false),
        Some(_) | None => None,
    };
    if to("MON") == Some(false) && is_active(r.system, library) {
        let text = format!("Monitor {} is active.", library.monitor_job);
        return ClAnswer::escape("CPF9898", text);
    }
    library.monitored = to("MON").unwrap_or(library.monitored);
    library.autostart = to("AUTOSTART").unwrap_or(library.autostart);
    if let Some(job) = command.word("MONJOBNAM") {
        library.monitor_job = job;
    }
    ClAnswer::completed("", format!("Data library {name} changed."))
}

/// Row `hold-js1` of the personality (`ibmi/CONTRACT.md` § 7).
pub(super) fn hold(
    system: &mut System,
    disk: &mut DiskState,
    run: &BTreeMap<String, String>,
    endjs_works: bool,
) -> Result<(), (String, String)> {
    let failed = |id: &str| Err(("hold-js1".to_owned(), id.to_owned()));
    if run.get("scheduledJobs").map(String::as_str) == Some("Keep") {
        return Ok(());
    }
    let (Some(libraries), Some(monitors)) = (
        record::list(run, "js1.dataLibrary", ""),
        record::list(run, "js1.monitorJob", ""),
    ) else {
        return failed("CLN0103");
    };
    let there: Vec<&String> = libraries
        .iter()
        .filter(|l| disk.objects.contains(&format!("QSYS/{l} *LIB")))
        .collect();
    match (there.is_empty(), installed(disk)) {
        (true, false) => return Ok(()),
        (true, true) => return failed("CLN0216"),
        (false, _) => {}
    }
    let before = active(system, monitors.iter());
    if endjs_works {
        for library in disk.scheduler.values() {
            end_monitor(system, &library.monitor_job);
        }
    }
    for name in there {
        let Some(library) = disk.scheduler.get_mut(name) else {
            return failed("CPF9898");
        };
        if is_active(system, library) {
            return failed("CPF9898");
        }
        (library.monitored, library.autostart) = (false, false);
    }
    if active(system, monitors.iter()) > 0 {
        return failed("CLN0212");
    }
    if before > 0 {
        return failed("CLN0215");
    }
    Ok(())
}

/// `js1` and `js1Monitors` of the ready record.
pub(super) fn read_back(
    system: &System,
    disk: &DiskState,
    run: &BTreeMap<String, String>,
) -> (String, String) {
    let list = |key: &str| record::list(run, key, "").unwrap_or_default();
    let there = list("js1.dataLibrary")
        .iter()
        .any(|l| disk.objects.contains(&format!("QSYS/{l} *LIB")));
    let running = active(system, list("js1.monitorJob").iter());
    let state = match (there, installed(disk), running) {
        (false, false, _) => "Absent",
        (false, true, _) => "Unknown",
        (true, _, 0) => "Held",
        (true, _, _) => "Active",
    };
    (state.to_owned(), running.to_string())
}
