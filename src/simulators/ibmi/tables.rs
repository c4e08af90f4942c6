//! The views and table functions the SQL services offer (`ibmi.md` §§ 1.7, 3.4, 6, 8.1).

mod job_tables;

use job_tables::{active_jobs, jobs, log_rows, operator_queue};

use super::brms;
use super::disk::{DiskState, LogMessage};
use super::jobs::JobPhase;
use super::listings;
use super::long::{self, Wanted};
use super::sql::{Answer, SqlError, SqlRow};
use super::system::{identity, own_clock, view as halves};
use crate::simulators::faults::{Device, FaultKind};
use crate::simulators::world::World;
use chrono::{DateTime, Duration, NaiveDateTime, Utc};
use std::collections::BTreeMap;
use std::ops::Range;

const FORM: &str = "%Y-%m-%d %H:%M:%S%.6f";

/// A timestamp as SQL prints it.
pub(super) fn stamp(at: DateTime<Utc>) -> String {
    at.format(FORM).to_string()
}

/// CURRENT TIMESTAMP.
pub(super) fn now(world: &World, partition: &str) -> String {
    stamp(own_clock(world, partition))
}

fn parsed(text: &str) -> Option<NaiveDateTime> {
    ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d-%H.%M.%S%.f"]
        .iter()
        .find_map(|f| NaiveDateTime::parse_from_str(text, f).ok())
}

/// A timestamp moved by seconds.
pub(super) fn shifted(text: &str, seconds: i64) -> Option<String> {
    parsed(text).map(|t| (t + Duration::seconds(seconds)).format(FORM).to_string())
}

/// VARCHAR_FORMAT with the parts the operator uses.
pub(super) fn formatted(text: &str, format: &str) -> Option<String> {
    let at = parsed(text)?;
    let pattern = format
        .replace("YYYY", "%Y")
        .replace("MM", "%m")
        .replace("DD", "%d")
        .replace("HH24", "%H")
        .replace("MI", "%M")
        .replace("SS", "%S")
        .replace("NNNNNN", "%6f");
    Some(at.format(&pattern).to_string())
}

/// A value.
pub(super) fn some(text: impl ToString) -> Option<String> {
    Some(text.to_string())
}

/// A table of columns and rows.
pub(super) fn table(columns: &[&str], rows: Vec<Vec<Option<String>>>) -> Answer {
    let names: Vec<String> = columns.iter().map(|c| (*c).to_owned()).collect();
    let rows = rows
        .into_iter()
        .map(|r| names.iter().cloned().zip(r).collect::<SqlRow>())
        .collect();
    (names, rows)
}

fn yes(condition: bool) -> Option<String> {
    some(if condition { "YES" } else { "NO" })
}

/// A view.
pub(super) fn view(
    world: &World,
    partition: &str,
    user: &str,
    name: &str,
) -> Result<Answer, SqlError> {
    let (system, disk) = halves(world, partition).ok_or_else(|| SqlError::no_object(name))?;
    Ok(match name {
        "QSYS2.SYSTEM_STATUS_INFO" => system_status(world, partition, user),
        "QSYS2.ACTIVE_JOB_INFO" => active_jobs(world, partition),
        "QSYS2.SCHEDULED_JOB_INFO" => table(
            &[
                "SCHEDULED_JOB_ENTRY_NUMBER",
                "SCHEDULED_JOB_NAME",
                "SCHEDULED_TIME",
                "RECOVERY_ACTION",
                "NEXT_SUBMISSION_DATE",
                "JOB_QUEUE_NAME",
                "STATUS",
            ],
            disk.schedule
                .iter()
                .map(|e| {
                    vec![
                        some(e.number),
                        some(&e.name),
                        some("23:00:00"),
                        some("*SBMRLS"),
                        None,
                        some(e.queue.rsplit('/').next().unwrap_or_default()),
                        some(if e.held { "HELD" } else { "SCHEDULED" }),
                    ]
                })
                .collect(),
        ),
        "QSYS2.JOB_QUEUE_INFO" => table(
            &[
                "JOB_QUEUE_NAME",
                "JOB_QUEUE_LIBRARY",
                "JOB_QUEUE_STATUS",
                "SUBSYSTEM_NAME",
                "NUMBER_OF_JOBS",
            ],
            disk.job_queues
                .iter()
                .map(|(name, q)| {
                    let (library, short) = name.split_once('/').unwrap_or(("QGPL", name));
                    let waiting = system
                        .jobs
                        .values()
                        .filter(|j| &j.queue == name && matches!(j.phase, JobPhase::Queued { .. }))
                        .count();
                    vec![
                        some(short),
                        some(library),
                        some(if q.held { "HELD" } else { "RELEASED" }),
                        some(&q.subsystem),
                        some(waiting),
                    ]
                })
                .collect(),
        ),
        "QSYS2.SUBSYSTEM_INFO" => table(
            &["SUBSYSTEM_DESCRIPTION", "STATUS"],
            system
                .subsystems
                .iter()
                .map(|s| vec![some(s), some("ACTIVE")])
                .collect(),
        ),
        "QSYS2.NETSTAT_INTERFACE_INFO" => interfaces(world, partition),
        "QSYS2.NETSTAT_ROUTE_INFO" => table(
            &[
                "CONNECTION_TYPE",
                "ROUTE_DESTINATION",
                "SUBNET_MASK",
                "NEXT_HOP",
                "ROUTE_TYPE",
                "LOCAL_BINDING_INTERFACE",
            ],
            disk.routes
                .iter()
                .map(|r| {
                    vec![
                        some("IPV4"),
                        some(&r.destination),
                        some(&r.netmask),
                        some(&r.next_hop),
                        some(if r.destination == "*DFTROUTE" {
                            "DFTROUTE"
                        } else {
                            "NET"
                        }),
                        some("*NONE"),
                    ]
                })
                .collect(),
        ),
        "QSYS2.NETWORK_ATTRIBUTE_INFO" => table(
            &[
                "HOST_NAME",
                "PENDING_HOST_NAME",
                "NETWORK_ID",
                "CONTROL_POINT",
                "LOCATION",
                "ALERT_STATUS",
            ],
            vec![vec![
                some(&disk.system_name),
                disk.pending_name.clone(),
                some("APPN"),
                some(&disk.control_point),
                some(&disk.location),
                some(&disk.alerts),
            ]],
        ),
        "QSYS2.MESSAGE_QUEUE_INFO" => operator_queue(&disk.operator_queue),
        "QSYS2.ASP_INFO" => asps(world, partition),
        "QSYS2.SYSTEM_VALUE_INFO" => table(
            &["SYSTEM_VALUE_NAME", "CURRENT_CHARACTER_VALUE"],
            disk.values
                .iter()
                .map(|(k, v)| vec![some(k), some(v)])
                .collect(),
        ),
        "QSYS2.DATA_AREA_INFO" => table(
            &["DATA_AREA_LIBRARY", "DATA_AREA_NAME", "DATA_AREA_VALUE"],
            disk.data_areas
                .iter()
                .filter_map(|(name, text)| {
                    let (library, short) = name.split_once('/')?;
                    (!name.starts_with("member"))
                        .then(|| vec![some(library), some(short), some(text)])
                })
                .collect(),
        ),
        "QSYS2.PTF_INFO" => table(
            &[
                "PTF_PRODUCT_ID",
                "PTF_IDENTIFIER",
                "PTF_IPL_ACTION",
                "PTF_IPL_REQUIRED",
            ],
            Vec::new(),
        ),
        "QSYS2.LIBRARY_INFO" => table(
            &["LIBRARY_NAME"],
            disk.objects
                .iter()
                .filter_map(|o| o.strip_prefix("QSYS/")?.strip_suffix(" *LIB"))
                .map(|l| vec![some(l)])
                .collect(),
        ),
        "SYSIBMADM.ENV_SYS_INFO" => table(
            &["OS_NAME", "OS_VERSION", "OS_RELEASE", "HOST_NAME"],
            vec![vec![
                some("IBM i"),
                some("7"),
                some("5"),
                some(&disk.host_name),
            ]],
        ),
        "QSYS2.SYSCOLUMNS" => brms::sql::columns(disk.brms.as_ref()),
        "QSYS2.SYSPARTITIONSTAT" => brms::sql::members(disk.brms.as_ref()),
        "SYSIBM.SYSDUMMY1" => table(&["IBMREQD"], vec![vec![some("Y")]]),
        other => {
            let found = disk.brms.as_ref().and_then(|b| brms::sql::view(b, other));
            return found.ok_or_else(|| SqlError::no_object(other));
        }
    })
}

/// A table function.
pub(super) fn function(
    world: &World,
    partition: &str,
    user: &str,
    name: &str,
    arguments: &BTreeMap<String, String>,
    wanted: &Wanted,
) -> Result<Answer, SqlError> {
    let (_, disk) = halves(world, partition).ok_or_else(|| SqlError::no_object(name))?;
    let argument = |key: &str, at: &str| arguments.get(key).or_else(|| arguments.get(at)).cloned();
    Ok(match name {
        "QSYS2.JOB_INFO" => jobs(world, partition, arguments),
        "QSYS2.ACTIVE_JOB_INFO" => active_jobs(world, partition),
        "QSYS2.JOBLOG_INFO" => {
            let job = argument("JOB_NAME", "1").unwrap_or_default();
            let live = halves(world, partition).and_then(|(s, _)| s.jobs.get(&job));
            let shown = world.knobs.job_log_info_shows_pending;
            let pending = || {
                disk.ended
                    .iter()
                    .rfind(|j| j.name == job && j.pending && shown)
            };
            let log = live.map(|j| &j.log).or_else(|| pending().map(|j| &j.log));
            let log = log.ok_or_else(|| SqlError {
                state: "38501",
                code: -443,
                text: format!("Job {job} not found or has no job log."),
            })?;
            log_rows(log, &wanted.places(log), "QUALIFIED_JOB_NAME")
        }
        "QSYS2.HISTORY_LOG_INFO" => {
            let day = shifted(&now(world, partition), -86_400).unwrap_or_default();
            let since = argument("START_TIME", "1").unwrap_or(day);
            let since = parsed(&since);
            let kept: Vec<LogMessage> = disk
                .history
                .iter()
                .filter(|m| since.is_none_or(|s| m.at.naive_utc() >= s))
                .cloned()
                .collect();
            log_rows(&kept, &(0..usize::MAX), "FROM_JOB")
        }
        "SYSTOOLS.SPOOLED_FILE_DATA" => {
            let job = argument("JOB_NAME", "1").unwrap_or_default();
            let file = argument("SPOOLED_FILE_NAME", "2").unwrap_or_default();
            let gone = || SqlError {
                state: "38501",
                code: -443,
                text: format!("Spooled file {file} of {job} not found."),
            };
            if file != "QPJOBLOG" {
                let lines = listings::spooled_file(world, partition, &job, &file);
                let lines = lines.ok_or_else(gone)?;
                let rows = lines.iter().enumerate();
                let rows = rows.map(|(at, l)| vec![some(at + 1), some(l)]);
                return Ok(table(&["ORDINAL_POSITION", "SPOOLED_DATA"], rows.collect()));
            }
            let mut ended = disk.ended.iter();
            let log = ended.rfind(|j| j.name == job && !j.vanished && !j.pending);
            let log = &log.ok_or_else(gone)?.log;
            spooled_rows(world, partition, &job, log, &wanted.places(log))
        }
        "QSYS2.SYSTEM_STATUS" | "QSYS2.SYSTEM_STATUS_INFO" => system_status(world, partition, user),
        "QSYS2.MESSAGE_QUEUE_INFO" => operator_queue(&disk.operator_queue),
        "QSYS2.OBJECT_STATISTICS" => {
            let library = argument("OBJECT_SCHEMA", "1").unwrap_or_default();
            let types = argument("OBJTYPELIST", "2").unwrap_or_else(|| "*ALL".to_owned());
            objects(disk, &library, &types)
        }
        "QSYS2.DATA_AREA_INFO" => {
            let wanted = format!(
                "{}/{}",
                argument("DATA_AREA_LIBRARY", "2").unwrap_or_default(),
                argument("DATA_AREA_NAME", "1").unwrap_or_default()
            );
            table(
                &["DATA_AREA_VALUE"],
                disk.data_areas
                    .get(&wanted)
                    .map(|v| vec![some(v)])
                    .into_iter()
                    .collect(),
            )
        }
        other => return Err(SqlError::no_object(other)),
    })
}

/// OBJECT_STATISTICS of one library.
fn objects(disk: &DiskState, library: &str, types: &str) -> Answer {
    let wanted: Vec<&str> = types
        .split([' ', ','])
        .map(|t| t.trim_start_matches('*'))
        .collect();
    let rows = disk
        .objects
        .iter()
        .filter_map(|o| o.strip_prefix(&format!("{library}/")))
        .filter_map(|o| o.split_once(' '))
        .filter(|(_, kind)| {
            wanted.contains(&"ALL") || wanted.contains(&kind.trim_start_matches('*'))
        });
    table(
        &["OBJNAME", "OBJTYPE", "OBJLIB", "CHANGE_TIMESTAMP"],
        rows.map(|(name, kind)| {
            let changed = brms::sql::object_changed(disk, library, name, kind);
            vec![some(name), some(kind), some(library), changed.map(stamp)]
        })
        .collect(),
    )
}

/// The lines of the messages at these places; the heading goes with the first.
fn spooled_rows(
    world: &World,
    partition: &str,
    job: &str,
    log: &[LogMessage],
    wanted: &Range<usize>,
) -> Answer {
    let mut rows = Vec::new();
    if wanted.start == 0 {
        let heading = listings::spooled(world, partition, job, &[]);
        rows.extend(heading.iter().map(|l| vec![some(0), some(l)]));
    }
    for (at, message) in long::messages(log, wanted) {
        let lines = listings::print_message(&message);
        rows.extend(lines.iter().map(|l| vec![some(at + 1), some(l)]));
    }
    table(&["ORDINAL_POSITION", "SPOOLED_DATA"], rows)
}

fn system_status(world: &World, partition: &str, user: &str) -> Answer {
    let columns = [
        "HOST_NAME",
        "PARTITION_ID",
        "PARTITION_NAME",
        "MACHINE_TYPE",
        "MACHINE_MODEL",
        "SERIAL_NUMBER",
        "RESTRICTED_STATE",
        "IPL_MODE",
        "IPL_TYPE",
        "ATTENTION_LIGHT",
        "SYSTEM_ASP_USED",
        "SYSTEM_ASP_STORAGE",
        "ACTIVE_JOBS_IN_SYSTEM",
    ];
    let Some((system, disk)) = halves(world, partition) else {
        return table(&columns, Vec::new());
    };
    let hidden = world
        .faults
        .waits(Device::IbmI, partition, "SYSTEM_STATUS_INFO")
        == Some(&FaultKind::Special("null-identity".to_owned()));
    let allowed = !hidden && disk.user(user).is_none_or(|u| u.qpmlpmgt);
    let pair = identity(world, partition).filter(|_| allowed);
    let restricted = system.subsystems.is_empty();
    table(
        &columns,
        vec![vec![
            some(disk.host_name.to_ascii_uppercase()),
            pair.as_ref().map(|p| p.partition_id.to_string()),
            pair.as_ref().map(|_| partition.to_owned()),
            pair.as_ref().map(|_| "9009".to_owned()),
            pair.as_ref().map(|_| " 41A".to_owned()),
            // The system prints a blank in front (`ibmi.md` § 1.7).
            pair.as_ref().map(|p| format!(" {}", p.serial_number)),
            yes(restricted),
            some("NORMAL"),
            some("B"),
            some("OFF"),
            some(format!("{:.2}", disk.asp_used)),
            some(1_000_000),
            some(system.jobs.len() + 1),
        ]],
    )
}

fn interfaces(world: &World, partition: &str) -> Answer {
    let columns = [
        "CONNECTION_TYPE",
        "INTERNET_ADDRESS",
        "SUBNET_MASK",
        "LINE_DESCRIPTION",
        "INTERFACE_STATUS",
        "AUTOSTART",
        "VIRTUAL_LAN_ID",
        "INTERFACE_LINE_TYPE",
        "PREFERRED_INTERFACE",
    ];
    let Some((system, disk)) = halves(world, partition) else {
        return table(&columns, Vec::new());
    };
    let mut rows = vec![vec![
        some("IPV4"),
        some("127.0.0.1"),
        some("255.0.0.0"),
        some("*LOOPBACK"),
        some(if system.tcp { "ACTIVE" } else { "INACTIVE" }),
        some("YES"),
        None,
        None,
        None,
    ]];
    rows.extend(disk.interfaces.iter().map(|i| {
        let active = system.active_interfaces.contains(&i.address);
        vec![
            some("IPV4"),
            some(&i.address),
            some(&i.netmask),
            some(&i.line),
            some(if active { "ACTIVE" } else { "INACTIVE" }),
            yes(i.autostart),
            None,
            some("ELAN"),
            None,
        ]
    }));
    table(&columns, rows)
}

fn asps(world: &World, partition: &str) -> Answer {
    let columns = [
        "ASP_NUMBER",
        "DEVICE_DESCRIPTION_NAME",
        "ASP_STATE",
        "ASP_TYPE",
    ];
    let Some((_, disk)) = halves(world, partition) else {
        return table(&columns, Vec::new());
    };
    let mut rows = vec![vec![some(1), None, some("NONE"), some("SYSTEM")]];
    rows.extend(disk.asps.iter().enumerate().map(|(at, (name, on))| {
        vec![
            some(at + 33),
            some(name),
            some(if *on { "AVAILABLE" } else { "VARIED OFF" }),
            some("PRIMARY"),
        ]
    }));
    table(&columns, rows)
}
