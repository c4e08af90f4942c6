//! The identity probe: who answers, in one query (`ibmi.md` § 1.7, § 9).

use super::query::{column, rows};
use crate::drivers::transport::ssh::SshSession;
use crate::site::{DeviceError, Identity, Row, SystemStatus};
use chrono::NaiveDateTime;
use std::time::Duration;

/// Serial number and partition id come from the hypervisor, everything else from disk; SCPF's entry time changes with
/// every IPL.
const PROBE: &str = "SELECT HOST_NAME, PARTITION_ID, SERIAL_NUMBER, (SELECT VARCHAR(MAX(JOB_ENTERED_SYSTEM_TIME)) FROM TABLE(QSYS2.JOB_INFO(JOB_USER_FILTER => 'QSYS', JOB_STATUS_FILTER => '*ACTIVE')) WHERE JOB_NAME = '000000/QSYS/SCPF') AS SCPF_TIME, VARCHAR_FORMAT(CURRENT TIMESTAMP - CURRENT TIMEZONE, 'YYYY-MM-DD HH24:MI:SS') AS UTC_NOW FROM QSYS2.SYSTEM_STATUS_INFO";

/// Asks.
///
/// # Errors
/// `Refused` with `PartitionNotVisible` when the profile may not see the partition columns.
pub(super) async fn run(
    session: &SshSession,
    device: &str,
    limit: Duration,
) -> Result<SystemStatus, DeviceError> {
    let found = rows(session, device, PROBE, limit).await?;
    match found.as_slice() {
        [row] => read(device, row),
        other => Err(DeviceError::refused(
            device,
            "IdentityNotReadable",
            format!("SYSTEM_STATUS_INFO has {} rows instead of one", other.len()),
        )),
    }
}

fn read(device: &str, row: &Row) -> Result<SystemStatus, DeviceError> {
    let serial = column(row, "SERIAL_NUMBER");
    let partition = column(row, "PARTITION_ID");
    if serial.is_empty() || partition.is_empty() {
        let text = "its serial number and partition id are hidden from this profile; grant it *USE on QSYS/QPMLPMGT: GRTOBJAUT OBJ(QSYS/QPMLPMGT) OBJTYPE(*SRVPGM) USER(profile) AUT(*USE)";
        return Err(DeviceError::refused(device, "PartitionNotVisible", text));
    }
    let unreadable = |what: &str, text: &str| {
        DeviceError::refused(device, "IdentityNotReadable", format!("{what} is {text:?}"))
    };
    let partition_id = partition
        .parse()
        .map_err(|_| unreadable("the partition id", partition))?;
    let scpf = column(row, "SCPF_TIME");
    if scpf.is_empty() {
        return Err(unreadable("the entry time of 000000/QSYS/SCPF", scpf));
    }
    let clock = column(row, "UTC_NOW");
    let now = NaiveDateTime::parse_from_str(clock, "%Y-%m-%d %H:%M:%S")
        .map_err(|_| unreadable("the clock", clock))?
        .and_utc();
    Ok(SystemStatus {
        identity: Identity::new(serial, partition_id),
        host_name: column(row, "HOST_NAME").to_owned(),
        scpf_entry_time: scpf.to_owned(),
        now,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::db2;

    fn row(serial: Option<&str>) -> Row {
        [
            ("HOST_NAME", Some("PROD")),
            ("PARTITION_ID", serial.map(|_| "10")),
            ("SERIAL_NUMBER", serial),
            ("SCPF_TIME", Some("2026-11-23-04.12.33.123456")),
            ("UTC_NOW", Some("2026-11-23 05:00:00")),
        ]
        .map(|(k, v)| (k.to_owned(), v.map(str::to_owned)))
        .into()
    }

    #[test]
    fn the_probe_names_its_columns() {
        assert_eq!(db2::columns(PROBE).map(|c| c.len()), Some(5));
    }

    #[test]
    fn the_blank_before_the_serial_number_is_trimmed() {
        let status = read("d", &row(Some(" 106F917"))).expect("status");
        assert_eq!(status.identity, Identity::new("106F917", 10));
        assert_eq!(status.now.to_rfc3339(), "2026-11-23T05:00:00+00:00");
    }

    #[test]
    fn hidden_partition_columns_say_what_to_grant() {
        let error = read("d", &row(None)).expect_err("hidden");
        assert_eq!(error.code(), Some("PartitionNotVisible"));
        assert!(error.to_string().contains("*USE on QSYS/QPMLPMGT"));
    }
}
