//! Jobs and logs.

use super::*;
use crate::simulators::ibmi::{System, long};
use std::ops::Range;

pub(super) fn jobs(world: &World, partition: &str, arguments: &BTreeMap<String, String>) -> Answer {
    let columns = [
        "JOB_NAME",
        "JOB_NAME_SHORT",
        "JOB_USER",
        "JOB_NUMBER",
        "JOB_STATUS",
        "COMPLETION_STATUS",
        "JOB_END_SEVERITY",
        "JOB_END_REASON",
        "JOB_QUEUE_NAME",
        "JOB_QUEUE_LIBRARY",
        "JOB_QUEUE_STATUS",
        "JOB_ENTERED_SYSTEM_TIME",
        "JOB_ACTIVE_TIME",
        "JOB_END_TIME",
    ];
    let Some((system, disk)) = halves(world, partition) else {
        return table(&columns, Vec::new());
    };
    let start = system.started.unwrap_or(world.now) + Duration::seconds(disk.clock_ahead_seconds);
    let name_columns = |name: &str| {
        let mut parts = name.splitn(3, '/');
        let (number, user, short) = (
            parts.next().unwrap_or_default().to_owned(),
            parts.next().unwrap_or_default().to_owned(),
            parts.next().unwrap_or_default().to_owned(),
        );
        vec![some(name), some(short), some(user), some(number)]
    };
    let mut rows = Vec::new();
    let mut scpf = name_columns("000000/QSYS/SCPF");
    scpf.extend([
        some("ACTIVE"),
        None,
        None,
        None,
        None,
        None,
        None,
        some(stamp(start)),
        some(stamp(start)),
        None,
    ]);
    rows.push(scpf);
    for j in system.jobs.values() {
        let mut row = name_columns(&j.name);
        let (status, queue) = match &j.phase {
            JobPhase::Queued { held } => ("JOBQ", some(if *held { "HELD" } else { "RELEASED" })),
            JobPhase::Active { .. } | JobPhase::MessageWait => ("ACTIVE", None),
        };
        let (library, name) = j.queue.split_once('/').unwrap_or_default();
        row.extend([
            some(status),
            None,
            None,
            None,
            some(name),
            some(library),
            queue,
            some(stamp(j.entered)),
            j.active.map(stamp),
            None,
        ]);
        rows.push(row);
    }
    for j in disk.ended.iter().filter(|j| !j.vanished) {
        let mut row = name_columns(&j.name);
        row.extend([
            some("OUTQ"),
            some(if j.end_code == 0 {
                "NORMAL"
            } else {
                "ABNORMAL"
            }),
            some(j.severity),
            some(if j.end_code == 0 {
                "JOB ENDED NORMALLY"
            } else {
                "JOB ENDED DUE TO A ERROR"
            }),
            None,
            None,
            None,
            some(stamp(j.entered)),
            j.active.map(stamp),
            some(stamp(j.ended)),
        ]);
        rows.push(row);
    }
    let user = arguments
        .get("JOB_USER_FILTER")
        .map_or("*ALL", String::as_str);
    let status = arguments
        .get("JOB_STATUS_FILTER")
        .map_or("*ALL", String::as_str);
    rows.retain(|r| {
        (user == "*ALL" || r[2].as_deref() == Some(user))
            && (status == "*ALL" || r[4].as_deref() == Some(status.trim_start_matches('*')))
    });
    table(&columns, rows)
}

pub(super) fn active_jobs(world: &World, partition: &str) -> Answer {
    let columns = [
        "JOB_NAME",
        "JOB_NAME_SHORT",
        "JOB_USER",
        "JOB_STATUS",
        "SUBSYSTEM",
        "FUNCTION_TYPE",
        "FUNCTION",
    ];
    let Some((system, disk)) = halves(world, partition) else {
        return table(&columns, Vec::new());
    };
    let rows = system
        .jobs
        .values()
        .filter(|j| !matches!(j.phase, JobPhase::Queued { .. }))
        .map(|j| {
            let function = function_of(&j.command);
            let subsystem = disk.job_queues.get(&j.queue).map(|q| q.subsystem.clone());
            vec![
                some(&j.name),
                some(j.short_name()),
                some(j.name.split('/').nth(1).unwrap_or_default()),
                some(if j.phase == JobPhase::MessageWait {
                    "MSGW"
                } else {
                    "RUN"
                }),
                subsystem,
                function.as_ref().map(|(kind, _)| (*kind).to_owned()),
                function.as_ref().map(|(_, name)| name.clone()),
            ]
        })
        .chain(brms_network(system, disk))
        .collect();
    table(&columns, rows)
}

/// The command or program a job runs.
fn function_of(command: &str) -> Option<(&'static str, String)> {
    if let Some(program) = crate::simulators::ibmi::jobs::called_program(command) {
        let short = program.rsplit('/').next().unwrap_or_default().to_owned();
        return Some(("PGM", short));
    }
    let name = command.split_whitespace().next()?;
    Some(("CMD", name.to_owned()))
}

/// Jobs of the BRMS network, which are there as long as its subsystem is.
fn brms_network(system: &System, disk: &DiskState) -> Vec<Vec<Option<String>>> {
    let active = disk.brms.is_some() && system.subsystems.contains(brms::NETWORK);
    let names = brms::NETWORK_JOBS.iter().enumerate().filter(|_| active);
    names
        .map(|(at, name)| {
            vec![
                some(format!("{:06}/QBRMS/{name}", at + 1)),
                some(name),
                some("QBRMS"),
                some("RUN"),
                some(brms::NETWORK),
                some("PGM"),
                some(name),
            ]
        })
        .collect()
}

pub(super) fn log_rows(log: &[LogMessage], wanted: &Range<usize>, job_column: &str) -> Answer {
    let columns = [
        "ORDINAL_POSITION",
        "MESSAGE_ID",
        "MESSAGE_TYPE",
        "MESSAGE_SUBTYPE",
        "SEVERITY",
        "MESSAGE_TIMESTAMP",
        "MESSAGE_TEXT",
        "MESSAGE_SECOND_LEVEL_TEXT",
        job_column,
    ];
    let or_null = |t: &str| (!t.is_empty()).then(|| t.to_owned());
    table(
        &columns,
        long::messages(log, wanted)
            .iter()
            .map(|(at, m)| {
                vec![
                    some(at + 1),
                    or_null(&m.id),
                    some(&m.kind),
                    or_null(&m.subtype),
                    some(m.severity),
                    some(stamp(m.at)),
                    some(&m.text),
                    or_null(&m.second_level),
                    some(&m.job),
                ]
            })
            .collect(),
    )
}

pub(super) fn operator_queue(queue: &[LogMessage]) -> Answer {
    table(
        &[
            "MESSAGE_QUEUE_NAME",
            "MESSAGE_QUEUE_LIBRARY",
            "MESSAGE_ID",
            "MESSAGE_TYPE",
            "SEVERITY",
            "MESSAGE_TIMESTAMP",
            "MESSAGE_TEXT",
            "FROM_JOB",
            "MESSAGE_KEY",
            "ASSOCIATED_MESSAGE_KEY",
        ],
        queue
            .iter()
            .map(|m| {
                vec![
                    some("QSYSOPR"),
                    some("QSYS"),
                    (!m.id.is_empty()).then(|| m.id.clone()),
                    some(&m.kind),
                    some(m.severity),
                    some(stamp(m.at)),
                    some(&m.text),
                    some(&m.job),
                    (m.key != 0).then(|| format!("{:08X}", m.key)),
                    (m.answers != 0).then(|| format!("{:08X}", m.answers)),
                ]
            })
            .collect(),
    )
}
